//! Packets of one codec become mono samples at one rate; what is missing is rebuilt or concealed.

use std::fmt;

use audio_codec::Decoder as _;
use audio_codec::g722::G722Decoder;

use super::conceal::Concealer;
use super::resample::Resampler;
use super::{PACKET_MS_MAX, samples_in_ms};
use crate::g711::{self, Law};
use crate::{Codec, codec::CodecError};

/// The state of one direction of one leg.
pub struct Decoder {
    codec: Codec,
    rate_hz: u32,
    kind: Kind,
}

enum Kind {
    Waveform(Box<Waveform>),
    Opus(opus::Decoder),
}

/// A codec whose packets are decoded at its own rate, then concealed, then brought to the rate that is wanted.
struct Waveform {
    coding: Coding,
    concealer: Concealer,
    resampler: Option<Resampler>,
    /// Samples at the codec's own rate, when that is not the one wanted.
    scratch: Vec<i16>,
}

enum Coding {
    Law(Law),
    G722(Box<G722Decoder>),
    Linear,
}

impl Decoder {
    /// A decoder whose samples come out at `rate_hz`: 8,000 or 16,000.
    ///
    /// # Errors
    /// At another rate, or when the codec's library gives no decoder.
    pub fn new(codec: Codec, rate_hz: u32) -> Result<Self, CodecError> {
        let unsupported = CodecError::Unsupported { codec, rate_hz };
        if !super::RATES_HZ.contains(&rate_hz) {
            return Err(unsupported);
        }
        let coding = match codec {
            // A stereo packet comes out as one channel too.
            Codec::Opus => {
                let decoder = opus::Decoder::new(rate_hz, opus::Channels::Mono).map_err(|_| unsupported)?;
                return Ok(Self { codec, rate_hz, kind: Kind::Opus(decoder) });
            }
            Codec::Pcmu => Coding::Law(Law::Mu),
            Codec::Pcma => Coding::Law(Law::A),
            Codec::G722 => Coding::G722(Box::default()),
            Codec::L16Narrow | Codec::L16Wide => Coding::Linear,
        };
        let own_hz = codec.audio_rate_hz();
        let waveform = Waveform {
            coding,
            concealer: Concealer::new(own_hz),
            resampler: Resampler::new(own_hz, rate_hz),
            scratch: Vec::with_capacity(samples_in_ms(own_hz, PACKET_MS_MAX)),
        };
        Ok(Self { codec, rate_hz, kind: Kind::Waveform(Box::new(waveform)) })
    }

    /// Samples that a payload holds, at the rate of this decoder, without decoding it; `None` when it is malformed.
    pub fn samples_in(&self, payload: &[u8]) -> Option<usize> {
        match &self.kind {
            Kind::Opus(_) if payload.is_empty() => None,
            Kind::Opus(decoder) => decoder.get_nb_samples(payload).ok(),
            Kind::Waveform(waveform) => {
                let own = waveform.coding.samples_in(payload)?;
                let fits = (1..=samples_in_ms(self.codec.audio_rate_hz(), PACKET_MS_MAX)).contains(&own);
                fits.then(|| waveform.resampler.as_ref().map_or(own, |resampler| resampler.count_out(own)))
            }
        }
    }

    /// Appends the samples of one packet's payload; returns how many.
    ///
    /// # Errors
    /// When the payload is none of this codec's; nothing is appended then.
    pub fn decode(&mut self, payload: &[u8], samples: &mut Vec<i16>) -> Result<usize, CodecError> {
        let malformed = CodecError::Payload { codec: self.codec, octets: payload.len() };
        let count = self.samples_in(payload).ok_or(malformed)?;
        let from = samples.len();
        match &mut self.kind {
            Kind::Opus(decoder) => {
                samples.resize(from + count, 0);
                if !matches!(decoder.decode(payload, &mut samples[from..], false), Ok(got) if got == count) {
                    samples.truncate(from);
                    return Err(malformed);
                }
            }
            Kind::Waveform(waveform) => waveform.decode(payload, samples),
        }
        Ok(samples.len() - from)
    }

