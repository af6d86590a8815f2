//! The transform against the vectors of the standards, and against another implementation over a bad network.

use rtc_srtp::context::Context;
use rtc_srtp::protection_profile::ProtectionProfile;
use zeroize::Zeroizing;

use super::cipher::{Cipher, CounterMode, Gcm};
use super::*;

/// RFC 3711 §B.2: the key stream at its beginning, and where the block counter is near its end.
#[test]
fn counter_mode_by_the_standard() {
    let key = octets("2B7E151628AED2A6ABF7158809CF4F3C").try_into().expect("16 octets");
    let salt = octets("F0F1F2F3F4F5F6F7F8F9FAFBFCFD").try_into().expect("14 octets");
    let cipher = CounterMode::new(&key, &[0; 20], Zeroizing::new(salt), 10);
    let mut stream = vec![0; 0xff02 * 16];
    cipher.apply(0, 0, &mut stream);
    let first = "E03EAD0935C95E80E166B16DD92B4EB4 D23513162B02D0F72A43A2FE4A5F97AB 41E95B3BB0A2E8DD477901E4FCA894C0";
    let last = "EC8CDF7398607CB0F2D21675EA9EA1E4 362B7C3C6773516318A077D7FC5073AE 6A2CC3787889374FBEB4C81B17BA6C44";
    assert_eq!(stream[..48], octets(first));
    assert_eq!(stream[0xfeff * 16..], octets(last));
}

/// The reference packets of libsrtp (`srtp_driver.c`), with the master key of RFC 3711 §B.3: the standard itself has no
/// whole packet.
#[test]
fn counter_mode_packets_as_libsrtp_has_them() {
    let master = octets("E1F97A0D3E018BE0D64FA32C06DE4139 0EC675AD498AFEEBB6960B3AABE6");
    let master = MasterKey::new(Suite::AesCm128HmacSha1Tag80, &master).expect("it has the right length");
    let (mut sender, mut receiver) = (Sender::new(&master), Receiver::new(&master));
    let plain = octets("800f1234 decafbad cafebabe abababab abababab abababab abababab");
    let expected = octets("800f1234 decafbad cafebabe 4e55dc4c e79978d8 8ca4d215 949d2402 b78d6acc 99ea179b 8dbb");
    let mut buffer = [plain.clone(), vec![0; TRAILER_BYTES_MAX]].concat();
    let length = sender.protect(&mut buffer, plain.len()).expect("it is a packet");
    assert_eq!(buffer[..length], expected);
    let length = receiver.unprotect(&mut buffer[..length]).expect("it is authentic");
    assert_eq!(buffer[..length], plain);

    let plain = octets("81c8000b cafebabe abababab abababab abababab abababab");
    let expected = octets("81c8000b cafebabe 7128035b e487b9bd bef89041 f977a5a8 80000001 993e08cd 54d6c123 0798");
    let mut buffer = [plain.clone(), vec![0; TRAILER_BYTES_MAX]].concat();
    sender.control_index = 1;
    let length = sender.protect_control(&mut buffer, plain.len()).expect("it is a packet");
    assert_eq!(buffer[..length], expected);
    let length = receiver.unprotect_control(&mut buffer[..length]).expect("it is authentic");
    assert_eq!(buffer[..length], plain);
}

/// RFC 7714 §16.1, §16.2.
#[test]
fn gcm_packets_by_the_standard() {
    let plain = octets(
        "8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976 69736120 696e2070 61727465 73207472
         6573",
    );
    let with_128 = octets(
        "8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f 42a5f47a 51c7d19b 36de3adf
         8833899d 7f27beb1 6a9152cf 765ee439 0cce",
    );
    let with_256 = octets(
        "8040f17b 8041f8d3 5501a0b2 32b1de78 a822fe12 ef9f78fa 332e33aa b1801238 9a58e2f3 b50b2a02 76ffae0f 1ba63799
         b87b7aa3 db36dfff d6b0f9bb 7878d7a7 6c13",
    );
    for (key_bytes, expected) in [(16, with_128), (32, with_256)] {
        let (mut sender, mut receiver) = standard_pair(key_bytes);
        let mut buffer = [plain.clone(), vec![0; TRAILER_BYTES_MAX]].concat();
        let length = sender.protect(&mut buffer, plain.len()).expect("it is a packet");
        assert_eq!(buffer[..length], expected);
        let length = receiver.unprotect(&mut buffer[..length]).expect("it is authentic");
        assert_eq!(buffer[..length], plain);
    }
}

