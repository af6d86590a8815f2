//! Telephones that speak other codecs than each other, with and without SRTP: every side hears the other one, as one
//! stream, whatever is held, moved, said or protected.

use std::time::Duration;

use calmline::notice::What;
use loadtest::audio::Audio;
use loadtest::driver::{PhoneHandle, PhonePlan, Phones};
use loadtest::phone::Event;
use loadtest::stream::StreamPlan;
use media::Codec;
use media::srtp::Suite;

use crate::stage::{
    ANY, BOT_HZ, CALLER_HZ, RATE, Setup, Stage, continuous, eventually, expect, fixture, heard, more_packets, strength,
};
use crate::tones;

/// What the human says, Hz.
const HUMAN_HZ: u16 = 700;

/// How a telephone speaks.
#[derive(Debug, Clone, Copy)]
struct Speaks {
    codec: Codec,
    ptime_ms: u8,
    keys: Keys,
}

/// Whether it protects what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keys {
    None,
    Any,
    Only(Suite),
}

const fn plain(codec: Codec) -> Speaks {
    Speaks { codec, ptime_ms: 20, keys: Keys::None }
}

const fn secured(codec: Codec) -> Speaks {
    Speaks { keys: Keys::Any, ..plain(codec) }
}

impl Speaks {
    const fn with(self, suite: Suite) -> Speaks {
        Speaks { keys: Keys::Only(suite), ..self }
    }

    const fn in_packets_of(self, ptime_ms: u8) -> Speaks {
        Speaks { ptime_ms, ..self }
    }

    /// The line of the configuration that lets it speak like that.
    fn terms(self) -> &'static str {
        if self.keys == Keys::None { "srtp = \"off\"" } else { "srtp = \"required\"" }
    }

    fn phone(self, phones: &Phones, hz: u16) -> PhoneHandle {
        let plan = PhonePlan {
            codecs: vec![self.codec],
            audio: Audio::tone(hz, tones::PEAK as f32),
            stream: StreamPlan { ptime_ms: Some(self.ptime_ms), ..StreamPlan::default() },
            payload_type_first: 109,
            is_secured: self.keys != Keys::None,
            suite: if let Keys::Only(suite) = self.keys { Some(suite) } else { None },
            ..PhonePlan::new(ANY)
        };
        phones.add(plan).expect("a free port")
    }
}

/// A server between a caller, a bot and a human, each of whom speaks in an own way.
struct Trio {
    stage: Stage,
    caller: PhoneHandle,
    bot: PhoneHandle,
    human: PhoneHandle,
    /// Ended after the telephones.
    _phones: Phones,
}

impl Trio {
    fn set(name: &str, [caller, bot, human]: [Speaks; 3], policy: Option<&str>) -> Trio {
        let phones = Phones::start().expect("a thread");
        let speakers = [(caller, CALLER_HZ), (bot, BOT_HZ), (human, HUMAN_HZ)];
        let [calling, answering, moved_to] = speakers.map(|(speaks, hz)| speaks.phone(&phones, hz));
        let target = |name: &str, phone: &PhoneHandle, speaks: Speaks| {
            format!("[targets.{name}]\nuri = \"{}\"\n{}\n\n", phone.uri(), speaks.terms())
        };
        let targets = target("near", &answering, bot) + &target("agent", &moved_to, human) + "[targets.human]";
        let route = format!("targets = [\"near\"]\n{}", caller.terms());
        let mut setup = Setup::named(name);
        let edits = [("[targets.human]", &*targets), ("targets = [\"bot\"]", &*route)];
        setup.edits = &edits;
        setup.policy = policy;
        let stage = Stage::set(setup);
        Trio { stage, caller: calling, bot: answering, human: moved_to, _phones: phones }
    }

