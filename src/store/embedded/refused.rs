//! What was said in a call that is up is forgotten when the caller does not agree that it is kept.

use super::super::slots::{Class, seat_of};
use super::super::trees::Batch;
use super::{CallName, Embedded, Running};

impl Embedded {
    /// Forgets the words of a call that is up, and its kept audio; the words of somebody who is held stay.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub(super) fn forget_words(&self, running: &mut Running, name: &CallName) -> Result<(), String> {
        self.forget_reels(&[*name])?;
        let Some(call) = running.calls.get_mut(name) else { return Ok(()) };
        if self.held_by(name)?.is_some() {
            return Ok(());
        }
        // What comes from now on is sealed by other keys than those that go. Of a tenant that was erased nothing opens anyway.
        let Some(keys) = self.keys_beside(&call.keys)? else { return Ok(()) };
        call.keys = keys;
        let (mut seats, mut gone) = (Vec::new(), Batch::default());
        for entry in self.notices.scan_prefix(name) {
            let (key, sealed) = entry?;
            if let Some((seat, Class::Words)) = seat_of(&sealed) {
                seats.push(seat);
                gone.remove(key);
            }
        }
        seats.dedup();
        self.slots().destroy(&seats, &[Class::Words]).map_err(|error| error.to_string())?;
        self.notices.apply(gone)
    }
}
