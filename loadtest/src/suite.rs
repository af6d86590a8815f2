//! A suite: stages that start servers of their own, play against them, and together make one page.
//!
//! A stage that breaks says why, and the others go on. What an earlier run of another stage has left in the same folder
//! stays on the page, so that a long soak need not be played with everything else.

use std::fs;
use std::io;
use std::path::Path;

mod costs;
mod figure;
mod machine;
mod page;
mod ramp;
mod section;
mod site;
mod soak;
mod stage;
mod storm;
mod supervisors;

pub use page::page;
pub use section::{Conditions, Line, Outcome, Plot, Report, Section, Table, Verdict};
pub use site::Words;
pub use stage::{Stage, SuitePlan};

use machine::{Processors, Watch};
use stage::{NotShown, Scene, Shown};

/// The names of what a suite writes.
const REPORT: &str = "report.json";
const PAGE: &str = "report.html";

/// Plays the stages one after the other; what they came to is written after each. `tell` hears how far it is.
///
/// # Errors
/// When nothing can be written, or the processors cannot be divided.
pub fn suite(plan: &SuitePlan, mut tell: impl FnMut(&str)) -> io::Result<Report> {
    fs::create_dir_all(&plan.out)?;
    let written = plan.out.join(REPORT);
    let mut report = if written.exists() { read(&written)? } else { Report::default() };
    let divided = Processors::divided()?;
    let shared = divided.shared();
    for stage in &plan.stages {
        tell(&format!("{} begins", stage.name()));
        let processors = if stage.is_divided() { &divided } else { &shared };
        processors.be_phones()?;
        let scene = Scene { plan, processors, folder: plan.out.join(stage.name()), stage: *stage };
        let section = play(*stage, &scene);
        for verdict in &section.verdicts {
            let word = if verdict.holds { "holds" } else { "does not hold" };
            tell(&format!("  {word}: {}: {}", verdict.claim, verdict.found));
        }
        tell(&format!("{}: {:?}, {:.0} s", stage.name(), section.outcome, section.conditions.seconds));
        report.put(section);
        fs::write(&written, serde_json::to_string_pretty(&report)?)?;
        fs::write(plan.out.join(PAGE), page(&report))?;
    }
    Ok(report)
}

/// A report that was written before.
///
/// # Errors
/// When it cannot be read, or is no report.
pub fn read(path: &Path) -> io::Result<Report> {
    let wrong = |kind, error: &dyn std::fmt::Display| io::Error::new(kind, format!("{}: {error}", path.display()));
    let text = fs::read_to_string(path).map_err(|error| wrong(error.kind(), &error))?;
    serde_json::from_str(&text).map_err(|error| wrong(io::ErrorKind::InvalidData, &error))
}

fn play(stage: Stage, scene: &Scene<'_>) -> Section {
    let watch = Watch::begin(&scene.plan.program, scene.processors);
    let (title, what, played) = match stage {
        Stage::RampRelay => ramp::relay(scene),
        Stage::RampVoice => ramp::voice(scene),
        Stage::RampWords => ramp::words(scene),
        Stage::Storm => storm::storm(scene),
        Stage::Moves => soak::moves(scene),
        Stage::Supervisors => supervisors::supervisors(scene),
        Stage::Costs => costs::costs(scene),
        Stage::Soak => soak::soak(scene),
    };
    let (shown, outcome) = match played {
        Ok(shown) => (shown, Outcome::Done),
        Err(NotShown::Skipped(why)) => (Shown::default(), Outcome::Skipped(why)),
        Err(NotShown::Failed(error)) => (Shown::default(), Outcome::Failed(error.to_string())),
    };
    let Shown { verdicts, tables, plots, server_cpu } = shown;
    Section {
        stage: stage.name().to_owned(),
        title: title.to_owned(),
        what,
        outcome,
        conditions: watch.end(server_cpu),
        verdicts,
        tables,
        plots,
    }
}

/// What a stage is called, what is done in it, and what came of it.
type Played = (&'static str, String, Result<Shown, NotShown>);

#[cfg(test)]
mod tests {
    use super::*;

    const RECORDED: &str = include_str!("suite/recorded.json");

    #[test]
    fn a_recorded_report_becomes_a_page() {
        let report: Report = serde_json::from_str(RECORDED).expect("it is a report");
        let page = page(&report);
        for part in
            ["<!DOCTYPE html>", "<svg", "holds</b>", "does not hold</b>", "skipped: no models", "id=\"soak\"", "knee"]
        {
            assert!(page.contains(part), "{part}");
        }
        assert!(page.contains("&lt;1 ms&gt;") && !page.contains("<1 ms>"), "what is text stays text");
        let outside = ["src=", "href=\"http", "@import", "url("];
        assert!(outside.iter().all(|part| !page.contains(part)), "nothing comes from elsewhere");
        assert!(!report.holds(), "one claim does not");
    }

    #[test]
    fn a_stage_that_is_played_again_takes_its_own_place() {
        let mut report: Report = serde_json::from_str(RECORDED).expect("it is a report");
        let (count, first) = (report.sections.len(), report.sections[0].clone());
        report.put(Section { title: "again".to_owned(), ..first.clone() });
        report.put(Section { stage: "new".to_owned(), ..first });
        assert_eq!((report.sections.len(), report.sections[0].title.as_str()), (count + 1, "again"));
    }
}
