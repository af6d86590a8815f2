//! A call as a line of a list.

use serde::Serialize;
use utoipa::ToSchema;

use super::{CallRecord, Peak, State, Step};
use crate::pii::Pii;
use crate::web::Moment;

/// A call in the list; the whole record stands at its own address.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Summary {
    /// The call's id.
    pub id: String,
    /// The node whose call it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub node: Option<String>,
    /// Where it stands.
    pub state: State,
    /// From header's value.
    pub from: Pii<String>,
    /// To header's value.
    pub to: Pii<String>,
    /// Name of the route.
    pub route: String,
    /// Scenario of the route.
    pub scenario: String,
    /// Whose call it is, where several work with one server.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub tenant: Option<String>,
    /// By what the customer writes, when it is a chat.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub channel: Option<String>,
    /// When the INVITE arrived.
    pub started: Moment,
    /// When both sides were connected.
    #[schema(required)]
    pub answered: Option<Moment>,
    /// When it was over.
    #[schema(required)]
    pub ended: Option<Moment>,
    /// Name of the target the caller talks to.
    #[schema(required)]
    pub target: Option<String>,
    /// The latest step of the caller's timeline.
    #[schema(required)]
    pub emotion: Option<Step>,
    /// The caller's worst moment.
    #[schema(required)]
    pub peak: Option<Peak>,
    /// How many decisions the policy made.
    pub decisions: usize,
    /// How many alerts there were.
    pub alerts: usize,
    /// The numbers of the supervisors who take part in it now.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub supervisors: Vec<u32>,
}

impl From<&CallRecord> for Summary {
    fn from(record: &CallRecord) -> Self {
        Self {
            id: record.id.clone(),
            node: record.node.clone(),
            state: record.state,
            from: record.from.clone(),
            to: record.to.clone(),
            route: record.route.clone(),
            scenario: record.scenario.clone(),
            tenant: record.tags.tenant.clone(),
            channel: record.channel.clone(),
            started: record.started,
            answered: record.answered,
            ended: record.ended,
            target: record.target.clone(),
            emotion: record.emotion.clone(),
            peak: record.peak.clone(),
            decisions: record.decisions.len(),
            alerts: record.alerts.len(),
            supervisors: record.present().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notice::{Notice, What};
    use crate::notice_samples::one_of_each;
    use crate::web::board::Board;

    #[test]
    fn a_line_names_the_supervisors_who_take_part() {
        let (begun, mut board) = (one_of_each().remove(0), Board::default());
        let mut after = |what: What| {
            board.apply(&Notice { what, ..begun.clone() }, 0);
            Summary::from(board.call("call-1").expect("it is shown")).supervisors
        };
        assert!(after(begun.what.clone()).is_empty());
        let called = |supervisor| What::SupervisorCalled {
            supervisor,
            target: "floor".to_owned().into(),
            mode: "listen".to_owned(),
            party: None,
            hears: "both".to_owned(),
        };
        let joined = |supervisor| What::SupervisorJoined { supervisor, answer_ms: 1 };
        let left = |supervisor| What::SupervisorLeft { supervisor, reason: String::new() };
        assert!(after(called(1)).is_empty(), "its phone rings");
        assert_eq!([called(2), joined(1), joined(2)].map(&mut after).last(), Some(&vec![1, 2]));
        assert_eq!(after(left(1)), [2]);
        let ended = one_of_each().pop().expect("there are some");
        assert!(after(ended.what).is_empty(), "nobody does when it is over");
    }
}
