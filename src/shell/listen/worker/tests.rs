//! Words and voice of a party on one axis, in simulated time: packets in, utterances back, observations out.

use std::io::Cursor;

use media::g711::{Law, encode_sample};
use media::wav::{self, Channel};
use media::{Codec, Command, StreamSettings, TapFrame};
use nlu::recognition::{EngineKind, Language, LanguageChoice, Recognizer, RecognizerFigures, SpokenPhrase, Transcript};
use nlu::{SeenIn, Shown};
use tokio::sync::mpsc;

use super::super::{Baselines, Bench, Parties, UtteranceFigures, Utterances, Words};
use super::*;
use crate::judges::JudgeFiles;
use crate::shell::clock::Clock;
use crate::shell::media::TapRing;
use crate::shell::recognize::start_one;

const LEG: LegId = LegId(7);
const PARTY: PartyId = PartyId(7);
/// Samples of one packet.
const PACKET: u64 = 160;

#[test]
fn words_stand_where_they_were_said_in_the_partys_audio() {
    let mut room = Room::open();
    // The bursts begin at these samples of the RTP stream; packets are lost before and between them: a few, then 2 s.
    for (packets, is_loud, is_lost) in [
        (50, false, false),
        (3, false, true),
        (20, false, false),
        (25, true, false),
        (25, false, false),
        (100, false, true),
        (50, false, false),
        (30, true, false),
        (50, false, false),
    ] {
        (0..packets).for_each(|_| room.pass(is_loud, is_lost));
    }
    assert_eq!(room.hear_words(2), [(73 * PACKET, 98 * PACKET), (273 * PACKET, 303 * PACKET)]);
    let position = room.worker.listener.position(PARTY).expect("a party");
    assert!((350 * PACKET..=353 * PACKET).contains(&position), "{position} of {} samples", 353 * PACKET);
    assert_eq!(room.utterances.figures(), UtteranceFigures { read: 2, dropped: 0 });
}

#[test]
fn words_that_belong_to_nobody_or_to_other_times_are_dropped_and_counted() {
    let mut room = Room::open();
    (0..50).for_each(|_| room.pass(false, false));
    let said = |end: u64| Uttered::Spoken(Utterance { text: "骗子".into(), start: 0, end, confidence: 1.0 });
    room.utterances.push(LEG, said(60 * PACKET));
    room.utterances.push(LegId(8), said(PACKET));
    room.utterances.push(LEG, Uttered::Typed("骗子".into()));
    room.worker.take_words(Duration::from_secs(1));
    assert_eq!(room.utterances.figures(), UtteranceFigures { read: 1, dropped: 2 });
}

#[test]
fn who_writes_is_read_without_audio_at_the_time_of_the_clock() {
    let mut room = Room::open();
    let (writer, at) = (LegId(9), Duration::from_secs);
    let parties = Arc::clone(&room.worker.options.parties);
    parties.attend(writer, true);
    room.worker.follow_parties(at(10));
    room.utterances.push(writer, Uttered::Typed("骗子，滚".into()));
    let shown = Expression { shown: Shown::Anger, score: 0.9, seen_in: SeenIn::Emoji, position: 0 };
    room.utterances.push(writer, Uttered::Shown(shown));
    room.worker.take_words(at(12));
    room.utterances.push(writer, Uttered::Typed("滚".into()));
    room.worker.take_words(at(15));
    room.worker.listen(at(15));
    let of_writer = |observation: &&Observation| observation.party == PartyId(writer.0);
    let read: Vec<&Observation> = room.worker.heard.iter().filter(of_writer).collect();
    let at_s = |samples: u64| samples / u64::from(SAMPLE_RATE_HZ);
    assert_eq!(
        read.iter().map(|read| at_s(read.position)).collect::<Vec<_>>(),
        [2, 2, 5],
        "the face is looked at first"
    );
    assert_eq!(read[2].words.as_ref().map(|words| at_s(words.end)), Some(5));
    assert_eq!(read[0].expression.map(|seen| (seen.shown, at_s(seen.position))), Some((Shown::Anger, 2)));
    assert!(read.iter().all(|read| read.source == nlu::Source::WordsOnly));

    parties.attend(writer, false);
    room.worker.follow_parties(at(16));
    room.utterances.push(writer, Uttered::Typed("滚".into()));
    room.worker.take_words(at(17));
    assert_eq!(room.utterances.figures(), UtteranceFigures { read: 3, dropped: 1 });
}

