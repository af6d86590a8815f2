//! Phrases are found as people say them, duties have their moments, and what is wrong in a file is named.

use proptest::prelude::*;

use super::*;

const SHIPPED: &str = include_str!("../../config/compliance/phrases.toml");

const RULES: &str = r#"
scenarios = ["*"]
[[never_say]]
id = "away"
text = "Sent away"
phrases = ["不归我管", "not my job"]
[[never_say]]
id = "returns"
text = "Returns promised"
scenarios = ["money"]
phrases = ["保证收益", "no risk"]
unless = ["不保证收益", "not no risk"]
[[must_say]]
id = "greeting"
text = "Not greeted"
phrases = ["您好", "hello"]
opening_s = 20
targets = ["human"]
[[must_say]]
id = "risk"
text = "Risk not told"
phrases = ["有风险"]
after = ["基金", "fund"]
within_s = 60
[[must_say]]
id = "else"
text = "Not asked for anything else"
phrases = ["还有什么"]
before_end = true
"#;

fn phrases() -> Phrases {
    Phrases::of(&[("rules.toml".into(), RULES.to_owned())]).expect("they are right")
}

#[test]
fn phrases_are_found_as_they_are_said() {
    let phrases = phrases();
    let said = |text: &str| {
        let found = phrases.find(text);
        let names = |at: BTreeSet<usize>| at.into_iter().map(|at| phrases.rules()[at].id.clone()).collect::<Vec<_>>();
        [names(found.said).join(" "), names(found.occasions).join(" ")]
    };
    for (text, expected, occasions) in [
        ("这不归我管，你找别人", "away", ""),
        ("這不歸我管", "away", ""),
        ("Sorry, that's NOT MY JOB!", "away", ""),
        ("not my jobs", "", ""),
        ("我们保证收益", "returns", ""),
        ("我们不保证收益", "", ""),
        ("我们不保证收益，但是他们保证收益", "returns", ""),
        ("Ｈｅｌｌｏ", "greeting", ""),
        ("这只基金有风险", "risk", "risk"),
        ("A refund", "", ""),
        ("The fund", "", "risk"),
        ("", "", ""),
    ] {
        assert_eq!(said(text), [expected, occasions], "{text}");
    }
}

#[test]
fn duties_have_their_moments() {
    // Seconds, who (`+`: understood in full, `~`: phrases alone, `?`: the customer, `!`: nobody is heard), what; then what is
    // broken and when.
    for (story, end_s, expected) in [
        ("", 60, ""),
        ("5+好的", 60, "23 greeting, 60 else"),
        ("5+您好", 20, ""),
        ("22+您好", 40, "40 else"),
        // Only phrases are listened for: what is not heard may have been said.
        ("5~好的", 60, ""),
        // What was due before anything was understood is looked at then.
        ("40+好的", 60, "40 greeting, 60 else"),
        ("40+您好", 60, "40 greeting, 60 else"),
        ("5+您好 10+这不归我管 12+这不归我管", 25, "10 away, 12 away"),
        ("5+您好 10?那个基金呢 20+有风险", 29, ""),
        ("5+您好 10+基金 30?基金", 100, "73 risk, 100 else"),
        ("5+您好 6+有风险 10?基金", 200, "200 else"),
        ("5+您好 10?基金", 40, "40 else"),
        ("5+您好 50+请问还有什么", 60, ""),
        // What nobody has listened to may have been said, whatever is understood later.
        ("5+好的 10!", 60, ""),
        ("5+好的 10! 30+好的", 60, ""),
        ("30+好的 40!", 60, "30 greeting"),
        ("5+您好 6?基金 10! 30+好的", 100, ""),
        // What is asked for by what comes later is asked for.
        ("5+您好 10! 30?基金 35+好的", 100, "93 risk"),
        ("5+好的 10! 30+这不归我管", 60, "30 away"),
    ] {
        assert_eq!(played(("shop", "human"), story, end_s), expected, "{story}");
    }
    assert_eq!(played(("shop", "bot"), "5+保证收益", 60), "60 else", "a rule for another target and another scenario");
    assert_eq!(played(("money", "bot"), "5+保证收益", 10), "5 returns");
}

#[test]
fn what_is_told_of_one_conversation_has_an_end() {
    let phrases = phrases();
    let mut duties = Duties::begin(Duration::ZERO, &phrases, ("shop", "bot"), true);
    let told: usize = (0..1_000).map(|_| duties.served(Duration::ZERO, &phrases, "不归我管", true).len()).sum();
    assert_eq!(told, 100);
}

