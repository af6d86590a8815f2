//! Reads `calmline.toml` into `Settings`, with every fault named.
//!
//! Looks only at the file itself and its parts: whether what they name exists is asked by `check`.

mod route;
pub(super) mod sip;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use media::Codec;
use media::sdp::{Exchange, Protection, Wanted};
use media::tone::Region;
use routing::section::{Section, list, name, text, whole};
use toml::Value;

use super::alerts::{check_steps, read_alerts};
use super::bus::read_bus;
use super::capture::read_capture;
use super::compliance::read_compliance;
use super::crm::read_crms;
use super::forks::read_forks;
use super::headers::read_rules;
use super::hep::read_hep;
use super::knowledge::read_knowledge;
use super::mail::read_mail;
use super::networks;
use super::node::read_node;
use super::overload::read_overload;
use super::parts::{Whole, Written};
use super::pbx::{read_pbxes, read_place};
use super::privacy::read_privacy;
use super::recognition::{FILES, check_region, check_regions_of, files, read_recognition};
use super::reports::read_reports;
use super::sources::read_sources;
use super::store::{check_store, read_store};
use super::telemetry::read_telemetry;
use super::users::read_users;
use super::web::read_web;
use super::webrtc::read_webrtc;
use super::{
    AudioTerms, Fault, HandOver, IpNet, Limits, ListeningSettings, MediaSettings, Networks, Parties, Pattern,
    PolicySettings, PortRange, ReportWay, Routes, Settings, SipSettings, SpeechSettings, SupervisionSettings, Target,
    TextModelChoice, TrunkSettings, Zone,
};
use crate::shell::media::{MediaIo, MediaPriority};
use crate::signed::Trust;

/// Targets and routes of one server, and networks that are trusted.
pub(super) const ENTRIES_MAX: usize = 1_000;
/// Processors that media threads are bound to.
const CPUS_MAX: usize = 64;

impl Settings {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// Every fault that was found in it.
    pub fn load(path: &Path) -> Result<Settings, Vec<Fault>> {
        Settings::parse(&read_text(path).map_err(|fault| vec![fault])?, path)
    }

    /// Reads a configuration from its text. `path` names it in faults; relative paths in it start at its folder.
    ///
    /// # Errors
    /// Every fault that was found.
    pub fn parse(text: &str, path: &Path) -> Result<Settings, Vec<Fault>> {
        Settings::parse_with(text, path, None)
    }

    /// The same, where one of its `parts` says something else than its file.
    ///
    /// # Errors
    /// Every fault that was found.
    pub(crate) fn parse_with(text: &str, path: &Path, part: Option<(&Path, &str)>) -> Result<Settings, Vec<Fault>> {
        let whole = Whole::gather(path, text, part)?;
        let mut faults = Vec::new();
        let settings = read(Section::root(&whole.table, &mut faults), path.parent().unwrap_or(Path::new("")));
        if !faults.is_empty() {
            return Err(faults.into_iter().map(|fault| whole.place(fault)).collect());
        }
        let written = Written { path: path.to_owned(), text: text.to_owned(), parts: whole.parts };
        Ok(Settings { written, ..settings })
    }
}

/// A text file of at most `routing::section::TEXT_BYTES_MAX` bytes.
pub(crate) fn read_text(path: &Path) -> Result<String, Fault> {
    let fault = |found: String, expected: &str| Fault {
        file: path.to_owned(),
        key: "the whole file".to_owned(),
        found,
        expected: expected.to_owned(),
    };
    let size = std::fs::metadata(path).map_err(|error| fault(error.to_string(), "a readable file"))?.len();
    if size > routing::section::TEXT_BYTES_MAX as u64 {
        return Err(fault(format!("{size} bytes"), "at most 1 MiB"));
    }
    std::fs::read_to_string(path).map_err(|error| fault(error.to_string(), "a readable text file in UTF-8"))
}

