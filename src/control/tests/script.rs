//! Reads scenarios: a line that begins with `>` is something that happens, the lines below it are all that call
//! control does about it. See `Script::act` for the words.

mod render;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use media::LegId;
use media::srtp::Suite;
use nlu::recognition::{EngineKind, SpokenPhrase, Transcript};
use prosody::turns::{PartyTurns, Turns};
use routing::Until;

use self::render::{render, render_notice};
use super::reload::reload;
use super::sim::{Sim, SipState, settings};
use crate::control::{
    Browser, ControlSettings, Description, HandshakeFailure, Header, Hears, Input, Invite, Measured, OfferMethod,
    Order, Party, PlayedSound, Presence, Refresher, ReplyId, SessionTerms, SipEvent, SupervisorMode, Whom, Wish,
    leg::header,
};
use crate::notice::{Notice, PriorityChange, What};
use crate::pbx::{Answer, Outcome};

/// Runs the scenario with the usual settings; call control must do what it says, and leave nothing behind.
#[track_caller]
pub(super) fn check(scenario: &str) {
    check_with(settings(), scenario);
}

/// The same; what call control tells of each leg when it is over, in order.
#[track_caller]
pub(super) fn check_legs(scenario: &str) -> Vec<String> {
    let sim = run(settings(), scenario);
    let is_leg = |notice: &&Notice| matches!(notice.what, What::LegEnded(_) | What::CallEnded { .. });
    sim.notices.iter().filter(is_leg).map(|notice| render_notice(&notice.what)).collect()
}

/// The same with other settings.
#[track_caller]
pub(super) fn check_with(settings: ControlSettings, scenario: &str) {
    run(settings, scenario);
}

/// What the steps of a scenario lead to, in order, whatever it expects.
pub(super) fn told(scenario: &str) -> Vec<String> {
    let mut script = Script { sim: Sim::new(settings()), lines: Vec::new(), quiet: false, asked: None };
    scenario.lines().filter_map(|line| line.trim().strip_prefix('>')).for_each(|step| script.act(step.trim()));
    script.lines
}

/// The same; what is left in the end.
#[track_caller]
pub(super) fn run(settings: ControlSettings, scenario: &str) -> Sim {
    let mut script = Script { sim: Sim::new(settings), lines: Vec::new(), quiet: false, asked: None };
    let mut expected: Vec<&str> = Vec::new();
    for line in scenario.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(step) = line.strip_prefix('>') {
            compare(&script.lines, &expected);
            script.lines.push(line.to_owned());
            script.act(step.trim());
        }
        expected.push(line);
    }
    compare(&script.lines, &expected);
    script.sim.pass(Duration::from_secs(100_000), |sim, _| deliver(sim, &mut Vec::new()));
    script.sim.assert_clean();
    script.sim
}

#[track_caller]
fn compare(got: &[String], expected: &[&str]) {
    assert!(got == expected, "\n--- got\n{}\n--- expected\n{}\n", got.join("\n"), expected.join("\n"));
}

/// What the caller's BYE leads to in a call with the bot.
pub(super) const HANG_UP: &str = "
    > caller byes
    close caller
    bye bot
    close bot
";

/// A connected call of the caller with the bot; goes in front of scenarios.
pub(super) const TALKING: &str = "
    > invite
    open caller
    started sales after-sales
    open bot
    invite bot [0 8 101 sendrecv]
    > bot answers 0
    configure bot Pcmu/0 SendRecv
    configure caller Pcmu/0 SendRecv
    bridge caller bot
    answer [0 101 sendrecv]
    tap caller on
    answered bot
    > caller acks
";

struct Script {
    sim: Sim,
    /// What happened and what was done about it, as in a scenario.
    lines: Vec<String>,
    /// Whether the SIP side and the media path keep their own words back until the next step.
    quiet: bool,
    /// The last re-INVITE that asked us to offer.
    asked: Option<ReplyId>,
}

