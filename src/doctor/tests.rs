//! What is found on machines that are told, and how it is said.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use super::files::certificate;
use super::machine::{Machine, capabilities, ranges, receive_errors, two};
use super::*;
use crate::settings::{BusSettings, Listener, MasterKeySource, PortRange, TlsSettings, TokenSource, WebSettings};
use crate::shell::media::RECEIVE_BUFFER_BYTES;
use crate::shell::sip::SipTransport;
use crate::web::DEFAULT_LISTEN;

/// A machine on which nothing is amiss.
fn sound() -> Machine {
    Machine {
        files: Some(65_536),
        service_user: None,
        realtime: Some(true),
        receive_buffer: Some(RECEIVE_BUFFER_BYTES as u64),
        datagrams_lost: Some(0),
        ephemeral: Some((32_768, 60_999)),
        reserved: Vec::new(),
        processors: 4,
        synchronised: Some(true),
        clock_source: Some("tsc".to_owned()),
        governor: Some("performance".to_owned()),
    }
}

#[test]
fn machines() {
    check_machine(|_, _| {}, &[]);
    check_machine(|machine, _| machine.service_user = Some("calmline".to_owned()), &[("user", Verdict::Warn)]);
    check_machine(|machine, _| machine.files = Some(4_096), &[("open files", Verdict::Fail)]);
    check_machine(
        |machine, settings| {
            machine.files = Some(1_024);
            settings.limits.calls = 20;
            settings.sip.connections = 50;
        },
        &[],
    );
    check_machine(|machine, _| machine.realtime = Some(false), &[("priority of media threads", Verdict::Warn)]);
    check_machine(
        |machine, settings| {
            machine.realtime = Some(false);
            settings.media.priority = crate::shell::media::MediaPriority::Normal;
        },
        &[],
    );
    check_machine(|machine, _| machine.receive_buffer = Some(212_992), &[("receive buffer", Verdict::Warn)]);
    check_machine(|machine, _| machine.datagrams_lost = Some(3), &[("datagrams lost by full buffers", Verdict::Warn)]);
    let shared = [("ports of RTP and of the kernel", Verdict::Warn)];
    check_machine(|machine, _| machine.ephemeral = Some((1_024, 60_999)), &shared);
    check_machine(
        |machine, _| {
            machine.ephemeral = Some((1_024, 60_999));
            machine.reserved = vec![(5_060, 5_060), (20_000, 29_998)];
        },
        &[],
    );
    check_machine(|machine, _| machine.reserved = vec![(20_000, 20_010)], &[]);
    check_machine(|_, settings| settings.media.threads = 4, &[("processors", Verdict::Warn)]);
    check_machine(|_, settings| settings.media.cpus = vec![0, 4], &[("processors", Verdict::Fail)]);
    check_machine(|machine, _| machine.synchronised = Some(false), &[("clock", Verdict::Warn)]);
    check_machine(|machine, _| machine.synchronised = None, &[("clock", Verdict::Warn)]);
    check_machine(|machine, _| machine.clock_source = Some("hpet".to_owned()), &[("clock source", Verdict::Warn)]);
    check_machine(
        |machine, _| machine.governor = Some("powersave".to_owned()),
        &[("speed of processors", Verdict::Warn)],
    );
    assert!(machine::look(&Machine { processors: 2, ..Machine::default() }, &Settings::default()).len() >= 2);
}

/// Changes the sound machine or the settings; `amiss` is all that is told besides what is well.
#[track_caller]
fn check_machine(change: impl Fn(&mut Machine, &mut Settings), amiss: &[(&str, Verdict)]) {
    let (mut machine, mut settings) = (sound(), Settings::default());
    change(&mut machine, &mut settings);
    let findings = machine::look(&machine, &settings);
    assert_eq!(findings.len(), 10, "{findings:?}");
    let found: Vec<(&str, Verdict)> = findings
        .iter()
        .filter(|finding| finding.verdict != Verdict::Ok)
        .map(|finding| (finding.what.as_str(), finding.verdict))
        .collect();
    assert_eq!(found, amiss);
    assert!(findings.iter().all(|finding| finding.mend.is_some() == (finding.verdict != Verdict::Ok)));
}

#[test]
fn what_the_kernel_writes() {
    assert_eq!(capabilities("Name:\tcalmline\nCapEff:\t0000000000800000\n"), Some(1 << 23));
    assert_eq!(capabilities("Name:\tcalmline\nCapEff:\tmany\n"), None);
    let snmp = "Ip: Forwarding\nIp: 1\nUdp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors\nUdp: 9 0 0 9 42\n";
    assert_eq!(receive_errors(snmp), Some(42));
    assert_eq!(receive_errors("Udp: InDatagrams RcvbufErrors\nUdp: 9\n"), None);
    assert_eq!(two("32768\t60999"), Some((32_768, 60_999)));
    assert_eq!(two("32768"), None);
    assert_eq!(ranges("5060,20000-29998"), [(5_060, 5_060), (20_000, 29_998)]);
    assert_eq!(ranges(""), []);
    assert_eq!(ranges("a-b,70000,8088"), [(8_088, 8_088)]);
}

