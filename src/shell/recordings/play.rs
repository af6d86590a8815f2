//! One recording through listener, recogniser and a call control of its own, in simulated time: what policies hear is what they
//! would have heard on the call.

use std::io::{BufReader, Seek, SeekFrom};
use std::time::{Duration, SystemTime};

use media::LegId;
use media::wav::{self, Channel};
use nlu::recognition::{Language, Recognizer};
use nlu::{Listener, ListenerSettings, PartyId, SAMPLE_RATE_HZ};
use routing::{CallKey, Engine};

use super::{InForce, Upload};
use crate::control::{Command, Control, ControlSettings, Done, Input, NOT_AGREED, Order, Sounds};
use crate::judges::JudgeFiles;
use crate::notice::Notice;
use crate::recognizer::RecognizerFiles;
use crate::settings::{ListeningSettings, Parties};
use crate::shell::listen::Conversations;

/// Samples handed on at once: one 20 ms packet, as on a call.
const PACKET: usize = 160;
/// Silence after a recording, as of parties who have spoken: samples (0.6 s).
const AFTER: usize = 4_800;
/// Call control's time at the first sample: not its zero, as on no call.
const BEGIN: Duration = Duration::from_secs(1);
/// How long call control may take for its last words.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// What was heard.
pub(super) struct Heard {
    pub(super) duration_ms: u64,
    pub(super) words: bool,
}

/// Listens to a recording to its end, or until `why_to_end` says why. `own` goes in front of the call's id.
///
/// # Errors
/// Why it is not listened to, or not to its end.
pub(super) fn play(
    own: String,
    upload: Upload,
    in_force: &InForce,
    tell: impl FnMut(&Notice),
    why_to_end: impl Fn() -> Option<&'static str>,
) -> Result<Heard, String> {
    let Upload { mut file, opening, customer, agent } = upload;
    let mut channel = |channel: u16| {
        file.seek(SeekFrom::Start(0)).map_err(|error| error.to_string())?;
        wav::read(BufReader::new(&mut file), Channel::Only(channel))
            .map(|recording| recording.samples)
            .map_err(|error| error.to_string())
    };
    let mut voices = vec![channel(customer)?];
    voices.extend(agent.map(channel).transpose()?);
    drop(file);
    let mut desk = Desk { control: control(own, in_force, agent.is_some())?, commands: Vec::new(), tell };
    let done = desk.control.order(BEGIN, Order::OpenChat(Box::new(opening)), &mut desk.commands);
    let call = match done {
        Ok(Done::Opened { call, .. }) => call,
        Ok(_) => return Err("it became no call".to_owned()),
        Err(denied) => return Err(denied.reason),
    };
    let legs = desk.attended();
    desk.hand_out();
    if legs.is_empty() {
        // Consent has come to be asked for while it waited.
        desk.end(BEGIN, &call, NOT_AGREED);
        return Err(NOT_AGREED.to_owned());
    }
    let language = legs.first().and_then(|leg| desk.control.language_of(*leg)).map(|choice| choice.language);
    let mut ears = Ears::new(in_force, &legs, language)?;
    let samples = voices.iter().map(Vec::len).max().unwrap_or_default();
    for at in (0..samples + AFTER).step_by(PACKET) {
        if let Some(why) = why_to_end() {
            desk.end(time_of(at), &call, why);
            return Err(why.to_owned());
        }
        for (leg, voice) in legs.iter().zip(&voices) {
            ears.push(*leg, voice.get(at..).unwrap_or_default());
        }
        ears.listen(|input| desk.handle(time_of(at + PACKET), input));
        desk.pass(time_of(at + PACKET));
    }
    ears.close(&legs, |input| desk.handle(time_of(samples + AFTER), input));
    desk.end(time_of(samples + AFTER), &call, "the recording ended");
    let duration_ms = samples as u64 * 1_000 / u64::from(SAMPLE_RATE_HZ);
    Ok(Heard { duration_ms, words: ears.recognizer.is_some() })
}

