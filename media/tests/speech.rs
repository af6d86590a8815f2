//! How people sound through codecs and losses, by PESQ (ITU-T P.862) of recordings in the shared folder, as the tables
//! of `docs/AUDIO.md`. Says "skipped" where the folder is absent.
#![expect(clippy::disallowed_methods, reason = "these tests read files")]
#![expect(clippy::print_stdout, reason = "the tables are what this is run for")]

use std::path::{Path, PathBuf};

use media::Codec;
use media::codec::{Decoder, Encoder, OpusSettings};
use media::ogg;

const RATE_HZ: usize = 8_000;
/// 20 ms.
const PACKET: usize = RATE_HZ / 50;
/// Clips that are measured of each language.
const CLIPS: usize = 5;
/// The least that is asked of a clip, and the most that is taken of it.
const CLIP_SAMPLES: std::ops::Range<usize> = 3 * RATE_HZ..8 * RATE_HZ;

/// What stands in for a lost packet.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Instead {
    Silence,
    Concealed,
    Recovered,
}

#[test]
fn people_through_every_pair_of_codecs() {
    let Some(clips) = people() else { return };
    let header: Vec<&str> = Codec::ALL.map(label).to_vec();
    println!("\n| from \\ to | {} |\n|---|{}", header.join(" | "), "---|".repeat(Codec::ALL.len()));
    for from in Codec::ALL {
        let scores = Codec::ALL.map(|to| {
            mean(&clips, |clip| {
                let first = through(from, clip, &[], Instead::Concealed);
                // The same codec is relayed, and decoded once.
                if from == to { first } else { through(to, &first, &[], Instead::Concealed) }
            })
        });
        println!("| {} | {} |", label(from), scores.map(|score| format!("{score:.2}")).join(" | "));
        for (to, score) in Codec::ALL.iter().zip(scores) {
            let least = if from == Codec::Opus || *to == Codec::Opus { 3.2 } else { 3.6 };
            assert!(score > least, "{from:?} to {to:?}: {score:.2}");
        }
    }
}

#[test]
fn people_through_losses() {
    let Some(clips) = people() else { return };
    println!(
        "\n| lost | in runs of | PCMA silence | PCMA concealed | G722 concealed | Opus concealed | Opus recovered |"
    );
    println!("|---|---|---|---|---|---|---|");
    for (percent, burst) in [(1, 1), (3, 1), (5, 1), (10, 1), (20, 1), (5, 3), (10, 3)] {
        let score = |codec: Codec, instead: Instead| {
            mean(&clips, |clip| {
                let lost = pattern(clip.len() / PACKET, percent, burst, clip.len() as u64);
                through(codec, clip, &lost, instead)
            })
        };
        let silent = score(Codec::Pcma, Instead::Silence);
        let [pcma, g722, opus] = [Codec::Pcma, Codec::G722, Codec::Opus].map(|codec| score(codec, Instead::Concealed));
        let recovered = score(Codec::Opus, Instead::Recovered);
        println!("| {percent} % | {burst} | {silent:.2} | {pcma:.2} | {g722:.2} | {opus:.2} | {recovered:.2} |");
        assert!(
            pcma > silent + 0.02 * percent as f32,
            "{percent} % by {burst}: silence {silent:.2}, concealed {pcma:.2}"
        );
        assert!(recovered > opus - 0.05, "{percent} % by {burst}: concealed {opus:.2}, recovered {recovered:.2}");
    }
}

/// The mean PESQ of clips against what becomes of them.
fn mean(clips: &[Vec<i16>], heard: impl Fn(&[i16]) -> Vec<i16>) -> f32 {
    let score = |clip: &Vec<i16>| {
        let heard = heard(clip);
        let shorter = clip.len().min(heard.len());
        pesq::pesq_8k(&clip[..shorter], &heard[..shorter]).expect("seconds of speech")
    };
    clips.iter().map(score).sum::<f32>() / clips.len() as f32
}

