//! MIME bodies of SIP messages (RFC 2046 §5.1, RFC 5621): which parts there are, as recorders' clients really write them.
//!
//! Takes parts in any order, lines that end in CRLF or LF, quoted boundaries, headers without a space behind the colon
//! and a body that is cut off after its last part. Decodes nothing: what is not written as it is, is refused.

/// The longest body that is read, bytes.
pub const BYTES_MAX: usize = 128 * 1024;
/// The most parts of a body.
pub const PARTS_MAX: usize = 16;
/// The most header lines of a part.
pub const HEADERS_MAX: usize = 32;
/// The longest boundary (RFC 2046 §5.1.1).
pub const BOUNDARY_MAX: usize = 70;

/// One part of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part<'a> {
    /// Its media type in lower case, without parameters; `text/plain` when it names none (RFC 2046 §5.1).
    pub media_type: String,
    /// What it is for (RFC 2183), in lower case, without parameters; empty when it does not say.
    pub disposition: String,
    /// Its content, without the line break that belongs to the boundary.
    pub content: &'a [u8],
}

/// Why a body cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// More than is read.
    #[error("the body has {found} {unit}, expected at most {limit}")]
    TooLarge {
        /// What was found.
        found: usize,
        /// What is allowed.
        limit: usize,
        /// What was counted.
        unit: &'static str,
    },
    /// No line of the body is a boundary.
    #[error("the body has no line with its boundary {boundary:?}")]
    NoBoundary {
        /// The boundary of the Content-Type header.
        boundary: String,
    },
    /// A part is written in another way than as it is.
    #[error("a part of type {media_type} is written as {encoding}, expected binary, 8bit or 7bit")]
    Encoded {
        /// The part's type.
        media_type: String,
        /// Its Content-Transfer-Encoding.
        encoding: String,
    },
}

/// The media type of a Content-Type value, or the like of a similar header: in lower case, without parameters.
pub fn media_type(value: &str) -> String {
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// The parts of a body, in order. A body that is no multipart one is a single part.
///
/// # Errors
/// When it is larger than is read, when the boundary is not in it, or when a part is encoded.
pub fn parts<'a>(content_type: &str, body: &'a [u8]) -> Result<Vec<Part<'a>>, BodyError> {
    within(body.len(), BYTES_MAX, "bytes")?;
    let whole_type = media_type(content_type);
    if !whole_type.starts_with("multipart/") {
        return Ok(vec![Part { media_type: whole_type, disposition: String::new(), content: body }]);
    }
    // Some senders forget the parameter; the first line that could be a boundary says it then.
    let boundary = boundary(content_type).or_else(|| first_boundary(body)).unwrap_or_default();
    let mut parts = Vec::new();
    let mut open: Option<usize> = None;
    let mut found = false;
    for line in Lines::of(body) {
        let Some(kind) = delimiter(&body[line.start..line.end], &boundary) else { continue };
        found = true;
        if let Some(start) = open.take() {
            within(parts.len() + 1, PARTS_MAX, "parts")?;
            parts.push(part(&body[start..before_line_break(body, line.start).max(start)])?);
        }
        match kind {
            Delimiter::Next => open = Some(line.next),
            Delimiter::Last => break,
        }
    }
    if !found {
        return Err(BodyError::NoBoundary { boundary });
    }
    if let Some(start) = open.filter(|start| *start < body.len()) {
        within(parts.len() + 1, PARTS_MAX, "parts")?;
        parts.push(part(&body[start..])?);
    }
    Ok(parts)
}

/// A parameter's value of a header such as Content-Type, quotes and escapes undone.
fn parameter(value: &str, wanted: &str) -> Option<String> {
    let mut rest = value.split_once(';')?.1;
    loop {
        let (name, after) = rest.split_once('=')?;
        // A parameter without a value may stand in front.
        let name = name.rsplit(';').next().unwrap_or(name).trim();
        let after = after.trim_start();
        let (text, after) = match after.strip_prefix('"') {
            Some(quoted) => unquoted(quoted),
            None => {
                let end = after.find(';').unwrap_or(after.len());
                (after[..end].trim().to_owned(), &after[end..])
            }
        };
        if name.eq_ignore_ascii_case(wanted) {
            return Some(text);
        }
        rest = after.split_once(';')?.1;
    }
}

