//! What a process uses, from `/proc` (proc(5)).

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use crate::driver::invalid;

/// CPU since the process began, and memory now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// User and system time of all threads.
    pub cpu: Duration,
    /// The part of it that threads used whose names begin with `listen`.
    pub listening_cpu: Duration,
    /// Resident memory.
    pub rss_bytes: u64,
}

/// A process of this machine.
#[derive(Debug)]
pub(crate) struct Process {
    pid: u32,
}

impl Process {
    pub(crate) fn new(pid: u32) -> Self {
        Process { pid }
    }

    pub(crate) fn own() -> Self {
        Process::new(std::process::id())
    }

    pub(crate) fn usage(&self) -> io::Result<Usage> {
        let read = |file: &str| std::fs::read_to_string(format!("/proc/{}/{file}", self.pid));
        let ticks = cpu_ticks(&read("stat")?).ok_or_else(|| unreadable("stat"))?;
        let rss_kb = rss_kilobytes(&read("status")?).ok_or_else(|| unreadable("status"))?;
        Ok(Usage {
            cpu: Duration::from_secs_f64(ticks as f64 / TICKS_PER_SECOND),
            listening_cpu: self.threads_cpu("listen")?,
            rss_bytes: rss_kb * 1_024,
        })
    }

    /// Open file descriptors.
    pub(super) fn files(&self) -> io::Result<u64> {
        Ok(std::fs::read_dir(format!("/proc/{}/fd", self.pid))?.count() as u64)
    }

    /// UDP sockets among them.
    pub(super) fn udp_ports(&self) -> io::Result<u64> {
        let mut inodes = BTreeSet::new();
        for table in ["udp", "udp6"] {
            // A system without IPv6 has no second table.
            let text = std::fs::read_to_string(format!("/proc/{}/net/{table}", self.pid)).unwrap_or_default();
            inodes.extend(text.lines().skip(1).filter_map(inode));
        }
        let mut count = 0;
        for file in std::fs::read_dir(format!("/proc/{}/fd", self.pid))? {
            // A file that has just been closed has no name any more.
            let name = file.ok().and_then(|file| std::fs::read_link(file.path()).ok());
            let socket = name.as_deref().and_then(|name| name.to_str()?.strip_prefix("socket:[")?.strip_suffix(']'));
            count +=
                u64::from(socket.and_then(|inode| inode.parse().ok()).is_some_and(|inode| inodes.contains(&inode)));
        }
        Ok(count)
    }

    /// Threads.
    pub(super) fn threads(&self) -> io::Result<u64> {
        Ok(std::fs::read_dir(format!("/proc/{}/task", self.pid))?.count() as u64)
    }

    /// CPU of the threads whose names begin so.
    fn threads_cpu(&self, prefix: &str) -> io::Result<Duration> {
        let mut sum = Duration::ZERO;
        for task in std::fs::read_dir(format!("/proc/{}/task", self.pid))? {
            let read = |file: &str| task.as_ref().ok().and_then(|t| std::fs::read_to_string(t.path().join(file)).ok());
            // A thread that has just ended has no files any more.
            if read("comm").is_some_and(|name| name.starts_with(prefix))
                && let Some(books) = read("schedstat")
            {
                sum += on_cpu(&books).ok_or_else(|| unreadable("schedstat"))?;
            }
        }
        Ok(sum)
    }
}

/// USER_HZ: what the kernel shows to programs, 100 on every Linux of today.
const TICKS_PER_SECOND: f64 = 100.0;

/// Fields 14 and 15; the name in field 2 may contain anything.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

/// The first of the scheduler's three numbers, nanoseconds.
fn on_cpu(books: &str) -> Option<Duration> {
    books.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

/// The tenth field of a line of `/proc/net/udp`.
fn inode(line: &str) -> Option<u64> {
    line.split_whitespace().nth(9)?.parse().ok()
}

fn rss_kilobytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn unreadable(file: &str) -> io::Error {
    invalid(format!("cannot read the process's {file}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields() {
        let stat = "12 (a) b) S 1 12 12 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 3 0 5 6 7";
        assert_eq!(cpu_ticks(stat), Some(300));
        let line = " 1: 0100007F:1388 00000000:0000 07 00000000:00000000 00:00000000 00000000  0  0 4711 2 0 0";
        assert_eq!((inode(line), inode("x")), (Some(4_711), None));
        assert_eq!(rss_kilobytes("VmPeak: 9 kB\nVmRSS:\t   1234 kB\n"), Some(1_234));
        assert_eq!(on_cpu("1500000 20 3\n"), Some(Duration::from_micros(1_500)));
        assert_eq!((cpu_ticks(""), rss_kilobytes("")), (None, None));
    }

    #[test]
    fn ourselves() {
        assert!(Process::own().usage().expect("our own").rss_bytes > 0);
        assert!(Process::own().files().expect("our own") > 2);
        assert!(Process::own().threads().expect("our own") > 0);
        // Other tests of this process have sockets too, but none that come and go.
        let _socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
        assert!(Process::own().udp_ports().expect("our own") > 0);
    }
}
