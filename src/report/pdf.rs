//! A report on paper: PDF, A4, with the signs of the typeface that it needs inside.
//!
//! First everything is put in its place on pages, then the pages are drawn.

mod canvas;

use krilla::Document;
use krilla::metadata::Metadata;
use krilla::page::PageSettings;
use krilla::text::Font;

use super::chart::{self, ChartError};
use super::sections::{Bar, Cell, Grid, sections, span, title};
use super::typeface::{Face, lines, width};
use super::{Language, Report, ReportError, Typeface};
use canvas::{Canvas, Plot};

/// A4 and its margins, points of 1/72 inch.
const PAGE: (f32, f32) = (595.0, 842.0);
const MARGIN: f32 = 48.0;
const WIDE: f32 = PAGE.0 - 2.0 * MARGIN;
const FOOT: f32 = 24.0;

const TITLE: f32 = 20.0;
const HEADING: f32 = 12.5;
const BODY: f32 = 9.0;
const SMALL: f32 = 7.5;
const ROW: f32 = 15.0;
/// How much further down the next line of a row is.
const NEXT_LINE: f32 = 11.0;
/// The first column's share of the width.
const NAMES_SHARE: f32 = 0.34;

const INK: [u8; 3] = [38, 38, 38];
const GREY: [u8; 3] = [110, 110, 110];
const LINE: [u8; 3] = [228, 228, 228];

/// Something in its place on a page; `y` counts from the top.
#[derive(Debug, Clone, PartialEq)]
enum Mark {
    /// `y` is the line that letters stand on.
    Text { x: f32, y: f32, size: f32, ink: [u8; 3], text: String },
    /// A thin line over the whole width.
    Rule { y: f32 },
    /// A picture over the whole width.
    Picture { y: f32, bars: Vec<Bar> },
}

/// The document.
///
/// # Errors
/// When a picture cannot be drawn, or the typeface cannot be embedded.
pub(super) fn pdf(report: &Report, language: Language, typeface: &Typeface) -> Result<Vec<u8>, ReportError> {
    let broken = |why: String| ReportError::Pdf(why);
    let data = krilla::Data::from(typeface.bytes());
    let font = Font::new(data, typeface.index()).ok_or_else(|| broken("the font cannot be embedded".to_owned()))?;
    let face = typeface.face();
    let pages = laid_out(report, language, &face);
    let mut document = Document::new();
    let heading = format!("{} {}", title(language), span(report, language));
    document.set_metadata(Metadata::new().title(heading).language(language.code().to_owned()));
    for (number, marks) in pages.iter().enumerate() {
        let size = PageSettings::from_wh(PAGE.0, PAGE.1).expect("a page has a size");
        let mut page = document.start_page_with(size);
        let mut canvas = Canvas::new(page.surface(), font.clone(), &face);
        for mark in marks {
            draw(&mut canvas, mark, language)?;
        }
        let foot = format!("{} / {}", number + 1, pages.len());
        let x = PAGE.0 - MARGIN - width(&face, &foot, SMALL);
        canvas.text((x, PAGE.1 - FOOT), SMALL, GREY, &foot);
        canvas.finish();
        page.finish();
    }
    document.finish().map_err(|error| broken(format!("{error:?}")))
}

fn draw(canvas: &mut Canvas<'_>, mark: &Mark, language: Language) -> Result<(), ChartError> {
    match mark {
        Mark::Text { x, y, size, ink, text } => canvas.text((*x, *y), *size, *ink, text),
        Mark::Rule { y } => canvas.line((MARGIN, *y), (PAGE.0 - MARGIN, *y), 0.5, LINE),
        Mark::Picture { y, bars } => {
            let scale = WIDE / chart::SIZE.0 as f32;
            chart::draw(Plot::new(canvas, (MARGIN, *y), scale, chart::SIZE), bars, language)?;
        }
    }
    Ok(())
}

/// Puts everything in its place.
fn laid_out(report: &Report, language: Language, face: &Face<'_>) -> Vec<Vec<Mark>> {
    let mut layout = Layout { face, pages: vec![Vec::new()], y: MARGIN };
    layout.line(title(language), TITLE, INK);
    layout.line(&span(report, language), BODY, GREY);
    for section in sections(report, language) {
        layout.y += 14.0;
        // A heading never stands alone at the end of a page.
        layout.make_room(HEADING + 4.0 * ROW);
        layout.line(section.title, HEADING, INK);
        for picture in section.pictures {
            layout.picture(picture.caption, picture.bars);
        }
        for grid in &section.grids {
            layout.table(grid);
        }
        if let Some(note) = section.note {
            layout.note(note);
        }
    }
    layout.pages
}

