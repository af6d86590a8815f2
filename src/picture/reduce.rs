//! Brings curves of any length down to one value per column of the picture.
//!
//! Values that are not numbers and times outside the call are left out here, so that nobody later meets them.

use nlu::Level;

/// Lowest and highest value per column; `points` are (time, low, high).
pub(super) fn extremes(points: &[(f32, f32, f32)], duration_s: f32, columns: usize) -> Vec<(f32, f32, f32)> {
    let mut reduced: Vec<Option<(f32, f32)>> = vec![None; columns];
    for &(time, low, high) in points.iter().filter(|point| point.1.is_finite() && point.2.is_finite()) {
        let Some(column) = column(time, duration_s, columns) else { continue };
        let (lowest, highest) = reduced[column].unwrap_or((low, high));
        reduced[column] = Some((lowest.min(low).max(-1.0), highest.max(high).min(1.0)));
    }
    let time = |column: usize| (column as f32 + 0.5) / columns as f32 * duration_s;
    let filled = reduced.into_iter().enumerate();
    filled.filter_map(|(column, value)| value.map(|(low, high)| (time(column), low, high))).collect()
}

/// Highest value per column, at the time it was reached.
pub(super) fn highest(points: &[(f32, f32)], duration_s: f32, columns: usize) -> Vec<(f32, f32)> {
    let mut reduced: Vec<Option<(f32, f32)>> = vec![None; columns];
    for &(time, value) in points.iter().filter(|point| point.1.is_finite()) {
        let Some(column) = column(time, duration_s, columns) else { continue };
        if reduced[column].is_none_or(|(_, highest)| value > highest) {
            reduced[column] = Some((time, value));
        }
    }
    reduced.into_iter().flatten().collect()
}

/// Stretches of voiced speech, thinned to about one point per column.
pub(super) fn voiced_runs(points: &[(f32, Option<f32>)], duration_s: f32, columns: usize) -> Vec<Vec<(f32, f32)>> {
    let step = points.len().div_ceil(columns * 2).max(1);
    let mut runs = vec![Vec::new()];
    for (index, &(time, pitch)) in points.iter().enumerate() {
        let voiced = pitch.filter(|hz| hz.is_finite() && *hz > 0.0 && column(time, duration_s, columns).is_some());
        match (voiced, runs.last_mut()) {
            (Some(hz), Some(run)) if index % step == 0 || run.is_empty() => run.push((time, hz.clamp(50.0, 600.0))),
            (None, Some(run)) if !run.is_empty() => runs.push(Vec::new()),
            _ => {}
        }
    }
    runs.retain(|run| run.len() > 1);
    runs
}

/// Spans of one level: from, to, level. The last one lasts to the end of the call.
pub(super) fn level_spans(points: &[(f32, f32, Level)], duration_s: f32) -> Vec<(f32, f32, Level)> {
    let mut spans: Vec<(f32, f32, Level)> = Vec::new();
    for &(time, _, level) in points {
        match spans.last_mut() {
            Some(last) if last.2 == level => {}
            Some(last) => {
                last.1 = time;
                spans.push((time, duration_s, level));
            }
            None => spans.push((time, duration_s, level)),
        }
    }
    spans
}

fn column(time: f32, duration_s: f32, columns: usize) -> Option<usize> {
    if !(0.0..=duration_s).contains(&time) {
        return None;
    }
    Some(((time / duration_s * columns as f32) as usize).min(columns - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_keep_their_extremes() {
        let points = [(0.1, -0.2, 0.1), (0.4, -0.1, 0.9), (0.9, f32::NAN, 0.0), (1.5, -0.5, 0.5), (9.0, -1.0, 1.0)];
        assert_eq!(extremes(&points, 2.0, 2), [(0.5, -0.2, 0.9), (1.5, -0.5, 0.5)]);
        let levels = [(0.0, -60.0), (0.2, -20.0), (0.4, f32::NEG_INFINITY), (1.1, -30.0), (-1.0, 0.0)];
        assert_eq!(highest(&levels, 2.0, 2), [(0.2, -20.0), (1.1, -30.0)]);
    }

    #[test]
    fn pitch_breaks_where_there_is_none() {
        let voiced = |time: f32| (time, Some(100.0));
        let points = [
            voiced(0.0),
            voiced(0.1),
            (0.2, None),
            (0.3, Some(f32::NAN)),
            voiced(0.4),
            voiced(0.5),
            (0.6, None),
            voiced(0.7),
        ];
        let runs = voiced_runs(&points, 1.0, 100);
        assert_eq!(runs.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2]);
        let hour: Vec<_> = (0..360_000).map(|index| (index as f32 / 100.0, Some(120.0))).collect();
        assert!(voiced_runs(&hour, 3_600.0, 1_000)[0].len() <= 2_000);
    }

    #[test]
    fn levels_become_spans() {
        let points =
            [(1.0, 0.1, Level::Low), (2.0, 0.5, Level::Medium), (3.0, 0.5, Level::Medium), (4.0, 0.9, Level::High)];
        let spans = level_spans(&points, 6.0);
        assert_eq!(spans, [(1.0, 2.0, Level::Low), (2.0, 4.0, Level::Medium), (4.0, 6.0, Level::High)]);
        assert!(level_spans(&[], 6.0).is_empty());
    }
}
