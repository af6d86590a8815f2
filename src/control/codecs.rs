//! Which codecs a leg is offered or answered with, so that audio is relayed as it is wherever that can be.
//!
//! Numbers payload types; talks to nobody.

use media::Codec;
use media::sdp::Formats;

/// What a far end is offered on behalf of a caller.
///
/// The caller's codecs come first and keep their numbers, so that packets need no change; then what we can transcode
/// to. `wanted`, when it names any, says which codecs and in which order instead. Every clock rate gets its own
/// telephone-event (RFC 4733 §7.1.1).
pub(super) fn offer_for(caller: &Formats, wanted: &[Codec]) -> Formats {
    let rest = USUAL.into_iter().filter(|codec| caller.payload_type(*codec).is_none());
    let usual = || caller.codecs.iter().map(|(codec, _)| *codec).chain(rest).collect();
    let codecs: Vec<Codec> = if wanted.is_empty() { usual() } else { wanted.to_vec() };

    let theirs = caller.codecs.iter().map(|(_, number)| *number).chain(caller.events.iter().map(|(_, number)| *number));
    let mut numbers = Numbers { taken: theirs.collect() };
    let mut offered = Formats { comfort_noise: caller.comfort_noise, ..Formats::default() };
    for codec in codecs {
        let fixed = || codec.static_payload_type().filter(|number| !numbers.taken.contains(number));
        let number = caller.payload_type(codec).or_else(fixed);
        let number = number.unwrap_or_else(|| numbers.free(FIRST_DYNAMIC));
        numbers.taken.push(number);
        offered.codecs.push((codec, number));
        if offered.event_at(codec.clock_hz()).is_none() {
            let event = caller.event_at(codec.clock_hz()).unwrap_or_else(|| numbers.free(FIRST_EVENT));
            numbers.taken.push(event);
            offered.events.push((codec.clock_hz(), event));
        }
    }
    offered
}

/// The codecs to answer a caller with, best first, when the far end speaks `far`: the same, so that nothing is
/// transcoded, else the cheapest to transcode. Only what `caller` offered and `allowed` names; empty allows all.
pub(super) fn answers_for(caller: &Formats, allowed: &[Codec], far: Codec) -> Vec<Codec> {
    let mut codecs: Vec<Codec> = usable(caller, allowed).codecs.iter().map(|(codec, _)| *codec).collect();
    // What the far end cannot send is not worth asking the caller for.
    let wider = |codec: Codec| codec.audio_rate_hz() > far.audio_rate_hz();
    codecs.sort_by(|&a, &b| {
        let (first, then) = ((a != far, wider(a)), (b != far, wider(b)));
        first.cmp(&then).then(a.cost_with(far).total_cmp(&b.cost_with(far)))
    });
    codecs
}

/// The codec to answer an offer inside a dialog with: the one that the other side speaks, so that nothing is transcoded,
/// else the one in use, else the cheapest to transcode.
pub(super) fn answer_again(offered: &Formats, in_use: Option<Codec>, far: Option<Codec>) -> Option<Codec> {
    let stays = [far, in_use].into_iter().flatten().find(|codec| offered.payload_type(*codec).is_some());
    let best = || match far {
        Some(far) => answers_for(offered, &[], far).first().copied(),
        None => offered.codecs.first().map(|(codec, _)| *codec),
    };
    stays.or_else(best)
}

/// What of `offered` is `allowed`, in the order that `allowed` names when it names any.
pub(super) fn usable(offered: &Formats, allowed: &[Codec]) -> Formats {
    let mut formats = offered.clone();
    if !allowed.is_empty() {
        formats.codecs.retain(|(codec, _)| allowed.contains(codec));
        formats.codecs.sort_by_key(|(codec, _)| allowed.iter().position(|each| each == codec));
    }
    formats
}

/// The same with `codec` first.
pub(super) fn preferring(formats: &Formats, codec: Codec) -> Formats {
    let mut formats = formats.clone();
    formats.codecs.sort_by_key(|(each, _)| *each != codec);
    formats
}

/// The payload types of one description.
struct Numbers {
    taken: Vec<u8>,
}

