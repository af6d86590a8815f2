//! The lab's Asterisk, for tests that have it at hand: started before them, ended after them.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Where it speaks SIP.
pub const ASTERISK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 5060);
/// How long it may take to be gone.
const ENDED_WITHIN: Duration = Duration::from_secs(5);

/// The running Asterisk; ended with this.
pub struct Lab {
    script: PathBuf,
    folder: PathBuf,
}

impl Lab {
    /// Starts it, unless somebody is at one of `ports`, which it and the test need.
    ///
    /// # Errors
    /// Why it cannot be had here.
    pub fn up(ports: &[SocketAddr]) -> Result<Lab, String> {
        let shared = std::env::var_os("CALMLINE_SHARED")
            .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
        let script = shared.join("lab/asterisk.sh");
        if !script.is_file() {
            return Err(format!("no Asterisk lab: {} is not there", script.display()));
        }
        let Some(folder) = std::env::var_os("CALMLINE_ASTERISK_DIR").map(PathBuf::from) else {
            return Err("CALMLINE_ASTERISK_DIR names no folder in which the Asterisk lab may be built".to_owned());
        };
        if !std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0) {
            return Err("the Asterisk lab needs root".to_owned());
        }
        // Somebody else's Asterisk must be neither called nor ended.
        if let Some(taken) = ports.iter().find(|a| UdpSocket::bind(a).is_err()) {
            return Err(format!("the Asterisk lab needs {taken}, which is in use"));
        }
        let lab = Lab { script, folder };
        lab.run("up", &[])?;
        lab.run("cli", &["core waitfullybooted"])?;
        Ok(lab)
    }

    /// Its channels, one a line; what else it says to its console is left out.
    pub fn channels(&self) -> String {
        let said = self.run("cli", &["core show channels concise"]).expect("Asterisk answers");
        said.lines().filter(|line| line.contains('!')).map(|line| format!("{line}\n")).collect()
    }

    fn run(&self, verb: &str, more: &[&str]) -> Result<String, String> {
        let mut command = Command::new("sh");
        command.arg(&self.script).arg(verb).arg(&self.folder).args(more).stdin(Stdio::null());
        let output = command.output().map_err(|error| format!("{}: {error}", self.script.display()))?;
        if !output.status.success() {
            let why = String::from_utf8_lossy(&output.stderr);
            return Err(format!("the Asterisk lab's {verb} ended with {}: {}", output.status, why.trim()));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Err(why) = self.run("down", &[]) {
            println!("{why}");
        }
        // The script does not wait for its end; whoever starts the next one needs the port.
        let end = Instant::now() + ENDED_WITHIN;
        while UdpSocket::bind(ASTERISK).is_err() && Instant::now() < end {
            thread::sleep(Duration::from_millis(50));
        }
    }
}
