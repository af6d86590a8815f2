//! Starting the parts in order, and ending them in the opposite one.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use media::sdp::Fingerprint;
use tokio::signal::unix::Signal;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::desk::{Desk, Inlets, Work, configuration};
use super::handshakes;
use super::knowing::{Knowing, Known};
use super::load::LoadMeter;
use super::reload::Reloader;
use super::systemd::Watchdog;
use super::telling::Telling;
use super::unprotected::unprotected;
use super::watching::Watching;
use crate::cli::{Failure, ServeArgs};
use crate::control::{Control, ControlSettings, Departures, ForkEvent, Input, Order, SipEvent, Sounds};
use crate::hexadecimal::hexadecimal;
use crate::judges::JudgeFiles;
use crate::log::Log;
use crate::metrics::Metrics;
use crate::pbx;
use crate::recognizer::RecognizerFiles;
use crate::settings::{Fault, Policies, Settings, Spoken, TenantTokenSource, shared_token};
use crate::shell::browser::Browsers;
use crate::shell::capture::Captures;
use crate::shell::clock::Clock;
use crate::shell::copy::{Copies, CopyOptions};
use crate::shell::crm::{Outbox, Receivers};
use crate::shell::fork::ForkSide;
use crate::shell::listen::{Baselines, Bench, Chaos, Heard, ListenOptions, Listening, Parties, Words};
use crate::shell::media::{CaptureRing, CopyRing, MediaHandle, MediaOptions, TapRing};
use crate::shell::pbx::{Connectors, FreshPbxes};
use crate::shell::provider::Provider;
use crate::shell::recognize::Recognizing;
use crate::shell::reels::{ReelOptions, Reels};
use crate::shell::sip::trace::Trace;
use crate::shell::sip::{SipOptions, SipSide};
use crate::speech::{Answer, EspeakNg, Saying, Speaker};
use crate::store::Store;
use crate::web::{
    self, Asked, Bus, Component, Inside, LiveOptions, Readiness, ReloadAsked, TenantToken, WebHandle, WebOptions,
};

/// Events that may wait for call control, per source. It handles tens of thousands a second.
const EVENTS_MAX: usize = 4_096;
/// Copied packets that may wait for the copying thread: more than a second of as many calls as are copied at a time.
const COPIES_MAX: usize = 2_048;
/// The same where audio is kept: more than a second of five hundred calls, 48 MB once they were all in use.
const KEPT_COPIES_MAX: usize = 65_536;
/// Orders that may wait.
const ORDERS_MAX: usize = 64;
/// How long running calls have for their goodbyes.
const GOODBYES: Duration = Duration::from_secs(2);
/// How long threads that use models have to end.
const MODELS_END_WITHIN: Duration = Duration::from_secs(3);

/// The running server.
pub(super) struct Server {
    pub(super) desk: Desk,
}

/// The command line, what the file said that it names, and the log that was begun by it.
type Ask<'a> = (&'a ServeArgs, String, Arc<Log>);

