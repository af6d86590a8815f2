//! A telephone: a SIP user agent over UDP with RTP, enough of RFC 3261 to test a back-to-back user agent honestly.
//!
//! Calls, is called, holds, resumes, follows a REFER like a PBX's caller leg does. Pure: datagrams and time come in,
//! datagrams and events come out. No registration, no authentication, no TCP.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use media::srtp::Suite;
use media::{Codec, Direction, dtmf};

use crate::audio::Audio;
use crate::latency::Latencies;
use crate::message::{Message, Start};
use crate::network::BadNetwork;
use crate::stream::{Keep, Recording, StreamPlan, StreamStats};

mod call;
mod dialog;
mod incoming;
mod outgoing;
mod random;
mod secret;
pub(crate) mod speech;
mod transaction;

#[cfg(test)]
mod tests;

use call::Call;
use random::Random;
pub use secret::Secret;

/// RFC 3261 §17.1.1.1: the estimate of the round-trip time.
pub const T1: Duration = Duration::from_millis(500);
/// The longest time between two retransmissions.
pub const T2: Duration = Duration::from_secs(4);
/// The most calls of one telephone, finished ones included.
pub const CALLS_MAX: usize = 100_000;

/// Where the numbers of codecs begin that have none of their own (RFC 3551 §3).
pub const PAYLOAD_TYPE_FIRST: u8 = 96;

/// Which call of a telephone; counts from 0 in the order they began.
pub type CallIndex = usize;

/// How a telephone is set up.
#[derive(Debug, Clone)]
pub struct PhoneSettings {
    /// The user part of its address.
    pub user: String,
    /// Where its SIP socket is.
    pub sip: SocketAddr,
    /// The local ports of its RTP sockets: as many calls at a time.
    pub rtp_ports: Vec<u16>,
    /// What it offers and takes, in order.
    pub codecs: Vec<Codec>,
    /// What it does when it is called.
    pub behaviour: Behaviour,
    /// What it says.
    pub audio: Audio,
    /// What is kept of what it hears.
    pub keep: Keep,
    /// Makes its tags, branches and SSRCs.
    pub seed: u64,
    /// What is special about its streams.
    pub stream: StreamPlan,
    /// The first payload type for codecs without a number of their own, 96 to 120; events have the ones behind them.
    pub payload_type_first: u8,
    /// Makes the keys of its calls: it offers and takes SRTP with keys in the description and nothing else. `None`: plain
    /// RTP and nothing else.
    pub secret: Option<Secret>,
    /// The only suite that it offers; all that there are otherwise.
    pub suite: Option<Suite>,
}

impl PhoneSettings {
    /// A silent G.711 telephone that answers at once, keeps nothing, and has nothing special about it.
    pub fn new(sip: SocketAddr, rtp_ports: Vec<u16>) -> Self {
        PhoneSettings {
            user: "phone".to_owned(),
            sip,
            rtp_ports,
            codecs: vec![Codec::Pcma, Codec::Pcmu],
            behaviour: Behaviour::answer(),
            audio: Audio::Silence,
            keep: Keep { audio_seconds: 0, trace: false },
            seed: 0,
            stream: StreamPlan::default(),
            payload_type_first: PAYLOAD_TYPE_FIRST,
            secret: None,
            suite: None,
        }
    }
}

/// What a telephone does when it is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behaviour {
    /// How long it rings first.
    pub ring: Duration,
    /// Whether it sends audio while it rings (183 with a description).
    pub early_media: bool,
    /// What it does then.
    pub then: Then,
}

/// What follows the ringing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Then {
    /// Answers, and hangs up after a time if one is given.
    Answer {
        /// Counted from the answer.
        hang_up_after: Option<Duration>,
    },
    /// Refuses with this status: 486 busy, 603 decline, 404, …
    Refuse(u16),
    /// Rings on for ever.
    Ring,
}

impl Behaviour {
    /// Answers at once.
    pub fn answer() -> Self {
        Behaviour { ring: Duration::ZERO, early_media: false, then: Then::Answer { hang_up_after: None } }
    }

    /// Refuses at once.
    pub fn refuse(status: u16) -> Self {
        Behaviour { then: Then::Refuse(status), ..Self::answer() }
    }

