//! Parcels for systems outside that wait at a node: where another one finds them when that is gone.
//!
//! Sealed by the site's secret, since the keys of calls are their node's own: one that is removed is unreadable only as far as
//! the database forgets what it removes.

use tracing::warn;

use super::{Batch, Site};
use crate::crm::Parcel;

impl Site {
    /// Writes parcels of this node down as they are now.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(in super::super) fn keep_parcels(&self, parcels: &[Parcel]) -> Result<(), String> {
        let mut batch = Batch::default();
        for parcel in parcels {
            batch.insert(self.parcel_at(parcel.id), self.sealed_parcel(parcel)?);
        }
        self.parcels.apply(batch)
    }

    /// Removes parcels of this node.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(in super::super) fn drop_parcels(&self, ids: &[u64]) -> Result<(), String> {
        let mut batch = Batch::default();
        ids.iter().for_each(|id| batch.remove(self.parcel_at(*id)));
        self.parcels.apply(batch)
    }

    /// This node's parcels, in the order of their numbers.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(in super::super) fn parcels(&self) -> Result<Vec<Parcel>, String> {
        self.parcels_of(&self.own)
    }

    /// Makes the parcels of a node its own that is gone, whose lease it has.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(super) fn take_over_parcels(&self, theirs: &[u8; 16]) -> Result<Vec<Parcel>, String> {
        let (mut moved, mut taken) = (Batch::default(), Vec::new());
        let mut next = 0;
        for parcel in self.parcels_of(theirs)? {
            moved.remove([&theirs[..], &parcel.id.to_be_bytes()].concat());
            // A number is a node's own.
            let mut id = parcel.id.max(next);
            while self.parcels.contains_key(self.parcel_at(id))? {
                id += 1;
            }
            next = id + 1;
            let parcel = Parcel { id, ..parcel };
            moved.insert(self.parcel_at(id), self.sealed_parcel(&parcel)?);
            taken.push(parcel);
        }
        self.parcels.apply(moved)?;
        Ok(taken)
    }

    fn parcels_of(&self, node: &[u8; 16]) -> Result<Vec<Parcel>, String> {
        let mut parcels = Vec::new();
        for pair in self.parcels.scan_prefix(node) {
            let (key, sealed) = pair?;
            let id = &key[node.len().min(key.len())..];
            let opened = self.unseal(&context(id), &sealed);
            match opened.and_then(|plain| serde_json::from_slice(&plain).map_err(|error| error.to_string())) {
                Ok(parcel) => parcels.push(parcel),
                // One that cannot be read is no reason not to deliver all others.
                Err(why) => warn!(why, "a delivery of before cannot be read"),
            }
        }
        Ok(parcels)
    }

    fn sealed_parcel(&self, parcel: &Parcel) -> Result<Vec<u8>, String> {
        let plain = serde_json::to_vec(parcel).map_err(|error| error.to_string())?;
        self.seal(&context(&parcel.id.to_be_bytes()), &plain)
    }

    fn parcel_at(&self, id: u64) -> Vec<u8> {
        [&self.own[..], &id.to_be_bytes()].concat()
    }
}

fn context(id: &[u8]) -> Vec<u8> {
    [b"parcel ", id].concat()
}
