//! A comparison as a picture: CPU, and the latency that is added, against the number of calls.
//!
//! Reads the medians that `loadtest/compare` writes; measures nothing.

use std::collections::BTreeMap;
use std::error::Error;
use std::io;

use plotters::coord::Shift;
use plotters::prelude::*;
use serde::Deserialize;

/// What is drawn of one line of the medians.
#[derive(Debug, Deserialize)]
struct Median {
    system: String,
    mode: String,
    calls: f64,
    cpu_ms_per_call_second: f64,
    added_p50_ms: f64,
    added_p99_ms: f64,
}

/// One panel: its title and what it shows of a median.
type Panel = (&'static str, fn(&Median) -> f64);

const PANELS: [Panel; 3] = [
    ("CPU, ms per call and second", |median| median.cpu_ms_per_call_second),
    ("added latency p50, ms", |median| median.added_p50_ms),
    ("added latency p99, ms", |median| median.added_p99_ms),
];
const SIZE: (u32, u32) = (1_200, 380);
pub(crate) const FONT: &str = "Helvetica, Arial, 'Noto Sans', sans-serif";
/// Okabe and Ito (2008): they stay apart for colour-blind eyes.
pub(crate) const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 120, 88),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(204, 121, 167),
];

/// Draws the medians of a comparison, given as CSV.
///
/// # Errors
/// When the text has not the columns of `medians.csv`, or no row that can be drawn.
pub fn draw(medians: &str) -> io::Result<String> {
    let mut lines: BTreeMap<String, Vec<Median>> = BTreeMap::new();
    for median in csv::Reader::from_reader(medians.as_bytes()).deserialize() {
        let median: Median = median.map_err(wrong)?;
        // Where round trips are measured, nothing is known of one way.
        if median.mode != "opus" {
            lines.entry(format!("{} {}", median.system, median.mode)).or_default().push(median);
        }
    }
    lines.values_mut().for_each(|line| line.sort_by(|a, b| a.calls.total_cmp(&b.calls)));
    let calls_max = lines.values().flatten().map(|median| median.calls).fold(0.0, f64::max);
    if calls_max <= 0.0 {
        return Err(wrong("expected at least one row with calls, found none"));
    }

    let mut picture = String::new();
    {
        let area = SVGBackend::with_string(&mut picture, SIZE).into_drawing_area();
        area.fill(&WHITE).map_err(wrong)?;
        for (panel, part) in PANELS.iter().zip(area.split_evenly((1, PANELS.len()))) {
            draw_panel(panel, &lines, calls_max, &part)?;
        }
        area.present().map_err(wrong)?;
    }
    Ok(picture)
}

fn draw_panel(
    (title, value): &Panel,
    lines: &BTreeMap<String, Vec<Median>>,
    calls_max: f64,
    area: &DrawingArea<SVGBackend<'_>, Shift>,
) -> io::Result<()> {
    let highest = lines.values().flatten().map(value).fold(0.0, f64::max).max(0.01);
    let mut chart = ChartBuilder::on(area)
        .caption(title, (FONT, 16))
        .margin(10)
        .x_label_area_size(36)
        .y_label_area_size(44)
        .build_cartesian_2d(0.0..calls_max * 1.05, 0.0..highest * 1.1)
        .map_err(wrong)?;
    chart
        .configure_mesh()
        .x_desc("calls")
        .label_style((FONT, 12))
        .light_line_style(TRANSPARENT)
        .draw()
        .map_err(wrong)?;
    for ((name, line), colour) in lines.iter().zip(COLOURS.iter().cycle()) {
        let points: Vec<(f64, f64)> = line.iter().map(|median| (median.calls, value(median))).collect();
        chart
            .draw_series(LineSeries::new(points.clone(), colour.stroke_width(2)))
            .map_err(wrong)?
            .label(name)
            .legend(|(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
        chart.draw_series(points.iter().map(|&at| Circle::new(at, 3, colour.filled()))).map_err(wrong)?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .label_font((FONT, 12))
        .background_style(WHITE.mix(0.8))
        .draw()
        .map_err(wrong)
}

pub(crate) fn wrong(error: impl Into<Box<dyn Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "system,mode,calls,cpu_ms_per_call_second,added_p50_ms,added_p99_ms\n";

    #[test]
    fn lines_by_system_and_mode() {
        let rows =
            "rtpengine,relay,100,1.2,0.07,0.3\nrtpengine,relay,400,1.0,0.1,1.2\ncalmline,relay,100,0.6,0.1,0.2\n";
        let picture = draw(&format!("{HEADER}{rows}")).expect("it can be drawn");
        assert!(
            picture.starts_with("<svg") && picture.contains("rtpengine relay") && picture.contains("calmline relay")
        );
        assert_eq!(picture.matches("<circle").count(), 9, "three points in three panels");
    }

    #[test]
    fn what_cannot_be_drawn_is_said() {
        for (text, expected) in [(HEADER, "at least one row"), ("a,b\n1,2\n", "system"), ("", "at least one row")] {
            let error = draw(text).expect_err("there is nothing to draw").to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
