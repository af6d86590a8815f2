//! Which parts of the program work, as `/readyz` tells load balancers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use utoipa::ToSchema;

use crate::control::{Load, Measured};

/// A part that can be up or down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Component {
    /// The SIP transport is bound and served. Without it no call is possible.
    Sip,
    /// The media thread runs. Without it no call is possible.
    Media,
    /// The listening thread runs. Without it calls go on unheard.
    Listening,
    /// The acoustic model is loaded. Without it only signal processing judges.
    Model,
    /// Words are heard, where that is asked for. Without it calls are listened to without words.
    Words,
    /// The recogniser elsewhere answers, where one is asked for. Without it words are heard here, or not at all.
    WordsElsewhere,
    /// Calls and the audit trail are written, where that is asked for. Without it calls go on and are not kept.
    Store,
    /// Audio is kept that is to be. Without it calls go on, and what they say is lost to whoever would play it.
    Reels,
    /// Reports by the clock are written and sent, where that is asked for. Without it calls go on.
    Reports,
    /// A policy is in force. Without it nothing is decided.
    Policy,
}

/// What is up. All down at first.
#[derive(Debug, Default)]
pub struct Readiness {
    sip: AtomicBool,
    media: AtomicBool,
    listening: AtomicBool,
    model: AtomicBool,
    words: AtomicBool,
    words_wanted: AtomicBool,
    words_elsewhere: AtomicBool,
    words_elsewhere_wanted: AtomicBool,
    store: AtomicBool,
    store_wanted: AtomicBool,
    reels: AtomicBool,
    reels_wanted: AtomicBool,
    reports: AtomicBool,
    reports_wanted: AtomicBool,
    policy: AtomicBool,
    draining: AtomicBool,
    trunks: Mutex<BTreeMap<String, TrunkState>>,
    load: Mutex<Option<(Load, Measured)>>,
}

impl Readiness {
    /// Says that a part works, or no longer does.
    pub fn set(&self, component: Component, up: bool) {
        self.flag(component).store(up, Ordering::Relaxed);
    }

    /// Says that words are to be heard: from now on their absence is told.
    pub fn want_words(&self) {
        self.words_wanted.store(true, Ordering::Relaxed);
    }

    /// Says whether words are to be heard elsewhere: as long as they are, the absence of who hears them is told.
    pub fn want_words_elsewhere(&self, wanted: bool) {
        self.words_elsewhere_wanted.store(wanted, Ordering::Relaxed);
    }

    /// Says that calls are to be kept: from now on a store that fails is told.
    pub fn want_store(&self) {
        self.store_wanted.store(true, Ordering::Relaxed);
    }

    /// Says that audio may be kept, and that nothing has gone wrong yet.
    pub fn want_reels(&self) {
        self.reels.store(true, Ordering::Relaxed);
        self.reels_wanted.store(true, Ordering::Relaxed);
    }

    /// Says whether reports are to be written by the clock: as long as they are, it is told when one cannot be.
    pub fn want_reports(&self, wanted: bool) {
        // Where none were wanted nothing has gone wrong yet.
        if wanted && !self.reports_wanted.load(Ordering::Relaxed) {
            self.reports.store(true, Ordering::Relaxed);
        }
        self.reports_wanted.store(wanted, Ordering::Relaxed);
    }

    /// Says whether new calls are refused because the server is to stop.
    pub fn set_draining(&self, draining: bool) {
        self.draining.store(draining, Ordering::Relaxed);
    }

