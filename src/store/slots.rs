//! The keys that values are sealed by: for each call one per class of what is kept, in a place of one file that can be
//! overwritten. What was sealed by a key that is gone opens never again, wherever a copy of it lies (cryptographic erase,
//! NIST SP 800-88 §2.6): sled writes beside what it replaces, so that removing a value alone leaves it in old files.
//!
//! The keys of a tenant's calls are made of two halves: one in the call's place, one in the tenant's. Without either, none is.
//! Places are taken anew: each carries a generation, so that a value whose place belongs to another call is known as erased.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;
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
/// Where a tenant's half is in its place: it has one key, whatever its calls' classes.
const TENANT_CLASS: Class = Class::Record;
/// Places read at once.
const TOGETHER: usize = 4_096;
/// Version of values that a call's key seals, and of those that a tenant's call's does.
const VERSION: u8 = 2;
const TENANT_VERSION: u8 = 3;
/// What precedes such a value's ciphertext: version, class, place, generation, those of the tenant if any, nonce.
const BOUND_BYTES: usize = 1 + 1 + SEAT_BYTES;
const SEAT_BYTES: usize = 4 + 4;

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

impl Seat {
    /// Both numbers, as they stand before values.
    pub(super) fn octets(self) -> [u8; SEAT_BYTES] {
        let mut octets = [0; SEAT_BYTES];
        octets[..4].copy_from_slice(&self.slot.to_be_bytes());
        octets[4..].copy_from_slice(&self.generation.to_be_bytes());
        octets
    }

    /// What `octets` gave; nothing of another length.
    pub(super) fn of(octets: &[u8]) -> Option<Self> {
        let (slot, generation) = octets.split_first_chunk()?;
        let generation = generation.try_into().ok()?;
        Some(Self { slot: u32::from_be_bytes(*slot), generation: u32::from_be_bytes(generation) })
    }
}

/// A tenant's half of its calls' keys.
#[derive(Clone)]
pub(super) struct TenantKey {
    pub(super) seat: Seat,
    secret: hmac::Key,
}

impl std::fmt::Debug for TenantKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TenantKey({:?})", self.seat)
    }
}

/// What stands before a value: whose keys seal it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) seat: Seat,
    pub(super) class: Class,
    pub(super) tenant: Option<Seat>,
}

impl Head {
    fn octets(self) -> Vec<u8> {
        let version = if self.tenant.is_some() { TENANT_VERSION } else { VERSION };
        let mut octets = vec![version, self.class as u8];
        octets.extend(self.seat.octets());
        octets.extend(self.tenant.map(Seat::octets).into_iter().flatten());
        octets
    }

    fn length(self) -> usize {
        BOUND_BYTES + if self.tenant.is_some() { SEAT_BYTES } else { 0 }
    }
}

/// Whose keys seal a value; nothing for values of the store's own key (version 1).
pub(super) fn head_of(sealed: &[u8]) -> Option<Head> {
    let (bound, rest) = sealed.split_at_checked(BOUND_BYTES)?;
    let (class, seat) = (*Class::ALL.get(usize::from(bound[1]))?, Seat::of(&bound[2..])?);
    let tenant = match bound[0] {
        VERSION => None,
        TENANT_VERSION => Some(Seat::of(rest.get(..SEAT_BYTES)?)?),
        _ => return None,
    };
    Some(Head { seat, class, tenant })
}

/// The keys of one call; those that are gone are missing.
#[derive(Clone)]
pub(super) struct CallKeys {
    pub(super) seat: Seat,
    pub(super) tenant: Option<Seat>,
    keys: [Option<LessSafeKey>; CLASSES],
}

impl std::fmt::Debug for CallKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CallKeys({:?})", self.seat)
    }
}

impl CallKeys {
    /// Whether the key of a class is there.
    pub(super) fn has(&self, class: Class) -> bool {
        self.keys[class as usize].is_some()
    }

    /// Seals a value: version, class, place, generation, nonce, ciphertext and tag. `context` says whose value it is.
    ///
    /// # Errors
    /// When the key of the class is gone.
    pub(super) fn seal(&self, ring: &KeyRing, class: Class, context: &[u8], plain: &[u8]) -> Result<Vec<u8>, KeyError> {
        self.seal_by(ring.nonce(), class, context, plain)
    }

