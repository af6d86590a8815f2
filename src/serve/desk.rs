//! The desk that call control works at: takes events one at a time, lets call control decide, hands its commands out.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use media::{Event, LegId};
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep_until};
use tracing::{info, warn};

use super::knowing::Knowing;
use super::load::{LoadMeter, Reading, processor_time};
use super::reload::{Fresh, Neighbours};
use super::start::show_policies;
use super::systemd::Watchdog;
use super::telling::Telling;
use super::watching::Watching;
use crate::control::{
    Command, Control, ControlSettings, Done, ForkEvent, HandshakeFailure, Input, Load, OldTerms, Order, SipEvent,
    Sounds,
};
use crate::metrics::Metrics;
use crate::notice::{GroupTurn, Notice, ScenarioTurn, What};
use crate::pbx;
use crate::settings::{Checked, Policies, SipSettings, Zone};
use crate::shell::browser::Browsers;
use crate::shell::clock::Clock;
use crate::shell::copy::Copies;
use crate::shell::dtls::worker::Handshakes;
use crate::shell::fork::ForkSide;
use crate::shell::listen::{Baselines, Bench, Heard, Listening, Parties, Uttered, Words};
use crate::shell::media::{MediaFigures, MediaHandle, Refused, TapRing};
use crate::shell::pbx::{Connectors, PastConnectors};
use crate::shell::reels::Reels;
use crate::shell::sip::{Health, PastTrunks, SipSide};
use crate::speech::{Answer, Speaker};
use crate::store::Store;
use crate::web::{Asked, Component, Moment, Readiness, WebHandle};

/// How often gauges are read and readiness is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Call control and everything that it has to do with.
pub(super) struct Desk {
    pub(super) clock: Clock,
    pub(super) watchdog: Watchdog,
    pub(super) control: Control,
    pub(super) sip: SipSide,
    pub(super) forks: ForkSide,
    pub(super) browsers: Browsers,
    pub(super) media: MediaHandle,
    /// Orders that the media loop had no room for and that must not be missed, in their order: they are given again at
    /// the next look. A leg has a port until it is closed; a number that is typed is copied until it is secret.
    pub(super) owed: VecDeque<media::Command>,
    pub(super) handshakes: Handshakes,
    pub(super) listening: Option<Listening>,
    pub(super) bench: Arc<Bench>,
    pub(super) words: Words,
    pub(super) speaker: Speaker,
    pub(super) connectors: Connectors,
    pub(super) copies: Copies,
    pub(super) watching: Watching,
    /// How often what hears or understands had broken when that was last read.
    pub(super) breaks: u64,
    /// Copied packets that had been dropped when that was last read.
    pub(super) copies_dropped: u64,
    pub(super) tap: Arc<TapRing>,
    /// The media loop's figures when they were last read.
    pub(super) figures: MediaFigures,
    pub(super) load: LoadMeter,
    pub(super) parties: Arc<Parties>,
    pub(super) baselines: Arc<Baselines>,
    pub(super) store: Option<Store>,
    /// Who keeps audio, where there is a store.
    pub(super) reels: Option<Reels>,
    pub(super) telling: Telling,
    pub(super) knowing: Knowing,
    pub(super) metrics: Metrics,
    pub(super) readiness: Arc<Readiness>,
    pub(super) web: Option<WebHandle>,
    /// Where it is the hour and the day that rules name.
    pub(super) zone: Option<Zone>,
    /// What reloads have taken out, oldest first.
    pub(super) leaving: VecDeque<Leaving>,
    pub(super) inlets: Inlets,
    /// Reused from event to event.
    pub(super) commands: Vec<Command>,
}

/// The neighbours that a reload has taken out: kept until the last call has ended that began before it.
pub(super) struct Leaving {
    terms: OldTerms,
    _trunks: PastTrunks,
    _connectors: PastConnectors,
}

/// Where events come from.
pub(super) struct Inlets {
    pub(super) sip: Receiver<SipEvent>,
    pub(super) forks: Receiver<ForkEvent>,
    pub(super) media: Receiver<(Duration, Event)>,
    pub(super) shaken: Receiver<Input>,
    pub(super) heard: Receiver<Heard>,
    pub(super) spoken: Receiver<Answer>,
    pub(super) pbx: Receiver<pbx::Answer>,
    pub(super) orders: Receiver<Asked>,
    pub(super) fresh: Receiver<Fresh>,
}

/// What comes in.
pub(super) enum Work {
    /// Something has happened.
    Input(Input),
    /// Somebody orders something.
    Asked(Asked),
    /// The configuration has been read again.
    Fresh(Box<Fresh>),
    /// Time has passed.
    Time,
}

