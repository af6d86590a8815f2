//! The configuration: what an operator sets, with defaults that answer on loopback only.
//!
//! Every field here is a key of `config/calmline.toml`, already read, checked and resolved: paths are ready to
//! open and addresses ready to use. Reading is `read`, the checking of everything a file names is `check`.

mod alerts;
mod audio;
mod bus;
mod capture;
mod check;
mod compliance;
mod consent;
mod crm;
mod fault;
mod forks;
mod headers;
mod hep;
mod indicator;
mod knowledge;
mod mail;
mod networks;
mod node;
mod oidc;
mod overload;
mod parts;
mod pbx;
mod policies;
mod privacy;
mod read;
mod recognition;
mod reload;
mod reports;
mod route;
mod sip;
mod sources;
mod store;
mod telemetry;
mod token;
mod users;
mod web;
mod webrtc;
mod zone;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use media::Codec;
use media::sdp::{Exchange, Protection};

pub use alerts::AlertSettings;
pub use audio::AudioSettings;
pub use bus::BusSettings;
pub use capture::CaptureSettings;
pub use check::{Checked, check, check_settings};
pub(crate) use check::{check_settings_as, load_knowledge};
pub use compliance::ComplianceSettings;
pub use consent::{ConsentRule, ConsentSettings};
pub use crm::CrmSettings;
pub use fault::Fault;
pub use forks::ForkSettings;
pub use headers::{HeaderChanges, HeaderRules};
pub use hep::HepSettings;
pub use indicator::{Hearer, IndicatorSettings, Presence};
pub use ipnet::IpNet;
pub use knowledge::KnowledgeSettings;
use media::tone::Region;
pub use networks::Networks;
pub use overload::{Measure, OverloadSettings, Thresholds};
pub use parts::Written;
pub(crate) use pbx::QUEUE_PRIORITY_MAX;
pub use pbx::{PbxKind, PbxSettings, PbxTerms, SecretSource};
pub(crate) use policies::parse_policy;
pub(crate) use policies::{FILES_MAX as POLICIES_MAX, toml_files};
pub use policies::{Policies, load_policies, load_policy, read_prompt};
pub use privacy::PrivacySettings;
pub(crate) use read::read_text;
pub use recognition::{RecognitionSettings, Spoken};
pub use route::{Bypass, HeaderMatch, Pattern, RequestView, Returning, Route, Routes};
pub(crate) use route::{is_nameless, uri_of, user_end};
pub use sip::{
    Account, Authentication, ClientCertificate, Listener, PasswordSource, Registration, SipSettings, TlsSettings,
    TrunkSettings, UnknownSources,
};

pub use mail::{MailProtection, MailSettings, ReportRecipient, ReportWay};
pub use node::NodeSettings;
pub use oidc::OidcSettings;
pub use reports::ReportSettings;
pub use sources::{SourceFormat, SourcePlace, SourceSettings};
pub use store::{DatabaseSettings, KeepSettings, MasterKeySource, SiteSettings, StoreSettings, TrailSettings};
pub use telemetry::TelemetrySettings;
pub use token::{TenantTokenSource, Token, TokenSource};
pub use users::UserSettings;
pub(crate) use users::{TENANT, check_user_name, is_tenant};
pub(crate) use web::shared_token;
pub use webrtc::WebRtcSettings;
pub use zone::Zone;

use crate::pbx::Place;
use crate::shell::media::{MediaIo, MediaPriority};
use crate::signed::Trust;

