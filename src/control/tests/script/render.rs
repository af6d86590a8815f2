//! What call control does, in the words of scenarios.

use media::srtp::Security;
use media::{Direction, LegId, StreamSettings};

use crate::control::leg::header;
use crate::control::tests::sim::Sim;
use crate::control::{Command, Description, Header, ReelCommand, SipCommand};
use crate::notice::{GroupTurn, LegReport, Notice, PhraseHeard, ScenarioTurn, ServedAs, What};
use crate::pbx::{self, Deed};

pub(super) fn render<'a>(sim: &'a Sim, out: &'a [Command]) -> impl Iterator<Item = String> + 'a {
    // What legs carried is figures, and of no interest to scenarios.
    let is_told = |command: &&Command| !matches!(command, Command::Notice(Notice { what: What::LegEnded(_), .. }));
    out.iter().filter(is_told).map(|command| match command {
        Command::Sip(command) => render_sip(sim, command),
        Command::Media(command) => render_media(sim, command),
        Command::Handshake { leg, handshake, forks } => {
            let role = if handshake.active { "active" } else { "passive" };
            format!("handshake {} {role}{}", name(sim, *leg), if *forks { " among forks" } else { "" })
        }
        Command::Pbx(order) => render_order(order),
        Command::Know { leg, caller } => format!("know {} as {caller}", name(sim, *leg)),
        Command::Read { leg, text } => format!("read of {}: {text}", name(sim, *leg)),
        Command::See { leg, expression } => format!("see of {}: {:?}", name(sim, *leg), expression.shown),
        Command::Attend { leg, on } => format!("attend {} {on}", name(sim, *leg)),
        Command::Reel(command) => render_reel(sim, command),
        Command::Speak { leg, saying, .. } => {
            format!("speak {} to {}: {}", saying.language.as_str(), name(sim, *leg), saying.text)
        }
        Command::EndBrowser { reason, .. } => format!("end browser: {reason}"),
        Command::Fork(command) => format!("{command:?}"),
        Command::Notice(notice) => render_notice(&notice.what),
    })
}

fn render_reel(sim: &Sim, command: &ReelCommand) -> String {
    match command {
        ReelCommand::Begin(beginning) => format!("keep {}", name(sim, beginning.leg)),
        ReelCommand::Pause { .. } => "keep no more for now".to_owned(),
        ReelCommand::Secure { on, .. } => format!("keep secret {on}"),
        ReelCommand::End { .. } => "keep no more".to_owned(),
        ReelCommand::Drop { .. } => "keep nothing".to_owned(),
    }
}

fn render_order(order: &pbx::Order) -> String {
    let what = match &order.deed {
        Deed::Move(wanted) => {
            let at = wanted.place.dialplan.as_ref().map_or("nowhere", |at| &at.extension);
            let channel = wanted.channel.as_deref().unwrap_or("whoever");
            format!("move {channel} to {at}, {}", wanted.handover.line())
        }
        Deed::Play { channel, media } => format!("play {media} to {channel}"),
        Deed::Tell(handover) => format!("tell {}", handover.line()),
    };
    format!("order {} within {}: {what}", order.pbx, order.within.as_secs())
}

fn name(sim: &Sim, leg: LegId) -> &str {
    let other = if sim.browsers.contains(&leg) { "browser" } else { "nobody" };
    sim.sip.get(&leg).map_or(other, |leg| &leg.name)
}

