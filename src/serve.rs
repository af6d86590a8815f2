//! `calmline serve`: starts the three loops, wires them together, and ends them in order.
//!
//! Decides nothing: every event goes to call control, every command to the part that it is for.

mod desk;
mod handshakes;
mod start;

use tokio::signal::unix::{SignalKind, signal};
use tracing::info;
use tracing_subscriber::EnvFilter;

use crate::cli::{Failure, ServeArgs};
use crate::settings::Settings;
use start::Server;

/// Runs the server until it is told to end.
///
/// # Errors
/// When the configuration is wrong, or a socket or thread is not to be had.
pub fn run(args: &ServeArgs) -> Result<(), Failure> {
    start_log(args.log_json);
    let settings = Settings::load(&args.config)
        .map_err(|faults| Failure::Configuration(faults.iter().map(ToString::to_string).collect()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("control")
        .enable_all()
        .build()
        .map_err(|error| Failure::of("starting the runtime", error))?;
    runtime.block_on(async {
        let mut server = Server::start(settings, args.chaos).await?;
        let mut terminate =
            signal(SignalKind::terminate()).map_err(|error| Failure::of("listening for SIGTERM", error))?;
        tokio::select! {
            () = server.desk.run() => {}
            _ = terminate.recv() => info!("SIGTERM: ending"),
            _ = tokio::signal::ctrl_c() => info!("interrupted: ending"),
        }
        server.stop().await;
        Ok(())
    })
}

/// Libraries that speak too much at `info`, and what they may say: one prints whole SIP messages, numbers of callers and
/// keys included; another one warns of whatever strangers send.
const QUIET: [(&str, &str); 3] = [("rsipstack", "warn"), ("ort", "warn"), ("rtc_dtls", "error")];

/// Log lines go to standard error; `RUST_LOG` sets the level, `info` when it is not set.
fn start_log(json: bool) {
    let wanted = std::env::var("RUST_LOG").unwrap_or_else(|_| "info".to_owned());
    let quiet = QUIET.iter().filter(|(library, _)| !wanted.contains(library));
    let quiet = quiet.map(|(library, level)| format!("{library}={level}"));
    let filter = EnvFilter::new(std::iter::once(wanted.clone()).chain(quiet).collect::<Vec<_>>().join(","));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false);
    if json { log.json().init() } else { log.init() }
}
