//! How one leg's packets are protected: not at all, with keys, or not yet because the keys are still being agreed.

use crate::srtp::{self, Security, SessionKeys};

/// The state of protection, both directions.
#[derive(Debug)]
pub(crate) enum Protection {
    Plain,
    /// A handshake is under way: nothing passes until it has brought keys.
    Awaited,
    Keyed(Box<Keyed>),
}

/// The transforms of both directions, and the keys they were made from.
#[derive(Debug)]
pub(crate) struct Keyed {
    keys: SessionKeys,
    /// The keys came from a handshake, which a re-offer does not repeat by itself.
    shaken: bool,
    sender: srtp::Sender,
    receiver: srtp::Receiver,
}

impl Protection {
    /// Takes what was agreed; keys that stay the same keep their rollover counters and replay windows.
    pub(crate) fn configure(&mut self, security: &Security) {
        match (security, &mut *self) {
            (Security::Plain, _) => *self = Protection::Plain,
            (Security::Handshake, Protection::Keyed(keyed)) if keyed.shaken => {}
            (Security::Handshake, _) => *self = Protection::Awaited,
            (Security::Keys(keys), _) => self.change(keys, false),
        }
    }

    /// Takes the keys that a handshake has brought; ignored when none was awaited.
    pub(crate) fn take_keys(&mut self, keys: &SessionKeys) {
        match self {
            Protection::Plain => {}
            Protection::Awaited => self.change(keys, true),
            Protection::Keyed(keyed) if keyed.shaken => self.change(keys, true),
            Protection::Keyed(_) => {}
        }
    }

    /// True when handshake datagrams are expected.
    pub(crate) fn shakes_hands(&self) -> bool {
        match self {
            Protection::Plain => false,
            Protection::Awaited => true,
            Protection::Keyed(keyed) => keyed.shaken,
        }
    }

    /// Opens an RTP packet in place; returns its length, `None` when it is not the far end's.
    pub(crate) fn open(&mut self, datagram: &mut [u8]) -> Option<usize> {
        match self {
            Protection::Plain => Some(datagram.len()),
            Protection::Awaited => None,
            Protection::Keyed(keyed) => keyed.receiver.unprotect(datagram).ok(),
        }
    }

    /// Seals an RTP packet of `length` octets in place; returns the new length, `None` when there are no keys yet.
    pub(crate) fn seal(&mut self, buffer: &mut [u8], length: usize) -> Option<usize> {
        match self {
            Protection::Plain => Some(length),
            Protection::Awaited => None,
            Protection::Keyed(keyed) => keyed.sender.protect(buffer, length).ok(),
        }
    }

    /// Opens a control packet in place.
    pub(crate) fn open_control(&mut self, datagram: &mut [u8]) -> Option<usize> {
        match self {
            Protection::Plain => Some(datagram.len()),
            Protection::Awaited => None,
            Protection::Keyed(keyed) => keyed.receiver.unprotect_control(datagram).ok(),
        }
    }

    /// Seals a control packet in place.
    pub(crate) fn seal_control(&mut self, buffer: &mut [u8], length: usize) -> Option<usize> {
        match self {
            Protection::Plain => Some(length),
            Protection::Awaited => None,
            Protection::Keyed(keyed) => keyed.sender.protect_control(buffer, length).ok(),
        }
    }

    /// Only the direction whose key changes begins anew: a rekey of one side leaves the other's counters alone.
    fn change(&mut self, keys: &SessionKeys, shaken: bool) {
        if let Protection::Keyed(keyed) = self {
            if keyed.keys.send != keys.send {
                keyed.sender = srtp::Sender::new(&keys.send);
            }
            if keyed.keys.receive != keys.receive {
                keyed.receiver = srtp::Receiver::new(&keys.receive);
            }
            keyed.keys = keys.clone();
            keyed.shaken = shaken;
            return;
        }
        *self = Protection::Keyed(Box::new(Keyed {
            keys: keys.clone(),
            shaken,
            sender: srtp::Sender::new(&keys.send),
            receiver: srtp::Receiver::new(&keys.receive),
        }));
    }
}
