//! The keys that values are sealed by: for each call one per class of what is kept, in a place of one file that can be
//! overwritten. What was sealed by a key that is gone opens never again, wherever a copy of it lies (cryptographic erase,
//! NIST SP 800-88 §2.6): sled writes beside what it replaces, so that removing a value alone leaves it in old files.
//!
//! Places are taken anew: each carries a generation, so that a value whose place belongs to another call is known as erased.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use super::keys::{KEY_BYTES, KeyError, KeyRing, SEALED_BYTES_MORE};

/// What the file begins with; the last octet is its version.
const HEADER: [u8; 16] = *b"calmline keys\0\0\x01";
/// Octets of one wrapped key.
const WRAPPED_BYTES: usize = KEY_BYTES + SEALED_BYTES_MORE;
/// Octets of one place: the generation, then a key for each class.
const SLOT_BYTES: usize = 4 + CLASSES * WRAPPED_BYTES;
const CLASSES: usize = Class::ALL.len();
/// Calls that may be kept at a time; their keys take 20 GB then.
const SLOTS_MAX: u32 = 100_000_000;
/// Places read at once.
const TOGETHER: usize = 4_096;
/// Version of values that a call's key seals.
const VERSION: u8 = 2;
/// What precedes such a value's ciphertext: version, class, place, generation, nonce.
const HEAD_BYTES: usize = 1 + 1 + 4 + 4 + NONCE_LEN;

/// A class of what is kept: each can be forgotten by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    /// What happened: beginning, end, decisions, alerts, actions.
    Record,
    /// What was said.
    Words,
    /// How it was said: the steps of the timeline.
    Timeline,
}

impl Class {
    pub(super) const ALL: [Class; 3] = [Class::Record, Class::Words, Class::Timeline];
}

/// Whose key seals a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Seat {
    pub(super) slot: u32,
    generation: u32,
}

/// The keys of one call; those that are gone are missing.
#[derive(Clone)]
pub(super) struct CallKeys {
    pub(super) seat: Seat,
    keys: [Option<LessSafeKey>; CLASSES],
}

impl std::fmt::Debug for CallKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CallKeys({:?})", self.seat)
    }
}

impl CallKeys {
    /// Seals a value: version, class, place, generation, nonce, ciphertext and tag. `context` says whose value it is.
    ///
    /// # Errors
    /// When the key of the class is gone.
    pub(super) fn seal(&self, ring: &KeyRing, class: Class, context: &[u8], plain: &[u8]) -> Result<Vec<u8>, KeyError> {
        let key = self.keys[class as usize].as_ref().ok_or(KeyError::Value("its key is gone"))?;
        let nonce = ring.nonce();
        let mut sealed = Vec::with_capacity(HEAD_BYTES + plain.len() + AES_256_GCM.tag_len());
        sealed.extend([VERSION, class as u8]);
        sealed.extend(self.seat.slot.to_be_bytes());
        sealed.extend(self.seat.generation.to_be_bytes());
        let aad = [&sealed, context].concat();
        sealed.extend(nonce);
        let mut body = plain.to_vec();
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), &mut body)
            .expect("values are far shorter than 64 GiB");
        sealed.append(&mut body);
        Ok(sealed)
    }

    /// Opens what `seal` made; nothing when the key of its class is gone.
    ///
    /// # Errors
    /// When it was altered, or belongs elsewhere.
    pub(super) fn open(&self, context: &[u8], sealed: &[u8]) -> Result<Option<Vec<u8>>, KeyError> {
        let (head, body) = sealed.split_at_checked(HEAD_BYTES).ok_or(KeyError::Value("too short"))?;
        let class = Class::ALL.get(usize::from(head[1])).ok_or(KeyError::Value("its class"))?;
        let Some(key) = &self.keys[*class as usize] else { return Ok(None) };
        let (bound, nonce) = head.split_at(HEAD_BYTES - NONCE_LEN);
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| KeyError::Value("its nonce"))?;
        let mut body = body.to_vec();
        let plain = key
            .open_in_place(nonce, Aad::from([bound, context].concat()), &mut body)
            .map_err(|_| KeyError::Value("altered, or another record's"))?;
        let length = plain.len();
        body.truncate(length);
        Ok(Some(body))
    }
}

