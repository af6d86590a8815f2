//! Two ends that report to each other in simulated time, hostile datagrams, and `rtc-rtcp` as the second opinion.

use proptest::prelude::*;
use rtc_rtcp::extended_report::{ExtendedReport, VoIPMetricsReportBlock};
use rtc_rtcp::goodbye::Goodbye;
use rtc_rtcp::sender_report::SenderReport as TheirSenderReport;
use rtc_rtcp::source_description::SourceDescription;

use super::*;
use crate::packet::{RtpHeader, Stamp};
use crate::sequence::Sequencer;

const OURS: Ssrc = Ssrc(0x1111_1111);
const THEIRS: Ssrc = Ssrc(0x2222_2222);

#[test]
fn control_is_told_from_media_and_others() {
    for (bytes, expected) in [
        (&[0x80_u8, 200, 0, 1][..], true),
        (&[0x81, 192], true),
        (&[0x81, 223], true),
        (&[0x80, 0], false),
        (&[0x80, 0x80 | 8], false),
        (&[0x80, 224], false),
        (&[0x00, 200], false),
        (&[22, 200], false),
        (&[0xc0, 200], false),
        (&[0x80], false),
        (&[], false),
    ] {
        assert_eq!(is_control(bytes), expected, "{bytes:?}");
    }
}

#[test]
fn round_trip_is_measured_both_ways() {
    let mut call = Call::new(Duration::from_millis(35));
    call.talk(500);
    let (ours, theirs) = (call.ends[0].quality(), call.ends[1].quality());
    for quality in [ours, theirs] {
        let rtt_ms = quality.rtt_ms.expect("reports went both ways");
        assert!((rtt_ms - 70.0).abs() < 0.1, "{rtt_ms}");
        assert!((quality.delay_ms.expect("the round trip is known") - 35.0 - 20.0).abs() < 0.1);
        assert_eq!((quality.loss_received, quality.loss_reported), (Some(0.0), Some(0.0)));
        assert!(quality.mos_conversational.expect("the round trip is known") > 4.3);
    }
}

#[test]
fn loss_is_reported_to_the_sender() {
    let mut call = Call::new(Duration::from_millis(5));
    call.drop_every = Some(20);
    call.talk(1_500);
    let sender = call.ends[0].quality();
    let reported = sender.loss_reported.expect("they reported");
    assert!((reported - 0.05).abs() < 0.003, "{reported}");
    let receiver = call.ends[1].quality();
    assert!((receiver.loss_received.expect("they received") - 0.05).abs() < 0.002);
    assert!((receiver.mos_listening.expect("they received") - 3.98).abs() < 0.1, "{receiver:?}");
    // Their metrics say the same as ours about them.
    let told = sender.mos_reported.expect("they told");
    assert!((told - receiver.mos_listening.expect("they received")).abs() <= 0.06);
}

#[test]
fn nothing_known_is_nothing_said() {
    let end = End::new(OURS, 1);
    assert_eq!(end.quality(), LegQuality::default());
}

#[test]
fn reports_come_at_the_interval() {
    for seed in 0..200 {
        let mut end = End::new(OURS, seed);
        let mut before = Duration::ZERO;
        for (n, base_ms) in [2_500, 5_000, 5_000, 5_000].into_iter().enumerate() {
            let (due, _) = end.session.deadline().expect("no goodbye yet");
            let share = (due - before).as_secs_f64() * 1_000.0 / f64::from(base_ms);
            assert!((0.5..=1.5).contains(&share), "seed {seed}, report {n}: {share}");
            end.write(due);
            before = due;
        }
    }
}

#[test]
fn silent_ends_send_receiver_reports() {
    let mut end = End::new(OURS, 1);
    assert_eq!(end.write(Duration::from_secs(1))[1], read::RECEIVER_REPORT);
    end.session.sent(Duration::from_secs(2), 160, 160);
    assert_eq!(end.write(Duration::from_secs(3))[1], read::SENDER_REPORT);
    assert_eq!(end.write(Duration::from_secs(8))[1], read::RECEIVER_REPORT);
}

#[test]
fn goodbye_is_said_once() {
    let mut end = End::new(OURS, 1);
    let mut packet = Vec::new();
    let written = end.session.write_goodbye(Duration::ZERO, &mut end.reception, Playout::default(), &mut packet);
    assert_eq!(written, packet.len());
    assert_eq!(end.session.deadline(), None);
    assert_eq!(end.session.write_goodbye(Duration::ZERO, &mut end.reception, Playout::default(), &mut packet), 0);

    let mut other = End::new(THEIRS, 1);
    let received = other.session.receive(Duration::ZERO, &packet).expect("we read what we write");
    assert_eq!(received.goodbye, Some(OURS));
    assert_eq!(received.name.map(|name| name.as_bytes().to_vec()), Some(b"calmline".to_vec()));
}

