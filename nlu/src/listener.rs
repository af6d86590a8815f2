//! Listens to many parties at once: audio goes in per party, observations come out.
//!
//! Batches whatever windows are ready across parties into one run of the model and never waits to fill a batch.
//! Never blocks and never fails: without a model, or when it breaks, signal processing goes on alone and says so.

use std::collections::{BTreeMap, VecDeque};

use prosody::Row as Hop;
use prosody::baseline::Usual;

use crate::expression::Expression;
use crate::features::{Extractor, HOP, Row};
use crate::fusion::{Utterance, Words};
use crate::model::{AcousticModel, CLASSES};
use crate::mood::Mood;
use crate::observation::{Observation, PartyId};
use crate::settings::ListenerSettings;
use crate::sound::{Memories, Memory};
use crate::steps::{Recorder, Steps, What};
use crate::text::TextReader;

/// Lost audio up to this long is taken as silence; longer gaps start the window afresh. Samples (200 ms).
const SILENCE_SAMPLES_MAX: u64 = 1_600;

/// Utterances and expressions that wait per party, each; beyond that the oldest utterances are left unread and counted,
/// and the oldest expressions unseen.
const WAITING_MAX: usize = 8;

/// Called with every hop of every party, in order per party; the flag says whether it is speech.
pub type PartyHopSink<'a> = &'a mut dyn FnMut(PartyId, &Hop, bool);

/// The listening side of all parties of one thread.
#[derive(Debug)]
pub struct Listener {
    model: Option<AcousticModel>,
    reader: TextReader,
    settings: ListenerSettings,
    parties: BTreeMap<PartyId, Party>,
    /// Parties of whom there is no audio: they write.
    writers: BTreeMap<PartyId, Writer>,
    model_failures: u64,
    /// Why the last run of the model judged nothing, or not by the sound.
    model_failure: Option<String>,
    spared: bool,
    rows: Vec<(PartyId, Row)>,
    recorder: Option<Recorder>,
}

/// What is held per party: about 350 KiB, 100 to 250 more where its sound is listened to, and at most `pending_samples_max` samples.
#[derive(Debug)]
struct Party {
    pending: VecDeque<f32>,
    extractor: Extractor,
    /// `None` where its sound is not listened to.
    sound: Option<Memory>,
    dropped: u64,
    said: Said,
}

/// What is held per party without audio; small.
#[derive(Debug)]
struct Writer {
    position: u64,
    said: Said,
}

/// How a party feels, and what of its words and expressions waits to be taken up.
#[derive(Debug, Default)]
struct Said {
    mood: Mood,
    utterances: VecDeque<Utterance>,
    expressions: VecDeque<Expression>,
    unread: u64,
}

impl Listener {
    /// A listener without parties. Without a model every observation's source is [`crate::Source::SignalOnly`].
    pub fn new(model: Option<AcousticModel>, settings: ListenerSettings) -> Self {
        Self {
            model,
            reader: TextReader::default(),
            settings,
            parties: BTreeMap::new(),
            writers: BTreeMap::new(),
            model_failures: 0,
            model_failure: None,
            spared: false,
            rows: Vec::new(),
            recorder: None,
        }
    }

    /// The same, reading with `reader` what parties say; without one, words say nothing.
    #[must_use]
    pub fn with_reader(mut self, reader: TextReader) -> Self {
        self.read_by(reader);
        self
    }

    /// Reads with `reader` from now on.
    pub fn read_by(&mut self, reader: TextReader) {
        self.reader = reader;
    }

    /// Judges voices by `model` from now on; baselines and timelines go on. Who is there already is judged by the sound only when the
    /// model before did so, too.
    pub fn judge_by(&mut self, model: Option<AcousticModel>) {
        self.model = model;
        self.model_failure = None;
    }

    /// Records from now on what is judged, beginning with the parties as they are; or no more.
    pub fn record(&mut self, recorded: bool) {
        let heard = self.parties.iter().map(|(id, party)| (*id, &party.said));
        let all = heard.chain(self.writers.iter().map(|(id, writer)| (*id, &writer.said)));
        self.recorder = recorded.then(|| Recorder::new(all.map(|(id, said)| (id, said.mood.clone()))));
    }

