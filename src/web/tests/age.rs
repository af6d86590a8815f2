//! What is shown of calls that are as old as some of what is kept of them may become.

use super::*;
use crate::notice::Notice;
use crate::settings::{KeepSettings, StoreSettings};
use crate::store::Store;

const DAY: Duration = Duration::from_secs(86_400);

#[tokio::test]
async fn a_call_is_shown_without_its_words_once_they_are_kept_no_longer() {
    let root = tempfile::tempdir().expect("a folder");
    let keep = KeepSettings { words: DAY, ..StoreSettings::within(root.path(), 30 * DAY).keep };
    let settings = StoreSettings { keep, ..StoreSettings::within(root.path(), 30 * DAY) };
    let open = || Store::start(&settings, &Metrics::new()).expect("a store");
    let store = open();
    let now = Moment::now();
    let before = Moment(now.0 - 2 * DAY.as_millis() as u64);
    let bus = Bus::new();
    for notice in one_of_each() {
        bus.publish_at(&notice, before);
        store.keep(&notice, before);
    }
    let fresh = ["call_started", "call_ended"].map(|wanted| {
        let notice = one_of_each().into_iter().find(|notice| kind(&notice.what) == wanted);
        Notice { call: "call-2".to_owned(), ..notice.expect("a sample") }
    });
    for notice in &fresh {
        bus.publish_at(notice, now);
    }
    store.stop();
    // What is too old is looked for behind the first of what it does, which is done when the second is.
    let store = open();
    for _ in 0..2 {
        store.note_minute(true).await.expect("written");
    }

    let options = options(SocketAddr::from(([127, 0, 0, 1], 0)));
    let fixture = try_fixture_of(bus, options, Some(store.clone())).await.expect("loopback can be bound");
    let wire = Wire(fixture.handle.addr);
    let shown = async || wire.ask_with_token("GET", "/v1/calls/call-1").await.json();
    assert!(shown().await["phrases"].is_array());
    fixture.bus.forget_before(store.whole_since(now));
    let call = shown().await;
    assert_eq!((&call["id"], &call["phrases"]), (&"call-1".into(), &Value::Null), "{call}");
    let gone = one_of_each().len() as u64 - 1;
    let mut watch = fixture.bus.subscribe(Some(1));
    assert_eq!(watch.next().await, Some(Delivery::Lagged { missed: Some(gone) }), "nobody comes back to what was told");
    let list = wire.ask_with_token("GET", "/v1/calls").await.json();
    let ids: Vec<_> = list["calls"].as_array().expect("a list").iter().map(|call| call["id"].clone()).collect();
    assert_eq!(ids, ["call-2", "call-1"], "{list}");
    store.stop();
}
