//! The server of the demo: the same program as a process of its own, with a configuration made for loopback.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::api::Door;
use crate::cli::Failure;
use crate::hexadecimal::hexadecimal;

/// How long the server may take to be ready: it reads a model and opens sockets.
const READY_WITHIN: Duration = Duration::from_secs(20);
/// How long the API may take to answer; a reload may take ten seconds.
const ANSWERED_WITHIN: Duration = Duration::from_secs(15);
/// The longest answer of the API that is read.
const BODY_BYTES_MAX: u64 = 4 << 20;
/// How long it may take to end.
const ENDED_WITHIN: Duration = Duration::from_secs(10);
/// How long calls that are still up are let be.
const AGAIN_AFTER: Duration = Duration::from_millis(500);
/// The exit code of a server that has cut calls which were still up.
const CALLS_CUT: i32 = 4;

/// Where everybody is on loopback.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    /// The server's SIP socket.
    pub sip: SocketAddr,
    /// The server's HTTP socket.
    pub web: SocketAddr,
    /// The bot's phone.
    pub bot: SocketAddr,
    /// The human's phone.
    pub human: SocketAddr,
}

impl Addresses {
    /// Free ports, as the system gives them.
    ///
    /// # Errors
    /// When loopback has none.
    pub fn find() -> Result<Self, Failure> {
        let failed = |error: std::io::Error| Failure::of("finding free ports on loopback", error);
        // All are held until the last one is found, so that no two are the same.
        let udp = || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed);
        let (sip, bot, human) = (udp()?, udp()?, udp()?);
        let web = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
        Ok(Self {
            sip: sip.local_addr().map_err(failed)?,
            web: web.local_addr().map_err(failed)?,
            bot: bot.local_addr().map_err(failed)?,
            human: human.local_addr().map_err(failed)?,
        })
    }
}

/// What the server is started with.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where everybody is.
    pub addresses: Addresses,
    /// The text of `calmline.toml`.
    pub configuration: String,
    /// Keeps other plans on this machine from the same RTP ports.
    claim: Arc<UdpSocket>,
}

/// Where the RTP ranges of plans lie: below the ports that systems give out by themselves.
const RTP_FIRST: u16 = 12_000;
/// Ports of one range.
const RTP_PORTS: u16 = 200;
/// How many ranges there are.
const RTP_RANGES: u16 = 100;
/// Ranges that this process has asked for.
static RANGES_ASKED: AtomicU16 = AtomicU16::new(0);

/// A range of RTP ports that nobody else has a claim to: its first port, and the claim, which is the port before it.
fn claim_ports() -> Result<(u16, Arc<UdpSocket>), Failure> {
    let start = std::process::id() as u16 % RTP_RANGES + RANGES_ASKED.fetch_add(1, Ordering::Relaxed) % RTP_RANGES;
    let claim = |step: u16| {
        let claimed = RTP_FIRST + (start + step) % RTP_RANGES * RTP_PORTS + 1;
        Some((claimed + 1, Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, claimed)).ok()?)))
    };
    (0..RTP_RANGES).find_map(claim).ok_or_else(|| Failure::Failed("loopback has no free range of RTP ports".into()))
}

impl Plan {
    /// The demo's plan on free ports: one route to the bot, the human as second target, the shipped policy. Whatever else
    /// the machine does, no call is refused for its load.
    ///
    /// # Errors
    /// When loopback has no free ports.
    pub fn for_loopback() -> Result<Self, Failure> {
        let addresses = Addresses::find()?;
        let Addresses { sip, web, bot, human, .. } = addresses;
        let (first, claim) = claim_ports()?;
        let last = first + RTP_PORTS - 4;
        let configuration = format!(
            "[sip]\nlisten = \"{sip}\"\n\n\
             [media]\naddress = \"127.0.0.1\"\nports = \"{first}-{last}\"\n\n\
             [web]\nlisten = \"{web}\"\ntoken_env = \"CALMLINE_TOKEN\"\n\n\
             [listening]\nenabled = true\n\n\
             [limits.overload]\nenabled = false\n\n\
             [policy]\nfolder = \"policies\"\nprompts = \"prompts\"\n\n\
             [targets.bot]\nuri = \"sip:bot@{bot}\"\n\n\
             [targets.human]\nuri = \"sip:human@{human}\"\n\n\
             [[route]]\nname = \"support\"\nmatch = {{ request_uri = \"sip:support@*\" }}\n\
             targets = [\"bot\"]\nscenario = \"after-sales\"\n"
        );
        Ok(Self { addresses, configuration, claim })
    }
}

