//! The font that printed reports are set in: the file that the configuration names, or one that the system has.

use std::fs;
use std::path::Path;

use fontdb::{Database, FaceInfo, Source, Style};
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
/// Fonts without Chinese characters that are looked into before one of them is taken.
const LOOKED_AT_MAX: usize = 200;

/// The typeface of a file, or where none is named, of the system: one with Chinese characters before any other. Nothing when
/// there is none.
///
/// # Errors
/// When the file cannot be read or is no font.
pub(crate) fn typeface(file: Option<&Path>) -> Result<Option<Typeface>, String> {
    let Some(file) = file else { return Ok(of_system()) };
    let in_file = |why: &dyn std::fmt::Display| format!("reports.font: {}: {why}", file.display());
    // The file may hold several: the first with Chinese characters, or else the first.
    let faces = faces_in(file).map_err(|error| in_file(&error))?;
    let han = faces.iter().find(|typeface| typeface.has_han()).or(faces.first()).cloned();
    han.map(Some).ok_or_else(|| in_file(&"expected a TrueType or OpenType font with Latin letters, found none"))
}

fn faces_in(file: &Path) -> std::io::Result<Vec<Typeface>> {
    let bytes = read(file)?;
    let count = ttf_parser::fonts_in_collection(&bytes).unwrap_or(1);
    Ok((0..count).filter_map(|index| Typeface::new(bytes.clone(), index)).collect())
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
        match Typeface::new(bytes, face.index) {
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
    PREFERRED.iter().position(|name| is_of(name)).unwrap_or(PREFERRED.len())
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
