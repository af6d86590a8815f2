//! Reads `[[route]]`: which calls go where, and when they go past us.

use std::collections::BTreeMap;
use std::time::Duration;

use routing::section::{Section, list, name, whole};
use toml::Value;

use super::super::consent::read_consent;
use super::super::headers::read_changes;
use super::super::indicator::read_indicator;
use super::super::privacy::{REGION, read_mask};
use super::super::recognition::read_language;
use super::super::users::TENANT;
use super::super::{Bypass, HeaderMatch, Returning, Route, Routes, Target};
use super::{ENTRIES_MAX, PATTERN, pattern, read_audio};
use crate::notice::Tags;

/// Targets of one route.
const ROUTE_TARGETS_MAX: usize = 16;
/// What a route of forked calls has in the place of what is for other calls.
const FORKED: &str = "nothing: a forked call is only listened to";

pub(super) fn read_routes(root: &mut Section<'_>, targets: &BTreeMap<String, Target>) -> Routes {
    let known: Vec<&str> = targets.keys().map(String::as_str).collect();
    let mut routes: Vec<Route> = Vec::new();
    root.each("route", |section| {
        let route = read_route(section, &known);
        if let Some(route) = &route
            && routes.iter().any(|earlier| earlier.name == route.name)
        {
            section.fault("name", format!("\"{}\", which stands above already", route.name), "a name of its own");
        }
        routes.extend(route);
    });
    if routes.len() > ENTRIES_MAX {
        root.fault("route", format!("{} routes", routes.len()), format!("at most {ENTRIES_MAX}"));
    }
    Routes(routes)
}

fn read_route(section: &mut Section<'_>, known: &[&str]) -> Option<Route> {
    let route_name = section.need("name", "1-64 letters, digits, \"-\", \"_\" or \".\"", name);
    let expected = format!("a list of 1-{ROUTE_TARGETS_MAX} names of [targets.NAME]; there are: {}", known.join(", "));
    let known_names = |value: &Value| {
        list(ROUTE_TARGETS_MAX, name)(value).filter(|names| names.iter().all(|name| known.contains(&name.as_str())))
    };
    let forked = section.read("forked", "true or false", Value::as_bool).unwrap_or(false);
    let targets = if forked {
        let nothing = |_: &Value| None::<()>;
        section.read("targets", "no targets: a forked call is only listened to", nothing);
        Some(Vec::new())
    } else {
        section.need("targets", expected, known_names)
    };
    let remember_speakers = section.read("remember_speakers", "true or false", Value::as_bool);
    let (language, mask) = (read_language(section), read_mask(section));
    let (consent, tags) = (read_consent(section, forked), read_tags(section));
    let keep_audio = read_keep_audio(section, forked);
    let indicator = read_indicator(section, forked);
    let scenario = section.need("scenario", "the scenario that policies choose their rules by", name);

    let (audio, headers) = (read_audio(section), read_changes(section));
    let returning = read_returning(section, known);
    let (bypass, bypass_running) = (read_bypass(section, forked), read_bypass_running(section, forked));
    if keep_audio && bypass == Bypass::Always {
        section.fault("keep_audio", "it with bypass = \"always\"", "audio that goes through us");
    }

    let mut conditions = section.section("match");
    let request_uri = conditions.read("request_uri", PATTERN, pattern);
    let to = conditions.read("to", PATTERN, pattern);
    let from = conditions.read("from", PATTERN, pattern);
    let mut header = conditions.section("header");
    let header_match = header.is_present().then(|| {
        let header_name = header.need("name", "a header's name", name);
        let pattern = header.need("pattern", PATTERN, pattern);
        Some(HeaderMatch { name: header_name?, pattern: pattern? })
    });
    header.finish();
    conditions.finish();
    Some(Route {
        name: route_name?,
        request_uri,
        to,
        from,
        header: header_match.flatten(),
        targets: targets?,
        forked,
        scenario: scenario?,
        audio,
        headers,
        returning: returning?,
        bypass,
        bypass_running,
        remember_speakers,
        language,
        mask,
        consent,
        keep_audio,
        indicator,
        tags,
    })
}

/// `tenant`, `purpose` and `region` of a route.
fn read_tags(section: &mut Section<'_>) -> Tags {
    Tags {
        tenant: section.read("tenant", TENANT, name),
        purpose: section.read("purpose", "a purpose's name, 1-64 letters, digits, \"-\", \"_\" or \".\"", name),
        region: section.read("region", REGION, name),
    }
}

/// `keep_audio` of a route; of a forked call, what both say is not in one place here.
fn read_keep_audio(section: &mut Section<'_>, forked: bool) -> bool {
    let expected = if forked { "nothing: a forked call is kept where it comes from" } else { "true or false" };
    section.read("keep_audio", expected, |value| value.as_bool().filter(|_| !forked)).unwrap_or_default()
}

