//! The orders of one PBX that have not been passed on: bounded, first in first out, each with its own end.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tracing::warn;

use crate::metrics::Metrics;
use crate::pbx::{Answer, Deed, Outcome, Ticket};

/// The orders that wait.
pub(super) struct Queue {
    inlet: mpsc::Receiver<Waiting>,
    waiting: VecDeque<Waiting>,
    waiting_max: usize,
    /// Nobody gives orders any more.
    is_closed: bool,
    /// When the last order that was passed on has to have its answer.
    until: Instant,
    pub(super) reporter: Reporter,
}

/// One order that waits.
pub(super) struct Waiting {
    pub(super) ticket: Ticket,
    pub(super) deed: Deed,
    /// When it is not passed on any more.
    pub(super) until: Instant,
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Waiting({:?})", self.ticket)
    }
}

impl Queue {
    /// Takes orders from `inlet`; at most `waiting_max` wait here, and as many in front of it.
    pub(super) fn new(inlet: mpsc::Receiver<Waiting>, waiting_max: usize, reporter: Reporter) -> Queue {
        Queue { inlet, waiting: VecDeque::new(), waiting_max, is_closed: false, until: Instant::now(), reporter }
    }

    /// Whether all orders that there will ever be have been passed on, or have expired.
    pub(super) fn is_over(&self) -> bool {
        self.is_closed && self.waiting.is_empty()
    }

    /// When an answer to what was passed on is of no use any more.
    pub(super) fn until(&self) -> Instant {
        self.until
    }

    /// The next order that can still be passed on; waits for one. `None` when it is over.
    pub(super) async fn next(&mut self) -> Option<Waiting> {
        loop {
            self.expire("not reached in time");
            let order = match self.waiting.pop_front() {
                Some(order) => order,
                None => match self.inlet.recv().await {
                    Some(order) => order,
                    None => {
                        self.is_closed = true;
                        return None;
                    }
                },
            };
            self.report();
            if order.until > Instant::now() {
                self.until = self.until.max(order.until);
                return Some(order);
            }
            self.waiting.push_front(order);
        }
    }

    /// Lets time pass while nobody can be reached, because of `why`: orders come in and expire. Returns sooner when it is
    /// over.
    pub(super) async fn wait(&mut self, until: Instant, why: &str) {
        loop {
            self.expire(why);
            self.report();
            let first = self.waiting.iter().map(|order| order.until).min();
            if self.is_over() {
                return;
            }
            let has_room = self.waiting.len() < self.waiting_max && !self.is_closed;
            let wake = first.map_or(until, |first| first.min(until));
            tokio::select! {
                order = self.inlet.recv(), if has_room => match order {
                    Some(order) => self.waiting.push_back(order),
                    None => self.is_closed = true,
                },
                () = sleep_until(wake) => {}
            }
            if Instant::now() >= until {
                return self.expire(why);
            }
        }
    }

    fn expire(&mut self, why: &str) {
        let now = Instant::now();
        let (expired, waiting): (VecDeque<_>, VecDeque<_>) =
            std::mem::take(&mut self.waiting).into_iter().partition(|order| order.until <= now);
        self.waiting = waiting;
        for Waiting { ticket, .. } in expired {
            self.reporter.expired(ticket, why);
        }
    }

    fn report(&self) {
        self.reporter.set_waiting(self.waiting.len());
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.reporter.forget();
    }
}

/// Tells what became of orders.
#[derive(Clone)]
pub(super) struct Reporter {
    pub(super) pbx: String,
    metrics: Metrics,
    answers: mpsc::Sender<Answer>,
    /// Another connection shows how the PBX of this name is.
    is_replaced: Arc<AtomicBool>,
}

impl Reporter {
    pub(super) fn new(pbx: &str, metrics: &Metrics, answers: &mpsc::Sender<Answer>) -> Reporter {
        let reporter = Reporter {
            pbx: pbx.to_owned(),
            metrics: metrics.clone(),
            answers: answers.clone(),
            is_replaced: Arc::default(),
        };
        reporter.set_up(false);
        reporter.set_waiting(0);
        reporter
    }

