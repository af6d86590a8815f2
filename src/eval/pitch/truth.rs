//! Contours as files: `time_s,f0_hz` per line; 0 is unvoiced, an empty field unknown.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::SIGNALS_MAX;
use super::score::Tracked;
use crate::cli::Failure;

/// A contour in order of time; `None` where nobody knows.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Truth {
    points: Vec<(f64, Option<f32>)>,
}

#[derive(Debug, Deserialize)]
struct Line {
    time_s: f64,
    f0_hz: Option<f32>,
}

impl Truth {
    pub(super) fn new(points: Vec<(f64, Option<f32>)>) -> Self {
        Self { points }
    }

    /// The pitch at the point nearest to `time_s`, 0 when unvoiced; `None` when unknown or beyond the ends.
    pub(super) fn at(&self, time_s: f64) -> Option<f32> {
        let after = self.points.partition_point(|(at, _)| *at < time_s);
        let near = [after.checked_sub(1), Some(after)].into_iter().flatten().filter_map(|i| self.points.get(i));
        let nearest = near.min_by(|a, b| (a.0 - time_s).abs().total_cmp(&(b.0 - time_s).abs()))?;
        let step = self.points.get(1).map_or(0.0, |second| second.0 - self.points[0].0);
        if (nearest.0 - time_s).abs() > step { None } else { nearest.1 }
    }

    /// Points whose pitch is told, as one value per millisecond, 0 elsewhere.
    pub(super) fn per_ms(&self) -> Vec<f32> {
        let end_ms = self.points.last().map_or(0, |(at, _)| (at * 1_000.0) as usize + 1);
        (0..end_ms).map(|ms| self.at(ms as f64 / 1_000.0).unwrap_or(0.0)).collect()
    }

    pub(super) fn write(&self, path: &Path) -> Result<(), Failure> {
        let mut text = String::from("time_s,f0_hz\n");
        for (time_s, hz) in &self.points {
            let hz = hz.map_or_else(String::new, |hz| format!("{hz:.3}"));
            text.push_str(&format!("{time_s:.3},{hz}\n"));
        }
        fs::write(path, text).map_err(|error| Failure::of(path.display(), error))
    }
}

/// Every `*.csv` of a folder, by its name without the extension.
pub(super) fn read_all(folder: &Path) -> Result<BTreeMap<String, Truth>, Failure> {
    let named = |error: std::io::Error| Failure::of(folder.display(), error);
    let mut truths = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(named)?.take(SIGNALS_MAX) {
        let path = entry.map_err(named)?.path();
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if path.extension().is_some_and(|extension| extension == "csv") {
            let points = read(&path)?.into_iter().map(|line| (line.time_s, line.f0_hz)).collect();
            truths.insert(name, Truth { points });
        }
    }
    Ok(truths)
}

/// A track of some tool; an empty field counts as unvoiced.
pub(super) fn read_track(path: &Path) -> Result<Vec<Tracked>, Failure> {
    let lines = read(path)?.into_iter();
    Ok(lines.map(|line| Tracked { time_s: line.time_s, hz: line.f0_hz.unwrap_or(0.0) }).collect())
}

fn read(path: &Path) -> Result<Vec<Line>, Failure> {
    let named = |error: csv::Error| Failure::of(path.display(), error);
    csv::Reader::from_path(path).map_err(named)?.deserialize().collect::<Result<_, _>>().map_err(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_point_counts_and_nothing_beyond_the_ends() {
        let truth = Truth::new(vec![(0.0, Some(100.0)), (0.01, None), (0.02, Some(0.0))]);
        let found: Vec<Option<f32>> = [0.004, 0.006, 0.019, 0.029, 0.031].iter().map(|&t| truth.at(t)).collect();
        assert_eq!(found, [Some(100.0), None, Some(0.0), Some(0.0), None]);
    }
}
