//! The SIP side and the media path as call control sees them: they carry out commands, answer as their contract
//! says, and panic at once when call control breaks a rule.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use forks::siprec::Seat;
use media::quality::LegQuality;
use media::{Codec, LegId, LegStats, PromptId, Sound};
use nlu::masking::{Class, Masker, MaskingLists};
use nlu::recognition::Language;

use super::bypass::assert_consistent;
use crate::control::{
    Command, Control, ControlSettings, Denied, Description, Done, Input, Invite, Order, Random, ReplyId, SipCommand,
    SipEvent, Sounds,
};
use crate::notice::Notice;
use crate::pbx::{self, Dialplan, Place};
use crate::settings::{
    AudioTerms, Bypass, HeaderChanges, Limits, Networks, OverloadSettings, Parties, Pattern, PbxTerms, PortRange,
    Returning, Route, Routes, Spoken, SupervisionSettings, Target,
};

/// Call control and everything around it.
pub(super) struct Sim {
    pub(super) control: Control,
    pub(super) now: Duration,
    pub(super) sip: BTreeMap<LegId, SipLeg>,
    pub(super) media: BTreeMap<LegId, MediaLeg>,
    /// What the SIP side and the media path will say next, of themselves.
    pub(super) pending: VecDeque<Input>,
    pub(super) replies: BTreeSet<ReplyId>,
    /// Legs with a re-INVITE of ours that has no answer, and what it offers.
    pub(super) reinvites: BTreeMap<LegId, Description>,
    /// Legs with an UPDATE of ours that has no answer.
    pub(super) updates: BTreeSet<LegId>,
    /// Legs of browsers.
    pub(super) browsers: BTreeSet<LegId>,
    pub(super) plays: Vec<(LegId, PromptId)>,
    /// Texts that wait to be spoken.
    pub(super) texts: Vec<(LegId, PromptId)>,
    /// Orders to others that have no answer.
    pub(super) orders: Vec<pbx::Order>,
    pub(super) notices: Vec<Notice>,
    pub(super) ports_total: usize,
    next_incoming: u32,
    next_reply: u64,
}

/// A leg on the SIP side.
#[derive(Debug, Clone)]
pub(super) struct SipLeg {
    pub(super) name: String,
    pub(super) state: SipState,
}

/// Where a leg on the SIP side is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SipState {
    /// The INVITE has no final response.
    Inviting,
    /// We were asked to CANCEL.
    Cancelling,
    Answered,
    /// BYE or a final failure was asked for.
    Ending,
    Over,
}

/// A leg in the media path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MediaLeg {
    pub(super) port: u16,
    pub(super) up: bool,
    pub(super) peer: Option<LegId>,
}

impl Sim {
    pub(super) fn new(settings: ControlSettings) -> Sim {
        let policies = [AFTER_SALES, FINANCE, SERVICE, MOVES]
            .map(|text| routing::Policy::parse(text).expect("the test's policy is valid"));
        let second = Arc::new(Sound { samples: vec![0; 8000] });
        let names = ["sorry.wav", "wait.wav", "music.wav"];
        let files = names.map(|name| (name.to_owned(), second.clone())).into();
        let sounds = Sounds { files, ringback: Some(second) };
        let ports_total = settings.ports.even().count();
        let engine = routing::Engine::new(policies.into());
        Sim {
            control: Control::new(settings, engine, sounds, "boot".to_owned(), random()),
            now: Duration::from_secs(1),
            sip: BTreeMap::new(),
            media: BTreeMap::new(),
            pending: VecDeque::new(),
            replies: BTreeSet::new(),
            reinvites: BTreeMap::new(),
            updates: BTreeSet::new(),
            browsers: BTreeSet::new(),
            plays: Vec::new(),
            texts: Vec::new(),
            orders: Vec::new(),
            notices: Vec::new(),
            ports_total,
            next_incoming: 0,
            next_reply: 0,
        }
    }

