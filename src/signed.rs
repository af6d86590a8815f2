//! Signatures of models: who has vouched for the file that names all others of a model, by Ed25519 (RFC 8032).
//!
//! A card or a manifest holds the SHA-256 of everything else, so its signature is enough. It lies beside it, with `.sig`
//! behind the name: a line that says what it is, the public key, and the signature, both in base64.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{ED25519, ED25519_PUBLIC_KEY_LEN, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use zeroize::Zeroizing;

/// What a signature's file begins with.
const HEAD: &str = "calmline-signature 1";
/// What is signed begins with this, so that a signature is good for nothing else.
const PURPOSE: &[u8] = b"calmline model 1\0";
/// The largest file of a signature or of a key.
const BYTES_MAX: u64 = 4_096;
/// Keys that may be trusted at a time.
const KEYS_MAX: usize = 16;

/// A key that signatures are checked by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; ED25519_PUBLIC_KEY_LEN]);

impl FromStr for PublicKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bytes = STANDARD.decode(text.trim()).map_err(|error| error.to_string())?;
        let length = bytes.len();
        bytes.try_into().map(Self).map_err(|_| format!("{length} bytes; {ED25519_PUBLIC_KEY_LEN} are needed"))
    }
}

impl std::fmt::Display for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

/// Who is believed about models.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trust(Vec<PublicKey>);

impl Trust {
    /// Whatever lies there is believed.
    pub fn anybody() -> Self {
        Self::default()
    }

    /// Only what one of these has signed; 16 at most.
    ///
    /// # Errors
    /// When there is none, or too many.
    pub fn only(keys: Vec<PublicKey>) -> Result<Self, String> {
        match keys.len() {
            1..=KEYS_MAX => Ok(Self(keys)),
            count => Err(format!("{count} keys; 1-{KEYS_MAX} are taken")),
        }
    }

    /// Whether `content`, which was read from `path`, is signed by somebody who is believed.
    ///
    /// # Errors
    /// What was expected and what was found, with the signature's path.
    pub fn check(&self, path: &Path, content: &[u8]) -> Result<(), String> {
        if self.0.is_empty() {
            return Ok(());
        }
        let beside = beside(path);
        let wrong =
            |found: String| format!("{}: expected a signature by a trusted key, found {found}", beside.display());
        let text = read(&beside).map_err(&wrong)?;
        self.check_text(&text, content).map_err(wrong)
    }

    /// As [`Trust::check`], of a signature that was fetched.
    ///
    /// # Errors
    /// What was found instead.
    pub fn check_text(&self, signature: &str, content: &[u8]) -> Result<(), String> {
        let (key, signature) = parse(signature)?;
        if !self.0.contains(&key) {
            return Err(format!("one by {key}, whom nobody here trusts"));
        }
        let signed = [PURPOSE, content].concat();
        let checked = UnparsedPublicKey::new(&ED25519, key.0).verify(&signed, &signature);
        checked.map_err(|_| "one of another content: the file was changed after it was signed".to_owned())
    }
}

/// Makes a key: the secret half goes into a new file that nobody else may read.
///
/// # Errors
/// When the file is there already, or cannot be written.
pub fn make_key(file: &Path) -> Result<PublicKey, String> {
    let secret = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new());
    let secret = Zeroizing::new(secret.map_err(|_| "the system gives no random numbers".to_owned())?.as_ref().to_vec());
    let named = |error: std::io::Error| format!("{}: {error}", file.display());
    let mut out = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file).map_err(named)?;
    let line = Zeroizing::new(STANDARD.encode(&*secret) + "\n");
    out.write_all(line.as_bytes()).and_then(|()| out.sync_all()).map_err(named)?;
    Ok(public(&pair(&secret)?))
}

