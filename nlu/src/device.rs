//! What computes a graph: the processor, or a GPU by ONNX Runtime's CUDA provider.
//!
//! The library that is loaded has to have been built with that provider; Calmline's own (`scripts/fetch-onnxruntime`) is not.

use std::fmt;
use std::path::PathBuf;

use ort::ep::{CUDA, ExecutionProvider};
use ort::session::builder::SessionBuilder;

use crate::runtime::Runtime;

/// GPUs of one machine.
const GPUS_MAX: u8 = 64;
const CPU: &str = "cpu";
const CUDA_PREFIX: &str = "cuda:";

/// What computes a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Device {
    /// The processor.
    #[default]
    Cpu,
    /// A GPU, by its number from 0 on.
    Cuda(u8),
}

/// Why a device cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The library has no such provider.
    #[error("{device}: expected an ONNX Runtime with {}, found {} without it", CUDA::NAME, library.display())]
    NoProvider {
        /// The device that was asked for.
        device: Device,
        /// The library.
        library: PathBuf,
    },
    /// The library has it, and it does not start.
    #[error("{device}: expected a GPU that {} can use, found: {found}", CUDA::NAME)]
    NotStarted {
        /// The device that was asked for.
        device: Device,
        /// What ONNX Runtime says, e.g. which library of CUDA is missing.
        found: String,
    },
}

impl Device {
    /// The device of a name: `cpu`, or `cuda:` and the number of a GPU, 0-63.
    pub fn of_name(name: &str) -> Option<Self> {
        if name == CPU {
            return Some(Device::Cpu);
        }
        let number = name.strip_prefix(CUDA_PREFIX)?;
        let gpu: u8 = number.parse().ok()?;
        (gpu < GPUS_MAX && gpu.to_string() == number).then_some(Device::Cuda(gpu))
    }

    /// Has the sessions of `builder` computed here.
    ///
    /// # Errors
    /// When the library has no provider for it, or the provider no such GPU.
    pub(crate) fn put(self, runtime: &Runtime, builder: SessionBuilder) -> Result<SessionBuilder, DeviceError> {
        let Device::Cuda(gpu) = self else { return Ok(builder) };
        if !CUDA::is_available().unwrap_or_default() {
            return Err(DeviceError::NoProvider { device: self, library: runtime.path().to_owned() });
        }
        let provider = CUDA::default().with_device_id(i32::from(gpu)).build().error_on_failure();
        let builder = builder.with_execution_providers([provider]);
        builder.map_err(|error| DeviceError::NotStarted { device: self, found: error.to_string() })
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Device::Cpu => f.write_str(CPU),
            Device::Cuda(gpu) => write!(f, "{CUDA_PREFIX}{gpu}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_have_names() {
        for (name, expected) in [
            ("cpu", Some(Device::Cpu)),
            ("cuda:0", Some(Device::Cuda(0))),
            ("cuda:63", Some(Device::Cuda(63))),
            ("cuda", None),
            ("cuda:", None),
            ("cuda:64", None),
            ("cuda:-1", None),
            ("cuda:+1", None),
            ("cuda:01", None),
            ("CPU", None),
        ] {
            assert_eq!(Device::of_name(name), expected, "{name}");
            if let Some(device) = expected {
                assert_eq!(device.to_string(), name);
            }
        }
    }
}
