//! What call control knows for whoever captures calls: which legs a call has now, and to which call a leg belongs.

use std::net::SocketAddr;

use media::LegId;

use super::Control;
use super::call::{Call, Stage};
use super::leg::{Leg, Stream};
use super::reroute::Reroute;

/// What of a call may be captured.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capturable {
    /// The legs of the caller and of whoever is or may soon be connected to the caller, with our RTP address on each as the
    /// far end knows it.
    pub legs: Vec<(LegId, SocketAddr)>,
    /// Whether what is said may be kept: nobody captures audio to which the caller has not agreed.
    pub keeps_words: bool,
}

impl Control {
    /// What of a call may be captured; no legs once it is over, or when there is none of that id.
    pub fn capturable(&self, id: &str) -> Capturable {
        let call = self.key_of(id).and_then(|key| self.calls.get(&key)).filter(|call| call.is_up());
        let Some(call) = call else { return Capturable::default() };
        let open = call.parties().filter(|leg| leg.stream == Stream::Open);
        let legs = open.map(|leg| (leg.id, SocketAddr::new(leg.local.address, leg.local.port))).collect();
        Capturable { legs, keeps_words: call.consent.keeps_words() }
    }

    /// The id of the call that a leg belongs to, while both are known.
    pub fn id_of(&self, leg: LegId) -> Option<&str> {
        self.calls.get(&self.call_of(leg)?).map(|call| call.id.as_str())
    }
}

impl Call {
    /// Caller, callee, and whom the caller is being moved to.
    fn parties(&self) -> impl Iterator<Item = &Leg> {
        let next = match &self.stage {
            Stage::Talking(talking) => talking.reroute.as_ref().and_then(Reroute::leg),
            Stage::Seeking(_) | Stage::Finished(_) => None,
        };
        [Some(&self.caller), self.far.as_ref(), next].into_iter().flatten()
    }
}
