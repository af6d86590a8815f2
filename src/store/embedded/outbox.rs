//! Parcels for systems outside, sealed, until they are taken.

use tracing::warn;

use super::{Embedded, Order};
use crate::crm::Parcel;

impl Embedded {
    /// Writes parcels down as they are now; on the disk when this returns.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn keep_parcels(&self, parcels: &[Parcel]) -> Result<(), String> {
        for parcel in parcels {
            let plain = serde_json::to_vec(parcel).map_err(|error| error.to_string())?;
            let sealed = self.keys.seal(&context(parcel.id), &plain);
            self.outbox.insert(parcel.id.to_be_bytes(), sealed)?;
        }
        self.flush()
    }

    /// Writes down a parcel that is made once for good, by its key; whether it was the first of that key. On the disk when this
    /// returns.
    ///
    /// # Errors
    /// As [`Embedded::keep_parcels`]; then it may be tried again.
    pub fn keep_parcel_once(&self, parcel: &Parcel) -> Result<bool, String> {
        let mark = mark_of(&parcel.key);
        if self.marks.contains_key(&mark)? {
            return Ok(false);
        }
        // The parcel first: cut off between the two, it is there, and `mark_parcels` makes up for it before it goes out.
        self.keep_parcels(std::slice::from_ref(parcel))?;
        self.marks.insert(&mark, parcel.unix_ms.to_be_bytes())?;
        self.flush()?;
        Ok(true)
    }

    /// Notes that parcels were made.
    ///
    /// # Errors
    /// As [`Embedded::keep_parcels`].
    pub fn mark_parcels(&self, parcels: &[Parcel]) -> Result<(), String> {
        for parcel in parcels {
            self.marks.insert(mark_of(&parcel.key), parcel.unix_ms.to_be_bytes())?;
        }
        self.flush()
    }

    /// Whether a parcel of this key was ever made.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn was_made(&self, key: &str) -> Result<bool, String> {
        self.marks.contains_key(mark_of(key))
    }

    /// Removes parcels that are done with.
    ///
    /// # Errors
    /// As [`Embedded::keep_parcels`].
    pub fn drop_parcels(&self, ids: &[u64]) -> Result<(), String> {
        for id in ids {
            self.outbox.remove(id.to_be_bytes())?;
        }
        self.flush()
    }

    /// All parcels, in the order of their numbers.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn parcels(&self) -> Result<Vec<Parcel>, String> {
        let mut parcels = Vec::new();
        for entry in self.outbox.pairs(&[], None, Order::Up) {
            let (id, sealed) = entry?;
            let id = <[u8; 8]>::try_from(&*id).map(u64::from_be_bytes).map_err(|error| error.to_string())?;
            let opened = self.keys.open_value(&context(id), &sealed).map_err(|error| error.to_string());
            match opened.and_then(|plain| serde_json::from_slice(&plain).map_err(|error| error.to_string())) {
                Ok(parcel) => parcels.push(parcel),
                // One that cannot be read is no reason not to deliver all others.
                Err(why) => warn!(id, why, "a delivery of before cannot be read"),
            }
        }
        Ok(parcels)
    }
}

/// Where it is noted that a parcel was made once for good. One of a day's report is 45 octets; they stay.
fn mark_of(key: &str) -> Vec<u8> {
    [b"made ", key.as_bytes()].concat()
}

fn context(id: u64) -> Vec<u8> {
    [b"parcel ", &id.to_be_bytes()[..]].concat()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Place, files};
    use super::*;
    use crate::crm::State;
    use crate::pii::Pii;

    #[test]
    fn parcels_outlive_the_program_and_nobody_reads_them() {
        Place::each().iter().for_each(check);
    }

    fn check(place: &Place) {
        let store = place.open();
        let parcel = |id: u64, attempts| Parcel {
            id,
            crm: "tickets".to_owned(),
            to: Some(Pii::new("a secret address".to_owned())),
            call: "call 1".to_owned(),
            event: "alert".to_owned(),
            key: "k".to_owned(),
            body: "a secret body".to_owned(),
            unix_ms: 1,
            attempts,
            state: State::Waiting(2),
            error: None,
        };
        store.keep_parcels(&[parcel(7, 0), parcel(300, 0), parcel(8, 0)]).expect("written");
        store.keep_parcels(&[parcel(8, 3)]).expect("written");
        store.drop_parcels(&[7, 99]).expect("written");
        let once = |id| Parcel { key: "once".to_owned(), ..parcel(id, 0) };
        assert!(!store.was_made("once").expect("readable"));
        let first = [store.keep_parcel_once(&once(9)), store.keep_parcel_once(&once(10))];
        assert_eq!(first, [Ok(true), Ok(false)]);
        store.drop_parcels(&[9]).expect("written");
        store.mark_parcels(&[Parcel { key: "again".to_owned(), ..parcel(11, 0) }]).expect("written");
        let again = place.open_again(store);
        assert_eq!(again.parcels().expect("readable"), [parcel(8, 3), parcel(300, 0)]);
        let made = ["once", "again", "k"].map(|key| again.was_made(key));
        assert_eq!(made, [Ok(true), Ok(true), Ok(false)]);
        drop(again);
        for file in files(&place.folder()) {
            let bytes = std::fs::read(&file).expect("a file");
            assert!(!bytes.windows(6).any(|window| window == b"secret"), "{}", file.display());
        }
    }
}
