//! Whom a server talks to: whether they answer.

use std::time::Duration;

use futures::future::join_all;
use sqlx::postgres::PgConnection;
use sqlx::{ConnectOptions, Connection};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use super::Finding;
use crate::metrics::Metrics;
use crate::recognizer::Engine;
use crate::settings::{DatabaseSettings, Listener, PbxKind, Settings, SourcePlace};
use crate::shell::sip::{Health, SipOptions, SipSide, TrunkReport};

/// How long a connection may take.
const REACHED_WITHIN: Duration = Duration::from_secs(3);
/// How long trunks may take: two questions by OPTIONS.
const TRUNKS_WITHIN: Duration = Duration::from_secs(9);
const ASK_TRUNKS_EVERY: Duration = Duration::from_secs(1);

/// Asks everybody, all at once.
pub(super) async fn look(settings: &Settings) -> Vec<Finding> {
    let (trunks, places, databases) = tokio::join!(trunks(settings), places(settings), databases(settings));
    [trunks, places, databases].into_iter().flatten().collect()
}

/// Asks the trunks that have a URI by OPTIONS, from ports of our own: a server that runs keeps its own.
async fn trunks(settings: &Settings) -> Vec<Finding> {
    let mut asked = settings.trunks.clone();
    asked.retain(|_, trunk| trunk.uri.is_some());
    for trunk in asked.values_mut() {
        (trunk.health, trunk.register) = (Some(ASK_TRUNKS_EVERY), None);
    }
    if asked.is_empty() {
        return Vec::new();
    }
    let mut sip = settings.sip.clone();
    sip.listeners.iter_mut().for_each(|Listener { address, .. }| address.set_port(0));
    let (events, _unheard) = mpsc::channel(1);
    let side =
        match SipSide::start(SipOptions { settings: sip, trunks: asked, metrics: Metrics::new(), trace: None }, events)
            .await
        {
            Ok(side) => side,
            Err(error) => return vec![Finding::fail("trunks", error.to_string(), "they could not be asked")],
        };
    let until = Instant::now() + TRUNKS_WITHIN;
    while Instant::now() < until && side.trunks().iter().any(|trunk| trunk.health == Health::Unknown) {
        sleep(Duration::from_millis(50)).await;
    }
    let found = side.trunks().into_iter().map(of_trunk).collect();
    side.shutdown().await;
    found
}

fn of_trunk(TrunkReport { name, health, .. }: TrunkReport) -> Finding {
    let what = format!("trunk {name}");
    match health {
        Health::Up => Finding::ok(what, "answers OPTIONS"),
        Health::Down | Health::Unknown => Finding::fail(
            what,
            "does not answer OPTIONS",
            "its address and transport in uri, its firewall, and whether it knows this machine (a SIP server may only answer peers)",
        ),
    }
}

/// Everything else that is reached by TCP, by what it is for.
async fn places(settings: &Settings) -> Vec<Finding> {
    let mut places = Vec::new();
    for (name, pbx) in &settings.pbxes {
        let place = match &pbx.kind {
            PbxKind::Ami { address, .. } | PbxKind::Esl { address, .. } => Some(address.to_string()),
            PbxKind::Ari { url, .. } | PbxKind::Webhook { url, .. } => place_of(url),
        };
        places.push((format!("pbx.{name}"), place));
    }
    places.extend(settings.crms.iter().map(|(name, crm)| (format!("crm.{name}"), place_of(&crm.url))));
    for (name, source) in &settings.sources {
        if let SourcePlace::Http { url, .. } = &source.place {
            places.push((format!("sources.{name}"), place_of(url)));
        }
    }
    if let Some(mail) = &settings.mail {
        places.push(("mail".to_owned(), Some(format!("{}:{}", mail.host, mail.port))));
    }
    if let Some(Engine::Remote(remote)) = settings.recognition.as_ref().map(|wanted| &wanted.engine) {
        places.push(("recognition".to_owned(), Some(remote.endpoint.place())));
    }
    join_all(places.into_iter().map(|(what, place)| reach(what, place))).await
}

/// Host and port of a URL.
fn place_of(url: &str) -> Option<String> {
    let url = reqwest::Url::parse(url).ok()?;
    Some(format!("{}:{}", url.host_str()?, url.port_or_known_default()?))
}

async fn reach(what: String, place: Option<String>) -> Finding {
    let Some(place) = place else { return Finding::fail(what, "no host in its address", "an address with a host") };
    let mend = "whether it runs, its address and port, and the firewall between";
    match timeout(REACHED_WITHIN, TcpStream::connect(&place)).await {
        Ok(Ok(_)) => Finding::ok(what, format!("{place} can be reached")),
        Ok(Err(error)) => Finding::fail(what, format!("{place}: {error}"), mend),
        Err(_) => Finding::fail(what, format!("{place}: no answer within {} s", REACHED_WITHIN.as_secs()), mend),
    }
}

/// Databases are signed in to: a server that cannot is of no use.
async fn databases(settings: &Settings) -> Vec<Finding> {
    let store = settings.store.as_ref().and_then(|store| store.database.as_ref());
    let mut all: Vec<(String, &DatabaseSettings)> =
        store.map(|database| ("store".to_owned(), database)).into_iter().collect();
    for (name, source) in &settings.sources {
        if let SourcePlace::Database { database, .. } = &source.place {
            all.push((format!("sources.{name}"), database));
        }
    }
    join_all(all.into_iter().map(|(what, database)| sign_in(what, database))).await
}

async fn sign_in(what: String, database: &DatabaseSettings) -> Finding {
    let (what, place) = (format!("{what}: database"), database.place());
    let connect = async {
        let mut connection: PgConnection = database.options()?.connect().await.map_err(|error| error.to_string())?;
        connection.ping().await.map_err(|error| error.to_string())
    };
    let found = timeout(REACHED_WITHIN, connect).await;
    match found.unwrap_or_else(|_| Err(format!("no answer within {} s", REACHED_WITHIN.as_secs()))) {
        Ok(()) => Finding::ok(what, format!("{place} lets us in")),
        Err(why) => {
            Finding::fail(what, format!("{place}: {why}"), "whether it runs, its user, password and pg_hba.conf")
        }
    }
}
