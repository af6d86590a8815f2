//! The real Asterisk of the lab: starting it, asking it, ending it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Where it speaks SIP.
pub const ASTERISK: SocketAddr = loopback(5060);
/// How long our side may take to be gone once the call has moved.
pub const SETTLED_WITHIN: Duration = Duration::from_secs(5);

/// The running Asterisk; ended with this.
pub struct Lab {
    script: PathBuf,
    folder: PathBuf,
    /// Nobody else's meanwhile.
    _turn: MutexGuard<'static, ()>,
}

impl Lab {
    /// Starts it with `dialplan` at the end of its own, unless somebody is at one of `ports`, which the test needs.
    ///
    /// # Errors
    /// Why it cannot be had here.
    pub fn up(ports: &[SocketAddr], dialplan: &str) -> Result<Lab, String> {
        Lab::up_with(ports, |name, text| if name == "extensions.conf" { text + dialplan } else { text })
    }

    /// The same with every file of its configuration as `change` makes it of the file's name and text.
    ///
    /// # Errors
    /// Why it cannot be had here.
    pub fn up_with(ports: &[SocketAddr], change: impl Fn(&str, String) -> String) -> Result<Lab, String> {
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
        static TURN: Mutex<()> = Mutex::new(());
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let script = changed(&script, change).map_err(|error| format!("the lab's files: {error}"))?;
        // Somebody else's Asterisk must be neither called nor ended.
        if let Some(taken) = [ASTERISK].iter().chain(ports).find(|a| UdpSocket::bind(a).is_err()) {
            return Err(format!("the Asterisk lab needs {taken}, which is in use"));
        }
        let lab = Lab { script, folder, _turn: turn };
        lab.run("up", &[])?;
        lab.run("cli", &["core waitfullybooted"])?;
        Ok(lab)
    }

    /// Its channels, one a line; what else it says to its console is left out.
    pub fn channels(&self) -> String {
        let said = self.ask("core show channels concise");
        said.lines().filter(|line| line.contains('!')).map(|line| format!("{line}\n")).collect()
    }

    /// What its console says to a command.
    pub fn ask(&self, command: &str) -> String {
        self.run("cli", &[command]).expect("Asterisk answers")
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
        let end = Instant::now() + SETTLED_WITHIN;
        while UdpSocket::bind(ASTERISK).is_err() && Instant::now() < end {
            thread::sleep(Duration::from_millis(50));
        }
    }
}

/// A copy of the lab's script and configuration, each file as `change` makes it.
fn changed(script: &Path, change: impl Fn(&str, String) -> String) -> io::Result<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("lab");
    std::fs::create_dir_all(folder.join("asterisk"))?;
    let original = script.parent().unwrap_or(Path::new("."));
    for file in std::fs::read_dir(original.join("asterisk"))? {
        let file = file?;
        let name = file.file_name();
        let text = change(&name.to_string_lossy(), std::fs::read_to_string(file.path())?);
        std::fs::write(folder.join("asterisk").join(name), text)?;
    }
    let copy = folder.join("asterisk.sh");
    std::fs::write(&copy, std::fs::read(script)?)?;
    Ok(copy)
}

pub const fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}
