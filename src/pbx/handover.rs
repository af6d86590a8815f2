//! What whoever takes a caller over gets to know: the same facts as SIP headers, channel variables, User-to-User and JSON.
//!
//! Says how the caller feels and why the call was moved; no name, no number, nothing that was said.

use super::clean;

use crate::hexadecimal::hexadecimal;

/// What is known of a caller who is handed over.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Handover {
    /// The call's id, as in events.
    pub call: String,
    /// Name of the target.
    pub target: String,
    /// The rule that moves the caller.
    pub rule: String,
    /// The leading emotion, e.g. `anger`.
    pub emotion: String,
    /// Level of anger: `low`, `medium`, `high`.
    pub level: String,
    /// Score of anger, 0-1.
    pub score: f32,
    /// Change of the score per second.
    pub trend_per_s: f32,
    /// How long it had lasted, milliseconds.
    pub lasted_ms: u64,
}

impl Handover {
    /// In one line, e.g. `anger;level=high;score=0.93;rule=angry`: the value of X-Calmline-Emotion.
    pub fn line(&self) -> String {
        let rule: String = clean(&self.rule).replace([';', ' ', '"', '\\'], "_");
        format!("{};level={};score={:.2};rule={rule}", self.emotion, self.level, self.score)
    }

    /// The same as User-to-User data (RFC 7433), at most 128 octets before they become hexadecimal digits.
    pub fn user_to_user(&self) -> String {
        let text = format!("{};call={}", self.line(), clean(&self.call));
        let octets = &text.as_bytes()[..text.len().min(USER_TO_USER_OCTETS_MAX)];
        hexadecimal(octets) + ";encoding=hex"
    }

    /// As channel variables.
    pub fn variables(&self) -> Vec<(String, String)> {
        let named = |name: &str, value: String| (format!("CALMLINE_{name}"), clean(&value));
        vec![
            named("CALL", self.call.clone()),
            named("EMOTION", self.emotion.clone()),
            named("LEVEL", self.level.clone()),
            named("SCORE", format!("{:.2}", self.score)),
            named("RULE", self.rule.clone()),
        ]
    }

    /// As JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "call": self.call,
            "target": self.target,
            "rule": self.rule,
            "emotion": self.emotion,
            "level": self.level,
            "score": rounded(self.score),
            "trend_per_s": rounded(self.trend_per_s),
            "lasted_ms": self.lasted_ms,
        })
    }
}

/// A thousandth is finer than any of it is known.
fn rounded(value: f32) -> f64 {
    (f64::from(value) * 1_000.0).round() / 1_000.0
}

/// What the User-to-User header of an ISDN neighbour holds (RFC 7434 §4.1).
const USER_TO_USER_OCTETS_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_set_of_facts_in_every_form() {
        let handover = Handover {
            call: "4f2a-7".into(),
            target: "human".into(),
            rule: "angry \"now\"\r\n".into(),
            emotion: "anger".into(),
            level: "high".into(),
            score: 0.934,
            trend_per_s: 0.1,
            lasted_ms: 500,
        };
        assert_eq!(handover.line(), "anger;level=high;score=0.93;rule=angry__now_");
        assert!(handover.variables().contains(&("CALMLINE_SCORE".into(), "0.93".into())));
        assert!(handover.variables().iter().all(|(_, value)| !value.contains(['\r', '\n'])));
        assert_eq!(handover.json()["score"], 0.934);
        let data = handover.user_to_user();
        assert!(data.starts_with("616e6765723b6c6576656c3d68696768") && data.ends_with(";encoding=hex"), "{data}");
        let long = Handover { rule: "r".repeat(500), ..handover };
        assert_eq!(long.user_to_user().len(), 256 + ";encoding=hex".len());
    }
}
