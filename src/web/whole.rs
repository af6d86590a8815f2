//! Ended calls of the whole site: each node keeps its own and answers for them; whoever asks any node gets one list.
//!
//! A node that does not answer in time is named as missing; nobody waits for it longer.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use futures::future::join_all;
use serde_json::Value;

use super::elsewhere::{Whereabouts, call_of};
use super::forward::{Vouched, forward};
use super::moment::Moment;
use super::query::page_end;
use super::routes::App;
use super::signing::Who;
use super::trial::started;

/// How long other nodes have to say what they keep.
const WITHIN: Duration = Duration::from_secs(3);
/// Lines that another node is asked for at a time: what the bus carries as one answer.
const LINES_MAX: usize = 250;
/// The longest answer that is looked at, bytes.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// A part of a list, newest first, whole down to `next` where that is said.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page<T> {
    pub(super) lines: Vec<(Moment, T)>,
    pub(super) next: Option<Moment>,
}

/// What the other nodes keep: their pages, and who did not answer.
pub(super) async fn pages(app: &App, who: &Who, query: &str, limit: usize) -> (Vec<Page<Value>>, Vec<String>) {
    let target = format!("/v1/calls?{query}limit={}", limit.min(LINES_MAX));
    let asked = app.bus.others().into_iter().map(async |there| {
        let node = there.node.clone();
        let answer = asked(app, who, there, (Method::GET, &target)).await;
        let page = answer.and_then(|(status, body)| (status == StatusCode::OK).then(|| page_of(&node, &body))?);
        (node, page)
    });
    let (mut pages, mut missing) = (Vec::new(), Vec::new());
    for (node, page) in join_all(asked).await {
        match page {
            Some(page) => pages.push(page),
            None => missing.push(node),
        }
    }
    (pages, missing)
}

/// The node that keeps the call that a request is about, where this one does not know it and another one says in time that it does.
pub(super) async fn kept_elsewhere(app: &App, who: &Who, request: &mut Request) -> Option<Whereabouts> {
    if request.extensions().get::<Vouched>().is_some() {
        return None;
    }
    let call = call_of(request).await?;
    let others = app.bus.others();
    let is_on_board = app.bus.with_board(|board| board.call(&call).is_some());
    if others.is_empty() || is_on_board || !matches!(app.store.as_ref()?.call(call).await, Ok(None)) {
        return None;
    }
    // Spelled as it came: `/v1/calls/ID`, without what is behind it.
    let target: Vec<&str> = request.uri().path().split('/').take(4).collect();
    let target = target.join("/");
    let asked = others.into_iter().map(async |there| {
        let (status, _) = asked(app, who, there.clone(), (Method::HEAD, &target)).await?;
        (status == StatusCode::OK).then_some(there)
    });
    join_all(asked).await.into_iter().flatten().next()
}

/// What a node says to a question, if it does so in time.
async fn asked(
    app: &App,
    who: &Who,
    there: Whereabouts,
    (method, target): (Method, &str),
) -> Option<(StatusCode, Vec<u8>)> {
    let request = Request::builder().method(method).uri(target).body(Body::empty()).ok()?;
    let response = tokio::time::timeout(WITHIN, forward(app, who, there, request)).await.ok()?;
    let (status, body) = (response.status(), response.into_body());
    let body = to_bytes(body, ANSWER_BYTES_MAX).await.ok()?;
    Some((status, body.into()))
}

/// The calls of a node's own in its answer.
fn page_of(node: &str, body: &[u8]) -> Option<Page<Value>> {
    let mut answer: Value = serde_json::from_slice(body).ok()?;
    let next = answer.get("next").and_then(|next| serde_json::from_value(next.clone()).ok());
    let Value::Array(lines) = answer.get_mut("calls")?.take() else { return None };
    let own = lines.into_iter().filter(|line| line["node"] == node);
    Some(Page { lines: own.filter_map(|line| Some((started(&line)?, line))).collect(), next })
}

