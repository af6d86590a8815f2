//! One picture per call: what was said, how, what it was taken for, and what was done about it.
//!
//! Pure: figures in, the text of an SVG out; writes no file and measures nothing. Colours are those of Okabe and Ito
//! (2008), which stay apart for colour-blind eyes; every meaning also stands in words.

mod layout;
mod reduce;

use nlu::Level;
use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf32;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use layout::{Label, Layout, place_labels};

/// What is drawn. Times are seconds since the call's start; times outside the call and values that are not numbers
/// are left out.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CallPicture {
    /// The heading, e.g. the call's name.
    pub title: String,
    /// Length of the call, seconds.
    pub duration_s: f32,
    /// Waveform envelope: time, lowest and highest sample around it, each -1 to 1.
    pub envelope: Vec<(f32, f32, f32)>,
    /// F0: time, Hz; `None` where unvoiced.
    pub pitch: Vec<(f32, Option<f32>)>,
    /// Level: time, dBov.
    pub level: Vec<(f32, f32)>,
    /// The emotion timeline: time, smoothed probability of anger (0-1), level of anger from there on.
    pub anger: Vec<(f32, f32, Level)>,
    /// What happened: time, a few words. Labels of the first [`LABELS_MAX`] are written; further ones are only lines.
    pub marks: Vec<(f32, String)>,
}

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// The call has no length.
    #[error("a call of {0} s cannot be drawn")]
    Duration(f32),
    /// The drawing failed.
    #[error("cannot draw: {0}")]
    Draw(String),
}

/// Most marks whose label is written.
pub const LABELS_MAX: usize = 40;
/// Longest call that is drawn, seconds: a day.
const DURATION_S_MAX: f32 = 86_400.0;
/// Columns that curves are reduced to: one per pixel of the panels' width.
const COLUMNS: usize = layout::PLOT_WIDTH as usize;
/// The range of the level's axis, dBov.
const LEVEL_DBOV: std::ops::Range<f32> = -70.0..0.0;

const INK: RGBColor = RGBColor(38, 38, 38);
const FAINT: RGBColor = RGBColor(110, 110, 110);
const GRID: RGBColor = RGBColor(228, 228, 228);
const BLUE: RGBColor = RGBColor(0, 114, 178);
const SKY: RGBColor = RGBColor(86, 180, 233);
const GREEN: RGBColor = RGBColor(0, 120, 88);
const ORANGE: RGBColor = RGBColor(230, 159, 0);
const VERMILLION: RGBColor = RGBColor(213, 94, 0);
const FONT: &str = "Helvetica, Arial, 'Noto Sans', 'Noto Sans CJK SC', sans-serif";

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Chart<'a> = ChartContext<'a, SVGBackend<'a>, Cartesian2d<RangedCoordf32, RangedCoordf32>>;

/// Draws a call.
///
/// # Errors
/// The call's length is not a number of seconds above zero and up to a day.
pub fn draw(call: &CallPicture) -> Result<String, PictureError> {
    if !(call.duration_s > 0.0 && call.duration_s <= DURATION_S_MAX) {
        return Err(PictureError::Duration(call.duration_s));
    }
    let marks = marks_within(call);
    let (labels, rows) = place_labels(&marks, call.duration_s);
    let layout = Layout::new(rows);
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (layout::WIDTH, layout.height)).into_drawing_area();
        draw_all(&root, call, &layout, &labels, &marks).map_err(|error| PictureError::Draw(error.to_string()))?;
    }
    Ok(svg)
}

type Drawn = Result<(), Box<dyn std::error::Error>>;

