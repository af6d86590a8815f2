//! Recognisers elsewhere that answer, are away, come back, hang, flood, babble and are somebody else; none of what is said
//! is lost.

use std::net::SocketAddr;
use std::time::Instant;

use futures::{SinkExt, StreamExt};
use media::wav;
use nlu::recognition::EngineKind;
use nlu::recognition::remote::Protocol;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::StatusCode;
use tokio_tungstenite::{accept_async, accept_hdr_async};

use super::*;
use crate::recognizer::Endpoint;
use crate::shell::sip::tests::authority::Authority;

const PARTY: PartyId = PartyId(7);
/// Longer than anything takes on a busy machine.
const LONG: Duration = Duration::from_secs(60);
/// Samples of a packet, and of a second.
const PACKET: usize = 160;
const SECOND: u64 = 8_000;

/// What a far end does once it is connected.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Far {
    /// Tells how much it has heard, each second of audio and, finally, at the end.
    Answers,
    /// The same, to those who know its subprotocol.
    Insists,
    /// Reads and says nothing.
    Hangs,
    /// Closes after two seconds of audio.
    Leaves,
    /// Tells, finally, how much it has heard after two seconds of audio, closes, and is gone amid what still comes.
    Breaks,
    /// Says something after each message that is no answer.
    Babbles,
    /// Says after two seconds of audio that nothing more comes, which nobody has asked for.
    Ends,
    /// Answers the first message without end.
    Floods,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_is_understood_elsewhere() {
    for behaviour in [Far::Answers, Far::Insists] {
        understands(behaviour).await;
    }
}

