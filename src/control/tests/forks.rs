//! Calls that are forked to us: who is who, pause and resume, refreshes, news, streams that join, orders to the PBX.

mod random;

use std::time::Duration;

use forks::stream::Voice;
use media::{Codec, LegId};

use super::sim::{Sim, settings};
use crate::control::{
    Command, ControlSettings, ForkCommand, ForkEvent, ForkOpening, Input, Invite, OfferMethod, Order, SessionTerms,
    SipCommand, SipEvent, Source, StreamId,
};
use crate::notice::{Notice, What};
use crate::pbx::{self, Answer, Deed, Outcome};

/// Two streams of a recording client; the caller, who is not 7001, is in the second.
fn offer(directions: [&str; 2], ports: [u16; 2]) -> String {
    let [first, second] = directions;
    format!(
        "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n\
         m=audio {} RTP/AVP 0\r\na=label:1\r\na={first}\r\nm=audio {} RTP/AVP 8\r\na=label:2\r\na={second}\r\n",
        ports[0], ports[1]
    )
}

const METADATA: &str = r#"<recording xmlns="urn:ietf:params:xml:ns:recording:1"><datamode>complete</datamode>
  <session session_id="cs1"><sipSessionID>abc@pbx</sipSessionID></session>
  <participant participant_id="p1"><nameID aor="sip:7001@pbx"/></participant>
  <participant participant_id="p2"><nameID aor="sip:138@carrier"><name>Li</name></nameID></participant>
  <stream stream_id="s1"><label>1</label></stream><stream stream_id="s2"><label>2</label></stream>
  <participantstreamassoc participant_id="p1"><send>s1</send></participantstreamassoc>
  <participantstreamassoc participant_id="p2"><send>s2</send></participantstreamassoc></recording>"#;

#[test]
fn a_recording_becomes_a_call_of_two_parties() {
    let mut world = World::new();
    let leg = world.record(&offer(["sendonly"; 2], [4000, 4002]), Some(METADATA));
    let answer = world.answer();
    assert_eq!(answer.matches("a=recvonly").count(), 2, "{answer}");
    assert!(answer.contains("a=label:1") && answer.find("PCMU") < answer.find("PCMA"), "{answer}");
    assert_eq!(world.told_last(), "siprec abc@pbx agents caller=sip:138@carrier callee=sip:7001@pbx false");
    // The caller's codec is that of the second line.
    let (caller, _) = world.parties();
    assert_eq!(world.settings(caller).map(|settings| settings.codec), Some(Codec::Pcma));
    world.sip(SipEvent::Ended { leg, reason: "BYE from the far end".into() });
    world.is_over("BYE from the far end");
    world.leaves_nothing();
}

#[test]
fn a_caller_whom_the_metadata_names_may_be_remembered() {
    let remembering = || {
        let settings = ControlSettings { remember_speakers: true, ..settings() };
        World { sim: Sim::new(settings), out: Vec::new() }
    };
    let mut world = remembering();
    let leg = world.record(&offer(["sendonly"; 2], [4000, 4002]), None);
    assert_eq!(world.known(), [], "an address of the whole recording client is nobody's voice");
    assert_eq!(world.offer(leg, OfferMethod::Update, None, Some(METADATA)), 200);
    let (_, caller) = world.parties();
    assert_eq!(world.known(), [(caller, "sip:138@carrier".to_owned())]);
    world.leaves_nothing();

    let mut world = remembering();
    world.begin(1, "c1", Voice::Caller, true);
    assert_eq!(world.known().into_iter().map(|(_, caller)| caller).collect::<Vec<_>>(), ["sip:138@freeswitch"]);
    world.leaves_nothing();

    let mut world = remembering();
    world.begin(1, "c1", Voice::Both, true);
    assert_eq!(world.known(), [], "two voices in one channel are nobody's");
    world.leaves_nothing();

    let mut world = World::new();
    world.record(&offer(["sendonly"; 2], [4000, 4002]), Some(METADATA));
    assert_eq!(world.known(), [], "no route allows it");
    world.leaves_nothing();
}

