//! Listens to many parties at once: audio goes in per party, observations come out.
//!
//! Batches whatever windows are ready across parties into one run of the model and never waits to fill a batch.
//! Never blocks and never fails: without a model, or when it breaks, signal processing goes on alone and says so.

use std::collections::{BTreeMap, VecDeque};

use prosody::Row as Hop;
use prosody::baseline::Usual;

use crate::features::{Extractor, FEATURES, HOP, Row};
use crate::fusion::{USUAL, Utterance, Words, fuse};
use crate::model::{AcousticModel, as_voice};
use crate::observation::{Evidence, Observation, PartyId, Source};
use crate::settings::ListenerSettings;
use crate::signal::{doubt, fuse_anger, signal_anger};
use crate::text::TextReader;
use crate::timeline::Timeline;

/// Lost audio up to this long is taken as silence; longer gaps start the window afresh. Samples (200 ms).
const SILENCE_SAMPLES_MAX: u64 = 1_600;

/// Utterances that wait per party; beyond that the oldest are left unread and counted.
const UTTERANCES_MAX: usize = 8;
/// A voice that was heard so long ago still belongs to the words that come now. Samples (2 s).
const VOICE_SAMPLES_MAX: u64 = 16_000;

/// Called with every hop of every party, in order per party; the flag says whether it is speech.
pub type PartyHopSink<'a> = &'a mut dyn FnMut(PartyId, &Hop, bool);

/// The listening side of all parties of one thread.
#[derive(Debug)]
pub struct Listener {
    model: Option<AcousticModel>,
    reader: TextReader,
    settings: ListenerSettings,
    parties: BTreeMap<PartyId, Party>,
    model_failures: u64,
    spared: bool,
    rows: Vec<(PartyId, Row)>,
}

/// What is held per party: about 350 KiB and at most `pending_samples_max` samples.
#[derive(Debug)]
struct Party {
    pending: VecDeque<f32>,
    extractor: Extractor,
    timeline: Timeline,
    dropped: u64,
    utterances: VecDeque<Utterance>,
    unread: u64,
    words: Option<Words>,
    /// The last judgement of the voice.
    voice: Option<Voice>,
    /// Position of the last observation.
    observed: u64,
}

/// What the voice alone said at a position.
#[derive(Debug, Clone, Copy)]
struct Voice {
    position: u64,
    probabilities: [f32; 4],
    anger: f32,
    evidence: Evidence,
    source: Source,
}

