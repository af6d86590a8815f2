//! Lines as SVG, for light and dark pages: the ground is left out, and whoever shows it gives the letters their colour.

use std::io;

use plotters::coord::Shift;
use plotters::prelude::*;

use super::section::Plot;
use crate::plot::{COLOURS, FONT, wrong};

const SIZE: (u32, u32) = (760, 300);
/// Seen on light and on dark ground.
const GREY: RGBColor = RGBColor(128, 128, 128);

/// Draws a plot.
///
/// # Errors
/// When there is no point, or a point is no number.
pub fn draw(plot: &Plot) -> io::Result<String> {
    let points = || plot.lines.iter().flat_map(|line| &line.points);
    if points().next().is_none() || points().any(|(x, y)| !x.is_finite() || !y.is_finite()) {
        return Err(wrong("expected points that are numbers, found none"));
    }
    let mut picture = String::new();
    {
        let area = SVGBackend::with_string(&mut picture, SIZE).into_drawing_area();
        draw_on(plot, &area)?;
        area.present().map_err(wrong)?;
    }
    Ok(picture)
}

fn draw_on(plot: &Plot, area: &DrawingArea<SVGBackend<'_>, Shift>) -> io::Result<()> {
    let points = || plot.lines.iter().flat_map(|line| &line.points);
    let x_least = points().map(|(x, _)| *x).fold(f64::INFINITY, f64::min).min(0.0);
    let x_most = points().map(|(x, _)| *x).fold(x_least + 1e-6, f64::max);
    let y_most = points().map(|(_, y)| *y).fold(1e-3, f64::max);
    let mut chart = ChartBuilder::on(area)
        .margin(8)
        .x_label_area_size(36)
        .y_label_area_size(56)
        .build_cartesian_2d(x_least..x_most * 1.02, 0.0..y_most * 1.1)
        .map_err(wrong)?;
    let text = |size: u32| (FONT, size).into_font().color(&GREY);
    chart
        .configure_mesh()
        .x_desc(&plot.x)
        .y_desc(&plot.y)
        .axis_style(GREY)
        .bold_line_style(GREY.mix(0.25))
        .light_line_style(TRANSPARENT)
        .label_style(text(12))
        .axis_desc_style(text(13))
        .draw()
        .map_err(wrong)?;
    for (line, colour) in plot.lines.iter().zip(COLOURS.iter().cycle()) {
        chart
            .draw_series(LineSeries::new(line.points.iter().copied(), colour.stroke_width(2)))
            .map_err(wrong)?
            .label(&line.name)
            .legend(|(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
        if line.points.len() <= POINTS_WITH_DOTS {
            chart.draw_series(line.points.iter().map(|&at| Circle::new(at, 3, colour.filled()))).map_err(wrong)?;
        }
    }
    for (name, x) in &plot.marks {
        let top = y_most * 1.1;
        chart.draw_series([PathElement::new([(*x, 0.0), (*x, top)], GREY.stroke_width(1))]).map_err(wrong)?;
        chart.draw_series([Text::new(name.clone(), (*x, top * 0.98), text(12))]).map_err(wrong)?;
    }
    chart.configure_series_labels().position(SeriesLabelPosition::UpperLeft).label_font(text(12)).draw().map_err(wrong)
}

/// Longer lines need no dots.
const POINTS_WITH_DOTS: usize = 40;

#[cfg(test)]
mod tests {
    use super::super::section::Line;
    use super::*;

    #[test]
    fn lines_and_marks_are_drawn() {
        let lines = vec![Line::new("p50", [(0.0, 1.0), (2.0, 3.0)]), Line::new("p99", [(0.0, 2.0)])];
        let plot = Plot { lines, marks: vec![("knee".to_owned(), 1.0)], x: "calls".to_owned(), ..Plot::default() };
        let picture = draw(&plot).expect("it can be drawn");
        assert!(["<svg", "p50", "p99", "knee", "calls"].iter().all(|part| picture.contains(part)), "{picture}");
        assert_eq!(picture.matches("<circle").count(), 3);
    }

    #[test]
    fn what_cannot_be_drawn_is_said() {
        for points in [vec![], vec![(0.0, f64::NAN)]] {
            let plot = Plot { lines: vec![Line::new("a", points)], ..Plot::default() };
            assert!(draw(&plot).is_err());
        }
    }
}
