//! One package on disk: its manifest, and whether its files are what the manifest says.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use nlu::recognition::{Language, ModelFolder};
use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};

use super::place::NEW;
use crate::hexadecimal::hexadecimal;
use crate::signed::Trust;

/// The manifest's name in a package's folder.
pub(super) const MANIFEST: &str = "manifest.toml";
/// What the graphs of a streaming model are called in a package: those of a transducer, of which a Paraformer has no joiner,
/// and that of a CTC model.
pub(super) const TRANSDUCER: [&str; 3] = ["encoder.onnx", "decoder.onnx", "joiner.onnx"];
pub(super) const CTC: &str = "model.onnx";
/// What cuts words into a streaming model's tokens, where it is published with it.
pub(super) const PIECES: &str = "bpe.model";
/// Packages of one folder.
const PACKAGES_MAX: usize = 100;
/// Files of one package, and their size.
pub(super) const FILES_MAX: usize = 1_000;
pub(super) const FILE_BYTES_MAX: u64 = 4 << 30;
const MANIFEST_BYTES_MAX: u64 = 1 << 20;
/// What is read of a file at a time.
const PIECE_BYTES: usize = 1 << 16;

/// What packages are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EngineName {
    /// An acoustic model and a pronunciation dictionary.
    Pocketsphinx,
    /// The graphs and tokens of a streaming model.
    SherpaOnnx,
}

impl EngineName {
    /// As manifests and configurations write it.
    pub fn name(self) -> &'static str {
        match self {
            EngineName::Pocketsphinx => "pocketsphinx",
            EngineName::SherpaOnnx => "sherpa-onnx",
        }
    }
}

/// The files of a streaming model.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamingFolder {
    /// What is spoken.
    pub language: Language,
    /// The encoder, or all of a CTC model.
    pub encoder: PathBuf,
    /// Decoder and joiner of a transducer, the decoder of a Paraformer.
    pub others: Vec<PathBuf>,
    /// What the model's numbers mean.
    pub tokens: PathBuf,
    /// What cuts words into them, where the package has it.
    pub pieces: Option<PathBuf>,
}

impl StreamingFolder {
    /// All of them.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        [&self.encoder, &self.tokens].into_iter().chain(&self.others).chain(&self.pieces).map(PathBuf::as_path)
    }
}

/// What a package is made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Its name, which is that of its folder.
    pub name: String,
    /// `zh` or `en`.
    pub language: String,
    /// What it is for.
    pub engine: EngineName,
    /// The folder of the acoustic model, or of the graphs, in the package.
    pub acoustic: String,
    /// The pronunciation dictionary, or the tokens, in the package.
    pub dictionary: String,
    /// Under what terms it may be used, in words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub licence: String,
    /// Every file.
    #[serde(rename = "file")]
    pub files: Vec<ManifestFile>,
}

/// One file of a package.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestFile {
    /// Where it lies in the package, with `/` between folders.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// The SHA-256 of its content, 64 hexadecimal digits.
    pub sha256: String,
    /// Where it can be had; relative ones start at the manifest's own address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// A package in a folder of models.
#[derive(Debug, Clone)]
pub struct Package {
    /// Its folder.
    pub folder: PathBuf,
    /// What it says of itself.
    pub manifest: Manifest,
    /// The manifest as it is written, of which that was read.
    pub(super) text: String,
}

/// Why a package cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// A file cannot be read or written.
    #[error("{}: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// A file or manifest is not as it should be.
    #[error("{}: expected {expected}, found {found}", path.display())]
    Wrong {
        /// Which.
        path: PathBuf,
        /// What should be there.
        expected: String,
        /// What is.
        found: String,
    },
}

impl PackageError {
    pub(super) fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::File { path, error }
    }

    pub(super) fn wrong(path: &Path, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self::Wrong { path: path.to_owned(), expected: expected.into(), found: found.into() }
    }
}

