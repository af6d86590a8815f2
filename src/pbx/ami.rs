//! The Asterisk Manager Interface (AMI), as a session without a socket: Login, Setvar, Redirect, Ping.
//!
//! Asks for no events: what becomes of a channel shows on the SIP leg. Actions of one session are carried out in order,
//! so variables are there before the channel moves.

use std::collections::BTreeMap;

use super::blocks::Blocks;
use super::{
    Deed, Move, NO_CHANNEL, NO_DIALPLAN, Outcome, Said, Secret, TOO_MANY, Ticket, UNANSWERED_MAX, channel_name, clean,
};

/// One connection with an Asterisk.
#[derive(Debug, Default)]
pub struct Session {
    blocks: Blocks,
    next_action: u64,
    /// What each action was for, by its id.
    unanswered: BTreeMap<u64, Purpose>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Purpose {
    Login,
    Variable(String),
    Redirect(Ticket),
    Ping,
}

impl Session {
    /// A session that begins by logging in.
    pub fn new(user: &str, secret: &Secret, out: &mut Vec<Said>) -> Session {
        let mut session = Session::default();
        let fields = [("Username", user), ("Secret", secret.reveal()), ("Events", "off")];
        session.act(Purpose::Login, "Login", &fields, out);
        session
    }

    /// Takes in what the far end says.
    pub fn receive(&mut self, octets: &[u8], out: &mut Vec<Said>) {
        self.blocks.push(octets);
        loop {
            match self.blocks.next() {
                Ok(Some(block)) => {
                    let id = block.value("ActionID").and_then(|id| id.parse().ok());
                    let response = block.value("Response");
                    if let Some((id, response)) = id.zip(response) {
                        let message = block.value("Message").unwrap_or("no message").to_owned();
                        let succeeded = response.eq_ignore_ascii_case("Success");
                        self.answered(id, succeeded.then_some(()).ok_or(message), out);
                    }
                }
                Ok(None) => return,
                Err(error) => return out.push(Said::Broken(error.to_string())),
            }
        }
    }

    /// Asks for what `deed` wants; the answer comes later, or at once when it cannot be asked for.
    pub fn order(&mut self, ticket: Ticket, deed: &Deed, out: &mut Vec<Said>) {
        match deed {
            Deed::Move(wanted) => {
                if let Err(reason) = self.redirect(ticket, wanted, out) {
                    out.push(Said::failed(ticket, reason));
                }
            }
            Deed::Play { .. } | Deed::Tell(_) => {
                out.push(Said::failed(ticket, "AMI only moves channels: ARI plays, webhooks are told"));
            }
        }
    }

    /// Asks whether the far end is still there; any answer will do.
    pub fn ping(&mut self, out: &mut Vec<Said>) {
        self.act(Purpose::Ping, "Ping", &[], out);
    }

    /// The orders that were passed on and have no answer.
    pub fn unanswered(&self) -> impl Iterator<Item = Ticket> {
        self.unanswered.values().filter_map(|purpose| match purpose {
            Purpose::Redirect(ticket) => Some(*ticket),
            _ => None,
        })
    }

    fn redirect(&mut self, ticket: Ticket, wanted: &Move, out: &mut Vec<Said>) -> Result<(), String> {
        let Move { channel, place, handover } = wanted;
        let channel = channel.as_deref().ok_or(NO_CHANNEL)?;
        let channel = channel_name(channel).ok_or("the channel's name is no word")?;
        let dialplan = place.dialplan.as_ref().ok_or(NO_DIALPLAN)?;
        if self.unanswered.len() >= UNANSWERED_MAX {
            return Err(TOO_MANY.to_owned());
        }
        for (name, value) in variables(place.queue_priority, handover, &place.variables) {
            let fields = [("Channel", channel), ("Variable", &*name), ("Value", &*value)];
            self.act(Purpose::Variable(name.clone()), "Setvar", &fields, out);
        }
        let priority = dialplan.priority.to_string();
        let (context, extension) = (&*dialplan.context, &*dialplan.extension);
        let fields = [("Channel", channel), ("Context", context), ("Exten", extension), ("Priority", &*priority)];
        self.act(Purpose::Redirect(ticket), "Redirect", &fields, out);
        Ok(())
    }