fn draw_all(
    root: &Area<'_>,
    call: &CallPicture,
    layout: &Layout,
    labels: &[Label<'_>],
    marks: &[(f32, &str)],
) -> Drawn {
    root.fill(&WHITE)?;
    write(root, &call.title, (layout::LEFT, 16), 22, INK, HPos::Left)?;
    let length = format!("length {} (min:s)", clock(call.duration_s));
    write(root, &length, (layout::RIGHT, 22), 13, FAINT, HPos::Right)?;
    draw_waveform(root, call, layout)?;
    draw_pitch(root, call, layout)?;
    draw_level(root, call, layout)?;
    draw_anger(root, call, layout)?;
    draw_marks(root, layout, labels, marks, call.duration_s)?;
    heading(root, layout.waveform, "Waveform (share of full scale)", BLUE)?;
    heading(root, layout.pitch, "Pitch F0 (Hz)", GREEN)?;
    heading(root, layout.level, "Level (dBov)", BLUE)?;
    heading(root, layout.anger, "Anger of the caller (score 0–1; shaded by level)", VERMILLION)?;
    level_legend(root, layout.anger)
}

fn draw_waveform(root: &Area<'_>, call: &CallPicture, layout: &Layout) -> Drawn {
    let points = reduce::extremes(&call.envelope, call.duration_s, COLUMNS);
    let highest = points.iter().map(|point| point.2.max(-point.1)).fold(0.05_f32, f32::max);
    let limit = (highest * 1.08).min(1.0);
    let mut chart = panel(root, layout.waveform, call.duration_s, -limit..limit, 3, false)?;
    let upper = points.iter().map(|&(time, _, high)| (time, high));
    let lower = points.iter().rev().map(|&(time, low, _)| (time, low));
    let outline: Vec<(f32, f32)> = upper.chain(lower).collect();
    if !outline.is_empty() {
        chart.draw_series([Polygon::new(outline, BLUE.filled())])?;
    }
    Ok(())
}

fn draw_pitch(root: &Area<'_>, call: &CallPicture, layout: &Layout) -> Drawn {
    let runs = reduce::voiced_runs(&call.pitch, call.duration_s, COLUMNS);
    let highest = runs.iter().flatten().map(|point| point.1).fold(250.0_f32, f32::max);
    let limit = ((highest * 1.05 / 50.0).ceil() * 50.0).min(600.0);
    let mut chart = panel(root, layout.pitch, call.duration_s, 50.0..limit, 5, false)?;
    for run in runs {
        chart.draw_series(LineSeries::new(run, GREEN.stroke_width(2)))?;
    }
    Ok(())
}

fn draw_level(root: &Area<'_>, call: &CallPicture, layout: &Layout) -> Drawn {
    let points = reduce::highest(&call.level, call.duration_s, COLUMNS);
    let inside = |&(time, level): &(f32, f32)| (time, level.clamp(LEVEL_DBOV.start, LEVEL_DBOV.end));
    let mut chart = panel(root, layout.level, call.duration_s, LEVEL_DBOV, 4, false)?;
    let area = AreaSeries::new(points.iter().map(inside), LEVEL_DBOV.start, SKY.mix(0.35));
    chart.draw_series(area.border_style(BLUE.stroke_width(1)))?;
    Ok(())
}

fn draw_anger(root: &Area<'_>, call: &CallPicture, layout: &Layout) -> Drawn {
    let points: Vec<(f32, f32, Level)> = call
        .anger
        .iter()
        .copied()
        .filter(|point| (0.0..=call.duration_s).contains(&point.0) && point.1.is_finite())
        .collect();
    let mut chart = panel(root, layout.anger, call.duration_s, 0.0..1.0, 5, true)?;
    for (from, to, level) in reduce::level_spans(&points, call.duration_s) {
        if let Some(fill) = level_fill(level) {
            chart.draw_series([Rectangle::new([(from, 0.0), (to, 1.0)], fill.filled())])?;
        }
    }
    let columns =
        reduce::highest(&points.iter().map(|point| (point.0, point.1)).collect::<Vec<_>>(), call.duration_s, COLUMNS);
    let line = columns.iter().map(|&(time, score)| (time, score.clamp(0.0, 1.0)));
    chart.draw_series(LineSeries::new(line, VERMILLION.stroke_width(3)))?;
    Ok(())
}

/// Vertical lines through all panels, each under its label.
fn draw_marks(root: &Area<'_>, layout: &Layout, labels: &[Label<'_>], marks: &[(f32, &str)], duration_s: f32) -> Drawn {
    for (index, &(time, _)) in marks.iter().enumerate() {
        let x = layout::x_of(time, duration_s);
        let top = labels.get(index).map_or(layout.waveform.top, |label| layout::row_top(label.row) + 2);
        let line = [(x, top), (x, layout.anger.bottom)];
        root.draw(&PathElement::new(line, INK.mix(0.55).stroke_width(1)))?;
    }
    for label in labels {
        let (anchor, x) = if label.left_of_line { (HPos::Right, label.x - 5) } else { (HPos::Left, label.x + 5) };
        let (top, (from, to)) = (layout::row_top(label.row), label.extent());
        root.draw(&Rectangle::new([(from, top), (to, top + layout::LABEL_SIZE + 2)], WHITE.filled()))?;
        write(root, label.text, (x, top), layout::LABEL_SIZE, INK, anchor)?;
    }
    Ok(())
}

