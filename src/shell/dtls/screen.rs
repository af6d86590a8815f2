//! A look at a datagram before the DTLS library sees it: whole records, handshake fragments that fit their message.
//!
//! The library puts fragments together by recursion and does not count them, so nobody may bring it ever more of them.

/// Octets of a record's header (RFC 6347 §4.1).
const RECORD_HEADER_BYTES: usize = 13;
/// Octets of a handshake fragment's header (RFC 6347 §4.2.2).
const FRAGMENT_HEADER_BYTES: usize = 12;
/// The longest handshake message that is taken; certificate chains are far shorter.
const MESSAGE_BYTES_MAX: usize = 16 * 1024;
/// The longest datagram that is taken, octets.
const DATAGRAM_BYTES_MAX: usize = 2048;

const CHANGE_CIPHER_SPEC: u8 = 20;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;

const CLIENT_HELLO: u8 = 1;
const RANDOM_BYTES: usize = 32;

/// What can be seen of a datagram from outside.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Glance {
    /// The handshake fragments that can be read.
    pub(super) fragments: Vec<Fragment>,
    /// Whether there is anything else in it.
    pub(super) has_more: bool,
    /// The random octets of a hello that opens a handshake.
    pub(super) hello: Option<[u8; RANDOM_BYTES]>,
}

/// A piece of a handshake message. Whoever says it again names it the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Fragment {
    /// The message's number in its sender's handshake.
    pub(super) message: usize,
    offset: usize,
    length: usize,
}

/// Looks at a datagram; `None` when it is not DTLS as we speak it.
pub(super) fn glance(datagram: &[u8]) -> Option<Glance> {
    if datagram.is_empty() || datagram.len() > DATAGRAM_BYTES_MAX {
        return None;
    }
    let (mut rest, mut glance) = (datagram, Glance::default());
    while !rest.is_empty() {
        let header = rest.first_chunk::<RECORD_HEADER_BYTES>()?;
        let length = usize::from(u16::from_be_bytes([header[11], header[12]]));
        let is_known = (CHANGE_CIPHER_SPEC..=APPLICATION_DATA).contains(&header[0]) && header[1] == 0xfe;
        let body = rest.get(RECORD_HEADER_BYTES..RECORD_HEADER_BYTES + length).filter(|_| is_known)?;
        // In later epochs the body is encrypted, and what comes out of it is authentic.
        let is_readable = header[3..5] == [0, 0];
        if header[0] == HANDSHAKE && is_readable {
            read_fragments(body, &mut glance)?;
        } else {
            glance.has_more = true;
        }
        rest = &rest[RECORD_HEADER_BYTES + length..];
    }
    Some(glance)
}

fn read_fragments(body: &[u8], glance: &mut Glance) -> Option<()> {
    let mut rest = body;
    while !rest.is_empty() {
        let header = rest.first_chunk::<FRAGMENT_HEADER_BYTES>()?;
        let [whole, offset, length] = [1, 6, 9].map(|at| number(&header[at..at + 3]));
        if whole > MESSAGE_BYTES_MAX || offset + length > whole || (length == 0 && whole > 0) {
            return None;
        }
        let body = rest.get(FRAGMENT_HEADER_BYTES..FRAGMENT_HEADER_BYTES + length)?;
        let message = number(&header[4..6]);
        glance.fragments.push(Fragment { message, offset, length });
        if (header[0], message, offset) == (CLIENT_HELLO, 0, 0) {
            // The version stands before it.
            glance.hello = body.get(2..).and_then(|body| body.first_chunk()).copied();
        }
        rest = &rest[FRAGMENT_HEADER_BYTES + length..];
    }
    Some(())
}

fn number(octets: &[u8]) -> usize {
    octets.iter().fold(0, |number, &octet| number << 8 | usize::from(octet))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken() {
        check(&[record(22, 0, &[fragment(40, 0, 40)])], Some((1, false)));
        check(&[record(22, 0, &[fragment(40, 0, 10)]), record(22, 0, &[fragment(40, 10, 30)])], Some((2, false)));
        check(&[record(22, 0, &[fragment(0, 0, 0), fragment(5, 0, 5)])], Some((2, false)));
        check(&[record(20, 0, &[vec![1]]), record(22, 1, &[vec![0xff; 40]])], Some((0, true)));
        check(&[record(21, 0, &[vec![2, 40]]), record(23, 1, &[vec![0; 9]])], Some((0, true)));
    }

    #[test]
    fn a_hello_shows_its_random_octets() {
        let hello = record(22, 0, &[fragment(60, 0, 60)]);
        assert_eq!(glance(&hello).and_then(|glance| glance.hello), Some([7; RANDOM_BYTES]));
        let cut = record(22, 0, &[fragment(60, 0, 20)]);
        assert_eq!(glance(&cut).map(|glance| glance.hello), Some(None));
    }

    #[test]
    fn what_is_not() {
        check(&[], None);
        check(&[vec![0x80; 172]], None);
        check(&[record(24, 0, &[])], None);
        check(&[record(22, 0, &[fragment(40, 0, 40)])[..50].to_vec()], None);
        check(&[record(22, 0, &[fragment(40, 1, 40)])], None);
        check(&[record(22, 0, &[fragment(40, 0, 0)])], None);
        check(&[record(22, 0, &[fragment(MESSAGE_BYTES_MAX + 1, 0, 40)])], None);
        check(&[record(22, 0, &[fragment(40, 0, 40)[..30].to_vec()])], None);
        check(&[record(23, 1, &[vec![0; DATAGRAM_BYTES_MAX]])], None);
    }

    fn record(content: u8, epoch: u8, parts: &[Vec<u8>]) -> Vec<u8> {
        let body = parts.concat();
        let length = (body.len() as u16).to_be_bytes();
        [&[content, 0xfe, 0xfd, 0, epoch, 0, 0, 0, 0, 0, 0, length[0], length[1]], &body[..]].concat()
    }

    fn fragment(length: usize, offset: usize, here: usize) -> Vec<u8> {
        let [length, offset, field] = [length, offset, here].map(|number| (number as u32).to_be_bytes());
        [&[1], &length[1..], &[0, 0], &offset[1..], &field[1..], &vec![7; here][..]].concat()
    }

    #[track_caller]
    fn check(records: &[Vec<u8>], expected: Option<(usize, bool)>) {
        let got = glance(&records.concat()).map(|glance| (glance.fragments.len(), glance.has_more));
        assert_eq!(got, expected);
    }
}
