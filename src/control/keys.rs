//! Keys that the parties press: one stream per party, however they come; and the time in which they are secret.
//!
//! What a key means is the policy engine's. While input is secure, keys reach the far end and nobody else.

use std::time::Duration;

use media::LegId;
use media::dtmf::Key;
use routing::SecureInput;

use super::call::{Call, Stage};
use super::context::Context;
use crate::notice::What;

/// How a key reached us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// As telephone-event (RFC 4733).
    Event,
    /// In a SIP INFO.
    Info,
    /// As its two tones.
    Audio,
}

/// What a call remembers of keys.
#[derive(Debug, Default)]
pub(super) struct Keys {
    caller: Option<Last>,
    far: Option<Last>,
    secure: Option<Secure>,
}

#[derive(Debug, Clone, Copy)]
struct Last {
    key: Key,
    way: Way,
    at: Duration,
}

/// Input is secure.
#[derive(Debug, Clone, Copy)]
struct Secure {
    end_key: char,
    /// When it ends of itself.
    until: Duration,
}

impl Keys {
    /// Whether what the caller types is secret.
    pub(super) fn is_secure(&self) -> bool {
        self.secure.is_some()
    }

    /// Takes note of a key; true when it is one that was heard by another way just now.
    fn is_echo(&mut self, now: Duration, by_caller: bool, key: Key, way: Way) -> bool {
        let last = if by_caller { &mut self.caller } else { &mut self.far };
        let echo = last.is_some_and(|last| {
            // Tones have come through a jitter buffer and must last before they are believed.
            let within = if [last.way, way].contains(&Way::Audio) { ECHO_OF_TONES } else { ECHO };
            last.key == key && last.way != way && now.saturating_sub(last.at) <= within
        });
        if !echo {
            *last = Some(Last { key, way, at: now });
        }
        echo
    }
}

impl Call {
    /// A party presses a key.
    pub(super) fn pressed(&mut self, context: &mut Context<'_>, leg: LegId, key: Key, way: Way) {
        let by_caller = leg == self.caller.id;
        let by_far = self.far.as_ref().is_some_and(|far| far.id == leg);
        let Stage::Talking(talking) = &mut self.stage else { return };
        if !(by_caller || by_far) || talking.keys.is_echo(context.now, by_caller, key, way) {
            return;
        }
        let secure = talking.keys.secure.filter(|_| by_caller);

        if let Some(leg) = self.is_to_be_given(by_caller, way) {
            context.media(media::Command::Press { leg, key });
        }
        if way != Way::Event {
            self.key_ends_prompt(context, leg);
        }
        let letter = key.to_string().chars().next().unwrap_or(MASK);
        if secure.is_some_and(|secure| secure.end_key != letter) {
            return self.report_key(context, by_caller, MASK, way);
        }
        if secure.is_some() {
            self.set_secure_input(context, SecureInput::Off);
        }
        self.report_key(context, by_caller, letter, way);
        if by_caller {
            self.consent_key(context, letter);
        }
        if by_caller && key != Key::FLASH {
            self.judge(context, &routing::Event::Key { key: letter });
        }
    }

    /// Who has to be given a key that a party has pressed in this way, because what passes does not say it.
    fn is_to_be_given(&self, by_caller: bool, way: Way) -> Option<LegId> {
        let far = self.far.as_ref()?;
        let (speaker, other) = if by_caller { (&self.caller, far) } else { (far, &self.caller) };
        let is_heard = match way {
            Way::Event => true,
            Way::Info => false,
            // Tones pass as audio, to which nobody listens for keys who takes events.
            Way::Audio => speaker.sends_events() || !other.takes_events() || self.fork.is_some(),
        };
        (!is_heard).then_some(other.id)
    }

    /// Begins or ends the time in which the caller's keys are secret.
    pub(super) fn set_secure_input(&mut self, context: &mut Context<'_>, wanted: SecureInput) {
        let Stage::Talking(talking) = &mut self.stage else { return };
        let was_on = talking.keys.secure.is_some();
        talking.keys.secure = match wanted {
            SecureInput::On { end_key } => Some(Secure { end_key, until: context.now + SECURE_MAX }),
            SecureInput::Off => None,
        };
        let on = talking.keys.secure.is_some();
        if on != was_on {
            context.media(media::Command::Secure { leg: self.caller.id, on });
            self.reel_secure(context, on);
            self.notice(context, What::SecureInput { on });
        }
    }

    /// A leg takes the caller's place: what is typed and said there is as secret as it was.
    pub(super) fn keep_secret(&self, context: &mut Context<'_>, leg: LegId) {
        if matches!(&self.stage, Stage::Talking(talking) if talking.keys.is_secure()) {
            context.media(media::Command::Secure { leg, on: true });
        }
    }

    /// Ends secure input that nobody has ended.
    pub(super) fn keys_tick(&mut self, context: &mut Context<'_>) {
        if self.secure_until().is_some_and(|until| context.now >= until) {
            self.set_secure_input(context, SecureInput::Off);
        }
    }

    /// When secure input ends of itself.
    pub(super) fn keys_deadlines(&self, out: &mut Vec<(Duration, &'static str)>) {
        out.extend(self.secure_until().map(|until| (until, "end of secure input")));
    }

    fn secure_until(&self) -> Option<Duration> {
        match &self.stage {
            Stage::Talking(talking) => talking.keys.secure.map(|secure| secure.until),
            Stage::Seeking(_) | Stage::Finished(_) => None,
        }
    }

    fn report_key(&self, context: &mut Context<'_>, by_caller: bool, letter: char, way: Way) {
        let party = if by_caller { "caller" } else { "callee" }.to_owned();
        let way = match way {
            Way::Event => "event",
            Way::Info => "info",
            Way::Audio => "audio",
        };
        self.notice(context, What::KeyPressed { party, key: letter.to_string(), way: way.to_owned() });
    }
}

/// Stands for a key that nobody may see.
const MASK: char = '•';
/// One press that comes by two ways comes within this.
const ECHO: Duration = Duration::from_millis(100);
/// The same when one of the ways is the audio.
const ECHO_OF_TONES: Duration = Duration::from_millis(400);
/// Secure input ends of itself after this: a call must not go unheard because a key was forgotten.
const SECURE_MAX: Duration = Duration::from_secs(120);
