//! What it takes to protect and to uncover 20 ms of G.711, beside another implementation.

use divan::Bencher;
use media::srtp::{MASTER_BYTES_MAX, MasterKey, Receiver, Sender, Suite, TRAILER_BYTES_MAX};
use rtc_srtp::context::Context;
use rtc_srtp::protection_profile::ProtectionProfile;

fn main() {
    divan::main();
}

/// Packets between two looks at the clock, which is not finer than some 20 ns.
const PACKETS: u32 = 200;
const PACKET_BYTES: usize = 172;
const BUFFER_BYTES: usize = PACKET_BYTES + TRAILER_BYTES_MAX;
const PEER_SUITES: [Suite; 2] = [Suite::AesCm128HmacSha1Tag80, Suite::AeadAes128Gcm];

#[divan::bench(args = Suite::ALL, sample_size = PACKETS)]
fn protect(bencher: Bencher<'_, '_>, suite: Suite) {
    let mut sender = Sender::new(&key(suite));
    let mut buffer = [0x55; BUFFER_BYTES];
    let mut number = 0;
    bencher.bench_local(|| {
        stamp(&mut buffer, number);
        number = number.wrapping_add(1);
        sender.protect(&mut buffer, PACKET_BYTES)
    });
}

#[divan::bench(args = Suite::ALL, sample_size = PACKETS)]
fn unprotect(bencher: Bencher<'_, '_>, suite: Suite) {
    let (mut sender, mut receiver) = (Sender::new(&key(suite)), Receiver::new(&key(suite)));
    let mut number = 0_u16;
    let next = || {
        let mut buffer = [0x55; BUFFER_BYTES];
        stamp(&mut buffer, number);
        number = number.wrapping_add(1);
        let length = sender.protect(&mut buffer, PACKET_BYTES).expect("it is a packet");
        (buffer, length)
    };
    bencher.with_inputs(next).bench_local_refs(|(buffer, length)| {
        receiver.unprotect(&mut buffer[..*length]).expect("it is authentic and new")
    });
}

#[divan::bench(args = PEER_SUITES, sample_size = PACKETS)]
fn protect_by_rtc_srtp(bencher: Bencher<'_, '_>, suite: Suite) {
    let mut sender = peer(suite);
    let mut buffer = [0x55; PACKET_BYTES];
    let mut number = 0;
    bencher.bench_local(|| {
        stamp(&mut buffer, number);
        number = number.wrapping_add(1);
        sender.encrypt_rtp(&buffer)
    });
}

#[divan::bench(args = PEER_SUITES, sample_size = PACKETS)]
fn unprotect_by_rtc_srtp(bencher: Bencher<'_, '_>, suite: Suite) {
    let (mut sender, mut receiver) = (peer(suite), peer(suite));
    let mut number = 0_u16;
    let next = || {
        let mut buffer = [0x55; PACKET_BYTES];
        stamp(&mut buffer, number);
        number = number.wrapping_add(1);
        sender.encrypt_rtp(&buffer).expect("it is a packet")
    };
    bencher.with_inputs(next).bench_local_refs(|packet| receiver.decrypt_rtp(packet).expect("it is authentic"));
}

fn stamp(buffer: &mut [u8], number: u16) {
    buffer[0] = 0x80;
    buffer[2..4].copy_from_slice(&number.to_be_bytes());
}

fn key(suite: Suite) -> MasterKey {
    MasterKey::from_random(suite, &[42; MASTER_BYTES_MAX])
}

fn peer(suite: Suite) -> Context {
    let key = key(suite);
    let profile = match suite {
        Suite::AesCm128HmacSha1Tag80 => ProtectionProfile::Aes128CmHmacSha1_80,
        Suite::AesCm128HmacSha1Tag32 => ProtectionProfile::Aes128CmHmacSha1_32,
        Suite::AeadAes128Gcm => ProtectionProfile::AeadAes128Gcm,
        Suite::AeadAes256Gcm => ProtectionProfile::AeadAes256Gcm,
    };
    let provider = rtc_crypto::default_provider().expect("one is built in");
    Context::new(key.key(), key.salt(), profile, None, None, provider.crypto()).expect("the key fits")
}
