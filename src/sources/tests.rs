//! Exports as they come: good ones, broken ones, and octets that nobody meant.

use std::collections::BTreeMap;

use proptest::prelude::*;
use routing::Fact;
use serde_json::json;

use super::*;
use crate::web::Moment;

fn text(text: &str) -> Fact {
    Fact::Text(text.to_owned())
}

fn mapping() -> Mapping {
    let codes = BTreeMap::from([("1".to_owned(), text("placed")), ("2".to_owned(), text("delayed"))]);
    let column = |name: &str, fact: &str, codes| Column { name: name.to_owned(), fact: fact.to_owned(), codes };
    Mapping {
        person: "phone".to_owned(),
        columns: vec![
            column("tier", "customer.tier", None),
            column("orders", "customer.orders", None),
            column("state", "order.state", Some(codes)),
        ],
    }
}

fn cleaned(rows: Rows) -> Pulled {
    mapping().clean(rows, |address| address.contains("138").then(|| format!("person:{address}")))
}

#[test]
fn rows_of_csv_become_facts_of_people() {
    let export = "\u{feff}state,phone,tier,orders,note\r\n2,13800000001,gold,3,x\r\n1,13800000001,\"silver\",4,y\r\n\
                  9,13800000002,,007,\r\n1,nobody,gold,1,\r\n1,13800000003\r\n,,,,\r\n2,13800000004,g\u{fffd}ld,1,\r\n";
    let rows = csv(export.as_bytes(), &mapping().names()).expect("an export");
    let Pulled { people, tally } = cleaned(rows);
    let known = |number: &str| people.get(&format!("person:{number}")).map(|facts| facts.to_vec()).unwrap_or_default();
    let fact = |name: &str, fact| (std::sync::Arc::<str>::from(name), fact);
    assert_eq!(
        known("13800000001"),
        [
            fact("customer.tier", text("silver")),
            fact("customer.orders", Fact::Number(4.0)),
            fact("order.state", text("placed"))
        ]
    );
    assert_eq!(known("13800000002"), [fact("customer.orders", text("007"))], "zeros stay, and code 9 says nothing");
    assert_eq!(known("13800000003"), [fact("order.state", text("placed"))]);
    let counts = (tally.rows, tally.taken, tally.empty, tally.garbled, tally.duplicate);
    assert_eq!(counts, (7, 3, 2, 1, 1));
    assert_eq!(tally.facts["order.state"], FactTally { given: 5, right: 4, people: 2 });
    assert_eq!((tally.completeness("order.state"), tally.accuracy("order.state")), (Some(2.0 / 3.0), Some(0.8)));
    assert_eq!(tally.completeness("order.none"), None);
}

#[test]
fn rows_of_json_keep_their_types() {
    let export = json!({ "data": [
        { "phone": 13800000001u64, "tier": "gold", "orders": 3, "state": 2 },
        { "phone": "13800000002", "tier": { "x": 1 }, "orders": true },
    ] });
    let rows = json(export.to_string().as_bytes(), "/data", &mapping().names()).expect("an export");
    let pulled = cleaned(rows);
    let orders = |number: &str| {
        pulled.people[&format!("person:{number}")].iter().find(|(n, _)| &**n == "customer.orders").cloned()
    };
    assert_eq!(orders("13800000001").map(|(_, fact)| fact), Some(Fact::Number(3.0)));
    assert_eq!(orders("13800000002").map(|(_, fact)| fact), Some(Fact::Flag(true)));
    assert_eq!(pulled.tally.facts["customer.tier"], FactTally { given: 2, right: 1, people: 1 });
    let same = lines(["{\"phone\":\"1381\",\"tier\":\"a\",\"orders\":1,\"state\":1}"].into_iter(), &mapping().names());
    assert_eq!(cleaned(same.expect("rows")).people.len(), 1);
}

#[test]
fn exports_that_are_none_are_named() {
    let names = mapping().names();
    for (found, expected) in [
        (csv(b"phone,tier\n1,2\n", &names), "found 2 columns, none named \"orders\""),
        (csv(b"", &names), "found 0 columns, none named \"phone\""),
        (csv(b"13800138000,gold,3\n13700137000,,1\n", &names), "found 3 columns, none named \"phone\""),
        (json(b"[{\"phone\":1}]", "", &names), "found 1 columns, none named \"tier\""),
        (json(b"[{\"phone\":13800138000},2]", "", &names), "row 2: found no object, expected one"),
        (json(b"\"13800138000\"", "", &names), "found no list at \"\", expected one of objects"),
        (json(b"{\"13800138000\":[{}]}", "/data/0", &names), "found nothing at \"/data/0\", expected a list"),
        (json(b"{}", "", &names), "found no list at \"\", expected one of objects"),
        (json(b"{}", "/data", &names), "found nothing at \"/data\", expected a list"),
        (json(b"[1]", "", &names), "row 1: found no object, expected one"),
        (json(b"[", "", &names), "EOF while parsing"),
    ] {
        let found = found.expect_err(expected);
        assert!(found.contains(expected) && !found.contains("138"), "{found}");
    }
    assert_eq!(json(b"[]", "", &names), Ok(Rows::new()));
    let deep = json(br#"{"a/b":[{"x":1},[{"phone":1,"tier":2,"orders":3,"state":4}]]}"#, "/a~1b/1", &names);
    assert_eq!(deep, Ok(vec![vec![json!(1), json!(2), json!(3), json!(4)]]));
}

#[test]
fn the_last_good_pull_stays_until_a_better_one_comes() {
    let customers = Customers::default();
    let pull = |state: &str| cleaned(vec![vec![json!("1381"), json!("gold"), json!(1), json!(state)]]);
    customers.fail("orders", "nobody answers");
    assert_eq!(customers.facts_of("person:1381"), []);
    customers.take("orders", pull("1"), Moment(1_000));
    customers.take("people", cleaned(vec![vec![json!("1381"), json!("vip"), json!(null), json!(null)]]), Moment(1_000));
    customers.fail("orders", "nobody answers");
    let known = customers.facts_of("person:1381");
    let names: Vec<&str> = known.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["customer.orders", "customer.tier", "order.state"]);
    assert_eq!(known[1].1, Some(text("vip")), "the later source counts");
    let standing = &customers.standings()["orders"];
    assert_eq!(standing.failure.as_deref(), Some("nobody answers"));
    assert_eq!(standing.age(Moment(4_000)), Some(std::time::Duration::from_secs(3)));
    customers.forget("person:1381");
    assert_eq!(customers.facts_of("person:1381"), []);
}

proptest! {
    #[test]
    fn no_octets_break_anything(octets in prop::collection::vec(any::<u8>(), 0..300), header in any::<bool>()) {
        let mut export = if header { b"phone,tier,orders,state\n".to_vec() } else { Vec::new() };
        export.extend(&octets);
        let names = mapping().names();
        for rows in [csv(&export, &names), json(&octets, "", &names)].into_iter().flatten() {
            let count = rows.len() as u64;
            let Pulled { people, tally } = cleaned(rows);
            prop_assert_eq!(tally.rows, count);
            prop_assert_eq!(tally.taken + tally.empty + tally.garbled + tally.duplicate + tally.beyond, count);
            prop_assert_eq!(tally.taken as usize, people.len());
        }
    }
}