    fn act(&mut self, purpose: Purpose, action: &str, fields: &[(&str, &str)], out: &mut Vec<Said>) {
        self.next_action += 1;
        let mut text = format!("Action: {action}\r\nActionID: {}\r\n", self.next_action);
        for (name, value) in fields {
            text += &format!("{name}: {}\r\n", clean(value));
        }
        text += "\r\n";
        self.unanswered.insert(self.next_action, purpose);
        out.push(Said::Send(text.into_bytes()));
    }

    fn answered(&mut self, id: u64, outcome: Result<(), String>, out: &mut Vec<Said>) {
        out.extend(match (self.unanswered.remove(&id), outcome) {
            (Some(Purpose::Login), Ok(())) => Some(Said::Up),
            (Some(Purpose::Login), Err(message)) => Some(Said::Broken(format!("login refused: {message}"))),
            (Some(Purpose::Redirect(ticket)), Ok(())) => Some(Said::answer(ticket, Outcome::Done)),
            (Some(Purpose::Redirect(ticket)), Err(message)) => Some(Said::failed(ticket, message)),
            (Some(Purpose::Variable(name)), Err(message)) => Some(Said::Note(format!("{name} not set: {message}"))),
            (Some(Purpose::Variable(_) | Purpose::Ping), _) | (None, _) => None,
        });
    }
}

/// The channel variables of a move in Asterisk's names; `QUEUE_PRIO` is what its Queue application looks at.
pub(super) fn variables(
    queue_priority: Option<u32>,
    handover: &super::Handover,
    own: &BTreeMap<String, String>,
) -> Vec<(String, String)> {
    let mut all = handover.variables();
    all.extend(queue_priority.map(|priority| ("QUEUE_PRIO".to_owned(), priority.to_string())));
    all.extend(own.iter().map(|(name, value)| (name.clone(), value.clone())));
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Answer, Dialplan, Handover, Place};
    use super::*;

    fn logged_in() -> Session {
        let mut out = Vec::new();
        let mut session = Session::new("lab", &Secret::new("pw"), &mut out);
        let login = "Action: Login\r\nActionID: 1\r\nUsername: lab\r\nSecret: pw\r\nEvents: off\r\n\r\n";
        assert_eq!(out, [Said::Send(login.into())]);
        out.clear();
        session.receive(b"Asterisk Call Manager/9.0.0\r\nResponse: Success\r\nActionID: 1\r\n\r\n", &mut out);
        assert_eq!(out, [Said::Up]);
        session
    }

    fn wanted(channel: &str, rule: &str) -> Move {
        Move {
            channel: Some(channel.to_owned()),
            place: Place {
                dialplan: Some(Dialplan { context: "queues".into(), extension: "700".into(), priority: 1 }),
                queue_priority: Some(10),
                ..Place::default()
            },
            handover: Handover { rule: rule.to_owned(), ..Handover::default() },
        }
    }

    fn text(said: &Said) -> &str {
        let Said::Send(octets) = said else { panic!("not sent: {said:?}") };
        std::str::from_utf8(octets).expect("text")
    }