impl Desk {
    /// Works until an inlet closes, which none does while the server runs.
    pub(super) async fn run(&mut self) {
        let mut look = looking();
        while let Some(work) = self.next(&mut look).await {
            self.handle(work);
        }
    }

    /// Works for at most `patience`, or until no call is left.
    pub(super) async fn run_until_empty(&mut self, patience: Duration) {
        let until = Instant::now() + patience;
        let mut look = looking();
        while self.control.counts().calls + self.control.counts().calls_ending > 0 {
            tokio::select! {
                work = self.next(&mut look) => match work {
                    Some(work) => self.handle(work),
                    None => return,
                },
                () = sleep_until(until) => return,
            }
        }
    }

    /// Works until every call has ended or has been handed over, as far as it can be.
    pub(super) async fn run_until_drained(&mut self) {
        let mut look = looking();
        while !self.control.is_drained() {
            match self.next(&mut look).await {
                Some(work) => self.handle(work),
                None => return,
            }
        }
    }

    /// Takes one event, or lets time pass.
    pub(super) fn handle(&mut self, work: Work) {
        let now = self.clock.now();
        let mut answer = None;
        match work {
            Work::Input(input) => self.control.handle(now, input, &mut self.commands),
            Work::Asked(Asked { order, answer: waits }) => {
                let call = call_taken_part_in(&order);
                let goes_back = order == Order::PoliciesBack;
                let outcome = self.control.order(now, order, &mut self.commands);
                if goes_back && outcome.is_ok() {
                    show_policies(self.control.policies(), &self.metrics, &self.readiness);
                    self.audit("configuration", configuration(self.control.policies()));
                    self.knowing.went_back(&self.control);
                    if let Some(web) = &self.web {
                        web.went_back();
                    }
                }
                answer = waits.map(|waits| (waits, outcome, call));
            }
            Work::Fresh(fresh) => self.take_up(*fresh),
            Work::Time => {}
        }
        self.control.tick(now, &mut self.commands);
        self.carry_out_all();
        self.watching.follow(&self.control, &self.media);
        // Only now: whoever waits finds everything done.
        let Some((waits, outcome, call)) = answer else { return };
        let opened = outcome.as_ref().ok().cloned();
        if waits.send(outcome).is_err()
            && let (Some(opened), Some(call)) = (opened, call)
            && let Some(order) = taken_back(&opened, call)
        {
            self.handle(Work::Asked(Asked { order, answer: None }));
        }
    }

    /// Lets calls that begin from now on go by another configuration.
    fn take_up(&mut self, fresh: Fresh) {
        let Fresh { checked, neighbours, outside, keeps_policies, live, taken } = fresh;
        let Checked { settings, policies, judges, recognizer, knowledge, spoken, good: _ } = *checked;
        let Policies { policies, prompts, sayings: _, intents: _, texts } = policies;
        show_policies(&policies, &self.metrics, &self.readiness);
        self.audit("configuration", configuration(&policies));
        self.speaker.remember(spoken);
        if self.listening.is_some() {
            self.bench.exchange(judges);
        }
        match (&self.words.recognizing, recognizer) {
            (Some(recognizing), Some(Ok(files))) => recognizing.renew(files),
            (Some(_), Some(Err(why))) => warn!(why, "the recogniser goes on with the models and phrases that it had"),
            (None, _) | (_, None) => {}
        }
        let sounds = Sounds::new(prompts, settings.media.tones);
        self.zone.clone_from(&settings.policy.zone);
        if self.reels.is_some() && settings.routes.keep_audio() {
            self.readiness.want_reels();
        }
        self.knowing.exchange(&settings, knowledge, outside.sources);
        self.telling.exchange(&settings, outside.receivers);
        let reload = if keeps_policies { Control::reload_around } else { Control::reload };
        let terms = reload(&mut self.control, ControlSettings::from(&settings), policies, sounds);
        self.knowing.show_in_force(settings.clone(), &self.control);
        self.exchange(settings.sip, neighbours, terms);
        if let (Some(web), Some(live)) = (&self.web, live) {
            if let Err(error) = web.exchange(live) {
                warn!(%error, "the API goes on with the token and prompts that it had");
            }
            if !keeps_policies {
                web.took_policies(texts);
            }
        }
        // Whoever waits may have left.
        let _ = taken.send(());
    }

