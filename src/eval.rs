//! `calmline eval`: accuracy on data of the user's own.

use crate::cli::{EvalSpeechArgs, Failure};

/// stub
pub fn speech(args: &EvalSpeechArgs) -> Result<(), Failure> {
    Err(Failure::Failed(format!("{}", args.data.display())))
}
