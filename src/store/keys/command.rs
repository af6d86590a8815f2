//! The master key from a program that asks whoever keeps it: a key management service, a vault, a security module.

use std::io::{self, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::{KeyError, MasterKey};

/// How long the program may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// What is read of what it prints, and of what it says when it fails, bytes.
const PRINTED_BYTES_MAX: usize = 4_096;
const SAID_BYTES_MAX: usize = 300;

impl MasterKey {
    /// Runs a program, the first of `words`, with the others as its arguments, and reads the first line that it prints.
    ///
    /// # Errors
    /// When there is no such program, it fails or takes longer than half a minute, or prints no key; never what it printed.
    pub fn ask(words: &[String]) -> Result<Self, KeyError> {
        Self::ask_within(words, ANSWER_WITHIN)
    }

    fn ask_within(words: &[String], within: Duration) -> Result<Self, KeyError> {
        let Some((program, arguments)) = words.split_first() else {
            return Err(KeyError::Master("no program that prints it".to_owned()));
        };
        let failed = |why: String| KeyError::Master(format!("from {program}: {why}"));
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| failed(error.to_string()))?;
        let answer = answer_of(&mut child, within);
        if answer.is_err() {
            // It may have ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
        let printed = answer.map_err(failed)?;
        let line = printed.split(|&octet| octet == b'\n').next().unwrap_or_default();
        Self::parse(std::str::from_utf8(line).map_err(|error| failed(error.to_string()))?)
    }
}

/// What a program prints up to the end of the first line, once it has ended well; else why there is none.
fn answer_of(child: &mut Child, within: Duration) -> Result<Zeroizing<Vec<u8>>, String> {
    let until = Instant::now() + within;
    let late = || format!("nothing within {} s", within.as_secs_f32());
    let printed = listen(child.stdout.take().expect("it is a pipe"), PRINTED_BYTES_MAX, true);
    let printed = printed.map_err(|error| error.to_string())?;
    let said = listen(child.stderr.take().expect("it is a pipe"), SAID_BYTES_MAX, false);
    let said = said.map_err(|error| error.to_string())?;
    let status = loop {
        match child.try_wait().map_err(|error| error.to_string())? {
            Some(status) => break status,
            None if Instant::now() < until => thread::sleep(LOOK_EVERY),
            None => return Err(late()),
        }
    };
    // Whoever it has started may hold the pipes open for longer than it runs.
    let left = until.saturating_duration_since(Instant::now());
    if !status.success() {
        // Whatever it says is told as far as it can be read.
        let said = match said.recv_timeout(left) {
            Ok(Ok(said)) => String::from_utf8_lossy(&said).trim().to_owned(),
            _ => String::new(),
        };
        return Err(format!("{status}: {said}"));
    }
    match printed.recv_timeout(left) {
        Ok(printed) => printed.map_err(|error| error.to_string()),
        Err(_) => Err(late()),
    }
}

/// Reads what comes out of a pipe, at most so many bytes of it or up to the end of the first line, on a thread of its own: a
/// program must neither stand still at a full pipe, nor keep us waiting. What comes then is thrown away.
fn listen(
    mut pipe: impl Read + Send + 'static,
    bytes_max: usize,
    first_line: bool,
) -> io::Result<Receiver<io::Result<Zeroizing<Vec<u8>>>>> {
    let (tell, told) = sync_channel(1);
    thread::Builder::new().name("key".into()).spawn(move || {
        // Nobody may have waited for it.
        let _ = tell.send(read_some(&mut pipe, bytes_max, first_line));
        let _ = io::copy(&mut pipe, &mut io::sink());
    })?;
    Ok(told)
}

fn read_some(pipe: &mut impl Read, bytes_max: usize, first_line: bool) -> io::Result<Zeroizing<Vec<u8>>> {
    // It never grows: no copy of a key is left behind.
    let mut bytes = Zeroizing::new(vec![0_u8; bytes_max]);
    let mut length = 0;
    while length < bytes_max {
        match pipe.read(&mut bytes[length..]) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if first_line && bytes[..length].contains(&b'\n') {
            break;
        }
    }
    bytes.truncate(length);
    Ok(bytes)
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

    #[test]
    fn neither_a_full_pipe_nor_one_that_stays_open_keeps_us_waiting() {
        let key = "0123456789abcdef".repeat(4);
        let ask = |script: String, within_ms: u64| {
            let words = ["sh".to_owned(), "-c".to_owned(), script];
            MasterKey::ask_within(&words, Duration::from_millis(within_ms))
                .map(|_| ())
                .map_err(|error| error.to_string())
        };
        assert_eq!(ask(format!("echo {key}; head -c 300000 /dev/zero"), 20_000), Ok(()), "more than a pipe holds");
        assert_eq!(ask(format!("head -c 300000 /dev/zero >&2; echo {key}"), 20_000), Ok(()), "nor what it says");
        let begun = Instant::now();
        assert_eq!(ask(format!("sleep 30 & echo {key}"), 20_000), Ok(()), "somebody it has started");
        assert!(begun.elapsed() < Duration::from_secs(15));
        let late = ask("printf 0123; sleep 5 &".to_owned(), 300).expect_err("no line ends");
        assert!(late.contains("nothing within 0.3 s"), "{late}");
    }
}
