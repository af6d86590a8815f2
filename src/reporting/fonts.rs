//! The font that printed reports are set in: the file that the configuration names, or one that the system has.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use fontdb::{Database, FaceInfo, Source, Style};
use skrifa::raw::CollectionRef;
use tracing::warn;

use crate::report::Typeface;

/// Families that are preferred where the system has them, the best first. All have Chinese characters.
const PREFERRED: [&str; 6] = [
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Source Han Sans SC",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "Droid Sans Fallback",
];
/// The largest font file that is read, bytes.
const FONT_BYTES_MAX: u64 = 64 << 20;
/// Faces without Chinese characters that are looked into before one of them is taken.
const LOOKED_AT_MAX: usize = 200;

/// What a typeface was asked for by: a file as it was then, or whatever the system has.
type Asked = Option<(PathBuf, Option<SystemTime>)>;

/// The typeface that was taken last, so that fonts are not looked through and read anew with every report.
static TAKEN: Mutex<Option<(Asked, Typeface)>> = Mutex::new(None);

/// The typeface of a file, or where none is named, of the system: one with Chinese characters before any other. Nothing when
/// there is none.
///
/// # Errors
/// When the file cannot be read or is no font.
pub(crate) fn typeface(file: Option<&Path>) -> Result<Option<Typeface>, String> {
    let asked: Asked = file.map(|file| (file.to_owned(), fs::metadata(file).and_then(|found| found.modified()).ok()));
    // Whoever else asks meanwhile waits, and has it then.
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((by, typeface)) = &*taken
        && *by == asked
    {
        return Ok(Some(typeface.clone()));
    }
    let found = match file {
        Some(file) => Some(of_file(file).map_err(|why| format!("reports.font: {}: {why}", file.display()))?),
        None => of_system(),
    };
    // The system may get a better one.
    if let Some(found) = found.as_ref().filter(|found| file.is_some() || found.has_han()) {
        *taken = Some((asked, found.clone()));
    }
    Ok(found)
}

/// The file may hold several: the first with Chinese characters, or else the first.
fn of_file(file: &Path) -> Result<Typeface, String> {
    let bytes = Arc::new(read(file).map_err(|error| error.to_string())?);
    let count = CollectionRef::new(&bytes).map_or(1, |fonts| fonts.len()).min(LOOKED_AT_MAX as u32);
    let mut first = None;
    for typeface in (0..count).filter_map(|index| Typeface::new(Arc::clone(&bytes), index)) {
        if typeface.has_han() {
            return Ok(typeface);
        }
        first = first.or(Some(typeface));
    }
    first.ok_or_else(|| "expected a TrueType or OpenType font with Latin letters, found none".to_owned())
}

fn of_system() -> Option<Typeface> {
    let mut fonts = Database::new();
    fonts.load_system_fonts();
    let mut faces: Vec<&FaceInfo> = fonts.faces().filter(|face| face.style == Style::Normal).collect();
    faces.sort_by_key(|face| (rank(face), face.weight.0.abs_diff(400), face.post_script_name.clone()));
    let mut latin = None;
    for face in faces.into_iter().take(LOOKED_AT_MAX) {
        let Source::File(path) = &face.source else { continue };
        let Ok(bytes) = read(path) else { continue };
        match Typeface::new(Arc::new(bytes), face.index) {
            Some(typeface) if typeface.has_han() => return Some(typeface),
            Some(typeface) => latin = latin.or(Some(typeface)),
            None => {}
        }
    }
    if latin.is_some() {
        warn!("no font with Chinese characters: install one, or name it in reports.font");
    }
    latin
}

fn rank(face: &FaceInfo) -> usize {
    let is_of = |name: &&str| face.families.iter().any(|(family, _)| family == *name);
    PREFERRED.iter().position(is_of).unwrap_or(PREFERRED.len())
}

fn read(file: &Path) -> std::io::Result<Vec<u8>> {
    let bytes = fs::metadata(file)?.len();
    if bytes > FONT_BYTES_MAX {
        return Err(std::io::Error::other(format!("{bytes} bytes, expected at most {FONT_BYTES_MAX}")));
    }
    fs::read(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_font_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("a.ttf");
        let missing = typeface(Some(&file)).expect_err("there is none");
        assert!(missing.starts_with("reports.font: ") && missing.contains("a.ttf"), "{missing}");
        fs::write(&file, "no font").expect("written");
        let wrong = typeface(Some(&file)).expect_err("it is none");
        assert!(wrong.contains("expected a TrueType or OpenType font"), "{wrong}");
    }
}