    /// What was recorded since it was last taken. What is not taken before the next run is shed and counted.
    pub fn take_steps(&mut self) -> Steps {
        self.recorder.as_mut().map(Recorder::take).unwrap_or_default()
    }

    /// Starts listening to `party` at position 0; a party that is already there starts again.
    pub fn add(&mut self, party: PartyId) {
        self.forget(party);
        self.parties.remove(&party);
        let sound = self.hears_one_more().then(Memory::default);
        let mut extractor = Extractor::hearing(sound.is_some());
        extractor.spare(self.spared);
        let fresh = Party { pending: VecDeque::new(), extractor, sound, dropped: 0, said: Said::default() };
        self.parties.insert(party, fresh);
    }

    /// Whether there is a model of the sound, and room for one more party that it hears.
    fn hears_one_more(&self) -> bool {
        let heard = || self.parties.values().filter(|party| party.sound.is_some()).count();
        self.model.as_ref().is_some_and(AcousticModel::hears_sound) && heard() < self.settings.sound_parties_max
    }

    /// As [`Listener::add`], of a party who writes and of whom there is no audio: positions go on by [`Listener::skip`]
    /// alone, and samples are ignored.
    pub fn add_writer(&mut self, party: PartyId) {
        let said = Said { mood: Mood::of_writer(), ..Said::default() };
        self.forget(party);
        self.writers.insert(party, Writer { position: 0, said });
    }

    /// Whether work is spared from now on: parties are judged every second instead of every half one, and how they speak
    /// (`delivery`) is not followed. Voice activity and the speaker's baseline are.
    pub fn spare(&mut self, spared: bool) {
        if self.spared != spared {
            self.spared = spared;
            self.parties.values_mut().for_each(|party| party.extractor.spare(spared));
        }
    }

    /// As [`Listener::add`], of a party whose speaker is known from earlier calls.
    pub fn add_known(&mut self, party: PartyId, usual: Usual) {
        self.add(party);
        if let Some(party) = self.parties.get_mut(&party) {
            party.extractor.resume(usual);
        }
    }

    /// Lets observations of `party` tell the functionals of eGeMAPSv02 too, of what it says from now on; nothing for an
    /// unknown party.
    pub fn tell_functionals(&mut self, party: PartyId) {
        if let Some(party) = self.parties.get_mut(&party) {
            party.extractor.tell_functionals();
        }
    }

    /// What is usual for the speaker of `party`; `None` before 3 s of speech, or for an unknown party.
    pub fn usual(&self, party: PartyId) -> Option<&Usual> {
        self.parties.get(&party)?.extractor.usual()
    }

    /// Forgets `party` and what is left of its audio.
    pub fn remove(&mut self, party: PartyId) {
        self.parties.remove(&party);
        self.writers.remove(&party);
        self.forget(party);
    }

    /// Records that `party` is another one from now on, or gone.
    fn forget(&mut self, party: PartyId) {
        if let Some(recorder) = &mut self.recorder {
            recorder.forget(party);
        }
    }

    /// Takes the next samples of `party` (8 kHz, [-1, 1]); those of an unknown party are ignored.
    ///
    /// Beyond `pending_samples_max` the oldest unprocessed samples are dropped and counted; positions keep counting.
    pub fn push(&mut self, party: PartyId, samples: &[f32]) {
        let Some(party) = self.parties.get_mut(&party) else { return };
        party.pending.extend(samples);
        let bound = self.settings.pending_samples_max.max(2 * HOP);
        let over = party.pending.len().saturating_sub(bound);
        if over > 0 {
            // Half the bound at once: what stays is long enough to be judged, however long the overload lasts.
            party.drop_oldest(over.max(bound / 2).next_multiple_of(HOP));
        }
    }

    /// As [`Listener::push`], of samples that were made up because packets did not come.
    pub fn push_concealed(&mut self, party: PartyId, samples: &[f32]) {
        if let Some(party) = self.parties.get_mut(&party) {
            party.extractor.lose(party.pending.len() as u64, samples.len() as u64);
        }
        self.push(party, samples);
    }

    /// Tells what share of the packets of `party` of the last 10 s did not come, 0-1: whoever receives them knows also what was
    /// too long to be made up, and that a sender who is silent loses nothing. Of an unknown party it is ignored.
    pub fn tell_lost(&mut self, party: PartyId, share: f32) {
        if let Some(party) = self.parties.get_mut(&party) {
            party.extractor.tell_lost(share);
        }
    }

