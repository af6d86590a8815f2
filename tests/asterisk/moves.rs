//! The other ways: AMI Redirect, ARI continue and bridge, a REFER that Asterisk sends, an attended one that it takes.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Instant;

use calmline::demo::server::{Plan, Server};
use calmline::demo::supervisor::Supervisor;
use calmline::notice::{Notice, What};
use loadtest::audio::Audio;
use loadtest::driver::{PhoneHandle, PhonePlan, Phones};
use loadtest::phone::{Behaviour, Event};

use crate::authority::Authority;
use crate::lab::{ASTERISK, Lab, loopback};
use crate::{AGENT, CALLER, CALMLINE, LIMIT, PORTS, RTP_PORTS, expect, until};

/// Where the lab's second agent is, its AMI and its ARI.
const AGENT_2: SocketAddr = loopback(5082);
const AMI: SocketAddr = loopback(5038);
const ARI: SocketAddr = loopback(8088);
/// The same by TLS.
const SECURE_AMI: SocketAddr = loopback(5039);
const SECURE_ARI: SocketAddr = loopback(8089);

/// What an operator adds to the dialplan: calls through Calmline that name their channel (as in docs/INTEGRATIONS.md),
/// and an extension that transfers whoever calls it.
const DIALPLAN: &str = "
exten => _77.,1,Dial(PJSIP/${EXTEN:2}@sut,30,b(named^s^1(${CHANNEL})))
 same => n,Hangup()
exten => transfers,1,Answer()
 same => n,Wait(1)
 same => n,Transfer(PJSIP/sip:agent2@127.0.0.1:5060)
 same => n,Wait(30)
[named]
exten => s,1,Set(PJSIP_HEADER(add,X-PBX-Channel)=${ARG1})
 same => n,Return()
";

const POLICY: &str = r#"
name = "lab"
version = 1
scenarios = ["after-sales"]
[[rule]]
id = "redirect"
when = { key = "1" }
then = [{ reroute = ["asterisk", "refer"], target = "human" }]
[[rule]]
id = "continue"
when = { key = "2" }
then = [{ reroute = "rest", target = "human" }]
[[rule]]
id = "bridge"
when = { key = "3" }
then = [{ reroute = "rest", target = "agent" }]
[[rule]]
id = "attended"
when = { key = "4" }
then = [{ reroute = "attended", target = "human" }]
"#;

/// A server, its supervisor, and telephones for everybody whom the lab knows.
pub struct Stage {
    pub server: Server,
    supervisor: Supervisor,
    phones: Phones,
    pub bot: PhoneHandle,
    agent: PhoneHandle,
    agent_2: PhoneHandle,
    pub lab: Lab,
    pub end: Instant,
}