impl Script {
    /// Does one step. `LEG` is a target's name, `caller`, or the name with a number for later legs of that name;
    /// `SDP` is payload types and a direction, e.g. `0 101 sendonly`, or `no-sdp`, or `bad-sdp`; with `keys`, `other-keys`,
    /// `dtls`, `other-dtls-active` and so on it is protected, with `avp` only at best; `there` is another address.
    #[track_caller]
    fn act(&mut self, step: &str) {
        let words: Vec<&str> = step.split_whitespace().collect();
        self.quiet = words.last() == Some(&"quietly");
        match *words.as_slice() {
            ["wait", seconds] => {
                let span = Duration::from_secs_f64(seconds.parse().expect("seconds"));
                let mut lines = std::mem::take(&mut self.lines);
                self.sim.pass(span, |sim, out| {
                    lines.extend(render(sim, &out));
                    deliver(sim, &mut lines);
                });
                self.lines = lines;
            }
            ["invite", ..] => {
                let input = self.sim.incoming(invite(&words[1..])).1;
                self.tell(input);
            }
            ["measure", key, value, "for", seconds] => {
                let value: f32 = value.parse().expect("a number");
                let measured = Measured::new(|measure| if measure.key() == key { value } else { 0.0 });
                let seconds: u64 = seconds.parse().expect("seconds");
                for _ in 0..2 * seconds {
                    self.act("wait 0.5");
                    self.tell(Input::Measured(measured));
                }
            }
            ["drain"] => self.tell(Input::Order(Order::Drain)),
            ["reload"] => reload(&mut self.sim),
            ["stop"] => self.tell(Input::Order(Order::Stop)),
            ["hang", "up", call] => self.tell(Input::Order(Order::HangUp { call: call.to_owned() })),
            ["order", ref words @ ..] => self.order(order("boot-1", words)),
            ["prompt", what] => self.prompt(what),
            ["text", what] => self.text(what),
            ["pbx", outcome, ..] => self.answer_order(outcome, &words[2..].join(" ")),
            [
                leg,
                "shaken" | "silent" | "sends" | "hears" | "cannot" | "is" | "presses" | "sounds" | "speaks"
                | "interrupted" | "said" | "saying" | "echoes" | "dictates",
                ..,
            ] => {
                self.act_media(self.leg(leg), &words[1..]);
            }
            [leg, ..] => self.act_sip(self.leg(leg), &words[1..]),
            [] => panic!("an empty step"),
        }
    }

