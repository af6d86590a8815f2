//! The prosody of a recording as a table: the 25 descriptors of every 10 ms, or the 88 functionals of windows.
//!
//! Column names are openSMILE's (eGeMAPSv02), so that tables of both can be laid beside each other.

use std::io::Cursor;
use std::path::Path;

use clap::ValueEnum;
use media::wav::{self, Channel};
use prosody::functionals::{FUNCTIONAL_NAMES, Functionals};
use prosody::{Analyzer, SampleRate, Smoothed, Smoother};

use crate::cli::{Failure, FeatureArgs, print_line};

/// Which table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Features {
    /// The 25 low-level descriptors of every 10 ms, means over three hops.
    Lld,
    /// The 88 functionals of the whole recording, or of windows of it.
    Functionals,
}

/// Hops of 10 ms per second.
const HOPS_PER_S: f64 = 100.0;
/// Hops between two windows: 0.5 s.
const STEP_HOPS: usize = 50;

/// Prints the table of one recording as CSV.
///
/// # Errors
/// When the recording cannot be read or the table cannot be printed.
pub fn run(file: &Path, features: Features, args: &FeatureArgs) -> Result<(), Failure> {
    let (samples, rate) = read(file)?;
    let hops = smoothed(&samples, rate);
    let name = file.display().to_string().replace('"', "\"\"");
    let start_s = |position: u64| position as f64 / f64::from(rate.hz());
    match features {
        Features::Lld => {
            print_line(format_args!("file,start,end,{}", prosody::smoothed_names().collect::<Vec<_>>().join(",")))?;
            for hop in &hops {
                let start_s = start_s(hop.position);
                print_row(&name, start_s, start_s + 1.0 / HOPS_PER_S, &hop.descriptors)?;
            }
        }
        Features::Functionals => {
            print_line(format_args!("file,start,end,{}", FUNCTIONAL_NAMES.join(",")))?;
            let window = args.window_s.map_or(hops.len(), |seconds| (f64::from(seconds) * HOPS_PER_S) as usize);
            let window = window.clamp(1, hops.len().max(1));
            let mut functionals = Functionals::new(window);
            for (i, hop) in hops.iter().enumerate() {
                functionals.push(hop);
                let (taken, is_last) = (i + 1, i + 1 == hops.len());
                if taken == window || (taken > window && taken.is_multiple_of(STEP_HOPS)) || (is_last && taken < window)
                {
                    let end_s = start_s(hop.position) + 1.0 / HOPS_PER_S;
                    print_row(&name, end_s - functionals.len() as f64 / HOPS_PER_S, end_s, &functionals.values())?;
                }
            }
        }
    }
    Ok(())
}

/// A recording at 8 kHz when it has no more, else at 16 kHz.
fn read(file: &Path) -> Result<(Vec<f32>, SampleRate), Failure> {
    let bytes = std::fs::read(file).map_err(|error| Failure::of(file.display(), error))?;
    let at = |rate: SampleRate| {
        wav::read_at(Cursor::new(&bytes), Channel::Only(0), rate.hz())
            .map_err(|error| Failure::of(file.display(), error))
    };
    let wide = at(SampleRate::Hz16000)?;
    if wide.rate_hz >= SampleRate::Hz16000.hz() {
        return Ok((wide.samples, SampleRate::Hz16000));
    }
    Ok((at(SampleRate::Hz8000)?.samples, SampleRate::Hz8000))
}

/// Every hop of a recording.
pub(crate) fn smoothed(samples: &[f32], rate: SampleRate) -> Vec<Smoothed> {
    let (mut analyzer, mut rows) = (Analyzer::new(rate), Vec::with_capacity(samples.len() / rate.hop() + 1));
    analyzer.push(samples, &mut rows);
    analyzer.finish(&mut rows);
    let mut smoother = Smoother::default();
    let mut hops: Vec<Smoothed> = rows.iter().filter_map(|row| smoother.push(row)).collect();
    hops.extend(smoother.finish());
    hops
}

fn print_row(name: &str, start_s: f64, end_s: f64, values: &[f32]) -> Result<(), Failure> {
    let values: Vec<String> = values.iter().map(f32::to_string).collect();
    print_line(format_args!("\"{name}\",{start_s:.3},{end_s:.3},{}", values.join(",")))
}
