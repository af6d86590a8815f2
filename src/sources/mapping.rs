//! From rows to facts of people: what is garbled, empty or there twice is dropped and counted, codes become what they stand
//! for.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use routing::Fact;
use serde_json::Value;

use super::PEOPLE_MAX;
use super::rows::Rows;
use crate::control::is_garbled;

/// Which column says who it is, and which say what.
#[derive(Debug, Clone, PartialEq)]
pub struct Mapping {
    /// The column with the address that the person calls from, or another one that stands for the person.
    pub person: String,
    /// The columns that become facts.
    pub columns: Vec<Column>,
}

/// A column that becomes a fact.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// The fact, e.g. `customer.tier`.
    pub fact: String,
    /// What its codes stand for; then other codes say nothing. `*` stands for these.
    pub codes: Option<BTreeMap<String, Fact>>,
}

/// The facts of one person by name.
pub type OwnFacts = Arc<[(Arc<str>, Fact)]>;

/// What a pull has brought.
#[derive(Debug, Default, PartialEq)]
pub struct Pulled {
    /// Facts by the person's pseudonym; everybody's share their names.
    pub people: HashMap<String, OwnFacts>,
    /// What became of its rows.
    pub tally: Tally,
}

/// What became of the rows of a pull.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// All of them.
    pub rows: u64,
    /// Those with facts of a person that no later row tells otherwise.
    pub taken: u64,
    /// Those that say nobody, or nothing of somebody.
    pub empty: u64,
    /// Those in which characters are lost.
    pub garbled: u64,
    /// Those after which another row of the same person came.
    pub duplicate: u64,
    /// Those beyond the number of people that may be known.
    pub beyond: u64,
    /// What became of the values of each fact.
    pub facts: BTreeMap<String, FactTally>,
}

/// What became of the values of one fact.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FactTally {
    /// Rows with a value.
    pub given: u64,
    /// Those whose value can be taken: a known code, a text, number or flag that a fact may be.
    pub right: u64,
    /// People of whom it is known.
    pub people: u64,
}

impl Mapping {
    /// The names of all columns, the person's first.
    pub fn names(&self) -> Vec<String> {
        std::iter::once(&self.person).chain(self.columns.iter().map(|column| &column.name)).cloned().collect()
    }

    /// The facts of everybody in the rows; `pseudonym` says what stands for an address, nothing for one that names nobody.
    pub fn clean(&self, rows: Rows, pseudonym: impl Fn(&str) -> Option<String>) -> Pulled {
        let mut pulled = Pulled { tally: Tally { rows: rows.len() as u64, ..Tally::default() }, ..Pulled::default() };
        pulled.tally.facts = self.columns.iter().map(|column| (column.fact.clone(), FactTally::default())).collect();
        let names: Vec<Arc<str>> = self.columns.iter().map(|column| column.fact.as_str().into()).collect();
        for row in rows {
            self.take(&row, &names, &pseudonym, &mut pulled);
        }
        let Pulled { people, tally } = &mut pulled;
        tally.taken = people.len() as u64;
        for (fact, _) in people.values().flat_map(|facts| facts.iter()) {
            if let Some(of_fact) = tally.facts.get_mut(&**fact) {
                of_fact.people += 1;
            }
        }
        pulled
    }

    fn take(&self, row: &[Value], names: &[Arc<str>], pseudonym: impl Fn(&str) -> Option<String>, pulled: &mut Pulled) {
        let Pulled { people, tally } = pulled;
        let Some((person, values)) = row.split_first() else { return };
        if row.iter().filter_map(Value::as_str).any(is_garbled) {
            tally.garbled += 1;
            return;
        }
        let mut facts = Vec::new();
        let given = self.columns.iter().zip(names).zip(values).filter(|(_, value)| !value.is_null());
        for ((column, name), value) in given {
            let fact = column.fact_of(value);
            if let Some(of_fact) = tally.facts.get_mut(&**name) {
                of_fact.given += 1;
                of_fact.right += u64::from(fact.is_some());
            }
            facts.extend(fact.map(|fact| (Arc::clone(name), fact)));
        }
        let person = written(person).and_then(|address| pseudonym(&address));
        let Some(person) = person.filter(|_| !facts.is_empty()) else {
            tally.empty += 1;
            return;
        };
        if people.contains_key(&person) {
            tally.duplicate += 1;
        } else if people.len() == PEOPLE_MAX {
            tally.beyond += 1;
            return;
        }
        people.insert(person, facts.into());
    }
}

impl Column {
    /// What a value says.
    fn fact_of(&self, value: &Value) -> Option<Fact> {
        if let Some(codes) = &self.codes {
            let code = written(value)?;
            return codes.get(code.trim()).or_else(|| codes.get(EVERY_OTHER)).cloned();
        }
        let fact = match value {
            Value::Bool(flag) => Fact::Flag(*flag),
            Value::Number(number) => Fact::Number(number.as_f64()?),
            Value::String(text) => Fact::Text(text.trim().to_owned()),
            Value::Null | Value::Array(_) | Value::Object(_) => return None,
        };
        Some(fact).filter(Fact::is_well_formed)
    }
}

impl Tally {
    /// The share of people of whom a fact is known, 0-1; nothing of nobody.
    pub fn completeness(&self, fact: &str) -> Option<f64> {
        crate::report::share(self.facts.get(fact)?.people, self.taken)
    }

    /// The share of the values of a fact that can be taken, 0-1; nothing of none.
    pub fn accuracy(&self, fact: &str) -> Option<f64> {
        let of_fact = self.facts.get(fact)?;
        crate::report::share(of_fact.right, of_fact.given)
    }
}

fn written(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// In place of a code: every other one.
const EVERY_OTHER: &str = "*";
