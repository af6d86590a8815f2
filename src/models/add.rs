//! `calmline models add`: takes a model that is on this machine into the folder of models.

use std::fs;
use std::path::{Path, PathBuf};

use super::package::{
    CTC, EngineName, FILES_MAX, MANIFEST, Manifest, ManifestFile, PIECES, Package, PackageError, TRANSDUCER,
};
use super::place;
use crate::cli::{Failure, ModelsAddArgs};
use crate::recognizer::{Dictation, load_streaming};
use crate::signed;

/// What pocketsphinx's acoustic models consist of.
const ACOUSTIC_FILES: [&str; 2] = ["mdef", "feat.params"];
/// What the tokens of a streaming model are called wherever it is published.
const TOKENS: &str = "tokens.txt";

/// Copies the model beside its place, and puts it there once it is whole; its manifest is written last: a package without
/// one is none.
pub(super) fn add(args: &ModelsAddArgs) -> Result<Package, Failure> {
    let is_package = args.path.join(MANIFEST).is_file();
    let is_streaming = !is_package && args.path.join(TOKENS).is_file();
    let added = match (is_package, is_streaming) {
        (true, _) => add_package(args),
        (false, true) => add_streaming(args),
        (false, false) => add_loose(args),
    };
    let package = added.map_err(|error| Failure::Failed(error.to_string()))?;
    if is_streaming {
        check_streaming(&package)?;
    }
    place::put(package).map_err(|error| Failure::Failed(error.to_string()))
}

/// A package as another machine has it.
fn add_package(args: &ModelsAddArgs) -> Result<Package, PackageError> {
    let source = Package::open(args.path.clone())?;
    source.verify()?;
    let folder = place::fresh(&args.to.models, &source.manifest.name, &[&args.path])?;
    for file in &source.manifest.files {
        copy(&source.folder.join(&file.path), &folder.join(&file.path))?;
    }
    let signature = fs::read_to_string(signed::beside(&source.folder.join(MANIFEST))).ok();
    finish(Package { folder, ..source }, signature.as_deref())
}

/// An acoustic model's folder and a dictionary, as Debian and others ship them.
fn add_loose(args: &ModelsAddArgs) -> Result<Package, PackageError> {
    if let Some(missing) = ACOUSTIC_FILES.iter().find(|name| !args.path.join(name).is_file()) {
        let expected = format!(
            "a package ({MANIFEST}), pocketsphinx's acoustic model ({}) or sherpa-onnx's ({TOKENS})",
            ACOUSTIC_FILES.join(", ")
        );
        return Err(PackageError::wrong(&args.path, expected, format!("no {missing}")));
    }
    let (Some(language), Some(dictionary)) = (&args.language, &args.dictionary) else {
        let expected = "--language and --dictionary beside an acoustic model without a manifest";
        return Err(PackageError::wrong(&args.path, expected, "none"));
    };
    let name = args.name.clone().unwrap_or_else(|| language.clone());
    let mut manifest = Manifest {
        name,
        language: language.clone(),
        engine: EngineName::Pocketsphinx,
        acoustic: "acoustic".to_owned(),
        dictionary: "words.dict".to_owned(),
        licence: args.licence.clone().unwrap_or_default(),
        files: Vec::new(),
    };
    let entries = fs::read_dir(&args.path).map_err(PackageError::file(&args.path))?;
    let mut sources: Vec<PathBuf> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
    sources.retain(|path| path.is_file());
    sources.sort();
    for source in sources.iter().take(FILES_MAX - 1) {
        let name = source.file_name().unwrap_or_default().to_string_lossy();
        manifest.files.push(ManifestFile::of(source, format!("acoustic/{name}"))?);
    }
    manifest.files.push(ManifestFile::of(dictionary, manifest.dictionary.clone())?);
    // What cannot be read again is not written.
    Manifest::parse(&written(&manifest), &args.path)?;
    let folder = place::fresh(&args.to.models, &manifest.name, &[&args.path, dictionary])?;
    for (source, file) in sources.iter().chain([dictionary]).zip(&manifest.files) {
        copy(source, &folder.join(&file.path))?;
    }
    finish_loose(folder, manifest)
}

