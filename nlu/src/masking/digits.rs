//! Which digits one after another are secret: by themselves, by what announces them, or because they may go on.

use std::ops::Range;

use super::checks;
use super::class::Class;
use super::lists::Cue;
use super::scene::{Find, Scene};
use super::things;
use crate::numbers::run::{Digit, Run, joins};
use crate::numbers::token::Kind;
use crate::numbers::value::numeral;

/// How far behind a word that announces a secret it may stand: Han characters, words and numbers.
const REACH: usize = 16;
/// How far before such a word a code may stand: "1234 is my code".
const REACH_BACK: usize = 5;
/// With so many digits at the end of what was said there may be more to come.
const GROWING_MIN: usize = 3;
/// With so many where a secret was announced.
const GROWING_MIN_ANNOUNCED: usize = 2;
/// How close behind a word that names things digits that may grow belong to the thing.
const REACH_NAMED: usize = 6;
/// More digits than any ordinary number has.
const TOO_MANY: usize = 20;

/// Looks through the runs from left to right; `found` are secrets of other kinds, in order and apart, `asked` is what the other party asked for.
pub(super) fn find(scene: &Scene<'_>, found: &[Find], asked: Option<Cue>) -> Vec<Find> {
    let mut sweep = Sweep { scene, announced: asked.map(|cue| (cue, REACH)), at: 0, out: Vec::new() };
    let mut cues = scene.cues.iter().peekable();
    let known = known(scene, found);
    let mut known = known.iter().peekable();
    for run in &scene.runs {
        while let Some((tokens, cue)) = cues.next_if(|(tokens, _)| tokens.end <= run.tokens.start) {
            sweep.announce_known(&mut known, tokens.start);
            sweep.announce(tokens.end, *cue);
        }
        sweep.announce_known(&mut known, run.tokens.end);
        for part in uncovered(run, found) {
            sweep.walk_to(part.tokens.start);
            sweep.judge(&part);
        }
    }
    sweep.out
}

/// The parts of a run that belong to no other secret.
fn uncovered(run: &Run, found: &[Find]) -> Vec<Run> {
    let first = found.partition_point(|find| find.tokens.end <= run.tokens.start);
    let near = &found[first..];
    let near = &near[..near.partition_point(|find| find.tokens.start < run.tokens.end)];
    if near.is_empty() {
        return vec![run.clone()];
    }
    let is_free = |digit: &Digit| !near.iter().any(|find| find.tokens.contains(&digit.token));
    let mut parts = Vec::new();
    let mut from = 0;
    for part in run.digits.chunk_by(|one, other| is_free(one) == is_free(other)) {
        let digits = from..from + part.len();
        from = digits.end;
        parts.extend(part_of(run, digits).filter(|_| is_free(&part[0])));
    }
    parts
}

/// What was found or masked already, in order, as what it announces: secrets of one kind come together.
fn known(scene: &Scene<'_>, found: &[Find]) -> Vec<(Range<usize>, Class)> {
    let mut known: Vec<(Range<usize>, Class)> =
        found.iter().map(|find| (find.tokens.clone(), find.class)).chain(scene.masks.iter().cloned()).collect();
    known.sort_by_key(|(tokens, _)| tokens.start);
    known
}

/// Where the sweep stands, and what was announced last.
struct Sweep<'a, 'b> {
    scene: &'a Scene<'b>,
    announced: Option<(Cue, usize)>,
    at: usize,
    out: Vec<Find>,
}

impl Sweep<'_, '_> {
    fn announce(&mut self, end: usize, cue: Cue) {
        self.announced = Some((cue, REACH));
        self.at = self.at.max(end);
    }