fn read(mut root: Section<'_>, folder: &Path) -> Settings {
    let sip = sip::read_sip(root.section("sip"), folder);
    let trunks = sip::read_trunks(root.section("trunks"), folder, &sip);
    let media = read_media(root.section("media"), &sip);
    let (reports, report_font) = read_reports(root.section("reports"), folder);
    let privacy = read_privacy(root.section("privacy"), folder);
    let mut store = read_store(root.section("store"), folder);
    let mut settings = Settings {
        node: read_node(root.section("node"), store.as_mut()),
        bus: read_bus(root.section("bus"), folder),
        webrtc: read_webrtc(root.section("webrtc"), &media),
        media,
        sip,
        limits: read_limits(root.section("limits")),
        web: read_web(root.section("web"), folder),
        listening: read_listening(root.section("listening"), folder),
        recognition: read_recognition(root.section("recognition"), folder),
        knowledge: read_knowledge(root.section("knowledge"), folder),
        compliance: read_compliance(root.section("compliance"), folder, &privacy.files),
        privacy,
        store,
        alerts: read_alerts(root.section("alerts")),
        reports,
        report_font,
        mail: read_mail(root.section("mail"), folder),
        capture: read_capture(root.section("capture")),
        hep: read_hep(root.section("hep"), folder),
        telemetry: read_telemetry(root.section("telemetry"), folder),
        speech: read_speech(root.section("speech"), folder),
        forks: read_forks(root.section("forks")),
        policy: read_policy(root.section("policy"), folder),
        pbxes: read_pbxes(root.section("pbx"), folder),
        users: read_users(root.section("users"), folder),
        crms: read_crms(root.section("crm"), folder),
        sources: read_sources(root.section("sources"), folder),
        supervision: read_supervision(root.section("supervision")),
        targets: read_targets(root.section("targets"), &trunks),
        trunks,
        routes: Routes::default(),
        written: Written::default(),
    };
    if let Some(wanted) = &mut settings.recognition {
        wanted.engine.run_by(settings.listening.runtime.as_deref());
    }
    let routes = route::read_routes(&mut root, &settings.targets);
    check_ports(&mut root, &settings);
    if settings.recognition.is_some() && !settings.listening.enabled {
        root.fault("recognition", "it without listening", "[listening] beside it: words come from what is listened to");
    }
    if let Some(shared) = settings.crms.keys().find(|name| settings.pbxes.contains_key(*name)) {
        root.fault("crm", format!("\"{shared}\", which is a [pbx.NAME], too"), "names of their own: rules name either");
    }
    if settings.webrtc.is_some() && settings.web.is_none() {
        root.fault("webrtc", "it without the API", "[web] beside it: browsers are connected by way of it");
    }
    check_store(&mut root, &settings, &routes);
    check_recipients(&mut root, &settings);
    check_steps(&mut root, &settings);
    check_seen(&mut root, &settings, &routes);
    check_region(&mut root, settings.recognition.as_ref(), &settings.privacy);
    check_regions_of(&mut root, settings.recognition.as_ref(), &routes);
    root.finish();
    Settings { routes, ..settings }
}

/// Whether everybody who is sent reports can be.
fn check_recipients(root: &mut Section<'_>, settings: &Settings) {
    for (name, recipient) in settings.reports.iter().flat_map(|reports| &reports.to) {
        match &recipient.by {
            ReportWay::Mail(_) if settings.mail.is_none() => {
                root.fault("reports.to", format!("\"{name}\", by mail"), "[mail] beside it");
            }
            ReportWay::Crm(crm) if !settings.crms.contains_key(crm) => {
                root.fault("reports.to", format!("\"{name}\", by \"{crm}\""), "the name of a [crm.NAME]");
            }
            ReportWay::Mail(_) | ReportWay::Crm(_) => {}
        }
    }
}

