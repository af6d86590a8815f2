//! One browser: its connection, and the packets that go both ways between it and the media port.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rtc::ice::mdns::MulticastDnsMode;
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::configuration::media_engine::MIME_TYPE_OPUS;
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodec, RTCRtpCodecParameters, RTCRtpCodingParameters, RTCRtpEncodingParameters, RtpCodecKind,
};
use rtc_shared::marshal::{Marshal, Unmarshal};
use tokio::net::UdpSocket;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};
use tokio_util::task::AbortOnDropHandle;
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};
use webrtc::peer_connection::{
    MediaEngine, PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCConfigurationBuilder,
    RTCIceGatheringState, RTCPeerConnectionState, Registry, SettingEngine, SettingEngineBuilder,
    configure_rtcp_reports,
};

use super::answer::with_external;
use super::offer::Offer;
use super::pace::Pace;
use super::{Place, Terms};
use crate::control::BROWSER_PAYLOAD_TYPE;

/// How long servers that know our address, or lend us one, are waited for.
const GATHER_WITHIN: Duration = Duration::from_secs(3);
/// How long everything else of an answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// How long a browser may take until its connection stands.
const CONNECT_WITHIN: Duration = Duration::from_secs(15);
/// When nothing has come of a connection for this long it is unsure, and after the second it is lost (RFC 7675).
const UNSURE_AFTER: Duration = Duration::from_secs(4);
const LOST_AFTER: Duration = Duration::from_secs(6);
const ASK_EVERY: Duration = Duration::from_secs(2);
/// The largest packet that is passed on, bytes.
const PACKET_BYTES_MAX: usize = 1_500;

/// A browser whose offer is answered. Its connection ends when this is dropped.
pub struct Peer {
    connection: Connection,
    speaks: bool,
    answer: String,
    state: watch::Receiver<RTCPeerConnectionState>,
    tracks: mpsc::Receiver<Arc<dyn TrackRemote>>,
    line: Line,
    /// Where `line` receives.
    address: SocketAddr,
}

/// Between the browser and the media port.
struct Line {
    /// Plain RTP, to and from the media port.
    socket: UdpSocket,
    /// What the browser hears, the number of that stream, and the payload type of Opus in it.
    track: Arc<TrackLocalStaticRTP>,
    ssrc: u32,
    opus: u8,
    /// How fast the browser may send.
    pace: Pace,
}

/// The library's connection and the place that it has. It ends when this is dropped, and only then the place is free again.
struct Connection {
    library: Arc<dyn PeerConnection>,
    place: Option<Place>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        let (library, place) = (Arc::clone(&self.library), self.place.take());
        // Without a runtime the program ends, and with it everything.
        let Ok(runtime) = Handle::try_current() else { return };
        runtime.spawn(async move {
            if let Err(error) = library.close().await {
                tracing::debug!(%error, "a browser's connection that was over already");
            }
            drop(place);
        });
    }
}

/// Why there is no peer, or no longer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// There is no `[webrtc]`.
    #[error("browsers are not connected here: there is no [webrtc] in the configuration")]
    Off,
    /// As many browsers as there are ports.
    #[error("as many browsers are connected as there are ports: [webrtc] ports")]
    Full,
    /// What was wrong with the offer.
    #[error("{0}")]
    Offer(String),
    /// The library or the system said why.
    #[error("the browser's connection could not be prepared: {0}")]
    Prepare(String),
    /// It has not come.
    #[error("the browser did not connect in time")]
    NotConnected,
    /// It came, and is gone.
    #[error("the browser's connection is lost")]
    Lost,
}

/// What the library tells of a connection.
struct Events {
    state: watch::Sender<RTCPeerConnectionState>,
    gathered: watch::Sender<bool>,
    tracks: mpsc::Sender<Arc<dyn TrackRemote>>,
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Events {
    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            self.gathered.send_replace(true);
        }
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        self.state.send_replace(state);
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        // Of an offer with one audio section there is one; what else comes is not heard.
        let _ = self.tracks.try_send(track);
    }
}

