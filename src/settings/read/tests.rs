//! Configuration texts, what they mean and what is wrong with them.

use std::path::PathBuf;
mod shipped;

use std::time::Duration;

use super::*;
use crate::recognizer::Engine;
use crate::settings::{Account, ClientCertificate, PasswordSource, PbxKind, RequestView, SecretSource, TokenSource};
use crate::shell::sip::{Algorithm, SipTransport};

#[test]
fn an_empty_file_is_the_default() {
    let settings = Settings::parse("", Path::new("etc/calmline.toml")).expect("good");
    assert_eq!(settings.sip.listeners, SipSettings::default().listeners);
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
[supervision]
per_call = 3
uris = ["sip:8???@192.0.2.9", "sip:*@desk.example"]
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
    assert_eq!(settings.sip.shown(settings.sip.listen()).to_string(), "192.0.2.20:5060");
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
    let uris = &settings.supervision.uris;
    assert_eq!((settings.supervision.per_call, uris.len(), uris[0].matches("sip:8001@192.0.2.9")), (3, 2, true));
    let web = settings.web.expect("a web section");
    assert!(matches!(web.token, TokenSource::File(path) if path == Path::new("/etc/token")));
    assert_eq!(settings.targets["bot"].proxy.map(|proxy| proxy.port()), Some(5060));
    assert_eq!(settings.routes.0[0].targets, ["bot"]);
}

#[test]
fn supervisors_are_two_and_their_addresses_name_a_host() {
    let none = Settings::parse("", Path::new("calmline.toml")).expect("good").supervision;
    assert_eq!((none.per_call, none.uris.len()), (2, 0));
    check("[supervision]\nper_call = 4", &["supervision.per_call: found 4, expected a whole number from 0 to 3"]);
    for text in ["*", "sip:*", "sip:8*@*", "8001@192.0.2.9", "tel:8001"] {
        check(
            &format!("[supervision]\nuris = [\"{text}\"]"),
            &[&format!(
                "supervision.uris: found [\"{text}\"], expected a list of patterns of SIP URIs, e.g. [\"sip:8???@192.0.2.10\"]"
            )],
        );
    }
}

#[test]
fn a_plain_address_hides_nothing() {
    for (uri, expected) in [
        ("sip:8001@192.0.2.9", true),
        ("sip:8001@192.0.2.9:5060", true),
        ("sip:+86-138.x_y*#@pbx.example", true),
        ("sip:8001@pbx.example:5070", true),
        ("sip:8001@[2001:db8::9]", true),
        ("sip:8001@[2001:db8::9]:5060", true),
        ("sip:8001@evil.example;x=@192.0.2.9", false),
        ("sip:8001@evil@192.0.2.9", false),
        ("sip:8001:secret@192.0.2.9", false),
        ("sip:8001@192.0.2.9;transport=tcp", false),
        ("sip:8001@192.0.2.9?Route=x", false),
        ("sip:8001%40evil@192.0.2.9", false),
        ("sip:8001@192.0.2.9 ", false),
        ("sip:8001@192.0.2.9:0", false),
        ("sip:8001@192.0.2.9:99999", false),
        ("sip:8001@[::1", false),
        ("sip:8001@", false),
        ("sip:@192.0.2.9", false),
        ("sip:192.0.2.9", false),
        ("sips:8001@192.0.2.9", false),
        ("", false),
    ] {
        assert_eq!(crate::settings::is_plain_sip(uri), expected, "{uri}");
    }
}

