//! Keys that are gone open nothing, whoever has the value; those that are not open what they sealed.

use std::path::PathBuf;

use proptest::prelude::*;
use tempfile::TempDir;

use super::super::keys::MasterKey;
use super::*;

#[test]
fn a_class_is_forgotten_by_itself() {
    let place = Place::new();
    let mut slots = place.open();
    let keys = slots.take(&place.ring, None).expect("a place");
    let sealed = Class::ALL.map(|class| keys.seal(&place.ring, class, b"at", &[class as u8; 9]).expect("it is there"));
    slots.destroy(&[keys.seat], &[Class::Words]).expect("written");

    // Also for who has kept the values, and for who comes later.
    let again = place.open().keys(&place.ring, keys.seat, &Class::ALL, None).expect("readable");
    for (class, sealed) in Class::ALL.into_iter().zip(&sealed) {
        assert_eq!(seat_of(sealed), Some((keys.seat, class)));
        let expected = (class != Class::Words).then(|| vec![class as u8; 9]);
        assert_eq!(again.open(b"at", sealed).expect("as it was sealed"), expected, "{class:?}");
    }
    assert!(again.seal(&place.ring, Class::Words, b"at", b"more").is_err());
}

#[test]
fn what_was_altered_or_belongs_elsewhere_does_not_open() {
    let place = Place::new();
    let mut slots = place.open();
    let [one, other] = [(); 2].map(|()| slots.take(&place.ring, None).expect("a place"));
    let sealed = one.seal(&place.ring, Class::Words, b"at", b"secret").expect("sealed");
    assert!(one.open(b"elsewhere", &sealed).is_err() && other.open(b"at", &sealed).is_err());
    for (at, bit) in (0..sealed.len()).zip([1, 2, 4, 8, 16, 32, 64, 128].into_iter().cycle()) {
        let mut altered = sealed.clone();
        altered[at] ^= bit;
        // The version alone tells who opens it, and is not looked at here.
        assert!(at == 0 || one.open(b"at", &altered).is_err(), "octet {at}");
    }
    assert!((0..BOUND_BYTES + NONCE_LEN).all(|length| one.open(b"at", &sealed[..length]).is_err()));
}

#[test]
fn another_file_is_refused_and_a_torn_place_is_taken_anew() {
    let place = Place::new();
    std::fs::write(place.path(), "something else altogether").expect("a file");
    let error = Slots::open(&place.path()).expect_err("it is none").to_string();
    assert!(
        error.contains("broken: expected a file that begins with calmline keys") && error.contains("something else")
    );
    for length in [0, HEADER.len() - 1] {
        std::fs::write(place.path(), &HEADER[..length]).expect("a file");
        assert_eq!(place.open().count, 0);
    }
    let keys = place.open().take(&place.ring, None).expect("a place");
    let file = OpenOptions::new().write(true).open(place.path()).expect("a file");
    file.set_len(offset(1) + 100).expect("it is longer");
    let mut torn = place.open();
    assert_eq!(torn.take(&place.ring, None).expect("a place").seat, Seat { slot: 1, generation: 1 });
    assert!(torn.keys(&place.ring, keys.seat, &Class::ALL, None).expect("readable").keys.iter().all(Option::is_some));
    let strange = Place::new();
    assert!(torn.keys(&strange.ring, keys.seat, &Class::ALL, None).is_err(), "another store's keys");
}

#[test]
fn a_tenants_calls_need_both_halves_of_their_keys() {
    let place = Place::new();
    let (mut slots, mut halves) =
        (place.open(), Slots::open(&place.path().with_extension("tenants")).expect("it opens"));
    let seats = [(); 2].map(|()| halves.take(&place.ring, None).expect("a place").seat);
    let half = |halves: &Slots, seat| halves.tenant_key(&place.ring, seat).expect("readable");
    let [one, other] = seats.map(|seat| half(&halves, seat).expect("it is there"));
    let keys = slots.take(&place.ring, Some(&one)).expect("a place");
    let sealed = keys.seal(&place.ring, Class::Words, b"at", b"secret").expect("sealed");
    let head = Head { seat: keys.seat, class: Class::Words, tenant: Some(one.seat) };
    assert_eq!(head_of(&sealed), Some(head));
    let opened = |tenant: Option<&TenantKey>| {
        slots.keys(&place.ring, keys.seat, &Class::ALL, tenant).expect("readable").open(b"at", &sealed)
    };
    assert_eq!(opened(Some(&one)).expect("both halves"), Some(b"secret".to_vec()));
    assert!(opened(None).is_err() && opened(Some(&other)).is_err());
    for at in 0..sealed.len() {
        let mut altered = sealed.clone();
        altered[at] ^= 1;
        assert!(keys.open(b"at", &altered).is_err(), "octet {at}");
    }
    halves.destroy(&[one.seat], &Class::ALL).expect("written");
    assert!(half(&halves, one.seat).is_none() && half(&halves, other.seat).is_some());
}

proptest! {
    /// Whatever is taken, destroyed and opened again: a value opens as long as its key was not destroyed, and never after.
    #[test]
    fn values_open_until_their_keys_are_gone(steps in prop::collection::vec((0_u8..4, any::<prop::sample::Index>()), 1..60)) {
        let place = Place::new();
        let mut slots = place.open();
        let mut values: Vec<(Seat, Vec<u8>, [bool; CLASSES])> = Vec::new();
        for (step, which) in steps {
            match step {
                0 => {
                    let keys = slots.take(&place.ring, None).expect("a place");
                    prop_assert!(values.iter().all(|(seat, ..)| *seat != keys.seat));
                    let sealed = Class::ALL.map(|class| keys.seal(&place.ring, class, b"", b"x").expect("sealed"));
                    values.push((keys.seat, sealed.concat(), [true; CLASSES]));
                }
                1 => slots = place.open(),
                _ if values.is_empty() => {}
                _ => {
                    let (seat, _, alive) = which.get(&values);
                    let (seat, class) = (*seat, Class::ALL[alive.iter().position(|alive| *alive).unwrap_or(0)]);
                    slots.destroy(&[seat], &[class]).expect("written");
                    let found = values.iter_mut().find(|(found, ..)| *found == seat).expect("it is one of them");
                    found.2[class as usize] = false;
                }
            }
            for (seat, sealed, alive) in &values {
                let keys = slots.keys(&place.ring, *seat, &Class::ALL, None).expect("readable");
                for ((class, sealed), alive) in Class::ALL.into_iter().zip(sealed.chunks(sealed.len() / CLASSES)).zip(alive) {
                    let opened = keys.open(b"", sealed).expect("as it was sealed");
                    prop_assert_eq!(opened.is_some(), *alive, "{:?} of {:?}", class, seat);
                }
            }
        }
        let up = values.iter().filter(|(.., alive)| alive.contains(&true)).count();
        prop_assert_eq!(slots.count as usize - slots.free.len(), up, "places are taken anew");
    }
}

struct Place {
    root: TempDir,
    ring: KeyRing,
}

impl Place {
    fn new() -> Self {
        let root = tempfile::tempdir().expect("a folder");
        let master = MasterKey::make(&root.path().join("master.key")).expect("a key");
        let ring = KeyRing::open(&root.path().join("keys.json"), &master).expect("keys");
        Self { root, ring }
    }

    fn path(&self) -> PathBuf {
        self.root.path().join("keys")
    }

    fn open(&self) -> Slots {
        Slots::open(&self.path()).expect("it opens")
    }
}
