//! What is wrong with a text that an operator wrote: where, what stands there, what should.

use std::fmt;

/// One fault in a configuration text. A reader reports all it can find, not only the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The key, e.g. `rule[2].when.level` (the second rule), or `line 4, column 7` when the text is not TOML.
    pub key: String,
    /// What stands there, as written, shortened; `nothing` when the key is missing.
    pub found: String,
    /// What should stand there, in words.
    pub expected: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: found {}, expected {}", self.key, self.found, self.expected)
    }
}
