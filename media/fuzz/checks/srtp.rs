//! Any datagrams at a receiver: only what our sender has made is taken, once, and it comes out as it went in.
//!
//! Included by the fuzz target and by the test that replays the corpus.

use media::srtp::{MASTER_BYTES_MAX, MasterKey, Receiver, Sender, Suite, TRAILER_BYTES_MAX};

/// Reads the suite from the first octet of `script`, then records: what to do, length of a datagram, the datagram.
///
/// # Panics
/// When something is taken that must not be, or the other way round.
pub fn check(script: &[u8]) {
    let Some((&suite, mut rest)) = script.split_first() else { return };
    let key = MasterKey::from_random(Suite::ALL[usize::from(suite & 3)], &[7; MASTER_BYTES_MAX]);
    let mut pair = (Sender::new(&key), Receiver::new(&key));
    while let Some((&[what, length], after)) = rest.split_first_chunk::<2>() {
        let (datagram, after) = after.split_at(usize::from(length).min(after.len()));
        take(&mut pair, what, datagram);
        rest = after;
    }
}

/// Bit 0 of `what` says that the datagram is a control packet, bit 1 that it comes as it is, bit 2 that one bit of
/// what our sender made of it is changed: the one that the other bits choose.
fn take((sender, receiver): &mut (Sender, Receiver), what: u8, datagram: &[u8]) {
    let is_control = what & 1 != 0;
    let mut uncover = |packet: &mut [u8]| {
        if is_control { receiver.unprotect_control(packet) } else { receiver.unprotect(packet) }
    };
    if what & 2 != 0 {
        uncover(&mut datagram.to_vec()).expect_err("nobody can guess a tag");
        return;
    }

    let mut buffer = [datagram, &[0; TRAILER_BYTES_MAX]].concat();
    let protected = if is_control {
        sender.protect_control(&mut buffer, datagram.len())
    } else {
        sender.protect(&mut buffer, datagram.len())
    };
    let Ok(length) = protected else { return };
    if what & 4 != 0 {
        let mut wrong = buffer[..length].to_vec();
        wrong[usize::from(what >> 3) % length] ^= 1 << (what >> 5);
        uncover(&mut wrong).expect_err("it was changed");
    }
    let mut again = buffer[..length].to_vec();
    assert_eq!(uncover(&mut buffer[..length]), Ok(datagram.len()), "it is authentic and new");
    assert_eq!(buffer[..datagram.len()], *datagram, "it has changed");
    uncover(&mut again).expect_err("it was seen before");
}
