//! Texts that are said to callers, with names in braces that stand for what is known of the call.
//!
//! Only the text: speaking it is not done here.

/// The names in braces, in order.
pub fn variables(text: &str) -> impl Iterator<Item = &str> {
    pieces(text).filter_map(|piece| match piece {
        Piece::Variable(name) => Some(name),
        Piece::Words(_) => None,
    })
}

/// The text with what `lookup` knows in place of each name; what it does not know is left out.
pub fn fill(text: &str, lookup: impl Fn(&str) -> Option<String>) -> String {
    let spoken = |piece| match piece {
        Piece::Words(words) => words.to_owned(),
        Piece::Variable(name) => lookup(name).unwrap_or_default(),
    };
    pieces(text).map(spoken).collect()
}

/// Whether every brace opens or closes a name that a header can have, at most 64 letters.
pub(crate) fn is_well_formed(text: &str) -> bool {
    let named = |name: &str| {
        (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    pieces(text).all(|piece| match piece {
        Piece::Words(words) => !words.contains(['{', '}']),
        Piece::Variable(name) => named(name),
    })
}

#[derive(Debug, Clone, Copy)]
enum Piece<'a> {
    Words(&'a str),
    Variable(&'a str),
}

fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let name = rest.strip_prefix('{').and_then(|after| after.split_once('}'));
        if let Some((name, after)) = name {
            rest = after;
            return Some(Piece::Variable(name));
        }
        // A brace that never closes is part of the words.
        let open = rest.char_indices().skip(1).find(|(_, letter)| *letter == '{').map_or(rest.len(), |(at, _)| at);
        let (words, after) = rest.split_at(open);
        rest = after;
        Some(Piece::Words(words))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_filled_in() {
        check("Hello", &[], "Hello");
        check("", &[], "");
        check("{X-Name}您好", &["X-Name"], "李您好");
        check("Dear {X-Name}, case {X-Case} of {X-Name}.", &["X-Name", "X-Case", "X-Name"], "Dear 李, case  of 李.");
        check("{X-Name}{X-Name}", &["X-Name", "X-Name"], "李李");
    }

    #[test]
    fn braces_must_fit() {
        for text in ["Hello", "{X-Name}您好", "a {b} c"] {
            assert!(is_well_formed(text), "{text}");
        }
        for text in ["{", "}", "a { b", "a } b", "{}", "{a b}", "{{a}}", "{名}", "您{"] {
            assert!(!is_well_formed(text), "{text}");
        }
    }

    #[track_caller]
    fn check(text: &str, names: &[&str], filled: &str) {
        assert_eq!(variables(text).collect::<Vec<_>>(), names);
        assert_eq!(fill(text, |name| (name == "X-Name").then(|| "李".to_owned())), filled);
    }
}
