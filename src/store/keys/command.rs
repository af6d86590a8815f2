//! The master key from a program that asks whoever keeps it: a key management service, a vault, a security module.

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::{KeyError, MasterKey};

/// How long the program may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// What is read of what it prints, and of what it says when it fails, bytes.
const PRINTED_BYTES_MAX: u64 = 4_096;
const SAID_BYTES_MAX: u64 = 300;

impl MasterKey {
    /// Runs a program, the first of `words`, with the others as its arguments, and reads the first line that it prints.
    ///
    /// # Errors
    /// When there is no such program, it fails or takes longer than half a minute, or prints no key; never what it printed.
    pub fn ask(words: &[String]) -> Result<Self, KeyError> {
        let Some((program, arguments)) = words.split_first() else {
            return Err(KeyError::Master("no program that prints it".to_owned()));
        };
        let failed = |why: String| KeyError::Master(format!("from {program}: {why}"));
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| failed(error.to_string()))?;
        let until = Instant::now() + ANSWER_WITHIN;
        let status = loop {
            match child.try_wait().map_err(|error| failed(error.to_string()))? {
                Some(status) => break status,
                None if Instant::now() < until => std::thread::sleep(LOOK_EVERY),
                None => {
                    // It may have ended just now.
                    let _ = child.kill();
                    let _ = child.wait();
                    return Err(failed(format!("nothing within {} s", ANSWER_WITHIN.as_secs())));
                }
            }
        };
        if !status.success() {
            let mut said = String::new();
            // Whatever it says is told as far as it can be read.
            let _ = child.stderr.take().map(|stderr| stderr.take(SAID_BYTES_MAX).read_to_string(&mut said));
            return Err(failed(format!("{status}: {}", said.trim())));
        }
        let mut printed = Zeroizing::new(String::new());
        let read = child.stdout.take().map(|stdout| stdout.take(PRINTED_BYTES_MAX).read_to_string(&mut printed));
        read.transpose().map_err(|error| failed(error.to_string()))?;
        Self::parse(printed.lines().next().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_prints_the_key_or_says_why_not() {
        let key = "0123456789abcdef".repeat(4);
        for (words, expected) in [
            (vec!["echo", &key], Ok(())),
            (vec!["sh", "-c", "echo sealed >&2; exit 3"], Err("exit status: 3: sealed")),
            (vec!["echo", "no key"], Err("found 6 characters")),
            (vec!["true"], Err("found 0 characters")),
            (vec!["/nowhere/at/all"], Err("from /nowhere/at/all: No such file")),
            (vec![], Err("no program")),
        ] {
            let words: Vec<String> = words.into_iter().map(str::to_owned).collect();
            match (MasterKey::ask(&words), expected) {
                (Ok(_), Ok(())) => {}
                (Err(error), Err(expected)) => assert!(error.to_string().contains(expected), "{error}"),
                (found, expected) => panic!("{words:?}: {found:?}, expected {expected:?}"),
            }
        }
    }
}
