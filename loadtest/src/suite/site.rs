//! A server of a stage's own: configured, started, waited for, watched and stopped.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::machine::Processors;
use crate::driver::invalid;
use crate::load::{Process, Server};

/// How long a server may take until it answers: models are loaded first.
const START_MAX: Duration = Duration::from_secs(60);
/// How long it may take to end.
const STOP_MAX: Duration = Duration::from_secs(20);
/// What opens its API; it listens on loopback for a few minutes.
pub(super) const TOKEN: &str = "load-0123456789abcdef0123";

/// What kind of server a stage needs.
#[derive(Debug, Clone, Default)]
pub(super) struct Wanted {
    /// Calls at a time.
    pub(super) calls: usize,
    /// Its ports for RTP, below those that the system gives out by itself, which the telephones have.
    pub(super) ports: &'static str,
    /// New calls are refused before those that are up are hurt.
    pub(super) refuses: bool,
    /// Callers are listened to.
    pub(super) listens: bool,
    /// The words that are heard as well.
    pub(super) words: Option<Words>,
    /// Calls are kept.
    pub(super) keeps: bool,
    /// Their audio, too.
    pub(super) keeps_audio: bool,
}

/// How words are heard.
#[derive(Debug, Clone)]
pub struct Words {
    /// A folder of recognisers' models, by `calmline models add`.
    pub models: PathBuf,
    /// The list of phrases that are listened for.
    pub phrases: PathBuf,
}

/// Where calls lead to, by the user part of what is called.
pub(super) const TARGETS: [(&str, &str); 5] = [
    ("plain", ""),
    ("human", ""),
    ("srtp", "srtp = \"required\""),
    ("opus", "codecs = [\"opus\"]"),
    ("g722", "codecs = [\"G722\"]"),
];

/// A server that runs.
pub(super) struct Site {
    child: Child,
    sip: SocketAddr,
    /// Its API.
    pub(super) web: SocketAddr,
    callees: [SocketAddr; TARGETS.len()],
}

impl Site {
    /// Starts a server whose files are in `folder`; the processors are those that it may use.
    pub(super) fn start(program: &Path, folder: &Path, wanted: &Wanted, processors: &Processors) -> io::Result<Self> {
        let _ = fs::remove_dir_all(folder);
        fs::create_dir_all(folder.join("policies"))?;
        fs::create_dir_all(folder.join("prompts"))?;
        fs::write(folder.join("policies/load.toml"), POLICY)?;
        write_prompt(&folder.join("prompts/wait.wav"))?;
        let [sip, callees @ ..] = free_udp()?;
        let web = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        fs::write(folder.join("calmline.toml"), configuration(wanted, sip, web, &callees)?)?;
        let log = fs::File::create(folder.join("server.log"))?;
        let mut command = command(&fs::canonicalize(program)?);
        command.arg("serve").arg("--config").arg(folder.join("calmline.toml"));
        command.env("CALMLINE_TOKEN", TOKEN).env("RUST_LOG", "warn").stdin(Stdio::null());
        command.stdout(log.try_clone()?).stderr(log);
        // What is started stays where the thread was that started it.
        processors.be_server()?;
        let child = command.spawn();
        processors.be_phones()?;
        let mut site = Site { child: child?, sip, web, callees };
        site.wait(&folder.join("server.log"))?;
        Ok(site)
    }

