//! What a telephone says of its audio in session descriptions: codecs, payload types, packet time, keys.
//!
//! Offers what it is told to and takes nothing else, so that a test knows what was agreed.

use std::net::IpAddr;

use media::sdp::{self, Credentials, Exchange, Formats, Local, Offer, Protection, Terms, Wanted};
use media::srtp::Suite;
use media::{Codec, Direction, StreamSettings};

use super::PhoneSettings;

/// The payload type of telephone-event/8000, which everybody expects there.
const EVENT_PAYLOAD_TYPE: u8 = 101;

/// One call's side of offer and answer.
#[derive(Debug)]
pub(crate) struct Speech {
    formats: Formats,
    codecs: Vec<Codec>,
    ptime_ms: Option<u8>,
    credentials: Option<Credentials>,
    suite: Option<Suite>,
    address: IpAddr,
    port: u16,
    session_id: u64,
    version: u64,
}

impl Speech {
    /// `number` is one that no other call has.
    pub(crate) fn new(settings: &PhoneSettings, port: u16, number: u64) -> Self {
        Speech {
            formats: formats(&settings.codecs, settings.payload_type_first),
            codecs: settings.codecs.clone(),
            ptime_ms: settings.stream.ptime_ms,
            credentials: settings.secret.as_ref().map(|secret| secret.credentials(number)),
            suite: settings.suite,
            address: settings.sip.ip(),
            port,
            session_id: number >> 32,
            version: 0,
        }
    }

    /// Our offer with a new version.
    pub(crate) fn offer(&mut self, direction: Direction) -> String {
        let local = self.local();
        self.with_packet_time(&self.our_offer(direction).write(&local))
    }

    /// Our answer to their offer; `None` when it cannot be accepted.
    pub(crate) fn answer(&mut self, offer: &str) -> Option<(String, StreamSettings)> {
        let session = sdp::parse(offer).ok()?;
        let local = self.local();
        let terms = Terms {
            protection: self.protection(),
            credentials: self.credentials.as_ref(),
            ..Terms::plain(&self.codecs)
        };
        let (text, agreement) = terms.answer(&session, &local).ok()?;
        Some((self.with_packet_time(&text), agreement.settings))
    }

    /// What their answer to our offer comes to; `None` when it is none.
    pub(crate) fn accept(&self, answer: &str) -> Option<StreamSettings> {
        let session = sdp::parse(answer).ok()?;
        Some(self.our_offer(Direction::SendRecv).accept(&session).ok()?.settings)
    }

    fn our_offer(&self, direction: Direction) -> Offer {
        Offer {
            direction,
            protection: self.protection(),
            credentials: self.credentials.clone(),
            suite: self.suite,
            ..Offer::plain(self.formats.clone())
        }
    }

    fn protection(&self) -> Protection {
        match self.credentials {
            Some(_) => Protection { wanted: Wanted::Required, exchange: Exchange::Sdes },
            None => Protection::OFF,
        }
    }

    fn local(&mut self) -> Local {
        self.version += 1;
        Local { address: self.address, port: self.port, session_id: self.session_id, version: self.version }
    }

    /// The description with the packet time that we want to hear, which is the one we send.
    fn with_packet_time(&self, description: &str) -> String {
        let Some(ptime_ms) = self.ptime_ms else { return description.to_owned() };
        let lines = description.split_inclusive("\r\n").map(|line| match line.starts_with("a=ptime:") {
            true => format!("a=ptime:{ptime_ms}\r\n"),
            false => line.to_owned(),
        });
        lines.collect()
    }
}

/// The payload types of our offers: those of the codecs, and one event type for each clock rate.
fn formats(codecs: &[Codec], first: u8) -> Formats {
    let mut free = (first..128).filter(|number| *number != EVENT_PAYLOAD_TYPE);
    let codecs: Vec<(Codec, u8)> = codecs
        .iter()
        .filter_map(|codec| Some((*codec, codec.static_payload_type().or_else(|| free.next())?)))
        .collect();
    let mut events: Vec<(u32, u8)> = Vec::new();
    for (codec, _) in &codecs {
        let clock_hz = codec.clock_hz();
        if events.iter().any(|(known, _)| *known == clock_hz) {
            continue;
        }
        let number = if clock_hz == 8_000 { Some(EVENT_PAYLOAD_TYPE) } else { free.next() };
        events.extend(number.map(|number| (clock_hz, number)));
    }
    Formats { codecs, events, comfort_noise: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_used_once() {
        let formats = formats(&Codec::ALL, 99);
        let numbers = |codec| formats.payload_type(codec);
        assert_eq!((numbers(Codec::Pcmu), numbers(Codec::G722)), (Some(0), Some(9)));
        assert_eq!(
            (numbers(Codec::L16Narrow), numbers(Codec::L16Wide), numbers(Codec::Opus)),
            (Some(99), Some(100), Some(102))
        );
        assert_eq!(formats.events, [(8_000, 101), (16_000, 103), (48_000, 104)]);
    }
}
