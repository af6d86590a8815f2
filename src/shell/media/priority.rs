//! What a media thread comes before on a busy machine.

use thread_priority::unix::{set_thread_priority_and_policy, thread_native_id};
use thread_priority::{Error, RealtimeThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy};

/// The scheduling class of the media threads (sched(7)).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MediaPriority {
    /// Before all ordinary threads of the machine, by `SCHED_RR` at its lowest priority; ordinary where the system does
    /// not permit it (`CAP_SYS_NICE`, or `RLIMIT_RTPRIO` of at least 1).
    #[default]
    Realtime,
    /// One thread among others.
    Normal,
}

impl MediaPriority {
    /// Gives the calling thread this priority.
    ///
    /// # Errors
    /// When the system does not permit it; the thread stays as it was.
    pub(super) fn take(self) -> Result<(), Error> {
        match self {
            Self::Normal => Ok(()),
            Self::Realtime => {
                let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::RoundRobin);
                let lowest = ThreadPriority::Crossplatform(LOWEST.try_into().expect("it is a priority"));
                set_thread_priority_and_policy(thread_native_id(), lowest, policy)
            }
        }
    }
}

/// Of the priorities of `SCHED_RR`, 1-99.
const LOWEST: u8 = 1;
