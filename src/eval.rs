//! `calmline eval`: accuracy on data of the user's own.

mod asr;
mod features;
mod masking;
mod pitch;
mod recording;
mod speech;
mod text;
mod warning;

use std::io::{IsTerminal, Write};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

pub use asr::run as asr;
pub use features::run as features;
pub use masking::run as masking;
pub use pitch::run as pitch;
pub use speech::run as speech;
pub use text::run as text;
pub use warning::run as warning;

use crate::cli::shows_progress;

/// Shows how far it is, on a terminal only.
fn progress(done: usize, of: usize) {
    if shows_progress() && (done == of || done.is_multiple_of(50)) {
        // Progress that cannot be shown is no reason to stop.
        let _ = write!(std::io::stderr(), "\r{done} of {of}{}", if done == of { "\n" } else { "" });
    }
}

/// Processor time of this process so far, user and system.
fn cpu_s() -> f64 {
    // Never fails for the process itself; a cost of 0 would show.
    let usage = getrusage(UsageWho::RUSAGE_SELF);
    usage.map_or(0.0, |usage| (usage.user_time() + usage.system_time()).num_microseconds() as f64 / 1e6)
}

fn bold(text: &str) -> String {
    if std::io::stdout().is_terminal() { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
}