impl Peer {
    /// Answers an offer; `local` is where the browser's packets come to.
    pub(super) async fn answer(
        offer: Offer,
        terms: &Terms,
        local: SocketAddr,
        place: Place,
    ) -> Result<Self, PeerError> {
        let failed = |error: io::Error| PeerError::Prepare(error.to_string());
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        let (state, states) = watch::channel(RTCPeerConnectionState::New);
        let (gathered, is_gathered) = watch::channel(false);
        let (tracks, tracks_come) = mpsc::channel(1);
        let events = Events { state, gathered, tracks };
        let Offer { description, opus, speaks } = offer;
        let (track, ssrc) = track()?;
        let library = connection(local, terms.servers(), events).await;
        let library = library.map_err(|error| PeerError::Prepare(error.to_string()))?;
        let connection = Connection { library: Arc::clone(&library), place: Some(place) };
        let ours: Arc<dyn TrackLocal> = Arc::<TrackLocalStaticRTP>::clone(&track);
        // The library reads what strangers wrote: whatever breaks in it breaks this task alone.
        let answering = AbortOnDropHandle::new(tokio::spawn(async move {
            library.add_track(ours).await?;
            library.set_remote_description(description).await?;
            let answer = library.create_answer(None).await?;
            library.set_local_description(answer).await
        }));
        timeout(ANSWER_WITHIN, answering)
            .await
            .map_err(|_| PeerError::Prepare("it took too long".to_owned()))?
            .map_err(|_| PeerError::Offer("the offer broke its reader".to_owned()))?
            .map_err(|error| PeerError::Offer(format!("the offer cannot be answered: {error}")))?;
        let mut peer = Self {
            connection,
            speaks,
            answer: String::new(),
            state: states,
            tracks: tracks_come,
            line: Line { socket, track, ssrc, opus, pace: Pace::new(Instant::now()) },
            address,
        };
        let answer = peer.gathered(is_gathered).await;
        let answer = answer.ok_or_else(|| PeerError::Prepare("there is no answer".to_owned()))?;
        peer.answer = with_external(&answer, terms.settings.external_address);
        Ok(peer)
    }

    /// The answer with the addresses that were found in time.
    async fn gathered(&self, mut is_gathered: watch::Receiver<bool>) -> Option<String> {
        // Without a server that answers there are still the addresses of this machine.
        let _ = timeout(GATHER_WITHIN, is_gathered.wait_for(|done| *done)).await;
        self.connection.library.local_description().await.map(|description| description.sdp)
    }

    /// What the browser is answered.
    pub fn sdp(&self) -> &str {
        &self.answer
    }

    /// Whether the browser may send audio.
    pub fn speaks(&self) -> bool {
        self.speaks
    }

    /// Where what the browser is to hear goes, as plain RTP.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until the connection stands.
    ///
    /// # Errors
    /// When it does not in time.
    pub async fn connected(&mut self) -> Result<(), PeerError> {
        let decided = |state: &RTCPeerConnectionState| *state == RTCPeerConnectionState::Connected || is_over(*state);
        match timeout(CONNECT_WITHIN, self.state.wait_for(decided)).await {
            Ok(Ok(state)) if *state == RTCPeerConnectionState::Connected => Ok(()),
            _ => Err(PeerError::NotConnected),
        }
    }

    /// Packets of the browser that were not passed on, because they came faster than any audio does.
    pub fn dropped(&self) -> u64 {
        self.line.pace.dropped()
    }

    /// Passes packets until the connection is lost. Nothing is kept: a packet that finds no room is gone.
    pub async fn pass(&mut self, receiver: SocketAddr) -> PeerError {
        let mut datagram = [0; PACKET_BYTES_MAX];
        let mut speaking: Option<Arc<dyn TrackRemote>> = None;
        let Self { state, tracks, line, .. } = self;
        loop {
            tokio::select! {
                () = over(state) => return PeerError::Lost,
                Some(track) = tracks.recv(), if speaking.is_none() => speaking = Some(track),
                event = next(speaking.as_ref()) => match event {
                    Some(TrackRemoteEvent::OnRtpPacket(packet)) => line.hand_in(packet, receiver),
                    Some(_) => {}
                    None => speaking = None,
                },
                received = line.socket.recv_from(&mut datagram) => {
                    let Ok((length, from)) = received else { continue };
                    if from == receiver && line.hand_out(&datagram[..length]).await.is_err() {
                        return PeerError::Lost;
                    }
                }
            }
        }
    }
}

