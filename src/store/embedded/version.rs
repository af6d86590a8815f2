//! Which version wrote a store last: one that is older than that does not touch it.

use super::Embedded;

/// Raised when an older program would take what it reads for something else.
const VERSION: u8 = 2;
/// Where it is noted. Stores of the first version note nothing.
const MARK: &[u8] = b"version";

impl Embedded {
    /// Notes that this version writes the store from now on.
    ///
    /// # Errors
    /// When a later one has, or the store cannot be read or written.
    pub(super) fn note_version(&self) -> Result<(), String> {
        let noted = self.marks.get(MARK)?;
        match noted.as_deref() {
            Some([version]) if *version > VERSION => Err(format!(
                "expected a store of version {VERSION} or earlier, found {version}: made by a later Calmline"
            )),
            Some([VERSION]) => Ok(()),
            _ => self.marks.insert(MARK, [VERSION]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Place;
    use super::*;

    #[test]
    fn what_a_later_version_has_written_is_left_alone() {
        for place in Place::each() {
            let store = place.open();
            store.marks.remove(MARK).expect("written");
            let store = place.open_again(store);
            assert_eq!(store.marks.get(MARK).expect("readable"), Some(vec![VERSION]), "the first one noted nothing");
            store.marks.insert(MARK, [VERSION + 1]).expect("written");
            drop(store);
            let why = place.try_open().expect_err("it is a later one");
            assert!(why.contains("version 2 or earlier, found 3: made by a later Calmline"), "{why}");
        }
    }
}
