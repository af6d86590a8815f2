//! `parts`: sections of the configuration in files of their own, e.g. what all nodes of a site have in common.
//!
//! Tables are put together key by key, arrays of tables (routes) one behind the other: first those of `calmline.toml`, then
//! those of the parts as they are named. What stands in two files is a fault, and so is what each node says for itself.

use std::path::{Path, PathBuf};

use routing::section::{list, parse_table, text};
use toml::{Table, Value};

use super::Fault;
use super::read::read_text;

/// Files that a configuration may be put together from, beside itself.
const PARTS_MAX: usize = 16;
/// What each node says for itself: by this it finds what the site has in common.
const OWN: [&str; 4] = ["parts", "node", "bus", "store"];

/// A configuration as it is written: a file, and the parts that it names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written {
    /// The file.
    pub path: PathBuf,
    /// What it says.
    pub text: String,
    /// The parts, as they are named.
    pub parts: Vec<PathBuf>,
}

/// What a configuration says as a whole, and where.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) table: Table,
    pub(super) parts: Vec<PathBuf>,
    path: PathBuf,
    origins: Vec<Origin>,
}

/// What has come from a part.
#[derive(Debug)]
struct Origin {
    /// Its key; of an array of tables that of the whole array.
    key: String,
    /// Of an array, how many tables stand before those of the part.
    before: Option<usize>,
    file: PathBuf,
}

impl Whole {
    /// Puts a configuration together; a part that is `given` says that text, whatever its file does.
    ///
    /// # Errors
    /// Every part that cannot be read, and what stands where it must not.
    pub(super) fn gather(path: &Path, text: &str, given: Option<(&Path, &str)>) -> Result<Whole, Vec<Fault>> {
        let mut table = parse_table(text).map_err(|fault| vec![Fault::inside(path, fault)])?;
        let parts = named(path, table.remove("parts")).map_err(|fault| vec![fault])?;
        let mut whole = Whole { table, parts: Vec::new(), path: path.to_owned(), origins: Vec::new() };
        let mut faults = Vec::new();
        for part in &parts {
            let text = match given {
                Some((given, text)) if given == part => Ok(text.to_owned()),
                _ => read_text(part),
            };
            let table = text.and_then(|text| parse_table(&text).map_err(|fault| Fault::inside(part, fault)));
            match table {
                Ok(table) => whole.add(part, table, &mut faults),
                Err(fault) => faults.push(fault),
            }
        }
        whole.parts = parts;
        if faults.is_empty() { Ok(whole) } else { Err(faults) }
    }

    fn add(&mut self, part: &Path, table: Table, faults: &mut Vec<Fault>) {
        let fault = |key: &str, found: String, expected: &str| {
            let (file, key) = (part.to_owned(), key.to_owned());
            Fault { file, key, found, expected: expected.to_owned() }
        };
        for (key, value) in table {
            if OWN.contains(&key.as_str()) {
                faults.push(fault(&key, "it in a part".to_owned(), "it in calmline.toml: it is each node's own"));
                continue;
            }
            let origin = |key: String, before| Origin { key, before, file: part.to_owned() };
            match (self.table.get_mut(&key), value) {
                (None, value) => {
                    let before = value.is_array().then_some(0);
                    self.table.insert(key.clone(), value);
                    self.origins.push(origin(key, before));
                }
                (Some(Value::Array(there)), Value::Array(more)) => {
                    self.origins.push(origin(key, Some(there.len())));
                    there.extend(more);
                }
                (Some(Value::Table(there)), Value::Table(more)) => {
                    for (name, value) in more {
                        let key = format!("{key}.{name}");
                        if there.contains_key(&name) {
                            faults.push(fault(&key, "it in two files".to_owned(), "it in one of them"));
                            continue;
                        }
                        there.insert(name, value);
                        self.origins.push(origin(key, None));
                    }
                }
                _ => faults.push(fault(&key, "it as something else than in another file".to_owned(), "the same")),
            }
        }
    }

    /// A fault of the whole, in the file that it is in.
    pub(super) fn place(&self, fault: routing::Fault) -> Fault {
        let placed = self.origins.iter().rev().find_map(|origin| Some((origin, origin.within(&fault.key)?)));
        match placed {
            Some((origin, key)) => Fault::inside(&origin.file, routing::Fault { key, ..fault }),
            None => Fault::inside(&self.path, fault),
        }
    }
}

impl Origin {
    /// A key of the whole as the key of this part; nothing when it is not in it.
    fn within(&self, key: &str) -> Option<String> {
        let rest = key.strip_prefix(&self.key)?;
        let Some(before) = self.before.filter(|_| !rest.is_empty()) else {
            return (self.before.is_none() && (rest.is_empty() || rest.starts_with(['.', '['])))
                .then(|| key.to_owned());
        };
        let (number, rest) = rest.strip_prefix('[')?.split_once(']')?;
        let number = number.parse::<usize>().ok()?.checked_sub(before).filter(|number| *number > 0)?;
        Some(format!("{}[{number}]{rest}", self.key))
    }
}