#[test]
fn names_faults_in_addresses() {
    check(
        "[sip]\nlisten = \"5060\"",
        &[
            "sip.listen: found \"5060\", expected \"IP:PORT\", e.g. \"192.0.2.20:5060\" or \"[2001:db8::20]:5060\", or a list of them, each with or without udp://, tcp://, tls://, ws:// or wss:// before it",
        ],
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
fn reads_transports_and_trunks() {
    let text = r#"
[sip]
listen = ["udp://0.0.0.0:5060", "udp://[::]:5060", "tcp://0.0.0.0:5060", "tls://0.0.0.0:5061", "wss://0.0.0.0:5063"]
external_address = ["192.0.2.20", "2001:db8::20"]
unknown_sources = "forbidden"
requests_per_s = 20
dns = ["192.0.2.53:53"]
origins = ["https://desk.example"]
[sip.tls]
certificate = "tls/us.pem"
key = "tls/us.key"
authorities = "tls/them.pem"
minimum = "1.3"
[trunks.carrier]
sources = ["198.51.100.0/24"]
transports = ["tls"]
client_certificate = "required"
certificate_names = ["sbc.carrier.example"]
uri = "sips:carrier.example"
health_s = 30
authentication = { user = "them", password_env = "THEM", algorithms = ["SHA-512-256", "MD5"] }
credentials = { user = "us", password_file = "carrier.password" }
register = { address = "sip:us@carrier.example", expires_s = 300 }
[targets.queue]
uri = "sip:queue@carrier.example;transport=tls"
trunk = "carrier"
"#;
    let settings = Settings::parse(text, Path::new("/c/calmline.toml")).expect("a good configuration");
    let sip = &settings.sip;
    assert_eq!(sip.listeners.len(), 5);
    assert_eq!((sip.listeners[4].transport, sip.listeners[4].address.port()), (SipTransport::Wss, 5063));
    assert_eq!(sip.shown("[::]:5060".parse().expect("an address")).to_string(), "[2001:db8::20]:5060");
    let tls = sip.tls.as_ref().expect("a section");
    assert_eq!((tls.allows_1_2, tls.key.as_path()), (false, Path::new("/c/tls/us.key")));
    let trunk = &settings.trunks["carrier"];
    assert_eq!(trunk.client_certificate, ClientCertificate::Required);
    let authentication = trunk.authentication.as_ref().expect("a section");
    assert_eq!((authentication.realm.as_str(), authentication.algorithms[0]), ("calmline", Algorithm::Sha512_256));
    let password = PasswordSource::File("/c/carrier.password".into());
    assert_eq!(trunk.credentials, Some(Account { user: "us".into(), password }));
    assert_eq!(trunk.register.as_ref().map(|register| register.expires.as_secs()), Some(300));
    assert_eq!(settings.targets["queue"].trunk.as_deref(), Some("carrier"));
}

#[test]
fn names_faults_in_transports_and_trunks() {
    check(
        "[sip]\nlisten = \"tls://127.0.0.1:5061\"",
        &["sip.tls: found nothing, but a listener for tls, expected a section [sip.tls] with certificate and key"],
    );
    check(
        "[sip]\nlisten = [\"127.0.0.1:5060\", \"127.0.0.2:5060\"]",
        &["sip.listen: found more than one UDP socket of one address family, expected one for IPv4 and one for IPv6"],
    );
    check(
        "[sip]\nlisten = [\"tcp://127.0.0.1:5060\", \"ws://127.0.0.1:5060\"]",
        &["sip.listen: found \"127.0.0.1:5060\" twice, expected a socket once"],
    );
    check(
        "[trunks.a]\nhealth_s = 30\nclient_certificate = \"required\"",
        &[
            "trunks.a.client_certificate: found no authorities to check it by, expected authorities in [sip.tls]",
            "trunks.a.health_s: found no uri of the trunk, expected uri = \"sip:…\" beside it: where it is asked",
        ],
    );
    check(
        "[trunks.a]\ncredentials = { user = \"us\" }",
        &["trunks.a.credentials.password_file: found nothing, expected password_file or password_env"],
    );
    check(
        "[trunks.a]\nauthentication = { user = \"them\", password_env = \"THEM\" }",
        &["trunks.a.authentication: found no sources of the trunk, expected sources beside it: where it calls from"],
    );
    check(
        "[targets.a]\nuri = \"sip:a@b\"\ntrunk = \"c\"",
        &["targets.a.trunk: found \"c\", expected the name of a [trunks.NAME]; there are: "],
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
    check(
        "[web]\ntoken_env = \"A\"\n[web.tokens.crm]\ntenant = \"acme\"\ntoken_env = \"B\"",
        &["web.tokens: found \"acme\" as the tenant of crm, expected the tenant of a [[route]]"],
    );
    for origin in ["crm.example", "https://crm.example/desk", "https://crm.example; script-src *", "https://"] {
        check(
            &format!("[web]\ntoken_env = \"A\"\nframe_ancestors = [\"{origin}\"]"),
            &[&format!(
                "web.frame_ancestors: found [\"{origin}\"], expected a list of at most 16 origins, e.g. \
                 [\"https://crm.example.com\"]"
            )],
        );
    }
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
fn far_ends_in_networks_of_their_own_are_shown_another_address() {
    let text = r#"
        [sip]
        listen = ["udp://0.0.0.0:5060", "udp://[2001:db8::9]:5060"]
        external_address = "192.0.2.20"
        networks = { "10.0.0.0/8" = "10.0.0.5", "10.9.0.0/16" = "10.9.0.5" }
    "#;
    let settings = |media: &str| Settings::parse(&format!("{text}{media}"), Path::new("c.toml")).expect("good");
    let sip = settings("").sip;
    for (remote, bound, shown) in [
        ("10.2.3.4", "0.0.0.0:5060", "10.0.0.5:5060"),
        ("::ffff:10.9.3.4", "0.0.0.0:5062", "10.9.0.5:5062"),
        ("198.51.100.7", "0.0.0.0:5060", "192.0.2.20:5060"),
        // What is of another family than the socket is nowhere that answers come.
        ("10.2.3.4", "[2001:db8::9]:5060", "[2001:db8::9]:5060"),
    ] {
        let (far, own) = (remote.parse().expect("an address"), bound.parse().expect("an address"));
        assert_eq!(sip.shown_to(far, own).to_string(), shown, "{remote} at {bound}");
    }
    assert_eq!(settings("").media.networks, sip.networks);
    assert_eq!(settings("[media]\nexternal_address = \"192.0.2.7\"").media.networks, Networks::default());
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
    let shown: Vec<String> = settings.media.networks.0.iter().map(|(net, shown)| format!("{net} {shown}")).collect();
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
fn reads_pbxes_and_places() {
    let text = r#"
[pbx.asterisk]
kind = "ami"
address = "192.0.2.10:5038"
user = "calmline"
secret_file = "secret"
[pbx.rest]
kind = "ari"
url = "http://192.0.2.10:8088/ari/"
user = "calmline"
secret_env = "ARI"
within_s = 20
[pbx.switch]
kind = "esl"
address = "[2001:db8::9]:8021"
secret_env = "ESL"
channel_header = "X-UUID"
[pbx.crm]
kind = "webhook"
url = "https://crm.example/calmline"
[targets.human]
uri = "sip:700@192.0.2.10"
dialplan = "queues, 700, 2"
endpoint = "PJSIP/agent1"
queue_priority = 10
variables = { team = "gold" }
user_to_user = true
[[route]]
name = "all"
targets = ["human"]
scenario = "s"
returning = { target = "human", level = "medium", within_h = 2 }
remember_speakers = true
[listening]
scores = true
functionals = true
"#;
    let settings = Settings::parse(text, Path::new("/etc/c.toml")).expect("good");
    let pbx = |name: &str| &settings.pbxes[name];
    let secret = SecretSource::File("/etc/secret".into());
    assert!(matches!(&pbx("asterisk").kind, PbxKind::Ami { secret: found, .. } if *found == secret));
    assert!(matches!(&pbx("rest").kind, PbxKind::Ari { url, app, .. } if url.ends_with("/ari") && app == "calmline"));
    let terms = [pbx("switch").terms(), pbx("crm").terms()];
    let said = terms.map(|terms| (terms.channel_header, terms.needs_channel, terms.within.as_secs()));
    assert_eq!(said, [("X-UUID".to_owned(), true, 5), ("X-PBX-Channel".to_owned(), false, 5)]);
    let Target { place, user_to_user, .. } = &settings.targets["human"];
    let dialplan = place.dialplan.as_ref().map(|at| (at.context.as_str(), at.extension.as_str(), at.priority));
    assert_eq!((dialplan, place.queue_priority, *user_to_user), (Some(("queues", "700", 2)), Some(10), true));
    let returning = settings.routes.0[0].returning.as_ref().expect("it is there");
    assert_eq!((returning.level, returning.within.as_secs()), (nlu::Level::Medium, 7_200));
    let ListeningSettings { remember_speakers, scores, functionals, .. } = settings.listening;
    assert_eq!(
        (settings.routes.0[0].remember_speakers, remember_speakers, scores, functionals),
        (Some(true), false, true, true)
    );
}

#[test]
fn names_faults_in_pbxes() {
    check(
        "[pbx.d]\nkind = \"esl\"\naddress = \"192.0.2.1:8021\"\nsecret_env = \"S\"\nauthorities = \"ca.pem\"\n\
         [pbx.e]\nkind = \"ami\"\naddress = \"192.0.2.1:5038\"\nuser = \"u\"\nsecret_env = \"S\"\nserver_name = \"x\"\n\
         [pbx.refer]\nkind = \"webhook\"\nurl = \"http://x\"\n[pbx.a]\nkind = \"sip\"\naddress = 1\n\
         [pbx.b]\nkind = \"ami\"\naddress = \"192.0.2.1:5038\"\nuser = \"u\"\n\
         [pbx.c]\nkind = \"ari\"\nurl = \"ws://x/ari\"\nuser = \"u\"\nsecret_env = \"S\"\n\
         [targets.t]\nuri = \"sip:t@x\"\ndialplan = \"700\"",
        &[
            "pbx.a.kind: found \"sip\", expected \"ami\", \"ari\", \"esl\" or \"webhook\"",
            "pbx.b.secret_env: found nothing, expected secret_env or secret_file",
            "pbx.c.url: found \"ws://x/ari\", expected a URL, https:// or http://, e.g. \"https://pbx.example:8089/ari\"",
            "pbx.d.authorities: found no TLS to check by them, expected tls = true (ami) or a URL with https:// beside it",
            "pbx.e.server_name: found no TLS, expected tls = true beside it",
            "pbx.refer: found \"refer\", expected a name of 1-64 letters, digits, \"-\", \"_\" or \".\" that is no way of SIP",
            "targets.t.dialplan: found \"700\", expected \"CONTEXT,EXTENSION\" or \"CONTEXT,EXTENSION,PRIORITY\", e.g. \"queues,700,1\"",
        ],
    );
}

#[test]
fn reads_what_is_done_with_headers() {
    let text = r#"
        [targets.bot]
        uri = "sip:bot@10.0.0.9"
        headers = { pass = ["X-*"], drop = ["x-secret"], identity = "untrusted", hide_hosts = true }
        [[route]]
        name = "all"
        targets = ["bot"]
        scenario = "general"
        headers.set = { "X-Tenant" = "shop" }
    "#;
    let settings = Settings::parse(text, Path::new("c.toml")).expect("good");
    let rules = &settings.targets["bot"].headers;
    assert_eq!((rules.trusted, rules.hides_hosts, rules.pass.len(), rules.changes.drop.len()), (false, true, 1, 1));
    assert_eq!(settings.routes.0[0].headers.set, [("X-Tenant".to_owned(), "shop".to_owned())]);
    for set in ["{ Via = \"x\" }", "{ \"X Y\" = \"x\" }", "{ Require = \"100rel\" }", "{ X-Y = 1 }"] {
        let text = format!("[targets.bot]\nuri = \"sip:bot@10.0.0.9\"\nheaders.set = {set}");
        let faults = Settings::parse(&text, Path::new("c.toml")).expect_err("a bad table");
        assert!(faults[0].to_string().starts_with("c.toml: targets.bot.headers.set: found "), "{}", faults[0]);
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
        let target = Target { uri: uri.to_owned(), proxy, ..Target::default() };
        assert_eq!(target.address(), expected.map(|address| address.parse().expect("an address")), "{uri}");
    }
}

#[test]
fn forked_calls_have_routes_of_their_own() {
    let text = "[forks]\naudiosocket = \"10.0.0.1:9092\"\nagents = [\"sip:7*@*\"]\nfirst = \"callee\"\n\
        [[route]]\nname = \"recorded\"\nforked = true\nscenario = \"any\"";
    let settings = Settings::parse(text, Path::new("c.toml")).expect("good");
    assert_eq!(settings.forks.audiosocket, Some("10.0.0.1:9092".parse().expect("a socket")));
    assert_eq!((settings.forks.websocket, settings.forks.agents.len()), (None, 1));
    let view = RequestView { request_uri: "sip:recorder@c", to: "", from: "", headers: &[] };
    assert!(settings.routes.find_forked(&view).is_some() && settings.routes.find(&view).is_none());
    check(
        "[targets.bot]\nuri = \"sip:bot@10.0.0.1\"\n[forks]\nfirst = \"both\"\naudiosocket = \"9092\"\n\
         [[route]]\nname = \"recorded\"\nforked = true\ntargets = [\"bot\"]\nscenario = \"any\"",
        &[
            "forks.first: found \"both\", expected \"caller\" or \"callee\"",
            "forks.audiosocket: found \"9092\", expected \"IP:PORT\", e.g. \"192.0.2.20:5060\" or \"[2001:db8::20]:5060\"",
            "route[1].targets: found [\"bot\"], expected no targets: a forked call is only listened to",
        ],
    );
}

#[test]
fn one_library_computes_for_whatever_hears_words() {
    let runtime = Some(PathBuf::from("/nowhere.so"));
    let dictation = |engine: &Engine| matches!(engine, Engine::Dictation(dictation) if dictation.runtime == runtime);
    let built_in = |engine: &Engine| *engine == Engine::BuiltIn { runtime: runtime.clone() };
    for engine in ["engine = \"built-in\"", "engine = \"funasr\"\nurl = \"asr:1\"\nfallback = \"built-in\""] {
        assert!(built_in(&heard_by(engine)), "{engine}");
    }
    assert!(dictation(&heard_by("engine = \"sherpa-onnx\"")));
}

/// What hears words here, where `[listening]` names a library and `[recognition]` has these keys.
fn heard_by(keys: &str) -> Engine {
    let text = format!("[listening]\nruntime = \"/nowhere.so\"\n[recognition]\n{keys}\n");
    let settings = Settings::parse(&text, Path::new("calmline.toml")).expect("good");
    settings.recognition.expect("asked for").engine.local().expect("somebody").clone()
}

#[test]
fn a_missing_file_is_a_fault() {
    let faults = Settings::load(Path::new("/nowhere/calmline.toml")).expect_err("no such file");
    assert!(faults[0].to_string().starts_with("/nowhere/calmline.toml: the whole file: found "), "{}", faults[0]);
}

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let faults = Settings::parse(text, Path::new("c.toml")).expect_err("a bad configuration");
    let got: Vec<String> = faults.iter().map(Fault::to_string).collect();
    let expected: Vec<String> = expected.iter().map(|fault| format!("c.toml: {fault}")).collect();
    assert_eq!(got, expected);
}
