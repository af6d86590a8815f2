//! Streams of forked calls that come without SIP: AudioSocket, WebSockets, and ports that are asked for over the API.
//!
//! A stream is a little telephone: it paces what it receives and sends it as RTP to the media port that its call has for
//! it, over loopback. So everything behind is the same for all calls. One task per stream; what is wrong with one ends
//! that one.

mod audiosocket;
mod channel;
mod ports;
mod websocket;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use crate::control::{ForkCommand, ForkEvent, StreamId};
use crate::metrics::Metrics;
use crate::settings::{ForkSettings, IpNet, Token};
use crate::shell::clock::Clock;
use crate::shell::inherited;
pub use ports::{PortsError, PortsWanted, RtpPorts};

/// Streams at a time; further connections are closed at once.
pub const STREAMS_MAX: usize = 2_000;
/// How long a far end may take nothing of what is played to it.
const SEND_WAIT: Duration = Duration::from_secs(2);
const TAKES_NOTHING: &str = "the far end takes nothing of what is sent to it";
/// Commands that may wait for one stream.
const ORDERS_MAX: usize = 16;

/// Whoever holds the streams.
#[derive(Debug, Clone)]
pub struct ForkSide {
    shared: Arc<Shared>,
    stop: CancellationToken,
    /// Where AudioSocket is listened for.
    pub audiosocket: Option<SocketAddr>,
    /// Where WebSockets are listened for.
    pub websocket: Option<SocketAddr>,
}

/// Who may send streams.
#[derive(Debug)]
pub struct Senders {
    trusted: Vec<IpNet>,
    /// What WebSocket clients have to show besides.
    token: Option<Token>,
}

impl Senders {
    /// Takes them out of the settings; fetches the token.
    ///
    /// # Errors
    /// When the token is missing.
    pub fn read(settings: &ForkSettings) -> Result<Senders, ForkError> {
        let token = settings.token.as_ref().map(|source| source.fetch().map_err(ForkError::Token)).transpose()?;
        Ok(Senders { trusted: settings.trusted.clone(), token })
    }
}

/// What all streams share.
struct Shared {
    events: mpsc::Sender<ForkEvent>,
    streams: Mutex<BTreeMap<StreamId, mpsc::Sender<ForkCommand>>>,
    next_stream: AtomicU32,
    room: Arc<Semaphore>,
    senders: RwLock<Arc<Senders>>,
    announcements: ports::Announcements,
    clock: Clock,
    metrics: Metrics,
    stop: CancellationToken,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("streams", &self.lock().len()).finish_non_exhaustive()
    }
}

/// Why streams cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum ForkError {
    /// A socket could not be opened.
    #[error("cannot listen for {what} on {address}: {source}")]
    Listen {
        /// For what.
        what: &'static str,
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// There is no token where the configuration says that one is.
    #[error("the token of forks.token_env: {0}")]
    Token(String),
}

impl ForkSide {
    /// Opens the sockets that `settings` name and takes streams from now on. Runs on the current tokio runtime.
    ///
    /// # Errors
    /// When a socket cannot be opened, or the token is missing.
    pub async fn start(
        settings: ForkSettings,
        clock: Clock,
        metrics: Metrics,
        events: mpsc::Sender<ForkEvent>,
    ) -> Result<ForkSide, ForkError> {
        let senders = Senders::read(&settings)?;
        let listen = async |what, wanted: Option<SocketAddr>| {
            let Some(address) = wanted else { return Ok(None) };
            let bound = match inherited::listener(address) {
                Some(given) => TcpListener::from_std(given),
                None => TcpListener::bind(address).await,
            };
            bound.map(Some).map_err(|source| ForkError::Listen { what, address, source })
        };
        let audiosocket = listen("AudioSocket", settings.audiosocket).await?;
        let websocket = listen("WebSockets", settings.websocket).await?;
        let stop = CancellationToken::new();
        let shared = Arc::new(Shared {
            events,
            streams: Mutex::default(),
            next_stream: AtomicU32::new(1),
            room: Arc::new(Semaphore::new(STREAMS_MAX)),
            senders: RwLock::new(Arc::new(senders)),
            announcements: ports::Announcements::default(),
            clock,
            metrics,
            stop: stop.clone(),
        });
        let address = |listener: &Option<TcpListener>| listener.as_ref().and_then(|each| each.local_addr().ok());
        let side = ForkSide {
            shared: Arc::clone(&shared),
            stop,
            audiosocket: address(&audiosocket),
            websocket: address(&websocket),
        };
        if let Some(listener) = audiosocket {
            tracing::info!(address = ?side.audiosocket, "AudioSocket");
            tokio::spawn(audiosocket::accept(listener, Arc::clone(&shared)));
        }
        if let Some(listener) = websocket {
            tracing::info!(address = ?side.websocket, "WebSockets of forked calls");
            tokio::spawn(websocket::accept(listener, shared));
        }
        Ok(side)
    }

