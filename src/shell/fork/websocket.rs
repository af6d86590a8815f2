//! WebSockets: FreeSWITCH's modules, Asterisk's channel, Twilio's Media Streams and those who speak like them.
//!
//! Any path is taken; what the query says goes before what the messages say.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::connect_info::Connected;
use axum::extract::ws::{Message as WsMessage, WebSocket, WebSocketUpgrade};
use axum::extract::{ConnectInfo, Query, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::serve::{IncomingStream, Listener};
use forks::audio::Rate;
use forks::stream::{Dialect, Event, Message, OPENING_WAIT, Opening, Request, SUBPROTOCOLS, Stream};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep_until, timeout};

use super::channel::{self, Channel};
use super::{Held, SEND_WAIT, Shared, TAKES_NOTHING};
use crate::control::{ForkCommand, ForkEvent, ForkOpening, Source};

/// The longest message: some seconds of audio in base64.
const MESSAGE_BYTES_MAX: usize = 256 * 1024;
/// How long a stream may say nothing at all; pings count.
const SILENCE_MAX: Duration = Duration::from_secs(120);
/// How often the far end is pinged, so that a lost connection is noticed.
const PING_EVERY: Duration = Duration::from_secs(30);

/// Takes connections until the server stops.
pub(super) async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let stop = shared.stop.clone();
    let router = Router::new().fallback(upgrade).with_state(Arc::clone(&shared));
    let service = router.into_make_service_with_connect_info::<Peer>();
    let served =
        axum::serve(Door { listener, shared }, service).with_graceful_shutdown(async move { stop.cancelled().await });
    if let Err(error) = served.await {
        tracing::error!(%error, "WebSockets of forked calls");
    }
}

async fn upgrade(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(Peer(peer)): ConnectInfo<Peer>,
    Query(parameters): Query<Vec<(String, String)>>,
    uri: Uri,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    if !shared.admits(&headers, &uri, &parameters) {
        tracing::warn!(%peer, "refused a WebSocket without the token");
        return (StatusCode::FORBIDDEN, "not for you\n").into_response();
    }
    let request = Request::read(parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let request = match request {
        Ok(request) => request,
        Err(error) => return (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    };
    let Some(held) = shared.open() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many streams\n").into_response();
    };
    let path = uri.path().to_owned();
    upgrade
        .protocols(SUBPROTOCOLS)
        .max_message_size(MESSAGE_BYTES_MAX)
        .max_frame_size(MESSAGE_BYTES_MAX)
        .on_upgrade(move |socket| serve(socket, peer, path, Stream::new(request), held))
}

/// Lets in who is trusted; everybody else gets no answer.
struct Door {
    listener: TcpListener,
    shared: Arc<Shared>,
}

impl Listener for Door {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok((socket, peer)) if self.shared.trusts(peer.ip()) => {
                    let _ = socket.set_nodelay(true);
                    return (socket, peer);
                }
                Ok((_, peer)) => tracing::warn!(%peer, "refused a WebSocket connection from an unknown source"),
                // Out of file descriptors: others must be given time to end.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// Where a connection comes from.
#[derive(Debug, Clone, Copy)]
struct Peer(SocketAddr);

impl Connected<IncomingStream<'_, Door>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Peer {
        Peer(*stream.remote_addr())
    }
}

impl Shared {
    /// Whether a client has shown the token, where one is asked for: as bearer token, as `token` in the query, or as the
    /// last part of the path, for clients that can send neither.
    fn admits(&self, headers: &HeaderMap, uri: &Uri, parameters: &[(String, String)]) -> bool {
        let senders = self.senders();
        let Some(token) = &senders.token else { return true };
        let bearer = headers.get("authorization").and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let query = parameters.iter().find(|(name, _)| name == "token").map(|(_, value)| value.as_str());
        let path = uri.path().rsplit('/').next();
        [bearer, query, path].into_iter().flatten().any(|shown| token.matches(shown))
    }
}