/// Whether the routes and tenants whose calls somebody sees are there.
fn check_seen(root: &mut Section<'_>, Settings { users, web, .. }: &Settings, routes: &Routes) {
    let is_anybodys = |tenant: &str| routes.0.iter().any(|route| route.tags.tenant.as_deref() == Some(tenant));
    let of_users = users.iter().filter_map(|(user, settings)| Some(("users", user, settings.tenant.as_deref()?)));
    let tokens = web.iter().flat_map(|web| &web.tokens);
    let of_tokens = tokens.map(|(name, token)| ("web.tokens", name, token.tenant.as_str()));
    for (section, name, tenant) in of_users.chain(of_tokens).filter(|(.., tenant)| !is_anybodys(tenant)) {
        root.fault(section, format!("\"{tenant}\" as the tenant of {name}"), "the tenant of a [[route]]");
    }
    let seen = users.iter().flat_map(|(user, settings)| settings.routes.iter().flatten().map(move |name| (user, name)));
    for (user, name) in seen.filter(|(_, name)| !routes.0.iter().any(|route| route.name == **name)) {
        root.fault("users", format!("\"{name}\" among the routes of {user}"), "the name of a [[route]]");
    }
}

fn read_media(mut section: Section<'_>, sip: &SipSettings) -> MediaSettings {
    let default = MediaSettings::default();
    let address = section.read("address", "an IP address of this machine", address);
    // Nothing said about media: the same as SIP.
    let as_sip = if section.has("address") || section.has("external_address") { None } else { Some(&sip.networks) };
    let external_address = match address.filter(|address| !address.is_unspecified()) {
        None if !section.has("external_address") => sip.shown(sip.listen()).ip(),
        bound => external(&mut section, "media.address", bound.unwrap_or(sip.listen().ip())),
    };
    let ports = "\"FIRST-LAST\", FIRST even, 1024-65535, at least two even ports";
    let settings = MediaSettings {
        networks: section
            .read("networks", networks::EXPECTED, Networks::read)
            .or_else(|| as_sip.cloned())
            .unwrap_or_default(),
        port_rest: span(&mut section, "port_rest_s", 0..=3600).unwrap_or(default.port_rest),
        tones: section.read("tones", "\"cn\", \"us\", \"gb\" or \"eu\"", region).unwrap_or(default.tones),
        address: address.unwrap_or(sip.listen().ip()),
        external_address,
        ports: section.read("ports", ports, port_range).unwrap_or(default.ports),
        threads: section.read("threads", "a whole number from 1 to 64", whole(1..=64)).map_or(default.threads, count),
        cpus: section
            .read("cpus", "a list of processor numbers, 0-1023", list(CPUS_MAX, whole(0..=1_023)))
            .map_or(default.cpus, |cpus| cpus.into_iter().map(count).collect()),
        io: section.read("io", "\"auto\", \"epoll\" or \"io_uring\"", media_io).unwrap_or(default.io),
        stamps: section.read("timestamps", "\"kernel\" or \"loop\"", kernel_stamps).unwrap_or(default.stamps),
        priority: section.read("priority", "\"realtime\" or \"normal\"", priority).unwrap_or(default.priority),
        silence: span(&mut section, "silence_s", 5..=3600).unwrap_or(default.silence),
        silence_limit: span(&mut section, "silence_limit_s", 10..=86_400).unwrap_or(default.silence_limit),
    };
    if settings.silence_limit <= settings.silence {
        let found = format!("{}", settings.silence_limit.as_secs());
        section.fault("silence_limit_s", found, format!("more than silence_s = {}", settings.silence.as_secs()));
    }
    section.finish();
    settings
}

fn read_limits(mut section: Section<'_>) -> Limits {
    let default = Limits::default();
    let calls = section.read("calls", "a whole number from 1 to 10000", whole(1..=10_000));
    let chats = section.read("chats", "a whole number from 1 to 10000", whole(1..=10_000));
    let minutes = section.read("call_minutes", "a whole number from 1 to 10080", whole(1..=10_080));
    let limits = Limits {
        calls: calls.map_or(default.calls, count),
        chats: chats.map_or(default.chats, count),
        chat_idle: span(&mut section, "chat_idle_s", 10..=86_400).unwrap_or(default.chat_idle),
        ring: span(&mut section, "ring_s", 1..=300).unwrap_or(default.ring),
        call: minutes.map_or(default.call, |minutes| Duration::from_secs(60 * minutes.unsigned_abs())),
        session_check: span(&mut section, "session_check_s", 90..=86_400).unwrap_or(default.session_check),
        session_expires_s: section
            .read("session_expires_s", "whole seconds from 90 to 86400, or 0 for none", session_expires)
            .map_or(default.session_expires_s, |seconds| Some(seconds).filter(|seconds| *seconds > 0)),
        retry_after: span(&mut section, "retry_after_s", 1..=3600).unwrap_or(default.retry_after),
        drain: span(&mut section, "drain_s", 0..=86_400).unwrap_or(default.drain),
        stay: span(&mut section, "stay_s", 0..=86_400).unwrap_or(default.stay),
        hand_over: section
            .read("hand_over", "a list of \"refer\" and \"bypass\", in order", hand_over)
            .unwrap_or(default.hand_over),
        overload: read_overload(section.section("overload")),
    };
    section.finish();
    limits
}