    #[test]
    fn variables_then_the_move_then_its_answer() {
        let (mut session, mut out) = (logged_in(), Vec::new());
        let channel = "PJSIP/caller-00000001";
        session.order(Ticket(7), &Deed::Move(Box::new(wanted(channel, "angry"))), &mut out);
        assert_eq!(out.len(), 7);
        let priority =
            format!("Action: Setvar\r\nActionID: 7\r\nChannel: {channel}\r\nVariable: QUEUE_PRIO\r\nValue: 10\r\n\r\n");
        assert_eq!(text(&out[5]), priority);
        let redirect = format!(
            "Action: Redirect\r\nActionID: 8\r\nChannel: {channel}\r\nContext: queues\r\nExten: 700\r\nPriority: 1\r\n\r\n"
        );
        assert_eq!(text(&out[6]), redirect);
        assert_eq!(session.unanswered().collect::<Vec<_>>(), [Ticket(7)]);
        out.clear();
        session.receive(b"Response: Error\r\nActionID: 7\r\nMessage: No such channel\r\n\r\n", &mut out);
        session.receive(b"Event: Hangup\r\n\r\nResponse: Success\r\nActionID: 8\r\nMessage: ok\r\n\r\n", &mut out);
        let note = Said::Note("QUEUE_PRIO not set: No such channel".into());
        assert_eq!(out, [note, Said::Answer(Answer { ticket: Ticket(7), outcome: Outcome::Done })]);
        assert_eq!(session.unanswered().count(), 0);
    }

    #[test]
    fn what_cannot_be_asked_for() {
        let (mut session, mut out) = (logged_in(), Vec::new());
        let nameless = Move { channel: None, ..wanted("x", "r") };
        let nowhere = Move { place: Place::default(), ..wanted("x", "r") };
        let two_lines = wanted("x\r\nAction: Originate", "r");
        for (number, wanted) in [nameless, nowhere, two_lines].into_iter().enumerate() {
            session.order(Ticket(number as u64), &Deed::Move(Box::new(wanted)), &mut out);
        }
        assert_eq!(
            out,
            [
                Said::failed(Ticket(0), NO_CHANNEL),
                Said::failed(Ticket(1), NO_DIALPLAN),
                Said::failed(Ticket(2), "the channel's name is no word"),
            ]
        );
    }

    #[test]
    fn a_wrong_password_and_a_foreign_service() {
        let mut out = Vec::new();
        let mut session = Session::new("lab", &Secret::new("pw"), &mut out);
        out.clear();
        session.receive(b"Response: Error\r\nActionID: 1\r\nMessage: Authentication failed\r\n\r\n", &mut out);
        session.receive(&[b'x'; 100_000], &mut out);
        assert!(matches!(&out[0], Said::Broken(why) if why == "login refused: Authentication failed"), "{out:?}");
        assert!(matches!(&out[1], Said::Broken(_)), "{out:?}");
    }

    proptest! {
        /// Nothing that a rule, a variable or a channel is called adds a line to an action.
        #[test]
        fn values_stay_in_their_lines(rule in any::<String>(), channel in any::<String>(), value in any::<String>()) {
            let mut wanted = wanted(&channel, &rule);
            wanted.place.variables.insert("OWN".into(), value);
            let (mut session, mut out) = (logged_in(), Vec::new());
            session.order(Ticket(1), &Deed::Move(Box::new(wanted)), &mut out);
            for sent in out.iter().filter(|said| matches!(said, Said::Send(_))) {
                let lines: Vec<&str> = text(sent).split("\r\n").collect();
                let expected = if lines[0] == "Action: Redirect" { 8 } else { 7 };
                prop_assert_eq!(lines.len(), expected);
                prop_assert!(!text(sent).replace("\r\n", "").contains(['\r', '\n']));
            }
        }

        /// Whatever comes in, only orders that were given get answers, each at most once.
        #[test]
        fn any_octets_are_taken(octets in proptest::collection::vec(any::<u8>(), 0..600)) {
            let (mut session, mut out) = (logged_in(), Vec::new());
            session.order(Ticket(1), &Deed::Move(Box::new(wanted("x", "r"))), &mut out);
            out.clear();
            session.receive(&octets, &mut out);
            prop_assert!(out.iter().filter(|said| matches!(said, Said::Answer(_))).count() <= 1);
        }
    }
}
