//! Our own values of a signal, measured as on a call: rows of 10 ms, and for rhythm what the listening side tells.

use std::path::Path;

use nlu::{Listener, ListenerSettings, PartyId};
use prosody::quality::QualityMeter;
use prosody::{Analyzer, Descriptor, Row, SampleRate};
use serde::Serialize;

use super::table::Table;
use crate::cli::Failure;
use crate::eval::{cpu_s, recording};

/// What measuring took.
#[derive(Debug, Default, Serialize)]
pub(super) struct Cost {
    pub(super) cpu_s: f64,
    pub(super) audio_s: f64,
}

/// The values of every signal of a folder that something is known of.
pub(super) fn folder(folder: &Path, rate: SampleRate, truth: &Table, cost: &mut Cost) -> Result<Table, Failure> {
    let mut table = Table::default();
    for signal in truth.signals() {
        let path = folder.join(format!("{signal}.wav"));
        if !path.is_file() {
            continue;
        }
        let samples = recording::read(&path, rate.hz())?;
        let began = cpu_s();
        let rows = rows(&samples, rate);
        cost.cpu_s += cpu_s() - began;
        cost.audio_s += samples.len() as f64 / f64::from(rate.hz());
        for (name, value) in voice(&rows) {
            table.insert(signal, name, f64::from(value));
        }
        // The listening side hears telephones only.
        if rate == SampleRate::Hz8000 {
            for (name, value) in rhythm(&samples) {
                table.insert(signal, name, f64::from(value));
            }
        }
    }
    Ok(table)
}

fn rows(samples: &[f32], rate: SampleRate) -> Vec<Row> {
    let (mut analyzer, mut rows) = (Analyzer::new(rate), Vec::with_capacity(samples.len() / rate.hop() + 1));
    analyzer.push(samples, &mut rows);
    analyzer.finish(&mut rows);
    rows
}

/// Means where there is a value; medians of formants where there is a voice.
fn voice(rows: &[Row]) -> Vec<(&'static str, f32)> {
    let told = |descriptor: Descriptor| rows.iter().map(move |row| row.get(descriptor)).filter(|value| *value != 0.0);
    let mean = |descriptor: Descriptor| {
        let (count, sum) = told(descriptor).fold((0u32, 0.0), |(count, sum), value| (count + 1, sum + value));
        (count > 0).then(|| sum / count as f32)
    };
    let median = |descriptor: Descriptor| {
        let voiced = rows.iter().filter(|row| row.pitch_hz.is_some()).map(|row| row.get(descriptor));
        let mut values: Vec<f32> = voiced.filter(|value| *value != 0.0).collect();
        values.sort_by(f32::total_cmp);
        values.get(values.len() / 2).copied()
    };
    let mut quality = QualityMeter::default();
    rows.iter().for_each(|row| quality.push(&row.level, row.pitch_hz.is_some(), false));
    let values = [
        ("jitter", mean(Descriptor::Jitter).map(|share| 100.0 * share)),
        ("shimmer", mean(Descriptor::Shimmer)),
        ("hnr", mean(Descriptor::Harmonicity)),
        ("formant1", median(Descriptor::Formant1)),
        ("formant2", median(Descriptor::Formant2)),
        ("formant3", median(Descriptor::Formant3)),
        ("snr", quality.quality().snr_db),
    ];
    values.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// What the last step of the timeline says; nothing when none was heard.
fn rhythm(samples: &[f32]) -> Vec<(&'static str, f32)> {
    let (party, mut steps) = (PartyId(1), Vec::new());
    let mut listener = Listener::new(None, ListenerSettings::default());
    listener.add(party);
    for packet in samples.chunks(2 * SampleRate::Hz8000.hop()) {
        listener.push(party, packet);
        listener.run(&mut steps);
    }
    let Some(delivery) = steps.last().map(|step| step.evidence.delivery) else { return Vec::new() };
    vec![
        ("speaking_rate", delivery.speaking_rate),
        ("articulation_rate", delivery.articulation_rate),
        ("pause_share", delivery.pause_share),
    ]
}
