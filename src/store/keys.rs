//! The keys of a store: a master key from outside wraps all others, which lie in one file beside what they protect.
//!
//! Every opening and every rotation makes a data key of its own, so that a counter is enough for nonces that never repeat (NIST
//! SP 800-38D §8.2.1). Index and chain keys stay for the life of the store. Another master key touches this file only, which is
//! replaced as a whole: whenever that is cut off, the old one or the new one opens it.

mod command;

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;
use std::{fs, io};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{self, AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use ring::{hkdf, hmac};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::guard::{Guard, Taken};
use crate::durable::write_whole;
use crate::hexadecimal::hexadecimal;

/// Octets of the master, data, index and chain keys.
pub(super) const KEY_BYTES: usize = 32;
/// Version of the key file and of sealed values.
const VERSION: u8 = 1;
/// What precedes a sealed value's ciphertext: version, key id, nonce.
const HEAD_BYTES: usize = 1 + 4 + NONCE_LEN;
/// By how much a sealed value is longer than what is in it.
pub(super) const SEALED_BYTES_MORE: usize = HEAD_BYTES + aead::MAX_TAG_LEN;
/// Data keys of one store; as many openings are thousands of years of daily ones.
const KEYS_MAX: usize = 1_000_000;

/// How long another process is waited for: to wrap a million keys takes less.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why keys cannot be had, or a value cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The master key is none.
    #[error("expected a master key of 32 bytes in hexadecimal or base64, found {0}")]
    Master(String),
    /// The key file is not one, or of a newer version.
    #[error("{path}: expected a key file of version {VERSION}, found {found}")]
    Format {
        /// Which.
        path: PathBuf,
        /// What it is instead.
        found: String,
    },
    /// The master key does not open the key file.
    #[error("{path}: the master key does not open key {id}: it is another one, or the file was altered")]
    Unwrap {
        /// Which file.
        path: PathBuf,
        /// Which key in it.
        id: u32,
    },
    /// Another process changes the key file, or its lock cannot be had.
    #[error("the keys are being changed: {0}")]
    Taken(#[from] Taken),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Random,
    /// A sealed value is too short, of another version, under an unknown key, or altered.
    #[error("a sealed value cannot be opened: {0}")]
    Value(&'static str),
}

/// The key that wraps all others. Never printed.
pub struct MasterKey(Zeroizing<[u8; KEY_BYTES]>);

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

impl MasterKey {
    /// Reads a key written as 64 hexadecimal digits or as base64.
    ///
    /// # Errors
    /// How long it is instead; never what it is.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        let bytes = Zeroizing::new(octets_of(text).or_else(|| STANDARD.decode(text).ok()).unwrap_or_default());
        let found = || KeyError::Master(format!("{} characters that are {} bytes", text.len(), bytes.len()));
        Ok(Self(Zeroizing::new(<[u8; KEY_BYTES]>::try_from(bytes.as_slice()).map_err(|_| found())?)))
    }

    /// Reads the first line of a file.
    ///
    /// # Errors
    /// When there is no file, or no key in it.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let text = Zeroizing::new(fs::read_to_string(path).map_err(in_file(path))?);
        Self::parse(text.lines().next().unwrap_or_default())
    }

    /// A new key, written to a file that only its owner can read.
    ///
    /// # Errors
    /// When the file exists or cannot be written, or the system gives no random numbers.
    pub fn make(path: &Path) -> Result<Self, KeyError> {
        let key = Self(Zeroizing::new(random()?));
        let digits = Zeroizing::new(hexadecimal(&*key.0) + "\n");
        let mut file =
            fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(in_file(path))?;
        file.write_all(digits.as_bytes()).and_then(|()| file.sync_all()).map_err(in_file(path))?;
        Ok(key)
    }

    fn wrapping(&self) -> LessSafeKey {
        self.sealing(b"wrapping, version 1")
    }

    /// The key of this one that is for `purpose` alone.
    pub(super) fn sealing(&self, purpose: &[u8]) -> LessSafeKey {
        let secret = hkdf::Salt::new(hkdf::HKDF_SHA256, b"calmline store").extract(self.0.as_slice());
        let purpose = [purpose];
        let key = secret.expand(&purpose, &AES_256_GCM).expect("32 bytes are within the limit");
        LessSafeKey::new(UnboundKey::from(key))
    }
}

/// The key file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    calmline_keys: u8,
    keys: Vec<Wrapped>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wrapped {
    id: u32,
    purpose: Purpose,
    wrapped: String,
}

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Purpose {
    /// Seals values.
    Data,
    /// Hides names in indexes.
    Index,
    /// Chains audit entries.
    Chain,
    /// Signs the chain's checkpoints (PKCS#8).
    Sign,
}

