//! How one leg's packets are protected: not at all, with keys, or not yet because the keys are still being agreed.

use crate::engine::Channel;
use crate::srtp::{self, MasterKey, Security, SessionKeys};

/// The state of protection, both directions.
#[derive(Debug)]
pub(crate) struct Protection {
    state: State,
    /// That of control packets, when they have a port and a handshake of their own (RFC 5764 §4.1).
    control: Option<State>,
    /// Senders whose keys are not in use at present. A key may come back, and must then go on counting where it was:
    /// an index that is used twice under one key gives away what it hides (RFC 3711 §9.1).
    retired: Vec<(MasterKey, srtp::Sender)>,
}

#[derive(Debug)]
enum State {
    Plain,
    /// A handshake is under way: nothing passes until it has brought keys.
    Awaited,
    Keyed(Box<Keyed>),
}

/// The transforms of both directions, and the keys they were made from.
#[derive(Debug)]
struct Keyed {
    keys: SessionKeys,
    /// The keys came from a handshake, which a re-offer does not repeat by itself.
    shaken: bool,
    sender: srtp::Sender,
    receiver: srtp::Receiver,
}

impl Protection {
    /// No protection, until something else is agreed.
    pub(crate) fn new() -> Self {
        Self { state: State::Plain, control: None, retired: Vec::new() }
    }

    /// Takes what was agreed; keys that stay the same keep their rollover counters and replay windows.
    pub(crate) fn configure(&mut self, security: &Security, separate_control: bool) {
        let shakes_separately = separate_control && matches!(security, Security::Handshake);
        self.control = shakes_separately.then(|| self.control.take().unwrap_or(State::Awaited));
        match (security, &self.state) {
            (Security::Plain, _) => self.leave(State::Plain),
            (Security::Handshake, State::Keyed(keyed)) if keyed.shaken => {}
            (Security::Handshake, _) => self.leave(State::Awaited),
            (Security::Keys(keys), _) => self.change(keys, false),
        }
    }

    /// Takes the keys that a handshake has brought; ignored when none was awaited.
    pub(crate) fn take_keys(&mut self, channel: Channel, keys: &SessionKeys) {
        match channel {
            _ if !self.shakes_hands(channel) => {}
            Channel::Media => self.change(keys, true),
            Channel::Control => self.control = Some(State::Keyed(Box::new(Keyed::new(keys, true)))),
        }
    }

    /// True when handshake datagrams are expected on a port.
    pub(crate) fn shakes_hands(&self, channel: Channel) -> bool {
        match (channel, &self.state) {
            (Channel::Control, _) => self.control.is_some(),
            (Channel::Media, State::Plain) => false,
            (Channel::Media, State::Awaited) => true,
            (Channel::Media, State::Keyed(keyed)) => keyed.shaken,
        }
    }

    /// Opens an RTP packet in place; returns its length, `None` when it is not the far end's.
    pub(crate) fn open(&mut self, datagram: &mut [u8]) -> Option<usize> {
        match &mut self.state {
            State::Plain => Some(datagram.len()),
            State::Awaited => None,
            State::Keyed(keyed) => keyed.receiver.unprotect(datagram).ok(),
        }
    }

    /// Seals an RTP packet of `length` octets in place; returns the new length, `None` when there are no keys yet.
    pub(crate) fn seal(&mut self, buffer: &mut [u8], length: usize) -> Option<usize> {
        match &mut self.state {
            State::Plain => Some(length),
            State::Awaited => None,
            State::Keyed(keyed) => keyed.sender.protect(buffer, length).ok(),
        }
    }

    /// Opens a control packet in place.
    pub(crate) fn open_control(&mut self, datagram: &mut [u8]) -> Option<usize> {
        match self.control.as_mut().unwrap_or(&mut self.state) {
            State::Plain => Some(datagram.len()),
            State::Awaited => None,
            State::Keyed(keyed) => keyed.receiver.unprotect_control(datagram).ok(),
        }
    }

    /// Seals a control packet in place.
    pub(crate) fn seal_control(&mut self, buffer: &mut [u8], length: usize) -> Option<usize> {
        match self.control.as_mut().unwrap_or(&mut self.state) {
            State::Plain => Some(length),
            State::Awaited => None,
            State::Keyed(keyed) => keyed.sender.protect_control(buffer, length).ok(),
        }
    }

    /// Only the direction whose key changes begins anew: a rekey of one side leaves the other's counters alone.
    fn change(&mut self, keys: &SessionKeys, shaken: bool) {
        let before = match std::mem::replace(&mut self.state, State::Awaited) {
            State::Keyed(keyed) => Some(*keyed),
            State::Plain | State::Awaited => None,
        };
        let receiver = before.and_then(|keyed| {
            let Keyed { keys: before, sender, receiver, .. } = keyed;
            self.retire(before.send, sender);
            (before.receive == keys.receive).then_some(receiver)
        });
        let mut keyed = Keyed::new(keys, shaken);
        keyed.sender = self.bring_back(&keys.send).unwrap_or(keyed.sender);
        keyed.receiver = receiver.unwrap_or(keyed.receiver);
        self.state = State::Keyed(Box::new(keyed));
    }

    fn leave(&mut self, state: State) {
        if let State::Keyed(keyed) = std::mem::replace(&mut self.state, state) {
            self.retire(keyed.keys.send, keyed.sender);
        }
    }

    /// Keys of ours in session descriptions are one per suite; those of a handshake come back with a fork that was left.
    fn retire(&mut self, key: MasterKey, sender: srtp::Sender) {
        if self.retired.len() >= RETIRED_MAX {
            self.retired.remove(0);
        }
        self.retired.push((key, sender));
    }

    fn bring_back(&mut self, key: &MasterKey) -> Option<srtp::Sender> {
        let index = self.retired.iter().position(|(retired, _)| retired == key)?;
        Some(self.retired.swap_remove(index).1)
    }
}

impl Keyed {
    fn new(keys: &SessionKeys, shaken: bool) -> Self {
        let (sender, receiver) = (srtp::Sender::new(&keys.send), srtp::Receiver::new(&keys.receive));
        Self { keys: keys.clone(), shaken, sender, receiver }
    }
}

/// Senders that are remembered: one per suite, and as many again.
const RETIRED_MAX: usize = 8;
