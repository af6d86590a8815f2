//! Many who watch the console's wall while calls go on: how long it takes from an event to everybody who is told of it.
//!
//! The calls are another run's. The server writes the time into each event; both run on one machine, by one clock. Each client
//! is a thread that reads its WebSocket.

mod ear;
mod teller;

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;
use tungstenite::client::IntoClientRequest;
use tungstenite::http::HeaderValue;
use tungstenite::{Message, WebSocket};

use self::ear::Ear;
use self::teller::Telling;
use super::process::Process;
use super::report::row;
use super::{SECONDS_MAX, invalid, loopback, raise_file_limit};

/// The most clients of one run.
pub const CLIENTS_MAX: usize = 2_000;
/// The most who listen to calls of one run: a server lets no more.
pub const EARS_MAX: usize = 16;
/// How long all clients may take to be let in.
const OPENING_MAX: Duration = Duration::from_secs(30);
/// How often a client that is told nothing looks whether it is over.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Delays are counted by the millisecond; longer ones count as this.
const DELAY_MS_MAX: usize = 60_000;

/// A run of clients.
#[derive(Debug, Clone)]
pub struct WallPlan {
    /// The API of the server under test; a loopback address.
    pub web: SocketAddr,
    /// The token that opens it.
    pub token: String,
    /// The server's process, for its CPU.
    pub pid: Option<u32>,
    /// How many watch.
    pub clients: usize,
    /// How long all of them do.
    pub seconds: u64,
    /// How many supervisors listen to a call each.
    pub ears: usize,
    /// How often per second something is told of the calls that are up, in turn; 0 for never.
    pub told_per_s: f64,
    /// Whether that is what faces show, which listening makes a mood of; otherwise how long the customer waits.
    pub shows_faces: bool,
}

/// What the clients saw, and what it cost.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WallReport {
    /// Clients that were let in.
    pub clients: usize,
    /// How long they watched, s.
    pub seconds: f64,
    /// Events per second that each client was told, on average.
    pub events_per_s: f64,
    /// Messages per second of each client.
    pub messages_per_s: f64,
    /// Octets per second of each client, headers of frames aside.
    pub bytes_per_s: f64,
    /// From the event to the client, over all clients and events, ms.
    pub delay: Delay,
    /// The worst client's 99th percentile, ms.
    pub worst_client_p99_ms: u64,
    /// How often clients were told that they had lost events.
    pub lagged: u64,
    /// Clients that lost their connection.
    pub lost: usize,
    /// Supervisors who listened to a call each.
    pub ears: usize,
    /// The share of that audio which came to whoever got least of it, 0-1; what comes late is missing at the end.
    pub heard_share: Option<f64>,
    /// Calls that were up when it began, a thousand at most.
    pub calls: usize,
    /// What it was told per second, and took.
    pub told_per_s: f64,
    /// Seconds of CPU per second of the server, all threads.
    pub server_cpu: Option<f64>,
    /// The part of it that listens to the calls.
    pub server_listening_cpu: Option<f64>,
    /// Seconds of CPU per second of this process.
    pub generator_cpu: f64,
}

/// Percentiles, whole milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Delay {
    /// How many were measured.
    pub count: u64,
    /// Half of them were below.
    pub p50_ms: u64,
    /// 99 of 100 were below.
    pub p99_ms: u64,
    /// The longest.
    pub max_ms: u64,
}

/// How many delays took how many milliseconds.
#[derive(Debug, Clone, Default)]
struct Delays(Vec<u64>);

/// What one client saw.
#[derive(Debug, Default)]
struct Seen {
    delays: Delays,
    messages: u64,
    bytes: u64,
    lagged: u64,
    was_cut_off: bool,
}

