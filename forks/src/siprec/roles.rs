//! Who of those who are recorded is the caller, and who the caller talks to.
//!
//! In this order: addresses that the operator calls agents', what the metadata says of who called, the streams' order.

use super::metadata::Participant;
use super::recording::Recording;

/// A side of the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seat {
    /// Who called, or whom the agents serve.
    Caller,
    /// Whom the caller talks to.
    Callee,
}

/// Which streams carry which side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seats {
    /// The caller's stream, by its place in the list.
    pub caller: Option<usize>,
    /// The callee's.
    pub callee: Option<usize>,
    /// How that was told.
    pub how: How,
}

/// How the sides were told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// By an address of an agent.
    Agents,
    /// By what the metadata says of who called.
    Metadata,
    /// By the order of the streams.
    Order,
}

impl How {
    /// One word for it, in events.
    pub fn name(self) -> &'static str {
        match self {
            How::Agents => "agents",
            How::Metadata => "metadata",
            How::Order => "order",
        }
    }
}

/// Tells the sides of streams, given by their labels in the order of the session description. `is_agent` says of an
/// address whether it is an agent's; `first` is whose stream comes first when nothing else tells.
pub fn seats(recording: &Recording, labels: &[&str], is_agent: impl Fn(&str) -> bool, first: Seat) -> Seats {
    let evidence = Evidence { recording, labels };
    let agents = |participant: &Participant| participant.names.iter().any(|name| is_agent(&name.address));
    let by_agents = evidence.judge(|participant| agents(participant).then_some(Seat::Callee));
    if by_agents.contains(&Some(Seat::Callee)) {
        return settle(&by_agents, first, How::Agents);
    }
    let by_metadata = evidence.judge(|participant| who_called(recording, participant));
    if by_metadata.iter().any(Option::is_some) {
        return settle(&by_metadata, first, How::Metadata);
    }
    settle(&by_metadata, first, How::Order)
}

struct Evidence<'a> {
    recording: &'a Recording,
    labels: &'a [&'a str],
}

impl Evidence<'_> {
    /// What `seat` says of who speaks in each stream. Of a stream in which several speak, nothing is said.
    fn judge(&self, seat: impl Fn(&Participant) -> Option<Seat>) -> Vec<Option<Seat>> {
        let judged = self.labels.iter().enumerate().map(|(place, label)| {
            let mut speakers = self.recording.speakers(label);
            match (speakers.next(), speakers.next()) {
                (Some(speaker), None) => seat(speaker),
                (Some(_), Some(_)) => None,
                // Some clients name both and do not say who speaks where: in the same order, then.
                (None, _) if !self.recording.has_speakers() && self.labels.len() > 1 => {
                    self.recording.participants().get(place).and_then(&seat)
                }
                (None, _) => None,
            }
        });
        judged.collect()
    }
}

/// What the metadata says of a participant: Oracle's `callingParty`, or the numbers that BroadWorks tells.
fn who_called(recording: &Recording, participant: &Participant) -> Option<Seat> {
    let said = |extensions: &[(String, String)], wanted: &str| {
        extensions.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.clone())
    };
    match said(&participant.extensions, "callingParty").as_deref() {
        Some("true") => return Some(Seat::Caller),
        Some("false") => return Some(Seat::Callee),
        Some(_) | None => {}
    }
    let has = |number: Option<String>| {
        number.is_some_and(|number| participant.names.iter().any(|name| user_of(&name.address) == user_of(&number)))
    };
    if has(said(recording.extensions(), "callingPartyNumber")) {
        return Some(Seat::Caller);
    }
    has(said(recording.extensions(), "calledPartyNumber")).then_some(Seat::Callee)
}

/// The user of an address, without scheme and parameters.
fn user_of(address: &str) -> &str {
    let user = address.split_once(':').map_or(address, |(_, rest)| rest);
    user.split(['@', ';']).next().unwrap_or(user)
}

/// Seats everybody: what is known first, the others in the order that is left.
fn settle(known: &[Option<Seat>], first: Seat, how: How) -> Seats {
    let place_of = |seat: Seat| known.iter().position(|each| *each == Some(seat));
    let (mut caller, mut callee) = (place_of(Seat::Caller), place_of(Seat::Callee));
    let mut unknown = known.iter().enumerate().filter(|(_, seat)| seat.is_none()).map(|(place, _)| place);
    let alone = known.len() == 1;
    let order =
        if first == Seat::Caller || alone { [Seat::Caller, Seat::Callee] } else { [Seat::Callee, Seat::Caller] };
    for seat in order {
        let place = if seat == Seat::Caller { &mut caller } else { &mut callee };
        if place.is_none() {
            *place = unknown.next();
        }
    }
    Seats { caller, callee, how }
}