fn render_sip(sim: &Sim, command: &SipCommand) -> String {
    let shown = |headers: &[Header]| -> String {
        let hidden = ["X-Calmline-Call", "X-Account", "X-PBX-Channel", "Require", "Warning", "Min-SE"];
        let seen = headers.iter().filter(|each| !hidden.contains(&&*each.name));
        seen.map(|each| format!(" {}: {}", each.name, each.value)).collect()
    };
    let body = |sdp: &Option<Description>| sdp.as_deref().map_or(String::new(), |sdp| format!(" {}", brief(sdp)));
    match command {
        SipCommand::Invite { leg, sdp, headers, from, .. } => {
            assert_eq!(from, "\"Li\" <sip:li@pbx>");
            assert!(headers.contains(&header("X-Account", "7")));
            assert!(headers.iter().any(|each| each.name == "X-Calmline-Call" && each.value.starts_with("boot-")));
            format!("invite {} {}{}", name(sim, *leg), brief(sdp), shown(headers))
        }
        SipCommand::Cancel { leg } => format!("cancel {}", name(sim, *leg)),
        SipCommand::Progress { code, sdp, .. } => format!("progress {code}{}", body(sdp)),
        SipCommand::Answer { sdp, headers, .. } => format!("answer {}{}", brief(sdp), shown(headers)),
        SipCommand::Reject { code, reason, headers, .. } => format!("reject {code} {reason}{}", shown(headers)),
        SipCommand::Reply { leg, code, sdp, headers, .. } => {
            format!("reply {} {code}{}{}", name(sim, *leg), body(sdp), shown(headers))
        }
        SipCommand::Bye { leg, .. } => format!("bye {}", name(sim, *leg)),
        SipCommand::Refer { leg, uri, replaces, headers } => {
            let replaces = replaces.map_or(String::new(), |leg| format!(" in the place of {}", name(sim, leg)));
            format!("refer {} to {uri}{replaces}{}", name(sim, *leg), shown(headers))
        }
        SipCommand::TellReferrer { leg, code, reason } => {
            format!("notify {} {code} {reason}", name(sim, *leg)).trim_end().to_owned()
        }
        SipCommand::Inform { leg, method, headers, .. } => {
            format!("inform {} by {method:?}{}", name(sim, *leg), shown(headers))
        }
        SipCommand::Redirect { uri, .. } => format!("redirect to {uri}"),
        SipCommand::Reinvite { leg, sdp, headers } => {
            format!("reinvite {} {}{}", name(sim, *leg), brief(sdp), shown(headers))
        }
        SipCommand::Update { leg, headers } => format!("update {}{}", name(sim, *leg), shown(headers)),
        SipCommand::Leave { leg } => format!("leave {}", name(sim, *leg)),
        SipCommand::Probe { leg } => format!("probe {}", name(sim, *leg)),
    }
}

/// A description of ours as transport, payload types, keys and direction, e.g. `[0 101 sendrecv]`; RTP/AVP goes unsaid, and
/// so does an address of ours.
fn brief(sdp: &str) -> String {
    let stream = sdp.lines().find_map(|line| line.strip_prefix("m=audio ")).unwrap_or_default();
    let formats = stream.split_once(' ').map_or("none", |(_, rest)| rest.trim_start_matches("RTP/AVP "));
    let directions = ["sendrecv", "sendonly", "recvonly", "inactive"];
    let direction = sdp.lines().find_map(|line| line.strip_prefix("a=").filter(|a| directions.contains(a)));
    let keys = if sdp.contains("a=crypto:") { " keys" } else { "" };
    let setup = sdp.lines().find_map(|line| line.strip_prefix("a=setup:")).map_or(String::new(), |s| format!(" {s}"));
    let host = sdp.lines().find_map(|line| line.strip_prefix("c=IN IP4 ")).filter(|host| *host != "192.0.2.1");
    let port = stream.split(' ').next().unwrap_or_default();
    let at = host.map_or(String::new(), |host| format!(" at {host}:{port}"));
    format!("[{formats}{keys}{setup} {}{at}]", direction.unwrap_or("sendrecv"))
}

fn render_media(sim: &Sim, command: &media::Command) -> String {
    match command {
        media::Command::Open { leg, .. } => {
            // An outgoing leg is opened before the INVITE names it.
            let known = sim.sip.contains_key(leg) || sim.browsers.contains(leg);
            format!("open {}", if known { name(sim, *leg) } else { "a new leg" })
        }
        media::Command::Configure { leg, settings } => {
            let StreamSettings { codec, payload_type, direction, security, .. } = settings;
            let direction: &Direction = direction;
            let security = match security {
                Security::Plain => "",
                Security::Keys(_) => " with keys",
                Security::Handshake => " after a handshake",
            };
            format!("configure {} {codec:?}/{payload_type} {direction:?}{security}", name(sim, *leg))
        }
        media::Command::Bridge { a, b } => format!("bridge {} {}", name(sim, *a), name(sim, *b)),
        media::Command::Play { leg, mode, key_ends, repeats, .. } => {
            let again = if *repeats { " again and again" } else { "" };
            format!("play {} {mode:?}{again}{}", name(sim, *leg), if *key_ends { " until a key" } else { "" })
        }
        media::Command::StopPlay { leg } => format!("stop {}", name(sim, *leg)),
        media::Command::Copy { leg, on } => format!("copy {} {}", name(sim, *leg), if *on { "on" } else { "off" }),
        media::Command::Capture { .. } => unreachable!("call control captures nothing itself"),
        media::Command::Tap { leg, on } => format!("tap {} {}", name(sim, *leg), if *on { "on" } else { "off" }),
        media::Command::Supervise { supervisor, leg, mode, hears } => {
            let hears = if *hears == media::Sides::Both { String::new() } else { format!(", hears {hears:?}") };
            format!("supervise {} by {} {mode:?}{hears}", name(sim, *leg), name(sim, *supervisor))
        }
        media::Command::Press { leg, key } => format!("press {} {key}", name(sim, *leg)),
        media::Command::Secure { leg, on } => format!("secure {} {}", name(sim, *leg), if *on { "on" } else { "off" }),
        media::Command::Renew { leg } => format!("renew {}", name(sim, *leg)),
        media::Command::Send { leg, datagram, .. } => format!("send {} {} octets", name(sim, *leg), datagram.len()),
        media::Command::Key { leg, .. } => format!("key {}", name(sim, *leg)),
        media::Command::Close { leg } => format!("close {}", name(sim, *leg)),
    }
}

