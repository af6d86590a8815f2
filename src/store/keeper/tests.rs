//! What is kept when there is too much of it, and when a database breaks off.

use std::path::Path;

use super::*;
use crate::notice_samples::one_of_each;
use crate::store::embedded::tests::{BEGAN, call};
use crate::store::trees::tests::{break_once_at, database};

#[test]
fn what_a_database_has_taken_before_it_breaks_off_is_not_kept_twice() {
    let Some(database) = database() else { return };
    let root = tempfile::tempdir().expect("a folder");
    let mut writer = writer(root.path(), Some(database));
    writer.open();
    let (one, other) = (call(1, BEGAN), call(2, BEGAN + 1));
    writer.write(&[one[0].clone(), other[0].clone()]);
    let told =
        Kept { notice: Notice { what: What::ForkPaused { on: true }, ..one[0].notice.clone() }, ..one[0].clone() };
    break_once_at("facts");
    writer.write(&[told, other[1].clone(), call(3, BEGAN + 2)[0].clone()]);
    let embedded = writer.embedded.load_full().expect("it is open again");
    let events = |id: &str| embedded.call(id).expect("readable").expect("it is kept").events.len();
    assert_eq!(["call 1", "call 2", "call 3"].map(events), [2, 2, 1]);
    assert_eq!(embedded.calls(Moment(u64::MAX), 10).expect("readable").len(), 1, "one has ended");
}

#[test]
fn a_refusal_that_finds_no_room_is_carried_out_when_the_call_ends() {
    let (root, (sender, jobs)) = (tempfile::tempdir().expect("a folder"), sync_channel(4));
    let mut writer = writer(root.path(), None);
    writer.open();
    let keeper = keeper(&writer, sender);
    let of_kind = |is: fn(&What) -> bool| one_of_each().into_iter().find(|notice| is(&notice.what)).expect("one");
    let said = of_kind(|what| matches!(what, What::Said { is_final: true, .. })).what;
    let kept = call(1, BEGAN);
    let told = |what: &What| Kept { notice: Notice { what: what.clone(), ..kept[0].notice.clone() }, unix_ms: BEGAN };
    let refused = told(&What::Consent { state: "refused".to_owned(), by: "key".to_owned() }).notice;
    writer.write(&[kept[0].clone(), told(&said)]);

    keeper.waiting.store(NOTICES_MAX - ENDS_ROOM, Ordering::Relaxed);
    keeper.keep(Notice { call: "call 2".to_owned(), ..refused.clone() }, Moment(BEGAN));
    assert!(jobs.try_recv().is_ok(), "there is room left for it");
    keeper.waiting.store(NOTICES_MAX, Ordering::Relaxed);
    keeper.keep(refused, Moment(BEGAN));
    assert!(jobs.try_recv().is_err(), "and none any more");
    // What waits was told before it.
    writer.write(&[told(&said)]);
    writer.write(&kept[1..]);
    let record = writer.embedded.load_full().expect("open").call("call 1").expect("readable").expect("it is kept");
    assert_eq!((record.phrases.len(), record.ended.is_some()), (0, true));
    assert!(keeper.refused.calls().is_empty());
}

#[test]
fn a_store_that_cannot_be_read_is_told_of_until_it_is_too_old() {
    let root = tempfile::tempdir().expect("a folder");
    let folder = root.path().join("calls");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("keys"), "these are no keys of ours").expect("written");
    let mut writer = writer(root.path(), None);
    writer.open();
    assert!(writer.embedded.load().is_some(), "others begin anew");
    writer.sweep();
    let keeper = keeper(&writer, sync_channel(1).0);
    assert_eq!(keeper.set_aside(), 1);
    writer.keep.calls = Duration::ZERO;
    std::thread::sleep(Duration::from_millis(2));
    writer.swept = None;
    writer.sweep();
    assert_eq!(keeper.set_aside(), 0);
    assert_eq!(
        std::fs::read_dir(root.path())
            .expect("a folder")
            .filter(|entry| {
                entry.as_ref().is_ok_and(|entry| entry.file_name().to_string_lossy().contains("broken"))
            })
            .count(),
        0
    );
}

fn keeper(writer: &Writer, sender: SyncSender<Job>) -> Keeper {
    Keeper {
        sender,
        waiting: Arc::clone(&writer.waiting),
        refused: writer.refused.clone(),
        aside: Arc::clone(&writer.aside),
        embedded: Arc::clone(&writer.embedded),
        metrics: writer.metrics.clone(),
        thread: Arc::default(),
        door: None,
    }
}

/// One that is driven by hand.
fn writer(root: &Path, database: Option<DatabaseSettings>) -> Writer {
    let master = MasterKey::make(&root.join("master.key")).expect("a key");
    let settings = StoreSettings::within(root, Duration::MAX);
    Writer {
        folder: root.join("calls"),
        database,
        door: None,
        keys: Arc::new(KeyRing::open(&root.join("keys.json"), &master).expect("keys")),
        keep: settings.keep,
        audio: settings.audio,
        waiting: Arc::default(),
        refused: Refused::default(),
        aside: Arc::default(),
        embedded: Arc::default(),
        running: Running::default(),
        trail: None,
        metrics: Metrics::new(),
        opened: Instant::now(),
        swept: None,
    }
}
