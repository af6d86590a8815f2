//! The acoustic model as files: the one that ships inside the program, or an operator's own.

use std::path::{Path, PathBuf};

use nlu::{AcousticModel, Runtime};

/// A model file no larger than this is read; the shipped one has well under 1 MB.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// A model that is not yet checked, and where its runtime is.
#[derive(Debug, Clone)]
pub struct ModelFiles {
    /// `None` for the shipped model, which `nlu` carries.
    own: Option<OwnModel>,
    runtime: Option<PathBuf>,
}

/// The graph and its card, as an operator gave them.
#[derive(Debug, Clone)]
struct OwnModel {
    name: String,
    graph: Vec<u8>,
    card: Vec<u8>,
}

impl ModelFiles {
    /// The model at `model` (its card lies beside it, ending in `.json`), or the shipped one.
    /// `runtime` is the ONNX Runtime library; it is searched for when not given.
    ///
    /// # Errors
    /// When a file cannot be read, with its name.
    pub fn read(model: Option<&Path>, runtime: Option<&Path>) -> Result<Self, String> {
        let own = model.map(OwnModel::read).transpose()?;
        Ok(Self { own, runtime: runtime.map(Path::to_path_buf) })
    }

    /// Finds the runtime and loads the model into it.
    ///
    /// # Errors
    /// Why there is no model to listen with; listening goes on by signal processing then.
    pub fn load(&self) -> Result<AcousticModel, String> {
        let runtime = Runtime::find(self.runtime.as_deref()).map_err(|error| error.to_string())?;
        let loaded = match &self.own {
            Some(own) => AcousticModel::from_bytes(&runtime, &own.name, &own.graph, &own.card),
            None => AcousticModel::built_in(&runtime),
        };
        loaded.map_err(|error| error.to_string())
    }
}

impl OwnModel {
    fn read(path: &Path) -> Result<Self, String> {
        let (graph, card) = (read_file(path)?, read_file(&path.with_extension("json"))?);
        Ok(Self { name: path.display().to_string(), graph, card })
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