/// The whole configuration of one server.
///
/// `Settings::default()` is valid: SIP and media on 127.0.0.1, no API, no listening, no targets, no routes.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Which of several servers this is.
    pub node: NodeSettings,
    /// Where other nodes and systems are told of calls.
    pub bus: Option<BusSettings>,
    /// `[sip]`.
    pub sip: SipSettings,
    /// `[media]`.
    pub media: MediaSettings,
    /// `[limits]`.
    pub limits: Limits,
    /// `[web]`; `None` when the section is absent: then no HTTP socket is opened.
    pub web: Option<WebSettings>,
    /// `[listening]`.
    pub listening: ListeningSettings,
    /// `[recognition]`; `None` when the section is absent: then nobody listens for words.
    pub recognition: Option<RecognitionSettings>,
    /// `[knowledge]`.
    pub knowledge: KnowledgeSettings,
    /// `[compliance]`.
    pub compliance: ComplianceSettings,
    /// `[privacy]`.
    pub privacy: PrivacySettings,
    /// `[store]`; `None` when the section is absent: then nothing is kept.
    pub store: Option<StoreSettings>,
    /// `[alerts]`.
    pub alerts: AlertSettings,
    /// `[reports]`; `None` when the section is absent: then reports are written on demand only.
    pub reports: Option<ReportSettings>,
    /// `reports.font`: the font of printed reports; one of the system when nothing is said.
    pub report_font: Option<PathBuf>,
    /// `[mail]`; `None` when the section is absent.
    pub mail: Option<MailSettings>,
    /// `[capture]`; `None` when the section is absent: then no call is captured.
    pub capture: Option<CaptureSettings>,
    /// `[hep]`; `None` when the section is absent: then no collector is told of messages.
    pub hep: Option<HepSettings>,
    /// `[telemetry]`; `None` when the section is absent: then no receiver is told of traces and logs.
    pub telemetry: Option<TelemetrySettings>,
    /// `[speech]`.
    pub speech: SpeechSettings,
    /// `[policy]`.
    pub policy: PolicySettings,
    /// `[forks]`.
    pub forks: ForkSettings,
    /// `[pbx.NAME]`: who can be asked to act on calls, by name.
    pub pbxes: BTreeMap<String, PbxSettings>,
    /// `[users.NAME]`: who may sign in to the console, by name.
    pub users: BTreeMap<String, UserSettings>,
    /// `[crm.NAME]`: systems outside that are told of events, by name.
    pub crms: BTreeMap<String, CrmSettings>,
    /// `[sources.NAME]`: where facts of customers and orders are pulled from, by name.
    pub sources: BTreeMap<String, SourceSettings>,
    /// `[supervision]`.
    pub supervision: SupervisionSettings,
    /// `[webrtc]`; `None` when the section is absent: then no browser is connected.
    pub webrtc: Option<WebRtcSettings>,
    /// `[trunks.NAME]`: the neighbours that calls come from and go to, by name.
    pub trunks: BTreeMap<String, TrunkSettings>,
    /// `[targets.NAME]`: where calls can be sent, by name.
    pub targets: BTreeMap<String, Target>,
    /// `[[route]]`, in file order.
    pub routes: Routes,
    /// What all this was read from.
    pub written: Written,
}

/// How RTP is sent and received.
#[derive(Debug, Clone)]
pub struct MediaSettings {
    /// The local address RTP sockets are bound to.
    pub address: IpAddr,
    /// The address our SDP shows. Never unspecified.
    pub external_address: IpAddr,
    /// The addresses that far ends in certain networks are shown instead, e.g. for a machine with two interfaces.
    pub networks: Networks,
    /// How long a port rests before another call gets it.
    pub port_rest: Duration,
    /// Whose tones callers are used to.
    pub tones: Region,
    /// The UDP ports RTP may use; each call takes two even ones.
    pub ports: PortRange,
    /// Media threads, 1-64.
    pub threads: usize,
    /// The processors that the media threads stay on, one each and then from the start again; empty for any.
    pub cpus: Vec<usize>,
    /// How the media threads wait for packets.
    pub io: MediaIo,
    /// Whether jitter is measured by the kernel's receive times instead of the media loop's.
    pub stamps: bool,
    /// What the media threads come before.
    pub priority: MediaPriority,
    /// A leg that sends nothing for this long is asked whether it is still there.
    pub silence: Duration,
    /// A leg that sends nothing for this long is ended, whatever it answered.
    pub silence_limit: Duration,
}