    /// Something on a SIP leg.
    #[track_caller]
    fn act_sip(&mut self, leg: LegId, words: &[&str]) {
        let rest = |from: usize| words.get(from..).unwrap_or_default().join(" ");
        match *words {
            ["rings", code, ..] => {
                let (code, sdp) = (code.parse().expect("a code"), sdp(&rest(2)));
                self.tell(Input::Sip(SipEvent::Progress { leg, code, reason: "Ringing".into(), sdp }));
            }
            ["answers", ..] => {
                self.sim.sip.get_mut(&leg).expect("known").state = SipState::Answered;
                // An answer that crossed our CANCEL takes the place of its 487.
                self.sim
                    .pending
                    .retain(|each| !matches!(each, Input::Sip(SipEvent::Failed { leg: l, .. }) if *l == leg));
                let (body, session) = with_session(&rest(1));
                self.tell(Input::Sip(SipEvent::Answered { leg, sdp: sdp(&body), session }));
            }
            ["fails", code, ..] => {
                self.sim.over(leg);
                let code = code.parse().expect("a code");
                self.tell(Input::Sip(SipEvent::Failed { leg, code, reason: rest(2), retry_after: None }));
            }
            ["kept", "back", "for", seconds] => {
                self.sim.over(leg);
                let retry_after = Some(Duration::from_secs_f64(seconds.parse().expect("seconds")));
                let reason = "asks for fewer calls".to_owned();
                self.tell(Input::Sip(SipEvent::Failed { leg, code: 503, reason, retry_after }));
            }
            ["cancels", ..] => {
                self.sim.over(leg);
                self.tell(Input::Sip(SipEvent::Cancelled { leg }));
            }
            ["byes"] => {
                self.sim.over(leg);
                self.tell(Input::Sip(SipEvent::Ended { leg, reason: "BYE received".into() }));
            }
            ["acks", ..] => {
                self.tell(Input::Sip(SipEvent::Confirmed { leg, sdp: sdp(&rest(1)) }));
            }
            ["acks-offer", ..] => {
                let reply = self.asked.expect("a re-INVITE without an offer");
                self.tell(Input::Sip(SipEvent::Acknowledged { leg, reply, sdp: sdp(&rest(1)) }));
            }
            ["refreshed", code, ..] => {
                self.sim.updates.remove(&leg);
                let (code, session) = (code.parse().expect("a code"), with_session(&rest(2)).1);
                self.tell(Input::Sip(SipEvent::Updated { leg, code, session }));
            }
            ["informs", letter] => self.tell(Input::Sip(SipEvent::Key { leg, key: key(letter) })),
            [method @ ("reinvites" | "updates"), ..] => {
                let reply = self.sim.reply_id();
                let method = if method == "updates" { OfferMethod::Update } else { OfferMethod::Invite };
                let (body, session) = with_session(&rest(1));
                if body.is_empty() && method == OfferMethod::Invite {
                    self.asked = Some(reply);
                }
                self.tell(Input::Sip(SipEvent::Offer { leg, reply, method, sdp: sdp(&body), session, metadata: None }));
            }
            ["agrees", code, ..] => {
                self.sim.reinvites.remove(&leg);
                let (body, session) = with_session(&rest(2));
                let (code, sdp) = (code.parse().expect("a code"), sdp(&body));
                self.tell(Input::Sip(SipEvent::Reinvited { leg, code, sdp, session }));
            }
            ["alive"] => self.tell(Input::Sip(SipEvent::Probed { leg, found: Presence::Here })),
            ["ignores"] => self.tell(Input::Sip(SipEvent::Probed { leg, found: Presence::Silent })),
            ["dead"] => self.tell(Input::Sip(SipEvent::Probed { leg, found: Presence::Gone })),
            _ => self.act_transfer(leg, words),
        }
    }

    /// What a far end says of a transfer, ours or its own.
    #[track_caller]
    fn act_transfer(&mut self, leg: LegId, words: &[&str]) {
        match *words {
            ["refers", uri, ref more @ ..] => {
                let headers =
                    more.iter().filter_map(|word| word.split_once('=')).map(|(name, value)| header(name, value));
                let (uri, headers) = (uri.to_owned(), headers.collect());
                self.tell(Input::Sip(SipEvent::Referred { leg, uri, headers }));
            }
            ["told", code] => {
                let code = code.parse().expect("a code");
                self.tell(Input::Sip(SipEvent::Informed { leg, code, reason: "said so".into() }));
            }
            ["refer", code, ref last @ ..] => {
                let code = code.parse().expect("a code");
                let last = !last.is_empty();
                self.tell(Input::Sip(SipEvent::ReferProgress { leg, code, reason: "said so".into(), last }));
            }
            _ => panic!("no such step: {words:?}"),
        }
    }