impl Numbers {
    /// A dynamic number that is not taken, from `first` upwards.
    fn free(&self, first: u8) -> u8 {
        let dynamic = (first..=127).chain(FIRST_DYNAMIC..first);
        dynamic.into_iter().find(|number| !self.taken.contains(number)).unwrap_or(first)
    }
}

/// What is offered beside the caller's own codecs, when nobody says anything else.
const USUAL: [Codec; 4] = [Codec::Pcma, Codec::Pcmu, Codec::G722, Codec::Opus];
const FIRST_DYNAMIC: u8 = 96;
/// By custom the number of telephone-event.
const FIRST_EVENT: u8 = 101;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers() {
        use Codec::{G722, L16Wide, Opus, Pcma, Pcmu};
        let asterisk = formats(&[(Opus, 107), (Pcmu, 0), (Pcma, 8)], &[(8_000, 101), (48_000, 102)]);
        let plain = formats(&[(Pcmu, 0)], &[]);
        let odd = formats(&[(Opus, 101), (Pcmu, 96)], &[(8_000, 8)]);
        for (caller, wanted, codecs, events) in [
            (
                &asterisk,
                &[][..],
                &[(Opus, 107), (Pcmu, 0), (Pcma, 8), (G722, 9)][..],
                &[(48_000, 102), (8_000, 101)][..],
            ),
            (&asterisk, &[Pcma, Opus], &[(Pcma, 8), (Opus, 107)], &[(8_000, 101), (48_000, 102)]),
            (&plain, &[], &[(Pcmu, 0), (Pcma, 8), (G722, 9), (Opus, 96)], &[(8_000, 101), (48_000, 102)]),
            (&plain, &[L16Wide], &[(L16Wide, 96)], &[(16_000, 101)]),
            (&odd, &[Pcma, Opus, Pcmu], &[(Pcma, 97), (Opus, 101), (Pcmu, 96)], &[(8_000, 8), (48_000, 102)]),
        ] {
            let offered = offer_for(caller, wanted);
            assert_eq!(
                (offered.codecs.as_slice(), offered.events.as_slice()),
                (codecs, events),
                "{caller:?} {wanted:?}"
            );
        }
    }

    #[test]
    fn answers() {
        use Codec::{G722, L16Narrow, Opus, Pcma, Pcmu};
        let caller = formats(&[(Opus, 107), (G722, 9), (Pcmu, 0), (Pcma, 8)], &[]);
        for (allowed, far, expected) in [
            (&[][..], Opus, &[Opus, Pcmu, Pcma, G722][..]),
            (&[], Pcmu, &[Pcmu, Pcma, G722, Opus]),
            (&[Opus, G722], Pcmu, &[G722, Opus]),
            (&[Pcma], Opus, &[Pcma]),
            (&[], G722, &[G722, Pcmu, Pcma, Opus]),
        ] {
            assert_eq!(answers_for(&caller, allowed, far), expected, "{allowed:?} {far:?}");
        }
        let linear = formats(&[(Opus, 107), (G722, 9), (L16Narrow, 96), (Pcmu, 0)], &[]);
        assert_eq!(answers_for(&linear, &[], Pcma), [Pcmu, L16Narrow, G722, Opus]);
    }

    #[test]
    fn answers_inside_a_call() {
        use Codec::{G722, Opus, Pcma, Pcmu};
        let offered = formats(&[(Opus, 107), (G722, 9), (Pcma, 8)], &[]);
        for (in_use, far, expected) in [
            (Some(G722), Some(Pcma), Some(Pcma)),
            (Some(G722), Some(Pcmu), Some(G722)),
            (Some(Pcmu), Some(Pcmu), Some(Pcma)),
            (Some(Pcmu), None, Some(Opus)),
            (None, None, Some(Opus)),
        ] {
            assert_eq!(answer_again(&offered, in_use, far), expected, "{in_use:?} {far:?}");
        }
        assert_eq!(answer_again(&formats(&[], &[]), Some(Pcma), Some(Pcma)), None);
    }

    fn formats(codecs: &[(Codec, u8)], events: &[(u32, u8)]) -> Formats {
        Formats { codecs: codecs.to_vec(), events: events.to_vec(), comfort_noise: false }
    }
}
