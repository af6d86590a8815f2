//! Whose calls they are: found, held and erased by a person's address.
//!
//! Indexes hold keyed hashes of addresses (HMAC-SHA256). A telephone number is the same person with whichever host, display
//! name and separators it is written; other addresses are told apart by user and host.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::forget::name_in;
use super::{CallName, Embedded, Names, Place};
use crate::hexadecimal::hexadecimal;
use crate::notice::What;
use crate::settings::{is_nameless, uri_of};
use crate::store::keys::KeyRing;
use crate::web::{CallRecord, Moment};

/// A person's name in the store.
type PersonName = [u8; 16];

/// What a pseudonym begins with.
const PSEUDONYM: &str = "person:";
/// Digits from which on a user part is a telephone number; shorter ones are extensions, which each host has its own of.
const NUMBER_DIGITS_MIN: usize = 7;
/// The longest address that is indexed, octets.
const ADDRESS_OCTETS_MAX: usize = 256;
/// Addresses indexed of one notice.
const ADDRESSES_MAX: usize = 16;

/// What was erased of a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Erased {
    /// The person's name in the audit trail, hexadecimal: the same for the same address, and nothing can be read in it.
    pub person: String,
    /// Ids of the calls that are gone.
    pub calls: Vec<String>,
    /// Calls of the person that are up: to be erased once they have ended.
    pub still_up: usize,
}

/// Why somebody's calls may not be removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Held {
    /// Why, as who ordered it wrote.
    pub reason: String,
    /// Since when.
    pub since: Moment,
}

/// A hold on one person's calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Hold {
    /// As in [`Erased::person`].
    pub person: String,
    /// Why, and since when.
    #[serde(flatten)]
    pub held: Held,
}

impl Embedded {
    /// Notes who takes part in a call.
    pub(super) fn index(&self, name: &CallName, place: &Place, what: &What, names: &mut Names) {
        let mut persons = Vec::new();
        let addresses: Vec<&str> = match what {
            What::CallStarted { from, to, tags, .. } => {
                persons.extend(tags.tenant.iter().map(|tenant| self.tenant_name(tenant)));
                vec![from.reveal(), to.reveal()]
            }
            What::CallForked { parties, .. } => parties
                .iter()
                .flat_map(|party| party.addresses.iter().map(String::as_str))
                .take(ADDRESSES_MAX)
                .collect(),
            _ => return,
        };
        persons.extend(addresses.into_iter().filter_map(|address| self.person(address)));
        for person in persons {
            names.people.insert([&person[..], place].concat(), []);
            names.parties.insert([&name[..], &person].concat(), *place);
        }
    }

    /// Takes a call out of the indexes.
    pub(super) fn unindex(&self, name: &CallName) -> Result<(), String> {
        for entry in self.parties.scan_prefix(name) {
            let (key, place) = entry?;
            self.people.remove([&key[16..], &place].concat())?;
            self.parties.remove(key)?;
        }
        Ok(())
    }

    /// Why a call may not be removed, when anybody in it is held.
    pub(super) fn held_by(&self, name: &CallName) -> Result<Option<Held>, String> {
        if self.holds.is_empty()? {
            return Ok(None);
        }
        for key in self.parties.prefixed_keys(name) {
            if let Some(held) = self.hold_on(&key?[16..])? {
                return Ok(Some(held));
            }
        }
        Ok(None)
    }

    /// Erases every ended call of a person: its keys are overwritten, so that no copy of it opens any more, then it is
    /// removed. Nothing is erased while anybody in one of them is held.
    ///
    /// # Returns
    /// What was erased; or why nothing was.
    ///
    /// # Errors
    /// When the address names nobody, or the store cannot be read or written.
    pub fn erase(&self, address: &str) -> Result<Result<Erased, Held>, String> {
        let person = self.named(address)?;
        let (mut places, mut ids, mut still_up) = (Vec::new(), Vec::new(), 0);
        for place in self.places_of(&person)? {
            let name = name_in(&place);
            if let Some(held) = self.held_by(&name)? {
                return Ok(Err(held));
            }
            if self.running.contains_key(name)? {
                still_up += 1;
                continue;
            }
            if let Some(sealed) = self.calls.get(place)?
                && let Some(line) = self.line(&place, &sealed)?
            {
                ids.extend(line["id"].as_str().map(str::to_owned));
            }
            places.push(place);
        }
        self.forget_alerts(|alert| ids.contains(&alert.call))?;
        self.forget(&places)?;
        self.flush()?;
        Ok(Ok(Erased { person: hexadecimal(&person), calls: ids, still_up }))
    }

    /// The calls of a person that started before `before`, whole, newest first; as many as [`Embedded::calls`] lists.
    ///
    /// # Errors
    /// When the address names nobody, or the store cannot be read.
    pub fn calls_of(&self, address: &str, before: Moment, max: usize) -> Result<Vec<CallRecord>, String> {
        let (mut records, mut last) = (Vec::new(), None);
        for place in self.places_of(&self.named(address)?)?.iter().rev() {
            let started = place.first_chunk::<8>().copied();
            if place[..] < before.0.to_be_bytes()[..] && (records.len() < max || last == started) {
                records.extend(self.fold(&name_in(place))?.record);
                last = started;
            }
        }
        Ok(records)
    }

