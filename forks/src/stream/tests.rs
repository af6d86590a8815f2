//! Whole streams in every dialect, message by message, and what is refused.

use proptest::prelude::*;

use super::*;

#[test]
fn freeswitch_with_two_channels() {
    let metadata = r#"{"uuid":"f1","caller":"1000","callee":"4000","account":"gold","inner":{"x":1},"vip":true}"#;
    let mut run = Run::begin("call=&channels=caller,callee&rate=16k&x=1");
    run.text(metadata);
    run.says("begun freeswitch call=f1 from=1000 to=4000 [Caller, Callee] Wide silent account=gold vip=true");
    run.binary(&[1, 0, 2, 0, 3, 0, 4, 0, 5]);
    run.says("audio 0 [1, 3]; audio 1 [2, 4]");
    run.binary(&[0, 6, 0]);
    run.says("audio 0 [5]; audio 1 [6]");
    run.text(r#"{"event":"dtmf","dtmf":"7","duration":"160"}"#);
    run.says("key 7");
    run.text(r#"{"done":"bye"}"#);
    run.says("told done=bye");
    assert_eq!(run.play(&[1]), []);
}

#[test]
fn freeswitch_as_dialplans_write_it() {
    let mut run = Run::begin("");
    run.text("{'from':'1000'}");
    run.says("begun freeswitch [Caller] Narrow silent text={'from':'1000'}");
    run.text("more");
    run.says("told text=more");
    // Nothing in front of the audio at all.
    let mut run = Run::begin("channels=both&call=c1&from=a&to=b&play=on");
    run.binary(&[1, 0]);
    run.says("begun freeswitch call=c1 from=a to=b [Both] Narrow plays; audio 0 [1]");
    assert_eq!(run.play(&[1, -1]), [Message::Binary(vec![1, 0, 255, 255])]);
    assert_eq!(run.clear(), [text(r#"{"type":"killAudio"}"#)]);
    let mut run = Run::begin("play=streamAudio");
    run.binary(&[]);
    run.says("begun freeswitch [Caller] Narrow plays");
    let expected = r#"{"data":{"audioData":"AQA=","audioDataType":"raw","sampleRate":8000},"type":"streamAudio"}"#;
    assert_eq!(run.play(&[1]), [text(expected)]);
}

#[test]
fn twilio_with_both_tracks() {
    let mut run = Run::begin("");
    run.text(r#"{"event":"connected","protocol":"Call","version":"1.0.0"}"#);
    run.says("");
    run.text(
        r#"{"event":"start","sequenceNumber":"1","streamSid":"MZ1","start":{"accountSid":"AC1","streamSid":"MZ1","callSid":"CA1",
        "tracks":["inbound","outbound"],"mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1},
        "customParameters":{"from":"+8613800000000","account":"gold","play":"on","token":"s"}}}"#,
    );
    run.says("begun twilio call=CA1 from=+8613800000000 [Caller, Callee] Narrow plays account=gold");
    run.text(r#"{"event":"media","streamSid":"MZ1","media":{"track":"outbound","chunk":"1","timestamp":"5","payload":"gP8A"}}"#);
    run.says("audio 1 [32124, 0, -32124]");
    run.text(r#"{"event":"media","media":{"track":"elsewhere","payload":"gP8A"}}"#);
    run.says("");
    run.text(r#"{"event":"dtmf","dtmf":{"track":"inbound_track","digit":"*"}}"#);
    run.says("key *");
    run.text(r#"{"event":"mark","mark":{"name":"7"}}"#);
    run.says("marked 7");
    run.text(r#"{"event":"stop","stop":{"callSid":"CA1"}}"#);
    run.says("ended");
    assert_eq!(run.play(&[0]), [text(r#"{"event":"media","media":{"payload":"/w=="},"streamSid":"MZ1"}"#)]);
    assert_eq!(run.clear(), [text(r#"{"event":"clear","streamSid":"MZ1"}"#)]);
    assert_eq!(run.mark(8), [text(r#"{"event":"mark","mark":{"name":"8"},"streamSid":"MZ1"}"#)]);
}

#[test]
fn others_who_speak_like_twilio() {
    // On the agent's call: what comes in is the agent's voice.
    let mut run = Run::begin("channels=callee&call=mine");
    run.text(
        r#"{"event":"start","stream_id":"S","start":{"call_control_id":"v3:x","media_format":{"encoding":"PCMA","sample_rate":8000}}}"#,
    );
    run.says("begun twilio call=mine [Callee] Narrow silent");
    let mut run = Run::begin("");
    run.text(
        r#"{"event":"start","start":{"tracks":["outbound"],"mediaFormat":{"encoding":"PCM16","sampleRate":16000}}}"#,
    );
    run.says("begun twilio [Callee] Wide silent");
    run.text(r#"{"event":"media","media":{"payload":"AQACAA=="}}"#);
    run.says("audio 0 [1, 2]");
    assert_eq!(run.play(&[0]), []);
}

#[test]
fn asterisk_in_words() {
    let mut run = Run::begin("channels=callee&from=1000");
    run.text("MEDIA_START connection_id:e226 channel:WebSocket/calmline format:slin16 optimal_frame_size:640");
    run.says("begun asterisk call=e226 from=1000 [Callee] Wide plays channel=WebSocket/calmline");
    run.binary(&[1, 0, 2, 0]);
    run.says("audio 0 [1, 2]");
    run.text("DTMF_END digit:5");
    run.says("key 5");
    run.text("MEDIA_XOFF");
    assert_eq!(run.play(&[1]), []);
    run.text("MEDIA_XON");
    assert_eq!(run.play(&[1]), [Message::Binary(vec![1, 0])]);
    assert_eq!((run.mark(3), run.clear()), (vec![text("REPORT_QUEUE_DRAINED")], vec![text("FLUSH_MEDIA")]));
    run.text("QUEUE_DRAINED");
    run.says("marked 3");
    run.text("STATUS queue_length:43");
    run.says("");
}

#[test]
fn asterisk_in_json() {
    let mut run = Run::begin("");
    run.text(
        r#"{"event":"MEDIA_START","connection_id":"e226","channel":"WebSocket/c","channel_id":"17.4","format":"alaw"}"#,
    );
    run.says("begun asterisk call=e226 [Caller] Narrow plays channel=WebSocket/c channel_id=17.4");
    run.text(r#"{"event":"DTMF_END","digit":"9"}"#);
    run.says("key 9");
    assert_eq!(run.clear(), [text(r#"{"command":"FLUSH_MEDIA"}"#)]);
}

#[test]
fn what_cannot_be_taken_says_why() {
    let start = r#"{"event":"start","start":{}}"#;
    let format = |text: &str| format!(r#"{{"event":"start","start":{{"mediaFormat":{text}}}}}"#);
    for (messages, expected) in [
        (vec![text(r#"{"event":"connected"}"#), Message::Binary(vec![])], "twilio: a binary message, expected JSON"),
        (vec![text(r#"{"event":"connected"}"#), text("hello")], "twilio: a text, expected a JSON object"),
        (vec![text(r#"{"event":"connected"}"#), text(r#"{"event":"media"}"#)], "twilio: media, expected start"),
        (vec![text(r#"{"event":"start"}"#)], "twilio: start without its content, expected an object under \"start\""),
        (vec![text(start), text(start)], "twilio: a second start, expected media"),
        (
            vec![text(start), text(r#"{"event":"media","media":{}}"#)],
            "twilio: media without a payload, expected base64 under \"payload\"",
        ),
        (
            vec![text(start), text(r#"{"event":"media","media":{"payload":"!"}}"#)],
            "twilio: a payload that is no base64, expected base64",
        ),
        (
            vec![text(&format(r#"{"encoding":"audio/opus"}"#))],
            "twilio: audio as audio/opus, expected x-mulaw, x-alaw or l16",
        ),
        (
            vec![text(&format(r#"{"encoding":"l16","sampleRate":"44100"}"#))],
            "twilio: audio at 44100 Hz, expected 8000 or 16000",
        ),
        (
            vec![text(&format(r#"{"encoding":"l16","channels":2}"#))],
            "twilio: audio as 2 channels in one track, expected one channel",
        ),
        (vec![text("MEDIA_START format:opus")], "asterisk: audio as opus, expected ulaw, alaw, slin or slin16"),
        (
            vec![text("MEDIA_START format:ulaw"), text("MEDIA_START format:ulaw")],
            "asterisk: a second MEDIA_START, expected audio",
        ),
    ] {
        let mut stream = Stream::new(Request::default());
        let mut events = Vec::new();
        let (last, before) = messages.split_last().expect("a message");
        before.iter().for_each(|message| stream.read(message, &mut events).expect("good so far"));
        assert_eq!(stream.read(last, &mut events).expect_err("not taken").to_string(), expected);
    }
}

#[test]
fn urls_that_are_not_taken() {
    for (query, expected) in [
        ("rate=44100", "rate: audio at 44100 Hz, expected 8000 or 16000"),
        ("rate=fast", "rate: audio at fast Hz, expected 8000 or 16000"),
        (
            "channels=caller,caller",
            "channels: found \"caller,caller\", expected caller, callee, both, \"caller,callee\" or \"callee,caller\"",
        ),
        ("play=loud", "play: found \"loud\", expected \"off\", \"on\" or \"streamAudio\""),
    ] {
        assert_eq!(request(query).expect_err("not taken").to_string(), expected);
    }
}

proptest! {
    /// Whatever is said in whatever order: it is taken or refused, begins once, and no channel is out of range.
    #[test]
    fn anything_goes(messages in prop::collection::vec(message(), 0..20), channels in 0_usize..3) {
        let query = ["", "channels=caller,callee&play=on", "channels=both&play=streamAudio"][channels];
        let mut stream = Stream::new(request(query).expect("good"));
        let mut events = Vec::new();
        for message in &messages {
            if stream.read(message, &mut events).is_err() {
                break;
            }
            let mut replies = Vec::new();
            stream.play(&[0; 160], &mut replies);
            stream.mark(1, &mut replies);
            stream.clear(&mut replies);
        }
        let openings: Vec<usize> = events.iter().enumerate().filter_map(|(at, event)| match event {
            Event::Begun(opening) => { assert!((1..=2).contains(&opening.voices.len())); Some(at) }
            _ => None,
        }).collect();
        prop_assert!(openings.len() <= 1);
        for (at, event) in events.iter().enumerate() {
            if let Event::Audio { channel, .. } = event {
                prop_assert!(openings.first().is_some_and(|&begun| begun < at) && *channel < 2);
            }
        }
    }
}

fn message() -> impl Strategy<Value = Message> {
    let known = [
        r#"{"event":"connected"}"#,
        r#"{"event":"start","start":{"tracks":["inbound","outbound"]}}"#,
        r#"{"event":"media","media":{"track":"outbound","payload":"AAAA"}}"#,
        r#"{"event":"stop"}"#,
        r#"{"event":7,"start":[]}"#,
        "MEDIA_START connection_id:1 format:slin",
        "MEDIA_XOFF",
        "DTMF_END digit:",
        r#"{"event":"dtmf","dtmf":{"digit":""}}"#,
    ];
    prop_oneof![
        prop::sample::select(known.to_vec()).prop_map(text),
        "\\PC{0,40}".prop_map(Message::Text),
        prop::collection::vec(any::<u8>(), 0..50).prop_map(Message::Binary),
    ]
}

struct Run {
    stream: Stream,
    events: Vec<Event>,
}

impl Run {
    fn begin(query: &str) -> Run {
        Run { stream: Stream::new(request(query).expect("a good URL")), events: Vec::new() }
    }

    #[track_caller]
    fn text(&mut self, message: &str) {
        self.stream.read(&text(message), &mut self.events).expect("taken");
    }

    #[track_caller]
    fn binary(&mut self, bytes: &[u8]) {
        self.stream.read(&Message::Binary(bytes.to_vec()), &mut self.events).expect("taken");
    }

    fn play(&mut self, samples: &[i16]) -> Vec<Message> {
        let mut messages = Vec::new();
        self.stream.play(samples, &mut messages);
        messages
    }

    fn clear(&mut self) -> Vec<Message> {
        let mut messages = Vec::new();
        self.stream.clear(&mut messages);
        messages
    }

    fn mark(&mut self, number: u32) -> Vec<Message> {
        let mut messages = Vec::new();
        assert!(self.stream.mark(number, &mut messages));
        messages
    }

    /// What has come since the last time, in words.
    #[track_caller]
    fn says(&mut self, expected: &str) {
        let found: Vec<String> = self.events.drain(..).map(|event| in_words(&event)).collect();
        assert_eq!(found.join("; "), expected);
    }
}

fn in_words(event: &Event) -> String {
    let named = |details: &[(String, String)]| -> String {
        details.iter().map(|(name, value)| format!(" {name}={value}")).collect()
    };
    match event {
        Event::Begun(opening) => {
            let Opening { dialect, call, from, to, voices, rate, plays, details } = &**opening;
            let said = [("call", call), ("from", from), ("to", to)];
            let said: String =
                said.iter().filter_map(|(name, value)| Some(format!(" {name}={}", value.as_ref()?))).collect();
            let plays = if *plays { "plays" } else { "silent" };
            format!("begun {}{said} {voices:?} {rate:?} {plays}{}", dialect.name(), named(details))
        }
        Event::Audio { channel, samples } => format!("audio {channel} {samples:?}"),
        Event::Key(key) => format!("key {key}"),
        Event::Told(details) => format!("told{}", named(details)),
        Event::Marked(number) => format!("marked {number}"),
        Event::Ended => "ended".to_owned(),
    }
}

fn request(query: &str) -> Result<Request, RequestError> {
    Request::read(query.split('&').filter_map(|pair| pair.split_once('=')))
}

fn text(text: &str) -> Message {
    Message::Text(text.to_owned())
}
