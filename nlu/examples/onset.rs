//! Measures how soon anger is found: `onset [MODEL.onnx MODEL.json [ENCODER.onnx SOUND.onnx SOUND.json]] < LIST`, figures as JSON on the
//! last line.
//!
//! LIST has `path.wav<TAB>seconds at which anger starts, or -` per line (8 kHz, mono, 16 bit). Without a model the
//! signal is judged alone. The training recipe calls it with models that have not heard the speakers of LIST.

mod recording;
mod voice;

use std::error::Error;
use std::io::BufRead;

use nlu::evaluation::OnsetTally;
use nlu::{Listener, ListenerSettings, PartyId, Runtime};

#[expect(clippy::print_stdout, reason = "figures are what this program is for")]
fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let model = match arguments.as_slice() {
        [] => None,
        files => Some(voice::load(&Runtime::find(None)?, files)?),
    };
    let mut listener = Listener::new(model, ListenerSettings::default());
    let mut tally = OnsetTally::default();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (path, onset) = line.split_once('\t').ok_or("expected path<TAB>seconds or -")?;
        let samples = recording::read(path)?;
        let onset = if onset == "-" { None } else { Some((onset.parse::<f64>()? * 8000.0) as u64) };
        let party = PartyId(0);
        listener.add(party);
        let mut observations = Vec::new();
        for chunk in samples.chunks(1_600) {
            listener.push(party, chunk);
            listener.run(&mut observations);
        }
        tally.add(&observations, onset, samples.len() as u64);
    }
    println!("{}", serde_json::to_string(&tally.figures())?);
    Ok(())
}