    /// Takes up other neighbours, and lets go of those that are gone with the calls of `terms`.
    fn exchange(&mut self, sip: SipSettings, neighbours: Neighbours, terms: OldTerms) {
        let Neighbours { trunks, pbxes, senders } = neighbours;
        let before = self.sip.trunks();
        let (trunks, connectors) = (self.sip.exchange(sip, trunks), self.connectors.exchange(pbxes));
        self.forks.exchange(senders);
        let after = self.sip.trunks();
        for gone in before.iter().filter(|trunk| !after.iter().any(|there| there.name == trunk.name)) {
            self.metrics.forget_trunk(&gone.name);
            self.readiness.forget_trunk(&gone.name);
        }
        self.leaving.push_back(Leaving { terms, _trunks: trunks, _connectors: connectors });
    }

    fn carry_out_all(&mut self) {
        // Carrying out a command can itself be an event (no port), which may lead to further commands.
        while !self.commands.is_empty() {
            self.commit();
            for command in std::mem::take(&mut self.commands) {
                if let Some(event) = self.carry_out(command) {
                    self.control.handle(self.clock.now(), event, &mut self.commands);
                }
            }
        }
    }

    /// Has what was decided on the disk before anybody acts on it.
    fn commit(&self) {
        if let Some(store) = &self.store {
            // What the disk did not take in time is counted, and acted on all the same.
            let _ = store.commit(self.commands.iter().filter_map(|command| match command {
                Command::Notice(notice) => Some(notice),
                _ => None,
            }));
        }
    }

    /// Tells the audit trail what the server itself did.
    pub(super) fn audit(&self, kind: &str, what: serde_json::Value) {
        if let Some(store) = &self.store {
            store.audit(kind, what);
        }
    }

    /// What comes next; `None` when an inlet has closed.
    async fn next(&mut self, look: &mut Interval) -> Option<Work> {
        let due = self.control.deadline().map(|(at, _)| at.saturating_sub(self.clock.now()));
        let wake = Instant::now() + due.unwrap_or(LOOK_EVERY);
        let Inlets { sip, forks, media, shaken, heard, spoken, pbx, orders, fresh } = &mut self.inlets;
        let input = tokio::select! {
            biased;
            // First, for what is looked at decides how much of the rest there may be.
            _ = look.tick() => return Some(Work::Input(self.look())),
            event = sip.recv() => Input::Sip(event?),
            event = forks.recv() => Input::Fork(event?),
            event = media.recv() => match event?.1 {
                Event::Handshake { leg, channel, datagram } => {
                    if self.handshakes.datagram(leg, channel, datagram).is_err() {
                        self.metrics.count_handshake_datagram_dropped();
                    }
                    return Some(Work::Time);
                }
                event => {
                    if let Event::Closed { leg, stats } = &event {
                        self.metrics.count_media(stats.into());
                        self.forget_leg(*leg);
                    }
                    Input::Media(event)
                }
            },
            outcome = shaken.recv() => outcome?,
            // Without an API, or without listening, nobody holds the other end of these.
            Some(asked) = orders.recv() => return Some(Work::Asked(asked)),
            Some(fresh) = fresh.recv() => return Some(Work::Fresh(Box::new(fresh))),
            Some(answer) = pbx.recv() => Input::Pbx(answer),
            Some(answer) = spoken.recv() => spoken_input(answer),
            Some(heard) = heard.recv() => match heard {
                Heard::Observation(observation) => Input::Heard(observation),
                Heard::Said(transcript) => {
                    // First: call control lets go of a call before its last words come.
                    self.reels.iter().for_each(|reels| reels.said(&transcript));
                    Input::Said(transcript)
                }
                Heard::Crosstalk(transcript) => {
                    self.reels.iter().for_each(|reels| reels.said(&transcript));
                    Input::Crosstalk(transcript)
                }
                Heard::Began { leg, at } => {
                    if let (Some(reels), Some(call)) = (&self.reels, self.control.reel_of(leg)) {
                        reels.began(call, leg, at);
                    }
                    return Some(Work::Time);
                }
                Heard::Language { leg, found, heard_in } => Input::Language { leg, found, heard_in },
                Heard::Turns { legs, turns } => Input::Turns { legs, turns },
                Heard::Speech { leg, lasted } => Input::Spoke { leg, lasted },
                Heard::Key { leg, key } => Input::Key { leg, key },
            },
            () = sleep_until(wake) => return Some(Work::Time),
        };
        Some(Work::Input(input))
    }

