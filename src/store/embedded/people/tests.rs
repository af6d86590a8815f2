//! People are found by their addresses, and what is erased of them opens nowhere.

use super::super::super::slots::Class;
use super::super::super::trees::{Order, Pair};
use super::super::outbox::context;
use super::super::tests::{BEGAN, Place, call, files, parcel, samples};
use super::super::{Kept, Running};
use super::*;
use crate::notice::Notice;
use crate::pii::Pii;

#[test]
fn addresses_of_one_person() {
    for (address, expected) in [
        ("\"Li\" <sip:13800138000@pbx.example>;tag=7", Some("13800138000")),
        ("sip:13800138000@10.0.0.7:5060;user=phone", Some("13800138000")),
        ("tel:+86-138-0013-8000", Some("8613800138000")),
        ("sips:0086 138 0013 8000@carrier", Some("8613800138000")),
        ("13800138000", Some("13800138000")),
        ("sip:4000@PBX.example", Some("4000@pbx.example")),
        ("sip:Anna@pbx.example", Some("anna@pbx.example")),
        ("\"A\" <sip:anna@10.0.0.7:51234;transport=tcp>", Some("anna@10.0.0.7")),
        ("sip:anna@[2001:db8::7]:5060", Some("anna@[2001:db8::7]")),
        ("sip:anna@[2001:db8::7]", Some("anna@[2001:db8::7]")),
        ("<sip:anonymous@anonymous.invalid>", None),
        ("sip:@pbx.example", None),
        ("", None),
    ] {
        assert_eq!(person_in(address).as_deref(), expected, "{address}");
    }
    assert_eq!(person_in(&"a".repeat(ADDRESS_OCTETS_MAX + 1)), None);
}

#[test]
fn a_pseudonym_names_the_person_wherever_an_address_does() {
    Place::each().iter().for_each(check_pseudonym);
}

fn check_pseudonym(place: &Place) {
    let (store, mut running) = (place.open(), Running::default());
    let person = pseudonym(&store.keys, "sip:13800138000@a").expect("somebody");
    assert!(person.starts_with("person:") && !person.contains("13800138000"), "{person}");
    assert_eq!(pseudonym(&store.keys, "tel:138-0013-8000").as_ref(), Some(&person));
    assert_eq!(pseudonym(&store.keys, &person).as_ref(), Some(&person));
    for nobody in ["person:", "person:12", &format!("{person}0"), "person:zz3456789012345678901234567890ab", ""] {
        assert_eq!(pseudonym(&store.keys, nobody), None, "{nobody}");
    }
    store.keep(&mut running, &of(call(1, BEGAN), "sip:13800138000@a")).expect("written");
    store.keep(&mut running, &of(call(2, BEGAN + 1), &person)).expect("written");
    for address in ["13800138000", person.as_str()] {
        let records = store.calls_of(address, Moment(u64::MAX), 10).expect("readable");
        assert_eq!(records.iter().map(|record| record.id.as_str()).collect::<Vec<_>>(), ["call 2", "call 1"]);
    }
    assert_eq!(store.erase(&person).expect("written").expect("nobody is held").calls, ["call 1", "call 2"]);
}

#[test]
fn what_is_erased_opens_nowhere_and_others_stay() {
    for place in Place::each() {
        let (store, mut running) = (place.open(), Running::default());
        for (number, from) in [(1, "sip:13800138000@a"), (2, "sip:13900139000@a"), (3, "<sip:+13800138000@b>")] {
            store.keep(&mut running, &of(call(number, BEGAN + number), from)).expect("written");
        }
        store.keep(&mut running, &of(call(4, BEGAN), "tel:13800138000")[..1]).expect("written");
        // Whoever copied the values before has them still.
        let copied: Vec<_> = store
            .notices
            .scan_prefix(&[])
            .chain(store.calls.scan_prefix(&[]))
            .map(|entry| entry.expect("readable"))
            .collect();

        let erased = store.erase("13800138000").expect("written").expect("nobody is held");
        assert_eq!((erased.calls.as_slice(), erased.still_up), (&["call 1".to_owned(), "call 3".to_owned()][..], 1));
        let ids = |store: &Embedded, address: &str| -> Vec<String> {
            let records = store.calls_of(address, Moment(u64::MAX), 10).expect("readable");
            records.into_iter().map(|record| record.id).collect()
        };
        assert_eq!(ids(&store, "13800138000"), ["call 4"], "it is up");
        assert_eq!(ids(&store, "tel:139-0013-9000"), ["call 2"]);
        let opened = |(key, sealed): &&Pair| {
            store.open_value(&mut std::collections::BTreeMap::new(), key, sealed).expect("as sealed").is_some()
        };
        assert_eq!(copied.iter().filter(opened).count(), 2 + 1 + 1, "call 2 and its line, and what began call 4");

        // It is up no more, and is erased at last.
        store.keep(&mut running, &of(call(4, BEGAN), "tel:13800138000")[1..]).expect("written");
        let erased = store.erase("sip:13800138000@c").expect("written").expect("nobody is held");
        assert_eq!((erased.calls.as_slice(), erased.still_up), (&["call 4".to_owned()][..], 0));
        assert_eq!(store.erase("13800138000").expect("written").expect("nobody is held").calls, [""; 0]);
        assert_eq!(store.calls(Moment(u64::MAX), 10).expect("readable").len(), 1);
        assert_eq!(
            (store.people.len(), store.parties.len(), store.notices.len()),
            (3, 3, 2),
            "caller, callee and tenant of call 2"
        );
        assert!(store.erase("anonymous").is_err());
    }
}

