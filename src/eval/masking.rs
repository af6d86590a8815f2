//! `calmline eval masking`: how much of what is secret is masked, and how much of what is not.
//!
//! Reads sentences with marks, or has the recipe make them; how they are counted is `nlu::masking::evaluation`.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use nlu::masking::evaluation::{Fault, MaskingFigures, MaskingTally, Part, Sentence, sentences};
use nlu::masking::{Class, Masker};
use serde::Serialize;

use super::{bold, progress};
use crate::cli::{EvalMaskingArgs, Failure, print_line};
use crate::masking;

/// The largest set, sentences.
const SENTENCES_MAX: usize = 1_000_000;

/// What is printed.
#[derive(Debug, Serialize)]
struct Figures {
    data: String,
    #[serde(flatten)]
    figures: MaskingFigures,
    sentences_per_s: f64,
    /// Bytes of text that are masked in a second, one thread.
    bytes_per_s: f64,
}

/// Runs `calmline eval masking`.
///
/// # Errors
/// When the sentences or lists cannot be read, or nothing is in them.
pub fn run(args: &EvalMaskingArgs) -> Result<(), Failure> {
    let lists = masking::lists(&args.lists).map_err(Failure::Failed)?;
    let (data, all) = match &args.data {
        Some(path) => (path.display().to_string(), read(path)?),
        None => {
            let parts = [
                (args.later, Part::Later, "later"),
                (args.unseen, Part::Unseen, "unseen"),
                (args.blind, Part::Blind, "blind"),
                (args.fresh, Part::Fresh, "fresh"),
                (args.held_out, Part::HeldOut, "held out"),
            ];
            let wanted = parts.into_iter().find(|(wanted, ..)| *wanted);
            let (part, name) = wanted.map_or((Part::Seen, "seen"), |(_, part, name)| (part, name));
            let count = args.sentences.min(SENTENCES_MAX);
            (format!("recipe, templates {name}, seed {}", args.seed), sentences(args.seed, count, part))
        }
    };
    if all.is_empty() {
        return Err(Failure::Failed(format!("{data}: expected sentences, found none")));
    }
    let mut classes = Class::usual();
    classes.extend(args.amounts.then_some(Class::Amount));
    let masker = Masker::new(Arc::new(lists), classes);
    let mut tally = MaskingTally::default();
    let mut wrong = Vec::new();
    let began = Instant::now();
    for (index, sentence) in all.iter().enumerate() {
        let (faults, shown) = tally.add(sentence, masker.clone());
        if args.growing {
            tally.add_growing(sentence, masker.clone());
        }
        wrong.extend((args.show && !faults.is_empty()).then_some((faults, sentence, shown)));
        progress(index + 1, all.len());
    }
    let took_s = began.elapsed().as_secs_f64().max(f64::MIN_POSITIVE);
    for (faults, sentence, shown) in wrong {
        print_line(format_args!("{}\n  said   {}\n  shown  {shown}", named(&faults), sentence.pieces.join(" | ")))?;
    }
    let figures = tally.figures();
    let bytes_per_s = figures.bytes as f64 / took_s;
    report(&Figures { data, figures, sentences_per_s: all.len() as f64 / took_s, bytes_per_s }, args.json)
}

/// Reads a file of sentences; empty lines and those that begin with `#` are passed over.
fn read(path: &Path) -> Result<Vec<Sentence>, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| Failure::of(path.display(), error))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    let sentence = |(number, line): (usize, &str)| {
        Sentence::parse(line).map_err(|why| Failure::Failed(format!("{}: line {}: {why}", path.display(), number + 1)))
    };
    lines.take(SENTENCES_MAX).map(sentence).collect()
}

fn named(faults: &[Fault]) -> String {
    let name = |fault: &Fault| match fault {
        Fault::Missed(class) => format!("seen: {}", class.name()),
        Fault::OverMasked => "masked for nothing".to_owned(),
    };
    faults.iter().map(name).collect::<Vec<_>>().join(", ")
}

fn report(figures: &Figures, json: bool) -> Result<(), Failure> {
    if json {
        let text = serde_json::to_string(figures).map_err(|error| Failure::of("writing JSON", error))?;
        return print_line(text);
    }
    let MaskingFigures { sentences, secrets, recall, harmless, over_masking, masked_beside, classes, .. } =
        &figures.figures;
    print_line(bold(&format!("{} ({sentences} sentences)", figures.data)))?;
    print_line("  kind          secrets  masked %")?;
    for (class, count, recall) in classes {
        print_line(format_args!("  {class:<12} {count:>8} {:>9.2}", recall * 100.0))?;
    }
    print_line(format_args!("  {:<12} {secrets:>8} {:>9.2}", "all", recall * 100.0))?;
    print_line(format_args!(
        "over-masking: {:.2} % of {harmless} sentences without secrets; {:.2} % of the characters beside secrets",
        over_masking * 100.0,
        masked_beside * 100.0
    ))?;
    if let Some(share) = figures.figures.masked_growing {
        print_line(format_args!("while it is said, at most two characters or words seen: {:.2} %", share * 100.0))?;
    }
    print_line(format_args!(
        "{:.0} sentences per second, {:.2} MB/s on one thread",
        figures.sentences_per_s,
        figures.bytes_per_s / 1e6
    ))
}