async fn understands(behaviour: Far) {
    let (far, address) = listen().await;
    tokio::spawn(serve(far, behaviour, None));
    let mut scene = Scene::new(address, None, LONG);
    scene.recognizer.open(PARTY, Language::Mandarin);
    scene.say(&vec![0.1; 3 * SECOND as usize]);
    scene.until("a partial transcript", |said| said.iter().any(|said| !said.is_final)).await;
    scene.recognizer.skip(PARTY, 10 * SECOND);
    scene.say(&vec![0.1; SECOND as usize]);
    scene.close();
    scene.until("the last words", |said| said.iter().any(|said| said.is_final)).await;
    let last = scene.said.iter().find(|said| said.is_final).expect("just seen");
    // A second of the gap is heard as silence.
    assert_eq!((last.text.as_deref(), last.end), (Some("听到5"), 14 * SECOND));
    assert_eq!((last.engine, last.phrases[0].intent.as_str()), (EngineKind::FunAsr, "heard"));
    scene.until_over().await;
    let figures = scene.standing.figures().expect("wanted");
    assert!(figures.is_up && figures.opened >= 1 && figures.lost == 0 && figures.answers >= 4, "{figures:?}");
    assert_eq!(
        (figures.sent, figures.local, figures.dropped),
        (Duration::from_secs(4), Duration::ZERO, Duration::ZERO)
    );
    assert_eq!(scene.heard_here(), "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_away_is_heard_here_and_elsewhere_again_when_it_is_back() {
    let (far, address) = listen().await;
    drop(far);
    let mut scene = Scene::new(address, Some(Here::default()), LONG);
    scene.recognizer.open(PARTY, Language::Mandarin);
    scene.say(&vec![0.1; 2 * SECOND as usize]);
    let standing = Arc::clone(&scene.standing);
    scene.until("it is known to be away", |_| standing.is_down()).await;
    assert!(standing.hears(), "somebody hears");
    scene.say(&vec![0.1; SECOND as usize]);
    // Its port may be somebody else's for a moment.
    let far = loop {
        match TcpListener::bind(address).await {
            Ok(far) => break far,
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    };
    tokio::spawn(serve(far, Far::Answers, None));
    scene.until("what was heard here", |said| said.iter().any(|said| said.engine == EngineKind::Pocketsphinx)).await;
    assert_eq!(scene.heard_here(), "0-3");
    scene.say(&vec![0.1; 2 * SECOND as usize]);
    scene.close();
    scene.until("what was heard there", |said| said.iter().any(|said| said.engine == EngineKind::FunAsr)).await;
    scene.until_over().await;
    let last = scene.said.last().expect("some");
    assert_eq!((last.text.as_deref(), last.is_final, last.end), (Some("听到2"), true, 5 * SECOND));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_hangs_up_before_it_is_known_that_it_is_back_leaves_no_connection() {
    let (far, address) = listen().await;
    let mut scene = Scene::new(address, Some(Here::default()), LONG);
    scene.standing.down(&scene.recognizer.terms.endpoint.to_string(), "a test");
    scene.recognizer.open(PARTY, Language::Mandarin);
    scene.say(&vec![0.1; SECOND as usize]);
    tokio::spawn(serve(far, Far::Hangs, None));
    while scene.recognizer.news.is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    scene.close();
    scene.until_over().await;
    assert_eq!(scene.heard_here(), "0-1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_no_answer_when_it_is_lost_is_heard_here() {
    for (behaviour, why) in [
        (Far::Leaves, "it closed the connection"),
        (Far::Ends, "it ended the stream"),
        (Far::Hangs, "it is there and does not answer"),
        (Far::Babbles, "expected a JSON object"),
        (Far::Floods, "it sends more than anybody can have said"),
    ] {
        let (far, address) = listen().await;
        tokio::spawn(serve(far, behaviour, None));
        let mut scene = Scene::new(address, Some(Here::default()), Duration::from_secs(2));
        scene.recognizer.open(PARTY, Language::Mandarin);
        scene.say(&speech());
        let standing = Arc::clone(&scene.standing);
        scene.until(why, |_| standing.why().contains(why)).await;
        let name = format!("{behaviour:?}");
        scene.until(&name, |_| standing.figures().is_some_and(|figures| figures.local > Duration::ZERO)).await;
        scene.close();
        scene.until_over().await;
        assert_eq!(scene.heard_here(), format!("0-{}", speech().len() as u64 / SECOND), "{behaviour:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_said_last_counts_before_it_was_gone() {
    // Whether more is sent than can be read is chance.
    for _ in 0..8 {
        let (far, address) = listen().await;
        tokio::spawn(serve(far, Far::Breaks, None));
        let mut scene = Scene::new(address, Some(Here::default()), LONG);
        scene.recognizer.open(PARTY, Language::Mandarin);
        scene.say(&speech());
        let standing = Arc::clone(&scene.standing);
        scene.until("a loss", |_| !standing.why().is_empty()).await;
        assert_eq!(standing.why(), "it closed the connection");
        scene.until("its last words", |said| said.iter().any(|said| said.text.as_deref() == Some("听到2"))).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_short_call_that_gets_no_answer_is_heard_here() {
    let (far, address) = listen().await;
    tokio::spawn(serve(far, Far::Hangs, None));
    let mut scene = Scene::new(address, Some(Here::default()), LONG);
    scene.recognizer.open(PARTY, Language::Mandarin);
    scene.say(&speech()[..4 * SECOND as usize]);
    scene.close();
    scene.until_over().await;
    assert_eq!(scene.heard_here(), "0-4");
    assert_eq!(scene.standing.why(), "it does not answer at the end");
    assert_eq!(scene.standing.figures().expect("wanted").lost, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_anybody_here_what_has_no_answer_waits_and_is_bounded() {
    let (far, address) = listen().await;
    drop(far);
    let mut scene = Scene::new(address, None, LONG);
    scene.recognizer.open(PARTY, Language::Mandarin);
    let standing = Arc::clone(&scene.standing);
    scene.until("it is known to be away", |_| standing.is_down()).await;
    assert!(!standing.hears(), "nobody hears");
    scene.say(&vec![0.1; 13 * SECOND as usize]);
    assert_eq!(standing.figures().expect("wanted").dropped, Duration::from_secs(3));
    scene.close();
    scene.until_over().await;
    assert!(scene.said.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_it_is_has_to_be_who_it_says() {
    let (authority, stranger) = (Authority::new("asr-authority"), Authority::new("asr-stranger"));
    let (far, address) = listen().await;
    tokio::spawn(serve(far, Far::Answers, Some(TlsAcceptor::from(authority.server("localhost")))));
    for (by, is_trusted) in [(&stranger, false), (&authority, true)] {
        let client = crate::shell::sip::client_by(Some(&by.folder.join("authority.pem"))).expect("authorities");
        let mut scene = Scene::secured(address, Arc::new(client));
        scene.recognizer.open(PARTY, Language::English);
        scene.say(&vec![0.1; 2 * SECOND as usize]);
        let standing = Arc::clone(&scene.standing);
        if is_trusted {
            scene.until("an answer", |said| !said.is_empty()).await;
        } else {
            scene.until("refusal", |_| standing.why().contains("invalid peer certificate")).await;
            assert_eq!(standing.figures().expect("wanted").sent, Duration::ZERO, "it was told something");
        }
    }
}

/// A recogniser, and what it has understood so far.
struct Scene {
    recognizer: RemoteRecognizer,
    standing: Arc<Standing>,
    said: Vec<Transcript>,
}

impl Scene {
    fn new(address: SocketAddr, here: Option<Here>, answer: Duration) -> Self {
        let here = here.map(|here| Box::new(here) as Box<dyn Recognizer>);
        let endpoint = Endpoint::parse(&address.to_string()).expect("an address");
        let nobody = crate::shell::sip::client_by(None).expect("TLS has what it needs");
        Self::with(&files(endpoint, answer, Arc::new(nobody)), here)
    }

    fn secured(address: SocketAddr, by: Arc<rustls::ClientConfig>) -> Self {
        let endpoint = Endpoint::parse(&format!("wss://localhost:{}", address.port())).expect("an address");
        Self::with(&files(endpoint, LONG, by), None)
    }

    fn with(files: &RemoteFiles, here: Option<Box<dyn Recognizer>>) -> Self {
        let standing = Arc::new(Standing::default());
        let recognizer = RemoteRecognizer::new(files, here, Arc::clone(&standing), Handle::current());
        Self { recognizer, standing, said: Vec::new() }
    }

    /// Pushes audio in packets.
    fn say(&mut self, samples: &[f32]) {
        samples.chunks(PACKET).for_each(|packet| self.recognizer.push(PARTY, packet));
    }

    fn close(&mut self) {
        self.recognizer.close(PARTY, &mut self.said);
    }

    async fn until(&mut self, what: &str, mut is_so: impl FnMut(&[Transcript]) -> bool) {
        let began = Instant::now();
        while !is_so(&self.said) {
            assert!(began.elapsed() < LONG, "no {what}: {:?}, {}", self.said, self.standing.why());
            tokio::time::sleep(Duration::from_millis(5)).await;
            self.recognizer.run(&mut self.said);
        }
    }

    /// Until the party's connection is no more.
    async fn until_over(&mut self) {
        let standing = Arc::clone(&self.standing);
        self.until("the end", |_| standing.figures().is_some_and(|figures| figures.streams == 0)).await;
        self.recognizer.run(&mut self.said);
        assert!(self.recognizer.parties.is_empty());
    }

    /// What was heard here, seconds of the party's audio.
    fn heard_here(&self) -> String {
        let here = self.said.iter().filter(|said| said.engine == EngineKind::Pocketsphinx);
        here.map(|said| format!("{}-{}", said.start / SECOND, said.end / SECOND)).collect::<Vec<_>>().join(" ")
    }
}

fn files(endpoint: Endpoint, answer: Duration, by: Arc<rustls::ClientConfig>) -> RemoteFiles {
    let list = "language = \"zh\"\n[[intent]]\nname = \"heard\"\nphrases = [\"听到\"]\n";
    let list = nlu::recognition::PhraseList::from_toml(list).expect("a list");
    let listed = |language| (language, Arc::new(Listed::of(std::slice::from_ref(&list), language)));
    let (protocol, authorities, region, fallback) = (Protocol::FunAsr, None, None, None);
    let settings = Remote { protocol, endpoint, authorities, region, answer, confidence: 0.9, fallback };
    RemoteFiles { settings, by, listed: Language::ALL.map(listed).into() }
}

/// What somebody says, 8 kHz: the voice is synthetic.
fn speech() -> Vec<f32> {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/audio/angry-caller.wav");
    let bytes = std::fs::read(&file).expect("a fixture");
    let samples = wav::read(std::io::Cursor::new(bytes), wav::Channel::Only(0)).expect("audio").samples;
    samples.into_iter().take(8 * SECOND as usize).collect()
}

async fn listen() -> (TcpListener, SocketAddr) {
    let far = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let address = far.local_addr().expect("an address");
    (far, address)
}

async fn serve(far: TcpListener, behaviour: Far, tls: Option<TlsAcceptor>) {
    let open = Arc::new(Semaphore::new(64));
    while let Ok((stream, _)) = far.accept().await {
        // What is said before it is gone goes out at once, so that it comes in before that is known.
        stream.set_nodelay(true).expect("a connection");
        let (tls, place) = (tls.clone(), Arc::clone(&open).acquire_owned().await.expect("nobody closes it"));
        tokio::spawn(async move {
            let _place = place;
            match tls {
                None => talk(stream, behaviour).await,
                Some(tls) => match tls.accept(stream).await {
                    Ok(stream) => talk(stream, behaviour).await,
                    Err(_) => None,
                },
            }
        });
    }
}

/// Speaks FunASR's protocol, or does not.
async fn talk(stream: impl AsyncRead + AsyncWrite + Unpin, behaviour: Far) -> Option<()> {
    let (mut socket, behaviour) = match behaviour {
        Far::Insists => (accept_hdr_async(stream, insist).await.ok()?, Far::Answers),
        behaviour => (accept_async(stream).await.ok()?, behaviour),
    };
    let (mut octets, mut told) = (0, 0);
    while let Some(Ok(message)) = socket.next().await {
        let octets_per_second = 2 * 2 * SECOND;
        match (message, behaviour) {
            (Message::Binary(audio), _) => octets += audio.len() as u64,
            (Message::Text(text), Far::Answers) if text.contains("\"is_speaking\":false") => {
                let text = format!("听到{}", octets / octets_per_second);
                let last = format!("{{\"mode\":\"2pass-offline\",\"text\":\"{text}\"}}");
                socket.send(Message::text(last)).await.ok()?;
                socket.send(Message::text("{\"is_end\":true,\"is_final\":true}")).await.ok()?;
            }
            _ => continue,
        }
        match behaviour {
            Far::Answers if octets / octets_per_second > told => {
                told = octets / octets_per_second;
                socket.send(Message::text("{\"mode\":\"2pass-online\",\"text\":\"听\"}")).await.ok()?;
            }
            Far::Leaves if octets >= 2 * octets_per_second => {
                socket.close(None).await.ok()?;
                // Who is gone before all is read takes back what it has said.
                while socket.next().await.is_some_and(|message| message.is_ok()) {}
                return Some(());
            }
            Far::Breaks if octets >= 2 * octets_per_second => {
                socket.send(Message::text("{\"mode\":\"2pass-offline\",\"text\":\"听到2\"}")).await.ok()?;
                socket.close(None).await.ok()?;
                return Some(());
            }
            Far::Ends if octets >= 2 * octets_per_second => {
                socket.send(Message::text("{\"is_end\":true,\"is_final\":true}")).await.ok()?;
            }
            Far::Babbles => socket.send(Message::text("<html>")).await.ok()?,
            Far::Floods => loop {
                socket.send(Message::text("{\"mode\":\"2pass-online\",\"text\":\"\"}")).await.ok()?;
            },
            _ => {}
        }
    }
    Some(())
}

/// Takes nobody who does not offer the subprotocol, as FunASR's server in Python.
#[expect(clippy::result_large_err, reason = "what the library's callback returns")]
fn insist(request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    let offered = request.headers().get("Sec-WebSocket-Protocol").filter(|offered| *offered == "binary");
    let Some(offered) = offered else {
        let mut refusal = ErrorResponse::new(None);
        *refusal.status_mut() = StatusCode::BAD_REQUEST;
        return Err(refusal);
    };
    response.headers_mut().insert("Sec-WebSocket-Protocol", offered.clone());
    Ok(response)
}

/// Tells at the end from where to where it has heard.
#[derive(Default)]
struct Here {
    starts: Option<u64>,
    position: u64,
}

impl Recognizer for Here {
    fn open(&mut self, _: PartyId, _: Language) {
        *self = Self::default();
    }

    fn push(&mut self, _: PartyId, samples: &[f32]) {
        self.starts.get_or_insert(self.position);
        self.position += samples.len() as u64;
    }

    fn skip(&mut self, _: PartyId, samples: u64) {
        self.position += samples;
    }

    fn run(&mut self, _: &mut Vec<Transcript>) {}

    fn close(&mut self, party: PartyId, out: &mut Vec<Transcript>) {
        let (engine, start, end) = (EngineKind::Pocketsphinx, self.starts.unwrap_or_default(), self.position);
        let (words, phrases) = (Vec::new(), Vec::new());
        out.push(Transcript { party, engine, is_final: true, start, end, words, phrases, text: None });
    }

    fn spare(&mut self, _: bool) {}

    fn languages(&self) -> Vec<Language> {
        Language::ALL.into()
    }

    fn name(&self) -> String {
        "here".to_owned()
    }

    fn figures(&self) -> RecognizerFigures {
        RecognizerFigures::default()
    }
}
