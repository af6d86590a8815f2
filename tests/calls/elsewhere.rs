//! A recogniser on another machine: its words are told as its own; when it is away calls go on, and somebody else hears where
//! there is one; what may not leave the region is refused at the start.

use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use calmline::demo::server::get;
use calmline::notice::What;
use loadtest::audio::Audio;
use serde_json::{Value, json};
use tungstenite::Message;

use crate::dictation::{add, published, scene};
use crate::stage::{PROGRAM, RATE, Setup, Stage, eventually, folder, voice_of_the_caller};

const LISTENING: &str = "[listening]\nenabled = true";
const LIST: &str =
    "language = \"zh\"\n[[intent]]\nname = \"complaint\"\nconfidence_min = 0.9\nphrases = [\"我要投诉\"]\n";

#[test]
fn words_are_heard_elsewhere_and_calls_go_on_while_that_is_away() {
    let far = Far::at(([127, 0, 0, 1], 0).into());
    let address = far.address;
    let stage = stage("elsewhere", address, "fallback = \"none\"");
    eventually("the recogniser is there", || parts_of(&stage) == ("up".to_owned(), "up".to_owned()));
    let caller = stage.call(Audio::looped(voice_of_the_caller()));
    let said = stage.until("what was understood elsewhere", is_said_by("sherpa-onnx-server"));
    let What::Said { text: Some(text), phrases, audio_ms, until_ms, .. } = said.what else { panic!("{said:?}") };
    assert_eq!((text.reveal().as_str(), phrases[0].intent.as_str()), ("我要投诉。", "complaint"));
    assert!(until_ms > audio_ms && phrases[0].confidence > 0.9, "{phrases:?}");
    assert_eq!(stage.metric("calmline_recognition_remote_up"), 1.0);

    far.leave();
    eventually("it is away", || parts_of(&stage) == ("down".to_owned(), "down".to_owned()));
    assert!(stage.metric("calmline_recognition_remote_connections_total{outcome=\"lost\"}") >= 1.0);
    stage.until("what is heard without words", |what| matches!(what, What::Observed { .. }));
    // Its port may be somebody else's for a moment.
    let mut back = None;
    eventually("its port is free", || {
        back = TcpListener::bind(address).ok().map(Far::with);
        back.is_some()
    });
    eventually("the recogniser is back", || parts_of(&stage) == ("up".to_owned(), "up".to_owned()));
    stage.until("what was understood after that", is_said_by("sherpa-onnx-server"));
    caller.hang_up().expect("an order");
    let ended = stage.until("the end", |what| matches!(what, What::CallEnded { .. }));
    let record = stage.api(&format!("/v1/calls/{}", ended.call));
    assert_eq!(record["phrases"][0]["intent"], "complaint");
    eventually("its streams end", || stage.metric("calmline_recognition_remote_streams_active") == 0.0);
    stage.is_empty();
}

#[test]
fn dictation_here_stands_in_for_the_recogniser_elsewhere() {
    let Some(scene) = scene("elsewhere-here") else { return };
    assert!(add(&scene, &published(&scene, &["encoder", "decoder", "joiner"])).status.success());
    let far = Far::at(([127, 0, 0, 1], 0).into());
    let address = far.address;
    far.leave();
    let models = scene.join("models");
    let stage = stage("elsewhere-here", address, &format!("fallback = \"sherpa-onnx\"\nmodels = {models:?}"));
    eventually("somebody hears", || parts_of(&stage) == ("up".to_owned(), "down".to_owned()));
    let caller = stage.call(Audio::looped(voice_of_the_caller()));
    stage.until("what was understood here", is_said_by("sherpa-onnx"));
    let mut back = None;
    eventually("its port is free", || {
        back = TcpListener::bind(address).ok().map(Far::with);
        back.is_some()
    });
    stage.until("what was understood elsewhere", is_said_by("sherpa-onnx-server"));
    assert_eq!(parts_of(&stage), ("up".to_owned(), "up".to_owned()));
    back.iter().for_each(Far::leave);
    stage.until("what was understood here again", is_said_by("sherpa-onnx"));
    caller.hang_up().expect("an order");
    stage.until("the end", |what| matches!(what, What::CallEnded { .. }));
    stage.is_empty();
}

#[test]
fn what_is_said_does_not_leave_its_regions() {
    let scene = folder("elsewhere-region");
    std::fs::create_dir_all(&scene).expect("a folder");
    let file = scene.join("calmline.toml");
    let check_route = |region: &str, url: &str, of_route: &str| {
        let text = format!(
            "[listening]\n[privacy]\nregions = [\"cn\"]\n[recognition]\nengine = \"funasr\"\nfallback = \"none\"\n\
             url = \"{url}\"\n{region}\nphrases = [{:?}]\n[targets.bot]\nuri = \"sip:b@127.0.0.1\"\n[[route]]\nname = \"all\"\n\
             targets = [\"bot\"]\nscenario = \"any\"\n{of_route}\n",
            list(&scene)
        );
        std::fs::write(&file, text).expect("disk space");
        std::fs::create_dir_all(scene.join("policies")).expect("a folder");
        let output = Command::new(PROGRAM).arg("check").arg(&file).output().expect("the program runs");
        let told = [output.stdout, output.stderr].map(|octets| String::from_utf8_lossy(&octets).into_owned()).concat();
        (output.status.success(), told)
    };
    let check = |region: &str, url: &str| check_route(region, url, "");
    for (region, found) in [("region = \"us\"", "\"us\" for wss://"), ("", "no region for wss://")] {
        let (is_good, told) = check(region, "asr.example:10095");
        let expected =
            format!("recognition.region: found {found}asr.example:10095/, expected a region that [privacy] has");
        assert!(!is_good && told.contains(&expected), "{told}");
    }
    let (is_good, told) = check("region = \"cn\"", "ws://asr.example:10095");
    assert!(is_good && told.contains("recognition: what goes to asr.example is not encrypted"), "{told}");
    let (is_good, told) = check("region = \"cn\"", "asr.example:10095");
    assert!(is_good && !told.contains("not encrypted"), "{told}");
    let (is_good, told) = check_route("region = \"cn\"", "asr.example:10095", "region = \"eu\"");
    assert!(!is_good && told.contains("route[1].region: found \"eu\""), "{told}");
    let (is_good, told) = check_route("region = \"cn\"", "asr.example:10095", "region = \"cn\"");
    assert!(is_good, "{told}");
}

