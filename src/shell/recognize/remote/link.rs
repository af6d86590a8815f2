//! The connection that carries one party's audio to a recogniser elsewhere, made again whenever it is lost.
//!
//! A far end that is there and gives no answer is as good as away; one that answers too much or nothing sensible is, too.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use nlu::PartyId;
use nlu::recognition::remote::{ANSWER_BYTES_MAX, Protocol, RemoteStream};
use nlu::recognition::{Listed, Transcript};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};
use tracing::debug;

use super::outbox::Outbox;
use super::standing::{Standing, count};
use crate::recognizer::Endpoint;
use crate::shell::pbx::backoff::Backoff;
use crate::shell::pbx::stream::{self, Secured, Stream};
use crate::shell::recognize::of_samples;

/// How long opening a connection may take, TLS and the WebSocket's greeting included.
const CONNECT_WAIT: Duration = Duration::from_secs(3);
/// How long one message may take to go out.
const SEND_WAIT: Duration = Duration::from_secs(3);
/// How long the last answers may take once the audio has ended.
const GOODBYE_WAIT: Duration = Duration::from_secs(3);
/// How long is read what has come already from a far end that takes nothing more.
const REST_WAIT: Duration = Duration::from_millis(250);
/// Less speech without an answer at the end of the audio is no word that somebody waits for.
const SPEECH_MIN: Duration = Duration::from_millis(300);
/// How often the far end is asked whether it is there, and for how long it may be silent altogether.
const PING_EVERY: Duration = Duration::from_secs(5);
const SILENT_MAX: Duration = Duration::from_secs(12);
/// How often is looked after the connection.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Messages of one look: ten times what the servers send.
const MESSAGES_MAX: u32 = 200;
/// Answers in a row that are none.
const WRONG_MAX: u32 = 8;

/// What all links to a recogniser share.
#[derive(Debug)]
pub(super) struct Terms {
    pub(super) protocol: Protocol,
    pub(super) endpoint: Endpoint,
    pub(super) secured: Option<Secured>,
    /// How much speech may go unanswered, and for how long.
    pub(super) answer: Duration,
    pub(super) confidence: f32,
    /// It knows no subprotocol.
    pub(super) is_plain: AtomicBool,
}

/// What a link tells.
#[derive(Debug)]
pub(super) struct News {
    pub(super) party: PartyId,
    /// Which link of the party tells it.
    pub(super) number: u64,
    pub(super) what: What,
}

#[derive(Debug)]
pub(super) enum What {
    /// It is connected: the outbox may be released.
    Up,
    /// The connection is lost, or could not be had; the outbox is held.
    Away,
    Said(Transcript),
    /// The link has ended.
    Over,
}

/// One party's connection.
pub(super) struct Link {
    pub(super) party: PartyId,
    pub(super) number: u64,
    pub(super) listed: Arc<Listed>,
    pub(super) terms: Arc<Terms>,
    pub(super) outbox: Arc<Outbox>,
    pub(super) news: mpsc::Sender<News>,
    pub(super) standing: Arc<Standing>,
    /// Samples that were sent, of all links of a recogniser.
    pub(super) sent: Arc<AtomicU64>,
}

type Socket = WebSocketStream<Stream>;

/// One connection, while it lasts.
struct Session {
    socket: Socket,
    stream: RemoteStream,
    watch: Watch,
    /// Until when the last answers are waited for, once the audio has ended.
    goodbye: Option<Instant>,
}

/// Why a connection was lost, and whether the far end is as good as away.
struct Lost {
    why: String,
    is_away: bool,
}

impl From<String> for Lost {
    fn from(why: String) -> Self {
        Self { why, is_away: true }
    }
}

impl Link {
    /// Connects and serves until the outbox is closed and empty. `waits`: after a pause, for it is known to be away.
    pub(super) async fn run(self, waits: bool) {
        count(&self.standing.streams, 1);
        let mut backoff = Backoff::default();
        let mut has_to_wait = waits;
        while !has_to_wait || self.pause(&mut backoff).await {
            has_to_wait = true;
            let served = match connect(&self.terms, &self.standing).await {
                Ok(socket) => {
                    self.tell(What::Up).await;
                    self.serve(socket, &mut backoff).await.inspect_err(|_| count(&self.standing.lost, 1))
                }
                Err(why) => Err(why.into()),
            };
            let Err(Lost { why, is_away }) = served else { break };
            if is_away {
                self.standing.down(&self.terms.endpoint.to_string(), &why);
            } else {
                debug!(why, "the end of a party's audio is heard here");
            }
            self.outbox.hold();
            self.tell(What::Away).await;
        }
        self.standing.streams.fetch_sub(1, Ordering::Relaxed);
        self.tell(What::Over).await;
    }