    /// Takes what `party` said; the next [`Listener::run`] reads it. Of an unknown party it is ignored.
    ///
    /// Beyond 8 that wait, the oldest are left unread and counted.
    pub fn hear(&mut self, party: PartyId, utterance: Utterance) {
        let Some(said) = self.said(party) else { return };
        if said.utterances.len() == WAITING_MAX {
            said.utterances.pop_front();
            said.unread += 1;
        }
        said.utterances.push_back(utterance);
    }

    /// Takes what `party` showed; the next [`Listener::run`] looks at it. Of an unknown party it is ignored.
    pub fn see(&mut self, party: PartyId, expression: Expression) {
        let Some(said) = self.said(party) else { return };
        if said.expressions.len() == WAITING_MAX {
            said.expressions.pop_front();
        }
        said.expressions.push_back(expression);
    }

    /// Tells that `samples` of `party` are lost before they came here; positions go on behind them.
    pub fn skip(&mut self, party: PartyId, samples: u64) {
        if let Some(writer) = self.writers.get_mut(&party) {
            writer.position += samples;
        }
        let Some(party) = self.parties.get_mut(&party) else { return };
        party.dropped += samples;
        if samples <= SILENCE_SAMPLES_MAX {
            party.extractor.lose(party.pending.len() as u64, samples);
            party.pending.extend(std::iter::repeat_n(0.0, samples as usize));
            return;
        }
        let waiting = party.pending.len();
        party.drop_oldest(waiting);
        party.extractor.skip_to(party.extractor.position() + samples);
    }

    /// Works through everything pushed so far and appends the observations, per party in order of position.
    pub fn run(&mut self, out: &mut Vec<Observation>) {
        self.run_with(&mut |_, _, _| {}, out);
    }

    /// As [`Listener::run`], and shows every hop to `hops`.
    pub fn run_with(&mut self, hops: PartyHopSink<'_>, out: &mut Vec<Observation>) {
        if let Some(recorder) = &mut self.recorder {
            recorder.shed();
        }
        self.read(out);
        let mut rows = std::mem::take(&mut self.rows);
        for (id, party) in &mut self.parties {
            party.extract(*id, hops, &mut rows);
        }
        let batch_max = self.settings.batch_max.max(1);
        while !rows.is_empty() {
            self.judge(rows.drain(..batch_max.min(rows.len())).collect(), out);
        }
        self.rows = rows;
    }

    /// The position behind the last sample of `party` that was taken, dropped or lost; `None` for an unknown party.
    /// What others say of the party's audio, e.g. where words stand in it, counts on the same axis.
    pub fn position(&self, party: PartyId) -> Option<u64> {
        let written = || self.writers.get(&party).map(|writer| writer.position);
        let heard = |party: &Party| party.extractor.position() + party.pending.len() as u64;
        self.parties.get(&party).map(heard).or_else(written)
    }

    /// Unprocessed samples, all parties together.
    pub fn samples_behind(&self) -> u64 {
        self.parties.values().map(|party| party.pending.len() as u64).sum()
    }

    /// Samples of `party` that were dropped or lost so far; 0 for an unknown party.
    pub fn samples_dropped(&self, party: PartyId) -> u64 {
        self.parties.get(&party).map_or(0, |party| party.dropped)
    }

    /// Utterances of `party` that were left unread so far; 0 for an unknown party.
    pub fn utterances_unread(&self, party: PartyId) -> u64 {
        let heard = self.parties.get(&party).map(|party| &party.said);
        heard.or_else(|| Some(&self.writers.get(&party)?.said)).map_or(0, |said| said.unread)
    }

    /// Parties listened to, and those who write.
    pub fn parties(&self) -> usize {
        self.parties.len() + self.writers.len()
    }

    /// Runs of the model that failed, or refused some of the windows, which were judged by signal processing alone.
    pub fn model_failures(&self) -> u64 {
        self.model_failures
    }

    /// Why the last run of the model judged nothing, or not by the sound; `None` when it did, or there was none.
    pub fn model_failure(&self) -> Option<&str> {
        self.model_failure.as_deref()
    }

    /// What reads the words.
    pub fn reader(&self) -> &TextReader {
        &self.reader
    }