/// All keys of a store, opened.
pub struct KeyRing {
    data: RwLock<BTreeMap<u32, LessSafeKey>>,
    sealing: RwLock<Arc<Sealing>>,
    /// Whoever changes the file has it.
    place: Mutex<Place>,
    index: hmac::Key,
    chain: hmac::Key,
    signer: Ed25519KeyPair,
}

/// Which data key seals, and how many nonces were made with it.
#[derive(Debug)]
struct Sealing {
    /// 0 when the ring is only for reading.
    id: u32,
    nonces: AtomicU64,
}

impl Sealing {
    fn with(id: u32) -> Self {
        Self { id, nonces: AtomicU64::new(0) }
    }

    /// The key's number, which no other opening or rotation has, and a count.
    fn nonce(&self) -> [u8; NONCE_LEN] {
        let mut nonce = [0; NONCE_LEN];
        nonce[..4].copy_from_slice(&self.id.to_be_bytes());
        nonce[4..].copy_from_slice(&self.nonces.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        nonce
    }
}

/// Where the keys lie, and what wraps them there.
struct Place {
    path: PathBuf,
    wrapping: LessSafeKey,
}

/// What a rotation has led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = RotatedKeys)]
pub struct Rotated {
    /// Keys there are now, all of them wrapped anew.
    pub keys: usize,
    /// The number of the data key that seals from now on.
    pub data_key: u32,
    /// Whether another master key wraps them than before.
    pub master_changed: bool,
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeyRing({:?})", self.sealing())
    }
}

impl KeyRing {
    /// Opens the key file for writing: makes it where there is none, and adds a fresh data key.
    ///
    /// # Errors
    /// When the file cannot be read or written, is of a newer version, or was wrapped by another master key.
    pub fn open(path: &Path, master: &MasterKey) -> Result<Self, KeyError> {
        let wrapping = master.wrapping();
        let _guard = Guard::take(path, PATIENCE)?;
        let mut file = if path.exists() { read_file(path)? } else { first_keys(&wrapping)? };
        let id = add_data_key(path, &mut file, &wrapping)?;
        // First: a wrong master key must leave the file as it is.
        let ring = Self::unwrapped(path, &file, wrapping, id)?;
        write_file(path, &file)?;
        Ok(ring)
    }

    /// Opens the key file for reading only.
    ///
    /// # Errors
    /// As [`KeyRing::open`].
    pub fn read(path: &Path, master: &MasterKey) -> Result<Self, KeyError> {
        Self::unwrapped(path, &read_file(path)?, master.wrapping(), 0)
    }

    /// Wraps every key of the file by another master key, all at once: a crash leaves the old file or the new one. Keys that are
    /// wrapped by it already are no fault.
    ///
    /// # Returns
    /// How many keys there are.
    ///
    /// # Errors
    /// As [`KeyRing::open`]; then the file is as before, as in [`KeyRing::rotate`].
    pub fn rewrap(path: &Path, old: &MasterKey, new: &MasterKey) -> Result<usize, KeyError> {
        let (old, new) = (old.wrapping(), new.wrapping());
        let _guard = Guard::take(path, PATIENCE)?;
        let before = read_file(path)?;
        let (file, _) = wrap_all(path, &before, &old, &new)?;
        replace_file(path, &before, &file)?;
        Ok(file.keys.len())
    }

    /// Wraps every key by `master`, which may be the one of before, and seals with a fresh data key from then on. What was sealed
    /// before opens as ever.
    ///
    /// # Errors
    /// As [`KeyRing::open`]; then everything is as before. Where the disk does not take the file of before back either, the new one
    /// may remain: then `master` alone opens it.
    pub fn rotate(&self, master: &MasterKey) -> Result<Rotated, KeyError> {
        let mut place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        let (path, new) = (place.path.clone(), master.wrapping());
        let _guard = Guard::take(&path, PATIENCE)?;
        let before = read_file(&path)?;
        let (mut file, master_changed) = wrap_all(&path, &before, &place.wrapping, &new)?;
        let id = add_data_key(&path, &mut file, &new)?;
        let fresh = Self::unwrapped(&path, &file, new, id)?;
        replace_file(&path, &before, &file)?;

        let Self { data, place: fresh, .. } = fresh;
        *place = fresh.into_inner().unwrap_or_else(PoisonError::into_inner);
        // Before anything is sealed by it.
        *self.data.write().unwrap_or_else(PoisonError::into_inner) =
            data.into_inner().unwrap_or_else(PoisonError::into_inner);
        *self.sealing.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(Sealing::with(id));
        Ok(Rotated { keys: file.keys.len(), data_key: id, master_changed })
    }

