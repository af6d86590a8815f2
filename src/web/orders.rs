//! What is ordered over the API: supervisors, prompts, bypass, hang-up, drain, words that were typed. Reads requests and says what came of them.
//!
//! Decides nothing: whether an order can be carried out is call control's to say.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use media::tone::{Pattern, Progress, Region};
use routing::{Language, PlayMode, SAYING_CHARS_MAX, Until, is_prompt_file, is_saying};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::{Semaphore, oneshot};
use utoipa::ToSchema;

use super::problem::Problem;
use super::routes::App;
use super::signing::Who;
use crate::control::{Denied, DeniedKind, Done, Hears, Order, Party, PlayedSound, SupervisorMode, Whom};
use crate::settings::read_prompt;

/// How long call control may take to say whether it carries an order out.
const ANSWER_WAIT: Duration = Duration::from_secs(5);
/// Prompt files that are read at the same time.
const READERS_MAX: usize = 2;
/// The longest text that a party types at a time.
const TYPED_CHARACTERS_MAX: usize = 1_000;

/// An order, and whoever waits to hear what came of it.
#[derive(Debug)]
pub struct Asked {
    /// The order.
    pub order: Order,
    /// Who waits; nobody may.
    pub answer: Option<oneshot::Sender<Result<Done, Denied>>>,
}

/// Where prompts by order come from.
#[derive(Debug)]
pub(super) struct PromptFolder {
    path: PathBuf,
    readers: Semaphore,
}

impl PromptFolder {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, readers: Semaphore::new(READERS_MAX) }
    }

    /// Reads a file of the folder.
    async fn read(&self, name: String) -> Result<PlayedSound, Problem> {
        let _place = self.readers.acquire().await.expect("the semaphore is never closed");
        let path = self.path.join(&name);
        let sound = tokio::task::spawn_blocking(move || read_prompt(&path)).await;
        let sound =
            sound.map_err(|_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the prompt broke its reader"))?;
        let wrong =
            |(found, expected)| Problem::new(StatusCode::BAD_REQUEST, format!("found {found}, expected {expected}"));
        Ok(PlayedSound::Ready { name, sound: Arc::new(sound.map_err(wrong)?) })
    }
}

/// Who hears a supervisor.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = SupervisionMode)]
pub(super) enum ModeWord {
    Listen,
    Whisper,
    Barge,
}

#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Party)]
pub(super) enum PartyWord {
    Caller,
    Callee,
}

/// Whom a supervisor hears.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Hears)]
pub(super) enum HearsWord {
    #[default]
    Both,
    Caller,
    Callee,
}

#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = PlayMode)]
enum PlayWord {
    Replace,
    Duck,
}

/// Whom to call as supervisor, and who hears it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SupervisorRequest {
    target: Option<String>,
    uri: Option<String>,
    mode: ModeWord,
    party: Option<PartyWord>,
    #[serde(default)]
    hears: HearsWord,
}

/// How a supervisor takes part from now on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SupervisorChange)]
pub(super) struct PartRequest {
    mode: Option<ModeWord>,
    party: Option<PartyWord>,
    hears: Option<HearsWord>,
}

/// What a party is to hear.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PromptRequest {
    file: Option<String>,
    say: Option<SayRequest>,
    tone: Option<ToneWord>,
    party: PartyWord,
    mode: PlayWord,
    #[serde(default)]
    until: Vec<UntilWord>,
}

/// What a party has typed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = UtteranceRequest)]
pub(super) struct TypedRequest {
    party: PartyWord,
    text: String,
}

/// A tone, one turn of it.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Tone)]
enum ToneWord {
    Beep,
    Ringback,
    Busy,
    Congestion,
}

