//! What is taken back is what there was; what is not as it was made is refused, and nothing is written then.

use std::sync::Arc;
use std::time::Duration;

use super::super::audit::{AuditEntry, AuditLog, Trail, verify};
use super::super::embedded::Running;
use super::super::embedded::tests::{BEGAN, call};
use super::super::keys::KeyRing;
use super::super::master_key;
use super::super::trees::tests::database;
use super::*;
use crate::settings::{AudioSettings, DatabaseSettings, MasterKeySource};

#[test]
fn what_is_taken_back_is_what_there_was() {
    taken_back(&Place::new(), None);
    if let Some(database) = database() {
        // From a folder into a database, and from there into a folder.
        taken_back(&Place::new(), Some(&database));
        taken_back(&Place { database: Some(database), ..Place::new() }, None);
    }
}

fn taken_back(place: &Place, into: Option<&DatabaseSettings>) {
    let made = place.back_up(&place.root.path().join("backups/1"));
    let again = StoreSettings { database: into.cloned(), ..place.settings("again") };
    assert_eq!(restore(&again, &place.root.path().join("backups/1")).expect("it is whole"), made);

    let keys =
        Arc::new(KeyRing::open(&again.folder.join(KEYS_FILE), &master_key(&again).expect("a key")).expect("keys"));
    let store = Embedded::open(&again.folder.join(CALLS_FOLDER), into, &keys).expect("it opens");
    let ended =
        store.end_abandoned(&mut Running::default(), &Running::default(), Moment(BEGAN + 9_000)).expect("written");
    assert_eq!((ended, store.calls(Moment(u64::MAX), 10).expect("readable").len()), (1, 3));
    assert_eq!(store.erase("13800138000").expect("written").expect("nobody is held").calls.len(), 3);
    let mut kinds = Vec::new();
    let trail = Trail::new(&again.folder.join(AUDIT_FOLDER), None);
    let verified = verify(&trail, &keys, &mut |_, _, entry| kinds.push(entry.kind));
    assert_eq!((verified.expect("readable").findings, kinds), (vec![], vec!["started".to_owned()]));

    let error = restore(&again, &place.root.path().join("backups/1")).expect_err("there is one already").to_string();
    assert!(error.contains("a folder without a store") && error.contains("keys.json"), "{error}");
}

#[test]
fn what_is_not_as_it_was_made_is_refused() {
    let place = Place::new();
    let backup = place.root.path().join("backup");
    let made = place.back_up(&backup);
    for Listed { name, .. } in &made.files {
        let path = backup.join(name);
        let whole = std::fs::read(&path).expect("a file");
        for broken in [whole[..whole.len() / 2].to_vec(), [&whole[..], b"x"].concat()] {
            std::fs::write(&path, broken).expect("written");
            let error = restore(&place.settings("again"), &backup).expect_err("it is broken").to_string();
            assert!(error.contains(name.as_str()) && error.contains("SHA-256"), "{error}");
        }
        std::fs::write(&path, whole).expect("written");
    }
    let list = backup.join(MANIFEST_FILE);
    let whole = std::fs::read_to_string(&list).expect("a list");
    for (old, new, expected) in [
        ("\"calmline_backup\": 1", "\"calmline_backup\": 2", "found version 2"),
        ("\"keys.json\"", "\"../keys.json\"", "names of files in its folder"),
        ("\"call-keys\"", "\"calls\"", "call-keys"),
        ("{", "", "the list of a back-up"),
    ] {
        std::fs::write(&list, whole.replacen(old, new, 1)).expect("written");
        let error = restore(&place.settings("again"), &backup).expect_err("it is broken").to_string();
        assert!(error.contains(expected) || error.contains("SHA-256"), "{error}");
    }
    std::fs::write(&list, whole).expect("written");
    let stranger = Place::new();
    let other_key = StoreSettings { master_key: stranger.settings("store").master_key, ..place.settings("again") };
    let error = restore(&other_key, &backup).expect_err("another key").to_string();
    assert!(error.contains("does not open key"), "{error}");
    assert!(!place.root.path().join("again").exists(), "nothing is written");
    restore(&place.settings("again"), &backup).expect("it is whole");
}