    /// Rings for ever.
    pub fn ring() -> Self {
        Behaviour { then: Then::Ring, ..Self::answer() }
    }

    /// The same after ringing for a while.
    pub fn after(self, ring: Duration) -> Self {
        Behaviour { ring, ..self }
    }

    /// The same with audio while it rings.
    pub fn with_early_media(self) -> Self {
        Behaviour { early_media: true, ..self }
    }

    /// Answers, and hangs up after a time.
    pub fn hanging_up_after(self, time: Duration) -> Self {
        Behaviour { then: Then::Answer { hang_up_after: Some(time) }, ..self }
    }
}

/// A call that the telephone is to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The request-URI, also used as To.
    pub target: String,
    /// Where the INVITE is sent.
    pub server: SocketAddr,
    /// The display name in From.
    pub name: Option<String>,
    /// More headers of the INVITE.
    pub headers: Vec<(String, String)>,
    /// Hangs up after a time, counted from the answer.
    pub hang_up_after: Option<Duration>,
}

/// What the telephone's user does.
#[derive(Debug, Clone)]
pub enum Order {
    /// Calls; the new call's index is the number of calls before it.
    Call(Outgoing),
    /// Ends a call in whatever state it is: CANCEL, BYE, or 603 to a ringing one.
    HangUp(CallIndex),
    /// Re-INVITE with this direction: `SendOnly` holds, `SendRecv` resumes.
    Offer(CallIndex, Direction),
    /// Says something else from now on.
    Say(CallIndex, Audio),
    /// Presses keys, one after another, as telephone-events (RFC 4733).
    Press(CallIndex, Vec<dtmf::Key>),
}

/// What comes in.
#[derive(Debug)]
pub enum Input<'a> {
    /// A datagram on the SIP socket.
    Sip {
        /// Who sent it.
        from: SocketAddr,
        /// The datagram.
        bytes: &'a [u8],
    },
    /// A datagram on an RTP socket.
    Rtp {
        /// The local port.
        port: u16,
        /// The datagram.
        bytes: &'a [u8],
    },
    /// The user does something.
    Order(Order),
    /// Time has passed.
    Tick,
}

/// What goes out, in order.
#[derive(Debug, Default)]
pub struct Output {
    /// SIP datagrams: where to, and what.
    pub sip: Vec<(SocketAddr, Vec<u8>)>,
    /// RTP datagrams: from which local port, where to, and what.
    pub rtp: Vec<(u16, SocketAddr, Vec<u8>)>,
    /// What has happened.
    pub events: Vec<TimedEvent>,
}

/// Something that happened on a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimedEvent {
    /// When, since the driver's start.
    pub at: Duration,
    /// On which call.
    pub call: CallIndex,
    /// What.
    pub event: Event,
}

/// What can happen on a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// We are called.
    Incoming {
        /// The INVITE.
        invite: Box<Message>,
    },
    /// The far end rings (18x), or we do.
    Ringing {
        /// 180-189.
        status: u16,
    },
    /// The call is up.
    Answered,
    /// The call did not come about.
    Failed {
        /// The status; 408 when nothing came, 487 when cancelled.
        status: u16,
    },
    /// The first RTP packet was heard.
    RtpFirst,
    /// The far end pressed a key (RFC 4733).
    Key(dtmf::Key),
    /// The far end sent a re-INVITE or UPDATE.
    Reoffered {
        /// INVITE or UPDATE.
        method: String,
        /// What we do from now on; `None` when it carried no description.
        direction: Option<Direction>,
    },
    /// Our own re-INVITE was answered.
    OfferAnswered {
        /// Its status.
        status: u16,
        /// What we do from now on.
        direction: Option<Direction>,
    },
    /// The far end asks us to call somebody else; we do.
    Referred {
        /// The address in Refer-To, without embedded headers.
        target: String,
        /// The new call.
        call: CallIndex,
    },
    /// The far end ended the call.
    Bye {
        /// Its Reason header, if any.
        reason: Option<String>,
    },
    /// We ended the call.
    HungUp,
    /// The far end never confirmed or never answered a request: the dialog is dead.
    Lost,
}

