//! Any bytes as an export of business data: read or refused, and every row is accounted for.
//!
//! Included by the fuzz target and by the test that replays the corpus.

use std::collections::BTreeMap;

use calmline::sources::{Column, Mapping, PEOPLE_MAX, ROWS_MAX, csv, json, lines};
use routing::Fact;

/// Reads the bytes as CSV, as JSON (at its top, and at `/data`), and as an object a line.
///
/// # Panics
/// When a row is lost, or a fact is told that policies may not have.
pub fn check(bytes: &[u8]) {
    let mapping = mapping();
    let names = mapping.names();
    let text = String::from_utf8_lossy(bytes);
    let read = [csv(bytes, &names), json(bytes, "", &names), json(bytes, "/data", &names), lines(text.lines(), &names)];
    for rows in read {
        let rows = match rows {
            Ok(rows) => rows,
            Err(why) => {
                assert!(!why.is_empty());
                continue;
            }
        };
        assert!(rows.len() <= ROWS_MAX && rows.iter().all(|row| row.len() == names.len()));
        let count = rows.len() as u64;
        let pulled = mapping.clean(rows, |address| (!address.trim().is_empty()).then(|| format!("person:{address}")));
        let tally = &pulled.tally;
        assert_eq!(tally.rows, count);
        assert_eq!(tally.taken + tally.empty + tally.garbled + tally.duplicate + tally.beyond, count);
        assert!(pulled.people.len() as u64 == tally.taken && pulled.people.len() <= PEOPLE_MAX);
        assert!(pulled.people.values().flat_map(|facts| facts.iter()).all(|(_, fact)| fact.is_well_formed()));
    }
}

fn mapping() -> Mapping {
    let fact = |text: &str| Fact::Text(text.to_owned());
    let codes = BTreeMap::from([("1".to_owned(), fact("placed")), ("*".to_owned(), fact("other"))]);
    let column = |name: &str, fact: &str, codes| Column { name: name.to_owned(), fact: fact.to_owned(), codes };
    Mapping {
        person: "phone".to_owned(),
        columns: vec![column("tier", "customer.tier", None), column("state", "order.state", Some(codes))],
    }
}