    fn unwrapped(path: &Path, file: &KeyFile, wrapping: LessSafeKey, current: u32) -> Result<Self, KeyError> {
        let mut data = BTreeMap::new();
        let (mut index, mut chain, mut signer) = (None, None, None);
        for key in &file.keys {
            let bytes = unwrap(path, &wrapping, key)?;
            let wrong = || KeyError::Unwrap { path: path.into(), id: key.id };
            match key.purpose {
                Purpose::Data => {
                    let key_of = UnboundKey::new(&AES_256_GCM, &bytes).map_err(|_| wrong())?;
                    data.insert(key.id, LessSafeKey::new(key_of));
                }
                Purpose::Index => index = Some(hmac::Key::new(hmac::HMAC_SHA256, &bytes)),
                Purpose::Chain => chain = Some(hmac::Key::new(hmac::HMAC_SHA256, &bytes)),
                Purpose::Sign => signer = Some(Ed25519KeyPair::from_pkcs8(&bytes).map_err(|_| wrong())?),
            }
        }
        let (Some(index), Some(chain), Some(signer)) = (index, chain, signer) else {
            return Err(KeyError::Format { path: path.into(), found: "no index, chain or signing key".to_owned() });
        };
        let (data, sealing) = (RwLock::new(data), RwLock::new(Arc::new(Sealing::with(current))));
        Ok(Self { data, sealing, place: Mutex::new(Place { path: path.to_owned(), wrapping }), index, chain, signer })
    }

    /// Seals a value: version, key id, nonce, ciphertext and tag. `context` says whose value it is and is needed to open it.
    ///
    /// # Panics
    /// When the ring was opened for reading only.
    pub fn seal(&self, context: &[u8], plain: &[u8]) -> Vec<u8> {
        let sealing = self.sealing();
        let nonce = sealing.nonce();
        let data = self.data.read().unwrap_or_else(PoisonError::into_inner);
        let key = data.get(&sealing.id).expect("the ring was opened for writing");
        let mut sealed = Vec::with_capacity(HEAD_BYTES + plain.len() + AES_256_GCM.tag_len());
        sealed.push(VERSION);
        sealed.extend(sealing.id.to_be_bytes());
        sealed.extend(nonce);
        let mut body = plain.to_vec();
        let aad = bound_to(&sealed, context);
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), &mut body)
            .expect("values are far shorter than 64 GiB");
        sealed.append(&mut body);
        sealed
    }

    /// Opens what `seal` made for the same `context`.
    ///
    /// # Errors
    /// When it is something else, or was altered, or belongs elsewhere.
    pub fn open_value(&self, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, KeyError> {
        let (head, body) = sealed.split_at_checked(HEAD_BYTES).ok_or(KeyError::Value("too short"))?;
        if head[0] != VERSION {
            return Err(KeyError::Value("another version"));
        }
        let id = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
        let data = self.data.read().unwrap_or_else(PoisonError::into_inner);
        let key = data.get(&id).ok_or(KeyError::Value("its key is unknown"))?;
        let nonce = Nonce::try_assume_unique_for_key(&head[5..]).map_err(|_| KeyError::Value("its nonce"))?;
        let mut body = body.to_vec();
        let plain = key
            .open_in_place(nonce, Aad::from(bound_to(head, context)), &mut body)
            .map_err(|_| KeyError::Value("altered, or another record's"))?;
        let length = plain.len();
        body.truncate(length);
        Ok(body)
    }

    /// A nonce that is used once.
    pub(super) fn nonce(&self) -> [u8; NONCE_LEN] {
        self.sealing().nonce()
    }

    fn sealing(&self) -> Arc<Sealing> {
        Arc::clone(&self.sealing.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The name under which something stands in an index: the same for the same name, and nothing can be read in it.
    pub fn blind(&self, name: &[u8]) -> [u8; 16] {
        let tag = hmac::sign(&self.index, name);
        let mut blinded = [0; 16];
        blinded.copy_from_slice(&tag.as_ref()[..16]);
        blinded
    }

    /// The key of the audit chain.
    pub(super) fn chain(&self) -> &hmac::Key {
        &self.chain
    }

    /// An Ed25519 signature (RFC 8032).
    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.signer.sign(message).as_ref().to_vec()
    }

    /// Whether this key has signed a message.
    pub(super) fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.public_key()).verify(message, signature).is_ok()
    }

    /// The public half of the signing key.
    pub(super) fn public_key(&self) -> &[u8] {
        self.signer.public_key().as_ref()
    }
}

fn bound_to(head: &[u8], context: &[u8]) -> Vec<u8> {
    // The nonce is authenticated by itself.
    [&head[..5], context].concat()
}

