//! Configuration texts, what they mean and what is wrong with them.

use std::time::Duration;

use super::*;

#[test]
fn an_empty_file_is_the_default() {
    let settings = Settings::parse("", Path::new("etc/calmline.toml")).expect("good");
    assert_eq!(settings.sip.listen, SipSettings::default().listen);
    assert_eq!(settings.media.external_address, MediaSettings::default().external_address);
    assert!(settings.web.is_none() && !settings.listening.enabled && settings.routes.0.is_empty());
    assert_eq!(settings.policy.folder, Path::new("etc/policies"));
    assert!(settings.sip.trusts("127.3.4.5".parse().expect("an address")));
    assert!(settings.sip.trusts("::ffff:127.0.0.1".parse().expect("an address")));
    assert!(!settings.sip.trusts("192.0.2.1".parse().expect("an address")));
}

#[test]
fn reads_everything() {
    let text = r#"
[sip]
listen = "0.0.0.0:5060"
external_address = "192.0.2.20"
trusted = ["192.0.2.0/24", "2001:db8::7"]
[media]
ports = "30000-30100"
threads = 2
cpus = [2, 3]
io = "epoll"
priority = "realtime"
timestamps = "kernel"
silence_s = 20
[limits]
calls = 7
call_minutes = 1
[web]
listen = "[::1]:9090"
token_file = "/etc/token"
[listening]
model = "m.onnx"
parties = "both"
[policy]
folder = "rules"
[targets.bot]
uri = "sip:bot@192.0.2.9;transport=udp"
proxy = "192.0.2.10:5060"
[[route]]
name = "r"
match = { request_uri = "sip:4*@*", header = { name = "X-Queue", pattern = "*" } }
targets = ["bot"]
scenario = "s"
"#;
    let settings = Settings::parse(text, Path::new("/c/calmline.toml")).expect("good");
    assert_eq!(settings.sip.advertised().to_string(), "192.0.2.20:5060");
    assert!(settings.sip.trusts("2001:db8::7".parse().expect("an address")));
    assert_eq!(settings.media.address.to_string(), "0.0.0.0");
    assert_eq!(settings.media.external_address.to_string(), "192.0.2.20");
    assert_eq!(settings.media.ports.even().count(), 51);
    assert_eq!((settings.media.threads, settings.media.silence), (2, Duration::from_secs(20)));
    assert_eq!((settings.media.cpus, settings.media.io), (vec![2, 3], MediaIo::Epoll));
    assert_eq!((settings.media.priority, settings.media.stamps), (MediaPriority::Realtime, true));
    assert_eq!((settings.limits.calls, settings.limits.call), (7, Duration::from_secs(60)));
    assert_eq!((settings.listening.enabled, settings.listening.parties), (true, Parties::Both));
    assert_eq!(settings.listening.model.as_deref(), Some(Path::new("/c/m.onnx")));
    assert_eq!(settings.policy.folder, Path::new("/c/rules"));
    let web = settings.web.expect("a web section");
    assert!(matches!(web.token, TokenSource::File(path) if path == Path::new("/etc/token")));
    assert_eq!(settings.targets["bot"].proxy.map(|proxy| proxy.port()), Some(5060));
    assert_eq!(settings.routes.0[0].targets, ["bot"]);
}

#[test]
fn names_faults_in_addresses() {
    check(
        "[sip]\nlisten = \"5060\"",
        &["sip.listen: found \"5060\", expected \"IP:PORT\", e.g. \"192.0.2.20:5060\" or \"[2001:db8::20]:5060\""],
    );
    check(
        "[sip]\nlisten = \"0.0.0.0:5060\"",
        &[
            "sip.external_address: found nothing, expected an IP address that peers reach this machine at, e.g. \"192.0.2.20\", because sip.listen is 0.0.0.0",
        ],
    );
    check(
        "[media]\nexternal_address = \"0.0.0.0\"",
        &[
            "media.external_address: found \"0.0.0.0\", expected an IP address that peers reach this machine at, e.g. \"192.0.2.20\"",
        ],
    );
    check(
        "[sip]\ntrusted = []",
        &[
            "sip.trusted: found [], expected a list of networks, e.g. [\"10.0.0.0/8\", \"192.0.2.7\"]; \"0.0.0.0/0\" trusts everybody",
        ],
    );
}

#[test]
fn names_faults_in_ports() {
    let expected = "expected \"FIRST-LAST\", FIRST even, 1024-65535, at least two even ports";
    for bad in ["20000", "20001-20010", "20000-20001", "80-90", "20000-70000", "9000-8000", "65534-65535"] {
        check(&format!("[media]\nports = \"{bad}\""), &[&format!("media.ports: found \"{bad}\", {expected}")]);
    }
    check(
        "[sip]\nlisten = \"127.0.0.1:20010\"",
        &["sip.listen: found \"127.0.0.1:20010\", expected a port outside media.ports = \"20000-29998\""],
    );
}