    /// Lets secrets that end before `before` announce more of their kind.
    fn announce_known<'k>(
        &mut self,
        known: &mut std::iter::Peekable<impl Iterator<Item = &'k (Range<usize>, Class)>>,
        before: usize,
    ) {
        while let Some((tokens, class)) = known.next_if(|(tokens, _)| tokens.end <= before) {
            self.walk_to(tokens.start);
            self.again(*class);
            self.at = self.at.max(tokens.end);
        }
    }

    fn again(&mut self, class: Class) {
        let cue = match class {
            Class::Phone => Cue::Phone,
            Class::IdCard => Cue::IdCard,
            Class::BankCard => Cue::BankCard,
            Class::Code => Cue::Code,
            _ => return,
        };
        self.announced = Some((cue, REACH));
    }

    /// Counts what stands between what was announced and `to`.
    fn walk_to(&mut self, to: usize) {
        if let Some((cue, left)) = self.announced {
            let between = self.scene.tokens.get(self.at..to).unwrap_or_default();
            let passed = between.iter().filter(|token| token.han().is_some() || token.word().is_some()).count();
            self.announced = left.checked_sub(passed).map(|left| (cue, left));
        }
        self.at = self.at.max(to);
    }

    /// Finds what is secret in a run; what is not is looked at group by group.
    fn judge(&mut self, run: &Run) {
        let scene = self.scene;
        let values: Vec<u8> = run.digits.iter().map(|digit| digit.value).collect();
        let whole = 0..values.len();
        if let Some(class) = self.class_of(run, &values) {
            self.push(run, whole, class);
        } else if let Some(part) = aligned(scene, run, &values) {
            // A whole secret with something else around it.
            let (before, after) = (part_of(run, 0..part.start), part_of(run, part.end..values.len()));
            self.judge_parts(before);
            let class = self.kind_alone(run, &values[part.clone()], false).unwrap_or(Class::Number);
            self.push(run, part, class);
            self.judge_parts(after);
        } else if values.len() >= TOO_MANY && self.cue() != Some(Cue::Reference) && !is_counting(run) {
            self.push(run, whole, Class::Number);
        } else if self.is_growing(run) {
            self.push(run, whole, self.cue().and_then(class_of_cue).unwrap_or(Class::Number));
        }
        self.at = self.at.max(run.tokens.end).min(scene.tokens.len());
    }

    fn judge_parts(&mut self, part: Option<Run>) {
        if let Some(run) = part {
            self.judge(&run);
        }
    }

    fn push(&mut self, run: &Run, digits: Range<usize>, class: Class) {
        let start = if digits.start == 0 { run.tokens.start } else { run.digits[digits.start].token };
        let mut tokens = start..run.digits[digits.end - 1].token + 1;
        if class == Class::IdCard {
            tokens.end = self.x_behind(tokens.end).unwrap_or(tokens.end);
        }
        if class == Class::Phone {
            tokens.start = self.plus_before(tokens.start).unwrap_or(tokens.start);
        }
        self.out.push(Find { tokens, class });
        self.again(class);
    }

    fn cue(&self) -> Option<Cue> {
        self.announced.map(|(cue, _)| cue)
    }

    /// What these digits of a run are, if they are secret.
    fn class_of(&self, run: &Run, own: &[u8]) -> Option<Class> {
        if let Some(class) = self.kind_alone(run, own, self.x_behind(run.tokens.end).is_some()) {
            return Some(class);
        }
        if self.is_quantity(run) || own.len() > TOO_MANY {
            return None;
        }
        if self.plus_before(run.tokens.start).is_some() && (8..=15).contains(&own.len()) {
            return Some(Class::Phone);
        }
        match self.cue() {
            Some(Cue::Phone) if own.len() >= 7 && !checks::is_service_line(own) => Some(Class::Phone),
            Some(Cue::IdCard) if own.len() >= 6 => Some(Class::IdCard),
            Some(Cue::BankCard) if own.len() >= 8 => Some(Class::BankCard),
            Some(Cue::Code) if (3..=10).contains(&own.len()) => Some(Class::Code),
            Some(Cue::Reference) => None,
            _ if (3..=10).contains(&own.len()) && self.is_called_code(run) => Some(Class::Code),
            _ if is_north_american_said(self.scene, run, own) => Some(Class::Phone),
            _ => None,
        }
    }

    /// What the digits are whatever announces them.
    fn kind_alone(&self, run: &Run, own: &[u8], ends_in_x: bool) -> Option<Class> {
        let is_reference = self.cue() == Some(Cue::Reference);
        let has_letters = run.tokens.start.checked_sub(1).is_some_and(|before| self.scene.word(before).is_some());
        if is_reference && has_letters {
            return None;
        }
        if checks::is_mobile(own) || checks::is_mobile_abroad(own) {
            return Some(Class::Phone);
        }
        if checks::is_identity(own, ends_in_x) && !(is_reference && own.len() == 15) {
            return Some(Class::IdCard);
        }
        if is_reference || (self.is_quantity(run) && own.len() < 13) {
            return None;
        }
        if checks::is_card(own) {
            return Some(Class::BankCard);
        }
        (checks::is_abroad(own) || (checks::is_landline(own) && !is_date(run))).then_some(Class::Phone)
    }

    /// Whether digits at the end may go on in what is said next.
    fn is_growing(&self, run: &Run) -> bool {
        let is_named = self.announced.is_some_and(|(cue, left)| cue == Cue::Reference && left + REACH_NAMED >= REACH);
        let is_announced = self.cue().and_then(class_of_cue).is_some();
        let is_thing = is_named || self.is_quantity(run) || (is_counting(run) && !is_announced);
        if !self.scene.is_end(run.tokens.end) || is_thing || things::is_last_four(self.scene, run) {
            return false;
        }
        let is_unannounced = matches!(self.cue(), None | Some(Cue::Reference));
        if things::is_clock_after(self.scene, run) || (is_unannounced && things::is_no_beginning(self.scene, run)) {
            return false;
        }
        let sure = run.digits.iter().filter(|digit| digit.sure).count();
        sure >= GROWING_MIN || (is_announced && sure >= GROWING_MIN_ANNOUNCED && !run.has_numeral)
    }

    /// Whether the digits are a sum of money, a numeral, a date or a decimal number.
    fn is_quantity(&self, run: &Run) -> bool {
        let scene = self.scene;
        let before = scene.back_over_spaces(run.tokens.start);
        let sign = before.checked_sub(1).and_then(|at| scene.mark(at));
        let is_money = sign.is_some_and(|sign| "¥$€£".contains(sign));
        let after = scene.skip_spaces(run.tokens.end);
        let behind = scene.han(after);
        let is_counted = behind.is_some_and(|unit| {
            "元块毛个件只条台箱斤公克升次年月日号点分天人米度%万千百十亿岁期折名页楼层栋元美".contains(unit)
        });
        let is_percent = scene.mark(after) == Some('%');
        let is_unit = scene.word(after).is_some_and(|word| scene.lists.money.contains(word) || UNITS.contains(&word));
        let of_numeral = numeral(&scene.tokens, run.tokens.start)
            .is_some_and(|numeral| numeral.tokens.end > run.tokens.end || (run.has_numeral && run.digits.len() < 7));
        let in_numeral =
            before.checked_sub(1).and_then(|at| scene.han(at)).is_some_and(|unit| "十百千万亿点".contains(unit));
        let is_clock = scene.mark(run.tokens.end) == Some(':') || sign == Some(':');
        let is_dated = is_date(run) && self.cue() != Some(Cue::Code);
        is_money
            || is_counted
            || is_percent
            || is_unit
            || of_numeral
            || in_numeral
            || is_clock
            || is_dated
            || is_decimal(scene, run)
    }

    /// Whether a word that announces codes stands shortly behind: "1234 is the code".
    fn is_called_code(&self, run: &Run) -> bool {
        let cues = &self.scene.cues;
        let next = cues.get(cues.partition_point(|(tokens, _)| tokens.start < run.tokens.end));
        next.is_some_and(|(tokens, cue)| {
            let between = &self.scene.tokens[run.tokens.end..tokens.start];
            *cue == Cue::Code
                && between.iter().all(|token| token.mark().is_none() && token.kind != Kind::Beyond)
                && between.iter().filter(|token| !token.is_space()).count() <= REACH_BACK
        })
    }

    /// Where an X ends that stands in place of the last digit of an identity card.
    fn x_behind(&self, at: usize) -> Option<usize> {
        let scene = self.scene;
        let gap = scene.tokens.get(at..).unwrap_or_default().iter().take(4).take_while(|token| joins(token)).count();
        let at = at + gap;
        let is_x = scene.word(at).is_some_and(|word| ["x", "ex"].contains(&word))
            || scene.han(at).is_some_and(|c| "叉艾爱".contains(c));
        if !is_x {
            return None;
        }
        let is_spelled = scene.han(at + 1) == Some('克') && scene.han(at + 2) == Some('斯');
        Some(if is_spelled { at + 3 } else { at + 1 })
    }

    /// Where a plus begins that stands before a number.
    fn plus_before(&self, at: usize) -> Option<usize> {
        let before = self.scene.back_over_spaces(at).checked_sub(1)?;
        let is_plus = self.scene.mark(before) == Some('+')
            || self.scene.han(before) == Some('加')
            || self.scene.word(before) == Some("plus");
        is_plus.then_some(before)
    }
}