/// A clip through an encoder, a network that loses these packets, and a decoder.
fn through(codec: Codec, clip: &[i16], lost: &[bool], instead: Instead) -> Vec<i16> {
    let settings = OpusSettings { fec: instead == Instead::Recovered, ..OpusSettings::default() };
    let mut encoder = Encoder::new(codec, RATE_HZ as u32, settings).expect("every codec");
    let mut decoder = Decoder::new(codec, RATE_HZ as u32).expect("every codec");
    let packet = |samples: &[i16]| {
        let mut payload = Vec::new();
        encoder.encode(samples, &mut payload).map(|()| payload).expect("20 ms")
    };
    let packets: Vec<Vec<u8>> = clip.chunks_exact(PACKET).map(packet).collect();
    let is_lost = |at: usize| lost.get(at).copied().unwrap_or(false);
    let mut heard = Vec::new();
    for (at, payload) in packets.iter().enumerate() {
        match (is_lost(at), instead) {
            (false, _) => _ = decoder.decode(payload, &mut heard).expect("our own packet"),
            (true, Instead::Silence) => heard.resize(heard.len() + PACKET, 0),
            (true, Instead::Recovered) if at + 1 < packets.len() && !is_lost(at + 1) => {
                decoder.recover(&packets[at + 1], PACKET, &mut heard);
            }
            (true, _) => decoder.conceal(PACKET, &mut heard),
        }
    }
    heard
}

/// Which of `count` packets are lost: about `percent` of them, in runs of `burst`.
fn pattern(count: usize, percent: u64, burst: usize, seed: u64) -> Vec<bool> {
    let mut random = media::network::Random::new(seed);
    let mut lost = Vec::with_capacity(count + burst);
    while lost.len() < count {
        let begins = random.below(10_000) * (burst as u64) < percent * 100;
        lost.extend(std::iter::repeat_n(begins, if begins { burst } else { 1 }));
    }
    lost
}

/// Mandarin read aloud, and English service calls, at 8 kHz; `None`, said aloud, when they are not at hand.
fn people() -> Option<Vec<Vec<i16>>> {
    let (mandarin, english) = (shared("aishell_sample")?, shared("calls_8k")?);
    let read = |path: &Path| match path.extension()?.to_str()? {
        "opus" => Some(ogg::read(&std::fs::read(path).ok()?).ok()?.to_sound().samples),
        "flac" => flac(path),
        _ => None,
    };
    let mut clips = Vec::new();
    for folder in [mandarin, english] {
        let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        let long_enough = paths.iter().filter_map(|path| read(path)).filter(|clip| clip.len() >= CLIP_SAMPLES.start);
        clips.extend(long_enough.take(CLIPS).map(|clip| clip[..clip.len().min(CLIP_SAMPLES.end)].to_vec()));
    }
    println!("{} clips of people", clips.len());
    assert!(!clips.is_empty(), "no clip can be read");
    Some(clips)
}

/// A FLAC file of 8 kHz; its first channel.
fn flac(path: &Path) -> Option<Vec<i16>> {
    let mut reader = claxon::FlacReader::open(path).ok()?;
    let info = reader.streaminfo();
    let fits = info.sample_rate == RATE_HZ as u32 && info.bits_per_sample == 16;
    let samples = reader.samples().step_by(info.channels as usize).map_while(Result::ok);
    fits.then(|| samples.map(|sample| sample as i16).collect())
}

fn label(codec: Codec) -> &'static str {
    match codec {
        Codec::L16Narrow => "L16/8000",
        Codec::L16Wide => "L16/16000",
        other => other.name(),
    }
}

/// A folder of the shared data.
fn shared(name: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let folder = std::env::var_os("CALMLINE_SHARED").map_or(beside, PathBuf::from);
    let path = folder.join("data").join(name);
    if !path.exists() {
        println!("skipped: no shared data {name}");
        return None;
    }
    Some(path)
}