    /// Something on a media leg.
    #[track_caller]
    fn act_media(&mut self, leg: LegId, words: &[&str]) {
        let event = match *words {
            ["silent", seconds] => {
                let silence = Duration::from_secs(seconds.parse().expect("seconds"));
                Input::Media(media::Event::Silent { leg, silence })
            }
            ["sends"] => Input::Media(media::Event::Heard { leg }),
            ["hears", from] => Input::Media(media::Event::Bridged { leg, from: self.leg(from) }),
            ["cannot", "open"] => {
                self.sim.media.get_mut(&leg).expect("known").up = false;
                Input::Media(media::Event::OpenFailed { leg, reason: "in use".into() })
            }
            ["presses", letter] => Input::Media(media::Event::Key { leg, key: key(letter) }),
            ["sounds", letter] => Input::Key { leg, key: key(letter) },
            ["shaken"] => Input::Shaken { leg, outcome: Ok(Suite::AeadAes128Gcm) },
            ["shaken", failure, ..] => {
                let outcome = Err(match failure {
                    "wrong" => HandshakeFailure::WrongCertificate,
                    _ => HandshakeFailure::TooSlow,
                });
                Input::Shaken { leg, outcome }
            }
            ["speaks", ms] => Input::Spoke { leg, lasted: Duration::from_millis(ms.parse().expect("milliseconds")) },
            ["interrupted", other, times, "and", others] => {
                let times = [times, others].map(|times| times.parse().expect("how often"));
                Input::Turns { legs: [leg, self.leg(other)], turns: interrupting(times) }
            }
            ["said", intent] => Input::Said(transcript(leg, intent, true)),
            ["echoes", intent] => Input::Crosstalk(transcript(leg, intent, true)),
            ["dictates", text] => Input::Said(super::conversations::dictated(leg, text)),
            ["saying", intent] => Input::Said(transcript(leg, intent, false)),
            ["is", mood] => Input::Heard(Box::new(observation(leg, mood))),
            _ => panic!("no such step: {words:?}"),
        };
        self.tell(event);
    }

    fn prompt(&mut self, what: &str) {
        let (leg, prompt) = *self.sim.plays.last().expect("a prompt was asked for");
        let event = if what == "starts" {
            media::Event::PlayStarted { leg, prompt }
        } else {
            self.sim.plays.pop();
            media::Event::PlayEnded { leg, prompt, completed: true }
        };
        self.tell(Input::Media(event));
    }

    /// The oldest order that has no answer gets one.
    fn answer_order(&mut self, outcome: &str, reason: &str) {
        let order = self.sim.orders.remove(0);
        let outcome = match outcome {
            "done" => Outcome::Done,
            "accepted" => Outcome::Accepted,
            _ => Outcome::Failed(reason.to_owned()),
        };
        self.tell(Input::Pbx(Answer { ticket: order.ticket, outcome }));
    }

    fn text(&mut self, what: &str) {
        let (leg, prompt) = self.sim.texts.pop().expect("a text was asked for");
        let sound = match what {
            "spoken" => Ok(Arc::new(media::Sound { samples: vec![0; 4_000] })),
            _ => Err("nobody speaks".to_owned()),
        };
        self.tell(Input::Spoken { leg, prompt, sound });
    }

    /// Gives an order; what is denied is a line of its own.
    fn order(&mut self, order: Order) {
        let (outcome, out) = self.sim.order(order);
        if let Err(denied) = outcome {
            self.lines.push(format!("denied {:?}: {denied}", denied.kind));
        }
        self.lines.extend(render(&self.sim, &out));
        deliver(&mut self.sim, &mut self.lines);
    }

    fn tell(&mut self, input: Input) {
        let out = self.sim.tell(input);
        self.lines.extend(render(&self.sim, &out));
        if !self.quiet {
            deliver(&mut self.sim, &mut self.lines);
        }
    }

    #[track_caller]
    fn leg(&self, name: &str) -> LegId {
        *self.sim.sip.iter().find(|(_, leg)| leg.name == name).expect("a leg of that name").0
    }
}

/// Lets the SIP side and the media path say what they say of themselves.
fn deliver(sim: &mut Sim, lines: &mut Vec<String>) {
    while let Some(input) = sim.pending.pop_front() {
        if let Input::Sip(SipEvent::Failed { leg, .. } | SipEvent::Ended { leg, .. }) = &input {
            sim.over(*leg);
        }
        let out = sim.tell(input);
        lines.extend(render(sim, &out));
    }
}