    fn wait(&mut self, log: &Path) -> io::Result<()> {
        let end = Instant::now() + START_MAX;
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait()? {
                let said = fs::read_to_string(log).unwrap_or_default();
                let last = said.lines().last().unwrap_or_default();
                return Err(invalid(format!("the server ended with {status}: {last}")));
            }
            if get(self.web, "/readyz").is_ok_and(|answer| answer.starts_with("HTTP/1.0 200")) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Err(invalid(format!("the server is not ready after {} s, see {}", START_MAX.as_secs(), log.display())))
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has taken of the processors since its start.
    pub(super) fn cpu(&self) -> Duration {
        Process::new(self.pid()).usage().map(|usage| usage.cpu).unwrap_or_default()
    }

    /// Calls for one of [`TARGETS`].
    pub(super) fn server(&self, target: &str) -> Server {
        let place = TARGETS.iter().position(|(name, _)| *name == target).unwrap_or_default();
        Server::Sip { server: self.sip, to: format!("sip:{target}@{}", self.sip), callee: self.callees[place] }
    }

    /// Where one of the targets answers.
    pub(super) fn callee(&self, target: &str) -> SocketAddr {
        let place = TARGETS.iter().position(|(name, _)| *name == target).unwrap_or_default();
        self.callees[place]
    }

    /// A figure of its `/metrics`, summed over all labels; zero when there is none.
    pub(super) fn metric(&self, name: &str) -> f64 {
        get(self.web, "/metrics").map(|page| crate::load::sum(&page, name)).unwrap_or_default()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // One that has ended already needs no signal.
        let pid = nix::unistd::Pid::from_raw(self.child.id().cast_signed());
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let end = Instant::now() + STOP_MAX;
        while Instant::now() < end && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command that ends with us, however we end, where util-linux is there.
fn command(program: &Path) -> Command {
    const SETPRIV: &str = "/usr/bin/setpriv";
    if !Path::new(SETPRIV).exists() {
        return Command::new(program);
    }
    let mut command = Command::new(SETPRIV);
    command.args(["--pdeathsig", "TERM", "--"]).arg(program);
    command
}

fn get(web: SocketAddr, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&web, Duration::from_secs(2))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {web}\r\nAuthorization: Bearer {TOKEN}\r\n\r\n")?;
    let mut page = String::new();
    stream.take(PAGE_BYTES_MAX).read_to_string(&mut page)?;
    Ok(page)
}

const PAGE_BYTES_MAX: u64 = 4 << 20;

/// Ports that nobody has now: the server's, and one for each target.
fn free_udp() -> io::Result<[SocketAddr; TARGETS.len() + 1]> {
    let mut found = [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)); TARGETS.len() + 1];
    // All are held until all are found, so that none is found twice.
    let mut held = Vec::new();
    for place in &mut found {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        *place = socket.local_addr()?;
        held.push(socket);
    }
    Ok(found)
}

fn configuration(wanted: &Wanted, sip: SocketAddr, web: SocketAddr, callees: &[SocketAddr]) -> io::Result<String> {
    let Wanted { calls, ports, refuses, listens, words, keeps, keeps_audio } = wanted;
    let mut text = format!(
        "[sip]\nlisten = \"{sip}\"\nrequests_per_s = 5000\n[media]\naddress = \"127.0.0.1\"\nports = \"{ports}\"\n\
         [web]\nlisten = \"{web}\"\ntoken_env = \"CALMLINE_TOKEN\"\n[limits]\ncalls = {calls}\ndrain_s = 0\n\
         [limits.overload]\nenabled = {refuses}\n[policy]\nfolder = \"policies\"\nprompts = \"prompts\"\n"
    );
    if *listens || words.is_some() {
        text += "[listening]\n";
    }
    if let Some(Words { models, phrases }) = words {
        let (models, phrases) = (fs::canonicalize(models)?, fs::canonicalize(phrases)?);
        let (models, phrases) = (models.display(), phrases.display());
        text += &format!("[recognition]\nenabled = true\nmodels = \"{models}\"\nphrases = [\"{phrases}\"]\n");
    }
    if *keeps || *keeps_audio {
        text += "[store]\nenabled = true\n";
    }
    for ((name, more), callee) in TARGETS.iter().zip(callees) {
        text += &format!("[targets.{name}]\nuri = \"sip:{name}@{callee}\"\n{more}\n");
        text += &format!("[[route]]\nname = \"{name}\"\nmatch = {{ request_uri = \"sip:{name}@*\" }}\n");
        text += &format!("targets = [\"{name}\"]\nscenario = \"load\"\n");
        if *keeps_audio {
            text += "keep_audio = true\n";
        }
    }
    Ok(text)
}

/// A second of a tone at 8 kHz.
fn write_prompt(path: &Path) -> io::Result<()> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 8_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(path, spec).map_err(io::Error::other)?;
    for n in 0_u16..8_000 {
        let wave = (std::f32::consts::TAU * 440.0 * f32::from(n) / 8_000.0).sin();
        writer.write_sample((wave * 6_000.0) as i16).map_err(io::Error::other)?;
    }
    writer.finalize().map_err(io::Error::other)
}

/// Key 5 plays a prompt, key 6 brings a human.
const POLICY: &str = r#"name = "load"
version = 1
scenarios = ["load"]
[[rule]]
id = "prompt"
when = { key = "5" }
then = [{ prompt = "wait.wav", mode = "replace" }]
[[rule]]
id = "human"
when = { key = "6" }
then = [{ reroute = "bridge", target = "human" }]
"#;