#[test]
fn legs_are_reported_with_the_clock_of_their_codec() {
    for (codec, name, clock_hz) in
        [(Codec::L16Narrow, "L16", 8_000), (Codec::L16Wide, "L16", 16_000), (Codec::Opus, "opus", 48_000)]
    {
        let mut world = World::new();
        let opening = Box::new(ForkOpening { codec, ..opening("c1", Voice::Caller, true) });
        world.tell(Input::Fork(ForkEvent::Begun { stream: StreamId(1), opening }));
        world.tell(Input::Order(Order::HangUp { call: "boot-1".into() }));
        world.deliver();
        let told = |what: &What| matches!(what, What::LegEnded(leg) if (&*leg.codec, leg.clock_hz) == (name, clock_hz));
        assert!(world.said(told), "{codec:?}");
        world.leaves_nothing();
    }
}

#[test]
fn one_stream_of_all_is_nobodys_voice() {
    let one = offer(["sendonly"; 2], [4000, 4002]).split("m=audio 4002").next().expect("a line").to_owned();
    let unsaid: String = METADATA.lines().filter(|line| !line.contains("assoc")).chain(["</recording>"]).collect();
    let mixed = METADATA.replace("<send>s2</send>", "<send>s1</send>");
    let alone: String = unsaid.lines().filter(|line| !line.contains("7001")).collect();
    let agent = METADATA
        .replace("sip:138@carrier", "sip:7002@pbx")
        .replace("<label>1</label>", "<label>1</label><mode>mixed</mode>");
    for metadata in [&unsaid, &unsaid.replace("</participant>", "</participant>\n"), &mixed, &alone, &agent] {
        let settings = ControlSettings { remember_speakers: true, ..settings() };
        let mut world = World { sim: Sim::new(settings), out: Vec::new() };
        world.record(&one, Some(metadata));
        assert_eq!(world.known(), [], "{metadata}");
        let from = |what: &What| matches!(what, What::CallStarted { from, .. } if from.reveal().contains("7001"));
        assert!(!world.said(from), "the agent is not who calls: {metadata}");
        assert!(!world.told_last().contains("caller=sip:7001"), "{}", world.told_last());
        world.leaves_nothing();
    }
}

#[test]
fn pause_and_resume_keep_the_call() {
    let mut world = World::new();
    let leg = world.record(&offer(["sendonly"; 2], [4000, 4002]), Some(METADATA));
    world.sip(SipEvent::Confirmed { leg, sdp: None });
    assert_eq!(world.offer(leg, OfferMethod::Invite, Some(&offer(["inactive"; 2], [4000, 4002])), None), 200);
    assert!(world.reply().matches("a=inactive").count() == 2, "{}", world.reply());
    assert_eq!(world.pauses(), [true]);
    // However long it lasts, as long as the client knows the session.
    world.pass(3_000);
    assert!(world.is_up());
    assert_eq!(world.offer(leg, OfferMethod::Invite, Some(&offer(["sendonly"; 2], [4000, 4002])), None), 200);
    assert_eq!(world.pauses(), [true, false]);
    // The streams were switched off by their ports, which is the same.
    assert_eq!(world.offer(leg, OfferMethod::Invite, Some(&offer(["sendonly"; 2], [0, 0])), None), 200);
    assert_eq!(world.reply().matches("m=audio 0 ").count(), 2, "{}", world.reply());
    assert_eq!(world.pauses(), [true, false, true]);
    assert_eq!(world.offer(leg, OfferMethod::Invite, Some(&offer(["sendonly"; 2], [4000, 4002])), None), 200);
    assert_eq!(world.pauses(), [true, false, true, false]);
    world.leaves_nothing();
}

#[test]
fn refreshes_are_answered_and_change_nothing() {
    let mut world = World::new();
    let text = offer(["sendonly"; 2], [4000, 4002]);
    let leg = world.record(&text, Some(METADATA));
    world.sip(SipEvent::Confirmed { leg, sdp: None });
    let before = world.told();
    assert_eq!(world.offer(leg, OfferMethod::Invite, Some(&text), None), 200);
    assert_eq!(world.offer(leg, OfferMethod::Update, None, None), 200);
    assert_eq!(world.offer(leg, OfferMethod::Invite, None, None), 200);
    assert!(world.reply().contains("a=label:2"), "we offer what is agreed: {}", world.reply());
    assert_eq!(world.offer(leg, OfferMethod::Invite, Some("no description"), None), 488);
    assert_eq!(world.told(), before);
    assert!(world.is_up());
    world.leaves_nothing();
}

