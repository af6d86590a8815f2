//! What is sealed opens only with its key and in its place.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use tempfile::TempDir;

#[test]
fn values_outlive_openings_and_a_change_of_the_master_key() {
    let (folder, master) = fresh();
    let path = folder.path().join("keys.json");
    let first = KeyRing::open(&path, &master).expect("a new file");
    let sealed = first.seal(b"calls/7", b"13800138000");
    let (name, public) = (first.blind(b"13800138000"), first.public_key().to_vec());
    drop(first);

    let second = KeyRing::open(&path, &master).expect("the file is there");
    assert_eq!(second.open_value(b"calls/7", &sealed).expect("an older key"), b"13800138000");
    assert_eq!((second.blind(b"13800138000"), second.public_key().to_vec()), (name, public));
    assert_ne!(second.seal(b"calls/7", b"13800138000")[..5], sealed[..5], "a data key of its own");

    let other = MasterKey::parse(&"ab".repeat(32)).expect("64 digits");
    assert_eq!(KeyRing::rewrap(&path, &master, &other).expect("both keys are right"), 5);
    assert_eq!(KeyRing::rewrap(&path, &master, &other).expect("it was written, and is tried again"), 5);
    let refused = KeyRing::open(&path, &master).expect_err("the old key");
    assert!(refused.to_string().contains("does not open key 1"), "{refused}");
    let third = KeyRing::read(&path, &other).expect("the new key");
    assert_eq!(third.open_value(b"calls/7", &sealed).expect("still there"), b"13800138000");
}

#[test]
fn keys_are_rotated_while_others_seal_and_everything_opens_by_the_new_master_key_alone() {
    let (folder, master) = fresh();
    let path = folder.path().join("keys.json");
    let ring = KeyRing::open(&path, &master).expect("a new file");
    let name = ring.blind(b"13800138000");
    let others = [Some("ab".repeat(32)), None, Some("cd".repeat(32))];
    let mut sealed = std::thread::scope(|scope| {
        let seal = |number: u64| -> Vec<_> {
            (0..2_000).map(|count| ring.seal(b"calls/7", format!("{number}/{count}").as_bytes())).collect()
        };
        let threads: Vec<_> = (0..3).map(|number| scope.spawn(move || seal(number))).collect();
        for (at, other) in others.iter().enumerate() {
            let other = other.as_ref().map(|digits| MasterKey::parse(digits).expect("64 digits"));
            let rotated = ring.rotate(other.as_ref().unwrap_or(&master)).expect("it can be written");
            assert_eq!((rotated.keys, rotated.data_key, rotated.master_changed), (5 + at, 5 + at as u32, true));
        }
        threads.into_iter().flat_map(|thread| thread.join().expect("it seals")).collect::<Vec<_>>()
    });
    sealed.push(ring.seal(b"calls/7", b"last"));
    let last = MasterKey::parse(&"cd".repeat(32)).expect("64 digits");
    let again = ring.rotate(&last).expect("it can be written");
    assert_eq!((again.data_key, again.master_changed), (8, false));
    assert_ne!(ring.seal(b"", b"")[..5], sealed[sealed.len() - 1][..5], "another data key");
    let heads: BTreeSet<_> = sealed.iter().map(|sealed| sealed[1..HEAD_BYTES].to_vec()).collect();
    assert_eq!(heads.len(), sealed.len(), "no key and nonce twice");

    for wrong in [&master, &MasterKey::parse(&"ab".repeat(32)).expect("64 digits")] {
        assert!(KeyRing::open(&path, wrong).is_err(), "a master key of before");
    }
    let reopened = KeyRing::open(&path, &last).expect("the last one");
    assert_eq!(reopened.blind(b"13800138000"), name);
    for ring in [&ring, &reopened] {
        assert!(sealed.iter().all(|sealed| ring.open_value(b"calls/7", sealed).is_ok()));
    }
}

#[test]
fn rotations_and_other_master_keys_meanwhile_lose_no_key() {
    let (folder, master) = fresh();
    let path = folder.path().join("keys.json");
    let ring = KeyRing::open(&path, &master).expect("a new file");
    let sealed = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        // As `calmline rekey` does from outside, and as other servers open.
        let outside =
            || (0..20).for_each(|_| assert!(KeyRing::rewrap(&path, &master, &master).expect("it waits") >= 4));
        let opening = || (0..20).for_each(|_| drop(KeyRing::open(&path, &master).expect("it waits")));
        scope.spawn(outside);
        scope.spawn(opening);
        for number in 0..20_u8 {
            ring.rotate(&master).expect("it waits");
            sealed.lock().expect("whole").push(ring.seal(b"calls/7", &[number]));
        }
    });
    let reopened = KeyRing::read(&path, &master).expect("whole");
    let sealed = sealed.into_inner().expect("whole");
    assert!(sealed.iter().all(|sealed| reopened.open_value(b"calls/7", sealed).is_ok()), "a key was lost");
}

