//! The thread that keeps the audit trail's closed files in order: to the archive, and away once they are too old.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::json;
use tracing::{info, warn};

use super::audit::{AuditEntry, Trail, tidy};
use super::journal::Journal;
use super::keys::KeyRing;
use crate::settings::TrailSettings;
use crate::web::Moment;

/// How often it is looked.
const LOOK_EVERY: Duration = Duration::from_secs(3_600);

/// The running thread; it ends after [`Tidying::stop`].
#[derive(Debug, Clone, Default)]
pub(super) struct Tidying(Arc<Mutex<Option<Sender<()>>>>);

impl Tidying {
    /// Starts the thread, where there is anything to do for it.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn start(
        settings: &TrailSettings,
        trail: &Trail,
        keys: &Arc<KeyRing>,
        journal: &Journal,
    ) -> io::Result<Self> {
        if *settings == TrailSettings::default() {
            return Ok(Self::default());
        }
        let tidier = Tidier {
            settings: settings.clone(),
            trail: trail.clone(),
            keys: Arc::clone(keys),
            journal: journal.clone(),
        };
        let (stop, stopped) = channel();
        thread::Builder::new().name("archive".into()).spawn(move || tidier.run(&stopped))?;
        Ok(Self(Arc::new(Mutex::new(Some(stop)))))
    }

    /// Has the thread end; what it is doing may be cut off, and is done at the next start.
    pub(super) fn stop(&self) {
        drop(self.0.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

struct Tidier {
    settings: TrailSettings,
    trail: Trail,
    keys: Arc<KeyRing>,
    journal: Journal,
}

impl Tidier {
    fn run(&self, stopped: &Receiver<()>) {
        let mut is_told = false;
        loop {
            is_told = is_told || self.told_override();
            self.look(is_told);
            if stopped.recv_timeout(LOOK_EVERY) != Err(RecvTimeoutError::Timeout) {
                return;
            }
        }
    }

    /// Takes up in the trail that it is kept for less than six years, where the configuration orders that; whether there is
    /// nothing left to tell of it.
    fn told_override(&self) -> bool {
        let (Some(keep), Some(why)) = (self.settings.keep, &self.settings.basis) else { return true };
        let days = keep.as_secs() / 86_400;
        warn!(days, why, "the audit trail is kept for less than six years, as the configuration orders");
        self.told("audit_override", json!({ "keep_audit_days": days, "reason": why }))
    }

    /// Nothing is removed unless `may_remove`.
    fn look(&self, may_remove: bool) {
        let before = self.settings.keep.filter(|_| may_remove).map(|keep| {
            let keep = u64::try_from(keep.as_millis()).unwrap_or(u64::MAX);
            Moment::now().0.saturating_sub(keep)
        });
        if let Err(why) = tidy(&self.trail, &self.keys, before, &mut |kind, what| self.told(kind, what)) {
            warn!(%why, "files of the audit trail could not be put in order: they stay, and are looked at again");
        }
    }

    fn told(&self, kind: &str, what: serde_json::Value) -> bool {
        info!(kind, %what, "files of the audit trail");
        let (kind, who, call) = (kind.to_owned(), "server".to_owned(), String::new());
        self.journal.written(AuditEntry { kind, who, call, what })
    }
}