    /// The acoustic model in use.
    pub fn model(&self) -> Option<&AcousticModel> {
        self.model.as_ref()
    }

    fn judge(&mut self, batch: Vec<(PartyId, Row)>, out: &mut Vec<Observation>) {
        let judged = self.run_model(&batch);
        for (index, (id, mut row)) in batch.into_iter().enumerate() {
            // Whoever goes over it again hears no sound.
            row.steps = Vec::new();
            let Some(party) = self.parties.get_mut(&id) else { continue };
            let mood = &mut party.said.mood;
            let judged = judged.get(index).copied().flatten();
            let observed = mood.hear(id, &self.settings, &row, judged.as_ref());
            if let Some(recorder) = &mut self.recorder {
                recorder.record(mood, &observed, What::Heard(Box::new(row), judged));
            }
            out.push(observed);
        }
    }

    /// How the model judges these windows; nothing where there is none, or its run fails.
    fn run_model(&mut self, batch: &[(PartyId, Row)]) -> Vec<Option<[f32; CLASSES]>> {
        let Some(model) = &mut self.model else { return Vec::new() };
        let (judged, failure) = model.hear(batch, &mut self.parties);
        self.model_failures += u64::from(failure.is_some() || judged.iter().any(Option::is_none));
        self.model_failure = failure.map(|error| error.to_string());
        judged
    }

    /// Reads the utterances of all parties in one go, and looks at what they show; each is an observation.
    fn read(&mut self, out: &mut Vec<Observation>) {
        let Self { parties, writers, reader, settings, recorder, .. } = self;
        let mut tell = |mood: &Mood, observed: Observation, what: What| {
            if let Some(recorder) = recorder {
                recorder.record(mood, &observed, what);
            }
            out.push(observed);
        };
        let heard = parties.iter_mut().map(|(id, party)| (*id, &mut party.said));
        let written = writers.iter_mut().map(|(id, writer)| (*id, &mut writer.said));
        let mut waiting = Vec::new();
        for (id, said) in heard.chain(written) {
            waiting.extend(said.utterances.drain(..).map(|utterance| (id, utterance)));
            for expression in said.expressions.drain(..) {
                let observed = said.mood.see(id, settings, expression);
                tell(&said.mood, observed, What::Seen(expression));
            }
        }
        let texts: Vec<&str> = waiting.iter().map(|(_, utterance)| utterance.text.as_str()).collect();
        for (reading, (id, utterance)) in reader.read(&texts).into_iter().zip(waiting) {
            let said = parties.get_mut(&id).map(|party| &mut party.said);
            let Some(said) = said.or_else(|| Some(&mut writers.get_mut(&id)?.said)) else { continue };
            let observed = said.mood.read(id, settings, Words::new(&utterance, reading.clone()));
            tell(&said.mood, observed, What::Read(Box::new((utterance, reading))));
        }
    }

    fn said(&mut self, party: PartyId) -> Option<&mut Said> {
        let heard = self.parties.get_mut(&party).map(|party| &mut party.said);
        heard.or_else(|| Some(&mut self.writers.get_mut(&party)?.said))
    }
}

impl Memories<PartyId> for BTreeMap<PartyId, Party> {
    fn of(&mut self, whose: &PartyId) -> Option<&mut Memory> {
        self.get_mut(whose)?.sound.as_mut()
    }
}

impl Party {
    /// Drops the oldest pending samples; what comes next is a new beginning for the window.
    fn drop_oldest(&mut self, samples: usize) {
        let samples = samples.min(self.pending.len());
        self.pending.drain(..samples);
        self.dropped += samples as u64;
        if samples > 0 {
            self.extractor.skip_to(self.extractor.position() + samples as u64);
        }
    }

    fn extract(&mut self, id: PartyId, hops: PartyHopSink<'_>, rows: &mut Vec<(PartyId, Row)>) {
        let mut fresh = Vec::new();
        let mut sink = |hop: &Hop, speech: bool| hops(id, hop, speech);
        let (front, back) = self.pending.as_slices();
        self.extractor.push(front, &mut sink, &mut fresh);
        self.extractor.push(back, &mut sink, &mut fresh);
        self.pending.clear();
        rows.extend(fresh.into_iter().map(|row| (id, row)));
    }
}