#[test]
fn what_waits_to_be_told_of_calls_that_are_erased_opens_nowhere_either() {
    for place in Place::each() {
        let store = place.open();
        let mut running = Running::default();
        for number in 0..3 {
            let mut kept = call(number, BEGAN + number);
            if let (What::CallStarted { from, .. }, 2) = (&mut kept[0].notice.what, number) {
                *from = "sip:13900139000@pbx.example".to_owned().into();
            }
            store.keep(&mut running, &kept).expect("written");
        }
        let parcels = [parcel(1, "call 0"), parcel(2, "call 2"), parcel(3, "call 1"), parcel(4, "2026-11")];
        store.keep_parcels(&parcels).expect("written");
        let sealed: Vec<_> = store.outbox.pairs(&[], None, Order::Up).map(|pair| pair.expect("readable")).collect();
        let erased = store.erase("13800138000").expect("written").expect("nobody is held");
        assert_eq!(erased.calls.len(), 2);
        assert_eq!(store.parcels().expect("readable"), [parcels[1].clone(), parcels[3].clone()]);
        // Copies of the values of before open for nobody: by no key of theirs, nor by the store's own.
        let opens = sealed.iter().map(|(id, sealed)| {
            let context = context(u64::from_be_bytes(id[..].try_into().expect("eight octets")));
            (
                store.open_one(&context, sealed).expect("as sealed").is_some(),
                store.keys.open_value(&context, sealed).is_ok(),
            )
        });
        assert_eq!(opens.collect::<Vec<_>>(), [(false, false), (true, false), (false, false), (true, false)]);
        let again = place.open_again(store);
        assert_eq!(again.parcels().expect("readable").len(), 2);
    }
}

#[test]
fn erasing_in_the_midst_of_which_the_program_ends_can_be_done_again() {
    for place in Place::each() {
        let store = place.open();
        store.keep(&mut Running::default(), &of(call(1, BEGAN), "sip:13800138000@a")).expect("written");
        let name = store.keys.blind(b"call 1");
        let seats: Vec<_> = store.fold(&name).expect("readable").seats.into_iter().collect();
        store.slots().destroy(&seats, &Class::ALL).expect("written");
        drop(store);
        let again = place.open();
        assert!(again.call("call 1").expect("readable").is_none());
        assert!(again.calls(Moment(u64::MAX), 10).expect("readable").is_empty());
        // Its place is taken by another call, which is no reason to open it.
        again.keep(&mut Running::default(), &of(call(2, BEGAN), "sip:13900139000@a")).expect("written");
        assert!(again.call("call 1").expect("readable").is_none() && again.call("call 2").expect("readable").is_some());
        again.erase("13800138000").expect("written").expect("nobody is held");
        assert_eq!((again.notices.len(), again.calls.len()), (2, 1));
    }
}

#[test]
fn nobody_removes_what_is_held() {
    for place in Place::each() {
        let (store, mut running) = (place.open(), Running::default());
        for (number, from) in [(1, "sip:13700137000@a"), (2, "sip:13900139000@a")] {
            let mut kept = of(samples(), from);
            kept.iter_mut().for_each(|kept| kept.notice.call = format!("call {number}"));
            store.keep(&mut running, &kept).expect("written");
        }
        let held = Held { reason: "case 7".to_owned(), since: Moment(BEGAN) };
        let hold = store.hold("13700137000", held.clone()).expect("written").expect("the first");
        let other = Held { reason: "case 9".to_owned(), since: Moment(BEGAN + 1) };
        assert_eq!(store.hold("13700137000", other).expect("readable"), Err(held.clone()), "one at a time");
        assert_eq!(
            (place.open_again(store).holds("", 9).expect("readable"), hold.held.clone()),
            (vec![hold], held.clone())
        );

        let store = place.open();
        assert_eq!(store.erase("13700137000").expect("readable"), Err(held));
        let later = Moment(BEGAN + 1_000_000);
        assert_eq!(store.forget_class_before(Class::Words, later, 10).expect("written"), 2);
        let said = |id| store.call(id).expect("readable").expect("it is kept").events.iter().any(is_said);
        assert_eq!((said("call 1"), said("call 2")), (true, false));
        assert_eq!(store.forget_before(later, 10).expect("written"), 1);

        assert!(store.release("13900139000").expect("readable").is_none());
        assert!(
            store.release("13700137000").expect("written").is_some()
                && store.holds("", 9).expect("readable").is_empty()
        );
        assert_eq!(store.forget_class_before(Class::Words, later, 10).expect("written"), 1, "it is looked for again");
        assert!(!said("call 1"));
        assert_eq!(store.forget_before(later, 10).expect("written"), 1);
        assert_eq!((store.notices.len(), store.people.len(), store.parties.len()), (0, 0, 0));
        assert!(files(&place.folder()).iter().any(|path| path.ends_with("keys")));
    }
}

fn is_said(event: &crate::web::TimedNotice) -> bool {
    matches!(event.notice.what, What::Said { .. })
}

/// The same call from somebody else.
fn of(kept: Vec<Kept>, caller: &str) -> Vec<Kept> {
    let said_by = |mut notice: Notice| {
        if let What::CallStarted { from, .. } = &mut notice.what {
            *from = Pii::new(caller.to_owned());
        }
        notice
    };
    kept.into_iter().map(|Kept { unix_ms, notice }| Kept { unix_ms, notice: said_by(notice) }).collect()
}