struct Layout<'a> {
    face: &'a Face<'a>,
    pages: Vec<Vec<Mark>>,
    /// What is used of the page, from its top.
    y: f32,
}

impl Layout<'_> {
    /// Goes on with the next page unless there is so much room on this one; whether it did.
    fn make_room(&mut self, high: f32) -> bool {
        let is_full = self.y + high > PAGE.1 - MARGIN;
        if is_full {
            self.pages.push(Vec::new());
            self.y = MARGIN;
        }
        is_full
    }

    fn push(&mut self, mark: Mark) {
        self.pages.last_mut().expect("there is one at least").push(mark);
    }

    fn text(&mut self, x: f32, size: f32, ink: [u8; 3], text: String) {
        self.push(Mark::Text { x, y: self.y, size, ink, text });
    }

    fn line(&mut self, text: &str, size: f32, ink: [u8; 3]) {
        self.make_room(size * 1.6);
        self.y += size * 1.2;
        self.text(MARGIN, size, ink, text.to_owned());
        self.y += size * 0.4;
    }

    fn note(&mut self, note: &str) {
        self.y += 3.0;
        for line in lines(self.face, note, SMALL, WIDE) {
            self.line(&line, SMALL, GREY);
        }
    }

    fn picture(&mut self, caption: &str, bars: Vec<Bar>) {
        let high = WIDE * chart::SIZE.1 as f32 / chart::SIZE.0 as f32;
        self.make_room(high + SMALL * 1.6);
        self.line(caption, SMALL, GREY);
        self.push(Mark::Picture { y: self.y, bars });
        self.y += high;
    }

    fn table(&mut self, grid: &Grid) {
        self.y += 2.0;
        let head: Vec<String> = grid.head.iter().map(|name| (*name).to_owned()).collect();
        self.row(&self.broken(&head), GREY);
        for row in &grid.rows {
            let cells: Vec<String> = row.iter().map(Cell::text).collect();
            let cells = self.broken(&cells);
            if self.make_room(high(&cells)) {
                self.row(&self.broken(&head), GREY);
            }
            self.row(&cells, INK);
        }
        self.y += 4.0;
    }

    /// Each cell in as many lines as it needs in its column.
    fn broken(&self, cells: &[String]) -> Vec<Vec<String>> {
        let (names, column) = columns(cells.len());
        let room = |number| if number == 0 { names } else { column } - 6.0;
        cells.iter().enumerate().map(|(number, cell)| lines(self.face, cell, BODY, room(number))).collect()
    }

    /// The first cell on the left, all others at the right of columns that are equally wide.
    fn row(&mut self, cells: &[Vec<String>], ink: [u8; 3]) {
        if cells.is_empty() {
            return;
        }
        let (names, column) = columns(cells.len());
        let mut placed: Vec<(usize, f32, &String)> = Vec::new();
        for (number, cell) in cells.iter().enumerate() {
            let right = MARGIN + names + column * number as f32;
            for (below, line) in cell.iter().enumerate() {
                let x = if number == 0 { MARGIN } else { right - width(self.face, line, BODY) };
                placed.push((below, x, line));
            }
        }
        // Line by line, as they are read.
        placed.sort_by_key(|(below, ..)| *below);
        for (below, x, line) in placed {
            let y = self.y + ROW - 4.5 + below as f32 * NEXT_LINE;
            self.push(Mark::Text { x, y, size: BODY, ink, text: line.clone() });
        }
        self.y += high(cells);
        self.push(Mark::Rule { y: self.y });
    }
}

/// How wide the column of names is, and each of the others.
fn columns(count: usize) -> (f32, f32) {
    let names = if count == 2 { 0.6 } else { NAMES_SHARE } * WIDE;
    (names, (WIDE - names) / count.saturating_sub(1).max(1) as f32)
}

/// How high a row is.
fn high(cells: &[Vec<String>]) -> f32 {
    let most = cells.iter().map(Vec::len).max().unwrap_or(1);
    ROW + most.saturating_sub(1) as f32 * NEXT_LINE
}

#[cfg(test)]
mod tests;
