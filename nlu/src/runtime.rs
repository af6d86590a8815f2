//! Finds and loads the ONNX Runtime library; nothing else in the project touches it.
//!
//! It never downloads: `scripts/fetch-onnxruntime` puts the library into `.cache/onnxruntime/`. A missing library is an
//! error to report, not a panic: the caller goes on with signal processing only.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use ort::environment::Environment;

/// Environment variables that may name the library, first match first.
const VARIABLES: [&str; 2] = ["CALMLINE_ONNXRUNTIME", "ORT_DYLIB_PATH"];
/// Where the set-up script puts the library, relative to the workspace or to a folder above the program.
const CACHED: &str = ".cache/onnxruntime/libonnxruntime.so";
/// Where Calmline's Debian package puts it.
const PACKAGED: &str = "/usr/lib/calmline/libonnxruntime.so";
/// What the system's loader is asked for last.
const SYSTEM: &str = "libonnxruntime.so";
/// Folders above the program that are searched for `.cache`: target/release/calmline lies three below the workspace.
const PARENTS_MAX: usize = 5;

/// The one environment of this process: `ort` allows no second one, and a library once loaded stays loaded.
static LOADED: Mutex<Option<Runtime>> = Mutex::new(None);

/// ONNX Runtime, loaded. Cheap to clone; sessions are made from it.
#[derive(Debug, Clone)]
pub struct Runtime {
    pub(crate) environment: Environment,
    path: PathBuf,
}

/// Why there is no runtime.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// The file is not an ONNX Runtime this build can talk to.
    #[error("{}: expected ONNX Runtime 1.{} or later, found: {found}", path.display(), ort::MINOR_VERSION)]
    NotLoaded {
        /// The library that was tried.
        path: PathBuf,
        /// What the loader said.
        found: String,
    },
    /// The library loaded but would not start.
    #[error("{}: ONNX Runtime did not start: {found}", path.display())]
    NotStarted {
        /// The library that was tried.
        path: PathBuf,
        /// What the library said.
        found: String,
    },
    /// None of the places has a library that loads.
    #[error("no ONNX Runtime library found (scripts/fetch-onnxruntime fetches one); tried {}", tried.join("; "))]
    NotFound {
        /// One line per place.
        tried: Vec<String>,
    },
}

impl Runtime {
    /// Loads the library at `path`, or returns the one this process has already loaded.
    ///
    /// # Errors
    /// When the file is missing, not a library, too old, or does not start.
    pub fn load(path: &Path) -> Result<Self, RuntimeError> {
        let mut loaded = LOADED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(runtime) = loaded.as_ref() {
            return Ok(runtime.clone());
        }
        let builder = ort::init_from(path)
            .map_err(|error| RuntimeError::NotLoaded { path: path.to_path_buf(), found: error.to_string() })?;
        let environment = builder
            .with_name("calmline")
            .with_telemetry(false)
            .build()
            .map_err(|error| RuntimeError::NotStarted { path: path.to_path_buf(), found: error.to_string() })?;
        let runtime = Self { environment, path: path.to_path_buf() };
        *loaded = Some(runtime.clone());
        Ok(runtime)
    }

    /// Loads the first library of [`candidates`] that loads.
    ///
    /// # Errors
    /// A configured path that does not load is an error at once; otherwise only when every place fails.
    pub fn find(configured: Option<&Path>) -> Result<Self, RuntimeError> {
        if let Some(path) = configured {
            return Self::load(path);
        }
        let mut tried = Vec::new();
        for path in candidates() {
            match Self::load(&path) {
                Ok(runtime) => return Ok(runtime),
                Err(error) => tried.push(error.to_string()),
            }
        }
        Err(RuntimeError::NotFound { tried })
    }

    /// Where the library came from.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The places searched when no path is configured, in order: `CALMLINE_ONNXRUNTIME`, `ORT_DYLIB_PATH`,
/// `.cache/onnxruntime/` of the working folder, of the folders above it and above the program, where Calmline's package puts it,
/// the system's library.
/// Places that do not exist are left out, except the last.
#[expect(clippy::disallowed_methods, reason = "finding the library is the one thing this crate does outside of itself")]
pub fn candidates() -> Vec<PathBuf> {
    let mut places: Vec<PathBuf> =
        VARIABLES.iter().filter_map(std::env::var_os).filter(|v| !v.is_empty()).map(PathBuf::from).collect();
    let starts = [std::env::current_dir().ok(), std::env::current_exe().ok()];
    for start in starts.iter().flatten() {
        let cached = start.ancestors().take(PARENTS_MAX).map(|folder| folder.join(CACHED));
        places.extend(cached.filter(|path| path.is_file()));
    }
    places.dedup();
    places.extend(Some(PathBuf::from(PACKAGED)).filter(|path| path.is_file()));
    places.push(PathBuf::from(SYSTEM));
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_or_wrong_library_is_an_error() {
        check("/nonexistent/libonnxruntime.so", "expected ONNX Runtime 1.");
        check(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"), "Cargo.toml: expected ONNX Runtime 1.");
    }

    #[test]
    fn the_system_library_is_tried_last() {
        assert_eq!(candidates().last().map(PathBuf::as_path), Some(Path::new(SYSTEM)));
    }

    /// Loading must fail and say `expected`, unless another test of this process has already loaded a real library.
    #[track_caller]
    fn check(path: &str, expected: &str) {
        match Runtime::load(Path::new(path)) {
            Err(error) => assert!(error.to_string().contains(expected), "{error}"),
            Ok(runtime) => assert_ne!(runtime.path(), Path::new(path)),
        }
    }
}