/// Words behind a number that is a quantity.
const UNITS: [&str; 26] = [
    "percent",
    "times",
    "minutes",
    "hours",
    "days",
    "weeks",
    "months",
    "years",
    "items",
    "pieces",
    "people",
    "units",
    "miles",
    "kilos",
    "grams",
    "boxes",
    "o'clock",
    "am",
    "pm",
    "stars",
    "points",
    "kilometers",
    "meters",
    "degrees",
    "thousand",
    "million",
];

fn class_of_cue(cue: Cue) -> Option<Class> {
    match cue {
        Cue::Phone => Some(Class::Phone),
        Cue::IdCard => Some(Class::IdCard),
        Cue::BankCard => Some(Class::BankCard),
        Cue::Code => Some(Class::Code),
        _ => None,
    }
}

/// The longest secret that begins and ends where groups of the run do, the first of its length.
fn aligned(scene: &Scene<'_>, run: &Run, values: &[u8]) -> Option<Range<usize>> {
    let kind = |at: usize| std::mem::discriminant(&scene.tokens[run.digits[at].token].kind);
    let is_edge = |at: usize| {
        let (before, digit) = (run.digits[at - 1], run.digits[at]);
        digit.apart || digit.sure != before.sure || kind(at - 1) != kind(at)
    };
    let mut edges: Vec<usize> = (1..values.len()).filter(|&at| is_edge(at)).collect();
    edges.insert(0, 0);
    edges.push(values.len());
    let is_secret = |own: &[u8]| {
        checks::is_mobile(own)
            || checks::is_mobile_abroad(own)
            || checks::is_identity(own, false)
            || (own.len() >= 15 && checks::is_card(own))
    };
    // Two numbers said without a pause between them.
    let halves = [(11, 11), (11, 18), (18, 11)].into_iter().find(|&(first, second)| {
        values.len() == first + second && is_secret(&values[..first]) && is_secret(&values[first..])
    });
    if let Some((first, _)) = halves {
        return Some(0..first);
    }
    let mut best: Option<Range<usize>> = None;
    for (index, &start) in edges.iter().enumerate() {
        for &end in &edges[index + 1..] {
            let length = end - start;
            if (11..values.len()).contains(&length)
                && best.as_ref().is_none_or(|best| length > best.len())
                && is_secret(&values[start..end])
            {
                best = Some(start..end);
            }
        }
    }
    best
}