/// The text up to the closing quote, and what follows it.
fn unquoted(quoted: &str) -> (String, &str) {
    let mut text = String::new();
    let mut escaped = false;
    for (at, letter) in quoted.char_indices() {
        match letter {
            _ if escaped => {
                text.push(letter);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => return (text, &quoted[at + 1..]),
            _ => text.push(letter),
        }
    }
    (text, "")
}

fn boundary(content_type: &str) -> Option<String> {
    let boundary = parameter(content_type, "boundary")?;
    (1..=BOUNDARY_MAX).contains(&boundary.len()).then_some(boundary)
}

fn first_boundary(body: &[u8]) -> Option<String> {
    let lines = Lines::of(body).map(|line| &body[line.start..line.end]);
    let text = lines.filter_map(|line| std::str::from_utf8(line).ok()?.strip_prefix("--"));
    let text = text.map(str::trim_end).find(|text| (1..=BOUNDARY_MAX).contains(&text.len()));
    text.map(str::to_owned)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Delimiter {
    Next,
    Last,
}

/// What a line is when it is a boundary: `--boundary`, with `--` behind it for the last one, and blanks at its end.
fn delimiter(line: &[u8], boundary: &str) -> Option<Delimiter> {
    let rest = line.strip_prefix(b"--")?.strip_prefix(boundary.as_bytes())?;
    match rest.trim_ascii_end() {
        b"" => Some(Delimiter::Next),
        b"--" => Some(Delimiter::Last),
        _ => None,
    }
}

fn part(bytes: &[u8]) -> Result<Part<'_>, BodyError> {
    let mut headers: Vec<(String, String)> = Vec::new();
    let mut content = bytes.len();
    for line in Lines::of(bytes) {
        let text = &bytes[line.start..line.end];
        if text.trim_ascii().is_empty() {
            content = line.next;
            break;
        }
        let text = String::from_utf8_lossy(text);
        match (text.starts_with([' ', '\t']), headers.last_mut(), text.split_once(':')) {
            (true, Some((_, value)), _) => value.push_str(&text),
            (_, _, Some((name, value))) => headers.push((name.trim().to_ascii_lowercase(), value.to_owned())),
            // No header and no empty line: a part that begins with its content.
            (_, _, None) => {
                content = line.start;
                break;
            }
        }
        within(headers.len(), HEADERS_MAX, "header lines in one part")?;
    }
    let value = |wanted: &str| headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.trim());
    let media_type = value("content-type").map_or("text/plain".to_owned(), media_type);
    let encoding = value("content-transfer-encoding").unwrap_or("binary").to_ascii_lowercase();
    if !["binary", "8bit", "7bit"].contains(&encoding.as_str()) {
        return Err(BodyError::Encoded { media_type, encoding });
    }
    let disposition = value("content-disposition").map(crate::multipart::media_type).unwrap_or_default();
    Ok(Part { media_type, disposition, content: &bytes[content..] })
}

/// Where the text in front of a line ends: its own line break belongs to the boundary that follows.
fn before_line_break(body: &[u8], line_start: usize) -> usize {
    let text = &body[..line_start];
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    text.strip_suffix(b"\r").unwrap_or(text).len()
}

fn within(found: usize, limit: usize, unit: &'static str) -> Result<(), BodyError> {
    if found > limit { Err(BodyError::TooLarge { found, limit, unit }) } else { Ok(()) }
}

/// The lines of a body, without their ends.
struct Lines<'a> {
    body: &'a [u8],
    at: usize,
}

/// Where a line stands.
#[derive(Debug, Clone, Copy)]
struct Line {
    start: usize,
    /// One past its last letter.
    end: usize,
    /// Where the next line starts.
    next: usize,
}

impl<'a> Lines<'a> {
    fn of(body: &'a [u8]) -> Lines<'a> {
        Lines { body, at: 0 }
    }
}

impl Iterator for Lines<'_> {
    type Item = Line;

