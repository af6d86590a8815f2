//! The load generator. Exit codes: 0 done, 1 some calls failed, a soak did not pass, or a suite found a claim that does not hold, 2 could not run.

use std::io::{Error, ErrorKind, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use loadtest::{load, plot, suite};
use serde::Serialize;

use arguments::{Arguments, Mode};

mod arguments;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            // Standard error may be closed; there is nobody left to tell.
            let _ = writeln!(std::io::stderr(), "loadtest: {error}");
            ExitCode::from(2)
        }
    }
}

/// True when every call came up, and a soak found nothing wrong.
fn run(arguments: &Arguments) -> std::io::Result<bool> {
    match &arguments.mode {
        Mode::Relay { target, speech, calls, rate, seconds } => {
            load::check(&target.server())?;
            let report = load::relay(&target.relay(speech, *calls, *rate, *seconds))?;
            print(&report, arguments.json)?;
            Ok(report.answered == report.calls)
        }
        Mode::Calls { target, rate, seconds, hold_ms } => {
            load::check(&target.server())?;
            let report = load::calls(&target.calls(*rate, *seconds, Duration::from_millis(*hold_ms)))?;
            print(&report, arguments.json)?;
            Ok(report.answered == report.calls)
        }
        Mode::Wall { watch } => {
            let plan = watch.plan();
            let plan = plan.ok_or_else(|| Error::new(ErrorKind::InvalidInput, "a wall needs the API's token"))?;
            let report = load::wall(&plan)?;
            print(&report, arguments.json)?;
            Ok(report.is_whole())
        }
        Mode::Suite { suite } => {
            let report = suite::suite(&suite.plan(), |line| {
                // Standard error may be closed; the page is written all the same.
                let _ = writeln!(std::io::stderr(), "{line}");
            })?;
            Ok(report.holds())
        }
        Mode::Page { report, html } => {
            std::fs::write(html, suite::page(&suite::read(report)?))?;
            Ok(true)
        }
        Mode::Size { sizes } => {
            let answer = sizes.answer().map_err(|error| Error::new(ErrorKind::InvalidInput, error))?;
            print(&answer, arguments.json)?;
            Ok(true)
        }
        Mode::Plot { csv, svg } => {
            let picture = plot::draw(&std::fs::read_to_string(csv)?)?;
            std::fs::write(svg, picture)?;
            Ok(true)
        }
        Mode::Soak { target, speech, soak } => {
            load::check(&target.server())?;
            let plan = target.soak(speech, soak);
            let plan = plan.ok_or_else(|| Error::new(ErrorKind::InvalidInput, "a soak needs the server's --pid"))?;
            let report = load::soak(&plan)?;
            print(&report, arguments.json)?;
            Ok(report.failures.is_empty())
        }
    }
}

fn print(report: &(impl Serialize + std::fmt::Display), json: bool) -> std::io::Result<()> {
    let text = if json { serde_json::to_string(report)? } else { report.to_string() };
    writeln!(std::io::stdout(), "{}", text.trim_end())
}