    /// Takes streams only of other senders from now on; those that are on go on.
    pub fn exchange(&self, senders: Senders) {
        *self.shared.senders.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(senders);
    }

    /// Carries out a command. One for a stream that is over is ignored: its end has been told.
    pub fn handle(&self, command: ForkCommand) {
        let (ForkCommand::Accept { stream, .. } | ForkCommand::End { stream, .. }) = &command;
        let inbox = self.shared.lock().get(stream).cloned();
        if let Some(inbox) = inbox
            && inbox.try_send(command).is_err()
        {
            tracing::debug!("a command for a stream that just ended");
        }
    }

    /// How many streams are on.
    pub fn streams(&self) -> usize {
        self.shared.lock().len()
    }

    /// Takes no new streams and ends the running ones.
    pub fn shutdown(&self) {
        self.stop.cancel();
    }
}

impl Shared {
    /// Registers a new stream; `None` when there are too many.
    fn open(self: &Arc<Self>) -> Option<Held> {
        let room = Arc::clone(&self.room).try_acquire_owned().ok()?;
        let id = StreamId(self.next_stream.fetch_add(1, Ordering::Relaxed));
        let (inbox, orders) = mpsc::channel(ORDERS_MAX);
        self.lock().insert(id, inbox);
        Some(Held { id, shared: Arc::clone(self), orders, begun: false, _room: room })
    }

    fn trusts(&self, source: IpAddr) -> bool {
        let source = source.to_canonical();
        self.senders().trusted.iter().any(|network| network.contains(&source))
    }

    fn senders(&self) -> Arc<Senders> {
        self.senders.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<StreamId, mpsc::Sender<ForkCommand>>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream that is on. Call control hears of its end once, however its task ends.
struct Held {
    id: StreamId,
    shared: Arc<Shared>,
    orders: mpsc::Receiver<ForkCommand>,
    begun: bool,
    _room: tokio::sync::OwnedSemaphorePermit,
}

impl Held {
    /// Tells call control that the stream has begun.
    async fn begin(&mut self, opening: Box<crate::control::ForkOpening>) {
        self.begun = true;
        self.tell(ForkEvent::Begun { stream: self.id, opening }).await;
    }

    /// Tells call control; waits while its queue is full.
    async fn tell(&self, event: ForkEvent) {
        if self.shared.events.send(event).await.is_err() {
            tracing::debug!("nobody listens to streams any more");
        }
    }

    /// The end, when all went as it should.
    async fn end(mut self, reason: String) {
        if std::mem::take(&mut self.begun) {
            self.tell(ForkEvent::Ended { stream: self.id, reason }).await;
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.shared.lock().remove(&self.id);
        // Only a task that broke has not said so itself.
        if self.begun
            && let Ok(runtime) = Handle::try_current()
        {
            let (events, stream) = (self.shared.events.clone(), self.id);
            let ended = ForkEvent::Ended { stream, reason: "internal error".to_owned() };
            runtime.spawn(async move { events.send(ended).await });
        }
    }
}
