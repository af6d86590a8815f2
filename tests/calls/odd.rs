//! Callers whose descriptions are not true, or change: each lost a call somewhere (docs/INTEGRATIONS.md).

use std::net::SocketAddr;

use calmline::notice::What;
use loadtest::audio::Audio;
use loadtest::driver::{Phones, StreamsHandle};
use loadtest::stream::{Keep, StreamPlan};
use media::{Codec, StreamSettings};

use crate::raw::{RawCaller, audio_port};
use crate::stage::{ANY, BOT_HZ, CALLER_HZ, RATE, Setup, Stage, continuous, eventually, strength};

/// A caller with a stream of its own, which sends what it is told to, whatever its descriptions say.
struct Odd {
    stage: Stage,
    caller: RawCaller,
    stream: StreamsHandle,
    _phones: Phones,
}

impl Odd {
    fn new(name: &str) -> Odd {
        let stage = Stage::set(Setup::named(name));
        let phones = Phones::start().expect("a thread");
        let keep = Keep { audio_seconds: 60, trace: false };
        let says = Audio::tone(CALLER_HZ, 0.3);
        let stream = phones.streams(ANY.ip(), 1, says, keep, StreamPlan::default()).expect("a port");
        let caller = RawCaller::new(stage.server.addresses.sip);
        Odd { stage, caller, stream, _phones: phones }
    }

    /// Offers `codecs` at an address, and speaks `codec` from where the stream really is.
    fn offer(&mut self, address: &str, port: u16, codecs: &str, codec: Codec, payload_type: u8) {
        let answer = self.caller.offer(&format!(
            "v=0\r\no=- 1 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\nm=audio {port} RTP/AVP {codecs}\r\n"
        ));
        let server = SocketAddr::new(ANY.ip(), audio_port(&answer));
        let settings = StreamSettings::plain(Some(server), codec, payload_type);
        self.stream.configure(self.stream.ports[0], settings).expect("an order");
    }

    /// Both hear each other in what comes from now on.
    fn both_hear(&self) {
        let lengths = || [self.stream.heard(0).samples.len(), self.stage.bot.heard().samples.len()];
        let before = lengths();
        eventually("two seconds both ways", || lengths().iter().zip(before).all(|(now, then)| now - then > 2 * RATE));
        let (caller, bot) = (self.stream.heard(0), self.stage.bot.heard());
        continuous("the bot", &bot.stats);
        continuous("the caller", &caller.stats);
        assert_eq!((caller.stats.unexpected, bot.stats.unexpected), (0, 0), "packets of a type that was not agreed");
        assert!(strength(&caller.samples, BOT_HZ) > 0.25, "the caller hears the bot");
        assert!(strength(&bot.samples, CALLER_HZ) > 0.25, "the bot hears the caller");
    }

    fn hang_up(self) {
        self.caller.hang_up();
        self.stage.until("the end", |what| matches!(what, What::CallEnded { packets_lost: 0, .. }));
        self.stage.is_empty();
    }
}

/// Behind address translation a telephone names an address that leads nowhere: audio goes to where audio comes from.
#[test]
fn an_address_that_leads_nowhere_in_the_description() {
    let mut odd = Odd::new("odd-address");
    odd.offer("127.77.7.7", 9_998, "8", Codec::Pcma, 8);
    odd.both_hear();
    odd.hang_up();
}

/// A re-INVITE to another codec begins, changes and ends transcoding in the middle of one stream.
#[test]
fn a_reinvite_to_another_codec_in_the_middle() {
    let mut odd = Odd::new("odd-codec");
    let port = odd.stream.ports[0];
    odd.offer("127.0.0.1", port, "8", Codec::Pcma, 8);
    odd.both_hear();
    odd.offer("127.0.0.1", port, "9", Codec::G722, 9);
    odd.both_hear();
    odd.offer("127.0.0.1", port, "0", Codec::Pcmu, 0);
    odd.both_hear();
    odd.hang_up();
}