#[cfg(test)]
mod tests {
    use super::super::metadata::{Association, Metadata, Name, Stream};
    use super::*;

    #[test]
    fn an_agents_address_tells() {
        check(&people(), "", Seat::Caller, (Some(1), Some(0), How::Agents));
        check(&people(), "", Seat::Callee, (Some(1), Some(0), How::Agents));
    }

    #[test]
    fn who_called_tells() {
        let mut oracle = people();
        oracle.participants[1].extensions = vec![("callingParty".into(), "true".into())];
        check(&oracle, "nobody", Seat::Caller, (Some(1), Some(0), How::Metadata));
        oracle.participants[0].extensions = vec![("callingParty".into(), "false".into())];
        check(&oracle, "nobody", Seat::Caller, (Some(1), Some(0), How::Metadata));

        let mut broadworks = people();
        broadworks.extensions = vec![("callingPartyNumber".into(), "sip:+8613800000000@10.0.0.9;user=phone".into())];
        check(&broadworks, "nobody", Seat::Caller, (Some(1), Some(0), How::Metadata));
        broadworks.extensions = vec![("calledPartyNumber".into(), "+8613800000000".into())];
        check(&broadworks, "nobody", Seat::Caller, (Some(0), Some(1), How::Metadata));
    }

    #[test]
    fn the_order_tells_when_nothing_else_does() {
        check(&people(), "nobody", Seat::Caller, (Some(0), Some(1), How::Order));
        check(&people(), "nobody", Seat::Callee, (Some(1), Some(0), How::Order));
        check(&Metadata::default(), "", Seat::Callee, (Some(1), Some(0), How::Order));
    }

    #[test]
    fn participants_in_the_streams_order_when_nobody_says_who_speaks_where() {
        let unsaid = Metadata { associations: Vec::new(), ..people() };
        check(&unsaid, "", Seat::Caller, (Some(1), Some(0), How::Agents));
    }

    #[test]
    fn of_a_single_stream() {
        let one = |metadata: &Metadata, agent: &str| {
            let mut recording = Recording::default();
            recording.apply(metadata.clone());
            let seats = seats(&recording, &["1"], |address| address.contains(agent), Seat::Callee);
            (seats.caller, seats.callee)
        };
        assert_eq!(one(&people(), "nobody"), (Some(0), None));
        // Only the agent is recorded.
        assert_eq!(one(&people(), "7001"), (None, Some(0)));
        // Both are mixed in it.
        let mut mixed = people();
        mixed.associations[1].sends = vec!["s1".into()];
        assert_eq!(one(&mixed, "7001"), (Some(0), None));
    }

    #[test]
    fn a_third_stream_stays_unseated() {
        let mut three = people();
        three.streams.push(Stream { id: "s3".into(), label: Some("3".into()), mixed: None });
        let mut recording = Recording::default();
        recording.apply(three);
        let seats = seats(&recording, &["3", "1", "2"], |address| address.contains("7001"), Seat::Caller);
        assert_eq!((seats.caller, seats.callee), (Some(0), Some(1)));
    }

    /// An agent, 7001, in stream 1 and somebody outside in stream 2.
    fn people() -> Metadata {
        let participant = |id: &str, address: &str| Participant {
            id: id.into(),
            names: vec![Name { address: address.into(), name: None }],
            ..Participant::default()
        };
        let association = |participant: &str, stream: &str| Association {
            participant: participant.into(),
            sends: vec![stream.into()],
            ..Association::default()
        };
        let stream = |id: &str, label: &str| Stream { id: id.into(), label: Some(label.into()), mixed: None };
        Metadata {
            participants: vec![
                participant("p1", "sip:7001@pbx.example"),
                participant("p2", "sip:+8613800000000@carrier.example"),
            ],
            streams: vec![stream("s1", "1"), stream("s2", "2")],
            associations: vec![association("p1", "s1"), association("p2", "s2")],
            ..Metadata::default()
        }
    }

    /// Agents are those with 7001 in their address, or with `agent` when that is given.
    #[track_caller]
    fn check(metadata: &Metadata, agent: &str, first: Seat, expected: (Option<usize>, Option<usize>, How)) {
        let mut recording = Recording::default();
        recording.apply(metadata.clone());
        let agent = if agent.is_empty() { "7001" } else { agent };
        let Seats { caller, callee, how } = seats(&recording, &["1", "2"], |address| address.contains(agent), first);
        assert_eq!((caller, callee, how), expected);
    }
}
