//! The console in a real browser: a supervisor signs in, sees a caller get angry, gets the alert, listens and acts.
//!
//! The browser is driven by `console/e2e/supervisor.mjs`, which says what it checked.

use std::io::{BufRead, BufReader, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use calmline::notice::What;
use loadtest::audio::Audio;
use loadtest::driver::{PhoneHandle, PhonePlan};
use loadtest::phone::Event;

use crate::browsers::{self, BROWSER_HZ, hears};
use crate::stage::{ANY, BOT_HZ, CALLER_HZ, PROGRAM, Setup, Stage, angry, expect, folder};

const USER: &str = "li";
pub const PASSWORD: &str = "a long password";
/// How long the browser may take for everything.
const BROWSER_MAX: Duration = Duration::from_secs(180);
/// How often the caller begins anew.
const SAYS_EVERY: Duration = Duration::from_secs(12);

#[test]
fn a_supervisor_sees_an_angry_caller_and_hears_the_call_in_a_browser() {
    let Some(browser) = browser() else { return };
    let user = format!("[users.{USER}]\nrole = \"administrator\"\n{}\n\n[web]", hash());
    let stage = Stage::set(Setup { edits: &[("[web]", &user)], ..Setup::named("console") });
    let caller = call_from(&stage, "13800138000", angry());
    let calm = call_from(&stage, "13900139000", Audio::tone(300, 0.1));

    let said = watch_an_angry_caller(walk("supervisor", &browser, (&stage, "console"), &[USER, PASSWORD]), &caller);
    assert!(
        stage.was_told(|what| matches!(what, What::AudioOpened { .. })) || opened(&stage),
        "nobody listened: {said}"
    );
    for phone in [caller, calm] {
        phone.hang_up().expect("an order");
    }
}

/// A caller with a number whose call is up.
fn call_from(stage: &Stage, number: &str, says: Audio) -> PhoneHandle {
    let plan = PhonePlan { audio: says, user: number.to_owned(), ..PhonePlan::new(ANY) };
    let caller = stage.phones.add(plan).expect("a caller");
    caller.call(&format!("sip:support@{}", stage.server.addresses.sip), &[]).expect("an order");
    expect(&caller, "the answer", |event| *event == Event::Answered);
    caller
}

const SERVING: &str = r#"
name = "own"
version = 1
scenarios = ["after-sales"]
calm_s = 10
[[script]]
id = "sorry"
zh = "非常抱歉给您添麻烦了，这件事我马上为您优先处理。"
en = "I am very sorry for the trouble. This is now handled first."
[[script]]
id = "usual"
zh = "好的，我帮您查一下。"
en = "I will check that for you."
[[service]]
id = "first-in-line"
when = { emotion = "anger", level = "high" }
served_by = "human"
priority = 1
script = "sorry"
tone = "apologetic"
[[service]]
id = "usual"
served_by = "bot"
script = "usual"
[[rule]]
id = "angry"
when = { emotion = "anger", level = "high" }
then = [{ alert = "warning", text = "look" }]
"#;

#[test]
fn each_role_works_in_a_browser_and_is_refused_the_rest() {
    let Some(browser) = browser() else { return };
    let own = folder("roles");
    // Of a run before: what it kept, and the files that it replaced.
    let _ = std::fs::remove_dir_all(&own);
    let knowledge = own.join("config/own-knowledge");
    std::fs::create_dir_all(&knowledge).expect("a folder");
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/knowledge/ecommerce.toml");
    std::fs::copy(shipped, knowledge.join("shop.toml")).expect("the shipped knowledge");
    let user = |role: &str| {
        let serves = if role == "agent" { "serves = \"bot\"\n" } else { "" };
        format!("[users.the-{role}]\nrole = \"{role}\"\n{serves}{}\n\n", hash())
    };
    let users: String = ["administrator", "supervisor", "operator", "agent", "auditor"].map(user).concat();
    let sections = format!("{users}[store]\nfolder = \"../kept\"\n\n[knowledge]\nfolder = \"own-knowledge\"\n\n[web]");
    let edits = [("[web]", sections.as_str())];
    let stage = Stage::set(Setup { edits: &edits, policy: Some(SERVING), ..Setup::named("roles") });
    // For the reports.
    for number in ["13700137000", "13600136000"] {
        call_from(&stage, number, Audio::tone(CALLER_HZ, 0.3)).hang_up().expect("an order");
        stage.until("the end", |what| matches!(what, What::CallEnded { .. }));
    }
    let caller = call_from(&stage, "13800138000", angry());

    watch_an_angry_caller(walk("roles", &browser, (&stage, "roles"), &[PASSWORD]), &caller);
    expect(&stage.human, "the transfer", |event| matches!(event, Event::Incoming { .. }));
    let moved = |what: &What| matches!(what, What::Rerouted { target, .. } if target == "human");
    assert!(stage.was_told(moved) || moved(&stage.until("the transfer", moved).what), "nobody was moved");
    let restored = std::fs::read_to_string(knowledge.join("shop.toml")).expect("the file");
    assert!(!restored.contains("# Looked through."), "the step back leads to the file as it was");
    caller.hang_up().expect("an order");
}

/// Chats that are up while somebody looks at the wall, and those whose mood changes meanwhile.
const CROWD: usize = 1_000;
const UPSET: usize = 200;

#[test]
fn the_wall_draws_the_calls_in_sight_of_a_thousand() {
    let Some(browser) = browser() else { return };
    let user = format!("[users.{USER}]\nrole = \"supervisor\"\n{}\n\n[web]", hash());
    let route = "scenario = \"after-sales\"\n\n[[route]]\nname = \"chats\"\nmatch = { request_uri = \"chat:*\" }\n\
                 forked = true\nscenario = \"after-sales\"\n";
    let edits = [("[web]", user.as_str()), ("scenario = \"after-sales\"\n", route)];
    let stage = Stage::set(Setup { edits: &edits, ..Setup::named("crowd") });
    let open = |number: usize| {
        let customer = format!("1390000{number:04}");
        let opening = serde_json::json!({ "channel": "app", "customer": customer, "language": "zh" });
        let (status, opened) = stage.ask("POST", "/v1/interactions", &opening);
        assert_eq!(status, 201, "{opened}");
        opened["interaction"].as_str().expect("an id").to_owned()
    };
    let chats: Vec<String> = (0..CROWD).map(open).collect();
    let said = [USER, PASSWORD, &CROWD.to_string()];
    at_its_moments(walk("crowd", &browser, (&stage, "crowd"), &said), |moment| {
        assert_eq!(moment, "moods");
        for chat in chats.iter().take(UPSET) {
            let message = serde_json::json!({ "party": "customer", "text": "你们这些骗子，我要投诉你们！" });
            assert_eq!(stage.ask("POST", &format!("/v1/interactions/{chat}/messages"), &message).0, 202);
        }
    });
}

const POLICY: &str = r#"
name = "own"
version = 3
scenarios = ["*"]
[[rule]]
id = "angry"
when = { emotion = "anger", level = "high" }
then = [{ alert = "warning", text = "look" }]
"#;

#[test]
fn an_operator_signs_in_with_a_code_and_puts_a_policy_in_force_in_a_browser() {
    let Some(browser) = browser() else { return };
    let own = folder("operator");
    std::fs::create_dir_all(&own).expect("a folder");
    let secret = own.join("wang.totp");
    // Of a run before.
    let _ = std::fs::remove_file(&secret);
    let made =
        Command::new(PROGRAM).args(["user", "totp", "wang", "--file"]).arg(&secret).output().expect("the program");
    let shown = String::from_utf8_lossy(&made.stdout);
    assert!(made.status.success() && shown.contains("otpauth://totp/Calmline:wang?"), "{shown}");
    let user = format!(
        "[users.wang]\nrole = \"operator\"\n{}\ntotp_file = \"{}\"\n\n[store]\n\n[web]",
        hash(),
        secret.display()
    );
    let stage = Stage::set(Setup { edits: &[("[web]", &user)], policy: Some(POLICY), ..Setup::named("operator") });

    let secret = std::fs::read_to_string(&secret).expect("a secret");
    let said = ["wang", PASSWORD, secret.trim()];
    let output = walk("operator", &browser, (&stage, "operator"), &said).output().expect("node");
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    assert!(output.status.success(), "the browser found: {said}{}", String::from_utf8_lossy(&output.stderr));

    let file = std::fs::read_to_string(own.join("config/own/own.toml")).expect("the file");
    assert!(file.contains("version = 4"), "the file is as it was written: {file}");
    let policies = stage.api("/v1/policies");
    assert_eq!(policies["policies"][0]["label"], "own@3", "{policies}");
    assert_eq!(policies["policies"][0]["saved"], false, "what is in force is another one");
}

#[test]
fn a_supervisor_hears_whispers_and_barges_in_from_a_browser() {
    let Some(browser) = browser() else { return };
    let stage = browsers::stage("console-talking");
    let (caller, call) = browsers::connected(&stage);
    let tone = folder("console-talking").join("tone.wav");
    write_tone(&tone, BROWSER_HZ);
    let said = [USER, PASSWORD, &call, tone.to_str().expect("a path of ours")];
    at_its_moments(walk("talking", &browser, (&stage, "console-talking"), &said), |moment| {
        let (to_caller, to_bot): (&[u16], &[u16]) = match moment {
            "whispering" => (&[BOT_HZ], &[CALLER_HZ, BROWSER_HZ]),
            "barging in" => (&[BOT_HZ, BROWSER_HZ], &[CALLER_HZ, BROWSER_HZ]),
            _ => (&[BOT_HZ], &[CALLER_HZ]),
        };
        hears(&format!("{moment}: the caller"), &caller, to_caller);
        hears(&format!("{moment}: the bot"), &stage.bot, to_bot);
    });
    let called = |what: &What| matches!(what, What::SupervisorCalled { target, .. } if target.reveal() == "browser:li");
    stage.until("whoever took part", called);
    caller.hang_up().expect("an order");
    stage.is_empty();
}

/// Ten seconds of a tone that go on from their beginning, as browsers take them for a microphone.
fn write_tone(path: &Path, hz: u16) {
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    let rate = 48_000;
    let format =
        hound::WavSpec { channels: 1, sample_rate: rate, bits_per_sample: 16, sample_format: hound::SampleFormat::Int };
    let mut file = hound::WavWriter::create(path, format).expect("a file");
    for n in 0..10 * rate {
        let angle = std::f64::consts::TAU * f64::from(hz) * f64::from(n) / f64::from(rate);
        file.write_sample((angle.sin() * 0.3 * 32_767.0) as i16).expect("room");
    }
    file.finalize().expect("room");
}

/// Whether somebody has listened, from now on.
fn opened(stage: &Stage) -> bool {
    matches!(stage.until("live audio", |what| matches!(what, What::AudioOpened { .. })).what, What::AudioOpened { .. })
}

/// A walk of `console/e2e` through the console of a stage, with what is said to it; its pictures go into a folder of this name.
pub fn walk(name: &str, browser: &Path, (stage, pictures): (&Stage, &str), said: &[&str]) -> Command {
    let mut walk = Command::new("node");
    walk.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("console/e2e/{name}.mjs")))
        .arg(format!("http://{}", stage.server.addresses.web))
        .args(said)
        .arg("--screenshots")
        .arg(folder(pictures).join("pictures"))
        .env("CALMLINE_BROWSER", browser);
    walk
}

