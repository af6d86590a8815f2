//! Quoted strings in the values of SIP headers (RFC 3261 §25.1): where they end. Pure text.

/// What follows the closing quote of a quoted string whose opening quote is gone; nothing when it never closes.
pub(crate) fn after_quote(quoted: &str) -> Option<&str> {
    let mut escaped = false;
    for (at, character) in quoted.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(&quoted[at + 1..]),
            _ => {}
        }
    }
    None
}

/// Whether every quoted string in `value` closes.
pub(crate) fn closes_its_quotes(value: &str) -> bool {
    let mut rest = value;
    while let Some((_, quoted)) = rest.split_once('"') {
        let Some(after) = after_quote(quoted) else { return false };
        rest = after;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_quoted_strings_end() {
        for (quoted, after) in [
            ("Li\" <sip:a@b>", Some(" <sip:a@b>")),
            ("a \\\" b\"c", Some("c")),
            ("a \\\\\"c", Some("c")),
            ("a \\\"", None),
            ("", None),
        ] {
            assert_eq!(after_quote(quoted), after, "{quoted}");
        }
        for (value, closes) in
            [("", true), ("a;b=c", true), ("\"a\" \"b;\\\"\"", true), ("\"a\" \"", false), ("a\"b\\\"", false)]
        {
            assert_eq!(closes_its_quotes(value), closes, "{value}");
        }
    }
}
