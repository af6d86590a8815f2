//! A page of a PDF to draw on: texts, lines, rectangles; and the same as something that `plotters` can draw on.

use std::convert::Infallible;

use krilla::color::rgb;
use krilla::geom::{PathBuilder, Point, Rect};
use krilla::num::NormalizedF32;
use krilla::paint::{Fill, FillRule, Stroke};
use krilla::surface::Surface;
use krilla::text::{Font, GlyphId, KrillaGlyph};
use plotters_backend::text_anchor::{HPos, VPos};
use plotters_backend::{BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind};

use super::super::typeface::{Face, signs, width};

/// A page that is being drawn.
pub(super) struct Canvas<'a> {
    surface: Surface<'a>,
    font: Font,
    face: &'a Face<'a>,
}

impl<'a> Canvas<'a> {
    pub(super) fn new(surface: Surface<'a>, font: Font, face: &'a Face<'a>) -> Self {
        Self { surface, font, face }
    }

    /// Draws a text that stands on `y`.
    pub(super) fn text(&mut self, (x, y): (f32, f32), size: f32, ink: [u8; 3], text: &str) {
        self.fill(ink);
        let glyphs: Vec<KrillaGlyph> = signs(self.face, text)
            .map(|sign| KrillaGlyph::new(GlyphId::new(sign.glyph), sign.advance, 0.0, 0.0, 0.0, sign.at, None))
            .collect();
        self.surface.draw_glyphs(Point::from_xy(x, y), &glyphs, self.font.clone(), text, size, false);
    }

    /// Draws a line.
    pub(super) fn line(&mut self, from: (f32, f32), to: (f32, f32), thick: f32, ink: [u8; 3]) {
        self.surface.set_fill(None);
        self.surface.set_stroke(Some(Stroke { paint: colour(ink).into(), width: thick, ..Stroke::default() }));
        let mut path = PathBuilder::new();
        path.move_to(from.0, from.1);
        path.line_to(to.0, to.1);
        path.finish().iter().for_each(|path| self.surface.draw_path(path));
    }

    /// Fills a rectangle.
    fn rectangle(&mut self, (left, top): (f32, f32), (right, bottom): (f32, f32), ink: [u8; 3]) {
        self.fill(ink);
        let mut path = PathBuilder::new();
        Rect::from_ltrb(left, top, right, bottom).into_iter().for_each(|rect| path.push_rect(rect));
        path.finish().iter().for_each(|path| self.surface.draw_path(path));
    }

    fn fill(&mut self, ink: [u8; 3]) {
        let paint = colour(ink).into();
        self.surface.set_stroke(None);
        self.surface.set_fill(Some(Fill { paint, opacity: NormalizedF32::ONE, rule: FillRule::default() }));
    }

    pub(super) fn finish(self) {
        self.surface.finish();
    }
}

fn colour([red, green, blue]: [u8; 3]) -> rgb::Color {
    rgb::Color::new(red, green, blue)
}

/// A part of a page that charts are drawn on, in units of theirs.
pub(super) struct Plot<'p, 'a> {
    canvas: &'p mut Canvas<'a>,
    corner: (f32, f32),
    scale: f32,
    size: (u32, u32),
}

impl<'p, 'a> Plot<'p, 'a> {
    pub(super) fn new(canvas: &'p mut Canvas<'a>, corner: (f32, f32), scale: f32, size: (u32, u32)) -> Self {
        Self { canvas, corner, scale, size }
    }

    fn at(&self, (x, y): BackendCoord) -> (f32, f32) {
        (self.corner.0 + x as f32 * self.scale, self.corner.1 + y as f32 * self.scale)
    }
}

type Drawn = Result<(), DrawingErrorKind<Infallible>>;

impl DrawingBackend for Plot<'_, '_> {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        self.size
    }

    fn ensure_prepared(&mut self) -> Drawn {
        Ok(())
    }

    fn present(&mut self) -> Drawn {
        Ok(())
    }

    fn draw_pixel(&mut self, (x, y): BackendCoord, colour: BackendColor) -> Drawn {
        self.draw_rect((x, y), (x + 1, y + 1), &colour, true)
    }

    fn draw_line<S: BackendStyle>(&mut self, from: BackendCoord, to: BackendCoord, style: &S) -> Drawn {
        if let Some(ink) = ink(style.color()) {
            let (from, to) = (self.at(from), self.at(to));
            self.canvas.line(from, to, style.stroke_width() as f32 * self.scale, ink);
        }
        Ok(())
    }

    fn draw_rect<S: BackendStyle>(&mut self, from: BackendCoord, to: BackendCoord, style: &S, fill: bool) -> Drawn {
        if !fill {
            let path = [from, (to.0, from.1), to, (from.0, to.1), from];
            return self.draw_path(path, style);
        }
        if let Some(ink) = ink(style.color()) {
            let (from, to) = (self.at(from), self.at(to));
            self.canvas.rectangle((from.0.min(to.0), from.1.min(to.1)), (from.0.max(to.0), from.1.max(to.1)), ink);
        }
        Ok(())
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(&mut self, path: I, style: &S) -> Drawn {
        let points: Vec<BackendCoord> = path.into_iter().collect();
        points.windows(2).try_for_each(|pair| self.draw_line(pair[0], pair[1], style))
    }

    fn draw_text<T: BackendTextStyle>(&mut self, text: &str, style: &T, at: BackendCoord) -> Drawn {
        let Some(ink) = ink(style.color()) else { return Ok(()) };
        let size = style.size() as f32 * self.scale;
        let wide = width(self.canvas.face, text, size);
        let (x, y) = self.at(at);
        let left = match style.anchor().h_pos {
            HPos::Left => x,
            HPos::Center => x - wide / 2.0,
            HPos::Right => x - wide,
        };
        // Figures are about seven tenths of the size high.
        let baseline = match style.anchor().v_pos {
            VPos::Top => y + size * 0.8,
            VPos::Center => y + size * 0.35,
            VPos::Bottom => y,
        };
        self.canvas.text((left, baseline), size, ink, text);
        Ok(())
    }

    fn estimate_text_size<T: BackendTextStyle>(
        &self,
        text: &str,
        style: &T,
    ) -> Result<(u32, u32), DrawingErrorKind<Infallible>> {
        let size = style.size() as f32;
        Ok((width(self.canvas.face, text, size).ceil() as u32, size.ceil() as u32))
    }
}

/// The colour on paper; nothing where nothing shows.
fn ink(colour: BackendColor) -> Option<[u8; 3]> {
    let (red, green, blue) = colour.rgb;
    let on_white = |part: u8| (f64::from(part) * colour.alpha + 255.0 * (1.0 - colour.alpha)) as u8;
    (colour.alpha > 0.0).then(|| [on_white(red), on_white(green), on_white(blue)])
}
