//! Where a stage is played: the machine, the build, and how much else the processors had to do meanwhile.

use std::io;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

use super::section::Conditions;
use crate::load::Process;

/// USER_HZ: what the kernel shows to programs, 100 on every Linux of today.
const TICKS_PER_SECOND: f64 = 100.0;

/// Takes note of a stage's conditions from its beginning to its end.
pub(super) struct Watch {
    began: Instant,
    busy: f64,
    ours: Duration,
    conditions: Conditions,
}

impl Watch {
    pub(super) fn begin(program: &Path, processors: &Processors) -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let conditions = Conditions {
            began: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
            machine: machine(&read("/proc/cpuinfo"), &read("/proc/meminfo"), &read("/proc/sys/kernel/osrelease")),
            build: build(program),
            processors: processors.to_string(),
            load: [load_average(), 0.0],
            ..Conditions::default()
        };
        Watch { began: Instant::now(), busy: busy_seconds(&read("/proc/stat")), ours: own_cpu(), conditions }
    }

    /// `server_cpu`: what the servers of this stage took altogether.
    pub(super) fn end(self, server_cpu: Duration) -> Conditions {
        let seconds = self.began.elapsed().as_secs_f64();
        let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
        let ours = own_cpu().saturating_sub(self.ours) + server_cpu;
        let others = busy_seconds(&stat) - self.busy - ours.as_secs_f64();
        Conditions {
            seconds,
            load: [self.conditions.load[0], load_average()],
            others_cores: (others / seconds.max(0.001)).max(0.0),
            ..self.conditions
        }
    }
}

fn own_cpu() -> Duration {
    Process::own().usage().map(|usage| usage.cpu).unwrap_or_default()
}

/// Time in which processors did anything, since the machine began (proc(5)): all but idle and waiting for disks.
fn busy_seconds(stat: &str) -> f64 {
    let fields = stat.lines().next().unwrap_or_default().split_whitespace().skip(1);
    // The last two are guests', which count as user already.
    let ticks = fields.take(8).enumerate().filter(|(n, _)| ![3, 4].contains(n));
    ticks.filter_map(|(_, ticks)| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS_PER_SECOND
}

fn load_average() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().and_then(|load| load.parse().ok()).unwrap_or_default()
}

fn machine(cpuinfo: &str, meminfo: &str, release: &str) -> String {
    let value = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let model = value(cpuinfo, "model name").unwrap_or_else(|| "a processor without a name".to_owned());
    let count = cpuinfo.lines().filter(|line| line.starts_with("processor")).count();
    let kilobytes = value(meminfo, "MemTotal").and_then(|total| total.split_whitespace().next()?.parse::<f64>().ok());
    let memory = kilobytes.unwrap_or_default() / 1_048_576.0;
    format!("{model}, {count} processors, {memory:.0} GiB, Linux {}", release.trim())
}

/// The version that the program tells, where it was built, and what its file hashes to.
fn build(program: &Path) -> String {
    let output = Command::new(program).arg("--version").output();
    let version = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default();
    let kind = program.parent().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    let digest = std::fs::read(program).map(|bytes| {
        let digest = ring::digest::digest(&ring::digest::SHA256, &bytes);
        digest.as_ref().iter().take(6).map(|octet| format!("{octet:02x}")).collect::<String>()
    });
    format!("{version}, {} build, SHA-256 {}…", kind.unwrap_or_default(), digest.unwrap_or_default())
}

/// Which processors are whose.
#[derive(Debug, Clone, Default)]
pub(super) struct Processors {
    /// Those that the server may use; all, when there is but one.
    server: Vec<usize>,
    phones: Vec<usize>,
}

impl Processors {
    /// The first half for the server, the others for the telephones.
    pub(super) fn divided() -> io::Result<Self> {
        let ours = sched_getaffinity(Pid::from_raw(0))?;
        let all: Vec<usize> = (0..CpuSet::count()).filter(|n| ours.is_set(*n).unwrap_or(false)).collect();
        if all.len() < 2 {
            return Ok(Processors { server: all.clone(), phones: all });
        }
        let (server, phones) = all.split_at(all.len() / 2);
        Ok(Processors { server: server.to_vec(), phones: phones.to_vec() })
    }

    /// All for both: where nothing is said of how many calls a processor carries.
    pub(super) fn shared(&self) -> Self {
        let mut all = [self.server.as_slice(), &self.phones].concat();
        all.sort_unstable();
        all.dedup();
        Processors { server: all.clone(), phones: all }
    }

    /// How many are the server's.
    pub(super) fn of_server(&self) -> usize {
        self.server.len()
    }

    /// From now on this thread, and what it starts, runs on the server's.
    pub(super) fn be_server(&self) -> io::Result<()> {
        stay_on(&self.server)
    }

    /// From now on this thread, and what it starts, runs on the telephones'.
    pub(super) fn be_phones(&self) -> io::Result<()> {
        stay_on(&self.phones)
    }
}

fn stay_on(processors: &[usize]) -> io::Result<()> {
    let mut set = CpuSet::new();
    processors.iter().try_for_each(|n| set.set(*n))?;
    Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
}

impl std::fmt::Display for Processors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "server on processors {:?}, telephones on {:?}", self.server, self.phones)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_in_words() {
        let cpuinfo = "processor\t: 0\nmodel name\t: Fast One\n\nprocessor\t: 1\nmodel name\t: Fast One\n";
        let expected = "Fast One, 2 processors, 24 GiB, Linux 6.1";
        assert_eq!(machine(cpuinfo, "MemTotal:       25165824 kB\n", "6.1\n"), expected);
    }

    #[test]
    fn idle_processors_are_not_busy() {
        assert_eq!(busy_seconds("cpu  100 20 30 4000 500 6 7 8 90 10\ncpu0 1\n"), 1.71);
        assert_eq!(busy_seconds(""), 0.0);
    }
}
