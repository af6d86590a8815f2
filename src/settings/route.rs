//! The route table: which targets a new call is offered to. Pure.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use nlu::masking::Class;

use super::{AudioTerms, ConsentSettings, HeaderChanges, IndicatorSettings, Spoken};
use crate::notice::Tags;
use crate::quoted::after_quote;

/// The routes in file order; the first that matches takes the call.
#[derive(Debug, Clone, Default)]
pub struct Routes(pub Vec<Route>);

impl Routes {
    /// The route of a name.
    pub fn named(&self, name: &str) -> Option<&Route> {
        self.0.iter().find(|route| route.name == name)
    }

    /// Whether audio of any call is kept.
    pub fn keep_audio(&self) -> bool {
        self.0.iter().any(|route| route.keep_audio)
    }

    /// The first route all of whose conditions hold.
    pub fn find(&self, request: &RequestView<'_>) -> Option<&Route> {
        self.0.iter().find(|route| !route.forked && route.matches(request))
    }

    /// The first route for forked calls all of whose conditions hold.
    pub fn find_forked(&self, request: &RequestView<'_>) -> Option<&Route> {
        self.0.iter().find(|route| route.forked && route.matches(request))
    }
}

/// What a route looks at in an INVITE.
#[derive(Debug, Clone, Copy)]
pub struct RequestView<'a> {
    /// The request-URI, e.g. `sip:4000@pbx.example`.
    pub request_uri: &'a str,
    /// The To header's value.
    pub to: &'a str,
    /// The From header's value.
    pub from: &'a str,
    /// All other headers as (name, value), in message order.
    pub headers: &'a [(&'a str, &'a str)],
}

/// One `[[route]]`.
#[derive(Debug, Clone)]
pub struct Route {
    /// Its name, for notices and logs.
    pub name: String,
    /// Must match the request-URI when given, its `;…` parameters included.
    pub request_uri: Option<Pattern>,
    /// Must match the URI in the To header when given.
    pub to: Option<Pattern>,
    /// Must match the URI in the From header when given.
    pub from: Option<Pattern>,
    /// Must match the value of one header of that name when given.
    pub header: Option<HeaderMatch>,
    /// Names of targets, tried in this order.
    pub targets: Vec<String>,
    /// It takes calls that are forked to us, and no others; it has no targets then.
    pub forked: bool,
    /// The scenario that policies choose their rules by, e.g. `after-sales`.
    pub scenario: String,
    /// What audio is spoken with the callers.
    pub audio: AudioTerms,
    /// Where callers are sent by 302 whose last call was an angry one.
    pub returning: Option<Returning>,
    /// When new calls go past us to the first target, by 302.
    pub bypass: Bypass,
    /// Whether an overload that lasts may lead the audio of running calls past us.
    pub bypass_running: bool,
    /// Whether callers' baselines are kept from call to call; `None` as `[listening]` says.
    pub remember_speakers: Option<bool>,
    /// What callers speak; `None` as `[recognition]` says.
    pub language: Option<Spoken>,
    /// What is masked of what is said; `None` as `[privacy]` says.
    pub mask: Option<BTreeSet<Class>>,
    /// Whether callers have agreed that their words are kept.
    pub consent: ConsentSettings,
    /// Whether the audio of its calls is kept, as far as callers have agreed.
    pub keep_audio: bool,
    /// The tone by which its parties are told that somebody takes part.
    pub indicator: Option<IndicatorSettings>,
    /// What is said of its calls' data.
    pub tags: Tags,
    /// What is changed in the callers' headers before any target sees them.
    pub headers: HeaderChanges,
}

/// When new calls of a route go past us: they are answered by 302 to its first target.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Bypass {
    /// Never: what cannot be taken is refused.
    #[default]
    Never,
    /// All of them.
    Always,
    /// Those that could not be taken, or not without harm to running calls.
    OnOverload,
}

/// What is done about callers whose last call was an angry one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Returning {
    /// Name of the target that they are sent to, before the answer.
    pub target: String,
    /// How angry they must have been.
    pub level: nlu::Level,
    /// How long ago that call may have ended.
    pub within: Duration,
}