impl Line {
    /// What the browser says goes to the media port.
    fn hand_in(&mut self, packet: rtp::Packet, receiver: SocketAddr) {
        if !self.pace.lets_pass(Instant::now()) {
            return;
        }
        let rtp::Packet { header, payload } = packet;
        let header = rtp::header::Header {
            version: 2,
            marker: header.marker,
            payload_type: BROWSER_PAYLOAD_TYPE,
            sequence_number: header.sequence_number,
            timestamp: header.timestamp,
            ssrc: header.ssrc,
            ..Default::default()
        };
        if let Ok(octets) = (rtp::Packet { header, payload }).marshal() {
            // A full socket loses a packet as any network does.
            let _ = self.socket.try_send_to(&octets, receiver);
        }
    }

    /// What the browser is to hear goes to it.
    async fn hand_out(&self, datagram: &[u8]) -> Result<(), PeerError> {
        let is_rtp = datagram.get(1).is_some_and(|octet| octet & 0x7f == BROWSER_PAYLOAD_TYPE);
        let Ok(mut packet) = rtp::Packet::unmarshal(&mut Bytes::copy_from_slice(datagram)) else { return Ok(()) };
        if !is_rtp {
            return Ok(());
        }
        (packet.header.ssrc, packet.header.payload_type) = (self.ssrc, self.opus);
        self.track.write_rtp(packet).await.map_err(|_| PeerError::Lost)
    }
}

/// Waits until the connection is over.
async fn over(state: &mut watch::Receiver<RTCPeerConnectionState>) {
    // Without anybody who tells of it, it is over, too.
    let _ = state.wait_for(|state| is_over(*state)).await;
}

/// What comes next of a track; never anything without one.
async fn next(track: Option<&Arc<dyn TrackRemote>>) -> Option<TrackRemoteEvent> {
    match track {
        Some(track) => track.poll().await,
        None => std::future::pending().await,
    }
}

fn is_over(state: RTCPeerConnectionState) -> bool {
    matches!(state, RTCPeerConnectionState::Failed | RTCPeerConnectionState::Closed)
}

/// A connection for Opus alone, at one address.
async fn connection(
    local: SocketAddr,
    servers: Vec<super::IceServer>,
    events: Events,
) -> webrtc::error::Result<Arc<dyn PeerConnection>> {
    let mut codecs = MediaEngine::default();
    let parameters = RTCRtpCodecParameters { rtp_codec: opus(), payload_type: BROWSER_PAYLOAD_TYPE };
    codecs.register_codec(parameters, RtpCodecKind::Audio)?;
    let servers = servers.into_iter().map(Into::into).collect();
    let building = PeerConnectionBuilder::new()
        .with_configuration(RTCConfigurationBuilder::new().with_ice_servers(servers).build())
        .with_media_engine(codecs)
        .with_setting_engine(engine(local))
        .with_interceptor_registry(configure_rtcp_reports(Registry::new()))
        .with_handler(Arc::new(events))
        .with_udp_addrs(vec![local])
        .build();
    Ok(Arc::new(Box::pin(building).await?))
}

fn engine(local: SocketAddr) -> SettingEngine {
    SettingEngineBuilder::new()
        .with_ice_timeouts(Some(UNSURE_AFTER), Some(LOST_AFTER), Some(ASK_EVERY))
        .with_multicast_dns_mode(MulticastDnsMode::Disabled)
        .with_include_loopback_candidate(local.ip().is_loopback())
        .with_receive_mtu(PACKET_BYTES_MAX)
        .build()
}

/// What the browser hears, and the number of that stream.
fn track() -> Result<(Arc<TrackLocalStaticRTP>, u32), PeerError> {
    let mut octets = [0; 4];
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut octets)
        .map_err(|_| PeerError::Prepare("the system gives no random numbers".to_owned()))?;
    let ssrc = u32::from_be_bytes(octets);
    let coding = RTCRtpEncodingParameters {
        rtp_coding_parameters: RTCRtpCodingParameters { ssrc: Some(ssrc), ..Default::default() },
        codec: opus(),
        ..Default::default()
    };
    let (stream, name) = ("calmline".to_owned(), "call".to_owned());
    let track = MediaStreamTrack::new(stream, name.clone(), name, RtpCodecKind::Audio, vec![coding]);
    Ok((Arc::new(TrackLocalStaticRTP::new(track)), ssrc))
}

/// Opus with in-band redundancy (RFC 7587).
fn opus() -> RTCRtpCodec {
    RTCRtpCodec {
        mime_type: MIME_TYPE_OPUS.to_owned(),
        clock_rate: 48_000,
        channels: 2,
        sdp_fmtp_line: "minptime=10;useinbandfec=1".to_owned(),
        rtcp_feedback: Vec::new(),
    }
}
