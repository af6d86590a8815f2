//! A look at the bus from outside: whether it lets us in and keeps events, and which nodes say that they are there.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use serde::Deserialize;
use tokio::time::{Instant, timeout, timeout_at};

use super::{identity, wire};
use crate::peers::{Here, Message};
use crate::settings::BusSettings;
use crate::web::Moment;

/// How long the server may take to let us in, and to answer.
const ANSWERED_WITHIN: Duration = Duration::from_secs(3);
/// How long it is listened for nodes, each of which says once a second that it is there.
const LISTEN: Duration = Duration::from_millis(2_500);

/// What there is.
#[derive(Debug)]
pub struct Survey {
    /// The server's name and version.
    pub server: String,
    /// What JetStream takes; or why it is not there.
    pub streams: Result<String, String>,
    /// The nodes that are there, by name.
    pub nodes: BTreeMap<String, Heard>,
}

/// What was heard of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// Where people reach its API.
    pub address: Option<String>,
    /// The version of its program.
    pub version: Option<String>,
    /// How far its clock is ahead of this machine's, or behind where it is less than 0, ms.
    pub ahead_ms: Option<i64>,
}

impl Survey {
    /// Looks at it, which takes three seconds.
    ///
    /// # Errors
    /// Why the server does not let us in.
    pub async fn of(settings: &BusSettings) -> Result<Survey, String> {
        let options = identity(settings).await?.name("calmline doctor");
        let connect = timeout(ANSWERED_WITHIN, options.connect(&settings.url)).await;
        let late = |_| format!("no answer within {} s", ANSWERED_WITHIN.as_secs());
        let client = connect.map_err(late)?.map_err(|error| error.to_string())?;
        let info = client.server_info();
        let server = format!("{} {}", info.server_name, info.version);
        let mut heard = client.subscribe(wire::ANYBODY).await.map_err(|error| error.to_string())?;
        let streams = match timeout(ANSWERED_WITHIN, client.request(ACCOUNT, Bytes::new())).await {
            Ok(Ok(told)) => streams(&told.payload),
            Ok(Err(error)) => Err(error.to_string()),
            Err(late_after) => Err(late(late_after)),
        };
        let (until, mut nodes) = (Instant::now() + LISTEN, BTreeMap::new());
        while let Ok(Some(message)) = timeout_at(until, heard.next()).await {
            if let Some((node, wire::Told::By(Message::Here(here)))) = wire::read(&message) {
                nodes.insert(node.to_owned(), Heard::of(here, Moment::now()));
            }
        }
        Ok(Survey { server, streams, nodes })
    }
}

/// What JetStream says of our account; servers of before 2.10 leave out what later ones tell besides.
fn streams(told: &[u8]) -> Result<String, String> {
    let told: Account = serde_json::from_slice(told).map_err(|error| format!("{ACCOUNT}: {error}"))?;
    match told.error {
        Some(error) => Err(error.description),
        None => Ok(format!("{} streams, {} bytes", told.streams, told.storage)),
    }
}

/// Where JetStream is asked about our account.
const ACCOUNT: &str = "$JS.API.INFO";

#[derive(Deserialize)]
struct Account {
    #[serde(default)]
    streams: u64,
    #[serde(default)]
    storage: u64,
    error: Option<Refused>,
}

#[derive(Deserialize)]
struct Refused {
    #[serde(default)]
    description: String,
}

impl Heard {
    fn of(Here { address, version, time, .. }: Here, now: Moment) -> Self {
        let ahead = |time: Moment| i64::try_from(i128::from(time.0) - i128::from(now.0)).unwrap_or(i64::MAX);
        Self { address, version, ahead_ms: time.map(ahead) }
    }
}