#[test]
fn the_sample_is_right_and_finds_what_it_names() {
    let phrases = Phrases::of(&[("phrases.toml".into(), SHIPPED.to_owned())]).expect("it is right");
    for rule in phrases.rules() {
        for phrase in &rule.phrases {
            let found = phrases.find(phrase);
            let own = |at: &usize| phrases.rules()[*at].id == rule.id;
            let excused = rule.unless.iter().any(|excuse| phrase.contains(excuse));
            assert!(found.said.iter().any(own) || excused, "{phrase}");
        }
        for excuse in &rule.unless {
            let found = phrases.find(excuse);
            assert!(!found.said.iter().any(|at| phrases.rules()[*at].id == rule.id), "{excuse}");
        }
    }
}

#[test]
fn faults_are_named() {
    let rule = |more: &str| format!("scenarios = [\"*\"]\n{more}");
    for (text, expected) in [
        (rule(""), "never_say: found nothing"),
        (rule("[[never_say]]\nid = \"a\""), "never_say[1].text: found nothing"),
        (rule("[[never_say]]\nid = \"a\"\ntext = \"t\"\nphrases = [\" a\"]"), "never_say[1].phrases"),
        (rule("[[never_say]]\nid = \"a\"\ntext = \"t\"\nphrases = [\"a\"]\nopening_s = 3"), "never_say[1].opening_s"),
        (rule("[[must_say]]\nid = \"a\"\ntext = \"t\"\nphrases = [\"a\"]"), "must_say[1]: found no moment"),
        (
            rule("[[must_say]]\nid = \"a\"\ntext = \"t\"\nphrases = [\"a\"]\nopening_s = 3\nbefore_end = true"),
            "must_say[1]: found several moments",
        ),
        (rule("[[must_say]]\nid = \"a\"\ntext = \"t\"\nphrases = [\"a\"]\nafter = [\"b\"]"), "must_say[1].within_s"),
        (rule("[[must_say]]\nid = \"a\"\ntext = \"t\"\nphrases = [\"a\"]\nopening_s = 3\ntalked_s = 9"), "before_end"),
        ("never_say = 3".to_owned(), "never_say: found 3"),
    ] {
        let faults = parse(&text).expect_err(&text);
        let told = faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        assert!(told.contains(expected), "{told}");
    }
}

proptest! {
    #[test]
    fn no_text_breaks_the_search(text in "\\PC*") {
        let phrases = phrases();
        let found = phrases.find(&text);
        prop_assert!(found.said.iter().chain(&found.occasions).all(|at| *at < phrases.rules().len()));
    }

    #[test]
    fn no_file_breaks_the_reader(text in "\\PC*") {
        let _ = parse(&text);
    }
}

/// What is broken in a conversation that begins at 0 and ends at `end_s`, ticking whenever it asks for that.
fn played(serving: (&str, &str), story: &str, end_s: u64) -> String {
    let phrases = phrases();
    let mut duties = Duties::begin(Duration::ZERO, &phrases, serving, false);
    let mut told = Vec::new();
    let note = |at: Duration, broken: Vec<usize>, told: &mut Vec<String>| {
        told.extend(broken.iter().map(|rule| format!("{} {}", at.as_secs(), phrases.rules()[*rule].id)));
    };
    for line in story.split_whitespace() {
        let mark = line.find(['+', '~', '?', '!']).expect("who");
        let now = Duration::from_secs(line[..mark].parse().expect("when"));
        pass(&mut duties, now, |at, broken| note(at, broken, &mut told));
        let text = &line[mark + 1..];
        match &line[mark..=mark] {
            "?" => duties.asked(now, &phrases, text),
            "!" => duties.unheard(&phrases),
            who => {
                let mut broken = duties.served(now, &phrases, text, who == "+");
                broken.extend(duties.overdue(now));
                note(now, broken, &mut told);
            }
        }
    }
    let end = Duration::from_secs(end_s);
    pass(&mut duties, end, |at, broken| note(at, broken, &mut told));
    note(end, duties.end(end, &phrases), &mut told);
    told.join(", ")
}

fn pass(duties: &mut Duties, until: Duration, mut told: impl FnMut(Duration, Vec<usize>)) {
    let mut now = Duration::ZERO;
    while let Some(due) = duties.deadline().filter(|due| *due < until) {
        now = now.max(due);
        told(now, duties.overdue(now));
    }
}
