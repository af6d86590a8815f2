//! Streams without SIP: AudioSocket, the WebSockets of FreeSWITCH, Asterisk and Twilio, RTP to ports of the API.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use calmline::demo::server;
use calmline::notice::What;
use media::g711::{self, Law};
use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

use super::audio::{Speaker, paced, talk};
use super::{Doors, angry_as_in_our_path, begun, stage};
use crate::stage::{LONG, Stage, eventually, fixture, heard};

#[test]
fn audiosocket_is_a_call_and_the_caller_hears_what_we_play() {
    let (stage, doors) = stage("audiosocket");
    let talk = talk();
    let caller = AudioSocket::connect(doors.audiosocket, "40325ec2-5efd-4bd3-805f-53576e581d13", talk.caller);
    let told = begun(&stage, "audiosocket");
    let What::CallForked { pbx_call, .. } = told.what else { unreachable!("just matched") };
    assert_eq!(pbx_call.as_deref(), Some("40325ec2-5efd-4bd3-805f-53576e581d13"));
    let alert = stage.until("the alert", |what| matches!(what, What::Alert { severity, .. } if severity == "critical"));
    assert_eq!(alert.call, told.call);
    stage.until("the end of the apology", |what| matches!(what, What::PromptEnded { completed: true, .. }));
    assert!(stage.was_told(|what| matches!(what, What::RerouteFailed { .. })));
    let sorry = fixture("config/prompts/sorry-transfer.wav");
    eventually("the apology has come", || caller.heard().len() > sorry.len());
    assert!(heard(&caller.heard(), &sorry[..8_000]), "the apology");

    caller.hang_up();
    stage.until("the end", |what| matches!(what, What::CallEnded { reason, .. } if reason == "hung up by the PBX"));
    assert!(stage.metric("calmline_forked_samples_total{outcome=\"taken\"") > 8_000.0);
    stage.is_empty();
}

#[test]
fn two_audiosockets_of_one_call_find_each_other() {
    let (stage, doors) = stage("audiosocket-two");
    let asked = r#"{"via":"audiosocket","call":"PJSIP/1001-00000007","from":"1001","to":"4000"}"#;
    let given = post(&stage, "/v1/forks", asked);
    let id = |party: &str| given["streams"][party]["audiosocket"].as_str().expect("an id").to_owned();
    let talk = talk();
    let callee = AudioSocket::connect(doors.audiosocket, &id("callee"), talk.agent);
    let caller = AudioSocket::connect(doors.audiosocket, &id("caller"), talk.caller);
    angry_as_in_our_path(&stage, Some("PJSIP/1001-00000007"));
    callee.hang_up();
    caller.hang_up();
    stage.until("the end", |what| matches!(what, What::CallEnded { .. }));
    stage.is_empty();
}

#[test]
fn freeswitch_sends_both_sides_in_one_stream() {
    let (stage, doors) = stage("websocket-freeswitch");
    let url = "?channels=caller,callee&rate=8000";
    let opening = json!({ "uuid": "a1b2", "caller": "13800138000", "callee": "7001", "queue": "vip" });
    let pairs = |talk: super::audio::Talk| {
        let callee = talk.agent.into_iter().chain(std::iter::repeat(0));
        talk.caller.into_iter().zip(callee).flat_map(|(caller, callee)| [caller, callee]).collect::<Vec<_>>()
    };
    let samples = pairs(talk());
    let client = Client::connect(doors.websocket, url, vec![Message::text(opening.to_string())], samples, 2, |frame| {
        Message::binary(frame.iter().flat_map(|sample| sample.to_le_bytes()).collect::<Vec<u8>>())
    });
    let told = begun(&stage, "freeswitch");
    let What::CallForked { parties, details, .. } = told.what else { unreachable!("just matched") };
    assert_eq!(parties.len(), 2, "{details:?}");
    assert_eq!(details.reveal().get("queue").map(String::as_str), Some("vip"));
    angry_as_in_our_path(&stage, Some("a1b2"));
    client.close();
    stage.until("the end", |what| matches!(what, What::CallEnded { .. }));
    stage.is_empty();
}