/// Has a walk go to its end while the caller is angry again and again; what it said.
fn watch_an_angry_caller(mut walk: Command, caller: &PhoneHandle) -> String {
    let mut log = tempfile::tempfile().expect("a file");
    let output = || log.try_clone().expect("a file");
    let mut child = walk.stdout(output()).stderr(output()).spawn().expect("node");
    let is_good = wait_while_the_caller_is_angry(&mut child, || caller.say(angry()).expect("an order"));
    let mut said = String::new();
    log.rewind().and_then(|()| log.read_to_string(&mut said)).expect("what it said");
    println!("{said}");
    assert!(is_good, "the browser found: {said}");
    said
}

/// Has a walk go to its end; at each of its moments (`now: …`) it waits for what is done here.
fn at_its_moments(mut walk: Command, mut does: impl FnMut(&str)) {
    let mut child = walk.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("node");
    let (mut next, said) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
    for line in BufReader::new(said).lines() {
        let line = line.expect("text");
        println!("{line}");
        let Some(moment) = line.strip_prefix("now: ") else { continue };
        does(moment);
        writeln!(next).expect("it reads");
    }
    assert!(child.wait().expect("its end").success(), "the browser found something, see above");
}

/// Whether the browser ended well.
fn wait_while_the_caller_is_angry(child: &mut Child, mut angry: impl FnMut()) -> bool {
    let (end, mut next) = (Instant::now() + BROWSER_MAX, Instant::now() + SAYS_EVERY);
    while Instant::now() < end {
        if let Some(status) = child.try_wait().expect("a child") {
            return status.success();
        }
        if Instant::now() >= next {
            next += SAYS_EVERY;
            angry();
        }
        thread::sleep(Duration::from_millis(100));
    }
    // It is too late for it to say anything.
    let _ = child.kill();
    let _ = child.wait();
    false
}

/// The line of the configuration that `calmline user hash` prints.
pub fn hash() -> String {
    let mut child = Command::new(PROGRAM)
        .args(["user", "hash"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program");
    writeln!(child.stdin.take().expect("it is piped"), "{PASSWORD}").expect("it reads");
    let output = child.wait_with_output().expect("its line");
    String::from_utf8(output.stdout).expect("a line").trim().to_owned()
}

/// The browser, when everything is there that drives it; what is missing is said.
pub fn browser() -> Option<PathBuf> {
    let console = Path::new(env!("CARGO_MANIFEST_DIR")).join("console");
    let browser = ["/usr/bin/chromium", "/usr/bin/chromium-browser"].into_iter().map(PathBuf::from);
    let Some(browser) = browser.into_iter().find(|path| path.exists()) else {
        println!("skipped: no browser (Debian package chromium)");
        return None;
    };
    for needed in ["dist/index.html", "node_modules/playwright-core/package.json"] {
        if !console.join(needed).exists() {
            println!("skipped: no console/{needed} (scripts/build-console)");
            return None;
        }
    }
    Some(browser)
}
