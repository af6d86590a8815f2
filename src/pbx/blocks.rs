//! Cuts a stream of octets into blocks of `Name: value` lines that end with an empty line, with a body where one is told.
//!
//! AMI and ESL both speak in such blocks. Lines may end with CRLF or LF.

/// What has come and is not yet a whole block.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    octets: Vec<u8>,
    /// How far `octets` is known to hold no empty line.
    searched: usize,
}

/// One block.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Block {
    fields: Vec<(String, String)>,
    /// As many octets as `Content-Length` said, as text.
    pub(super) body: String,
}

impl Block {
    /// The first value of a name; case does not matter.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(each, _)| each.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// A block is longer than `BLOCK_OCTETS_MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than {BLOCK_OCTETS_MAX} octets without an end: this is not the protocol, or not a PBX")]
pub(super) struct TooLong;

impl Blocks {
    /// Takes in octets as they come.
    pub(super) fn push(&mut self, octets: &[u8]) {
        self.octets.extend_from_slice(octets);
    }

    /// The next whole block.
    pub(super) fn next(&mut self) -> Result<Option<Block>, TooLong> {
        // Empty lines in front of a block say nothing.
        let blank = self.octets.iter().take_while(|&&octet| octet == b'\r' || octet == b'\n').count();
        self.octets.drain(..blank);
        self.searched = self.searched.saturating_sub(blank);

        let Some(end) = self.end_of_lines() else {
            return if self.octets.len() > BLOCK_OCTETS_MAX { Err(TooLong) } else { Ok(None) };
        };
        let mut block = read_lines(&String::from_utf8_lossy(&self.octets[..end]));
        let body = block.value("Content-Length").and_then(|value| value.trim().parse().ok()).unwrap_or(0);
        if end > BLOCK_OCTETS_MAX || body > BLOCK_OCTETS_MAX {
            return Err(TooLong);
        }
        let Some(octets) = self.octets.get(end..end + body) else { return Ok(None) };
        block.body = String::from_utf8_lossy(octets).into_owned();
        self.octets.drain(..end + body);
        self.searched = 0;
        Ok(Some(block))
    }

    /// Where the lines end, the empty one included.
    fn end_of_lines(&mut self) -> Option<usize> {
        let from = self.searched;
        let found = (from..self.octets.len()).find_map(|at| {
            let rest = &self.octets[at..];
            let ends = [&b"\n\r\n"[..], b"\n\n"];
            ends.iter().find(|end| rest.starts_with(end)).map(|end| at + end.len())
        });
        if found.is_none() {
            self.searched = self.octets.len().saturating_sub(2);
        }
        found
    }
}

fn read_lines(text: &str) -> Block {
    let field = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.trim().to_owned(), value.trim().to_owned()))
    };
    Block { fields: text.lines().filter_map(field).take(FIELDS_MAX).collect(), body: String::new() }
}

/// The longest block, and the longest body.
const BLOCK_OCTETS_MAX: usize = 64 << 10;
/// The most lines of a block that are looked at.
const FIELDS_MAX: usize = 500;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_and_bodies() {
        let mut blocks = Blocks::default();
        blocks.push(
            b"Asterisk Call Manager/9\r\nResponse: Success\r\nMessage: a: b\r\n\r\nContent-Length: 4\n\n+OK\nX: 1\n\n",
        );
        let first = blocks.next().expect("short").expect("whole");
        assert_eq!((first.value("response"), first.value("Message")), (Some("Success"), Some("a: b")));
        assert_eq!(blocks.next().expect("short").expect("whole").body, "+OK\n");
        assert_eq!(blocks.next().expect("short").expect("whole").value("X"), Some("1"));
        assert_eq!(blocks.next(), Ok(None));
    }

    #[test]
    fn endless_blocks_are_refused() {
        let mut blocks = Blocks::default();
        blocks.push(&vec![b'a'; BLOCK_OCTETS_MAX + 1]);
        assert_eq!(blocks.next(), Err(TooLong));
        let mut blocks = Blocks::default();
        blocks.push(b"Content-Length: 99999999999\n\n");
        assert_eq!(blocks.next(), Err(TooLong));
    }

    proptest! {
        /// However a stream is cut into packets, the same blocks come out.
        #[test]
        fn cuts_make_no_difference(
            octets in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b':'), any::<u8>()], 0..300),
            cuts in proptest::collection::vec(1_usize..40, 1..20),
        ) {
            let all = |blocks: &mut Blocks| std::iter::from_fn(|| blocks.next().ok().flatten()).collect::<Vec<_>>();
            let mut whole = Blocks::default();
            whole.push(&octets);
            let expected = all(&mut whole);
            let (mut cut, mut got, mut rest) = (Blocks::default(), Vec::new(), &octets[..]);
            for length in cuts.iter().cycle() {
                let (packet, later) = rest.split_at((*length).min(rest.len()));
                cut.push(packet);
                got.extend(all(&mut cut));
                rest = later;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(got, expected);
        }
    }
}