/// One list of all, with `limit` lines or few more: what is listed here counts before what others say of the same calls.
pub(super) fn together<T>(own: Page<T>, others: Vec<Page<T>>, limit: usize, id: impl Fn(&T) -> String) -> Page<T> {
    // All is there down to the latest of these: what is older of one part may be on the next page of another.
    let whole = others.iter().chain([&own]).filter_map(|page| page.next).max();
    let mut known: BTreeSet<String> = BTreeSet::new();
    let all = std::iter::once(own).chain(others).flat_map(|page| page.lines);
    let mut lines: Vec<(Moment, T)> = all.filter(|(_, line)| known.insert(id(line))).collect();
    lines.sort_by_key(|(started, _)| std::cmp::Reverse(*started));
    lines.retain(|(started, _)| whole.is_none_or(|whole| *started >= whole));
    let end = page_end(&lines, limit, |(started, _)| *started);
    let is_more = lines.len() > end;
    lines.truncate(end);
    let next = lines.last().filter(|_| is_more).map(|(started, _)| *started).or(whole);
    Page { lines, next }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A node's page of calls that started before something.
    fn page(calls: &[u64], before: u64, limit: usize) -> Page<u64> {
        let mut lines: Vec<(Moment, u64)> =
            calls.iter().filter(|call| *call / 10 < before).map(|call| (Moment(call / 10), *call)).collect();
        lines.sort_by_key(|(started, call)| (std::cmp::Reverse(*started), *call));
        let end = page_end(&lines, limit, |(started, _)| *started);
        let next = lines[..end].last().filter(|_| lines.len() > end).map(|(started, _)| *started);
        lines.truncate(end);
        Page { lines, next }
    }

    proptest! {
        /// Page after page, every call of every node is listed once, newest first, however many each node says at a time.
        #[test]
        fn every_call_is_listed_once(
            nodes in prop::collection::vec(prop::collection::btree_set(0_u64..400, 0..40), 1..4),
            limit in 1_usize..8,
            of_others in 1_usize..8,
        ) {
            let nodes: Vec<Vec<u64>> = nodes
                .iter()
                .enumerate()
                .map(|(node, calls)| calls.iter().map(|call| call * nodes.len() as u64 + node as u64).collect())
                .collect();
            let (mut listed, mut before) = (Vec::new(), u64::MAX);
            loop {
                let others = nodes[1..].iter().map(|calls| page(calls, before, of_others)).collect();
                let Page { lines, next } = together(page(&nodes[0], before, limit), others, limit, u64::to_string);
                listed.extend(lines);
                let Some(next) = next else { break };
                prop_assert!(next.0 < before, "it goes on");
                before = next.0;
            }
            prop_assert!(listed.windows(2).all(|pair| pair[0].0 >= pair[1].0), "{listed:?}");
            let mut ids: Vec<u64> = listed.into_iter().map(|(_, call)| call).collect();
            ids.sort_unstable();
            let mut all = nodes.concat();
            all.sort_unstable();
            prop_assert_eq!(ids, all);
        }
    }

    #[test]
    fn a_call_of_two_lists_is_listed_as_it_is_here() {
        let own = Page { lines: vec![(Moment(7), ("call-1", "here"))], next: None };
        let other =
            Page { lines: vec![(Moment(9), ("call-2", "there")), (Moment(7), ("call-1", "there"))], next: None };
        let all = together(own, vec![other], 10, |(id, _)| (*id).to_owned());
        let expected = vec![(Moment(9), ("call-2", "there")), (Moment(7), ("call-1", "here"))];
        assert_eq!(all, Page { lines: expected, next: None });
    }

    #[test]
    fn of_an_answer_the_nodes_own_calls_count() {
        let body = r#"{"active":1,"calls":[{"id":"call-1","node":"b","started":"2026-11-27T10:00:00.000Z"},
            {"id":"call-2","node":"a","started":"2026-11-27T09:00:00.000Z"}],"next":"2026-11-27T09:00:00.000Z"}"#;
        let page = page_of("b", body.as_bytes()).expect("a page");
        assert_eq!((page.lines.len(), &page.lines[0].1["id"]), (1, &"call-1".into()));
        assert_eq!(page.next, page.lines.last().map(|(started, _)| Moment(started.0 - 3_600_000)));
        assert_eq!(page_of("b", b"[]"), None);
        assert_eq!(page_of("b", b"no"), None);
    }
}
