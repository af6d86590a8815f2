//! The log: where it goes, and how much of it, which can be changed while the server runs.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

mod lines;

pub use lines::{Line, Lines};

/// Libraries that speak too much at `info`, and what they may say: one prints whole SIP messages, numbers of callers and
/// keys included; another one warns of whatever strangers send.
const QUIET: [(&str, &str); 3] = [("rsipstack", "warn"), ("ort", "warn"), ("rtc_dtls", "error")];
/// The longest filter, bytes.
const FILTER_BYTES_MAX: usize = 512;

/// How much is logged.
pub struct Log {
    exchange: Box<Exchange>,
    lines: Lines,
    state: Mutex<State>,
}

type Exchange = dyn Fn(EnvFilter) -> Result<(), String> + Send + Sync;

#[derive(Debug)]
struct State {
    at_start: String,
    now: String,
    /// Grows with every change, so that the end of an earlier one does not end a later one.
    changes: u64,
}

/// A filter that can be put in force, e.g. `info,calmline::shell::sip=debug`.
#[derive(Debug)]
pub struct LogFilter {
    text: String,
    filter: EnvFilter,
}

impl LogFilter {
    /// Reads a filter: levels, or `TARGET=LEVEL`, with commas between (`RUST_LOG`).
    ///
    /// # Errors
    /// What was found instead; also where it names a library that would log what callers say or dial.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() || text.len() > FILTER_BYTES_MAX {
            return Err(format!("{} bytes; 1-{FILTER_BYTES_MAX} are taken", text.trim().len()));
        }
        if text.contains(['[', ']', '{', '}']) {
            return Err("a filter of spans; levels and TARGET=LEVEL are taken".to_owned());
        }
        if let Some((library, level)) = QUIET.iter().find(|(library, _)| names(text, library)) {
            return Err(format!("{library}, which stays at {level}: it would log what callers dial"));
        }
        Ok(Self { filter: with_quiet(text).map_err(|error| error.to_string())?, text: text.to_owned() })
    }
}

impl Log {
    /// Begins to log to standard error, as JSON if wanted; `RUST_LOG` sets the filter, `info` when it is not set.
    pub fn start(json: bool) -> Arc<Self> {
        let wanted = std::env::var("RUST_LOG").unwrap_or_else(|_| "info".to_owned());
        let log = tracing_subscriber::fmt()
            .with_env_filter(filter_at_start(&wanted))
            .with_writer(std::io::stderr)
            .with_ansi(false);
        let lines = Lines::default();
        let exchange: Box<Exchange> = if json {
            let log = log.json().with_filter_reloading();
            let handle = log.reload_handle();
            log.finish().with(lines.clone()).init();
            Box::new(move |filter| handle.reload(filter).map_err(|error| error.to_string()))
        } else {
            let log = log.with_filter_reloading();
            let handle = log.reload_handle();
            log.finish().with(lines.clone()).init();
            Box::new(move |filter| handle.reload(filter).map_err(|error| error.to_string()))
        };
        Self::over(wanted, exchange, lines)
    }

    fn over(at_start: String, exchange: Box<Exchange>, lines: Lines) -> Arc<Self> {
        let state = State { now: at_start.clone(), at_start, changes: 0 };
        Arc::new(Self { exchange, lines, state: Mutex::new(state) })
    }

    /// A log of which nothing is seen.
    #[cfg(test)]
    pub(crate) fn unseen() -> Arc<Self> {
        Self::over("info".to_owned(), Box::new(|_| Ok(())), Lines::default())
    }

    /// The lines that are logged, for whoever wants to follow them.
    pub fn lines(&self) -> Lines {
        self.lines.clone()
    }

    /// The filter that is in force, and the one of the start.
    pub fn filters(&self) -> (String, String) {
        let State { at_start, now, .. } = &*self.lock();
        (now.clone(), at_start.clone())
    }

    /// Puts `filter` in force; for so long, if that is said, and the one of the start again after that.
    ///
    /// # Errors
    /// When the log does not take it.
    pub fn set(self: &Arc<Self>, filter: LogFilter, within: Option<Duration>) -> Result<(), String> {
        let LogFilter { text, filter } = filter;
        let change = {
            let mut state = self.lock();
            (self.exchange)(filter)?;
            state.now = text;
            state.changes += 1;
            state.changes
        };
        if let Some(within) = within {
            let log = Arc::clone(self);
            tokio::spawn(async move {
                tokio::time::sleep(within).await;
                log.end(change);
            });
        }
        Ok(())
    }

    /// Ends a change, unless there was a later one.
    fn end(&self, change: u64) {
        let mut state = self.lock();
        if state.changes != change {
            return;
        }
        match (self.exchange)(filter_at_start(&state.at_start)) {
            Ok(()) => state.now = state.at_start.clone(),
            Err(error) => tracing::error!(%error, "the log stays as it is"),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is a few assignments that cannot fail.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").field("state", &self.state).finish_non_exhaustive()
    }
}

/// The filter of the environment: what cannot be read of it has never kept a server from starting.
fn filter_at_start(wanted: &str) -> EnvFilter {
    with_quiet(wanted).unwrap_or_else(|_| EnvFilter::new("info"))
}

/// Whether a filter says something of a library, or of a part of it.
fn names(filter: &str, library: &str) -> bool {
    let targets = filter.split(',').map(|directive| directive.split('=').next().unwrap_or_default().trim());
    targets.filter_map(|target| target.split("::").next()).any(|name| name == library)
}

/// The filter with what quiet libraries may say, unless it names them itself.
fn with_quiet(wanted: &str) -> Result<EnvFilter, tracing_subscriber::filter::ParseError> {
    let quiet = QUIET.iter().filter(|(library, _)| !names(wanted, library));
    let quiet = quiet.map(|(library, level)| format!("{library}={level}"));
    EnvFilter::try_new(std::iter::once(wanted.to_owned()).chain(quiet).collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_that_are_taken_and_not() {
        for (text, expected) in [
            ("info", Ok(())),
            ("warn,calmline::shell::sip=debug", Ok(())),
            ("", Err("0 bytes")),
            ("  ", Err("0 bytes")),
            ("info,[{call=1}]=debug", Err("spans")),
            ("info,calmline::shell::sip::transport=debug,calmline::report=trace", Ok(())),
            ("info,rsipstack=debug", Err("stays at warn")),
            ("info, ort::session=trace", Err("stays at warn")),
            ("rsipstack::transport", Err("stays at warn")),
            ("calmline=loud", Err("expected one of")),
            (&"info,".repeat(200), Err("1-512")),
        ] {
            match (LogFilter::parse(text), expected) {
                (Ok(_), Ok(())) => {}
                (Err(found), Err(part)) => assert!(found.contains(part), "{text}: {found}"),
                (found, _) => panic!("{text}: {found:?}"),
            }
        }
    }

    #[test]
    fn a_change_ends_unless_there_was_a_later_one() {
        let log = Log::unseen();
        let set = |text| log.set(LogFilter::parse(text).expect("it is one"), None).expect("it is taken");
        let now = || log.filters().0;
        set("debug");
        set("warn");
        assert_eq!(log.end_of(1), "warn", "the first one's end is not the second one's");
        assert_eq!(log.end_of(2), "info");
        set("error");
        assert_eq!((now().as_str(), log.filters().1.as_str()), ("error", "info"));
    }

    impl Log {
        /// Ends a change, and tells what is in force then.
        fn end_of(&self, change: u64) -> String {
            self.end(change);
            self.filters().0
        }
    }
}
