//! The program: reads the command line, runs the command, turns its outcome into an exit code.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    calmline::cli::Cli::parse().run()
}
