//! What a call sounds like, from figures: the E-model (ITU-T G.107, 06/2015) with codec values after G.113.
//!
//! An estimate on the narrow-band scale, never a measurement of the audio: wide-band codecs are not credited for their
//! band, so that figures of different legs can be compared.

use crate::Codec;

/// What a leg sounds like and why; `None` where nothing is known.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct LegQuality {
    /// To the far end and back, by its reports, ms.
    pub rtt_ms: Option<f32>,
    /// Lost on the way to us, 0-1, over the whole call.
    pub loss_received: Option<f32>,
    /// Lost on the way to them, 0-1, over the whole call, as they report it.
    pub loss_reported: Option<f32>,
    /// Came too late for us to use, 0-1, over the whole call.
    pub discarded: Option<f32>,
    /// Came too late for them, 0-1, as they report it (RFC 3611 §4.7.1).
    pub discarded_reported: Option<f32>,
    /// Mean run of losses against that of random loss.
    pub burst_ratio: Option<f32>,
    /// Interarrival jitter of what we receive, ms.
    pub jitter_received_ms: Option<f32>,
    /// Interarrival jitter of what they receive, ms, as they report it.
    pub jitter_reported_ms: Option<f32>,
    /// From mouth to ear on this leg, ms: half the round trip and both jitter buffers.
    pub delay_ms: Option<f32>,
    /// Transmission rating of what we receive, 0-100; delay counts once it is known.
    pub r_factor: Option<f32>,
    /// Mean opinion of one who only listens to what we receive, 1-4.5.
    pub mos_listening: Option<f32>,
    /// Mean opinion of one who converses, 1-4.5; known once the round trip is.
    pub mos_conversational: Option<f32>,
    /// Mean opinion at the far end, 1-4.5: of its own telling, else by its loss reports.
    pub mos_reported: Option<f32>,
}

/// What befalls speech on its way.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Path {
    /// Lost or discarded packets, 0-1.
    pub loss: f32,
    /// Mean run of losses against that of random loss; 1 is random.
    pub burst_ratio: f32,
    /// One way from mouth to ear, ms.
    pub delay_ms: f32,
}

/// How a codec sounds and how it bears loss (G.113).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Robustness {
    /// Equipment impairment without loss, `Ie`.
    pub impairment: f32,
    /// Packet-loss robustness, `Bpl`.
    pub loss_robustness: f32,
}

impl Robustness {
    /// The values for a codec with concealment.
    ///
    /// G.711 from G.113 Appendix I (concealment of G.711 Appendix I). G.722 and Opus have no narrow-band values there:
    /// unimpaired speech is rated as with G.711. G.722's concealment (its Appendices III and IV) and linear samples are
    /// taken as G.711's. Opus is taken as G.711 too, though its in-band redundancy may do better: a careful guess.
    pub const fn of(codec: Codec) -> Self {
        match codec {
            Codec::Pcmu | Codec::Pcma | Codec::L16Narrow | Codec::L16Wide | Codec::G722 | Codec::Opus => {
                Self { impairment: 0.0, loss_robustness: 25.1 }
            }
        }
    }
}

/// The transmission rating R, 0-100, of a path with default telephones (G.107 §7).
pub fn rating(codec: Robustness, path: Path) -> f32 {
    let line = Line::new(f64::from(path.delay_ms.max(0.0)));
    let r = line.signal() - line.simultaneous() - line.delay() - f64::from(equipment(codec, path));
    r.clamp(0.0, 100.0) as f32
}

/// The rating of one who only listens: delay does not count.
pub fn rating_listening(codec: Robustness, path: Path) -> f32 {
    rating(codec, Path { delay_ms: 0.0, ..path })
}

/// The mean opinion score, 1-4.5, that belongs to a rating (G.107 Annex B).
pub fn mean_opinion(rating: f32) -> f32 {
    let r = rating.clamp(0.0, 100.0);
    // The cubic dips below one for the lowest ratings.
    (1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6).clamp(1.0, 4.5)
}

/// Impairment by the codec and by loss, `Ie-eff` (G.107 §7.5).
fn equipment(codec: Robustness, path: Path) -> f32 {
    let loss_percent = 100.0 * path.loss.clamp(0.0, 1.0);
    let weight = loss_percent / path.burst_ratio.max(1.0) + codec.loss_robustness;
    codec.impairment + (95.0 - codec.impairment) * loss_percent / weight
}

