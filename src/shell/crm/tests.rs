//! What the outbox makes of what it is told, beside a store and a receiver that takes nothing.

use std::path::Path;

use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::notice::Outcome as Come;
use crate::notice_samples::one_of_each;
use crate::settings::{Settings, StoreSettings};

/// How long calls are kept.
const KEEP: Duration = Duration::from_secs(3_600);
/// Before what is that old.
const LONG_AGO: Duration = Duration::from_secs(7_200);

#[tokio::test]
async fn what_is_to_be_told_of_calls_that_are_gone_by_their_age_goes_with_them_and_is_not_sealed_anew() {
    let (samples, now) = (one_of_each(), Moment::now());
    let began = Moment(now.0 - LONG_AGO.as_millis() as u64);
    let of = |call: &str, notice: &Notice| Notice { call: call.to_owned(), call_ms: 0, ..notice.clone() };
    // One that has ended, and is removed when the store starts; one as old that is up; of a third nothing was ever kept.
    let ended = [of("gone", &samples[0]), of("gone", samples.last().expect("an end"))];
    let place = Place::start(&ended, began).await;
    place.keep(&of("up", &samples[0]), began).await;
    assert!(place.store.call("gone".to_owned()).await.expect("readable").is_none());
    let late = |call: &str| Notice { call_ms: LONG_AGO.as_millis() as u64, ..of(call, &outcome()) };
    place.outbox.offer(&late("gone"), now);
    place.outbox.offer(&of("gone", &outcome()), began);
    place.outbox.offer(&late("up"), now);
    place.outbox.offer(&of("young", &outcome()), now);
    place.outbox.settle(Duration::from_secs(5)).await;
    let waiting = place.outbox.list(None, None, 10).await.expect("it listens");
    let of_gone: Vec<u64> = waiting.iter().filter(|one| one.call == "gone").map(|one| one.id).collect();
    for id in of_gone {
        assert_eq!(place.outbox.act(Deed::Retry, id).await, Some(false), "{id} is gone");
    }
    let of_up = waiting.iter().find(|one| one.call == "up").expect("it waits").id;
    assert_eq!(place.outbox.act(Deed::Retry, of_up).await, Some(true));
    let left = place.outbox.list(None, None, 10).await.expect("it listens");
    assert_eq!(left.iter().map(|one| one.call.as_str()).collect::<Vec<_>>(), ["up", "young"]);
    let kept = place.store.parcels().await.expect("readable");
    assert_eq!(kept.iter().map(|one| one.call.as_str()).collect::<Vec<_>>(), ["up", "young"]);
    place.store.stop();
}

#[tokio::test]
async fn what_is_told_late_of_a_call_names_it_although_it_is_shown_no_longer() {
    let now = Moment::now();
    let place = Place::start(&one_of_each(), now).await;
    place.outbox.offer(&Notice { call: "call-1".to_owned(), ..outcome() }, now);
    place.outbox.offer(&Notice { call: "call-9".to_owned(), ..outcome() }, now);
    place.outbox.settle(Duration::from_secs(5)).await;
    let bodies: Vec<serde_json::Value> = place.store.parcels().await.expect("readable").iter().map(body).collect();
    let [known, unknown] = bodies.as_slice() else { panic!("{bodies:#?}") };
    let customer = place.store.pseudonym("13800138000").expect("a number");
    for (name, expected) in [
        ("customer", json!(customer)),
        ("route", json!("after-sales")),
        ("scenario", json!("after-sales")),
        ("channel", json!("app")),
        ("satisfied", json!(2)),
    ] {
        assert_eq!(known[name], expected, "{name} of {known}");
    }
    assert_eq!((&unknown["customer"], &unknown["satisfied"]), (&json!(null), &json!(2)), "told all the same");
    place.store.stop();
}

/// An outbox whose one receiver is told what has come of calls, and cannot be reached.
struct Place {
    _root: TempDir,
    store: Store,
    outbox: Outbox,
}

impl Place {
    /// One whose store has kept something at `time` before it was started again.
    async fn start(kept: &[Notice], time: Moment) -> Place {
        let root = tempfile::tempdir().expect("a folder");
        let metrics = Metrics::new();
        let store = || Store::start(&StoreSettings::within(root.path(), KEEP), &metrics).expect("a store");
        let before = store();
        kept.iter().for_each(|notice| before.keep(notice, time));
        before.stop();
        drop(before);
        let store = store();
        // What is too old is removed behind the first thing that is done.
        for _ in 0..2 {
            store.keep_parcels(Vec::new()).await.expect("written");
        }
        let receivers = Receivers::read(&configuration(root.path())).expect("a secret");
        let outbox = Outbox::start(receivers, store.clone(), Arc::new(Bus::new()), metrics).await;
        Place { _root: root, store, outbox }
    }

    /// Until it is written.
    async fn keep(&self, notice: &Notice, time: Moment) {
        self.store.keep(notice, time);
        self.store.keep_parcels(Vec::new()).await.expect("written");
    }
}

fn configuration(root: &Path) -> Settings {
    std::fs::write(root.join("crm-secret"), "a secret that is long enough to sign with").expect("written");
    // Nobody listens there.
    let text = "[store]\n[crm.tickets]\nurl = \"http://127.0.0.1:1/hook\"\nsecret_file = \"crm-secret\"\n\
                events = [\"outcome_told\"]\n";
    Settings::parse(text, &root.join("calmline.toml")).expect("a configuration")
}

fn outcome() -> Notice {
    let come = Come { by: "crm".to_owned(), satisfied: Some(2), ..Come::default() };
    Notice { call: String::new(), call_ms: 0, what: What::OutcomeTold(come) }
}

fn body(parcel: &Parcel) -> serde_json::Value {
    serde_json::from_str(&parcel.body).expect("JSON")
}