/// A call control for one recording.
fn control(own: String, in_force: &InForce, both: bool) -> Result<Control, String> {
    if in_force.control.parties.is_none() {
        return Err("nobody listens: [listening] enabled = false".to_owned());
    }
    let parties = Some(if both { Parties::Both } else { Parties::Caller });
    let settings = ControlSettings { parties, ..in_force.control.clone() };
    // Nothing is connected, so that nothing has keys that anybody could guess.
    let random = Box::new(|octets: &mut [u8]| octets.fill(0));
    let engine = Engine::with_limit(in_force.policies.to_vec(), 1);
    let mut control = Control::new(settings, engine, Sounds::default(), own, random);
    if let Some(local) = in_force.settings.policy.zone.as_ref().and_then(|zone| zone.local(SystemTime::now())) {
        control.set_clock(BEGIN, local);
    }
    Ok(control)
}

fn time_of(samples: usize) -> Duration {
    BEGIN + Duration::from_micros(samples as u64 * 1_000_000 / u64::from(SAMPLE_RATE_HZ))
}

/// Call control, and where it tells what happens; everything else that it wants done is not.
struct Desk<T> {
    control: Control,
    commands: Vec<Command>,
    tell: T,
}

impl<T: FnMut(&Notice)> Desk<T> {
    /// The legs that are to be listened to: the customer's first.
    fn attended(&self) -> Vec<LegId> {
        let attended = |command: &Command| match command {
            Command::Attend { leg, on: true } => Some(*leg),
            _ => None,
        };
        self.commands.iter().filter_map(attended).collect()
    }

    fn handle(&mut self, now: Duration, input: Input) {
        self.control.handle(now, input, &mut self.commands);
        self.hand_out();
    }

    /// Lets time pass, deadline by deadline.
    fn pass(&mut self, until: Duration) {
        while let Some((at, _)) = self.control.deadline().filter(|(at, _)| *at <= until) {
            self.control.tick(at, &mut self.commands);
        }
        self.hand_out();
    }

    fn end(&mut self, now: Duration, call: &str, reason: &str) {
        let end = Order::EndChat { call: call.to_owned(), reason: reason.to_owned() };
        // Of a call that has ended there is nothing to end.
        let _ = self.control.order(now, end, &mut self.commands);
        self.pass(now + LAST_WORDS);
    }

    fn hand_out(&mut self) {
        for command in self.commands.drain(..) {
            if let Command::Notice(notice) = command {
                (self.tell)(&notice);
            }
        }
    }
}

/// What hears: voices, turns and words.
struct Ears {
    listener: Listener,
    recognizer: Option<Box<dyn Recognizer>>,
    conversations: Conversations,
}

impl Ears {
    fn new(in_force: &InForce, legs: &[LegId], language: Option<Language>) -> Result<Ears, String> {
        // Nothing is compared here.
        let listening = in_force.settings.listening.clone();
        let listening = ListeningSettings { shadow_model: None, shadow_text_model: None, ..listening };
        let (files, _) = JudgeFiles::read_some(&listening).map_err(|(key, why)| format!("{key}: {why}"))?;
        let judges = files.load();
        let mut listener = Listener::new(judges.acoustic, ListenerSettings::default()).with_reader(judges.reader);
        let wanted = in_force.settings.recognition.as_ref().zip(language);
        let mut recognizer = wanted.and_then(|(wanted, language)| {
            let files = RecognizerFiles::read(&wanted.models, &wanted.phrases, &wanted.engine, &wanted.trusted);
            let loaded = files.and_then(|files| files.load_for(language));
            loaded.inspect_err(|why| tracing::warn!(why, "a recording is listened to without words")).ok()
        });
        let mut conversations = Conversations::default();
        conversations.follow(legs.iter().map(|leg| (*leg, CALL)));
        for leg in legs {
            listener.add(PartyId(leg.0));
            if let Some((recognizer, language)) = recognizer.as_mut().zip(language) {
                recognizer.open(PartyId(leg.0), language);
            }
        }
        Ok(Ears { listener, recognizer, conversations })
    }

    /// Takes one packet of a party: the beginning of `samples`, silence once there are none.
    fn push(&mut self, leg: LegId, samples: &[f32]) {
        let mut packet = [0.0; PACKET];
        let there = samples.len().min(PACKET);
        packet[..there].copy_from_slice(&samples[..there]);
        self.listener.push(PartyId(leg.0), &packet);
        if let Some(recognizer) = &mut self.recognizer {
            recognizer.push(PartyId(leg.0), &packet);
        }
    }

