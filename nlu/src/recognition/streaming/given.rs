//! What a graph is given in one run beside the states of its calls, in the order that it wants.

use ort::session::SessionInputValue;
use ort::value::TensorRef;

use super::layout::{BANDS, Layout, Order};
use super::model::Stream;
use super::states::Stack;

/// The audio of the calls of one run, and what counts their graph takes.
#[derive(Debug)]
pub(super) struct Given {
    calls: usize,
    /// Energies, frame by frame or band by band.
    windows: Vec<f32>,
    /// Where each call is, or how long its window is.
    counts: Vec<i64>,
    /// How many steps are remembered.
    remembered: [i64; 1],
    /// Which of these, and of those that come, there are.
    mask: Vec<bool>,
}

impl Given {
    /// What the next run of `streams` takes.
    pub(super) fn of(layout: &Layout, streams: &[&mut Stream]) -> Self {
        let windows = streams.iter().map(|stream| stream.frames.window(layout));
        let windows = match layout.order {
            Order::Bands => windows.flat_map(by_band).collect(),
            _ => windows.collect::<Vec<_>>().concat(),
        };
        let mut given = Self { calls: streams.len(), windows, counts: Vec::new(), remembered: [0], mask: Vec::new() };
        match layout.order {
            Order::Plain => {}
            Order::Position => given.counts = streams.iter().map(|stream| stream.decoded as i64).collect(),
            Order::Bands => given.counts = vec![layout.window as i64; streams.len()],
            Order::Mask { remembered, steps } => {
                let behind = streams.first().map_or(0, |stream| stream.decoded) as usize / layout.step;
                given.counts = vec![(remembered + behind) as i64];
                given.remembered = [remembered as i64];
                given.mask = (0..remembered + steps).map(|at| at + behind >= remembered).collect();
            }
        }
        given
    }

    /// All inputs, the states among them.
    ///
    /// # Errors
    /// What ONNX Runtime says.
    pub(super) fn inputs<'a>(
        &'a self,
        layout: &Layout,
        states: &'a Stack,
    ) -> Result<Vec<SessionInputValue<'a>>, ort::Error> {
        let (calls, counts) = (self.calls, self.counts.as_slice());
        let frames = match layout.order {
            Order::Bands => [calls, BANDS, layout.window],
            _ => [calls, layout.window, BANDS],
        };
        let count = |counts: &'a [i64]| TensorRef::from_array_view(([counts.len()], counts));
        let mut inputs = vec![TensorRef::from_array_view((frames, self.windows.as_slice()))?.into()];
        match layout.order {
            Order::Plain | Order::Position => {}
            Order::Bands => inputs.push(count(counts)?.into()),
            Order::Mask { .. } => inputs.extend([count(counts)?.into(), count(&self.remembered)?.into()]),
        }
        inputs.extend(states.tensors().iter().map(SessionInputValue::from));
        match layout.order {
            Order::Plain | Order::Bands => {}
            Order::Position => inputs.push(count(counts)?.into()),
            Order::Mask { .. } => {
                inputs.push(TensorRef::from_array_view(([1, 1, self.mask.len()], self.mask.as_slice()))?.into());
            }
        }
        Ok(inputs)
    }
}

/// The energies of a window that comes frame by frame, band by band.
fn by_band(window: &[f32]) -> impl Iterator<Item = f32> {
    (0..BANDS).flat_map(move |band| window.iter().skip(band).step_by(BANDS).copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_turned() {
        let window: Vec<f32> = (0..3 * BANDS).map(|at| at as f32).collect();
        let turned: Vec<f32> = by_band(&window).collect();
        assert_eq!(turned[..4], [0.0, 80.0, 160.0, 1.0]);
        assert_eq!((turned.len(), turned[3 * BANDS - 1]), (3 * BANDS, 239.0));
    }
}
