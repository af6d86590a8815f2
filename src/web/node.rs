//! `GET /v1/node`: how much the server has to do, and what its machine has left. Which parts work, `/readyz` tells.

use std::path::PathBuf;
use std::sync::LazyLock;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::moment::Moment;
use super::routes::App;
use super::shared::Standing;
use crate::control::{Load, Measured};
use crate::settings::Measure;
use crate::store::Store;

/// When the program began to serve.
static SINCE: LazyLock<Moment> = LazyLock::new(Moment::now);

/// The server and its machine, at one moment.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Node {
    /// By what it is known, where it is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    name: Option<String>,
    version: &'static str,
    /// Since when it serves.
    since: Moment,
    /// Calls and chats that are up.
    calls: usize,
    /// What is done about the load: `normal`; `sparing` (listening is spared); `overloaded` (new calls are refused, too).
    load: &'static str,
    /// What is measured of it, over the last two seconds; `null` before the first time.
    #[schema(required)]
    measured: Option<LoadNow>,
    /// Processors that the program may use.
    processors: usize,
    /// Memory that the program takes, bytes; `null` where the system does not tell.
    #[schema(required)]
    memory_bytes: Option<u64>,
    /// Files and sockets that the program has open; `null` where the system does not tell.
    #[schema(required)]
    files_open: Option<u64>,
    /// Files and sockets that it may have open; `null` where the system does not tell.
    #[schema(required)]
    files_max: Option<u64>,
    /// The disk on which calls are kept; absent where nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    disk: Option<Disk>,
    /// The site's libraries; absent where it is of no site.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    libraries: Option<Standing>,
}

/// What is measured of the load; shares are 0-1.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
struct LoadNow {
    /// Of all processors that the program may use, the share that it takes.
    cpu: f32,
    /// How late 5 % of the media's ticks were, or later, ms.
    lateness_ms: f32,
    /// How full the queue of audio for listening is.
    backlog: f32,
    /// How full the fullest queue of call control is.
    queue: f32,
    /// Of the packets that were to be sent, the share that the system did not take.
    unsent: f32,
}

/// A disk.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
struct Disk {
    /// What is free for the program, bytes.
    free_bytes: u64,
    total_bytes: u64,
}

/// Says that the program serves from now on.
pub(super) fn begin() {
    LazyLock::force(&SINCE);
}

/// `GET /v1/node`.
pub(super) async fn node(State(app): State<App>) -> Json<Node> {
    let (load, measured) = app.readiness.load();
    let calls = app.bus.with_board(|board| board.active().count());
    let folder = app.live.load().store_folder.clone();
    // Disks may hang.
    let machine = tokio::task::spawn_blocking(move || Machine::look(folder)).await.unwrap_or_default();
    Json(Node {
        name: app.bus.node().map(str::to_owned),
        libraries: app.store.as_ref().is_some_and(Store::has_site).then(|| app.shared.standing()),
        version: env!("CARGO_PKG_VERSION"),
        since: *SINCE,
        calls,
        load: load.unwrap_or(Load::Normal).as_str(),
        measured: measured.map(LoadNow::from),
        processors: std::thread::available_parallelism().map_or(1, usize::from),
        memory_bytes: machine.memory_bytes,
        files_open: machine.files_open,
        files_max: machine.files_max,
        disk: machine.disk,
    })
}

impl From<Measured> for LoadNow {
    fn from(measured: Measured) -> Self {
        let share = |measure| measured.of(measure) / 100.0;
        Self {
            cpu: share(Measure::Cpu),
            lateness_ms: measured.of(Measure::Lateness),
            backlog: share(Measure::Backlog),
            queue: share(Measure::Queue),
            unsent: share(Measure::Unsent),
        }
    }
}

/// What the system says of the program.
#[derive(Debug, Default)]
struct Machine {
    memory_bytes: Option<u64>,
    files_open: Option<u64>,
    files_max: Option<u64>,
    disk: Option<Disk>,
}

impl Machine {
    fn look(folder: Option<PathBuf>) -> Self {
        let files = std::fs::read_dir("/proc/self/fd").ok().map(|open| open.count() as u64);
        let disk = folder.and_then(|folder| rustix::fs::statvfs(folder).ok()).map(|disk| Disk {
            free_bytes: disk.f_bavail.saturating_mul(disk.f_frsize),
            total_bytes: disk.f_blocks.saturating_mul(disk.f_frsize),
        });
        Self {
            memory_bytes: std::fs::read_to_string("/proc/self/status").ok().as_deref().and_then(resident),
            files_open: files,
            files_max: rustix::process::getrlimit(rustix::process::Resource::Nofile).current,
            disk,
        }
    }
}

/// Memory that a process takes, as `/proc/PID/status` has it (proc_pid_status(5)), bytes.
fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_or_not_told() {
        assert_eq!(resident("Name:\tcalmline\nVmRSS:\t   1024 kB\nThreads:\t9\n"), Some(1 << 20));
        for status in ["", "VmRSS:", "VmRSS: many kB", "VmRSS: 12"] {
            assert_eq!(resident(status), None, "{status:?}");
        }
        let machine = Machine::look(Some(PathBuf::from("/")));
        assert!(machine.memory_bytes > Some(0) && machine.files_open > Some(2), "{machine:?}");
        assert!(machine.disk.is_some_and(|disk| disk.total_bytes >= disk.free_bytes), "{machine:?}");
    }
}