/// A panel with its grid, ready for curves; only the lowest one writes the time.
fn panel<'a>(
    root: &Area<'a>,
    at: layout::Panel,
    duration_s: f32,
    range: std::ops::Range<f32>,
    steps: usize,
    with_time: bool,
) -> Result<Chart<'a>, Box<dyn std::error::Error>> {
    let axis_height = if with_time { layout::TIME_AXIS } else { 0 };
    let height = (at.bottom - at.top + axis_height).unsigned_abs();
    let area = root.clone().shrink((0, at.top), (layout::RIGHT.unsigned_abs(), height));
    let mut chart = ChartBuilder::on(&area)
        .set_label_area_size(LabelAreaPosition::Left, layout::LEFT)
        .set_label_area_size(LabelAreaPosition::Bottom, axis_height)
        .build_cartesian_2d(0.0..duration_s, range)?;
    let label = (FONT, 12).into_font().color(&FAINT);
    let seconds = |time: &f32| clock(*time);
    let mut mesh = chart.configure_mesh();
    mesh.light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(FAINT)
        .label_style(label)
        .x_labels(12)
        .y_labels(steps)
        .x_label_formatter(&seconds)
        .y_label_formatter(&short_number);
    if with_time {
        mesh.x_desc("time since the call’s start (min:s)").axis_desc_style((FONT, 13).into_font().color(&INK));
    }
    mesh.draw()?;
    Ok(chart)
}

/// Names a panel above it, over the lines of marks.
fn heading(root: &Area<'_>, at: layout::Panel, text: &str, colour: RGBColor) -> Drawn {
    let top = at.top - layout::HEADING + 4;
    let right = layout::LEFT + 18 + layout::text_width(text);
    root.draw(&Rectangle::new([(layout::LEFT, top), (right, top + 15)], WHITE.filled()))?;
    root.draw(&Rectangle::new([(layout::LEFT, top + 1), (layout::LEFT + 10, top + 11)], colour.filled()))?;
    write(root, text, (layout::LEFT + 16, top), 13, INK, HPos::Left)
}

/// Says at the right, above the panel, which shade is which level.
fn level_legend(root: &Area<'_>, at: layout::Panel) -> Drawn {
    let top = at.top - layout::HEADING + 4;
    for (right, word, level) in [(layout::RIGHT - 56, "medium", Level::Medium), (layout::RIGHT, "high", Level::High)] {
        let left = right - layout::text_width(word) - 22;
        root.draw(&Rectangle::new([(left - 4, top), (right, top + 15)], WHITE.filled()))?;
        if let Some(fill) = level_fill(level) {
            root.draw(&Rectangle::new([(left, top + 1), (left + 14, top + 13)], fill.filled()))?;
        }
        write(root, word, (left + 19, top), layout::LABEL_SIZE, INK, HPos::Left)?;
    }
    Ok(())
}

fn write(root: &Area<'_>, text: &str, at: (i32, i32), size: i32, colour: RGBColor, side: HPos) -> Drawn {
    let style = (FONT, size).into_font().color(&colour).pos(Pos::new(side, VPos::Top));
    root.draw(&Text::new(text, at, style))?;
    Ok(())
}

fn level_fill(level: Level) -> Option<RGBAColor> {
    match level {
        Level::Low => None,
        Level::Medium => Some(ORANGE.mix(0.22)),
        Level::High => Some(VERMILLION.mix(0.34)),
    }
}

fn marks_within(call: &CallPicture) -> Vec<(f32, &str)> {
    let inside = call.marks.iter().filter(|mark| (0.0..=call.duration_s).contains(&mark.0));
    let mut marks: Vec<(f32, &str)> = inside.map(|(time, text)| (*time, text.as_str())).collect();
    marks.sort_by(|a, b| a.0.total_cmp(&b.0));
    marks
}

/// Minutes and seconds; tenths when the axis needs them.
fn clock(seconds: f32) -> String {
    let tenths = (seconds * 10.0).round() as u64;
    let (minutes, rest, tenth) = (tenths / 600, tenths / 10 % 60, tenths % 10);
    if tenth == 0 { format!("{minutes}:{rest:02}") } else { format!("{minutes}:{rest:02}.{tenth}") }
}

fn short_number(value: &f32) -> String {
    if value.abs() < 1e-6 {
        return "0".to_owned();
    }
    let text = if value.abs() >= 10.0 { format!("{value:.0}") } else { format!("{value:.2}") };
    let short = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    short.replace('-', "−")
}

#[cfg(test)]
mod tests;