impl Server {
    /// Starts everything. What was started before a failure ends with its handle.
    pub(super) async fn start(settings: Settings, (args, text, log): Ask<'_>, hangup: Signal) -> Result<Self, Failure> {
        let (clock, metrics, readiness) = (Clock::start(), Metrics::new(), Arc::new(Readiness::default()));
        let (policies, sounds, sayings, texts) = load_policies(&settings, &metrics, &readiness)?;
        let store = start_store(&settings, &metrics, &readiness, &policies)?;
        let (watching, captured) = Watching::start(&settings, clock, &metrics, &log)?;
        let (media, media_inlet, (tap, copy_ring)) = start_media(&settings, clock, &readiness, &captured)?;
        let (fingerprint, handshakes, shaken) = handshakes::start(clock, media.clone())?;
        let (words, heard, heard_inlet) = start_words(&settings, &readiness)?;
        let (parties, baselines, bench) = (Arc::default(), fresh_baselines()?, read_judges(&settings)?);
        let (copies, reels) = start_copies((copy_ring, &parties, clock), (store.as_ref(), &words), &metrics)?;
        let (ears, told) = ((&tap, &parties, &baselines, &bench), (&metrics, heard, words.clone()));
        let listening = start_listening(&settings, args.chaos, clock, ears, told)?;
        let ((speaker, spoken), (connectors, pbx)) = start_beside(&settings, sayings, &metrics)?;
        let (sip, sip_inlet) = start_sip(&settings, &metrics, &readiness, watching.trace()).await?;
        let (forks, fork_inlet) = start_forks(&settings, clock, &metrics).await?;
        let (reloader, reloads, fresh) = Reloader::new((&args.config, text), &settings, &metrics);
        let (bus, telling) = start_telling(&settings, store.as_ref(), &metrics, &readiness).await?;
        let kept = (store.clone(), telling.outbox().cloned());
        let (knowing, known) = Knowing::start(&settings, (&bus, &metrics), kept.clone()).await?;
        let heard = ((copies.clone(), watching.captures()), reels.clone(), Arc::clone(&bench), known);
        let parts = (forks.clone(), heard, Arc::clone(&readiness), (metrics.clone(), log), kept);
        let (web, order_inlet, browsers) = offer_api((&settings, texts), &bus, reloads, parts).await?;
        let desk = Desk {
            clock,
            watchdog: Watchdog::wanted(),
            control: start_control(&settings, fingerprint, policies, sounds)?,
            sip,
            forks,
            browsers,
            figures: media.figures(),
            load: LoadMeter::new(std::thread::available_parallelism().map_or(1, usize::from)),
            media,
            owed: VecDeque::new(),
            handshakes,
            listening,
            bench,
            words,
            speaker,
            connectors,
            copies,
            watching,
            breaks: 0,
            copies_dropped: 0,
            tap,
            parties,
            baselines,
            store,
            reels,
            telling,
            knowing,
            metrics,
            readiness,
            web,
            zone: settings.policy.zone.clone(),
            leaving: VecDeque::new(),
            inlets: Inlets {
                sip: sip_inlet,
                forks: fork_inlet,
                media: media_inlet,
                shaken,
                heard: heard_inlet,
                spoken,
                pbx,
                orders: order_inlet,
                fresh,
            },
            commands: Vec::new(),
        };
        Ok(Self { desk }.begun(settings, reloader.run(hangup)))
    }

    /// The configuration can be read again, whoever asks knows by what calls go, and call control whether anybody listens.
    fn begun(mut self, settings: Settings, reloading: impl Future<Output = ()> + Send + 'static) -> Self {
        tokio::spawn(reloading);
        self.desk.knowing.show_in_force(settings, &self.desk.control);
        let up = self.desk.listening.is_some();
        self.desk.handle(Work::Input(Input::Order(Order::Listening { up })));
        self
    }

    /// Takes no new calls, gives running ones their time, hands over those that have not ended then, and stays a while for
    /// the signalling of what is left.
    pub(super) async fn drain(&mut self) {
        self.desk.handle(Work::Input(Input::Order(Order::Drain)));
        self.desk.readiness.set_draining(true);
        self.desk.run_until_drained().await;
        let stay = self.desk.control.stay();
        self.desk.run_until_empty(stay).await;
    }

    /// Lets go of the calls that are left, lets everybody say goodbye, and closes. What has become of calls since the
    /// drain began.
    pub(super) async fn stop(mut self) -> Departures {
        self.desk.readiness.set(Component::Sip, false);
        self.desk.handle(Work::Input(Input::Order(Order::Stop)));
        self.desk.run_until_empty(GOODBYES).await;
        let departures = self.desk.control.departures();
        if let Some(listening) = &self.desk.listening {
            listening.stop();
        }
        if let Some(recognizing) = &self.desk.words.recognizing {
            recognizing.stop();
        }
        self.desk.knowing.stop();
        self.desk.copies.stop();
        if let Some(web) = self.desk.web.take() {
            web.close().await;
        }
        self.desk.forks.shutdown();
        self.desk.sip.shutdown().await;
        self.desk.media.stop();
        self.wait_for_models().await;
        let Departures { finished, handed_over, cut } = departures;
        self.desk.telling.stop();
        self.desk.knowing.settle().await;
        self.desk.telling.settle().await;
        if let Some(reels) = &self.desk.reels {
            reels.stop();
        }
        if let Some(store) = &self.desk.store {
            self.desk
                .audit("stopped", serde_json::json!({ "finished": finished, "handed_over": handed_over, "cut": cut }));
            store.stop();
        }
        info!(finished, handed_over, cut, "ended");
        departures
    }

