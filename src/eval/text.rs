//! `calmline eval text`: emotion, polarity, offence and intents from text, on data of the user's own.
//!
//! Reads texts and labels and prints figures; what labels mean and how they are counted is `nlu::text`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Instant;

use nlu::text::{Task, TextFigures, TextReader, TextSource, TextTally};
use serde::{Deserialize, Serialize};

use super::{bold, cpu_s, progress};
use crate::cli::{EvalTextArgs, Failure, print_line};
use crate::lexicons::ReaderFiles;
use crate::settings::TextModelChoice;
use crate::signed::Trust;

/// The largest data set, texts.
const TEXTS_MAX: usize = 1_000_000;
/// Texts judged in one go.
const BATCH: usize = 64;

/// One row of the file; further columns are passed over.
#[derive(Debug, Deserialize)]
struct Row {
    text: String,
    label: String,
}

/// What is printed.
#[derive(Debug, Serialize)]
struct Figures {
    data: String,
    task: &'static str,
    /// `model` or `lexicon_only`.
    source: &'static str,
    figures: TextFigures,
    /// Labels that the task does not know, and how many texts have them; these are left out.
    left_out: BTreeMap<String, u64>,
    texts_per_s: f64,
    /// Processor time per 1,000 characters, milliseconds.
    cpu_ms_per_1000_characters: f64,
}

/// Runs `calmline eval text`.
///
/// # Errors
/// When the file cannot be read, the task cannot be told, or nothing in it can be judged.
pub fn run(args: &EvalTextArgs) -> Result<(), Failure> {
    let rows = read_rows(&args.data)?;
    let task = task_of(args.task.as_deref(), &rows)?;
    let model = args.model.clone().map_or(TextModelChoice::Shipped, TextModelChoice::Own);
    let files = ReaderFiles::read(args.runtime.as_deref(), &args.lexicons, &model, &Trust::anybody())
        .map_err(Failure::Failed)?;
    let (mut reader, without_model) = files.load();
    let mut left_out = BTreeMap::new();
    let mut labelled: Vec<(&str, usize)> = Vec::with_capacity(rows.len());
    for row in &rows {
        match task.class_of(&row.label) {
            Some(class) => labelled.push((&row.text, class)),
            None => *left_out.entry(row.label.clone()).or_default() += 1,
        }
    }
    if labelled.is_empty() {
        let expected = task.classes().join(", ");
        let found = left_out.keys().take(8).cloned().collect::<Vec<_>>().join(", ");
        let data = args.data.display();
        return Err(Failure::Failed(format!("{data}: label: expected one of {expected}; found only {found}")));
    }
    let (began, cpu_began) = (Instant::now(), cpu_s());
    let (figures, source) = judge(&mut reader, task, &labelled);
    let characters: usize = labelled.iter().map(|(text, _)| text.chars().count()).sum();
    let figures = Figures {
        data: args.data.display().to_string(),
        task: task.name(),
        source,
        texts_per_s: labelled.len() as f64 / began.elapsed().as_secs_f64().max(f64::MIN_POSITIVE),
        cpu_ms_per_1000_characters: (cpu_s() - cpu_began) * 1e6 / characters.max(1) as f64,
        figures,
        left_out,
    };
    report(&figures, without_model.as_deref(), args.json)
}

/// Judges every text, and tells by what: `lexicon_only` as soon as one was judged without the model.
fn judge(reader: &mut TextReader, task: Task, labelled: &[(&str, usize)]) -> (TextFigures, &'static str) {
    let mut tally = TextTally::new(task, &labelled.iter().map(|(_, class)| *class).collect());
    let mut source = "model";
    for (index, batch) in labelled.chunks(BATCH).enumerate() {
        let texts: Vec<&str> = batch.iter().map(|(text, _)| *text).collect();
        for (reading, (_, truth)) in reader.read(&texts).iter().zip(batch) {
            if reading.source == TextSource::LexiconOnly {
                source = "lexicon_only";
            }
            tally.add(*truth, reading);
        }
        progress(index * BATCH + batch.len(), labelled.len());
    }
    (tally.figures(), source)
}

fn read_rows(path: &Path) -> Result<Vec<Row>, Failure> {
    let named = |error: csv::Error| Failure::of(path.display(), error);
    // A mark at the beginning that spreadsheets write is passed over.
    let mut reader = csv::Reader::from_path(path).map_err(named)?;
    reader.deserialize().take(TEXTS_MAX).collect::<Result<_, _>>().map_err(named)
}

fn task_of(given: Option<&str>, rows: &[Row]) -> Result<Task, Failure> {
    let names = Task::ALL.map(Task::name).join(", ");
    if let Some(given) = given {
        let task = Task::ALL.into_iter().find(|task| task.name() == given);
        return task.ok_or_else(|| Failure::Failed(format!("--task: expected one of {names}; found {given:?}")));
    }
    let labels: BTreeSet<&str> = rows.iter().map(|row| row.label.as_str()).collect();
    Task::guess(&labels).ok_or_else(|| {
        let found = labels.iter().take(8).copied().collect::<Vec<_>>().join(", ");
        Failure::Failed(format!("the labels ({found}) do not tell the task: give --task with one of {names}"))
    })
}

fn report(figures: &Figures, without_model: Option<&str>, json: bool) -> Result<(), Failure> {
    if json {
        let text = serde_json::to_string(figures).map_err(|error| Failure::of("writing JSON", error))?;
        return print_line(text);
    }
    print_line(bold(&format!("{} ({}, judged by {})", figures.data, figures.task, figures.source)))?;
    if let Some(why) = without_model {
        print_line(format_args!("no text model, lexicons alone: {why}"))?;
    }
    let TextFigures { texts, classes, accuracy, macro_f1, uar, f1, calibration_error, confusion } = &figures.figures;
    print_line(format_args!(
        "{texts} texts of {} classes: accuracy {:.1} %  macro-F1 {:.1} %  UAR {:.1} %  ECE {:.1} %",
        classes.len(),
        accuracy * 100.0,
        macro_f1 * 100.0,
        uar * 100.0,
        calibration_error * 100.0
    ))?;
    let columns: String = classes.iter().map(|class| format!(" {class:>15}")).collect();
    print_line(format_args!("  {:<15}{columns} {:>7}", "truth \\ found", "F1 %"))?;
    for ((class, row), f1) in classes.iter().zip(confusion).zip(f1) {
        let cells: String = row.iter().map(|count| format!(" {count:>15}")).collect();
        print_line(format_args!("  {class:<15}{cells} {:>7.1}", f1 * 100.0))?;
    }
    for (label, count) in &figures.left_out {
        print_line(format_args!("left out: {count} texts labelled {label:?}"))?;
    }
    print_line(format_args!(
        "{:.0} texts per second, {:.2} ms of processor time per 1,000 characters",
        figures.texts_per_s, figures.cpu_ms_per_1000_characters
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_that_spreadsheets_write_is_passed_over() {
        let path = std::env::temp_dir().join(format!("calmline-texts-{}.csv", std::process::id()));
        std::fs::write(&path, "\u{feff}text,label\r\n太差了,negative\r\n").expect("written");
        let rows = read_rows(&path).map_err(|_| "refused").expect("it is read");
        assert_eq!((rows[0].text.as_str(), rows[0].label.as_str()), ("太差了", "negative"));
        std::fs::remove_file(path).expect("removed");
    }
}