    /// Listens to what was pushed.
    fn listen(&mut self, mut tell: impl FnMut(Input)) {
        let mut transcripts = Vec::new();
        if let Some(recognizer) = &mut self.recognizer {
            recognizer.run(&mut transcripts);
        }
        self.read(transcripts, &mut tell);
        self.hear(&mut tell);
    }

    /// Hears what was pushed, and reads what was said.
    fn hear(&mut self, tell: &mut impl FnMut(Input)) {
        let (mut observations, conversations) = (Vec::new(), &mut self.conversations);
        let mut hop = |party: PartyId, hop: &prosody::Row, speech: bool| {
            conversations.hear(LegId(party.0), Duration::ZERO, hop.position, speech);
        };
        self.listener.run_with(&mut hop, &mut observations);
        self.conversations.tell(|_, legs, turns| tell(Input::Turns { legs, turns }));
        observations.into_iter().for_each(|observation| tell(Input::Heard(Box::new(observation))));
    }

    /// Hears the last words, and what they say of how somebody feels.
    fn close(&mut self, legs: &[LegId], mut tell: impl FnMut(Input)) {
        let mut transcripts = Vec::new();
        if let Some(recognizer) = &mut self.recognizer {
            legs.iter().for_each(|leg| recognizer.close(PartyId(leg.0), &mut transcripts));
        }
        self.read(transcripts, &mut tell);
        self.hear(&mut tell);
    }

    fn read(&mut self, transcripts: Vec<nlu::recognition::Transcript>, tell: &mut impl FnMut(Input)) {
        for transcript in transcripts {
            if let Some(utterance) = transcript.utterance() {
                self.listener.hear(transcript.party, utterance);
            }
            tell(Input::Said(transcript));
        }
    }
}

/// The only call that there is.
const CALL: CallKey = CallKey(1);

#[cfg(test)]
mod tests {
    use nlu::recognition::{EngineKind, RecognizerFigures, Transcript, Word};

    use super::*;

    #[test]
    fn what_is_understood_only_at_the_end_is_read() {
        let leg = LegId(1);
        let reader = JudgeFiles::without_models().load().reader;
        let mut listener = Listener::new(None, ListenerSettings::default()).with_reader(reader);
        listener.add(PartyId(leg.0));
        let recognizer: Option<Box<dyn Recognizer>> = Some(Box::new(Slow));
        let mut ears = Ears { listener, recognizer, conversations: Conversations::default() };
        (0..100).for_each(|_| ears.push(leg, &[]));
        let mut told = Vec::new();
        ears.listen(|input| told.push(input));
        assert!(told.is_empty(), "{told:?}");
        ears.close(&[leg], |input| told.push(input));
        let [Input::Said(_), Input::Heard(heard)] = &told[..] else { panic!("{told:?}") };
        let words = heard.words.as_deref().expect("it is read");
        assert_eq!((words.start, words.end), (4_000, 12_000));
        assert!(words.words.iter().any(|found| found.word == "骗子"), "{words:?}");
    }

    /// Understands nothing before it is closed.
    struct Slow;

    impl Recognizer for Slow {
        fn open(&mut self, _: PartyId, _: Language) {}

        fn push(&mut self, _: PartyId, _: &[f32]) {}

        fn skip(&mut self, _: PartyId, _: u64) {}

        fn run(&mut self, _: &mut Vec<Transcript>) {}

        fn close(&mut self, party: PartyId, out: &mut Vec<Transcript>) {
            let text = "你们是骗子".to_owned();
            out.push(Transcript {
                party,
                engine: EngineKind::BuiltIn,
                is_final: true,
                start: 4_000,
                end: 12_000,
                words: vec![Word { text: text.clone(), start: 4_000, end: 12_000, confidence: 0.9 }],
                phrases: Vec::new(),
                text: Some(text),
            });
        }

        fn spare(&mut self, _: bool) {}

        fn languages(&self) -> Vec<Language> {
            Language::ALL.into()
        }

        fn name(&self) -> String {
            "slow".into()
        }

        fn figures(&self) -> RecognizerFigures {
            RecognizerFigures::default()
        }
    }
}
