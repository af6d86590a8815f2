//! Orders over the wire: what becomes of good requests, of bad ones, and of what call control denies.

use media::{Codec, Command, LegId, StreamSettings};
use routing::{Language, PlayMode, Until};
use tokio::io::AsyncReadExt;

use super::*;
use crate::control::{Denied, DeniedKind, Done, Hears, Party, PlayedSound, SupervisorMode, Whom};

const SUPERVISORS: &str = "/v1/calls/call-1/supervisors";
const PROMPTS: &str = "/v1/calls/call-1/prompts";
const UTTERANCES: &str = "/v1/calls/call-1/utterances";

#[tokio::test]
async fn supervisors_are_ordered_in_the_words_of_the_api() {
    let call = || "call-1".to_owned();
    let target = || Whom::Target("floor".to_owned());
    let supervise = |whom, mode| Order::Supervise { call: call(), whom, mode, hears: Hears::Both };
    let change = |mode, hears| Order::ChangeSupervisor { call: call(), supervisor: 3, mode, hears, by: None };
    let one = format!("{SUPERVISORS}/3");
    for (method, path, body, order) in [
        ("POST", SUPERVISORS, r#"{"target":"floor","mode":"listen"}"#, supervise(target(), SupervisorMode::Listen)),
        (
            "POST",
            SUPERVISORS,
            r#"{"target":"floor","mode":"whisper"}"#,
            supervise(target(), SupervisorMode::Whisper(Party::Callee)),
        ),
        (
            "POST",
            SUPERVISORS,
            r#"{"uri":"sip:8001@10.0.0.9","mode":"whisper","party":"caller"}"#,
            supervise(Whom::Uri("sip:8001@10.0.0.9".to_owned()), SupervisorMode::Whisper(Party::Caller)),
        ),
        (
            "POST",
            SUPERVISORS,
            r#"{"target":"floor","mode":"whisper","hears":"callee"}"#,
            Order::Supervise {
                call: call(),
                whom: target(),
                mode: SupervisorMode::Whisper(Party::Callee),
                hears: Hears::Only(Party::Callee),
            },
        ),
        ("PATCH", &one, r#"{"mode":"barge"}"#, change(Some(SupervisorMode::Barge), None)),
        ("PATCH", &one, r#"{"hears":"caller"}"#, change(None, Some(Hears::Only(Party::Caller)))),
        (
            "PATCH",
            &one,
            r#"{"mode":"whisper","party":"callee"}"#,
            change(Some(SupervisorMode::Whisper(Party::Callee)), None),
        ),
        ("DELETE", &one, "", Order::EndSupervisor { call: call(), supervisor: 3 }),
        ("DELETE", "/v1/calls/call-1/prompts/9", "", Order::StopPlay { call: call(), prompt: 9 }),
        ("POST", "/v1/calls/call-1/bypass", "", Order::Bypass { call: call() }),
        ("DELETE", "/v1/calls/call-1/bypass", "", Order::EndBypass { call: call() }),
        (
            "POST",
            UTTERANCES,
            r#"{"party":"callee","text":"太差了 😡"}"#,
            Order::Typed { call: call(), party: Party::Callee, text: "太差了 😡".to_owned() },
        ),
    ] {
        let (reply, got) = asked(method, path, body, Ok(Done::Supervisor(3))).await;
        assert_eq!((reply.status, got), (202, Some(order)), "{body} {}", reply.body);
        assert_eq!(reply.json()["supervisor"], 3);
    }
}

#[tokio::test]
async fn prompts_are_read_or_spoken() {
    let body = r#"{"file":"please-wait.wav","party":"callee","mode":"duck"}"#;
    let (reply, order) = asked("POST", PROMPTS, body, Ok(Done::Prompt(7))).await;
    assert_eq!((reply.status, reply.json()["prompt"].as_u64()), (202, Some(7)));
    let Some(Order::Play { party, mode, sound: PlayedSound::Ready { name, sound }, .. }) = order else {
        panic!("{order:?}")
    };
    assert_eq!((party, mode, name.as_str()), (Party::Callee, PlayMode::Duck, "please-wait.wav"));
    assert!(sound.samples.len() > 8_000, "the shipped prompt is longer than a second");

    let body = r#"{"say":{"text":"您好 {X-Name}","language":"zh"},"party":"caller","mode":"replace"}"#;
    let (_, order) = asked("POST", PROMPTS, body, Ok(Done::Prompt(7))).await;
    let sound = PlayedSound::Text { text: "您好 {X-Name}".to_owned(), language: Language::Mandarin };
    let (call, party, mode) = ("call-1".to_owned(), Party::Caller, PlayMode::Replace);
    assert_eq!(order, Some(Order::Play { call, party, sound, mode, until: Until::default() }));

    let body = r#"{"tone":"busy","party":"caller","mode":"replace","until":["key"]}"#;
    let (_, order) = asked("POST", PROMPTS, body, Ok(Done::Prompt(7))).await;
    let Some(Order::Play { until, sound: PlayedSound::Ready { name, sound }, .. }) = order else { panic!("{order:?}") };
    assert_eq!((until, name.as_str()), (Until { speech: false, key: true }, "busy"));
    assert_eq!(sound.samples.len(), 700 * 8, "one turn of the Chinese tone");
}

#[tokio::test]
async fn wrong_requests_never_reach_call_control() {
    for (method, path, body, status, word) in [
        ("POST", SUPERVISORS, "{}", 422, "mode"),
        ("POST", SUPERVISORS, r#"{"mode":"listen"}"#, 400, "target"),
        ("POST", SUPERVISORS, r#"{"mode":"listen","target":"a","uri":"sip:b@c"}"#, 400, "either"),
        ("POST", SUPERVISORS, r#"{"mode":"spy","target":"a"}"#, 422, "listen"),
        ("POST", SUPERVISORS, r#"{"mode":"barge","target":"a","party":"caller"}"#, 400, "whisper"),
        ("POST", SUPERVISORS, r#"{"mode":"listen","target":"a","loud":true}"#, 422, "loud"),
        ("POST", SUPERVISORS, "not json", 400, ""),
        ("POST", "/v1/calls/call-9/supervisors", r#"{"mode":"listen","target":"a"}"#, 404, "no such call"),
        ("PATCH", "/v1/calls/call-1/supervisors/x", r#"{"mode":"listen"}"#, 400, ""),
        ("PATCH", "/v1/calls/call-1/supervisors/1", "{}", 400, "hears"),
        ("PATCH", "/v1/calls/call-1/supervisors/1", r#"{"party":"caller"}"#, 400, "mode"),
        ("PUT", "/v1/calls/call-1/supervisors/1", r#"{"mode":"listen"}"#, 405, ""),
        ("POST", PROMPTS, r#"{"party":"caller","mode":"duck"}"#, 400, "either"),
        ("POST", PROMPTS, r#"{"file":"a.wav","tone":"beep","party":"caller","mode":"duck"}"#, 400, "either"),
        ("POST", PROMPTS, r#"{"tone":"bell","party":"caller","mode":"duck"}"#, 422, "beep"),
        ("POST", PROMPTS, r#"{"tone":"beep","party":"caller","mode":"duck","until":["word"]}"#, 422, "speech"),
        ("POST", PROMPTS, r#"{"file":"a.wav","party":"all","mode":"duck"}"#, 422, "callee"),
        ("POST", PROMPTS, r#"{"file":"../calmline.toml","party":"caller","mode":"duck"}"#, 400, "inside"),
        ("POST", PROMPTS, r#"{"file":"/etc/passwd.wav","party":"caller","mode":"duck"}"#, 400, "inside"),
        ("POST", PROMPTS, r#"{"file":"missing.wav","party":"caller","mode":"duck"}"#, 400, "missing.wav"),
        (
            "POST",
            PROMPTS,
            r#"{"say":{"text":"{broken","language":"en"},"party":"caller","mode":"duck"}"#,
            400,
            "INVITE",
        ),
        ("POST", UTTERANCES, r#"{"party":"caller","text":" \n"}"#, 400, "1-1000 characters"),
        ("POST", UTTERANCES, r#"{"party":"caller"}"#, 422, "text"),
        ("POST", UTTERANCES, r#"{"party":"both","text":"a"}"#, 422, "callee"),
        ("POST", PROMPTS, r#"{"say":{"text":"hi","language":"fr"},"party":"caller","mode":"duck"}"#, 400, "zh"),
    ] {
        let (reply, order) = asked(method, path, body, Ok(Done::Accepted)).await;
        problem(&reply, status);
        assert!(reply.body.contains(word), "{body}: {}", reply.body);
        assert_eq!(order, None, "{body}");
    }
}

#[tokio::test]
async fn denials_are_problems() {
    for (kind, status) in [
        (DeniedKind::Unknown, 404),
        (DeniedKind::Wrong, 400),
        (DeniedKind::Forbidden, 403),
        (DeniedKind::Conflict, 409),
        (DeniedKind::Full, 503),
    ] {
        let denied = Denied { kind, reason: "because of this".to_owned() };
        let (reply, _) = asked("POST", SUPERVISORS, r#"{"mode":"listen","target":"a"}"#, Err(denied.clone())).await;
        problem(&reply, status);
        assert_eq!(reply.json()["detail"], "because of this");
        let (reply, _) = asked("GET", "/v1/calls/call-1/audio", "", Err(denied)).await;
        problem(&reply, status);
    }
}

#[tokio::test]
async fn audio_is_a_wav_stream_that_ends_with_the_call() {
    let mut fixture = fixture().await;
    let leg = LegId(7);
    let settings = StreamSettings::plain(None, Codec::Pcmu, 0);
    fixture.parties.observe(&Command::Configure { leg, settings });
    fixture.parties.observe(&Command::Copy { leg, on: true });
    fixture.bus.publish(&one_of_each()[0]);
    let addr = fixture.handle.addr;
    let headers = format!("Authorization: Bearer {TOKEN}\r\nConnection: close\r\n");
    let opening =
        tokio::spawn(async move { client::open(addr, "/v1/calls/call-1/audio?layout=mixed", &headers).await });
    let asked = fixture.orders.recv().await.expect("an order");
    assert_eq!(asked.order, Order::OpenAudio { call: "call-1".to_owned(), layout: "mixed" });
    asked.answer.expect("it waits").send(Ok(Done::Audio { client: 5, leg })).expect("it waits still");
    let (status, mut stream) = opening.await.expect("no panic");
    assert_eq!(status, 200);

    // Some frames of silence: nobody speaks in this call.
    let mut bytes = vec![0; 2_000];
    stream.read_exact(&mut bytes).await.expect("audio comes");
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.contains("RIFF") && text.contains("WAVEfmt ") && text.contains("data"), "{text}");
    fixture.parties.observe(&Command::Close { leg });
    let mut rest = Vec::new();
    tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut rest)).await.expect("it ends").expect("well");
    assert!(rest.ends_with(b"0\r\n\r\n"), "a whole chunked body");
    assert_eq!(fixture.ordered().await, Some(Order::CloseAudio { call: "call-1".to_owned(), client: 5 }));
}

#[tokio::test]
async fn a_client_that_goes_is_seen_out() {
    let mut fixture = fixture().await;
    let leg = LegId(7);
    fixture.parties.observe(&Command::Configure { leg, settings: StreamSettings::plain(None, Codec::Pcmu, 0) });
    fixture.parties.observe(&Command::Copy { leg, on: true });
    fixture.bus.publish(&one_of_each()[0]);
    let addr = fixture.handle.addr;
    let headers = format!("Authorization: Bearer {TOKEN}\r\n");
    let opening = tokio::spawn(async move { client::open(addr, "/v1/calls/call-1/audio", &headers).await });
    let asked = fixture.orders.recv().await.expect("an order");
    asked.answer.expect("it waits").send(Ok(Done::Audio { client: 1, leg })).expect("it waits still");
    drop(opening.await.expect("no panic"));
    let closed = tokio::time::timeout(Duration::from_secs(20), fixture.ordered()).await.expect("in time");
    assert_eq!(closed, Some(Order::CloseAudio { call: "call-1".to_owned(), client: 1 }));
}

#[tokio::test]
async fn an_order_that_nobody_answers_is_a_problem() {
    let mut fixture = fixture().await;
    fixture.bus.publish(&one_of_each()[0]);
    let addr = fixture.handle.addr;
    let body = r#"{"mode":"listen","target":"a"}"#;
    let asking = tokio::spawn(async move { Wire(addr).send("POST", SUPERVISORS, body).await });
    drop(fixture.orders.recv().await.expect("an order"));
    problem(&asking.await.expect("no panic"), 503);
}

/// Sends a request about a call that is up; call control says `outcome`. The order is `None` when none was given.
async fn asked(method: &str, path: &str, body: &str, outcome: Result<Done, Denied>) -> (Reply, Option<Order>) {
    let mut fixture = fixture().await;
    fixture.bus.publish(&one_of_each()[0]);
    let wire = Wire(fixture.handle.addr);
    let asking = wire.send(method, path, body);
    let answering = async {
        let asked = fixture.orders.recv().await?;
        // Nobody waits for the answer when the request was given up.
        let _ = asked.answer?.send(outcome);
        Some(asked.order)
    };
    let mut order = None;
    let mut answering = std::pin::pin!(answering);
    let mut asking = std::pin::pin!(asking);
    loop {
        tokio::select! {
            reply = &mut asking => return (reply, order),
            got = &mut answering, if order.is_none() => order = got,
        }
    }
}
