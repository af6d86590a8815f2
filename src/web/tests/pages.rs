//! Lists of calls from page to page.

use super::*;
use crate::notice::Notice;

const BEGAN: u64 = 1_700_000_000_000;
/// In the order of their ends: a call, the minutes in which it begins and ends, and whether the board has it still.
const CALLS: [(&str, u64, Option<u64>, bool); 7] = [
    ("kept", 3, Some(4), false),
    ("gone", 5, Some(6), false),
    ("one of two", 8, Some(9), true),
    ("the other", 8, Some(10), true),
    ("short", 7, Some(12), true),
    ("long", 0, Some(30), true),
    ("up", 2, None, true),
];

#[tokio::test]
async fn pages_show_each_call_once_and_the_newest_first() {
    let root = tempfile::tempdir().expect("a folder");
    let store = audit::store(root.path());
    let (alone, with_store) = (fixture().await, fixture_with(Some(store.clone())).await);
    let samples = one_of_each();
    let (begin, end) = (&samples[0], samples.last().expect("there are some"));
    for (call, began, ended, is_on_board) in CALLS {
        for (notice, minute) in [(begin, Some(began)), (end, ended)] {
            let Some(minute) = minute else { continue };
            let (notice, at) = (Notice { call: call.to_owned(), ..notice.clone() }, Moment(BEGAN + minute * 60_000));
            store.keep(&notice, at);
            if is_on_board {
                alone.bus.publish_at(&notice, at);
                with_store.bus.publish_at(&notice, at);
            }
        }
    }
    // Once it has done what it was told before.
    store.erase("13900000000".to_owned()).await.expect("written").expect("nobody is held");

    let on_board = ["the other", "one of two", "short", "up", "long"];
    let all = ["the other", "one of two", "short", "gone", "kept", "up", "long"];
    for limit in [1, 2, 3, 4, 5, 10] {
        for state in ["", "state=ended&"] {
            let wanted = |calls: &[&'static str]| -> Vec<&'static str> {
                calls.iter().copied().filter(|call| state.is_empty() || *call != "up").collect()
            };
            assert_eq!(pages(&alone, state, limit).await, wanted(&on_board), "{state}{limit}");
            assert_eq!(pages(&with_store, state, limit).await, wanted(&all), "{state}{limit}, with what is kept");
        }
    }
    store.stop();
}

/// The ids on all pages of a list.
async fn pages(fixture: &Fixture, state: &str, limit: usize) -> Vec<String> {
    let wire = Wire(fixture.handle.addr);
    let (mut read, mut before) = (Vec::new(), String::new());
    for _ in 0..=CALLS.len() {
        let page = wire.ask_with_token("GET", &format!("/v1/calls?{state}limit={limit}{before}")).await.json();
        let calls = page["calls"].as_array().expect("a list");
        read.extend(calls.iter().map(|call| call["id"].as_str().expect("a name").to_owned()));
        let Some(next) = page["next"].as_str() else { return read };
        before = format!("&before={next}");
    }
    panic!("it goes on for ever: {read:?}");
}
