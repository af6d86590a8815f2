//! Reports add up, and read as they should.

use proptest::prelude::*;

use super::*;
use crate::notice::{CALLER_REPLACED, HANDED_OVER, Notice, What};
use crate::notice_samples::one_of_each;
use crate::web::Board;

#[test]
fn facts_of_a_call() {
    let mut board = Board::default();
    for (step, notice) in one_of_each().iter().enumerate() {
        board.apply(notice, 1_000_000 + step as u64 * 100);
    }
    let facts = CallFacts::from(board.call("call-1").expect("it ended a moment ago"));
    assert_eq!(
        (facts.route.as_str(), facts.level.as_str(), facts.setup_ms),
        ("after-sales", "high", None),
        "nobody was called"
    );
    assert_eq!(facts.groups, ["wording: treatment".to_owned()].into());
    assert!(facts.answered && facts.acted && facts.moved && !facts.move_failed && facts.supervised, "{facts:?}");
    assert_eq!((facts.alerts, facts.rules.len()), (1, 1), "{facts:?}");
    assert_eq!((facts.complaint, facts.satisfied, facts.repurchased), (Some(true), Some(2), Some(false)));
    assert_eq!((facts.resolved, facts.channel.as_deref()), (None, Some("app")));
    assert_eq!(facts.anger_tenth, Some(8));
    let text = serde_json::to_string(&facts).expect("strings and numbers");
    assert!(!text.contains("13800138000") && serde_json::from_str::<CallFacts>(&text).expect("facts") == facts);
}

#[test]
fn what_the_text_model_finds_that_a_caller_wants_is_counted_as_said() {
    let mut board = Board::default();
    for notice in one_of_each().iter().filter(|notice| !matches!(notice.what, What::Said { .. })) {
        board.apply(notice, 1_000_000);
    }
    let record = board.call("call-1").expect("it ended a moment ago");
    assert!(record.phrases.is_empty());
    assert_eq!(CallFacts::from(record).said, ["complaint".to_owned()].into());
}

#[test]
fn a_call_that_nobody_listened_to_has_no_anger() {
    let mut board = Board::default();
    for notice in one_of_each() {
        if matches!(notice.what, What::CallStarted { .. } | What::CallAnswered { .. } | What::CallEnded { .. }) {
            board.apply(&notice, 1_000_000);
        }
    }
    let record = board.call("call-1").expect("it ended a moment ago");
    assert!(record.peak.is_some(), "the end tells one");
    assert_eq!(CallFacts::from(record).anger_tenth, None);
    assert_eq!(CallFacts::from(record).setup_ms, Some(120));
}

#[test]
fn what_older_versions_kept_of_a_call_is_read() {
    let group = |group: &str| {
        let kept = serde_json::to_string(&CallFacts::default()).expect("strings and numbers");
        let kept = kept.replace("\"groups\":[],", group);
        serde_json::from_str::<CallFacts>(&kept).expect("facts").groups
    };
    assert_eq!(group("\"group\":\"wording: control\","), ["wording: control".to_owned()].into());
    assert!(group("\"group\":null,").is_empty() && group("").is_empty());
}

#[test]
fn who_is_handed_over_or_is_another_caller_has_not_been_moved() {
    let reroute = |via: &str, target: &str| What::Rerouted {
        via: via.to_owned(),
        target: target.to_owned(),
        answer_ms: 0,
        gap_ms: None,
    };
    let failed =
        What::RerouteFailed { via: HANDED_OVER.to_owned(), target: "bot".to_owned(), reason: "501".to_owned() };
    let handed_over = reroute(HANDED_OVER, "bot");
    let facts = facts_of([high(), reroute(CALLER_REPLACED, "caller"), failed, handed_over]);
    assert_eq!(facts.target.as_deref(), Some("bot"), "a caller is no agent");
    assert!(!facts.moved && !facts.move_failed && !facts.acted && facts.reaction_ms.is_none(), "{facts:?}");
    let facts = facts_of([high(), reroute("replaces", "human")]);
    assert!(facts.moved && facts.acted && facts.target.as_deref() == Some("human"), "{facts:?}");
}

