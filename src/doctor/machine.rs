//! The machine itself: limits of the process, the kernel's buffers and ports, processors, the clock.

use std::fs;
use std::process::{Command, Stdio};

use nix::sys::resource::{Resource, getrlimit};

use super::Finding;
use crate::settings::Settings;
use crate::shell::media::{MediaPriority, RECEIVE_BUFFER_BYTES};

/// Files of everything but media sockets: signalling, API, store, models, log.
const FILES_BESIDE: u64 = 500;
/// Ports of a leg: one, by which RTP and RTCP go (RFC 5761), or one for each.
const FILES_PER_LEG: u64 = 2;
/// `CAP_SYS_NICE` among the capabilities of a process (capabilities(7)).
const CAP_SYS_NICE: u64 = 1 << 23;

/// What there is; `None` where the system does not tell.
#[derive(Debug, Clone, Default)]
pub(super) struct Machine {
    /// Files that a process may open at most: a server takes all of them.
    pub(super) files: Option<u64>,
    /// Who the installed service is, where this is looked at as root and the service is somebody else.
    pub(super) service_user: Option<String>,
    /// Whether threads may run in real time.
    pub(super) realtime: Option<bool>,
    /// `net.core.rmem_max`, bytes.
    pub(super) receive_buffer: Option<u64>,
    /// Datagrams that found no room in a socket, since the machine started.
    pub(super) datagrams_lost: Option<u64>,
    /// The ports that the kernel gives to whoever asks for any.
    pub(super) ephemeral: Option<(u16, u16)>,
    /// Ports that it keeps back from that.
    pub(super) reserved: Vec<(u16, u16)>,
    pub(super) processors: usize,
    /// Whether the clock follows a server of time.
    pub(super) synchronised: Option<bool>,
    /// What the kernel reads the time from.
    pub(super) clock_source: Option<String>,
    /// How processors change their speed.
    pub(super) governor: Option<String>,
}

