//! A receiver that really speaks HTTP and reads protobuf.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};

use super::*;
use crate::notice::{Tags, What};
use crate::pii::Pii;

type Heard = Arc<Mutex<Vec<(String, HeaderMap, Bytes)>>>;

#[tokio::test]
async fn spans_and_lines_come_to_a_receiver_as_one_trace() {
    let (endpoint, heard) = receiver(0).await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("headers");
    std::fs::write(&file, "x-api-key=swordfish, x-site=lab\n").expect("it is writable");
    let settings = TelemetrySettings { headers: Some(SecretSource::File(file)), ..settings(endpoint) };
    let (lines, metrics) = (Lines::default(), Metrics::new());
    let mut otlp = Otlp::start(&settings, "a", lines.clone(), &metrics).expect("it starts");
    log_one(&lines);
    for notice in call("call-1") {
        otlp.tell(&notice);
    }

    let (_, headers, body) = told(&heard, "/v1/traces").await;
    assert_eq!(headers.get("content-type").map(HeaderValue::as_bytes), Some(&b"application/x-protobuf"[..]));
    assert_eq!(headers.get("x-api-key").map(HeaderValue::as_bytes), Some(&b"swordfish"[..]));
    let request = ExportTraceServiceRequest::decode(body).expect("protobuf");
    let spans = &request.resource_spans[0].scope_spans[0].spans;
    let names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["INVITE to answer", "call"]);
    let (_, _, body) = told(&heard, "/v1/logs").await;
    let request = ExportLogsServiceRequest::decode(body).expect("protobuf");
    let records = &request.resource_logs[0].scope_logs[0].log_records;
    let record = records.iter().find(|record| !record.trace_id.is_empty()).expect("a line about the call");
    assert_eq!(record.trace_id, spans[0].trace_id);
    assert_eq!((record.severity_text.as_str(), record.severity_number), ("INFO", SeverityNumber::Info as i32));
    assert!(!format!("{request:?}").contains("sip:"), "nobody is named");
    let page = metrics.render();
    assert!(page.contains(r#"calmline_telemetry_items_total{signal="traces",outcome="sent"} 2"#), "{page}");
}

#[tokio::test]
async fn a_receiver_that_is_busy_is_asked_again() {
    let (endpoint, heard) = receiver(2).await;
    let mut receiving = receiving(&format!("{endpoint}/v1/traces"));
    assert_eq!(receiving.deliver(b"spans").await, "sent");
    assert_eq!(heard.lock().unwrap_or_else(PoisonError::into_inner).len(), 3);
}

#[tokio::test]
async fn what_finds_no_room_is_counted_and_nobody_waits() {
    // Nobody listens there.
    let settings = TelemetrySettings { queue: 1, ..settings("http://127.0.0.1:9".to_owned()) };
    let metrics = Metrics::new();
    let mut otlp = Otlp::start(&settings, "a", Lines::default(), &metrics).expect("it starts all the same");
    for n in 0..3 {
        for notice in call(&format!("call-{n}")) {
            otlp.tell(&notice);
        }
    }
    let page = metrics.render();
    assert!(page.contains(r#"calmline_telemetry_items_total{signal="traces",outcome="dropped"} 5"#), "{page}");
}

#[test]
fn headers_that_are_none_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("headers");
    for (found, expected) in
        [("a=b,c=d", Some(2)), ("Authorization=Basic dXNlcg==", Some(1)), ("a", None), ("a b=c", None)]
    {
        std::fs::write(&file, found).expect("it is writable");
        let read = headers(Some(&SecretSource::File(file.clone()))).map(|headers| headers.len());
        assert_eq!(read.ok(), expected, "{found}");
    }
    assert_eq!(headers(None).map(|headers| headers.len()), Ok(0));
}

/// A receiver that answers 503 so many times first.
async fn receiver(busy: usize) -> (String, Heard) {
    let heard = Heard::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("bound"));
    let take = move |State(heard): State<Heard>, uri: Uri, headers: HeaderMap, body: Bytes| async move {
        let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.push((uri.path().to_owned(), headers, body));
        if heard.len() <= busy { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK }
    };
    let app = Router::new().fallback(take).with_state(Arc::clone(&heard));
    tokio::spawn(async move { axum::serve(listener, app).await });
    (endpoint, heard)
}

/// What a path was told first.
async fn told(heard: &Heard, path: &str) -> (String, HeaderMap, Bytes) {
    for _ in 0..400 {
        let found = heard.lock().unwrap_or_else(PoisonError::into_inner).iter().find(|(at, ..)| at == path).cloned();
        if let Some(found) = found {
            // What came of it is counted when the answer is there.
            tokio::time::sleep(Duration::from_millis(100)).await;
            return found;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("nothing came to {path}");
}

fn receiving(url: &str) -> Receiving {
    let by = client_by(None).expect("the system's authorities");
    Receiving {
        client: client(&by).expect("a client"),
        url: url.to_owned(),
        headers: HeaderMap::new(),
        within: Duration::from_secs(5),
        signal: "traces",
        metrics: Metrics::new(),
        pauses: const { &[Duration::from_millis(1); 3] },
        is_heard: true,
    }
}

fn settings(endpoint: String) -> TelemetrySettings {
    let within = Duration::from_secs(5);
    TelemetrySettings { endpoint, headers: None, authorities: None, sample: 1.0, logs: true, queue: 64, within }
}

fn log_one(lines: &Lines) {
    use tracing_subscriber::layer::SubscriberExt;
    let log = tracing_subscriber::registry().with(lines.clone());
    tracing::subscriber::with_default(log, || tracing::info!(call = "call-1", "call started"));
}

fn call(id: &str) -> [Notice; 3] {
    let started = What::CallStarted {
        from: Pii::new("sip:a@example.com".to_owned()),
        to: Pii::new("sip:b@example.com".to_owned()),
        route: "shop".to_owned(),
        scenario: "shop".to_owned(),
        tags: Tags::default(),
    };
    let ended = What::CallEnded {
        reason: "caller hung up".to_owned(),
        talk_ms: 1,
        peak_anger: 0.0,
        peak_level: "low".to_owned(),
        packets_lost: 0,
    };
    let answered = What::CallAnswered { target: "bot".to_owned(), setup_ms: 9, uncalled: false, groups: Vec::new() };
    [started, answered, ended].map(|what| Notice { call: id.to_owned(), call_ms: 0, what })
}
