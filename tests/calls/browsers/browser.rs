//! A browser without a window: it sings a tone, and keeps what it hears.

use std::net::UdpSocket;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use media::Codec;
use media::codec::{Decoder, Encoder, OpusSettings};
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::configuration::media_engine::MIME_TYPE_OPUS;
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodec, RTCRtpCodecParameters, RTCRtpCodingParameters, RTCRtpEncodingParameters, RtpCodecKind,
};
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};
use webrtc::peer_connection::{
    MediaEngine, PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCConfiguration,
    RTCConfigurationBuilder, RTCIceGatheringState, RTCIceServer, RTCIceTransportPolicy, RTCSessionDescription,
    SettingEngineBuilder,
};

use crate::stage::RATE;

/// How long a browser may look for ways by which it can be reached.
const GATHERED_WITHIN: Duration = Duration::from_secs(30);
/// Ports for browsers that a stage has.
pub const PORTS: u16 = 8;
const SSRC: u32 = 77;
const PAYLOAD_TYPE: u8 = 109;
/// Samples of 20 ms.
const FRAME: usize = RATE / 50;

/// What it offers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Wants {
    Both,
    Hear,
}

/// It vanishes without a word when this is dropped.
pub struct Browser {
    runtime: Option<Runtime>,
    connection: Arc<dyn PeerConnection>,
    gathered: Arc<Notify>,
    heard: Arc<Mutex<Vec<i16>>>,
}

struct Events {
    gathered: Arc<Notify>,
    heard: Arc<Mutex<Vec<i16>>>,
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Events {
    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            self.gathered.notify_one();
        }
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        let heard = Arc::clone(&self.heard);
        tokio::spawn(async move {
            let mut decoder = Decoder::new(Codec::Opus, RATE as u32).expect("a decoder");
            while let Some(event) = track.poll().await {
                if let TrackRemoteEvent::OnRtpPacket(packet) = event {
                    let mut samples = Vec::new();
                    decoder.decode(&packet.payload, &mut samples).expect("Opus");
                    heard.lock().expect("no panic").extend(samples);
                }
            }
        });
    }
}

impl Browser {
    pub fn start(wants: Wants, hz: u16) -> Self {
        Self::start_by(wants, hz, RTCConfigurationBuilder::new().build())
    }

    /// One that goes by relays alone, those of these servers.
    pub fn start_relayed(wants: Wants, hz: u16, servers: Vec<RTCIceServer>) -> Self {
        let by = RTCConfigurationBuilder::new().with_ice_servers(servers);
        Self::start_by(wants, hz, by.with_ice_transport_policy(RTCIceTransportPolicy::Relay).build())
    }

