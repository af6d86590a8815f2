//! What the listening side says of itself: read by the desk, told by metrics and readiness, and to call control where nobody
//! understands what is said.

use std::mem;
use std::time::Duration;

use super::desk::Desk;
use crate::control::Order;
use crate::shell::listen::{Listening, ModelRuns};
use crate::web::Component;

impl Desk {
    /// Reads it; whether anybody listens.
    pub(super) fn look_at_listening(&mut self, now: Duration) -> bool {
        let listening = self.listening.as_ref();
        let listens = listening.is_some_and(|listening| listening.is_up(now));
        self.metrics.set_listener_up(listens);
        self.readiness.set(Component::Listening, listens);
        let runs = listening.map_or_else(Default::default, |it| [it.acoustic_runs(), it.text_runs()]);
        let judges = listening.is_some_and(Listening::with_model) && !runs.iter().any(|model: &ModelRuns| model.fails);
        self.readiness.set(Component::Model, judges);
        self.metrics.set_model_runs(runs);
        self.metrics.set_listening_backlog(self.tap.len());
        self.metrics.set_shadow(&self.bench.shadow());
        self.metrics.set_utterances(&self.words.utterances.figures());
        if let Some(recognizing) = &self.words.recognizing {
            let (hears, figures, remote) = (recognizing.is_up(), recognizing.figures(), recognizing.remote());
            self.metrics.set_recognition(hears, &figures);
            self.readiness.set(Component::Words, hears);
            self.readiness.want_words_elsewhere(remote.is_some());
            if let Some(figures) = remote {
                self.readiness.set(Component::WordsElsewhere, figures.is_up);
                self.metrics.set_remote_recognition(&figures);
            }
            let breaks = listening.map_or(0, Listening::restarts) + figures.restarts;
            if mem::replace(&mut self.breaks, breaks) != breaks || !listens || !hears {
                // This is always carried out.
                let _ = self.control.order(now, Order::Unheard, &mut self.commands);
            }
        }
        listens
    }
}
