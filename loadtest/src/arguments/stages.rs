//! Which stages of a suite are played, and how.

use std::path::PathBuf;

use clap::Args;
use loadtest::suite::{Stage, SuitePlan, Words};

#[derive(Debug, Args)]
pub(crate) struct Stages {
    /// The server's program.
    #[arg(long, default_value = "target/release/calmline")]
    program: PathBuf,
    /// The folder for the page, the report, and what the servers leave. Sections of other stages that are there stay.
    #[arg(long, default_value = "out/report")]
    out: PathBuf,
    /// The stages, by name: ramp-relay, ramp-voice, ramp-words, storm, moves, supervisors, costs, soak. Default: all.
    #[arg(long, value_delimiter = ',', value_parser = stage)]
    only: Vec<Stage>,
    /// Short ones, for a first look.
    #[arg(long)]
    quick: bool,
    /// How long the soak lasts; default: 2 hours, 2 minutes with --quick.
    #[arg(long)]
    soak_minutes: Option<f64>,
    /// Calls at a time in the soak.
    #[arg(long, default_value_t = 40)]
    soak_calls: usize,
    /// What callers say: 8 kHz, mono, 16 bit WAV.
    #[arg(long, default_value = "fixtures/audio/angry-caller.wav")]
    speech: PathBuf,
    /// A folder of recognisers' models (calmline models add); without it nothing is played that needs words.
    #[arg(long)]
    models: Option<PathBuf>,
    /// The phrases that are listened for then.
    #[arg(long, default_value = "config/lexicons/phrases-zh.toml")]
    phrases: PathBuf,
}

impl Stages {
    pub(crate) fn plan(&self) -> SuitePlan {
        let Stages { program, out, only, quick, soak_calls, speech, models, phrases, .. } = self;
        SuitePlan {
            program: program.clone(),
            out: out.clone(),
            stages: if only.is_empty() { Stage::ALL.to_vec() } else { only.clone() },
            is_quick: *quick,
            soak_minutes: self.soak_minutes.unwrap_or(if *quick { 2.0 } else { 120.0 }),
            soak_calls: *soak_calls,
            speech: speech.clone(),
            words: models.clone().map(|models| Words { models, phrases: phrases.clone() }),
        }
    }
}

fn stage(name: &str) -> Result<Stage, String> {
    let names = || Stage::ALL.map(Stage::name).join(", ");
    Stage::named(name).ok_or_else(|| format!("expected one of {}", names()))
}