    /// Tells call control one thing; carries out what it wants done and returns it.
    pub(super) fn tell(&mut self, input: Input) -> Vec<Command> {
        let mut out = Vec::new();
        self.control.handle(self.now, input, &mut out);
        for command in &out {
            self.carry_out(command);
        }
        out.extend(self.keep_time());
        let up = self.control.calls.values().filter(|call| call.is_up()).count();
        assert_eq!(self.control.counts().calls, up, "calls are counted as they begin and end");
        out
    }

    /// Gives call control one order; carries out what it wants done and returns what came of it.
    pub(super) fn order(&mut self, order: Order) -> (Result<Done, Denied>, Vec<Command>) {
        let mut out = Vec::new();
        let outcome = self.control.order(self.now, order, &mut out);
        if let Ok(Done::Browser { leg, .. }) = &outcome {
            self.browsers.insert(*leg);
        }
        for command in &out {
            self.carry_out(command);
        }
        out.extend(self.keep_time());
        (outcome, out)
    }

    /// Lets time pass, deadline by deadline.
    pub(super) fn pass(&mut self, span: Duration, mut each: impl FnMut(&mut Sim, Vec<Command>)) {
        let until = self.now + span;
        for _ in 0..100_000 {
            let Some((due, _)) = self.control.deadline().filter(|(due, _)| *due <= until) else {
                self.now = until;
                return;
            };
            self.now = self.now.max(due);
            let out = self.keep_time();
            each(self, out);
        }
        panic!("call control never sleeps");
    }

    /// Ticks, as the server does when something is due; a tick must do what was due, else the server would spin.
    fn keep_time(&mut self) -> Vec<Command> {
        let mut out = Vec::new();
        self.control.tick(self.now, &mut out);
        for command in &out {
            self.carry_out(command);
        }
        self.control.calls.values().for_each(assert_consistent);
        if let Some((due, what)) = self.control.deadline() {
            assert!(due > self.now, "{what} stays due");
        }
        out
    }

    /// A new caller's leg, as the SIP side numbers it.
    pub(super) fn incoming(&mut self, invite: Invite) -> (LegId, Input) {
        self.next_incoming += 1;
        let leg = LegId(1 << 31 | self.next_incoming);
        let name = if self.next_incoming == 1 { "caller".to_owned() } else { format!("caller{}", self.next_incoming) };
        self.sip.insert(leg, SipLeg { name, state: SipState::Inviting });
        (leg, Input::Sip(SipEvent::Incoming { leg, invite }))
    }

    pub(super) fn reply_id(&mut self) -> ReplyId {
        self.next_reply += 1;
        self.replies.insert(ReplyId(self.next_reply));
        ReplyId(self.next_reply)
    }

    /// The last word of a SIP leg; said once.
    pub(super) fn over(&mut self, leg: LegId) {
        let leg = self.sip.get_mut(&leg).expect("the leg exists");
        assert_ne!(leg.state, SipState::Over, "the last word is said once");
        leg.state = SipState::Over;
    }

    /// Nothing is left of any call.
    pub(super) fn assert_clean(&self) {
        let counts = self.control.counts();
        assert_eq!((counts.calls, counts.calls_ending, counts.legs, counts.ports_held), (0, 0, 0, 0), "{counts:?}");
        assert_eq!(counts.ports_free, self.ports_total);
        assert!(self.media.values().all(|leg| !leg.up), "a media leg stayed: {:?}", self.media);
        for (id, leg) in &self.sip {
            assert_eq!(leg.state, SipState::Over, "{id:?} {} stayed", leg.name);
        }
        assert!(self.browsers.is_empty(), "browsers that were not ended: {:?}", self.browsers);
        assert!(self.control.shared.orders.is_empty(), "orders of calls that are gone");
        assert!(self.replies.is_empty(), "offers without a reply: {:?}", self.replies);
    }

