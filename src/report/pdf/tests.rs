//! What stands where on paper, and that what is written is a document whose text can be read back.

use std::process::{Command, Stdio};

use super::super::tests::month;
use super::super::{ReportError, ReportFormat};
use super::*;
use crate::reporting::typeface;

#[test]
fn everything_is_on_a_page_in_the_order_of_reading() {
    let Some(typeface) = font() else { return };
    let report = month();
    for language in Language::ALL {
        let pages = laid_out(&report, language, &typeface.face());
        assert!(pages.len() > 1, "a month is longer than a page");
        let mut read = Vec::new();
        for marks in &pages {
            let mut y_before = 0.0;
            for mark in marks {
                let (top, bottom) = match mark {
                    Mark::Text { x, y, text, .. } => {
                        assert!((MARGIN..PAGE.0 - MARGIN).contains(x), "{text} at {x}");
                        read.push(text.as_str());
                        (*y, *y)
                    }
                    Mark::Rule { y } => (*y, *y),
                    Mark::Picture { y, .. } => (*y, *y + WIDE * chart::SIZE.1 as f32 / chart::SIZE.0 as f32),
                };
                assert!(top >= y_before - ROW && bottom <= PAGE.1 - MARGIN + 1.0, "{mark:?} after {y_before}");
                y_before = top;
            }
        }
        let headings: Vec<&str> = sections(&report, language).iter().map(|section| section.title).collect();
        let found: Vec<&str> = read.iter().filter(|text| headings.contains(text)).copied().collect();
        let mut rest = found.into_iter();
        for heading in headings {
            assert!(rest.any(|text| text == heading), "{heading} has no place after those before it");
        }
        for section in sections(&report, language) {
            for name in section.grids.iter().flat_map(|grid| &grid.head).filter(|name| !name.is_empty()) {
                assert!(is_written(name, &read), "{name:?} is cut off");
            }
        }
    }
}

/// Whether a text stands there whole, on one line or on several.
fn is_written(text: &str, lines: &[&str]) -> bool {
    let mut begun = lines.iter().filter_map(|line| text.strip_prefix(line)).filter(|rest| rest.len() < text.len());
    text.is_empty() || begun.any(|rest| is_written(rest.trim_start(), lines))
}

#[test]
fn what_is_written_can_be_read_back() {
    let Some(typeface) = font() else { return };
    for language in Language::ALL {
        let bytes = pdf(&month(), language, &typeface).expect("a document");
        // To be looked at.
        if let Ok(folder) = std::env::var("CALMLINE_REPORT_OUT") {
            let file = std::path::Path::new(&folder).join(format!("month.{}.pdf", language.name()));
            std::fs::write(file, &bytes).expect("written");
        }
        assert!(bytes.starts_with(b"%PDF-1.") && bytes.ends_with(b"%%EOF"), "no document");
        assert_eq!(pdf(&month(), language, &typeface).expect("again"), bytes, "the same report is the same file");
        let Some(text) = text_of(&bytes) else {
            skipped("pdftotext of poppler-utils is not there");
            return;
        };
        if language == Language::En || typeface.has_han() {
            for word in [title(language), "2026-11-01", "after-sales"] {
                assert!(text.contains(word), "no {word} in {text}");
            }
        }
    }
}

#[test]
fn a_long_text_is_broken_where_it_may_be() {
    let Some(typeface) = font() else { return };
    let face = typeface.face();
    let note = "Calls with high anger. Calm: low anger at the end, which is said of callers alone.";
    let broken = lines(&face, note, 10.0, 120.0);
    assert!(broken.len() > 2 && broken.iter().all(|line| width(&face, line, 10.0) <= 120.0), "{broken:?}");
    assert_eq!(broken.join(" "), note);
    let han = "仅高度愤怒的通话平息指结束时愤怒为低";
    assert_eq!(lines(&face, han, 10.0, 50.0).concat(), han);
    assert_eq!(lines(&face, "", 10.0, 50.0), [""]);
}

/// A typeface of this machine; where there is none, the test says so and ends.
fn font() -> Option<Typeface> {
    let typeface = typeface(None).expect("no file is named");
    if typeface.is_none() {
        skipped("this machine has no font");
    }
    typeface
}

/// Boxes for every character are no report: who sees none puts it right, and the report is written then.
#[test]
fn a_font_without_the_signs_of_a_language_is_none() {
    let latin = std::fs::read("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf").ok();
    let Some(latin) = latin.and_then(|bytes| Typeface::new(bytes.into(), 0)) else {
        return skipped("this machine has no font of Latin letters alone");
    };
    assert!(!latin.has_han());
    let written = |language| ReportFormat::Pdf.write(&month(), language, Some(&latin));
    assert!(matches!(written(Language::Zh), Err(ReportError::NoFont)));
    assert!(written(Language::En).is_ok());
}

fn text_of(pdf: &[u8]) -> Option<String> {
    let folder = tempfile::tempdir().ok()?;
    let file = folder.path().join("report.pdf");
    std::fs::write(&file, pdf).ok()?;
    let output = Command::new("pdftotext").arg("-layout").arg(&file).arg("-").stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[expect(clippy::print_stderr, reason = "a skipped test has to be seen")]
fn skipped(why: &str) {
    eprintln!("skipped: {why}");
}
