//! A session description on its way through the program.

use std::fmt;
use std::ops::Deref;

/// A session description as text. It may hold keys (`a=crypto`, RFC 4568) and passwords (`a=ice-pwd`), so it never
/// prints itself.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Description(String);

impl From<String> for Description {
    fn from(text: String) -> Description {
        Description(text)
    }
}

impl From<&str> for Description {
    fn from(text: &str) -> Description {
        Description(text.to_owned())
    }
}

impl Deref for Description {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Description({} octets)", self.0.len())
    }
}