    fn carry_out(&mut self, command: &Command) {
        match command {
            Command::Sip(command) => self.carry_out_sip(command),
            Command::Media(command) => self.carry_out_media(command),
            Command::Handshake { leg, .. } => self.assert_up(*leg),
            Command::Speak { leg, prompt, saying } => {
                assert!(!saying.text.contains(['{', '}']), "a name was left in {saying:?}");
                self.texts.push((*leg, *prompt));
            }
            Command::EndBrowser { leg, .. } => {
                assert!(self.browsers.remove(leg), "{leg:?} is no browser, or has ended");
            }
            Command::Fork(_)
            | Command::Know { .. }
            | Command::Read { .. }
            | Command::See { .. }
            | Command::Attend { .. }
            | Command::Reel(_) => {}
            Command::Pbx(order) => self.orders.push(order.clone()),
            Command::Notice(notice) => self.notices.push(notice.clone()),
        }
    }

    fn carry_out_sip(&mut self, command: &SipCommand) {
        match command {
            SipCommand::Invite { leg, uri, .. } => {
                let user = uri.trim_start_matches("sip:").split('@').next().unwrap_or_default();
                let again =
                    self.sip.values().filter(|each| each.name.trim_end_matches(char::is_numeric) == user).count();
                let name = if again == 0 { user.to_owned() } else { format!("{user}{}", again + 1) };
                let known = self.sip.insert(*leg, SipLeg { name, state: SipState::Inviting });
                assert!(known.is_none(), "{leg:?} was used before");
            }
            SipCommand::Cancel { leg } => {
                self.step(*leg, &[SipState::Inviting], SipState::Cancelling);
                let (code, reason) = (487, "Request Terminated".to_owned());
                self.pending.push_back(Input::Sip(SipEvent::Failed { leg: *leg, code, reason, retry_after: None }));
            }
            SipCommand::Progress { leg, .. } => self.step(*leg, &[SipState::Inviting], SipState::Inviting),
            SipCommand::Answer { leg, .. } => self.step(*leg, &[SipState::Inviting], SipState::Answered),
            SipCommand::Reject { leg, code, .. } => {
                self.step(*leg, &[SipState::Inviting], SipState::Ending);
                self.pending.push_back(Input::Sip(SipEvent::Ended { leg: *leg, reason: format!("rejected {code}") }));
            }
            SipCommand::Bye { leg, .. } => {
                self.step(*leg, &[SipState::Answered], SipState::Ending);
                self.pending.push_back(Input::Sip(SipEvent::Ended { leg: *leg, reason: "BYE".to_owned() }));
            }
            SipCommand::Leave { leg } => {
                self.step(*leg, &[SipState::Answered], SipState::Ending);
                self.pending.push_back(Input::Sip(SipEvent::Ended { leg: *leg, reason: "left".to_owned() }));
            }
            SipCommand::Reinvite { leg, sdp, .. } => {
                self.step(*leg, &[SipState::Answered], SipState::Answered);
                let open = self.reinvites.insert(*leg, sdp.clone());
                assert!(open.is_none(), "{leg:?} has an offer that is open");
            }
            SipCommand::Update { leg, .. } => {
                self.step(*leg, &[SipState::Answered], SipState::Answered);
                assert!(self.updates.insert(*leg), "{leg:?} has an UPDATE that is open");
            }
            SipCommand::Refer { leg, .. } | SipCommand::Inform { leg, .. } | SipCommand::Probe { leg } => {
                self.step(*leg, &[SipState::Answered], SipState::Answered);
            }
            // Who sent a REFER may be gone by the time its outcome is known.
            SipCommand::TellReferrer { leg, .. } => assert!(self.sip.contains_key(leg)),
            SipCommand::Redirect { leg, .. } => {
                self.step(*leg, &[SipState::Inviting], SipState::Ending);
                self.pending.push_back(Input::Sip(SipEvent::Ended { leg: *leg, reason: "302".to_owned() }));
            }
            SipCommand::Reply { reply, .. } => assert!(self.replies.remove(reply), "{reply:?} answered twice"),
        }
    }

