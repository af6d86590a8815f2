//! Orders on their way to one media thread: a bounded queue without locks, and a bell that wakes the thread.
//!
//! When it fills up, new legs are refused first, so that running calls can still be served, and closing last, so that
//! they can still be ended.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_queue::ArrayQueue;
use media::Command;
use nix::sys::eventfd::{EfdFlags, EventFd};

/// Why an order was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The thread is behind with its orders; new legs are refused before anything else.
    #[error("the media thread has too many orders waiting")]
    Full,
    /// The legs live on different threads: they were opened with different call groups.
    #[error("the legs live on different media threads")]
    Apart,
    /// The thread has been stopped.
    #[error("the media thread has been stopped")]
    Stopped,
}

#[derive(Debug)]
pub(super) struct Inbox {
    orders: ArrayQueue<Command>,
    bell: EventFd,
    closed: AtomicBool,
    #[cfg(test)]
    breaks: AtomicBool,
}

impl Inbox {
    pub(super) fn new() -> io::Result<Self> {
        let bell = EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?;
        Ok(Self {
            orders: ArrayQueue::new(ORDERS_MAX),
            bell,
            closed: AtomicBool::new(false),
            #[cfg(test)]
            breaks: AtomicBool::new(false),
        })
    }

    /// Leaves an order and wakes the thread.
    pub(super) fn post(&self, order: Command) -> Result<(), Refused> {
        if self.is_closed() {
            return Err(Refused::Stopped);
        }
        let room = match order {
            Command::Open { .. } => ORDERS_MAX_FOR_OPEN,
            Command::Close { .. } => ORDERS_MAX,
            _ => ORDERS_MAX_FOR_CALLS,
        };
        if self.orders.len() >= room {
            return Err(Refused::Full);
        }
        self.orders.push(order).map_err(|_| Refused::Full)?;
        self.ring();
        Ok(())
    }

    /// Takes no more orders; the thread ends after those that wait.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.ring();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Lets the thread break down when it next looks, as a fault of ours would.
    #[cfg(test)]
    pub(super) fn break_down(&self) {
        self.breaks.store(true, Ordering::Release);
        self.ring();
    }

    /// The oldest order. For the thread.
    pub(super) fn take(&self) -> Option<Command> {
        self.orders.pop()
    }

    /// Silences the bell. For the thread, before it takes orders.
    pub(super) fn hush(&self) {
        #[cfg(test)]
        assert!(!self.breaks.swap(false, Ordering::AcqRel), "a thread breaks down, as its test asks");
        // It only fails when it was not ringing.
        let _ = self.bell.read();
    }

    pub(super) fn bell(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }

    fn ring(&self) {
        // It only fails when 2^64 rings were not heard; then it is ringing already.
        let _ = self.bell.write(1);
    }
}

/// Orders that may wait.
const ORDERS_MAX: usize = 4_096;

/// With so many waiting, no more legs are opened.
const ORDERS_MAX_FOR_OPEN: usize = ORDERS_MAX * 3 / 4;

/// With so many waiting, legs are only closed.
const ORDERS_MAX_FOR_CALLS: usize = ORDERS_MAX * 7 / 8;

#[cfg(test)]
mod tests {
    use media::LegId;

    use super::*;

    #[test]
    fn new_legs_are_refused_first() {
        let inbox = Inbox::new().expect("an event counter");
        let open = || Command::Open { leg: LegId(1), port: 4000, address: None };
        let close = || Command::Close { leg: LegId(1) };
        let serve = || Command::StopPlay { leg: LegId(1) };
        for _ in 0..ORDERS_MAX_FOR_OPEN {
            assert_eq!(inbox.post(open()), Ok(()));
        }
        assert_eq!(inbox.post(open()), Err(Refused::Full));
        for _ in ORDERS_MAX_FOR_OPEN..ORDERS_MAX_FOR_CALLS {
            assert_eq!(inbox.post(serve()), Ok(()));
        }
        assert_eq!(inbox.post(serve()), Err(Refused::Full));
        for _ in ORDERS_MAX_FOR_CALLS..ORDERS_MAX {
            assert_eq!(inbox.post(close()), Ok(()));
        }
        assert_eq!(inbox.post(close()), Err(Refused::Full));
        inbox.close();
        assert_eq!(inbox.post(close()), Err(Refused::Stopped));
    }
}