/// The folder of a streaming model, as sherpa-onnx publishes it: its graphs by what their names begin with.
fn add_streaming(args: &ModelsAddArgs) -> Result<Package, PackageError> {
    let Some(language) = &args.language else {
        return Err(PackageError::wrong(&args.path, "--language beside a streaming model without a manifest", "none"));
    };
    let names = published(&args.path)?;
    let graph = |kind: &str| {
        let mut own: Vec<&String> = names.iter().filter(|name| name.starts_with(kind)).collect();
        // Of several the one that streams, as WeNet's are called, and the exact one, not that of 8 bits.
        own.sort_by_key(|name| (!name.contains("streaming"), name.contains("int8"), name.len()));
        own.first().map(|name| args.path.join(name))
    };
    let transducer = ["encoder", "decoder", "joiner"].map(graph);
    let graphs: Vec<(PathBuf, &str)> = match (transducer, graph("ctc").or_else(|| graph("model"))) {
        ([Some(encoder), Some(decoder), joiner], _) => {
            [encoder, decoder].into_iter().chain(joiner).zip(TRANSDUCER).collect()
        }
        ([None, None, None], Some(model)) => vec![(model, CTC)],
        _ => {
            let expected = "encoder*.onnx, decoder*.onnx and joiner*.onnx, of which a Paraformer has no joiner, or \
                            ctc*.onnx or model*.onnx";
            return Err(PackageError::wrong(&args.path, expected, names.join(", ")));
        }
    };
    let name = args.name.clone().unwrap_or_else(|| format!("{language}-streaming"));
    let mut manifest = Manifest {
        name,
        language: language.clone(),
        engine: EngineName::SherpaOnnx,
        acoustic: "graphs".to_owned(),
        dictionary: TOKENS.to_owned(),
        licence: args.licence.clone().unwrap_or_default(),
        files: Vec::new(),
    };
    let tokens = (args.path.join(TOKENS), TOKENS.to_owned());
    let graphs = graphs.into_iter().map(|(from, name)| (from, format!("graphs/{name}")));
    let pieces = Some((args.path.join(PIECES), PIECES.to_owned())).filter(|(from, _)| from.is_file());
    let files: Vec<(PathBuf, String)> = graphs.chain([tokens]).chain(pieces).collect();
    for (from, to) in &files {
        manifest.files.push(ManifestFile::of(from, to.clone())?);
    }
    Manifest::parse(&written(&manifest), &args.path)?;
    let folder = place::fresh(&args.to.models, &manifest.name, &[&args.path])?;
    files.iter().try_for_each(|(from, to)| copy(from, &folder.join(to)))?;
    finish_loose(folder, manifest)
}

/// The names of the graphs in a folder, in order.
fn published(folder: &Path) -> Result<Vec<String>, PackageError> {
    let entries = fs::read_dir(folder).map_err(PackageError::file(folder))?;
    let names =
        entries.take(FILES_MAX).filter_map(Result::ok).map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(".onnx")).collect();
    names.sort();
    Ok(names)
}

/// Loads a streaming model that was added; one that does not load is no package.
fn check_streaming(package: &Package) -> Result<(), Failure> {
    let folder = package.streaming().map_err(|error| Failure::Failed(error.to_string()))?;
    let Err(why) = load_streaming(&folder, &Dictation::default()) else { return Ok(()) };
    let path = package.folder.display().to_string();
    fs::remove_dir_all(&package.folder).map_err(|error| Failure::of(path, error))?;
    Err(Failure::Failed(why))
}

/// Verifies the copies of a package's files and writes its manifest behind them, with the signature that came with it.
pub(super) fn finish(package: Package, signature: Option<&str>) -> Result<Package, PackageError> {
    package.verify()?;
    let path = package.folder.join(MANIFEST);
    fs::write(&path, &package.text).map_err(PackageError::file(&path))?;
    let beside = signed::beside(&path);
    match signature {
        Some(signature) => fs::write(&beside, signature).map_err(PackageError::file(&beside))?,
        // One that another manifest had would only mislead.
        None => fs::remove_file(&beside).or_else(absent).map_err(PackageError::file(&beside))?,
    }
    Ok(package)
}

