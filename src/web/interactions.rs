//! `/v1/interactions`: chats, by whatever a customer writes, and expressions, of calls as well. Reads requests and says what
//! came of them.
//!
//! Decides nothing: a chat is a call without media, and call control's to carry. Images of faces are never taken.

use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use nlu::recognition::Language;
use nlu::{SeenIn, Shown};
use serde::Deserialize;
use utoipa::ToSchema;

use super::moment::Moment;
use super::orders::{Body, answered, ask, bad, read};
use super::people::customer_of;
use super::problem::Problem;
use super::routes::App;
use crate::control::{ChatOpening, Done, Message, Order, Party, RECORDING, Showing, Source};
use crate::pii::Pii;
use crate::words;

/// The longest message, characters.
const TEXT_CHARACTERS_MAX: usize = 1_000;
/// The longest name of a chat or message, characters.
const NAME_CHARACTERS_MAX: usize = 128;
/// The longest channel's name.
const CHANNEL_CHARACTERS_MAX: usize = 32;
/// The most details, and the longest name or value of one, characters.
const DETAILS_MAX: usize = 32;
const DETAIL_CHARACTERS_MAX: usize = 100;
/// A message that was written longer ago counts as written then.
const AGE_MAX: Duration = Duration::from_secs(3_600);
/// Emoji that stand for an expression.
const EMOJI: [(&str, Shown); 7] = [
    ("😠😡🤬👿💢", Shown::Anger),
    ("😢😭😞😔☹🙁💔", Shown::Sadness),
    ("😀😃😄😁😊🙂😍🥰👍❤", Shown::Joy),
    ("😨😰😱😟", Shown::Fear),
    ("🤢🤮👎", Shown::Disgust),
    ("🙄😒", Shown::Contempt),
    ("😮😲😯", Shown::Surprise),
];

/// What a chat begins with.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = InteractionRequest)]
pub(super) struct OpenRequest {
    channel: String,
    /// How the channel's software names the chat.
    name: Option<String>,
    /// An address of the customer, or what stands for it: `person:…`.
    customer: Option<Pii<String>>,
    language: Option<String>,
    route: Option<String>,
    #[serde(default)]
    details: std::collections::BTreeMap<String, String>,
}

/// A message of a party.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MessageRequest {
    party: Writer,
    text: Pii<String>,
    /// How the channel's software names the message.
    id: Option<String>,
    /// When it was written, RFC 3339; now when it is not said.
    time: Option<Moment>,
}

/// An expression of a party.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ExpressionRequest {
    #[serde(default = "customer")]
    party: Writer,
    /// What a face shows.
    label: Option<String>,
    /// Or an emoji.
    emoji: Option<String>,
    score: Option<f32>,
}

/// Who writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Writer {
    /// The caller of a call.
    #[serde(alias = "caller")]
    Customer,
    #[serde(alias = "callee")]
    Agent,
    Bot,
}

/// Why a chat ends.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EndRequest {
    reason: Option<String>,
}

/// What has become of a customer who was to be moved.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MovedRequest {
    done: bool,
    reason: Option<String>,
}

/// `POST /v1/interactions`.
pub(super) async fn open(State(app): State<App>, body: Body<OpenRequest>) -> Result<Response, Problem> {
    let opening = opening_of(&app, read(body)?)?;
    let done = ask(&app, Order::OpenChat(Box::new(opening))).await?;
    let status = if let Done::Opened { again: true, .. } = done { StatusCode::OK } else { StatusCode::CREATED };
    let mut response = answered(done)?;
    *response.status_mut() = status;
    Ok(response)
}

/// `POST /v1/interactions/{id}/messages`.
pub(super) async fn write(
    State(app): State<App>,
    Path(call): Path<String>,
    body: Body<MessageRequest>,
) -> Result<Response, Problem> {
    ordered(&app, written(call, read(body)?)?).await
}

/// `POST /v1/interactions/{id}/expressions`, `POST /v1/calls/{id}/expressions`.
pub(super) async fn show(
    State(app): State<App>,
    Path(call): Path<String>,
    body: Body<ExpressionRequest>,
) -> Result<Response, Problem> {
    ordered(&app, shown(call, read(body)?)?).await
}

/// `POST /v1/interactions/{id}/moved`.
pub(super) async fn moved(
    State(app): State<App>,
    Path(call): Path<String>,
    body: Body<MovedRequest>,
) -> Result<Response, Problem> {
    ordered(&app, outcome(call, read(body)?)?).await
}

/// `POST /v1/interactions/{id}/end`, with or without a body.
pub(super) async fn end(
    State(app): State<App>,
    Path(call): Path<String>,
    body: axum::body::Bytes,
) -> Result<Response, Problem> {
    let request = match body.is_empty() {
        true => EndRequest::default(),
        false => serde_json::from_slice(&body).map_err(|error| bad(error.to_string()))?,
    };
    ordered(&app, ended(call, request)?).await
}

/// Gives an order about an interaction that is up.
pub(super) async fn ordered(app: &App, order: Order) -> Result<Response, Problem> {
    if let Order::Write { call, .. }
    | Order::Show { call, .. }
    | Order::EndChat { call, .. }
    | Order::ChatMoved { call, .. } = &order
    {
        app.check_up(call)?;
    }
    Ok(answered(ask(app, order).await?)?.into_response())
}

/// What a chat begins with, as the body of `POST /v1/interactions` says it; who the customer is is left out.
///
/// # Errors
/// What was found, and what was expected.
pub fn opening_in(body: &[u8]) -> Result<ChatOpening, String> {
    let request = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    checked(request).map(|(opening, _)| opening).map_err(|problem| problem.detail)
}