    /// The same by keys that several openings seal a few values with: after a restore an opening may come once more, with its
    /// counts of before, so that nonces are random here (NIST SP 800-38D §8.2.2).
    ///
    /// # Errors
    /// As [`CallKeys::seal`], or when the system gives no random numbers.
    pub(super) fn seal_anew(&self, class: Class, context: &[u8], plain: &[u8]) -> Result<Vec<u8>, KeyError> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).map_err(|_| KeyError::Random)?;
        self.seal_by(nonce, class, context, plain)
    }

    fn seal_by(&self, nonce: [u8; NONCE_LEN], class: Class, context: &[u8], plain: &[u8]) -> Result<Vec<u8>, KeyError> {
        let key = self.keys[class as usize].as_ref().ok_or(KeyError::Value("its key is gone"))?;
        let mut sealed = Head { seat: self.seat, class, tenant: self.tenant }.octets();
        sealed.reserve_exact(NONCE_LEN + plain.len() + AES_256_GCM.tag_len());
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
        let head = head_of(sealed).ok_or(KeyError::Value("its head"))?;
        let Some(key) = &self.keys[head.class as usize] else { return Ok(None) };
        let (bound, rest) = sealed.split_at(head.length());
        let (nonce, body) = rest.split_at_checked(NONCE_LEN).ok_or(KeyError::Value("too short"))?;
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
    head_of(sealed).map(|head| (head.seat, head.class))
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

    /// Fresh keys of a call, in a place of their own; a tenant's call's need the tenant's, too.
    ///
    /// # Errors
    /// When the file cannot be written or is full, or the system gives no random numbers.
    pub(super) fn take(&mut self, ring: &KeyRing, tenant: Option<&TenantKey>) -> io::Result<CallKeys> {
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
            keys[class as usize] = Some(key_of(&*secret, tenant));
        }
        self.file.write_all_at(&place, offset(slot))?;
        self.unsynced = true;
        if self.free.pop().is_none() {
            self.count += 1;
        }
        Ok(CallKeys { seat, tenant: tenant.map(|tenant| tenant.seat), keys })
    }

    /// The keys of classes at a place, as far as they are those of that generation and still there.
    ///
    /// # Errors
    /// When the file cannot be read, or the store's keys do not open it.
    pub(super) fn keys(
        &self,
        ring: &KeyRing,
        seat: Seat,
        wanted: &[Class],
        tenant: Option<&TenantKey>,
    ) -> Result<CallKeys, String> {
        let mut keys = [const { None }; CLASSES];
        let place = self.place(seat)?;
        for class in wanted {
            let secret = secret_in(ring, &place, seat, *class)?;
            keys[*class as usize] = secret.map(|secret| key_of(&secret, tenant));
        }
        Ok(CallKeys { seat, tenant: tenant.map(|tenant| tenant.seat), keys })
    }

    /// The half of keys that is at a place; nothing when it is gone.
    ///
    /// # Errors
    /// As [`Slots::keys`].
    pub(super) fn tenant_key(&self, ring: &KeyRing, seat: Seat) -> Result<Option<TenantKey>, String> {
        let secret = secret_in(ring, &self.place(seat)?, seat, TENANT_CLASS)?;
        Ok(secret.map(|secret| TenantKey { seat, secret: hmac::Key::new(hmac::HMAC_SHA256, &secret) }))
    }

    fn place(&self, seat: Seat) -> Result<[u8; SLOT_BYTES], String> {
        let mut place = [0; SLOT_BYTES];
        if seat.slot < self.count {
            self.file.read_exact_at(&mut place, offset(seat.slot)).map_err(|error| error.to_string())?;
        }
        Ok(place)
    }

    /// Overwrites keys, on the disk when it returns. Those of another generation are left alone.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub(super) fn destroy(&mut self, seats: &[Seat], classes: &[Class]) -> io::Result<()> {
        if seats.is_empty() {
            return Ok(());
        }
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

/// The secret of a class in a place, when it is that generation's and still there.
fn secret_in(
    ring: &KeyRing,
    place: &[u8; SLOT_BYTES],
    seat: Seat,
    class: Class,
) -> Result<Option<Zeroizing<Vec<u8>>>, String> {
    let (generation, wrapped) = place.split_at(4);
    let at = class as usize * WRAPPED_BYTES;
    let wrapped = &wrapped[at..at + WRAPPED_BYTES];
    if generation != seat.generation.to_be_bytes() || is_zero(wrapped) {
        return Ok(None);
    }
    let opened = ring.open_value(&context(seat, class), wrapped);
    opened.map(|secret| Some(Zeroizing::new(secret))).map_err(|error| error.to_string())
}

/// The key that seals: the secret itself, or what it gives under the tenant's.
fn key_of(secret: &[u8], tenant: Option<&TenantKey>) -> LessSafeKey {
    let key = |secret: &[u8]| LessSafeKey::new(UnboundKey::new(&AES_256_GCM, secret).expect("32 octets"));
    tenant.map_or_else(|| key(secret), |tenant| key(hmac::sign(&tenant.secret, secret).as_ref()))
}

fn is_empty(place: &[u8]) -> bool {
    is_zero(&place[4..])
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

#[cfg(test)]
mod tests;
