//! The desk that call control works at: takes events one at a time, lets call control decide, hands its commands out.

use std::sync::Arc;
use std::time::Duration;

use media::Event;
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep_until};
use tracing::{info, warn};

use crate::control::{Command, Control, HandshakeFailure, Input, Order, SipEvent};
use crate::metrics::Metrics;
use crate::notice::{Notice, What};
use crate::shell::clock::Clock;
use crate::shell::dtls::worker::Handshakes;
use crate::shell::listen::{Heard, Listening, Parties};
use crate::shell::media::{MediaFigures, MediaHandle, TapRing};
use crate::shell::sip::SipSide;
use crate::speech::{Answer, Speaker};
use crate::web::{Bus, Component, Readiness};

/// How often gauges are read and readiness is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Call control and everything that it has to do with.
pub(super) struct Desk {
    pub(super) clock: Clock,
    pub(super) control: Control,
    pub(super) sip: SipSide,
    pub(super) media: MediaHandle,
    pub(super) handshakes: Handshakes,
    pub(super) listening: Option<Listening>,
    pub(super) speaker: Speaker,
    pub(super) tap: Arc<TapRing>,
    /// The media loop's figures when they were last read.
    pub(super) figures: MediaFigures,
    pub(super) parties: Arc<Parties>,
    pub(super) bus: Arc<Bus>,
    pub(super) metrics: Metrics,
    pub(super) readiness: Arc<Readiness>,
    pub(super) inlets: Inlets,
    /// Reused from event to event.
    pub(super) commands: Vec<Command>,
}

/// Where events come from.
pub(super) struct Inlets {
    pub(super) sip: Receiver<SipEvent>,
    pub(super) media: Receiver<(Duration, Event)>,
    pub(super) shaken: Receiver<Input>,
    pub(super) heard: Receiver<Heard>,
    pub(super) spoken: Receiver<Answer>,
    pub(super) orders: Receiver<Order>,
}

impl Desk {
    /// Works until an inlet closes, which none does while the server runs.
    pub(super) async fn run(&mut self) {
        let mut look = looking();
        while let Some(input) = self.next(&mut look).await {
            self.handle(input);
        }
    }

    /// Works for at most `patience`, or until no call is left.
    pub(super) async fn run_until_empty(&mut self, patience: Duration) {
        let until = Instant::now() + patience;
        let mut look = looking();
        while self.control.counts().calls + self.control.counts().calls_ending > 0 {
            tokio::select! {
                input = self.next(&mut look) => match input {
                    Some(input) => self.handle(input),
                    None => return,
                },
                () = sleep_until(until) => return,
            }
        }
    }

    /// Takes one event, or lets time pass.
    pub(super) fn handle(&mut self, input: Option<Input>) {
        let now = self.clock.now();
        if let Some(input) = input {
            self.control.handle(now, input, &mut self.commands);
        }
        self.control.tick(now, &mut self.commands);
        // Carrying out a command can itself be an event (no port), which may lead to further commands.
        while !self.commands.is_empty() {
            for command in std::mem::take(&mut self.commands) {
                if let Some(event) = self.carry_out(command) {
                    self.control.handle(self.clock.now(), event, &mut self.commands);
                }
            }
        }
    }

