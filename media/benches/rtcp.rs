//! What control packets cost, per packet and not per second: a leg has one every few seconds.

use std::time::Duration;

use divan::{Bencher, black_box};
use media::rtcp::{Playout, Session, is_control};
use media::stats::Reception;
use media::{RtpHeader, Sequencer, Ssrc, Stamp};

fn main() {
    divan::main();
}

#[divan::bench]
fn tell_from_media(bencher: Bencher<'_, '_>) {
    bencher.bench(|| is_control(black_box(&[0x80, 200, 0, 6])));
}

#[divan::bench]
fn count_a_sent_packet(bencher: Bencher<'_, '_>) {
    let mut session = Session::new(Duration::ZERO, Ssrc(1), "calmline", 1);
    let mut number = 0_u32;
    bencher.bench_local(|| {
        number = number.wrapping_add(1);
        session.sent(Duration::from_millis(20) * number, number.wrapping_mul(160), black_box(160));
    });
}

#[divan::bench]
fn count_a_received_packet(bencher: Bencher<'_, '_>) {
    let mut heard = Heard::default();
    bencher.bench_local(|| heard.packet());
}

#[divan::bench]
fn write_report(bencher: Bencher<'_, '_>) {
    let mut session = Session::new(Duration::ZERO, Ssrc(1), "calmline", 1);
    let mut heard = Heard::default();
    let mut packet = Vec::with_capacity(1_500);
    bencher.bench_local(|| {
        heard.packet();
        session.sent(heard.now(), heard.number, 160);
        packet.clear();
        session.write(heard.now(), &mut heard.reception, Playout::default(), &mut packet)
    });
}

#[divan::bench]
fn receive_report(bencher: Bencher<'_, '_>) {
    let (mut ours, mut theirs) =
        (Session::new(Duration::ZERO, Ssrc(1), "calmline", 1), Session::new(Duration::ZERO, Ssrc(2), "far end", 2));
    let mut heard = Heard::default();
    heard.packet();
    theirs.sent(heard.now(), 160, 160);
    let mut packet = Vec::new();
    theirs.write(heard.now(), &mut heard.reception, Playout::default(), &mut packet);
    bencher.bench_local(|| ours.receive(Duration::from_secs(1), black_box(&packet)));
}

#[divan::bench]
fn quality(bencher: Bencher<'_, '_>) {
    let session = Session::new(Duration::ZERO, Ssrc(1), "calmline", 1);
    let mut heard = Heard::default();
    (0..1_000).for_each(|_| heard.packet());
    bencher.bench_local(|| session.quality(black_box(&heard.reception), Playout::default()));
}

/// What an end hears: every packet of 20 ms, in order.
#[derive(Default)]
struct Heard {
    sequencer: Sequencer,
    reception: Reception,
    number: u32,
}

impl Heard {
    fn now(&self) -> Duration {
        Duration::from_millis(20) * self.number
    }

    fn packet(&mut self) {
        self.number = self.number.wrapping_add(1);
        let (sequence, timestamp) = (self.number as u16, self.number.wrapping_mul(160));
        let stamp = Stamp { marker: false, payload_type: 0, sequence, timestamp, ssrc: Ssrc(1) };
        if let Ok(header) = RtpHeader::parse(&stamp.to_bytes()) {
            let verdict = self.sequencer.place(header.ssrc, header.sequence);
            self.reception.count(self.now(), verdict, &header, true);
        }
    }
}
