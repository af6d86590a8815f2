//! How much of two lines of a call is an echo of the other one: two WAV paths (8 kHz, mono, 16 bit, beginning together), and
//! for a trial the delay (ms), the gain and the noise (dBov) with which the first voice comes back on the second line.

mod recording;

use std::error::Error;

use nlu::{Echo, Extractor, HOP};
use prosody::Row;

#[expect(clippy::print_stdout, reason = "what is found is the output")]
fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [first, second, trial @ ..] = arguments.as_slice() else {
        return Err("usage: echo FIRST.wav SECOND.wav [DELAY_MS GAIN NOISE_DBOV]".into());
    };
    let (first, mut second) = (recording::read(first)?, recording::read(second)?);
    if let [delay_ms, gain, noise_dbov] = trial {
        let (delay, gain): (usize, f32) = (8 * delay_ms.parse::<usize>()?, gain.parse()?);
        let noise = prosody::synthetic::white(second.len(), 1);
        let level = 10_f32.powf(noise_dbov.parse::<f32>()? / 20.0);
        for (at, sample) in second.iter_mut().enumerate() {
            let voice = at.checked_sub(delay).and_then(|at| first.get(at)).copied().unwrap_or_default();
            *sample += gain * voice + level * noise[at];
        }
    }
    let lines = [rows(&first), rows(&second)];
    let (mut echo, mut echoed) = (Echo::default(), [vec![false; lines[0].len()], vec![false; lines[1].len()]]);
    for (one, two) in lines[0].iter().zip(&lines[1]) {
        for (line, (row, speech)) in [one, two].into_iter().enumerate() {
            for (found, hops) in echo.push(line, 1_000 + row.position / HOP as u64, row, *speech) {
                hops.for_each(|hop| echoed[found][hop as usize - 1_000] = true);
            }
        }
    }
    for (rows, echoed) in lines.iter().zip(&echoed) {
        let speech = rows.iter().filter(|(_, speech)| *speech).count();
        let echo = rows.iter().zip(echoed).filter(|((_, speech), echoed)| *speech && **echoed).count();
        println!("speech {:.1} s, of it echo {:.1} s", speech as f32 / 100.0, echo as f32 / 100.0);
    }
    Ok(())
}

fn rows(samples: &[f32]) -> Vec<(Row, bool)> {
    let mut rows = Vec::new();
    Extractor::default().push(samples, &mut |row, speech| rows.push((*row, speech)), &mut Vec::new());
    rows
}
