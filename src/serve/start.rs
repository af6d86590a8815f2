//! Starting the parts in order, and ending them in the opposite one.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tracing::{info, warn};

use super::desk::{Desk, Inlets};
use super::handshakes;
use crate::cli::Failure;
use crate::control::{Control, ControlSettings, Input, Order, SipEvent, Sounds};
use crate::metrics::Metrics;
use crate::model::ModelFiles;
use crate::settings::{Fault, Policies, Settings};
use crate::shell::clock::Clock;
use crate::shell::listen::{Chaos, ListenOptions, Listening, Parties};
use crate::shell::media::{MediaHandle, MediaOptions, TapRing};
use crate::shell::sip::{SipOptions, SipSide};
use crate::speech::{Answer, EspeakNg, Saying, Speaker};
use crate::web::{self, Bus, Component, Readiness, WebHandle, WebOptions};

/// Events that may wait for call control, per source. It handles tens of thousands a second.
const EVENTS_MAX: usize = 4_096;
/// Legs a call may have while it is moved: caller, bot, human, and one whose end is not yet confirmed.
const LEGS_PER_CALL: usize = 4;
/// Orders that may wait.
const ORDERS_MAX: usize = 64;
/// How long running calls have for their goodbyes.
const GOODBYES: Duration = Duration::from_secs(2);

/// The running server.
pub(super) struct Server {
    pub(super) desk: Desk,
    web: Option<WebHandle>,
}

impl Server {
    /// Starts everything. What was started before a failure ends with its handle.
    pub(super) async fn start(settings: Settings, chaos: Option<Chaos>) -> Result<Self, Failure> {
        let clock = Clock::start();
        let Policies { policies, prompts, ringback, sayings } =
            Policies::load(&settings).map_err(|faults| faulty(&faults))?;
        let metrics = Metrics::new();
        let readiness = Arc::new(Readiness::default());
        show_policies(&policies, &metrics, &readiness);

        let tap = Arc::new(TapRing::new(settings.listening.tap_packets));
        let (media_events, media_inlet) = mpsc::channel(EVENTS_MAX);
        let media = start_media(&settings, &tap, clock, media_events)?;
        readiness.set(Component::Media, true);
        let (fingerprint, handshakes, shaken_inlet) = handshakes::start(clock, media.clone())?;

        let parties = Arc::new(Parties::default());
        let (heard, heard_inlet) = mpsc::channel(EVENTS_MAX);
        let options = ListenOptions {
            tap: Arc::clone(&tap),
            parties: Arc::clone(&parties),
            clock,
            model: model_files(&settings),
            chaos,
            on_restart: counting_restarts(&metrics),
            barge_in: settings.listening.barge_in,
            heard,
        };
        let listening = settings.listening.enabled.then(|| Listening::start(options)).transpose();
        let listening = listening.map_err(|error| Failure::of("starting the listening thread", error))?;

        let (speaker, spoken_inlet) = start_speaker(&settings, sayings)?;

        let (sip, sip_inlet) = start_sip(&settings).await?;
        readiness.set(Component::Sip, true);

        let bus = Arc::new(Bus::new());
        let (orders, order_inlet) = mpsc::channel(ORDERS_MAX);
        let web = offer_api(&settings, &bus, orders, &readiness, &metrics).await?;

        let engine = routing::Engine::with_limit(policies, settings.limits.calls.saturating_mul(LEGS_PER_CALL));
        let sounds = Sounds { files: prompts, ringback };
        let terms = ControlSettings { fingerprint: Some(fingerprint), ..ControlSettings::from(&settings) };
        let control = Control::new(terms, engine, sounds, boot_id()?, random());
        let inlets = Inlets {
            sip: sip_inlet,
            media: media_inlet,
            shaken: shaken_inlet,
            heard: heard_inlet,
            spoken: spoken_inlet,
            orders: order_inlet,
        };
        let mut desk = Desk {
            clock,
            control,
            sip,
            figures: media.figures(),
            media,
            handshakes,
            listening,
            speaker,
            tap,
            parties,
            bus,
            metrics,
            readiness,
            inlets,
            commands: Vec::new(),
        };
        desk.handle(Some(Input::Order(Order::Listening { up: desk.listening.is_some() })));
        Ok(Self { desk, web })
    }

