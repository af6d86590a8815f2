//! Scenarios of two parties that take turns: who interrupts, and what is told when they part.

use super::keys::{HELPED, OVER};
use super::script::check;

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
        "
    ));
}

#[test]
fn who_no_longer_talks_to_the_caller_interrupts_nobody() {
    check(&format!(
        "{HELPED}
        {OVER}
        > bot interrupted caller 1 and 0
        "
    ));
}