#[test]
fn news_of_who_takes_part_are_told_and_may_turn_the_sides() {
    let mut world = World::new();
    // Nothing is known at first: the first stream is the caller's.
    let leg = world.record(&offer(["sendonly"; 2], [4000, 4002]), None);
    let (caller, far) = world.parties();
    assert_eq!(world.told_last(), "siprec  order  false");
    world.tell(Input::Order(Order::OpenAudio { call: "boot-1".into(), layout: "stereo" }));
    assert!(world.is_copied(caller));
    assert_eq!(world.offer(leg, OfferMethod::Update, None, Some(METADATA)), 200);
    assert!(!world.is_copied(caller), "the live copy began at who is no caller");
    assert!(world.said(|what| matches!(what, What::AudioClosed { client: 1, .. })));
    world.tell(Input::Order(Order::OpenAudio { call: "boot-1".into(), layout: "stereo" }));
    assert!(world.is_copied(far) && world.said(|what| matches!(what, What::AudioOpened { client: 2, .. })));
    assert_eq!(world.told_last(), "siprec  agents caller=sip:138@carrier callee=sip:7001@pbx true");
    assert!(world.is_tapped(far) && !world.is_tapped(caller), "the caller is who was taken for the callee");
    let broken = "<recording><participant";
    assert_eq!(world.offer(leg, OfferMethod::Update, None, Some(broken)), 200);
    assert!(world.told_last().contains("caller=sip:138@carrier"), "what was known stays");
    let transferred = METADATA.replace("complete", "partial").replace("7001@pbx", "7002@pbx");
    assert_eq!(world.offer(leg, OfferMethod::Update, None, Some(&transferred)), 200);
    assert!(world.told_last().contains("callee=sip:7002@pbx"), "{}", world.told_last());
    world.tell(Input::Order(Order::HangUp { call: "boot-1".into() }));
    world.deliver();
    let ended = |what: &What| match what {
        What::LegEnded(report) => Some((report.party.clone(), report.name.clone(), report.codec.clone())),
        _ => None,
    };
    let mut ended: Vec<(String, String, String)> = world.notices().filter_map(ended).collect();
    ended.sort();
    let leg = |side: &str, codec: &str| (side.to_owned(), side.to_owned(), codec.to_owned());
    assert_eq!(ended, [leg("callee", "PCMU"), leg("caller", "PCMA")]);
    world.leaves_nothing();
}

#[test]
fn a_stream_may_come_later() {
    let mut world = World::new();
    let one: String = offer(["sendonly"; 2], [4000, 4002]).split("m=audio 4002").next().expect("a line").into();
    let leg = world.record(&one, None);
    assert_eq!(world.offer(leg, OfferMethod::Invite, Some(&offer(["sendonly"; 2], [4000, 4002])), Some(METADATA)), 200);
    assert_eq!(world.reply().matches("a=recvonly").count(), 2, "{}", world.reply());
    assert!(world.told_last().contains("caller=sip:138@carrier"), "{}", world.told_last());
    world.leaves_nothing();
}

#[test]
fn the_same_recording_begun_anew_takes_the_place_of_the_old_one() {
    let mut world = World::new();
    let text = offer(["sendonly"; 2], [4000, 4002]);
    let first = world.record(&text, Some(METADATA));
    world.record(&text, Some(METADATA));
    let bye = |command: &Command| matches!(command, Command::Sip(SipCommand::Bye { leg, .. }) if *leg == first);
    assert!(world.out.iter().any(bye), "the old session is ended");
    assert_eq!(world.sim.control.counts().calls, 1);
    world.leaves_nothing();
}

#[test]
fn what_cannot_be_taken_is_refused() {
    let refused = |world: &World, wanted: u16| {
        let code = world.out.iter().find_map(|command| match command {
            Command::Sip(SipCommand::Reject { code, .. }) => Some(*code),
            _ => None,
        });
        assert_eq!(code, Some(wanted));
        assert_eq!(world.sim.control.counts().calls, 0);
    };
    let text = offer(["sendonly"; 2], [4000, 4002]);
    for (sdp, code) in
        [("nothing", 488), (&*text.replace("RTP/AVP 0", "RTP/AVP 3").replace("RTP/AVP 8", "RTP/AVP 18"), 488)]
    {
        let mut world = World::new();
        world.record(sdp, Some(METADATA));
        refused(&world, code);
        world.leaves_nothing();
    }
    let mut world = World::new();
    world.tell(Input::Order(Order::Drain));
    world.record(&text, Some(METADATA));
    // The client goes to its second recorder with this.
    refused(&world, 503);
    world.leaves_nothing();
}

