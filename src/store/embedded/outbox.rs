//! Parcels for systems outside, sealed, until they are taken.
//!
//! One that is about a call is sealed by a key of its own, the same however often it is written anew, which is overwritten with it:
//! what is left of its values in old files, and in copies of them, opens no more. Those of a node of a site lie with the site.

use std::collections::BTreeSet;

use tracing::warn;

use super::{CallName, Embedded, Order, notice_key};
use crate::crm::Parcel;
use crate::store::slots::{CallKeys, Class, head_of, seat_of};

impl Embedded {
    /// Writes parcels down as they are now; on the disk when this returns.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn keep_parcels(&self, parcels: &[Parcel]) -> Result<(), String> {
        if let Some(site) = self.site() {
            return site.keep_parcels(parcels);
        }
        let mut values = Vec::new();
        for parcel in parcels {
            let plain = serde_json::to_vec(parcel).map_err(|error| error.to_string())?;
            let (at, context) = (parcel.id.to_be_bytes(), context(parcel.id));
            let sealed = match parcel.call.is_empty() {
                true => self.keys.seal(&context, &plain),
                false => {
                    let keys = self.parcel_keys(parcel)?;
                    keys.seal_anew(Class::Record, &context, &plain).map_err(|error| error.to_string())?
                }
            };
            values.push((at, sealed));
        }
        // Keys before what they seal.
        self.slots().sync().map_err(|error| error.to_string())?;
        for (at, sealed) in values {
            self.outbox.insert(at, sealed)?;
        }
        self.flush()
    }

    /// The keys that a parcel has, so that none are left behind; for one that has none, fresh ones: its tenant's, too, where the call
    /// is known to be one's.
    fn parcel_keys(&self, parcel: &Parcel) -> Result<CallKeys, String> {
        let before = self.outbox.get(parcel.id.to_be_bytes())?;
        if let Some(head) = before.as_deref().and_then(head_of)
            && let Some(keys) = self.keys_at(head.seat, head.tenant, &[Class::Record])?
            && keys.has(Class::Record)
        {
            return Ok(keys);
        }
        let first = self.notices.get(notice_key(&self.keys.blind(parcel.call.as_bytes()), 0))?;
        let keys = match first.as_deref().and_then(head_of) {
            Some(head) => self.keys_at(head.seat, head.tenant, &[])?,
            None => None,
        };
        let beside = keys.map(|keys| self.keys_beside(&keys)).transpose()?.flatten();
        // Of a tenant that was erased, calls that are up are told of to their end.
        beside.map_or_else(|| self.fresh_keys(None), Ok)
    }

    /// Removes what waits to be told of calls that are erased.
    pub(super) fn forget_parcels(&self, calls: &BTreeSet<CallName>) -> Result<(), String> {
        if calls.is_empty() || (self.site().is_none() && self.outbox.is_empty()?) {
            return Ok(());
        }
        let parcels = self.parcels()?.into_iter();
        let of_these = parcels.filter(|parcel| calls.contains(&self.keys.blind(parcel.call.as_bytes())));
        self.drop_parcels(&of_these.map(|parcel| parcel.id).collect::<Vec<_>>())
    }

    /// Which of some calls are here, up or ended.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn kept_of(&self, calls: BTreeSet<String>) -> Result<BTreeSet<String>, String> {
        let mut kept = BTreeSet::new();
        for call in calls {
            if self.notices.contains_key(notice_key(&self.keys.blind(call.as_bytes()), 0))? {
                kept.insert(call);
            }
        }
        Ok(kept)
    }

    /// Writes down a parcel that is made once for good, by its key; whether it was the first of that key. On the disk when this
    /// returns.
    ///
    /// # Errors
    /// As [`Embedded::keep_parcels`]; then it may be tried again.
    pub fn keep_parcel_once(&self, parcel: &Parcel) -> Result<bool, String> {
        if self.was_made(&parcel.key)? {
            return Ok(false);
        }
        // The parcel first: cut off between the two, it is there, and `mark_parcels` makes up for it before it goes out.
        self.keep_parcels(std::slice::from_ref(parcel))?;
        self.mark_parcels(std::slice::from_ref(parcel))?;
        Ok(true)
    }

    /// Notes that parcels were made.
    ///
    /// # Errors
    /// As [`Embedded::keep_parcels`].
    pub fn mark_parcels(&self, parcels: &[Parcel]) -> Result<(), String> {
        for Parcel { key, unix_ms, .. } in parcels {
            match self.site() {
                Some(site) => site.mark_made(key, *unix_ms)?,
                None => self.marks.insert(mark_of(key), unix_ms.to_be_bytes())?,
            }
        }
        self.flush()
    }

    /// Whether a parcel of this key was ever made, by any node of the site.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn was_made(&self, key: &str) -> Result<bool, String> {
        match self.site() {
            Some(site) => site.was_made(key),
            None => self.marks.contains_key(mark_of(key)),
        }
    }

    /// Removes parcels that are done with.
    ///
    /// # Errors
    /// As [`Embedded::keep_parcels`].
    pub fn drop_parcels(&self, ids: &[u64]) -> Result<(), String> {
        if let Some(site) = self.site() {
            return site.drop_parcels(ids);
        }
        let mut seats = Vec::new();
        for id in ids {
            seats.extend(self.outbox.get(id.to_be_bytes())?.as_deref().and_then(seat_of).map(|(seat, _)| seat));
        }
        // Their keys first: cut off behind it, what is left opens for nobody.
        self.slots().destroy(&seats, &Class::ALL).map_err(|error| error.to_string())?;
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
        if let Some(site) = self.site() {
            return site.parcels();
        }
        let mut parcels = Vec::new();
        for entry in self.outbox.pairs(&[], None, Order::Up) {
            let (id, sealed) = entry?;
            let id = <[u8; 8]>::try_from(&*id).map(u64::from_be_bytes).map_err(|error| error.to_string())?;
            let opened = match self.open_one(&context(id), &sealed) {
                // It was being removed when the program ended.
                Ok(None) => continue,
                Ok(Some(plain)) => serde_json::from_slice(&plain).map_err(|error| error.to_string()),
                Err(why) => Err(why),
            };
            match opened {
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

pub(super) fn context(id: u64) -> Vec<u8> {
    [b"parcel ", &id.to_be_bytes()[..]].concat()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Place, files, parcel};
    use super::*;
    use crate::pii::Pii;

    #[test]
    fn parcels_outlive_the_program_and_nobody_reads_them() {
        Place::each().iter().for_each(check);
    }

    fn check(place: &Place) {
        let store = place.open();
        let parcel = |id: u64, attempts| Parcel {
            to: Some(Pii::new("a secret address".to_owned())),
            key: "k".to_owned(),
            body: "a secret body".to_owned(),
            attempts,
            ..parcel(id, "call 1")
        };
        let seat = |store: &Embedded| {
            let sealed = store.outbox.get(8_u64.to_be_bytes()).expect("readable").expect("it waits");
            seat_of(&sealed).expect("it has a key of its own")
        };
        store.keep_parcels(&[parcel(7, 0), parcel(300, 0), parcel(8, 0)]).expect("written");
        let own = seat(&store);
        store.keep_parcels(&[parcel(8, 3)]).expect("written");
        assert_eq!(seat(&store), own, "no key is left behind");
        store.drop_parcels(&[7, 99]).expect("written");
        let once = |id| Parcel { key: "once".to_owned(), ..parcel(id, 0) };
        assert!(!store.was_made("once").expect("readable"));
        let first = [store.keep_parcel_once(&once(9)), store.keep_parcel_once(&once(10))];
        assert_eq!(first, [Ok(true), Ok(false)]);
        store.drop_parcels(&[9]).expect("written");
        store.mark_parcels(&[Parcel { key: "again".to_owned(), ..parcel(11, 0) }]).expect("written");
        let again = place.open_again(store);
        assert_eq!(again.parcels().expect("readable"), [parcel(8, 3), parcel(300, 0)]);
        again.keep_parcels(&[parcel(8, 4)]).expect("written");
        assert_eq!(seat(&again), own, "after a restart neither");
        assert_eq!(again.parcels().expect("readable"), [parcel(8, 4), parcel(300, 0)]);
        // What is dropped opens nowhere any more; what is about no call lies under the store's own key.
        let sealed = again.outbox.get(8_u64.to_be_bytes()).expect("readable").expect("it waits");
        assert!(again.open_one(&context(8), &sealed).expect("as sealed").is_some());
        again.drop_parcels(&[8]).expect("written");
        assert!(again.open_one(&context(8), &sealed).expect("as sealed").is_none());
        again.keep_parcels(&[Parcel { call: String::new(), ..parcel(9, 0) }]).expect("written");
        let made = ["once", "again", "k"].map(|key| again.was_made(key));
        assert_eq!(made, [Ok(true), Ok(true), Ok(false)]);
        drop(again);
        for file in files(&place.folder()) {
            let bytes = std::fs::read(&file).expect("a file");
            assert!(!bytes.windows(6).any(|window| window == b"secret"), "{}", file.display());
        }
    }
}
