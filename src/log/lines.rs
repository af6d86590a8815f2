//! Lines of the log for whoever follows them beside standard error: the same lines, at the same level.
//!
//! A line that finds no room is left out and counted; whoever logs never waits.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::mpsc::Sender;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::shell::clock::since_1970;

/// What a request over HTTP logs of itself: to tell a receiver of it would be one more request.
const LEFT_OUT: [&str; 4] = ["hyper", "reqwest", "rustls", "h2"];

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// When, since 1970.
    pub at: Duration,
    /// How grave.
    pub level: Level,
    /// The part of the program.
    pub target: String,
    /// What it says.
    pub message: String,
    /// Its fields.
    pub fields: Vec<(String, String)>,
}

impl Line {
    /// The call that it is about, if it is about one.
    pub fn call(&self) -> Option<&str> {
        self.fields.iter().find(|(name, value)| name == "call" && !value.is_empty()).map(|(_, call)| call.as_str())
    }
}

/// Who follows the lines; nobody at first.
#[derive(Debug, Clone, Default)]
pub struct Lines(Arc<Followed>);

#[derive(Debug, Default)]
struct Followed {
    follower: OnceLock<Sender<Line>>,
    dropped: AtomicU64,
}

impl Lines {
    /// Gives every line from now on to a follower; the first one stays it.
    pub fn follow(&self, follower: Sender<Line>) {
        // A second one is told nothing.
        let _ = self.0.follower.set(follower);
    }

    /// Lines that found no room since this was asked last.
    pub fn take_dropped(&self) -> u64 {
        self.0.dropped.swap(0, Ordering::Relaxed)
    }
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let Some(follower) = self.0.follower.get() else { return };
        let metadata = event.metadata();
        let part = metadata.target().split("::").next().unwrap_or_default();
        if LEFT_OUT.contains(&part) {
            return;
        }
        let mut line = Line {
            at: since_1970(),
            level: *metadata.level(),
            target: metadata.target().to_owned(),
            message: String::new(),
            fields: Vec::new(),
        };
        event.record(&mut line);
        if follower.try_send(line).is_err() {
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => value.clone_into(&mut self.message),
            name => self.fields.push((name.to_owned(), value.to_owned())),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;
    use crate::pii::Pii;

    #[test]
    fn a_follower_gets_lines_as_they_are_logged() {
        let lines = Lines::default();
        let (follower, mut inlet) = mpsc::channel(2);
        let log = tracing_subscriber::registry().with(lines.clone());
        tracing::subscriber::with_default(log, || {
            tracing::info!("before anybody follows");
            lines.follow(follower);
            let number = Pii::new("+8613800000000".to_owned());
            tracing::info!(call = "call-1", code = 486, ?number, "refused");
            tracing::info!(target: "hyper::client", "a request");
            tracing::warn!("second");
            tracing::warn!("third finds no room");
        });
        let line = inlet.try_recv().expect("the first");
        assert_eq!((line.message.as_str(), line.level, line.call()), ("refused", Level::INFO, Some("call-1")));
        let said = format!("{line:?}");
        assert!(said.contains("486") && !said.contains("138"), "{said}");
        assert_eq!(inlet.try_recv().expect("the second").message, "second");
        assert_eq!((lines.take_dropped(), lines.take_dropped()), (1, 0));
    }
}
