//! The bus: every event of this node goes to a stream of NATS JetStream, and events of other nodes come from there to the board.
//!
//! No call waits for it: events wait in the queue of whoever watches, which loses the oldest; what happens while there is no
//! connection is dropped, and counted. Other nodes notice that something is missing, and ask for all that is up.

mod carry;
mod survey;
mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::{self, context::PublishAckFuture, stream};
use async_nats::{Client, ConnectOptions, Event as Change, HeaderMap, Subscriber};
use futures::{FutureExt, StreamExt};
use tokio::task::{JoinError, JoinHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::escalate::Escalating;
use super::sip::client_by;
use crate::metrics::Metrics;
use crate::notice::What;
use crate::peers::{Done, HERE_EVERY, Here, Message, Peers, Restored, Step, ToldEvent};
use crate::settings::{BusSettings, NodeSettings};
use crate::web::{Bus, Delivery, Event, Moment, Subscription};
pub use carry::{ANSWER_WITHIN, Carried, Carrier, Changes, Following, NoAnswer};
pub use survey::{Heard, Survey};

/// Events that the stream has not confirmed yet.
const UNCONFIRMED_MAX: usize = 256;
/// How long the stream may take to confirm one.
const CONFIRM_WITHIN: Duration = Duration::from_secs(5);
/// How long the connection may take to take something.
const TAKE_WITHIN: Duration = Duration::from_secs(1);
/// The pauses between attempts to connect: they double from the first one on.
const RECONNECT: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(15)];
/// Messages of other nodes that wait; beyond that they are lost, and asked for again.
const INCOMING_MAX: usize = 16_384;
/// What a stream that this program makes keeps, unless somebody has made one.
const KEPT: Duration = Duration::from_secs(7 * 86_400);
const KEPT_BYTES_MAX: i64 = 4 << 30;
/// In which the stream takes an event once.
const DUPLICATES_WITHIN: Duration = Duration::from_secs(120);
/// How long the last events may take to go out at the end.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);
/// When the stream is asked for again that could not be had.
const STREAM_AGAIN: Duration = Duration::from_secs(10);

/// The running link; whoever drops it ends it.
#[derive(Debug)]
pub struct Link {
    task: Option<JoinHandle<()>>,
    carrier: Carrier,
    closing: CancellationToken,
}

impl Link {
    /// Begins to connect, and to tell what `bus` is told. The server does not have to be there yet.
    ///
    /// # Errors
    /// When credentials or certificates cannot be used.
    pub async fn start(
        settings: &BusSettings,
        node: &NodeSettings,
        (bus, escalating, metrics): (Arc<Bus>, Escalating, Metrics),
        run: String,
    ) -> Result<Link, String> {
        if let Some(host) = settings.exposed() {
            warn!(host, "events go to the bus unencrypted, and to whom is not checked: bus.tls = false");
        }
        let closing = CancellationToken::new();
        let options = options(settings, node, &metrics).await?;
        let client = options.connect(&settings.url).await.map_err(|error| format!("bus.url: {error}"))?;
        let mut context = jetstream::new(client.clone());
        context.set_timeout(CONFIRM_WITHIN);
        let carrier = Carrier::new(client.clone(), &node.name);
        let courier = Courier {
            // From now on: nothing that happens before there is a connection waits for it.
            watch: bus.subscribe(None),
            peers: Peers::new(&node.name),
            stream: Stream { name: settings.stream.clone(), is_there: false, asked: None },
            unconfirmed: JoinSet::new(),
            begun: Instant::now(),
            node: node.clone(),
            number: 0,
            run,
            client,
            context,
            bus,
            escalating,
            metrics,
        };
        let task = tokio::spawn(courier.run(closing.clone()));
        Ok(Link { task: Some(task), carrier, closing })
    }

    /// Whether there is a connection.
    pub fn is_up(&self) -> bool {
        self.carrier.is_up()
    }

    /// What carries requests from node to node.
    pub fn carrier(&self) -> Carrier {
        self.carrier.clone()
    }

