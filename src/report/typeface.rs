//! The typeface of printed reports: what a font file says of widths, and which signs it has.
//!
//! No shaping: signs stand beside one another as wide as the font says, which is all that Han characters and Latin letters need.

use std::sync::Arc;

use skrifa::charmap::Charmap;
use skrifa::instance::{LocationRef, Size};
use skrifa::metrics::GlyphMetrics;
use skrifa::{FontRef, GlyphId, MetadataProvider};

/// Signs of both languages that a typeface has to have.
const HAN: &str = "通话情绪报告";
const LATIN: &str = "Report 0123456789";

/// One face of a font file.
#[derive(Clone)]
pub struct Typeface {
    bytes: Arc<Vec<u8>>,
    index: u32,
}

impl std::fmt::Debug for Typeface {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Typeface({} bytes, face {})", self.bytes.len(), self.index)
    }
}

impl Typeface {
    /// Takes up one face of a font file; nothing when it has none of that number, or no letters.
    pub fn new(bytes: Arc<Vec<u8>>, index: u32) -> Option<Typeface> {
        let own = Self { bytes, index };
        let usable = Face::new(&own.bytes, index).is_some_and(|face| has(&face, LATIN));
        usable.then_some(own)
    }

    /// Whether it has Han characters.
    pub fn has_han(&self) -> bool {
        has(&self.face(), HAN)
    }

    pub(super) fn bytes(&self) -> Arc<Vec<u8>> {
        Arc::clone(&self.bytes)
    }

    pub(super) fn index(&self) -> u32 {
        self.index
    }

    pub(super) fn face(&self) -> Face<'_> {
        Face::new(&self.bytes, self.index).expect("it was read before")
    }
}

/// What a font says of its signs.
pub(super) struct Face<'a> {
    signs: Charmap<'a>,
    metrics: GlyphMetrics<'a>,
    units_per_em: f32,
}

impl<'a> Face<'a> {
    /// Nothing when there is no such face, or it has no size.
    fn new(bytes: &'a [u8], index: u32) -> Option<Self> {
        let font = FontRef::from_index(bytes, index).ok()?;
        let units_per_em = f32::from(font.metrics(Size::unscaled(), LocationRef::default()).units_per_em);
        let metrics = font.glyph_metrics(Size::unscaled(), LocationRef::default());
        (units_per_em > 0.0).then(|| Face { signs: font.charmap(), metrics, units_per_em })
    }
}

/// A sign as it is drawn: which one of the font, how far the next one is, in shares of the size, and where in the text it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sign {
    pub(super) glyph: u32,
    pub(super) advance: f32,
    pub(super) at: std::ops::Range<usize>,
}

/// The signs of a text. What the font does not have is drawn as its sign for that.
pub(super) fn signs<'a>(face: &'a Face<'_>, text: &'a str) -> impl Iterator<Item = Sign> + 'a {
    text.char_indices().map(move |(at, character)| {
        let glyph = face.signs.map(character).unwrap_or(GlyphId::NOTDEF);
        let advance = face.metrics.advance_width(glyph).unwrap_or_default() / face.units_per_em;
        Sign { glyph: glyph.to_u32(), advance, at: at..at + character.len_utf8() }
    })
}

/// How wide a text is at a size.
pub(super) fn width(face: &Face<'_>, text: &str, size: f32) -> f32 {
    signs(face, text).map(|sign| sign.advance * size).sum()
}

/// Breaks a text into lines that are at most so wide: at spaces, and before any Han character.
pub(super) fn lines(face: &Face<'_>, text: &str, size: f32, wide: f32) -> Vec<String> {
    let (mut lines, mut line, mut used, mut break_at) = (Vec::new(), String::new(), 0.0, 0);
    for character in text.chars() {
        let advance = width(face, character.encode_utf8(&mut [0; 4]), size);
        if character == ' ' || !character.is_ascii() {
            break_at = line.len();
        }
        if used + advance > wide && !line.is_empty() {
            let rest = line.split_off(if break_at == 0 { line.len() } else { break_at });
            lines.push(std::mem::replace(&mut line, rest.trim_start().to_owned()));
            (used, break_at) = (width(face, &line, size), 0);
        }
        if !(line.is_empty() && character == ' ') {
            line.push(character);
            used += advance;
        }
    }
    lines.push(line);
    lines
}

fn has(face: &Face<'_>, text: &str) -> bool {
    text.chars().all(|character| face.signs.map(character).is_some())
}
