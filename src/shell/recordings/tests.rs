//! Recordings through the thread that listens to them: what is told, what is decided, and what becomes of those that are none.

use std::path::Path;
use std::time::Duration;

use super::*;
use crate::control::RECORDING;
use crate::metrics::Metrics;
use crate::web::{Bus, Delivery};

const POLICY: &str = "name = \"own\"\nversion = 1\nscenarios = [\"calls\"]\n\
                      [[rule]]\nid = \"calm\"\nwhen = { emotion = \"neutral\" }\nwhile = { channels = [\"recording\"] }\n\
                      then = [{ alert = \"critical\", text = \"too late\" }, { reroute = \"refer\", target = \"human\" }]\n\
                      [[rule]]\nid = \"moves-again\"\nwhen = { emotion = \"neutral\", lasted_s = 0.5 }\n\
                      then = [{ reroute = \"refer\", target = \"human\" }]\n";
const CONFIGURATION: &str = "[listening]\ntext_model = false\n[targets.human]\nuri = \"sip:human@pbx\"\n\
                             [[route]]\nname = \"afterwards\"\nmatch = { request_uri = \"chat:recording\" }\n\
                             forked = true\nscenario = \"calls\"\n";

#[test]
fn a_recording_is_judged_told_and_acted_on_by_nobody() {
    let (recordings, bus) = start();
    let mut watch = bus.subscribe(None);
    let call = recordings.take(upload("calm-caller.wav", None)).expect("there is room");
    let state = finished(&recordings, &call);
    let RecordingState::Done { duration_ms, words: false, .. } = state else { panic!("{state:?}") };
    assert!(duration_ms > 1_000, "{duration_ms}");
    let mut kinds = Vec::new();
    while let Some(Some(Delivery::Event(event))) = futures::FutureExt::now_or_never(watch.next()) {
        assert_eq!(event.call, call);
        kinds.push(event.kind);
    }
    let begins = ["call_started", "call_answered", "chat_opened"];
    assert!(begins.iter().all(|kind| kinds.contains(kind)), "{kinds:?}");
    assert_eq!(kinds.iter().filter(|kind| **kind == "decided").count(), 1, "a move is under way, or done: {kinds:?}");
    assert!(kinds.contains(&"observed") && kinds.last() == Some(&"call_ended"), "{kinds:?}");
    let deeds = ["alert", "reroute_started", "rerouted", "not_possible"];
    assert!(deeds.iter().all(|kind| !kinds.contains(kind)), "{kinds:?}");
    let shown = bus.with_board(|board| board.call(&call).map(|record| record.came_by().to_owned()));
    assert_eq!(shown.as_deref(), Some(RECORDING));
    recordings.stop();
}

#[test]
fn what_is_no_recording_is_told_and_the_next_one_is_listened_to() {
    let (recordings, _) = start();
    let mut broken = upload("calm-caller.wav", Some(1));
    broken.opening.name = Some("two channels".to_owned());
    let broken = recordings.take(broken).expect("there is room");
    let whole = recordings.take(upload("calm-caller.wav", None)).expect("there is room");
    let RecordingState::Failed { reason } = finished(&recordings, &broken) else { panic!("it has one channel") };
    assert!(reason.contains("channel 1"), "{reason}");
    assert!(matches!(finished(&recordings, &whole), RecordingState::Done { .. }));
    assert_eq!(recordings.state("another"), None);
    recordings.stop();
}

#[test]
fn what_waits_of_somebody_who_is_erased_is_not_listened_to() {
    let (recordings, _) = start();
    let of = |customer: &str| {
        let mut upload = upload("calm-caller.wav", None);
        upload.opening.customer = customer.to_owned();
        recordings.take(upload).expect("there is room")
    };
    let (nobodys, erased, other) = (of(""), of("a-person"), of("another"));
    recordings.erase("a-person");
    recordings.erase("");
    let RecordingState::Failed { reason } = finished(&recordings, &erased) else { panic!("they are erased") };
    assert_eq!(reason, ERASED);
    assert!(matches!(finished(&recordings, &nobodys), RecordingState::Done { .. }));
    assert!(matches!(finished(&recordings, &other), RecordingState::Done { .. }));
    recordings.stop();
}

fn start() -> (Recordings, Arc<Bus>) {
    let bus = Arc::new(Bus::new());
    let told = Told { bus: Arc::clone(&bus), store: None, outbox: None, metrics: Metrics::new() };
    let recordings = Recordings::start("boot".to_owned(), told).expect("a thread");
    let settings = Settings::parse(CONFIGURATION, Path::new("calmline.toml")).expect("a configuration");
    let policies = vec![Policy::parse(POLICY).expect("a policy")].into();
    recordings.exchange(InForce { control: ControlSettings::from(&settings), settings, policies });
    (recordings, bus)
}

fn upload(name: &str, agent: Option<u16>) -> Upload {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/audio").join(name);
    let opening = ChatOpening {
        channel: RECORDING.to_owned(),
        name: None,
        customer: String::new(),
        language: None,
        route: None,
        details: Vec::new(),
    };
    Upload { file: File::open(path).expect("a fixture"), opening, customer: 0, agent }
}

fn finished(recordings: &Recordings, call: &str) -> RecordingState {
    for _ in 0..6_000 {
        match recordings.state(call) {
            Some(RecordingState::Waiting | RecordingState::Running) => thread::sleep(Duration::from_millis(10)),
            state => return state.expect("it is remembered"),
        }
    }
    panic!("it is not listened to");
}
