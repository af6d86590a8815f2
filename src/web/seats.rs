//! Seats of what goes on for long: so many in all, and nobody takes more of them than are left for others.
//!
//! Whoever has the server's own token is not counted apart.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::StatusCode;

use super::problem::Problem;
use super::signing::Who;

/// Seats of one kind.
#[derive(Debug)]
pub(super) struct Seats {
    max: usize,
    /// Who sits there, as refusals name them.
    whose: &'static str,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    /// Of those who are counted apart.
    by: BTreeMap<String, usize>,
}

/// A seat that is taken; it is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Arc<Seats>,
    by: Option<String>,
}

impl Seats {
    /// All are free.
    pub(super) fn new(max: usize, whose: &'static str) -> Arc<Self> {
        Arc::new(Self { max, whose, taken: Mutex::default() })
    }

    /// One for whoever asks.
    ///
    /// # Errors
    /// When there is none, or the others are for others.
    pub(super) fn of(self: &Arc<Self>, who: Option<&Who>) -> Result<Seat, Problem> {
        let by = match who {
            Some(Who::Person { user, .. }) => Some(user.as_str()),
            Some(Who::Machine) | None => None,
        };
        self.take(by)
    }

    /// The same by a name; without one nobody is counted.
    ///
    /// # Errors
    /// As [`Seats::of`].
    pub(super) fn take(self: &Arc<Self>, by: Option<&str>) -> Result<Seat, Problem> {
        let whose = self.whose;
        let refused = |why: &str| Problem::new(StatusCode::SERVICE_UNAVAILABLE, format!("too many {whose}{why}"));
        let mut taken = self.taken();
        let own = by.and_then(|by| taken.by.get(by)).copied().unwrap_or_default();
        match self.max - taken.all {
            0 => return Err(refused("")),
            left if own >= left => return Err(refused(" of yours: what is left is for others")),
            _ => {}
        }
        taken.all += 1;
        if let Some(by) = by {
            taken.by.insert(by.to_owned(), own + 1);
        }
        Ok(Seat { seats: Arc::clone(self), by: by.map(str::to_owned) })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken();
        taken.all -= 1;
        let Some(by) = &self.by else { return };
        if let Some(own) = taken.by.get_mut(by) {
            *own -= 1;
            if *own == 0 {
                taken.by.remove(by);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_many_seats_leaves_some_to_others() {
        let seats = Seats::new(8, "watchers");
        let all = |by: Option<&str>| -> Vec<Seat> { std::iter::from_fn(|| seats.take(by).ok()).collect() };
        let (first, second, third) = (all(Some("li")), all(Some("wu")), all(Some("crm")));
        assert_eq!([first.len(), second.len(), third.len()], [4, 2, 1]);
        let refused = seats.take(Some("li")).expect_err("as many as there are for others");
        assert_eq!(refused.detail, "too many watchers of yours: what is left is for others");
        let last = all(Some("zhang"));
        assert_eq!(last.len(), 1);
        assert_eq!(seats.take(None).expect_err("all are taken").detail, "too many watchers");
        drop(first);
        assert_eq!(all(Some("wu")).len(), 1, "that would be three, and three are left");
        assert_eq!(all(None).len(), 4, "whoever has the token is not counted apart");
        drop((second, third, last));
        let taken = seats.taken();
        assert_eq!((taken.all, taken.by.len()), (0, 0));
    }
}
