//! Calls that are kept as they were told, and of which nothing can be read on the disk.

mod months;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::*;
use crate::accounts::Account;
use crate::crm::{Parcel, State as ParcelState};
use crate::export::{ExportFormat, ExportTable, ExportWriter};
use crate::notice_samples::one_of_each;
use crate::store::keys::MasterKey;
use crate::store::trees::tests::{break_once_at, database};
use crate::users::Role;
use crate::web::Board;

/// How long a lock may be held by programs that are being started.
const LOCK_WAIT: Duration = Duration::from_secs(5);

pub(in super::super) const BEGAN: u64 = 1_700_000_000_000;

#[test]
fn a_call_is_what_the_board_shows() {
    for place in Place::each() {
        let mut board = Board::default();
        let kept = samples();
        for Kept { unix_ms, notice } in &kept {
            board.apply(notice, *unix_ms);
        }
        place.open().keep(&mut Running::default(), &kept).expect("written");

        let again = place.open();
        let record = again.call("call-1").expect("readable").expect("it is kept");
        let shown = board.call("call-1").expect("it is shown");
        assert_eq!(json(&record), json(shown));
        assert_eq!(record.timeline, shown.timeline);
        assert_eq!(record.events.len(), shown.events.len());
        let mut line = Summary::from(shown);
        line.emotion.as_mut().expect("somebody was heard").words = None;
        assert_eq!(again.calls(Moment(u64::MAX), 10).expect("readable"), [json(&line)], "without words");
        assert!(again.call("call-2").expect("readable").is_none());
    }
}

#[test]
fn calls_are_listed_by_time_and_removed_by_age() {
    for place in Place::each() {
        let mut running = Running::default();
        let store = place.open();
        for number in 0..50_u64 {
            store.keep(&mut running, &call(number, BEGAN + number * 1_000)).expect("written");
        }
        let ids = |before: u64, max| -> Vec<String> {
            let lines = store.calls(Moment(before), max).expect("readable");
            lines.iter().map(|line| line["id"].as_str().expect("a name").to_owned()).collect()
        };
        assert_eq!(ids(u64::MAX, 2), ["call 49", "call 48"]);
        assert_eq!(ids(BEGAN + 2_000, 10), ["call 1", "call 0"]);
        assert_eq!(store.forget_before(Moment(BEGAN + 40_000), 30).expect("written"), 30);
        assert_eq!(store.forget_before(Moment(BEGAN + 40_000), 30).expect("written"), 10);
        assert_eq!(store.forget_before(Moment(BEGAN + 40_000), 30).expect("written"), 0);
        assert_eq!(ids(u64::MAX, 100).len(), 10);
        assert!(store.call("call 39").expect("readable").is_none());
        assert!(store.call("call 40").expect("readable").is_some());
        assert_eq!(store.notices.len(), 20);
    }
}

#[test]
fn calls_of_one_millisecond_are_on_one_page() {
    for place in Place::each() {
        let (store, mut running) = (place.open(), Running::default());
        for (number, unix_ms) in [(1, BEGAN), (2, BEGAN + 1), (3, BEGAN + 1), (4, BEGAN + 2)] {
            store.keep(&mut running, &call(number, unix_ms)).expect("written");
        }
        let starts = |before: u64, max| -> Vec<u64> {
            let lines = store.calls(Moment(before), max).expect("readable");
            let started = |line: &serde_json::Value| serde_json::from_value::<Moment>(line["started"].clone());
            lines.iter().map(|line| started(line).expect("a moment").0 - BEGAN).collect()
        };
        assert_eq!([starts(u64::MAX, 1), starts(BEGAN + 2, 1), starts(BEGAN + 1, 1)], [vec![2], vec![1, 1], vec![0]]);
        assert_eq!(starts(u64::MAX, 2), [2, 1, 1]);
    }
}

#[test]
fn what_has_come_of_a_call_is_kept_with_it_and_erased_with_it() {
    Place::each().iter().for_each(check_outcomes);
}

