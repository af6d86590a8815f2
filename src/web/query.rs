//! What requests ask for behind the question mark of an address.

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use serde::Deserialize;
use utoipa::IntoParams;

use super::moment::Moment;
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

/// A page of a list that goes by names.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct PageQuery {
    /// How many at most.
    #[param(nullable = false, minimum = 1, maximum = 1000, default = 1000)]
    limit: Option<usize>,
    /// Where the page before ended: its `next`.
    #[param(nullable = false)]
    after: Option<String>,
}

impl PageQuery {
    /// How many lines are wanted, and after which.
    pub(super) fn asked(query: Result<Query<Self>, QueryRejection>) -> Result<(usize, Option<String>), Problem> {
        let Self { limit, after } = asked(query)?;
        Ok((limit_of(Some(limit.unwrap_or(LIST_MAX)))?, after))
    }
}

/// The first `limit` lines of a list, and the name of the last one where there are more.
pub(super) fn page<T, K>(
    lines: impl Iterator<Item = T>,
    limit: usize,
    name: impl FnOnce(&T) -> K,
) -> (Vec<T>, Option<K>) {
    let mut page: Vec<T> = lines.take(limit + 1).collect();
    let is_more = page.len() > limit;
    page.truncate(limit);
    let next = page.last().filter(|_| is_more).map(name);
    (page, next)
}

/// How many lines of a list, newest first, make a page: `limit`, and with the last of them all others of its millisecond, so that
/// the list goes on by the time of that one.
pub(super) fn page_end<T>(lines: &[T], limit: usize, time: impl Fn(&T) -> Moment) -> usize {
    let Some(last) = limit.checked_sub(1).and_then(|last| lines.get(last)).map(&time) else { return lines.len() };
    lines.partition_point(|line| time(line) >= last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_where_the_next_one_begins_where_there_is_one() {
        for (limit, expected) in [(2, (vec![1, 2], Some(2))), (3, (vec![1, 2, 3], None)), (9, (vec![1, 2, 3], None))] {
            assert_eq!(page([1, 2, 3].into_iter(), limit, |line| *line), expected);
        }
        assert_eq!(page(std::iter::empty::<u8>(), 1, |line| *line), (Vec::new(), None));
    }

    #[test]
    fn a_page_ends_between_two_times() {
        for (limit, expected) in [(1, 1), (2, 4), (3, 4), (4, 4), (5, 5), (9, 5)] {
            assert_eq!(page_end(&[9, 7, 7, 7, 1], limit, |line| Moment(*line)), expected, "{limit}");
        }
        assert_eq!(page_end(&[], 1, |line| Moment(*line)), 0);
    }
}