    /// The next event; `Some(None)` when only time has passed, `None` when an inlet has closed.
    async fn next(&mut self, look: &mut Interval) -> Option<Option<Input>> {
        let due = self.control.deadline().map(|(at, _)| at.saturating_sub(self.clock.now()));
        let wake = Instant::now() + due.unwrap_or(LOOK_EVERY);
        let Inlets { sip, media, shaken, heard, spoken, orders } = &mut self.inlets;
        let input = tokio::select! {
            biased;
            event = sip.recv() => Input::Sip(event?),
            event = media.recv() => match event?.1 {
                Event::Handshake { leg, channel, datagram } => {
                    if self.handshakes.datagram(leg, channel, datagram).is_err() {
                        self.metrics.count_handshake_datagram_dropped();
                    }
                    return Some(None);
                }
                event => {
                    if let Event::Closed { stats, .. } = &event {
                        self.metrics.count_media(stats.into());
                    }
                    Input::Media(event)
                }
            },
            outcome = shaken.recv() => outcome?,
            // Without an API, or without listening, nobody holds the other end of these.
            Some(order) = orders.recv() => Input::Order(order),
            Some(answer) = spoken.recv() => spoken_input(answer),
            Some(heard) = heard.recv() => match heard {
                Heard::Observation(observation) => Input::Heard(observation),
                Heard::Speech { leg, lasted } => Input::Spoke { leg, lasted },
                Heard::Key { leg, key } => Input::Key { leg, key },
            },
            _ = look.tick() => {
                self.look();
                return Some(None);
            }
            () = sleep_until(wake) => return Some(None),
        };
        Some(Some(input))
    }

    /// Hands a command to whom it is for; what comes back at once is an event.
    fn carry_out(&mut self, command: Command) -> Option<Input> {
        match command {
            Command::Sip(command) => self.sip.handle(command),
            Command::Media(command) => return self.order_media(command),
            Command::Handshake { leg, handshake, forks } => {
                let refused = self.handshakes.begin(leg, handshake, forks).is_err();
                return refused.then_some(Input::Shaken { leg, outcome: Err(HandshakeFailure::Busy) });
            }
            Command::Speak { leg, prompt, saying } => return self.speaker.ask(leg, prompt, saying).map(spoken_input),
            Command::Notice(notice) => {
                log(&notice);
                self.metrics.observe(&notice);
                self.bus.publish(&notice);
            }
        }
        None
    }

    fn order_media(&mut self, command: media::Command) -> Option<Input> {
        self.parties.observe(&command);
        if let media::Command::Close { leg } = command {
            // An order that is not taken is not missed: the handshake has ended, or ends of itself.
            let _ = self.handshakes.end(leg);
        }
        let media::Command::Open { leg, port, address } = command else {
            // A running call keeps the audio it has.
            if let Err(refused) = self.media.send(command) {
                warn!(%refused, "the media loop did not take an order");
            }
            return None;
        };
        // Legs of one call live on one media thread.
        let group = self.control.call_of(leg).map_or(0, |call| call.0);
        let refused = self.media.open(group, leg, port, address).err()?;
        warn!(%refused, "the media loop did not take a new leg");
        Some(Input::Media(Event::OpenFailed { leg, reason: refused.to_string() }))
    }

    /// Reads what nobody tells.
    fn look(&mut self) {
        let now = self.clock.now();
        let listening = self.listening.as_ref();
        let listens = listening.is_some_and(|listening| listening.is_up(now));
        self.metrics.set_listener_up(listens);
        self.readiness.set(Component::Listening, listens);
        self.readiness.set(Component::Model, listening.is_some_and(Listening::with_model));
        self.metrics.set_listening_backlog(self.tap.len());
        let media = self.media.figures();
        let ticks = media.ticks - self.figures.ticks;
        if let Some(late_us) = (media.tick_late_us_sum - self.figures.tick_late_us_sum).checked_div(ticks) {
            self.metrics.record_tick_lateness(Duration::from_micros(late_us));
        }
        self.figures = media;
        self.readiness.set(Component::Media, media.threads_alive > 0);
    }
}

fn spoken_input(Answer { leg, prompt, sound }: Answer) -> Input {
    Input::Spoken { leg, prompt, sound }
}

fn looking() -> Interval {
    let mut look = interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    look
}

/// One log line per notice. Numbers and names of people stay out of it, and so does what they type.
fn log(notice: &Notice) {
    let Notice { call, call_ms, what } = notice;
    match what {
        What::Observed { .. } => tracing::debug!(call, call_ms, ?what),
        What::KeyPressed { party, way, .. } => info!(call, call_ms, party, way, "key pressed"),
        What::CallStarted { route, scenario, .. } => info!(call, call_ms, route, scenario, "call started"),
        what => info!(call, call_ms, ?what),
    }
}