/// Levels of a connection between default telephones (G.107 Table 2), dB or dBm.
const SEND_LOUDNESS: f64 = 8.0;
const RECEIVE_LOUDNESS: f64 = 2.0;
const SIDETONE_MASKING: f64 = 15.0;
const LISTENER_SIDETONE: f64 = 18.0;
const TALKER_ECHO_LOUDNESS: f64 = 65.0;
const WEIGHTED_ECHO_LOSS: f64 = 110.0;
const CIRCUIT_NOISE: f64 = -70.0;
const NOISE_FLOOR: f64 = -64.0;
const ROOM_NOISE: f64 = 35.0;
const DEVICE_FACTOR: f64 = 3.0;
/// Quantizing distortion units.
const QUANTIZING_UNITS: f64 = 1.0;

/// A default connection of a certain length; names of quantities as in G.107 §7.
struct Line {
    /// Absolute delay Ta, ms; the echo path's delay T is the same and its round trip Tr twice that.
    delay_ms: f64,
    /// No, dBm0p: all noise at the 0 dBr point.
    noise: f64,
}

impl Line {
    fn new(delay_ms: f64) -> Self {
        let overall_loudness = SEND_LOUDNESS + RECEIVE_LOUDNESS;
        let sent_room = ROOM_NOISE - SEND_LOUDNESS - DEVICE_FACTOR - 100.0
            + 0.004 * (ROOM_NOISE - overall_loudness - DEVICE_FACTOR - 14.0).powi(2);
        let heard_room = ROOM_NOISE + 10.0 * (1.0 + 10_f64.powf((10.0 - LISTENER_SIDETONE) / 10.0)).log10();
        let received_room = RECEIVE_LOUDNESS - 121.0 + heard_room + 0.008 * (heard_room - 35.0).powi(2);
        let floor = NOISE_FLOOR + RECEIVE_LOUDNESS;
        let powers = [CIRCUIT_NOISE, sent_room, received_room, floor].map(|level| 10_f64.powf(level / 10.0));
        Self { delay_ms, noise: 10.0 * powers.iter().sum::<f64>().log10() }
    }

    /// Ro: the signal against all noise.
    fn signal(&self) -> f64 {
        15.0 - 1.5 * (SEND_LOUDNESS + self.noise)
    }

    /// Is: what comes together with the speech: loudness, sidetone, quantizing.
    fn simultaneous(&self) -> f64 {
        let loudness = SEND_LOUDNESS + RECEIVE_LOUDNESS + 0.2 * (64.0 + self.noise - RECEIVE_LOUDNESS);
        let too_loud = 20.0 * (soft(loudness / 8.0, 8) - loudness / 8.0);

        let echo = (-self.delay_ms / 4.0).exp() * 10_f64.powf(-TALKER_ECHO_LOUDNESS / 10.0);
        let sidetone = -10.0 * (10_f64.powf(-SIDETONE_MASKING / 10.0) + echo).log10();
        let sidetones = 12.0 * soft((sidetone - 13.0) / 6.0, 8)
            - 28.0 * soft((sidetone + 1.0) / 19.4, 35)
            - 13.0 * soft((sidetone - 3.0) / 33.0, 13)
            + 29.0;

        let distance = 37.0 - 15.0 * QUANTIZING_UNITS.log10();
        let ratio = 1.07 + 0.258 * distance + 0.0602 * distance.powi(2);
        let by_signal = (self.signal() - 100.0) / 15.0 + 46.0 / 8.4 - ratio / 9.0;
        let by_ratio = 46.0 / 30.0 - ratio / 40.0;
        let quantizing = 15.0 * (1.0 + 10_f64.powf(by_signal) + 10_f64.powf(by_ratio)).log10();

        too_loud + sidetones + quantizing
    }

    /// Id: what delay does: the talker's echo, the listener's echo, slow replies.
    fn delay(&self) -> f64 {
        self.talker_echo() + self.listener_echo() + slow_reply(self.delay_ms)
    }

    fn talker_echo(&self) -> f64 {
        let t = self.delay_ms;
        let loudness = TALKER_ECHO_LOUDNESS - 40.0 * ((1.0 + t / 10.0) / (1.0 + t / 150.0)).log10()
            + 6.0 * (-0.3 * t.powi(2)).exp();
        let echo_rating = 80.0 + 2.5 * (loudness - 14.0);
        let noise_rating = -1.5 * (self.noise - RECEIVE_LOUDNESS);
        let half = (noise_rating - echo_rating) / 2.0;
        (half + (half.powi(2) + 100.0).sqrt() - 1.0) * (1.0 - (-t).exp())
    }

    fn listener_echo(&self) -> f64 {
        let round_trip_ms = 2.0 * self.delay_ms;
        let echo_rating = 10.5 * (WEIGHTED_ECHO_LOSS + 7.0) * (round_trip_ms + 1.0).powf(-0.25);
        let half = (self.signal() - echo_rating) / 2.0;
        half + (half.powi(2) + 169.0).sqrt()
    }
}

