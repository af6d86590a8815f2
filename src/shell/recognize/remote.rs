//! A recogniser elsewhere behind the recogniser's trait: a connection for each party, and the local recogniser in its place
//! while it is away.
//!
//! What it has not answered when it is lost is heard here again. Nothing here waits for the network.

mod link;
mod outbox;
mod standing;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use nlu::recognition::{Language, Listed, Recognizer, RecognizerFigures, Transcript};
use nlu::{ACTIVITY_STEP, Activity, PartyId};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tracing::warn;

use crate::recognizer::{Remote, RemoteFiles};
use crate::shell::pbx::stream::Secured;
use link::{Link, News, Terms, What};
use outbox::{Outbox, Piece};
pub use standing::RemoteFigures;
pub(super) use standing::Standing;
use standing::count;

/// What links may have told and nobody has looked at: beyond it what is not final is lost, and what is final waits.
const NEWS_MAX: usize = 1_024;
/// How often somebody looks whether it is back, while no party's connection does.
const PROBE_EVERY: Duration = Duration::from_secs(5);

pub(super) struct RemoteRecognizer {
    terms: Arc<Terms>,
    listed: BTreeMap<Language, Arc<Listed>>,
    local: Option<Box<dyn Recognizer>>,
    parties: BTreeMap<PartyId, Party>,
    news: mpsc::Receiver<News>,
    tell: mpsc::Sender<News>,
    standing: Arc<Standing>,
    runtime: Handle,
    /// Links so far.
    links: u64,
    samples: u64,
    /// Samples that its links have sent.
    sent: Arc<AtomicU64>,
    spared: bool,
}

struct Party {
    /// Of its link.
    number: u64,
    language: Language,
    /// Of the next sample.
    position: u64,
    outbox: Arc<Outbox>,
    activity: Activity,
    is_local: bool,
    /// Its audio has ended; what is said of it is still to come.
    is_closing: bool,
}

impl RemoteRecognizer {
    /// Connects to nothing yet but to look whether it is there. `local` hears while it is away.
    pub(super) fn new(
        files: &RemoteFiles,
        local: Option<Box<dyn Recognizer>>,
        standing: Arc<Standing>,
        runtime: Handle,
    ) -> Self {
        let Remote { protocol, endpoint, answer, confidence, .. } = files.settings.clone();
        if endpoint.is_exposed() {
            warn!(%endpoint, "what is said goes there unencrypted");
        }
        let secured = endpoint.is_secured.then(|| Secured { name: endpoint.host.clone(), by: Arc::clone(&files.by) });
        let terms =
            Arc::new(Terms { protocol, endpoint, secured, answer, confidence, is_plain: AtomicBool::new(false) });
        standing.want(&terms.endpoint.to_string(), local.is_some());
        runtime.spawn(probe(Arc::downgrade(&terms), Arc::clone(&standing)));
        let (tell, news) = mpsc::channel(NEWS_MAX);
        Self {
            terms,
            listed: Language::ALL.map(|language| (language, Arc::clone(&files.listed[&language]))).into(),
            local,
            parties: BTreeMap::new(),
            news,
            tell,
            standing,
            runtime,
            links: 0,
            samples: 0,
            sent: Arc::default(),
            spared: false,
        }
    }

    fn take(&mut self, News { party: id, number, what }: News, out: &mut Vec<Transcript>) {
        let Some(party) = self.parties.get_mut(&id).filter(|party| party.number == number) else { return };
        match what {
            What::Said(transcript) => out.extend((transcript.is_final || !self.spared).then_some(transcript)),
            What::Up => {
                if std::mem::take(&mut party.is_local)
                    && let Some(local) = &mut self.local
                {
                    local.close(id, out);
                }
                party.outbox.release();
            }
            What::Away => self.hear_here(id, out),
            What::Over => drop(self.parties.remove(&id)),
        }
    }

    /// Has the local recogniser hear a party from where no answer came any more.
    fn hear_here(&mut self, id: PartyId, out: &mut Vec<Transcript>) {
        let (Some(local), Some(party)) = (&mut self.local, self.parties.get_mut(&id)) else { return };
        if party.is_local {
            return;
        }
        party.is_local = true;
        local.open(id, party.language);
        let mut position = 0;
        for Piece { position: starts, samples } in party.outbox.take() {
            skip(local.as_mut(), id, &mut position, starts);
            local.push(id, &samples);
            position += samples.len() as u64;
            count(&self.standing.samples_local, samples.len() as u64);
        }
        skip(local.as_mut(), id, &mut position, party.position);
        if party.is_closing {
            local.close(id, out);
        }
    }
}

