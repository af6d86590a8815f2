//! Between the media threads and the thread that shakes hands: datagrams go one way and the other, keys go to the media
//! threads, and call control is told how it ended.

use media::sdp::Fingerprint;
use media::srtp::Suite;
use media::{Channel, Command, LegId};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tracing::{info, warn};

use crate::cli::Failure;
use crate::control::{HandshakeFailure, Input};
use crate::shell::clock::Clock;
use crate::shell::dtls::Certificate;
use crate::shell::dtls::worker::{HANDSHAKES_MAX, Handshakes, Outcome};
use crate::shell::media::MediaHandle;

/// Outcomes that may wait for call control: two rounds of all handshakes that are carried at a time.
const OUTCOMES_MAX: usize = 2 * HANDSHAKES_MAX;

/// Makes a certificate and starts the thread that shakes hands; what comes of it for call control comes out of the
/// channel.
///
/// # Errors
/// When the system gives no randomness or no thread.
pub(super) fn start(clock: Clock, media: MediaHandle) -> Result<(Fingerprint, Handshakes, Receiver<Input>), Failure> {
    let certificate = Certificate::generate().map_err(|error| Failure::of("making a certificate", error))?;
    let fingerprint = certificate.fingerprint().clone();
    info!(%fingerprint, "DTLS certificate");
    let (outcomes, inlet) = mpsc::channel(OUTCOMES_MAX);
    let handshakes = Handshakes::start(certificate, clock, move |outcome| pass_on(outcome, &media, &outcomes))
        .map_err(|error| Failure::of("starting the thread of handshakes", error))?;
    Ok((fingerprint, handshakes, inlet))
}

fn pass_on(outcome: Outcome, media: &MediaHandle, outcomes: &Sender<Input>) {
    match outcome {
        Outcome::Send { leg, channel, datagram } => {
            // What is not taken is lost like any datagram, and said again.
            let _ = media.send(Command::Send { leg, channel, datagram });
        }
        Outcome::Keys { leg, channel, keys } => {
            let suite = keys.send.suite();
            let given = media.send(Command::Key { leg, channel, keys });
            tell(leg, channel, given.map(|()| suite).map_err(|_| HandshakeFailure::Busy), outcomes);
        }
        Outcome::Failed { leg, channel, failure } => tell(leg, channel, Err(failure), outcomes),
    }
}

fn tell(leg: LegId, channel: Channel, outcome: Result<Suite, HandshakeFailure>, outcomes: &Sender<Input>) {
    match (channel, outcome) {
        (Channel::Media, outcome) => {
            if outcomes.try_send(Input::Shaken { leg, outcome }).is_err() {
                warn!(?leg, "call control was not told how a handshake ended");
            }
        }
        // A call needs no reports.
        (Channel::Control, Err(failure)) => warn!(?leg, %failure, "control packets of a leg have no keys"),
        (Channel::Control, Ok(_)) => {}
    }
}
