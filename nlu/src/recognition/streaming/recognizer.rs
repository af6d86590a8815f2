//! Streaming models as a recogniser: parties in, transcripts out, all parties of a language in one run.

use std::collections::BTreeMap;

use super::endpoint::EndpointRules;
use super::frames::SAMPLES_PER_FRAME;
use super::model::{Stream, StreamingModel};
use super::path::Emitted;
use super::tokens::Spoken;
use crate::numbers::normalized;
use crate::observation::PartyId;
use crate::recognition::{EngineKind, Language, Listed, PhraseList, Recognizer, RecognizerFigures, Transcript};

/// Silence behind the end of a party's audio, so that its last words come out: samples (0.66 s, as sherpa-onnx's users do).
const AFTER: usize = 5_280;
/// Lost audio up to this long is taken as silence; longer gaps end an utterance. Samples (200 ms).
const SILENCE_SAMPLES_MAX: u64 = 1_600;

/// Takes dictation of many parties.
#[derive(Debug)]
pub struct StreamingRecognizer {
    shards: Vec<Shard>,
    /// Which shard each party belongs to.
    places: BTreeMap<PartyId, usize>,
    spared: bool,
}

/// A model and the parties that it listens to; shares nothing with the others, so that they compute at the same time.
#[derive(Debug)]
struct Shard {
    language: Language,
    listener: Listener,
    parties: BTreeMap<PartyId, Party>,
    /// What was understood since the last run.
    waiting: Vec<Transcript>,
    figures: RecognizerFigures,
}

/// A model, the phrases that are listened for in what it hears, and when an utterance is over.
#[derive(Debug)]
struct Listener {
    model: StreamingModel,
    phrases: Listed,
    rules: EndpointRules,
}

#[derive(Debug)]
struct Party {
    stream: Stream,
    /// Position of the next sample.
    position: u64,
    /// The tokens that were told in the last partial transcript, and how many phrases.
    told: Vec<usize>,
    told_phrases: usize,
}

impl StreamingRecognizer {
    /// A recogniser of the languages that have a model; phrases are found in what is said. The parties of a language are
    /// divided among its models, which compute at the same time.
    pub fn new(models: Vec<(Language, StreamingModel)>, lists: &[PhraseList], rules: EndpointRules) -> Self {
        let shard = |(language, model): (Language, StreamingModel)| Shard {
            language,
            listener: Listener { phrases: phrases(&model, lists, language), model, rules },
            parties: BTreeMap::new(),
            waiting: Vec::new(),
            figures: RecognizerFigures::default(),
        };
        Self { shards: models.into_iter().map(shard).collect(), places: BTreeMap::new(), spared: false }
    }

    fn shard_of(&mut self, party: PartyId) -> Option<&mut Shard> {
        self.shards.get_mut(*self.places.get(&party)?)
    }
}

impl Recognizer for StreamingRecognizer {
    fn open(&mut self, party: PartyId, language: Language) {
        if let Some(shard) = self.shard_of(party) {
            shard.parties.remove(&party);
        }
        self.places.remove(&party);
        let own = self.shards.iter().enumerate().filter(|(_, shard)| shard.language == language);
        let Some((place, _)) = own.min_by_key(|(_, shard)| shard.parties.len()) else { return };
        let shard = &mut self.shards[place];
        let stream = shard.listener.model.stream(0);
        shard.parties.insert(party, Party { stream, position: 0, told: Vec::new(), told_phrases: 0 });
        self.places.insert(party, place);
    }

    fn push(&mut self, party: PartyId, samples: &[f32]) {
        let Some(shard) = self.shard_of(party) else { return };
        let Some(party) = shard.parties.get_mut(&party) else { return };
        shard.figures.samples += samples.len() as u64;
        party.position += samples.len() as u64;
        if party.stream.push(samples) {
            shard.figures.utterances_dropped += 1;
        }
    }

    fn skip(&mut self, party: PartyId, samples: u64) {
        let Some(shard) = self.shard_of(party) else { return };
        let Some(skipped) = shard.parties.get_mut(&party) else { return };
        let before = skipped.position;
        skipped.position += samples;
        if samples <= SILENCE_SAMPLES_MAX {
            skipped.stream.push(&vec![0.0; samples as usize]);
        } else {
            if before > 0 {
                skipped.finish(&mut shard.listener);
                shard.waiting.extend(skipped.end(party, &shard.listener));
            }
            skipped.stream = shard.listener.model.stream(skipped.position);
        }
    }

    fn run(&mut self, out: &mut Vec<Transcript>) {
        let spared = self.spared;
        let mut busy: Vec<&mut Shard> = self.shards.iter_mut().filter(|shard| shard.is_ready()).collect();
        if let Some((first, others)) = busy.split_first_mut() {
            std::thread::scope(|scope| {
                others.iter_mut().for_each(|shard| drop(scope.spawn(move || shard.run(spared))));
                first.run(spared);
            });
        }
        self.shards.iter_mut().for_each(|shard| out.append(&mut shard.waiting));
    }

    fn close(&mut self, party: PartyId, out: &mut Vec<Transcript>) {
        if let Some(shard) = self.shard_of(party) {
            shard.close(party, out);
        }
        self.places.remove(&party);
    }

    fn spare(&mut self, spared: bool) {
        self.spared = spared;
    }

    fn languages(&self) -> Vec<Language> {
        Language::ALL
            .into_iter()
            .filter(|language| self.shards.iter().any(|shard| shard.language == *language))
            .collect()
    }

    fn name(&self) -> String {
        let codes: Vec<&str> = self.languages().iter().map(|language| language.code()).collect();
        format!("streaming dictation ({})", codes.join(", "))
    }

