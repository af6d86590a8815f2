//! `PUT /v1/calls/{id}/facts`: what other systems know of the customer and the order, for the rules of policies.
//!
//! Checks names and values; the call keeps them to its end. What they say stands only in the evidence of decisions that they
//! lead to.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use routing::{FACT_CHARS_MAX, FACTS_MAX, Fact, is_fact_name};
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::orders::{Body, answered, ask, read};
use super::problem::Problem;
use super::routes::App;
use crate::control::Order;

/// Facts by name; `null` takes one back.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FactsRequest {
    #[serde(default)]
    customer: BTreeMap<String, Value>,
    #[serde(default)]
    order: BTreeMap<String, Value>,
}

/// `PUT /v1/calls/{id}/facts`.
pub(super) async fn tell(
    State(app): State<App>,
    Path(call): Path<String>,
    body: Body<FactsRequest>,
) -> Result<Response, Problem> {
    let facts = facts_of(read(body)?).map_err(|why| Problem::new(StatusCode::BAD_REQUEST, why))?;
    app.check_up(&call)?;
    answered(ask(&app, Order::TellFacts { call, facts, by: None }).await?)
}

/// Facts, as the body of `PUT /v1/calls/{id}/facts` says them; `None` takes one back.
///
/// # Errors
/// What was found, and what was expected.
pub fn facts_in(body: &[u8]) -> Result<Vec<(String, Option<Fact>)>, String> {
    facts_of(serde_json::from_slice(body).map_err(|error| error.to_string())?)
}

fn facts_of(FactsRequest { customer, order }: FactsRequest) -> Result<Vec<(String, Option<Fact>)>, String> {
    if customer.len() + order.len() == 0 {
        return Err("found no fact, expected some under `customer` or `order`".to_owned());
    }
    if customer.len() + order.len() > FACTS_MAX {
        return Err(format!("found {} facts, expected at most {FACTS_MAX}", customer.len() + order.len()));
    }
    let named = |kind: &'static str, facts: BTreeMap<String, Value>| {
        facts.into_iter().map(move |(key, value)| (format!("{kind}.{key}"), value))
    };
    named("customer", customer).chain(named("order", order)).map(fact_of).collect()
}

fn fact_of((name, value): (String, Value)) -> Result<(String, Option<Fact>), String> {
    if !is_fact_name(&name) {
        return Err(format!("`{name}`: expected a name of 1-32 of a-z, 0-9 and _"));
    }
    let fact = match value {
        Value::Null => return Ok((name, None)),
        Value::Bool(flag) => Some(Fact::Flag(flag)),
        Value::Number(number) => number.as_f64().map(Fact::Number),
        Value::String(text) => Some(Fact::Text(text)),
        Value::Array(_) | Value::Object(_) => None,
    };
    match fact.filter(Fact::is_well_formed) {
        Some(fact) => Ok((name, Some(fact))),
        None => Err(format!(
            "`{name}`: expected a text of 1-{FACT_CHARS_MAX} characters on one line, a number, true, false or null"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_checked() {
        let facts = check(r#"{"customer":{"tier":"gold","orders":3,"vip":true},"order":{"state":null}}"#);
        let expected = [
            ("customer.orders".to_owned(), Some(Fact::Number(3.0))),
            ("customer.tier".to_owned(), Some(Fact::Text("gold".to_owned()))),
            ("customer.vip".to_owned(), Some(Fact::Flag(true))),
            ("order.state".to_owned(), None),
        ];
        assert_eq!(facts, Ok(expected.to_vec()));
        let long = format!(r#"{{"order":{{"state":"{}"}}}}"#, "语".repeat(101));
        for (body, fault) in [
            (r"{}", "found no fact"),
            (r#"{"customer":{"Tier":1}}"#, "`customer.Tier`: expected a name"),
            (r#"{"customer":{"tier":["a"]}}"#, "`customer.tier`: expected a text"),
            (r#"{"customer":{"tier":" "}}"#, "`customer.tier`: expected a text"),
            (&long, "`order.state`: expected a text of 1-100 characters"),
        ] {
            let why = check(body).expect_err(body);
            assert!(why.starts_with(fault), "{why}");
        }
        let many: BTreeMap<String, u32> = (0..65).map(|n| (format!("f{n}"), n)).collect();
        let many = serde_json::json!({ "customer": many }).to_string();
        assert_eq!(check(&many), Err("found 65 facts, expected at most 64".to_owned()));
    }

    fn check(body: &str) -> Result<Vec<(String, Option<Fact>)>, String> {
        facts_of(serde_json::from_str(body).expect("a body"))
    }
}
