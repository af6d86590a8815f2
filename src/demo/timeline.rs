//! What the demo shows while a call is on: one line per step of the caller's emotion, one per thing done.

use crate::notice::{Notice, PhraseHeard, What, WordsRead};

/// The line for a notice, if it is worth one.
pub fn line(notice: &Notice) -> Option<String> {
    let text = match &notice.what {
        What::CallAnswered { target, setup_ms, .. } => format!("answered by {target} after {setup_ms} ms"),
        What::Observed { party, anger, level, pitch_hz, pitch_z, level_dbov, level_z, words, .. }
            if party == "caller" =>
        {
            format!(
                "{} {anger:.2} {level:<6}  F0 {pitch_hz:>3.0} Hz ({pitch_z:+.1}σ)  level {level_dbov:>3.0} dBov ({level_z:+.1}σ){}",
                bar(*anger),
                words.as_deref().map(in_brackets).unwrap_or_default()
            )
        }
        What::Said { party, is_final: true, phrases, .. } if !phrases.is_empty() => {
            let told = |phrase: &PhraseHeard| format!("“{}” ({})", phrase.text.reveal(), phrase.intent);
            format!("✎ {party} said {}", phrases.iter().map(told).collect::<Vec<_>>().join(", "))
        }
        What::Decided { rule, policy, actions, failure, .. } => {
            let because = failure.as_ref().map(|failure| format!(" because {failure}")).unwrap_or_default();
            format!("▶ {policy} / {rule}{because}: {}", actions.join(", "))
        }
        What::SecureInput { on } => format!("✱ secure input {}", if *on { "on" } else { "off" }),
        What::HandshakeDone { party, suite, took_ms } => format!("⚿ {party} protected by {suite} after {took_ms} ms"),
        What::HandshakeFailed { party, reason, .. } => format!("⚿ {party} cannot be heard: {reason}"),
        What::PromptStarted { file, party, reaction_ms, .. } => {
            format!("♪ {file} plays to the {party}, {reaction_ms} ms after the decision")
        }
        What::PromptEnded { file, completed, .. } => {
            format!("♪ {file} {}", if *completed { "has been heard" } else { "was cut short" })
        }
        What::PromptFailed { file, reason, .. } => format!("♪ {file} could not be played: {reason}"),
        What::RerouteStarted { via, target } => format!("⇢ re-route by {via} to {target}"),
        What::Rerouted { via, target, answer_ms, gap_ms } => {
            let gap = gap_ms.map(|gap| format!(", audio gap {gap} ms")).unwrap_or_default();
            format!("⇢ with {target} by {via}: answered after {answer_ms} ms{gap}")
        }
        What::RerouteFailed { target, reason, .. } => format!("⇢ {target} did not take the call: {reason}"),
        What::Alert { severity, text, .. } => format!("⚠ supervisor hears ({severity}): {text}"),
        What::CallEnded { reason, talk_ms, .. } => {
            format!("ended after {:.1} s: {reason}", *talk_ms as f64 / 1_000.0)
        }
        What::CallRefused { code, reason } => format!("refused: {code} {reason}"),
        _ => return None,
    };
    Some(format!("{:7.2} s  {text}", notice.call_ms as f64 / 1_000.0))
}

/// What words say beside the voice: how they sound by themselves, how far that is relied on, and which words tell it.
fn in_brackets(words: &WordsRead) -> String {
    let found: Vec<&str> = words.found.iter().map(|found| found.word.as_str()).collect();
    let found = if found.is_empty() { String::new() } else { format!(": {}", found.join(", ")) };
    format!("  [words {:.2} ×{:.2}{found}]", words.anger, words.reliability)
}

/// Ten cells that fill with anger, 0-1.
fn bar(anger: f32) -> String {
    let filled = (anger.clamp(0.0, 1.0) * 10.0).round() as usize;
    format!("{}{}", "█".repeat(filled), "░".repeat(10 - filled))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anger_fills_the_bar() {
        for (anger, filled) in [(0.0, 0), (0.04, 0), (0.5, 5), (1.0, 10), (7.0, 10), (-1.0, 0)] {
            let cells = bar(anger);
            assert_eq!(cells.chars().filter(|&cell| cell == '█').count(), filled, "{anger}");
            assert_eq!(cells.chars().count(), 10, "{anger}");
        }
    }

    #[test]
    fn words_are_told_beside_the_voice() {
        let samples = crate::notice_samples::one_of_each();
        let line_of = |wanted: fn(&What) -> bool| samples.iter().find(|n| wanted(&n.what)).and_then(line);
        let said = line_of(|what| matches!(what, What::Said { .. })).expect("a line");
        assert!(said.ends_with("✎ caller said “我要投诉” (complaint)"), "{said}");
        let observed = line_of(|what| matches!(what, What::Observed { .. })).expect("a line");
        assert!(observed.ends_with("[words 0.88 ×0.50: 投诉]"), "{observed}");
    }

    #[test]
    fn says_when_and_what() {
        let what = What::RerouteStarted { via: "bridge".into(), target: "human".into() };
        let notice = Notice { call: "c".into(), call_ms: 12_340, what };
        assert_eq!(line(&notice).as_deref(), Some("  12.34 s  ⇢ re-route by bridge to human"));
    }
}
