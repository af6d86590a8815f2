//! Puts a file in the place of another one so that there is always one of them, whole, and the other can come back.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::durable::{beside, folder_of, sync_folder, write_whole};

/// A file that was put in the place of another one, while it is tried. Dropped without a word, it stays as it is.
#[derive(Debug)]
pub struct Swap {
    path: PathBuf,
    /// Where the one before waits; `None` when there was none.
    before: Option<PathBuf>,
}

/// What one goes back to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before<'t> {
    /// What was in the file.
    File,
    /// What was in force, whatever was in the file; nothing where nothing was.
    InForce(Option<&'t str>),
}

impl<'t> Before<'t> {
    fn text(self) -> Option<&'t str> {
        match self {
            Before::File => None,
            Before::InForce(text) => text,
        }
    }
}

impl Swap {
    /// Puts `text` at `path`, written to the disk before anything gives way to it.
    ///
    /// # Errors
    /// When it cannot be written; then everything is as before.
    pub fn make(path: &Path, text: &str) -> io::Result<Swap> {
        let (before, mode) = match fs::read(path) {
            Ok(old) => {
                let aside = beside(path, "aside");
                // Whoever may read the file may read what comes of it.
                let mode = fs::metadata(path)?.permissions().mode() & PERMISSION_BITS;
                write_whole(&aside, &old, Some(mode))?;
                (Some(aside), Some(mode))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => (None, None),
            Err(error) => return Err(error),
        };
        let swap = Swap { path: path.to_owned(), before };
        if let Err(error) = write_whole(path, text.as_bytes(), mode) {
            // It may be in its place all the same, with a folder that the disk did not take.
            let _ = swap.undo();
            return Err(error);
        }
        Ok(swap)
    }

    /// It stays; `before` can be had by `previous`. What was in the file and is not that lies beside it, with `edited` as its
    /// extension: nobody's work is lost.
    ///
    /// # Errors
    /// When that cannot be kept; the new one stays all the same.
    pub fn keep(self, before: Before<'_>) -> io::Result<()> {
        let previous = beside(&self.path, "previous");
        let Some(aside) = self.before else {
            return before.text().map_or(Ok(()), |text| write_whole(&previous, text.as_bytes(), None));
        };
        let file = fs::read(&aside)?;
        let is_file = |text: &str| file == text.as_bytes();
        if before == Before::File || before.text().is_some_and(is_file) {
            fs::rename(aside, previous)?;
        } else {
            let mode = fs::metadata(&aside)?.permissions().mode() & PERMISSION_BITS;
            before.text().map_or(Ok(()), |text| write_whole(&previous, text.as_bytes(), Some(mode)))?;
            fs::rename(aside, beside(&self.path, "edited"))?;
        }
        sync_folder(folder_of(&self.path))
    }

    /// What was before comes back.
    ///
    /// # Errors
    /// When it cannot be put back; it waits beside the file then, with `aside` as its extension.
    pub fn undo(self) -> io::Result<()> {
        match self.before {
            Some(aside) => fs::rename(aside, &self.path)?,
            None => fs::remove_file(&self.path)?,
        }
        sync_folder(folder_of(&self.path))
    }

    /// The version before the one at `path`, when it is kept.
    pub fn previous(path: &Path) -> Option<PathBuf> {
        Some(beside(path, "previous")).filter(|previous| previous.is_file())
    }
}

/// Of a file's mode, what says who may do what.
const PERMISSION_BITS: u32 = 0o777;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_that_was_never_in_force_is_not_what_one_goes_back_to() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("own.toml");
        let kept = |extension: &str| fs::read_to_string(beside(&path, extension)).ok();
        Swap::make(&path, "one").expect("written").keep(Before::File).expect("kept");
        Swap::make(&path, "two").expect("written").keep(Before::InForce(Some("one"))).expect("kept");
        assert_eq!((kept("previous").as_deref(), kept("edited")), (Some("one"), None), "the file was in force");
        fs::write(&path, "an edit").expect("written");
        Swap::make(&path, "three").expect("written").keep(Before::InForce(Some("two"))).expect("kept");
        assert_eq!((kept("previous").as_deref(), kept("edited").as_deref()), (Some("two"), Some("an edit")));
        fs::write(&path, "another").expect("written");
        Swap::make(&path, "four").expect("written").keep(Before::InForce(None)).expect("kept");
        assert_eq!((kept("previous").as_deref(), kept("edited").as_deref()), (Some("two"), Some("another")));
        fs::remove_file(&path).expect("removed");
        Swap::make(&path, "four").expect("written").keep(Before::InForce(Some("three"))).expect("kept");
        assert_eq!(kept("previous").as_deref(), Some("three"), "in force, though its file was gone");
    }

    #[test]
    fn what_was_before_comes_back_or_is_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("own.toml");
        let now = || fs::read_to_string(&path).ok();
        let kept = || Swap::previous(&path).and_then(|previous| fs::read_to_string(previous).ok());

        Swap::make(&path, "one").expect("written").undo().expect("removed");
        assert_eq!((now(), kept()), (None, None), "there was nothing before");
        Swap::make(&path, "one").expect("written").keep(Before::File).expect("kept");
        assert_eq!((now().as_deref(), kept()), (Some("one"), None));
        Swap::make(&path, "two").expect("written").undo().expect("put back");
        assert_eq!((now().as_deref(), kept()), (Some("one"), None));
        Swap::make(&path, "two").expect("written").keep(Before::File).expect("kept");
        assert_eq!((now().as_deref(), kept().as_deref()), (Some("two"), Some("one")));
        let left = fs::read_dir(folder.path()).expect("a folder").count();
        assert_eq!(left, 2, "nothing else lies about");
        Swap::make(&folder.path().join("none/own.toml"), "one").expect_err("no such folder");
    }
}
