//! What is wrong with the configuration: in which file, at which key, what stands there, what should.

use std::fmt;
use std::path::{Path, PathBuf};

/// One fault. Readers report all they can find, not only the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The file it is in.
    pub file: PathBuf,
    /// The key, e.g. `media.ports` or `route[2].targets` (the second route).
    pub key: String,
    /// What stands there, as written, shortened; `nothing` when the key is missing.
    pub found: String,
    /// What should stand there, in words.
    pub expected: String,
}

impl Fault {
    /// A fault of a reader that knows no files.
    pub(crate) fn inside(file: &Path, fault: routing::Fault) -> Fault {
        Fault { file: file.to_owned(), key: fault.key, found: fault.found, expected: fault.expected }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: found {}, expected {}", self.file.display(), self.key, self.found, self.expected)
    }
}

impl std::error::Error for Fault {}