impl Default for MediaSettings {
    fn default() -> Self {
        MediaSettings {
            address: LOOPBACK,
            external_address: LOOPBACK,
            networks: Networks::default(),
            port_rest: Duration::from_secs(2),
            tones: Region::China,
            ports: PortRange { first: 20_000, last: 29_998 },
            threads: 1,
            cpus: Vec::new(),
            io: MediaIo::Auto,
            stamps: false,
            priority: MediaPriority::default(),
            silence: Duration::from_secs(30),
            silence_limit: Duration::from_secs(300),
        }
    }
}

/// A range of UDP ports, both ends included; `first` is even.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortRange {
    /// The lowest port, even.
    pub first: u16,
    /// The highest port.
    pub last: u16,
}

impl PortRange {
    /// Every port, in order.
    pub fn all(self) -> impl Iterator<Item = u16> {
        self.first..=self.last
    }

    /// Every even port, in order: RTP takes even ones (RFC 3550 §11).
    pub fn even(self) -> impl Iterator<Item = u16> {
        (self.first..=self.last).step_by(2)
    }

    /// Whether `port` lies in the range.
    pub fn contains(self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }
}

/// What is refused or ended when it grows too large or too old.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Calls at a time; the next one is refused with 503.
    pub calls: usize,
    /// Chats at a time; the next one is refused with 503.
    pub chats: usize,
    /// A chat in which nobody writes for this long is over.
    pub chat_idle: Duration,
    /// How long one target may ring before the next one is tried.
    pub ring: Duration,
    /// The longest call.
    pub call: Duration,
    /// How often an answered leg is asked whether it still knows the dialog.
    pub session_check: Duration,
    /// The session timer (RFC 4028) that far ends are asked for, seconds; `None`: only what they ask for.
    pub session_expires_s: Option<u32>,
    /// What Retry-After says with a 503.
    pub retry_after: Duration,
    /// How long running calls may go on once the server is to stop.
    pub drain: Duration,
    /// How long the server stays after that for calls whose audio goes past it: a BYE of one side still reaches the other.
    pub stay: Duration,
    /// How those are handed over that have not ended by then, in this order; empty: not at all.
    pub hand_over: Vec<HandOver>,
    /// `[limits.overload]`: what is done about too much load.
    pub overload: OverloadSettings,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            calls: 500,
            chats: 2_000,
            chat_idle: Duration::from_secs(900),
            ring: Duration::from_secs(30),
            call: Duration::from_secs(240 * 60),
            session_check: Duration::from_secs(900),
            session_expires_s: Some(1800),
            retry_after: Duration::from_secs(5),
            drain: Duration::from_secs(30),
            stay: Duration::ZERO,
            hand_over: vec![HandOver::Bypass],
            overload: OverloadSettings::default(),
        }
    }
}

/// How a running call is handed over to its two sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandOver {
    /// The caller's side is asked, by REFER with Replaces, to take our place in the far dialog.
    Refer,
    /// Both sides are told, by re-INVITE, to send audio to each other.
    Bypass,
}

/// The HTTP API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebSettings {
    /// The TCP socket of API, events, health and metrics.
    pub listen: SocketAddr,
    /// Where the token comes from that everything but health asks for.
    pub token: TokenSource,
    /// `[web.tokens.NAME]`: tokens of machines that see one tenant's calls.
    pub tokens: BTreeMap<String, TenantTokenSource>,
    /// Origins whose pages may show the agents' page in a frame; without any, none may.
    pub frame_ancestors: Vec<String>,
    /// `[web.oidc]`: where people sign in besides.
    pub oidc: Option<OidcSettings>,
    /// Our certificate and its key; `None`: no TLS.
    pub tls: Option<TlsSettings>,
}

/// Which text model reads words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextModelChoice {
    /// None: lexicons read alone.
    None,
    /// The one that ships with the program.
    Shipped,
    /// An operator's own (ONNX).
    Own(PathBuf),
}

