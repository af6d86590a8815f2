//! What a report is made of: sections with verdicts, facts, tables and plots. It is written as JSON and read again.

use serde::{Deserialize, Serialize};

/// All that was measured, in the order in which it is shown.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// One for each stage.
    pub sections: Vec<Section>,
}

/// What one stage came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Section {
    /// The stage.
    pub stage: String,
    /// Its heading.
    pub title: String,
    /// What was done.
    pub what: String,
    /// Whether it came to its end.
    pub outcome: Outcome,
    /// Where and when.
    pub conditions: Conditions,
    /// What was claimed, and whether it is so.
    pub verdicts: Vec<Verdict>,
    /// Figures.
    pub tables: Vec<Table>,
    /// Pictures.
    pub plots: Vec<Plot>,
}

/// Whether a stage came to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It did.
    Done,
    /// It could not be played here, and why.
    Skipped(String),
    /// It broke, and by what.
    Failed(String),
}

/// The machine, the build, and what else went on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Conditions {
    /// When it began, RFC 3339.
    pub began: String,
    /// How long it took, s.
    pub seconds: f64,
    /// Processor, number of processors, memory, kernel.
    pub machine: String,
    /// Version, kind of build and digest of the server.
    pub build: String,
    /// How the processors were divided between the server and the telephones.
    pub processors: String,
    /// The load average of the last minute before and after.
    pub load: [f64; 2],
    /// Processors that were taken by neither the server nor the telephones, on average.
    pub others_cores: f64,
}

/// A claim, what was found, and whether the claim holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// What should be so.
    pub claim: String,
    /// What was found.
    pub found: String,
    /// Whether it is so.
    pub holds: bool,
}

/// A table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// What it shows.
    pub title: String,
    /// Its first line.
    pub columns: Vec<String>,
    /// The others.
    pub rows: Vec<Vec<String>>,
}

/// A picture of lines.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Plot {
    /// What it shows.
    pub title: String,
    /// What goes to the right, with its unit.
    pub x: String,
    /// What goes up, with its unit.
    pub y: String,
    /// What is drawn.
    pub lines: Vec<Line>,
    /// Places on the horizontal axis with a name.
    pub marks: Vec<(String, f64)>,
}

/// A line of a picture.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// What it is of.
    pub name: String,
    /// Its points.
    pub points: Vec<(f64, f64)>,
}

impl Report {
    /// Puts a section in the place of the one of the same stage, or behind all.
    pub fn put(&mut self, section: Section) {
        match self.sections.iter_mut().find(|each| each.stage == section.stage) {
            Some(place) => *place = section,
            None => self.sections.push(section),
        }
    }

    /// Whether every stage came to its end or could not be played here, and every claim holds.
    pub fn holds(&self) -> bool {
        self.sections.iter().all(|section| {
            !matches!(section.outcome, Outcome::Failed(_)) && section.verdicts.iter().all(|verdict| verdict.holds)
        })
    }
}

impl Verdict {
    /// A claim and what was found.
    pub fn new(claim: impl Into<String>, found: impl Into<String>, holds: bool) -> Self {
        Verdict { claim: claim.into(), found: found.into(), holds }
    }
}

impl Table {
    /// A table without rows.
    pub fn new(title: impl Into<String>, columns: &[&str]) -> Self {
        let columns = columns.iter().map(|&column| column.to_owned()).collect();
        Table { title: title.into(), columns, rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }
}

impl Line {
    /// A line through points.
    pub fn new(name: impl Into<String>, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        Line { name: name.into(), points: points.into_iter().collect() }
    }
}