    /// Hands a command to whom it is for; what comes back at once is an event.
    fn carry_out(&mut self, command: Command) -> Option<Input> {
        match command {
            Command::Sip(command) => {
                self.watching.name(&self.control, &command);
                self.sip.handle(command);
            }
            Command::Fork(command) => self.forks.handle(command),
            Command::Media(command) => return self.order_media(command),
            Command::Handshake { leg, handshake, forks } => {
                let refused = self.handshakes.begin(leg, handshake, forks).is_err();
                return refused.then_some(Input::Shaken { leg, outcome: Err(HandshakeFailure::Busy) });
            }
            Command::Know { leg, caller } => self.parties.know(leg, self.baselines.key_of(&caller)),
            Command::Read { leg, text } => self.words.utterances.push(leg, Uttered::Typed(text)),
            Command::See { leg, expression } => self.words.utterances.push(leg, Uttered::Shown(expression)),
            Command::Attend { leg, on } => self.parties.attend(leg, on),
            Command::EndBrowser { leg, reason } => self.browsers.end(leg, reason),
            Command::Reel(command) => self.reels.iter().for_each(|reels| reels.order(command.clone())),
            Command::Pbx(order) => return self.connectors.ask(order).map(Input::Pbx),
            Command::Speak { leg, prompt, saying } => return self.speaker.ask(leg, prompt, saying).map(spoken_input),
            Command::Notice(notice) => {
                log(&notice);
                self.watching.tell(&notice);
                return self.knowing.tell(&notice, Moment::now());
            }
        }
        None
    }

    fn order_media(&mut self, command: media::Command) -> Option<Input> {
        if let media::Command::Tap { leg, on: true } = command
            && let Some(call) = self.control.call_of(leg)
        {
            self.parties.seat(leg, call, self.control.language_of(leg), self.control.tells_functionals(call));
        }
        match command {
            media::Command::Close { leg } => self.forget_leg(leg),
            _ => self.parties.observe(&command),
        }
        let media::Command::Open { leg, port, address } = command else {
            // A running call keeps the audio it has.
            self.owed.extend(self.give(command));
            return None;
        };
        // Legs of one call live on one media thread.
        let group = self.control.call_of(leg).map_or(0, |call| call.0);
        let refused = self.media.open(group, leg, port, address).err()?;
        warn!(%refused, "the media loop did not take a new leg");
        Some(Input::Media(Event::OpenFailed { leg, reason: refused.to_string() }))
    }

    /// Gives an order to the media loop; returns one that has to be given again, also where one before it waits for that.
    fn give(&self, command: media::Command) -> Option<media::Command> {
        let must = matches!(command, media::Command::Close { .. } | media::Command::Secure { .. });
        let again = must.then(|| command.clone());
        if must && !self.owed.is_empty() {
            return again;
        }
        let refused = self.media.send(command).err()?;
        warn!(%refused, "the media loop did not take an order");
        again.filter(|_| refused == Refused::Full)
    }

    /// Lets go of what stands beside a leg's media, which nobody may have asked to be closed: its thread may have broken
    /// down.
    fn forget_leg(&self, leg: LegId) {
        self.parties.observe(&media::Command::Close { leg });
        // An order that is not taken is not missed: the handshake has ended, or ends of itself.
        let _ = self.handshakes.end(leg);
    }

    /// Reads what nobody tells; what that says of the load.
    fn look(&mut self) -> Input {
        let now = self.clock.now();
        self.watchdog.feed(now);
        for owed in mem::take(&mut self.owed) {
            self.owed.extend(self.give(owed));
        }
        if let Some(local) = self.zone.as_ref().and_then(|zone| zone.local(SystemTime::now())) {
            self.control.set_clock(now, local);
        }
        let listens = self.look_at_listening(now);
        if let Some(store) = &self.store {
            self.metrics.set_store_up(store.is_up());
            self.readiness.set(Component::Store, store.is_up());
        }
        if let Some(reels) = &self.reels {
            self.readiness.set(Component::Reels, reels.is_up());
        }
        let dropped = self.copies.packets_dropped();
        self.metrics.count_copies_dropped(dropped - self.copies_dropped);
        self.copies_dropped = dropped;
        self.look_at_captures();
        self.metrics.set_sip_connections(self.sip.connections());
        self.metrics.set_servers_restrained(self.sip.servers_restrained());
        self.sip.tell_load(self.control.refused_percent(now));
        for trunk in self.sip.trunks() {
            let up = (trunk.health != Health::Unknown).then_some(trunk.health == Health::Up);
            self.metrics.set_trunk(&trunk.name, up, trunk.registered);
            self.readiness.set_trunk(&trunk.name, up, trunk.registered);
        }
        // Whoever was there before a reload may serve calls that began before the reload in front of it, too.
        while self.leaving.pop_front_if(|leaving| leaving.terms.are_over()).is_some() {}
        let media = self.look_at_media();
        self.readiness.set_draining(!self.control.is_taking_calls());
        // What cannot be heard at all is no reason to refuse calls.
        let backlog = if listens { self.tap.fill() } else { 0.0 };
        let reading = Reading { at: now, cpu: processor_time(), media, backlog, queue: self.inlets.fill() };
        let measured = self.load.take(reading);
        let load = self.control.load();
        self.metrics.set_load(load, &measured);
        self.readiness.set_load(load, measured);
        if let Some(listening) = &self.listening {
            listening.spare(load > Load::Normal);
        }
        if let Some(recognizing) = &self.words.recognizing {
            recognizing.spare(load > Load::Normal);
        }
        Input::Measured(measured)
    }

