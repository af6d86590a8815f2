//! `POST /v1/forks`: whoever steers a PBX asks where the audio of one of its calls may be sent.
//!
//! For Asterisk's ARI: RTP ports for externalMedia, or ids for AudioSocket, one per party.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use forks::stream::Voice;
use media::Codec;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::orders::Body;
use super::problem::Problem;
use super::routes::App;
use crate::shell::fork::{PortsError, PortsWanted};

/// The longest name, number or detail, characters.
const CHARS_MAX: usize = 256;
/// The most details.
const DETAILS_MAX: usize = 32;

/// What is asked for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ForkRequest)]
pub(super) struct Wanted {
    via: Via,
    /// How the asker names the call.
    call: Option<String>,
    #[serde(default)]
    from: String,
    #[serde(default)]
    to: String,
    #[serde(default = "both")]
    parties: Vec<Party>,
    #[serde(default)]
    format: Format,
    payload_type: Option<u8>,
    #[serde(default)]
    details: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = ForkVia)]
enum Via {
    Rtp,
    AudioSocket,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = ForkParty)]
enum Party {
    Caller,
    Callee,
}

/// Formats by Asterisk's names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = ForkFormat)]
enum Format {
    #[default]
    Ulaw,
    Alaw,
    G722,
    Slin,
    Slin16,
}

impl Format {
    /// The codec, and the payload type that Asterisk sends it with.
    fn codec(self) -> (Codec, u8) {
        match self {
            Format::Ulaw => (Codec::Pcmu, 0),
            Format::Alaw => (Codec::Pcma, 8),
            Format::G722 => (Codec::G722, 9),
            Format::Slin => (Codec::L16Narrow, 11),
            Format::Slin16 => (Codec::L16Wide, 118),
        }
    }
}

impl Party {
    fn name(self) -> &'static str {
        match self {
            Party::Caller => "caller",
            Party::Callee => "callee",
        }
    }

    fn voice(self) -> Voice {
        match self {
            Party::Caller => Voice::Caller,
            Party::Callee => Voice::Callee,
        }
    }
}

fn both() -> Vec<Party> {
    vec![Party::Caller, Party::Callee]
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ForkGiven)]
pub(super) struct Given {
    /// The call's id; AudioSocket's calls begin when it connects.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    call: Option<String>,
    /// Where the audio of each party goes.
    streams: BTreeMap<&'static str, Where>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = ForkReceiver)]
pub(super) enum Where {
    Rtp(String),
    AudioSocket(String),
}

pub(super) async fn fork(State(app): State<App>, wanted: Body<Wanted>) -> Result<Response, Problem> {
    let Json(wanted) = wanted.map_err(|error| Problem::new(StatusCode::BAD_REQUEST, error.body_text()))?;
    check(&wanted)?;
    let given = match wanted.via {
        Via::Rtp => rtp(&app, wanted).await?,
        Via::AudioSocket => audiosocket(&app, &wanted)?,
    };
    Ok((StatusCode::CREATED, Json(given)).into_response())
}

fn check(wanted: &Wanted) -> Result<(), Problem> {
    let Wanted { call, from, to, parties, payload_type, details, .. } = wanted;
    let unfit = |why: &str| Err(Problem::new(StatusCode::BAD_REQUEST, why.to_owned()));
    let texts = call.iter().chain([from, to]).chain(details.keys()).chain(details.values());
    let mut texts = texts.map(|text| text.chars().count() <= CHARS_MAX && !text.chars().any(char::is_control));
    if !texts.all(|fits| fits) || details.len() > DETAILS_MAX {
        return unfit("texts of at most 256 characters without control characters, and at most 32 details");
    }
    if parties.is_empty() || parties.len() > 2 || parties.len() == 2 && parties[0] == parties[1] {
        return unfit("parties: \"caller\", \"callee\", or both once");
    }
    if payload_type.is_some_and(|number| number > 127) {
        return unfit("payload_type: a number from 0 to 127");
    }
    Ok(())
}

async fn rtp(app: &App, wanted: Wanted) -> Result<Given, Problem> {
    let (codec, usual) = wanted.format.codec();
    let ports = PortsWanted {
        call: wanted.call,
        from: wanted.from,
        to: wanted.to,
        voices: wanted.parties.iter().map(|party| party.voice()).collect(),
        codec,
        payload_type: wanted.payload_type.unwrap_or(usual),
        details: wanted.details.into_iter().collect(),
    };
    let given = app.forks.open_ports(ports).await.map_err(|error| {
        let status = match error {
            PortsError::Full | PortsError::TooSlow => StatusCode::SERVICE_UNAVAILABLE,
            PortsError::Refused(_) => StatusCode::CONFLICT,
        };
        Problem::new(status, error.to_string())
    })?;
    let receivers = given.receivers.iter().map(|receiver| Where::Rtp(receiver.to_string()));
    let streams = wanted.parties.iter().map(|party| party.name()).zip(receivers).collect();
    Ok(Given { call: Some(given.call), streams })
}

fn audiosocket(app: &App, wanted: &Wanted) -> Result<Given, Problem> {
    let Some(call) = &wanted.call else {
        return Err(Problem::new(StatusCode::BAD_REQUEST, "call: a name by which the parties find each other"));
    };
    let mut streams = BTreeMap::new();
    for party in &wanted.parties {
        let id = app.forks.announce(call, &wanted.from, &wanted.to, party.voice());
        let id = id.ok_or_else(|| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too many connections are awaited"))?;
        streams.insert(party.name(), Where::AudioSocket(id.to_string()));
    }
    Ok(Given { call: None, streams })
}
