//! Requests from node to node over the bus, each with one answer or none, which may go on in pieces; and the word that something
//! of the site has changed.
//!
//! Knows nothing of what stands in them. Nothing is sent twice: a request that is lost has no answer in time.

use std::sync::Arc;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::{Client, StatusCode, Subject, Subscriber};
use bytes::Bytes;
use futures::StreamExt;
use tokio::time::timeout;

use super::wire;

/// How long another node has to answer.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(8);

/// Ids of calls that are told together.
const GONE_TOGETHER_MAX: usize = 1_000;

/// What carries requests to other nodes, and theirs here. Clones share the connection.
#[derive(Debug, Clone)]
pub struct Carrier {
    client: Client,
    node: Arc<str>,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoAnswer {
    /// There is no connection to the bus: nothing was sent.
    Down,
    /// Nobody listens for that node: nothing was done.
    Nobody,
    /// It does not answer in time: it may have done what was asked for.
    Late,
    /// It could not be sent.
    Unsent,
}

/// A request of another node.
#[derive(Debug)]
pub struct Carried {
    /// What it says.
    pub payload: Bytes,
    reply: Subject,
}

impl Carried {
    /// Where whoever asks hears what follows.
    pub fn place(&self) -> String {
        self.reply.to_string()
    }
}

/// What is said at one place, message by message.
#[derive(Debug)]
pub struct Following(Subscriber);

impl Following {
    /// The next one; nothing once the connection is closed for good. Cancel safe.
    pub async fn next(&mut self) -> Option<Bytes> {
        self.0.next().await.map(|message| message.payload)
    }
}

/// Requests of other nodes, as they come.
#[derive(Debug)]
pub struct Inbox(Subscriber);

/// Words that something of the site has changed.
#[derive(Debug)]
pub struct Changes(Subscriber);

impl Carrier {
    pub(super) fn new(client: Client, node: &str) -> Self {
        Self { client, node: node.into() }
    }

    /// Whether there is a connection.
    pub fn is_up(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// Which node this is.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// Asks a node, and waits for its answer, [`ANSWER_WITHIN`] at most: it, and what may follow.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn ask(&self, node: &str, payload: Vec<u8>) -> Result<(Bytes, Following), NoAnswer> {
        if !self.is_up() {
            return Err(NoAnswer::Down);
        }
        let place = self.client.new_inbox();
        let mut heard = self.client.subscribe(place.clone()).await.map_err(|_| NoAnswer::Unsent)?;
        let sent = self.client.publish_with_reply(wire::order(node), place, payload.into()).await;
        sent.map_err(|_| NoAnswer::Unsent)?;
        let answer = timeout(ANSWER_WITHIN, heard.next()).await.map_err(|_| NoAnswer::Late)?.ok_or(NoAnswer::Down)?;
        if answer.status == Some(StatusCode::NO_RESPONDERS) {
            return Err(NoAnswer::Nobody);
        }
        Ok((answer.payload, Following(heard)))
    }

    /// Says something to whoever listens at a place of its own, which a message has named.
    ///
    /// # Errors
    /// When there is no connection.
    pub async fn say(&self, place: String, payload: Vec<u8>) -> Result<(), String> {
        if !self.is_up() {
            return Err("the bus is down".to_owned());
        }
        self.client.publish(place, payload.into()).await.map_err(|error| error.to_string())
    }

    /// A place of its own, and what is said there.
    ///
    /// # Errors
    /// As [`Carrier::inbox`].
    pub async fn place(&self) -> Result<(String, Following), String> {
        let place = self.client.new_inbox();
        let heard = self.client.subscribe(place.clone()).await.map_err(|error| error.to_string())?;
        Ok((place, Following(heard)))
    }

    /// What other nodes ask of this one from now on.
    ///
    /// # Errors
    /// When the connection is closed for good.
    pub async fn inbox(&self) -> Result<Inbox, String> {
        let heard = self.client.subscribe(wire::order(&self.node)).await;
        heard.map(Inbox).map_err(|error| error.to_string())
    }

    /// Answers a request. One that has gone meanwhile is answered by nobody.
    pub async fn answer(&self, carried: &Carried, answer: Vec<u8>) {
        if let Err(error) = self.client.publish(carried.reply.clone(), answer.into()).await {
            tracing::warn!(%error, "a node that has asked gets no answer");
        }
    }

    /// Tells other nodes that something of the site has changed: they look at once, and otherwise within seconds.
    pub async fn tell_changed(&self) {
        if self.is_up() {
            // Whoever does not hear of it looks by itself.
            let _ = self.client.publish(wire::changed(&self.node), Bytes::new()).await;
        }
    }

    /// Tells other nodes which of this one's calls are erased: they show them no longer.
    pub async fn tell_gone(&self, calls: &[String]) {
        for some in calls.chunks(GONE_TOGETHER_MAX) {
            let payload = serde_json::to_vec(some).expect("strings");
            if self.say(wire::gone(&self.node), payload).await.is_err() {
                return tracing::warn!("what is erased here may be shown by other nodes yet: the bus is down");
            }
        }
    }

    /// When other nodes say that something has changed.
    ///
    /// # Errors
    /// As [`Carrier::inbox`].
    pub async fn changes(&self) -> Result<Changes, String> {
        let heard = self.client.subscribe(wire::CHANGES).await;
        heard.map(Changes).map_err(|error| error.to_string())
    }
}

impl Inbox {
    /// The next one; nothing once the connection is closed for good. Cancel safe.
    pub async fn next(&mut self) -> Option<Carried> {
        loop {
            let message = self.0.next().await?;
            // One that wants no answer is none of ours.
            if let Some(reply) = message.reply {
                return Some(Carried { payload: message.payload, reply });
            }
        }
    }
}

impl Changes {
    /// Waits for the next one; nothing once the connection is closed for good. Cancel safe.
    pub async fn next(&mut self) -> Option<()> {
        self.0.next().await.map(drop)
    }
}