async fn serve(socket: WebSocket, peer: SocketAddr, path: String, stream: Stream, held: Held) {
    let mut session = Session { socket, stream, path, held, channels: Vec::new(), events: Vec::new() };
    let ended = session.carry().await;
    for channel in &session.channels {
        session.held.shared.metrics.count_forked_audio(channel.figures());
    }
    let reason = match ended {
        Ok(reason) => reason,
        Err(reason) => {
            tracing::warn!(%peer, %reason, "WebSocket");
            reason
        }
    };
    // The far end may be gone already.
    let _ = timeout(Duration::from_secs(1), session.socket.send(WsMessage::Close(None))).await;
    session.held.end(reason).await;
}

/// One stream and its connection.
struct Session {
    socket: WebSocket,
    stream: Stream,
    path: String,
    held: Held,
    channels: Vec<Channel>,
    events: Vec<Event>,
}

impl Session {
    /// Carries the stream until it ends; why it has ended, or what is wrong with it.
    async fn carry(&mut self) -> Result<String, String> {
        let opened = timeout(OPENING_WAIT, self.opening()).await;
        let Some(opening) = opened.map_err(|_| "no beginning within 10 s".to_owned())?? else {
            return Ok("closed before it has begun".to_owned());
        };
        let (rate, plays) = (opening.rate, opening.plays);
        for number in 0..opening.voices.len() {
            // Every stream has a number of its own, and two channels at most.
            let ssrc = self.held.id.0.wrapping_mul(2).wrapping_add(number as u32);
            self.channels.push(Channel::open(rate, ssrc).await.map_err(|error| error.to_string())?);
        }
        let opening = self.for_control(*opening);
        self.held.begin(Box::new(opening)).await;
        // What came behind the beginning in the same message.
        if let Some(reason) = self.take_events().await? {
            return Ok(reason);
        }
        self.talk(rate, plays).await
    }

    async fn opening(&mut self) -> Result<Option<Box<Opening>>, String> {
        loop {
            let message = match receive(&mut self.socket).await? {
                Received::Message(message) => message,
                Received::Sign => continue,
                Received::Closed => return Ok(None),
            };
            self.stream.read(&message, &mut self.events).map_err(|error| error.to_string())?;
            let begun = self.events.iter().position(|event| matches!(event, Event::Begun(_)));
            if let Some(place) = begun
                && let Event::Begun(opening) = self.events.remove(place)
            {
                return Ok(Some(opening));
            }
        }
    }

    fn for_control(&self, opening: Opening) -> ForkOpening {
        let Opening { dialect, call, from, to, voices, rate, plays, details } = opening;
        ForkOpening {
            source: match dialect {
                Dialect::FreeSwitch => Source::FreeSwitch,
                Dialect::Asterisk => Source::Asterisk,
                Dialect::Twilio => Source::Twilio,
            },
            uri: format!("ws:{}", self.path.chars().take(200).collect::<String>()),
            call,
            from: from.unwrap_or_default(),
            to: to.unwrap_or_default(),
            voices,
            codec: channel::codec(rate),
            payload_type: channel::PAYLOAD_TYPE,
            local: true,
            plays,
            details,
        }
    }