impl Route {
    fn matches(&self, request: &RequestView<'_>) -> bool {
        let holds = |pattern: &Option<Pattern>, text: &str| pattern.as_ref().is_none_or(|p| p.matches(text));
        holds(&self.request_uri, request.request_uri)
            && holds(&self.to, uri_of(request.to))
            && holds(&self.from, uri_of(request.from))
            && self.header.as_ref().is_none_or(|header| header.matches(request.headers))
    }
}

/// A condition on one header.
#[derive(Debug, Clone)]
pub struct HeaderMatch {
    /// The header's name; case does not matter (RFC 3261 §7.3.1).
    pub name: String,
    /// What one of its values must match.
    pub pattern: Pattern,
}

impl HeaderMatch {
    fn matches(&self, headers: &[(&str, &str)]) -> bool {
        headers.iter().any(|(name, value)| name.eq_ignore_ascii_case(&self.name) && self.pattern.matches(value.trim()))
    }
}

/// A pattern over a whole text: `*` stands for any run of characters, `?` for exactly one; case does not matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// A pattern from its text; every text is a pattern.
    pub fn new(text: &str) -> Pattern {
        Pattern(text.to_lowercase())
    }

    /// Whether the whole of `text` matches. Takes at most (pattern length) × (text length) steps.
    pub fn matches(&self, text: &str) -> bool {
        let pattern: Vec<char> = self.0.chars().collect();
        let text: Vec<char> = text.to_lowercase().chars().collect();
        let (mut at_pattern, mut at_text) = (0, 0);
        // Where to go on when the characters after the last `*` do not fit: after that star, one more character eaten.
        let mut retry: Option<(usize, usize)> = None;

        while at_text < text.len() {
            match pattern.get(at_pattern) {
                Some('*') => {
                    retry = Some((at_pattern + 1, at_text));
                    at_pattern += 1;
                }
                Some(&wanted) if wanted == '?' || wanted == text[at_text] => {
                    at_pattern += 1;
                    at_text += 1;
                }
                _ => {
                    let Some((after_star, eaten)) = retry else { return false };
                    retry = Some((after_star, eaten + 1));
                    (at_pattern, at_text) = (after_star, eaten + 1);
                }
            }
        }
        pattern[at_pattern..].iter().all(|&rest| rest == '*')
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The URI inside a From or To value: without display name, angle brackets and header parameters (RFC 3261 §20.10).
pub(crate) fn uri_of(value: &str) -> &str {
    // A display name in quotes may hold any bracket: look behind its closing quote.
    let after_name = match value.trim_start().strip_prefix('"') {
        Some(quoted) => after_quote(quoted).unwrap_or_default(),
        None => value,
    };
    match after_name.split_once('<') {
        Some((_, rest)) => rest.split('>').next().unwrap_or(rest).trim(),
        None => after_name.split(';').next().unwrap_or(after_name).trim(),
    }
}

/// How long what stands before the host of a SIP URI is, with its `@`; `rest` is what follows the scheme.
pub(crate) fn user_end(rest: &str) -> usize {
    // A user may hold semicolons and question marks, a host none: parameters and headers begin behind the first `@`.
    let Some(first) = rest.find('@') else { return 0 };
    let host_end = rest[first..].find([';', '?']).map_or(rest.len(), |at| first + at);
    rest[..host_end].rfind('@').map_or(0, |at| at + 1)
}

/// Whether an address with this user and host (in small letters) hides whose it is.
pub(crate) fn is_nameless(user: &str, host: &str) -> bool {
    matches!(user, "" | "anonymous" | "unknown" | "unavailable" | "restricted") || host.starts_with("anonymous.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_texts() {
        for (pattern, text, expected) in [
            ("sip:4000@*", "sip:4000@pbx.example", true),
            ("sip:4000@*", "sip:40001@pbx.example", false),
            ("sip:4???@*", "SIP:4123@10.0.0.1:5060", true),
            ("*", "", true),
            ("", "", true),
            ("", "x", false),
            ("?", "", false),
            ("*a*b*c", "xxaxxbxxbc", true),
            ("*a*b*c", "xxaxxbxxcb", false),
            ("*@*.Example", "sip:x@pbx.example", true),
            ("客服*", "客服一组", true),
        ] {
            assert_eq!(Pattern::new(pattern).matches(text), expected, "{pattern} on {text}");
        }
    }

    #[test]
    fn many_stars_stay_cheap() {
        let pattern = Pattern::new(&"*a".repeat(200));
        assert!(!pattern.matches(&"a".repeat(199)));
        assert!(pattern.matches(&"a".repeat(5_000)));
    }

    #[test]
    fn finds_the_uri() {
        for (value, expected) in [
            ("\"Li <Wei>\" <sip:li@a.example>;tag=1", "sip:li@a.example"),
            ("\"a \\\" <sip:no@x>\" <sip:yes@x>", "sip:yes@x"),
            ("sip:li@a.example;tag=1", "sip:li@a.example"),
            ("Li Wei <sip:li@a.example;user=phone>", "sip:li@a.example;user=phone"),
            ("\"never closed <sip:x@y>", ""),
            ("", ""),
        ] {
            assert_eq!(uri_of(value), expected, "{value}");
        }
    }

    #[test]
    fn finds_where_a_user_ends() {
        for (rest, user, host) in [
            ("li@pbx;x=y@z", "li@", "pbx;x=y@z"),
            ("+1;npdi@pbx:5060;user=phone", "+1;npdi@", "pbx:5060;user=phone"),
            ("what?now@pbx?x=y@z", "what?now@", "pbx?x=y@z"),
            ("li@home@pbx", "li@home@", "pbx"),
            ("pbx;lr", "", "pbx;lr"),
            ("", "", ""),
        ] {
            assert_eq!(rest.split_at(user_end(rest)), (user, host), "{rest}");
        }
    }

    #[test]
    fn first_matching_route_wins() {
        check(RequestView { request_uri: "sip:4000@c", ..PLAIN }, Some("number"));
        check(RequestView { from: "<sip:vip@p>", ..PLAIN }, Some("vip"));
        check(RequestView { headers: &[("x-queue", " finance ")], ..PLAIN }, Some("header"));
        check(RequestView { to: "\"n\" <sip:service@c>;tag=9", ..PLAIN }, Some("to"));
        check(RequestView { request_uri: "sip:4000@c", from: "<sip:vip@p>", ..PLAIN }, Some("number"));
        check(PLAIN, None);
    }

    const PLAIN: RequestView<'static> =
        RequestView { request_uri: "sip:1@c", to: "<sip:1@c>", from: "<sip:2@p>", headers: &[] };

    #[track_caller]
    fn check(request: RequestView<'_>, expected: Option<&str>) {
        let pattern = |text| Some(Pattern::new(text));
        let route = |name: &str| Route {
            name: name.to_owned(),
            request_uri: None,
            to: None,
            from: None,
            header: None,
            targets: vec!["bot".to_owned()],
            forked: false,
            scenario: "any".to_owned(),
            audio: AudioTerms::default(),
            returning: None,
            bypass: Bypass::Never,
            bypass_running: false,
            remember_speakers: None,
            language: None,
            mask: None,
            consent: ConsentSettings::default(),
            keep_audio: false,
            indicator: None,
            tags: Tags::default(),
            headers: HeaderChanges::default(),
        };
        let routes = Routes(vec![
            Route { request_uri: pattern("sip:4000@*"), ..route("number") },
            Route { from: pattern("sip:vip@*"), ..route("vip") },
            Route {
                header: Some(HeaderMatch { name: "X-Queue".to_owned(), pattern: Pattern::new("finance") }),
                ..route("header")
            },
            Route { to: pattern("sip:service@*"), ..route("to") },
        ]);
        assert_eq!(routes.find(&request).map(|route| route.name.as_str()), expected);
    }
}
