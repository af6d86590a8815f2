//! Scenarios of two parties that talk: who interrupts, what is said, what is told when they part, who may be remembered.

use std::sync::Arc;

use media::LegId;
use nlu::recognition::{Transcript, Word};

use super::bypass::LED;
use super::keys::{HELPED, OVER};
use super::script::{check, check_with, transcript};
use super::sim::settings;
use crate::compliance::Phrases;
use crate::control::ControlSettings;

#[test]
fn interruptions_are_told_once_and_the_conversation_at_the_end() {
    check(&format!(
        "{HELPED}
        > bot interrupted caller 1 and 0
        interrupted by callee, 1
        > bot interrupted caller 1 and 0
        > caller interrupted bot 1 and 1
        interrupted by caller, 1
        > bot interrupted caller 3 and 1
        interrupted by callee, 3
        {OVER}
        conversation with bot: 1000 and 3000 ms
        ended: BYE received; talk 0 peak low lost 6"
    ));
}

#[test]
fn who_no_longer_talks_to_the_caller_interrupts_nobody() {
    check(&format!(
        "{HELPED}
        {OVER}
        ended: BYE received; talk 0 peak low lost 6
        > bot interrupted caller 1 and 0"
    ));
}

#[test]
fn what_the_caller_has_said_is_told_and_decided_on() {
    check(&format!(
        "{HELPED}
        > caller saying complaint
        being said by caller complaint
        > caller echoes complaint
        echoed by caller complaint
        > caller said complaint
        said by caller complaint
        decided complains service@1
        alert warning
        > bot said complaint
        said by callee complaint
        > caller said refund
        said by caller refund
        {OVER}
        ended: BYE received; talk 0 peak low lost 6
        > caller said complaint"
    ));
}

#[test]
fn what_whoever_serves_must_not_say_is_told_and_decided_on() {
    let text =
        "scenarios = [\"service\"]\n[[never_say]]\nid = \"grumble\"\ntext = \"Grumbled\"\nphrases = [\"a complaint\"]
        [[must_say]]\nid = \"greeting\"\ntext = \"Not greeted\"\nphrases = [\"hello\"]\nopening_s = 5";
    let compliance = Phrases::of(&[("own.toml".into(), text.to_owned())]).expect("they are right");
    let scenario = format!(
        "{HELPED}
        > caller said refund
        said by caller refund
        > bot saying complaint
        being said by callee complaint
        > bot said complaint
        said by callee complaint
        never_say grumble of bot
        decided sent-away service@1
        alert critical
        {OVER}
        ended: BYE received; talk 0 peak low lost 6"
    );
    // Of one who is listened to for phrases alone it is not known whether anybody was greeted.
    check_with(ControlSettings { compliance: Arc::new(compliance), ..settings() }, &scenario);
}

#[test]
fn a_caller_who_may_be_remembered_is_named_before_the_first_word_is_heard() {
    let settings = ControlSettings { remember_speakers: true, ..settings() };
    let helped = HELPED.replace("    tap caller on", "    know caller as sip:li@pbx\n    tap caller on");
    check_with(
        settings,
        &format!(
            "{helped}{OVER}
        ended: BYE received; talk 0 peak low lost 6"
        ),
    );
}

#[test]
fn nobody_is_blamed_for_what_nobody_has_listened_to() {
    let compliance = Arc::new(
        Phrases::of(&[("duties.toml".into(), include_str!("duties.toml").to_owned())]).expect("they are right"),
    );
    let settings = ControlSettings { compliance, ..settings() };
    let begun = format!("{HELPED}\n> bot dictates 好的\nsaid by callee");
    check_with(
        settings.clone(),
        &format!(
            "{begun}
            > wait 60
            must_say greeting of bot
            > caller byes
            must_say else of bot
            decided not-asked service@1
            alert info
            close caller
            bye bot
            close bot
            ended: BYE received; talk 60000 peak low lost 6"
        ),
    );
    check_with(
        settings,
        &format!(
            "{begun}
            > order bypass{LED}
            bypassed by operator after 0
            > wait 60
            {OVER}
            ended: BYE received; talk 60000 peak low lost 6"
        ),
    );
}

/// All that was said, in one word.
pub(super) fn dictated(leg: LegId, text: &str) -> Transcript {
    let word = Word { text: text.to_owned(), start: 8_000, end: 16_000, confidence: 0.9 };
    Transcript { words: vec![word], phrases: Vec::new(), text: Some(text.to_owned()), ..transcript(leg, text, true) }
}