    /// Keeps everything of a person until it is released, whatever its age.
    ///
    /// # Returns
    /// The hold; or the one that is there already.
    ///
    /// # Errors
    /// As [`Embedded::calls_of`].
    pub fn hold(&self, address: &str, held: Held) -> Result<Result<Hold, Held>, String> {
        let person = self.named(address)?;
        if let Some(held) = self.hold_on(&person)? {
            return Ok(Err(held));
        }
        let plain = serde_json::to_vec(&held).map_err(|error| error.to_string())?;
        self.holds.insert(person, self.keys.seal(&hold_context(&person), &plain))?;
        self.flush()?;
        Ok(Ok(Hold { person: hexadecimal(&person), held }))
    }

    /// Ends a hold; nothing when there was none.
    ///
    /// # Errors
    /// As [`Embedded::calls_of`].
    pub fn release(&self, address: &str) -> Result<Option<Hold>, String> {
        let person = self.named(address)?;
        let Some(held) = self.hold_on(&person)? else { return Ok(None) };
        self.holds.remove(person)?;
        self.look_again()?;
        self.flush()?;
        Ok(Some(Hold { person: hexadecimal(&person), held }))
    }

    /// People who are held, in the order of their hashes, from behind `after` on; at most `limit`.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn holds(&self, after: &str, limit: usize) -> Result<Vec<Hold>, String> {
        let mut holds = Vec::new();
        // The next key that there can be.
        let from = person_in_digits(after).map_or_else(Vec::new, |after| [&after[..], &[0]].concat());
        for person in self.holds.keys(&from, None) {
            let person = person?;
            holds.extend(self.hold_on(&person)?.map(|held| Hold { person: hexadecimal(&person), held }));
            if holds.len() >= limit {
                break;
            }
        }
        Ok(holds)
    }

    fn hold_on(&self, person: &[u8]) -> Result<Option<Held>, String> {
        let Some(sealed) = self.holds.get(person)? else { return Ok(None) };
        let plain = self.keys.open_value(&hold_context(person), &sealed).map_err(|error| error.to_string())?;
        serde_json::from_slice(&plain).map(Some).map_err(|error| error.to_string())
    }

    pub(super) fn places_of(&self, person: &PersonName) -> Result<Vec<Place>, String> {
        let mut places = Vec::new();
        for key in self.people.prefixed_keys(person) {
            places.extend(Place::try_from(&key?[16..]));
        }
        Ok(places)
    }

    fn named(&self, address: &str) -> Result<PersonName, String> {
        self.person(address).ok_or_else(|| format!("expected an address of a person, found {} octets", address.len()))
    }

    fn person(&self, address: &str) -> Option<PersonName> {
        person_of(&self.keys, address)
    }
}

/// Whether an address names a person, or something that stands for one does.
pub fn names_somebody(address: &str) -> bool {
    match address.trim().strip_prefix(PSEUDONYM) {
        Some(digits) => person_in_digits(digits).is_some(),
        None => person_in(address).is_some(),
    }
}

/// Whether that stands for a person, and is no address.
pub fn is_pseudonym(address: &str) -> bool {
    address.trim().starts_with(PSEUDONYM)
}

/// What stands for a person where no address is to be: the same for the same person, and nothing can be read in it. It
/// names the person wherever an address does. `None` when the address names nobody.
pub(in crate::store) fn pseudonym(keys: &KeyRing, address: &str) -> Option<String> {
    person_of(keys, address).map(|person| format!("{PSEUDONYM}{}", hexadecimal(&person)))
}

fn person_of(keys: &KeyRing, address: &str) -> Option<PersonName> {
    if let Some(digits) = address.trim().strip_prefix(PSEUDONYM) {
        return person_in_digits(digits);
    }
    let name = person_in(address)?;
    Some(keys.blind(&[b"person ", name.as_bytes()].concat()))
}

fn person_in_digits(digits: &str) -> Option<PersonName> {
    let is_whole = digits.len() == 32 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    let mut person = PersonName::default();
    for (at, octet) in person.iter_mut().enumerate() {
        *octet = u8::from_str_radix(digits.get(2 * at..2 * at + 2).filter(|_| is_whole)?, 16).ok()?;
    }
    Some(person)
}

/// Whom an address names: the digits of a telephone number, else user and host; nobody when it hides who it is.
fn person_in(address: &str) -> Option<String> {
    let uri = uri_of(address).to_ascii_lowercase();
    if uri.len() > ADDRESS_OCTETS_MAX {
        return None;
    }
    let rest = ["sip:", "sips:", "tel:"].into_iter().find_map(|scheme| uri.strip_prefix(scheme)).unwrap_or(&uri);
    let rest = rest.split(';').next()?;
    let (user, host) = rest.split_once('@').unwrap_or((rest, ""));
    let digits: String = user.chars().filter(char::is_ascii_digit).collect();
    let is_number = user.chars().all(|char| char.is_ascii_digit() || "+-.() ".contains(char));
    if is_number && digits.len() >= NUMBER_DIGITS_MIN {
        // An international prefix, or none: `+86…`, `0086…`.
        return Some(digits.strip_prefix("00").map(str::to_owned).unwrap_or(digits));
    }
    // The port is the telephone's of the day.
    let host = host
        .rsplit_once(':')
        .filter(|(_, port)| port.bytes().all(|octet| octet.is_ascii_digit()))
        .map_or(host, |(host, _)| host);
    (!is_nameless(user, host)).then(|| format!("{user}@{host}"))
}

fn hold_context(person: &[u8]) -> Vec<u8> {
    [b"hold ", person].concat()
}

#[cfg(test)]
mod tests;