/// What the hearer may do to end it early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Until)]
enum UntilWord {
    Speech,
    Key,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SayRequest {
    text: String,
    language: String,
}

pub(super) type Body<T> = Result<Json<T>, JsonRejection>;
/// A call, and something of it by number.
type Numbered = Result<Path<(String, u32)>, PathRejection>;

/// `POST /v1/calls/{id}/supervisors`.
pub(super) async fn supervise(
    State(app): State<App>,
    Path(call): Path<String>,
    Extension(who): Extension<Who>,
    body: Body<SupervisorRequest>,
) -> Result<Response, Problem> {
    let SupervisorRequest { target, uri, mode, party, hears } = read(body)?;
    let mode = mode_of(mode, party)?;
    let what = json!({ "target": target, "uri": uri, "mode": mode.as_str(), "party": mode.party().map(Party::as_str) });
    let whom = match (target, uri) {
        (Some(name), None) => Whom::Target(name),
        (None, Some(uri)) => Whom::Uri(uri),
        (None, None) | (Some(_), Some(_)) => return Err(bad("either `target` or `uri` says whom to call")),
    };
    app.check_up(&call)?;
    app.audit("supervision_ordered", who.name(), &call, what).await;
    answered(ask(&app, Order::Supervise { call, whom, mode, hears: hears.into() }).await?)
}

/// `PATCH /v1/calls/{id}/supervisors/{supervisor}`.
pub(super) async fn change_supervisor(
    State(app): State<App>,
    path: Numbered,
    Extension(who): Extension<Who>,
    body: Body<PartRequest>,
) -> Result<Response, Problem> {
    let (call, supervisor) = numbered(path)?;
    if let Err(JsonRejection::MissingJsonContentType(_)) = body {
        // Browsers look for this in the manner of WHIP (RFC 9725 §4.3).
        let detail = "expected `application/json`; candidates are not trickled: the answer to the offer has them all";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    let PartRequest { mode, party, hears } = read(body)?;
    let mode = match (mode, party, hears) {
        (None, Some(_), _) => return Err(bad("`party` stands beside `mode`")),
        (None, None, None) => return Err(bad("`mode` or `hears` says what changes")),
        (mode, party, _) => mode.map(|mode| mode_of(mode, party)).transpose()?,
    };
    app.check_up(&call)?;
    let hears = hears.map(Hears::from);
    let by = match &who {
        Who::Machine => None,
        Who::Person { .. } => Some(who.browser()),
    };
    let party = mode.and_then(SupervisorMode::party).map(Party::as_str);
    let what = json!({ "supervisor": supervisor, "mode": mode.map(|mode| mode.as_str()), "party": party,
        "hears": hears.map(|hears| hears.as_str()) });
    app.audit("supervision_changed", who.name(), &call, what).await;
    answered(ask(&app, Order::ChangeSupervisor { call, supervisor, mode, hears, by }).await?)
}

/// `DELETE /v1/calls/{id}/supervisors/{supervisor}`.
pub(super) async fn end_supervisor(
    State(app): State<App>,
    path: Numbered,
    Extension(who): Extension<Who>,
) -> Result<Response, Problem> {
    let (call, supervisor) = numbered(path)?;
    app.check_up(&call)?;
    app.audit("supervision_ended", who.name(), &call, json!({ "supervisor": supervisor })).await;
    answered(ask(&app, Order::EndSupervisor { call, supervisor }).await?)
}

/// `POST /v1/calls/{id}/prompts`.
pub(super) async fn play(
    State(app): State<App>,
    Path(call): Path<String>,
    body: Body<PromptRequest>,
) -> Result<Response, Problem> {
    let PromptRequest { file, say, tone, party, mode, until } = read(body)?;
    app.check_up(&call)?;
    let sound = match (file, say, tone) {
        (Some(file), None, None) if is_prompt_file(&file) => {
            let prompts = Arc::clone(&app.live.load().prompts);
            prompts.read(file).await?
        }
        (Some(_), None, None) => {
            return Err(bad("`file` is the name of a WAV or Opus file (.wav, .opus, .ogg) inside the prompt folder"));
        }
        (None, Some(words), None) => text_of(words)?,
        (None, None, Some(tone)) => tone.sound(app.live.load().tones),
        _ => return Err(bad("either `file`, `say` or `tone` says what is heard")),
    };
    let mode = match mode {
        PlayWord::Replace => PlayMode::Replace,
        PlayWord::Duck => PlayMode::Duck,
    };
    let until = Until { speech: until.contains(&UntilWord::Speech), key: until.contains(&UntilWord::Key) };
    answered(ask(&app, Order::Play { call, party: party.into(), sound, mode, until }).await?)
}

/// `DELETE /v1/calls/{id}/prompts/{prompt}`.
pub(super) async fn stop(State(app): State<App>, path: Numbered) -> Result<Response, Problem> {
    let (call, prompt) = numbered(path)?;
    app.check_up(&call)?;
    answered(ask(&app, Order::StopPlay { call, prompt }).await?)
}

/// `POST /v1/calls/{id}/utterances`.
pub(super) async fn typed(
    State(app): State<App>,
    Path(call): Path<String>,
    body: Body<TypedRequest>,
) -> Result<Response, Problem> {
    let TypedRequest { party, text } = read(body)?;
    if text.trim().is_empty() || text.chars().count() > TYPED_CHARACTERS_MAX {
        return Err(bad(format!("`text` has 1-{TYPED_CHARACTERS_MAX} characters that are not all blank")));
    }
    app.check_up(&call)?;
    answered(ask(&app, Order::Typed { call, party: party.into(), text }).await?)
}

/// `POST /v1/calls/{id}/hangup`.
pub(super) async fn hang_up(State(app): State<App>, Path(call): Path<String>) -> Result<Response, Problem> {
    app.check_up(&call)?;
    give(&app, Order::HangUp { call })
}

/// `POST /v1/calls/{id}/bypass`.
pub(super) async fn bypass(State(app): State<App>, Path(call): Path<String>) -> Result<Response, Problem> {
    app.check_up(&call)?;
    answered(ask(&app, Order::Bypass { call }).await?)
}

/// `DELETE /v1/calls/{id}/bypass`.
pub(super) async fn end_bypass(State(app): State<App>, Path(call): Path<String>) -> Result<Response, Problem> {
    app.check_up(&call)?;
    answered(ask(&app, Order::EndBypass { call }).await?)
}

/// `POST /v1/drain`.
pub(super) async fn drain(State(app): State<App>) -> Result<Response, Problem> {
    give(&app, Order::Drain)
}

/// Gives an order and waits for what comes of it.
pub(super) async fn ask(app: &App, order: Order) -> Result<Done, Problem> {
    let (answer, outcome) = oneshot::channel();
    post(app, Asked { order, answer: Some(answer) })?;
    match tokio::time::timeout(ANSWER_WAIT, outcome).await {
        Ok(Ok(outcome)) => outcome.map_err(Problem::from),
        Ok(Err(_)) | Err(_) => {
            Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "call control gave no answer in time"))
        }
    }
}

