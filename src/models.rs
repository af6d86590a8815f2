//! `calmline models`: the recognisers' models as packages that can be listed, verified, added and pulled; and which models
//! of emotion are in use.
//!
//! A package is a folder with a manifest that names every file, its length and its SHA-256. Nothing is loaded that does
//! not match its manifest.

mod add;
mod choose;
mod package;
mod place;
mod pull;

use std::path::{Path, PathBuf};

pub use package::{EngineName, Package, PackageError, StreamingFolder, installed};

use crate::cli::{Failure, ModelsCommand, ModelsSignArgs, print_line};
use crate::model::ModelKind;
use crate::signed::{self, PublicKey, Trust};
use package::MANIFEST;

/// Runs `calmline models`.
///
/// # Errors
/// When a package is not as its manifest says, or cannot be had.
pub fn run(command: &ModelsCommand) -> Result<(), Failure> {
    match command {
        ModelsCommand::List(args) => list(&args.models),
        ModelsCommand::Verify(args) => verify(&args.models.models, &trust(&args.trusted)?),
        ModelsCommand::Key(args) => print_line(signed::make_key(&args.file).map_err(Failure::Failed)?),
        ModelsCommand::Sign(args) => sign(args),
        ModelsCommand::Add(args) => {
            let package = add::add(args)?;
            print_line(format_args!("added {}", line(&package)))
        }
        ModelsCommand::Pull(args) => {
            let package = pull::pull(args)?;
            print_line(format_args!("pulled {}", line(&package)))
        }
        ModelsCommand::Use(args) => tell(&choose::choose(args, choose::Place::InUse)?),
        ModelsCommand::Shadow(args) => tell(&choose::choose(args, choose::Place::Shadow)?),
    }
}

/// Tells what was chosen, and when it counts.
fn tell(lines: &[String]) -> Result<(), Failure> {
    lines.iter().try_for_each(print_line)?;
    print_line("a running server takes it up by a reload: SIGHUP, systemctl reload, or POST /v1/reload")
}

fn list(models: &Path) -> Result<(), Failure> {
    let packages = installed(models).map_err(|error| Failure::Failed(error.to_string()))?;
    if packages.is_empty() {
        return print_line(format_args!("no models in {}: calmline models add, or pull", models.display()));
    }
    packages.iter().try_for_each(|package| print_line(line(package)))
}

/// Whom the command line names, or anybody.
fn trust(keys: &[PublicKey]) -> Result<Trust, Failure> {
    if keys.is_empty() { Ok(Trust::anybody()) } else { Trust::only(keys.to_vec()).map_err(Failure::Failed) }
}

/// Signs what names all other files of the models in these folders.
fn sign(ModelsSignArgs { folders, key }: &ModelsSignArgs) -> Result<(), Failure> {
    let cards = ModelKind::ALL.map(|kind| format!("{}.json", kind.name()));
    let names: Vec<&str> = cards.iter().map(String::as_str).chain([MANIFEST]).collect();
    for folder in folders {
        let mut files: Vec<PathBuf> = names.iter().map(|name| folder.join(name)).collect();
        files.retain(|file| file.is_file());
        if files.is_empty() {
            let expected = names.join(" or ");
            return Err(Failure::Failed(format!(
                "{}: expected a folder with {expected}, found none",
                folder.display()
            )));
        }
        let by = signed::sign(&files, key).map_err(Failure::Failed)?;
        files.iter().try_for_each(|file| print_line(format_args!("{}: signed by {by}", file.display())))?;
    }
    Ok(())
}

fn verify(models: &Path, trust: &Trust) -> Result<(), Failure> {
    let packages = installed(models).map_err(|error| Failure::Failed(error.to_string()))?;
    if packages.is_empty() {
        return Err(Failure::Unexpected(format!("no models in {}", models.display())));
    }
    let mut wrong = 0;
    for package in &packages {
        match package.check(trust).and_then(|()| package.verify().map_err(|error| error.to_string())) {
            Ok(()) => print_line(format_args!("ok: {}", line(package)))?,
            Err(error) => {
                wrong += 1;
                print_line(format_args!("wrong: {error}"))?;
            }
        }
    }
    match wrong {
        0 => print_line(format_args!("{} packages, all as their manifests say", packages.len())),
        wrong => Err(Failure::Unexpected(format!("{wrong} of {} packages are not as they should be", packages.len()))),
    }
}

fn line(package: &Package) -> String {
    let manifest = &package.manifest;
    let bytes: u64 = manifest.files.iter().map(|file| file.bytes).sum();
    let megabytes = bytes as f64 / 1e6;
    let (name, language, engine) = (&manifest.name, &manifest.language, manifest.engine.name());
    format!("{name} ({language}, {engine}, {} files, {megabytes:.1} MB)", manifest.files.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_not_as_it_should_be() {
        let root = tempfile::tempdir().expect("a folder");
        for models in [root.path().to_owned(), root.path().join("gone")] {
            let told = verify(&models, &Trust::anybody()).expect_err("there are none");
            assert!(matches!(&told, Failure::Unexpected(_)) && told.to_string().starts_with("no models in "), "{told}");
        }
    }
}