#[test]
fn a_lying_round_trip_is_not_believed() {
    let now = Duration::from_secs(100);
    for (sender_report, sender_report_age) in [(0, 0), (1, 0), ((ntp(now) >> 16) as u32, 1 << 20), (u32::MAX, u32::MAX)]
    {
        let account = AccountReceived { sender_report, sender_report_age, ..ACCOUNT };
        assert_eq!(round_trip(now, &account), None, "{sender_report:#x}, {sender_report_age}");
    }
}

#[test]
fn rounding_on_a_short_way_is_no_lie() {
    let now = Duration::from_secs(100);
    let account = AccountReceived { sender_report: (ntp(now) >> 16) as u32, sender_report_age: 3, ..ACCOUNT };
    assert_eq!(round_trip(now, &account), Some(Duration::ZERO));
}

#[test]
fn other_peoples_accounts_are_not_ours() {
    let mut packet = Vec::new();
    write::report(THEIRS, None, Some((Ssrc(77), ACCOUNT)), &mut packet);
    let received = End::new(OURS, 1).session.receive(Duration::ZERO, &packet);
    assert_eq!(received, Ok(Received::default()));
}

#[test]
fn negative_losses_keep_their_sign() {
    for lost in [-3, 0, 5, LOST_MAX, -(1 << 23)] {
        let mut packet = Vec::new();
        write::report(THEIRS, None, Some((OURS, AccountReceived { lost, ..ACCOUNT })), &mut packet);
        let received = End::new(OURS, 1).session.receive(Duration::ZERO, &packet).expect("we read what we write");
        assert_eq!(received.account.map(|account| account.lost), Some(lost));
    }
}

#[test]
fn feedback_and_strange_types_are_counted() {
    let feedback = [0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2];
    let application = [0x80, 204, 0, 2, 0, 0, 0, 1, b'a', b'b', b'c', b'd'];
    let datagram = [&feedback[..], &application].concat();
    let received = End::new(OURS, 1).session.receive(Duration::ZERO, &datagram).expect("reduced size is allowed");
    assert_eq!((received.feedback, received.unknown), (1, 1));
}

#[test]
fn our_own_source_from_afar_is_a_collision() {
    let mut end = End::new(OURS, 1);
    end.session.sent(Duration::ZERO, 0, 160);
    let echo = end.write(Duration::from_secs(1));
    let received = end.session.receive(Duration::from_secs(1), &echo).expect("we read what we write");
    assert!(received.collision && received.sender.is_none() && received.name.is_none());
}

#[test]
fn malformed_datagrams_are_refused_and_change_nothing() {
    for (bytes, expected) in [
        (&[][..], Malformed::TooShort),
        (&[0x80, 201, 0][..], Malformed::TooShort),
        (&[0x40, 201, 0, 0], Malformed::Version),
        (&[0x80, 8, 0, 0], Malformed::Type),
        (&[0x80, 201, 0, 2, 0, 0, 0, 1], Malformed::Length),
        (&[0x81, 201, 0, 1, 0, 0, 0, 1], Malformed::Body { packet_type: 201 }),
        (&[0x80, 200, 0, 1, 0, 0, 0, 1], Malformed::Body { packet_type: 200 }),
        (&[0x81, 202, 0, 2, 0, 0, 0, 1, 1, 9, b'x', 0], Malformed::Body { packet_type: 202 }),
        (&[0x82, 203, 0, 1, 0, 0, 0, 1], Malformed::Body { packet_type: 203 }),
        (&[0x80, 207, 0, 2, 0, 0, 0, 1, 7, 0, 0, 8], Malformed::Body { packet_type: 207 }),
        (&[0x80, 207, 0, 2, 0, 0, 0, 1, 7, 0, 0, 0], Malformed::Body { packet_type: 207 }),
        (&[0xa0, 201, 0, 1, 0, 0, 0, 8], Malformed::Padding),
        (&[0xa0, 201, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0], Malformed::Padding),
        (&[0xa0, 201, 0, 0], Malformed::Padding),
        (&[0xa0, 201, 0, 2, 0, 0, 0, 1, 0, 0, 0, 5], Malformed::Body { packet_type: 201 }),
        (&[0x81, 203, 0, 1, 0, 0, 0, 1, 0x80, 201, 0, 9], Malformed::Length),
    ] {
        let mut end = End::new(OURS, 1);
        assert_eq!(end.session.receive(Duration::ZERO, bytes), Err(expected), "{bytes:x?}");
    }
    assert_eq!(End::new(OURS, 1).session.receive(Duration::ZERO, &[0x80; 1_501]), Err(Malformed::TooLong));
}

