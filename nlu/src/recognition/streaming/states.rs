//! What calls remember, stacked for one run and taken apart after it, without copying more than needed.
//!
//! The outputs of a run stay as they are: a call keeps its row of them. Where the same calls come together again, those
//! outputs are the next inputs as they are; otherwise each row is copied once, into the next stack.

use std::sync::Arc;

use ort::value::{DynValue, Tensor, TensorElementType};

use super::layout::StateShape;

/// The states of the calls of one run, a tensor for each, the calls along its batch axis.
#[derive(Debug)]
pub(super) struct Stack {
    tensors: Vec<DynValue>,
    rows: usize,
}

/// The states of one call: a row of a stack.
#[derive(Debug, Clone)]
pub(super) struct Row {
    stack: Arc<Stack>,
    row: usize,
}

impl Row {
    /// What a call remembers before its first chunk: zeros.
    ///
    /// # Errors
    /// What ONNX Runtime says.
    pub(super) fn first(shapes: &[StateShape]) -> Result<Self, ort::Error> {
        let tensors = shapes.iter().map(|shape| match shape.element {
            TensorElementType::Int64 => tensor(shape, 1, vec![0i64; shape.numbers()]),
            _ => tensor(shape, 1, vec![0f32; shape.numbers()]),
        });
        Ok(Self { stack: Arc::new(Stack { tensors: tensors.collect::<Result<_, _>>()?, rows: 1 }), row: 0 })
    }

    /// Leaves a stack that hardly anybody else still needs, so that one quiet call does not keep the states of many.
    ///
    /// # Errors
    /// What ONNX Runtime says.
    pub(super) fn settle(&mut self, shapes: &[StateShape]) -> Result<(), ort::Error> {
        if 2 * Arc::strong_count(&self.stack) < self.stack.rows {
            *self = Self { stack: Arc::new(stacked(shapes, &[self])?), row: 0 };
        }
        Ok(())
    }
}

/// The states of calls for one run: those of `rows` in order.
///
/// # Errors
/// What ONNX Runtime says.
pub(super) fn gathered(shapes: &[StateShape], rows: &[&Row]) -> Result<Arc<Stack>, ort::Error> {
    let first = &rows[0].stack;
    let is_whole = first.rows == rows.len()
        && rows.iter().enumerate().all(|(at, row)| row.row == at && Arc::ptr_eq(&row.stack, first));
    if is_whole { Ok(Arc::clone(first)) } else { Ok(Arc::new(stacked(shapes, rows)?)) }
}

impl Stack {
    /// What a run gave, for `rows` calls.
    ///
    /// # Errors
    /// When it is of another shape than what it takes.
    pub(super) fn of(shapes: &[StateShape], tensors: Vec<DynValue>, rows: usize) -> Result<Arc<Self>, ort::Error> {
        for (shape, tensor) in shapes.iter().zip(&tensors) {
            let count = match shape.element {
                TensorElementType::Int64 => tensor.try_extract_tensor::<i64>()?.1.len(),
                _ => tensor.try_extract_tensor::<f32>()?.1.len(),
            };
            if count != shape.numbers() * rows {
                return Err(ort::Error::new(format!("{count} numbers of a state {shape} of {rows} calls")));
            }
        }
        Ok(Arc::new(Self { tensors, rows }))
    }

    /// One tensor per state.
    pub(super) fn tensors(&self) -> &[DynValue] {
        &self.tensors
    }

    /// The row of one call.
    pub(super) fn row(self: &Arc<Self>, row: usize) -> Row {
        Row { stack: Arc::clone(self), row }
    }
}

fn stacked(shapes: &[StateShape], rows: &[&Row]) -> Result<Stack, ort::Error> {
    let tensors = shapes.iter().enumerate().map(|(state, shape)| match shape.element {
        TensorElementType::Int64 => tensor(shape, rows.len(), copied::<i64>(shape, state, rows)?),
        _ => tensor(shape, rows.len(), copied::<f32>(shape, state, rows)?),
    });
    Ok(Stack { tensors: tensors.collect::<Result<_, _>>()?, rows: rows.len() })
}

/// The numbers of one state of all rows, the batch at its axis.
fn copied<T: ort::value::PrimitiveTensorElementType + Copy>(
    shape: &StateShape,
    state: usize,
    rows: &[&Row],
) -> Result<Vec<T>, ort::Error> {
    // What is of one call alone is one row as a whole.
    let (before, behind) = match shape.axis {
        Some(axis) => (&shape.dimensions[..axis], &shape.dimensions[axis + 1..]),
        None => (&[][..], &shape.dimensions[..]),
    };
    let (outer, inner): (usize, usize) = (before.iter().product(), behind.iter().product());
    let views: Vec<(&[T], usize, usize)> = rows
        .iter()
        .map(|row| Ok((row.stack.tensors[state].try_extract_tensor::<T>()?.1, row.stack.rows, row.row)))
        .collect::<Result<_, ort::Error>>()?;
    let mut numbers = Vec::with_capacity(shape.numbers() * rows.len());
    for at in 0..outer {
        for (values, count, row) in &views {
            let from = (at * count + row) * inner;
            numbers.extend_from_slice(&values[from..from + inner]);
        }
    }
    Ok(numbers)
}

fn tensor<T: ort::value::PrimitiveTensorElementType + std::fmt::Debug + Clone + 'static>(
    shape: &StateShape,
    rows: usize,
    numbers: Vec<T>,
) -> Result<DynValue, ort::Error> {
    let mut dimensions = shape.dimensions.clone();
    if let Some(axis) = shape.axis {
        dimensions[axis] = rows;
    }
    Ok(Tensor::from_array((dimensions, numbers))?.into_dyn())
}
