//! Any control packets at any time to a session: figures stay inside their ranges, and what it writes is sound.
//!
//! Included by the fuzz target and by the test that replays the corpus.

use std::time::Duration;

use media::rtcp::{Playout, REPORT_BYTES_MAX, Session, is_control};
use media::stats::Reception;
use media::{RtpHeader, Sequencer, Ssrc, Stamp};

/// Reads `script` as records: what to do, length of a datagram in words, the datagram.
///
/// # Panics
/// When a figure is impossible or a report cannot be read back.
pub fn check(script: &[u8]) {
    let mut end = End::new();
    let mut rest = script;
    while let Some((&[what, words], after)) = rest.split_first_chunk::<2>() {
        let (datagram, after) = after.split_at((4 * usize::from(words)).min(after.len()));
        end.take(what, datagram);
        rest = after;
    }
}

/// Our SSRC, and that of the end that hears us; records in the corpus use them.
const OURS: Ssrc = Ssrc(0x1111_1111);
const THEIRS: Ssrc = Ssrc(0x2222_2222);

struct End {
    session: Session,
    hearer: Session,
    sequencer: Sequencer,
    reception: Reception,
    now: Duration,
    sequence: u16,
}

impl End {
    fn new() -> Self {
        Self {
            session: Session::new(Duration::ZERO, OURS, "calmline", 1),
            hearer: Session::new(Duration::ZERO, THEIRS, "hearer", 2),
            sequencer: Sequencer::default(),
            reception: Reception::default(),
            now: Duration::ZERO,
            sequence: 0,
        }
    }

    /// Bit 0 of `what` sends RTP, bit 1 receives some after a gap, bit 2 reports, the others are time that passes.
    fn take(&mut self, what: u8, datagram: &[u8]) {
        self.now += Duration::from_millis(u64::from(what >> 3) * 50);
        if what & 1 != 0 {
            self.session.sent(self.now, u32::from(self.sequence) * 160, 160);
        }
        if what & 2 != 0 {
            self.receive_media();
        }
        if what & 4 != 0 {
            self.report();
        }
        if self.session.receive(self.now, datagram).is_ok() {
            assert!(is_control(datagram), "what is read is control");
        }
        self.inspect();
    }

    fn receive_media(&mut self) {
        self.sequence = self.sequence.wrapping_add(3);
        let timestamp = u32::from(self.sequence) * 160;
        let stamp = Stamp { marker: false, payload_type: 0, sequence: self.sequence, timestamp, ssrc: THEIRS };
        let header = RtpHeader::parse(&stamp.to_bytes()).expect("a plain packet");
        let verdict = self.sequencer.place(header.ssrc, header.sequence);
        self.reception.count(self.now, verdict, &header, true);
    }

    fn report(&mut self) {
        let mut packet = Vec::new();
        let written = self.session.write(self.now, &mut self.reception, Playout::default(), &mut packet);
        assert!(written == packet.len() && written <= REPORT_BYTES_MAX && written.is_multiple_of(4));
        assert!(is_control(&packet), "our report is control");
        let received = self.hearer.receive(self.now, &packet).expect("our report can be read");
        assert!(received.name.is_some() && !received.collision, "our report names us");
        let (due, _) = self.session.deadline().expect("no goodbye was said");
        assert!(due > self.now, "the next report is later");
    }

    fn inspect(&self) {
        let quality = self.session.quality(&self.reception, Playout::default());
        let opinions = [quality.mos_listening, quality.mos_conversational, quality.mos_reported];
        assert!(opinions.into_iter().flatten().all(|opinion| (1.0..=5.0).contains(&opinion)), "{quality:?}");
        let shares = [quality.loss_received, quality.loss_reported, quality.discarded];
        assert!(shares.into_iter().flatten().all(|share| (0.0..=1.0).contains(&share)), "{quality:?}");
        let spans = [quality.rtt_ms, quality.jitter_received_ms, quality.jitter_reported_ms, quality.delay_ms];
        assert!(spans.into_iter().flatten().all(|span| span >= 0.0), "{quality:?}");
        assert!(quality.r_factor.is_none_or(|rating| (0.0..=100.0).contains(&rating)), "{quality:?}");
    }
}