/// What is not there need not be removed.
fn absent(error: std::io::Error) -> std::io::Result<()> {
    if error.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

/// As [`finish`], of a model that came without a manifest.
fn finish_loose(folder: PathBuf, manifest: Manifest) -> Result<Package, PackageError> {
    let text = written(&manifest);
    finish(Package { folder, manifest, text }, None)
}

fn written(manifest: &Manifest) -> String {
    toml::to_string(manifest).expect("a manifest is made of tables and texts")
}

fn copy(from: &Path, to: &Path) -> Result<(), PackageError> {
    make_folder_of(to)?;
    fs::copy(from, to).map_err(PackageError::file(from)).map(drop)
}

/// Makes the folder that a file is to lie in.
pub(super) fn make_folder_of(path: &Path) -> Result<(), PackageError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(PackageError::file(folder))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::cli::ModelsArgs;
    use crate::models::installed;

    #[test]
    fn a_loose_model_becomes_a_package_and_a_package_is_taken_over() {
        let folder = folder("add");
        let acoustic = folder.join("from");
        fs::create_dir_all(&acoustic).expect("made");
        for (name, content) in [("mdef", "m"), ("feat.params", "-upperf 4000"), ("means", "123")] {
            fs::write(acoustic.join(name), content).expect("written");
        }
        let dictionary = folder.join("zh.dic");
        fs::write(&dictionary, "我 w o\n").expect("written");
        let args = |path: &Path, to: &str, language: Option<&str>| ModelsAddArgs {
            path: path.to_owned(),
            to: ModelsArgs { models: folder.join(to) },
            name: None,
            language: language.map(str::to_owned),
            dictionary: language.map(|_| dictionary.clone()),
            licence: None,
        };
        let error = add(&args(&acoustic, "one", None)).expect_err("no language").to_string();
        assert!(error.contains("--language and --dictionary"), "{error}");
        let error = add(&args(&folder, "one", Some("zh"))).expect_err("no model").to_string();
        assert!(error.contains("no mdef"), "{error}");

        let package = add(&args(&acoustic, "one", Some("zh"))).expect("added");
        assert_eq!(package.manifest.files.len(), 4);
        add(&args(&package.folder, "two", None)).expect("taken over");
        let there = installed(&folder.join("two")).expect("packages");
        assert_eq!(there.len(), 1);
        there[0].verify().expect("as its manifest says");
        assert_eq!(there[0].model().expect("a model").dictionary, "我 w o\n".as_bytes());

        fs::write(there[0].folder.join("acoustic/means"), "12").expect("written");
        let error = there[0].verify().expect_err("too short").to_string();
        assert!(error.contains("acoustic/means: expected 3 bytes, found 2 bytes"), "{error}");
        fs::write(there[0].folder.join("acoustic/means"), "123").expect("written");
        there[0].verify().expect("whole again");
        fs::write(there[0].folder.join("acoustic/sendump"), "hostile").expect("written");
        let error = there[0].verify().expect_err("not in the manifest").to_string();
        assert!(error.contains("acoustic/sendump: expected a file of the manifest"), "{error}");
        fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn what_lies_in_the_place_is_not_added_to_itself() {
        let folder = folder("add-itself");
        let models = folder.join("models");
        let package = loose(&folder, "from", "zh", &["mdef", "feat.params", "means"]);
        let args = |path: &Path, language: Option<&str>| ModelsAddArgs {
            path: path.to_owned(),
            to: ModelsArgs { models: models.clone() },
            name: None,
            language: language.map(str::to_owned),
            dictionary: language.map(|_| folder.join("zh.dic")),
            licence: None,
        };
        let package = add(&ModelsAddArgs { to: ModelsArgs { models: models.clone() }, ..package }).expect("added");
        let winding = models.join("../models/zh");
        for (path, language) in
            [(&package.folder, None), (&winding, None), (&package.folder.join("acoustic"), Some("zh"))]
        {
            let error = add(&args(path, language)).expect_err("the package itself").to_string();
            assert!(error.contains("elsewhere than where it is to go"), "{error}");
            package.verify().expect("untouched");
        }
        // A model that somebody has unpacked where its package would go.
        let unpacked = models.join("en-streaming");
        fs::create_dir_all(&unpacked).expect("made");
        for name in ["tokens.txt", "model.onnx"] {
            fs::write(unpacked.join(name), name).expect("written");
        }
        let error = add(&args(&unpacked, Some("en"))).expect_err("no package").to_string();
        assert!(error.contains("a package or nothing"), "{error}");
        assert!(unpacked.join("model.onnx").is_file(), "somebody's model is gone");
        fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn a_package_takes_the_place_of_another_whole_and_none_counts_before() {
        let folder = folder("add-again");
        add(&loose(&folder, "old", "zh", &["mdef", "feat.params", "means"])).expect("added");
        // Left by one that was cut off.
        let models = folder.join("models");
        let cut_off = models.join("zh.new");
        fs::create_dir_all(&cut_off).expect("made");
        fs::write(cut_off.join(MANIFEST), "cut o").expect("written");
        assert_eq!(installed(&models).expect("one is no package yet").len(), 1);
        add(&loose(&folder, "new", "zh", &["mdef", "feat.params"])).expect("added in its place");
        let there = installed(&models).expect("packages");
        assert_eq!((there.len(), there[0].manifest.files.len()), (1, 3));
        there[0].verify().expect("nothing of the other one");
        assert!(!cut_off.exists(), "something is left");
        fs::remove_dir_all(folder).expect("removed");
    }

    /// What adds an acoustic model of these files to `models` in a folder.
    pub(in crate::models) fn loose(folder: &Path, from: &str, language: &str, files: &[&str]) -> ModelsAddArgs {
        let path = folder.join(from);
        fs::create_dir_all(&path).expect("made");
        files.iter().for_each(|name| fs::write(path.join(name), name).expect("written"));
        let dictionary = folder.join("zh.dic");
        fs::write(&dictionary, "我 w o\n").expect("written");
        let to = ModelsArgs { models: folder.join("models") };
        let (name, language) = (None, Some(language.to_owned()));
        ModelsAddArgs { path, to, name, language, dictionary: Some(dictionary), licence: None }
    }

    /// A folder of its own for a test.
    pub(in crate::models) fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("calmline-models-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a temporary folder");
        folder
    }
}