/// The telephone.
#[derive(Debug)]
pub struct Phone {
    settings: PhoneSettings,
    calls: Vec<Call>,
    by_call_id: BTreeMap<String, CallIndex>,
    by_port: BTreeMap<u16, CallIndex>,
    free_ports: Vec<u16>,
    timers: BTreeSet<(Duration, CallIndex)>,
    random: Random,
}

/// What a call may use of its telephone.
struct Context<'a> {
    now: Duration,
    index: CallIndex,
    settings: &'a PhoneSettings,
    random: &'a mut Random,
    out: &'a mut Output,
}

impl Context<'_> {
    fn event(&mut self, event: Event) {
        self.out.events.push(TimedEvent { at: self.now, call: self.index, event });
    }

    fn contact(&self) -> String {
        format!("<sip:{}@{}>", self.settings.user, self.settings.sip)
    }
}

impl Phone {
    /// A telephone at rest.
    pub fn new(settings: PhoneSettings) -> Self {
        Phone {
            random: Random::new(settings.seed),
            free_ports: settings.rtp_ports.clone(),
            settings,
            calls: Vec::new(),
            by_call_id: BTreeMap::new(),
            by_port: BTreeMap::new(),
            timers: BTreeSet::new(),
        }
    }

    /// Its own address as a URI.
    pub fn uri(&self) -> String {
        format!("sip:{}@{}", self.settings.user, self.settings.sip)
    }

    /// Takes one input; what follows from it is appended to `out`.
    pub fn handle(&mut self, now: Duration, input: Input<'_>, out: &mut Output) {
        match input {
            Input::Sip { from, bytes } => {
                // What is no SIP is dropped, as RFC 3261 §18.3 asks for.
                if let Ok(message) = Message::parse(bytes) {
                    self.receive(now, from, &message, out);
                }
            }
            Input::Rtp { port, bytes } => {
                if let Some(&index) = self.by_port.get(&port) {
                    self.with(now, index, out, |call, context| call.receive_rtp(context, bytes));
                }
            }
            Input::Order(order) => self.obey(now, order, out),
            Input::Tick => self.tick(now, out),
        }
    }

    /// When `Tick` is due; each does one thing, so the next may be due at once.
    pub fn deadline(&self) -> Option<Duration> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// How many calls there were.
    pub fn calls(&self) -> usize {
        self.calls.len()
    }

    /// How many calls are not over.
    pub fn calls_open(&self) -> usize {
        self.calls.iter().filter(|call| !call.is_over()).count()
    }

    /// Everything heard on a call; empty when there is no such call.
    pub fn heard(&self, call: CallIndex) -> Recording {
        self.calls.get(call).map(Call::recording).unwrap_or_default()
    }

    /// The figures of a call's stream.
    pub fn stats(&self, call: CallIndex) -> StreamStats {
        self.calls.get(call).map(Call::stats).unwrap_or_default()
    }

    /// The one-way times of all calls since this was asked last.
    pub fn take_latencies(&mut self) -> Latencies {
        let mut all = Latencies::default();
        self.calls.iter_mut().for_each(|call| all.merge(&call.stream.take_latencies()));
        all
    }

    fn tick(&mut self, now: Duration, out: &mut Output) {
        if let Some(&(at, index)) = self.timers.first()
            && at <= now
        {
            self.with(now, index, out, Call::tick);
        }
    }

    fn obey(&mut self, now: Duration, order: Order, out: &mut Output) {
        match order {
            Order::Call(outgoing) => {
                self.call(now, &outgoing, out);
            }
            Order::HangUp(index) => self.with(now, index, out, Call::hang_up),
            Order::Offer(index, direction) => {
                self.with(now, index, out, |call, context| call.reoffer(context, direction));
            }
            Order::Say(index, audio) => self.with(now, index, out, |call, _| call.stream.set_audio(now, audio)),
            Order::Press(index, keys) => self.with(now, index, out, |call, _| call.stream.press(&keys)),
        }
    }

