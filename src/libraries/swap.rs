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

    /// It stays; what was before can be had by `previous`.
    ///
    /// # Errors
    /// When that cannot be kept; the new one stays all the same.
    pub fn keep(self) -> io::Result<()> {
        match self.before {
            Some(aside) => {
                fs::rename(aside, beside(&self.path, "previous"))?;
                sync_folder(folder_of(&self.path))
            }
            None => Ok(()),
        }
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
    fn what_was_before_comes_back_or_is_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("own.toml");
        let now = || fs::read_to_string(&path).ok();
        let kept = || Swap::previous(&path).and_then(|previous| fs::read_to_string(previous).ok());

        Swap::make(&path, "one").expect("written").undo().expect("removed");
        assert_eq!((now(), kept()), (None, None), "there was nothing before");
        Swap::make(&path, "one").expect("written").keep().expect("kept");
        assert_eq!((now().as_deref(), kept()), (Some("one"), None));
        Swap::make(&path, "two").expect("written").undo().expect("put back");
        assert_eq!((now().as_deref(), kept()), (Some("one"), None));
        Swap::make(&path, "two").expect("written").keep().expect("kept");
        assert_eq!((now().as_deref(), kept().as_deref()), (Some("two"), Some("one")));
        let left = fs::read_dir(folder.path()).expect("a folder").count();
        assert_eq!(left, 2, "nothing else lies about");
        Swap::make(&folder.path().join("none/own.toml"), "one").expect_err("no such folder");
    }
}
