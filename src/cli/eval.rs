//! `calmline eval`: what can be measured on data of the user's own.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::policy::EvalWarningArgs;
use super::{ModelArgs, ModelsArgs};

/// `calmline eval`.
#[derive(Debug, Subcommand)]
pub enum EvalCommand {
    /// Emotion from voice: a folder with `manifest.csv` (file,label,speaker,…) and its recordings (WAV).
    Speech(EvalSpeechArgs),
    /// Words: a manifest (file,text,…) and its recordings: phrases heard, missed and made up, and what it costs.
    Asr(EvalAsrArgs),
    /// Emotion, polarity, offence or intents from text: a CSV file with the columns text and label.
    Text(EvalTextArgs),
    /// Masking of personal data: a file of sentences with their secrets marked, or the recipe's own.
    Masking(EvalMaskingArgs),
    /// Pitch: a folder of signals with known contours (made when asked for), ours beside other tools' tracks.
    Pitch(EvalPitchArgs),
    /// Early warning: interactions that say when they escalate; precision, recall and lead.
    Warning(EvalWarningArgs),
    /// Features: a folder of signals whose values are known (made when asked for), ours beside other tools' values.
    Features(EvalFeaturesArgs),
}

/// `calmline eval speech`.
#[derive(Debug, Args)]
pub struct EvalSpeechArgs {
    /// The folder, or its manifest.
    #[arg(value_name = "DIR|MANIFEST")]
    pub data: PathBuf,
    /// Prints the figures as one JSON object on the last line.
    #[arg(long)]
    pub json: bool,
    /// What judges the voice.
    #[command(flatten)]
    pub model: ModelArgs,
}

/// `calmline eval asr`.
#[derive(Debug, Args)]
pub struct EvalAsrArgs {
    /// The manifest (CSV), or a folder with a `manifest.csv`.
    #[arg(value_name = "DIR|MANIFEST")]
    pub data: PathBuf,
    /// The folder of models.
    #[command(flatten)]
    pub models: ModelsArgs,
    /// The phrases that are listened for; may be given more than once.
    #[arg(long, value_name = "FILE.toml", required = true)]
    pub phrases: Vec<PathBuf>,
    /// The language that is spoken: `zh` or `en`.
    #[arg(long, value_name = "CODE", default_value = "zh")]
    pub language: String,
    /// What recognises: `built-in` or `pocketsphinx` (phrases), or `sherpa-onnx` (streaming dictation).
    #[arg(long, value_name = "NAME", default_value = "pocketsphinx")]
    pub engine: String,
    /// The pocketsphinx library; searched for when not given.
    #[arg(long, value_name = "FILE.so")]
    pub library: Option<PathBuf>,
    /// Plays so many recordings at the same time, each in real time, so that latencies are those of a server with so many
    /// calls; one after the other, as fast as it goes, when 1.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub calls: u16,
    /// `sherpa-onnx`: how many copies of the model compute at the same time.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=16))]
    pub threads: u16,
    /// Also prints what was heard in every recording.
    #[arg(long)]
    pub each: bool,
    /// Prints the figures as one JSON object on the last line.
    #[arg(long)]
    pub json: bool,
}

/// `calmline eval text`.
#[derive(Debug, Args)]
pub struct EvalTextArgs {
    /// The texts, UTF-8.
    #[arg(value_name = "FILE.csv")]
    pub data: PathBuf,
    /// What the labels speak of: polarity, emotion, offensive, intent or upset; guessed from the labels when not given.
    #[arg(long, value_name = "TASK")]
    pub task: Option<String>,
    /// A lexicon; may be given more than once. The shipped ones when not given.
    #[arg(long = "lexicon", value_name = "FILE.toml")]
    pub lexicons: Vec<PathBuf>,
    /// The text model; the shipped one when not given.
    #[arg(long, value_name = "FILE.onnx")]
    pub model: Option<PathBuf>,
    /// The ONNX Runtime library; searched for when not given.
    #[arg(long, value_name = "FILE.so")]
    pub runtime: Option<PathBuf>,
    /// Prints the figures as one JSON object on the last line.
    #[arg(long)]
    pub json: bool,
}

/// `calmline eval masking`.
#[derive(Debug, Args)]
pub struct EvalMaskingArgs {
    /// One sentence a line, UTF-8: `我的电话 | <phone>138 | 0013 8000</phone>`; a bar is a pause. Without it: the recipe.
    #[arg(value_name = "FILE")]
    pub data: Option<PathBuf>,
    /// A list file; may be given more than once. The shipped ones when not given.
    #[arg(long = "list", value_name = "FILE.toml")]
    pub lists: Vec<PathBuf>,
    /// Sentences of the recipe.
    #[arg(long, value_name = "N", default_value_t = 2_400)]
    pub sentences: usize,
    /// What the recipe's sentences grow from.
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    pub seed: u64,
    /// Takes the recipe's templates that the rules were not made with.
    #[arg(long)]
    pub held_out: bool,
    /// Takes others that were held out, written when those were known.
    #[arg(long)]
    pub fresh: bool,
    /// Takes others again, with names and ways of saying of their own, some of it in turns with the other party.
    #[arg(long)]
    pub blind: bool,
    /// Takes others of that kind, written when the figures of those were known.
    #[arg(long)]
    pub unseen: bool,
    /// Takes others again, written by somebody who had not seen the rules.
    #[arg(long)]
    pub later: bool,
    /// Looks at every partial result, too: how much is seen of a secret while it is said.
    #[arg(long)]
    pub growing: bool,
    /// Masks amounts of money, too.
    #[arg(long)]
    pub amounts: bool,
    /// Shows every sentence that went wrong, and what was shown of it.
    #[arg(long)]
    pub show: bool,
    /// Prints the figures as one JSON object on the last line.
    #[arg(long)]
    pub json: bool,
}

/// `calmline eval pitch`.
#[derive(Debug, Args)]
pub struct EvalPitchArgs {
    /// Holds `source/`, `truth/`, a folder per condition and, where other tools ran, `tracks/TOOL/CONDITION/`.
    #[arg(value_name = "DIR")]
    pub data: PathBuf,
    /// First makes the signals of every condition from `source/`; where there is none, from synthetic voices.
    #[arg(long)]
    pub make: bool,
    /// Synthetic voices of each kind.
    #[arg(long, value_name = "N", default_value_t = 6)]
    pub voices: usize,
    /// What the synthetic voices and the noises grow from.
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    pub seed: u64,
    /// Also tells every kind of contour by itself.
    #[arg(long)]
    pub kinds: bool,
    /// Also writes every row as CSV.
    #[arg(long, value_name = "FILE.csv")]
    pub csv: Option<PathBuf>,
    /// Prints the figures as one JSON object on the last line.
    #[arg(long)]
    pub json: bool,
}

/// `calmline eval features`.
#[derive(Debug, Args)]
pub struct EvalFeaturesArgs {
    /// Holds `truth.csv`, a folder per condition and, where other tools ran, `values/TOOL/CONDITION.csv`.
    #[arg(value_name = "DIR")]
    pub data: PathBuf,
    /// First makes the signals of every condition and what is true of them.
    #[arg(long)]
    pub make: bool,
    /// Voices of each kind: rough, hoarse, moving tract, rhythm.
    #[arg(long, value_name = "N", default_value_t = 25)]
    pub voices: usize,
    /// What the voices and the noises grow from.
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    pub seed: u64,
    /// Also writes every row as CSV.
    #[arg(long, value_name = "FILE.csv")]
    pub csv: Option<PathBuf>,
    /// Prints the figures as one JSON object on the last line.
    #[arg(long)]
    pub json: bool,
}
