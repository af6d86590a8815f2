//! Scores voice activity against labelled recordings: `activity FILE.wav…`, 8 kHz mono, a `.scv` beside each.
//!
//! A `.scv` line is `name,start,end,label,start,end,label,…` in seconds, label 1 = speech. Prints precision, recall and
//! F1 over 16 ms steps, per file and together.

mod recording;

use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let mut total = [0_u32; 4];
    for path in std::env::args().skip(1) {
        let counts = score(Path::new(&path))?;
        report(&path, counts);
        for (sum, count) in total.iter_mut().zip(counts) {
            *sum += count;
        }
    }
    report("all", total);
    Ok(())
}

/// Hits, false alarms, misses, correct rejections over the steps of one file.
#[expect(clippy::disallowed_methods, reason = "a program reads its own files")]
fn score(path: &Path) -> Result<[u32; 4], Box<dyn Error>> {
    let samples = recording::read(path)?;
    let labels = speech_spans(&std::fs::read_to_string(path.with_extension("scv"))?)?;
    let mut decisions = Vec::new();
    nlu::Activity::default().push(&samples, &mut decisions);
    let mut counts = [0; 4];
    for (step, &found) in decisions.iter().enumerate() {
        let centre_s = (step as f32 + 0.5 - nlu::ACTIVITY_LAG as f32) * nlu::ACTIVITY_STEP as f32 / 8000.0;
        let truth = labels.iter().any(|&(start, end)| (start..end).contains(&centre_s));
        let class = match (truth, found) {
            (true, true) => 0,
            (false, true) => 1,
            (true, false) => 2,
            (false, false) => 3,
        };
        counts[class] += 1;
    }
    Ok(counts)
}

fn speech_spans(line: &str) -> Result<Vec<(f32, f32)>, Box<dyn Error>> {
    let fields: Vec<&str> = line.trim().split(',').skip(1).collect();
    let mut spans = Vec::new();
    for span in fields.chunks_exact(3).filter(|span| span[2] == "1") {
        spans.push((span[0].parse()?, span[1].parse()?));
    }
    Ok(spans)
}

#[expect(clippy::print_stdout, reason = "a report is what this program is for")]
fn report(name: &str, [hits, alarms, misses, rejections]: [u32; 4]) {
    let precision = f64::from(hits) / f64::from((hits + alarms).max(1));
    let recall = f64::from(hits) / f64::from((hits + misses).max(1));
    let f1 = 2.0 * precision * recall / (precision + recall).max(1e-9);
    let false_alarms = f64::from(alarms) / f64::from((alarms + rejections).max(1));
    println!("{name}: precision {precision:.3} recall {recall:.3} F1 {f1:.3} false alarms {false_alarms:.3}");
}
