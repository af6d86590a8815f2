//! Quoted strings in the values of SIP headers (RFC 3261 §25.1): where they end, and what lies between. Pure text.

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

/// The parts of `value` between separators that no quoted string encloses; never none.
pub(crate) fn parts(value: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    value.split(move |character| {
        let was_escaped = std::mem::take(&mut is_escaped);
        match character {
            _ if was_escaped => false,
            '\\' => {
                is_escaped = is_quoted;
                false
            }
            '"' => {
                is_quoted = !is_quoted;
                false
            }
            _ => character == separator && !is_quoted,
        }
    })
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

    #[test]
    fn separators_in_quoted_strings_separate_nothing() {
        for (value, expected) in [
            ("", vec![""]),
            ("a;b;;c", vec!["a", "b", "", "c"]),
            ("a;b=\"c;d\";e", vec!["a", "b=\"c;d\"", "e"]),
            ("a=\"b\\\";c\";d", vec!["a=\"b\\\";c\"", "d"]),
            ("a\\;b", vec!["a\\", "b"]),
            ("a=\"b;c", vec!["a=\"b;c"]),
        ] {
            assert_eq!(parts(value, ';').collect::<Vec<_>>(), expected, "{value}");
        }
    }
}