fn hand_over(value: &Value) -> Option<Vec<HandOver>> {
    let ways = value.as_array().filter(|ways| ways.len() <= 2)?;
    let way = |way: &Value| match way.as_str()? {
        "refer" => Some(HandOver::Refer),
        "bypass" => Some(HandOver::Bypass),
        _ => None,
    };
    ways.iter().map(way).collect()
}

fn read_listening(mut section: Section<'_>, folder: &Path) -> ListeningSettings {
    let default = ListeningSettings::default();
    let enabled = section.read("enabled", "true or false", Value::as_bool);
    let settings = ListeningSettings {
        // Whoever writes the section wants it, unless it says otherwise.
        enabled: enabled.unwrap_or(section.is_present()),
        runtime: section.read("runtime", "a file's path", path(folder)),
        model: section.read("model", "a file's path", path(folder)),
        sound: section.read("sound", "true or false", Value::as_bool).unwrap_or(default.sound),
        lexicons: section.read("lexicons", FILES, files(folder)).unwrap_or_default(),
        text_model: section.read("text_model", TEXT_MODEL, text_model(folder)).unwrap_or(default.text_model),
        trusted: section.read("trusted_keys", TRUSTED, trust).unwrap_or_default(),
        shadow_model: section.read("shadow_model", "a file's path", path(folder)),
        shadow_text_model: section.read("shadow_text_model", "a file's path", path(folder)),
        parties: section.read("parties", "\"caller\" or \"both\"", parties).unwrap_or(default.parties),
        tap_packets: section
            .read("tap_packets", "a whole number from 64 to 1000000", whole(64..=1_000_000))
            .map_or(default.tap_packets, count),
        barge_in: section
            .read("barge_in_ms", "whole milliseconds from 100 to 5000", whole(100..=5_000))
            .map_or(default.barge_in, |milliseconds| Duration::from_millis(milliseconds.unsigned_abs())),
        remember_speakers: section.read("remember_speakers", "true or false", Value::as_bool).unwrap_or(false),
        scores: section.read("scores", "true or false", Value::as_bool).unwrap_or(false),
        functionals: section.read("functionals", "true or false", Value::as_bool).unwrap_or(false),
    };
    section.finish();
    settings
}

/// What `trusted_keys` may be.
pub(super) const TRUSTED: &str = "a list of 1-16 public keys of Ed25519 in base64, as `calmline models key` tells them";

pub(super) fn trust(value: &Value) -> Option<Trust> {
    let keys = value.as_array()?.iter().map(|key| key.as_str()?.parse().ok());
    Trust::only(keys.collect::<Option<_>>()?).ok()
}

const TEXT_MODEL: &str = "true, false or a file's path";

fn text_model(folder: &Path) -> impl Fn(&Value) -> Option<TextModelChoice> {
    move |value| match value.as_bool() {
        Some(true) => Some(TextModelChoice::Shipped),
        Some(false) => Some(TextModelChoice::None),
        None => path(folder)(value).map(TextModelChoice::Own),
    }
}

