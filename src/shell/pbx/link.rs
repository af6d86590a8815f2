//! A TCP connection with an AMI or ESL session on it, which is made again whenever it is lost.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tracing::warn;

use super::Standing;
use super::backoff::Backoff;
use super::queue::Queue;
use super::stream::{self, Secured, Stream};
use crate::pbx::{Deed, Said, Secret, Ticket, ami, esl};

/// One PBX behind a TCP connection.
pub(super) struct Link {
    address: SocketAddr,
    secured: Option<Secured>,
    protocol: Protocol,
    queue: Queue,
    backoff: Backoff,
    standing: Standing,
}

enum Protocol {
    Ami { user: String, secret: Secret },
    Esl { secret: Secret },
}

/// What is said on one connection.
enum Session {
    Ami(ami::Session),
    Esl(esl::Session),
}

impl Link {
    pub(super) fn ami(
        address: SocketAddr,
        secured: Option<Secured>,
        (user, secret): (&str, Secret),
        queue: Queue,
    ) -> Link {
        Link { secured, ..Link::new(address, Protocol::Ami { user: user.to_owned(), secret }, queue) }
    }

    pub(super) fn esl(address: SocketAddr, secret: Secret, queue: Queue) -> Link {
        Link::new(address, Protocol::Esl { secret }, queue)
    }

    fn new(address: SocketAddr, protocol: Protocol, queue: Queue) -> Link {
        let standing = Standing::new(&queue.reporter.pbx);
        Link { address, secured: None, protocol, queue, backoff: Backoff::default(), standing }
    }

    /// Connects and serves, again and again, as long as there are orders to come.
    pub(super) async fn run(mut self) {
        while !self.queue.is_over() {
            let why = match stream::connect(self.address, self.secured.as_ref()).await {
                Ok(stream) => self.serve(stream).await,
                Err(why) => why,
            };
            self.queue.reporter.set_up(false);
            self.standing.down(&why);
            let pause = self.backoff.pause(super::chance());
            self.queue.wait(Instant::now() + pause, &why).await;
        }
    }

    /// Passes orders on until the connection is lost; why it was.
    async fn serve(&mut self, mut stream: Stream) -> String {
        let mut out = Vec::new();
        let mut session = self.begin(&mut out);
        let (mut up, mut octets) = (false, [0; 4_096]);
        let mut heard_last = Instant::now();
        let mut pings = interval_at(heard_last + PING_EVERY, PING_EVERY);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let why = loop {
            if self.queue.is_over() && (session.unanswered().is_empty() || Instant::now() > self.queue.until()) {
                break super::NO_LONGER.to_owned();
            }
            match self.carry_out(&mut stream, std::mem::take(&mut out)).await {
                Ok(now_up) => up |= now_up,
                Err(why) => break why,
            }
            tokio::select! {
                read = stream.read(&mut octets) => match read {
                    Ok(0) => break "the far end closed the connection".to_owned(),
                    Ok(length) => {
                        heard_last = Instant::now();
                        session.receive(&octets[..length], &mut out);
                    }
                    Err(error) => break error.to_string(),
                },
                order = self.queue.next(), if up && !self.queue.is_over() => if let Some(order) = order {
                    session.order(order.ticket, &order.deed, &mut out);
                },
                _ = pings.tick() => {
                    if heard_last.elapsed() > SILENCE_MAX || !up {
                        break "the far end says nothing".to_owned();
                    }
                    session.ping(&mut out);
                }
            }
        };
        for ticket in session.unanswered() {
            self.queue.reporter.failed(ticket, &format!("connection lost before the answer: {why}"));
        }
        why
    }

    fn begin(&self, out: &mut Vec<Said>) -> Session {
        match &self.protocol {
            Protocol::Ami { user, secret } => Session::Ami(ami::Session::new(user, secret, out)),
            Protocol::Esl { secret } => Session::Esl(esl::Session::new(secret.clone())),
        }
    }

    /// Does what the session wants; true when it is up now.
    async fn carry_out(&mut self, stream: &mut Stream, out: Vec<Said>) -> Result<bool, String> {
        let (mut up, mut sent) = (false, Vec::new());
        for said in out {
            match said {
                Said::Send(octets) => sent.extend(octets),
                Said::Up => {
                    up = true;
                    self.backoff.reset();
                    self.standing.up();
                    self.queue.reporter.set_up(true);
                }
                Said::Answer(answer) => self.queue.reporter.answer(answer),
                Said::Note(note) => warn!(pbx = self.queue.reporter.pbx, note),
                Said::Broken(why) => return Err(why),
                Said::Ask(_) => {}
            }
        }
        let writing = async {
            stream.write_all(&sent).await?;
            stream.flush().await
        };
        let written = timeout(WRITE_WAIT, writing).await;
        written.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map_err(|error| error.to_string())?;
        Ok(up)
    }
}

impl Session {
    fn receive(&mut self, octets: &[u8], out: &mut Vec<Said>) {
        match self {
            Session::Ami(session) => session.receive(octets, out),
            Session::Esl(session) => session.receive(octets, out),
        }
    }

    fn order(&mut self, ticket: Ticket, deed: &Deed, out: &mut Vec<Said>) {
        match self {
            Session::Ami(session) => session.order(ticket, deed, out),
            Session::Esl(session) => session.order(ticket, deed, out),
        }
    }

    fn ping(&mut self, out: &mut Vec<Said>) {
        match self {
            Session::Ami(session) => session.ping(out),
            Session::Esl(session) => session.ping(out),
        }
    }

    fn unanswered(&self) -> Vec<Ticket> {
        match self {
            Session::Ami(session) => session.unanswered().collect(),
            Session::Esl(session) => session.unanswered().collect(),
        }
    }
}

/// How long what is sent may take to be taken.
const WRITE_WAIT: Duration = Duration::from_secs(2);
/// How often the far end is asked whether it is there.
const PING_EVERY: Duration = Duration::from_secs(5);
/// How long it may say nothing.
const SILENCE_MAX: Duration = Duration::from_secs(12);
