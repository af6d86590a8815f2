//! Calls of other nodes: shown here, while what is done with them is done by their node, and heard there.

use axum::RequestExt;
use axum::extract::{MatchedPath, RawPathParams, Request};
use axum::http::{Method, StatusCode};

use super::problem::Problem;
use super::routes::App;

/// Where calls stand in addresses.
pub(super) const CALLS: [&str; 2] = ["/v1/calls/{id}", "/v1/interactions/{id}"];

/// The node whose call a request is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Whereabouts {
    pub(super) node: String,
    /// Where people reach it, where it says so.
    pub(super) address: Option<String>,
}

impl Whereabouts {
    /// Whoever asks is to ask there.
    pub(super) fn ask_there(self) -> Problem {
        let detail = format!("the call is at {}: ask there", self.place());
        self.problem(StatusCode::MISDIRECTED_REQUEST, detail)
    }

    /// A problem that says where the call is.
    pub(super) fn problem(self, status: StatusCode, detail: impl Into<String>) -> Problem {
        let Self { node, address } = self;
        Problem { node: Some(node), address, ..Problem::new(status, detail) }
    }

    fn place(&self) -> String {
        let Self { node, address } = self;
        address.as_ref().map_or_else(|| format!("node {node}"), |address| format!("node {node}, {address}"))
    }
}

/// The call that a request is about, if it is about one.
pub(super) async fn call_of(request: &mut Request) -> Option<String> {
    let at = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    if !CALLS.iter().any(|place| at.starts_with(place)) {
        return None;
    }
    let parameters = request.extract_parts::<RawPathParams>().await.ok()?;
    parameters.iter().find(|(name, _)| *name == "id").map(|(_, call)| call.to_owned())
}

/// Whether an address, as it is routed, is that of a call and more than what is shown of it: its node alone answers there.
pub(super) fn is_its_nodes(method: &Method, at: &str) -> bool {
    let is_shown = CALLS.contains(&at) && [Method::GET, Method::HEAD].contains(method);
    CALLS.iter().any(|place| at.starts_with(place)) && !is_shown
}

/// Why a request is not answered by this node: it is about a call of another one, and not about what is shown of it.
pub(super) async fn elsewhere(app: &App, request: &mut Request) -> Option<Whereabouts> {
    app.bus.node()?;
    let at = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str).to_owned();
    if !is_its_nodes(request.method(), &at) {
        return None;
    }
    let call = call_of(request).await?;
    let (node, address) = app.bus.elsewhere(&call)?;
    // Its alerts may have been taken over; where its node is gone, whoever takes them over hears of it from here.
    let is_taken_over = || app.escalating.waiting().iter().any(|alert| alert.call == call);
    let is_gone = || !app.bus.others().iter().any(|other| other.node == node);
    let is_here = at.ends_with("/alerts") && (is_taken_over() || is_gone());
    (!is_here).then_some(Whereabouts { node, address })
}