pub(super) fn render_notice(what: &What) -> String {
    match what {
        What::CallStarted { route, scenario, .. } => format!("started {route} {scenario}"),
        What::CallRedirected { target, reason } => format!("redirected to {target}: {reason}"),
        What::PbxDone { pbx } => format!("{pbx} done"),
        What::PbxFailed { pbx, reason } => format!("{pbx} failed: {reason}"),
        What::CallRefused { code, reason } => format!("refused {code} {reason}"),
        What::CallForked { source, pbx_call, told_by, parties, .. } => {
            let sides: Vec<String> = parties.iter().map(|p| format!("{}={}", p.party, p.addresses.join(","))).collect();
            format!("forked {source} {pbx_call:?} by {told_by:?}: {}", sides.join(" "))
        }
        What::ForkPaused { on } => format!("paused {on}"),
        What::CallAnswered { target, .. } => format!("answered {target}"),
        What::Observed { party, emotion, level, .. } => format!("observed {party} {emotion} {level}"),
        What::Said { party, is_final, phrases, crosstalk, .. } => {
            said_in_words(party, (*is_final, *crosstalk), phrases)
        }
        What::Interrupted { party, times } => format!("interrupted by {party}, {times}"),
        What::Conversation { target, caller, callee } => {
            format!("conversation with {target}: {} and {} ms", caller.speech_ms, callee.speech_ms)
        }
        What::KeyPressed { party, key, way } => format!("key {party} {key} {way}"),
        What::HandshakeDone { party, suite, took_ms } => format!("handshake of {party} done after {took_ms}: {suite}"),
        What::HandshakeFailed { party, failure, .. } => format!("handshake of {party} failed: {failure}"),
        What::SecureInput { on } => format!("secure input {}", if *on { "on" } else { "off" }),
        What::CodecAsked { party, codec, outcome } => format!("codec {party} {codec} {outcome}"),
        What::Bypassed { took_ms, by } => format!("bypassed by {by} after {took_ms}"),
        What::BypassFailed { reason, .. } => format!("bypass failed: {reason}"),
        What::BypassEnded { reason, took_ms, .. } => format!("bypass ended after {took_ms}: {reason}"),
        What::PromptStarted { file, party, reaction_ms, .. } => {
            format!("prompt {file}{} started after {reaction_ms}", to_callee(party))
        }
        What::PromptEnded { file, party, completed, .. } => {
            format!("prompt {file}{} ended {completed}", to_callee(party))
        }
        What::PromptFailed { file, party, reason, .. } => format!("prompt {file}{} failed: {reason}", to_callee(party)),
        What::RerouteStarted { via, target } => format!("reroute {via} {target} started"),
        What::Rerouted { via, target, answer_ms, gap_ms } => {
            format!("rerouted {via} {target} after {answer_ms} gap {gap_ms:?}")
        }
        What::RerouteFailed { via, target, reason } => format!("reroute {via} {target} failed: {reason}"),
        What::LegEnded(report) => leg_in_words(report),
        What::Alert { severity, .. } => format!("alert {severity}"),
        What::LoadChanged { load, was, by } => {
            let by = by.as_ref().map_or(String::new(), |by| format!(" by {} {}", by.measure, by.value));
            format!("load {load} after {was}{by}")
        }
        What::SupervisorCalled { supervisor, target, mode, party, hears } => {
            format!("supervisor {supervisor} called at {}: {}", target.reveal(), mode_in_words(mode, party, hears))
        }
        What::SupervisorJoined { supervisor, answer_ms } => format!("supervisor {supervisor} joined after {answer_ms}"),
        What::SupervisorChanged { supervisor, mode, party, hears } => {
            format!("supervisor {supervisor} changed: {}", mode_in_words(mode, party, hears))
        }
        What::SupervisorLeft { supervisor, reason } => format!("supervisor {supervisor} left: {reason}"),
        What::SupervisorFailed { supervisor, reason } => format!("supervisor {supervisor} failed: {reason}"),
        What::AudioOpened { client, layout } => format!("audio {client} opened {layout}"),
        What::AudioMissed { client, missed_ms } => format!("audio {client} missed {missed_ms}"),
        What::AudioClosed { client, lasted_ms } => format!("audio {client} closed after {lasted_ms}"),
        What::CallEnded { reason, talk_ms, peak_level, packets_lost, .. } => {
            format!("ended: {reason}; talk {talk_ms} peak {peak_level} lost {packets_lost}")
        }
        what => policy_in_words(what),
    }
}

