//! Calls over time as a picture: bars, each in three parts by the highest anger of its calls.
//!
//! Colours are those of Okabe and Ito (2008), which stay apart for colour-blind eyes.

use plotters::prelude::*;

use super::Language;
use super::sections::{Bar, levels};

/// Width and height.
pub(super) const SIZE: (u32, u32) = (900, 260);
const SKY: RGBColor = RGBColor(86, 180, 233);
const ORANGE: RGBColor = RGBColor(230, 159, 0);
const VERMILLION: RGBColor = RGBColor(213, 94, 0);
const GRID: RGBColor = RGBColor(228, 228, 228);
const FONT: &str = "Helvetica, Arial, 'Noto Sans', 'Noto Sans CJK SC', sans-serif";
/// Labels along the axis.
const LABELS_MAX: usize = 16;

/// The picture could not be drawn.
#[derive(Debug, thiserror::Error)]
#[error("cannot draw: {0}")]
pub struct ChartError(String);

/// Draws bars of calls, an SVG.
///
/// # Errors
/// When the drawing fails.
pub(super) fn svg(bars: &[Bar], language: Language) -> Result<String, ChartError> {
    let mut svg = String::new();
    draw(SVGBackend::with_string(&mut svg, SIZE), bars, language)?;
    Ok(svg)
}

/// Draws bars of calls on anything that can be drawn on.
///
/// # Errors
/// When the drawing fails.
pub(super) fn draw<B: DrawingBackend>(backend: B, bars: &[Bar], language: Language) -> Result<(), ChartError>
where
    B::ErrorType: 'static,
{
    let root = backend.into_drawing_area();
    let drawn = draw_on(&root, bars, language).and_then(|()| Ok(root.present().map_err(|error| error.to_string())?));
    drawn.map_err(|error| ChartError(error.to_string()))
}

fn draw_on<B: DrawingBackend>(
    root: &DrawingArea<B, plotters::coord::Shift>,
    bars: &[Bar],
    language: Language,
) -> Result<(), Box<dyn std::error::Error>>
where
    B::ErrorType: 'static,
{
    let highest: u64 = bars.iter().map(|bar| bar.levels.iter().sum()).max().unwrap_or(0).max(4);
    let count = i32::try_from(bars.len())?.max(1);
    // What the colours mean stands above the highest bar.
    let mut chart = ChartBuilder::on(root)
        .margin(8)
        .x_label_area_size(26)
        .y_label_area_size(52)
        .build_cartesian_2d((0..count - 1).into_segmented(), 0..highest * 7 / 5)?;
    let name = |at: &SegmentValue<i32>| match at {
        SegmentValue::CenterOf(at) => {
            usize::try_from(*at).ok().and_then(|at| bars.get(at)).map_or_else(String::new, |bar| bar.name.clone())
        }
        SegmentValue::Exact(_) | SegmentValue::Last => String::new(),
    };
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(WHITE)
        .bold_line_style(GRID)
        .x_labels(bars.len().min(LABELS_MAX))
        .y_labels(5)
        .label_style((FONT, 13))
        .x_label_formatter(&name)
        .draw()?;
    for (part, (word, colour)) in levels(language).into_iter().zip([SKY, ORANGE, VERMILLION]).enumerate() {
        let rectangles = bars.iter().enumerate().map(move |(at, Bar { levels, .. })| {
            let below: u64 = levels[..part].iter().sum();
            let at = i32::try_from(at).unwrap_or(i32::MAX);
            let corners = [(SegmentValue::Exact(at), below), (SegmentValue::Exact(at + 1), below + levels[part])];
            let mut bar = Rectangle::new(corners, colour.filled());
            bar.set_margin(0, 0, 3, 3);
            bar
        });
        chart
            .draw_series(rectangles)?
            .label(word)
            .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 12, y + 5)], colour.filled()));
    }
    let labels = &mut chart.configure_series_labels();
    labels.position(SeriesLabelPosition::UpperRight).background_style(WHITE).label_font((FONT, 13)).draw()?;
    Ok(())
}