#[test]
fn a_call_is_known_from_its_beginning_however_long_it_is() {
    let calm = || {
        let mut calm = sample(|what| matches!(what, What::Observed { .. }));
        if let What::Observed { party, level, emotion, words, .. } = &mut calm {
            (*party, *level) = ("caller".to_owned(), "low".to_owned());
            (*emotion, *words) = ("neutral".to_owned(), None);
        }
        calm
    };
    let known = What::FactsTold { known: vec!["order.state".to_owned()], forgotten: Vec::new(), by: None };
    let warned = What::EscalationLikely { score: 0.9, evidence: Vec::new() };
    let called = sample(|what| matches!(what, What::SupervisorCalled { .. }));
    let joined = sample(|what| matches!(what, What::SupervisorJoined { .. }));
    let said = sample(|what| matches!(what, What::Said { is_final: true, crosstalk: false, .. }));
    let events = (0..600).map(|times| What::Interrupted { party: "caller".to_owned(), times });
    let begun = [known, said, warned, high(), called, joined];
    let short = facts_of(begun.clone());
    assert!(short.informed && short.warned && short.worded && !short.said.is_empty(), "{short:?}");
    assert!(short.acted && short.supervised && short.until_high_ms.is_some() && short.lead_ms.is_some(), "{short:?}");
    let long = facts_of(begun.into_iter().chain((0..1_300).map(|_| calm())).chain(events));
    let calmed = CallFacts { calmed: true, emotion: Some("neutral".to_owned()), ..short };
    assert_eq!(long, calmed);
}

/// A step with high anger.
fn high() -> What {
    sample(|what| matches!(what, What::Observed { party, level, .. } if party == "caller" && level == "high"))
}

/// What is told of one of these.
fn sample(wanted: impl Fn(&What) -> bool) -> What {
    one_of_each().into_iter().map(|notice| notice.what).find(|what| wanted(what)).expect("one of each")
}

/// The facts of a call by phone in which that was told, one after the other.
fn facts_of(told: impl IntoIterator<Item = What>) -> CallFacts {
    let mut board = Board::default();
    let begun = [
        sample(|what| matches!(what, What::CallStarted { .. })),
        sample(|what| matches!(what, What::CallAnswered { .. })),
    ];
    let ended = sample(|what| matches!(what, What::CallEnded { .. }));
    for (call_ms, what) in (0..).zip(begun.into_iter().chain(told).chain([ended])) {
        board.apply(&Notice { call: "call-1".to_owned(), call_ms, what }, 1_000_000 + call_ms);
    }
    CallFacts::from(board.call("call-1").expect("it ended a moment ago"))
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
        let page = written(ReportFormat::Html, &report, language);
        assert!(
            words.iter().all(|word| page.contains(word)) && page.contains("<svg") && !page.contains("http://local")
        );
    }
    let table = written(ReportFormat::Csv, &report, Language::En);
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
    let page = written(ReportFormat::Html, &report, Language::En);
    assert!(!page.contains("<script>") && page.contains("&lt;script&gt;"));
    let table = written(ReportFormat::Csv, &report, Language::En);
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

#[test]
fn a_workbook_holds_what_the_table_holds_and_what_people_read() {
    use calamine::{Data, Reader as _, Xlsx};
    let report = month();
    for language in Language::ALL {
        let bytes = ReportFormat::Xlsx.write(&report, language, None).expect("a workbook");
        assert_eq!(ReportFormat::Xlsx.write(&report, language, None).expect("again"), bytes, "the same bytes");
        let mut book = Xlsx::new(std::io::Cursor::new(bytes)).expect("a workbook");
        let names = book.sheet_names();
        assert_eq!(names.len(), 2);
        let read = book.worksheet_range(&names[0]).expect("a sheet");
        let first: Vec<String> = read.rows().map(|row| row[0].to_string()).collect();
        for section in sections::sections(&report, language) {
            assert!(first.iter().any(|cell| cell == section.title), "no {} in {first:?}", section.title);
        }
        let figures = book.worksheet_range(&names[1]).expect("a sheet");
        let line = |row: &[Data]| match row {
            [part, name, figure, Data::Float(value)] => format!("{part},{name},{figure},{value}"),
            other => panic!("{other:?} is no figure"),
        };
        let lines: Vec<String> = figures.rows().skip(1).map(line).collect();
        let table = written(ReportFormat::Csv, &report, language);
        assert_eq!(lines, table.lines().skip(1).collect::<Vec<_>>());
    }
}

