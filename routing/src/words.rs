//! Enums of plain words: one list of their values, one word for each.

/// Gives an enum of plain words its list and its words, as policies and notices write them.
macro_rules! words {
    ($kind:ident: $($variant:ident = $word:literal),+) => {
        impl $kind {
            /// Every one, lowest first.
            pub const ALL: [$kind; [$($word),+].len()] = [$($kind::$variant),+];

            /// The word that policies and notices use.
            pub fn as_str(self) -> &'static str {
                match self {
                    $($kind::$variant => $word),+
                }
            }
        }
    };
}

pub(crate) use words;