    /// Ends it once what was told last is on its way, or after `CLOSE_WITHIN`.
    pub async fn close(&mut self) {
        self.closing.cancel();
        if let Some(task) = self.task.take() {
            let abort = task.abort_handle();
            if timeout(CLOSE_WITHIN, task).await.is_err() {
                abort.abort();
            }
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.iter().for_each(JoinHandle::abort);
    }
}

/// Who this is, and whom it believes.
async fn identity(settings: &BusSettings) -> Result<ConnectOptions, String> {
    let mut options = ConnectOptions::new();
    if let Some(path) = &settings.credentials {
        let failed = |error: std::io::Error| format!("bus.credentials: {}: {error}", path.display());
        options = options.credentials_file(path).await.map_err(failed)?;
    }
    if settings.tls {
        let by = client_by(settings.authorities.as_deref()).map_err(|error| format!("bus.authorities: {error}"))?;
        options = options.require_tls(true).tls_client_config(by);
    }
    Ok(options)
}

async fn options(settings: &BusSettings, node: &NodeSettings, metrics: &Metrics) -> Result<ConnectOptions, String> {
    let metrics = metrics.clone();
    let options = identity(settings).await?.name(format!("calmline {}", node.name));
    let told = move |change: Change| {
        let metrics = metrics.clone();
        async move {
            match change {
                Change::Connected => {
                    metrics.set_bus_up(true);
                    info!("the bus is up");
                }
                Change::Disconnected => {
                    metrics.set_bus_up(false);
                    warn!("the bus is down: what happens meanwhile is not told there");
                }
                Change::ClientError(_) | Change::ServerError(_) | Change::SlowConsumer(_) => warn!(%change, "the bus"),
                _ => {}
            }
        }
    };
    let pause = |attempts: usize| {
        let [first, most] = RECONNECT;
        first.saturating_mul(1 << attempts.min(16)).min(most)
    };
    // What is told here comes back from nobody but others.
    Ok(options
        .no_echo()
        .retry_on_initial_connect()
        .subscription_capacity(INCOMING_MAX)
        .reconnect_delay_callback(pause)
        .event_callback(told))
}

/// Who carries events there and back.
struct Courier {
    client: Client,
    context: jetstream::Context,
    node: NodeSettings,
    run: String,
    /// How many events were told.
    number: u64,
    watch: Subscription,
    peers: Peers,
    stream: Stream,
    /// What the stream says of events.
    unconfirmed: JoinSet<Result<(), String>>,
    begun: Instant,
    bus: Arc<Bus>,
    /// The alerts that wait here: some may have been taken over.
    escalating: Escalating,
    metrics: Metrics,
}

/// What keeps events.
struct Stream {
    name: String,
    is_there: bool,
    asked: Option<Instant>,
}

impl Courier {
    async fn run(mut self, closing: CancellationToken) {
        let mut heard = match self.client.subscribe(wire::EVERYTHING).await {
            Ok(heard) => heard,
            Err(error) => return warn!(%error, "nothing is heard of other nodes"),
        };
        let mut here = interval(HERE_EVERY);
        here.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failing = false;
        loop {
            tokio::select! {
                () = closing.cancelled() => break,
                Some(confirmed) = self.unconfirmed.join_next() => failing = self.confirmed(confirmed, failing),
                _ = here.tick() => self.look().await,
                message = heard.next() => match message {
                    Some(message) => self.hear(&message).await,
                    None => break,
                },
                delivery = self.watch.next(), if self.unconfirmed.len() < UNCONFIRMED_MAX => match delivery {
                    Some(delivery) => self.tell(delivery).await,
                    None => break,
                },
            }
        }
        self.close(heard).await;
    }

    async fn close(mut self, heard: Subscriber) {
        drop(heard);
        while let Some(delivery) = self.watch.next().now_or_never().flatten() {
            self.tell(delivery).await;
        }
        while let Some(confirmed) = self.unconfirmed.join_next().await {
            self.confirmed(confirmed, true);
        }
        if let Err(error) = self.client.flush().await {
            warn!(%error, "what was told last may not have got to the bus");
        }
    }

    /// Counts what the stream says; whether that was nothing good.
    fn confirmed(&self, confirmed: Result<Result<(), String>, JoinError>, was_failing: bool) -> bool {
        let confirmed = confirmed.unwrap_or_else(|error| Err(error.to_string()));
        let outcome = if confirmed.is_ok() { "published" } else { "failed" };
        self.metrics.count_bus_events(outcome, 1);
        if let Err(why) = &confirmed
            && !was_failing
        {
            warn!(why, stream = self.stream.name, "the stream does not say that it has what was told");
        }
        confirmed.is_err()
    }

    /// Says that this node is there, sees who else is, and has the stream made.
    async fn look(&mut self) {
        let steps = self.peers.tick(self.begun.elapsed());
        self.carry_out(steps).await;
        self.bus.set_addresses(self.peers.addresses());
        self.metrics.set_nodes_heard(self.peers.count());
        if !self.is_up() {
            self.stream.is_there = false;
            return;
        }
        self.make_stream().await;
        let here = Here {
            run: self.run.clone(),
            number: self.number,
            address: self.node.address.clone(),
            version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            time: Some(Moment::now()),
        };
        self.send(wire::here(&self.node.name), &here).await;
    }