    /// Waits until no thread uses a model's library any more: a process that exits while one is being loaded breaks.
    async fn wait_for_models(&self) {
        let until = Instant::now() + MODELS_END_WITHIN;
        let is_there = || {
            self.desk.listening.as_ref().is_some_and(|listening| !listening.has_ended())
                || self.desk.words.recognizing.as_ref().is_some_and(|recognizing| !recognizing.has_ended())
                || !self.desk.knowing.has_ended()
        };
        while is_there() && Instant::now() < until {
            sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Policies, what they play, what they say, and their files' texts by name.
type Loaded = (Vec<routing::Policy>, Sounds, BTreeSet<Saying>, BTreeMap<String, String>);

/// Reads the policies, and says which are in force.
fn load_policies(settings: &Settings, metrics: &Metrics, readiness: &Readiness) -> Result<Loaded, Failure> {
    let loaded = Policies::load(settings).map_err(|faults| faulty(&faults))?;
    let Policies { policies, prompts, sayings, texts, .. } = loaded;
    show_policies(&policies, metrics, readiness);
    Ok((policies, Sounds::new(prompts, settings.media.tones), sayings, texts))
}

pub(super) fn faulty(faults: &[Fault]) -> Failure {
    Failure::Configuration(faults.iter().map(ToString::to_string).collect())
}

/// The media path, what it tells, and what packets wait in for those who listen and copy.
type Media = (MediaHandle, mpsc::Receiver<(Duration, media::Event)>, (Arc<TapRing>, Arc<CopyRing>));

fn start_media(
    settings: &Settings,
    clock: Clock,
    readiness: &Readiness,
    captured: &Arc<CaptureRing>,
) -> Result<Media, Failure> {
    let (events, inlet) = mpsc::channel(EVENTS_MAX);
    let (tap, copies) = rings(settings);
    let options = MediaOptions {
        address: settings.media.address,
        threads: settings.media.threads,
        cpus: settings.media.cpus.clone(),
        io: settings.media.io,
        stamps: settings.media.stamps,
        priority: settings.media.priority,
        legs_max: settings.legs_max(),
        tap: Arc::clone(&tap),
        copies: Arc::clone(&copies),
        captures: Arc::clone(captured),
        events,
        clock,
    };
    let media = MediaHandle::start(options).map_err(|error| Failure::of("starting the media loop", error))?;
    readiness.set(Component::Media, true);
    Ok((media, inlet, (tap, copies)))
}

/// Starts the listening thread, where there is to be one.
fn start_listening(
    settings: &Settings,
    chaos: Option<Chaos>,
    clock: Clock,
    (tap, parties, baselines, bench): (&Arc<TapRing>, &Arc<Parties>, &Arc<Baselines>, &Arc<Bench>),
    (metrics, heard, words): (&Metrics, mpsc::Sender<Heard>, Words),
) -> Result<Option<Listening>, Failure> {
    let wanted = &settings.listening;
    let options = ListenOptions {
        tap: Arc::clone(tap),
        parties: Arc::clone(parties),
        clock,
        bench: Arc::clone(bench),
        chaos,
        baselines: Arc::clone(baselines),
        on_restart: counting_restarts(metrics),
        barge_in: wanted.barge_in,
        words,
        heard,
    };
    let listening = wanted.enabled.then(|| Listening::start(options)).transpose();
    listening.map_err(|error| Failure::of("starting the listening thread", error))
}

/// Opens what is kept, where anything is to be, and has it know what the server starts with.
fn start_store(
    settings: &Settings,
    metrics: &Metrics,
    readiness: &Readiness,
    policies: &[routing::Policy],
) -> Result<Option<Store>, Failure> {
    let Some(wanted) = &settings.store else { return Ok(None) };
    readiness.want_store();
    if settings.routes.keep_audio() {
        readiness.want_reels();
    }
    let store = Store::start(wanted, metrics).map_err(|error| Failure::of("opening the store", error))?;
    info!(node = settings.node.name, site = settings.node.site, "the store is open");
    let mut begun = configuration(policies);
    begun["node"] = settings.node.name.clone().into();
    store.audit("started", begun);
    Ok(Some(store))
}

/// Where everybody is told of calls, and who is told outside of them.
async fn start_telling(
    settings: &Settings,
    store: Option<&Store>,
    metrics: &Metrics,
    readiness: &Arc<Readiness>,
) -> Result<(Arc<Bus>, Telling), Failure> {
    let bus = Arc::new(Bus::of_node(&settings.node.name));
    metrics.set_node(&settings.node.name);
    let receivers = Receivers::read(settings)
        .map_err(|(key, why)| Failure::of(format!("starting to tell systems outside: [{key}]"), why))?;
    let telling = Telling::start(settings, receivers, (store, &bus), (metrics, readiness)).await;
    Ok((bus, telling))
}

/// What is kept, and what systems outside are still to be told of.
pub(super) type Keeping = (Option<Store>, Option<Outbox>);

/// The words of parties, and the two ends of the queue of everything that is heard.
type Hearing = (Words, mpsc::Sender<Heard>, mpsc::Receiver<Heard>);

/// Reads what judges voices and words; a model that is wrong is no reason not to listen.
fn read_judges(settings: &Settings) -> Result<Arc<Bench>, Failure> {
    let (files, wrong) = JudgeFiles::read_some(&settings.listening)
        .map_err(|(key, why)| Failure::Configuration(vec![format!("listening.{key}: {why}")]))?;
    for (key, why) in wrong {
        warn!(%why, "listening.{key} is left out: listening without it");
    }
    Ok(Arc::new(Bench::new(files)))
}

/// Where what is usual for callers is kept.
fn fresh_baselines() -> Result<Arc<Baselines>, Failure> {
    Baselines::new().map(Arc::new).map_err(|_| no_random_numbers())
}

/// What packets wait in for those who listen and copy.
fn rings(settings: &Settings) -> (Arc<TapRing>, Arc<CopyRing>) {
    let copies = if settings.routes.keep_audio() { KEPT_COPIES_MAX } else { COPIES_MAX };
    (Arc::new(TapRing::new(settings.listening.tap_packets)), Arc::new(CopyRing::new(copies)))
}

/// Starts the recognising threads, where there are to be any.
fn start_words(settings: &Settings, readiness: &Readiness) -> Result<Hearing, Failure> {
    let (heard, inlet) = mpsc::channel(EVENTS_MAX);
    let mut words = Words { recognizing: None, utterances: Arc::default() };
    if let Some(wanted) = &settings.recognition {
        readiness.want_words();
        let files = RecognizerFiles::read(&wanted.models, &wanted.phrases, &wanted.engine, &wanted.trusted);
        let own = settings.routes.0.iter().filter_map(|route| route.language);
        let languages = own.chain([wanted.language]).flat_map(Spoken::languages).copied().collect();
        let recognizing = Recognizing::start(files, &languages, &heard, Arc::clone(&words.utterances));
        words.recognizing = Some(recognizing.map_err(|error| Failure::of("starting the recognising threads", error))?);
    }
    Ok((words, heard, inlet))
}

fn start_control(
    settings: &Settings,
    fingerprint: Fingerprint,
    policies: Vec<routing::Policy>,
    sounds: Sounds,
) -> Result<Control, Failure> {
    let engine = routing::Engine::with_limit(policies, settings.legs_max());
    let terms = ControlSettings { fingerprint: Some(fingerprint), ..ControlSettings::from(settings) };
    Ok(Control::new(terms, engine, sounds, boot_id()?, random()))
}

/// Who speaks texts, and who asks PBXs, with what they answer.
type Beside = ((Speaker, mpsc::Receiver<Answer>), (Connectors, mpsc::Receiver<pbx::Answer>));

fn start_beside(settings: &Settings, sayings: BTreeSet<Saying>, metrics: &Metrics) -> Result<Beside, Failure> {
    Ok((start_speaker(settings, sayings)?, connect_pbxes(settings, metrics)?))
}

/// Speaks the texts that are known now, so that no call waits for them.
fn start_speaker(settings: &Settings, sayings: BTreeSet<Saying>) -> Result<(Speaker, mpsc::Receiver<Answer>), Failure> {
    let (answers, inlet) = mpsc::channel(EVENTS_MAX);
    let engine = EspeakNg::new(settings.speech.program.clone());
    let (speaker, unspoken) = Speaker::start(engine, settings.speech.cache_bytes, sayings, answers)
        .map_err(|error| Failure::of("starting the speaking thread", error))?;
    for (saying, why) in unspoken {
        warn!(text = saying.text, %why, "a policy's text cannot be spoken: calls will go on without it");
    }
    Ok((speaker, inlet))
}

/// Begins to connect to every PBX; none of them has to be there yet.
fn connect_pbxes(settings: &Settings, metrics: &Metrics) -> Result<(Connectors, mpsc::Receiver<pbx::Answer>), Failure> {
    let (answers, inlet) = mpsc::channel(EVENTS_MAX);
    let pbxes = FreshPbxes::read(&settings.pbxes).map_err(|(name, why)| Failure::of(format!("pbx.{name}"), why))?;
    Ok((Connectors::start(pbxes, &boot_id()?, metrics, &answers), inlet))
}

/// Says which policies are in force.
pub(super) fn show_policies(policies: &[routing::Policy], metrics: &Metrics, readiness: &Readiness) {
    let labels: Vec<String> = policies.iter().map(routing::Policy::label).collect();
    metrics.set_policies(&labels.iter().map(String::as_str).collect::<Vec<_>>());
    readiness.set(Component::Policy, !labels.is_empty());
}

async fn start_sip(
    settings: &Settings,
    metrics: &Metrics,
    readiness: &Readiness,
    trace: Option<Arc<Trace>>,
) -> Result<(SipSide, mpsc::Receiver<SipEvent>), Failure> {
    let (events, inlet) = mpsc::channel(EVENTS_MAX);
    let options =
        SipOptions { settings: settings.sip.clone(), trunks: settings.trunks.clone(), metrics: metrics.clone(), trace };
    let sip = SipSide::start(options, events).await.map_err(|e| Failure::Failed(e.to_string()))?;
    for (transport, address) in sip.bound() {
        info!(%address, transport = transport.name(), "SIP");
    }
    for what in unprotected(settings, sip.bound()) {
        warn!(what, "others on the way can read along");
    }
    readiness.set(Component::Sip, true);
    Ok((sip, inlet))
}

async fn start_forks(
    settings: &Settings,
    clock: Clock,
    metrics: &Metrics,
) -> Result<(ForkSide, mpsc::Receiver<ForkEvent>), Failure> {
    let (events, inlet) = mpsc::channel(EVENTS_MAX);
    let forks = ForkSide::start(settings.forks.clone(), clock, metrics.clone(), events).await;
    forks.map(|forks| (forks, inlet)).map_err(|error| Failure::Failed(error.to_string()))
}

fn counting_restarts(metrics: &Metrics) -> Box<dyn Fn(&'static str) + Send + Sync> {
    let metrics = metrics.clone();
    Box::new(move |cause| metrics.count_listener_restart(cause))
}

/// Starts to make copies, and to keep audio where there is a store: routes say of which calls.
fn start_copies(
    (ring, parties, clock): (Arc<CopyRing>, &Arc<Parties>, Clock),
    (store, words): (Option<&Store>, &Words),
    metrics: &Metrics,
) -> Result<(Copies, Option<Reels>), Failure> {
    let counting = metrics.clone();
    let on_restart = Box::new(move || counting.count_copier_restart());
    let options = CopyOptions { ring, parties: Arc::clone(parties), clock, on_restart };
    let copies = Copies::start(options).map_err(|error| Failure::of("starting the copying thread", error))?;
    let Some(store) = store.cloned() else { return Ok((copies, None)) };
    let (recognizing, metrics) = (words.recognizing.clone(), metrics.clone());
    let reels = Reels::start(ReelOptions { store, copies: copies.clone(), clock, recognizing, metrics });
    let reels = reels.map_err(|error| Failure::of("starting to keep audio", error))?;
    Ok((copies, Some(reels)))
}

/// What the API shows beside calls.
type ApiParts = (
    ForkSide,
    ((Copies, Option<Captures>), Option<Reels>, Arc<Bench>, Known),
    Arc<Readiness>,
    (Metrics, Arc<Log>),
    Keeping,
);

/// The API, where there is one, the orders that come by it, and the browsers that are connected by way of it.
type Api = (Option<WebHandle>, mpsc::Receiver<Asked>, Browsers);

/// Offers the API, where there is to be one.
async fn offer_api(
    (settings, policies): (&Settings, BTreeMap<String, String>),
    bus: &Arc<Bus>,
    reloads: mpsc::Sender<ReloadAsked>,
    (
        forks,
        ((copies, captures), reels, bench, (shelf, customers, recordings, escalating, carrier)),
        readiness,
        (metrics, log),
        (store, outbox),
    ): ApiParts,
) -> Result<Api, Failure> {
    let (orders, inlet) = mpsc::channel(ORDERS_MAX);
    let browsers = Browsers::new(settings);
    let browsers = browsers.map_err(|why| Failure::of("the secret of webrtc.turn_secret_env", why))?;
    let live = live_options(settings).map_err(|why| Failure::of("the API's secrets", why))?;
    let (Some(wanted), Some(live)) = (&settings.web, live) else { return Ok((None, inlet, browsers)) };
    let options = WebOptions { listen: wanted.listen, tls: wanted.tls.clone(), live, policies };
    let inside = Inside {
        bus: Arc::clone(bus),
        orders,
        reloads,
        forks,
        copies,
        captures,
        browsers: browsers.clone(),
        recordings,
        shelf,
        customers,
        escalating,
        bench,
        readiness,
        metrics,
        log,
        store,
        reels,
        outbox,
        carrier,
    };
    let web = web::serve(options, inside).await.map_err(|error| Failure::Failed(error.to_string()))?;
    info!(address = %web.addr, "API");
    Ok((Some(web), inlet, browsers))
}

/// How the API is offered, where it is; what is wrong with its secrets, when that is so.
pub(super) fn live_options(settings: &Settings) -> Result<Option<LiveOptions>, String> {
    let Some(web) = &settings.web else { return Ok(None) };
    let token = web.token.fetch()?;
    let tokens: BTreeMap<_, _> = web.tokens.iter().map(tenant_token).collect::<Result<_, _>>()?;
    let of_tenants = tokens.iter().map(|(name, tenant)| (format!("web.tokens.{name}"), &tenant.token));
    if let Some((section, other)) = shared_token(std::iter::once(("web".to_owned(), &token)).chain(of_tenants)) {
        return Err(format!("{section}: the token of {other}"));
    }
    let oidc = web.oidc.as_ref().map(Provider::new).transpose()?.map(Arc::new);
    Ok(Some(LiveOptions { tokens, oidc, ..LiveOptions::of(settings, token) }))
}

/// A tenant's token, fetched; or which one cannot be.
fn tenant_token((name, source): (&String, &TenantTokenSource)) -> Result<(String, TenantToken), String> {
    let token = source.token.fetch().map_err(|why| format!("web.tokens.{name}: {why}"))?;
    Ok((name.clone(), TenantToken { tenant: source.tenant.clone(), token, ended: CancellationToken::new() }))
}

/// Where keys come from.
fn random() -> crate::control::Random {
    let source = ring::rand::SystemRandom::new();
    Box::new(move |octets| {
        ring::rand::SecureRandom::fill(&source, octets).expect("the system gave random numbers at the start");
    })
}

fn no_random_numbers() -> Failure {
    Failure::Failed("the system gives no random numbers".into())
}

/// Distinguishes the call ids of this run from those of others.
pub(super) fn boot_id() -> Result<String, Failure> {
    let mut bytes = [0; 4];
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut bytes).map_err(|_| no_random_numbers())?;
    Ok(hexadecimal(&bytes))
}