impl Stage {
    /// `bot` is where calls go first; nothing: to a telephone. `agents` is what agents do. With an authority, both APIs
    /// are spoken to by TLS, and their certificates are checked by it. `None`, and that is said, where there is no lab.
    pub fn set(bot: Option<&str>, agents: Behaviour, authority: Option<&Authority>) -> Option<Stage> {
        if let Some(authority) = authority {
            certify(authority);
        }
        let lab = Lab::up_with(&PORTS, |name, text| match (name, authority) {
            ("extensions.conf", _) => text + DIALPLAN,
            ("pjsip.conf", _) => text.replacen("[sut](ep)\n", "[sut](ep)\nrtp_timeout=5\n", 1),
            ("manager.conf", Some(_)) => with_tls(&text, SECURE_AMI),
            ("http.conf", Some(_)) => with_tls(&text, SECURE_ARI),
            _ => text,
        });
        let lab = lab.inspect_err(|why| println!("skipped: {why}")).ok()?;
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("asterisk-moves");
        std::fs::create_dir_all(folder.join("config/own")).expect("a folder");
        std::fs::write(folder.join("config/own/own.toml"), POLICY).expect("a policy");
        std::fs::write(folder.join("config/password"), "labpw").expect("a password");
        let mut plan = Plan::for_loopback().expect("free ports");
        plan.addresses.sip = CALMLINE;
        let bot_uri = bot.map_or_else(|| format!("sip:bot@{}", plan.addresses.bot), str::to_owned);
        let web = plan.addresses.web;
        plan.configuration = format!(
            "[sip]\nlisten = \"{CALMLINE}\"\n[media]\naddress = \"127.0.0.1\"\nports = \"{RTP_PORTS}\"\n\
             [web]\nlisten = \"{web}\"\ntoken_env = \"CALMLINE_TOKEN\"\n\
             [policy]\nfolder = \"own\"\nprompts = \"prompts\"\n\
             [pbx.asterisk]\nkind = \"ami\"\naddress = \"{AMI}\"\nuser = \"lab\"\nsecret_file = \"password\"\n\
             [pbx.rest]\nkind = \"ari\"\nurl = \"http://{ARI}/ari\"\nuser = \"lab\"\nsecret_file = \"password\"\n\
             app = \"lab\"\nwithin_s = 20\n\
             [targets.bot]\nuri = \"{bot_uri}\"\n\
             [targets.human]\nuri = \"sip:700@{ASTERISK}\"\ndialplan = \"lab,700,1\"\nqueue_priority = 10\n\
             [targets.agent]\nuri = \"sip:agent2@{ASTERISK}\"\nendpoint = \"PJSIP/agent2\"\n\
             [[route]]\nname = \"everything\"\ntargets = [\"bot\"]\nscenario = \"after-sales\"\n"
        );
        if let Some(authority) = authority {
            let by = format!("authorities = \"{}\"", authority.folder.join("authority.pem").display());
            plan.configuration = plan
                .configuration
                .replace(&format!("address = \"{AMI}\""), &format!("address = \"{SECURE_AMI}\"\ntls = true\n{by}"))
                .replace(&format!("url = \"http://{ARI}/ari\""), &format!("url = \"https://{SECURE_ARI}/ari\"\n{by}"));
        }
        let server = Server::start(env!("CARGO_BIN_EXE_calmline").as_ref(), &folder, &plan, &[]).expect("a server");
        let supervisor = Supervisor::subscribe(server.addresses.web, &server.token).expect("a subscription");
        let phones = Phones::start().expect("a thread");
        let phone = |address, user: &str, behaviour| {
            let plan = PhonePlan { user: user.to_owned(), behaviour, ..PhonePlan::new(address) };
            phones.add(plan).expect("its port is free")
        };
        let bot = phone(server.addresses.bot, "bot", Behaviour::answer());
        let (agent, agent_2) = (phone(AGENT, "agent1", agents.clone()), phone(AGENT_2, "agent2", agents));
        Some(Stage { server, supervisor, phones, bot, agent, agent_2, lab, end: Instant::now() + LIMIT })
    }

    pub fn call(&self, extension: &str) -> PhoneHandle {
        let audio = Audio::tone(400, 0.3);
        let target = format!("sip:{extension}@{ASTERISK}");
        let caller = self.phones.calling(CALLER, &target, audio, &[]).expect("a caller");
        expect(&caller, self.end, "the answer", |event| *event == Event::Answered);
        caller
    }

    /// Waits until something is told.
    #[track_caller]
    pub fn told(&self, what: &str, wanted: impl Fn(&What) -> bool) -> Notice {
        let mut told = Vec::new();
        while Instant::now() < self.end {
            let Some(notice) = self.supervisor.next(std::time::Duration::from_millis(50)) else { continue };
            if wanted(&notice.what) {
                return notice;
            }
            told.push(notice);
        }
        panic!("{what} was not told; told was {told:#?}");
    }

    /// The caller has been moved by `via`, our legs are gone, and the caller is still up.
    fn moved(&self, via: &str, caller: &PhoneHandle) {
        let notice = self.told("the move", |what| matches!(what, What::Rerouted { .. } | What::RerouteFailed { .. }));
        println!("{via}: {:?}", notice.what);
        assert!(matches!(&notice.what, What::Rerouted { via: by, .. } if by == via), "{:?}", notice.what);
        until(self.end, "Asterisk has no channel to us", || !self.lab.channels().contains("PJSIP/sut-"));
        assert_eq!(caller.calls_open(), 1, "the caller's call is still the same one");
    }

    pub fn over(self, caller: &PhoneHandle) {
        caller.hang_up().expect("an order");
        until(self.end, "Asterisk lets go", || self.lab.channels().trim().is_empty());
        self.server.stop().expect("the server ends as it should");
    }
}

