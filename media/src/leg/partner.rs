//! With whom a leg shakes hands: whose handshake datagrams are taken, and where ours go.
//!
//! Nobody is proven to be the far end before the handshake is over, and one with a stranger costs the leg its audio. So
//! what the description names counts most, and what an earlier one named not at all: a fork that was left may go on.

use std::net::SocketAddr;
use std::time::Duration;

use crate::engine::Channel;

/// The partner of a leg's handshakes.
#[derive(Debug, Default)]
pub(crate) struct Partner {
    media: Line,
    control: Line,
    /// Addresses of descriptions that no longer count, oldest first.
    former: Vec<SocketAddr>,
    /// What came before anything was agreed, oldest first: whoever answers us may begin before its answer is here.
    early: Vec<Early>,
}

/// A datagram that came before anything was agreed.
#[derive(Debug)]
pub(crate) struct Early {
    pub(crate) channel: Channel,
    pub(crate) from: SocketAddr,
    pub(crate) datagram: Vec<u8>,
}

/// One of the leg's ports.
#[derive(Debug)]
struct Line {
    /// Who shakes hands here, and when it was last heard.
    source: Option<(SocketAddr, Duration)>,
    /// Datagrams that may come before the next [`Partner::refill`].
    left: u16,
}

impl Default for Line {
    fn default() -> Self {
        Self { source: None, left: DATAGRAMS_MAX }
    }
}

impl Partner {
    /// Whether a datagram is taken. `named` is where the far end is by all that is known; what comes from there displaces
    /// anybody else.
    pub(crate) fn admit(
        &mut self,
        now: Duration,
        channel: Channel,
        from: SocketAddr,
        named: Option<SocketAddr>,
    ) -> bool {
        let is_former = self.former.contains(&from);
        let line = self.line_mut(channel);
        let is_held = line.source.is_some_and(|(source, heard)| source != from && now < heard + QUIET);
        if is_former || line.left == 0 || (is_held && named != Some(from)) {
            return false;
        }
        line.left -= 1;
        line.source = Some((from, now));
        true
    }

    /// Where our datagrams go, when the far end was heard.
    pub(crate) fn source(&self, channel: Channel) -> Option<SocketAddr> {
        let line = match channel {
            Channel::Media => &self.media,
            Channel::Control => &self.control,
        };
        line.source.map(|(source, _)| source)
    }

    /// A new description names another address than `old`: what was heard so far is somebody else.
    pub(crate) fn leave(&mut self, old: SocketAddr, new: SocketAddr) {
        let heard = [&mut self.media, &mut self.control].map(|line| line.source.take().map(|(source, _)| source));
        self.former.extend(heard.into_iter().flatten().chain([old]));
        self.former.retain(|address| *address != new);
        let surplus = self.former.len().saturating_sub(FORMER_MAX);
        self.former.drain(..surplus);
    }

    /// Keeps a datagram that came before anything was agreed; the oldest one makes room.
    pub(crate) fn keep(&mut self, early: Early) {
        if self.early.len() == EARLY_MAX {
            self.early.remove(0);
        }
        self.early.push(early);
    }

    /// What was kept.
    pub(crate) fn take_early(&mut self) -> Vec<Early> {
        std::mem::take(&mut self.early)
    }

    /// Lets more datagrams come; due every 250 ms.
    pub(crate) fn refill(&mut self) {
        for line in [&mut self.media, &mut self.control] {
            line.left = (line.left + DATAGRAMS_PER_REFILL).min(DATAGRAMS_MAX);
        }
    }

    fn line_mut(&mut self, channel: Channel) -> &mut Line {
        match channel {
            Channel::Media => &mut self.media,
            Channel::Control => &mut self.control,
        }
    }
}

/// Datagrams that may come to one port at once, and how many more with every refill.
const DATAGRAMS_MAX: u16 = 64;
const DATAGRAMS_PER_REFILL: u16 = 16;
/// A source that no description names is forgotten after this: DTLS repeats itself after a second (RFC 6347 §4.2.4.1).
const QUIET: Duration = Duration::from_millis(1_500);
/// Addresses of earlier descriptions that are remembered.
const FORMER_MAX: usize = 8;
/// Datagrams that are kept before anything was agreed.
const EARLY_MAX: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    const NAMED: u16 = 1;

    #[test]
    fn what_the_description_names_displaces_others() {
        check(&[(0, 7, true), (100, NAMED, true), (200, 7, false), (300, NAMED, true)], Some(NAMED));
    }

    #[test]
    fn behind_an_address_translation_the_first_one_counts_until_it_is_quiet() {
        check(&[(0, 7, true), (1_000, 8, false), (1_400, 7, true), (2_800, 8, false), (2_900, 8, true)], Some(8));
    }

    #[test]
    fn a_fork_that_was_left_is_not_heard() {
        let mut partner = Partner::default();
        assert!(partner.admit(ms(0), Channel::Media, address(7), Some(address(NAMED))), "it is behind a translation");
        partner.leave(address(NAMED), address(2));
        assert_eq!(partner.source(Channel::Media), None);
        for left in [7, NAMED] {
            assert!(!partner.admit(ms(9_000), Channel::Media, address(left), Some(address(2))));
        }
        assert!(partner.admit(ms(9_000), Channel::Media, address(3), Some(address(2))));
        partner.leave(address(2), address(NAMED));
        assert!(partner.admit(ms(9_000), Channel::Media, address(NAMED), Some(address(NAMED))), "it is named again");
        for number in 100..200 {
            partner.leave(address(number), address(number + 1));
        }
        assert_eq!(partner.former.len(), FORMER_MAX);
    }

    #[test]
    fn a_flood_is_cut() {
        let mut partner = Partner::default();
        let taken = |partner: &mut Partner, channel| {
            (0..1_000).filter(|_| partner.admit(ms(0), channel, address(NAMED), None)).count()
        };
        assert_eq!(taken(&mut partner, Channel::Media), usize::from(DATAGRAMS_MAX));
        assert_eq!(taken(&mut partner, Channel::Control), usize::from(DATAGRAMS_MAX), "each port for itself");
        partner.refill();
        assert_eq!(taken(&mut partner, Channel::Media), usize::from(DATAGRAMS_PER_REFILL));
    }

    #[test]
    fn the_newest_early_datagrams_are_kept() {
        let mut partner = Partner::default();
        for number in 0..10 {
            let (channel, from) = (Channel::Media, address(NAMED));
            partner.keep(Early { channel, from, datagram: vec![number] });
        }
        let kept: Vec<u8> = partner.take_early().iter().map(|early| early.datagram[0]).collect();
        assert_eq!(kept, [6, 7, 8, 9]);
        assert!(partner.take_early().is_empty());
    }

    /// Datagrams as (milliseconds, source, whether it is taken), and where ours go afterwards.
    #[track_caller]
    fn check(datagrams: &[(u64, u16, bool)], source: Option<u16>) {
        let mut partner = Partner::default();
        for &(at, from, taken) in datagrams {
            let got = partner.admit(ms(at), Channel::Media, address(from), Some(address(NAMED)));
            assert_eq!(got, taken, "{from} at {at} ms");
        }
        assert_eq!(partner.source(Channel::Media), source.map(address));
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }
}