#[test]
fn names_faults_in_media() {
    check(
        "[media]\ncpus = [-1]\nio = \"kqueue\"",
        &[
            "media.cpus: found [-1], expected a list of processor numbers, 0-1023",
            "media.io: found \"kqueue\", expected \"auto\", \"epoll\" or \"io_uring\"",
        ],
    );
}

#[test]
fn the_api_is_never_open() {
    check(
        "[web]",
        &["web.token_file: found nothing, expected token_file or token_env: the API is never open to everybody"],
    );
    check(
        "[web]\ntoken_env = \"A\"\ntoken_file = \"b\"",
        &["web.token_env: found both token_file and token_env, expected one of them"],
    );
    check(
        "[web]\ntoken_env = \"A=B\"",
        &["web.token_env: found \"A=B\", expected the name of an environment variable"],
    );
}

#[test]
fn names_faults_in_targets_and_routes() {
    check(
        "[targets.bot]\nuri = \"bot@x\"",
        &["targets.bot.uri: found \"bot@x\", expected a SIP URI, e.g. \"sip:2000@192.0.2.10\""],
    );
    check("[targets]\nbot = 5", &["targets.bot: found 5, expected a table"]);
    check(
        "[targets.bot]\nuri = \"sip:b@x\"\n[[route]]\nname = \"r\"\nscenario = \"s\"\ntargets = [\"bto\"]",
        &["route[1].targets: found [\"bto\"], expected a list of 1-16 names of [targets.NAME]; there are: bot"],
    );
    check(
        "[[route]]\nmatch = { request_url = \"x\", header = { name = \"X\" } }\ntargets = []",
        &[
            "route[1].name: found nothing, expected 1-64 letters, digits, \"-\", \"_\" or \".\"",
            "route[1].targets: found [], expected a list of 1-16 names of [targets.NAME]; there are: ",
            "route[1].scenario: found nothing, expected the scenario that policies choose their rules by",
            "route[1].match.header.pattern: found nothing, expected a pattern of 1-200 characters, e.g. \"sip:4*@*\"",
            "route[1].match.request_url: found an unknown key (= \"x\"), expected a known key; the nearest is \"request_uri\"",
        ],
    );
}

#[test]
fn names_unknown_keys_and_sections() {
    check(
        "[limit]\ncalls = 5",
        &["limit: found an unknown key (= a table), expected a known key; the nearest is \"limits\""],
    );
    check(
        "[limits]\ncall = 5",
        &["limits.call: found an unknown key (= 5), expected a known key; the nearest is \"calls\""],
    );
    check(
        "calls = ",
        &["line 1, column 9: found string values must be quoted, expected literal string, expected TOML"],
    );
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 200, failure_persistence: None, ..Default::default() })]

    /// The shipped file with a few pieces replaced: read or refused, never a panic, never a refusal without a fault.
    #[test]
    fn any_damaged_file_is_read_or_refused(
        cuts in proptest::collection::vec((proptest::prelude::any::<proptest::sample::Index>(), "[\\[\\]{}=\",a-z0-9.*\n-]{0,3}"), 1..6),
    ) {
        let mut text: Vec<char> = include_str!("../../../config/calmline.toml").chars().collect();
        for (at, put) in cuts {
            let at = at.index(text.len());
            text.splice(at..=at, put.chars());
        }
        let text: String = text.into_iter().collect();
        proptest::prop_assert!(Settings::parse(&text, Path::new("c.toml")).map_or_else(|faults| !faults.is_empty(), |_| true));
    }
}

#[test]
fn reads_codecs_and_keys_and_networks() {
    let text = r#"
        [media]
        networks = { "10.0.0.0/8" = "10.0.0.5", "2001:db8::/32" = "2001:db8::20" }
        port_rest_s = 0
        [targets.bot]
        uri = "sip:bot@[2001:db8::9]:5070"
        codecs = ["opus", "pcma", "L16/16000", "L16"]
        srtp = "required"
        [[route]]
        name = "all"
        targets = ["bot"]
        scenario = "general"
        srtp = "optional"
        keys = "any"
    "#;
    let settings = Settings::parse(text, Path::new("c.toml")).expect("good");
    let shown: Vec<String> = settings.media.networks.iter().map(|(net, shown)| format!("{net} {shown}")).collect();
    assert_eq!(shown, ["10.0.0.0/8 10.0.0.5", "2001:db8::/32 2001:db8::20"]);
    assert_eq!(settings.media.port_rest, Duration::ZERO);
    let bot = &settings.targets["bot"];
    assert_eq!(bot.address(), "2001:db8::9".parse().ok());
    assert_eq!(bot.audio.codecs, [Codec::Opus, Codec::Pcma, Codec::L16Wide, Codec::L16Narrow]);
    let protection = |wanted, exchange| Protection { wanted, exchange };
    assert_eq!(bot.audio.protection, protection(Wanted::Required, Exchange::Sdes));
    assert_eq!(settings.routes.0[0].audio.protection, protection(Wanted::Optional, Exchange::Any));
    assert_eq!(settings.routes.0[0].audio.codecs, []);
}