/// Every package in a folder, by name, but for those that are being put together; a folder that is not there has none.
///
/// # Errors
/// When a manifest is not one.
pub fn installed(models: &Path) -> Result<Vec<Package>, PackageError> {
    let entries = match fs::read_dir(models) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(PackageError::file(models)(error)),
    };
    let folders = entries.take(PACKAGES_MAX).filter_map(Result::ok).map(|entry| entry.path());
    let is_new = |folder: &Path| folder.as_os_str().as_encoded_bytes().ends_with(NEW.as_bytes());
    let mut folders: Vec<PathBuf> =
        folders.filter(|folder| !is_new(folder) && folder.join(MANIFEST).is_file()).collect();
    folders.sort();
    folders.into_iter().map(Package::open).collect()
}

impl Package {
    /// Reads the manifest of the package in a folder.
    ///
    /// # Errors
    /// When there is none, or it is wrong.
    pub fn open(folder: PathBuf) -> Result<Self, PackageError> {
        let path = folder.join(MANIFEST);
        let bytes = fs::metadata(&path).map_err(PackageError::file(&path))?.len();
        if bytes > MANIFEST_BYTES_MAX {
            return Err(PackageError::wrong(&path, "a manifest of at most 1 MB", format!("{bytes} bytes")));
        }
        let text = fs::read_to_string(&path).map_err(PackageError::file(&path))?;
        let manifest = Manifest::parse(&text, &path)?;
        Ok(Self { folder, manifest, text })
    }

    /// Whether somebody who is trusted has signed the manifest.
    ///
    /// # Errors
    /// What was expected and what was found.
    pub fn check(&self, trust: &Trust) -> Result<(), String> {
        trust.check(&self.folder.join(MANIFEST), self.text.as_bytes())
    }

    /// Compares every file with the manifest.
    ///
    /// # Errors
    /// The first file that is missing, too short or long, or another one, or that the manifest does not name.
    pub fn verify(&self) -> Result<(), PackageError> {
        let Manifest { acoustic, dictionary, files, .. } = &self.manifest;
        files.iter().try_for_each(|file| file.verify(&self.folder.join(&file.path)))?;
        // The engine reads whatever it finds in the acoustic model's folder.
        let folder = self.folder.join(acoustic);
        let mut read = vec![self.folder.join(dictionary)];
        for entry in fs::read_dir(&folder).map_err(PackageError::file(&folder))?.take(FILES_MAX + 1) {
            read.push(entry.map_err(PackageError::file(&folder))?.path());
        }
        let is_listed = |path: &PathBuf| files.iter().any(|file| self.folder.join(&file.path) == *path);
        match read.iter().find(|path| !is_listed(path)) {
            None => Ok(()),
            Some(path) => Err(PackageError::wrong(path, "a file of the manifest", "one that it does not name")),
        }
    }

    /// What a recogniser needs of it; the package has been verified.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn model(&self) -> Result<ModelFolder, PackageError> {
        let read = |path: PathBuf| fs::read(&path).map_err(PackageError::file(&path));
        let acoustic = self.folder.join(&self.manifest.acoustic);
        Ok(ModelFolder {
            language: self.manifest.language(&self.folder)?,
            parameters: read(acoustic.join("feat.params"))?,
            dictionary: read(self.folder.join(&self.manifest.dictionary))?,
            acoustic,
        })
    }
}

impl Package {
    /// The files of a streaming model; the package has been verified.
    ///
    /// # Errors
    /// When its folder has no such graphs.
    pub fn streaming(&self) -> Result<StreamingFolder, PackageError> {
        let graphs = self.folder.join(&self.manifest.acoustic);
        let [encoder, decoder, joiner] = TRANSDUCER.map(|name| graphs.join(name));
        let (encoder, others) = match (encoder.is_file(), joiner.is_file()) {
            (true, true) => (encoder, vec![decoder, joiner]),
            (true, false) => (encoder, vec![decoder]),
            (false, _) => (graphs.join(CTC), Vec::new()),
        };
        let folder = StreamingFolder {
            language: self.manifest.language(&self.folder)?,
            encoder,
            others,
            tokens: self.folder.join(&self.manifest.dictionary),
            pieces: self.manifest.files.iter().find(|file| file.path == PIECES).map(|_| self.folder.join(PIECES)),
        };
        if let Some(missing) = folder.paths().find(|path| !path.is_file()) {
            let expected = format!("{}, of which a Paraformer has no joiner, or {CTC} alone", TRANSDUCER.join(", "));
            return Err(PackageError::wrong(&graphs, expected, format!("no {}", missing.display())));
        }
        Ok(folder)
    }
}

