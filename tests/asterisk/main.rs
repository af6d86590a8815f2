//! A real Asterisk as the PBX: it sends us a call, the caller gets angry, and a REFER moves the call to its queue.
//!
//! Optional: root, the lab's script and a folder named by `CALMLINE_ASTERISK_DIR`, in which the lab may be built; the
//! tests say what is missing and pass. The lab's ports are fixed, so one test runs at a time.
#![expect(clippy::print_stdout, reason = "the times are what the test is run for")]

// Shared with the SIP side's own tests.
#[path = "../../src/shell/sip/tests/authority.rs"]
#[expect(dead_code, reason = "other tests need clients and servers")]
mod authority;
mod bypass;
#[path = "../lab/asterisk.rs"]
mod lab;
mod moves;

use std::io::Cursor;
use std::net::SocketAddr;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use calmline::demo::measure::{self, HEARD};
use calmline::demo::server::{self, Plan, Server};
use calmline::demo::supervisor::Supervisor;
use calmline::notice::What;
use lab::{ASTERISK, Lab, SETTLED_WITHIN, loopback};
use loadtest::audio::Audio;
use loadtest::driver::{PhoneHandle, PhonePlan, Phones};
use loadtest::phone::{Behaviour, Event};
use media::wav::{self, Channel};

/// Where the lab's configuration has us, its caller and its first agent.
const CALMLINE: SocketAddr = loopback(5062);
const CALLER: SocketAddr = loopback(5070);
const AGENT: SocketAddr = loopback(5081);
const PORTS: [SocketAddr; 3] = [CALMLINE, CALLER, AGENT];
/// Above the lab's own RTP ports.
const RTP_PORTS: &str = "20000-20038";
/// How long the agent's telephone rings.
const RINGS: Duration = Duration::from_millis(300);
/// From the caller's INVITE until everything is over.
const LIMIT: Duration = Duration::from_secs(60);
/// Samples per second.
const RATE: usize = 8_000;

const POLICY: &str = r#"
name = "lab"
version = 1
scenarios = ["after-sales"]

[[rule]]
id = "to-queue"
when = { emotion = "anger", level = "high" }
then = [
  { alert = "critical", text = "An angry caller is on the way to the queue" },
  { reroute = "refer", target = "human" },
]
"#;

#[test]
fn asterisk_moves_an_angry_caller_to_its_queue() {
    let lab = match Lab::up(&PORTS, "") {
        Ok(lab) => lab,
        Err(why) => return println!("skipped: {why}"),
    };
    let (agent_says, caller_says) = (sound("agent.wav"), sound("calm-caller.wav"));
    let server = start_server();
    let supervisor = Supervisor::subscribe(server.addresses.web, &server.token).expect("a subscription");
    let phones = Phones::start().expect("a thread");
    let bot = phones.answering(server.addresses.bot, Behaviour::answer(), Audio::tone(1_000, 0.3)).expect("a bot");
    let agent = PhonePlan {
        user: "agent1".to_owned(),
        behaviour: Behaviour::answer().after(RINGS),
        audio: Audio::once(agent_says.clone()),
        ..PhonePlan::new(AGENT)
    };
    let agent = phones.add(agent).expect("the agent's port is free");

    let end = Instant::now() + LIMIT;
    // Calm for seven seconds, then angry.
    let angry = Audio::once(&sound("angry-caller.wav")[8 * RATE..]);
    let caller = phones.calling(CALLER, &format!("sip:8support@{ASTERISK}"), angry, &[]).expect("a caller");
    expect(&caller, end, "the answer", |event| *event == Event::Answered);
    let moved = follow(&supervisor, &phones, end);

    let answered = expect(&agent, end, "the agent's answer", |event| *event == Event::Answered);
    println!("anger high to REFER: {} ms", moved.refer_ms - moved.high_ms);
    println!(
        "REFER to the agent's answer: {} ms, of which {} ms ringing",
        answered.saturating_sub(moved.refer_at).as_millis(),
        RINGS.as_millis()
    );
    println!("decision to the final NOTIFY, as we tell it: {} ms", moved.answer_ms);

    // Asterisk never ends the leg that it was told to move: our own BYE does.
    expect(&bot, end, "the bot's BYE", |event| matches!(event, Event::Bye { .. }));
    is_gone(&server, &lab);

    // Together in the queue, without us.
    caller.say(Audio::once(caller_says.clone())).expect("an order");
    until(end, "six seconds with the agent", || agent.heard().samples.len() > 6 * RATE);
    heard("the caller hears the agent", &caller, &agent_says);
    heard("the agent hears the caller", &agent, &caller_says);
    assert_eq!(caller.calls_open(), 1, "the caller's call is still the same one");
    caller.hang_up().expect("an order");
    until(end, "the queue lets go", || lab.channels().trim().is_empty());
    server.stop().expect("the server ends as it should");
}

/// When the call was moved. Milliseconds count from the INVITE that we got.
struct Moved {
    high_ms: u64,
    refer_ms: u64,
    /// On the telephones' clock.
    refer_at: Duration,
    answer_ms: u64,
}