/// The running server.
pub struct Server {
    child: Child,
    /// Where everybody is.
    pub addresses: Addresses,
    /// The API's token.
    pub token: String,
    /// Held as long as the server may use the ports.
    _claim: Arc<UdpSocket>,
}

/// Files of the demo's configuration, by name.
const FILES: [(&str, &[u8]); 3] = [
    ("policies/after-sales.toml", include_bytes!("../../config/policies/after-sales.toml")),
    ("prompts/sorry-transfer.wav", include_bytes!("../../config/prompts/sorry-transfer.wav")),
    ("prompts/please-wait.wav", include_bytes!("../../config/prompts/please-wait.wav")),
];

impl Server {
    /// Writes the configuration under `out`, starts `program` as the server and waits until it is ready.
    /// `extra` are further arguments of `calmline serve`.
    ///
    /// # Errors
    /// When a file cannot be written, or the server does not get ready; its log is named then.
    pub fn start(program: &Path, out: &Path, plan: &Plan, extra: &[&str]) -> Result<Self, Failure> {
        let mut command = Command::new(program);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        Server::start_by(command, out, plan, extra)
    }

    /// The same by another command, which gets the arguments of the program.
    ///
    /// # Errors
    /// As above.
    pub fn start_by(mut command: Command, out: &Path, plan: &Plan, extra: &[&str]) -> Result<Self, Failure> {
        let token = token()?;
        let config = write_files(out, &plan.configuration)?;
        let log = out.join("server.log");
        let log_file = File::create(&log).map_err(|error| Failure::of(log.display(), error))?;
        let child = command
            .arg("serve")
            .arg("--config")
            .arg(&config)
            .args(extra)
            .env("CALMLINE_TOKEN", &token)
            .stderr(log_file)
            .spawn()
            .map_err(|error| Failure::of("starting the server", error))?;

        let mut server = Self { child, addresses: plan.addresses, token, _claim: Arc::clone(&plan.claim) };
        server.wait_until_ready().map_err(|why| Failure::Failed(format!("{why}; its log is {}", log.display())))?;
        Ok(server)
    }

    /// Waits until the server hears words.
    ///
    /// # Errors
    /// When it does not in time.
    pub fn wait_for_words(&self) -> Result<(), Failure> {
        let since = Instant::now();
        while since.elapsed() < READY_WITHIN {
            if get(self.addresses.web, "/readyz", &self.token)?.contains("\"words\":\"up\"") {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(50));
        }
        Err(Failure::Failed(format!("the server heard no words within {} s", READY_WITHIN.as_secs())))
    }

    /// The process id, for measuring.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The server's counters of calls and of what was done to them, as `/metrics` shows them.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn metrics(&self) -> Result<BTreeMap<String, f64>, Failure> {
        let text = get(self.addresses.web, "/metrics", &self.token)?;
        let sample = |line: &str| {
            let (name, value) = line.rsplit_once(' ')?;
            let counted = COUNTED.iter().any(|counter| name.starts_with(counter));
            Some((name.to_owned(), value.parse().ok()?)).filter(|_| counted)
        };
        Ok(text.lines().filter_map(sample).collect())
    }

    /// Tells the server to end, as an operator would.
    pub fn signal(&self) {
        // One that has ended already needs no telling.
        let _ = kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM);
    }

    /// Ends the process as a crash would: it says goodbye to nobody.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits until the server, which has been told to end, has done so.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn wait(&mut self) -> Result<ExitStatus, Failure> {
        let late = || Failure::Failed(format!("the server did not end within {} s", ENDED_WITHIN.as_secs()));
        self.ended_within(ENDED_WITHIN)?.ok_or_else(late)
    }

    /// Ends the server at once, calls or not, and waits for it.
    ///
    /// # Errors
    /// When it does not end in time, or with anything but success or calls that were cut.
    pub fn stop(mut self) -> Result<(), Failure> {
        self.signal();
        if self.ended_within(AGAIN_AFTER)?.is_none() {
            // Calls that are up have their time: the second signal takes it from them.
            self.signal();
        }
        let status = self.wait()?;
        if status.success() || status.code() == Some(CALLS_CUT) {
            return Ok(());
        }
        Err(Failure::Failed(format!("the server ended with {status}")))
    }

    fn ended_within(&mut self, span: Duration) -> Result<Option<ExitStatus>, Failure> {
        let since = Instant::now();
        while since.elapsed() < span {
            match self.child.try_wait() {
                Ok(None) => thread::sleep(Duration::from_millis(20)),
                ended => return ended.map_err(|error| Failure::of("waiting for the server", error)),
            }
        }
        Ok(None)
    }

    fn wait_until_ready(&mut self) -> Result<(), String> {
        let since = Instant::now();
        while since.elapsed() < READY_WITHIN {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("the server ended with {status} before it was ready"));
            }
            if is_ready(self.addresses.web) {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(50));
        }
        Err(format!("the server was not ready within {} s", READY_WITHIN.as_secs()))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // After a failure nothing of the demo stays behind; after `stop` there is nothing left to end.
        self.kill();
    }
}