/// Lets `clients` watch and measures how long they wait for events.
///
/// # Errors
/// When a limit is exceeded, or a client is not let in.
pub fn wall(plan: &WallPlan) -> io::Result<WallReport> {
    loopback(plan.web.ip())?;
    if !(1..=CLIENTS_MAX).contains(&plan.clients) {
        return Err(invalid(format!("expected 1 to {CLIENTS_MAX} clients, found {}", plan.clients)));
    }
    if !(1..=SECONDS_MAX).contains(&plan.seconds) {
        return Err(invalid(format!("expected 1 to {SECONDS_MAX} seconds, found {}", plan.seconds)));
    }
    if plan.ears > EARS_MAX {
        return Err(invalid(format!("expected at most {EARS_MAX} who listen, found {}", plan.ears)));
    }
    raise_file_limit(plan.clients + plan.ears + 64)?;
    let begun = Instant::now();
    let mut sockets = Vec::new();
    while sockets.len() < plan.clients {
        if begun.elapsed() > OPENING_MAX {
            return Err(invalid(format!("{} clients were let in within {OPENING_MAX:?}", sockets.len())));
        }
        sockets.push(open(plan)?);
    }

    let telling =
        Telling { web: plan.web, token: plan.token.clone(), per_s: plan.told_per_s, shows_faces: plan.shows_faces };
    let (calls, over) = (telling.calls()?, AtomicBool::new(false));
    let listened_to = calls.iter().take(plan.ears);
    let ears: Vec<Ear> = listened_to.map(|call| Ear::open(plan.web, &plan.token, call)).collect::<Result<_, _>>()?;
    let (server, own) = (plan.pid.map(Process::new), Process::own());
    let before = (server.as_ref().map(Process::usage).transpose()?, own.usage()?, Instant::now());
    let (seen, heard_s, taken): (Vec<Seen>, Vec<f64>, u64) = std::thread::scope(|scope| {
        let (over, calls, telling) = (&over, &calls, &telling);
        let teller = (plan.told_per_s > 0.0).then(|| scope.spawn(move || telling.tell(calls, over)));
        let clients: Vec<_> = sockets.into_iter().map(|socket| scope.spawn(move || watch(socket, over))).collect();
        let ears: Vec<_> = ears.into_iter().map(|ear| scope.spawn(move || ear.listen(over))).collect();
        std::thread::sleep(Duration::from_secs(plan.seconds));
        over.store(true, Ordering::Relaxed);
        let taken = teller.and_then(|teller| teller.join().ok()).unwrap_or_default();
        let heard_s = ears.into_iter().map(|ear| ear.join().unwrap_or_default()).collect();
        (clients.into_iter().map(|client| client.join().unwrap_or_default()).collect(), heard_s, taken)
    });
    let seconds = before.2.elapsed().as_secs_f64();
    let after = (server.as_ref().map(Process::usage).transpose()?, own.usage()?);
    let mut report = WallReport::of(&seen, seconds);
    (report.calls, report.told_per_s) = (calls.len(), taken as f64 / seconds);
    report.ears = heard_s.len();
    report.heard_share = heard_s.into_iter().reduce(f64::min).map(|least| least / seconds);
    if let Some((before, after)) = before.0.zip(after.0) {
        report.server_cpu = Some((after.cpu - before.cpu).as_secs_f64() / seconds);
        let listening = after.listening_cpu.saturating_sub(before.listening_cpu);
        report.server_listening_cpu = Some(listening.as_secs_f64() / seconds);
    }
    report.generator_cpu = (after.1.cpu - before.1.cpu).as_secs_f64() / seconds;
    Ok(report)
}

fn open(plan: &WallPlan) -> io::Result<WebSocket<TcpStream>> {
    let refused = |error: &dyn fmt::Display| invalid(format!("the wall is not shown: {error}"));
    let mut request = format!("ws://{}/v1/wall", plan.web).into_client_request().map_err(|error| refused(&error))?;
    let bearer = HeaderValue::from_str(&format!("Bearer {}", plan.token)).map_err(|error| refused(&error))?;
    request.headers_mut().insert("authorization", bearer);
    let stream = TcpStream::connect(plan.web)?;
    let (socket, _) = tungstenite::client(request, stream).map_err(|error| refused(&error))?;
    socket.get_ref().set_read_timeout(Some(LOOK_EVERY))?;
    Ok(socket)
}

/// Reads until it is over, or the connection is.
fn watch(mut socket: WebSocket<TcpStream>, over: &AtomicBool) -> Seen {
    let mut seen = Seen::default();
    while !over.load(Ordering::Relaxed) {
        match socket.read() {
            Ok(Message::Text(text)) => seen.take(&text, SystemTime::now()),
            Ok(Message::Close(_)) => seen.was_cut_off = true,
            Ok(_) => {}
            Err(tungstenite::Error::Io(error))
                if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
            Err(_) => {
                seen.was_cut_off = true;
                break;
            }
        }
    }
    seen
}

impl Seen {
    /// Takes note of one message that came `now`.
    fn take(&mut self, text: &str, now: SystemTime) {
        self.messages += 1;
        self.bytes += text.len() as u64;
        if text.starts_with(r#"{"type":"lagged""#) {
            self.lagged += 1;
            return;
        }
        // No string inside an event has this in it: its quotes would be escaped. Reading all of it as JSON would cost more
        // than the server does.
        const TIME: &str = r#""time":""#;
        let times = text.match_indices(TIME).filter_map(|(at, _)| text[at + TIME.len()..].split('"').next());
        for time in times.filter_map(|time| humantime::parse_rfc3339(time).ok()) {
            self.delays.add(now.duration_since(time).unwrap_or_default());
        }
    }
}

impl Delays {
    fn add(&mut self, delay: Duration) {
        let ms = usize::try_from(delay.as_millis()).unwrap_or(usize::MAX).min(DELAY_MS_MAX);
        if self.0.len() <= ms {
            self.0.resize(ms + 1, 0);
        }
        self.0[ms] += 1;
    }