/// RFC 7714 §17.1, §17.2.
#[test]
fn gcm_control_packets_by_the_standard() {
    let plain = octets(
        "81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61 deadbeef deadbeef deadbeef deadbeef
         deadbeef",
    );
    let with_128 = octets(
        "81c8000d 4d617273 63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d c676a5f1 730d6fda 4ce09b46 86303ded
         0bb9275b c84aa458 96cf4d2f c5abf872 45d9eade 800005d4",
    );
    let with_256 = octets(
        "81c8000d 4d617273 d50ae4d1 f5ce5d30 4ba297e4 7d470c28 2c3ece5d bffe0a50 a2eaa5c1 110555be 8415f658 c61de047
         6f1b6fad 1d1eb30c 4446839f 57ff6f6c b26ac3be 800005d4",
    );
    for (key_bytes, expected) in [(16, with_128), (32, with_256)] {
        let (mut sender, mut receiver) = standard_pair(key_bytes);
        sender.control_index = 0x5d4;
        let mut buffer = [plain.clone(), vec![0; TRAILER_BYTES_MAX]].concat();
        let length = sender.protect_control(&mut buffer, plain.len()).expect("it is a packet");
        assert_eq!(buffer[..length], expected);
        let length = receiver.unprotect_control(&mut buffer[..length]).expect("it is authentic");
        assert_eq!(buffer[..length], plain);
    }
}

#[test]
fn another_implementation_understands_us_and_we_it() {
    for suite in Suite::ALL {
        let mut random = Random(suite.key_bytes() as u64 * 7 + suite.tag_bytes() as u64);
        let key = key(suite);
        let (mut our_sender, mut our_receiver) = (Sender::new(&key), Receiver::new(&key));
        let (mut their_sender, mut their_receiver) = (peer(&key), peer(&key));
        let mut under_way: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        let (mut arrived, mut late) = (0, 0);
        // Over two ends of the circle of sequence numbers, in steps that leave some out.
        let mut number = 64_000_u32;
        while number < 65_536 * 2 + 1_000 {
            number += 1 + random.below(4);
            let plain = packet(&mut random, number as u16);
            let mut ours = [plain.clone(), vec![0; TRAILER_BYTES_MAX]].concat();
            let length = our_sender.protect(&mut ours, plain.len()).expect("it is a packet");
            let theirs = their_sender.encrypt_rtp(&plain).expect("it is a packet");
            assert!(ours[..length] == theirs[..], "{suite:?} {number}");
            under_way.push((plain, ours[..length].to_vec()));
            if under_way.len() < 8 {
                continue;
            }

            // One of those under way arrives, or is lost.
            let (plain, protected) = under_way.swap_remove(random.below(8) as usize);
            if random.below(10) == 0 {
                continue;
            }
            let theirs = their_receiver.decrypt_rtp(&protected).expect("we have protected it");
            assert!(theirs[..] == plain[..], "{suite:?} {number}");
            let mut ours = protected.clone();
            match our_receiver.unprotect(&mut ours) {
                Ok(length) => assert!(ours[..length] == plain[..], "{suite:?} {number}"),
                Err(error) => {
                    assert_eq!(error, SrtpError::Replayed, "{suite:?} {number}");
                    late += 1;
                }
            }
            arrived += 1;
            assert_eq!(our_receiver.unprotect(&mut protected.clone()), Err(SrtpError::Replayed));
        }
        // Few are overtaken by 128 numbers.
        assert!(arrived > 20_000 && late < arrived / 50, "{late} of {arrived}");
    }
}

#[test]
fn another_implementation_understands_our_control_packets_and_we_its() {
    for suite in Suite::ALL {
        let mut random = Random(suite.salt_bytes() as u64);
        let key = key(suite);
        let (mut our_sender, mut our_receiver) = (Sender::new(&key), Receiver::new(&key));
        let (mut their_sender, mut their_receiver) = (peer(&key), peer(&key));
        for _ in 0..1_000 {
            let words = 1 + random.below(60) as u8;
            let mut plain = vec![0x80, 200, 0, words];
            plain.extend((0..u32::from(words) * 4).map(|_| random.below(256) as u8));

            let mut ours = [plain.clone(), vec![0; TRAILER_BYTES_MAX]].concat();
            let length = our_sender.protect_control(&mut ours, plain.len()).expect("it is a packet");
            let theirs = their_receiver.decrypt_rtcp(&ours[..length]).expect("we have protected it");
            assert!(theirs[..] == plain[..], "{suite:?}");

            let mut theirs = their_sender.encrypt_rtcp(&plain).expect("it is a packet").to_vec();
            let again = theirs.clone();
            let length = our_receiver.unprotect_control(&mut theirs).expect("they have protected it");
            assert!(theirs[..length] == plain[..], "{suite:?}");
            assert_eq!(our_receiver.unprotect_control(&mut again.clone()), Err(SrtpError::Replayed));
        }
    }
}