fn read_speech(mut section: Section<'_>, folder: &Path) -> SpeechSettings {
    let default = SpeechSettings::default();
    // A bare name is looked for where programs are, a path starts at the folder of the file.
    let program = |value: &Value| {
        let written = text(4096)(value)?;
        Some(if written.contains('/') { folder.join(written) } else { PathBuf::from(written) })
    };
    let megabytes = section.read("cache_mb", "a whole number from 1 to 1024", whole(1..=1_024));
    let settings = SpeechSettings {
        program: section.read("program", "a program's name or path", program).unwrap_or(default.program),
        cache_bytes: megabytes.map_or(default.cache_bytes, |megabytes| count(megabytes) << 20),
    };
    section.finish();
    settings
}

fn read_policy(mut section: Section<'_>, folder: &Path) -> PolicySettings {
    let settings = PolicySettings {
        folder: section.read("folder", "a folder's path", path(folder)).unwrap_or(folder.join("policies")),
        prompts: section.read("prompts", "a folder's path", path(folder)).unwrap_or(folder.join("prompts")),
        zone: section.read("time_zone", "the name of a time zone, e.g. \"Asia/Shanghai\"", |value| {
            value.as_str().and_then(Zone::named)
        }),
        compared: section.read("compare", COMPARED, list(COMPARED_MAX, fact_name)).unwrap_or_default().into(),
    };
    section.finish();
    settings
}

fn fact_name(value: &Value) -> Option<String> {
    value.as_str().filter(|name| routing::is_fact_name(name)).map(str::to_owned)
}

/// Facts by which calls are compared.
const COMPARED_MAX: usize = 10;
const COMPARED: &str = "a list of 1-10 facts, e.g. [\"order.product\", \"customer.region\"]";

fn read_supervision(mut section: Section<'_>) -> SupervisionSettings {
    let default = SupervisionSettings::default();
    let most = media::SUPERVISORS_MAX as i64;
    let per_call = section.read("per_call", format!("a whole number from 0 to {most}"), whole(0..=most));
    let patterns = "a list of patterns of SIP URIs, e.g. [\"sip:8???@192.0.2.10\"]";
    let uris = section.read("uris", patterns, |value| match value.as_array() {
        Some(none) if none.is_empty() => Some(Vec::new()),
        _ => list(ENTRIES_MAX, uri_pattern)(value),
    });
    section.finish();
    SupervisionSettings { per_call: per_call.map_or(default.per_call, count), uris: uris.unwrap_or_default() }
}

fn read_targets(mut section: Section<'_>, trunks: &BTreeMap<String, TrunkSettings>) -> BTreeMap<String, Target> {
    let mut targets = BTreeMap::new();
    section.each_named(|target_name, target| {
        let uri = target.need("uri", "a SIP URI, e.g. \"sip:2000@192.0.2.10\"", sip_uri);
        let proxy = target.read("proxy", SOCKET, socket);
        let (audio, headers, place) = (read_audio(target), read_rules(target), read_place(target));
        let known: Vec<&str> = trunks.keys().map(String::as_str).collect();
        let expected = format!("the name of a [trunks.NAME]; there are: {}", known.join(", "));
        let trunk = target.read("trunk", expected, |value| name(value).filter(|name| trunks.contains_key(name)));
        let user_to_user = target.read("user_to_user", "true or false", Value::as_bool).unwrap_or(false);
        if name(&Value::from(target_name)).is_none() {
            target.fault("", format!("\"{target_name}\""), "a name of 1-64 letters, digits, \"-\", \"_\" or \".\"");
        }
        if let Some(uri) = uri {
            let target = Target { uri, proxy, trunk, audio, headers, place, user_to_user };
            targets.insert(target_name.to_owned(), target);
        }
    });
    if targets.len() > ENTRIES_MAX {
        section.fault("", format!("{} targets", targets.len()), format!("at most {ENTRIES_MAX}"));
    }
    section.finish();
    targets
}