    /// Says how a trunk is: whether it answers, and whether we are registered there, as far as that is known.
    pub fn set_trunk(&self, name: &str, up: Option<bool>, registered: Option<bool>) {
        let state = match (up, registered) {
            (Some(false), _) => "down",
            (_, Some(false)) => "unregistered",
            (None, None) => "unknown",
            (Some(true), _) | (None, Some(true)) => "up",
        };
        self.trunks.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), state);
    }

    /// There is no trunk of that name any more.
    pub fn forget_trunk(&self, name: &str) {
        self.trunks.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    /// Says how much there is to do, and what is done about it.
    pub fn set_load(&self, load: Load, measured: Measured) {
        *self.load.lock().unwrap_or_else(PoisonError::into_inner) = Some((load, measured));
    }

    /// What was last said of the load.
    pub(super) fn load(&self) -> (Option<Load>, Option<Measured>) {
        self.load.lock().unwrap_or_else(PoisonError::into_inner).unzip()
    }

    /// True when a part works.
    pub fn is_up(&self, component: Component) -> bool {
        self.flag(component).load(Ordering::Relaxed)
    }

    /// True when calls are taken: SIP and media work, and nobody drains the server.
    pub fn is_ready(&self) -> bool {
        self.works() && !self.draining.load(Ordering::Relaxed)
    }

    fn works(&self) -> bool {
        self.is_up(Component::Sip) && self.is_up(Component::Media)
    }

    /// What `/readyz` says, where so many stores lie aside.
    pub(super) fn report(&self, set_aside: usize) -> Report {
        let up = |component| if self.is_up(component) { "up" } else { "down" };
        let elsewhere = self.words_elsewhere_wanted.load(Ordering::Relaxed);
        let components = Components {
            sip: up(Component::Sip),
            media: up(Component::Media),
            listening: up(Component::Listening),
            model: up(Component::Model),
            words: self.words_wanted.load(Ordering::Relaxed).then(|| up(Component::Words)),
            words_elsewhere: elsewhere.then(|| up(Component::WordsElsewhere)),
            store: self.store_wanted.load(Ordering::Relaxed).then(|| up(Component::Store)),
            kept_audio: self.reels_wanted.load(Ordering::Relaxed).then(|| up(Component::Reels)),
            reports: self.reports_wanted.load(Ordering::Relaxed).then(|| up(Component::Reports)),
            policy: up(Component::Policy),
        };
        let trunks = self.trunks.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let is_there = |state: &TrunkState| ["up", "unknown"].contains(state);
        let whole = [Component::Listening, Component::Model, Component::Policy].into_iter().all(|c| self.is_up(c))
            && ![
                components.words,
                components.words_elsewhere,
                components.store,
                components.kept_audio,
                components.reports,
            ]
            .contains(&Some("down"))
            && trunks.values().all(is_there);
        let status = match (self.works(), self.is_ready(), whole) {
            (false, ..) => "down",
            (true, false, _) => "draining",
            (true, true, false) => "degraded",
            (true, true, true) => "ready",
        };
        Report { status, components, trunks, set_aside: (set_aside > 0).then_some(set_aside) }
    }

    fn flag(&self, component: Component) -> &AtomicBool {
        match component {
            Component::Sip => &self.sip,
            Component::Media => &self.media,
            Component::Listening => &self.listening,
            Component::Model => &self.model,
            Component::Words => &self.words,
            Component::WordsElsewhere => &self.words_elsewhere,
            Component::Store => &self.store,
            Component::Reels => &self.reels,
            Component::Reports => &self.reports,
            Component::Policy => &self.policy,
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Readiness)]
pub(super) struct Report {
    /// `ready`, `degraded` (calls are taken, something is missing), `draining` (running calls go on), `down`.
    status: &'static str,
    components: Components,
    /// `up`, `down`, `unregistered`, or `unknown` for a trunk that nobody asks; absent without trunks.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = BTreeMap<String, String>)]
    trunks: BTreeMap<String, TrunkState>,
    /// Stores of calls that could not be read and were set aside, with their keys; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    set_aside: Option<usize>,
}

type TrunkState = &'static str;

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReadinessComponents)]
struct Components {
    sip: &'static str,
    media: &'static str,
    listening: &'static str,
    model: &'static str,
    /// Absent where nobody listens for words.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    words: Option<&'static str>,
    /// Absent where no recogniser elsewhere is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    words_elsewhere: Option<&'static str>,
    /// Absent where nothing is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    store: Option<&'static str>,
    /// Absent where nothing is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    kept_audio: Option<&'static str>,
    /// Absent where none are written by the clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    reports: Option<&'static str>,
    policy: &'static str,
}