/// Whose key seals a value, and its class; nothing for values of the store's own key (version 1).
pub(super) fn seat_of(sealed: &[u8]) -> Option<(Seat, Class)> {
    let head = sealed.get(..HEAD_BYTES).filter(|head| head[0] == VERSION)?;
    let number = |from: usize| head[from..from + 4].try_into().map(u32::from_be_bytes).ok();
    let class = Class::ALL.get(usize::from(head[1]))?;
    Some((Seat { slot: number(2)?, generation: number(6)? }, *class))
}

/// The file of keys.
#[derive(Debug)]
pub(super) struct Slots {
    file: File,
    count: u32,
    free: Vec<u32>,
    unsynced: bool,
}

impl Slots {
    /// Opens the file, which is made where there is none.
    ///
    /// # Errors
    /// When it cannot be read or written, or is no such file.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        let length = file.metadata()?.len();
        if length < HEADER.len() as u64 {
            // Nothing was sealed by it yet.
            file.set_len(0)?;
            file.write_all_at(&HEADER, 0)?;
            file.sync_all()?;
            return Ok(Self { file, count: 0, free: Vec::new(), unsynced: false });
        }
        let mut header = [0; HEADER.len()];
        file.read_exact_at(&mut header, 0)?;
        if header != HEADER {
            let expected = String::from_utf8_lossy(&HEADER).escape_debug().to_string();
            let found = String::from_utf8_lossy(&header).escape_debug().to_string();
            let why = format!("{}: broken: expected a file that begins with {expected}, found {found}", path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        // A place that was being written when the program ended is written again.
        let count = (length - HEADER.len() as u64) / SLOT_BYTES as u64;
        let mut slots = Self { file, count: count.min(u64::from(SLOTS_MAX)) as u32, free: Vec::new(), unsynced: false };
        slots.find_free()?;
        Ok(slots)
    }

    fn find_free(&mut self) -> io::Result<()> {
        let mut bytes = vec![0; SLOT_BYTES * TOGETHER];
        for first in (0..self.count).step_by(TOGETHER) {
            let some = TOGETHER.min((self.count - first) as usize);
            let bytes = &mut bytes[..some * SLOT_BYTES];
            self.file.read_exact_at(bytes, offset(first))?;
            let places = (first..).zip(bytes.chunks_exact(SLOT_BYTES));
            self.free.extend(places.filter(|(_, place)| is_empty(place)).map(|(slot, _)| slot));
        }
        // The first places first.
        self.free.reverse();
        Ok(())
    }

    /// Fresh keys of a call, in a place of their own.
    ///
    /// # Errors
    /// When the file cannot be written or is full, or the system gives no random numbers.
    pub(super) fn take(&mut self, ring: &KeyRing) -> io::Result<CallKeys> {
        let slot = self.free.last().copied().unwrap_or(self.count);
        if slot >= SLOTS_MAX {
            return Err(io::Error::other(format!("the keys of {SLOTS_MAX} calls are kept: no more fit")));
        }
        let generation = if slot == self.count { 1 } else { self.generation(slot)?.wrapping_add(1) };
        let seat = Seat { slot, generation };
        let mut place = Vec::with_capacity(SLOT_BYTES);
        place.extend(generation.to_be_bytes());
        let mut keys = [const { None }; CLASSES];
        for class in Class::ALL {
            let mut secret = Zeroizing::new([0; KEY_BYTES]);
            SystemRandom::new().fill(&mut *secret).map_err(|_| io::Error::other(KeyError::Random))?;
            place.extend(ring.seal(&context(seat, class), &*secret));
            keys[class as usize] = Some(key_of(&*secret));
        }
        self.file.write_all_at(&place, offset(slot))?;
        self.unsynced = true;
        if self.free.pop().is_none() {
            self.count += 1;
        }
        Ok(CallKeys { seat, keys })
    }

    /// The keys at a place, as far as they are those of that generation and still there.
    ///
    /// # Errors
    /// When the file cannot be read, or the store's keys do not open it.
    pub(super) fn keys(&self, ring: &KeyRing, seat: Seat) -> Result<CallKeys, String> {
        let mut keys = [const { None }; CLASSES];
        let mut place = [0; SLOT_BYTES];
        if seat.slot < self.count {
            self.file.read_exact_at(&mut place, offset(seat.slot)).map_err(|error| error.to_string())?;
        }
        let (generation, wrapped) = place.split_at(4);
        if generation == seat.generation.to_be_bytes() {
            for (class, wrapped) in Class::ALL.into_iter().zip(wrapped.chunks_exact(WRAPPED_BYTES)) {
                if !is_zero(wrapped) {
                    let opened = ring.open_value(&context(seat, class), wrapped).map_err(|error| error.to_string())?;
                    keys[class as usize] = Some(key_of(&Zeroizing::new(opened)));
                }
            }
        }
        Ok(CallKeys { seat, keys })
    }

    /// Overwrites keys, on the disk when it returns. Those of another generation are left alone.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub(super) fn destroy(&mut self, seats: &[Seat], classes: &[Class]) -> io::Result<()> {
        let mut freed = Vec::new();
        let mut place = [0; SLOT_BYTES];
        for seat in seats.iter().filter(|seat| seat.slot < self.count) {
            self.file.read_exact_at(&mut place, offset(seat.slot))?;
            if place[..4] != seat.generation.to_be_bytes() || is_empty(&place) {
                continue;
            }
            for class in classes {
                let at = 4 + *class as usize * WRAPPED_BYTES;
                place[at..at + WRAPPED_BYTES].fill(0);
            }
            self.file.write_all_at(&place, offset(seat.slot))?;
            if is_empty(&place) {
                freed.push(seat.slot);
            }
        }
        self.file.sync_data()?;
        self.unsynced = false;
        self.free.append(&mut freed);
        Ok(())
    }

