//! A candidate beside the models in use, on a thread of its own: however slow it is, whoever listens does not wait for it.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use nlu::{Candidate, ListenerSettings, Shadow, Steps};
use tracing::warn;

use super::bench::ShadowReport;
use super::worker::thread_time;

/// How much less of a contended core the candidate gets than the media threads; less than what it stands beside.
const NICENESS: i32 = 15;
/// Rounds of listening that may wait for the candidate, 1 s; the steps of what comes then are shed.
const ROUNDS_WAITING: usize = 50;

/// What listening hands its steps to. Dropped, it ends the thread after what it is at.
pub(super) struct Beside {
    rounds: SyncSender<Steps>,
    /// What found no room: who came and went meanwhile.
    late: Steps,
}

impl Beside {
    /// Begins to compare with `candidate` and to write down how far it differs; `None` when there is no thread for it.
    pub(super) fn start(candidate: Candidate, report: Arc<Mutex<ShadowReport>>) -> Option<Self> {
        let (rounds, waiting) = sync_channel(ROUNDS_WAITING);
        let run = move || run(candidate, &waiting, &report);
        match thread::Builder::new().name("candidate".into()).spawn(run) {
            Ok(_) => Some(Self::over(rounds)),
            Err(error) => {
                warn!(%error, "no thread for the candidate: nothing is compared");
                None
            }
        }
    }

    fn over(rounds: SyncSender<Steps>) -> Self {
        Self { rounds, late: Steps::default() }
    }

    /// Hands over what was judged in a round; false once the candidate has broken.
    #[must_use]
    pub(super) fn compare(&mut self, steps: Steps) -> bool {
        self.late.append(steps);
        if self.late.is_empty() {
            return true;
        }
        match self.rounds.try_send(std::mem::take(&mut self.late)) {
            Ok(()) => {}
            Err(TrySendError::Full(late)) => {
                self.late = late;
                self.late.shed();
            }
            Err(TrySendError::Disconnected(_)) => return false,
        }
        true
    }

    /// As [`Beside::compare`], of a round of which the candidate judges nothing, for work is spared.
    #[must_use]
    pub(super) fn skip(&mut self, mut steps: Steps) -> bool {
        if !steps.is_empty() {
            steps.shed();
        }
        self.compare(steps)
    }
}

fn run(candidate: Candidate, waiting: &Receiver<Steps>, report: &Mutex<ShadowReport>) {
    if let Err(error) = rustix::process::nice(NICENESS) {
        warn!(%error, "a candidate runs at the media threads' priority");
    }
    let mut shadow = Shadow::new(candidate, ListenerSettings::default());
    while let Ok(steps) = waiting.recv() {
        shadow.run(steps);
        let told = ShadowReport { figures: shadow.figures(), cpu: thread_time() };
        *report.lock().unwrap_or_else(PoisonError::into_inner) = told;
    }
}

#[cfg(test)]
mod tests {
    use nlu::{Listener, PartyId, ShadowFigures, Utterance};

    use super::*;

    #[test]
    fn a_candidate_that_is_stuck_holds_nothing_up_and_goes_on_with_the_parties_there_are() {
        let (rounds, waiting) = sync_channel(2);
        let mut beside = Beside::over(rounds);
        let mut listener = Listener::new(None, ListenerSettings::default());
        listener.record(true);
        listener.add_writer(PartyId(1));
        let mut round = |listener: &mut Listener| -> bool {
            for party in [PartyId(1), PartyId(2)] {
                listener.hear(party, Utterance::written("好的".to_owned(), 0));
            }
            listener.run(&mut Vec::new());
            beside.compare(listener.take_steps())
        };
        // Two rounds wait, three find no room; another party comes with the last of these.
        assert!((0..4).all(|_| round(&mut listener)));
        listener.add_writer(PartyId(2));
        assert!(round(&mut listener));
        let mut shadow = Shadow::new(Candidate::default(), ListenerSettings::default());
        waiting.try_iter().for_each(|steps| shadow.run(steps));
        assert_eq!(counts(&shadow), (2, 0));
        assert!(round(&mut listener));
        waiting.try_iter().for_each(|steps| shadow.run(steps));
        assert_eq!(counts(&shadow), (4, 4), "of both parties, who have both been told of");
        drop(waiting);
        assert!(!round(&mut listener), "a broken candidate is to be given up");
    }

    /// Steps that were compared, and that were shed.
    fn counts(shadow: &Shadow) -> (u64, u64) {
        let ShadowFigures { compared, shed, .. } = shadow.figures();
        (compared, shed)
    }
}
