//! What we want done with a call in whose path we are not: an order that names the PBX's call.
//!
//! Whoever speaks to the PBX carries it out and says how it went (`Input::PbxDone`), within its deadline.

use std::time::Duration;

use routing::Route;

use super::super::call::Call;
use super::super::context::Context;
use super::super::reroute::{Ordered, Reroute};
use super::super::{Command, Header};
use super::Source;
use crate::notice::What;

/// A call as its PBX knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PbxCall {
    /// Where its copy comes from, which tells what kind of PBX it is.
    pub source: Source,
    /// How the sender of the copy names it: a Session-ID or Call-ID, a UUID, a channel; `None` when it gave no name.
    pub name: Option<String>,
}

/// An order about a call of the PBX. `Input::PbxDone` follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PbxOrder {
    /// Our call's id.
    pub call: String,
    /// The PBX's call.
    pub concerns: PbxCall,
    /// What is to be done.
    pub action: PbxAction,
}

/// What the PBX is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PbxAction {
    /// Connects the caller with somebody else.
    Move {
        /// The target's name.
        target: String,
        /// The target's URI.
        uri: String,
        /// What the target is to know: `X-Calmline-Call`, `X-Calmline-Emotion`.
        headers: Vec<Header>,
    },
}

impl Call {
    /// Orders the PBX to move the caller; the re-route that waits for the outcome.
    pub(in super::super) fn order_move(
        &self,
        context: &mut Context<'_>,
        via: Route,
        (target, uri): (&str, String),
        headers: Vec<Header>,
    ) -> Result<Reroute, String> {
        let fork = self.fork.as_ref().ok_or("the call is in our own hands")?;
        let concerns = PbxCall { source: fork.source, name: fork.pbx_call.clone() };
        let action = PbxAction::Move { target: target.to_owned(), uri, headers };
        context.out.push(Command::Pbx(PbxOrder { call: self.id.clone(), concerns, action }));
        let (decided, until) = (context.now, context.now + ORDER_WAIT);
        Ok(Reroute::Ordered(Ordered { via, target: target.to_owned(), decided, until }))
    }

    /// What became of an order.
    pub(in super::super) fn pbx_done(&mut self, context: &mut Context<'_>, outcome: Result<(), String>) {
        let Some(ordered) = self.take_ordered() else { return };
        match outcome {
            Ok(()) => {
                let answer_ms = super::super::call::millis(context.now.saturating_sub(ordered.decided));
                let (via, target) = (ordered.via.as_str().to_owned(), ordered.target);
                self.notice(context, What::Rerouted { via, target, answer_ms, gap_ms: None });
                self.judge(context, &routing::Event::Rerouted);
            }
            Err(reason) => self.reroute_failed(context, ordered.via, ordered.target, reason),
        }
    }
}

/// How long an order may take.
const ORDER_WAIT: Duration = Duration::from_secs(10);
