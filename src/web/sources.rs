//! `GET /v1/sources`: how it stands with the business data that is pulled. Figures alone: nobody's facts.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::moment::Moment;
use super::routes::App;
use crate::sources::{Standing, Tally};

/// The sources, by name.
#[derive(Serialize, ToSchema)]
pub(super) struct Sources {
    sources: Vec<SourceBody>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Source)]
struct SourceBody {
    source: String,
    /// When the last good pull came.
    #[schema(required)]
    pulled: Option<Moment>,
    #[schema(required)]
    age_s: Option<u64>,
    /// Why the last try was none, when that is so.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    failure: Option<String>,
    rows: u64,
    people: u64,
    empty: u64,
    garbled: u64,
    duplicate: u64,
    beyond: u64,
    facts: BTreeMap<String, FactBody>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = SourceFact)]
struct FactBody {
    /// Shares, 0-1.
    #[schema(required)]
    completeness: Option<f64>,
    #[schema(required)]
    accuracy: Option<f64>,
}

/// `GET /v1/sources`.
pub(super) async fn list(State(app): State<App>) -> Json<Sources> {
    let now = Moment::now();
    let body = |(source, standing): (String, Standing)| {
        let age_s = standing.age(now).map(|age| age.as_secs());
        let Standing { pulled, failure, tally } = standing;
        let of = |fact: &String| {
            let [completeness, accuracy] =
                [tally.completeness(fact), tally.accuracy(fact)].map(|share| share.map(thousandths));
            (fact.clone(), FactBody { completeness, accuracy })
        };
        let facts = tally.facts.keys().map(of).collect();
        let Tally { rows, taken: people, empty, garbled, duplicate, beyond, facts: _ } = tally;
        SourceBody { source, pulled, age_s, failure, rows, people, empty, garbled, duplicate, beyond, facts }
    };
    Json(Sources { sources: app.customers.standings().into_iter().map(body).collect() })
}

fn thousandths(share: f64) -> f64 {
    (share * 1_000.0).round() / 1_000.0
}