    fn look_at_media(&mut self) -> MediaFigures {
        let media = self.media.figures();
        let ticks = media.ticks - self.figures.ticks;
        if let Some(late_us) = (media.tick_late_us_sum - self.figures.tick_late_us_sum).checked_div(ticks) {
            self.metrics.record_tick_lateness(Duration::from_micros(late_us));
        }
        self.figures = media;
        self.metrics.set_media_restarts(media.restarts);
        self.readiness.set(Component::Media, media.threads_alive > 0);
        media
    }
}

impl Inlets {
    /// How full the fullest queue is, 0-1.
    fn fill(&self) -> f64 {
        fn fill<T>(inlet: &Receiver<T>) -> f64 {
            inlet.len() as f64 / inlet.max_capacity() as f64
        }
        // What comes of calls; orders of operators are few and may wait.
        let Inlets { sip, forks, media, shaken, heard, .. } = self;
        [fill(sip), fill(forks), fill(media), fill(shaken), fill(heard)].into_iter().fold(0.0, f64::max)
    }
}

/// What the audit trail is told of a configuration that is taken up.
pub(super) fn configuration(policies: &[routing::Policy]) -> serde_json::Value {
    let policies: Vec<String> = policies.iter().map(routing::Policy::label).collect();
    serde_json::json!({ "version": env!("CARGO_PKG_VERSION"), "policies": policies })
}

/// The call that somebody asks to hear or to take part in, which ends with whoever asks.
fn call_taken_part_in(order: &Order) -> Option<String> {
    match order {
        Order::OpenAudio { call, .. } | Order::AdmitBrowser { call, .. } => Some(call.clone()),
        _ => None,
    }
}

/// The order that takes back what nobody waits for any more.
fn taken_back(done: &Done, call: String) -> Option<Order> {
    match *done {
        Done::Audio { client, .. } => Some(Order::CloseAudio { call, client }),
        Done::Browser { supervisor, .. } => {
            let reason = "whoever asked has gone".to_owned();
            Some(Order::BrowserGone { call, supervisor, reason })
        }
        _ => None,
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
        What::Decided { rule, policy, actions, .. } => info!(call, call_ms, rule, policy, ?actions, "decided"),
        What::KeyPressed { party, way, .. } => info!(call, call_ms, party, way, "key pressed"),
        What::CallForked { source, told_by, parties, .. } => {
            info!(call, call_ms, source, told_by, parties = parties.len(), "call forked to us");
        }
        What::SupervisorCalled { supervisor, mode, party, .. } => {
            info!(call, call_ms, supervisor, mode, party, "supervisor called");
        }
        What::ScenarioTurned(ScenarioTurn { scenario, before, after, .. }) => {
            warn!(scenario, before, after, "the calls of a scenario have turned");
        }
        What::GroupTurned(GroupTurn { by, before, after, .. }) => {
            warn!(by, before, after, "the calls of a group have turned");
        }
        What::LoadChanged { load, was, by } => warn!(load, was, ?by, "the load is another one"),
        What::CallStarted { route, scenario, .. } => info!(call, call_ms, route, scenario, "call started"),
        what => info!(call, call_ms, ?what),
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    #[test]
    fn what_nobody_waits_for_is_taken_back() {
        let (call, leg) = ("call-1".to_owned(), LegId(7));
        let receiver = SocketAddr::from(([127, 0, 0, 1], 40_000));
        let reason = "whoever asked has gone".to_owned();
        for (done, order) in [
            (Done::Audio { client: 3, leg }, Some(Order::CloseAudio { call: call.clone(), client: 3 })),
            (
                Done::Browser { supervisor: 2, leg, receiver },
                Some(Order::BrowserGone { call: call.clone(), supervisor: 2, reason }),
            ),
            (Done::Supervisor(1), None),
        ] {
            assert_eq!(taken_back(&done, call.clone()), order);
        }
    }
}
