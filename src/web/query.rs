//! What requests ask for behind the question mark of an address.

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;

use super::orders::bad;
use super::problem::Problem;

/// Lines of a list when the client does not say how many, and at most.
const LIST_DEFAULT: usize = 100;
pub(super) const LIST_MAX: usize = 1_000;

/// What is asked for, where it can be understood.
pub(super) fn asked<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, Problem> {
    let Query(asked) = query.map_err(|error| bad(error.body_text()))?;
    Ok(asked)
}

/// How many lines a list is to have.
pub(super) fn limit_of(limit: Option<usize>) -> Result<usize, Problem> {
    let limit = limit.unwrap_or(LIST_DEFAULT);
    let is_known = (1..=LIST_MAX).contains(&limit);
    is_known.then_some(limit).ok_or_else(|| bad(format!("`limit` is 1 to {LIST_MAX}")))
}