/// Idd: replies come too late even without echo, above 100 ms.
fn slow_reply(delay_ms: f64) -> f64 {
    if delay_ms <= 100.0 {
        return 0.0;
    }
    let doublings = (delay_ms / 100.0).log2();
    25.0 * (soft(doublings, 6) - 3.0 * soft(doublings / 3.0, 6) + 2.0)
}

/// `(1 + x^n)^(1/n)`: about one for small x, about x for large ones.
fn soft(x: f64, power: i32) -> f64 {
    (1.0 + x.powi(power)).powf(1.0 / f64::from(power))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const G711: Robustness = Robustness::of(Codec::Pcma);
    /// G.711 without concealment, and G.729A with voice activity detection (G.113 Appendix I).
    const G711_PLAIN: Robustness = Robustness { impairment: 0.0, loss_robustness: 4.3 };
    const G729A: Robustness = Robustness { impairment: 11.0, loss_robustness: 19.0 };

    #[test]
    fn the_default_connection_is_rated_93_2() {
        let rating = rating(G711, Path { loss: 0.0, burst_ratio: 1.0, delay_ms: 0.0 });
        assert!((rating - 93.2).abs() < 0.05, "{rating}");
        assert!((mean_opinion(rating) - 4.41).abs() < 0.005);
    }

    #[test]
    fn opinions_by_rating() {
        // G.107 Table B.1 and the ends of the scale.
        for (rating, opinion) in
            [(0.0, 1.0), (50.0, 2.58), (60.0, 3.1), (70.0, 3.6), (80.0, 4.03), (90.0, 4.34), (100.0, 4.5)]
        {
            assert!((mean_opinion(rating) - opinion).abs() < 0.01, "{rating}: {}", mean_opinion(rating));
        }
    }

    #[test]
    fn loss_impairs_as_published() {
        // The formula of G.107 §7.5 with the values of G.113, per cent and impairment.
        check_loss(G711, 1.0, &[(0.0, 0.0), (1.0, 3.6), (2.0, 7.0), (5.0, 15.8), (10.0, 27.1)]);
        check_loss(G711_PLAIN, 1.0, &[(1.0, 17.9), (2.0, 30.2), (5.0, 51.1)]);
        check_loss(G729A, 1.0, &[(0.0, 11.0), (2.0, 19.0), (5.0, 28.5)]);
        check_loss(G711, 2.0, &[(2.0, 7.28), (10.0, 31.6)]);
    }

    #[test]
    fn delay_impairs_as_known() {
        // Against the usual straight lines for the E-model's defaults, 0.024 d + 0.11 (d - 177.3) above 177.3 ms
        // (Cole and Rosenbluth, 2001), which are good to some points.
        for delay_ms in [50.0_f32, 100.0, 150.0, 200.0, 250.0, 300.0, 400.0] {
            let lines = 0.024 * delay_ms + 0.11 * (delay_ms - 177.3).max(0.0);
            let got = 93.2 - rating(G711, Path { loss: 0.0, burst_ratio: 1.0, delay_ms });
            assert!((got - lines).abs() < 3.5, "{delay_ms} ms: {got}, lines {lines}");
        }
    }

    #[test]
    fn a_clear_call_at_150_ms_satisfies() {
        let rating = rating(G711, Path { loss: 0.0, burst_ratio: 1.0, delay_ms: 150.0 });
        // G.109: 80 to 90 satisfies users; G.114: most applications are fine up to 150 ms.
        assert!((88.0..91.0).contains(&rating), "{rating}");
    }

    #[test]
    fn listening_ignores_delay() {
        let path = Path { loss: 0.01, burst_ratio: 1.0, delay_ms: 400.0 };
        assert!(rating(G711, path) < rating_listening(G711, path) - 20.0);
    }

    proptest! {
        #[test]
        fn worse_is_never_rated_better(loss in 0.0_f32..1.0, more in 0.0_f32..0.2, delay_ms in 0.0_f32..2_000.0, later in 0.0_f32..500.0, burst_ratio in 0.5_f32..50.0) {
            let path = Path { loss, burst_ratio, delay_ms };
            let before = rating(G711, path);
            prop_assert!((0.0..=100.0).contains(&before));
            prop_assert!((1.0..=4.5).contains(&mean_opinion(before)));
            let lossier = Path { loss: loss + more, ..path };
            prop_assert!(rating(G711, lossier) <= before + 0.001);
            let slower = Path { delay_ms: delay_ms + later, ..path };
            prop_assert!(rating(G711, slower) <= before + 0.05);
        }
    }

    #[track_caller]
    fn check_loss(codec: Robustness, burst_ratio: f32, table: &[(f32, f32)]) {
        for &(percent, impairment) in table {
            let got = equipment(codec, Path { loss: percent / 100.0, burst_ratio, delay_ms: 0.0 });
            assert!((got - impairment).abs() < 0.06, "{percent} %: {got}");
        }
    }
}