/// Gives an order whose outcome is told by events.
fn give(app: &App, order: Order) -> Result<Response, Problem> {
    post(app, Asked { order, answer: None })?;
    answered(Done::Accepted)
}

fn post(app: &App, asked: Asked) -> Result<(), Problem> {
    let refused = |_| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "call control takes no orders now");
    app.orders.try_send(asked).map_err(refused)
}

/// What an order has led to, for the client.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(super) struct Accepted {
    /// False when it says nothing new.
    accepted: bool,
    /// Then why.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    dropped: Option<&'static str>,
    /// The id of a chat that was begun.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    interaction: Option<String>,
    /// Whether it was begun before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    again: Option<bool>,
    /// The number of a supervisor that is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    supervisor: Option<u32>,
    /// The number of what is played.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    prompt: Option<u32>,
    /// The number of a client of live audio.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    client: Option<u32>,
}

/// Says what an order has led to.
pub(super) fn answered(done: Done) -> Result<Response, Problem> {
    let yes = Accepted { accepted: true, ..Accepted::default() };
    let body = match done {
        Done::Accepted => yes,
        Done::Dropped(why) => Accepted { dropped: Some(why), ..Accepted::default() },
        Done::Opened { call, again } => Accepted { interaction: Some(call), again: Some(again), ..yes },
        Done::Supervisor(supervisor) | Done::Browser { supervisor, .. } => {
            Accepted { supervisor: Some(supervisor), ..yes }
        }
        Done::Prompt(prompt) => Accepted { prompt: Some(prompt), ..yes },
        Done::Audio { client, .. } => Accepted { client: Some(client), ..yes },
    };
    Ok((StatusCode::ACCEPTED, Json(body)).into_response())
}

