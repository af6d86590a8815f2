//! Whether the caller has agreed that words are kept: without that, words are neither told nor kept, and where the route says
//! so nobody is listened to.
//!
//! What policies judge is not touched: a call that is listened to is served by what was said, whether it is kept or not.

use std::time::Duration;

use media::{LegId, PromptId};
use routing::{PlayMode, Until};

use super::call::{Call, Stage};
use super::context::Context;
use super::order::{Denied, Party};
use super::prompts::How;
use super::{ControlSettings, Header};
use crate::notice::What;
use crate::settings::{ConsentRule, ConsentSettings, Route};

/// How the consent of a call's caller stands.
#[derive(Debug, Default)]
pub(super) struct Consent {
    terms: ConsentSettings,
    /// Whether audio is kept as well, and whose it is.
    keeps_audio: bool,
    tenant: Option<String>,
    state: State,
    /// Who said so at the beginning.
    by: &'static str,
    /// The announcement, while it plays.
    announcement: Option<PromptId>,
    /// Until when keys say something.
    keys_until: Option<Duration>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Given,
    Refused,
    /// Nobody has said anything yet.
    Open,
}

impl Consent {
    fn new(route: Option<&Route>, headers: &[Header]) -> Self {
        let terms = route.map(|route| route.consent.clone()).unwrap_or_default();
        let state = State::at_first(terms.rule);
        let said = terms.header.as_ref().and_then(|wanted| {
            let header = headers.iter().find(|header| header.name.eq_ignore_ascii_case(wanted))?;
            State::named(header.value.trim())
        });
        let by = if said.is_some() { "header" } else { "route" };
        Self {
            terms,
            keeps_audio: route.is_some_and(|route| route.keep_audio),
            tenant: route.and_then(|route| route.tags.tenant.clone()),
            state: said.unwrap_or(state),
            by,
            announcement: None,
            keys_until: None,
        }
    }

    /// Whether words may be told and kept.
    pub(super) fn keeps_words(&self) -> bool {
        self.state == State::Given
    }

    /// Whether audio is kept.
    pub(super) fn keeps_audio(&self) -> bool {
        self.keeps_audio && self.keeps_words()
    }

    /// Whether audio is kept as soon as that is agreed to.
    pub(super) fn may_keep_audio(&self) -> bool {
        self.keeps_audio
    }

    /// Whether the caller does not agree.
    pub(super) fn is_refused(&self) -> bool {
        self.state == State::Refused
    }

    /// Whose call it is, where its route says so.
    pub(super) fn tenant(&self) -> Option<&str> {
        self.tenant.as_deref()
    }

    /// Becomes what it is for whoever has taken the caller's place.
    fn begin_anew(&mut self) {
        (self.state, self.by) = (State::at_first(self.terms.rule), "route");
        (self.announcement, self.keys_until) = (None, None);
    }

    /// Whether anybody is listened to.
    pub(super) fn is_listened_to(&self) -> bool {
        self.keeps_words() || !self.terms.deafens
    }

    /// Nothing is asked of anybody, so nothing is told of it.
    fn is_usual(&self) -> bool {
        self.terms == ConsentSettings::default()
    }
}

impl State {
    fn at_first(rule: ConsentRule) -> Self {
        match rule {
            ConsentRule::Given => Self::Given,
            ConsentRule::Refused => Self::Refused,
            ConsentRule::Announced | ConsentRule::Asked => Self::Open,
        }
    }

    fn named(word: &str) -> Option<Self> {
        match word.to_ascii_lowercase().as_str() {
            GIVEN => Some(Self::Given),
            REFUSED => Some(Self::Refused),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            State::Given => GIVEN,
            State::Refused => REFUSED,
            State::Open => "open",
        }
    }
}

