//! FreeSWITCH's Event Socket (mod_event_socket, inbound), as a session without a socket: auth, then `api` commands.
//!
//! Asks for no events. FreeSWITCH carries out the commands of a connection one after the other and answers in that
//! order, which is how an answer finds its order.

use std::collections::VecDeque;

use super::blocks::{Block, Blocks};
use super::{
    Deed, Move, NO_CHANNEL, NO_DIALPLAN, Outcome, Said, Secret, TOO_MANY, Ticket, UNANSWERED_MAX, channel_name, clean,
};

/// One connection with a FreeSWITCH.
#[derive(Debug)]
pub struct Session {
    secret: Secret,
    blocks: Blocks,
    /// What each command was for, oldest first.
    unanswered: VecDeque<Purpose>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Purpose {
    Variable(String),
    Deed(Ticket),
    Ping,
}

impl Session {
    /// A session that waits for the far end to ask for the password.
    pub fn new(secret: Secret) -> Session {
        Session { secret, blocks: Blocks::default(), unanswered: VecDeque::new() }
    }

    /// Takes in what the far end says.
    pub fn receive(&mut self, octets: &[u8], out: &mut Vec<Said>) {
        self.blocks.push(octets);
        loop {
            match self.blocks.next() {
                Ok(Some(block)) => self.take(&block, out),
                Ok(None) => return,
                Err(error) => return out.push(Said::Broken(error.to_string())),
            }
        }
    }

    /// Asks for what `deed` wants; the answer comes later, or at once when it cannot be asked for.
    pub fn order(&mut self, ticket: Ticket, deed: &Deed, out: &mut Vec<Said>) {
        let asked = match deed {
            Deed::Move(wanted) => self.transfer(ticket, wanted, out),
            Deed::Play { channel, media } => self.broadcast(ticket, channel, media, out),
            Deed::Tell(_) => Err("the event socket is told nothing: webhooks are".to_owned()),
        };
        if let Err(reason) = asked {
            out.push(Said::failed(ticket, reason));
        }
    }

    /// Asks whether the far end is still there; any answer will do.
    pub fn ping(&mut self, out: &mut Vec<Said>) {
        self.command(Purpose::Ping, "uptime", out);
    }

    /// The orders that were passed on and have no answer.
    pub fn unanswered(&self) -> impl Iterator<Item = Ticket> {
        self.unanswered.iter().filter_map(|purpose| match purpose {
            Purpose::Deed(ticket) => Some(*ticket),
            _ => None,
        })
    }

    fn take(&mut self, block: &Block, out: &mut Vec<Said>) {
        match block.value("Content-Type") {
            Some("auth/request") => out.push(Said::Send(format!("auth {}\n\n", clean(self.secret.reveal())).into())),
            // The only command that is no `api` is `auth`.
            Some("command/reply") => {
                let reply = block.value("Reply-Text").unwrap_or("no reply");
                let up = reply.starts_with("+OK");
                out.push(if up { Said::Up } else { Said::Broken(format!("auth refused: {reply}")) });
            }
            Some("api/response") => self.answered(block.body.trim(), out),
            Some("text/rude-rejection") => out.push(Said::Broken(format!("turned away: {}", block.body.trim()))),
            Some("text/disconnect-notice") => out.push(Said::Broken("the far end says goodbye".to_owned())),
            _ => {}
        }
    }

    /// `uuid_setvar` for each variable, then `uuid_transfer`.
    fn transfer(&mut self, ticket: Ticket, wanted: &Move, out: &mut Vec<Said>) -> Result<(), String> {
        let Move { channel, place, handover } = wanted;
        let uuid = self.uuid(channel.as_deref().ok_or(NO_CHANNEL)?)?.to_owned();
        let dialplan = place.dialplan.as_ref().ok_or(NO_DIALPLAN)?;
        let mut variables = handover.variables();
        // mod_callcenter begins the score by which it orders its callers with this one.
        variables.extend(place.queue_priority.map(|priority| ("cc_base_score".to_owned(), priority.to_string())));
        variables.extend(place.variables.iter().map(|(name, value)| (name.clone(), value.clone())));
        for (name, value) in variables {
            let command = format!("uuid_setvar {uuid} {} {}", word(&name), clean(&value));
            self.command(Purpose::Variable(name), &command, out);
        }
        let (extension, context) = (word(&dialplan.extension), word(&dialplan.context));
        self.command(Purpose::Deed(ticket), &format!("uuid_transfer {uuid} {extension} XML {context}"), out);
        Ok(())
    }

    fn broadcast(&mut self, ticket: Ticket, channel: &str, media: &str, out: &mut Vec<Said>) -> Result<(), String> {
        let uuid = self.uuid(channel)?.to_owned();
        self.command(Purpose::Deed(ticket), &format!("uuid_broadcast {uuid} {} aleg", word(media)), out);
        Ok(())
    }

    fn uuid<'n>(&self, channel: &'n str) -> Result<&'n str, String> {
        if self.unanswered.len() >= UNANSWERED_MAX {
            return Err(TOO_MANY.to_owned());
        }
        channel_name(channel).ok_or_else(|| "the channel's name is no UUID".to_owned())
    }

    fn command(&mut self, purpose: Purpose, command: &str, out: &mut Vec<Said>) {
        self.unanswered.push_back(purpose);
        out.push(Said::Send(format!("api {command}\n\n").into_bytes()));
    }

    fn answered(&mut self, reply: &str, out: &mut Vec<Said>) {
        let failed = reply.strip_prefix("-ERR").or_else(|| reply.strip_prefix("-USAGE"));
        let failed = failed.map(|why| clean(why.trim_start_matches(':').trim()));
        out.extend(match (self.unanswered.pop_front(), failed) {
            (Some(Purpose::Deed(ticket)), None) => Some(Said::answer(ticket, Outcome::Done)),
            (Some(Purpose::Deed(ticket)), Some(why)) => Some(Said::failed(ticket, why)),
            (Some(Purpose::Variable(name)), Some(why)) => Some(Said::Note(format!("{name} not set: {why}"))),
            (Some(Purpose::Variable(_) | Purpose::Ping), _) | (None, _) => None,
        });
    }
}