#[test]
fn one_wrong_bit_is_a_forgery_and_changes_nothing() {
    for suite in Suite::ALL {
        let (mut sender, mut receiver) = (Sender::new(&key(suite)), Receiver::new(&key(suite)));
        let (plain, protected) = protected(&mut sender, 9);
        let (_, control) = protected_control(&mut sender);
        for bit in 0..protected.len() * 8 {
            let mut wrong = protected.clone();
            wrong[bit / 8] ^= 1 << (bit % 8);
            receiver.unprotect(&mut wrong).expect_err("it was changed");
        }
        for bit in 0..control.len() * 8 {
            let mut wrong = control.clone();
            wrong[bit / 8] ^= 1 << (bit % 8);
            receiver.unprotect_control(&mut wrong).expect_err("it was changed");
        }
        for length in 0..protected.len() {
            receiver.unprotect(&mut protected[..length].to_vec()).expect_err("it was cut");
        }
        for length in 0..control.len() {
            receiver.unprotect_control(&mut control[..length].to_vec()).expect_err("it was cut");
        }
        assert_eq!(receiver.unprotect(&mut protected.clone()), Ok(plain.len()), "{suite:?}");
        receiver.unprotect_control(&mut control.clone()).expect("it was not changed");
    }
}

/// Other implementations take these: nothing in them is hidden, and with HMAC-SHA1 they are authentic.
#[test]
fn control_packets_that_are_not_encrypted_are_refused() {
    for suite in Suite::ALL {
        let (mut sender, mut receiver) = (Sender::new(&key(suite)), Receiver::new(&key(suite)));
        let (_, mut packet) = protected_control(&mut sender);
        let flag = match suite {
            Suite::AesCm128HmacSha1Tag80 | Suite::AesCm128HmacSha1Tag32 => packet.len() - 14,
            Suite::AeadAes128Gcm | Suite::AeadAes256Gcm => packet.len() - 4,
        };
        packet[flag] &= 0x7f;
        if let Cipher::Counter(counter) = &sender.control {
            let (signed, tag) = packet.split_at_mut(flag + 4);
            counter.sign(signed, &[], tag);
        }
        assert_eq!(receiver.unprotect_control(&mut packet), Err(SrtpError::Unencrypted), "{suite:?}");
    }
}

#[test]
fn no_number_is_sent_twice() {
    for suite in Suite::ALL {
        let mut sender = Sender::new(&key(suite));
        let mut send = |number: u16| sender.protect(&mut [plain(number), vec![0; 20]].concat(), 172).map(drop);
        assert_eq!(send(1_000), Ok(()));
        assert_eq!(send(1_000), Err(SrtpError::Reused));
        assert_eq!(send(1_002), Ok(()));
        assert_eq!(send(1_001), Ok(()), "a little late, and not used before");
        assert_eq!(send(30_000), Ok(()), "a jump");
        assert_eq!(send(5), Err(SrtpError::Reused), "a restart within the stream");
        assert_eq!(send(30_001), Ok(()));
    }
}

#[test]
fn a_sender_forgets_no_stream() {
    let mut sender = Sender::new(&key(Suite::AeadAes128Gcm));
    let mut send = |ssrc: u8| {
        let mut buffer = [plain(1), vec![0; 20]].concat();
        buffer[11] = ssrc;
        sender.protect(&mut buffer, 172).map(drop)
    };
    (0..4).for_each(|ssrc| assert_eq!(send(ssrc), Ok(())));
    assert_eq!(send(4), Err(SrtpError::TooManyStreams));
}

#[test]
fn a_key_is_used_up() {
    let mut sender = Sender::new(&key(Suite::AesCm128HmacSha1Tag80));
    sender.control_index = (1 << 31) - 1;
    protected_control(&mut sender);
    let mut buffer = [0x80, 200, 0, 1, 1, 2, 3, 4].to_vec();
    buffer.resize(40, 0);
    assert_eq!(sender.protect_control(&mut buffer, 8), Err(SrtpError::Exhausted));
}

#[test]
fn without_room_nothing_is_protected() {
    for suite in Suite::ALL {
        let mut sender = Sender::new(&key(suite));
        let mut buffer = plain(1);
        assert_eq!(sender.protect(&mut buffer, 172), Err(SrtpError::NoRoom));
        assert_eq!(sender.protect(&mut buffer, 173), Err(SrtpError::NoRoom));
        assert_eq!(sender.protect_control(&mut buffer, 172), Err(SrtpError::NoRoom));
        assert!(buffer == plain(1), "{suite:?}");
    }
}

