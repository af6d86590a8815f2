//! The keys of kept audio: each reel has a place of its own among the calls' keys, so that it can be forgotten by itself, before
//! its call or with it. The files are named by what the calls are named by here.

use std::fs;
use std::io;
use std::sync::Arc;

use tracing::warn;

use super::super::slots::{Class, head_of, seat_of};
use super::super::trees::Batch;
use super::forget::name_in;
use super::{CallName, Embedded, Place};
use crate::reel::path_of;
use crate::store::ReelKey;
use crate::web::Moment;

/// The class whose key of the place seals a reel: its place has nothing else.
pub(in crate::store) const REEL_CLASS: Class = Class::Record;

impl Embedded {
    /// Makes the key of a call that is up, and notes it.
    ///
    /// # Errors
    /// When the call is not known or has a reel already, or the store cannot be read or written.
    pub fn begin_reel(&self, id: &str, tenant: Option<&str>) -> Result<ReelKey, String> {
        let name = self.keys.blind(id.as_bytes());
        if !self.running.contains_key(name)? {
            return Err("the call is not kept".to_owned());
        }
        if self.reels.contains_key(name)? {
            return Err("the call has kept audio already".to_owned());
        }
        let keys = self.fresh_keys(tenant)?;
        self.slots().sync().map_err(|error| error.to_string())?;
        let note = keys.seal(&self.keys, REEL_CLASS, &note_context(&name), &[]).map_err(|error| error.to_string())?;
        self.reels.insert(name, note)?;
        Ok(ReelKey::new(name, keys, Arc::clone(&self.keys)))
    }

    /// The key of a call's reel: nothing where there was none, and none where it is gone.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn reel(&self, id: &str) -> Result<Option<Option<ReelKey>>, String> {
        let name = self.keys.blind(id.as_bytes());
        let Some(note) = self.reels.get(name)? else { return Ok(None) };
        let Some(head) = head_of(&note) else { return Ok(Some(None)) };
        let keys = self.keys_at(head.seat, head.tenant, &[REEL_CLASS])?;
        let key = keys.filter(|keys| keys.has(REEL_CLASS)).map(|keys| ReelKey::new(name, keys, Arc::clone(&self.keys)));
        Ok(Some(key))
    }

    /// Whether there is, or was, a reel of that name.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn knows_reel(&self, name: &CallName) -> Result<bool, String> {
        self.reels.contains_key(name)
    }

    /// Forgets a call's reel, whoever is held: the caller does not agree that there is one.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub fn drop_reel(&self, id: &str) -> Result<(), String> {
        self.forget_reels(&[self.keys.blind(id.as_bytes())])
    }

    /// Forgets the reels of ended calls that started before `before`, oldest first, of at most `max` calls that were not looked
    /// at yet; those of whoever is held stay. How many calls were looked at.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub fn forget_reels_before(&self, before: Moment, max: usize) -> Result<usize, String> {
        let from = self.marks.get(MARK)?.unwrap_or_default();
        let before = before.0.to_be_bytes();
        if from[..] >= before[..] {
            return Ok(0);
        }
        let (mut looked_at, mut names, mut last) = (0, Vec::new(), None);
        for place in self.calls.keys(&from, Some(&before)).take(max) {
            let Ok(place) = Place::try_from(place?) else { continue };
            (looked_at, last) = (looked_at + 1, Some(place));
            let name = name_in(&place);
            if self.reels.contains_key(name)? && self.held_by(&name)?.is_none() {
                names.push(name);
            }
        }
        self.forget_reels(&names)?;
        if let Some(last) = last {
            self.marks.insert(MARK, [&last[..], &[0]].concat())?;
        }
        Ok(looked_at)
    }

    /// Overwrites the keys of reels, then removes their files; that there were reels stays known.
    pub(super) fn forget_reels(&self, names: &[CallName]) -> Result<(), String> {
        let mut seats = Vec::new();
        for name in names {
            seats.extend(self.seat_of_reel(name)?);
        }
        self.slots().destroy(&seats, &Class::ALL).map_err(|error| error.to_string())?;
        names.iter().for_each(|name| self.remove_reel_file(name));
        Ok(())
    }

    /// Whose key a call's reel has, for whoever overwrites it together with others.
    pub(super) fn seat_of_reel(&self, name: &CallName) -> Result<Option<super::Seat>, String> {
        Ok(self.reels.get(name)?.and_then(|note| seat_of(&note)).map(|(seat, _)| seat))
    }

    /// Takes out that calls, whose keys are gone, had reels, and removes the files.
    pub(super) fn unnote_reels(&self, names: impl Iterator<Item = CallName>) -> Result<(), String> {
        let mut gone = Batch::default();
        for name in names {
            if self.reels.contains_key(name)? {
                self.remove_reel_file(&name);
                gone.remove(name);
            }
        }
        self.reels.apply(gone)
    }

    /// Removes the file of a reel whose key is gone. Where that fails nothing can be read in it all the same.
    pub(super) fn remove_reel_file(&self, name: &CallName) {
        let path = path_of(&self.audio, name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                warn!(path = %path.display(), %error, "kept audio whose key is gone cannot be removed");
            }
            _ => {}
        }
    }

    /// Looks for reels that are too old in all calls again.
    pub(super) fn look_at_reels_again(&self) -> Result<(), String> {
        self.marks.remove(MARK)
    }
}

