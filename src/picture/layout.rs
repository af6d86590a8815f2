//! Where everything stands in the picture, in pixels from its upper left corner.
//!
//! Knows nothing of drawing; text is measured by a rule of thumb, since an SVG's fonts are the reader's.

use super::LABELS_MAX;

/// Width of the picture.
pub(super) const WIDTH: u32 = 1_200;
/// Left edge of the panels.
pub(super) const LEFT: i32 = 56;
/// Right edge of the panels.
pub(super) const RIGHT: i32 = 1_180;
/// Width of the panels.
pub(super) const PLOT_WIDTH: u32 = (RIGHT - LEFT).unsigned_abs();
/// Height of the line above a panel that names it.
pub(super) const HEADING: i32 = 24;
/// Height of the time axis under the lowest panel.
pub(super) const TIME_AXIS: i32 = 46;
/// Size of the labels' letters.
pub(super) const LABEL_SIZE: i32 = 12;

const TITLE: i32 = 48;
const ROW: i32 = 17;
const ROWS_MAX: usize = 12;
/// Space between two labels of one row.
const LABEL_GAP: i32 = 14;
/// Labels longer than this are cut.
const LABEL_CHARS_MAX: usize = 48;

/// The top and bottom of a panel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Panel {
    pub(super) top: i32,
    pub(super) bottom: i32,
}

/// All panels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) waveform: Panel,
    pub(super) pitch: Panel,
    pub(super) level: Panel,
    pub(super) anger: Panel,
    pub(super) height: u32,
}

impl Layout {
    /// The panels under a strip of `rows` rows of labels.
    pub(super) fn new(rows: usize) -> Self {
        let mut bottom = row_top(rows) + 4;
        let mut next = |height: i32| {
            let top = bottom + HEADING;
            bottom = top + height;
            Panel { top, bottom }
        };
        let (waveform, pitch, level, anger) = (next(110), next(150), next(120), next(170));
        let height = (anger.bottom + TIME_AXIS + 8).unsigned_abs();
        Self { waveform, pitch, level, anger, height }
    }
}

/// Top of a row of labels.
pub(super) fn row_top(row: usize) -> i32 {
    TITLE + ROW * i32::try_from(row.min(ROWS_MAX)).unwrap_or(0)
}

/// The column of a moment.
pub(super) fn x_of(time_s: f32, duration_s: f32) -> i32 {
    LEFT + (time_s / duration_s * PLOT_WIDTH as f32).round() as i32
}

/// A mark's label at its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Label<'a> {
    pub(super) text: &'a str,
    pub(super) x: i32,
    pub(super) row: usize,
    /// True near the right edge, where the text ends at the line instead of beginning there.
    pub(super) left_of_line: bool,
}

impl Label<'_> {
    /// From where to where the text reaches, as far as can be told; lines of other marks are covered there.
    pub(super) fn extent(&self) -> (i32, i32) {
        let width = text_width(self.text);
        if self.left_of_line { (self.x - 5 - width, self.x - 4) } else { (self.x + 4, self.x + 5 + width) }
    }
}

/// Puts the labels of `marks` (rising in time) in rows so that none covers another; also says how many
/// rows there are. From the first label that does not fit on, none is placed.
pub(super) fn place_labels<'a>(marks: &[(f32, &'a str)], duration_s: f32) -> (Vec<Label<'a>>, usize) {
    let mut free_from: Vec<i32> = Vec::new();
    let mut labels: Vec<Label<'a>> = Vec::new();
    for &(time, text) in marks.iter().take(LABELS_MAX) {
        let cut = text.char_indices().nth(LABEL_CHARS_MAX).map_or(text.len(), |(index, _)| index);
        let (text, x) = (&text[..cut], x_of(time, duration_s));
        let width = text_width(text) + LABEL_GAP;
        let left_of_line = x + width > RIGHT;
        let start = if left_of_line { x - width } else { x };
        let row = free_from.iter().position(|&free| free <= start).unwrap_or(free_from.len());
        if row == ROWS_MAX {
            break;
        }
        if row == free_from.len() {
            free_from.push(0);
        }
        free_from[row] = start + width;
        labels.push(Label { text, x, row, left_of_line });
    }
    (labels, free_from.len())
}

/// Width of a text in labels' letters: wide characters (CJK) are square, others about half of that.
pub(super) fn text_width(text: &str) -> i32 {
    let halves: i32 = text.chars().map(|c| if u32::from(c) >= 0x2E80 { 24 } else { 13 }).sum();
    halves * LABEL_SIZE / 24
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_do_not_cover_each_other() {
        check(
            &[(1.0, "decided: angry-caller"), (1.2, "prompt"), (20.0, "alert")],
            &[(0, false), (1, false), (0, false)],
        );
        check(&[(29.8, "call ended, and a long reason"), (30.0, "end")], &[(0, true), (1, true)]);
        check(&[], &[]);
    }

    #[test]
    fn too_many_labels_stop_at_the_limits() {
        let many: Vec<(f32, &str)> =
            (0..100).map(|index| (index as f32 * 0.01, "the same moment, many words")).collect();
        let (labels, rows) = place_labels(&many, 30.0);
        assert_eq!((labels.len(), rows), (ROWS_MAX, ROWS_MAX));
        let spread: Vec<(f32, &str)> = (0..100).map(|index| (index as f32 * 0.3, "a")).collect();
        assert_eq!(place_labels(&spread, 30.0).0.len(), LABELS_MAX);
    }

    #[track_caller]
    fn check(marks: &[(f32, &str)], expected: &[(usize, bool)]) {
        let (labels, _) = place_labels(marks, 30.0);
        let got: Vec<_> = labels.iter().map(|label| (label.row, label.left_of_line)).collect();
        assert_eq!(got, expected);
    }
}
