//! Which parts of the program work, as `/readyz` tells load balancers.

use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;

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
    policy: AtomicBool,
}

impl Readiness {
    /// Says that a part works, or no longer does.
    pub fn set(&self, component: Component, up: bool) {
        self.flag(component).store(up, Ordering::Relaxed);
    }

    /// True when a part works.
    pub fn is_up(&self, component: Component) -> bool {
        self.flag(component).load(Ordering::Relaxed)
    }

    /// True when calls can be taken: SIP and media work.
    pub fn is_ready(&self) -> bool {
        self.is_up(Component::Sip) && self.is_up(Component::Media)
    }

    /// What `/readyz` says.
    pub(super) fn report(&self) -> Report {
        let up = |component| if self.is_up(component) { "up" } else { "down" };
        let components = Components {
            sip: up(Component::Sip),
            media: up(Component::Media),
            listening: up(Component::Listening),
            model: up(Component::Model),
            policy: up(Component::Policy),
        };
        let whole = [Component::Listening, Component::Model, Component::Policy].into_iter().all(|c| self.is_up(c));
        let status = match (self.is_ready(), whole) {
            (false, _) => "down",
            (true, false) => "degraded",
            (true, true) => "ready",
        };
        Report { status, components }
    }

    fn flag(&self, component: Component) -> &AtomicBool {
        match component {
            Component::Sip => &self.sip,
            Component::Media => &self.media,
            Component::Listening => &self.listening,
            Component::Model => &self.model,
            Component::Policy => &self.policy,
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// `ready`, `degraded` (calls are taken, something is missing), `down`.
    status: &'static str,
    components: Components,
}

#[derive(Debug, Serialize)]
struct Components {
    sip: &'static str,
    media: &'static str,
    listening: &'static str,
    model: &'static str,
    policy: &'static str,
}