/// Where it is noted up to which call reels were forgotten.
const MARK: &[u8] = b"reels forgotten to";

fn note_context(name: &CallName) -> Vec<u8> {
    [b"reel ", &name[..]].concat()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{BEGAN, Place, call};
    use super::super::{Held, Kept, Running};
    use super::*;
    use crate::notice::{Notice, What};
    use crate::reel::{Record, Reel, ReelError, ReelWriter};

    const BEGIN: Record = Record::Begin { unix_ms: 1, call_ms: 2, words: false };

    #[test]
    fn a_reel_goes_with_its_call_or_before_it_and_opens_nowhere_then() {
        Place::each().iter().for_each(check);
    }

    fn check(place: &Place) {
        let mut running = Running::default();
        let mut store = place.open();
        let folder = tempfile::tempdir().expect("a folder");
        store.audio = folder.path().to_owned();
        assert!(store.begin_reel("call 0", None).is_err(), "nobody has told of it");
        for number in 0..4 {
            store.keep(&mut running, &call(number, BEGAN + number * 1_000)[..1]).expect("written");
            let key = store.begin_reel(&format!("call {number}"), None).expect("a key");
            ReelWriter::create(folder.path(), key).expect("a file").append(&BEGIN).expect("written");
        }
        assert!(store.begin_reel("call 0", None).is_err(), "it has one");
        for number in 0..4 {
            store.keep(&mut running, &call(number, BEGAN + number * 1_000)[1..]).expect("written");
        }
        let key = |store: &Embedded, number: u64| store.reel(&format!("call {number}")).expect("readable");
        let copies: Vec<ReelKey> = (0..4).map(|number| key(&store, number).flatten().expect("it is there")).collect();
        assert!(copies.iter().all(|key| Reel::open(folder.path(), key.clone()).is_ok()));

        let held = Held { reason: "court".to_owned(), since: Moment(1) };
        assert!(store.hold("13800138000", held).expect("written").is_ok());
        assert_eq!(store.forget_reels_before(Moment(BEGAN + 1_500), 10).expect("written"), 2);
        assert!(key(&store, 0).flatten().is_some(), "it is held");
        store.release("13800138000").expect("written");
        assert_eq!(store.forget_reels_before(Moment(BEGAN + 1_500), 10).expect("written"), 2);
        assert_eq!(store.forget_reels_before(Moment(BEGAN + 1_500), 10).expect("written"), 0);
        assert!(key(&store, 0).is_some_and(|key| key.is_none()), "it was there");
        assert!(store.call("call 0").expect("readable").is_some(), "its call stays");
        store.drop_reel("call 2").expect("written");
        let files = || std::fs::read_dir(folder.path()).expect("a folder").count();
        assert_eq!((key(&store, 2).is_some_and(|key| key.is_none()), files()), (true, 1));

        store.erase("13800138000").expect("written").expect("nobody is held");
        assert!((0..4).all(|number| key(&store, number).is_none()));
        assert_eq!((files(), store.reels.len()), (0, 0));
        let gone = Reel::open(folder.path(), copies[3].clone());
        assert!(matches!(gone, Err(ReelError::Gone)), "{gone:?}");
    }

    #[test]
    fn a_refusal_takes_a_reel_back_at_once_and_after_a_crash() {
        Place::each().iter().for_each(check_refusal);
    }

    fn check_refusal(place: &Place) {
        let (mut running, folder) = (Running::default(), tempfile::tempdir().expect("a folder"));
        let store = place.open().with_audio_in(folder.path().to_owned());
        let begin = |store: &Embedded, id: &str| {
            let key = store.begin_reel(id, None).expect("a key");
            ReelWriter::create(folder.path(), key).expect("a file").append(&BEGIN).expect("written");
        };
        let refusal = |started: &Kept| {
            let what = What::Consent { state: "refused".to_owned(), by: "key".to_owned() };
            Kept { notice: Notice { what, ..started.notice.clone() }, ..started.clone() }
        };
        let key = |store: &Embedded, id: &str| store.reel(id).expect("readable");
        let files = || std::fs::read_dir(folder.path()).expect("a folder").count();
        let started = [&call(0, BEGAN)[..1], &call(1, BEGAN)[..1]].concat();
        store.keep(&mut running, &started).expect("written");
        let held = Held { reason: "court".to_owned(), since: Moment(1) };
        assert!(store.hold("13800138000", held).expect("written").is_ok());
        begin(&store, "call 0");
        store.keep(&mut running, &[refusal(&started[0])]).expect("written");
        assert_eq!((key(&store, "call 0").is_some_and(|key| key.is_none()), files()), (true, 0));

        // Here the key was made after the refusal, and the program ended before anybody had the reel forgotten.
        store.keep(&mut running, &[refusal(&started[1])]).expect("written");
        begin(&store, "call 1");
        let store = place.open_again(store).with_audio_in(folder.path().to_owned());
        assert!(key(&store, "call 1").flatten().is_some());
        store.end_abandoned(&mut Running::default(), &Running::default(), Moment(BEGAN + 9_000)).expect("written");
        assert_eq!((key(&store, "call 1").is_some_and(|key| key.is_none()), files()), (true, 0));
    }
}