    /// Waits before the next try; false when there is nothing to try for any more.
    async fn pause(&self, backoff: &mut Backoff) -> bool {
        tokio::select! {
            () = self.outbox.closed() => false,
            () = sleep(backoff.pause(crate::shell::pbx::chance())) => !self.news.is_closed(),
        }
    }

    async fn tell(&self, what: What) {
        // Whoever listens to it may have been replaced.
        let _ = self.news.send(News { party: self.party, number: self.number, what }).await;
    }

    /// Sends audio and takes answers, to the end of the audio and what is said of it; why it ended before.
    async fn serve(&self, socket: Socket, backoff: &mut Backoff) -> Result<(), Lost> {
        let Terms { protocol, confidence, .. } = *self.terms;
        let stream = RemoteStream::new(self.party, protocol, Arc::clone(&self.listed), confidence);
        let now = Instant::now();
        let watch = Watch { heard: now, pinged: now, answered: now, has_answered: false, messages: 0, wrong: 0 };
        let mut session = Session { socket, stream, watch, goodbye: None };
        if let Some(greeting) = session.stream.greeting() {
            self.send(&mut session, Message::text(greeting), backoff).await?;
        }
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let Session { socket, goodbye, .. } = &mut session;
            // What the far end has said counts before anything is sent to it: it may have left since.
            tokio::select! {
                biased;
                message = socket.next() => if self.heard(message, &mut session, backoff).await? { break },
                () = sleep_until(goodbye.unwrap_or_else(Instant::now)), if goodbye.is_some() => break,
                _ = look.tick() => self.look(&mut session, backoff).await?,
                piece = self.outbox.next(), if goodbye.is_none() => match piece {
                    Some(piece) => {
                        let audio = session.stream.audio(piece.position, &piece.samples);
                        self.send(&mut session, Message::binary(audio), backoff).await?;
                        count(&self.standing.samples_sent, piece.samples.len() as u64);
                        count(&self.sent, piece.samples.len() as u64);
                    }
                    None => {
                        let goodbye = Message::text(session.stream.goodbye());
                        self.send(&mut session, goodbye, backoff).await?;
                        session.goodbye = Some(Instant::now() + GOODBYE_WAIT);
                    }
                },
            }
        }
        self.end(session).await
    }

    /// Tells the last words; without any, whether speech was left that nobody has answered.
    async fn end(&self, Session { mut socket, mut stream, watch, .. }: Session) -> Result<(), Lost> {
        let last = stream.finish();
        let is_unheard = last.is_none() && of_samples(self.outbox.speech_unanswered()) >= SPEECH_MIN;
        if let Some(last) = last {
            self.tell(What::Said(last)).await;
        }
        // The far end may be gone already.
        let _ = timeout(SEND_WAIT, socket.close(None)).await;
        if !is_unheard {
            return Ok(());
        }
        Err(Lost { why: "it does not answer at the end".to_owned(), is_away: !watch.has_answered })
    }

    /// Takes what has come; true when the stream is over, as was asked for.
    async fn heard(
        &self,
        message: Option<Result<Message, Error>>,
        session: &mut Session,
        backoff: &mut Backoff,
    ) -> Result<bool, String> {
        match message {
            Some(Ok(Message::Text(text))) => self.take(&text, session, backoff).await?,
            Some(Ok(Message::Close(_))) | None if session.goodbye.is_some() => return Ok(true),
            Some(Ok(Message::Close(_))) | None => return Err("it closed the connection".to_owned()),
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(error.to_string()),
        }
        session.watch.message()?;
        match (session.stream.is_over(), session.goodbye) {
            (false, _) => Ok(false),
            (true, Some(_)) => Ok(true),
            (true, None) => Err("it ended the stream".to_owned()),
        }
    }

    async fn take(&self, text: &str, session: &mut Session, backoff: &mut Backoff) -> Result<(), String> {
        let Session { stream, watch, .. } = session;
        let mut said = Vec::new();
        if let Err(error) = stream.answer(text, &mut said) {
            debug!(%error, "not taken");
            count(&self.standing.answers_wrong, 1);
            watch.wrong += 1;
            return if watch.wrong < WRONG_MAX { Ok(()) } else { Err(error.to_string()) };
        }
        count(&self.standing.answers, 1);
        (watch.wrong, watch.answered, watch.has_answered) = (0, Instant::now(), true);
        backoff.reset();
        let end = said.iter().filter(|transcript| transcript.is_final).map(|transcript| transcript.end).max();
        self.outbox.answered(end);
        for transcript in said {
            let (party, number, is_final) = (self.party, self.number, transcript.is_final);
            let news = News { party, number, what: What::Said(transcript) };
            if is_final {
                let _ = self.news.send(news).await;
            } else {
                // A later one takes its place.
                let _ = self.news.try_send(news);
            }
        }
        Ok(())
    }

    /// Asks whether the far end is there, and looks whether it does what it is there for.
    async fn look(&self, session: &mut Session, backoff: &mut Backoff) -> Result<(), String> {
        let watch = &mut session.watch;
        watch.messages = 0;
        // What goes out at once, after a pause, has its time, too.
        let has_had_time = watch.answered.elapsed() > self.terms.answer;
        if has_had_time && of_samples(self.outbox.speech_unanswered()) > self.terms.answer {
            return Err("it is there and does not answer".to_owned());
        }
        if watch.heard.elapsed() > SILENT_MAX {
            return Err("it is silent".to_owned());
        }
        if watch.pinged.elapsed() >= PING_EVERY {
            watch.pinged = Instant::now();
            self.send(session, Message::Ping(Vec::new().into()), backoff).await?;
        }
        Ok(())
    }

    /// Sends a message. One that takes none any more may have said why, and something of the audio before it.
    async fn send(&self, session: &mut Session, message: Message, backoff: &mut Backoff) -> Result<(), String> {
        let sent = match timeout(SEND_WAIT, session.socket.send(message)).await {
            Ok(sent) => sent.map_err(|error| error.to_string()),
            Err(_) => Err("it takes no audio".to_owned()),
        };
        let Err(why) = sent else { return Ok(()) };
        let rest = async {
            loop {
                let message = session.socket.next().await;
                match self.heard(message, session, backoff).await {
                    Ok(false) => {}
                    Ok(true) => return None,
                    Err(why) => return Some(why),
                }
            }
        };
        Err(timeout(REST_WAIT, rest).await.ok().flatten().unwrap_or(why))
    }
}