impl Manifest {
    /// Reads a manifest; `path` names it in errors.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(text: &str, path: &Path) -> Result<Self, PackageError> {
        let manifest: Self =
            toml::from_str(text).map_err(|error| PackageError::wrong(path, "a manifest", error.message()))?;
        manifest.language(path)?;
        let is_name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let is_reserved = manifest.name.starts_with('.') || manifest.name.ends_with(NEW);
        if manifest.name.is_empty() || is_reserved || !manifest.name.chars().all(is_name) {
            let expected = format!("a name of letters, digits, -, _ and ., without {NEW} at its end");
            return Err(PackageError::wrong(path, expected, manifest.name));
        }
        if manifest.files.is_empty() || manifest.files.len() > FILES_MAX {
            let found = format!("{} files", manifest.files.len());
            return Err(PackageError::wrong(path, format!("1-{FILES_MAX} files"), found));
        }
        let paths = manifest.files.iter().map(|file| &file.path).chain([&manifest.acoustic, &manifest.dictionary]);
        if let Some(outside) = paths.into_iter().find(|path| !stays_inside(path)) {
            return Err(PackageError::wrong(path, "paths inside the package", outside.clone()));
        }
        let is_hash =
            |file: &ManifestFile| file.sha256.len() == 64 && file.sha256.chars().all(|c| c.is_ascii_hexdigit());
        if let Some(file) = manifest.files.iter().find(|file| !is_hash(file) || file.bytes > FILE_BYTES_MAX) {
            let found = format!("{} bytes, sha256 {:?} of {}", file.bytes, file.sha256, file.path);
            return Err(PackageError::wrong(path, "64 hexadecimal digits of a file of at most 4 GB", found));
        }
        Ok(manifest)
    }

    fn language(&self, path: &Path) -> Result<Language, PackageError> {
        Language::of_code(&self.language)
            .ok_or_else(|| PackageError::wrong(path, "language = \"zh\" or \"en\"", self.language.clone()))
    }
}

impl ManifestFile {
    /// What a file is, as a manifest says it.
    pub(super) fn of(path: &Path, inside: String) -> Result<Self, PackageError> {
        let bytes = fs::metadata(path).map_err(PackageError::file(path))?.len();
        Ok(Self { path: inside, bytes, sha256: sha256(path)?, url: None })
    }

    /// Compares a file with what is said of it here.
    pub(super) fn verify(&self, path: &Path) -> Result<(), PackageError> {
        let bytes = fs::metadata(path).map_err(PackageError::file(path))?.len();
        if bytes != self.bytes {
            return Err(PackageError::wrong(path, format!("{} bytes", self.bytes), format!("{bytes} bytes")));
        }
        let found = sha256(path)?;
        match found.eq_ignore_ascii_case(&self.sha256) {
            true => Ok(()),
            false => Err(PackageError::wrong(path, format!("sha256 {}", self.sha256), format!("sha256 {found}"))),
        }
    }
}

fn sha256(path: &Path) -> Result<String, PackageError> {
    let mut file = File::open(path).map_err(PackageError::file(path))?;
    let mut context = Context::new(&SHA256);
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        match file.read(&mut piece).map_err(PackageError::file(path))? {
            0 => break,
            length => context.update(&piece[..length]),
        }
    }
    Ok(hexadecimal(context.finish().as_ref()))
}

