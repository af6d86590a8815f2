//! The samples of `config/pbx`, as they are: checked, and started with the PBXs that can be had here.
//!
//! Only the addresses are others: those of the samples become addresses of loopback.

#![expect(clippy::print_stdout, reason = "tests tell what they measured and what they skip")]

mod asterisk;
mod kamailio;
#[path = "../lab/asterisk.rs"]
#[expect(dead_code, reason = "other tests ask it more")]
mod lab;
#[path = "../../src/shell/sip/tests/sipp.rs"]
#[expect(dead_code, reason = "other tests have SIPp answer")]
mod runner;
mod samples;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use calmline::demo::server::{Server, get};

/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_calmline");
/// Longer than anything takes on a busy machine.
const LONG: Duration = Duration::from_secs(40);

/// Where the samples are.
fn sample(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config/pbx").join(path)
}

/// A folder of the test's own.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pbx").join(name);
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// Waits until something is so.
#[track_caller]
fn eventually(what: &str, mut so: impl FnMut() -> bool) {
    let end = Instant::now() + LONG;
    while !so() {
        assert!(Instant::now() < end, "not so within {} s: {what}", LONG.as_secs());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The sum of a metric over the lines that begin with `prefix`.
fn metric(server: &Server, prefix: &str) -> f64 {
    let text = get(server.addresses.web, "/metrics", &server.token).expect("metrics");
    let value = |line: &str| line.rsplit_once(' ')?.1.parse::<f64>().ok();
    text.lines().filter(|line| line.starts_with(prefix)).filter_map(value).sum()
}

/// An address of loopback beside 127.0.0.1.
const fn loopback(last: u8, port: u16) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(127, 0, 0, last)), port)
}
