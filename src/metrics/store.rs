//! What is kept, and what is lost, as figures.

use super::Metrics;
use super::table::{AUDIT_ENTRIES, STORE_BYTES, STORE_NOTICES, STORE_REMOVED, STORE_UP};

impl Metrics {
    /// Whether calls and the audit trail are written.
    pub fn set_store_up(&self, up: bool) {
        self.gauge(&STORE_UP, &[]).set(f64::from(u8::from(up)));
    }

    /// What the kept calls take on disk.
    pub fn set_store_bytes(&self, bytes: u64) {
        self.gauge(&STORE_BYTES, &[]).set(bytes as f64);
    }

    /// Notices of calls that were kept.
    pub fn count_store_kept(&self, notices: usize) {
        self.count(&STORE_NOTICES, &["kept"], notices as u64);
    }

    /// Notices of calls that were not kept.
    pub fn count_store_dropped(&self, notices: usize) {
        self.count(&STORE_NOTICES, &["dropped"], notices as u64);
    }

    /// Calls that were removed for their age.
    pub fn count_store_removed(&self, calls: usize) {
        self.count(&STORE_REMOVED, &[], calls as u64);
    }

    /// Audit entries that the disk has.
    pub fn count_audit_written(&self, entries: usize) {
        self.count(&AUDIT_ENTRIES, &["written"], entries as u64);
    }

    /// Audit entries that it will never have.
    pub fn count_audit_lost(&self, entries: usize) {
        self.count(&AUDIT_ENTRIES, &["lost"], entries as u64);
    }

    /// Somebody acted before the disk had the entry.
    pub fn count_audit_late(&self) {
        self.count(&AUDIT_ENTRIES, &["late"], 1);
    }
}
