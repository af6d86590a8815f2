//! HTTP requests to a system outside, one per order: JSON out, a status back.
//!
//! 200, 201 and 204 say that it is done, 202 that it is taken on; everything else is a refusal.

use std::sync::Arc;

use serde_json::json;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::Standing;
use super::queue::{Queue, Reporter, Waiting};
use crate::pbx::{Answer, Deed, Move, Outcome, Secret};

/// One system outside.
pub(super) struct Webhook {
    url: String,
    secret: Option<Secret>,
    client: reqwest::Client,
    queue: Queue,
}

impl Webhook {
    pub(super) fn new(url: &str, secret: Option<Secret>, client: reqwest::Client, queue: Queue) -> Webhook {
        Webhook { url: url.to_owned(), secret, client, queue }
    }

    /// Posts orders as they come, `REQUESTS_MAX` at a time.
    pub(super) async fn run(mut self) {
        let room = Arc::new(Semaphore::new(REQUESTS_MAX));
        let standing = Arc::new(tokio::sync::Mutex::new(Standing::new(&self.queue.reporter.pbx)));
        loop {
            let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
            let Some(Waiting { ticket, deed, until }) = self.queue.next().await else { return };
            let mut request = self.client.post(&self.url).header("Content-Type", "application/json").body(body(&deed));
            if let Some(secret) = &self.secret {
                request = request.bearer_auth(secret.reveal());
            }
            let (reporter, standing) = (self.queue.reporter.clone(), Arc::clone(&standing));
            tokio::spawn(async move {
                let outcome = post(request, until).await;
                note(&reporter, &outcome, &mut *standing.lock().await);
                reporter.answer(Answer { ticket, outcome });
                drop(permit);
            });
        }
    }
}

async fn post(request: reqwest::RequestBuilder, until: Instant) -> Outcome {
    match timeout_at(until, request.send()).await {
        Ok(Ok(response)) => match response.status().as_u16() {
            200 | 201 | 204 => Outcome::Done,
            202 => Outcome::Accepted,
            code => Outcome::Failed(format!("{code} {}", response.status().canonical_reason().unwrap_or_default())),
        },
        Ok(Err(error)) => Outcome::Failed(super::in_words(&error)),
        Err(_) => Outcome::Failed("no answer in time".to_owned()),
    }
}

/// A webhook has no connection: whether it is up is what the last request says.
fn note(reporter: &Reporter, outcome: &Outcome, standing: &mut Standing) {
    let down = match outcome {
        Outcome::Failed(why) => Some(why),
        Outcome::Done | Outcome::Accepted => None,
    };
    reporter.set_up(down.is_none());
    match down {
        Some(why) => standing.down(why),
        None => standing.up(),
    }
}

fn body(deed: &Deed) -> String {
    let body = match deed {
        Deed::Move(wanted) => {
            let Move { channel, place, handover } = &**wanted;
            let mut body = handover.json();
            body["action"] = "move".into();
            body["channel"] = channel.clone().into();
            body["queue_priority"] = place.queue_priority.into();
            body["variables"] = json!(place.variables);
            let dialplan = place.dialplan.as_ref();
            body["dialplan"] = dialplan.map(|at| json!([at.context, at.extension, at.priority])).into();
            body["endpoint"] = place.endpoint.clone().into();
            body
        }
        Deed::Tell(handover) => {
            let mut body = handover.json();
            body["action"] = "tell".into();
            body
        }
        Deed::Play { channel, media } => json!({ "action": "play", "channel": channel, "media": media }),
    };
    body.to_string()
}

/// Requests under way at a time.
const REQUESTS_MAX: usize = 16;