/// Follows what a supervisor is told until the call has moved.
fn follow(supervisor: &Supervisor, phones: &Phones, end: Instant) -> Moved {
    let (mut high, mut refer, mut alerts, mut told) = (None, None, 0, Vec::new());
    while Instant::now() < end {
        let Some(notice) = supervisor.next(Duration::from_millis(50)) else { continue };
        match &notice.what {
            What::CallStarted { from, to, .. } => {
                println!("Asterisk calls: From {}, To {}", from.reveal(), to.reveal());
            }
            What::Observed { party, level, .. } if party == "caller" && level == "high" => {
                high.get_or_insert(notice.call_ms);
            }
            What::Alert { severity, .. } if severity == "critical" => alerts += 1,
            What::RerouteStarted { via, .. } if via == "refer" => refer = Some((notice.call_ms, phones.now())),
            What::Rerouted { via, answer_ms, .. } => {
                assert_eq!((via.as_str(), alerts), ("refer", 1), "the way, and critical alerts; told was {told:#?}");
                let (refer_ms, refer_at) = refer.expect("it was begun before");
                let high_ms = high.expect("anger came before");
                return Moved { high_ms, refer_ms, refer_at, answer_ms: *answer_ms };
            }
            What::RerouteFailed { .. } | What::CallEnded { .. } => panic!("not moved: {notice:?}"),
            _ => {}
        }
        if !matches!(notice.what, What::Observed { .. }) {
            told.push(notice);
        }
    }
    panic!("the call was not moved within {} s; told was {told:#?}", LIMIT.as_secs());
}

/// Neither we nor Asterisk know of the call between us any more.
fn is_gone(server: &Server, lab: &Lab) {
    let since = Instant::now();
    let end = since + SETTLED_WITHIN;
    until(end, "no call is left here", || {
        let text = server::get(server.addresses.web, "/v1/calls?state=active", &server.token).expect("the API answers");
        let answer: serde_json::Value = serde_json::from_str(&text).expect("the API speaks JSON");
        answer["calls"].as_array().expect("a list of calls").is_empty()
    });
    until(end, "Asterisk has no channel to us", || !lab.channels().contains("PJSIP/sut-"));
    println!("both sides gone {} ms after the move", since.elapsed().as_millis());
    assert!(lab.channels().contains("PJSIP/agent1-"), "the agent is still there:\n{}", lab.channels());
}

/// Two seconds of `sound`, after its first second, are in what `who` heard.
fn heard(what: &str, who: &PhoneHandle, sound: &[i16]) {
    let found = measure::find(&who.heard().samples, &sound[RATE..3 * RATE]);
    println!("{what}: {found:?}");
    assert!(found.is_some_and(|found| found.likeness >= HEARD), "{what}: {found:?}");
}

/// Waits for an event; its time on the telephones' clock.
#[track_caller]
fn expect(phone: &PhoneHandle, end: Instant, what: &str, wanted: impl Fn(&Event) -> bool) -> Duration {
    let event = phone.wait_for(end.saturating_duration_since(Instant::now()), wanted);
    event.unwrap_or_else(|| panic!("{what} did not come")).at
}

#[track_caller]
fn until(end: Instant, what: &str, mut so: impl FnMut() -> bool) {
    while !so() {
        assert!(Instant::now() < end, "not so in time: {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

/// The program as it is shipped, where the lab's trunk leads.
fn start_server() -> Server {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("asterisk");
    let policies = folder.join("own");
    std::fs::create_dir_all(&policies).expect("a folder");
    std::fs::write(policies.join("own.toml"), POLICY).expect("a policy");

    let mut plan = Plan::for_loopback().expect("free ports");
    plan.addresses.sip = CALMLINE;
    let (web, bot, policies) = (plan.addresses.web, plan.addresses.bot, policies.display());
    plan.configuration = format!(
        "[sip]\nlisten = \"{CALMLINE}\"\n\n\
         [media]\naddress = \"127.0.0.1\"\nports = \"{RTP_PORTS}\"\n\n\
         [web]\nlisten = \"{web}\"\ntoken_env = \"CALMLINE_TOKEN\"\n\n\
         [listening]\nenabled = true\n\n\
         [limits.overload]\nenabled = false\n\n\
         [policy]\nfolder = \"{policies}\"\nprompts = \"prompts\"\n\n\
         [targets.bot]\nuri = \"sip:bot@{bot}\"\n\n\
         [targets.human]\nuri = \"sip:700@{ASTERISK}\"\n\n\
         [[route]]\nname = \"everything\"\ntargets = [\"bot\"]\nscenario = \"after-sales\"\n"
    );
    Server::start(env!("CARGO_BIN_EXE_calmline").as_ref(), &folder, &plan, &[]).expect("the server starts")
}

/// Audio of the repository, 8 kHz.
fn sound(name: &str) -> Vec<i16> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/audio").join(name);
    let bytes = std::fs::read(path).expect("a file");
    wav::read(Cursor::new(bytes), Channel::Mix).expect("a WAV file").to_sound().samples.to_vec()
}