#[test]
fn audio_begins_with_the_first_packet_that_has_any() {
    let mut room = Room::open();
    // Comfort noise for ten seconds, then a voice: whatever has a place in the audio is counted from there.
    (0..500).for_each(|_| room.pass_packet(13, None, &[70]));
    (0..50).for_each(|_| room.pass(true, false));
    room.worker.report();
    let at = Duration::from_millis(10_020);
    assert_eq!(room.told.try_recv(), Ok(Heard::Began { leg: LEG, at }));
    assert_eq!(room.worker.ears[&LEG].origin, Some(at));
    let position = room.worker.listener.position(PARTY).expect("a party");
    assert!((45 * PACKET..=50 * PACKET).contains(&position), "{position}");
}

#[test]
fn however_many_begin_at_once_all_are_told() {
    let mut room = Room::open();
    let parties = Arc::clone(&room.worker.options.parties);
    let legs: Vec<LegId> = (100..200).map(LegId).collect();
    for leg in &legs {
        parties.observe(&Command::Configure { leg: *leg, settings: StreamSettings::plain(None, Codec::Pcmu, 0) });
        parties.observe(&Command::Tap { leg: *leg, on: true });
    }
    room.worker.follow_parties(Duration::ZERO);
    let at = Duration::from_millis(20);
    for leg in &legs {
        room.tap.push(TapFrame::new(*leg, at, Some(Codec::Pcmu), &packet(0, 0, &[0; 160])).expect("a short packet"));
        room.worker.take_packets();
    }
    // Who goes before it was told is of no interest any more.
    parties.observe(&Command::Close { leg: legs[99] });
    room.worker.follow_parties(at);
    room.worker.report();
    let told: Vec<Heard> = std::iter::from_fn(|| room.told.try_recv().ok()).collect();
    let expected: Vec<Heard> = legs[..99].iter().map(|leg| Heard::Began { leg: *leg, at }).collect();
    assert_eq!(told, expected);
}

#[test]
fn a_burst_of_loss_is_told_whole_and_what_went_past_us_is_none() {
    let mut room = Room::open();
    let bytes = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/audio/calm-caller.wav"));
    let voice =
        wav::read(Cursor::new(bytes.expect("a fixture")), Channel::Mix).expect("a recording").to_sound().samples;
    let mut packets = voice.chunks_exact(PACKET as usize).cycle();
    let mut talk = |room: &mut Room, is_lost: &dyn Fn(u16) -> bool| -> Vec<f32> {
        room.worker.heard.clear();
        for number in 0..1_100 {
            let sound: Vec<u8> =
                packets.next().expect("a cycle").iter().map(|sample| encode_sample(Law::Mu, *sample)).collect();
            room.pass_packet(0, Some(Codec::Pcmu), if is_lost(number) { &[] } else { &sound });
        }
        let told = room.worker.heard.iter().filter_map(|heard| heard.evidence.delivery);
        told.map(|delivery| delivery.lost_share).collect()
    };
    // While a burst lasts nobody knows of it yet.
    let most = talk(&mut room, &|number| number % 100 < 25).into_iter().fold(0.0, f32::max);
    assert!((0.23..=0.27).contains(&most), "{most}");
    assert_eq!(talk(&mut room, &|_| false).last(), Some(&0.0), "it is over");
    // Half a minute goes past us.
    room.packets += 1_500;
    room.worker.options.parties.observe(&Command::Renew { leg: LEG });
    room.worker.follow_parties(Duration::from_secs(60));
    assert!(talk(&mut room, &|_| false).iter().all(|share| *share == 0.0));
}

