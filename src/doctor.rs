//! `calmline doctor`: looks at the machine that a server is to run on, or runs on, and says what to mend.
//!
//! `calmline check` reads a configuration; this looks at what it meets: sockets, limits, clock, kernel, disk, keys, models,
//! neighbours. Nothing is changed; trunks are asked by OPTIONS, everything else elsewhere only whether it can be reached.

mod files;
mod machine;
mod neighbours;
mod site;
mod sockets;

use std::fmt;
use std::path::Path;

use serde::Serialize;

use crate::cli::{DoctorArgs, Failure, print_line};
use crate::settings::{Checked, Settings, check_settings};
use machine::Machine;

/// How well something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    /// As it should be.
    Ok,
    /// It will run, but not as well as it could, or not for long.
    Warn,
    /// Calls, or what is kept of them, will suffer.
    Fail,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Finding {
    /// What was looked at.
    what: String,
    verdict: Verdict,
    /// What was found.
    found: String,
    /// What to do about it; nothing where all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    mend: Option<String>,
}

impl Finding {
    fn ok(what: impl Into<String>, found: impl Into<String>) -> Self {
        Self { what: what.into(), verdict: Verdict::Ok, found: found.into(), mend: None }
    }

    fn warn(what: impl Into<String>, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { what: what.into(), verdict: Verdict::Warn, found: found.into(), mend: Some(mend.into()) }
    }

    fn fail(what: impl Into<String>, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { what: what.into(), verdict: Verdict::Fail, found: found.into(), mend: Some(mend.into()) }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict {
            Verdict::Ok => "ok  ",
            Verdict::Warn => "warn",
            Verdict::Fail => "FAIL",
        };
        write!(f, "{verdict}  {}: {}", self.what, self.found)?;
        self.mend.as_ref().map_or(Ok(()), |mend| write!(f, "\n      → {mend}"))
    }
}

/// Runs `calmline doctor`.
///
/// # Errors
/// When the configuration is wrong; that something has to be mended before calls come.
pub(crate) fn run(args: &DoctorArgs) -> Result<(), Failure> {
    let faulty =
        |faults: Vec<crate::settings::Fault>| Failure::Configuration(faults.iter().map(ToString::to_string).collect());
    let checked = check_settings(&args.config).map_err(faulty)?;
    let findings = look(&args.config, &checked)?;
    for finding in &findings {
        match args.json {
            true => print_line(serde_json::to_string(finding).map_err(|error| Failure::of("JSON", error))?)?,
            false => print_line(finding)?,
        }
    }
    let count = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
    let (fails, warns) = (count(Verdict::Fail), count(Verdict::Warn));
    if fails > 0 {
        return Err(Failure::Unexpected(format!("{fails} to mend before calls come, {warns} to look at")));
    }
    if args.json { Ok(()) } else { print_line(format_args!("nothing to mend, {warns} to look at")) }
}

/// Everything, in the order in which a call would meet it.
fn look(config: &Path, checked: &Checked) -> Result<Vec<Finding>, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::of("starting the runtime", error))?;
    let settings: &Settings = &checked.settings;
    let mut findings = vec![Finding::ok("configuration", format!("{}: no faults", config.display()))];
    findings.extend(machine::look(&Machine::read(), settings));
    let is_running = runtime.block_on(sockets::is_running(settings));
    findings.extend(sockets::look(settings, is_running));
    findings.extend(files::look(checked));
    findings.extend(runtime.block_on(neighbours::look(settings)));
    findings.extend(runtime.block_on(site::look(settings, is_running)));
    Ok(findings)
}

#[cfg(test)]
mod tests;