    fn start_by(wants: Wants, hz: u16, by: RTCConfiguration) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("threads");
        let (gathered, heard) = (Arc::new(Notify::new()), Arc::<Mutex<Vec<i16>>>::default());
        let events = Events { gathered: Arc::clone(&gathered), heard: Arc::clone(&heard) };
        let connection = runtime.block_on(connect(events, by));
        runtime.block_on(async {
            if wants == Wants::Both {
                let track = Arc::new(TrackLocalStaticRTP::new(track()));
                connection.add_track(Arc::clone(&track) as Arc<dyn TrackLocal>).await.expect("a track");
                tokio::spawn(sing(track, hz));
            } else {
                let init = webrtc::rtp_transceiver::RTCRtpTransceiverInit {
                    direction: webrtc::rtp_transceiver::RTCRtpTransceiverDirection::Recvonly,
                    ..Default::default()
                };
                connection.add_transceiver_from_kind(RtpCodecKind::Audio, Some(init)).await.expect("a transceiver");
            }
        });
        Self { runtime: Some(runtime), connection, gathered, heard }
    }

    /// Its offer, with every candidate; made once.
    pub fn offer(&mut self) -> String {
        let runtime = self.runtime.as_ref().expect("until it is dropped");
        runtime.block_on(async {
            if let Some(made) = self.connection.local_description().await {
                return made.sdp;
            }
            let offer = self.connection.create_offer(None).await.expect("an offer");
            self.connection.set_local_description(offer).await.expect("its own offer");
            let gathered = tokio::time::timeout(GATHERED_WITHIN, self.gathered.notified());
            gathered.await.expect("candidates, where those who are asked for them answer");
            self.connection.local_description().await.expect("an offer").sdp
        })
    }

    pub fn accept(&mut self, answer: &str) {
        let answer = RTCSessionDescription::answer(answer.to_owned()).expect("an answer");
        let runtime = self.runtime.as_ref().expect("until it is dropped");
        runtime.block_on(self.connection.set_remote_description(answer)).expect("an answer that fits");
    }

    pub fn heard(&self) -> Vec<i16> {
        self.heard.lock().expect("no panic").clone()
    }

    /// What was on its way may still come; then nothing.
    #[track_caller]
    pub fn hears_nothing_more(&self) {
        thread::sleep(Duration::from_millis(200));
        let before = self.heard().len();
        thread::sleep(Duration::from_secs(1));
        assert_eq!(self.heard().len(), before, "samples came after the end");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// The first of some ports in a row that nobody has, even.
pub fn free_ports() -> u16 {
    for _ in 0..100 {
        let probe = UdpSocket::bind(("127.0.0.1", 0)).expect("a port");
        let first = probe.local_addr().expect("its address").port() & !1;
        drop(probe);
        if first < u16::MAX - PORTS && (first..first + PORTS).all(|port| UdpSocket::bind(("127.0.0.1", port)).is_ok()) {
            return first;
        }
    }
    panic!("no {PORTS} free ports in a row");
}

async fn connect(events: Events, by: RTCConfiguration) -> Arc<dyn PeerConnection> {
    let mut codecs = MediaEngine::default();
    let parameters = RTCRtpCodecParameters { rtp_codec: opus(), payload_type: PAYLOAD_TYPE };
    codecs.register_codec(parameters, RtpCodecKind::Audio).expect("a codec");
    let settings = SettingEngineBuilder::new().with_include_loopback_candidate(true).build();
    let building = PeerConnectionBuilder::new()
        .with_configuration(by)
        .with_media_engine(codecs)
        .with_setting_engine(settings)
        .with_handler(Arc::new(events))
        .with_udp_addrs(vec!["127.0.0.1:0"])
        .build();
    Arc::new(Box::pin(building).await.expect("a connection"))
}

/// A frame every 20 ms, whatever becomes of it.
async fn sing(track: Arc<TrackLocalStaticRTP>, hz: u16) {
    let settings = OpusSettings { fec: true, dtx: false, bitrate_max: None, ..OpusSettings::default() };
    let mut encoder = Encoder::new(Codec::Opus, RATE as u32, settings).expect("an encoder");
    let mut every = tokio::time::interval(Duration::from_millis(20));
    for frame in 0_u32.. {
        every.tick().await;
        let first = frame as usize * FRAME;
        let angle = |n: usize| std::f64::consts::TAU * f64::from(hz) * n as f64 / RATE as f64;
        let samples: Vec<i16> = (first..first + FRAME).map(|n| (angle(n).sin() * 0.3 * 32_767.0) as i16).collect();
        let mut payload = Vec::new();
        encoder.encode(&samples, &mut payload).expect("Opus");
        let header = rtp::header::Header {
            version: 2,
            payload_type: PAYLOAD_TYPE,
            sequence_number: frame as u16,
            timestamp: frame.wrapping_mul(960),
            ssrc: SSRC,
            ..Default::default()
        };
        // Before the connection stands nobody takes it.
        let _ = track.write_rtp(rtp::Packet { header, payload: Bytes::from(payload) }).await;
    }
}

fn track() -> MediaStreamTrack {
    let coding = RTCRtpEncodingParameters {
        rtp_coding_parameters: RTCRtpCodingParameters { ssrc: Some(SSRC), ..Default::default() },
        codec: opus(),
        ..Default::default()
    };
    MediaStreamTrack::new(
        "browser".to_owned(),
        "voice".to_owned(),
        "voice".to_owned(),
        RtpCodecKind::Audio,
        vec![coding],
    )
}

fn opus() -> RTCRtpCodec {
    RTCRtpCodec {
        mime_type: MIME_TYPE_OPUS.to_owned(),
        clock_rate: 48_000,
        channels: 2,
        sdp_fmtp_line: "minptime=10;useinbandfec=1".to_owned(),
        rtcp_feedback: Vec::new(),
    }
}