/// Signs files with the key of a file, each beside itself.
///
/// # Returns
/// The public half.
///
/// # Errors
/// When the key is none, or a file cannot be read or written.
pub fn sign(files: &[PathBuf], key: &Path) -> Result<PublicKey, String> {
    let text = Zeroizing::new(read(key).map_err(|found| format!("{}: expected a key, found {found}", key.display()))?);
    let secret = STANDARD.decode(text.trim()).map(Zeroizing::new);
    let secret = secret.map_err(|error| format!("{}: expected a key in base64, found {error}", key.display()))?;
    let pair = pair(&secret).map_err(|found| format!("{}: {found}", key.display()))?;
    for file in files {
        let named = |error: std::io::Error| format!("{}: {error}", file.display());
        let content = fs::read(file).map_err(named)?;
        fs::write(beside(file), signature(&pair, &content)).map_err(named)?;
    }
    Ok(public(&pair))
}

/// Where the signature of a file lies.
pub fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".sig");
    path.with_file_name(name)
}

fn pair(secret: &[u8]) -> Result<Ed25519KeyPair, String> {
    Ed25519KeyPair::from_pkcs8(secret).map_err(|error| format!("expected a key of Ed25519, found {error}"))
}

fn public(pair: &Ed25519KeyPair) -> PublicKey {
    let mut key = [0; ED25519_PUBLIC_KEY_LEN];
    key.copy_from_slice(pair.public_key().as_ref());
    PublicKey(key)
}

fn signature(pair: &Ed25519KeyPair, content: &[u8]) -> String {
    let signed = pair.sign(&[PURPOSE, content].concat());
    format!("{HEAD}\n{}\n{}\n", public(pair), STANDARD.encode(signed.as_ref()))
}

/// The key and the signature of a signature's file.
fn parse(text: &str) -> Result<(PublicKey, Vec<u8>), String> {
    let mut lines = text.lines();
    if lines.next() != Some(HEAD) {
        return Err(format!("a file that does not begin with \"{HEAD}\""));
    }
    let key = lines.next().unwrap_or_default().parse().map_err(|found| format!("a key of {found}"))?;
    let signature = STANDARD.decode(lines.next().unwrap_or_default().trim());
    let signature = signature.map_err(|error| format!("a signature that is no base64: {error}"))?;
    Ok((key, signature))
}

/// A small text file.
fn read(path: &Path) -> Result<String, String> {
    let bytes = fs::metadata(path).map_err(|error| error.to_string())?.len();
    if bytes > BYTES_MAX {
        return Err(format!("{bytes} bytes"));
    }
    fs::read_to_string(path).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_was_signed_is_believed_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let [card, ours, theirs] = ["acoustic.json", "ours", "theirs"].map(|name| folder.path().join(name));
        fs::write(&card, "a card").expect("written");
        let key = make_key(&ours).expect("a key");
        assert_eq!(fs::metadata(&ours).expect("a file").permissions().mode() & 0o777, 0o600);
        assert!(make_key(&ours).expect_err("it is there").contains("exists"));
        let other = make_key(&theirs).expect("a key");
        let trust = Trust::only(vec![key]).expect("one key");
        let check = |content: &[u8], expected: &str| match trust.check(&card, content) {
            Ok(()) => assert_eq!(expected, ""),
            Err(found) => assert!(!expected.is_empty() && found.contains(expected), "{found}"),
        };
        check(b"a card", "acoustic.json.sig: expected a signature by a trusted key, found No such file");
        assert_eq!(sign(std::slice::from_ref(&card), &theirs), Ok(other));
        check(b"a card", "whom nobody here trusts");
        assert_eq!(sign(std::slice::from_ref(&card), &ours), Ok(key));
        check(b"a card", "");
        check(b"A card", "changed after it was signed");
        fs::write(beside(&card), "calmline-signature 1\nQUJD\n").expect("written");
        check(b"a card", "3 bytes; 32 are needed");
        assert_eq!(Trust::anybody().check(&card, b"a card"), Ok(()));
        assert!(sign(std::slice::from_ref(&card), &card).expect_err("no key").contains("expected a key in base64"));
        assert_eq!(key.to_string().parse(), Ok(key));
        assert!(Trust::only(Vec::new()).is_err() && Trust::only(vec![key; KEYS_MAX + 1]).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_refused_in_words(text in "(calmline-signature 1\n)?(.{0,60}\n?){0,4}", content in ".{0,20}") {
            let trust = Trust(vec![PublicKey([7; ED25519_PUBLIC_KEY_LEN])]);
            prop_assert!(trust.check_text(&text, content.as_bytes()).is_err());
        }
    }
}
