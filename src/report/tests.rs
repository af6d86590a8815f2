//! Reports add up, and read as they should.

use proptest::prelude::*;

use super::*;
use crate::notice_samples::one_of_each;
use crate::web::Board;

#[test]
fn facts_of_a_call() {
    let mut board = Board::default();
    for (step, notice) in one_of_each().iter().enumerate() {
        board.apply(notice, 1_000_000 + step as u64 * 100);
    }
    let facts = CallFacts::from(board.call("call-1").expect("it ended a moment ago"));
    assert_eq!((facts.route.as_str(), facts.level.as_str(), facts.setup_ms), ("after-sales", "high", Some(120)));
    assert!(facts.answered && facts.acted && facts.moved && !facts.move_failed && facts.supervised, "{facts:?}");
    assert_eq!((facts.alerts, facts.rules.len()), (1, 1), "{facts:?}");
    assert_eq!((facts.complaint, facts.satisfied, facts.repurchased), (Some(true), Some(2), Some(false)));
    assert_eq!((facts.resolved, facts.channel.as_deref()), (None, Some("app")));
    let text = serde_json::to_string(&facts).expect("strings and numbers");
    assert!(!text.contains("13800138000") && serde_json::from_str::<CallFacts>(&text).expect("facts") == facts);
}

#[test]
fn figures_of_a_day() {
    let mut report = Report::of_day("2026-11-26", "Asia/Shanghai");
    for (hour, level, acted, calmed, moved) in [
        (9, "high", true, true, true),
        (9, "high", true, false, true),
        (10, "high", false, false, false),
        (10, "low", false, true, false),
    ] {
        let (route, reaction_ms) = ("support".to_owned(), acted.then_some(800));
        let level = level.to_owned();
        let (satisfied, complaint) = (acted.then_some(if calmed { 5 } else { 2 }), acted.then_some(!calmed));
        let told = CallFacts { satisfied, complaint, ..CallFacts::default() };
        report.add(hour, &CallFacts { route, level, acted, calmed, moved, reaction_ms, answered: true, ..told });
    }
    let total = &report.total;
    assert_eq!((total.calls, total.high, total.low, total.acted, total.acted_calmed, total.left), (4, 3, 1, 2, 1, 1));
    assert_eq!((total.automation(), report.by_hour[&9].calls), (Some(0.5), 2));
    let median = total.reaction.at(0.5).expect("two of them");
    assert!((800..=840).contains(&median), "{median}");

    for (language, words) in
        [(Language::En, ["Automation", "50.0 %", "3.50 (2)"]), (Language::Zh, ["自动完成", "50.0 %", "满意度"])]
    {
        let page = page(&report, language).expect("it is drawn");
        assert!(
            words.iter().all(|word| page.contains(word)) && page.contains("<svg") && !page.contains("http://local")
        );
    }
    let table = table(&report);
    for line in [
        "total,2026-11-26,calls,4",
        "hour,9,calls,2",
        "route,support,moved,2",
        "hour,9,complaints,1",
        "hour,9,satisfaction_sum,7",
        "hour,10,satisfaction_known,0",
    ] {
        assert!(table.lines().any(|found| found == line), "no {line} in {table}");
    }
}

#[test]
fn names_cannot_become_anything_else() {
    let name = "<script>\"=1,2";
    let mut report = Report::of_day("2026-11-26", "UTC");
    let call = CallFacts { route: name.to_owned(), rules: ["=cmd".to_owned()].into(), ..CallFacts::default() };
    report.add(0, &call);
    let page = page(&report, Language::En).expect("it is drawn");
    assert!(!page.contains("<script>") && page.contains("&lt;script&gt;"));
    let table = table(&report);
    assert!(table.contains("\"<script>\"\"=1,2\"") && table.contains("rule,'=cmd,calls,1"), "{table}");
}

#[test]
fn too_many_names_are_added_up() {
    let mut report = Report::of_day("2026-11-26", "UTC");
    for number in 0..NAMES_MAX + 7 {
        report.add(0, &CallFacts { route: format!("route {number}"), ..CallFacts::default() });
    }
    assert_eq!((report.by_route.len(), report.by_route[OTHERS].calls), (NAMES_MAX + 1, 7));
}

fn call() -> impl Strategy<Value = (u8, CallFacts)> {
    let level = prop::sample::select(vec!["low", "medium", "high"]);
    let route = prop::sample::select(vec!["a", "b"]);
    let times = prop::option::of(0_u64..600_000);
    let outcomes = (prop::option::of(1_u8..6), any::<[Option<bool>; 3]>());
    (0_u8..24, level, route, any::<[bool; 5]>(), times, outcomes).prop_map(
        |(hour, level, route, so, reaction_ms, told)| {
            let [answered, acted, calmed, moved, supervised] = so;
            let (level, route) = (level.to_owned(), route.to_owned());
            let rules = [route.clone()].into();
            let (satisfied, [complaint, repurchased, resolved]) = told;
            (
                hour,
                CallFacts {
                    route,
                    level,
                    answered,
                    acted,
                    calmed,
                    moved,
                    supervised,
                    reaction_ms,
                    rules,
                    satisfied,
                    complaint,
                    repurchased,
                    resolved,
                    ..CallFacts::default()
                },
            )
        },
    )
}

proptest! {
    /// Days that are added up say the same as all their calls in one.
    #[test]
    fn days_add_up(days in prop::collection::vec(prop::collection::vec(call(), 0..20), 1..5)) {
        let mut whole = Report::of_day("2026-11-01", "UTC");
        let mut sum: Option<Report> = None;
        for (number, calls) in days.iter().enumerate() {
            let mut day = Report::of_day(&format!("2026-11-{:02}", number + 1), "UTC");
            whole.to.clone_from(&day.to);
            for (hour, call) in calls {
                day.add(*hour, call);
                whole.add(*hour, call);
            }
            match &mut sum {
                Some(sum) => sum.merge(&day),
                None => sum = Some(day),
            }
        }
        prop_assert_eq!(sum, Some(whole));
    }

    /// A spread tells any share within 5 %, and a millisecond.
    #[test]
    fn spreads_are_right_within_5_percent(mut times in prop::collection::vec(0_u64..4_000_000, 1..200), share in 0.01_f64..1.0) {
        let mut spread = Spread::default();
        times.iter().for_each(|ms| spread.add(*ms));
        times.sort_unstable();
        let exact = times[((times.len() as f64 * share).ceil() as usize).max(1) - 1] as f64;
        let told = spread.at(share).expect("there are some") as f64;
        prop_assert!(told >= exact - 1.0 && told <= exact * 1.05 + 1.1, "{} for {}", told, exact);
    }
}
