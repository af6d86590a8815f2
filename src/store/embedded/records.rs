//! Ended calls of a time, whole, one after the other.

use super::forget::name_in;
use super::{Embedded, Place};
use crate::report::CallFacts;
use crate::web::{CallRecord, Moment};

impl Embedded {
    /// Tells the ended calls, and what reports know of each, that started from `from` on and before `before`, oldest first; those whose keys are gone are passed over.
    ///
    /// # Errors
    /// When the store cannot be read, or what it holds cannot be opened, and the first error of `each`.
    pub fn records(
        &self,
        from: Moment,
        before: Moment,
        each: &mut dyn FnMut(&CallRecord, &CallFacts) -> Result<(), String>,
    ) -> Result<(), String> {
        let (from, before) = (from.0.to_be_bytes(), before.0.to_be_bytes());
        for place in self.calls.keys(&from, Some(&before)) {
            let Ok(place) = Place::try_from(place?) else { continue };
            if let Some(record) = self.fold(&name_in(&place))?.record {
                each(&record, &self.facts_of(&place, &record)?)?;
            }
        }
        Ok(())
    }

    /// What reports know of a call: as it was when it ended, for the record may have less by now.
    fn facts_of(&self, place: &Place, record: &CallRecord) -> Result<CallFacts, String> {
        let Some(mut facts) = self.kept_facts(place)? else { return Ok(CallFacts::from(record)) };
        facts.tell_outcomes(record);
        Ok(facts)
    }
}
