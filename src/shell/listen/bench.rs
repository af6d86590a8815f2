//! Loads what judges voices and words beside the listening thread, for loading takes longer than a round of it may; and
//! tells which models judge, and how far the candidate beside them differs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use nlu::text::TextModel;
use nlu::{AcousticModel, Candidate, Listener, ShadowFigures};
use serde::Serialize;
use tracing::{info, warn};
use utoipa::ToSchema;

use super::beside::Beside;
use super::worker::NICENESS;
use crate::judges::{JudgeFiles, Judges};

/// The files of what judges, what waits to be taken of it, and what judges now.
#[derive(Debug)]
pub struct Bench(Mutex<Wanted>);

#[derive(Debug)]
struct Wanted {
    files: Arc<JudgeFiles>,
    loaded: Option<Judges>,
    now: ModelsNow,
    /// Written by whoever runs the candidate of now.
    shadow: Arc<Mutex<ShadowReport>>,
}

/// Which models judge now; `None` where lexicons, or signal processing, do it alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ModelsNow {
    /// The voice.
    pub acoustic: Option<ModelName>,
    /// Words.
    pub text: Option<ModelName>,
    /// What is compared with the first.
    pub shadow_acoustic: Option<ModelName>,
    /// What is compared with the second.
    pub shadow_text: Option<ModelName>,
}

/// A model as its card names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ModelName {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The SHA-256 of its graph, hexadecimal.
    pub sha256: String,
}

impl ModelsNow {
    /// Whether anything is compared.
    pub fn is_compared(&self) -> bool {
        self.shadow_acoustic.is_some() || self.shadow_text.is_some()
    }
}

/// How far a candidate differs, and what it has cost, since it was taken up.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ShadowReport {
    /// How far it differs.
    pub figures: ShadowFigures,
    /// Processor time of its runs.
    pub cpu: Duration,
}

impl ShadowReport {
    /// Shares of the compared steps whose level, and whose emotion, was another, and the mean difference of anger without
    /// sign; each 0-1, and 0 before anything was compared.
    pub fn differences(&self) -> [f64; 3] {
        let ShadowFigures { compared, levels_differ, emotions_differ, anger_difference, .. } = self.figures;
        [levels_differ as f64, emotions_differ as f64, anger_difference].map(|sum| sum / compared.max(1) as f64)
    }
}

impl Bench {
    /// What these files hold; none of them is loaded before somebody listens.
    pub fn new(files: JudgeFiles) -> Self {
        let wanted = Wanted { files: Arc::new(files), loaded: None, now: ModelsNow::default(), shadow: Arc::default() };
        Self(Mutex::new(wanted))
    }

    /// Has other files judge, also parties who are there already.
    pub fn exchange(self: &Arc<Self>, files: JudgeFiles) {
        self.lock().files = Arc::new(files);
        self.load();
    }

    /// Which models judge now.
    pub fn now(&self) -> ModelsNow {
        self.lock().now.clone()
    }

    /// How far the candidate differs; zeros without one.
    pub fn shadow(&self) -> ShadowReport {
        *self.lock().shadow.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The model that judges voices, for whoever begins to listen.
    pub(super) fn load_acoustic(&self) -> Option<AcousticModel> {
        let files = Arc::clone(&self.lock().files);
        // What is wrong is told when everything is loaded.
        files.load_acoustic().ok()
    }

    /// Begins to load everything; whoever listens takes it when it is there.
    pub(super) fn load(self: &Arc<Self>) {
        let bench = Arc::clone(self);
        let load = move || {
            if let Err(error) = rustix::process::nice(NICENESS) {
                warn!(%error, "models are loaded at the media threads' priority");
            }
            let files = Arc::clone(&bench.lock().files);
            let judges = files.load();
            for why in &judges.missing {
                warn!(%why, "a model is missing");
            }
            info!(words = files.words(), model = judges.reader.model().is_some(), "reading words");
            let mut wanted = bench.lock();
            // Meanwhile there may be other files, whose models come of themselves.
            if Arc::ptr_eq(&wanted.files, &files) {
                wanted.loaded = Some(judges);
            }
        };
        if let Err(error) = thread::Builder::new().name("load-models".into()).spawn(load) {
            warn!(%error, "no thread to load models: those that judge go on");
        }
    }

    /// Has `listener` judge by what was loaded since the last look, and `beside` compare with it; whether there was
    /// anything.
    pub(super) fn take_into(&self, listener: &mut Listener, beside: &mut Option<Beside>) -> bool {
        let Some(Judges { acoustic, reader, candidate, missing: _ }) = self.lock().loaded.take() else { return false };
        let now = ModelsNow {
            acoustic: acoustic.as_ref().map(of_acoustic),
            text: reader.model().map(of_text),
            shadow_acoustic: candidate.as_ref().and_then(|Candidate { model, .. }| model.as_ref().map(of_acoustic)),
            shadow_text: candidate.as_ref().and_then(|Candidate { reader, .. }| reader.as_ref()?.model().map(of_text)),
        };
        info!(?now, "models judge from now on");
        listener.judge_by(acoustic);
        listener.read_by(reader);
        let report = Arc::default();
        *beside = candidate.and_then(|candidate| Beside::start(candidate, Arc::clone(&report)));
        listener.record(beside.is_some());
        let mut wanted = self.lock();
        (wanted.now, wanted.shadow) = (now, report);
        true
    }

    fn lock(&self) -> MutexGuard<'_, Wanted> {
        // Every change is one assignment.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn of_acoustic(model: &AcousticModel) -> ModelName {
    let card = model.card();
    ModelName { name: card.name.clone(), version: card.version.clone(), sha256: card.sha256.clone() }
}

fn of_text(model: &TextModel) -> ModelName {
    let card = model.card();
    ModelName { name: card.name.clone(), version: card.version.clone(), sha256: card.sha256.clone() }
}
