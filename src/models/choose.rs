//! `calmline models use` and `calmline models shadow`: names a model in the configuration, once it is known to work.
//!
//! The configuration stays the one place that says which model is in use: the line of the key in `[listening]` is written,
//! nothing else. A running server takes it up by a reload.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, chown};
use std::path::{Path, PathBuf};

use crate::cli::{Failure, ModelsChooseArgs};
use crate::model::{ModelFiles, ModelKind};
use crate::settings::{Settings, TextModelChoice, check_settings};

/// What stands for the model that comes with the program, or for no candidate.
const SHIPPED: &str = "shipped";
const OFF: &str = "off";

/// In which place a model is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// It judges.
    InUse,
    /// It is compared with what judges.
    Shadow,
}

impl Place {
    /// The key of `[listening]` that names the model.
    fn key(self, kind: ModelKind) -> &'static str {
        match (self, kind) {
            (Self::InUse, ModelKind::Acoustic) => "model",
            (Self::InUse, ModelKind::Text) => "text_model",
            (Self::Shadow, ModelKind::Acoustic) => "shadow_model",
            (Self::Shadow, ModelKind::Text) => "shadow_text_model",
        }
    }

    /// The word that takes the key away.
    fn none(self) -> &'static str {
        match self {
            Self::InUse => SHIPPED,
            Self::Shadow => OFF,
        }
    }
}

/// Puts the models of a folder in their place, or takes them away.
///
/// # Returns
/// What has been done, a line each.
///
/// # Errors
/// When a model or the configuration is wrong: then nothing is changed.
pub(super) fn choose(args: &ModelsChooseArgs, place: Place) -> Result<Vec<String>, Failure> {
    let chosen: Vec<(ModelKind, Option<PathBuf>)> = if args.model == place.none() {
        ModelKind::ALL.map(|kind| (kind, None)).into()
    } else {
        let found = graphs(args)?;
        let settings = Settings::load(&args.config).map_err(|faults| configuration(&faults))?;
        for (kind, path) in &found {
            let files =
                ModelFiles::read(Some(path), settings.listening.runtime.as_deref(), &settings.listening.trusted);
            files.and_then(|files| files.load_as(*kind)).map_err(Failure::Failed)?;
        }
        found.into_iter().map(|(kind, path)| (kind, Some(path))).collect()
    };
    write(&args.config, place, &chosen)?;
    Ok(chosen.iter().map(|(kind, path)| line(place, *kind, path.as_deref())).collect())
}

/// The graphs of a folder, or of the folder of this name among the models.
fn graphs(args: &ModelsChooseArgs) -> Result<Vec<(ModelKind, PathBuf)>, Failure> {
    let folder =
        [PathBuf::from(&args.model), args.models.models.join(&args.model)].into_iter().find(|path| path.is_dir());
    let names = ModelKind::ALL.map(|kind| format!("{}.onnx", kind.name())).join(" or ");
    let wrong =
        |found: String| Failure::Failed(format!("{}: expected a folder with {names}, found {found}", args.model));
    let folder = folder.ok_or_else(|| wrong("no folder".to_owned()))?;
    let folder = fs::canonicalize(&folder).map_err(|error| Failure::of(folder.display(), error))?;
    let found: Vec<_> = ModelKind::ALL
        .into_iter()
        .map(|kind| (kind, folder.join(kind.name()).with_extension("onnx")))
        .filter(|(_, path)| path.is_file())
        .collect();
    if found.is_empty() { Err(wrong("none".to_owned())) } else { Ok(found) }
}

/// Writes the keys, sees that the configuration as a whole is good and says what is meant, and puts it in place at once.
fn write(config: &Path, place: Place, chosen: &[(ModelKind, Option<PathBuf>)]) -> Result<(), Failure> {
    let of_config = |error: std::io::Error| Failure::of(config.display(), error);
    let mut text = fs::read_to_string(config).map_err(of_config)?;
    for (kind, path) in chosen {
        text = with_key(&text, place.key(*kind), path.as_deref());
    }
    // Beside the file itself, for it names files by their way from there.
    let config = &fs::canonicalize(config).map_err(of_config)?;
    let fresh = config.with_extension("toml.fresh");
    write_like(config, &fresh, &text).map_err(of_config)?;
    let checked = check_settings(&fresh).map_err(|faults| configuration(&faults)).and_then(|checked| {
        let meant = chosen.iter().all(|(kind, path)| named(&checked.settings, place, *kind) == path.as_deref());
        let by_hand =
            || Failure::Failed(format!("{}: [listening] could not be changed: write it by hand", config.display()));
        if meant { Ok(()) } else { Err(by_hand()) }
    });
    let placed = checked.and_then(|()| fs::rename(&fresh, config).map_err(of_config));
    if placed.is_err() {
        let _ = fs::remove_file(&fresh);
    }
    placed
}