#[test]
fn all_words_of_one_round_are_told_as_far_as_there_is_room() {
    let mut room = Room::open();
    let (writer, at) = (LegId(9), Duration::from_secs);
    room.worker.options.parties.attend(writer, true);
    room.worker.follow_parties(at(10));
    let read = |room: &mut Room, texts: &[&str]| -> Vec<u64> {
        texts.iter().for_each(|text| room.utterances.push(writer, Uttered::Typed((*text).to_owned())));
        room.worker.take_words(at(12));
        room.worker.listen(at(12));
        room.worker.report();
        let told = std::iter::from_fn(|| room.told.try_recv().ok());
        told.filter_map(|heard| if let Heard::Observation(heard) = heard { heard.words.clone() } else { None })
            .map(|words| words.number)
            .collect()
    };
    assert_eq!(read(&mut room, &["我要退货", "骗子"]), [1, 2]);
    assert_eq!(read(&mut room, &["喂"; 10]), [3, 4, 5, 6, 7, 8, 9, 10], "the oldest two are not read");
    assert_eq!(room.utterances.figures(), UtteranceFigures { read: 10, dropped: 2 });
}

#[test]
fn whoever_went_while_nobody_listened_is_let_go_of() {
    let room = Room::open();
    let options = Arc::clone(&room.worker.options);
    let recognizing = options.words.recognizing.clone().expect("a recogniser");
    assert_eq!(recognizing.heard_of(), [LEG]);
    drop(room.worker);
    options.parties.observe(&Command::Close { leg: LEG });
    let stays = LegId(8);
    options.parties.seat(
        stays,
        CallKey(2),
        Some(LanguageChoice { language: Language::Mandarin, by_ear: false }),
        false,
    );
    options.parties.observe(&Command::Configure { leg: stays, settings: StreamSettings::plain(None, Codec::Pcmu, 0) });
    options.parties.observe(&Command::Tap { leg: stays, on: true });
    let mut worker = Worker::new(options, Arc::new(State::default()), 2);
    worker.follow_parties(Duration::from_secs(1));
    assert_eq!(recognizing.heard_of(), [stays]);
}

/// A listening worker that nobody runs, with one party, and a recogniser behind it.
struct Room {
    worker: Worker,
    tap: Arc<TapRing>,
    utterances: Arc<Utterances>,
    told: mpsc::Receiver<Heard>,
    packets: u16,
}

impl Room {
    fn open() -> Self {
        let (tap, parties, utterances) = (Arc::new(TapRing::new(64)), Arc::new(Parties::default()), Arc::default());
        let (heard, told) = mpsc::channel(4_096);
        let load = || Ok(Box::new(Bursts::default()) as Box<dyn Recognizer>);
        let recognizing = start_one(Box::new(load), heard.clone(), Arc::clone(&utterances));
        let options = ListenOptions {
            tap: Arc::clone(&tap),
            parties: Arc::clone(&parties),
            clock: Clock::start(),
            bench: Arc::new(Bench::new(JudgeFiles::without_models())),
            chaos: None,
            baselines: Arc::new(Baselines::new().expect("random numbers")),
            on_restart: Box::new(|_| {}),
            barge_in: Duration::from_millis(480),
            words: Words { recognizing: Some(recognizing), utterances: Arc::clone(&utterances) },
            heard,
        };
        parties.seat(LEG, CallKey(1), Some(LanguageChoice { language: Language::Mandarin, by_ear: false }), false);
        let settings = StreamSettings::plain(None, Codec::Pcmu, 0);
        parties.observe(&Command::Configure { leg: LEG, settings });
        parties.observe(&Command::Tap { leg: LEG, on: true });
        let mut worker = Worker::new(Arc::new(options), Arc::new(State::default()), 1);
        worker.follow_parties(Duration::ZERO);
        Self { worker, tap, utterances, told, packets: 0 }
    }

