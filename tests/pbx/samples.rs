//! What can be said of a sample without starting its PBX.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{PROGRAM, folder, sample};

/// Keys whose values name files that an operator makes.
const SECRETS: [&str; 3] = ["secret_file", "token_file", "password_file"];

#[test]
fn every_configuration_is_good() {
    let copy = folder("check").join("config");
    copy_folder(&sample(".."), &copy);
    let mut checked = Vec::new();
    for entry in fs::read_dir(copy.join("pbx")).expect("the samples") {
        let folder = entry.expect("an entry").path();
        let file = folder.join("calmline.toml");
        let Ok(text) = fs::read_to_string(&file) else { continue };
        for name in secrets(&text) {
            fs::write(folder.join(name), "a-secret-of-the-operator\n").expect("a file");
        }
        let output = Command::new(PROGRAM).arg("check").arg(&file).output().expect("the program");
        let faults = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {faults}", file.display());
        checked.push(file);
    }
    assert!(checked.len() >= 5, "only {checked:?}");
}

#[test]
fn xml_is_well_formed() {
    let mut files = Vec::new();
    find(&sample("freeswitch"), "xml", &mut files);
    assert!(files.len() >= 5, "only {files:?}");
    for file in files {
        let text = fs::read_to_string(&file).expect("a file");
        let mut reader = quick_xml::Reader::from_str(&text);
        reader.config_mut().check_end_names = true;
        loop {
            match reader.read_event() {
                Ok(quick_xml::events::Event::Eof) => break,
                Ok(_) => {}
                Err(error) => panic!("{}: {error}", file.display()),
            }
        }
    }
}

/// The files that a configuration wants secrets in.
pub fn secrets(text: &str) -> Vec<&str> {
    let pairs = text.lines().filter_map(|line| line.split_once(" = "));
    pairs.filter(|(key, _)| SECRETS.contains(key)).map(|(_, value)| value.trim_matches('"')).collect()
}

/// A folder with everything in it.
pub fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).expect("a file");
        }
    }
}

fn find(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            find(&path, extension, found);
        } else if path.extension().is_some_and(|it| it == extension) {
            found.push(path);
        }
    }
}
