//! `calmline policy`: policies held against what is expected of them and against interactions, and decisions explained.
//!
//! Plays and counts nothing itself: that is `routing::backtest`, in simulated time.

mod explain;
mod hearing;
mod read;
mod recorded;
mod report;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use routing::backtest::{Effect, Interaction, Outcome, replay};
use routing::{Broken, Policy, check_expects};

pub(crate) use read::{files_in, interaction_of, interactions};

use crate::api;
use crate::cli::{Failure, PolicyCommand, PolicyTestArgs, ServerArgs, print_line};
use crate::settings::{Zone, load_policies};

/// Runs `calmline policy`.
///
/// # Errors
/// When something cannot be read or asked, and when a policy does not do what is expected of it.
pub fn run(command: &PolicyCommand) -> Result<(), Failure> {
    match command {
        PolicyCommand::Test(args) => test(args),
        PolicyCommand::Explain(args) => explain::run(args),
        PolicyCommand::Back(server) => back(server),
    }
}

/// Reads policies by themselves, as commands name them.
pub(crate) fn policies(paths: &[PathBuf]) -> Result<Arc<[Policy]>, Failure> {
    let faults = |faults: Vec<_>| Failure::Configuration(faults.iter().map(ToString::to_string).collect());
    load_policies(paths).map(Into::into).map_err(faults)
}

/// What a version of the policies makes of every interaction.
pub(crate) struct Tried {
    pub(crate) effect: Effect,
    pub(crate) outcomes: Vec<Outcome>,
}

impl Tried {
    /// Plays each of them; `answer` is how long a PBX takes.
    pub(crate) fn new(policies: &Arc<[Policy]>, interactions: &[Interaction], answer: Duration) -> Tried {
        let outcomes: Vec<Outcome> =
            interactions.iter().map(|interaction| replay(policies, interaction, answer)).collect();
        let mut effect = Effect::default();
        interactions.iter().zip(&outcomes).for_each(|(interaction, outcome)| effect.add(interaction, outcome));
        Tried { effect, outcomes }
    }
}

fn test(args: &PolicyTestArgs) -> Result<(), Failure> {
    let tried = policies(&args.policies)?;
    let zone = match &args.time_zone {
        Some(name) => Some(Zone::named(name).ok_or_else(|| {
            Failure::Failed(format!("--time-zone: expected a zone such as Asia/Shanghai; found {name:?}"))
        })?),
        None => None,
    };
    if !(0.0..=86_400.0).contains(&args.answer_s) {
        return Err(Failure::Failed(format!("--answer-s: expected 0-86400; found {}", args.answer_s)));
    }
    let answer = Duration::from_secs_f64(args.answer_s);
    let broken: Vec<Broken> = tried.iter().flat_map(check_expects).collect();
    let expects = tried.iter().map(|policy| policy.expects.len()).sum();
    let hearing = hearing::Hearing::new(&args.recorded)?;
    let interactions = interactions(&args.interactions, zone.as_ref(), hearing.as_ref())?;

    let ours = Tried::new(&tried, &interactions, answer);
    let in_force = policies(&args.against)?;
    let theirs = (!args.against.is_empty()).then(|| Tried::new(&in_force, &interactions, answer));
    let report = report::Report { policies: &tried, interactions: &interactions, ours: &ours, theirs: theirs.as_ref() };
    if args.json {
        report.print_json(expects, &broken)?;
    } else {
        report.print(args.each)?;
        report::print_expects(expects, &broken)?;
    }
    match broken.len() {
        0 => Ok(()),
        count => Err(Failure::Unexpected(format!("{count} of {expects} expectations are not met"))),
    }
}

fn back(server: &ServerArgs) -> Result<(), Failure> {
    api::post(server, "/v1/policies/back")?;
    print_line("calls that begin from now on go by the policies before the last reload; once more takes it back")
}

#[cfg(test)]
mod tests;
