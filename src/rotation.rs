//! `calmline keys`: the keys of a running server's store, changed.

use crate::api;
use crate::cli::{Failure, KeysCommand, print_line};

/// Runs `calmline keys`.
///
/// # Errors
/// When the server cannot be asked, or does not do it.
pub(crate) fn run(command: &KeysCommand) -> Result<(), Failure> {
    let KeysCommand::Rotate(args) = command;
    let rotated = api::post(&args.server, "/v1/keys/rotate")?;
    let master = if rotated["master_changed"] == true { "another master key" } else { "the same master key" };
    let (keys, data_key) = (&rotated["keys"], &rotated["data_key"]);
    print_line(format_args!("{keys} keys are wrapped by {master}; data key {data_key} seals from now on"))
}