    async fn talk(&mut self, rate: Rate, plays: bool) -> Result<String, String> {
        let clock = self.held.shared.clock;
        let stop = self.held.shared.stop.clone();
        let mut played = VecDeque::new();
        let mut ping = tokio::time::interval(PING_EVERY);
        let mut heard = Instant::now();
        loop {
            let now = clock.now();
            self.channels.iter_mut().for_each(|channel| channel.send_due(now));
            let due = self.channels.iter().filter_map(Channel::deadline).min();
            let due = due.map_or(heard + SILENCE_MAX, |at| Instant::now() + at.saturating_sub(now));
            let Session { socket, held, channels, .. } = self;
            let first = channels.first().filter(|_| plays);
            tokio::select! {
                received = receive(socket) => {
                    heard = Instant::now();
                    let message = match received? {
                        Received::Message(message) => message,
                        Received::Sign => continue,
                        Received::Closed => return Ok("the connection was closed".to_owned()),
                    };
                    self.stream.read(&message, &mut self.events).map_err(|error| error.to_string())?;
                    if let Some(reason) = self.take_events().await? {
                        return Ok(reason);
                    }
                }
                order = held.orders.recv() => match order {
                    Some(ForkCommand::Accept { receivers, .. }) => {
                        let pairs = channels.iter_mut().zip(receivers);
                        pairs.for_each(|(channel, receiver)| channel.send_to(receiver));
                    }
                    Some(ForkCommand::End { reason, .. }) => return Ok(reason),
                    None => return Ok("the server stops".to_owned()),
                },
                got = async { match first {
                    Some(channel) => channel.played(&mut played).await,
                    None => std::future::pending().await,
                } } => {
                    got.map_err(|error| error.to_string())?;
                    self.play(rate, &mut played).await?;
                }
                _ = ping.tick() => {
                    send(socket, WsMessage::Ping(Vec::new().into())).await?;
                }
                () = sleep_until(due) => {
                    if heard.elapsed() >= SILENCE_MAX {
                        return Err(format!("nothing was said for {} s", SILENCE_MAX.as_secs()));
                    }
                }
                () = stop.cancelled() => return Ok("the server stops".to_owned()),
            }
        }
    }

    /// Deals with what the messages said; the reason when the stream is over.
    async fn take_events(&mut self) -> Result<Option<String>, String> {
        let now = self.held.shared.clock.now();
        for event in std::mem::take(&mut self.events) {
            match event {
                Event::Audio { channel, samples } => {
                    let Some(channel) = self.channels.get_mut(channel) else { continue };
                    if let Some(pace) = channel.push(now, &samples) {
                        return Err(format!(
                            "audio comes {pace:.1} times as fast as it is spoken: is the rate right, and are the channels?"
                        ));
                    }
                }
                Event::Key(key) => self.held.tell(ForkEvent::Key { stream: self.held.id, key }).await,
                Event::Told(details) => self.held.tell(ForkEvent::Told { stream: self.held.id, details }).await,
                Event::Ended => return Ok(Some("ended by the sender".to_owned())),
                Event::Begun(_) | Event::Marked(_) => {}
            }
        }
        Ok(None)
    }

    /// Sends what is played to the first channel, frame by frame.
    async fn play(&mut self, rate: Rate, played: &mut VecDeque<i16>) -> Result<(), String> {
        let mut messages = Vec::new();
        while played.len() >= rate.frame() {
            let frame: Vec<i16> = played.drain(..rate.frame()).collect();
            self.stream.play(&frame, &mut messages);
        }
        for message in messages {
            let message = match message {
                Message::Text(text) => WsMessage::Text(text.into()),
                Message::Binary(bytes) => WsMessage::Binary(bytes.into()),
            };
            send(&mut self.socket, message).await?;
        }
        Ok(())
    }
}

/// What has come.
enum Received {
    Message(Message),
    /// A sign of life without content.
    Sign,
    Closed,
}

/// The next thing that comes; may be given up at any time without loss.
async fn receive(socket: &mut WebSocket) -> Result<Received, String> {
    match socket.recv().await {
        None | Some(Ok(WsMessage::Close(_))) => Ok(Received::Closed),
        Some(Err(error)) => Err(error.to_string()),
        Some(Ok(WsMessage::Text(text))) => Ok(Received::Message(Message::Text(text.to_string()))),
        Some(Ok(WsMessage::Binary(bytes))) => Ok(Received::Message(Message::Binary(bytes.to_vec()))),
        Some(Ok(WsMessage::Ping(_) | WsMessage::Pong(_))) => Ok(Received::Sign),
    }
}

/// Sends a message; a far end that takes nothing for a while must not hold up what it says itself.
async fn send(socket: &mut WebSocket, message: WsMessage) -> Result<(), String> {
    let sent = timeout(SEND_WAIT, socket.send(message)).await;
    sent.map_err(|_| TAKES_NOTHING.to_owned())?.map_err(|error| error.to_string())
}