    fn is_up(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    async fn make_stream(&mut self) {
        let is_due = self.stream.asked.is_none_or(|asked| asked.elapsed() >= STREAM_AGAIN);
        if self.stream.is_there || !is_due {
            return;
        }
        self.stream.asked = Some(Instant::now());
        let wanted = stream::Config {
            name: self.stream.name.clone(),
            subjects: vec![wire::EVENTS.to_owned()],
            max_age: KEPT,
            max_bytes: KEPT_BYTES_MAX,
            discard: stream::DiscardPolicy::Old,
            duplicate_window: DUPLICATES_WITHIN,
            ..stream::Config::default()
        };
        match timeout(TAKE_WITHIN, self.context.get_or_create_stream(wanted)).await {
            Ok(Ok(_)) => {
                self.stream.is_there = true;
                info!(stream = self.stream.name, "events are kept by the bus");
            }
            Ok(Err(error)) => warn!(%error, stream = self.stream.name, "the bus keeps no events: is JetStream on?"),
            Err(_) => warn!(stream = self.stream.name, "the bus does not answer for its stream in time"),
        }
    }

    /// Tells an event of this node, or counts that it could not be told.
    async fn tell(&mut self, delivery: Delivery) {
        let event = match delivery {
            Delivery::Event(event) => event,
            Delivery::Lagged { missed } => {
                // As if they had been told and lost: others ask for what is up.
                let missed = missed.unwrap_or(1);
                self.number += missed;
                return self.metrics.count_bus_events("dropped", missed);
            }
        };
        if event.node.as_deref() != Some(&*self.node.name) {
            return;
        }
        self.number += 1;
        if !self.is_up() {
            return self.metrics.count_bus_events("dropped", 1);
        }
        let (subject, headers) = (wire::subject(&self.node.name, event.kind), self.headers(&event));
        let payload = event.json.clone().into();
        match timeout(TAKE_WITHIN, self.context.publish_with_headers(subject, headers, payload)).await {
            Ok(Ok(confirming)) => drop(self.unconfirmed.spawn(confirm(confirming))),
            Ok(Err(_)) | Err(_) => self.metrics.count_bus_events("dropped", 1),
        }
    }

    fn headers(&self, event: &Event) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let id = format!("{}-{}-{}", self.node.name, self.run, self.number);
        headers.insert(async_nats::header::NATS_MESSAGE_ID, id.as_str());
        headers.insert(wire::RUN, self.run.as_str());
        headers.insert(wire::NUMBER, self.number.to_string());
        let mut of_call = BTreeMap::new();
        of_call.extend(event.route.as_deref().map(|route| (wire::ROUTE, route)));
        of_call.extend(event.tenant.as_deref().map(|tenant| (wire::TENANT, tenant)));
        // A header is one line of ASCII at most.
        let plain = of_call.into_iter().filter(|(_, value)| value.bytes().all(|octet| (0x20..0x7f).contains(&octet)));
        plain.for_each(|(name, value)| headers.insert(name, value));
        headers
    }

    async fn hear(&mut self, message: &async_nats::Message) {
        let Some((node, told)) = wire::read(message) else { return };
        match told {
            wire::Told::Ask if node == self.node.name => self.tell_all().await,
            wire::Told::Ask => {}
            wire::Told::Gone(calls) => self.bus.forget_from(node, calls),
            wire::Told::By(told) => {
                let is_here = matches!(told, Message::Here(_));
                let steps = self.peers.hear(self.begun.elapsed(), node, told);
                self.carry_out(steps).await;
                if is_here {
                    self.bus.set_addresses(self.peers.addresses());
                }
            }
        }
    }

    /// Tells of all calls that are up, to whoever has asked.
    async fn tell_all(&mut self) {
        let (seq, calls) = self.bus.own_calls();
        let (run, number, count) = (self.run.clone(), self.number, calls.len());
        for told in calls {
            self.send(wire::restored(&self.node.name), &wire::fitting(Restored { run: run.clone(), told })).await;
        }
        self.send(wire::done(&self.node.name), &Done { run, number, seq, calls: count }).await;
    }

    async fn carry_out(&mut self, steps: Vec<Step>) {
        for step in steps {
            match step {
                Step::Ask(node) => {
                    self.metrics.count_bus_restore();
                    self.send(wire::ask(&node), &self.node.name).await;
                }
                Step::Take(node, event) => self.take(&node, &event),
                Step::Restore(node, told) => self.bus.restore_from(&node, told),
                Step::End(node, up) => self.bus.end_from(&node, &up, Moment::now()),
                Step::PassOver(node) => warn!(node, "there are too many nodes: calls of this one are not shown here"),
            }
        }
    }

    /// Takes up an event of another node. What is done there about an alert that this node has taken over is done about it here.
    fn take(&self, node: &str, ToldEvent { notice, time, .. }: &ToldEvent) {
        let is_taken = self.bus.publish_from(node, notice, *time);
        if let What::AlertHandled(deed) = &notice.what
            && is_taken
            && self.escalating.find(&notice.call, deed.alert_ms, &deed.rule).is_some()
        {
            self.escalating.hear(notice, &self.bus, *time);
        }
    }

    /// Sends what is for nodes alone; what cannot be sent is asked for again.
    async fn send(&self, subject: String, message: &impl serde::Serialize) {
        let payload = serde_json::to_vec(message).expect("strings and numbers");
        if self.is_up() {
            let _ = timeout(TAKE_WITHIN, self.client.publish(subject, payload.into())).await;
        }
    }
}

async fn confirm(confirming: PublishAckFuture) -> Result<(), String> {
    confirming.await.map(drop).map_err(|error| error.to_string())
}

#[cfg(test)]
pub(crate) mod tests;