fn priority(wanted: &str) -> PriorityChange {
    PriorityChange { queue_priority: wanted.parse().ok(), by: "li".to_owned() }
}

/// An order about a call: `supervise TARGET|sip:… MODE`, `change N MODE`, `change N MODE by USER`, `change N hears WHOM`, `release N`, where MODE
/// is `listen`, `barge`, or `whisper PARTY`; `browser MODE`, `mute browser MODE`, `connected N`, `gone N`; `play PARTY MODE until …`, `say PARTY MODE`, `stop N`;
/// `move TARGET WAY… #PRIORITY`; `typed PARTY TEXT`; `audio`, `audio N missed MS`, `audio N closes`; `bypass`, `end bypass`; `consent given`, `consent refused`.
#[track_caller]
pub(super) fn order(call: &str, words: &[&str]) -> Order {
    let call = call.to_owned();
    let number = |text: &str| text.parse().expect("a number");
    let party = |word: &str| if word == "caller" { Party::Caller } else { Party::Callee };
    let play_mode = |word: &str| if word == "duck" { routing::PlayMode::Duck } else { routing::PlayMode::Replace };
    let mode = |words: &[&str]| match *words {
        ["listen"] => SupervisorMode::Listen,
        ["whisper", hearer] => SupervisorMode::Whisper(party(hearer)),
        ["barge"] => SupervisorMode::Barge,
        _ => panic!("no such mode: {words:?}"),
    };
    match *words {
        ["supervise", whom, ref rest @ ..] => {
            let named = || Whom::Target(whom.to_owned());
            let whom = if whom.starts_with("sip") { Whom::Uri(whom.to_owned()) } else { named() };
            Order::Supervise { call, whom, mode: mode(rest), hears: Hears::Both }
        }
        ["change", supervisor, "hears", whom] => {
            let hears = Some(if whom == "both" { Hears::Both } else { Hears::Only(party(whom)) });
            Order::ChangeSupervisor { call, supervisor: number(supervisor), mode: None, hears, by: None }
        }
        ["change", supervisor, ref rest @ ..] => {
            let (rest, by) = match *rest {
                [ref rest @ .., "by", user] => (rest, Some(format!("browser:{user}"))),
                ref rest => (rest, None),
            };
            Order::ChangeSupervisor { call, supervisor: number(supervisor), mode: Some(mode(rest)), hears: None, by }
        }
        ["release", supervisor] => Order::EndSupervisor { call, supervisor: number(supervisor) },
        ["browser", ref rest @ ..] => admit(call, mode(rest), true),
        ["mute", "browser", ref rest @ ..] => admit(call, mode(rest), false),
        ["connected", supervisor] => Order::BrowserConnected { call, supervisor: number(supervisor) },
        ["gone", supervisor] => {
            Order::BrowserGone { call, supervisor: number(supervisor), reason: "signed out".to_owned() }
        }
        ["play", hearer, how, ref until @ ..] => {
            let sound = Arc::new(media::Sound { samples: vec![0; 8_000] });
            let until = Until { speech: until.contains(&"speech"), key: until.contains(&"key") };
            let sound = PlayedSound::Ready { name: "ordered.wav".to_owned(), sound };
            Order::Play { call, party: party(hearer), sound, mode: play_mode(how), until }
        }
        ["say", hearer, how] => {
            let (text, language) = ("hello {X-Account}".to_owned(), routing::Language::English);
            Order::Play {
                call,
                party: party(hearer),
                sound: PlayedSound::Text { text, language },
                mode: play_mode(how),
                until: Until::default(),
            }
        }
        ["stop", prompt] => Order::StopPlay { call, prompt: number(prompt) },
        ["move", target, ref rest @ ..] => {
            let ways = rest.iter().map(|word| routing::Route::named(word)).filter(|way| !way.as_str().starts_with('#'));
            let queue_priority = rest.iter().find_map(|word| word.strip_prefix('#')?.parse().ok());
            Order::Move { call, wish: Wish { target: target.to_owned(), ways: ways.collect(), queue_priority } }
        }
        ["priority", wanted] => Order::Prioritise { call, change: priority(wanted) },
        ["typed", writer, text] => Order::Typed { call, party: party(writer), text: text.to_owned() },
        ["bypass"] => Order::Bypass { call },
        ["end", "bypass"] => Order::EndBypass { call },
        ["consent", said] => Order::Consent { call, given: said == "given" },
        ["audio"] => Order::OpenAudio { call, layout: "stereo" },
        ["audio", client, "missed", missed_ms] => {
            Order::AudioMissed { call, client: number(client), missed_ms: missed_ms.parse().expect("milliseconds") }
        }
        ["audio", client, "closes"] => Order::CloseAudio { call, client: number(client) },
        _ => panic!("no such order: {words:?}"),
    }
}