/// `text` as one word of a command.
fn word(text: &str) -> String {
    clean(text).replace(char::is_whitespace, "_")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Dialplan, Handover, Place};
    use super::*;

    const UUID: &str = "0a6b1c4e-5d2f-4f7a-9c3b-000000000001";

    fn authenticated() -> Session {
        let (mut session, mut out) = (Session::new(Secret::new("ClueCon")), Vec::new());
        session.receive(b"Content-Type: auth/request\n\n", &mut out);
        session.receive(b"Content-Type: command/reply\nReply-Text: +OK accepted\n\n", &mut out);
        assert_eq!(out, [Said::Send(b"auth ClueCon\n\n".to_vec()), Said::Up]);
        session
    }

    fn wanted(rule: &str) -> Move {
        Move {
            channel: Some(UUID.to_owned()),
            place: Place {
                dialplan: Some(Dialplan { context: "default".into(), extension: "700".into(), priority: 1 }),
                queue_priority: Some(60),
                ..Place::default()
            },
            handover: Handover { rule: rule.to_owned(), ..Handover::default() },
        }
    }

    #[test]
    fn variables_then_the_transfer_then_its_answer() {
        let (mut session, mut out) = (authenticated(), Vec::new());
        session.order(Ticket(3), &Deed::Move(Box::new(wanted("angry"))), &mut out);
        let sent: Vec<String> = out
            .drain(..)
            .map(|said| match said {
                Said::Send(octets) => String::from_utf8(octets).expect("text"),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(
            sent[4..],
            [
                format!("api uuid_setvar {UUID} CALMLINE_RULE angry\n\n"),
                format!("api uuid_setvar {UUID} cc_base_score 60\n\n"),
                format!("api uuid_transfer {UUID} 700 XML default\n\n"),
            ]
        );
        let said = |text: &str| format!("Content-Type: api/response\nContent-Length: {}\n\n{text}", text.len());
        for _ in 0..5 {
            session.receive(said("+OK\n").as_bytes(), &mut out);
        }
        session.receive(said("-ERR No such channel!\n").as_bytes(), &mut out);
        session.receive(said("-ERR No such channel!\n").as_bytes(), &mut out);
        assert_eq!(
            out,
            [Said::Note("cc_base_score not set: No such channel!".into()), Said::failed(Ticket(3), "No such channel!")]
        );
    }

    #[test]
    fn something_is_played() {
        let (mut session, mut out) = (authenticated(), Vec::new());
        let deed = Deed::Play { channel: UUID.into(), media: "ivr/so sorry.wav".into() };
        session.order(Ticket(4), &deed, &mut out);
        session.receive(b"Content-Type: api/response\nContent-Length: 17\n\n+OK Message sent\n", &mut out);
        assert_eq!(
            out,
            [
                Said::Send(format!("api uuid_broadcast {UUID} ivr/so_sorry.wav aleg\n\n").into()),
                Said::answer(Ticket(4), Outcome::Done)
            ]
        );
    }

    #[test]
    fn turned_away() {
        let (mut session, mut out) = (Session::new(Secret::new("x")), Vec::new());
        session.receive(b"Content-Type: command/reply\nReply-Text: -ERR invalid\n\n", &mut out);
        session
            .receive(b"Content-Type: text/rude-rejection\nContent-Length: 24\n\nAccess Denied, go away.\n", &mut out);
        session.receive(b"Content-Type: text/disconnect-notice\nContent-Length: 4\n\nBye\n", &mut out);
        let broken = |why: &str| Said::Broken(why.to_owned());
        assert_eq!(
            out,
            [
                broken("auth refused: -ERR invalid"),
                broken("turned away: Access Denied, go away."),
                broken("the far end says goodbye"),
            ]
        );
    }

    proptest! {
        /// Nothing that a rule or a variable is called ends a command early.
        #[test]
        fn values_stay_in_their_commands(rule in any::<String>(), value in any::<String>(), media in any::<String>()) {
            let (mut session, mut out) = (authenticated(), Vec::new());
            let mut wanted = wanted(&rule);
            wanted.place.variables.insert("own".into(), value);
            session.order(Ticket(1), &Deed::Move(Box::new(wanted)), &mut out);
            session.order(Ticket(2), &Deed::Play { channel: UUID.into(), media }, &mut out);
            for said in &out {
                let Said::Send(octets) = said else { panic!("{said:?}") };
                let text = std::str::from_utf8(octets).expect("text");
                prop_assert!(text.ends_with("\n\n") && !text[..text.len() - 2].contains(['\r', '\n']));
            }
        }

        #[test]
        fn any_octets_are_taken(octets in proptest::collection::vec(any::<u8>(), 0..600)) {
            let (mut session, mut out) = (authenticated(), Vec::new());
            session.order(Ticket(1), &Deed::Play { channel: UUID.into(), media: "a".into() }, &mut out);
            out.clear();
            session.receive(&octets, &mut out);
            prop_assert!(out.iter().filter(|said| matches!(said, Said::Answer(_))).count() <= 1);
        }
    }
}