fn said_in_words(party: &str, (is_final, crosstalk): (bool, bool), phrases: &[PhraseHeard]) -> String {
    let meant: Vec<&str> = phrases.iter().map(|phrase| phrase.intent.as_str()).collect();
    let how = match (is_final, crosstalk) {
        (_, true) => "echoed by",
        (true, false) => "said by",
        (false, false) => "being said by",
    };
    format!("{how} {party} {}", meant.join(", ")).trim_end().to_owned()
}

/// What policies, warnings and chats tell.
fn policy_in_words(what: &What) -> String {
    match what {
        What::Decided { rule, policy, failure, .. } => {
            let failure = failure.as_ref().map_or(String::new(), |failure| format!(" because {failure}"));
            format!("decided {rule} {policy}{failure}")
        }
        What::ServiceSwitched { rule, before, after, words, .. } => {
            let name =
                |served: &Option<ServedAs>| served.as_ref().map_or("usual".to_owned(), |served| served.service.clone());
            let words = words.as_deref().unwrap_or("nothing");
            format!("service {rule}: {} after {}, says {words}", name(after), name(before))
        }
        What::ComplianceBreached(breach) => format!("{} {} of {}", breach.duty, breach.rule, breach.target),
        What::GroupTurned(GroupTurn { by, group, before, after, .. }) => {
            format!("{by} {group} turned from {before} to {after}")
        }
        What::ScenarioTurned(ScenarioTurn { scenario, before, after, .. }) => {
            format!("{scenario} turned from {before} to {after}")
        }
        What::Consent { state, by } => format!("consent {state} by {by}"),
        What::FactsTold { known, forgotten, .. } => format!("facts told {known:?}, forgotten {forgotten:?}"),
        What::EscalationLikely { evidence, .. } => format!("escalation likely: {}", evidence.join(", ")),
        What::LanguageFound(found) => format!("the {} speaks {}", found.party, found.heard_in),
        What::TicketAsked(asked) => format!("{} asks for a ticket of {}", asked.rule, asked.crm),
        What::AlertHandled(deed) => format!("alert {} by {}", deed.deed, deed.by),
        What::PriorityChanged(change) => format!("priority {:?} by {}", change.queue_priority, change.by),
        What::AlertEscalated(told) => format!("alert escalated to {}", told.severity),
        What::OutcomeTold(outcome) => format!("outcome by {}", outcome.by),
        What::ChatOpened { channel, .. } => format!("chat by {channel}"),
        What::MessageDropped { party, why } => format!("message of {party} dropped: {why}"),
        What::ReplySuggested { rule, text, .. } => format!("{rule} suggests {}", text.reveal()),
        What::NotPossible { action, reason, .. } => format!("{action} not possible: {reason}"),
        _ => String::new(),
    }
}

fn to_callee(party: &str) -> &str {
    if party == "callee" { " to the callee" } else { "" }
}

fn mode_in_words(mode: &str, party: &Option<String>, hears: &str) -> String {
    let mode = party.as_ref().map_or(mode.to_owned(), |party| format!("{mode} to {party}"));
    if hears == "both" { mode } else { format!("{mode}, hears {hears}") }
}

fn leg_in_words(report: &LegReport) -> String {
    let LegReport { party, name, codec, packets_lost, .. } = report;
    format!("leg of {party} {name}: {codec} lost {packets_lost} opinion {:?}", report.quality.mos_listening)
}
