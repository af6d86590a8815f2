//! The runtime for tests that need one.

use nlu::Runtime;

/// The runtime, or a line that says which test goes without.
#[expect(clippy::print_stderr, reason = "a skipped test must be seen")]
pub fn runtime_or_skip(test: &str) -> Option<Runtime> {
    match Runtime::find(None) {
        Ok(runtime) => Some(runtime),
        Err(error) => {
            eprintln!("skipped: {test}: {error}");
            None
        }
    }
}
