//! Two nodes and a real NATS server, which is cut off and comes back.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;

use super::*;
use crate::notice::{AlertDeed, Notice};
use crate::notice_samples::one_of_each;

/// A NATS server that ends with this.
pub(crate) struct Nats {
    child: Child,
    port: u16,
    folder: TempDir,
}

impl Drop for Nats {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Nats {
    /// One on a port of its own, where the program is there; with more in its configuration.
    #[expect(clippy::print_stdout, reason = "a test that needs a program says so")]
    pub(crate) fn start(more: &str) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").port();
        std::fs::write(folder.path().join("nats.conf"), more).expect("written");
        let Some(child) = run(folder.path(), port) else {
            println!("skipped: no nats-server");
            return None;
        };
        Some(Self { child, port, folder })
    }

    pub(crate) fn cut(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    fn heal(&mut self) {
        self.child = run(self.folder.path(), self.port).expect("it was there");
    }

    pub(crate) fn settings(&self) -> BusSettings {
        BusSettings {
            url: format!("nats://127.0.0.1:{}", self.port),
            stream: "CALMLINE".to_owned(),
            tls: false,
            authorities: None,
            credentials: None,
        }
    }
}

fn run(folder: &Path, port: u16) -> Option<Child> {
    let mut command = Command::new("nats-server");
    command.args(["-js", "-a", "127.0.0.1", "-p", &port.to_string()]).arg("-sd").arg(folder);
    command.arg("-c").arg(folder.join("nats.conf"));
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()
}

/// A node that is told of calls.
struct Node {
    bus: Arc<Bus>,
    escalating: Escalating,
    metrics: Metrics,
    link: Link,
}

impl Node {
    async fn start(name: &str, settings: &BusSettings) -> Self {
        let (bus, metrics) = (Arc::new(Bus::of_node(name)), Metrics::new());
        let address = Some(format!("https://{name}.example"));
        let node = NodeSettings { name: name.to_owned(), site: None, address };
        let escalating = Escalating::default();
        let told = (Arc::clone(&bus), escalating.clone(), metrics.clone());
        let link = Link::start(settings, &node, told, format!("run of {name}")).await.expect("it starts");
        Self { bus, escalating, metrics, link }
    }

    fn tell(&self, what: usize, call: &str) {
        self.bus.publish(&Notice { call: call.to_owned(), ..one_of_each().remove(what) });
    }

    /// Calls that are up, by their nodes' names.
    fn up(&self) -> Vec<(String, String)> {
        let whose = |call: &crate::web::CallRecord| (call.node.clone().unwrap_or_default(), call.id.clone());
        self.bus.with_board(|board| board.active().map(whose).collect())
    }

    fn figure(&self, name: &str) -> f64 {
        let text = self.metrics.render();
        let line = text.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')));
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0.0)
    }
}

