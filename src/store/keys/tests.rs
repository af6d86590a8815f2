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
    let refused = KeyRing::open(&path, &master).expect_err("the old key");
    assert!(refused.to_string().contains("does not open key 1"), "{refused}");
    let third = KeyRing::read(&path, &other).expect("the new key");
    assert_eq!(third.open_value(b"calls/7", &sealed).expect("still there"), b"13800138000");
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
