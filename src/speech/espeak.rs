//! Speaks by `espeak-ng`, run as a child process: no shell, the text on its standard input, the sound on its output.
//!
//! A voice that is clear rather than pleasant; how to write for it is in docs/POLICIES.md.

use std::io::{self, ErrorKind, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use media::Sound;
use media::wav::{self, Channel};
use routing::Language;

use super::{CHARS_MAX, LENGTH_MAX, Saying, Speech, SpeechError};

/// How long one text may take to be spoken.
const TIME_MAX: Duration = Duration::from_secs(5);
/// What the program writes per second of sound: 22 050 samples of two bytes.
const BYTES_PER_SECOND: u64 = 44_100;
/// The bytes in front of the sound that are not sound, at most.
const HEADER_BYTES_MAX: u64 = 1_024;

/// The local engine.
#[derive(Debug, Clone)]
pub struct EspeakNg {
    program: PathBuf,
}

impl EspeakNg {
    /// Speaks by `program`: a path, or a name that is looked for where programs are.
    pub fn new(program: PathBuf) -> Self {
        Self { program }
    }

    fn failed(&self, reason: &str) -> SpeechError {
        SpeechError::Failed { program: self.program.display().to_string(), reason: reason.to_owned() }
    }

    fn start(&self, language: Language) -> Result<Child, SpeechError> {
        let voice = match language {
            // The voice "cmn" of 1.51 reads characters as the English names of pinyin letters; this one reads both.
            Language::Mandarin => "cmn-latn-pinyin",
            Language::English => "en",
        };
        Command::new(&self.program)
            .args(["--stdin", "--stdout", "-b", "1", "-v", voice])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| match error.kind() {
                ErrorKind::NotFound => SpeechError::Missing(self.program.display().to_string()),
                _ => self.failed(&error.to_string()),
            })
    }
}

impl Speech for EspeakNg {
    fn speak(&mut self, saying: &Saying) -> Result<Sound, SpeechError> {
        let chars = saying.text.chars().count();
        if !(1..=CHARS_MAX).contains(&chars) {
            return Err(SpeechError::Text(chars));
        }
        let mut child = self.start(saying.language)?;
        let outcome = talk(&mut child, saying.text.clone());
        // Whatever happened, nothing of it stays: an ended child is only collected by this.
        let _ = child.kill();
        let status = child.wait().map_err(|error| self.failed(&error.to_string()))?;

        let bytes = match outcome {
            Ok(bytes) => bytes.map_err(|error| self.failed(&error.to_string()))?,
            Err(_) => return Err(SpeechError::Slow(TIME_MAX)),
        };
        if bytes.len() as u64 > output_bytes_max() {
            return Err(SpeechError::Long);
        }
        let recording = wav::read(io::Cursor::new(bytes), Channel::Mix).map_err(|error| {
            // A program that failed says so by how it ended; what it wrote is of no interest then.
            self.failed(&if status.success() { error.to_string() } else { status.to_string() })
        })?;
        if recording.samples.is_empty() {
            return Err(self.failed("it said nothing"));
        }
        Ok(recording.to_sound())
    }
}

/// Gives the child its text and takes what it writes, for a limited time.
fn talk(child: &mut Child, text: String) -> Result<io::Result<Vec<u8>>, mpsc::RecvTimeoutError> {
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let (done, finished) = mpsc::sync_channel(1);
    // Ends with the child: a killed one closes both pipes.
    thread::spawn(move || {
        // A child that is gone before it has read all says why by how it ended.
        let _ = stdin.map(|mut stdin| stdin.write_all(text.as_bytes()));
        let mut bytes = Vec::new();
        let read = stdout.map_or(Ok(0), |stdout| stdout.take(output_bytes_max() + 1).read_to_end(&mut bytes));
        let _ = done.send(read.map(|_| bytes));
    });
    finished.recv_timeout(TIME_MAX)
}

fn output_bytes_max() -> u64 {
    HEADER_BYTES_MAX + LENGTH_MAX.as_secs() * BYTES_PER_SECOND
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::time::Instant;

    use super::*;

    #[test]
    #[expect(clippy::print_stderr, reason = "a skipped test has to be seen")]
    fn speaks_both_languages() {
        let mut engine = EspeakNg::new("espeak-ng".into());
        for (text, language) in [
            ("很抱歉让您久等了，马上为您转接人工服务。", Language::Mandarin),
            ("Sorry for the wait; -v \"$(id)\" `ls` <mark/>", Language::English),
        ] {
            let sound = match engine.speak(&Saying { text: text.to_owned(), language }) {
                Err(SpeechError::Missing(_)) => return eprintln!("skipped: the program `espeak-ng` is missing"),
                spoken => spoken.expect("it speaks"),
            };
            let seconds = sound.samples.len() as f32 / 8_000.0;
            assert!((1.5..12.0).contains(&seconds), "{text}: {seconds} s");
            let power = sound.samples.iter().map(|&sample| f64::from(sample).powi(2)).sum::<f64>();
            let level_dbov = 10.0 * (power / sound.samples.len() as f64 / 32_768.0_f64.powi(2)).log10();
            assert!((-40.0..-8.0).contains(&level_dbov), "{text}: {level_dbov} dBov");
        }
        // Characters are read as what they are, not as the letters of their pinyin.
        let [characters, pinyin] = ["您好", "nin2 hao3"].map(|text| {
            engine.speak(&Saying { text: text.to_owned(), language: Language::Mandarin }).expect("it spoke before")
        });
        assert_eq!(characters.samples.len(), pinyin.samples.len());
        assert!(characters.samples.len() < 10_000, "{} samples", characters.samples.len());
    }

    #[test]
    fn a_missing_program_is_named() {
        let mut engine = EspeakNg::new("/nowhere/espeak-ng".into());
        let error = engine.speak(&hello()).expect_err("nobody speaks");
        assert_eq!(error.to_string(), "/nowhere/espeak-ng is not installed");
    }

    #[test]
    fn texts_have_limits() {
        let mut engine = EspeakNg::new("espeak-ng".into());
        for chars in [0, CHARS_MAX + 1] {
            let error = engine.speak(&Saying { text: "a".repeat(chars), ..hello() }).expect_err("refused");
            assert!(matches!(error, SpeechError::Text(refused) if refused == chars), "{error}");
        }
    }

    #[test]
    fn programs_that_misbehave_are_given_up() {
        check("exit 3", "exit status: 3");
        check("echo nonsense", "RIFF");
        check("cat /dev/zero", "longer than 60 s");
        let started = Instant::now();
        check("exec sleep 60", "not spoken within 5 s");
        assert!(started.elapsed() < Duration::from_secs(20));
    }

    /// A program of one line in place of the engine.
    #[track_caller]
    fn check(line: &str, complaint: &str) {
        let folder = std::env::temp_dir().join(format!("calmline-espeak-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let program = folder.join(line.replace([' ', '/'], "-"));
        fs::write(&program, format!("#!/bin/sh\n{line}\n")).expect("a file");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("ours");
        let error = EspeakNg::new(program).speak(&hello()).expect_err("it must fail").to_string();
        assert!(error.contains(complaint), "{error}");
        let _ = fs::remove_dir_all(&folder);
    }

    fn hello() -> Saying {
        Saying { text: "Hello".to_owned(), language: Language::English }
    }
}