/// What people read of a month, in both languages, is as it was. `CALMLINE_GOLDEN=write` takes up what it is now.
#[test]
fn a_month_reads_as_it_did() {
    let report = month();
    for language in Language::ALL {
        let mut text = format!("{}\n{}\n", sections::title(language), sections::span(&report, language));
        for section in sections::sections(&report, language) {
            text += &format!("\n# {}\n", section.title);
            for picture in section.pictures {
                text += &format!("[{}]", picture.caption);
                picture.bars.iter().for_each(|bar| text += &format!(" {} {:?}", bar.name, bar.levels));
                text.push('\n');
            }
            for grid in section.grids {
                let rows =
                    grid.rows.iter().map(|row| row.iter().map(sections::Cell::text).collect::<Vec<_>>().join(" | "));
                let lines = std::iter::once(grid.head.join(" | ")).filter(|head| !head.is_empty()).chain(rows);
                lines.for_each(|line| text += &format!("{line}\n"));
                text.push('\n');
            }
            section.note.iter().for_each(|note| text += &format!("({note})\n"));
        }
        let file = format!("{}/fixtures/reports/month.{}.txt", env!("CARGO_MANIFEST_DIR"), language.name());
        if std::env::var("CALMLINE_GOLDEN").is_ok_and(|what| what == "write") {
            std::fs::write(&file, &text).expect("written");
        }
        assert_eq!(text, std::fs::read_to_string(&file).expect("the golden file"), "{file}");
    }
}

/// A report of a month with a call every twenty minutes.
pub(super) fn month() -> Report {
    let mut month: Option<Report> = None;
    for day in 1..=30_u64 {
        let mut report = Report::of_day(&format!("2026-11-{day:02}"), "Asia/Shanghai");
        for number in 0..72_u64 {
            let level = ["low", "low", "low", "medium", "high"][(number * day % 5) as usize].to_owned();
            let (high, even) = (level == "high", number % 2 == 0);
            let call = CallFacts {
                route: ["after-sales", "finance", "售后"][(number % 3) as usize].to_owned(),
                scenario: "after-sales".to_owned(),
                channel: Some(["phone", "app"][(number % 2) as usize].to_owned()),
                target: Some(["bot", "human"][(number / 7 % 2) as usize].to_owned()),
                groups: [["A", "B"][(day % 2) as usize].to_owned()].into(),
                answered: number % 9 != 0,
                setup_ms: Some(400 + number * 30),
                talk_ms: number * 2_000,
                until_high_ms: high.then_some(20_000 + number * 100),
                acted: high && even,
                reaction_ms: (high && even).then_some(600 + number * 10),
                calmed: number % 4 != 0,
                moved: number % 6 == 0,
                alerts: u64::from(high),
                emotion: Some(if high { "anger" } else { "neutral" }.to_owned()),
                anger_tenth: Some((number * day % 10) as u8),
                warned: number % 5 == 0,
                lead_ms: (high && number % 5 == 0).then_some(9_000),
                worded: even,
                torn: number == 71,
                rules: high.then(|| "angry-to-human".to_owned()).into_iter().collect(),
                said: even.then(|| "refund".to_owned()).into_iter().collect(),
                complaint: even.then_some(high),
                satisfied: even.then_some(1 + (number % 5) as u8),
                level,
                ..CallFacts::default()
            };
            report.add((number / 3) as u8, &call);
        }
        match &mut month {
            Some(month) => month.merge(&report),
            None => month = Some(report),
        }
    }
    month.expect("days")
}

/// A report as text.
fn written(format: ReportFormat, report: &Report, language: Language) -> String {
    String::from_utf8(format.write(report, language, None).expect("it is drawn")).expect("text")
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