fn admit(call: String, mode: SupervisorMode, speaks: bool) -> Order {
    let (name, hears, socket) = ("browser:li".to_owned(), Hears::Both, SocketAddr::from(([127, 0, 0, 1], 40_000)));
    Order::AdmitBrowser { call, browser: Browser { name, mode, hears, socket, speaks } }
}

/// An INVITE to `sales` with an offer of everything; words change that: `to=NAME`, `sdp=0,101`, `no-sdp`,
/// `bad-sdp`, `expires=N`, `hops=N`.
fn invite(words: &[&str]) -> Invite {
    let mut headers: Vec<Header> = vec![header("X-Account", "7"), header("Subject", "hello")];
    let (words, session) = with_session(&words.join(" "));
    let (mut number, mut offer) = ("sales", sdp("0 8 101 sendrecv"));
    for word in words.split_whitespace() {
        match word.split_once('=') {
            Some(("to", value)) => number = value,
            Some(("sdp", value)) => offer = sdp(&format!("{} sendrecv", value.replace(',', " "))),
            Some(("hops", value)) => headers.push(header("Max-Forwards", value)),
            Some(("consent", value)) => headers.push(header("X-Consent", value)),
            Some(("channel", value)) => headers.push(header("X-PBX-Channel", value)),
            _ => offer = sdp(word),
        }
    }
    Invite {
        request_uri: format!("sip:{number}@192.0.2.1"),
        hops_left: 69,
        from: "\"Li\" <sip:li@pbx>;tag=1".into(),
        to: format!("<sip:{number}@192.0.2.1>"),
        sip_call_id: "abc@pbx".into(),
        headers,
        sdp: offer,
        metadata: None,
        is_recording: false,
        session,
        replaces: None,
    }
}

/// The same words without those of the session timer, and what these say: `expires=N`, `least=N` (Min-SE), `by=uac` or
/// `by=uas`, `timer` for a far end that only knows it, `update` for one that takes UPDATE.
fn with_session(words: &str) -> (String, SessionTerms) {
    let (mut rest, mut session) = (Vec::new(), SessionTerms::default());
    for word in words.split_whitespace() {
        match word.split_once('=').unwrap_or((word, "")) {
            ("expires", seconds) => {
                (session.supported, session.interval_s) = (true, Some(seconds.parse().expect("seconds")));
            }
            ("least", seconds) => session.least_s = Some(seconds.parse().expect("seconds")),
            ("by", "uas") => session.refresher = Some(Refresher::Uas),
            ("by", _) => session.refresher = Some(Refresher::Uac),
            ("timer", _) => session.supported = true,
            ("update", _) => session.takes_update = true,
            _ => rest.push(word),
        }
    }
    (rest.join(" "), session)
}