/// Whether a path leads nowhere but down.
fn stays_inside(path: &str) -> bool {
    !path.is_empty() && Path::new(path).components().all(|part| matches!(part, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HASH: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

    #[test]
    fn a_file_that_is_not_the_manifests_is_named() {
        let folder = crate::models::add::tests::folder("verify");
        let path = folder.join("words.dict");
        let file = ManifestFile { path: "words.dict".into(), bytes: 4, sha256: HASH.into(), url: None };
        let check = |content: Option<&str>, expected: &str| {
            let _ = fs::remove_file(&path);
            if let Some(content) = content {
                fs::write(&path, content).expect("written");
            }
            let error = file.verify(&path).expect_err("wrong").to_string();
            assert!(error.contains("words.dict: ") && error.contains(expected), "{error}");
        };
        check(None, "No such file");
        check(Some("tes"), "expected 4 bytes, found 3 bytes");
        check(Some("tesT"), &format!("expected sha256 {HASH}, found sha256 "));
        fs::write(&path, "test").expect("written");
        file.verify(&path).expect("the file itself");
        fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn manifests_that_lead_outside_or_name_nothing_are_refused() {
        let manifest = |language: &str, engine: &str, name: &str, path: &str, sha256: &str| {
            format!(
                "name = '{name}'\nlanguage = '{language}'\nengine = '{engine}'\nacoustic = 'a'\ndictionary = 'd'\n\
                 [[file]]\npath = '{path}'\nbytes = 4\nsha256 = '{sha256}'\n"
            )
        };
        let check = |text: String, expected: &str| match Manifest::parse(&text, Path::new("m")) {
            Ok(_) => assert_eq!(expected, "", "{text}"),
            Err(error) => assert!(!expected.is_empty() && error.to_string().contains(expected), "{error}"),
        };
        const ENGINE: &str = "pocketsphinx";
        check(manifest("zh", ENGINE, "zh-8k", "a/mdef", HASH), "");
        check(manifest("zh", "sherpa-onnx", "zh", "a/model.onnx", HASH), "");
        check(manifest("fr", ENGINE, "zh-8k", "a/mdef", HASH), "language = \"zh\" or \"en\"");
        check(manifest("zh", "whisper", "zh-8k", "a/mdef", HASH), "expected `pocketsphinx` or `sherpa-onnx`");
        check(manifest("zh", ENGINE, "../zh", "a/mdef", HASH), "a name of letters");
        check(manifest("zh", ENGINE, "zh.new", "a/mdef", HASH), "without .new at its end");
        check(manifest("zh", ENGINE, "zh", "../../etc/passwd", HASH), "paths inside the package");
        check(manifest("zh", ENGINE, "zh", "/etc/passwd", HASH), "paths inside the package");
        check(manifest("zh", ENGINE, "zh", "a", "12"), "64 hexadecimal digits");
        check("name = 1".to_owned(), "a manifest");
    }

    proptest! {
        #[test]
        fn any_text_is_a_manifest_or_refused_and_no_path_leads_outside(
            text in "(?s).{0,120}",
            path in "(\\.\\.?|/|a|b c|\\\\|~){0,6}",
            name in "[a./~ -]{0,6}",
        ) {
            let whole = format!(
                "name = '{name}'\nlanguage = 'zh'\nengine = 'pocketsphinx'\nacoustic = '{path}'\ndictionary = 'd'\n\
                 [[file]]\npath = '{path}'\nbytes = 4\nsha256 = '{HASH}'\n"
            );
            for text in [&text, &whole] {
                match Manifest::parse(text, Path::new("m")) {
                    Ok(manifest) => {
                        let root = Path::new("/models").join(&manifest.name);
                        prop_assert!(root.starts_with("/models") && root.components().count() == 3, "{root:?}");
                        let inside = root.join(&manifest.acoustic);
                        let leads_up = inside.components().any(|part| part == Component::ParentDir);
                        prop_assert!(inside.starts_with(&root) && !leads_up, "{inside:?}");
                    }
                    Err(error) => prop_assert!(error.to_string().starts_with("m: expected ")),
                }
            }
        }
    }
}