/// Some digits of a run as a run, without what only sounds like digits at its ends.
fn part_of(run: &Run, digits: Range<usize>) -> Option<Run> {
    let own: &[Digit] = &run.digits[digits.clone()];
    let skipped = own.iter().position(|digit| digit.sure)?;
    let last = own.iter().rposition(|digit| digit.sure)?;
    let start = if digits.start + skipped == 0 { run.tokens.start } else { own[skipped].token };
    let tokens = start..own[last].token + 1;
    Some(Run { digits: own[skipped..=last].to_vec(), tokens, has_numeral: run.has_numeral })
}

/// Ten digits as Americans write or say a number: in groups of 3, 3 and 4, or one by one.
fn is_north_american_said(scene: &Scene<'_>, run: &Run, own: &[u8]) -> bool {
    let groups = groups(run);
    let own_groups = if own.len() == 11 { groups.strip_prefix(&[1]).unwrap_or(&[]) } else { &groups[..] };
    checks::is_north_american(own)
        && (own_groups == [3, 3, 4] || run.digits.iter().all(|digit| scene.word(digit.token).is_some()))
}

/// How many digits stand together, group by group.
fn groups(run: &Run) -> Vec<usize> {
    let mut groups: Vec<usize> = Vec::new();
    for digit in &run.digits {
        match groups.last_mut() {
            Some(group) if !digit.apart => *group += 1,
            _ => groups.push(1),
        }
    }
    groups
}

/// One two three four, and 6666: nobody's number.
fn is_counting(run: &Run) -> bool {
    let pairs = || run.digits.windows(2).map(|pair| (pair[0].value, pair[1].value));
    let is_one_digit = pairs().all(|(one, next)| one == next);
    let is_ascending = run.digits[0].value == 1 && pairs().all(|(one, next)| next == one + 1);
    is_one_digit || is_ascending
}

/// `2026-11-26` or `26/11/2026`, with nothing else.
fn is_date(run: &Run) -> bool {
    let values: Vec<u8> = run.digits.iter().map(|digit| digit.value).collect();
    let is_year = |digits: &[u8]| matches!(digits, [1, 9, ..] | [2, 0, ..]);
    match groups(run)[..] {
        [4, 2, 2] => is_year(&values) && checks::is_day(&values[4..]),
        [2, 2, 4] => is_year(&values[4..]),
        _ => false,
    }
}

/// `1299.50` or `1,299`: one point, or commas of thousands.
fn is_decimal(scene: &Scene<'_>, run: &Run) -> bool {
    let numeral = numeral(&scene.tokens, run.tokens.start);
    let is_whole = numeral.is_some_and(|numeral| numeral.tokens == run.tokens);
    let has_mark = scene.tokens[run.tokens.clone()].iter().any(|token| token.mark().is_some());
    is_whole && has_mark && run.digits.len() < 10 && groups(run).len() == 2
}