#[test]
fn streams_of_one_call_find_each_other() {
    let mut world = World::new();
    world.begin(1, "c1", Voice::Caller, true);
    world.begin(2, "c1", Voice::Callee, true);
    world.begin(3, "c2", Voice::Caller, true);
    assert_eq!(world.sim.control.counts().calls, 2);
    world.tell(Input::Fork(ForkEvent::Ended { stream: StreamId(2), reason: "closed".into() }));
    assert_eq!(world.sim.control.counts().calls, 2);
    // The PBX connects anew: the newest stream counts.
    world.begin(4, "c1", Voice::Caller, true);
    assert!(world.ended_streams().contains(&StreamId(1)));
    world.tell(Input::Fork(ForkEvent::Ended { stream: StreamId(1), reason: "closed".into() }));
    assert_eq!(world.sim.control.counts().calls, 2);
    world.tell(Input::Fork(ForkEvent::Ended { stream: StreamId(4), reason: "closed".into() }));
    world.is_over("closed");
    world.tell(Input::Order(Order::HangUp { call: "boot-2".into() }));
    assert!(world.ended_streams().contains(&StreamId(3)));
    world.leaves_nothing();
}

#[test]
fn without_a_connector_nothing_moves_and_the_reason_is_told() {
    let mut world = World::new();
    world.begin(1, "c1", Voice::Caller, false);
    world.anger();
    assert!(world.orders().is_empty());
    assert!(world.said(|what| matches!(what, What::RerouteFailed { via, reason, .. }
        if via == "bridge" && reason.contains("only its PBX can move it"))));
    let prompt_failed = |what: &What| matches!(what, What::PromptFailed { reason, .. } if reason.contains("sent back"));
    assert!(world.said(prompt_failed), "nothing can be played");
    assert!(world.is_up());
    world.leaves_nothing();
}

#[test]
fn an_angry_caller_moves_the_channel_of_the_pbx() {
    // The copy names the call as its PBX does, or the channel by itself.
    for (details, channel) in [(Vec::new(), "c1"), (vec![("x-pbx-channel".into(), "PJSIP/li-1".into())], "PJSIP/li-1")]
    {
        let mut world = World::new();
        world.begin_moves(ForkOpening { details, ..opening("c1", Voice::Caller, false) });
        world.anger();
        let order = world.order_to_move();
        let Deed::Move(wanted) = &order.deed else { panic!("a move: {order:?}") };
        assert_eq!((order.pbx.as_str(), wanted.channel.as_deref()), ("asterisk", Some(channel)));
        assert_eq!((wanted.handover.target.as_str(), wanted.handover.emotion.as_str()), ("desk", "anger"));
        world.answer_order(&order, Outcome::Done);
        assert!(world.said(|what| matches!(what, What::Rerouted { via, .. } if via == "asterisk")));
        world.pass(30);
        assert!(world.is_up(), "the copy goes on where the caller is now");
        world.leaves_nothing();
    }
}

#[test]
fn a_copy_that_ends_with_the_move_waits_for_the_answer() {
    for (outcome, why) in [(Outcome::Done, "moved by asterisk"), (Outcome::Failed("no".into()), "closed")] {
        let mut world = World::new();
        world.begin_moves(opening("c1", Voice::Caller, false));
        world.anger();
        let order = world.order_to_move();
        world.tell(Input::Fork(ForkEvent::Ended { stream: StreamId(1), reason: "closed".into() }));
        assert!(world.is_up());
        let moved = outcome == Outcome::Done;
        world.answer_order(&order, outcome);
        assert_eq!(world.said(|what| matches!(what, What::Rerouted { .. })), moved);
        world.is_over(why);
        world.leaves_nothing();
    }
}

#[test]
fn a_copy_that_comes_back_after_the_move_is_the_same_call() {
    let mut world = World::new();
    world.begin_moves(opening("c1", Voice::Caller, false));
    world.anger();
    let order = world.order_to_move();
    world.tell(Input::Fork(ForkEvent::Ended { stream: StreamId(1), reason: "closed".into() }));
    world.begin(2, "c1", Voice::Caller, false);
    world.answer_order(&order, Outcome::Failed("No such channel".into()));
    assert!(world.said(|what| matches!(what, What::RerouteFailed { via, .. } if via == "asterisk")));
    assert!(world.is_up());
    world.leaves_nothing();
}

