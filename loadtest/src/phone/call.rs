//! One call of a telephone: its state, its timers, its stream, and the descriptions that both ends exchange.

use std::net::SocketAddr;
use std::time::Duration;

use media::{Direction, StreamSettings};

use super::dialog::Dialog;
use super::random::Random;
use super::speech::Speech;
use super::transaction::{Answered, Client, Due, Repeat};
use super::{CallIndex, Context, Event, Outgoing, PhoneSettings};
use crate::message::Message;
use crate::stream::{Recording, Stream, StreamEvent, StreamStats};

/// Where a call stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// We call, nobody has answered.
    Calling,
    /// We are called and have not answered.
    Ringing,
    /// Answered.
    Up,
    /// Over; transactions may still be open.
    Over,
}

#[derive(Debug)]
pub(super) struct Call {
    pub(super) dialog: Dialog,
    pub(super) state: State,
    pub(super) stream: Stream,
    /// When the telephone is to look at this call again; kept by the telephone.
    pub(super) scheduled: Option<Duration>,
    pub(super) clients: Vec<Client>,
    pub(super) answered: Answered,
    /// Our final response to an INVITE until its ACK: CSeq, whether it was a success, and the repetition.
    pub(super) unconfirmed: Option<(u32, bool, Repeat)>,
    /// Our last INVITE and where it went, from which ACK and CANCEL are made.
    pub(super) invite: Option<(SocketAddr, Message)>,
    /// Our last ACK, for repeated final responses.
    pub(super) last_ack: Option<(u32, SocketAddr, Vec<u8>)>,
    /// The INVITE that we have not answered, and where its response goes.
    pub(super) ringing: Option<(SocketAddr, Message)>,
    /// We want to end a call that cannot be cancelled yet.
    pub(super) cancel_wanted: bool,
    /// An offer of ours waits for its answer.
    pub(super) offer_open: bool,
    pub(super) answer_at: Option<Duration>,
    pub(super) hang_up_at: Option<Duration>,
    pub(super) hang_up_after: Option<Duration>,
    speech: Speech,
    port_held: bool,
    referral: Option<Outgoing>,
    referrer: Option<CallIndex>,
    report: Option<u16>,
}

impl Call {
    /// A call that we are about to make.
    pub(super) fn calling(settings: &PhoneSettings, random: &mut Random, port: u16, outgoing: &Outgoing) -> Self {
        let name = outgoing.name.as_ref().map(|name| format!("\"{name}\" ")).unwrap_or_default();
        let from = format!("{name}<sip:{}@{}>", settings.user, settings.sip);
        let dialog = Dialog::calling(random, &from, settings.sip, &outgoing.target, outgoing.server);
        let mut call = Self::new(settings, random, port, dialog, State::Calling);
        call.hang_up_after = outgoing.hang_up_after;
        call
    }

    /// A call that comes in.
    pub(super) fn called(
        settings: &PhoneSettings,
        random: &mut Random,
        port: u16,
        from: SocketAddr,
        invite: &Message,
    ) -> Self {
        let dialog = Dialog::called(random, from, invite);
        let mut call = Self::new(settings, random, port, dialog, State::Ringing);
        call.ringing = Some((from, invite.clone()));
        call
    }

    fn new(settings: &PhoneSettings, random: &mut Random, port: u16, dialog: Dialog, state: State) -> Self {
        Call {
            dialog,
            state,
            stream: Stream::new(port, settings.audio.clone(), random.next(), settings.keep, settings.stream),
            scheduled: None,
            clients: Vec::new(),
            answered: Answered::default(),
            unconfirmed: None,
            invite: None,
            last_ack: None,
            ringing: None,
            cancel_wanted: false,
            offer_open: false,
            answer_at: None,
            hang_up_at: None,
            hang_up_after: None,
            speech: Speech::new(settings, port, random.next()),
            port_held: true,
            referral: None,
            referrer: None,
            report: None,
        }
    }

    pub(super) fn call_id(&self) -> &str {
        &self.dialog.call_id
    }

    pub(super) fn is_over(&self) -> bool {
        self.state == State::Over
    }

    pub(super) fn recording(&self) -> Recording {
        self.stream.recording()
    }

    pub(super) fn stats(&self) -> StreamStats {
        self.stream.stats()
    }

    /// The next moment at which something is due.
    pub(super) fn deadline(&self) -> Option<Duration> {
        let clients = self.clients.iter().map(Client::deadline);
        let unconfirmed = self.unconfirmed.as_ref().map(|(_, _, repeat)| repeat.deadline());
        clients
            .chain([unconfirmed, self.answer_at, self.hang_up_at, self.stream.deadline()].into_iter().flatten())
            .min()
    }