#[test]
fn a_rotation_that_cannot_be_written_changes_nothing() {
    let (folder, master) = fresh();
    let path = folder.path().join("keys.json");
    let ring = KeyRing::open(&path, &master).expect("a new file");
    let before = ring.seal(b"", b"");
    std::fs::remove_file(&path).expect("it is there");
    let other = MasterKey::parse(&"ab".repeat(32)).expect("64 digits");
    assert!(ring.rotate(&other).is_err());
    assert_eq!(ring.seal(b"", b"")[..5], before[..5], "the data key of before");
}

#[test]
fn nothing_opens_that_was_altered_or_belongs_elsewhere() {
    let (folder, master) = fresh();
    let ring = KeyRing::open(&folder.path().join("keys.json"), &master).expect("a new file");
    let sealed = ring.seal(b"calls/7", b"a secret");
    assert!(ring.open_value(b"calls/8", &sealed).is_err());
    for at in 0..sealed.len() {
        let mut altered = sealed.clone();
        altered[at] ^= 1;
        assert!(ring.open_value(b"calls/7", &altered).is_err(), "byte {at}");
        assert!(ring.open_value(b"calls/7", &sealed[..at]).is_err(), "cut at {at}");
    }
}

#[test]
fn nonces_never_repeat() {
    let (folder, master) = fresh();
    let path = folder.path().join("keys.json");
    let mut seen = BTreeSet::new();
    for _ in 0..3 {
        let ring = KeyRing::open(&path, &master).expect("a key file");
        std::thread::scope(|scope| {
            let seal = || (0..2_000).map(|_| ring.seal(b"", b"")[1..HEAD_BYTES].to_vec()).collect::<Vec<_>>();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(seal)).collect();
            for thread in threads {
                for key_and_nonce in thread.join().expect("it seals") {
                    assert!(seen.insert(key_and_nonce), "the same key and nonce twice");
                }
            }
        });
    }
    assert_eq!(seen.len(), 24_000);
}

#[test]
fn bad_master_keys_and_files_are_named() {
    let (folder, master) = fresh();
    let path = folder.path().join("keys.json");
    for (text, found) in [("", "0 characters"), ("abc", "3 characters"), (&"zz".repeat(32), "64 characters")] {
        let error = MasterKey::parse(text).expect_err("no key").to_string();
        assert!(error.contains(found) && error.contains("32 bytes"), "{error}");
    }
    for (text, found) in [
        ("", "EOF"),
        ("{\"calmline_keys\":2,\"keys\":[]}", "version 2"),
        ("{\"calmline_keys\":1,\"keys\":[]}", "no index"),
        ("{\"calmline_keys\":1,\"keys\":[{\"id\":1,\"purpose\":\"data\",\"wrapped\":\"AA==\"}]}", "key 1"),
    ] {
        std::fs::write(&path, text).expect("a file");
        let error = KeyRing::read(&path, &master).expect_err("no key file").to_string();
        assert!(error.contains(found) && error.contains("keys.json"), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_sealed_comes_back(context in prop::collection::vec(any::<u8>(), 0..40), plain in prop::collection::vec(any::<u8>(), 0..400)) {
        let (folder, master) = fresh();
        let ring = KeyRing::open(&folder.path().join("keys.json"), &master).expect("a new file");
        let sealed = ring.seal(&context, &plain);
        prop_assert_eq!(ring.open_value(&context, &sealed).expect("just sealed"), plain);
    }

    #[test]
    fn garbage_is_refused(garbage in prop::collection::vec(any::<u8>(), 0..200)) {
        let (folder, master) = fresh();
        let ring = KeyRing::open(&folder.path().join("keys.json"), &master).expect("a new file");
        prop_assert!(ring.open_value(b"", &garbage).is_err());
    }
}

fn fresh() -> (TempDir, MasterKey) {
    let folder = tempfile::tempdir().expect("a folder");
    let master = MasterKey::make(&folder.path().join("master.key")).expect("a new key");
    (folder, master)
}