/// Call control with everything that it has wanted.
struct World {
    sim: Sim,
    out: Vec<Command>,
}

impl World {
    fn new() -> World {
        World { sim: Sim::new(settings()), out: Vec::new() }
    }

    /// Ends whatever is left; nothing of it stays.
    fn leaves_nothing(mut self) {
        for number in 1..50 {
            self.tell(Input::Order(Order::HangUp { call: format!("boot-{number}") }));
        }
        self.deliver();
        self.pass(100);
        self.deliver();
        self.sim.assert_clean();
    }

    /// The SIP side and the media path say what they have to say of themselves.
    fn deliver(&mut self) {
        while let Some(input) = self.sim.pending.pop_front() {
            self.tell(input);
        }
    }

    fn tell(&mut self, input: Input) {
        if let Input::Sip(SipEvent::Ended { leg, .. }) = &input {
            self.sim.over(*leg);
        }
        let out = self.sim.tell(input);
        self.out.extend(out);
    }

    fn sip(&mut self, event: SipEvent) {
        self.tell(Input::Sip(event));
    }

    fn pass(&mut self, seconds: u64) {
        let mut all = Vec::new();
        self.sim.pass(Duration::from_secs(seconds), |_, out| all.extend(out));
        self.out.extend(all);
    }

    /// A recording client's INVITE.
    fn record(&mut self, sdp: &str, metadata: Option<&str>) -> LegId {
        let invite = Invite {
            request_uri: "sip:forked@192.0.2.1".into(),
            from: "<sip:src@sbc>;tag=1".into(),
            to: "<sip:forked@192.0.2.1>".into(),
            sip_call_id: "rs@sbc".into(),
            headers: Vec::new(),
            sdp: Some(sdp.into()),
            metadata: metadata.map(Into::into),
            is_recording: true,
            hops_left: 69,
            session: SessionTerms::default(),
            replaces: None,
        };
        let (leg, input) = self.sim.incoming(invite);
        self.tell(input);
        leg
    }

    /// An offer inside the recording session; the status it is answered with.
    fn offer(&mut self, leg: LegId, method: OfferMethod, sdp: Option<&str>, metadata: Option<&str>) -> u16 {
        let reply = self.sim.reply_id();
        let (sdp, metadata, session) = (sdp.map(Into::into), metadata.map(Into::into), SessionTerms::default());
        self.sip(SipEvent::Offer { leg, reply, method, sdp, session, metadata });
        let code = self.out.iter().find_map(|command| match command {
            Command::Sip(SipCommand::Reply { reply: found, code, .. }) if *found == reply => Some(*code),
            _ => None,
        });
        code.expect("an answer")
    }

    /// A stream of a fork, of one voice.
    fn begin(&mut self, stream: u32, call: &str, voice: Voice, plays: bool) {
        let opening = Box::new(opening(call, voice, plays));
        self.tell(Input::Fork(ForkEvent::Begun { stream: StreamId(stream), opening }));
        let accepted = |command: &Command| {
            matches!(command, Command::Fork(ForkCommand::Accept { stream: found, receivers, .. })
                if found.0 == stream && receivers.iter().all(|receiver| receiver.ip().is_loopback()))
        };
        assert!(self.out.iter().any(accepted), "stream {stream} was not taken");
    }

    /// Whose voices are to be remembered.
    fn known(&self) -> Vec<(LegId, String)> {
        let known = |command: &Command| match command {
            Command::Know { leg, caller } => Some((*leg, caller.clone())),
            _ => None,
        };
        self.out.iter().filter_map(known).collect()
    }

    /// Stream 1, of a call whose policy names connectors.
    fn begin_moves(&mut self, opening: ForkOpening) {
        let opening = Box::new(ForkOpening { uri: "ws:/moves".into(), ..opening });
        self.tell(Input::Fork(ForkEvent::Begun { stream: StreamId(1), opening }));
    }

    fn orders(&self) -> Vec<pbx::Order> {
        let order = |command: &Command| match command {
            Command::Pbx(order) => Some(order.clone()),
            _ => None,
        };
        self.out.iter().filter_map(order).collect()
    }

    fn order_to_move(&self) -> pbx::Order {
        let moves = |order: &pbx::Order| matches!(order.deed, Deed::Move(_));
        self.orders().into_iter().find(moves).expect("an order to move the caller")
    }

    fn answer_order(&mut self, order: &pbx::Order, outcome: Outcome) {
        self.tell(Input::Pbx(Answer { ticket: order.ticket, outcome }));
    }