#[test]
fn sockets_that_others_have() {
    let (udp, tcp) =
        (UdpSocket::bind("127.0.0.1:0").expect("a port"), TcpListener::bind("127.0.0.1:0").expect("a port"));
    let (udp, tcp) = (udp.local_addr().map(|at| (udp, at)), tcp.local_addr().map(|at| (tcp, at)));
    let ((_udp, at), (_tcp, tcp_at)) = (udp.expect("its address"), tcp.expect("its address"));
    let mut settings = Settings::default();
    let listener = |transport, address| Listener { transport, address };
    settings.sip.listeners = vec![listener(SipTransport::Udp, at), listener(SipTransport::Tcp, tcp_at)];
    let even = at.port() & !1;
    settings.media.ports = PortRange { first: even, last: even + 1 };
    settings.limits.calls = 1;
    let findings = sockets::look(&settings, false);
    let verdicts: Vec<Verdict> = findings.iter().map(|finding| finding.verdict).collect();
    assert_eq!(verdicts, [Verdict::Fail; 3], "{findings:?}");
    assert!(sockets::look(&settings, true).iter().all(|finding| finding.verdict == Verdict::Ok));
}

#[test]
fn certificates_by_their_days() {
    let mut wanted = rcgen::CertificateParams::new(vec!["calmline.example".to_owned()]).expect("a name");
    (wanted.not_before, wanted.not_after) = (rcgen::date_time_ymd(2026, 1, 1), rcgen::date_time_ymd(2026, 4, 1));
    let key = rcgen::KeyPair::generate().expect("a key");
    let pem = wanted.self_signed(&key).expect("a certificate").pem();
    let day = |day: i64| 1_767_225_600 + day * 86_400;
    for (now, expected) in [
        (day(-1), Verdict::Fail),
        (day(1), Verdict::Ok),
        (day(68), Verdict::Ok),
        (day(70), Verdict::Warn),
        (day(91), Verdict::Fail),
    ] {
        let finding = certificate(Path::new("tls.pem"), pem.as_bytes(), now);
        assert_eq!(finding.verdict, expected, "{now}: {finding}");
    }
    assert_eq!(certificate(Path::new("tls.pem"), b"nothing", 0).verdict, Verdict::Fail);
}

#[test]
fn the_apis_certificate_and_the_buss_credentials_are_looked_at() {
    let root = tempfile::tempdir().expect("a folder");
    let written = |name: &str, mode: u32| {
        let file = root.path().join(name);
        std::fs::write(&file, "nothing").expect("written");
        std::fs::set_permissions(&file, Permissions::from_mode(mode)).expect("its own");
        file
    };
    let [certificate, key] = [("api.pem", 0o644), ("api.key", 0o640)].map(|(name, mode)| written(name, mode));
    let credentials = written("bus.creds", 0o644);
    let (token, listen) = (TokenSource::File(written("token", 0o600)), DEFAULT_LISTEN);
    let (tokens, frame_ancestors, oidc) = (BTreeMap::new(), Vec::new(), None);
    let reload = Duration::from_secs(10);
    let tls = Some(TlsSettings { certificate, key, authorities: None, allows_1_2: true, reload });
    let bus = BusSettings {
        url: "nats://bus.example:4222".to_owned(),
        stream: "CALMLINE".to_owned(),
        tls: true,
        authorities: None,
        credentials: Some(credentials),
    };
    let web = WebSettings { listen, token, tokens, frame_ancestors, oidc, tls };
    let settings = Settings { web: Some(web), bus: Some(bus), ..Settings::default() };
    let told = |findings: Vec<Finding>| {
        let name = |finding: &Finding| finding.what.rsplit_once('/').map(|(_, name)| name.to_owned());
        findings.iter().map(|finding| (name(finding).expect("a path"), finding.verdict)).collect::<Vec<_>>()
    };
    assert_eq!(told(files::certificates(&settings).collect()), [("api.pem".to_owned(), Verdict::Fail)]);
    let expected = [("token", Verdict::Ok), ("api.key", Verdict::Ok), ("bus.creds", Verdict::Fail)];
    assert_eq!(told(files::secrets(&settings)), expected.map(|(name, verdict)| (name.to_owned(), verdict)));
}

#[test]
fn a_master_key_is_read_and_not_only_there() {
    let root = tempfile::tempdir().expect("a folder");
    let (good, broken) = (root.path().join("good"), root.path().join("broken"));
    std::fs::write(&good, "ab".repeat(32)).expect("written");
    std::fs::write(&broken, "ab".repeat(31)).expect("written");
    let check = |source: MasterKeySource, folder: &Path, verdict: Verdict, said: &str| {
        let finding = files::master_key("master key", &source, (folder, "put it back"));
        assert!(finding.verdict == verdict && finding.found.contains(said), "{source:?}: {finding}");
    };
    check(MasterKeySource::File(good), root.path(), Verdict::Ok, "good");
    check(MasterKeySource::File(broken), root.path(), Verdict::Fail, "62 characters");
    check(MasterKeySource::File(root.path().join("gone")), root.path(), Verdict::Fail, "No such file");
    // There, and nothing that can be read.
    check(MasterKeySource::File(root.path().to_owned()), root.path(), Verdict::Fail, "Is a directory");
    check(MasterKeySource::Variable("PATH".to_owned()), root.path(), Verdict::Fail, "PATH");
    check(MasterKeySource::Beside, root.path(), Verdict::Warn, "beside what it protects");
    std::fs::write(root.path().join("master.key"), "nothing").expect("written");
    check(MasterKeySource::Beside, root.path(), Verdict::Fail, "master.key");
}

#[test]
fn findings_as_people_read_them() {
    assert_eq!(Finding::ok("clock", "follows a server of time").to_string(), "ok    clock: follows a server of time");
    let finding = Finding::fail("open files", "1024 allowed", "LimitNOFILE=65536");
    assert_eq!(finding.to_string(), "FAIL  open files: 1024 allowed\n      → LimitNOFILE=65536");
    let json = serde_json::to_string(&finding).expect("JSON");
    assert_eq!(json, r#"{"what":"open files","verdict":"fail","found":"1024 allowed","mend":"LimitNOFILE=65536"}"#);
}