    #[track_caller]
    fn step(&mut self, id: LegId, from: &[SipState], to: SipState) {
        let leg = self.sip.get_mut(&id).expect("commands are for known legs");
        assert!(from.contains(&leg.state), "{id:?} {} is {:?}, not {from:?}", leg.name, leg.state);
        leg.state = to;
    }

    fn carry_out_media(&mut self, command: &media::Command) {
        match command {
            media::Command::Open { leg, port, .. } => {
                let in_use = self.media.values().any(|each| each.up && each.port == *port);
                assert!(!in_use && port % 2 == 0, "port {port} is in use or odd");
                let known = self.media.insert(*leg, MediaLeg { port: *port, up: true, peer: None });
                assert!(known.is_none_or(|known| !known.up), "{leg:?} is open");
            }
            media::Command::Configure { leg, .. }
            | media::Command::Tap { leg, .. }
            | media::Command::Copy { leg, .. }
            | media::Command::Capture { leg, .. } => self.assert_up(*leg),
            media::Command::Bridge { a, b } => {
                self.assert_up(*a);
                self.assert_up(*b);
                for leg in self.media.values_mut().filter(|leg| leg.peer == Some(*a) || leg.peer == Some(*b)) {
                    leg.peer = None;
                }
                self.media.get_mut(a).expect("is up").peer = Some(*b);
                self.media.get_mut(b).expect("is up").peer = Some(*a);
            }
            media::Command::Play { leg, prompt, .. } => {
                self.assert_up(*leg);
                self.end_play(*leg);
                self.plays.push((*leg, *prompt));
            }
            media::Command::StopPlay { leg } => {
                self.assert_up(*leg);
                self.end_play(*leg);
            }
            media::Command::Press { leg, .. } | media::Command::Secure { leg, .. } | media::Command::Renew { leg } => {
                self.assert_up(*leg);
            }
            media::Command::Supervise { supervisor, leg, .. } => {
                self.assert_up(*supervisor);
                self.assert_up(*leg);
                let answered = self.sip.get(supervisor).is_some_and(|leg| leg.state == SipState::Answered);
                assert!(answered || self.browsers.contains(supervisor), "nobody hears before the answer");
                assert_eq!(self.media[supervisor].peer, None, "a supervisor is in no call");
            }
            media::Command::Send { .. } | media::Command::Key { .. } => {}
            media::Command::Close { leg } => {
                self.assert_up(*leg);
                self.end_play(*leg);
                self.media.get_mut(leg).expect("is up").up = false;
                let quality = LegQuality { mos_listening: Some(4.4), ..LegQuality::default() };
                let stats = LegStats { packets_lost: 3, quality, ..LegStats::default() };
                self.pending.push_back(Input::Media(media::Event::Closed { leg: *leg, stats }));
            }
        }
    }

    #[track_caller]
    fn assert_up(&self, leg: LegId) {
        assert!(self.media.get(&leg).is_some_and(|leg| leg.up), "{leg:?} is not open");
    }

    fn end_play(&mut self, leg: LegId) {
        for (leg, prompt) in self.plays.extract_if(.., |(each, _)| *each == leg) {
            self.pending.push_back(Input::Media(media::Event::PlayEnded { leg, prompt, completed: false }));
        }
    }
}

/// Octets that nobody has to guess: every leg gets others.
fn random() -> Random {
    let mut next = 0_u8;
    Box::new(move |octets| {
        for octet in octets {
            next = next.wrapping_add(37);
            *octet = next;
        }
    })
}

