//! What calls go by: settings, policies and sounds of one reading of the configuration.
//!
//! Never changed: a reload makes new ones for the calls that begin after it, and a call keeps those it began with to
//! its end.

use std::sync::{Arc, Weak};

use nlu::masking::Masker;
use routing::Policy;

use super::order::{Denied, DeniedKind};
use super::{Control, ControlSettings, Sounds};
use crate::settings::{Route, Settings};

/// What calls of one time go by.
#[derive(Debug)]
pub(super) struct Terms {
    pub(super) settings: ControlSettings,
    pub(super) policies: Arc<[Policy]>,
    pub(super) sounds: Sounds,
}

impl From<&Settings> for ControlSettings {
    fn from(settings: &Settings) -> ControlSettings {
        ControlSettings {
            address: settings.media.external_address,
            sip_address: settings.sip.external.first().copied().unwrap_or(settings.media.external_address),
            networks: settings.media.networks.clone(),
            sip_networks: settings.sip.networks.clone(),
            port_rest: settings.media.port_rest,
            fingerprint: None,
            ports: settings.media.ports,
            silence: settings.media.silence,
            silence_limit: settings.media.silence_limit,
            parties: settings.listening.enabled.then_some(settings.listening.parties),
            remember_speakers: settings.listening.remember_speakers,
            language: settings.recognition.as_ref().map(|recognition| recognition.language),
            punctuation: settings.recognition.as_ref().is_some_and(|recognition| recognition.punctuation),
            masker: Masker::new(Arc::clone(&settings.privacy.lists), settings.privacy.mask.clone()),
            compliance: Arc::clone(&settings.compliance.phrases),
            compared: settings.policy.compared.to_vec(),
            scores: settings.listening.scores,
            functionals: settings.listening.functionals,
            limits: settings.limits.clone(),
            supervision: settings.supervision.clone(),
            targets: settings.targets.clone(),
            routes: settings.routes.clone(),
            agents: settings.forks.agents.clone(),
            first_stream: settings.forks.first,
            crms: settings.crms.keys().cloned().collect(),
            pbxes: settings.pbxes.iter().map(|(name, pbx)| (name.clone(), pbx.terms())).collect(),
            trusted: settings.sip.trusted.clone(),
        }
    }
}

/// What calls went by that began before a reload.
#[derive(Debug)]
pub struct OldTerms(Vec<Weak<Terms>>);

impl OldTerms {
    /// Whether the last of these calls has ended.
    pub fn are_over(&self) -> bool {
        self.0.iter().all(|terms| terms.strong_count() == 0)
    }
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
    pub fn reload(&mut self, settings: ControlSettings, policies: Vec<Policy>, sounds: Sounds) -> OldTerms {
        let fingerprint = self.shared.terms.settings.fingerprint.clone();
        let settings = ControlSettings { fingerprint, ..settings };
        let terms = Arc::new(Terms { settings, policies: policies.into(), sounds });
        let before = std::mem::replace(&mut self.shared.terms, terms);
        self.shared.policies_before = Some((Arc::clone(&before.policies), before.sounds.clone()));
        let mut old = std::mem::take(&mut self.shared.terms_before);
        old.push(Arc::downgrade(&before));
        OldTerms(old)
    }

    /// The same with the policies that are in force already: a step back leads where it led before.
    pub fn reload_around(&mut self, settings: ControlSettings, policies: Vec<Policy>, sounds: Sounds) -> OldTerms {
        let before = self.shared.policies_before.take();
        let old = self.reload(settings, policies, sounds);
        self.shared.policies_before = before;
        old
    }

    /// Lets calls that begin from now on go by the policies before the last reload; what was in force is kept in turn.
    pub(super) fn policies_back(&mut self) -> Result<(), Denied> {
        let nothing = || Denied::new(DeniedKind::Conflict, "no reload has put other policies in the place of these");
        let (policies, sounds) = self.shared.policies_before.take().ok_or_else(nothing)?;
        let now = Arc::clone(&self.shared.terms);
        self.shared.policies_before = Some((Arc::clone(&now.policies), now.sounds.clone()));
        // Calls that go by them need the trunks and PBXs of this configuration, too.
        self.shared.terms_before.retain(|terms| terms.strong_count() > 0);
        self.shared.terms_before.push(Arc::downgrade(&now));
        self.shared.terms = Arc::new(Terms { settings: now.settings.clone(), policies, sounds });
        Ok(())
    }

    /// The policies that calls begin with at present.
    pub fn policies(&self) -> &[Policy] {
        &self.shared.terms.policies
    }
}