#[test]
fn ami_redirects_the_caller_into_the_queue_with_a_priority() {
    let Some(stage) = Stage::set(None, Behaviour::answer(), None) else { return };
    let caller = stage.call("77support");
    expect(&stage.bot, stage.end, "the bot's call", |event| *event == Event::Answered);
    caller.press("1").expect("an order");
    expect(&stage.agent, stage.end, "the agent's answer", |event| *event == Event::Answered);
    stage.moved("asterisk", &caller);
    let channels = stage.lab.channels();
    let channel = channels.split('!').next().filter(|name| name.starts_with("PJSIP/caller-"));
    let channel =
        channel.or_else(|| channels.lines().find_map(|line| line.split('!').find(|n| n.starts_with("PJSIP/caller-"))));
    let shown = stage.lab.ask(&format!("core show channel {}", channel.expect("the caller's channel")));
    for variable in ["QUEUE_PRIO=10", "CALMLINE_RULE=redirect", "CALMLINE_EMOTION=neutral"] {
        assert!(shown.contains(variable), "{variable} in\n{shown}");
    }
    stage.over(&caller);
}

#[test]
fn the_queue_puts_the_caller_where_the_priority_says() {
    let Some(stage) = Stage::set(None, Behaviour::ring(), None) else { return };
    // Somebody waits already, and no agent answers.
    let audio = Audio::Silence;
    let first = stage.phones.calling(loopback(5079), &format!("sip:700@{ASTERISK}"), audio, &[]).expect("a caller");
    expect(&first, stage.end, "the queue's answer", |event| *event == Event::Answered);
    let waiting = || {
        let said = stage.lab.ask("queue show humans");
        said.lines().map(str::trim).filter(|line| line.contains("prio: ")).map(str::to_owned).collect::<Vec<_>>()
    };
    until(stage.end, "one waits", || waiting().len() == 1);
    let caller = stage.call("77support");
    expect(&stage.bot, stage.end, "the bot's call", |event| *event == Event::Answered);
    caller.press("1").expect("an order");
    stage.moved("asterisk", &caller);
    until(stage.end, "two wait", || waiting().len() == 2);
    let lines = waiting();
    println!("{lines:#?}");
    assert!(lines[0].starts_with("1. PJSIP/caller-") && lines[0].contains("prio: 10"), "{lines:#?}");
    assert!(lines[1].contains("prio: 0"), "{lines:#?}");
    first.hang_up().expect("an order");
    stage.over(&caller);
}

#[test]
fn both_apis_by_tls() {
    let authority = Authority::new("asterisk-apis");
    let Some(stage) = Stage::set(None, Behaviour::answer(), Some(&authority)) else { return };
    let caller = in_stasis(&stage);
    caller.press("2").expect("an order");
    expect(&stage.agent, stage.end, "the agent's answer", |event| *event == Event::Answered);
    stage.moved("rest", &caller);
    caller.hang_up().expect("an order");
    until(stage.end, "Asterisk lets go", || stage.lab.channels().trim().is_empty());
    caller.call(&format!("sip:77support@{ASTERISK}"), &[]).expect("an order");
    expect(&caller, stage.end, "the answer", |event| *event == Event::Answered);
    expect(&stage.bot, stage.end, "the bot's call", |event| *event == Event::Answered);
    caller.press("1").expect("an order");
    expect(&stage.agent, stage.end, "the agent's answer", |event| *event == Event::Answered);
    stage.moved("asterisk", &caller);
    stage.over(&caller);
}

/// Puts a certificate of `authority` where the lab's Asterisk reads it.
fn certify(authority: &Authority) {
    authority.install("127.0.0.1");
    let Some(lab) = std::env::var_os("CALMLINE_ASTERISK_DIR") else { return };
    let keys = Path::new(&lab).join("tmp/keys");
    std::fs::create_dir_all(&keys).expect("a folder of the lab");
    for name in ["us.pem", "us.key"] {
        std::fs::copy(authority.folder.join(name), keys.join(name)).expect("a file");
    }
}

/// A file of the lab's with a listener for TLS beside the plain one.
fn with_tls(text: &str, address: SocketAddr) -> String {
    let keys = "tlscertfile=/tmp/keys/us.pem\ntlsprivatekey=/tmp/keys/us.key";
    text.replacen("[general]\n", &format!("[general]\ntlsenable=yes\ntlsbindaddr={address}\n{keys}\n"), 1)
}