/// `codecs`, `srtp` and `keys` of a target or a route.
fn read_audio(section: &mut Section<'_>) -> AudioTerms {
    let names = "a list of codecs, best first: \"PCMA\", \"PCMU\", \"G722\", \"opus\", \"L16/8000\", \"L16/16000\"";
    let codecs = section.read("codecs", names, list(Codec::ALL.len(), codec));
    let wanted = section.read("srtp", "\"off\", \"optional\" or \"required\"", wanted);
    let exchange = section.read("keys", "\"sdes\", \"dtls\" or \"any\"", exchange);
    let is_off = wanted == Some(Wanted::Never) || !section.has("srtp");
    if exchange.is_some_and(|exchange| exchange != Exchange::Sdes) && is_off {
        section.fault("keys", "keys for audio that is not protected", "srtp = \"optional\" or \"required\" beside it");
    }
    AudioTerms {
        codecs: codecs.unwrap_or_default(),
        protection: Protection {
            wanted: wanted.unwrap_or(Protection::OFF.wanted),
            exchange: exchange.unwrap_or(Exchange::Sdes),
        },
    }
}

fn codec(value: &Value) -> Option<Codec> {
    let (name, clock_hz) = match value.as_str()?.split_once('/') {
        Some((name, clock_hz)) => (name, Some(clock_hz.parse::<u32>().ok()?)),
        None => (value.as_str()?, None),
    };
    let fits = |codec: &Codec| clock_hz.map_or(*codec != Codec::L16Wide, |clock_hz| clock_hz == codec.clock_hz());
    Codec::ALL.into_iter().find(|codec| codec.name().eq_ignore_ascii_case(name) && fits(codec))
}

fn wanted(value: &Value) -> Option<Wanted> {
    match value.as_str()? {
        "off" => Some(Wanted::Never),
        "optional" => Some(Wanted::Optional),
        "required" => Some(Wanted::Required),
        _ => None,
    }
}

fn exchange(value: &Value) -> Option<Exchange> {
    match value.as_str()? {
        "sdes" => Some(Exchange::Sdes),
        "dtls" => Some(Exchange::Dtls),
        "any" => Some(Exchange::Any),
        _ => None,
    }
}

/// Neither RTP nor browsers may take the ports of SIP or HTTP, or each other's. Same port on another address is still a trap
/// for whoever debugs it.
fn check_ports(root: &mut Section<'_>, settings: &Settings) {
    let media = settings.media.ports;
    let webrtc = settings.webrtc.as_ref().map(|webrtc| webrtc.ports);
    check_listeners(root, settings, "media.ports", media);
    let Some(webrtc) = webrtc else { return };
    check_listeners(root, settings, "webrtc.ports", webrtc);
    let (first, last) = (webrtc.first.max(media.first), webrtc.last.min(media.last));
    if first <= last {
        root.fault("webrtc.ports", format!("{first}-{last}, which [media] ports has, too"), "ports of its own");
    }
}

/// No listener is at a port of that range.
fn check_listeners(root: &mut Section<'_>, settings: &Settings, name: &str, ports: PortRange) {
    let sip = settings.sip.listeners.iter().map(|listener| ("sip.listen", listener.address));
    let web = settings.web.as_ref().map(|web| ("web.listen", web.listen));
    let audiosocket = settings.forks.audiosocket.map(|listen| ("forks.audiosocket", listen));
    let websocket = settings.forks.websocket.map(|listen| ("forks.websocket", listen));
    for (key, listen) in sip.chain([web, audiosocket, websocket].into_iter().flatten()) {
        if ports.contains(listen.port()) {
            let expected = format!("a port outside {name} = \"{}-{}\"", ports.first, ports.last);
            root.fault(key, format!("\"{listen}\""), expected);
        }
    }
}

/// The address that peers are shown: as written, else the bound one when that is an address at all.
fn external(section: &mut Section<'_>, bound_key: &str, bound: IpAddr) -> IpAddr {
    let expected = "an IP address that peers reach this machine at, e.g. \"192.0.2.20\"";
    let specified = |value: &Value| address(value).filter(|address| !address.is_unspecified());
    let written = section.read("external_address", expected, specified);
    if written.is_none() && bound.is_unspecified() && !section.has("external_address") {
        section.fault("external_address", "nothing", format!("{expected}, because {bound_key} is {bound}"));
    }
    written.unwrap_or(bound)
}