/// Writes a file that is the same people's as `other`, on the disk when this returns.
fn write_like(other: &Path, path: &Path, text: &str) -> std::io::Result<()> {
    let like = fs::metadata(other)?;
    // What a run before this one left, cut off in the midst.
    let _ = fs::remove_file(path);
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let own = file.metadata()?;
    if (own.uid(), own.gid()) != (like.uid(), like.gid()) {
        chown(path, Some(like.uid()), Some(like.gid()))?;
    }
    file.set_permissions(like.permissions())?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn configuration(faults: &[crate::settings::Fault]) -> Failure {
    Failure::Configuration(faults.iter().map(ToString::to_string).collect())
}

/// The model that settings name in a place.
fn named(settings: &Settings, place: Place, kind: ModelKind) -> Option<&Path> {
    let listening = &settings.listening;
    match (place, kind) {
        (Place::InUse, ModelKind::Acoustic) => listening.model.as_deref(),
        (Place::InUse, ModelKind::Text) => match &listening.text_model {
            TextModelChoice::Own(path) => Some(path),
            TextModelChoice::None | TextModelChoice::Shipped => None,
        },
        (Place::Shadow, ModelKind::Acoustic) => listening.shadow_model.as_deref(),
        (Place::Shadow, ModelKind::Text) => listening.shadow_text_model.as_deref(),
    }
}

/// `text` with `key` of `[listening]` set to `path`, or without it; all else stays as it is.
fn with_key(text: &str, key: &str, path: Option<&Path>) -> String {
    let is_key = |line: &str| line.split_once('=').is_some_and(|(name, _)| name.trim() == key);
    let fresh = path.map(|path| format!("{key} = {}", toml::Value::String(path.display().to_string())));
    let (mut lines, mut inside, mut there) = (Vec::new(), false, false);
    for line in text.lines() {
        if line.trim_start().starts_with('[') {
            inside = line.split('#').next().is_some_and(|header| header.trim() == "[listening]");
            lines.push(line.to_owned());
            if inside {
                there = true;
                lines.extend(fresh.clone());
            }
        } else if !(inside && is_key(line)) {
            lines.push(line.to_owned());
        }
    }
    if !there {
        lines.extend(fresh.map(|fresh| format!("\n[listening]\n{fresh}")));
    }
    lines.join("\n") + "\n"
}

fn line(place: Place, kind: ModelKind, path: Option<&Path>) -> String {
    let what = match (place, path) {
        (Place::InUse, Some(path)) => format!("{} is in use", path.display()),
        (Place::InUse, None) => "the shipped one is in use".to_owned(),
        (Place::Shadow, Some(path)) => format!("{} is compared", path.display()),
        (Place::Shadow, None) => "nothing is compared".to_owned(),
    };
    format!("{}: {what}", kind.name())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn one_line_changes_and_nothing_else() {
        let before =
            "# mine\n[sip]\nmodel = 1\n\n[listening] # here\nparties = \"both\"\nmodel = \"old.onnx\"\n[web]\n";
        let after =
            "# mine\n[sip]\nmodel = 1\n\n[listening] # here\nmodel = \"/m/acoustic.onnx\"\nparties = \"both\"\n[web]\n";
        assert_eq!(with_key(before, "model", Some(Path::new("/m/acoustic.onnx"))), after);
        assert_eq!(with_key(after, "model", None), before.replace("model = \"old.onnx\"\n", ""));
        // What stands in another section, or in another key, stays.
        assert_eq!(with_key(after, "shadow_model", None), after);
        let fresh = with_key("[sip]\n", "text_model", Some(Path::new("/m/a \"b\".onnx")));
        assert_eq!(fresh, "[sip]\n\n[listening]\ntext_model = '/m/a \"b\".onnx'\n");
    }

    #[test]
    fn what_takes_its_place_is_as_private_as_it_was() {
        let folder = tempfile::tempdir().expect("a folder");
        let [other, fresh] = ["calmline.toml", "calmline.toml.fresh"].map(|name| folder.path().join(name));
        fs::write(&other, "old").expect("written");
        for mode in [0o600, 0o640, 0o644] {
            fs::set_permissions(&other, fs::Permissions::from_mode(mode)).expect("ours");
            write_like(&other, &fresh, "new").expect("written");
            assert_eq!(fs::metadata(&fresh).expect("a file").permissions().mode() & 0o777, mode);
            assert_eq!(fs::read_to_string(&fresh).expect("a file"), "new");
        }
    }
}
