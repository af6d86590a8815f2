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

fn context(id: u64) -> Vec<u8> {
    [b"parcel ", &id.to_be_bytes()[..]].concat()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Place, files};
    use super::*;
    use crate::crm::State;

    #[test]
    fn parcels_outlive_the_program_and_nobody_reads_them() {
        Place::each().iter().for_each(check);
    }

    fn check(place: &Place) {
        let store = place.open();
        let parcel = |id: u64, attempts| Parcel {
            id,
            crm: "tickets".to_owned(),
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
        let again = place.open_again(store);
        assert_eq!(again.parcels().expect("readable"), [parcel(8, 3), parcel(300, 0)]);
        drop(again);
        for file in files(&place.folder()) {
            let bytes = std::fs::read(&file).expect("a file");
            assert!(!bytes.windows(6).any(|window| window == b"secret"), "{}", file.display());
        }
    }
}
