//! Sums of money, masked only where that is asked for: `一百二十块`, `¥1,299.00`, "twenty five dollars".

use super::class::Class;
use super::scene::{Find, Scene};
use crate::numbers::value::numeral;

pub(super) fn find(scene: &Scene<'_>, out: &mut Vec<Find>) {
    let mut from = 0;
    for run in &scene.runs {
        // A numeral begins at a digit, or at 十 before the first one.
        let start = run.tokens.start;
        let before = start.checked_sub(1).filter(|&at| scene.han(at) == Some('十'));
        let start = before.unwrap_or(start);
        if start < from {
            continue;
        }
        let end =
            numeral(&scene.tokens, start).map_or(run.tokens.end, |numeral| numeral.tokens.end.max(run.tokens.end));
        let sign = scene.back_over_spaces(start).checked_sub(1);
        let sign = sign.filter(|&at| scene.mark(at).is_some_and(|mark| scene.lists.money.contains(&mark.to_string())));
        let unit_at = scene.skip_spaces(end);
        let unit = (1..=3)
            .rev()
            .filter(|length| unit_at + length <= scene.tokens.len())
            .find(|length| scene.lists.money.contains(&scene.plain(unit_at..unit_at + length)));
        if sign.is_some() || unit.is_some() {
            let tokens = sign.unwrap_or(start)..unit.map_or(end, |length| unit_at + length);
            from = tokens.end;
            out.push(Find { tokens, class: Class::Amount });
        }
    }
}