    fn figures(&self) -> RecognizerFigures {
        let add = |sum: RecognizerFigures, each: &RecognizerFigures| RecognizerFigures {
            samples: sum.samples + each.samples,
            samples_decoded: sum.samples_decoded + each.samples_decoded,
            utterances_dropped: sum.utterances_dropped + each.utterances_dropped,
        };
        self.shards.iter().map(|shard| &shard.figures).fold(RecognizerFigures::default(), add)
    }
}

/// The phrases of a language as the model writes what it hears.
fn phrases(model: &StreamingModel, lists: &[PhraseList], language: Language) -> Listed {
    if model.tokens().are_sounds() { Listed::by_sound(lists, language) } else { Listed::of(lists, language) }
}

impl Shard {
    fn is_ready(&self) -> bool {
        self.parties.values().any(|party| self.listener.model.is_ready(&party.stream))
    }

    /// Decodes everything that is ready, a chunk of each party at a time.
    fn run(&mut self, spared: bool) {
        let Self { listener, parties, waiting, figures, .. } = self;
        loop {
            let mut ready: Vec<(&PartyId, &mut Party)> =
                parties.iter_mut().filter(|(_, party)| listener.model.is_ready(&party.stream)).collect();
            if ready.is_empty() {
                break;
            }
            figures.samples_decoded += listener.model.chunk() * ready.len() as u64;
            let mut streams: Vec<&mut Stream> = ready.iter_mut().map(|(_, party)| &mut party.stream).collect();
            listener.decode(&mut streams);
            for (id, party) in ready {
                let (frames, silent) = party.stream.frames();
                if listener.rules.is_end(frames, silent) {
                    waiting.extend(party.end(*id, listener));
                }
            }
        }
        for (id, party) in parties {
            listener.settle(&mut party.stream);
            if !spared {
                waiting.extend(party.partial(*id, listener));
            }
        }
    }

    /// Ends a party's audio; what others have said goes on waiting.
    fn close(&mut self, party: PartyId, out: &mut Vec<Transcript>) {
        let Some(mut closed) = self.parties.remove(&party) else { return };
        out.extend(self.waiting.extract_if(.., |transcript| transcript.party == party));
        closed.finish(&mut self.listener);
        out.extend(closed.end(party, &self.listener));
    }
}

impl Listener {
    /// Goes on by a chunk of each of `streams`. A model that fails breaks the whole recogniser: its parties share the run,
    /// and whoever runs it loads another one.
    fn decode(&mut self, streams: &mut [&mut Stream]) {
        self.model.decode(streams).unwrap_or_else(|error| panic!("{error}"));
    }

    fn settle(&self, stream: &mut Stream) {
        self.model.settle(stream).unwrap_or_else(|error| panic!("{error}"));
    }
}

impl Party {
    /// Decodes what is left of the audio, and the silence that brings its last words out.
    fn finish(&mut self, listener: &mut Listener) {
        self.stream.push(&[0.0; AFTER]);
        self.stream.finish();
        while listener.model.is_ready(&self.stream) {
            listener.decode(&mut [&mut self.stream]);
        }
    }

    /// Ends the utterance: what was understood of it, or that nothing was although something was told.
    fn end(&mut self, id: PartyId, listener: &Listener) -> Option<Transcript> {
        let (told, told_phrases) = (std::mem::take(&mut self.told), std::mem::take(&mut self.told_phrases));
        let transcript = self.transcript(id, true, listener);
        listener.model.next_utterance(&mut self.stream);
        let is_news = match transcript.text {
            Some(_) => !transcript.words.is_empty() || !told.is_empty(),
            None => !transcript.phrases.is_empty() || told_phrases > 0,
        };
        is_news.then_some(transcript)
    }

    /// What the party says just now, when it is not what was told last.
    fn partial(&mut self, id: PartyId, listener: &Listener) -> Option<Transcript> {
        let emitted = &self.stream.best().emitted;
        if emitted.iter().map(|each| each.token).eq(self.told.iter().copied()) {
            return None;
        }
        self.told = emitted.iter().map(|each| each.token).collect();
        let transcript = self.transcript(id, false, listener);
        let told_phrases = std::mem::replace(&mut self.told_phrases, transcript.phrases.len());
        let is_news = transcript.text.is_some() || transcript.phrases.len() != told_phrases;
        is_news.then_some(transcript)
    }

    fn transcript(&self, party: PartyId, is_final: bool, listener: &Listener) -> Transcript {
        let begins = self.stream.begins();
        let position = |step: u64| begins * SAMPLES_PER_FRAME + step * self.stream.samples_per_step();
        let spoken = |&Emitted { token, step, confidence }: &Emitted| Spoken {
            token,
            start: position(step),
            end: position(step + 1),
            confidence,
        };
        let emitted = &self.stream.best().emitted;
        let spoken: Vec<Spoken> = emitted.iter().map(spoken).collect();
        let words = listener.model.tokens().words(&spoken);
        let tokens = listener.model.tokens();
        let text = || tokens.text(emitted.iter().map(|each| each.token));
        let text = (!tokens.are_sounds()).then(text);
        let end = ((begins + self.stream.frames().0) * SAMPLES_PER_FRAME).min(self.position);
        Transcript {
            party,
            engine: EngineKind::SherpaOnnx,
            is_final,
            start: words.first().map_or(begins * SAMPLES_PER_FRAME, |word| word.start),
            end: words.last().map_or(end, |word| end.max(word.end)),
            phrases: listener.phrases.find(&words),
            words,
            text: text.map(|text| if is_final { normalized(&text) } else { text }),
        }
    }
}
