//! Copies of calls as they arrive: a new call, another stream of one, or one that takes the place of an older one.

use std::time::Duration;

use media::LegId;

use super::super::call::Call;
use super::super::context::Context;
use super::super::setup::Refusal;
use super::super::{Command, Control, Invite};
use super::{ForkCommand, ForkEvent, ForkOpening, Source, StreamId};
use crate::notice::{Notice, What};

impl Control {
    /// A recording client sends us a copy of a call.
    pub(in super::super) fn incoming_recording(
        &mut self,
        now: Duration,
        leg: LegId,
        invite: &Invite,
        out: &mut Vec<Command>,
    ) {
        let (key, id) = self.new_call();
        let admitted = self.room_for_one_more(now).and_then(|()| super::admit(&self.shared, invite));
        let before = admitted.as_ref().ok().and_then(super::Admitted::pbx_call);
        let before = before.and_then(|name| self.shared.forks.get(&(Source::Siprec, name)).copied());
        if let Some(before) = before {
            self.with_call(now, before, out, Call::superseded);
        }
        let mut context = Context::of_newest(now, &mut self.shared, out);
        let started =
            admitted.and_then(|admitted| Call::start_recording(&mut context, (key, id.clone()), leg, invite, admitted));
        match started {
            Ok(call) => self.take_up(now, key, call, out),
            Err(refusal) => self.refuse(leg, id, refusal, out),
        }
    }

    /// Something on a stream of a copy that comes without SIP.
    pub(in super::super) fn forked(&mut self, now: Duration, event: ForkEvent, out: &mut Vec<Command>) {
        match event {
            ForkEvent::Begun { stream, opening } => self.stream_begun(now, stream, &opening, out),
            ForkEvent::Told { stream, .. } | ForkEvent::Key { stream, .. } | ForkEvent::Ended { stream, .. } => {
                if let Some(&key) = self.shared.streams.get(&stream) {
                    self.with_call(now, key, out, |call, context| call.wire_event(context, event));
                }
            }
        }
    }

    fn stream_begun(&mut self, now: Duration, stream: StreamId, opening: &ForkOpening, out: &mut Vec<Command>) {
        let known = opening.call.as_ref().and_then(|name| self.shared.forks.get(&(opening.source, name.clone())));
        if let Some(&key) = known {
            return self.with_call(now, key, out, |call, context| call.join(context, stream, opening));
        }
        let (key, id) = self.new_call();
        let admitted = self.room_for_one_more(now).and_then(|()| super::route(&self.shared, opening));
        let mut context = Context::of_newest(now, &mut self.shared, out);
        let started =
            admitted.and_then(|route| Call::start_wire(&mut context, (key, id.clone()), (stream, opening), route));
        match started {
            Ok(call) => self.take_up(now, key, call, out),
            Err(Refusal { code, reason, .. }) => {
                let what = What::CallRefused { code, reason: reason.clone() };
                out.push(Command::Fork(ForkCommand::End { stream, reason }));
                out.push(Command::Notice(Notice { call: id, call_ms: 0, what }));
            }
        }
    }
}
