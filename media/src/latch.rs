//! Learns where a leg's packets really come from, and keeps strangers out afterwards (symmetric RTP, RFC 4961).
//!
//! Judges addresses only: what is inside a packet was checked before it gets here.

use std::net::SocketAddr;
use std::time::Duration;

use crate::packet::Ssrc;

/// After this much silence of the latched source, any valid source may take its place.
pub const SILENCE_STRANGER: Duration = Duration::from_secs(2);

/// After this much silence, a source with the same SSRC may: the far end's address translation has changed.
pub const SILENCE_SAME_SSRC: Duration = Duration::from_millis(200);

/// For this long after a new address was signalled, what comes from the old source does not hold us there.
pub const RELEARN: Duration = Duration::from_millis(500);

/// What to do with a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// From where we expect it.
    Known,
    /// From a source that we follow from now on.
    Latched,
    /// From somebody else.
    Stranger,
}

/// Where a leg's packets come from and go to.
#[derive(Debug, Default)]
pub struct Latch {
    signalled: Option<SocketAddr>,
    state: State,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Unheard,
    Latched(Source),
    /// A new address was signalled at `since`; the old source's last packets may still be on their way.
    Relearning {
        old: Source,
        since: Duration,
    },
}

#[derive(Debug, Clone, Copy)]
struct Source {
    address: SocketAddr,
    ssrc: Ssrc,
    heard: Duration,
}

impl Latch {
    /// Takes what the far end's SDP says; a changed address starts the learning anew.
    pub fn signal(&mut self, now: Duration, remote: Option<SocketAddr>) {
        let changed = remote.is_some() && remote != self.signalled;
        self.signalled = remote.or(self.signalled);
        if let State::Latched(old) = self.state
            && changed
            && remote != Some(old.address)
        {
            self.state = State::Relearning { old, since: now };
        }
    }

    /// Judges the source of a valid packet.
    pub fn admit(&mut self, now: Duration, from: SocketAddr, ssrc: Ssrc) -> Admission {
        match &mut self.state {
            State::Unheard => self.follow(now, from, ssrc),
            State::Latched(source) if source.address == from => {
                source.ssrc = ssrc;
                source.heard = now;
                Admission::Known
            }
            State::Latched(source) => {
                let silence = now.saturating_sub(source.heard);
                let trusted = self.signalled == Some(from)
                    || silence >= SILENCE_STRANGER
                    || silence >= SILENCE_SAME_SSRC && source.ssrc == ssrc;
                if trusted { self.follow(now, from, ssrc) } else { Admission::Stranger }
            }
            State::Relearning { old, since } => {
                if old.address == from && now.saturating_sub(*since) < RELEARN {
                    return Admission::Known;
                }
                self.follow(now, from, ssrc)
            }
        }
    }

    /// Where to send: the learned source, else what was signalled.
    pub fn target(&self) -> Option<SocketAddr> {
        match &self.state {
            State::Latched(source) => Some(source.address),
            State::Unheard | State::Relearning { .. } => self.signalled,
        }
    }

    /// Follows an address that the far end has proven to be its own; true when it is a new one.
    pub fn nominate(&mut self, now: Duration, address: SocketAddr) -> bool {
        let ssrc = match &self.state {
            State::Latched(source) if source.address == address => return false,
            State::Latched(source) | State::Relearning { old: source, .. } => source.ssrc,
            State::Unheard => Ssrc(0),
        };
        self.follow(now, address, ssrc) == Admission::Latched
    }

    /// Who is latched, and when it was last heard.
    pub fn source(&self) -> Option<(SocketAddr, Duration)> {
        match &self.state {
            State::Latched(source) => Some((source.address, source.heard)),
            State::Unheard | State::Relearning { .. } => None,
        }
    }

    /// True while nothing was heard from the far end.
    pub fn is_unheard(&self) -> bool {
        matches!(self.state, State::Unheard)
    }

    fn follow(&mut self, now: Duration, from: SocketAddr, ssrc: Ssrc) -> Admission {
        self.state = State::Latched(Source { address: from, ssrc, heard: now });
        Admission::Latched
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PHONE: u16 = 1;
    const THIEF: u16 = 2;
    const SIGNALLED: u16 = 3;

    #[test]
    fn first_source_wins_over_the_signalled() {
        check(&[(0, PHONE, 7)], "latched", Some(PHONE));
        check(&[], "", Some(SIGNALLED));
    }

    #[test]
    fn stranger_is_kept_out() {
        check(
            &[(0, PHONE, 7), (20, THIEF, 8), (1_900, PHONE, 7), (3_800, THIEF, 8)],
            "latched stranger known stranger",
            Some(PHONE),
        );
    }

    #[test]
    fn silence_opens_the_door() {
        check(&[(0, PHONE, 7), (2_000, THIEF, 8)], "latched latched", Some(THIEF));
    }

    #[test]
    fn same_ssrc_counts_in_favour() {
        check(&[(0, PHONE, 7), (150, THIEF, 7), (200, THIEF, 7)], "latched stranger latched", Some(THIEF));
    }

    #[test]
    fn the_signalled_address_may_always_take_over() {
        check(&[(0, THIEF, 8), (20, SIGNALLED, 7), (40, THIEF, 8)], "latched latched stranger", Some(SIGNALLED));
    }

    #[test]
    fn new_signalling_relearns() {
        let mut latch = latch();
        assert_eq!(latch.admit(ms(0), address(PHONE), Ssrc(7)), Admission::Latched);
        latch.signal(ms(100), Some(address(9)));
        assert_eq!(latch.target(), Some(address(9)));
        assert_eq!(latch.admit(ms(110), address(PHONE), Ssrc(7)), Admission::Known, "a straggler");
        assert_eq!(latch.target(), Some(address(9)));
        assert_eq!(latch.admit(ms(120), address(10), Ssrc(5)), Admission::Latched);
        assert_eq!(latch.target(), Some(address(10)));
    }

    #[test]
    fn the_old_source_may_stay_after_new_signalling() {
        let mut latch = latch();
        assert_eq!(latch.admit(ms(0), address(PHONE), Ssrc(7)), Admission::Latched);
        latch.signal(ms(100), Some(address(9)));
        assert_eq!(latch.admit(ms(600), address(PHONE), Ssrc(7)), Admission::Latched);
        assert_eq!(latch.target(), Some(address(PHONE)));
    }

    #[test]
    fn same_signalling_changes_nothing() {
        let mut latch = latch();
        assert_eq!(latch.admit(ms(0), address(PHONE), Ssrc(7)), Admission::Latched);
        latch.signal(ms(100), Some(address(SIGNALLED)));
        latch.signal(ms(100), None);
        assert_eq!(latch.target(), Some(address(PHONE)));
        assert_eq!(latch.admit(ms(120), address(THIEF), Ssrc(8)), Admission::Stranger);
    }

    /// Packets as (milliseconds, source, SSRC).
    #[track_caller]
    fn check(packets: &[(u64, u16, u32)], verdicts: &str, target: Option<u16>) {
        let mut latch = latch();
        let got: Vec<&str> = packets
            .iter()
            .map(|&(at, from, ssrc)| match latch.admit(ms(at), address(from), Ssrc(ssrc)) {
                Admission::Known => "known",
                Admission::Latched => "latched",
                Admission::Stranger => "stranger",
            })
            .collect();
        assert_eq!(got.join(" "), verdicts);
        assert_eq!(latch.target(), target.map(address));
    }

    fn latch() -> Latch {
        let mut latch = Latch::default();
        latch.signal(ms(0), Some(address(SIGNALLED)));
        latch
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }
}
