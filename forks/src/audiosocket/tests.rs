//! Frames whole and in pieces, and what is refused.

use proptest::prelude::*;

use super::*;

#[test]
fn every_type() {
    check(
        &[
            0x01, 0, 16, 0x40, 0x32, 0x5e, 0xc2, 0x5e, 0xfd, 0x4b, 0xd3, 0x80, 0x5f, 0x53, 0x57, 0x6e, 0x58, 0x1d,
            0x13, 0x10, 0, 4, 1, 0, 0xff, 0xff, 0x12, 0, 2, 2, 0, 0x03, 0, 1, b'#', 0x42, 0, 2, 7, 7, 0xff, 0, 1, 2,
            0xff, 0, 0, 0x10, 0, 0, 0, 0, 0,
        ],
        &[
            Frame::Id(Uuid::parse("40325EC2-5efd-4bd3-805f-53576e581d13").expect("a UUID")),
            Frame::Audio { rate: Rate::Narrow, samples: vec![1, -1] },
            Frame::Audio { rate: Rate::Wide, samples: vec![2] },
            Frame::Key('#'.try_into().expect("a key")),
            Frame::Unknown(0x42, 2),
            Frame::Error(Fault::Frame),
            Frame::Error(Fault::Other(0)),
            Frame::Audio { rate: Rate::Narrow, samples: vec![] },
            Frame::Hangup,
        ],
    );
}

#[test]
fn what_is_written_can_be_read() {
    let mut wire = Vec::new();
    write_audio(Rate::Narrow, &[1, 2, 3], &mut wire);
    write_audio(Rate::Wide, &[-4], &mut wire);
    wire.extend(HANGUP_FRAME);
    check(
        &wire,
        &[
            Frame::Audio { rate: Rate::Narrow, samples: vec![1, 2, 3] },
            Frame::Audio { rate: Rate::Wide, samples: vec![-4] },
            Frame::Hangup,
        ],
    );
}

#[test]
fn what_cannot_be_read_says_why() {
    for (octets, expected) in [
        (&[0x10, 0xff, 0xff][..], "a frame of 65535 bytes, expected at most 4096"),
        (&[0x10, 0, 1, 1], "a frame of type 0x10 with 1 bytes, expected whole samples of 2 bytes"),
        (&[0x01, 0, 2, 1, 1], "a frame of type 0x01 with 2 bytes, expected 16"),
        (&[0x03, 0, 0], "a frame of type 0x03 with 0 bytes, expected 1"),
        (&[0x03, 0, 1, b'x'], "a key 0x78, expected 0-9, *, # or A-D"),
        (&[0x16, 0, 0], "audio of type 0x16, expected 0x10 (8 kHz) or 0x12 (16 kHz)"),
    ] {
        let mut decoder = Decoder::new(4_096);
        decoder.push(octets);
        assert_eq!(decoder.next_frame().expect_err("not readable").to_string(), expected);
    }
}

#[test]
fn ids() {
    let id = Uuid::parse("40325ec2-5efd-4bd3-805f-53576e581d13").expect("a UUID");
    assert_eq!(
        (id.to_string(), format!("{id:?}")),
        ("40325ec2-5efd-4bd3-805f-53576e581d13".to_owned(), "Uuid(40325ec2-5efd-4bd3-805f-53576e581d13)".to_owned(),)
    );
    for wrong in [
        "",
        "40325ec2",
        "40325ec2-5efd-4bd3-805f-53576e581d1",
        "40325ec25efd-4bd3-805f-53576e581d13-",
        "é0325ec2-5efd-4bd3-805f-53576e581d1",
    ] {
        assert_eq!(Uuid::parse(wrong), None, "{wrong}");
    }
}

proptest! {
    /// However the octets are cut, the same frames come out, and never more than one waits.
    #[test]
    fn pieces_make_no_difference(octets in prop::collection::vec(any::<u8>(), 0..200), cuts in prop::collection::vec(1_usize..20, 1..50)) {
        let whole = frames(&octets, &[octets.len().max(1)]);
        prop_assert_eq!(frames(&octets, &cuts), whole);
    }
}

fn frames(octets: &[u8], cuts: &[usize]) -> (Vec<Frame>, Option<FrameError>) {
    let mut decoder = Decoder::new(256);
    let mut frames = Vec::new();
    let mut rest = octets;
    for cut in cuts.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, after) = rest.split_at((*cut).min(rest.len()));
        decoder.push(piece);
        rest = after;
        loop {
            match decoder.next_frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Some(error)),
            }
        }
    }
    (frames, None)
}

#[track_caller]
fn check(octets: &[u8], expected: &[Frame]) {
    for cuts in [&[octets.len()][..], &[1], &[5, 2]] {
        assert_eq!(frames(octets, cuts), (expected.to_vec(), None));
    }
}
