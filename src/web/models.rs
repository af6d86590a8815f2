//! `GET /v1/models`: which models judge, and how far the candidate beside them differs.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::routes::App;
use crate::shell::listen::{ModelName, ModelsNow, ShadowReport};

/// The answer.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Models {
    /// What judges voices; `null`: signal processing alone.
    #[schema(required)]
    acoustic: Option<ModelName>,
    /// What reads words; `null`: lexicons alone.
    #[schema(required)]
    text: Option<ModelName>,
    /// What is compared with both; `null`: nothing.
    #[schema(required)]
    shadow: Option<Shadow>,
}

/// A candidate, and how far it differs since it was taken up.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ShadowModels)]
struct Shadow {
    #[schema(required)]
    acoustic: Option<ModelName>,
    #[schema(required)]
    text: Option<ModelName>,
    /// Steps of timelines that both have made.
    compared: u64,
    /// Share of these whose level was another, 0-1; 0 before anything was compared.
    levels_differ: f64,
    /// Share of these whose emotion was another.
    emotions_differ: f64,
    /// Mean difference of anger without sign, 0-1.
    anger_difference: f64,
    /// Steps that were not compared, because there was no time for it.
    shed: u64,
    /// Runs of the candidate that failed.
    failures: u64,
    /// Processor time that the candidate has taken.
    cpu_s: f64,
}

/// `GET /v1/models`.
pub(super) async fn models(State(app): State<App>) -> Json<Models> {
    let now = app.bench.now();
    let is_compared = now.is_compared();
    let ModelsNow { acoustic, text, shadow_acoustic, shadow_text } = now;
    let shadow = is_compared.then(|| {
        let report = app.bench.shadow();
        let [levels_differ, emotions_differ, anger_difference] = report.differences();
        let ShadowReport { figures, cpu } = report;
        Shadow {
            acoustic: shadow_acoustic,
            text: shadow_text,
            compared: figures.compared,
            levels_differ,
            emotions_differ,
            anger_difference,
            shed: figures.shed,
            failures: figures.failures,
            cpu_s: cpu.as_secs_f64(),
        }
    });
    Json(Models { acoustic, text, shadow })
}
