//! What calls go by: settings, policies and sounds of one reading of the configuration.
//!
//! Never changed: a reload makes new ones for the calls that begin after it, and a call keeps those it began with to
//! its end.

use std::sync::Arc;

use routing::Policy;

use super::{Control, ControlSettings, Sounds};
use crate::settings::Route;

/// What calls of one time go by.
#[derive(Debug)]
pub(super) struct Terms {
    pub(super) settings: ControlSettings,
    pub(super) policies: Arc<[Policy]>,
    pub(super) sounds: Sounds,
}

impl ControlSettings {
    /// Whether what is usual for a route's callers is kept from call to call.
    pub(super) fn remembers(&self, route: &Route) -> bool {
        route.remember_speakers.unwrap_or(self.remember_speakers)
    }
}

impl Control {
    /// Lets calls that begin from now on go by other settings, policies and sounds; those that run keep what they
    /// began with.
    ///
    /// The certificate stays the same, and so do the RTP ports: those are given out since the start.
    pub fn reload(&mut self, settings: ControlSettings, policies: Vec<Policy>, sounds: Sounds) {
        let fingerprint = self.shared.terms.settings.fingerprint.clone();
        let settings = ControlSettings { fingerprint, ..settings };
        self.shared.terms = Arc::new(Terms { settings, policies: policies.into(), sounds });
    }
}
