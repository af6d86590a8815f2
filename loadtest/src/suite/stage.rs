//! What every stage is given, and the stages by name.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use media::Codec;

use super::machine::Processors;
use super::section::{Plot, Table, Verdict};
use super::site::{Site, Wanted, Words};
use crate::clip::{CLIP_RATE_HZ, Clip};
use crate::driver::invalid;
use crate::load::Speaking;

/// What can be played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// More and more calls that nobody listens to, until new ones are refused.
    RampRelay,
    /// The same with every caller listened to, words left out.
    RampVoice,
    /// The same with words.
    RampWords,
    /// Ever more short calls per second.
    Storm,
    /// Prompts and moves at some of the calls.
    Moves,
    /// Supervisors who listen, and clients of the wall.
    Supervisors,
    /// What a call costs by what it is made of: codecs, SRTP, listening, words, kept audio.
    Costs,
    /// Calls that come and go for long.
    Soak,
}

impl Stage {
    /// All of them in the order in which they are played.
    pub const ALL: [Stage; 8] = [
        Stage::RampRelay,
        Stage::RampVoice,
        Stage::RampWords,
        Stage::Storm,
        Stage::Moves,
        Stage::Supervisors,
        Stage::Costs,
        Stage::Soak,
    ];

    /// How it is called on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Stage::RampRelay => "ramp-relay",
            Stage::RampVoice => "ramp-voice",
            Stage::RampWords => "ramp-words",
            Stage::Storm => "storm",
            Stage::Moves => "moves",
            Stage::Supervisors => "supervisors",
            Stage::Costs => "costs",
            Stage::Soak => "soak",
        }
    }

    /// Whether the server and the telephones have processors of their own.
    pub(super) fn is_divided(self) -> bool {
        !matches!(self, Stage::Soak | Stage::Moves)
    }

    /// What servers have for RTP. A soak has ports of its own, so that other stages can be played meanwhile.
    fn ports(self) -> &'static str {
        match self {
            Stage::Soak => "10000-11998",
            Stage::Moves | Stage::Supervisors | Stage::Costs => "12000-14998",
            Stage::RampRelay | Stage::RampVoice | Stage::RampWords | Stage::Storm => "15000-31998",
        }
    }

    /// The stage of this name.
    pub fn named(name: &str) -> Option<Stage> {
        Stage::ALL.into_iter().find(|stage| stage.name() == name)
    }
}

/// How the stages are played.
#[derive(Debug, Clone)]
pub struct SuitePlan {
    /// The server's program.
    pub program: PathBuf,
    /// Where everything is written.
    pub out: PathBuf,
    /// Which are played.
    pub stages: Vec<Stage>,
    /// Short ones, for a first look.
    pub is_quick: bool,
    /// How long the soak lasts.
    pub soak_minutes: f64,
    /// Calls at a time in the soak.
    pub soak_calls: usize,
    /// What callers say, 8 kHz WAV.
    pub speech: PathBuf,
    /// How words are heard; without it nothing is played that needs them.
    pub words: Option<Words>,
}

/// What is shown of a stage.
#[derive(Debug, Default)]
pub(super) struct Shown {
    pub(super) verdicts: Vec<Verdict>,
    pub(super) tables: Vec<Table>,
    pub(super) plots: Vec<Plot>,
    /// What the stage's servers have taken of the processors.
    pub(super) server_cpu: Duration,
}

/// Why a stage has nothing to show.
#[derive(Debug)]
pub(super) enum NotShown {
    /// It cannot be played here.
    Skipped(String),
    /// It broke.
    Failed(io::Error),
}

impl From<io::Error> for NotShown {
    fn from(error: io::Error) -> Self {
        NotShown::Failed(error)
    }
}

/// What a stage plays with.
pub(super) struct Scene<'a> {
    pub(super) plan: &'a SuitePlan,
    pub(super) processors: &'a Processors,
    pub(super) folder: PathBuf,
    pub(super) stage: Stage,
}

impl Scene<'_> {
    /// Starts a server.
    pub(super) fn site(&self, wanted: &Wanted) -> io::Result<Site> {
        let wanted = Wanted { ports: self.stage.ports(), ..wanted.clone() };
        Site::start(&self.plan.program, &self.folder, &wanted, self.processors)
    }

    /// How words are heard, or why they are not.
    pub(super) fn words(&self) -> Result<Words, NotShown> {
        let missing = "no models of a recogniser were named (--models, see calmline models add)";
        self.plan.words.clone().ok_or_else(|| NotShown::Skipped(missing.to_owned()))
    }

    /// Callers say real words, those who are called send packets that carry their time.
    pub(super) fn speech(&self) -> io::Result<Speaking> {
        Ok(Speaking { says: Some(clip(&self.plan.speech)?), ..Speaking::plain(Codec::Pcma) })
    }

    /// One of two lengths.
    pub(super) fn quick_or<T>(&self, quick: T, long: T) -> T {
        if self.plan.is_quick { quick } else { long }
    }
}

/// A recording at 8 kHz as packets of 20 ms.
fn clip(path: &Path) -> io::Result<Arc<Clip>> {
    let wrong = |error: &dyn std::fmt::Display| invalid(format!("{}: {error}", path.display()));
    let mut reader = hound::WavReader::open(path).map_err(|error| wrong(&error))?;
    let spec = reader.spec();
    if (spec.channels, spec.sample_rate, spec.bits_per_sample) != (1, 8_000, 16) {
        return Err(wrong(&"expected 8 kHz, mono, 16 bit"));
    }
    let samples: Vec<i16> = reader.samples().collect::<Result<_, _>>().map_err(|error| wrong(&error))?;
    let doubled = samples.iter().flat_map(|sample| [*sample; CLIP_RATE_HZ as usize / 8_000]).collect();
    Ok(Clip::new(doubled, &[(Codec::Pcma, 20)]))
}
