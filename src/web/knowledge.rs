//! `GET /v1/knowledge`: the library of answers, searched or listed, and one entry of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use jiff::civil::Date;
use routing::Language;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::libraries::blocking;
use super::orders::bad;
use super::problem::Problem;
use super::query::asked;
use super::routes::App;
use crate::knowledge::{
    ENTRIES_MAX, Entry, FOUND_MAX, Found, QUESTION_CHARACTERS_MAX, Question, SUGGESTED_MAX, Saying, Shelf,
};
use crate::shell::advise::hundredths;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct KnowledgeQuery {
    /// A question; all entries are listed when absent.
    #[param(nullable = false)]
    q: Option<String>,
    /// For calls of one scenario.
    #[param(nullable = false)]
    scenario: Option<String>,
    /// `zh` or `en`.
    #[param(nullable = false)]
    lang: Option<String>,
    /// How many at most.
    #[param(nullable = false, minimum = 1)]
    limit: Option<usize>,
}

/// What was found, or all there is.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = KnowledgeAnswer)]
pub(super) enum Answer {
    Found { found: Vec<FoundBody> },
    Listed { entries: Vec<EntryBody> },
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = KnowledgeFound)]
pub(super) struct FoundBody {
    entry: String,
    question: String,
    answer: String,
    language: &'static str,
    score: f32,
    /// Whether it fits well enough to be suggested.
    suggested: bool,
    tags: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    valid_until: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = KnowledgeEntry)]
pub(super) struct EntryBody {
    entry: String,
    file: String,
    scenarios: Vec<String>,
    tags: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    valid_until: Option<String>,
    /// Whether its time is over: then it is not found.
    expired: bool,
    #[schema(value_type = BTreeMap<String, SayingBody>)]
    languages: BTreeMap<&'static str, SayingBody>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = KnowledgeSaying)]
struct SayingBody {
    questions: Vec<String>,
    answer: String,
}

/// `GET /v1/knowledge?q=…&scenario=…&lang=…&limit=…`: what answers a question; without `q` all there is.
pub(super) async fn search(
    State(app): State<App>,
    query: Result<Query<KnowledgeQuery>, QueryRejection>,
) -> Result<Json<Answer>, Problem> {
    let KnowledgeQuery { q, scenario, lang, limit } = asked(query)?;
    let language = match lang.as_deref() {
        None => None,
        Some("zh") => Some(Language::Mandarin),
        Some("en") => Some(Language::English),
        Some(other) => return Err(bad(format!("`lang`: found {other:?}, expected \"zh\" or \"en\""))),
    };
    let most = if q.is_some() { FOUND_MAX } else { ENTRIES_MAX };
    if limit.is_some_and(|limit| limit == 0 || limit > most) {
        return Err(bad(format!("`limit` is 1-{most}")));
    }
    if q.as_ref().is_some_and(|text| text.trim().is_empty() || text.chars().count() > QUESTION_CHARACTERS_MAX) {
        return Err(bad(format!("`q` has 1-{QUESTION_CHARACTERS_MAX} characters")));
    }
    // All entries may have to be looked at: beside the server's work, and a few at a time.
    let place = Arc::clone(&app.searching).acquire_owned().await.expect("the semaphore is never closed");
    let shelf = app.shelf.load_full();
    let wanted = Wanted { scenario, language, limit };
    let answer = blocking(move || {
        let _place = place;
        match &q {
            Some(text) => found(&shelf, text, &wanted),
            None => listed(&shelf, &wanted),
        }
    });
    let answer = answer.await?;
    if let Answer::Found { .. } = answer {
        app.metrics.count_advice("asked");
    }
    Ok(Json(answer))
}

/// Which entries are asked for, and how many.
struct Wanted {
    scenario: Option<String>,
    language: Option<Language>,
    limit: Option<usize>,
}

fn found(shelf: &Shelf, text: &str, Wanted { scenario, language, limit }: &Wanted) -> Answer {
    let today = shelf.zone.today();
    let question = Question { text, scenario: scenario.as_deref(), language: *language, today };
    let found = shelf.knowledge.search(question, limit.unwrap_or(SUGGESTED_MAX));
    Answer::Found { found: found.into_iter().map(|found| found_body(found, shelf.settings.floor)).collect() }
}

fn listed(shelf: &Shelf, Wanted { scenario, language, limit }: &Wanted) -> Answer {
    let today = shelf.zone.today();
    let is_wanted = |entry: &&Entry| {
        scenario.as_deref().is_none_or(|scenario| entry.is_for(scenario))
            && language.is_none_or(|language| entry.says.contains_key(&language))
    };
    let entries = shelf.knowledge.entries().iter().filter(is_wanted).take(limit.unwrap_or(ENTRIES_MAX));
    Answer::Listed { entries: entries.map(|entry| body(entry, today)).collect() }
}

/// `GET /v1/knowledge/{id}`.
pub(super) async fn entry(State(app): State<App>, Path(id): Path<String>) -> Result<Json<EntryBody>, Problem> {
    let shelf = app.shelf.load();
    let entry = shelf.knowledge.entry(&id).ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "no such entry"))?;
    Ok(Json(body(entry, shelf.zone.today())))
}

fn found_body(Found { entry, saying, language, score }: Found<'_>, floor: f32) -> FoundBody {
    FoundBody {
        entry: entry.id.clone(),
        question: saying.questions.first().cloned().unwrap_or_default(),
        answer: saying.answer.clone(),
        language: language.as_str(),
        score: hundredths(score),
        suggested: score >= floor,
        tags: entry.tags.clone(),
        valid_until: entry.valid_until.map(|day| day.to_string()),
    }
}

fn body(entry: &Entry, today: Date) -> EntryBody {
    let said = |(language, Saying { questions, answer }): (&Language, &Saying)| {
        (language.as_str(), SayingBody { questions: questions.clone(), answer: answer.clone() })
    };
    EntryBody {
        entry: entry.id.clone(),
        file: entry.file.clone(),
        scenarios: entry.scenarios.clone(),
        tags: entry.tags.clone(),
        valid_until: entry.valid_until.map(|day| day.to_string()),
        expired: !entry.is_valid(today),
        languages: entry.says.iter().map(said).collect(),
    }
}
