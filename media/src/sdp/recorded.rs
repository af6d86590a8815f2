//! Descriptions of several audio streams that are only listened to (RFC 7866 §7): each media line is answered by itself,
//! as if it were alone, and the answers are put together in the offer's order.

use rtc_sdp::description::common::Attribute;

use super::agree::{Agreement, Terms};
use super::read::{Session, attribute, direction};
use super::write::{declined, direction_name};
use super::{Local, SdpError};
use crate::Direction;

/// One media line of an offer.
#[derive(Debug, Clone)]
pub struct Line {
    /// Its `a=label` (RFC 4574); empty when it has none.
    pub label: String,
    /// Whether it is audio that is switched on.
    pub is_audio: bool,
    /// The description with this line alone, from which nobody wants to hear anything.
    session: Session,
}

/// The answer to one media line.
#[derive(Debug, Clone)]
pub struct LineAnswer {
    /// The whole description with this line alone.
    text: String,
    taken: bool,
}

impl Session {
    /// The media lines, in order, each by itself.
    pub fn lines(&self) -> Vec<Line> {
        (0..self.description.media_descriptions.len()).map(|index| self.line(index)).collect()
    }

    fn line(&self, index: usize) -> Line {
        let mut session = self.clone();
        let mut media = session.description.media_descriptions.swap_remove(index);
        // A sender that forgot to say that it only sends is answered as if it had.
        let written = match self.sender_direction(&media) {
            Direction::SendRecv | Direction::SendOnly => Direction::SendOnly,
            Direction::RecvOnly | Direction::Inactive => Direction::Inactive,
        };
        media.attributes.retain(|each| direction(&each.key).is_none());
        media.attributes.push(Attribute::new(direction_name(written).to_owned(), None));
        let label = attribute(&media, "label").unwrap_or_default().chars().take(LABEL_CHARS_MAX).collect();
        session.media_types = vec![self.media_types[index].clone()];
        session.description.media_descriptions = vec![media];
        let is_audio = session.streams().next().is_some();
        Line { label, is_audio, session }
    }
}

impl Line {
    /// What the line offers, as a description.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Takes the line.
    ///
    /// # Errors
    /// As [`Terms::answer`].
    pub fn answer(&self, terms: &Terms<'_>, local: &Local) -> Result<(LineAnswer, Agreement), SdpError> {
        let (mut text, agreement) = terms.answer(&self.session, local)?;
        if !self.label.is_empty() {
            text.push_str(&format!("a=label:{}\r\n", self.label));
        }
        Ok((LineAnswer { text, taken: true }, agreement))
    }

    /// Declines the line.
    pub fn decline(&self) -> LineAnswer {
        let mut description = self.session.description.clone();
        let media = &self.session.description.media_descriptions[0];
        description.media_descriptions = vec![declined(&self.session.media_types[0], media)];
        LineAnswer { text: description.marshal(), taken: false }
    }
}

/// The answer to a whole offer, from the answers to its lines. Where none of them was taken, it begins as `before` did,
/// the answer of an earlier time; `None` without one.
pub fn join(answers: &[LineAnswer], before: Option<&str>) -> Option<String> {
    let taken = answers.iter().find(|answer| answer.taken).map(|answer| head(&answer.text));
    let mut text = taken.or(before.map(head))?.to_owned();
    answers.iter().for_each(|answer| text.push_str(&answer.text[head(&answer.text).len()..]));
    Some(text)
}

/// What stands in front of the media lines.
fn head(text: &str) -> &str {
    let end = text.find("\r\nm=").map_or(text.len(), |at| at + 2);
    &text[..end]
}

/// The longest label that is given back, characters.
const LABEL_CHARS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Codec;
    use crate::sdp::parse;

    const TWO: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
        m=audio 4000 RTP/AVP 0\r\na=label:7\r\na=sendonly\r\nm=video 4002 RTP/AVP 96\r\n\
        m=audio 4004 RTP/AVP 8\r\na=label:8\r\na=inactive\r\n";

    #[test]
    fn every_line_has_its_answer_in_order() {
        let answer = answered(TWO);
        let lines: Vec<&str> =
            answer.lines().filter(|line| ["m=", "a=l", "a=r", "a=i"].iter().any(|key| line.starts_with(key))).collect();
        let expected = [
            "m=audio 20000 RTP/AVP 0",
            "a=rtpmap:0 PCMU/8000",
            "a=recvonly",
            "a=label:7",
            "m=video 0 RTP/AVP 96",
            "m=audio 20002 RTP/AVP 8",
            "a=rtpmap:8 PCMA/8000",
            "a=inactive",
            "a=label:8",
        ];
        assert_eq!(lines, expected);
        assert_eq!(answer.matches("o=").count(), 1, "{answer}");
        assert!(parse(&answer).is_ok());
    }

    #[test]
    fn who_does_not_say_so_is_only_listened_to_all_the_same() {
        let answer = answered(&TWO.replace("a=sendonly", "a=sendrecv").replace("a=inactive\r\n", ""));
        assert_eq!(answer.matches("a=recvonly").count(), 2, "{answer}");
    }

    #[test]
    fn nothing_to_take_is_no_answer() {
        let session = parse(&TWO.replace("audio", "text")).expect("readable");
        let lines = session.lines();
        assert!(lines.iter().all(|line| !line.is_audio));
        assert_eq!(join(&lines.iter().map(Line::decline).collect::<Vec<_>>(), None), None);
    }

    fn answered(offer: &str) -> String {
        let session = parse(offer).expect("readable");
        let answers: Vec<LineAnswer> = session
            .lines()
            .iter()
            .enumerate()
            .map(|(at, line)| {
                let local =
                    Local { address: [192, 0, 2, 9].into(), port: 20_000 + at as u16, session_id: 5, version: 1 };
                match line.answer(&Terms::plain(&[Codec::Pcmu, Codec::Pcma]), &local) {
                    Ok((answer, _)) => answer,
                    Err(_) => line.decline(),
                }
            })
            .collect();
        join(&answers, None).expect("something was taken")
    }
}