    fn merge(&mut self, other: &Delays) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        self.0.iter_mut().zip(&other.0).for_each(|(own, other)| *own += other);
    }

    fn percentiles(&self) -> Delay {
        let count: u64 = self.0.iter().sum();
        let at = |share: f64| {
            let wanted = ((count as f64 * share).ceil() as u64).max(1);
            let mut passed = 0;
            let place = self.0.iter().position(|number| {
                passed += number;
                passed >= wanted
            });
            place.unwrap_or_default() as u64
        };
        Delay { count, p50_ms: at(0.5), p99_ms: at(0.99), max_ms: self.0.len().saturating_sub(1) as u64 }
    }
}

impl WallReport {
    fn of(seen: &[Seen], seconds: f64) -> Self {
        let mut all = Delays::default();
        seen.iter().for_each(|client| all.merge(&client.delays));
        let delay = all.percentiles();
        let per_client_s = |sum: u64| sum as f64 / seen.len().max(1) as f64 / seconds;
        let worst = seen.iter().map(|client| client.delays.percentiles().p99_ms).max();
        WallReport {
            clients: seen.len(),
            seconds,
            events_per_s: per_client_s(delay.count),
            messages_per_s: per_client_s(seen.iter().map(|client| client.messages).sum()),
            bytes_per_s: per_client_s(seen.iter().map(|client| client.bytes).sum()),
            delay,
            worst_client_p99_ms: worst.unwrap_or_default(),
            lagged: seen.iter().map(|client| client.lagged).sum(),
            lost: seen.iter().filter(|client| client.was_cut_off).count(),
            ears: 0,
            heard_share: None,
            calls: 0,
            told_per_s: 0.0,
            server_cpu: None,
            server_listening_cpu: None,
            generator_cpu: 0.0,
        }
    }

    /// Whether everybody was told everything.
    pub fn is_whole(&self) -> bool {
        self.lagged == 0 && self.lost == 0 && self.delay.count > 0
    }
}

impl fmt::Display for WallReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} clients for {:.0} s", self.clients, self.seconds)?;
        row(f, "calls", format!("{}, {:.0} changes told per second", self.calls, self.told_per_s))?;
        let Delay { count, p50_ms, p99_ms, max_ms } = self.delay;
        row(f, "event to client", format!("p50 {p50_ms} ms, p99 {p99_ms} ms, max {max_ms} ms, of {count}"))?;
        row(f, "worst client", format!("p99 {} ms", self.worst_client_p99_ms))?;
        let (events, messages, kilobytes) = (self.events_per_s, self.messages_per_s, self.bytes_per_s / 1e3);
        row(f, "each client", format!("{events:.0} events, {messages:.1} messages, {kilobytes:.0} KB per second"))?;
        row(f, "lost", format!("{} times told of lost events, {} connections", self.lagged, self.lost))?;
        if let Some(share) = self.heard_share {
            let least = format!("{} to a call each, {:.1} % of the audio or more came", self.ears, 100.0 * share);
            row(f, "who listen", least)?;
        }
        if let (Some(cpu), Some(listening)) = (self.server_cpu, self.server_listening_cpu) {
            row(f, "server CPU", format!("{cpu:.2} s per second, {listening:.2} of them listening to calls"))?;
        }
        row(f, "generator CPU", format!("{:.2} s per second", self.generator_cpu))
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn delays_are_from_the_time_of_each_event_to_now() {
        let now = UNIX_EPOCH + Duration::from_millis(1_700_000_000_900);
        let mut seen = Seen::default();
        let event = |ms: u32| format!(r#"{{"seq":1,"time":"2023-11-14T22:13:20.{ms}Z","text":"\"time\":\"x\""}}"#);
        seen.take(&format!(r#"{{"type":"events","events":[{},{}]}}"#, event(700), event(850)), now);
        seen.take(r#"{"type":"lagged","missed":null}"#, now);
        assert_eq!((seen.messages, seen.lagged), (2, 1));
        let expected = Delay { count: 2, p50_ms: 50, p99_ms: 200, max_ms: 200 };
        assert_eq!(seen.delays.percentiles(), expected);
        assert_eq!(Delays::default().percentiles(), Delay::default());
    }

    #[test]
    fn percentiles_of_a_hundred_and_of_many_clients() {
        let mut delays = Delays::default();
        (1..=100).for_each(|ms| delays.add(Duration::from_millis(ms)));
        let client = || Seen { delays: delays.clone(), messages: 50, bytes: 1_000, ..Seen::default() };
        let report = WallReport::of(&[client(), client()], 10.0);
        assert_eq!(report.delay, Delay { count: 200, p50_ms: 50, p99_ms: 99, max_ms: 100 });
        assert_eq!((report.events_per_s, report.messages_per_s, report.bytes_per_s), (10.0, 5.0, 100.0));
        assert!(report.is_whole() && report.worst_client_p99_ms == 99);
        delays.add(Duration::from_secs(3_600));
        assert_eq!(delays.percentiles().max_ms, DELAY_MS_MAX as u64);
    }
}