/// Metrics that the demo shows, by the beginning of their names.
const COUNTED: [&str; 6] = [
    "calmline_calls_started_total",
    "calmline_calls_ended_total",
    "calmline_decisions_total",
    "calmline_prompts_total",
    "calmline_reroutes_total",
    "calmline_alerts_total",
];

/// Asks the API for something; the answer's body.
///
/// # Errors
/// When the server does not answer with 200.
pub fn get(web: SocketAddr, path: &str, token: &str) -> Result<String, Failure> {
    match ask(web, ("GET", path), "", token)? {
        (200, body) => Ok(body),
        (status, _) => Err(Failure::Failed(format!("GET {path}: found {status}, expected 200"))),
    }
}

/// Asks the API for something, or orders it; `json` is the body, empty: none. The status of the answer, and its body.
///
/// # Errors
/// When the server does not answer, or not as HTTP asks.
pub fn ask(
    web: impl Into<Door>,
    (method, path): (&str, &str),
    json: &str,
    token: &str,
) -> Result<(u16, String), Failure> {
    let (status, body) = ask_octets(web, (method, path), json, token, ANSWERED_WITHIN, BODY_BYTES_MAX)?;
    let body = String::from_utf8(body).map_err(|error| Failure::of(format_args!("{method} {path}"), error))?;
    Ok((status, body))
}

/// As [`ask`], for answers that are no text, or take longer than `within`, or have up to `octets_max` octets.
///
/// # Errors
/// As [`ask`], and when the answer is cut off.
pub fn ask_octets(
    web: impl Into<Door>,
    (method, path): (&str, &str),
    json: &str,
    token: &str,
    within: Duration,
    octets_max: u64,
) -> Result<(u16, Vec<u8>), Failure> {
    let failed = |error: std::io::Error| Failure::of(format_args!("{method} {path}"), error);
    let door: Door = web.into();
    let mut stream = door.connect(within).map_err(failed)?;
    let web = door.address;
    let kind = match json.len() {
        0 => String::new(),
        octets => format!("Content-Type: application/json\r\nContent-Length: {octets}\r\n"),
    };
    // HTTP/1.0: the body comes whole and ends with the connection.
    let credentials = format!("Authorization: Bearer {token}");
    let request = format!("{method} {path} HTTP/1.0\r\nHost: {web}\r\n{credentials}\r\n{kind}\r\n{json}");
    stream.write_all(request.as_bytes()).map_err(failed)?;
    let mut answer = Vec::new();
    stream.as_mut().take(octets_max).read_to_end(&mut answer).map_err(failed)?;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(answer.len());
    let body = answer.split_off((end + 4).min(answer.len()));
    let head = String::from_utf8_lossy(&answer).into_owned();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let found = head.lines().next().unwrap_or_default();
    let unexpected = || Failure::Failed(format!("{method} {path}: found {found:?}, expected a status and a body"));
    let status: u16 = status.ok_or_else(unexpected)?;
    let names_length =
        |line: &str| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse::<usize>().ok();
    match head.lines().find_map(names_length) {
        Some(length) if length != body.len() => {
            Err(Failure::Failed(format!("{method} {path}: expected {length} octets, found {}", body.len())))
        }
        _ => Ok((status, body)),
    }
}

fn is_ready(web: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(web) else { return false };
    let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
    let request = format!("GET /readyz HTTP/1.1\r\nHost: {web}\r\nConnection: close\r\n\r\n");
    let mut answer = [0; 12];
    stream.write_all(request.as_bytes()).is_ok() && stream.read_exact(&mut answer).is_ok() && answer.ends_with(b" 200")
}

/// Writes the demo's policy, its prompts and `configuration`; returns the configuration's path.
fn write_files(out: &Path, configuration: &str) -> Result<PathBuf, Failure> {
    let folder = out.join("config");
    for (name, bytes) in FILES {
        write(&folder.join(name), bytes)?;
    }
    let file = folder.join("calmline.toml");
    write(&file, configuration.as_bytes())?;
    Ok(file)
}

pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let parent = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(parent).and_then(|()| fs::write(path, bytes)).map_err(|error| Failure::of(path.display(), error))
}

/// A token that nobody else on the machine can guess.
fn token() -> Result<String, Failure> {
    let mut bytes = [0; 16];
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut bytes)
        .map_err(|_| Failure::Failed("the system gives no random numbers".into()))?;
    Ok(hexadecimal(&bytes))
}