/// A route by the called number.
fn route(name: &str, targets: &[&str], scenario: &str) -> Route {
    Route {
        name: name.to_owned(),
        request_uri: Some(Pattern::new(&format!("sip:{name}@*"))),
        to: None,
        from: None,
        header: None,
        targets: targets.iter().map(|&target| target.to_owned()).collect(),
        forked: targets.is_empty(),
        scenario: scenario.to_owned(),
        audio: AudioTerms { codecs: vec![Codec::Pcmu, Codec::Pcma], ..AudioTerms::default() },
        headers: HeaderChanges::default(),
        remember_speakers: None,
        language: None,
        mask: None,
        consent: crate::settings::ConsentSettings::default(),
        keep_audio: name == "kept",
        indicator: None,
        tags: crate::notice::Tags::default(),
        returning: (name == "moves").then(|| Returning {
            target: "human".to_owned(),
            level: nlu::Level::High,
            within: Duration::from_secs(3_600),
        }),
        bypass: Bypass::Never,
        bypass_running: name == "sales",
    }
}

/// Settings for tests: a bot and a human, each with a spare; routes by the called number.
pub(super) fn settings() -> ControlSettings {
    let target = |name: &str| {
        let dialplan = Some(Dialplan { context: "queues".to_owned(), extension: name.to_owned(), priority: 1 });
        let place = Place { dialplan, queue_priority: (name == "desk").then_some(10), ..Place::default() };
        let target = Target { uri: format!("sip:{name}@10.0.0.9"), place, ..Target::default() };
        (name.to_owned(), target)
    };
    let pbx = |name: &str, needs_channel: bool| {
        let (channel_header, within) = ("X-PBX-Channel".to_owned(), Duration::from_secs(5));
        (name.to_owned(), PbxTerms { channel_header, needs_channel, within })
    };
    ControlSettings {
        address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        sip_address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        networks: Networks::default(),
        sip_networks: Networks::default(),
        port_rest: Duration::ZERO,
        fingerprint: None,
        ports: PortRange { first: 20_000, last: 20_015 },
        silence: Duration::from_secs(30),
        silence_limit: Duration::from_secs(300),
        parties: Some(Parties::Caller),
        remember_speakers: false,
        language: Some(Spoken::Always(Language::Mandarin)),
        punctuation: true,
        masker: Masker::new(Arc::new(MaskingLists::built_in()), Class::usual()),
        compliance: Arc::default(),
        compared: vec!["customer.region".to_owned()],
        scores: false,
        functionals: false,
        limits: limits(),
        supervision: SupervisionSettings { per_call: 2, uris: vec![Pattern::new("sip:8???@10.0.0.9")] },
        agents: vec![Pattern::new("sip:7*@*")],
        first_stream: Seat::Caller,
        targets: ["bot", "spare", "human", "desk", "floor"].iter().map(|name| target(name)).collect(),
        routes: Routes(vec![
            route("sales", &["bot", "spare"], "after-sales"),
            route("money", &["bot"], "finance"),
            route("help", &["bot"], "service"),
            route("void", &["gone"], "after-sales"),
            route("moves", &["bot"], "moves"),
            route("kept", &["bot"], "after-sales"),
            Route { bypass: Bypass::Always, ..route("past", &["bot", "spare"], "after-sales") },
            Route { bypass: Bypass::OnOverload, ..route("lucky", &["bot"], "after-sales") },
            Route { request_uri: Some(Pattern::new("ws:/moves")), ..route("forked-moves", &[], "moves") },
            Route { request_uri: None, ..route("forked", &[], "after-sales") },
        ]),
        crms: BTreeSet::from(["tickets".to_owned()]),
        pbxes: [pbx("asterisk", true), pbx("crm", false)].into(),
        trusted: vec!["198.51.100.0/24".parse().expect("a network")],
    }
}

fn limits() -> Limits {
    Limits {
        calls: 3,
        ring: Duration::from_secs(20),
        call: Duration::from_secs(7_200),
        session_expires_s: None,
        drain: Duration::from_secs(60),
        overload: OverloadSettings {
            bypass_after: Duration::from_secs(2),
            bypass_per_s: 1,
            bypass_calm: Duration::from_secs(10),
            ..OverloadSettings::default()
        },
        ..Limits::default()
    }
}