fn check_outcomes(place: &Place) {
    let mut running = Running::default();
    let store = place.open();
    let outcome = |name: &str, satisfied| Outcome {
        by: "crm".to_owned(),
        name: Some(name.to_owned()),
        satisfied: Some(satisfied),
        ..Outcome::default()
    };
    store.keep(&mut running, &call(1, BEGAN)[..1]).expect("written");
    assert!(store.tell_late("call 1", outcome("a", 1), Moment(BEGAN)).is_err(), "it is up");
    store.keep(&mut running, &call(1, BEGAN)[1..]).expect("written");
    let store = place.open_again(store);
    let tell = |id: &str, outcome| store.tell_late(id, outcome, Moment(BEGAN + 90_000)).expect("written");
    assert_eq!(tell("call 2", outcome("a", 1)), Err(Late::NoSuchCall));
    assert_eq!(tell("call 1", outcome("a", 1)), Ok(Moment(BEGAN)));
    assert_eq!(tell("call 1", outcome("a", 5)), Err(Late::Known));
    for number in 1..crate::web::OUTCOMES_MAX {
        assert_eq!(tell("call 1", outcome(&number.to_string(), 4)), Ok(Moment(BEGAN)));
    }
    assert_eq!(tell("call 1", outcome("more", 4)), Err(Late::Full));
    let record = store.call("call 1").expect("readable").expect("it is kept");
    assert_eq!((record.outcomes.len(), record.outcomes[0].satisfied), (crate::web::OUTCOMES_MAX, Some(1)));
    let mut satisfied = Vec::new();
    let told = &mut |_, facts: &CallFacts| satisfied.push(facts.satisfied);
    store.facts(Moment(0), Moment(u64::MAX), told).expect("readable");
    assert_eq!(satisfied, [Some(4)], "once, as was said last");
    assert_eq!(store.calls(Moment(u64::MAX), 10).expect("readable").len(), 1);

    let sealed: Vec<_> = store.notices.scan_prefix(&[]).map(|entry| entry.expect("readable")).collect();
    let erased = store.erase("13800138000").expect("written").expect("nobody is held");
    assert_eq!(erased.calls, ["call 1"]);
    for (key, sealed) in &sealed {
        assert!(store.open_value(&mut BTreeMap::new(), key, sealed).expect("as sealed").is_none());
    }
}

#[test]
fn what_comes_of_a_call_late_changes_nothing_else_that_reports_know() {
    for place in Place::each() {
        let store = place.open();
        store.keep(&mut Running::default(), &samples()).expect("written");
        let facts = |store: &Embedded| {
            let mut all = Vec::new();
            let told = &mut |_, facts: &CallFacts| all.push(facts.clone());
            store.facts(Moment(0), Moment(u64::MAX), told).expect("readable");
            all
        };
        let before = facts(&store);
        assert!(before[0].worded && before[0].emotion.is_some(), "{before:?}");
        for class in [Class::Words, Class::Timeline] {
            assert!(store.forget_class_before(class, Moment(u64::MAX), 10).expect("written") > 0);
        }
        let outcome = Outcome { by: "crm".to_owned(), satisfied: Some(5), ..Outcome::default() };
        let told = store.tell_late("call-1", outcome, Moment(BEGAN + 90_000)).expect("written");
        assert_eq!(told, Ok(Moment(BEGAN)));
        assert_eq!(facts(&store), [CallFacts { satisfied: Some(5), ..before[0].clone() }]);
    }
}

#[test]
fn calls_are_exported_as_they_were_when_words_and_timelines_are_forgotten() {
    let place = Place::new();
    let store = place.open();
    store.keep(&mut Running::default(), &samples()).expect("written");
    let rows = |store: &Embedded| {
        let mut writer = ExportWriter::new(ExportTable::Calls, ExportFormat::Csv).expect("begun");
        let each =
            &mut |record: &CallRecord, facts: &CallFacts| writer.add(record, facts).map_err(|error| error.to_string());
        store.records(Moment(0), Moment(u64::MAX), each).expect("readable");
        String::from_utf8(writer.end().expect("a file")).expect("text")
    };
    let before = rows(&store);
    for class in [Class::Words, Class::Timeline] {
        assert!(store.forget_class_before(class, Moment(u64::MAX), 10).expect("written") > 0);
    }
    assert_eq!(rows(&store), before);
}

#[test]
fn what_was_said_before_a_refusal_is_forgotten_and_what_comes_behind_is_kept() {
    for place in Place::each() {
        let mut running = Running::default();
        let store = place.open();
        let of_kind =
            |wanted: fn(&What) -> bool| samples().into_iter().find(|kept| wanted(&kept.notice.what)).expect("one");
        let said = of_kind(|what| matches!(what, What::Said { is_final: true, .. }));
        let told = |what| Kept { notice: Notice { what, ..said.notice.clone() }, ..said.clone() };
        let [refused, given] =
            ["refused", "given"].map(|state| told(What::Consent { state: state.to_owned(), by: "key".to_owned() }));
        let kept = [of_kind(|what| matches!(what, What::CallStarted { .. })), said.clone(), refused];
        store.keep(&mut running, &kept).expect("written");
        let words = |store: &Embedded| store.call("call-1").expect("readable").expect("it is kept").phrases.len();
        assert_eq!((words(&store), store.notices.len()), (0, 2));
        store.keep(&mut running, &[given, said]).expect("written");
        assert_eq!(words(&store), 1);
        drop(store);
        assert_eq!(words(&place.open()), 1, "after a restart, too");
    }
}