    /// Calls, and waits until both sides have heard two seconds.
    fn call(&self) {
        let target = format!("sip:support@{}", self.stage.server.addresses.sip);
        self.caller.call(&target, &[]).expect("an order");
        expect(&self.caller, "the answer", |event| *event == Event::Answered);
        eventually("two seconds of audio", || {
            [&self.caller, &self.bot].iter().all(|phone| phone.heard().samples.len() > 2 * RATE)
        });
    }

    fn hang_up(self) {
        self.caller.hang_up().expect("an order");
        self.stage.until("the end", |what| matches!(what, What::CallEnded { packets_lost: 0, .. }));
        self.stage.is_empty();
    }
}

/// One stream without loss, all that `speaker` said and as loud as it was said, and nothing of one's own.
#[track_caller]
fn hears(who: &str, hearer: &PhoneHandle, hz: u16, own_hz: u16, speaker: &PhoneHandle) {
    let (said, recording) = (speaker.heard().stats.audio_sent, hearer.heard());
    continuous(who, &recording.stats);
    let received = received(&recording.samples);
    let (other, own) = (tones::heard(&received, hz), tones::heard(&received, own_hz));
    println!("{who}: {other:?} of {hz} Hz; {:.3} of its own", own.level);
    assert_eq!(recording.stats.unexpected, 0, "{who}: packets that were not agreed");
    // What was said while this was asked, and what waits for a packet to be full.
    let missing = said.saturating_sub(recording.stats.audio_received);
    assert!(missing < Duration::from_millis(300), "{who}: {missing:?} of {said:?} is missing");
    assert!((0.9..1.1).contains(&(other.level / tones::PEAK)), "{who} heard {other:?}");
    assert!(other.seconds > 1.0 && other.pure > 0.93, "{who} heard {other:?}");
    assert!(own.level < 0.01, "{who} heard itself: {own:?}");
}

/// A recording without the zeros that stand for time in which nothing was sent: on a busy machine a telephone pauses.
fn received(samples: &[i16]) -> Vec<i16> {
    let pieces = samples.chunks(RATE / 100);
    pieces.filter(|piece| piece.iter().any(|&sample| sample != 0)).flatten().copied().collect()
}

/// Two telephones call; both hear each other.
#[track_caller]
fn check(name: &str, caller: Speaks, bot: Speaks) {
    println!("{caller:?} calls {bot:?}");
    let trio = Trio::set(name, [caller, bot, bot], None);
    trio.call();
    hears("the caller", &trio.caller, BOT_HZ, CALLER_HZ, &trio.bot);
    hears("the bot", &trio.bot, CALLER_HZ, BOT_HZ, &trio.caller);
    trio.hang_up();
}

#[test]
fn narrow_and_wide_are_transcoded_both_ways() {
    check("pcmu-opus", plain(Codec::Pcmu), plain(Codec::Opus));
    check("opus-pcmu", plain(Codec::Opus), plain(Codec::Pcmu));
    check("g722-pcma", plain(Codec::G722), plain(Codec::Pcma));
    check("pcma-g722", plain(Codec::Pcma), plain(Codec::G722));
    check("opus-g722", plain(Codec::Opus), plain(Codec::G722));
}

/// Packets of 30 and 40 ms against 20: neither side gets what it did not ask for.
#[test]
fn packets_of_other_lengths_are_put_together() {
    check("ptime-30-20", plain(Codec::Pcma).in_packets_of(30), plain(Codec::Opus));
    check("ptime-20-40", plain(Codec::Pcmu), plain(Codec::Opus).in_packets_of(40));
    check("ptime-60-20", plain(Codec::Opus).in_packets_of(60), plain(Codec::G722));
    check("ptime-same-codec", plain(Codec::Pcma).in_packets_of(40), plain(Codec::Pcma));
}

#[test]
fn a_protected_side_and_a_plain_one() {
    check("srtp-rtp", secured(Codec::Pcma), plain(Codec::Pcma));
    check("rtp-srtp", plain(Codec::Pcma), secured(Codec::Pcma));
    check("srtp-rtp-opus", secured(Codec::Opus), plain(Codec::Pcmu));
}

