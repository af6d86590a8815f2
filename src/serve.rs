//! `calmline serve`: starts the three loops, wires them together, and ends them in order.
//!
//! Decides nothing: every event goes to call control, every command to the part that it is for.

mod desk;
mod handshakes;
mod knowing;
mod listening;
mod load;
mod reload;
mod start;
mod systemd;
mod telling;
mod unprotected;
mod watching;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};

use crate::cli::{Failure, ServeArgs};
use crate::log::Log;
use crate::settings::{Fault, Settings, read_text};
use crate::shell::inherited;
use start::Server;

/// Runs the server until it is told to end.
///
/// # Errors
/// When the configuration is wrong, or a socket or thread is not to be had.
pub fn run(args: &ServeArgs) -> Result<(), Failure> {
    let log = Log::start(args.log_json);
    let broken = |faults: Vec<Fault>| Failure::Configuration(faults.iter().map(ToString::to_string).collect());
    let text = read_text(&args.config).map_err(|fault| broken(vec![fault]))?;
    let settings = Settings::parse(&text, &args.config).map_err(broken)?;
    raise_file_limit();
    inherited::receive().map_err(|error| Failure::of("taking the sockets that were given", error))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("control")
        .enable_all()
        .build()
        .map_err(|error| Failure::of("starting the runtime", error))?;
    runtime.block_on(async {
        // Before anything else: without somebody who listens, each of them ends the program.
        let hangup = signal(SignalKind::hangup()).map_err(|error| Failure::of("listening for SIGHUP", error))?;
        let mut terminate =
            signal(SignalKind::terminate()).map_err(|error| Failure::of("listening for SIGTERM", error))?;
        let mut interrupt =
            signal(SignalKind::interrupt()).map_err(|error| Failure::of("listening for SIGINT", error))?;
        let mut server = Box::pin(Server::start(settings, (args, text, log), hangup)).await?;
        for address in inherited::close_rest() {
            warn!(%address, "a socket was given that the configuration does not name");
        }
        systemd::ready();
        let mut told = async || {
            tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "interrupted",
            }
        };
        let broken = server.desk.sip.broken();
        tokio::select! {
            () = server.desk.run() => {}
            () = broken.cancelled() => {}
            why = told() => info!("{why}: no new calls; running ones have their time, until the next signal"),
        }
        systemd::stopping();
        tokio::select! {
            biased;
            // Without SIP no call can be ended in peace: the sooner another process takes over, the better.
            () = broken.cancelled() => {}
            () = server.drain() => {}
            why = told() => info!("{why} again: ending at once"),
        }
        match server.stop().await.cut {
            _ if broken.is_cancelled() => Err(Failure::Failed("SIP has ended by itself".to_owned())),
            0 => Ok(()),
            cut => Err(Failure::Unexpected(format!("{cut} calls were cut"))),
        }
    })
}

/// Takes all files that the system permits: shells and managers of services begin with far fewer, for the sake of old programs.
fn raise_file_limit() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| match soft < hard {
        true => setrlimit(Resource::RLIMIT_NOFILE, hard, hard),
        false => Ok(()),
    });
    if let Err(error) = raised {
        warn!(%error, "the limit of open files stays as it is");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_files_that_there_may_be_are_taken() {
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("the limit");
        setrlimit(Resource::RLIMIT_NOFILE, hard / 2, hard).expect("fewer");
        raise_file_limit();
        assert_eq!(getrlimit(Resource::RLIMIT_NOFILE), Ok((hard, hard)));
    }
}