#[test]
fn ari_continues_the_caller_into_the_queue() {
    let Some(stage) = Stage::set(None, Behaviour::answer(), None) else { return };
    let caller = in_stasis(&stage);
    caller.press("2").expect("an order");
    expect(&stage.agent, stage.end, "the agent's answer", |event| *event == Event::Answered);
    stage.moved("rest", &caller);
    stage.over(&caller);
}

#[test]
fn ari_bridges_the_caller_with_an_agent() {
    let Some(stage) = Stage::set(None, Behaviour::answer(), None) else { return };
    let caller = in_stasis(&stage);
    caller.press("3").expect("an order");
    expect(&stage.agent_2, stage.end, "the agent's answer", |event| *event == Event::Answered);
    stage.moved("rest", &caller);
    let end = stage.end;
    until(end, "two seconds with the agent", || stage.agent_2.heard().samples.len() > 2 * 8_000);
    // The agent is let go when the caller has left.
    caller.hang_up().expect("an order");
    expect(&stage.agent_2, end, "the agent's BYE", |event| matches!(event, Event::Bye { .. }));
    until(end, "Asterisk lets go", || stage.lab.channels().trim().is_empty());
    stage.server.stop().expect("the server ends as it should");
}

#[test]
fn asterisk_refers_us_and_the_caller_reaches_an_agent() {
    let Some(stage) = Stage::set(Some(&format!("sip:transfers@{ASTERISK}")), Behaviour::answer(), None) else { return };
    let caller = stage.phones.calling(loopback(5079), &format!("sip:support@{CALMLINE}"), Audio::Silence, &[]);
    let caller = caller.expect("a caller");
    expect(&caller, stage.end, "the answer", |event| *event == Event::Answered);
    expect(&stage.agent_2, stage.end, "the agent's answer", |event| *event == Event::Answered);
    let notice = stage.told("the transfer", |what| matches!(what, What::Rerouted { .. } | What::RerouteFailed { .. }));
    println!("REFER by Asterisk: {:?}", notice.what);
    assert!(matches!(&notice.what, What::Rerouted { via, .. } if via == "referred"), "{:?}", notice.what);
    stage.over(&caller);
}

#[test]
fn asterisk_takes_our_place_with_the_queue() {
    let Some(stage) = Stage::set(None, Behaviour::answer(), None) else { return };
    let caller = stage.call("77support");
    expect(&stage.bot, stage.end, "the bot's call", |event| *event == Event::Answered);
    caller.press("4").expect("an order");
    expect(&stage.agent, stage.end, "the agent's answer", |event| *event == Event::Answered);
    stage.moved("attended", &caller);
    stage.over(&caller);
}

/// A caller in a Stasis application, bridged with a channel to us that names the caller's: what an application of the
/// integrator's does.
fn in_stasis(stage: &Stage) -> PhoneHandle {
    until(stage.end, "our application is known", || ari("GET", "/applications/lab", "").0 == 200);
    let caller = stage.call("900");
    let mut channel = String::new();
    until(stage.end, "the caller is in the application", || {
        let channels: serde_json::Value = serde_json::from_str(&ari("GET", "/channels", "").1).unwrap_or_default();
        let found = channels[0]["id"].as_str().filter(|_| channels[0]["dialplan"]["app_name"] == "Stasis");
        channel = found.unwrap_or_default().to_owned();
        found.is_some()
    });
    let variables = serde_json::json!({ "variables": { "PJSIP_HEADER(add,X-PBX-Channel)": channel } }).to_string();
    for (path, body) in [
        ("/channels/create?endpoint=PJSIP/support@sut&app=lab&channelId=to-us".to_owned(), variables.as_str()),
        ("/bridges/pair?type=mixing".to_owned(), ""),
        (format!("/bridges/pair/addChannel?channel={channel},to-us"), ""),
        ("/channels/to-us/dial".to_owned(), ""),
    ] {
        // A channel that was just made is not in the application at once.
        until(stage.end, &path, || (200..300).contains(&ari("POST", &path, body).0));
    }
    expect(&stage.bot, stage.end, "the bot's call", |event| *event == Event::Answered);
    caller
}

/// One request to ARI: its status and body.
fn ari(method: &str, path: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(ARI).expect("ARI is there");
    let request = format!(
        "{method} /ari{path} HTTP/1.1\r\nHost: {ARI}\r\nAuthorization: Basic bGFiOmxhYnB3\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).expect("taken");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let code = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    (code, answer.split_once("\r\n\r\n").map_or("", |(_, body)| body).to_owned())
}