impl Call {
    /// The caller is connected: how consent stands is told, and the announcement begins.
    pub(super) fn begin_consent(&mut self, context: &mut Context<'_>) {
        self.keep_audio_as_agreed(context);
        if self.consent.is_usual() {
            return;
        }
        self.consent.keys_until = Some(context.now + KEYS_TIME);
        let (state, by) = (self.consent.state.name().to_owned(), self.consent.by.to_owned());
        self.notice(context, What::Consent { state, by });
        let is_open = self.consent.state == State::Open;
        if let Some(file) = self.consent.terms.announcement.clone().filter(|_| is_open) {
            let how = How { party: Party::Caller, mode: PlayMode::Replace, until: Until::default() };
            self.consent.announcement = self.play(context, &file, how);
        }
    }

    /// Somebody else has taken the caller's place: what the one before has said counts no longer.
    pub(super) fn consent_anew(&mut self, context: &mut Context<'_>) {
        self.keep_audio_anew(context);
        if self.consent.is_usual() {
            self.keep_audio_as_agreed(context);
        } else {
            self.consent.begin_anew();
            self.begin_consent(context);
            self.listen_as_agreed(context);
        }
    }

    /// A prompt has ended: whoever has heard the announcement and stays agrees, where the route says so.
    pub(super) fn consent_announced(&mut self, context: &mut Context<'_>, prompt: PromptId, completed: bool) {
        if self.consent.announcement.take_if(|announcement| *announcement == prompt).is_none() {
            return;
        }
        let agrees = self.consent.terms.rule == ConsentRule::Announced && self.consent.state == State::Open;
        if completed && agrees {
            self.set_consent(context, State::Given, "announcement");
        }
    }

    /// The caller presses a key.
    pub(super) fn consent_key(&mut self, context: &mut Context<'_>, key: char) {
        if self.consent.keys_until.is_none_or(|until| context.now > until) {
            return;
        }
        if self.consent.terms.given_key == Some(key) {
            self.set_consent(context, State::Given, "key");
        } else if self.consent.terms.refused_key == Some(key) {
            self.set_consent(context, State::Refused, "key");
        }
    }

    /// Somebody outside says how it stands.
    pub(super) fn order_consent(&mut self, context: &mut Context<'_>, given: bool) -> Result<(), Denied> {
        if !matches!(self.stage, Stage::Talking(_)) {
            return Err(Denied::not_connected());
        }
        self.set_consent(context, if given { State::Given } else { State::Refused }, "operator");
        Ok(())
    }

    /// Listens to a leg, or no longer; to nobody as long as that is not agreed to.
    pub(super) fn tap(&self, context: &mut Context<'_>, leg: LegId, on: bool) {
        if !on || self.consent.is_listened_to() {
            context.tap(leg, on);
        }
    }

    fn set_consent(&mut self, context: &mut Context<'_>, state: State, by: &str) {
        let before = std::mem::replace(&mut self.consent.state, state);
        if by != "announcement" {
            // Who has said something is asked no more.
            self.consent.keys_until = None;
        }
        if before != state {
            self.notice(context, What::Consent { state: state.name().to_owned(), by: by.to_owned() });
            self.listen_as_agreed(context);
            self.keep_audio_as_agreed(context);
        }
    }

    fn listen_as_agreed(&mut self, context: &mut Context<'_>) {
        if !self.consent.terms.deafens || !matches!(self.stage, Stage::Talking(_)) {
            return;
        }
        let on = self.consent.is_listened_to();
        if !on {
            self.excuse();
        }
        if self.chat().is_some() {
            self.attend(context, on);
            return;
        }
        context.tap(self.caller.id, on);
        if let Some(far) = self.far.as_ref().filter(|_| context.terms.settings.listens_to_far()) {
            context.tap(far.id, on);
        }
    }
}

impl ControlSettings {
    /// How consent stands when a call of a route begins.
    pub(super) fn consent_on(&self, route: &str, headers: &[Header]) -> Consent {
        Consent::new(self.routes.named(route), headers)
    }
}

const GIVEN: &str = "given";
const REFUSED: &str = "refused";
/// How long after the caller is connected keys say something of consent.
const KEYS_TIME: Duration = Duration::from_secs(60);