impl Machine {
    /// Asks the system.
    pub(super) fn read() -> Self {
        let own = fs::read_to_string("/proc/self/status").ok();
        let rtprio = getrlimit(Resource::RLIMIT_RTPRIO).ok().map(|(soft, _)| soft >= 1);
        let nice = own.as_deref().and_then(capabilities).map(|held| held & CAP_SYS_NICE != 0);
        Self {
            files: getrlimit(Resource::RLIMIT_NOFILE).ok().map(|(_, hard)| hard),
            service_user: rustix::process::geteuid().is_root().then(service_user).flatten(),
            realtime: rtprio.zip(nice).map(|(may, can)| may || can),
            receive_buffer: said("/proc/sys/net/core/rmem_max").and_then(|text| text.parse().ok()),
            datagrams_lost: fs::read_to_string("/proc/net/snmp").ok().as_deref().and_then(receive_errors),
            ephemeral: said("/proc/sys/net/ipv4/ip_local_port_range").as_deref().and_then(two),
            reserved: said("/proc/sys/net/ipv4/ip_local_reserved_ports").map(|text| ranges(&text)).unwrap_or_default(),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            synchronised: synchronised(),
            clock_source: said("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
            governor: said("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        }
    }
}

/// Looks at what the machine gives a server with these settings.
pub(super) fn look(machine: &Machine, settings: &Settings) -> Vec<Finding> {
    [
        Some(user(machine)),
        files(machine, settings),
        realtime(machine, settings),
        receive_buffer(machine),
        datagrams(machine),
        ephemeral(machine, settings),
        processors(machine, settings),
        clock(machine),
        clock_source(machine),
        governor(machine),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Root may read and write what the service may not.
fn user(machine: &Machine) -> Finding {
    let what = "user";
    match &machine.service_user {
        None => Finding::ok(what, "what may be read and written here is what the server may"),
        Some(user) => Finding::warn(
            what,
            format!("root, while the service runs as {user}: files, limits and variables are judged as root has them"),
            "calmline-as-service doctor --config FILE, or sudo -u with the service's limits and environment",
        ),
    }
}

fn files(machine: &Machine, settings: &Settings) -> Option<Finding> {
    let what = "open files";
    let allowed = machine.files?;
    let needed = settings.legs_max() as u64 * FILES_PER_LEG + settings.sip.connections as u64 + FILES_BESIDE;
    let found = format!("{allowed} allowed, {needed} needed for {} calls", settings.limits.calls);
    if allowed >= needed {
        return Some(Finding::ok(what, found));
    }
    let limits = "the hard limit, in /etc/security/limits.conf:";
    let mend = format!("LimitNOFILE={needed} in the systemd unit, or {limits} {needed}; or fewer limits.calls");
    Some(Finding::fail(what, found, mend))
}

fn realtime(machine: &Machine, settings: &Settings) -> Option<Finding> {
    let what = "priority of media threads";
    if settings.media.priority == MediaPriority::Normal {
        return Some(Finding::ok(what, "normal, as configured"));
    }
    Some(match machine.realtime? {
        true => Finding::ok(what, "real time is permitted here"),
        false => Finding::warn(
            what,
            "real time is not permitted here: on a busy machine audio waits for other programs",
            "LimitRTPRIO=20 in the systemd unit, or CAP_SYS_NICE; or media.priority = \"normal\"",
        ),
    })
}

fn receive_buffer(machine: &Machine) -> Option<Finding> {
    let (what, needed) = ("receive buffer", RECEIVE_BUFFER_BYTES as u64);
    let given = machine.receive_buffer?;
    let found = format!("net.core.rmem_max is {given} bytes");
    Some(if given >= needed {
        Finding::ok(what, found)
    } else {
        let mend = format!("sysctl -w net.core.rmem_max={needed}, and in /etc/sysctl.d/");
        Finding::warn(what, format!("{found}; media sockets ask for {needed}"), mend)
    })
}

fn datagrams(machine: &Machine) -> Option<Finding> {
    let what = "datagrams lost by full buffers";
    Some(match machine.datagrams_lost? {
        0 => Finding::ok(what, "none since the machine started"),
        lost => Finding::warn(
            what,
            format!("{lost} since the machine started, by whatever program"),
            "when it grows while calls are up: more media.threads, a larger net.core.rmem_max, or fewer calls",
        ),
    })
}

fn ephemeral(machine: &Machine, settings: &Settings) -> Option<Finding> {
    let what = "ports of RTP and of the kernel";
    let (first, last) = machine.ephemeral?;
    let rtp = settings.media.ports;
    let shared = (rtp.first.max(first), rtp.last.min(last));
    let is_reserved = |port: u16| machine.reserved.iter().any(|(first, last)| (*first..=*last).contains(&port));
    if shared.0 > shared.1 || (shared.0..=shared.1).all(is_reserved) {
        return Some(Finding::ok(what, format!("media.ports {}-{} are given to nobody else", rtp.first, rtp.last)));
    }
    Some(Finding::warn(
        what,
        format!("the kernel may give {}-{} to other programs", shared.0, shared.1),
        format!("sysctl -w net.ipv4.ip_local_reserved_ports={}-{}, and in /etc/sysctl.d/", rtp.first, rtp.last),
    ))
}

fn processors(machine: &Machine, settings: &Settings) -> Option<Finding> {
    let what = "processors";
    let (there, threads) = (machine.processors, settings.media.threads);
    let found = format!("{there}, media threads {threads}");
    if let Some(missing) = settings.media.cpus.iter().find(|cpu| **cpu >= there) {
        let mend = format!("media.cpus names {missing}; the last one here is {}", there.saturating_sub(1));
        return Some(Finding::fail(what, found, mend));
    }
    Some(if threads < there || there == 1 {
        Finding::ok(what, found)
    } else {
        Finding::warn(what, found, "one media thread fewer than processors: who listens and signals needs one, too")
    })
}

fn clock(machine: &Machine) -> Option<Finding> {
    let what = "clock";
    Some(match machine.synchronised {
        Some(true) => Finding::ok(what, "follows a server of time"),
        Some(false) => Finding::warn(
            what,
            "follows no server of time: records, audit and one-time codes go by it",
            "apt-get install chrony, or timedatectl set-ntp true",
        ),
        None => Finding::warn(
            what,
            "nothing here tells whether it follows a server of time",
            "timedatectl should say \"System clock synchronized: yes\"",
        ),
    })
}

fn clock_source(machine: &Machine) -> Option<Finding> {
    let what = "clock source";
    let source = machine.clock_source.as_deref()?;
    Some(match source {
        "hpet" | "acpi_pm" | "jiffies" => Finding::warn(
            what,
            format!("{source}: every look at the time is a call of the kernel"),
            "tsc or kvm-clock, where the processor's is steady: see dmesg for why it is not used",
        ),
        _ => Finding::ok(what, source),
    })
}

fn governor(machine: &Machine) -> Option<Finding> {
    let what = "speed of processors";
    let governor = machine.governor.as_deref()?;
    Some(match governor {
        "powersave" => Finding::warn(
            what,
            "powersave: packets wait for a processor that wakes up slowly",
            "cpupower frequency-set -g performance",
        ),
        _ => Finding::ok(what, governor),
    })
}

/// A file's text without what surrounds it; `None` when there is none.
fn said(path: &str) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

/// The effective capabilities in `/proc/self/status` (proc(5)).
pub(super) fn capabilities(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

/// `RcvbufErrors` of UDP in `/proc/net/snmp`: a line of names, and one of numbers.
pub(super) fn receive_errors(snmp: &str) -> Option<u64> {
    let mut lines = snmp.lines().filter_map(|line| line.strip_prefix("Udp:"));
    let (names, numbers) = (lines.next()?, lines.next()?);
    let place = names.split_whitespace().position(|name| name == "RcvbufErrors")?;
    numbers.split_whitespace().nth(place)?.parse().ok()
}

/// Two ports with white space between.
pub(super) fn two(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once(char::is_whitespace)?;
    Some((first.trim().parse().ok()?, last.trim().parse().ok()?))
}

/// Ports and ranges of ports with commas between, as `ip_local_reserved_ports` has them; what is none is left out.
pub(super) fn ranges(text: &str) -> Vec<(u16, u16)> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some((first.trim().parse().ok()?, last.trim().parse().ok()?))
    };
    text.split(',').filter_map(range).collect()
}

/// The user of `calmline.service`, where that is installed and is not root's.
fn service_user() -> Option<String> {
    let user = shown_by("systemctl", &["show", "--property=User", "--value", "calmline.service"])?;
    (!user.is_empty() && user != "root").then_some(user)
}

/// What systemd says of the clock; `None` where it is not there to be asked.
fn synchronised() -> Option<bool> {
    match shown_by("timedatectl", &["show", "--property=NTPSynchronized", "--value"])?.as_str() {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

/// What a program of the system shows; `None` where it is not there.
fn shown_by(program: &str, arguments: &[&str]) -> Option<String> {
    let asked = Command::new(program).args(arguments).stderr(Stdio::null()).output().ok()?;
    Some(String::from_utf8_lossy(&asked.stdout).trim().to_owned())
}
