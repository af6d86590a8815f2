//! Stamped packets from telephone to telephone without a server: what the machine and this process add by themselves.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use media::Codec;

use super::{NOTHING, settings};
use crate::audio::Audio;
use crate::driver::{Phones, StreamsHandle};
use crate::latency::Latencies;
use crate::stream::StreamPlan;

/// Pairs of streams that speak to each other.
pub(super) struct Direct([StreamsHandle; 2]);

impl Direct {
    /// Both of every pair begin to speak.
    pub(super) fn begin(phones: &Phones, pairs: usize, codec: Codec) -> io::Result<Self> {
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let streams = || phones.streams(address, pairs, Audio::Stamped, NOTHING, StreamPlan::default());
        let (one, other) = (streams()?, streams()?);
        for (a, b) in one.ports.iter().zip(&other.ports) {
            one.configure(*a, settings(SocketAddr::new(address, *b), codec))?;
            other.configure(*b, settings(SocketAddr::new(address, *a), codec))?;
        }
        Ok(Direct([one, other]))
    }

    /// The one-way times since this was asked last.
    pub(super) fn take(&self) -> Latencies {
        let [one, other] = &self.0;
        let mut all = one.take_latencies();
        all.merge(&other.take_latencies());
        all
    }

    /// Ends the speaking; the times since they were asked for last.
    pub(super) fn end(&self) -> io::Result<Latencies> {
        self.0.iter().try_for_each(StreamsHandle::stop)?;
        Ok(self.take())
    }
}