pub(super) fn read<T>(body: Body<T>) -> Result<T, Problem> {
    let Json(read) = body.map_err(|error| Problem::new(error.status(), error.body_text()))?;
    Ok(read)
}

fn numbered(path: Numbered) -> Result<(String, u32), Problem> {
    let Path(named) = path.map_err(|error| Problem::new(error.status(), error.body_text()))?;
    Ok(named)
}

pub(super) fn mode_of(mode: ModeWord, party: Option<PartyWord>) -> Result<SupervisorMode, Problem> {
    match (mode, party) {
        // An agent is who a supervisor whispers to, unless it says otherwise.
        (ModeWord::Whisper, party) => Ok(SupervisorMode::Whisper(party.map_or(Party::Callee, Party::from))),
        (ModeWord::Listen, None) => Ok(SupervisorMode::Listen),
        (ModeWord::Barge, None) => Ok(SupervisorMode::Barge),
        (ModeWord::Listen | ModeWord::Barge, Some(_)) => {
            Err(bad("`party` stands beside `whisper`: nobody hears who listens, and all hear who barges in"))
        }
    }
}

fn text_of(SayRequest { text, language }: SayRequest) -> Result<PlayedSound, Problem> {
    if !is_saying(&text) {
        let detail = format!(
            "`say.text` has 1-{SAYING_CHARS_MAX} characters on one line; {{NAME}} stands for a header of the INVITE"
        );
        return Err(bad(detail));
    }
    let language = Language::ALL.into_iter().find(|each| each.as_str() == language);
    let language = language.ok_or_else(|| bad("`say.language` is \"zh\" or \"en\""))?;
    Ok(PlayedSound::Text { text, language })
}

pub(super) fn bad(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, detail)
}

impl ToneWord {
    fn sound(self, region: Region) -> PlayedSound {
        let (name, pattern) = match self {
            ToneWord::Beep => ("beep", Pattern::beep()),
            ToneWord::Ringback => ("ringback", Pattern::of(region, Progress::Ringback)),
            ToneWord::Busy => ("busy", Pattern::of(region, Progress::Busy)),
            ToneWord::Congestion => ("congestion", Pattern::of(region, Progress::Congestion)),
        };
        PlayedSound::Ready { name: name.to_owned(), sound: Arc::new(pattern.render()) }
    }
}

impl From<PartyWord> for Party {
    fn from(word: PartyWord) -> Self {
        match word {
            PartyWord::Caller => Party::Caller,
            PartyWord::Callee => Party::Callee,
        }
    }
}

impl From<HearsWord> for Hears {
    fn from(word: HearsWord) -> Self {
        match word {
            HearsWord::Both => Hears::Both,
            HearsWord::Caller => Hears::Only(Party::Caller),
            HearsWord::Callee => Hears::Only(Party::Callee),
        }
    }
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        let status = match denied.kind {
            DeniedKind::Unknown => StatusCode::NOT_FOUND,
            DeniedKind::Wrong => StatusCode::BAD_REQUEST,
            DeniedKind::Forbidden => StatusCode::FORBIDDEN,
            DeniedKind::Conflict => StatusCode::CONFLICT,
            DeniedKind::Full => StatusCode::SERVICE_UNAVAILABLE,
            DeniedKind::TooFast => StatusCode::TOO_MANY_REQUESTS,
        };
        Problem::new(status, denied.reason)
    }
}