/// A fresh data key in a key file: its number.
fn add_data_key(path: &Path, file: &mut KeyFile, wrapping: &LessSafeKey) -> Result<u32, KeyError> {
    if file.keys.len() >= KEYS_MAX {
        return Err(KeyError::Format { path: path.into(), found: format!("{} keys", file.keys.len()) });
    }
    let id = file.keys.iter().map(|key| key.id).max().unwrap_or(0) + 1;
    file.keys.push(wrap(wrapping, id, Purpose::Data, &random::<KEY_BYTES>()?)?);
    Ok(id)
}

fn first_keys(wrapping: &LessSafeKey) -> Result<KeyFile, KeyError> {
    let signing = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| KeyError::Random)?;
    let keys = vec![
        wrap(wrapping, 1, Purpose::Index, &random::<KEY_BYTES>()?)?,
        wrap(wrapping, 2, Purpose::Chain, &random::<KEY_BYTES>()?)?,
        wrap(wrapping, 3, Purpose::Sign, signing.as_ref())?,
    ];
    Ok(KeyFile { calmline_keys: VERSION, keys })
}

/// Every key of a file wrapped by `new`, and whether any was not before.
fn wrap_all(path: &Path, file: &KeyFile, old: &LessSafeKey, new: &LessSafeKey) -> Result<(KeyFile, bool), KeyError> {
    let (mut wrapped, mut has_changed) = (file.clone(), false);
    for key in &mut wrapped.keys {
        // One that was written and could not be synced is wrapped by the new one already.
        let bytes = match unwrap(path, new, key) {
            Ok(bytes) => bytes,
            Err(_) => {
                has_changed = true;
                unwrap(path, old, key)?
            }
        };
        *key = wrap(new, key.id, key.purpose, &bytes)?;
    }
    Ok((wrapped, has_changed))
}

fn wrap(wrapping: &LessSafeKey, id: u32, purpose: Purpose, bytes: &[u8]) -> Result<Wrapped, KeyError> {
    let nonce: [u8; NONCE_LEN] = random()?;
    let mut wrapped = bytes.to_vec();
    let aad = Aad::from(wrap_context(id, purpose));
    wrapping
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut wrapped)
        .expect("keys are far shorter than 64 GiB");
    Ok(Wrapped { id, purpose, wrapped: STANDARD.encode([&nonce, wrapped.as_slice()].concat()) })
}

fn unwrap(path: &Path, wrapping: &LessSafeKey, key: &Wrapped) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let wrong = || KeyError::Unwrap { path: path.into(), id: key.id };
    let bytes = STANDARD.decode(&key.wrapped).map_err(|_| wrong())?;
    let (nonce, wrapped) = bytes.split_at_checked(NONCE_LEN).ok_or_else(wrong)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| wrong())?;
    let mut wrapped = Zeroizing::new(wrapped.to_vec());
    let aad = Aad::from(wrap_context(key.id, key.purpose));
    let length = wrapping.open_in_place(nonce, aad, &mut wrapped).map_err(|_| wrong())?.len();
    wrapped.truncate(length);
    Ok(wrapped)
}

fn wrap_context(id: u32, purpose: Purpose) -> Vec<u8> {
    [&id.to_be_bytes()[..], format!("{purpose:?}").as_bytes()].concat()
}

fn read_file(path: &Path) -> Result<KeyFile, KeyError> {
    let text = fs::read_to_string(path).map_err(in_file(path))?;
    let wrong = |found: String| KeyError::Format { path: path.into(), found };
    let file: KeyFile = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    if file.calmline_keys != VERSION {
        return Err(wrong(format!("version {}", file.calmline_keys)));
    }
    Ok(file)
}

/// There is always a whole file, for nobody but its owner.
fn write_file(path: &Path, file: &KeyFile) -> Result<(), KeyError> {
    let text = serde_json::to_vec_pretty(file).expect("only strings and numbers");
    write_whole(path, &text, Some(0o600)).map_err(in_file(path))
}

/// Puts a file in the place of `before`, which is put back where that fails: it may fail when the new one is in its place.
fn replace_file(path: &Path, before: &KeyFile, file: &KeyFile) -> Result<(), KeyError> {
    write_file(path, file).inspect_err(|_| {
        // Whoever called is told why it was not replaced, whatever comes of this.
        let _ = write_file(path, before);
    })
}

/// Octets by chance.
pub(super) fn random<const N: usize>() -> Result<[u8; N], KeyError> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| KeyError::Random)?;
    Ok(bytes)
}

fn octets_of(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text.chars().map(|digit| Some(digit.to_digit(16)? as u8)).collect();
    let digits = digits.filter(|digits| digits.len() == 2 * KEY_BYTES)?;
    Some(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

fn in_file(path: &Path) -> impl FnOnce(io::Error) -> KeyError {
    let path = path.to_owned();
    move |source| KeyError::File { path, source }
}

#[cfg(test)]
mod tests;
