//! A table of bounded size that forgets what has not been looked at for longest.
//!
//! Two generations: what is looked at moves to the young one; when that is full, the old one is forgotten.

use std::collections::BTreeMap;

/// At most so many entries as it was made for.
#[derive(Debug)]
pub(super) struct Recent<K, V> {
    young: BTreeMap<K, V>,
    old: BTreeMap<K, V>,
    entries_max: usize,
}

impl<K: Ord + Clone, V> Recent<K, V> {
    /// For at most `entries_max` entries, of which the younger half is safe.
    pub(super) fn new(entries_max: usize) -> Self {
        Self { young: BTreeMap::new(), old: BTreeMap::new(), entries_max: entries_max.max(2) }
    }

    /// The entry of `key`, which is young again.
    pub(super) fn get(&mut self, key: &K) -> Option<&mut V> {
        if let Some(value) = self.old.remove(key) {
            self.insert(key.clone(), value);
        }
        self.young.get_mut(key)
    }

    /// The entry of `key`, which is `new` when there was none.
    pub(super) fn get_or(&mut self, key: &K, new: impl FnOnce() -> V) -> &mut V {
        if !self.young.contains_key(key) {
            let value = self.old.remove(key).unwrap_or_else(new);
            self.insert(key.clone(), value);
        }
        self.young.get_mut(key).expect("just inserted")
    }

    /// Sets the entry of `key`.
    pub(super) fn insert(&mut self, key: K, value: V) {
        if self.young.len() >= self.entries_max / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.old.remove(&key);
        self.young.insert(key, value);
    }

    /// The entry of `key`, as old as it is.
    pub(super) fn peek(&self, key: &K) -> Option<&V> {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    /// True when one more entry would make older ones forgotten.
    pub(super) fn is_full(&self) -> bool {
        self.young.len() >= self.entries_max / 2 && !self.old.is_empty()
    }

    /// All entries, in no order.
    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        self.young.values().chain(self.old.values())
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_small_and_keeps_what_is_used() {
        let mut recent = Recent::new(10);
        recent.insert(0, "kept");
        for key in 1..1_000 {
            recent.insert(key, "new");
            assert_eq!(recent.get(&0), Some(&mut "kept"));
            assert!(recent.len() <= 10, "{} entries", recent.len());
        }
        assert_eq!(recent.get(&500), None);
        assert_eq!(recent.get_or(&999, || "made"), &"new");
        assert_eq!(recent.get_or(&500, || "made"), &"made");
        assert_eq!((recent.peek(&500), recent.peek(&501)), (Some(&"made"), None));
    }
}