    fn anger(&mut self) {
        let caller = self.parties().0;
        for _ in 0..4 {
            let input = Input::Heard(Box::new(super::script::observation(caller, "angry")));
            self.tell(input);
            self.pass(1);
        }
    }

    fn answer(&self) -> String {
        let answer = self.out.iter().find_map(|command| match command {
            Command::Sip(SipCommand::Answer { sdp, .. }) => Some(sdp.to_string()),
            _ => None,
        });
        answer.expect("an answer")
    }

    fn reply(&self) -> String {
        let reply = self.out.iter().rev().find_map(|command| match command {
            Command::Sip(SipCommand::Reply { sdp, .. }) => sdp.as_ref().map(|sdp| sdp.to_string()),
            _ => None,
        });
        reply.expect("a reply with a description")
    }

    fn settings(&self, leg: LegId) -> Option<media::StreamSettings> {
        self.out.iter().rev().find_map(|command| match command {
            Command::Media(media::Command::Configure { leg: found, settings }) if *found == leg => {
                Some(settings.clone())
            }
            _ => None,
        })
    }

    /// The first call's legs, in the order in which they were opened.
    fn parties(&self) -> (LegId, LegId) {
        let opened: Vec<LegId> = self
            .out
            .iter()
            .filter_map(|command| match command {
                Command::Media(media::Command::Open { leg, .. }) => Some(*leg),
                _ => None,
            })
            .collect();
        (opened[0], *opened.get(1).unwrap_or(&opened[0]))
    }

    fn is_tapped(&self, leg: LegId) -> bool {
        let tap = self.out.iter().rev().find_map(|command| match command {
            Command::Media(media::Command::Tap { leg: found, on }) if *found == leg => Some(*on),
            _ => None,
        });
        tap.unwrap_or(false)
    }

    fn is_copied(&self, leg: LegId) -> bool {
        let copy = self.out.iter().rev().find_map(|command| match command {
            Command::Media(media::Command::Copy { leg: found, on }) if *found == leg => Some(*on),
            _ => None,
        });
        copy.unwrap_or(false)
    }

    fn notices(&self) -> impl Iterator<Item = &What> {
        self.out.iter().filter_map(|command| match command {
            Command::Notice(Notice { what, .. }) => Some(what),
            _ => None,
        })
    }

    fn said(&self, wanted: impl Fn(&What) -> bool) -> bool {
        self.notices().any(wanted)
    }

    fn told(&self) -> Vec<String> {
        let forked = |what: &What| match what {
            What::CallForked { source, again, pbx_call, told_by, parties, .. } => {
                let sides: Vec<String> =
                    parties.iter().map(|party| format!("{}={}", party.party, party.addresses.join(","))).collect();
                let (name, how) = (pbx_call.as_deref().unwrap_or(""), told_by.as_deref().unwrap_or(""));
                Some(format!("{source} {name} {how} {} {again}", sides.join(" ")))
            }
            _ => None,
        };
        self.notices().filter_map(forked).collect()
    }

    fn told_last(&self) -> String {
        self.told().pop().expect("it was told who takes part")
    }

    fn pauses(&self) -> Vec<bool> {
        let paused = |what: &What| match what {
            What::ForkPaused { on } => Some(*on),
            _ => None,
        };
        self.notices().filter_map(paused).collect()
    }

    fn ended_streams(&self) -> Vec<StreamId> {
        let ended = |command: &Command| match command {
            Command::Fork(ForkCommand::End { stream, .. }) => Some(*stream),
            _ => None,
        };
        self.out.iter().filter_map(ended).collect()
    }

    fn is_up(&self) -> bool {
        self.sim.control.counts().calls == 1
    }

    #[track_caller]
    fn is_over(&mut self, why: &str) {
        self.deliver();
        assert!(self.said(|what| matches!(what, What::CallEnded { reason, .. } if reason == why)));
    }
}

/// A stream of one voice.
fn opening(call: &str, voice: Voice, plays: bool) -> ForkOpening {
    ForkOpening {
        source: Source::FreeSwitch,
        uri: "ws:/forked".into(),
        call: Some(call.into()),
        from: "138".into(),
        to: "4000".into(),
        voices: vec![voice],
        codec: Codec::L16Narrow,
        payload_type: 96,
        local: true,
        plays,
        details: Vec::new(),
    }
}