const AFTER_SALES: &str = r#"
name = "after-sales"
version = 1
scenarios = ["after-sales"]
[[rule]]
id = "angry"
when = { emotion = "anger", level = "high" }
then = [
  { alert = "warning", text = "angry" },
  { prompt = "sorry.wav", mode = "duck" },
  { reroute = "bridge", target = "human" },
]
[[rule]]
id = "sad"
when = { emotion = "sadness" }
then = [{ prompt = "missing.wav", mode = "replace" }, { reroute = "bridge", target = "nobody" }]
[[fallback]]
id = "stay"
then = [{ prompt = "wait.wav", mode = "replace" }]
"#;

const FINANCE: &str = r#"
name = "finance"
version = 2
scenarios = ["finance"]
[[rule]]
id = "angry"
when = { emotion = "anger", level = "high" }
then = [{ reroute = "refer", target = "human" }]
[[fallback]]
id = "call-ourselves"
after = "angry"
then = [{ reroute = "bridge", target = "human" }]
"#;

const MOVES: &str = r#"
name = "moves"
version = 1
scenarios = ["moves"]
[[rule]]
id = "angry"
when = { emotion = "anger", level = "high" }
then = [{ reroute = ["asterisk", "refer", "bridge"], target = "desk", within_s = 4 }, { notify = "crm" }]
[[rule]]
id = "hook"
when = { key = "1" }
then = [{ reroute = ["crm", "info"], target = "human" }]
[[rule]]
id = "attended"
when = { key = "2" }
then = [{ reroute = "attended", target = "human" }]
[[rule]]
id = "sorry"
when = { key = "3" }
then = [{ announce = "ivr/sorry.wav", pbx = "asterisk" }]
cooldown_s = 1
"#;

const SERVICE: &str = r##"
name = "service"
version = 1
scenarios = ["service"]
[[rule]]
id = "menu"
when = { key = "1" }
then = [{ prompt = "sorry.wav", mode = "replace", until = ["speech", "key"] }]
cooldown_s = 1
[[rule]]
id = "greet"
when = { key = "2" }
then = [{ say = { text = "account {X-Account}{X-None}", language = "en" }, mode = "duck", until = ["key"] }]
cooldown_s = 1
[[rule]]
id = "card"
when = { keys = "*9" }
then = [{ secure_input = "on" }]
cooldown_s = 1
[[rule]]
id = "no-card"
when = { emotion = "sadness" }
then = [{ secure_input = "off" }]
[[rule]]
id = "sent-away"
when = { breach = ["grumble"] }
then = [{ alert = "critical", text = "the agent complains" }]
[[rule]]
id = "not-asked"
when = { breach = ["else"] }
then = [{ alert = "info", text = "ask for more" }, { reroute = "bridge", target = "human" }]
[[rule]]
id = "typed"
when = { key = "#" }
then = [{ alert = "info", text = "typed" }]
cooldown_s = 1
[[rule]]
id = "human"
when = { key = "0" }
then = [{ say = { text = "wait", language = "zh" }, mode = "replace" }, { reroute = "bridge", target = "human" }]
[[rule]]
id = "music"
when = { key = "A" }
then = [{ prompt = "sorry.wav", mode = "replace" }, { reroute = "bridge", target = "human", hold = "music.wav" }]
[[rule]]
id = "briefed"
when = { key = "C" }
then = [{ reroute = "bridge", target = "human", whisper = "wait.wav" }]
[[rule]]
id = "told"
when = { key = "D" }
then = [{ reroute = "bridge", target = "human", whisper = { text = "account {X-Account}", language = "en" } }]
[[rule]]
id = "ringback"
when = { key = "B" }
then = [{ reroute = "bridge", target = "human", hold = "ringback" }, { prompt = "sorry.wav", mode = "replace" }]
[[rule]]
id = "complains"
when = { said = ["complaint"] }
then = [{ alert = "warning", text = "complains" }]
cooldown_s = 1
[[fallback]]
id = "stay"
after = "ringback"
then = [{ prompt = "wait.wav", mode = "duck" }]
"##;
