//! Who is listened to and who is copied: written by call control's side, read by the listening and the copying thread
//! when it has changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use media::{Command, LegId, StreamSettings};
use nlu::recognition::LanguageChoice;
use routing::CallKey;

use super::baselines::SpeakerKey;

/// The legs whose audio is tapped or copied, with what their packets contain.
#[derive(Debug, Default)]
pub struct Parties {
    legs: Mutex<BTreeMap<LegId, Party>>,
    version: AtomicU64,
}

#[derive(Debug, Clone, Default)]
struct Party {
    settings: Option<StreamSettings>,
    call: Option<CallKey>,
    speaker: Option<SpeakerKey>,
    functionals: bool,
    language: Option<LanguageChoice>,
    tapped: bool,
    copied: bool,
    /// How often its far end was told to send to us again.
    renewals: u32,
    /// It has no audio and writes.
    writes: bool,
}

/// A leg that is listened to.
#[derive(Debug)]
pub(super) struct Tapped {
    pub(super) call: Option<CallKey>,
    /// Who speaks, when that is known and may be remembered.
    pub(super) speaker: Option<SpeakerKey>,
    /// Whether observations tell functionals.
    pub(super) functionals: bool,
    /// Which language is heard, where somebody listens for words.
    pub(super) language: Option<LanguageChoice>,
    /// How often its far end, which had sent elsewhere, was told to send to us again.
    pub(super) renewals: u32,
    pub(super) settings: StreamSettings,
}

impl Parties {
    /// Takes note of the call that a leg belongs to, of what is spoken there and whether observations of it tell
    /// functionals, before it is listened to.
    pub fn seat(&self, leg: LegId, call: CallKey, language: Option<LanguageChoice>, functionals: bool) {
        let mut legs = self.lock();
        let party = legs.entry(leg).or_default();
        (party.call, party.language, party.functionals) = (Some(call), language, functionals);
    }

    /// Takes note of who speaks on a leg, before it is listened to.
    pub fn know(&self, leg: LegId, speaker: SpeakerKey) {
        self.lock().entry(leg).or_default().speaker = Some(speaker);
    }

    /// Takes note of who writes and has no audio, or does so no longer.
    pub fn attend(&self, leg: LegId, on: bool) {
        let mut legs = self.lock();
        if on {
            legs.entry(leg).or_default().writes = true;
        } else {
            legs.remove(&leg);
        }
        self.version.fetch_add(1, Ordering::Release);
    }

    /// Takes note of what a command to the media path means for listening.
    pub fn observe(&self, command: &Command) {
        let mut legs = self.lock();
        match command {
            Command::Configure { leg, settings } => legs.entry(*leg).or_default().settings = Some(settings.clone()),
            Command::Tap { leg, on } => legs.entry(*leg).or_default().tapped = *on,
            Command::Copy { leg, on } => legs.entry(*leg).or_default().copied = *on,
            Command::Renew { leg } => {
                let renewals = &mut legs.entry(*leg).or_default().renewals;
                *renewals = renewals.wrapping_add(1);
            }
            Command::Close { leg } => {
                legs.remove(leg);
            }
            Command::Open { .. }
            | Command::Bridge { .. }
            | Command::Supervise { .. }
            | Command::Play { .. }
            | Command::StopPlay { .. }
            | Command::Press { .. }
            | Command::Secure { .. }
            | Command::Capture { .. }
            | Command::Send { .. }
            | Command::Key { .. } => return,
        }
        self.version.fetch_add(1, Ordering::Release);
    }

    /// Changes whenever `tapped` or `copied` would give another answer.
    pub(in crate::shell) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Every leg that is listened to now.
    pub(super) fn tapped(&self) -> BTreeMap<LegId, Tapped> {
        let legs = self.lock();
        let tapped = |party: &Party| {
            let Party { call, speaker, language, functionals, renewals, ref settings, .. } = *party;
            Some(Tapped { call, speaker, language, functionals, renewals, settings: settings.clone()? })
        };
        let legs = legs.iter().filter(|(_, party)| party.tapped);
        legs.filter_map(|(leg, party)| Some((*leg, tapped(party)?))).collect()
    }

    /// Everybody who writes and has no audio.
    pub(super) fn writers(&self) -> BTreeSet<LegId> {
        self.lock().iter().filter(|(_, party)| party.writes).map(|(leg, _)| *leg).collect()
    }

    /// Every leg whose call is copied now.
    pub(in crate::shell) fn copied(&self) -> BTreeSet<LegId> {
        self.lock().iter().filter(|(_, party)| party.copied).map(|(leg, _)| *leg).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<LegId, Party>> {
        // Every change is one insertion or removal, so a panic elsewhere leaves nothing half done.
        self.legs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