#[test]
fn both_sides_protected_each_by_its_own_suite() {
    let caller = secured(Codec::Pcma);
    check("suites-256-80", caller.with(Suite::AeadAes256Gcm), secured(Codec::Pcma));
    check("suites-32-80", caller.with(Suite::AesCm128HmacSha1Tag32), secured(Codec::Pcma));
    check("suites-128-opus", caller.with(Suite::AeadAes128Gcm), secured(Codec::Opus));
}

/// Key 1 brings the human, key 2 a sound.
const KEYS: &str = r#"
name = "keys"
version = 1
scenarios = ["*"]
[[rule]]
id = "human"
when = { key = "1" }
then = [{ reroute = "bridge", target = "agent" }]
[[rule]]
id = "sound"
when = { key = "2" }
then = [{ prompt = "please-wait.wav", mode = "replace" }]
"#;

#[test]
fn hold_resume_and_a_human_with_another_codec() {
    let trio = Trio::set("moved", [secured(Codec::Opus), plain(Codec::Pcma), secured(Codec::G722)], Some(KEYS));
    trio.call();

    trio.caller.hold().expect("an order");
    expect(&trio.caller, "the answer to hold", |event| matches!(event, Event::OfferAnswered { status: 200, .. }));
    std::thread::sleep(Duration::from_millis(300));
    let before = trio.caller.heard().stats.packets_received;
    std::thread::sleep(Duration::from_secs(1));
    let during = trio.caller.heard().stats.packets_received - before;
    assert!(during <= 2, "{during} packets came while the call was held");
    trio.caller.resume().expect("an order");
    expect(&trio.caller, "the answer to resume", |event| matches!(event, Event::OfferAnswered { status: 200, .. }));
    more_packets("two seconds of audio", &trio.caller, 100);
    assert!(strength(&trio.caller.heard().samples, BOT_HZ) > 0.25);

    trio.caller.press("1").expect("an order");
    trio.stage.until("the human", |what| matches!(what, What::Rerouted { .. }));
    more_packets("two seconds with the human", &trio.human, 100);
    let human = received(&trio.human.heard().samples);
    continuous("the human", &trio.human.heard().stats);
    assert!(strength(&human, CALLER_HZ) > 0.25 && strength(&human, HUMAN_HZ) < 0.01);
    let caller = trio.caller.heard();
    continuous("the caller", &caller.stats);
    assert!(strength(&caller.samples, HUMAN_HZ) > 0.25 && strength(&caller.samples, BOT_HZ) < 0.01);
    trio.hang_up();
}

#[test]
fn a_prompt_into_a_protected_opus_stream() {
    let trio = Trio::set("prompt", [secured(Codec::Opus), plain(Codec::Pcmu), plain(Codec::Pcmu)], Some(KEYS));
    trio.call();
    trio.caller.press("2").expect("an order");
    trio.stage.until("the end of the prompt", |what| matches!(what, What::PromptEnded { completed: true, .. }));
    more_packets("two seconds of the bot", &trio.caller, 100);
    let caller = trio.caller.heard();
    continuous("the caller", &caller.stats);
    assert!(heard(&caller.samples, &fixture("config/prompts/please-wait.wav")[..2 * RATE]), "the prompt");
    assert!(strength(&caller.samples, BOT_HZ) > 0.25, "the bot after the prompt");
    // What was injected has not become a delay: the tone stops at the caller as soon as the bot falls silent.
    trio.bot.say(Audio::Silence).expect("an order");
    std::thread::sleep(Duration::from_secs(1));
    let silent_at = trio.caller.heard().samples.len();
    more_packets("half a second of silence", &trio.caller, 25);
    let after = tones::heard(&trio.caller.heard().samples[silent_at..], BOT_HZ);
    assert_eq!(after.seconds, 0.0, "a second after the bot fell silent the caller still hears {after:?}");
    trio.hang_up();
}
