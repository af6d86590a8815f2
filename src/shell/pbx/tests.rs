//! Connections that are made, exchanged, secured and lost.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::shell::sip::tests::authority::Authority;

#[tokio::test]
async fn https_is_spoken_and_says_what_went_wrong() {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
        }
    });
    let client = client(&client_by(None).expect("authorities")).expect("TLS has what it needs");
    let error = client.get(format!("https://{address}/?token=secret")).send().await.expect_err("it speaks no TLS");
    let words = in_words(&error);
    assert!(!words.is_empty() && !words.contains("secret"), "{words}");
}

#[tokio::test]
async fn an_order_for_nobody_and_one_too_many() {
    let (metrics, (answers, _inlet)) = (Metrics::new(), mpsc::channel(1));
    let (orders, _waiting) = mpsc::channel(1);
    let mut connectors = Connectors::start(FreshPbxes([].into()), "run", &metrics, &answers);
    let reporter = Reporter::new("asterisk", &metrics, &answers);
    let terms = Terms { settings: webhook("http://127.0.0.1:1"), secret: None, authorities: None };
    let connector = Connector { terms, orders, reporter };
    connectors.present.insert("asterisk".to_owned(), Arc::new(connector));
    let ask = |number: u64, pbx: &str| connectors.ask(order(number, pbx)).map(|answer| answer.outcome);
    let failed = |why: &str| Some(Outcome::Failed(why.to_owned()));
    let got = [ask(1, "nobody"), ask(2, "asterisk"), ask(3, "asterisk")];
    assert_eq!(got, [failed("no PBX of that name"), None, failed("too many orders wait for it")]);
    assert!(metrics.render().contains("calmline_pbx_orders_total{pbx=\"asterisk\",outcome=\"full\"} 1"));
}