/// What is known of the far end.
struct Watch {
    heard: Instant,
    pinged: Instant,
    /// The last answer, or the beginning.
    answered: Instant,
    has_answered: bool,
    /// Since the last look.
    messages: u32,
    wrong: u32,
}

impl Watch {
    fn message(&mut self) -> Result<(), String> {
        self.heard = Instant::now();
        self.messages += 1;
        if self.messages > MESSAGES_MAX { Err("it sends more than anybody can have said".to_owned()) } else { Ok(()) }
    }
}

/// Opens a connection.
///
/// # Errors
/// Why there is none.
pub(super) async fn connect(terms: &Terms, standing: &Standing) -> Result<Socket, String> {
    let opened = match timeout(CONNECT_WAIT, open(terms)).await {
        Ok(opened) => opened,
        Err(_) => Err("no answer to the connection".to_owned()),
    };
    match &opened {
        Ok(_) => {
            count(&standing.opened, 1);
            standing.up(&terms.endpoint.to_string());
        }
        Err(_) => count(&standing.failed, 1),
    }
    opened
}

async fn open(terms: &Terms) -> Result<Socket, String> {
    let offered = terms.protocol.subprotocol().filter(|_| !terms.is_plain.load(Ordering::Relaxed));
    match open_offering(terms, offered).await {
        Err(Error::Protocol(ProtocolError::SecWebSocketSubProtocolError(_))) if offered.is_some() => {
            terms.is_plain.store(true, Ordering::Relaxed);
            open_offering(terms, None).await.map_err(|error| error.to_string())
        }
        opened => opened.map_err(|error| error.to_string()),
    }
}

async fn open_offering(terms: &Terms, subprotocol: Option<&'static str>) -> Result<Socket, Error> {
    let Endpoint { host, port, .. } = &terms.endpoint;
    let mut request = terms.endpoint.url().into_client_request()?;
    if let Some(subprotocol) = subprotocol {
        request.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static(subprotocol));
    }
    let limits =
        WebSocketConfig::default().max_message_size(Some(ANSWER_BYTES_MAX)).max_frame_size(Some(ANSWER_BYTES_MAX));
    let stream =
        stream::connect((host.as_str(), *port), terms.secured.as_ref()).await.map_err(std::io::Error::other)?;
    client_async_with_config(request, stream, Some(limits)).await.map(|(socket, _)| socket)
}
