//! The second factor of people who sign in: codes of an authenticator app (TOTP, RFC 6238, with what every app takes: SHA-1,
//! six digits, 30 s), and `calmline user totp`, which makes a secret.
//!
//! Says which time a code is of; that a code counts once is for whoever asks to hold.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use totp_rs::{Builder, Secret, Totp};

use crate::cli::{Failure, TotpArgs, print_line};
use crate::hexadecimal::sha256;

/// A secret is at least so long, bytes (RFC 4226 §4, R6).
const SECRET_BYTES_MIN: usize = 16;
/// The longest file that is looked at, bytes.
const FILE_BYTES_MAX: u64 = 1_024;
/// Who the codes are for, as apps show it.
const ISSUER: &str = "Calmline";

/// What one person's codes are made from. It never prints.
#[derive(Clone, PartialEq, Eq)]
pub struct TotpSecret(Vec<u8>);

impl fmt::Debug for TotpSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl TotpSecret {
    /// Takes up one as it is written: base32 (RFC 4648 §6), in any case, with spaces or without.
    ///
    /// # Errors
    /// What was found instead, without what stands there.
    pub fn parse(text: &str) -> Result<Self, String> {
        let letters: String = text.split_whitespace().collect::<String>().to_ascii_uppercase();
        let secret = Secret::try_from_base32(letters.trim_end_matches('=')).map_err(|_| "no base32".to_owned())?;
        let length = secret.as_bytes().len();
        if length < SECRET_BYTES_MIN {
            return Err(format!("a secret of {length} bytes"));
        }
        Ok(Self(secret.as_bytes().to_vec()))
    }

    /// A hash of it, by which another one is told from it.
    pub fn fingerprint(&self) -> [u8; 32] {
        sha256(&self.0)
    }

    /// Reads one from a file.
    ///
    /// # Errors
    /// As [`TotpSecret::parse`], and what the system says.
    pub fn read(path: &Path) -> Result<Self, String> {
        let mut text = String::new();
        let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
        file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(|error| format!("{}: {error}", path.display()))?;
        Self::parse(&text).map_err(|found| format!("{}: {found}", path.display()))
    }

    /// The number of the 30 s that a code is of, when it is of these at `unix_s` (seconds since 1970) or of those beside.
    pub fn step(&self, code: &str, unix_s: u64) -> Option<u64> {
        let is_code = code.len() == 6 && code.bytes().all(|digit| digit.is_ascii_digit());
        is_code.then(|| self.codes("").check(code, unix_s)).flatten()
    }

    fn codes(&self, user: &str) -> Totp {
        let codes = Builder::new().with_secret(self.0.clone()).with_account_name(user).with_issuer(Some(ISSUER));
        codes.build_noncompliant()
    }
}

/// Runs `calmline user totp`: makes a secret in a file of its own, and shows what an app takes up.
///
/// # Errors
/// When the name is none, or the file cannot be written or is there already.
pub(crate) fn make(TotpArgs { user, file }: &TotpArgs) -> Result<(), Failure> {
    if user.contains(':') {
        return Err(Failure::Failed(format!("found the name {user:?}, expected one without \":\"")));
    }
    let (text, url) = fresh(user).map_err(Failure::Failed)?;
    let in_file = |error| Failure::of(file.display(), error);
    let mut open = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file).map_err(in_file)?;
    writeln!(open, "{text}").and_then(|()| open.sync_all()).map_err(in_file)?;
    let picture = QrCode::new(&url).map_err(|error| Failure::of("the picture", error))?;
    print_line(picture.render::<Dense1x2>().quiet_zone(true).build())?;
    print_line(&url)?;
    print_line(format!("totp_file = \"{}\"", file.display()))
}

/// A secret in base32, and the URL by which apps take it up.
///
/// # Errors
/// When the secret is none.
pub(crate) fn fresh(user: &str) -> Result<(String, String), String> {
    let secret = Secret::generate();
    let text = secret.to_base32();
    let url = TotpSecret::parse(&text)?.codes(user).to_url().map_err(|error| error.to_string())?;
    Ok((text, url))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The secret of RFC 6238, Appendix B: "12345678901234567890".
    const SECRET: &str = "GEZD GNBV GY3T QOJQ gezd gnbv gy3t qojq";

    #[test]
    fn codes_are_those_of_the_standard() {
        let secret = TotpSecret::parse(SECRET).expect("a secret");
        // The last six of the eight digits of RFC 6238, Appendix B.
        for (unix_s, code) in
            [(59, "287082"), (1_111_111_109, "081804"), (1_234_567_890, "005924"), (20_000_000_000, "353130")]
        {
            assert_eq!(secret.step(code, unix_s), Some(unix_s / 30), "{code}");
            assert_eq!(secret.step(code, unix_s + 30), Some(unix_s / 30), "a slow hand");
            assert_eq!(secret.step(code, unix_s + 90), None, "{code} is old");
            let long_before = (unix_s / 30).checked_sub(2).map(|step| secret.step(code, step * 30));
            assert_eq!(long_before.flatten(), None, "{code} is to come");
        }
        for code in ["", "28708", "2870820", "28708x", "２８７０８２", " 287082"] {
            assert_eq!(secret.step(code, 59), None, "{code:?}");
        }
    }

    #[test]
    fn what_is_no_secret_is_refused_and_none_is_printed() {
        assert_eq!(TotpSecret::parse("GEZDGNBV"), Err("a secret of 5 bytes".to_owned()));
        assert_eq!(TotpSecret::parse("0189"), Err("no base32".to_owned()));
        assert_eq!(TotpSecret::parse(""), Err("a secret of 0 bytes".to_owned()));
        assert_eq!(format!("{:?}", TotpSecret::parse(SECRET)), "Ok(…)");
    }

    #[test]
    fn a_fresh_secret_is_what_the_url_says_and_no_other_is_written_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let args = TotpArgs { user: "li".to_owned(), file: folder.path().join("li.totp") };
        make(&args).expect("it is written");
        let kept = TotpSecret::read(&args.file).expect("a secret");
        assert!(make(&args).is_err(), "it is there");
        let (text, url) = fresh("li").expect("random numbers");
        assert!(url.starts_with("otpauth://totp/Calmline:li?") && url.contains(&text), "{url}");
        assert_ne!(TotpSecret::parse(&text).expect("a secret"), kept);
    }
}