pub(super) fn span(
    section: &mut Section<'_>,
    key: &'static str,
    range: std::ops::RangeInclusive<i64>,
) -> Option<Duration> {
    let expected = format!("whole seconds from {} to {}", range.start(), range.end());
    section.read(key, expected, whole(range)).map(|seconds| Duration::from_secs(seconds.unsigned_abs()))
}

pub(super) const SOCKET: &str = "\"IP:PORT\", e.g. \"192.0.2.20:5060\" or \"[2001:db8::20]:5060\"";
const PATTERN: &str = "a pattern of 1-200 characters, e.g. \"sip:4*@*\"";

pub(super) fn socket(value: &Value) -> Option<SocketAddr> {
    value.as_str()?.parse().ok().filter(|socket: &SocketAddr| socket.port() != 0)
}

pub(super) fn address(value: &Value) -> Option<IpAddr> {
    value.as_str()?.parse().ok()
}

pub(super) fn network(value: &Value) -> Option<IpNet> {
    let text = value.as_str()?;
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

pub(super) fn port_range(value: &Value) -> Option<PortRange> {
    let (first, last) = value.as_str()?.split_once('-')?;
    let range = PortRange { first: first.trim().parse().ok()?, last: last.trim().parse().ok()? };
    let fits = range.first >= 1024 && range.first.is_multiple_of(2) && range.last.checked_sub(range.first) >= Some(2);
    fits.then_some(range)
}

pub(super) fn path(folder: &Path) -> impl Fn(&Value) -> Option<PathBuf> {
    move |value| text(4096)(value).map(|text| folder.join(text))
}

fn session_expires(value: &Value) -> Option<u32> {
    let seconds = value.as_integer().filter(|seconds| *seconds == 0 || (90..=86_400).contains(seconds))?;
    u32::try_from(seconds).ok()
}

pub(super) fn variable(value: &Value) -> Option<String> {
    text(128)(value).filter(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
}

pub(super) fn pattern(value: &Value) -> Option<Pattern> {
    text(200)(value).map(|text| Pattern::new(&text))
}

/// A pattern that names a host, so that nobody opens all the world by one star.
fn uri_pattern(value: &Value) -> Option<Pattern> {
    let text = text(200)(value)?;
    let host = text.strip_prefix("sip:")?.split_once('@')?.1;
    host.chars().any(char::is_alphanumeric).then(|| Pattern::new(&text))
}

fn region(value: &Value) -> Option<Region> {
    match value.as_str()? {
        "cn" => Some(Region::China),
        "us" => Some(Region::UnitedStates),
        "gb" => Some(Region::UnitedKingdom),
        "eu" => Some(Region::Europe),
        _ => None,
    }
}

fn parties(value: &Value) -> Option<Parties> {
    match value.as_str()? {
        "caller" => Some(Parties::Caller),
        "both" => Some(Parties::Both),
        _ => None,
    }
}

fn kernel_stamps(value: &Value) -> Option<bool> {
    match value.as_str()? {
        "kernel" => Some(true),
        "loop" => Some(false),
        _ => None,
    }
}

fn priority(value: &Value) -> Option<MediaPriority> {
    match value.as_str()? {
        "realtime" => Some(MediaPriority::Realtime),
        "normal" => Some(MediaPriority::Normal),
        _ => None,
    }
}

fn media_io(value: &Value) -> Option<MediaIo> {
    match value.as_str()? {
        "auto" => Some(MediaIo::Auto),
        "epoll" => Some(MediaIo::Epoll),
        "io_uring" => Some(MediaIo::IoUring),
        _ => None,
    }
}

/// A URI that can be called, by the parser that calls it.
fn sip_uri(value: &Value) -> Option<String> {
    let uri = text(256)(value)
        .filter(|uri| (uri.starts_with("sip:") || uri.starts_with("sips:")) && !uri.contains(char::is_whitespace))?;
    let parsed = rsipstack::sip::Uri::try_from(uri.as_str()).ok()?;
    (!parsed.host().to_string().is_empty()).then_some(uri)
}

pub(super) fn count(number: i64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