    /// Lets 20 ms pass, with a packet unless it is lost.
    fn pass(&mut self, is_loud: bool, is_lost: bool) {
        let sound = [encode_sample(Law::Mu, if is_loud { 16_000 } else { 0 }); PACKET as usize];
        self.pass_packet(0, Some(Codec::Pcmu), if is_lost { &[] } else { &sound });
    }

    /// Lets 20 ms pass, with a packet of this payload unless there is none.
    fn pass_packet(&mut self, payload_type: u8, codec: Option<Codec>, payload: &[u8]) {
        let number = self.packets;
        self.packets += 1;
        let now = Duration::from_millis(20 * u64::from(self.packets));
        if !payload.is_empty() {
            let packet = packet(payload_type, number, payload);
            self.tap.push(TapFrame::new(LEG, now, codec, &packet).expect("a short packet"));
        }
        self.worker.take_packets();
        self.worker.listen(now);
    }

    /// Waits for so many utterances of the recogniser and lets the listener read them: where they stand in its evidence.
    fn hear_words(&mut self, utterances: usize) -> Vec<(u64, u64)> {
        for _ in 0..utterances {
            while !matches!(self.told.blocking_recv().expect("the recogniser works"), Heard::Said(_)) {}
        }
        self.worker.heard.clear();
        let now = Duration::from_millis(20 * u64::from(self.packets));
        self.worker.take_words(now);
        self.worker.listen(now);
        let mut words: Vec<(u64, u64)> = Vec::new();
        for read in self.worker.heard.iter().filter_map(|observation| observation.words.as_deref()) {
            words.push((read.start, read.end));
        }
        words.dedup();
        words
    }
}

/// An RTP packet, the 20 ms of this number.
fn packet(payload_type: u8, number: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, payload_type];
    packet.extend(number.to_be_bytes());
    packet.extend((u32::from(number) * PACKET as u32).to_be_bytes());
    packet.extend([1, 2, 3, 4]);
    packet.extend(payload);
    packet
}

/// Takes every loud stretch for a phrase.
#[derive(Default)]
struct Bursts {
    position: u64,
    began: Option<u64>,
    ended: Vec<(u64, u64)>,
}

impl Recognizer for Bursts {
    fn open(&mut self, _: PartyId, _: Language) {}

    fn push(&mut self, _: PartyId, samples: &[f32]) {
        for sample in samples {
            match self.began {
                None if *sample > 0.25 => self.began = Some(self.position),
                Some(began) if *sample < 0.25 => {
                    self.ended.push((began, self.position));
                    self.began = None;
                }
                _ => {}
            }
            self.position += 1;
        }
    }

    fn skip(&mut self, _: PartyId, samples: u64) {
        self.position += samples;
    }

    fn run(&mut self, out: &mut Vec<Transcript>) {
        out.extend(self.ended.drain(..).map(|(start, end)| {
            let (intent, text) = ("fraud".to_owned(), "你们是骗子".to_owned());
            let phrases = vec![SpokenPhrase { intent, text, start, end, confidence: 0.9 }];
            Transcript {
                party: PARTY,
                engine: EngineKind::Pocketsphinx,
                is_final: true,
                start,
                end,
                words: Vec::new(),
                phrases,
                text: None,
            }
        }));
    }

    fn close(&mut self, _: PartyId, _: &mut Vec<Transcript>) {}

    fn spare(&mut self, _: bool) {}

    fn languages(&self) -> Vec<Language> {
        Language::ALL.into()
    }

    fn name(&self) -> String {
        "bursts".into()
    }

    fn figures(&self) -> RecognizerFigures {
        RecognizerFigures::default()
    }
}