/// A far end's description; see `Script::act`.
pub(super) fn sdp(words: &str) -> Option<Description> {
    match words {
        "" | "no-sdp" => return None,
        "bad-sdp" => return Some("this is not SDP".into()),
        _ => {}
    }
    let (host, port) = if words.contains("there") { ("198.51.100.8", 5000) } else { ("198.51.100.7", 4000) };
    let numbers: Vec<&str> = words.split(' ').filter(|word| word.parse::<u8>().is_ok()).collect();
    let others: Vec<&str> = words.split(' ').filter(|word| word.parse::<u8>().is_err()).collect();
    let transport = match () {
        () if others.contains(&"avp") => "RTP/AVP",
        () if others.iter().any(|other| other.contains("dtls")) => "UDP/TLS/RTP/SAVP",
        () if others.contains(&"keys") || others.contains(&"other-keys") => "RTP/SAVP",
        () => "RTP/AVP",
    };
    let mut text = format!(
        "v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n\
         m=audio {port} {transport} {}\r\n",
        numbers.join(" ")
    );
    for number in &numbers {
        text += match *number {
            "101" => "a=rtpmap:101 telephone-event/8000\r\n",
            "102" => "a=rtpmap:102 telephone-event/48000\r\n",
            "107" => "a=rtpmap:107 opus/48000/2\r\na=fmtp:107 useinbandfec=1\r\n",
            _ => "",
        };
    }
    for other in others {
        text += &match other {
            "keys" => format!("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{}\r\n", "A".repeat(40)),
            "other-keys" => format!("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{}\r\n", "B".repeat(40)),
            "avp" | "there" => String::new(),
            dtls if dtls.contains("dtls") => {
                let octet = if dtls.starts_with("other-") { "4B" } else { "4A" };
                let setup = dtls.rsplit("dtls").next().filter(|setup| !setup.is_empty()).unwrap_or("-actpass");
                format!("a=setup:{}\r\na=fingerprint:sha-1 {}\r\n", &setup[1..], [octet; 20].join(":"))
            }
            direction => format!("a={direction}\r\n"),
        };
    }
    Some(text.into())
}

pub(super) fn observation(leg: LegId, mood: &str) -> nlu::Observation {
    let (emotion, level, anger) = match mood {
        "angry" => (nlu::Emotion::Anger, nlu::Level::High, 0.93),
        "cross" => (nlu::Emotion::Anger, nlu::Level::Medium, 0.6),
        "sad" => (nlu::Emotion::Sadness, nlu::Level::Low, 0.1),
        _ => (nlu::Emotion::Neutral, nlu::Level::Low, 0.05),
    };
    nlu::Observation {
        party: nlu::PartyId(leg.0),
        position: 8_000,
        emotion,
        level,
        anger,
        trend_per_s: 0.1,
        probabilities: [0.25; 4],
        evidence: nlu::Evidence::default(),
        source: nlu::Source::Model,
        words: None,
        expression: None,
    }
}

/// Turns of two parties that have interrupted each other so often, and spoken a second for each time.
fn interrupting(times: [u32; 2]) -> Turns {
    let party = |times: u32| PartyTurns { interruptions: times, speech_s: times as f32, ..PartyTurns::default() };
    Turns { overlap_s: 0.5, parties: times.map(party) }
}

/// One phrase of this meaning.
pub(super) fn transcript(leg: LegId, intent: &str, is_final: bool) -> Transcript {
    let phrase = SpokenPhrase {
        intent: intent.to_owned(),
        text: format!("a {intent}"),
        start: 8_000,
        end: 16_000,
        confidence: 0.9,
    };
    let (party, phrases) = (nlu::PartyId(leg.0), vec![phrase]);
    Transcript {
        party,
        engine: EngineKind::Pocketsphinx,
        is_final,
        start: 4_000,
        end: 20_000,
        words: Vec::new(),
        phrases,
        text: None,
    }
}

fn key(letter: &str) -> media::dtmf::Key {
    letter.chars().next().and_then(|letter| letter.try_into().ok()).expect("a key")
}
