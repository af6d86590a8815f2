//! What stands on the wire of SIP, message by message, for whoever captures a call or collects messages.
//!
//! Only dialogs that an INVITE begins are followed, and what nobody may see is blanked before anything is kept. A message is
//! known by its Call-ID; which call of ours that is, call control says a moment later.

mod blank;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use media::LegId;
use tokio::sync::broadcast;

use self::blank::blanked;
use super::transport::SipTransport;
use crate::settings::SipSettings;
use crate::shell::clock::since_1970;

/// Messages that whoever follows may be behind; the oldest are missing beyond it.
pub const MESSAGES_BEHIND_MAX: usize = 1_024;
/// Dialogs that are followed; the oldest is forgotten beyond it.
const DIALOGS_MAX: usize = 32_768;
/// How long a dialog is remembered once its leg is gone, or when it never got one: 64*T1 (RFC 3261 §17).
const LINGERS: Duration = Duration::from_secs(32);

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// When, since 1970.
    pub at: Duration,
    /// By what it came or went.
    pub transport: SipTransport,
    /// Who sent it.
    pub from: SocketAddr,
    /// To whom.
    pub to: SocketAddr,
    /// Whether it came to us.
    pub is_inbound: bool,
    /// Its Call-ID.
    pub call_id: String,
    /// Its octets, with what nobody may see blanked: of the same length.
    pub octets: Vec<u8>,
}

/// Follows messages.
pub struct Trace {
    settings: SipSettings,
    /// Octets of messages of running calls that are kept; those of the dialog whose messages are kept longest go beyond it.
    history_max: usize,
    followers: broadcast::Sender<Arc<Message>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    dialogs: BTreeMap<String, Dialog>,
    /// Call-IDs of dialogs, oldest first.
    order: BTreeMap<u64, String>,
    /// Those of dialogs with messages, likewise.
    with_messages: BTreeMap<u64, String>,
    /// The last number given in either.
    last: u64,
    /// Call-IDs of dialogs that are looked at again then, soonest first.
    lingering: VecDeque<(Instant, String)>,
    legs: BTreeMap<LegId, Names>,
    octets: usize,
}

/// What a leg is called, as far as that is known.
#[derive(Default)]
struct Names {
    /// By us: the id of its call.
    call: Option<String>,
    /// On the wire.
    call_id: Option<String>,
}

#[derive(Default)]
struct Dialog {
    leg: Option<LegId>,
    call: Option<String>,
    is_over: bool,
    messages: Vec<Arc<Message>>,
    /// Its numbers in [`State::order`] and [`State::with_messages`].
    began: u64,
    kept: u64,
}

impl Trace {
    /// Follows messages at the sockets of `settings`, and keeps so many octets of those of running calls.
    pub fn new(settings: SipSettings, history_max: usize) -> Self {
        let followers = broadcast::Sender::new(MESSAGES_BEHIND_MAX);
        Self { settings, history_max, followers, state: Mutex::default() }
    }

    /// Messages from now on.
    pub fn follow(&self) -> broadcast::Receiver<Arc<Message>> {
        self.followers.subscribe()
    }

    /// Messages of a call so far, as far as they are kept, oldest first.
    pub fn history(&self, call: &str) -> Vec<Arc<Message>> {
        let state = self.state();
        let of_call = |dialog: &&Dialog| dialog.call.as_deref() == Some(call);
        let mut messages: Vec<_> =
            state.dialogs.values().filter(of_call).flat_map(|dialog| &dialog.messages).cloned().collect();
        messages.sort_by_key(|message| message.at);
        messages
    }

    /// The id of our call that a Call-ID belongs to; the error says whether it is a leg's at all.
    pub fn call_of(&self, call_id: &str) -> Result<String, bool> {
        let state = self.state();
        let dialog = state.dialogs.get(call_id).ok_or(false)?;
        dialog.call.clone().ok_or(dialog.leg.is_some())
    }

    /// A leg belongs to that call of ours; said before or after the leg's dialog is known.
    pub fn name(&self, leg: LegId, call: &str) {
        let State { legs, dialogs, .. } = &mut *self.state();
        let names = legs.entry(leg).or_default();
        if names.call.as_deref() == Some(call) {
            return;
        }
        names.call = Some(call.to_owned());
        if let Some(dialog) = names.call_id.as_ref().and_then(|call_id| dialogs.get_mut(call_id)) {
            dialog.call = Some(call.to_owned());
        }
    }

    /// A dialog has become a leg's.
    pub(in crate::shell) fn took(&self, leg: LegId, call_id: &str) {
        let mut state = self.state();
        let names = state.legs.entry(leg).or_default();
        names.call_id = Some(call_id.to_owned());
        let call = names.call.clone();
        let dialog = state.dialog(call_id);
        (dialog.leg, dialog.call) = (Some(leg), call);
    }

