//! The recipe of the evaluation set: templates with slots, half with secrets and half with what looks like them.

use super::Sentence;
use super::blind;
use super::values::{self, Random};

/// Which templates are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Those that the rules were made with.
    Seen,
    /// Those that were looked at once, when the rules were done.
    HeldOut,
    /// Others that were held out, written when those were known.
    Fresh,
    /// Others that were held out, with names and ways of saying of their own; parts of it are said in turns.
    Blind,
    /// Others again, written when the figures of those were known.
    Unseen,
    /// Others again, written by somebody who had not seen the rules, with many more names.
    Later,
}

/// The templates of one language: with secrets, and without.
struct Templates {
    is_mandarin: bool,
    secret: &'static str,
    harmless: &'static str,
}

const SEEN: [Templates; 2] = [
    Templates { is_mandarin: true, secret: include_str!("seen.zh.txt"), harmless: include_str!("harmless.zh.txt") },
    Templates { is_mandarin: false, secret: include_str!("seen.en.txt"), harmless: include_str!("harmless.en.txt") },
];
const HELD_OUT: [Templates; 2] = [
    Templates {
        is_mandarin: true,
        secret: include_str!("held-out.zh.txt"),
        harmless: include_str!("held-out-harmless.zh.txt"),
    },
    Templates {
        is_mandarin: false,
        secret: include_str!("held-out.en.txt"),
        harmless: include_str!("held-out-harmless.en.txt"),
    },
];

const FRESH: [Templates; 2] = [
    Templates {
        is_mandarin: true,
        secret: include_str!("fresh.zh.txt"),
        harmless: include_str!("fresh-harmless.zh.txt"),
    },
    Templates {
        is_mandarin: false,
        secret: include_str!("fresh.en.txt"),
        harmless: include_str!("fresh-harmless.en.txt"),
    },
];

const BLIND: [Templates; 2] = [
    Templates {
        is_mandarin: true,
        secret: include_str!("blind.zh.txt"),
        harmless: include_str!("blind-harmless.zh.txt"),
    },
    Templates {
        is_mandarin: false,
        secret: include_str!("blind.en.txt"),
        harmless: include_str!("blind-harmless.en.txt"),
    },
];
const UNSEEN: [Templates; 2] = [
    Templates {
        is_mandarin: true,
        secret: include_str!("unseen.zh.txt"),
        harmless: include_str!("unseen-harmless.zh.txt"),
    },
    Templates {
        is_mandarin: false,
        secret: include_str!("unseen.en.txt"),
        harmless: include_str!("unseen-harmless.en.txt"),
    },
];
const LATER: [Templates; 2] = [
    Templates {
        is_mandarin: true,
        secret: include_str!("later.zh.txt"),
        harmless: include_str!("later-harmless.zh.txt"),
    },
    Templates {
        is_mandarin: false,
        secret: include_str!("later.en.txt"),
        harmless: include_str!("later-harmless.en.txt"),
    },
];

/// So many sentences, half of them without a secret, three of five in Mandarin; the same ones for the same seed.
///
/// # Panics
/// Never: a test fills every template.
pub fn sentences(seed: u64, count: usize, part: Part) -> Vec<Sentence> {
    let mut random = Random::new(seed);
    let all = match part {
        Part::Seen => &SEEN,
        Part::HeldOut => &HELD_OUT,
        Part::Fresh => &FRESH,
        Part::Blind => &BLIND,
        Part::Unseen => &UNSEEN,
        Part::Later => &LATER,
    };
    let mut used = [0; 4];
    (0..count)
        .map(|index| {
            let language = usize::from((index / 2) % 5 >= 3);
            let is_secret = index % 2 == 0;
            let templates = &all[language];
            let text = if is_secret { templates.secret } else { templates.harmless };
            let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
            let turn = &mut used[2 * language + usize::from(is_secret)];
            let template = lines[*turn % lines.len()];
            *turn += 1;
            let line = fill(template, part, templates.is_mandarin, &mut random);
            Sentence::parse(&line).expect("templates are right")
        })
        .collect()
}

/// A template with its slots filled, secrets marked.
fn fill(template: &str, part: Part, is_mandarin: bool, random: &mut Random) -> String {
    let mut line = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (slot, after) = after.split_once('}').expect("a slot is closed");
        line.push_str(before);
        let (class, text) = match part {
            Part::Blind => blind::value(slot, is_mandarin, &blind::BLIND, random),
            Part::Unseen => blind::value(slot, is_mandarin, &blind::UNSEEN, random),
            Part::Later => blind::value(slot, is_mandarin, &blind::later(), random),
            Part::Seen | Part::HeldOut | Part::Fresh => values::value(slot, is_mandarin, random),
        };
        match class {
            Some(class) => line.push_str(&format!("<{0}>{text}</{0}>", class.name())),
            None => line.push_str(&text),
        }
        rest = after;
    }
    line + rest
}