/// Whether and how calls are listened to.
#[derive(Debug, Clone)]
pub struct ListeningSettings {
    /// Off: calls are relayed and nothing is analysed.
    pub enabled: bool,
    /// The ONNX Runtime library; `None`: searched for beside the program and in `.cache/`.
    pub runtime: Option<PathBuf>,
    /// The acoustic emotion model (ONNX); `None`: the one that ships with the program.
    pub model: Option<PathBuf>,
    /// Whether the one that ships judges voices by their sound, too.
    pub sound: bool,
    /// What reads the words of parties beside the text model; empty: the lexicons that ship with the program.
    pub lexicons: Vec<PathBuf>,
    /// The text model that reads them, too.
    pub text_model: TextModelChoice,
    /// By whom models that are not the shipped ones have to be signed.
    pub trusted: Trust,
    /// An acoustic model that is compared with the one in use and moves nothing.
    pub shadow_model: Option<PathBuf>,
    /// A text model that is compared likewise.
    pub shadow_text_model: Option<PathBuf>,
    /// Whose voice is listened to.
    pub parties: Parties,
    /// Packets that may wait between the media and the listening thread; the oldest are dropped beyond it.
    pub tap_packets: usize,
    /// How long a caller has to speak to cut a prompt short that speech may end.
    pub barge_in: Duration,
    /// Whether callers' baselines are kept from call to call, on routes that do not say otherwise.
    pub remember_speakers: bool,
    /// Whether steps of the emotion timeline tell every feature's score, and not only the usual ones.
    pub scores: bool,
    /// Whether they tell the functionals of the last seconds.
    pub functionals: bool,
}

impl Default for ListeningSettings {
    fn default() -> Self {
        ListeningSettings {
            enabled: false,
            runtime: None,
            model: None,
            sound: true,
            lexicons: Vec::new(),
            text_model: TextModelChoice::Shipped,
            trusted: Trust::anybody(),
            shadow_model: None,
            shadow_text_model: None,
            parties: Parties::Caller,
            tap_packets: 4096,
            barge_in: Duration::from_millis(480),
            remember_speakers: false,
            scores: false,
            functionals: false,
        }
    }
}

/// Whose voice is listened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parties {
    /// Only the caller.
    Caller,
    /// The caller and whoever the caller talks to.
    Both,
}

/// How texts of policies are spoken.
#[derive(Debug, Clone)]
pub struct SpeechSettings {
    /// The program: a path, or a name that is looked for where programs are.
    pub program: PathBuf,
    /// How much sound is remembered, bytes.
    pub cache_bytes: usize,
}

impl Default for SpeechSettings {
    fn default() -> Self {
        SpeechSettings { program: PathBuf::from("espeak-ng"), cache_bytes: 64 << 20 }
    }
}

/// Where policies and prompts lie.
#[derive(Debug, Clone)]
pub struct PolicySettings {
    /// Folder of `*.toml` policy files, resolved against the configuration file's folder.
    pub folder: PathBuf,
    /// Folder of prompt files (WAV, Opus), resolved likewise.
    pub prompts: PathBuf,
    /// Where it is the hour and the day that rules name; without it, no rule may name any.
    pub zone: Option<Zone>,
    /// The facts by which calls are compared with each other, e.g. `order.product`.
    pub compared: Arc<[String]>,
}

impl Default for PolicySettings {
    fn default() -> Self {
        PolicySettings {
            folder: PathBuf::from("config/policies"),
            prompts: PathBuf::from("config/prompts"),
            zone: None,
            compared: Arc::default(),
        }
    }
}

/// Who may be called to supervise calls.
#[derive(Debug, Clone)]
pub struct SupervisionSettings {
    /// Supervisors of one call, 0-3; with 0 there is no supervision by phone.
    pub per_call: usize,
    /// What addresses may be called that are no targets; empty: none.
    pub uris: Vec<Pattern>,
}