/// `bypass` of a route; a forked call has nobody to be sent to.
fn read_bypass(section: &mut Section<'_>, forked: bool) -> Bypass {
    let expected = if forked { FORKED } else { "\"never\", \"always\" or \"on-overload\"" };
    let bypass = section.read("bypass", expected, |value| match value.as_str()? {
        _ if forked => None,
        "never" => Some(Bypass::Never),
        "always" => Some(Bypass::Always),
        "on-overload" => Some(Bypass::OnOverload),
        _ => None,
    });
    bypass.unwrap_or_default()
}

/// `bypass_running` of a route; the audio of a forked call goes past us as it is.
fn read_bypass_running(section: &mut Section<'_>, forked: bool) -> bool {
    let expected = if forked { FORKED } else { "true or false" };
    section.read("bypass_running", expected, |value| value.as_bool().filter(|_| !forked)).unwrap_or_default()
}

/// `returning` of a route: `Some(None)` when it is not written.
fn read_returning(section: &mut Section<'_>, known: &[&str]) -> Option<Option<Returning>> {
    let mut returning = section.section("returning");
    if !returning.is_present() {
        returning.finish();
        return Some(None);
    }
    let expected = format!("the name of a [targets.NAME]; there are: {}", known.join(", "));
    let target = returning.need("target", expected, |value| name(value).filter(|name| known.contains(&name.as_str())));
    let level = returning.read("level", "\"medium\" or \"high\"", |value| match value.as_str()? {
        "medium" => Some(nlu::Level::Medium),
        "high" => Some(nlu::Level::High),
        _ => None,
    });
    let hours = returning.read("within_h", "a whole number of hours from 1 to 720", whole(1..=720)).unwrap_or(24);
    returning.finish();
    let within = Duration::from_secs(3_600 * hours.unsigned_abs());
    Some(Some(Returning { target: target?, level: level.unwrap_or(nlu::Level::High), within }))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::settings::Settings;

    #[test]
    fn when_calls_go_past_us() {
        for (written, expected) in [
            ("", Bypass::Never),
            ("bypass = \"never\"", Bypass::Never),
            ("bypass = \"always\"", Bypass::Always),
            ("bypass = \"on-overload\"", Bypass::OnOverload),
        ] {
            let routes = parse(&format!("targets = [\"bot\"]\n{written}")).expect("good");
            assert_eq!(routes.0[0].bypass, expected, "{written}");
        }
    }

    #[test]
    fn when_running_calls_go_past_us() {
        for (written, expected) in [("", false), ("bypass_running = true", true), ("bypass_running = false", false)] {
            let routes = parse(&format!("targets = [\"bot\"]\n{written}")).expect("good");
            assert_eq!(routes.0[0].bypass_running, expected, "{written}");
        }
    }

    #[test]
    fn whose_audio_is_kept() {
        let kept = |written: &str| parse(&format!("[store]\n{written}")).map(|routes| routes.0[0].keep_audio);
        let targets = "targets = [\"bot\"]";
        assert_eq!(kept(targets), Ok(false));
        assert_eq!(kept(&format!("{targets}\nkeep_audio = true")), Ok(true));
        for (written, expected) in [
            (
                "forked = true\nkeep_audio = true",
                "keep_audio: found true, expected nothing: a forked call is kept where",
            ),
            (&format!("{targets}\nkeep_audio = true\nbypass = \"always\""), "keep_audio: found it with bypass"),
        ] {
            let told = kept(written).expect_err(expected).join("; ");
            assert!(told.contains(expected), "{told}");
        }
        let told = parse(&format!("{targets}\nkeep_audio = true")).expect_err("nothing is kept").join("; ");
        assert!(told.contains("route: found keep_audio without a store"), "{told}");
    }

    #[test]
    fn faults_in_bypass() {
        for (written, expected) in [
            (
                "targets = [\"bot\"]\nbypass = \"sometimes\"",
                "route[1].bypass: found \"sometimes\", expected \"never\", \"always\" or \"on-overload\"",
            ),
            (
                "forked = true\nbypass = \"always\"",
                "route[1].bypass: found \"always\", expected nothing: a forked call is only listened to",
            ),
            (
                "forked = true\nbypass_running = true",
                "route[1].bypass_running: found true, expected nothing: a forked call is only listened to",
            ),
            (
                "targets = [\"bot\"]\nbypass_running = \"on-overload\"",
                "route[1].bypass_running: found \"on-overload\", expected true or false",
            ),
        ] {
            let faults = parse(written).expect_err("bad");
            assert_eq!(faults, [format!("/etc/c.toml: {expected}")], "{written}");
        }
    }

    fn parse(written: &str) -> Result<Routes, Vec<String>> {
        let (store, written) = written.strip_prefix("[store]\n").map_or(("", written), |rest| ("[store]\n", rest));
        let route = format!("[[route]]\nname = \"r\"\nscenario = \"s\"\n{written}");
        let text = format!("{store}[targets.bot]\nuri = \"sip:b@x\"\n{route}");
        let settings = Settings::parse(&text, Path::new("/etc/c.toml"));
        settings.map(|settings| settings.routes).map_err(|faults| faults.iter().map(ToString::to_string).collect())
    }
}
