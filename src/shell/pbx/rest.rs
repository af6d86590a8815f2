//! An ARI session on HTTP requests and a WebSocket of events, which is opened again whenever it is lost.
//!
//! The WebSocket is what makes our application known to Asterisk; without it, orders wait.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use rustls::ClientConfig;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Message, protocol::WebSocketConfig};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};
use tracing::warn;

use super::backoff::Backoff;
use super::queue::Queue;
use super::stream::{self, Secured, Stream};
use super::{CONNECT_WAIT, Standing};
use crate::pbx::ari::{Method, Request, Session};
use crate::pbx::{Said, Secret, Ticket};

/// One Asterisk by its REST interface.
pub(super) struct Rest {
    url: String,
    user: String,
    secret: Secret,
    app: String,
    session: Session,
    client: reqwest::Client,
    by: Arc<ClientConfig>,
    queue: Queue,
    /// When orders that were passed on are given up.
    ends: BTreeMap<Ticket, Instant>,
    backoff: Backoff,
    standing: Standing,
}

type Events = WebSocketStream<Stream>;
/// The response to a request, by its id.
type Response = (u64, Result<(u16, String), String>);

impl Rest {
    pub(super) fn new(
        url: &str,
        (user, secret): (&str, Secret),
        (app, run): (&str, &str),
        (client, by): (reqwest::Client, Arc<ClientConfig>),
        queue: Queue,
    ) -> Rest {
        Rest {
            url: url.to_owned(),
            user: user.to_owned(),
            secret,
            app: app.to_owned(),
            session: Session::new(app, &format!("calmline-{run}")),
            client,
            by,
            standing: Standing::new(&queue.reporter.pbx),
            queue,
            ends: BTreeMap::new(),
            backoff: Backoff::default(),
        }
    }

    /// Opens the WebSocket and serves, again and again, as long as there are orders to come.
    pub(super) async fn run(mut self) {
        while !self.queue.is_over() {
            let why = match timeout(CONNECT_WAIT, self.open()).await {
                Ok(Ok(events)) => self.serve(events).await,
                Ok(Err(why)) => why,
                Err(_) => "no answer to the connection".to_owned(),
            };
            self.queue.reporter.set_up(false);
            self.standing.down(&why);
            let pause = self.backoff.pause(super::chance());
            self.queue.wait(Instant::now() + pause, &why).await;
        }
    }

    async fn open(&self) -> Result<Events, String> {
        let address = self.url.replacen("http", "ws", 1);
        let request = format!("{address}/events?app={}", self.app).into_client_request();
        let mut request = request.map_err(|error| error.to_string())?;
        // The same header as the requests have.
        let with_credentials = self.client.get(&self.url).basic_auth(&self.user, Some(self.secret.reveal())).build();
        let with_credentials = with_credentials.map_err(|error| super::in_words(&error))?;
        if let Some(credentials) = with_credentials.headers().get("Authorization") {
            request.headers_mut().insert("Authorization", credentials.clone());
        }
        let limits = WebSocketConfig::default().max_message_size(Some(EVENT_OCTETS_MAX));
        let url = reqwest::Url::parse(&self.url).map_err(|error| error.to_string())?;
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let secured = Secured { name: host.to_owned(), by: self.by.clone() };
        let secured = (url.scheme() == "https").then_some(&secured);
        let stream = stream::connect((host, url.port_or_known_default().unwrap_or(80)), secured).await?;
        let opened = client_async_with_config(request, stream, Some(limits)).await;
        opened.map(|(events, _)| events).map_err(|error| error.to_string())
    }

    /// Passes orders on until the WebSocket is lost; why it was.
    async fn serve(&mut self, mut events: Events) -> String {
        self.backoff.reset();
        self.standing.up();
        self.queue.reporter.set_up(true);
        let (tell, mut responses) = mpsc::channel::<Response>(RESPONSES_MAX);
        let mut checks = Vec::new();
        self.session.back(&mut checks);
        self.carry_out(checks, &tell);
        let why = loop {
            if self.queue.is_over() && self.ends.is_empty() {
                break super::NO_LONGER.to_owned();
            }
            let mut out = Vec::new();
            let first_end = self.ends.values().min().copied();
            let wake = first_end.unwrap_or_else(|| Instant::now() + LOOK_EVERY);
            tokio::select! {
                event = events.next() => match event {
                    Some(Ok(Message::Text(text))) => self.session.event(&text, &mut out),
                    Some(Ok(Message::Close(_))) | None => break "the far end closed the event stream".to_owned(),
                    Some(Ok(_)) => {}
                    Some(Err(error)) => break error.to_string(),
                },
                Some((id, response)) = responses.recv() => {
                    let response = response.as_ref().map(|(code, body)| (*code, body.as_str()));
                    self.session.response(id, response.map_err(Clone::clone), &mut out);
                }
                order = self.queue.next(), if !self.queue.is_over() => if let Some(order) = order {
                    self.ends.insert(order.ticket, order.until);
                    self.session.order(order.ticket, &order.deed, &mut out);
                },
                () = tokio::time::sleep_until(wake) => self.give_up(&mut out),
            }
            self.carry_out(out, &tell);
        };
        for ticket in self.session.lost() {
            self.queue.reporter.failed(ticket, &format!("connection lost before the answer: {why}"));
        }
        self.ends.clear();
        why
    }

    /// Devices that ring for an order whose time is over ring no more.
    fn give_up(&mut self, out: &mut Vec<Said>) {
        let now = Instant::now();
        for (ticket, _) in self.ends.extract_if(.., |_, until| *until <= now) {
            self.session.give_up(ticket, out);
            self.queue.reporter.failed(ticket, "no answer in time");
        }
    }

    fn carry_out(&mut self, out: Vec<Said>, tell: &mpsc::Sender<Response>) {
        for said in out {
            match said {
                Said::Ask(request) => self.request(request, tell.clone()),
                Said::Answer(answer) => {
                    self.ends.remove(&answer.ticket);
                    self.queue.reporter.answer(answer);
                }
                Said::Note(note) => warn!(pbx = self.queue.reporter.pbx, note),
                Said::Send(_) | Said::Up | Said::Broken(_) => {}
            }
        }
    }

    fn request(&self, Request { id, method, path, body }: Request, tell: mpsc::Sender<Response>) {
        let url = format!("{}{path}", self.url);
        let request = match method {
            Method::Post => self.client.post(url),
            Method::Delete => self.client.delete(url),
        };
        let mut request = request.basic_auth(&self.user, Some(self.secret.reveal())).timeout(REQUEST_WAIT);
        if let Some(body) = body {
            request = request.header("Content-Type", "application/json").body(body);
        }
        tokio::spawn(async move {
            let response = match request.send().await {
                Ok(response) => {
                    let code = response.status().as_u16();
                    Ok((code, response.text().await.unwrap_or_default()))
                }
                Err(error) => Err(super::in_words(&error)),
            };
            let _ = tell.send((id, response)).await;
        });
    }
}

/// How long one request may take.
const REQUEST_WAIT: Duration = Duration::from_secs(5);
/// How often time is looked at when no order is under way.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// The longest event.
const EVENT_OCTETS_MAX: usize = 256 << 10;
/// Responses that may wait.
const RESPONSES_MAX: usize = 64;