    /// Does what is due.
    pub(super) fn tick(&mut self, context: &mut Context<'_>) {
        self.tick_stream(context);
        self.repeat_requests(context);
        self.repeat_response(context);
        if self.answer_at.is_some_and(|at| at <= context.now) {
            self.answer_at = None;
            self.finish_ringing(context);
        }
        if self.hang_up_at.is_some_and(|at| at <= context.now) {
            self.hang_up_at = None;
            self.hang_up(context);
        }
    }

    pub(super) fn receive_rtp(&mut self, context: &mut Context<'_>, datagram: &[u8]) {
        self.stream.receive(context.now, datagram);
        self.tick_stream(context);
    }

    fn tick_stream(&mut self, context: &mut Context<'_>) {
        let port = self.stream.port;
        let rtp = &mut context.out.rtp;
        self.stream.tick(context.now, |to, packet| rtp.push((port, to, packet)));
        for event in self.stream.take_events() {
            context.event(match event {
                StreamEvent::First => Event::RtpFirst,
                StreamEvent::Key(key) => Event::Key(key),
            });
        }
    }

    /// The port, once, when the call is over and needs it no more.
    pub(super) fn release_port(&mut self) -> Option<u16> {
        let released = self.is_over() && self.port_held;
        self.port_held &= !released;
        released.then_some(self.stream.port)
    }

    /// A REFER asks for this call.
    pub(super) fn set_referral(&mut self, outgoing: Outgoing) {
        self.referral = Some(outgoing);
    }

    pub(super) fn take_referral(&mut self) -> Option<Outgoing> {
        self.referral.take()
    }

    /// This call was asked for on another one, which is told how it went.
    pub(super) fn set_referrer(&mut self, referrer: CallIndex) {
        self.referrer = Some(referrer);
    }

    /// The final status that the referrer is to be told, once.
    pub(super) fn take_report(&mut self) -> Option<(CallIndex, u16)> {
        let status = self.report.take()?;
        Some((self.referrer.take()?, status))
    }

    /// The call is answered.
    pub(super) fn up(&mut self, context: &mut Context<'_>) {
        self.state = State::Up;
        self.report = Some(200);
        self.hang_up_at = self.hang_up_after.map(|after| context.now + after);
        context.event(Event::Answered);
    }

    /// The call is over; `event` says how.
    pub(super) fn over(&mut self, context: &mut Context<'_>, event: Event) {
        if let Event::Failed { status } = event {
            self.report = Some(status);
        }
        self.state = State::Over;
        self.answer_at = None;
        self.hang_up_at = None;
        self.stream.stop();
        context.event(event);
    }

    /// Our description with a new version.
    pub(super) fn offer(&mut self, direction: Direction) -> String {
        self.offer_open = true;
        self.speech.offer(direction)
    }

    /// Answers their offer; `None` when it cannot be accepted.
    pub(super) fn answer(&mut self, context: &Context<'_>, offer: &str) -> Option<String> {
        let (text, settings) = self.speech.answer(offer)?;
        self.stream.configure(context.now, settings);
        Some(text)
    }

    /// Takes their answer to our offer.
    pub(super) fn accept(&mut self, context: &Context<'_>, answer: &str) -> Option<Direction> {
        let settings = self.speech.accept(answer)?;
        let direction = settings.direction;
        self.stream.configure(context.now, settings);
        self.offer_open = false;
        Some(direction)
    }

    /// What we do now.
    pub(super) fn direction(&self) -> Option<Direction> {
        self.stream.settings().map(|settings: &StreamSettings| settings.direction)
    }

    fn repeat_requests(&mut self, context: &mut Context<'_>) {
        let now = context.now;
        let mut given_up = Vec::new();
        self.clients.retain_mut(|client| match client.repeat().due(now) {
            Due::Nothing => true,
            Due::Send(to, bytes) => {
                context.out.sip.push((to, bytes));
                true
            }
            Due::GiveUp => {
                given_up.push((client.method.clone(), client.cseq));
                false
            }
        });
        for (method, _) in given_up {
            match (method.as_str(), self.state) {
                ("INVITE", State::Calling) => self.over(context, Event::Failed { status: 408 }),
                ("INVITE", State::Up) => context.event(Event::OfferAnswered { status: 408, direction: None }),
                ("BYE", _) => context.event(Event::Lost),
                _ => {}
            }
        }
    }

    fn repeat_response(&mut self, context: &mut Context<'_>) {
        let Some((_, success, repeat)) = &mut self.unconfirmed else { return };
        let success = *success;
        match repeat.due(context.now) {
            Due::Nothing => {}
            Due::Send(to, bytes) => context.out.sip.push((to, bytes)),
            Due::GiveUp => {
                self.unconfirmed = None;
                if success && self.state == State::Up {
                    self.bye(context);
                    self.over(context, Event::Lost);
                }
            }
        }
    }
}