#[test]
fn what_is_written_again_takes_the_place_of_what_was_written() {
    for place in Place::each() {
        let (store, mut running) = (place.open(), Running::default());
        let (one, other) = (call(1, BEGAN), call(2, BEGAN + 1));
        store.keep(&mut running, &[one[0].clone(), other[0].clone()]).expect("written");
        let paused = Notice { what: What::ForkPaused { on: true }, ..one[0].notice.clone() };
        let kept = [Kept { notice: paused, unix_ms: BEGAN }, other[1].clone(), call(3, BEGAN + 2)[0].clone()];
        let numbers = running.numbers();
        break_once_at("facts");
        store.keep(&mut running, &kept).expect_err("its notices are written, and then it breaks off");
        let (store, up) = (place.open_again(store), std::mem::take(&mut running));
        assert_eq!(store.end_abandoned(&mut running, &up, Moment(BEGAN + 3)).expect("written"), 0);
        running.go_back(&numbers);
        store.keep(&mut running, &kept).expect("written");
        assert_eq!(store.notices.len(), 5);
        assert_eq!(store.calls(Moment(u64::MAX), 10).expect("readable").len(), 1, "one has ended");
    }
}

#[test]
fn calls_that_nobody_ended_are_ended_at_the_next_start() {
    for place in Place::each() {
        let kept = samples();
        place.open().keep(&mut Running::default(), &kept[..kept.len() - 1]).expect("written");
        let (again, mut running) = (place.open(), Running::default());
        assert_eq!(again.end_abandoned(&mut running, &Running::default(), Moment(BEGAN + 99_000)).expect("written"), 1);
        assert_eq!(again.end_abandoned(&mut running, &Running::default(), Moment(BEGAN + 99_000)).expect("written"), 0);
        let record = again.call("call-1").expect("readable").expect("it is kept");
        assert_eq!((record.state, record.end_reason.as_deref()), (State::Ended, Some("the server ended")));
        assert_eq!(again.calls(Moment(u64::MAX), 10).expect("readable").len(), 1);
    }
}

#[test]
fn secrets_are_not_readable_on_the_disk() {
    for place in Place::each() {
        let store = place.open();
        store.keep(&mut Running::default(), &samples()).expect("written");
        store.flush().expect("written");
        let mut bytes = Vec::new();
        // A file of sled's holds all of it; of a database, it is what anybody may read who may connect.
        store.dump(&mut bytes).expect("readable");
        drop(store);
        for path in files(&place.folder()) {
            bytes.extend(std::fs::read(path).expect("a file"));
        }
        assert!(bytes.len() > 1_000);
        for secret in ["13800138000", "call-1", "alert", "human", "caller"] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret} is readable");
        }
    }
}

#[test]
fn secrets_are_not_readable_once_values_were_moved_and_removed_either() {
    for place in Place::each() {
        let mut running = Running::default();
        // Over and over, so that sled writes its files anew.
        for round in 0..4 {
            let store = place.open();
            for number in 0..250 {
                store.keep(&mut running, &call(number, BEGAN + round * 1_000 + number)).expect("written");
            }
            store.flush().expect("written");
            assert!(store.forget_before(Moment(BEGAN + round * 1_000 + 200), 1_000).expect("written") > 100);
        }
        for path in files(&place.folder()) {
            let bytes = std::fs::read(&path).expect("a file");
            for secret in ["13800138000", "call 2", "after-sales", "caller"] {
                let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
                assert!(!found, "{secret} is readable in {}", path.display());
            }
        }
    }
}

#[test]
fn another_program_and_another_key_are_refused_by_name() {
    let place = Place::new();
    let store = place.open();
    let error = Embedded::open(&place.folder(), None, &place.keys).expect_err("it is in use");
    assert!(error.contains("calls") && error.contains("lock"), "{error}");
    store.keep(&mut Running::default(), &samples()).expect("written");
    drop(store);
    let other = Place::new();
    let strange = Embedded::open(&place.folder(), None, &other.keys).expect("nothing is read yet");
    assert!(strange.calls(Moment(u64::MAX), 1).expect_err("sealed by others").contains("cannot be opened"));
}