    /// Makes sure that keys are on the disk that were taken since.
    ///
    /// # Errors
    /// When the disk fails.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.unsynced) {
            self.file.sync_data()?;
        }
        Ok(())
    }

    /// The file's next piece, and where the one after it begins; empty at its end.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn piece(&self, from: &mut u64) -> io::Result<Vec<u8>> {
        // Whole places: one that is written between two pieces must not be torn.
        let end = if *from == 0 { HEADER.len() as u64 } else { *from + (SLOT_BYTES * TOGETHER) as u64 };
        let length = offset(self.count).min(end).saturating_sub(*from);
        let mut bytes = vec![0; length as usize];
        self.file.read_exact_at(&mut bytes, *from)?;
        *from += length;
        Ok(bytes)
    }

    fn generation(&self, slot: u32) -> io::Result<u32> {
        let mut generation = [0; 4];
        self.file.read_exact_at(&mut generation, offset(slot))?;
        Ok(u32::from_be_bytes(generation))
    }
}

fn offset(slot: u32) -> u64 {
    HEADER.len() as u64 + u64::from(slot) * SLOT_BYTES as u64
}

fn context(seat: Seat, class: Class) -> Vec<u8> {
    [&b"call key"[..], &seat.slot.to_be_bytes(), &seat.generation.to_be_bytes(), &[class as u8]].concat()
}

fn key_of(secret: &[u8]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, secret).expect("32 octets"))
}

fn is_empty(place: &[u8]) -> bool {
    is_zero(&place[4..])
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

#[cfg(test)]
mod tests;
