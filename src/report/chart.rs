//! Calls over time as a picture: bars, each in three parts by the highest anger of its calls.
//!
//! Colours are those of Okabe and Ito (2008), which stay apart for colour-blind eyes.

use plotters::prelude::*;

use super::{Figures, Language};

const WIDTH: u32 = 900;
const HEIGHT: u32 = 260;
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

/// Draws bars of calls, an SVG; a name and figures each.
///
/// # Errors
/// When the drawing fails.
pub(super) fn bars(bars: &[(String, &Figures)], language: Language) -> Result<String, ChartError> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (WIDTH, HEIGHT)).into_drawing_area();
        draw(&root, bars, language).map_err(|error| ChartError(error.to_string()))?;
        root.present().map_err(|error| ChartError(error.to_string()))?;
    }
    Ok(svg)
}

fn draw(
    root: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>,
    bars: &[(String, &Figures)],
    language: Language,
) -> Result<(), Box<dyn std::error::Error>> {
    let highest = bars.iter().map(|(_, figures)| figures.calls).max().unwrap_or(0).max(4);
    let count = i32::try_from(bars.len())?.max(1);
    let mut chart = ChartBuilder::on(root)
        .margin(8)
        .x_label_area_size(26)
        .y_label_area_size(52)
        .build_cartesian_2d((0..count - 1).into_segmented(), 0..highest + highest / 8)?;
    let name = |at: &SegmentValue<i32>| match at {
        SegmentValue::CenterOf(at) => {
            usize::try_from(*at).ok().and_then(|at| bars.get(at)).map_or_else(String::new, |(name, _)| name.clone())
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
    let colours = [
        (language.of("低", "low"), SKY),
        (language.of("中", "medium"), ORANGE),
        (language.of("高", "high"), VERMILLION),
    ];
    for (part, (word, colour)) in colours.into_iter().enumerate() {
        let rectangles = bars.iter().enumerate().map(move |(at, (_, figures))| {
            let parts = [figures.low, figures.medium, figures.high];
            let below: u64 = parts[..part].iter().sum();
            let at = i32::try_from(at).unwrap_or(i32::MAX);
            let corners = [(SegmentValue::Exact(at), below), (SegmentValue::Exact(at + 1), below + parts[part])];
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