impl Default for SupervisionSettings {
    fn default() -> Self {
        SupervisionSettings { per_call: 2, uris: Vec::new() }
    }
}

/// Which audio is spoken with one neighbour: the target of a call, or the callers of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioTerms {
    /// The codecs that are spoken, best first; empty: all, in the order of the caller.
    pub codecs: Vec<Codec>,
    /// Whether audio is protected, and how its keys are agreed.
    pub protection: Protection,
}

impl Default for AudioTerms {
    fn default() -> Self {
        AudioTerms { codecs: Vec::new(), protection: Protection { exchange: Exchange::Sdes, ..Protection::OFF } }
    }
}

/// Where calls can be sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Target {
    /// The SIP URI that is called.
    pub uri: String,
    /// Where requests are sent instead of to the URI's host; `None`: to the URI's host.
    pub proxy: Option<SocketAddr>,
    /// The trunk that it is reached by, whose health and credentials count.
    pub trunk: Option<String>,
    /// What audio it is offered.
    pub audio: AudioTerms,
    /// Where it is inside a PBX.
    pub place: Place,
    /// Whether it is told of the caller in User-to-User (RFC 7433) too.
    pub user_to_user: bool,
    /// What it gets to see of the caller's headers.
    pub headers: HeaderRules,
}

impl Target {
    /// The address that is called, when it is written as a number.
    pub fn address(&self) -> Option<IpAddr> {
        let written = || host_of(&self.uri)?.parse().ok();
        self.proxy.map(|proxy| proxy.ip()).or_else(written)
    }
}

/// The host of a SIP URI, without brackets.
pub(crate) fn host_of(uri: &str) -> Option<&str> {
    let uri = uri.split_once(':').filter(|(scheme, _)| ["sip", "sips"].contains(scheme))?.1;
    host_in(&uri[user_end(uri)..])
}

/// The host alone of what stands behind the `@` of a SIP URI: without brackets, port, parameters and headers.
pub(crate) fn host_in(hostport: &str) -> Option<&str> {
    let host = match hostport.strip_prefix('[') {
        Some(bracketed) => bracketed.split(']').next()?,
        None => hostport.split([':', ';', '?']).next()?,
    };
    (!host.is_empty()).then_some(host)
}

/// Whether a host of an address, an IPv6 address in brackets or without, is this machine.
pub(crate) fn is_this_machine(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The host that an address leads to without TLS, other than this machine.
pub(crate) fn exposed_host(url: &str) -> Option<String> {
    let url = reqwest::Url::parse(url).ok().filter(|url| url.scheme() == "http")?;
    let host = url.host_str()?.trim_matches(['[', ']']);
    (!is_this_machine(host)).then(|| host.to_owned())
}

/// Whether a text is `sip:`, a user of letters, digits and `+-_.*#`, `@`, and a host with or without a port: nothing
/// that could mean another host to whoever calls it than to whoever reads it.
pub fn is_plain_sip(uri: &str) -> bool {
    let Some((user, host)) = uri.strip_prefix("sip:").and_then(|rest| rest.split_once('@')) else { return false };
    let plain_user = !user.is_empty() && user.chars().all(|c| c.is_ascii_alphanumeric() || "+-_.*#".contains(c));
    let is_name = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-.".contains(c));
    let plain_host = match host.rsplit_once(':') {
        _ if host.parse::<SocketAddr>().is_ok_and(|address| address.port() > 0) => true,
        _ if host.starts_with('[') => host[1..].strip_suffix(']').is_some_and(|ip| ip.parse::<Ipv6Addr>().is_ok()),
        Some((name, port)) => is_name(name) && port.parse::<u16>().is_ok_and(|port| port > 0),
        None => is_name(host),
    };
    plain_user && plain_host && uri.len() <= 256
}

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// 127.0.0.0/8 and ::1/128.
fn loopback_networks() -> Vec<IpNet> {
    let v4 = ipnet::Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8);
    let v6 = ipnet::Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128);
    vec![IpNet::V4(v4), IpNet::V6(v6)]
}