/// The files that `parts` names; ways that are not absolute start at the configuration's folder.
fn named(path: &Path, parts: Option<Value>) -> Result<Vec<PathBuf>, Fault> {
    let Some(parts) = parts.filter(|parts| parts.as_array().is_none_or(|files| !files.is_empty())) else {
        return Ok(Vec::new());
    };
    let fault = |found: String| Fault {
        file: path.to_owned(),
        key: "parts".to_owned(),
        found,
        expected: format!("a list of at most {PARTS_MAX} files of different names that end in \".toml\""),
    };
    let files = list(PARTS_MAX, text(4_096))(&parts).ok_or_else(|| fault(parts.to_string()))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let files: Vec<PathBuf> = files.iter().map(|file| folder.join(file)).collect();
    for (index, file) in files.iter().enumerate() {
        let is_named = file.extension().is_some_and(|extension| extension == "toml");
        let is_twice = files[..index].iter().any(|other| other.file_stem() == file.file_stem());
        if !is_named || is_twice || file == path {
            return Err(fault(file.display().to_string()));
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::Settings;
    use super::*;

    const OWN_TEXT: &str = "parts = [\"site/calls.toml\", \"limits.toml\"]\n[sip]\nlisten = \"127.0.0.1:5060\"\n\
                            [limits]\ncalls = 7\n[targets.bot]\nuri = \"sip:bot@127.0.0.1:5070\"\n\
                            [[route]]\nname = \"first\"\nmatch = { request_uri = \"sip:1@*\" }\ntargets = [\"bot\"]\nscenario = \"s\"\n";
    const CALLS: &str = "[targets.human]\nuri = \"sip:human@127.0.0.1:5080\"\n\
                         [[route]]\nname = \"second\"\ntargets = [\"human\", \"bot\"]\nscenario = \"s\"\n";
    const LIMITS: &str = "[limits]\nring_s = 9\n[supervision]\nper_call = 3\n";

    #[test]
    fn parts_are_put_together() {
        let settings = read(OWN_TEXT, CALLS, LIMITS).expect("good");
        assert_eq!(settings.targets.keys().collect::<Vec<_>>(), ["bot", "human"]);
        assert_eq!(settings.routes.0.iter().map(|route| &*route.name).collect::<Vec<_>>(), ["first", "second"]);
        let (limits, supervision) = (&settings.limits, &settings.supervision);
        assert_eq!((limits.calls, limits.ring.as_secs(), supervision.per_call), (7, 9, 3));
        assert_eq!(settings.written.parts.len(), 2);
    }

    #[test]
    fn what_is_wrong_is_named_by_the_file_that_it_is_in() {
        for (own, calls, limits, expected) in [
            (OWN_TEXT, CALLS.replace("\"human\", ", "\"nobody\", "), LIMITS, "site/calls.toml: route[1].targets"),
            (OWN_TEXT, CALLS.replace("sip:human", "human"), LIMITS, "site/calls.toml: targets.human.uri"),
            (OWN_TEXT, CALLS.to_owned(), "[limits]\nring_s = 0\n", "limits.toml: limits.ring_s"),
            (OWN_TEXT, CALLS.to_owned(), "[limits]\ncalls = 8\n", "limits.toml: limits.calls: found it in two files"),
            (OWN_TEXT, CALLS.to_owned(), "[node]\nname = \"b\"\n", "limits.toml: node: found it in a part"),
            (OWN_TEXT, CALLS.to_owned(), "parts = []\n", "limits.toml: parts: found it in a part"),
            (OWN_TEXT, CALLS.to_owned(), "limits = 3\n", "limits.toml: limits: found it as something else"),
            (OWN_TEXT, CALLS.to_owned(), "[limit]\n", "limits.toml: limit: found an unknown key"),
            (OWN_TEXT, CALLS.to_owned(), "[limits", "limits.toml: line 1, column 8"),
            (&OWN_TEXT.replace("calls = 7", "calls = -1"), CALLS.to_owned(), LIMITS, "calmline.toml: limits.calls"),
            (&OWN_TEXT.replace("limits.toml", "none.toml"), CALLS.to_owned(), LIMITS, "none.toml: the whole file"),
            (&OWN_TEXT.replace("limits.toml", "calls.toml"), CALLS.to_owned(), LIMITS, "calmline.toml: parts: found"),
            (
                &OWN_TEXT.replace("limits.toml", "calmline.toml"),
                CALLS.to_owned(),
                LIMITS,
                "calmline.toml: parts: found",
            ),
        ] {
            let faults = read(own, &calls, limits).expect_err(expected);
            let told = faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
            assert!(told.contains(expected), "no {expected} in {told}");
        }
    }

    /// What a configuration of three files comes to.
    fn read(own: &str, calls: &str, limits: &str) -> Result<Settings, Vec<Fault>> {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("site")).expect("a folder");
        fs::write(folder.path().join("site/calls.toml"), calls).expect("a file");
        fs::write(folder.path().join("limits.toml"), limits).expect("a file");
        Settings::parse(own, &folder.path().join("calmline.toml"))
    }
}