fn stage(name: &str, far: SocketAddr, more: &str) -> Stage {
    stage_with(name, far, more, "")
}

/// A server that has its words from a recogniser at `far`; more of `[recognition]` and of its route.
pub fn stage_with(name: &str, far: SocketAddr, more: &str, of_route: &str) -> Stage {
    let scene = folder(name);
    std::fs::create_dir_all(&scene).expect("a folder");
    let recognition = format!(
        "{LISTENING}\ntext_model = false\n[privacy]\nregions = [\"cn\"]\n[recognition]\nengine = \"sherpa-onnx-server\"\n\
         url = \"{far}\"\nregion = \"cn\"\nphrases = [{:?}]\n{more}\n",
        list(&scene)
    );
    let route = format!("targets = [\"bot\"]\n{of_route}\nscenario");
    let edits = [(LISTENING, recognition.as_str()), ("targets = [\"bot\"]\nscenario", route.as_str())];
    Stage::set(Setup { edits: &edits, ..Setup::named(name) })
}

fn list(scene: &Path) -> String {
    let list = scene.join("phrases.toml");
    std::fs::write(&list, LIST).expect("disk space");
    list.display().to_string()
}

fn is_said_by(wanted: &str) -> impl Fn(&What) -> bool {
    move |what| matches!(what, What::Said { engine, is_final: true, text: Some(_), .. } if engine == wanted)
}

/// What `/readyz` says of words, and of the recogniser elsewhere.
fn parts_of(stage: &Stage) -> (String, String) {
    let text = get(stage.server.addresses.web, "/readyz", &stage.server.token).expect("an answer");
    let report: Value = serde_json::from_str(&text).expect("JSON");
    let part = |name: &str| report["components"][name].as_str().unwrap_or_default().to_owned();
    (part("words"), part("words_elsewhere"))
}

/// A server of sherpa-onnx's protocol that hears the same words in every second of audio.
pub struct Far {
    pub address: SocketAddr,
    leaving: Arc<AtomicBool>,
    streams: Arc<Mutex<Vec<TcpStream>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Far {
    pub fn at(address: SocketAddr) -> Self {
        Self::with(TcpListener::bind(address).expect("a port"))
    }

    fn with(listener: TcpListener) -> Self {
        let address = listener.local_addr().expect("an address");
        listener.set_nonblocking(true).expect("a socket");
        let (leaving, streams) = (Arc::new(AtomicBool::new(false)), Arc::<Mutex<Vec<TcpStream>>>::default());
        let (leaves, kept) = (Arc::clone(&leaving), Arc::clone(&streams));
        let accept = move || {
            while !leaves.load(Ordering::Relaxed) {
                let Ok((stream, _)) = listener.accept() else {
                    std::thread::sleep(Duration::from_millis(10));
                    continue;
                };
                stream.set_nonblocking(false).expect("a socket");
                kept.lock().expect("whole").push(stream.try_clone().expect("a socket"));
                std::thread::spawn(move || answer(stream));
            }
        };
        Self { address, leaving, streams, thread: Mutex::new(Some(std::thread::spawn(accept))) }
    }

    /// Takes nobody any more, and lets go of everybody.
    fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.lock().expect("whole").take() {
            thread.join().expect("it does not panic");
        }
        for stream in self.streams.lock().expect("whole").drain(..) {
            // It may have left before us.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Far {
    fn drop(&mut self) {
        self.leave();
    }
}

fn answer(stream: TcpStream) -> Option<()> {
    let mut socket = tungstenite::accept(stream).ok()?;
    let (mut samples, mut segment) = (0, 0);
    loop {
        match socket.read().ok()? {
            Message::Binary(audio) => samples += audio.len() / 4,
            Message::Text(text) if text == "Done" => {
                socket.send(Message::text("Done!")).ok()?;
                socket.close(None).ok()?;
            }
            _ => {}
        }
        let heard = samples / (2 * RATE);
        while segment < heard {
            let answer = json!({
                "text": "我要投诉", "tokens": ["我", "要", "投", "诉"], "timestamps": [0.1, 0.3, 0.5, 0.7],
                "ys_probs": [-0.01, -0.01, -0.01, -0.01], "segment": segment, "start_time": segment, "is_final": true,
            });
            socket.send(Message::text(answer.to_string())).ok()?;
            segment += 1;
        }
    }
}
