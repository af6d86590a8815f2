//! Where a package is put together, and how it takes the place of the one that may be in use: whole, or not at all.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::package::{MANIFEST, Package, PackageError};

/// What the folders end in, in which packages are put together.
pub(super) const NEW: &str = ".new";

/// The folder of models in which the package of this name is put together.
pub(super) fn beside(models: &Path, name: &str) -> PathBuf {
    models.join(format!("{name}{NEW}"))
}

/// An empty place to put a package together, made of `sources`, none of which may lie where it is to go.
///
/// # Errors
/// What lies in the way.
pub(super) fn fresh(models: &Path, name: &str, sources: &[&Path]) -> Result<PathBuf, PackageError> {
    let (place, folder) = (models.join(name), beside(models, name));
    check(&place)?;
    for source in sources {
        let real = fs::canonicalize(source).map_err(PackageError::file(source))?;
        for own in [&place, &folder] {
            if fs::canonicalize(own).is_ok_and(|own| real.starts_with(own)) {
                let expected = format!("a model elsewhere than where it is to go ({})", place.display());
                return Err(PackageError::wrong(source, expected, "one in the place itself"));
            }
        }
    }
    if folder.exists() {
        // Left by one that was cut off.
        fs::remove_dir_all(&folder).map_err(PackageError::file(&folder))?;
    }
    Ok(folder)
}

/// Checks that nothing but a package may be replaced.
///
/// # Errors
/// What is there.
pub(super) fn check(place: &Path) -> Result<(), PackageError> {
    if place.exists() && !place.join(MANIFEST).is_file() {
        return Err(PackageError::wrong(place, "a package or nothing: move it away", format!("no {MANIFEST} in it")));
    }
    Ok(())
}

/// Puts a package that is whole in its place, and removes the one that was there.
///
/// # Errors
/// What the system says.
pub(super) fn put(package: Package) -> Result<Package, PackageError> {
    let place = package.folder.with_file_name(&package.manifest.name);
    check(&place)?;
    if place.exists() {
        swap(&package.folder, &place).map_err(PackageError::file(&place))?;
    } else {
        fs::rename(&package.folder, &place).map_err(PackageError::file(&place))?;
    }
    Ok(Package { folder: place, ..package })
}

/// Puts `new` in the place of `old`, which is no more.
fn swap(new: &Path, old: &Path) -> io::Result<()> {
    match renameat_with(CWD, new, CWD, old, RenameFlags::EXCHANGE) {
        Ok(()) => fs::remove_dir_all(new),
        // Not every file system can exchange two folders at once.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            fs::remove_dir_all(old).and_then(|()| fs::rename(new, old))
        }
        Err(error) => Err(error.into()),
    }
}

/// Removes all files of a folder that are not to be kept, and folders that are empty then.
///
/// # Errors
/// What the system says.
pub(super) fn prune(folder: &Path, is_kept: &dyn Fn(&Path) -> bool) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            prune(&path, is_kept)?;
            if fs::read_dir(&path)?.next().is_none() {
                fs::remove_dir(&path)?;
            }
        } else if !is_kept(&path) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}