#[test]
fn what_is_printed_holds_no_key() {
    for suite in Suite::ALL {
        let key = key(suite);
        let keys = SessionKeys { send: key.clone(), receive: key.clone() };
        let printed = format!(
            "{key:?} {keys:#?} {:?} {:?} {:?}",
            Security::Keys(Box::new(keys.clone())),
            Sender::new(&key),
            Receiver::new(&key)
        );
        let lists_numbers = printed.contains('[') || printed.contains("42") || printed.to_lowercase().contains("2a");
        assert!(!lists_numbers, "{printed}");
    }
}

/// A sender and a receiver with the session keys of RFC 7714 §16 and §17.
fn standard_pair(key_bytes: u8) -> (Sender, Receiver) {
    let cipher = || {
        let salt = octets("51756964 2070726f 2071756f").try_into().expect("twelve octets");
        Cipher::Gcm(Gcm::new(&(0..key_bytes).collect::<Vec<u8>>(), Zeroizing::new(salt)))
    };
    let any = key(Suite::AeadAes128Gcm);
    let (mut sender, mut receiver) = (Sender::new(&any), Receiver::new(&any));
    (sender.packets, sender.control) = (cipher(), cipher());
    (receiver.packets, receiver.control) = (cipher(), cipher());
    (sender, receiver)
}

fn peer(key: &MasterKey) -> Context {
    let profile = match key.suite() {
        Suite::AesCm128HmacSha1Tag80 => ProtectionProfile::Aes128CmHmacSha1_80,
        Suite::AesCm128HmacSha1Tag32 => ProtectionProfile::Aes128CmHmacSha1_32,
        Suite::AeadAes128Gcm => ProtectionProfile::AeadAes128Gcm,
        Suite::AeadAes256Gcm => ProtectionProfile::AeadAes256Gcm,
    };
    let provider = rtc_crypto::default_provider().expect("one is built in");
    Context::new(key.key(), key.salt(), profile, None, None, provider.crypto()).expect("the key fits")
}

/// Octets of 42, which no other printed number has to be.
fn key(suite: Suite) -> MasterKey {
    MasterKey::from_random(suite, &[42; MASTER_BYTES_MAX])
}

/// A packet with up to 15 contributing sources, perhaps an extension, and up to 300 octets of payload.
fn packet(random: &mut Random, sequence: u16) -> Vec<u8> {
    let (sources, has_extension) = (random.below(16), random.below(2));
    let mut packet = vec![0x80 | (has_extension << 4) as u8 | sources as u8, random.below(128) as u8];
    packet.extend(sequence.to_be_bytes());
    packet.extend([0, 0, 1, 2, 9, 8, 7, 6]);
    packet.extend((0..sources * 4).map(|_| random.below(256) as u8));
    if has_extension == 1 {
        let words = random.below(5) as u8;
        packet.extend([0x12, 0x34, 0, words]);
        packet.extend((0..words * 4).map(|_| random.below(256) as u8));
    }
    packet.extend((0..random.below(301)).map(|_| random.below(256) as u8));
    packet
}

/// A packet of 20 ms of G.711.
fn plain(sequence: u16) -> Vec<u8> {
    let mut packet = vec![0x55; 172];
    packet[0] = 0x80;
    packet[2..4].copy_from_slice(&sequence.to_be_bytes());
    packet
}

fn protected(sender: &mut Sender, sequence: u16) -> (Vec<u8>, Vec<u8>) {
    let plain = plain(sequence);
    let mut buffer = [plain.clone(), vec![0; TRAILER_BYTES_MAX]].concat();
    let length = sender.protect(&mut buffer, plain.len()).expect("it is a packet");
    buffer.truncate(length);
    (plain, buffer)
}

fn protected_control(sender: &mut Sender) -> (Vec<u8>, Vec<u8>) {
    let plain = vec![0x81, 201, 0, 7, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
    let mut buffer = [plain.clone(), vec![0; TRAILER_BYTES_MAX]].concat();
    let length = sender.protect_control(&mut buffer, plain.len()).expect("it is a packet");
    buffer.truncate(length);
    (plain, buffer)
}

/// The same numbers in every run (Knuth's constants).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % u64::from(limit)) as u32
    }
}

/// Reads hexadecimal digits; white space between them is left out.
pub(super) fn octets(digits: &str) -> Vec<u8> {
    let digits: Vec<u32> = digits.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
}