impl Recognizer for RemoteRecognizer {
    fn open(&mut self, id: PartyId, language: Language) {
        if let Some(before) = self.parties.remove(&id) {
            before.outbox.close();
        }
        self.links += 1;
        // Nobody waits for what is known to be away.
        let is_local = self.standing.is_down() && self.local.is_some();
        let outbox = Arc::new(if is_local { Outbox::held() } else { Outbox::default() });
        let (number, listed) = (self.links, Arc::clone(&self.listed[&language]));
        let (terms, standing) = (Arc::clone(&self.terms), Arc::clone(&self.standing));
        let (news, sent) = (self.tell.clone(), Arc::clone(&self.sent));
        let link = Link { party: id, number, listed, terms, outbox: Arc::clone(&outbox), news, standing, sent };
        self.runtime.spawn(link.run(is_local));
        if let Some(local) = self.local.as_mut().filter(|_| is_local) {
            local.open(id, language);
        }
        let (position, activity, is_closing) = (0, Activity::default(), false);
        self.parties.insert(id, Party { number, language, position, outbox, activity, is_local, is_closing });
    }

    fn push(&mut self, id: PartyId, samples: &[f32]) {
        let Some(party) = self.parties.get_mut(&id).filter(|party| !party.is_closing) else { return };
        let position = party.position;
        party.position += samples.len() as u64;
        self.samples += samples.len() as u64;
        if party.is_local
            && let Some(local) = &mut self.local
        {
            local.push(id, samples);
            count(&self.standing.samples_local, samples.len() as u64);
            return;
        }
        let mut speaks = Vec::new();
        party.activity.push(samples, &mut speaks);
        let speech_samples = ACTIVITY_STEP as u64 * speaks.iter().filter(|speaks| **speaks).count() as u64;
        let dropped = party.outbox.push(Piece { position, samples: samples.to_vec() }, speech_samples);
        count(&self.standing.samples_dropped, dropped);
    }

    fn skip(&mut self, id: PartyId, samples: u64) {
        let Some(party) = self.parties.get_mut(&id) else { return };
        party.position += samples;
        if party.is_local
            && let Some(local) = &mut self.local
        {
            local.skip(id, samples);
        }
    }

    fn run(&mut self, out: &mut Vec<Transcript>) {
        // What comes meanwhile may wait for the next run.
        for _ in 0..NEWS_MAX {
            let Ok(news) = self.news.try_recv() else { break };
            self.take(news, out);
        }
        if let Some(local) = &mut self.local {
            local.run(out);
        }
    }

    fn close(&mut self, id: PartyId, out: &mut Vec<Transcript>) {
        let Some(party) = self.parties.get_mut(&id) else { return };
        party.outbox.close();
        if party.is_local {
            self.parties.remove(&id);
            self.local.iter_mut().for_each(|local| local.close(id, out));
        } else {
            party.is_closing = true;
        }
    }

    fn spare(&mut self, spared: bool) {
        self.spared = spared;
        self.local.iter_mut().for_each(|local| local.spare(spared));
    }

    fn languages(&self) -> Vec<Language> {
        Language::ALL.into()
    }

    fn name(&self) -> String {
        let fallback = self.local.as_ref().map_or("nothing".to_owned(), |local| local.name());
        let engine = self.terms.protocol.engine().name();
        format!("{engine} at {}, in its absence {fallback}", self.terms.endpoint)
    }

    fn figures(&self) -> RecognizerFigures {
        let here = self.local.as_ref().map(|local| local.figures()).unwrap_or_default();
        let sent = self.sent.load(Ordering::Relaxed);
        RecognizerFigures { samples: self.samples, samples_decoded: here.samples_decoded + sent, ..here }
    }
}

impl Drop for RemoteRecognizer {
    fn drop(&mut self) {
        self.parties.values().for_each(|party| party.outbox.close());
    }
}

/// Has a recogniser go on to a position.
fn skip(recognizer: &mut dyn Recognizer, party: PartyId, position: &mut u64, to: u64) {
    if to > *position {
        recognizer.skip(party, to - *position);
        *position = to;
    }
}

/// Looks whether the far end is there as long as that is not known and no party's connection finds out.
async fn probe(terms: Weak<Terms>, standing: Arc<Standing>) {
    while let Some(terms) = terms.upgrade() {
        let is_asked = standing.streams.load(Ordering::Relaxed) == 0;
        if is_asked && !standing.is_up() {
            match link::connect(&terms, &standing).await {
                Ok(mut socket) => drop(socket.close(None).await),
                Err(why) => standing.down(&terms.endpoint.to_string(), &why),
            }
        }
        drop(terms);
        tokio::time::sleep(PROBE_EVERY).await;
    }
}