    /// Appends `count` samples in place of a lost packet, from what the packet after it still tells of it
    /// (Opus in-band FEC); conceals when it tells nothing.
    pub fn recover(&mut self, next_payload: &[u8], count: usize, samples: &mut Vec<i16>) {
        let step = samples_in_ms(self.rate_hz, 5) / 2;
        if let Kind::Opus(decoder) = &mut self.kind
            && !next_payload.is_empty()
            && (1..=samples_in_ms(self.rate_hz, OPUS_MS_MAX)).contains(&count)
            && count.is_multiple_of(step)
        {
            let from = samples.len();
            samples.resize(from + count, 0);
            if matches!(decoder.decode(next_payload, &mut samples[from..], true), Ok(got) if got == count) {
                return;
            }
            samples.truncate(from);
        }
        self.conceal(count, samples);
    }

    /// Appends `count` samples in place of something that is missing.
    pub fn conceal(&mut self, count: usize, samples: &mut Vec<i16>) {
        match &mut self.kind {
            Kind::Opus(decoder) => conceal_opus(decoder, self.rate_hz, count, samples),
            Kind::Waveform(waveform) => waveform.conceal(count, samples),
        }
    }
}

impl fmt::Debug for Decoder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = formatter.debug_struct("Decoder");
        fields.field("codec", &self.codec).field("rate_hz", &self.rate_hz).finish_non_exhaustive()
    }
}

/// The most that libopus makes in one go (RFC 6716 §3.2.5).
const OPUS_MS_MAX: u32 = 120;

fn conceal_opus(decoder: &mut opus::Decoder, rate_hz: u32, count: usize, samples: &mut Vec<i16>) {
    // libopus conceals in steps of 2.5 ms; what is over is cut off.
    let step = samples_in_ms(rate_hz, 5) / 2;
    let end = samples.len() + count;
    while samples.len() < end {
        let from = samples.len();
        let wanted = (end - from).min(samples_in_ms(rate_hz, OPUS_MS_MAX)).next_multiple_of(step);
        samples.resize(from + wanted, 0);
        // A decoder that has heard nothing yet, or that fails, leaves silence.
        if decoder.decode(&[], &mut samples[from..], false).is_err() {
            samples[from..].fill(0);
        }
    }
    samples.truncate(end);
}

impl Waveform {
    fn decode(&mut self, payload: &[u8], samples: &mut Vec<i16>) {
        let Some(resampler) = &mut self.resampler else {
            let from = samples.len();
            self.coding.decode(payload, samples);
            self.concealer.good(&mut samples[from..]);
            return;
        };
        self.scratch.clear();
        self.coding.decode(payload, &mut self.scratch);
        self.concealer.good(&mut self.scratch);
        resampler.process(&self.scratch, samples);
    }

    fn conceal(&mut self, count: usize, samples: &mut Vec<i16>) {
        let end = samples.len() + count;
        let Some(resampler) = &mut self.resampler else {
            let from = samples.len();
            samples.resize(end, 0);
            self.concealer.lost(&mut samples[from..]);
            return;
        };
        while samples.len() < end {
            let left = end - samples.len();
            let own = if resampler.count_out(2) == 1 { 2 * left } else { left.div_ceil(2) };
            self.scratch.clear();
            self.scratch.resize(own.min(self.scratch.capacity() & !1), 0);
            self.concealer.lost(&mut self.scratch);
            resampler.process(&self.scratch, samples);
        }
        samples.truncate(end);
    }
}

impl Coding {
    fn samples_in(&self, payload: &[u8]) -> Option<usize> {
        match self {
            Coding::Law(_) => Some(payload.len()),
            // Each octet of the 64 kbit/s mode holds two samples of 16 kHz.
            Coding::G722(_) => Some(2 * payload.len()),
            Coding::Linear => payload.len().is_multiple_of(2).then_some(payload.len() / 2),
        }
    }

    fn decode(&mut self, payload: &[u8], samples: &mut Vec<i16>) {
        match self {
            Coding::Law(law) => g711::decode(*law, payload, samples),
            Coding::G722(decoder) => {
                let from = samples.len();
                samples.resize(from + 2 * payload.len(), 0);
                let written = decoder.decode_into(payload, &mut samples[from..]).unwrap_or(0);
                samples[from + written..].fill(0);
            }
            Coding::Linear => {
                let pairs = payload.as_chunks::<2>().0;
                samples.extend(pairs.iter().map(|pair| i16::from_be_bytes(*pair)));
            }
        }
    }
}
