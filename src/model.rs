//! The acoustic model as files: the one that ships inside the program, or an operator's own.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use nlu::{AcousticModel, Runtime};

/// A model file no larger than this is read; the shipped one has well under 1 MB.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// The graph and its card, not yet checked.
#[derive(Debug, Clone)]
pub struct ModelFiles {
    name: String,
    graph: Cow<'static, [u8]>,
    card: Cow<'static, [u8]>,
    runtime: Option<PathBuf>,
}

impl ModelFiles {
    /// The model at `model` (its card lies beside it, ending in `.json`), or the shipped one.
    /// `runtime` is the ONNX Runtime library; it is searched for when not given.
    ///
    /// # Errors
    /// When a file cannot be read, with its name.
    pub fn read(model: Option<&Path>, runtime: Option<&Path>) -> Result<Self, String> {
        let runtime = runtime.map(Path::to_path_buf);
        let Some(path) = model else {
            return Ok(Self {
                name: "the shipped acoustic model".into(),
                graph: Cow::Borrowed(include_bytes!("../nlu/models/acoustic.onnx")),
                card: Cow::Borrowed(include_bytes!("../nlu/models/acoustic.json")),
                runtime,
            });
        };
        Ok(Self {
            name: path.display().to_string(),
            graph: Cow::Owned(read_file(path)?),
            card: Cow::Owned(read_file(&path.with_extension("json"))?),
            runtime,
        })
    }

    /// Finds the runtime and loads the model into it.
    ///
    /// # Errors
    /// Why there is no model to listen with; listening goes on by signal processing then.
    pub fn load(&self) -> Result<AcousticModel, String> {
        let runtime = Runtime::find(self.runtime.as_deref()).map_err(|error| error.to_string())?;
        AcousticModel::from_bytes(&runtime, &self.name, &self.graph, &self.card).map_err(|error| error.to_string())
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    let named = |error: std::io::Error| format!("{}: {error}", path.display());
    let bytes = std::fs::metadata(path).map_err(named)?.len();
    if bytes > FILE_BYTES_MAX {
        return Err(format!("{}: found {bytes} bytes, expected at most {FILE_BYTES_MAX}", path.display()));
    }
    std::fs::read(path).map_err(named)
}
