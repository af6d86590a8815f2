//! Commands that wait because the inbox of their leg is full: they keep their order, and those of one leg wait in one
//! task.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use media::LegId;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::leg::Input;

/// Commands of one leg that may wait; a leg that is further behind does not hear of the rest.
const WAITING_MAX: usize = 256;

/// What waits, by leg; a leg is in it from its first command that has to wait until there is none.
#[derive(Default)]
pub(super) struct Late {
    legs: Mutex<BTreeMap<LegId, VecDeque<Input>>>,
}

impl Late {
    /// Leaves something in the inbox of a leg, behind what waits for that already.
    pub(super) fn send(self: &Arc<Self>, runtime: &Handle, leg: LegId, inbox: &mpsc::Sender<Input>, input: Input) {
        let mut legs = self.lock();
        if let Some(waiting) = legs.get_mut(&leg) {
            if waiting.len() >= WAITING_MAX {
                return tracing::error!(leg = leg.0, "the leg is stuck, a command is lost");
            }
            return waiting.push_back(input);
        }
        match inbox.try_send(input) {
            Ok(()) => {}
            Err(TrySendError::Closed(_)) => tracing::debug!(leg = leg.0, "command for a leg that just ended"),
            Err(TrySendError::Full(input)) => {
                tracing::error!(leg = leg.0, "the leg is stuck, a command has to wait");
                legs.insert(leg, VecDeque::from([input]));
                let (late, inbox) = (self.clone(), inbox.clone());
                runtime.spawn(async move { late.pass_on(leg, &inbox).await });
            }
        }
    }

    async fn pass_on(&self, leg: LegId, inbox: &mpsc::Sender<Input>) {
        while let Some(input) = self.next(leg) {
            if inbox.send(input).await.is_err() {
                self.lock().remove(&leg);
            }
        }
    }

    /// What a leg is told next; without anything, its commands need not wait any more.
    fn next(&self, leg: LegId) -> Option<Input> {
        let mut legs = self.lock();
        let next = legs.get_mut(&leg)?.pop_front();
        if next.is_none() {
            legs.remove(&leg);
        }
        next
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<LegId, VecDeque<Input>>> {
        self.legs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::SipCommand;

    #[tokio::test]
    async fn commands_keep_their_order() {
        let (late, (inbox, mut outlet)) = (Arc::new(Late::default()), mpsc::channel(1));
        let leg = LegId(1);
        let send = |code| {
            let command = SipCommand::TellReferrer { leg, code, reason: String::new() };
            late.send(&Handle::current(), leg, &inbox, Input::Command(command));
        };
        (1..=5).for_each(send);
        for expected in 1..=8_u16 {
            let told = outlet.recv().await;
            let Some(Input::Command(SipCommand::TellReferrer { code, .. })) = told else { panic!("no command") };
            assert_eq!(code, expected);
            if expected <= 3 {
                send(expected + 5);
            }
        }
    }
}