#[test]
fn senders_beyond_the_limit_push_out_the_oldest() {
    let mut senders = Senders::default();
    for source in 0..6 {
        let report = SenderReport { source: Ssrc(source), ntp: 0, timestamp: 0, packets: 0, octets: 0 };
        senders.remember(Duration::from_secs(source.into()), report);
    }
    assert!(senders.of(Ssrc(0)).is_none() && senders.of(Ssrc(1)).is_none());
    assert!((2..6).all(|source| senders.of(Ssrc(source)).is_some()));
}

#[test]
fn the_second_opinion_reads_our_report() {
    let mut call = Call::new(Duration::from_millis(20));
    call.drop_every = Some(10);
    call.talk(600);
    let end = &mut call.ends[1];
    end.session.sent(call.now, 4_000, 160);
    end.take(call.now, 60_000, 0);
    let ours = end.write(call.now);

    let packets = rtc_rtcp::packet::unmarshal(&mut &ours[..]).expect("it reads what we write");
    let report = packets[0].as_any().downcast_ref::<TheirSenderReport>().expect("a sender report first");
    assert_eq!((report.ssrc, report.ntp_time, report.reports.len()), (THEIRS.0, ntp(call.now), 1));
    let names = packets[1].as_any().downcast_ref::<SourceDescription>().expect("the name second");
    assert_eq!(names.chunks[0].items[0].text, "calmline");
    let extended = packets[2].as_any().downcast_ref::<ExtendedReport>().expect("metrics third");
    let metrics = extended.reports[0].as_any().downcast_ref::<VoIPMetricsReportBlock>().expect("of a telephone");
    assert_eq!((metrics.ssrc, metrics.gmin, metrics.reserved), (OURS.0, 16, 0));
    // Its own descriptions end in a count where the RFC wants zeros, so that only the others are compared.
    let again = |packet| rtc_rtcp::packet::marshal(&packets[packet..=packet]).expect("it writes what it read");
    assert_eq!(again(0), &ours[..52]);
    assert_eq!(again(2), &ours[72..]);
}

proptest! {
    #[test]
    fn metrics_are_read_as_the_second_opinion_writes_them(bytes in any::<[u8; 14]>(), shorts in any::<[u16; 7]>()) {
        let block = VoIPMetricsReportBlock {
            ssrc: OURS.0, loss_rate: bytes[0], discard_rate: bytes[1], burst_density: bytes[2], gap_density: bytes[3],
            burst_duration: shorts[0], gap_duration: shorts[1], round_trip_delay: shorts[2], end_system_delay: shorts[3],
            signal_level: bytes[4], noise_level: bytes[5], rerl: bytes[6], gmin: bytes[7], rfactor: bytes[8],
            ext_rfactor: bytes[9], mos_lq: bytes[10], mos_cq: bytes[11], rx_config: bytes[12], reserved: 0,
            jb_nominal: shorts[4], jb_maximum: shorts[5], jb_abs_max: shorts[6],
        };
        let goodbye = Goodbye { sources: vec![THEIRS.0], reason: "gone".into() };
        let theirs: Vec<Box<dyn rtc_rtcp::packet::Packet>> = vec![
            Box::new(ExtendedReport { sender_ssrc: THEIRS.0, reports: vec![Box::new(block)] }),
            Box::new(goodbye),
        ];
        let datagram = rtc_rtcp::packet::marshal(&theirs).expect("it can be written");
        let received = End::new(OURS, 1).session.receive(Duration::ZERO, &datagram).expect("a sound datagram");
        prop_assert_eq!(received.goodbye, Some(THEIRS));
        let metrics = received.voip.expect("metrics of our stream");
        let mut again = Vec::new();
        write::voip_metrics(THEIRS, &metrics, &mut again);
        prop_assert_eq!(&again[..], &datagram[..again.len()]);
    }

    #[test]
    fn any_octets_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200), at_ms: u32) {
        let mut end = End::new(OURS, 1);
        let _refused_or_not = end.session.receive(Duration::from_millis(at_ms.into()), &bytes);
        prop_assert!(end.write(Duration::from_millis(at_ms.into())).len() <= REPORT_BYTES_MAX);
    }

    /// A sound report with some octets changed.
    #[test]
    fn damaged_reports_are_survived(changes in proptest::collection::vec((0_usize..200, any::<u8>()), 1..8)) {
        let mut call = Call::new(Duration::from_millis(20));
        call.talk(20);
        call.ends[1].session.sent(call.now, 0, 160);
        let mut bytes = call.ends[1].write(call.now);
        for (place, octet) in changes {
            let length = bytes.len();
            bytes[place % length] = octet;
        }
        let _refused_or_not = call.ends[0].session.receive(call.now, &bytes);
        let quality = call.ends[0].quality();
        prop_assert!(quality.mos_reported.is_none_or(|mos| (1.0..=5.0).contains(&mos)));
        prop_assert!(quality.loss_reported.is_none_or(|loss| (0.0..=1.0).contains(&loss)));
    }
}