#[test]
fn twilio_sends_json() {
    let (stage, doors) = stage("websocket-twilio");
    let start = json!({ "event": "start", "streamSid": "MZ1", "start": {
        "callSid": "CA1", "tracks": ["inbound"], "customParameters": { "from": "+8613800138000", "to": "4000" },
        "mediaFormat": { "encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1 } } });
    let connected = json!({ "event": "connected", "protocol": "Call", "version": "1.0.0" });
    let opening = vec![Message::text(connected.to_string()), Message::text(start.to_string())];
    let client = Client::connect(doors.websocket, "media", opening, talk().caller, 1, |frame| {
        let mut payload = Vec::new();
        g711::encode(Law::Mu, frame, &mut payload);
        let media = json!({ "track": "inbound", "payload": BASE64.encode(payload) });
        Message::text(json!({ "event": "media", "streamSid": "MZ1", "media": media }).to_string())
    });
    begun(&stage, "twilio");
    let alert = stage.until("the alert", |what| matches!(what, What::Alert { severity, .. } if severity == "critical"));
    assert!(matches!(alert.what, What::Alert { pbx_call: Some(name), .. } if name == "CA1"));
    client.close();
    stage.until("the end", |what| matches!(what, What::CallEnded { .. }));
    stage.is_empty();
}

#[test]
fn asterisks_channel_speaks_in_words() {
    let (stage, doors) = stage("websocket-asterisk");
    let opening = Message::text(
        "MEDIA_START connection_id:c9 channel:WebSocket/c9 channel_id:170.1 format:ulaw optimal_frame_size:160 ptime:20",
    );
    let client = Client::connect(doors.websocket, "?channels=caller", vec![opening], talk().caller, 1, |frame| {
        let mut payload = Vec::new();
        g711::encode(Law::Mu, frame, &mut payload);
        Message::binary(payload)
    });
    begun(&stage, "asterisk");
    stage.until("the alert", |what| matches!(what, What::Alert { severity, .. } if severity == "critical"));
    stage.until("the end of the apology", |what| matches!(what, What::PromptEnded { completed: true, .. }));
    client.close();
    stage.until("the end", |what| matches!(what, What::CallEnded { .. }));
    stage.is_empty();
}

#[test]
fn rtp_comes_to_ports_of_the_api() {
    let (stage, _) = stage("fork-rtp");
    let asked = r#"{"via":"rtp","call":"170.5","from":"13800138000","to":"4000","format":"ulaw"}"#;
    let given = post(&stage, "/v1/forks", asked);
    let to = |party: &str| -> SocketAddr {
        given["streams"][party]["rtp"].as_str().expect("an address").parse().expect("an address")
    };
    let talk = talk();
    let speakers = [Speaker::start(to("caller"), &talk.caller), Speaker::start(to("callee"), &talk.agent)];
    begun(&stage, "rtp");
    angry_as_in_our_path(&stage, Some("170.5"));
    drop(speakers);
    let call = given["call"].as_str().expect("an id").to_owned();
    post(&stage, &format!("/v1/calls/{call}/hangup"), "");
    stage.until("the end", |what| matches!(what, What::CallEnded { .. }));
    stage.is_empty();
}

#[test]
fn streams_that_are_wrong_end_alone() {
    let (stage, doors) = stage("streams-bad");
    let good = AudioSocket::connect(doors.audiosocket, "00000000-0000-0000-0000-000000000001", Vec::new());
    begun(&stage, "audiosocket");
    // Audio without an id; a frame that is too long; a key that is none; nothing at all.
    for bytes in
        [&[0x10, 0, 2, 1, 2][..], &[0x10, 0xff, 0xff], &[1, 0, 3, 1, 2, 3], &[3, 0, 1, 0xee], b"GET / HTTP/1.1\r\n\r\n"]
    {
        let mut stream = TcpStream::connect(doors.audiosocket).expect("a connection");
        stream.write_all(bytes).expect("taken");
        stream.set_read_timeout(Some(LONG)).expect("a timeout");
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
    }
    // A WebSocket that is sent faster than anybody speaks, one with a rate that nobody has, one without a beginning.
    let fast = tungstenite::connect(format!("ws://{}/?call=fast", doors.websocket)).expect("a connection");
    let mut fast = fast.0;
    for _ in 0..40 {
        if fast.send(Message::binary(vec![0; 16_000])).is_err() {
            break;
        }
    }
    stage.until(
        "the end of the fast one",
        |what| matches!(what, What::CallEnded { reason, .. } if reason.contains("times as fast")),
    );
    assert!(tungstenite::connect(format!("ws://{}/?rate=44100", doors.websocket)).is_err());
    assert!(tungstenite::connect(format!("ws://{}/?channels=nobody", doors.websocket)).is_err());
    let mut twilio = tungstenite::connect(format!("ws://{}/", doors.websocket)).expect("a connection").0;
    twilio.send(Message::text(r#"{"event":"start","start":7}"#)).expect("taken");
    assert_eq!(stage.metric("calmline_calls_active"), 1.0, "the good one goes on");
    good.hang_up();
    stage.is_empty();
}

#[test]
fn a_token_is_asked_for_where_there_is_one() {
    let doors = Doors::find();
    // The API's own token serves as well as any.
    let stage = doors.open("streams-token", "token_env = \"CALMLINE_TOKEN\"\n");
    let token = &stage.server.token;
    let door = doors.websocket;
    assert!(tungstenite::connect(format!("ws://{door}/")).is_err());
    assert!(tungstenite::connect(format!("ws://{door}/?token=not-the-token-of-this")).is_err());
    for url in [format!("ws://{door}/?token={token}"), format!("ws://{door}/media/{token}")] {
        assert!(tungstenite::connect(&url).is_ok(), "{url}");
    }
}

/// Asks the API for something.
#[track_caller]
pub fn post(stage: &Stage, path: &str, body: &str) -> Value {
    let (web, token) = (stage.server.addresses.web, &stage.server.token);
    let (status, answer) = server::ask(web, ("POST", path), body, token).expect("an answer");
    assert!((200..300).contains(&status), "{path}: {status} {answer}");
    serde_json::from_str(&answer).expect("JSON")
}

/// A PBX's side of AudioSocket.
struct AudioSocket {
    stream: TcpStream,
    stop: Arc<AtomicBool>,
    speaks: Option<JoinHandle<()>>,
    heard: Arc<std::sync::Mutex<Vec<i16>>>,
}

impl AudioSocket {
    fn connect(to: SocketAddr, id: &str, samples: Vec<i16>) -> AudioSocket {
        let stream = TcpStream::connect(to).expect("a connection");
        let id = forks::audiosocket::Uuid::parse(id).expect("a UUID");
        let mut first = vec![1, 0, 16];
        first.extend(id.0);
        (&stream).write_all(&first).expect("taken");
        let stop = Arc::new(AtomicBool::new(false));
        let (mut out, stopped) = (stream.try_clone().expect("a handle"), Arc::clone(&stop));
        let speaks = thread::spawn(move || {
            paced(&samples, &stopped, |frame| {
                let mut bytes = Vec::new();
                forks::audiosocket::write_audio(forks::audio::Rate::Narrow, frame, &mut bytes);
                out.write_all(&bytes).is_ok()
            });
        });
        let heard = Arc::new(std::sync::Mutex::new(Vec::new()));
        let (mut back, samples) = (stream.try_clone().expect("a handle"), Arc::clone(&heard));
        thread::spawn(move || {
            let mut decoder = forks::audiosocket::Decoder::new(4_096);
            let mut bytes = [0; 4_096];
            while let Ok(length @ 1..) = back.read(&mut bytes) {
                decoder.push(&bytes[..length]);
                while let Ok(Some(frame)) = decoder.next_frame() {
                    if let forks::audiosocket::Frame::Audio { samples: more, .. } = frame {
                        samples.lock().expect("no panic").extend(more);
                    }
                }
            }
        });
        AudioSocket { stream, stop, speaks: Some(speaks), heard }
    }

    fn heard(&self) -> Vec<i16> {
        self.heard.lock().expect("no panic").clone()
    }

    fn hang_up(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.speaks.take() {
            thread.join().expect("no panic");
        }
        // The server may have hung up first.
        let _ = self.stream.write_all(&forks::audiosocket::HANGUP_FRAME);
    }
}

/// A PBX's side of a WebSocket.
struct Client {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<WebSocket<tungstenite::stream::MaybeTlsStream<TcpStream>>>>,
}

impl Client {
    /// Sends the opening, then `samples` at their pace: 20 ms of all channels in each message that `message` makes.
    fn connect(
        to: SocketAddr,
        path: &str,
        opening: Vec<Message>,
        samples: Vec<i16>,
        channels: usize,
        message: impl Fn(&[i16]) -> Message + Send + 'static,
    ) -> Client {
        let (mut socket, _) = tungstenite::connect(format!("ws://{to}/{path}")).expect("a connection");
        if let tungstenite::stream::MaybeTlsStream::Plain(stream) = socket.get_ref() {
            stream.set_read_timeout(Some(Duration::from_millis(1))).expect("a timeout");
        }
        opening.into_iter().for_each(|message| socket.send(message).expect("taken"));
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut rest = samples.into_iter();
            let mut frame = Vec::new();
            paced(&[], &stopped, |silence| {
                frame.clear();
                frame.extend(rest.by_ref().take(silence.len() * channels));
                frame.resize(silence.len() * channels, 0);
                // Pings and what is played are read, or the server would have to wait.
                while socket.read().is_ok() {}
                socket.send(message(&frame)).is_ok()
            });
            socket
        });
        Client { stop, thread: Some(thread) }
    }

    fn close(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(mut socket) = self.thread.take().and_then(|thread| thread.join().ok()) {
            let _ = socket.close(None);
            let _ = socket.flush();
        }
    }
}