#[test]
fn names_faults_in_codecs_and_keys_and_networks() {
    check(
        "[targets.bot]\nuri = \"sip:bot@10.0.0.1\"\ncodecs = [\"G729\"]\nsrtp = true\nkeys = \"zrtp\"",
        &[
            "targets.bot.codecs: found [\"G729\"], expected a list of codecs, best first: \"PCMA\", \"PCMU\", \"G722\", \"opus\", \"L16/8000\", \"L16/16000\"",
            "targets.bot.srtp: found true, expected \"off\", \"optional\" or \"required\"",
            "targets.bot.keys: found \"zrtp\", expected \"sdes\", \"dtls\" or \"any\"",
        ],
    );
    for off in ["", "srtp = \"off\"\n"] {
        check(
            &format!("[targets.bot]\nuri = \"sip:bot@10.0.0.1\"\n{off}keys = \"dtls\""),
            &[
                "targets.bot.keys: found keys for audio that is not protected, expected srtp = \"optional\" or \"required\" beside it",
            ],
        );
    }
    for networks in ["{ x = \"10.0.0.5\" }", "{ \"10.0.0.0/8\" = \"0.0.0.0\" }", "{ \"10.0.0.0/8\" = 1 }"] {
        let text = format!("[media]\nnetworks = {networks}");
        let faults = Settings::parse(&text, Path::new("c.toml")).expect_err("a bad table");
        assert!(faults[0].to_string().starts_with("c.toml: media.networks: found "), "{}", faults[0]);
    }
}

#[test]
fn targets_by_number_have_an_address() {
    for (uri, proxy, expected) in [
        ("sip:bot@10.0.0.9", None, Some("10.0.0.9")),
        ("sip:10.0.0.9:5070;transport=udp", None, Some("10.0.0.9")),
        ("sip:bot@[2001:db8::9]", None, Some("2001:db8::9")),
        ("sip:bot@pbx.example", None, None),
        ("sip:bot@pbx.example", Some("192.0.2.10:5060"), Some("192.0.2.10")),
    ] {
        let proxy = proxy.map(|proxy: &str| proxy.parse().expect("a socket"));
        let target = Target { uri: uri.to_owned(), proxy, audio: AudioTerms::default() };
        assert_eq!(target.address(), expected.map(|address| address.parse().expect("an address")), "{uri}");
    }
}

#[test]
fn a_missing_file_is_a_fault() {
    let faults = Settings::load(Path::new("/nowhere/calmline.toml")).expect_err("no such file");
    assert!(faults[0].to_string().starts_with("/nowhere/calmline.toml: the whole file: found "), "{}", faults[0]);
}

#[test]
fn the_shipped_configuration_is_good_and_its_comments_tell_the_defaults() {
    let text = include_str!("../../../config/calmline.toml");
    let settings = Settings::parse(text, Path::new("config/calmline.toml")).expect("good");
    // Every commented-out `key = value` line is put in force: it must be understood, and be the default it claims to be.
    let examples =
        ["external_address", "address", "token_file", "runtime", "model", "proxy", "cpus", "codecs", "networks"];
    let in_force: Vec<&str> = text
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(key) if key.contains(" = ") && !examples.iter().any(|e| key.starts_with(e)) && is_key(key) => key,
            _ => line,
        })
        .collect();
    assert!(in_force.contains(&"calls = 500"));
    let spelled_out = Settings::parse(&in_force.join("\n"), Path::new("config/calmline.toml")).expect("good");
    assert_eq!(format!("{spelled_out:?}"), format!("{settings:?}"));
}

fn is_key(line: &str) -> bool {
    line.split(" = ").next().is_some_and(|key| key.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
}

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let faults = Settings::parse(text, Path::new("c.toml")).expect_err("a bad configuration");
    let got: Vec<String> = faults.iter().map(Fault::to_string).collect();
    let expected: Vec<String> = expected.iter().map(|fault| format!("c.toml: {fault}")).collect();
    assert_eq!(got, expected);
}