#[tokio::test]
async fn what_has_not_changed_stays_connected_and_what_has_gone_serves_those_who_keep_it() {
    let [first, second] = [listen().await, listen().await];
    let (metrics, (answers, mut told)) = (Metrics::new(), mpsc::channel(8));
    let mut connectors = Connectors::start(hooks(&[("a", &first), ("b", &second)]), "run", &metrics, &answers);
    let connection = |connectors: &Connectors, name: &str| Arc::as_ptr(&connectors.present[name]);
    let (a, b) = (connection(&connectors, "a"), connection(&connectors, "b"));

    // The same again, another address, and one that is new.
    let _kept = connectors.exchange(hooks(&[("a", &first), ("b", &first), ("c", &first)]));
    assert_eq!((connection(&connectors, "a") == a, connection(&connectors, "b") == b), (true, false));
    assert!(connectors.ask(order(1, "b")).is_none() && connectors.ask(order(2, "c")).is_none());
    // One whose answer is still to come when it is taken out.
    assert!(connectors.ask(order(3, "a")).is_none());
    let past = connectors.exchange(hooks(&[("b", &first)]));
    assert!(connectors.ask(order(4, "a")).is_none(), "for a call that began before");
    for _ in 0..4 {
        let (mut stream, _) = first.accept().await.expect("a request");
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await.expect("taken");
    }
    let mut done = Vec::new();
    for _ in 0..4 {
        let answer = told.recv().await.expect("connectors live");
        assert_eq!(answer.outcome, Outcome::Done, "{answer:?}");
        done.push(answer.ticket.0);
    }
    done.sort_unstable();
    assert_eq!(done, [1, 2, 3, 4]);

    drop(past);
    let refused = connectors.ask(order(5, "a")).map(|answer| answer.outcome);
    assert_eq!(refused, Some(Outcome::Failed("no PBX of that name".to_owned())));
    while !metrics.render().contains("calmline_pbx_up{pbx=\"a\"} NaN") {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(metrics.render().contains("calmline_pbx_up{pbx=\"b\"} 1"), "{}", metrics.render());
}

#[tokio::test]
async fn a_connection_that_is_configured_no_more_is_closed() {
    let far = listen().await;
    let kind = PbxKind::Esl { address: far.local_addr().expect("an address"), secret: password() };
    let pbxes = FreshPbxes::read(&[("switch".to_owned(), PbxSettings { kind, ..webhook("") })].into());
    let pbxes = pbxes.expect("the secret is there");
    let (metrics, (answers, _told)) = (Metrics::new(), mpsc::channel(8));
    let mut connectors = Connectors::start(pbxes, "run", &metrics, &answers);
    let (mut stream, _) = far.accept().await.expect("a connection");
    stream.write_all(b"Content-Type: auth/request\n\n").await.expect("taken");
    let mut said = [0; 64];
    let length = stream.read(&mut said).await.expect("a password");
    assert_eq!(&said[..length], b"auth MIT License\n\n");
    stream.write_all(b"Content-Type: command/reply\nReply-Text: +OK accepted\n\n").await.expect("taken");
    while !metrics.render().contains("calmline_pbx_up{pbx=\"switch\"} 1") {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(connectors.exchange(FreshPbxes([].into())));
    let end = tokio::time::timeout(Duration::from_secs(10), stream.read(&mut said)).await;
    assert_eq!(end.expect("it is closed").expect("in good order"), 0);
}

#[tokio::test]
async fn certificates_are_checked() {
    let authority = Authority::new("pbx-certificates");
    let stranger = Authority::new("pbx-stranger");
    let far = listen().await;
    let address = far.local_addr().expect("an address");
    let server = TlsAcceptor::from(authority.server("pbx.example"));
    let (tell, mut logins) = mpsc::channel(8);
    tokio::spawn(async move {
        while let Ok((stream, _)) = far.accept().await {
            let Ok(mut stream) = server.accept(stream).await else { continue };
            let mut said = [0; 256];
            let length = stream.read(&mut said).await.unwrap_or(0);
            let _ = tell.send(String::from_utf8_lossy(&said[..length]).into_owned()).await;
            let answer = b"Asterisk Call Manager/9.0.0\r\nResponse: Success\r\nActionID: 1\r\n\r\n";
            let _ = stream.write_all(answer).await;
            let _ = stream.read(&mut said).await;
        }
    });
    let ami = |name: &str, by: &Authority| {
        let kind = PbxKind::Ami { address, tls: Some(name.to_owned()), user: "us".to_owned(), secret: password() };
        let authorities = Some(by.folder.join("authority.pem"));
        FreshPbxes::read(&[("asterisk".to_owned(), PbxSettings { kind, authorities, ..webhook("") })].into())
    };
    let (metrics, (answers, mut told)) = (Metrics::new(), mpsc::channel(8));
    // Another name than the certificate bears, and an authority that has not signed it: nothing is said at all.
    for (name, by) in [("other.example", &authority), ("pbx.example", &stranger)] {
        let mut connectors = Connectors::start(ami(name, by).expect("files"), "run", &metrics, &answers);
        let soon = Order { within: Duration::from_millis(300), ..order(1, "asterisk") };
        assert!(connectors.ask(soon).is_none());
        let answer = told.recv().await.expect("connectors live");
        let Outcome::Failed(why) = answer.outcome else { panic!("{answer:?}") };
        assert!(why.contains("invalid peer certificate"), "{why}");
        drop(connectors.exchange(FreshPbxes([].into())));
    }
    assert!(logins.try_recv().is_err(), "a secret that went to a stranger");
    let _connectors = Connectors::start(ami("pbx.example", &authority).expect("files"), "run", &metrics, &answers);
    let login = logins.recv().await.expect("a login");
    assert!(login.starts_with("Action: Login\r\n") && login.contains("Secret: MIT License\r\n"), "{login}");
    while !metrics.render().contains("calmline_pbx_up{pbx=\"asterisk\"} 1") {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn an_api_that_is_down_while_order_follows_order() {
    let address = listen().await.local_addr().expect("an address");
    let kind = PbxKind::Esl { address, secret: password() };
    let settings = PbxSettings { kind, orders_max: 2, ..webhook("") };
    let pbxes = FreshPbxes::read(&[("switch".to_owned(), settings)].into()).expect("the secret is there");
    let (metrics, (answers, mut told)) = (Metrics::new(), mpsc::channel(64));
    let connectors = Connectors::start(pbxes, "run", &metrics, &answers);
    // One that outlives it, and one after the other that does not; there is room again as orders expire.
    let patient = Order { within: Duration::from_secs(600), ..order(100, "switch") };
    assert!(connectors.ask(patient).is_none());
    for number in 0..12 {
        let within = Duration::from_millis(100);
        assert!(connectors.ask(Order { within, ..order(number, "switch") }).is_none(), "no room for {number}");
        let Some(Answer { ticket, outcome: Outcome::Failed(why) }) = told.recv().await else { panic!("{number}") };
        assert!(ticket.0 == number && why.starts_with("not passed on in time: "), "{ticket:?}: {why}");
    }
    for line in [
        "calmline_pbx_orders_total{pbx=\"switch\",outcome=\"expired\"} 12",
        "calmline_pbx_waiting_orders{pbx=\"switch\"} 1",
        "calmline_pbx_up{pbx=\"switch\"} 0",
    ] {
        // Figures follow what is told.
        let counted = async {
            while !metrics.render().contains(line) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let counted = tokio::time::timeout(Duration::from_secs(10), counted).await;
        assert!(counted.is_ok(), "no {line} in {}", metrics.render());
    }
    // It is back: what has not expired is carried out, and nothing else.
    let far = tokio::net::TcpListener::bind(address).await.expect("its port");
    let (mut stream, _) = far.accept().await.expect("a connection");
    stream.write_all(b"Content-Type: auth/request\n\n").await.expect("taken");
    stream.write_all(b"Content-Type: command/reply\nReply-Text: +OK accepted\n\n").await.expect("taken");
    let mut said = String::new();
    while !said.contains("api ") {
        let mut octets = [0; 512];
        let length = stream.read(&mut octets).await.expect("a command");
        said += &String::from_utf8_lossy(&octets[..length]);
    }
    assert_eq!(said.matches("uuid_broadcast").count(), 1, "{said}");
    stream.write_all(b"Content-Type: api/response\nContent-Length: 4\n\n+OK\n").await.expect("taken");
    let answer = told.recv().await.expect("connectors live");
    assert_eq!((answer.ticket.0, answer.outcome), (100, Outcome::Done));
}

async fn listen() -> tokio::net::TcpListener {
    tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port")
}

fn hooks(named: &[(&str, &tokio::net::TcpListener)]) -> FreshPbxes {
    let pbxes = named.iter().map(|(name, listener)| {
        let address = listener.local_addr().expect("an address");
        ((*name).to_owned(), webhook(&format!("http://{address}/")))
    });
    FreshPbxes::read(&pbxes.collect()).expect("nothing is secret")
}

fn webhook(url: &str) -> PbxSettings {
    PbxSettings {
        kind: PbxKind::Webhook { url: url.to_owned(), secret: None },
        channel_header: String::new(),
        within: Duration::from_secs(5),
        orders_max: 8,
        authorities: None,
    }
}

/// A file whose first line is the secret.
fn password() -> SecretSource {
    SecretSource::File(concat!(env!("CARGO_MANIFEST_DIR"), "/LICENSE-MIT").into())
}

fn order(number: u64, pbx: &str) -> Order {
    let deed = crate::pbx::Deed::Play { channel: "x".to_owned(), media: "y".to_owned() };
    Order { ticket: crate::pbx::Ticket(number), pbx: pbx.to_owned(), deed, within: Duration::from_secs(5) }
}