impl Listener {
    /// A listener without parties. Without a model every observation's source is [`Source::SignalOnly`].
    pub fn new(model: Option<AcousticModel>, settings: ListenerSettings) -> Self {
        let (reader, parties) = (TextReader::default(), BTreeMap::new());
        Self { model, reader, settings, parties, model_failures: 0, spared: false, rows: Vec::new() }
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

    /// Starts listening to `party` at position 0; a party that is already there starts again.
    pub fn add(&mut self, party: PartyId) {
        let mut fresh = Party {
            pending: VecDeque::new(),
            extractor: Extractor::default(),
            timeline: Timeline::default(),
            dropped: 0,
            utterances: VecDeque::new(),
            unread: 0,
            words: None,
            voice: None,
            observed: 0,
        };
        fresh.extractor.spare(self.spared);
        self.parties.insert(party, fresh);
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

    /// Takes what `party` said; the next [`Listener::run`] reads it. Of an unknown party it is ignored.
    ///
    /// Beyond 8 that wait, the oldest are left unread and counted.
    pub fn hear(&mut self, party: PartyId, utterance: Utterance) {
        let Some(party) = self.parties.get_mut(&party) else { return };
        if party.utterances.len() == UTTERANCES_MAX {
            party.utterances.pop_front();
            party.unread += 1;
        }
        party.utterances.push_back(utterance);
    }

    /// Tells that `samples` of `party` are lost before they came here; positions go on behind them.
    pub fn skip(&mut self, party: PartyId, samples: u64) {
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
        self.read(out);
        let mut rows = std::mem::take(&mut self.rows);
        for (id, party) in &mut self.parties {
            party.extract(*id, hops, &mut rows);
        }
        for batch in rows.chunks(self.settings.batch_max.max(1)) {
            self.judge(batch, out);
        }
        rows.clear();
        self.rows = rows;
    }

    /// The position behind the last sample of `party` that was taken, dropped or lost; `None` for an unknown party.
    /// What others say of the party's audio, e.g. where words stand in it, counts on the same axis.
    pub fn position(&self, party: PartyId) -> Option<u64> {
        self.parties.get(&party).map(|party| party.extractor.position() + party.pending.len() as u64)
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
        self.parties.get(&party).map_or(0, |party| party.unread)
    }

    /// Parties listened to.
    pub fn parties(&self) -> usize {
        self.parties.len()
    }

    /// Runs of the model that failed and were judged by signal processing alone.
    pub fn model_failures(&self) -> u64 {
        self.model_failures
    }

    /// What reads the words.
    pub fn reader(&self) -> &TextReader {
        &self.reader
    }

    /// The acoustic model in use.
    pub fn model(&self) -> Option<&AcousticModel> {
        self.model.as_ref()
    }

    fn judge(&mut self, batch: &[(PartyId, Row)], out: &mut Vec<Observation>) {
        let judged = self.model.as_mut().and_then(|model| {
            let values: Vec<&[f32; FEATURES]> = batch.iter().map(|(_, row)| &*row.values).collect();
            let judged = model.judge(&values);
            self.model_failures += u64::from(judged.is_err());
            judged.ok()
        });
        for (i, (id, row)) in batch.iter().enumerate() {
            let Some(party) = self.parties.get_mut(id) else { continue };
            let signal = signal_anger(row);
            let (probabilities, anger, source) = match &judged {
                Some(judged) => {
                    let voice = as_voice(&judged[i]);
                    let known = row.values[FEATURES - 1];
                    (voice, fuse_anger(doubt(voice[1], known), signal), Source::Model)
                }
                None => ([1.0 - signal, signal, 0.0, 0.0], signal, Source::SignalOnly),
            };
            party.voice = Some(Voice { position: row.position, probabilities, anger, evidence: row.evidence, source });
            out.push(party.observe(*id, &self.settings, row.position, None));
        }
    }

    /// Reads the utterances of all parties in one go; each is an observation.
    fn read(&mut self, out: &mut Vec<Observation>) {
        let mut waiting = Vec::new();
        for (id, party) in &mut self.parties {
            waiting.extend(party.utterances.drain(..).map(|utterance| (*id, utterance)));
        }
        let texts: Vec<&str> = waiting.iter().map(|(_, utterance)| utterance.text.as_str()).collect();
        for (reading, (id, utterance)) in self.reader.read(&texts).into_iter().zip(&waiting) {
            let Some(party) = self.parties.get_mut(id) else { continue };
            let words = Words::new(utterance, reading);
            let step_s = words.step_s();
            party.words = Some(words);
            out.push(party.observe(*id, &self.settings, utterance.end, Some(step_s)));
        }
    }
}

impl Party {
    /// What voice and words say together at `position`, or at the last observation where that is later, as a step of the
    /// timeline; `step_s` for how long it counts, the time since the last one if `None`.
    fn observe(&mut self, id: PartyId, settings: &ListenerSettings, position: u64, step_s: Option<f32>) -> Observation {
        let position = position.max(self.observed);
        let heard = self.voice.filter(|voice| position.saturating_sub(voice.position) <= VOICE_SAMPLES_MAX);
        let voice = heard.map_or((USUAL, USUAL[1]), |voice| (voice.probabilities, voice.anger));
        self.words.take_if(|words| !words.count_at(position));
        let (probabilities, anger) = fuse(voice, self.words.as_ref(), position);
        let moment = match step_s {
            Some(step_s) => self.timeline.step_by(settings, position, step_s, &probabilities, anger),
            None => self.timeline.step(settings, position, &probabilities, anger),
        };
        self.observed = position;
        Observation {
            party: id,
            position,
            emotion: moment.emotion,
            level: moment.level,
            anger: moment.anger,
            trend_per_s: moment.trend_per_s,
            probabilities,
            evidence: heard.map(|voice| voice.evidence).unwrap_or_default(),
            source: heard.map_or(Source::WordsOnly, |voice| voice.source),
            words: self.words.as_ref().map(|words| words.evidence.clone()),
        }
    }

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