    /// A leg is over; its last messages may be on their way yet.
    pub(in crate::shell) fn left(&self, leg: LegId, call_id: &str) {
        let mut state = self.state();
        state.legs.remove(&leg);
        if let Some(dialog) = state.dialogs.get_mut(call_id).filter(|dialog| dialog.leg == Some(leg)) {
            dialog.is_over = true;
            state.linger(call_id);
        }
    }

    /// A message has come.
    pub(in crate::shell) fn came(&self, transport: SipTransport, from: SocketAddr, to: SocketAddr, octets: &[u8]) {
        self.take(transport, (from, self.shown(to, from)), true, octets);
    }

    /// A message has been sent.
    pub(in crate::shell) fn went(&self, transport: SipTransport, from: SocketAddr, to: SocketAddr, octets: &[u8]) {
        self.take(transport, (self.shown(from, to), to), false, octets);
    }

    fn take(&self, transport: SipTransport, (from, to): (SocketAddr, SocketAddr), is_inbound: bool, octets: &[u8]) {
        let Some(call_id) = blank::call_id(octets) else { return };
        let mut state = self.state();
        // Under the lock: whoever follows takes them to be in order.
        let at = since_1970();
        state.forget_lingering();
        if !state.dialogs.contains_key(call_id) {
            if !octets.starts_with(b"INVITE ") {
                return;
            }
            state.dialog(call_id);
            state.linger(call_id);
        }
        let (call_id, octets) = (call_id.to_owned(), blanked(octets));
        let message = Arc::new(Message { at, transport, from, to, is_inbound, call_id, octets });
        state.keep(&message, self.history_max);
        drop(state);
        // An error only means that nobody follows.
        let _ = self.followers.send(message);
    }

    /// An address of ours, as `remote` sees it where the socket is bound to all of them.
    fn shown(&self, ours: SocketAddr, remote: SocketAddr) -> SocketAddr {
        if ours.ip().is_unspecified() { self.settings.shown_to(remote.ip(), ours) } else { ours }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // What a panic leaves half done is a message too few.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Trace {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Trace").field("dialogs", &self.state().dialogs.len()).finish_non_exhaustive()
    }
}

impl State {
    /// The dialog of a Call-ID, a new one if need be.
    fn dialog(&mut self, call_id: &str) -> &mut Dialog {
        if !self.dialogs.contains_key(call_id) {
            while self.dialogs.len() >= DIALOGS_MAX && self.forget_oldest() {}
            self.last += 1;
            self.order.insert(self.last, call_id.to_owned());
        }
        let began = self.last;
        self.dialogs.entry(call_id.to_owned()).or_insert_with(|| Dialog { began, ..Dialog::default() })
    }

    fn keep(&mut self, message: &Arc<Message>, history_max: usize) {
        if let Some(dialog) = self.dialogs.get_mut(&message.call_id).filter(|_| history_max > 0) {
            if dialog.messages.is_empty() {
                self.last += 1;
                dialog.kept = self.last;
                self.with_messages.insert(self.last, message.call_id.clone());
            }
            dialog.messages.push(Arc::clone(message));
            self.octets += message.octets.len();
        }
        while self.octets > history_max
            && let Some((_, oldest)) = self.with_messages.pop_first()
        {
            // The dialog stays: what it says from now on is its call's all the same.
            self.forget_messages(&oldest);
        }
    }

    fn linger(&mut self, call_id: &str) {
        self.lingering.push_back((Instant::now() + LINGERS, call_id.to_owned()));
    }

    fn forget_lingering(&mut self) {
        let now = Instant::now();
        while let Some((_, call_id)) = self.lingering.pop_front_if(|(until, _)| *until <= now) {
            if self.dialogs.get(&call_id).is_some_and(|dialog| dialog.is_over || dialog.leg.is_none()) {
                self.forget(&call_id);
            }
        }
    }

    /// Forgets the dialog that began first; false when there is none.
    fn forget_oldest(&mut self) -> bool {
        let Some((_, call_id)) = self.order.pop_first() else { return false };
        self.forget(&call_id);
        true
    }

    fn forget(&mut self, call_id: &str) {
        self.forget_messages(call_id);
        if let Some(dialog) = self.dialogs.remove(call_id) {
            self.order.remove(&dialog.began);
        }
    }

    fn forget_messages(&mut self, call_id: &str) {
        if let Some(dialog) = self.dialogs.get_mut(call_id) {
            self.with_messages.remove(&dialog.kept);
            let messages = std::mem::take(&mut dialog.messages);
            self.octets -= messages.iter().map(|message| message.octets.len()).sum::<usize>();
        }
    }
}
