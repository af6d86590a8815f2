//! Foreign programs as processes that end with the test.

use std::fs::File;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

/// A program that runs; ended with this.
pub struct Program(Child);

/// False, and said aloud, when `name` is missing; `argument` makes it end by itself.
pub fn is_there(name: &str, argument: &str, package: &str) -> bool {
    let mut command = Command::new(name);
    let found = command.arg(argument).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !found {
        println!("skipped: the program `{name}` is missing (Debian package {package})");
    }
    found
}

impl Program {
    /// Starts it; what it prints goes to the file `log`.
    pub fn start(command: &mut Command, log: &Path) -> Program {
        let log = File::create(log).expect("a file");
        let command = command.stdout(log.try_clone().expect("a handle")).stderr(log);
        Program(command.spawn().expect("the program was there a moment ago"))
    }

    /// Where it reads from, when that was piped; given out once.
    pub fn take_stdin(&mut self) -> Option<ChildStdin> {
        self.0.stdin.take()
    }

    /// Whether it has ended, which has to be a success.
    pub fn has_ended(&mut self) -> bool {
        let ended = self.0.try_wait().expect("a child of ours");
        assert!(ended.is_none_or(|status| status.success()), "{ended:?}");
        ended.is_some()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