/// Waits until it is so, which it becomes or the test never ends.
async fn until(is_so: impl Fn() -> bool) {
    while !is_so() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

const PUBLISHED: &str = "calmline_bus_events_total{outcome=\"published\"}";
const DROPPED: &str = "calmline_bus_events_total{outcome=\"dropped\"}";

#[tokio::test(flavor = "multi_thread")]
async fn any_node_shows_the_calls_of_all_and_what_was_missed_is_made_up_for() {
    let Some(mut nats) = Nats::start("") else { return };
    let mut a = Node::start("a", &nats.settings()).await;
    until(|| a.figure("calmline_bus_up") == 1.0).await;
    // Up before the other one is there.
    a.tell(0, "call 1");
    a.tell(0, "call 2");
    let b = Node::start("b", &nats.settings()).await;
    b.tell(0, "call 3");
    let all = ["call 1", "call 2"].map(|call| ("a".to_owned(), call.to_owned()));
    let all: Vec<_> = all.into_iter().chain([("b".to_owned(), "call 3".to_owned())]).collect();
    until(|| a.up() == all && b.up() == all).await;
    let ended = one_of_each().len() - 1;
    a.tell(2, "call 2");
    a.tell(ended, "call 1");
    until(|| b.up().len() == 2).await;
    let target = |node: &Node| node.bus.with_board(|board| board.call("call 2").and_then(|call| call.target.clone()));
    until(|| target(&b).is_some()).await;
    assert_eq!(target(&a), target(&b));
    assert_eq!(b.bus.elsewhere("call 2"), Some(("a".to_owned(), Some("https://a.example".to_owned()))));
    until(|| a.figure(PUBLISHED) >= 2.0).await;

    nats.cut();
    until(|| a.figure("calmline_bus_up") == 0.0 && b.figure("calmline_bus_up") == 0.0).await;
    a.tell(ended, "call 2");
    a.tell(0, "call 4");
    until(|| a.figure(DROPPED) >= 2.0).await;
    nats.heal();
    let all = [("a".to_owned(), "call 4".to_owned()), ("b".to_owned(), "call 3".to_owned())];
    let sorted = |node: &Node| {
        let mut up = node.up();
        up.sort();
        up
    };
    until(|| sorted(&a) == all && sorted(&b) == all).await;

    // Whoever listens to the stream has what was told, once each, under the call's type.
    a.tell(10, "call 4");
    a.link.close().await;
    let client = async_nats::connect(format!("nats://127.0.0.1:{}", nats.port)).await.expect("it is up");
    let stream = jetstream::new(client).get_stream("CALMLINE").await.expect("it was made");
    let last = stream.get_last_raw_message_by_subject("calmline.a.alert").await.expect("it is kept");
    let json: serde_json::Value = serde_json::from_slice(&last.payload).expect("JSON");
    assert_eq!((&json["call"], &json["node"], &json["type"]), (&"call 4".into(), &"a".into(), &"alert".into()));
    assert!(last.headers.get(async_nats::header::NATS_MESSAGE_ID).is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_about_an_alert_at_its_own_node_ends_it_where_it_was_taken_over() {
    let Some(nats) = Nats::start("") else { return };
    let a = Node::start("a", &nats.settings()).await;
    let b = Node::start("b", &nats.settings()).await;
    until(|| a.figure("calmline_nodes_active") == 1.0 && b.figure("calmline_nodes_active") == 1.0).await;
    let samples = one_of_each();
    let alert = &samples[10];
    let What::Alert { rule, .. } = &alert.what else { panic!("it is one") };
    let handled = |rule: &str, snooze_s| {
        let deed = AlertDeed {
            alert_ms: alert.call_ms,
            rule: rule.to_owned(),
            deed: "acknowledged".to_owned(),
            by: "li".to_owned(),
            to: None,
            snooze_s,
        };
        Notice { what: What::AlertHandled(deed), ..alert.clone() }
    };
    for notice in [&samples[0], alert] {
        a.bus.publish(notice);
    }
    let is_told = |node: &Node| node.bus.with_board(|board| board.call(&alert.call).map(|call| call.alerts.len()));
    until(|| is_told(&b) == Some(1)).await;
    b.escalating.hear(alert, &b.bus, Moment::now());
    assert_eq!(b.escalating.waiting().len(), 1, "it was taken over");
    // One of another rule, which nobody has taken over, and one that is put off.
    a.bus.publish(&handled("another", Some(60)));
    a.bus.publish(&handled(rule, Some(600)));
    let since = |node: &Node| node.escalating.waiting().first().map(|alert| alert.since);
    until(|| since(&b) > Some(Moment::now())).await;
    assert_eq!((b.escalating.waiting().len(), a.escalating.waiting()), (1, vec![]));
    a.bus.publish(&handled(rule, None));
    until(|| b.escalating.waiting().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_shows_a_certificate_of_an_authority_that_is_good() {
    let files = tempfile::tempdir().expect("a folder");
    let authority = issuer("good");
    let leaf = KeyPair::generate().expect("a key");
    let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a name");
    let certificate = certificate.signed_by(&leaf, &*authority).expect("a certificate");
    let path = |name: &str| files.path().join(name);
    std::fs::write(path("ca.pem"), authority.pem()).expect("written");
    std::fs::write(path("other.pem"), issuer("other").pem()).expect("written");
    std::fs::write(path("server.pem"), certificate.pem()).expect("written");
    std::fs::write(path("server.key"), leaf.serialize_pem()).expect("written");
    let (pem, key) = (path("server.pem"), path("server.key"));
    let tls = format!("tls {{ cert_file: \"{}\", key_file: \"{}\" }}", pem.display(), key.display());
    let Some(nats) = Nats::start(&tls) else { return };
    let by = |name: &str| BusSettings { tls: true, authorities: Some(path(name)), ..nats.settings() };
    let stranger = Node::start("stranger", &by("other.pem")).await;
    let a = Node::start("a", &by("ca.pem")).await;
    let b = Node::start("b", &by("ca.pem")).await;
    a.tell(0, "call 1");
    until(|| b.up() == a.up() && b.up().len() == 1).await;
    assert_eq!((stranger.figure("calmline_bus_up"), stranger.up()), (0.0, vec![]));
    let missing = BusSettings { authorities: Some(path("nothing.pem")), ..by("ca.pem") };
    let node = NodeSettings { name: "c".to_owned(), site: None, address: None };
    let told = || (Arc::clone(&a.bus), a.escalating.clone(), a.metrics.clone());
    let why = Link::start(&missing, &node, told(), "run".to_owned()).await;
    assert!(why.expect_err("it is not there").contains("bus.authorities: "));
    let missing = BusSettings { credentials: Some(path("nobody.creds")), ..by("ca.pem") };
    let why = Link::start(&missing, &node, told(), "run".to_owned()).await;
    assert!(why.expect_err("it is not there").contains("bus.credentials: "));
}

fn issuer(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_from_outside_finds_the_nodes_that_are_there_and_whether_events_are_kept() {
    let Some(nats) = Nats::start("") else { return };
    let a = Node::start("a", &nats.settings()).await;
    until(|| a.figure("calmline_bus_up") == 1.0).await;
    let survey = Survey::of(&nats.settings()).await.expect("it lets us in");
    assert!(survey.streams.as_ref().is_ok_and(|found| found.contains("streams")), "{survey:?}");
    let Heard { address, version, ahead_ms } = &survey.nodes["a"];
    assert_eq!(address.as_deref(), Some("https://a.example"));
    assert_eq!(version.as_deref(), Some(env!("CARGO_PKG_VERSION")));
    assert!(ahead_ms.is_some_and(|ahead| ahead.abs() < 60_000), "{survey:?}");
    let nowhere = BusSettings { url: "nats://127.0.0.1:1".to_owned(), ..nats.settings() };
    assert!(Survey::of(&nowhere).await.is_err());
}
