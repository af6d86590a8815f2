//! The bus and the other nodes of the site: whether it lets us in and keeps events, whether they have one name each, one version,
//! and the same time.

use super::Finding;
use crate::settings::Settings;
use crate::shell::nats::{Heard, Survey};

/// From which difference between clocks on it is said, ms.
const APART_MS: u64 = 500;
/// From which on nodes refuse each other's orders, ms.
const APART_MS_MAX: u64 = 5_000;

/// Looks at both, where there is a bus.
pub(super) async fn look(settings: &Settings, is_running: bool) -> Vec<Finding> {
    let Some(bus) = &settings.bus else {
        return settings.node.site.as_ref().map(|site| alone(site)).into_iter().collect();
    };
    match Survey::of(bus).await {
        Ok(survey) => of_survey(survey, (&settings.node.name, is_running)),
        Err(why) => {
            let mend = "whether nats-server runs, its address, bus.tls and bus.credentials, and the firewall between";
            vec![Finding::fail("bus", format!("{}: {why}", bus.url), mend)]
        }
    }
}

fn alone(site: &str) -> Finding {
    let found = format!("the node is of the site {site}, and there is no [bus]");
    Finding::warn("bus", found, "[bus] with the NATS server of the site: else each node shows its own calls alone")
}

fn of_survey(Survey { server, streams, nodes }: Survey, (own, is_running): (&str, bool)) -> Vec<Finding> {
    let mut findings = vec![Finding::ok("bus", format!("{server} lets us in"))];
    findings.push(match streams {
        Ok(found) => Finding::ok("bus: JetStream", found),
        Err(why) => Finding::fail(
            "bus: JetStream",
            why,
            "jetstream {} in nats-server's configuration, and an account that may use it",
        ),
    });
    if nodes.contains_key(own) && !is_running {
        let found = format!("a node \"{own}\" is there already, and it is not this one");
        findings.push(Finding::fail("site: name", found, "a name of its own for each: node.name"));
    }
    let others: Vec<_> = nodes.iter().filter(|(name, _)| *name != own).collect();
    let names: Vec<&str> = others.iter().map(|(name, _)| name.as_str()).collect();
    findings.push(match names.is_empty() {
        true => Finding::ok("site: nodes", "no others are there now"),
        false => Finding::ok("site: nodes", format!("{} are there", names.join(", "))),
    });
    findings.extend(others.into_iter().flat_map(|(name, heard)| of_node(name, heard)));
    findings
}

fn of_node(name: &str, Heard { address, version, ahead_ms }: &Heard) -> Vec<Finding> {
    let mut findings = Vec::new();
    let what = format!("site: node {name}");
    if let Some(ahead_ms) = ahead_ms {
        let apart = ahead_ms.unsigned_abs();
        let word = if *ahead_ms < 0 { "behind" } else { "ahead" };
        let (what, found) = (format!("{what}: clock"), format!("{apart} ms {word}"));
        let mend = "chrony or systemd-timesyncd on both: nodes refuse each other's orders from 5 s on";
        findings.push(match apart {
            APART_MS_MAX.. => Finding::fail(what, found, mend),
            APART_MS.. => Finding::warn(what, found, mend),
            _ => Finding::ok(what, found),
        });
    }
    let own = env!("CARGO_PKG_VERSION");
    let theirs = version.as_deref().unwrap_or("of before 0.1.0");
    let (version, found) = (format!("{what}: version"), format!("{theirs}, this is {own}"));
    findings.push(match theirs == own {
        true => Finding::ok(version, found),
        false => Finding::warn(version, found, "upgrade one node after the other: neighbouring versions go together"),
    });
    if address.is_none() {
        let mend = "node.address there: else nobody is sent to it for what is heard in its calls";
        findings.push(Finding::warn(format!("{what}: address"), "it names none", mend));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    fn heard(version: &str, ahead_ms: i64) -> Heard {
        let (address, version) = (Some("https://b.example".to_owned()), Some(version.to_owned()));
        Heard { address, version, ahead_ms: Some(ahead_ms) }
    }

    /// Verdicts of all but what is well, by what they are of.
    fn unwell(nodes: &[(&str, Heard)], streams: Result<String, String>, is_running: bool) -> Vec<(String, Verdict)> {
        let nodes = nodes.iter().map(|(name, heard)| ((*name).to_owned(), heard.clone())).collect();
        let survey = Survey { server: "nats 2.10".to_owned(), streams, nodes };
        let findings = of_survey(survey, ("a", is_running)).into_iter();
        findings.filter(|found| found.verdict != Verdict::Ok).map(|found| (found.what, found.verdict)).collect()
    }

    #[test]
    fn what_is_well_and_what_is_not() {
        let own = env!("CARGO_PKG_VERSION");
        let streams = || Ok("1 streams, 0 bytes".to_owned());
        assert_eq!(unwell(&[("b", heard(own, -499))], streams(), false), []);
        assert_eq!(unwell(&[("a", heard(own, 0))], streams(), true), [], "that is this one");
        let found = unwell(&[("a", heard(own, 0))], streams(), false);
        assert_eq!(found, [("site: name".to_owned(), Verdict::Fail)]);
        let found = unwell(&[("b", heard("9.0.0", 500)), ("c", heard(own, -5_000))], Err("off".to_owned()), true);
        let expected = [
            ("bus: JetStream", Verdict::Fail),
            ("site: node b: clock", Verdict::Warn),
            ("site: node b: version", Verdict::Warn),
            ("site: node c: clock", Verdict::Fail),
        ];
        assert_eq!(found, expected.map(|(what, verdict)| (what.to_owned(), verdict)));
        let silent = Heard { address: None, version: None, ahead_ms: None };
        let found = unwell(&[("b", silent)], streams(), true);
        let expected = [("site: node b: version", Verdict::Warn), ("site: node b: address", Verdict::Warn)];
        assert_eq!(found, expected.map(|(what, verdict)| (what.to_owned(), verdict)));
    }
}
