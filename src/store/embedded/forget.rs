//! Calls that are removed: the keys first, so that nothing opens from then on, then the values.

use super::super::slots::{Class, seat_of};
use super::super::trees::Batch;
use super::{CallName, Embedded, Place};
use crate::web::Moment;

/// Calls removed together: their notices are in memory for that.
const TOGETHER_MAX: usize = 32;

impl Embedded {
    /// Removes ended calls that started before `before`, oldest first, at most `max` of them; held ones stay. How many were
    /// removed.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub fn forget_before(&self, before: Moment, max: usize) -> Result<usize, String> {
        let mut places = Vec::new();
        for place in self.calls.keys(&[], Some(&before.0.to_be_bytes())) {
            let Ok(place) = Place::try_from(place?) else { continue };
            if self.held_by(&name_in(&place))?.is_none() {
                places.push(place);
            }
            if places.len() == max {
                break;
            }
        }
        self.forget(&places)?;
        Ok(places.len())
    }

    /// Forgets a class of ended calls that started before `before`, oldest first, of at most `max` calls that it was not
    /// looked for in yet; held ones keep it. How many calls were looked at.
    ///
    /// # Errors
    /// As [`Embedded::forget_before`].
    pub fn forget_class_before(&self, class: Class, before: Moment, max: usize) -> Result<usize, String> {
        let mark = mark_of(class);
        let from = self.marks.get(mark)?.unwrap_or_default();
        let (mut looked_at, mut seats, mut gone, mut last) = (0, Vec::new(), Batch::default(), None);
        let before = before.0.to_be_bytes();
        if from[..] >= before[..] {
            return Ok(0);
        }
        for place in self.calls.keys(&from, Some(&before)).take(max) {
            let Ok(place) = Place::try_from(place?) else { continue };
            looked_at += 1;
            last = Some(place);
            if self.held_by(&name_in(&place))?.is_some() {
                continue;
            }
            for entry in self.notices.scan_prefix(&name_in(&place)) {
                let (key, sealed) = entry?;
                if let Some((seat, found)) = seat_of(&sealed)
                    && found == class
                {
                    seats.push(seat);
                    gone.remove(key);
                }
            }
        }
        seats.dedup();
        self.slots().destroy(&seats, &[class]).map_err(|error| error.to_string())?;
        self.notices.apply(gone)?;
        if let Some(last) = last {
            self.marks.insert(mark, [&last[..], &[0]].concat())?;
        }
        Ok(looked_at)
    }

    /// Looks for classes that are too old in all calls again.
    pub(super) fn look_again(&self) -> Result<(), String> {
        for class in Class::ALL {
            self.marks.remove(mark_of(class))?;
        }
        self.look_at_reels_again()
    }

    /// Removes ended calls: what waits to be told of them, their keys, then what they sealed, their lines, and their names in the indexes.
    pub(super) fn forget(&self, places: &[Place]) -> Result<(), String> {
        self.forget_parcels(&places.iter().map(name_in).collect())?;
        places.chunks(TOGETHER_MAX).try_for_each(|places| self.forget_together(places))
    }

    fn forget_together(&self, places: &[Place]) -> Result<(), String> {
        let (mut seats, mut notices) = (Vec::new(), Batch::default());
        for place in places {
            for entry in self.notices.scan_prefix(&name_in(place)) {
                let (key, sealed) = entry?;
                seats.extend(seat_of(&sealed).map(|(seat, _)| seat));
                notices.remove(key);
            }
            let line = self.calls.get(place)?;
            seats.extend(line.and_then(|line| seat_of(&line)).map(|(seat, _)| seat));
            seats.extend(self.seat_of_reel(&name_in(place))?);
            seats.dedup();
        }
        self.slots().destroy(&seats, &Class::ALL).map_err(|error| error.to_string())?;
        self.notices.apply(notices)?;
        self.unnote_reels(places.iter().map(name_in))?;
        self.site().map_or(Ok(()), |site| site.forget_facts(places))?;
        for place in places {
            self.unindex(&name_in(place))?;
            self.facts.remove(place)?;
            self.calls.remove(place)?;
        }
        Ok(())
    }
}

/// The name in a call's place.
pub(super) fn name_in(place: &Place) -> CallName {
    *place.last_chunk().expect("a place ends with a name")
}

/// Where it is noted up to which call a class was forgotten.
fn mark_of(class: Class) -> &'static [u8] {
    match class {
        Class::Record => b"records forgotten to",
        Class::Words => b"words forgotten to",
        Class::Timeline => b"timelines forgotten to",
    }
}