    /// Begins a call; `None` when the telephone has no port or no room left.
    fn call(&mut self, now: Duration, outgoing: &Outgoing, out: &mut Output) -> Option<CallIndex> {
        let index = self.calls.len();
        if index >= CALLS_MAX {
            return None;
        }
        let port = self.free_ports.pop()?;
        let call = Call::calling(&self.settings, &mut self.random, port, outgoing);
        self.add(call, port);
        self.with(now, index, out, |call, context| call.invite(context, &outgoing.headers));
        Some(index)
    }

    fn add(&mut self, call: Call, port: u16) {
        self.by_call_id.insert(call.call_id().to_owned(), self.calls.len());
        self.by_port.insert(port, self.calls.len());
        self.calls.push(call);
        self.settings.stream.network = self.settings.stream.network.map(BadNetwork::next);
    }

    fn receive(&mut self, now: Duration, from: SocketAddr, message: &Message, out: &mut Output) {
        let known = message.header("Call-ID").and_then(|id| self.by_call_id.get(id).copied());
        match (&message.start, known) {
            (Start::Response { .. }, Some(index)) => {
                self.with(now, index, out, |call, context| call.response(context, message));
            }
            (Start::Response { .. }, None) => {}
            (Start::Request { .. }, Some(index)) => {
                self.with(now, index, out, |call, context| call.request(context, from, message));
                self.follow_referral(now, index, out);
            }
            (Start::Request { method, .. }, None) if method == "INVITE" && message.to_tag().is_none() => {
                self.called(now, from, message, out);
            }
            (Start::Request { method, .. }, None) => match method.as_str() {
                "ACK" => {}
                "OPTIONS" => out.sip.push((from, Message::response(message, 200, "OK").to_bytes())),
                _ => out.sip.push((from, Message::response(message, 481, "Call Does Not Exist").to_bytes())),
            },
        }
    }

    fn called(&mut self, now: Duration, from: SocketAddr, invite: &Message, out: &mut Output) {
        let port = if self.calls.len() < CALLS_MAX { self.free_ports.pop() } else { None };
        let Some(port) = port else {
            out.sip.push((from, Message::response(invite, 486, "Busy Here").to_bytes()));
            return;
        };
        let index = self.calls.len();
        let call = Call::called(&self.settings, &mut self.random, port, from, invite);
        self.add(call, port);
        self.with(now, index, out, |call, context| call.ring(context, invite));
    }

    /// Makes the call that a REFER on `index` asked for.
    fn follow_referral(&mut self, now: Duration, index: CallIndex, out: &mut Output) {
        let Some(outgoing) = self.calls.get_mut(index).and_then(Call::take_referral) else { return };
        let target = outgoing.target.clone();
        let Some(new) = self.call(now, &outgoing, out) else {
            self.with(now, index, out, |call, context| call.notify(context, 503));
            return;
        };
        self.calls[new].set_referrer(index);
        self.with(now, index, out, |_, context| context.event(Event::Referred { target, call: new }));
    }

    /// Runs `act` on a call, then tells whoever referred us to it how it went.
    fn with(
        &mut self,
        now: Duration,
        index: CallIndex,
        out: &mut Output,
        act: impl FnOnce(&mut Call, &mut Context<'_>),
    ) {
        let Some((referrer, status)) = self.settle(now, index, out, act) else { return };
        if (200..300).contains(&status) {
            let position = self.calls[referrer].stream.audio_position();
            self.calls[index].stream.set_audio_position(position);
        }
        self.settle(now, referrer, out, |call, context| call.notify(context, status));
    }

    /// Runs `act` on a call, then settles its timer and port; returns what its referrer is to be told.
    fn settle(
        &mut self,
        now: Duration,
        index: CallIndex,
        out: &mut Output,
        act: impl FnOnce(&mut Call, &mut Context<'_>),
    ) -> Option<(CallIndex, u16)> {
        let call = self.calls.get_mut(index)?;
        if let Some(at) = call.scheduled.take() {
            self.timers.remove(&(at, index));
        }
        let mut context = Context { now, index, settings: &self.settings, random: &mut self.random, out };
        act(call, &mut context);
        call.scheduled = call.deadline();
        if let Some(at) = call.scheduled {
            self.timers.insert((at, index));
        }
        if let Some(port) = call.release_port() {
            self.by_port.remove(&port);
            self.free_ports.insert(0, port);
        }
        call.take_report()
    }
}