const LOST_MAX: i32 = (1 << 23) - 1;

const ACCOUNT: AccountReceived =
    AccountReceived { fraction_lost: 0, lost: 0, highest: 0, jitter_ticks: 0, sender_report: 0, sender_report_age: 0 };

/// One end of a call: its session and what it receives.
struct End {
    source: Ssrc,
    session: Session,
    sequencer: Sequencer,
    reception: Reception,
}

impl End {
    fn new(source: Ssrc, seed: u64) -> Self {
        let session = Session::new(Duration::ZERO, source, "calmline", seed);
        Self { source, session, sequencer: Sequencer::default(), reception: Reception::default() }
    }

    /// An audio packet of the other end's.
    fn take(&mut self, now: Duration, sequence: u16, timestamp: u32) {
        let ssrc = if self.source == OURS { THEIRS } else { OURS };
        let bytes = Stamp { marker: false, payload_type: 0, sequence, timestamp, ssrc }.to_bytes();
        let header = RtpHeader::parse(&bytes).expect("a plain packet");
        let verdict = self.sequencer.place(ssrc, sequence);
        self.reception.count(now, verdict, &header, true);
    }

    fn write(&mut self, now: Duration) -> Vec<u8> {
        let mut packet = Vec::new();
        let written = self.session.write(now, &mut self.reception, Playout::default(), &mut packet);
        assert_eq!(written, packet.len());
        assert!(written <= REPORT_BYTES_MAX, "{written} octets");
        packet
    }

    fn quality(&self) -> LegQuality {
        self.session.quality(&self.reception, Playout::default())
    }
}

/// Two ends that both talk, over a way that takes time.
struct Call {
    ends: [End; 2],
    now: Duration,
    delay: Duration,
    /// Of the packets of the first end, each n-th is lost.
    drop_every: Option<u32>,
    /// Reports under way: arrival, whom they reach, octets.
    reports: Vec<(Duration, usize, Vec<u8>)>,
    sent: u32,
}

impl Call {
    fn new(delay: Duration) -> Self {
        let ends = [End::new(OURS, 3), End::new(THEIRS, 4)];
        Self { ends, now: Duration::ZERO, delay, drop_every: None, reports: Vec::new(), sent: 0 }
    }

    /// So many packets of 20 ms each way; reports when they are due.
    fn talk(&mut self, packets: u32) {
        for _ in 0..packets {
            for way in 0..2 {
                self.ends[way].session.sent(self.now, self.sent * 160, 160);
                let lost = way == 0 && self.drop_every.is_some_and(|every| self.sent % every == every / 2);
                if !lost {
                    self.ends[1 - way].take(self.now + self.delay, self.sent as u16, self.sent * 160);
                }
            }
            self.sent += 1;
            // Milliseconds, so that reports are under way as long as they should be.
            for _ in 0..20 {
                self.exchange_reports();
                self.now += Duration::from_millis(1);
            }
        }
    }

    fn exchange_reports(&mut self) {
        for way in 0..2 {
            if self.ends[way].session.deadline().is_some_and(|(due, _)| due <= self.now) {
                let report = self.ends[way].write(self.now);
                self.reports.push((self.now + self.delay, 1 - way, report));
            }
        }
        let now = self.now;
        for (_, to, report) in self.reports.extract_if(.., |(arrival, ..)| *arrival <= now) {
            self.ends[to].session.receive(now, &report).expect("a sound report");
        }
    }
}
