//! AudioSocket: a TCP connection per voice, named by a UUID, audio both ways.
//!
//! Whoever asked for the UUID over the API has said whose voice it is; of any other, it is the caller's.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use forks::audio::Rate;
use forks::audiosocket::{self, Decoder, Frame, HANGUP_FRAME, Uuid};
use forks::stream::Voice;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep_until, timeout};

use super::channel::{self, Channel};
use super::{Held, SEND_WAIT, Shared, TAKES_NOTHING};
use crate::control::{ForkCommand, ForkEvent, ForkOpening, Source};

/// The longest payload that is taken: a second at 16 kHz, fifty times what Asterisk sends.
const PAYLOAD_BYTES_MAX: usize = 32_000;
/// How long the first frames may take.
const OPENING_WAIT: Duration = Duration::from_secs(10);
/// How long a connection may say nothing; Asterisk sends silence too.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// Takes connections until the server stops.
pub(super) async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shared.stop.cancelled() => return,
        };
        let Ok((socket, peer)) = accepted else {
            // Out of file descriptors: others must be given time to end.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        if !shared.trusts(peer.ip()) {
            tracing::warn!(%peer, "refused an AudioSocket connection from an unknown source");
            continue;
        }
        match shared.open() {
            Some(held) => drop(tokio::spawn(serve(socket, peer, held))),
            None => tracing::warn!(%peer, "refused an AudioSocket connection: too many streams"),
        }
    }
}

async fn serve(socket: TcpStream, peer: SocketAddr, mut held: Held) {
    let _ = socket.set_nodelay(true);
    let mut connection = Connection { socket, decoder: Decoder::new(PAYLOAD_BYTES_MAX), buffer: vec![0; 8_192] };
    let reason = match carry(&mut connection, &mut held).await {
        Ok(reason) => reason,
        Err(reason) => {
            tracing::warn!(%peer, %reason, "AudioSocket");
            reason
        }
    };
    // The far end may be gone already.
    let _ = timeout(Duration::from_secs(1), connection.socket.write_all(&HANGUP_FRAME)).await;
    held.end(reason).await;
}

struct Connection {
    socket: TcpStream,
    decoder: Decoder,
    buffer: Vec<u8>,
}

impl Connection {
    /// The next frame; `None` when the far end has closed.
    async fn frame(&mut self) -> Result<Option<Frame>, String> {
        loop {
            if let Some(frame) = self.decoder.next_frame().map_err(|error| error.to_string())? {
                return Ok(Some(frame));
            }
            let read = self.socket.read(&mut self.buffer).await.map_err(|error| error.to_string())?;
            if read == 0 {
                return Ok(None);
            }
            self.decoder.push(&self.buffer[..read]);
        }
    }
}

/// Carries a connection until it ends; why it has ended, or what is wrong with it.
async fn carry(connection: &mut Connection, held: &mut Held) -> Result<String, String> {
    let first = timeout(OPENING_WAIT, opening(connection)).await;
    let (id, rate, samples) = first.map_err(|_| "no id and audio within 10 s".to_owned())??;
    let ssrc = held.id.0;
    let mut channel = Channel::open(rate, ssrc).await.map_err(|error| error.to_string())?;
    let clock = held.shared.clock;
    channel.push(clock.now(), &samples);
    held.begin(Box::new(announced(held, id, rate))).await;
    let carried = talk(connection, held, &mut channel, rate).await;
    held.shared.metrics.count_forked_audio(channel.figures());
    carried
}

/// What is known of the call that `id` names.
fn announced(held: &Held, id: Uuid, rate: Rate) -> ForkOpening {
    let known = held.shared.announced(id);
    let (call, from, to, voice) = match known {
        Some(known) => (known.call, known.from, known.to, known.voice),
        None => (id.to_string(), String::new(), String::new(), Voice::Caller),
    };
    ForkOpening {
        source: Source::AudioSocket,
        uri: format!("audiosocket:{id}"),
        call: Some(call),
        from,
        to,
        voices: vec![voice],
        codec: channel::codec(rate),
        payload_type: channel::PAYLOAD_TYPE,
        local: true,
        plays: true,
        details: Vec::new(),
    }
}

async fn talk(
    connection: &mut Connection,
    held: &mut Held,
    channel: &mut Channel,
    rate: Rate,
) -> Result<String, String> {
    let clock = held.shared.clock;
    let mut played = VecDeque::new();
    let mut out = Vec::new();
    let mut heard = Instant::now();
    loop {
        channel.send_due(clock.now());
        let due = channel.deadline().map(|at| Instant::now() + at.saturating_sub(clock.now()));
        let silent = heard + SILENCE_MAX;
        tokio::select! {
            frame = connection.frame() => match frame? {
                None => return Ok("the connection was closed".to_owned()),
                Some(Frame::Hangup) => return Ok("hung up by the PBX".to_owned()),
                Some(Frame::Error(fault)) => return Err(fault.to_string()),
                Some(Frame::Audio { rate: found, samples }) if found == rate => {
                    heard = Instant::now();
                    if let Some(pace) = channel.push(clock.now(), &samples) {
                        return Err(format!("audio comes {pace:.1} times as fast as it is spoken"));
                    }
                }
                Some(Frame::Audio { rate: found, .. }) => {
                    return Err(format!("audio at {} Hz, expected {} as before", found.hz(), rate.hz()));
                }
                Some(Frame::Key(key)) => held.tell(ForkEvent::Key { stream: held.id, key }).await,
                Some(Frame::Id(_) | Frame::Unknown(..)) => {}
            },
            order = held.orders.recv() => match order {
                Some(ForkCommand::Accept { receivers, .. }) => {
                    receivers.first().into_iter().for_each(|receiver| channel.send_to(*receiver));
                }
                Some(ForkCommand::End { reason, .. }) => return Ok(reason),
                None => return Ok("the server stops".to_owned()),
            },
            got = channel.played(&mut played) => {
                got.map_err(|error| error.to_string())?;
                while played.len() >= rate.frame() {
                    let frame: Vec<i16> = played.drain(..rate.frame()).collect();
                    out.clear();
                    audiosocket::write_audio(rate, &frame, &mut out);
                    let sent = timeout(SEND_WAIT, connection.socket.write_all(&out)).await;
                    sent.map_err(|_| TAKES_NOTHING.to_owned())?.map_err(|error| error.to_string())?;
                }
            }
            () = sleep_until(due.unwrap_or(silent).min(silent)) => {
                if Instant::now() >= silent {
                    return Err(format!("nothing was said for {} s", SILENCE_MAX.as_secs()));
                }
            }
            () = held.shared.stop.cancelled() => return Ok("the server stops".to_owned()),
        }
    }
}

/// The call's id and the first audio, which tells the rate.
async fn opening(connection: &mut Connection) -> Result<(Uuid, Rate, Vec<i16>), String> {
    let mut id = None;
    loop {
        match connection.frame().await? {
            None => return Err("closed before it has begun".to_owned()),
            Some(Frame::Id(named)) => id = Some(named),
            Some(Frame::Audio { rate, samples }) => match id {
                Some(id) => return Ok((id, rate, samples)),
                None => return Err("audio, expected the id of the call first".to_owned()),
            },
            Some(Frame::Hangup) => return Err("hung up before it has begun".to_owned()),
            Some(Frame::Error(fault)) => return Err(fault.to_string()),
            Some(Frame::Key(_) | Frame::Unknown(..)) => {}
        }
    }
}