    /// Whether the PBX takes orders.
    pub(super) fn set_up(&self, up: bool) {
        if !self.is_replaced.load(Ordering::Relaxed) {
            self.metrics.set_pbx_up(&self.pbx, Some(up));
        }
    }

    fn set_waiting(&self, orders: usize) {
        if !self.is_replaced.load(Ordering::Relaxed) {
            self.metrics.set_pbx_waiting(&self.pbx, orders);
        }
    }

    /// Leaves it to another connection to show how the PBX of this name is.
    pub(super) fn replace(&self) {
        self.is_replaced.store(true, Ordering::Relaxed);
    }

    /// Nobody is connected to the PBX any more.
    fn forget(&self) {
        self.set_waiting(0);
        if !self.is_replaced.swap(true, Ordering::Relaxed) {
            self.metrics.set_pbx_up(&self.pbx, None);
        }
    }

    /// An order has its answer.
    pub(super) fn answer(&self, answer: Answer) {
        self.count(match &answer.outcome {
            Outcome::Done => "done",
            Outcome::Accepted => "accepted",
            Outcome::Failed(_) => "failed",
        });
        self.tell(answer);
    }

    /// An order has failed.
    pub(super) fn failed(&self, ticket: Ticket, reason: &str) {
        self.answer(Answer { ticket, outcome: Outcome::Failed(reason.to_owned()) });
    }

    pub(super) fn count(&self, outcome: &str) {
        self.metrics.count_pbx_order(&self.pbx, outcome);
    }

    fn expired(&self, ticket: Ticket, why: &str) {
        self.count("expired");
        self.tell(Answer { ticket, outcome: Outcome::Failed(format!("not passed on in time: {why}")) });
    }

    fn tell(&self, answer: Answer) {
        if self.answers.try_send(answer).is_err() {
            // Call control has a deadline of its own.
            warn!(pbx = self.pbx, "call control was not told what became of an order");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// As many as may wait here, and as many in front.
    const ORDERS_MAX: usize = 2;

    #[tokio::test]
    async fn orders_wait_while_nobody_is_reached_and_expire_one_by_one() {
        let (metrics, (answers, mut told)) = (Metrics::new(), mpsc::channel(8));
        let (orders, inlet) = mpsc::channel(ORDERS_MAX);
        let mut queue = Queue::new(inlet, ORDERS_MAX, Reporter::new("asterisk", &metrics, &answers));
        let now = Instant::now();
        let order = |number: u64, within_ms: u64| Waiting {
            ticket: Ticket(number),
            deed: Deed::Play { channel: "x".to_owned(), media: "y".to_owned() },
            until: now + Duration::from_millis(within_ms),
        };
        // The second one that comes is the first to expire; the third one outlives the time without a PBX.
        for (number, within_ms) in [(1, 40), (2, 20)] {
            orders.try_send(order(number, within_ms)).expect("there is room");
        }
        queue.wait(now + Duration::from_millis(80), "refused").await;
        orders.try_send(order(3, 600_000)).expect("there is room");
        queue.wait(now + Duration::from_millis(120), "refused").await;
        assert!(metrics.render().contains("calmline_pbx_waiting_orders{pbx=\"asterisk\"} 1"), "{}", metrics.render());

        let reason = Outcome::Failed("not passed on in time: refused".to_owned());
        let answers = [told.try_recv(), told.try_recv()].map(|answer| answer.expect("both are told"));
        assert!(answers.iter().all(|answer| answer.outcome == reason), "{answers:?}");
        let tickets: Vec<u64> = answers.iter().map(|answer| answer.ticket.0).collect();
        assert!(tickets == [2, 1] || tickets == [1, 2], "{tickets:?}");
        assert!(metrics.render().contains("calmline_pbx_orders_total{pbx=\"asterisk\",outcome=\"expired\"} 2"));
        // The PBX is back.
        assert_eq!(queue.next().await.map(|order| order.ticket), Some(Ticket(3)));
        assert!(told.try_recv().is_err(), "an order that was passed on has no answer yet");
    }
}