#[test]
fn a_back_up_of_before_a_change_of_the_master_key_is_taken_back_by_the_one_of_before() {
    let place = Place::new();
    let (backup, new) = (place.root.path().join("backup"), place.root.path().join("new.key"));
    let made = place.back_up(&backup);
    super::super::MasterKey::make(&new).expect("a key");
    let again = place.settings("again");
    let both = StoreSettings {
        master_key: MasterKeySource::File(new),
        previous_key: Some(again.master_key.clone()),
        ..again.clone()
    };
    assert_eq!(restore(&both, &backup).expect("it is whole"), made);
    assert!(KeyRing::read(&again.folder.join(KEYS_FILE), &master_key(&again).expect("a key")).is_ok());
}

#[test]
fn a_back_up_that_fails_leaves_nothing_and_touches_nobody_elses() {
    let place = Place::new();
    let made = place.back_up(&place.root.path().join("backup"));
    let (settings, to) = (place.settings("store"), place.root.path().join("second"));
    let keys = KeyRing::open(&settings.folder.join(KEYS_FILE), &master_key(&settings).expect("a key")).expect("keys");
    let store = Embedded::open(&settings.folder.join(CALLS_FOLDER), None, &Arc::new(keys)).expect("it opens");
    let there = place.root.path().join("backup");
    let trail = Trail::new(&settings.folder.join(AUDIT_FOLDER), None);
    assert!(write(&store, (&settings.folder, &trail), &there).is_err(), "the folder is there already");
    assert_eq!(checked(&there).expect("it is whole still"), made);
    std::fs::remove_dir_all(settings.folder.join(AUDIT_FOLDER)).expect("removed");
    assert!(write(&store, (&settings.folder, &trail), &to).is_err(), "there is no trail to copy");
    assert!(!to.exists());
}

#[test]
fn no_key_is_made_for_a_back_up_that_has_another() {
    let place = Place::new();
    let backup = place.root.path().join("backup");
    place.back_up(&backup);
    let beside = StoreSettings { master_key: MasterKeySource::Beside, ..place.settings("again") };
    let error = restore(&beside, &backup).expect_err("there is no key").to_string();
    assert!(error.contains("expected the back-up's master key, found none"), "{error}");
    assert!(!beside.folder.exists(), "nothing is written");
    std::fs::create_dir_all(&beside.folder).expect("a folder");
    std::fs::copy(place.root.path().join("master.key"), beside.folder.join(MASTER_FILE)).expect("a key");
    restore(&beside, &backup).expect("it is whole");
}

/// A store with two calls that ended and one that is up.
struct Place {
    root: tempfile::TempDir,
    database: Option<DatabaseSettings>,
}

impl Place {
    fn new() -> Self {
        let root = tempfile::tempdir().expect("a folder");
        super::super::MasterKey::make(&root.path().join("master.key")).expect("a key");
        Self { root, database: None }
    }

    fn settings(&self, name: &str) -> StoreSettings {
        let (root, folder) = (self.root.path(), self.root.path().join(name));
        StoreSettings {
            audio: AudioSettings::beside(&folder, Duration::MAX),
            folder,
            master_key: MasterKeySource::File(root.join("master.key")),
            ..StoreSettings::within(root, Duration::MAX)
        }
    }

    fn back_up(&self, to: &Path) -> Manifest {
        let settings = self.settings("store");
        std::fs::create_dir_all(&settings.folder).expect("a folder");
        let master = master_key(&settings).expect("a key");
        let keys = Arc::new(KeyRing::open(&settings.folder.join(KEYS_FILE), &master).expect("keys"));
        let (mut trail, _) = AuditLog::open(&settings.folder.join(AUDIT_FOLDER), &keys).expect("a trail");
        let who = "server".to_owned();
        let entry = AuditEntry { kind: "started".to_owned(), who, call: String::new(), what: serde_json::Value::Null };
        trail.append(&keys, BEGAN, &[entry]).expect("written");
        let (store, mut running) = (
            Embedded::open(&settings.folder.join(CALLS_FOLDER), self.database.as_ref(), &keys).expect("it opens"),
            Running::default(),
        );
        for number in 0..2 {
            store.keep(&mut running, &call(number, BEGAN + number)).expect("written");
        }
        store.keep(&mut running, &call(2, BEGAN + 2)[..1]).expect("written");
        let trail = Trail::new(&settings.folder.join(AUDIT_FOLDER), None);
        write(&store, (&settings.folder, &trail), to).expect("a back-up")
    }
}