#[test]
fn a_call_that_tells_too_much_is_bounded_and_still_ends() {
    for place in Place::each() {
        let mut running = Running::default();
        let store = place.open();
        let [started, ended]: [Kept; 2] = call(1, BEGAN).try_into().expect("two notices");
        store.keep(&mut running, std::slice::from_ref(&started)).expect("written");
        running.calls.values_mut().for_each(|call| call.next = NOTICES_MAX);
        let chatter = Kept { notice: Notice { what: What::ForkPaused { on: true }, ..started.notice }, ..started };
        assert_eq!(store.keep(&mut running, &[chatter, ended]).expect("written"), 1);
        let record = store.call("call 1").expect("readable").expect("it is kept");
        assert_eq!(record.state, State::Ended);
    }
}

pub(super) struct Place {
    root: TempDir,
    keys: Arc<KeyRing>,
    database: Option<DatabaseSettings>,
}

impl Place {
    /// A place in each of what calls may lie in: a folder, and a database where tests have one.
    pub(super) fn each() -> Vec<Place> {
        let in_database = database().map(|database| Place { database: Some(database), ..Place::new() });
        std::iter::once(Place::new()).chain(in_database).collect()
    }

    pub(super) fn new() -> Self {
        let root = tempfile::tempdir().expect("a folder");
        let master = MasterKey::make(&root.path().join("master.key")).expect("a key");
        let keys = Arc::new(KeyRing::open(&root.path().join("keys.json"), &master).expect("keys"));
        Self { root, keys, database: None }
    }

    pub(super) fn folder(&self) -> PathBuf {
        self.root.path().join("calls")
    }

    /// Opens it. Programs that other tests start hold what is open here for a moment, its lock too, until they are themselves.
    pub(super) fn open(&self) -> Embedded {
        let until = Instant::now() + LOCK_WAIT;
        loop {
            match self.try_open() {
                Err(why) if why.contains("could not acquire lock") && Instant::now() < until => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                opened => return opened.expect("it opens"),
            }
        }
    }

    pub(super) fn try_open(&self) -> Result<Embedded, String> {
        Embedded::open(&self.folder(), self.database.as_ref(), &self.keys)
    }

    /// The next opening, once `before` is closed.
    pub(super) fn open_again(&self, before: Embedded) -> Embedded {
        drop(before);
        self.open()
    }
}

/// Every kind of notice once, of one call, a tenth of a second apart.
pub(in super::super) fn samples() -> Vec<Kept> {
    let at = |(step, notice)| Kept { unix_ms: BEGAN + step as u64 * 100, notice };
    one_of_each().into_iter().enumerate().map(at).collect()
}

/// A call that began and ended.
pub(in super::super) fn call(number: u64, unix_ms: u64) -> Vec<Kept> {
    let samples = one_of_each();
    let ends = [samples.first(), samples.last()].map(|notice| notice.expect("there are some").clone());
    let named = |notice| Kept { unix_ms, notice: Notice { call: format!("call {number}"), ..notice } };
    ends.map(named).into()
}

/// What a system outside is to be told of a call.
pub(crate) fn parcel(id: u64, call: &str) -> Parcel {
    Parcel {
        id,
        crm: "tickets".to_owned(),
        to: None,
        call: call.to_owned(),
        began_unix_ms: None,
        event: "alert".to_owned(),
        key: id.to_string(),
        body: "{}".to_owned(),
        unix_ms: 1,
        attempts: 0,
        state: ParcelState::Waiting(2),
        error: None,
    }
}

fn json(value: &impl Serialize) -> serde_json::Value {
    serde_json::to_value(value).expect("strings and numbers")
}

pub(in super::super) fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn accounts_are_kept_sealed_changed_and_removed() {
    for place in Place::each() {
        let mut account = Account {
            role: Role::Agent,
            serves: Some("1001".to_owned()),
            tenant: None,
            disabled: false,
            password_hash: "$argon2id$hash".to_owned(),
            totp: None,
        };
        place.open().keep_account("li", Some(&account)).expect("written");
        account.disabled = true;
        place.open().keep_account("li", Some(&account)).expect("written over");
        place.open().keep_account("wang", Some(&account)).expect("written");
        place.open().keep_account("wang", None).expect("removed");
        assert_eq!(place.open().accounts().expect("readable"), [("li".to_owned(), account)].into());
    }
}