fn opening_of(app: &App, request: OpenRequest) -> Result<ChatOpening, Problem> {
    let (opening, customer) = checked(request)?;
    Ok(ChatOpening { customer: customer_of(app, customer.as_ref())?, ..opening })
}

/// What a chat begins with, and whose address is to stand in it.
fn checked(request: OpenRequest) -> Result<(ChatOpening, Option<Pii<String>>), Problem> {
    let OpenRequest { channel, name, customer, language, route, details } = request;
    let is_word = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
    if channel.is_empty() || channel.len() > CHANNEL_CHARACTERS_MAX || !channel.chars().all(is_word) {
        return Err(bad(format!("`channel`: expected 1-{CHANNEL_CHARACTERS_MAX} of a-z, 0-9 and _, e.g. \"app\"")));
    }
    if ["phone", RECORDING].contains(&channel.as_str()) || Source::FORKING.iter().any(|source| source.name() == channel)
    {
        return Err(bad(format!("`channel`: found {channel:?}, which is where calls come from")));
    }
    check_name("name", name.as_ref())?;
    let texts = || details.iter().flat_map(|(name, value)| [name, value]);
    let fits = |text: &String| text.chars().count() <= DETAIL_CHARACTERS_MAX && !text.chars().any(char::is_control);
    if details.len() > DETAILS_MAX || !texts().all(fits) {
        let detail =
            format!("`details`: at most {DETAILS_MAX}, of up to {DETAIL_CHARACTERS_MAX} characters on one line");
        return Err(bad(detail));
    }
    let language = match language.as_deref() {
        None => None,
        Some("zh") => Some(Language::Mandarin),
        Some("en") => Some(Language::English),
        Some(_) => return Err(bad("`language` is \"zh\" or \"en\"")),
    };
    let details = details.into_iter().collect();
    Ok((ChatOpening { channel, name, customer: String::new(), language, route, details }, customer))
}

/// The order that a message is.
pub(super) fn written(call: String, request: MessageRequest) -> Result<Order, Problem> {
    let MessageRequest { party, text, id, time } = request;
    let text = text.reveal().clone();
    if text.chars().count() > TEXT_CHARACTERS_MAX {
        return Err(bad(format!("`text` has at most {TEXT_CHARACTERS_MAX} characters")));
    }
    check_name("id", id.as_ref())?;
    let age = time.map_or(Duration::ZERO, |time| Duration::from_millis(Moment::now().0.saturating_sub(time.0)));
    let message = Message { party: party.into(), text, name: id, age: age.min(AGE_MAX) };
    Ok(Order::Write { call, message })
}

/// The order that an expression is.
pub(super) fn shown(call: String, request: ExpressionRequest) -> Result<Order, Problem> {
    let ExpressionRequest { party, label, emoji, score } = request;
    let (shown, seen_in) = match (label, emoji) {
        (Some(label), None) => (labelled(&label)?, SeenIn::Face),
        (None, Some(emoji)) => (drawn(&emoji)?, SeenIn::Emoji),
        (None, None) | (Some(_), Some(_)) => return Err(bad("either `label` or `emoji` says what is shown")),
    };
    let score = score.unwrap_or(1.0);
    if !(0.0..=1.0).contains(&score) {
        return Err(bad(format!("`score`: found {score}, expected 0-1")));
    }
    Ok(Order::Show { call, showing: Showing { party: party.into(), shown, score, seen_in } })
}

/// The order that the end is.
pub(super) fn ended(call: String, EndRequest { reason }: EndRequest) -> Result<Order, Problem> {
    check_name("reason", reason.as_ref())?;
    Ok(Order::EndChat { call, reason: reason.unwrap_or_else(|| "ended by the channel".to_owned()) })
}

/// The order that the outcome of a move is.
pub(super) fn outcome(call: String, MovedRequest { done, reason }: MovedRequest) -> Result<Order, Problem> {
    check_name("reason", reason.as_ref())?;
    let outcome = if done { Ok(()) } else { Err(reason.unwrap_or_else(|| "the channel could not".to_owned())) };
    Ok(Order::ChatMoved { call, outcome })
}

fn labelled(label: &str) -> Result<Shown, Problem> {
    let names = || Shown::ALL.map(words::shown).join(", ");
    let found = Shown::ALL.into_iter().find(|shown| words::shown(*shown) == label);
    found.ok_or_else(|| bad(format!("`label`: expected one of {}", names())))
}

fn drawn(emoji: &str) -> Result<Shown, Problem> {
    // What follows, e.g. a variation selector, changes how it looks alone.
    let first = emoji.chars().next();
    let found = EMOJI.iter().find(|(all, _)| first.is_some_and(|first| all.contains(first)));
    found.map(|(_, shown)| *shown).ok_or_else(|| bad("`emoji`: not one that stands for an expression"))
}

pub(super) fn check_name(field: &str, name: Option<&String>) -> Result<(), Problem> {
    let fits = |name: &String| {
        (1..=NAME_CHARACTERS_MAX).contains(&name.chars().count()) && !name.chars().any(char::is_control)
    };
    if name.is_none_or(fits) {
        return Ok(());
    }
    Err(bad(format!("`{field}` has 1-{NAME_CHARACTERS_MAX} characters on one line")))
}

fn customer() -> Writer {
    Writer::Customer
}

impl From<Writer> for Party {
    fn from(writer: Writer) -> Self {
        match writer {
            Writer::Customer => Party::Caller,
            Writer::Agent | Writer::Bot => Party::Callee,
        }
    }
}