    /// Refuses new calls, ends the running ones, lets everybody say goodbye, and closes.
    pub(super) async fn stop(mut self) {
        self.desk.readiness.set(Component::Sip, false);
        self.desk.handle(Some(Input::Order(Order::Drain)));
        let active: Vec<String> =
            self.desk.bus.with_board(|board| board.active().map(|call| call.id.clone()).collect());
        for call in active {
            self.desk.handle(Some(Input::Order(Order::HangUp { call })));
        }
        self.desk.run_until_empty(GOODBYES).await;
        if let Some(listening) = &self.desk.listening {
            listening.stop();
        }
        if let Some(web) = self.web {
            web.close().await;
        }
        self.desk.sip.shutdown().await;
        self.desk.media.stop();
        info!("ended");
    }
}

fn faulty(faults: &[Fault]) -> Failure {
    Failure::Configuration(faults.iter().map(ToString::to_string).collect())
}

fn start_media(
    settings: &Settings,
    tap: &Arc<TapRing>,
    clock: Clock,
    events: mpsc::Sender<(Duration, media::Event)>,
) -> Result<MediaHandle, Failure> {
    let options = MediaOptions {
        address: settings.media.address,
        threads: settings.media.threads,
        cpus: settings.media.cpus.clone(),
        io: settings.media.io,
        stamps: settings.media.stamps,
        priority: settings.media.priority,
        legs_max: settings.limits.calls.saturating_mul(LEGS_PER_CALL),
        tap: Arc::clone(tap),
        events,
        clock,
    };
    MediaHandle::start(options).map_err(|error| Failure::of("starting the media loop", error))
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

/// Says which policies are in force.
fn show_policies(policies: &[routing::Policy], metrics: &Metrics, readiness: &Readiness) {
    let labels: Vec<String> = policies.iter().map(routing::Policy::label).collect();
    metrics.set_policies(&labels.iter().map(String::as_str).collect::<Vec<_>>());
    readiness.set(Component::Policy, !labels.is_empty());
}

async fn start_sip(settings: &Settings) -> Result<(SipSide, mpsc::Receiver<SipEvent>), Failure> {
    let (events, inlet) = mpsc::channel(EVENTS_MAX);
    let sip = SipSide::start(sip_options(settings), events).await.map_err(|e| Failure::Failed(e.to_string()))?;
    info!(address = %sip.local_addr(), "SIP over UDP");
    Ok((sip, inlet))
}

fn sip_options(settings: &Settings) -> SipOptions {
    let sip = settings.sip.clone();
    SipOptions {
        listen: sip.listen,
        external: Some(sip.external_address),
        user_agent: sip.user_agent.clone(),
        trusted: Arc::new(move |source| sip.trusts(source)),
    }
}

fn counting_restarts(metrics: &Metrics) -> Box<dyn Fn(&'static str) + Send + Sync> {
    let metrics = metrics.clone();
    Box::new(move |cause| metrics.count_listener_restart(cause))
}

/// The model to listen with, if there is one; a missing one is no reason not to listen.
fn model_files(settings: &Settings) -> Option<ModelFiles> {
    let wanted = &settings.listening;
    ModelFiles::read(wanted.model.as_deref(), wanted.runtime.as_deref())
        .inspect_err(|why| warn!(%why, "no acoustic model: listening by signal processing only"))
        .ok()
}

async fn offer_api(
    settings: &Settings,
    bus: &Arc<Bus>,
    orders: mpsc::Sender<Order>,
    readiness: &Arc<Readiness>,
    metrics: &Metrics,
) -> Result<Option<WebHandle>, Failure> {
    let Some(wanted) = &settings.web else { return Ok(None) };
    let token = wanted.token.fetch().map_err(|why| Failure::of("the API's token", why))?;
    let options = WebOptions { listen: wanted.listen, token };
    let web = web::serve(options, Arc::clone(bus), orders, Arc::clone(readiness), metrics.clone())
        .await
        .map_err(|error| Failure::Failed(error.to_string()))?;
    info!(address = %web.addr, "API");
    Ok(Some(web))
}

/// Where keys come from.
fn random() -> crate::control::Random {
    let source = ring::rand::SystemRandom::new();
    Box::new(move |octets| {
        ring::rand::SecureRandom::fill(&source, octets).expect("the system gave random numbers at the start");
    })
}

/// Distinguishes the call ids of this run from those of others.
fn boot_id() -> Result<String, Failure> {
    let mut bytes = [0; 4];
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut bytes)
        .map_err(|_| Failure::Failed("the system gives no random numbers".into()))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