    fn next(&mut self) -> Option<Line> {
        let start = self.at;
        let rest = self.body.get(start..).filter(|rest| !rest.is_empty())?;
        let length = rest.iter().position(|&octet| octet == b'\n');
        self.at = length.map_or(self.body.len(), |length| start + length + 1);
        let end = length.map_or(self.body.len(), |length| start + length);
        let end = if length.is_some() && self.body[start..end].ends_with(b"\r") { end - 1 } else { end };
        Some(Line { start, end, next: self.at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same two parts, however they are written.
    const SDP_THEN_XML: &str = "--b1\r\nContent-Type: application/sdp\r\n\r\nv=0\r\nm=audio\r\n--b1\r\n\
         Content-Type: application/rs-metadata+xml\r\nContent-Disposition: recording-session\r\n\r\n<r/>\r\n--b1--\r\n";

    #[test]
    fn two_parts() {
        check("multipart/mixed;boundary=b1", SDP_THEN_XML);
    }

    #[test]
    fn boundaries_are_quoted_or_among_others_or_left_out() {
        for content_type in [
            "multipart/mixed; boundary=\"b1\"",
            "Multipart/Mixed ; Boundary = b1 ; charset=utf-8",
            "multipart/mixed;type=\"a;boundary=no\";x;boundary=\"b\\1\"",
            "multipart/mixed",
        ] {
            check(content_type, SDP_THEN_XML);
        }
    }

    #[test]
    fn lines_end_as_they_like() {
        check(
            "multipart/mixed;boundary=b1",
            &SDP_THEN_XML.replace("\r\n", "\n").replace("v=0\nm=audio", "v=0\r\nm=audio"),
        );
        let with_more = format!("\r\nfor old readers\r\n{SDP_THEN_XML}and more\r\n--b1\r\n\r\nnot a part\r\n");
        check("multipart/mixed;boundary=b1", &with_more);
        check(
            "multipart/mixed;boundary=b1",
            &SDP_THEN_XML.replace("--b1\r\n", "--b1  \r\n").replace("--b1--", "--b1-- "),
        );
    }

    #[test]
    fn headers_are_written_as_they_are() {
        let written = SDP_THEN_XML
            .replace("Content-Type: ", "CONTENT-type:")
            .replace("recording-session", "recording-session;\r\n handling=required\r\nContent-Length: 4");
        check("multipart/mixed;boundary=b1", &written);
    }

    #[test]
    fn a_body_that_is_cut_off_has_its_last_part() {
        check("multipart/mixed;boundary=b1", SDP_THEN_XML.strip_suffix("\r\n--b1--\r\n").expect("it ends so"));
    }

    #[test]
    fn a_boundary_is_a_whole_line() {
        let body = "--b\r\n\r\n--bb\r\n x --b\r\n--b--\r\n";
        let parts = parts("multipart/mixed;boundary=b", body.as_bytes()).expect("one part");
        let found = parts.iter().map(|part| (part.media_type.as_str(), part.content)).collect::<Vec<_>>();
        assert_eq!(found, [("text/plain", &b"--bb\r\n x --b"[..])]);
    }

    #[test]
    fn one_type_is_one_part() {
        let parts = parts("Application/SDP;x=1", b"v=0").expect("one part");
        let found = parts.iter().map(|part| (part.media_type.as_str(), part.content)).collect::<Vec<_>>();
        assert_eq!(found, [("application/sdp", &b"v=0"[..])]);
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        for (content_type, body, expected) in [
            ("multipart/mixed;boundary=x", "--b1\r\n", "the body has no line with its boundary \"x\""),
            (
                "multipart/mixed;boundary=x",
                "--x\r\nContent-Type: a/b\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n--x--",
                "a part of type a/b is written as base64, expected binary, 8bit or 7bit",
            ),
            (
                "multipart/mixed;boundary=x",
                &"--x\r\n\r\na\r\n".repeat(17),
                "the body has 17 parts, expected at most 16",
            ),
            (
                "multipart/mixed;boundary=x",
                &format!("--x\r\n{}\r\n", "a: b\r\n".repeat(33)),
                "the body has 33 header lines in one part, expected at most 32",
            ),
            ("a/b", &"a".repeat(BYTES_MAX + 1), "the body has 131073 bytes, expected at most 131072"),
        ] {
            let error = parts(content_type, body.as_bytes()).expect_err("not readable");
            assert_eq!(error.to_string(), expected);
        }
    }

    #[track_caller]
    fn check(content_type: &str, body: &str) {
        let parts = parts(content_type, body.as_bytes()).expect("two parts");
        let expected =
            [("application/sdp", "", "v=0\r\nm=audio"), ("application/rs-metadata+xml", "recording-session", "<r/>")];
        let found: Vec<(&str, &str, &str)> = parts
            .iter()
            .map(|part| (&*part.media_type, &*part.disposition, std::str::from_utf8(part.content).expect("text")))
            .collect();
        assert_eq!(found, expected, "{content_type}\n{body}");
    }
}
