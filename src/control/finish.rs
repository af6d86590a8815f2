//! The end of a call: every leg is told once, figures are collected, the record is reported once.

use std::time::Duration;

use media::{LegId, LegStats};

use super::call::{Call, LAST_WORD, Stage, millis};
use super::context::Context;
use super::fork::Fork;
use super::leg::{Farewell, Stream};
use super::reroute::Reroute;
use crate::notice::{LegReport, What};

/// A call that is over.
#[derive(Debug)]
pub(super) struct Finished {
    reason: String,
    talk: Duration,
    /// The record is given when all figures are in, or now at the latest; `None` when it has been given.
    report_by: Option<Duration>,
    /// When legs that say no last word are forgotten.
    forget_by: Duration,
}

impl Call {
    /// Ends the call; a caller who was not answered gets 480.
    pub(super) fn finish(&mut self, context: &mut Context<'_>, reason: &str) {
        self.finish_with(context, Farewell { code: 480, reason });
    }

    /// Ends the call; `farewell` is what a caller who was not answered gets.
    pub(super) fn finish_with(&mut self, context: &mut Context<'_>, farewell: Farewell<'_>) {
        if matches!(self.stage, Stage::Finished(_)) {
            return;
        }
        self.end_serving(context);
        self.note_for_site(context);
        let now = context.now;
        let finished = Stage::Finished(Finished {
            reason: farewell.reason.to_owned(),
            talk: Duration::ZERO,
            report_by: Some(now + FIGURES_WAIT),
            forget_by: now + LAST_WORD,
        });
        let before = std::mem::replace(&mut self.stage, finished);

        self.caller.end(context, farewell);
        self.end_fork(context, farewell.reason);
        if let Some(far) = self.far.take() {
            self.dismiss(context, far, farewell);
        }
        if let Stage::Talking(mut talking) = before {
            self.end_conversation(context);
            context.shared.history.note(now, &self.from, self.tally.peak_level);
            if let Stage::Finished(finished) = &mut self.stage {
                finished.talk = now.saturating_sub(talking.answered);
            }
            for (_, playing) in std::mem::take(&mut talking.playing) {
                playing.cut_short(self, context);
            }
            self.dismiss_supervisors(context, std::mem::take(&mut talking.supervisors), "the call ended");
            self.end_audio(context, std::mem::take(&mut talking.audio));
            match talking.reroute.take() {
                Some(Reroute::Ringing(ringing)) => self.dismiss(context, ringing.leg, farewell),
                Some(Reroute::Settling(settled)) => self.report_settled(context, settled, None),
                Some(Reroute::Referring(referring)) => {
                    if let Some(leg) = referring.consulted {
                        self.dismiss(context, leg, farewell);
                    }
                }
                Some(Reroute::Asking(_)) | None => {}
            }
        }
        self.end_reel(context);
        context.shared.engine.forget(self.key);
    }

    /// The caller's leg is over: hung up, cancelled or lost.
    pub(super) fn caller_gone(&mut self, context: &mut Context<'_>, reason: &str) {
        if self.left_by_asking(context, reason) || self.left_by_refer(context) {
            return;
        }
        self.finish(context, reason);
    }

    /// Reports what a leg carried, when anything was agreed on it and the record has not been given yet.
    pub(super) fn report_leg(&mut self, context: &mut Context<'_>, id: LegId, stats: &LegStats) {
        if matches!(&self.stage, Stage::Finished(finished) if finished.report_by.is_none()) {
            return;
        }
        let Some(leg) = self.leg_mut(id) else { return };
        let Some(codec) = leg.codec() else { return };
        let report = LegReport {
            party: leg.party.to_owned(),
            name: leg.name.clone(),
            codec: codec.name().to_owned(),
            clock_hz: codec.clock_hz(),
            packets_received: stats.packets_received,
            packets_sent: stats.packets_sent,
            packets_lost: stats.packets_lost,
            concealed_ms: stats.concealed_ms,
            underruns: stats.underruns,
            unauthentic: stats.packets_unauthentic,
            quality: stats.quality.into(),
        };
        self.notice(context, What::LegEnded(report));
    }

    /// Reports the record when its figures are in; true when nothing is left of the call.
    pub(super) fn wind_up(&mut self, context: &mut Context<'_>) -> bool {
        self.sweep(context);
        let Stage::Finished(finished) = &mut self.stage else { return false };
        let now = context.now;
        let streams_closed =
            self.caller.stream == Stream::Closed && self.leaving.iter().all(|(leg, _)| leg.stream == Stream::Closed);

        if finished.report_by.is_some_and(|until| streams_closed || now >= until) {
            finished.report_by = None;
            let record = What::CallEnded {
                reason: finished.reason.clone(),
                talk_ms: millis(finished.talk),
                peak_anger: self.tally.peak_anger,
                peak_level: crate::words::level(self.tally.peak_level).to_owned(),
                packets_lost: self.tally.packets_lost,
            };
            self.notice(context, record);
        }
        let Stage::Finished(finished) = &self.stage else { return false };
        let fork_gone = self.fork.as_ref().is_none_or(Fork::is_gone);
        let all_gone = self.caller.is_gone() && self.leaving.is_empty() && fork_gone;
        let over = finished.report_by.is_none() && (all_gone || now >= finished.forget_by);
        if over {
            context.shared.owners.remove(&self.caller.id);
            if let Some(leg) = self.fork.as_ref().and_then(Fork::recording_leg) {
                context.shared.owners.remove(&leg);
            }
            for (leg, _) in self.leaving.drain(..) {
                context.shared.owners.remove(&leg.id);
            }
        }
        over
    }

    /// The deadlines of a call that is over.
    pub(super) fn finish_deadlines(&self, out: &mut Vec<(Duration, &'static str)>) {
        if let Stage::Finished(finished) = &self.stage {
            out.extend(finished.report_by.map(|until| (until, "last figures")));
            out.push((finished.forget_by, "last word"));
        }
    }
}

/// How long the media path may take to give the figures of closed legs.
const FIGURES_WAIT: Duration = Duration::from_secs(2);
