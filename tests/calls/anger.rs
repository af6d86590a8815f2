//! What happens when the caller gets angry: prompt, re-route by bridge or REFER, and the fallback when nobody comes.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use calmline::notice::What;
use loadtest::phone::{Behaviour, Event};

use crate::stage::{
    BOT_HZ, LONG, RATE, Setup, Stage, angry, continuous, eventually, expect, fixture, heard, invite, strength,
};

/// How long the human's telephone rings: long enough for the apology.
const RINGS: Duration = Duration::from_millis(6_500);

#[test]
fn an_angry_caller_hears_an_apology_and_reaches_a_human() {
    let human_says = fixture("fixtures/audio/agent.wav");
    let mut setup = Setup::named("bridge");
    setup.human.0 = Behaviour::answer().after(RINGS);
    let stage = Stage::set(setup);
    let events = server_sent_events(&stage);
    let caller = stage.call(angry());

    let rerouted = stage.until("the re-route", |what| matches!(what, What::Rerouted { .. }));
    let What::Rerouted { via, target, gap_ms, .. } = rerouted.what else { unreachable!("just matched") };
    assert_eq!((via.as_str(), target.as_str()), ("bridge", "human"));
    assert!(gap_ms.is_some_and(|gap| gap < 100), "gap of {gap_ms:?} ms");
    expect(&stage.bot, "the bot's BYE", |event| matches!(event, Event::Bye { .. }));
    assert!(invite(&stage.human).header("X-Calmline-Emotion").is_some_and(|value| value.contains("anger")));

    caller.say(loadtest::audio::Audio::tone(BOT_HZ, 0.3)).expect("an order");
    eventually("four seconds with the human", || stage.human.heard().samples.len() > 4 * RATE);
    let (said, human) = (caller.heard(), stage.human.heard());
    continuous("the caller", &said.stats);
    continuous("the human", &human.stats);
    assert!(heard(&said.samples, &fixture("config/prompts/sorry-transfer.wav")[..2 * RATE]), "the apology");
    assert!(heard(&said.samples, &human_says[..2 * RATE]), "the human");
    assert!(strength(&human.samples, BOT_HZ) > 0.2, "the caller");

    assert!(stage.was_told(|what| matches!(what, What::Alert { severity, .. } if severity == "critical")));
    eventually("the alert on server-sent events", || events.lock().expect("no panic").contains("\"type\":\"alert\""));
    caller.hang_up().expect("an order");
    stage.until("the end", |what| matches!(what, What::CallEnded { .. }));
    for (metric, least) in [
        ("calmline_alerts_total{severity=\"critical\"", 1.0),
        ("calmline_decisions_total{rule=\"angry-to-human\"", 1.0),
        ("calmline_reroutes_total{", 2.0),
    ] {
        assert!(stage.metric(metric) >= least, "{metric}");
    }
    stage.is_empty();
}

#[test]
fn a_busy_queue_leaves_the_caller_with_the_bot() {
    let mut setup = Setup::named("queue-busy");
    setup.human.0 = Behaviour::refuse(486);
    stays_with_the_bot(setup);
}

#[test]
fn a_queue_that_does_not_answer_leaves_the_caller_with_the_bot() {
    let mut setup = Setup::named("queue-rings");
    setup.human.0 = Behaviour::ring();
    setup.edits = &[("[web]", "[limits]\nring_s = 1\n\n[web]")];
    stays_with_the_bot(setup);
}

fn stays_with_the_bot(setup: Setup<'_>) {
    let stage = Stage::set(setup);
    let caller = stage.call(angry());
    stage.until("the failure", |what| matches!(what, What::RerouteFailed { .. }));
    let please_wait =
        |what: &What| matches!(what, What::PromptEnded { file, completed: true, .. } if file.contains("please-wait"));
    stage.until("the end of the prompt", please_wait);
    caller.say(loadtest::audio::Audio::tone(700, 0.3)).expect("an order");
    thread::sleep(Duration::from_millis(1_600));

    let (said, bot) = (caller.heard(), stage.bot.heard());
    continuous("the caller", &said.stats);
    continuous("the bot", &bot.stats);
    // The bot goes on below the prompt, 1 kHz: so the prompt is looked for where it is loudest.
    assert!(heard(&said.samples, &fixture("config/prompts/please-wait.wav")), "the prompt");
    assert!(strength(&said.samples, BOT_HZ) > 0.2, "the bot");
    assert!(strength(&bot.samples, 700) > 0.2, "the caller");
    assert!(!stage.was_told(|what| matches!(what, What::Rerouted { .. } | What::CallEnded { .. })));
    caller.hang_up().expect("an order");
    stage.until("the end", |what| matches!(what, What::CallEnded { .. }));
    stage.is_empty();
}

/// The PBX moves the call.
const BY_REFER: &str = r#"
name = "own"
version = 1
scenarios = ["after-sales"]

[[rule]]
id = "to-human"
when = { emotion = "anger", level = "high" }
then = [{ reroute = "refer", target = "human" }]
"#;

#[test]
fn the_callers_side_follows_a_refer() {
    let mut setup = Setup::named("refer");
    setup.policy = Some(BY_REFER);
    let stage = Stage::set(setup);
    let caller = stage.call(angry());

    let referred = expect(&caller, "the REFER", |event| matches!(event, Event::Referred { .. }));
    let Event::Referred { call: moved, .. } = referred.event else { unreachable!("just matched") };
    // The caller's telephone sends its final NOTIFY when the new call is answered.
    let with_human = caller
        .wait_for(LONG, |event| matches!(event, Event::Answered | Event::Bye { .. }))
        .expect("an answer to the moved call");
    assert_eq!((with_human.call, &with_human.event), (moved, &Event::Answered), "our BYE came before the answer");
    let bye = expect(&caller, "our BYE", |event| matches!(event, Event::Bye { .. }));
    assert_ne!(bye.call, moved);
    expect(&stage.bot, "the bot's BYE", |event| matches!(event, Event::Bye { .. }));

    let emotion = invite(&stage.human).header("X-Calmline-Emotion").map(str::to_owned);
    assert!(emotion.as_ref().is_some_and(|value| value.contains("anger") && value.contains("high")), "{emotion:?}");
    stage.until("the re-route", |what| matches!(what, What::Rerouted { via, .. } if via == "refer"));
    eventually("the human hears the caller", || stage.human.heard().samples.len() > RATE);
    stage.is_empty();
}

/// What a client of server-sent events has read so far.
fn server_sent_events(stage: &Stage) -> Arc<Mutex<String>> {
    let (web, token) = (stage.server.addresses.web, &stage.server.token);
    let mut stream = TcpStream::connect(web).expect("a connection");
    let request = format!(
        "GET /v1/events HTTP/1.1\r\nHost: {web}\r\nAccept: text/event-stream\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).expect("a request");
    let text = Arc::new(Mutex::new(String::new()));
    let shared = Arc::clone(&text);
    thread::spawn(move || {
        let mut bytes = [0; 4_096];
        while let Ok(read @ 1..) = stream.read(&mut bytes) {
            shared.lock().expect("no panic").push_str(&String::from_utf8_lossy(&bytes[..read]));
        }
    });
    text
}
