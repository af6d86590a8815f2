//! Asks the DNS, and remembers what it said for when it is gone (RFC 8767).

use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use tokio::time::timeout;

use super::order::{self, Pointer, Server};
use crate::metrics::Metrics;
use crate::shell::sip::recent::Recent;

/// How long one question may take, its repetitions included.
const ANSWER_WAIT: Duration = Duration::from_millis(2_500);
/// How long a name server may take for one datagram.
const SERVER_WAIT: Duration = Duration::from_millis(1_000);
/// After a question without an answer, for how long what is remembered is used without asking.
const GONE_FOR: Duration = Duration::from_secs(5);
/// A question that fails sooner than this costs nobody time.
const AT_ONCE: Duration = Duration::from_millis(250);
/// How long an answer is remembered beyond its time.
const STALE_MAX: Duration = Duration::from_secs(24 * 3_600);
/// Answers that are kept, and answers that are remembered.
const ANSWERS_MAX: usize = 4_096;
/// Records of one answer.
const RECORDS_MAX: usize = 32;

/// The names of others.
pub(in crate::shell::sip) struct Names {
    resolver: Option<TokioResolver>,
    metrics: Metrics,
    memory: Mutex<Memory>,
}

struct Memory {
    answers: Recent<(String, RecordType), (Vec<RData>, Instant)>,
    gone_until: Option<Instant>,
}

impl Names {
    /// Asks `servers`, or those of the system when there are none.
    pub(in crate::shell::sip) fn new(servers: &[SocketAddr], metrics: Metrics) -> Self {
        let builder = if servers.is_empty() {
            TokioResolver::builder_tokio()
                .inspect_err(|error| tracing::warn!(%error, "no name servers: only addresses"))
        } else {
            let servers = servers.iter().map(|server| name_server(*server)).collect();
            let config = ResolverConfig::from_parts(None, Vec::new(), servers);
            Ok(TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()))
        };
        let resolver = builder.and_then(|mut builder| {
            set(builder.options_mut());
            builder.build()
        });
        let memory = Mutex::new(Memory { answers: Recent::new(ANSWERS_MAX), gone_until: None });
        Self { resolver: resolver.ok(), metrics, memory }
    }

    /// The NAPTR records of a name; none as well when nobody answers.
    pub(super) async fn pointers(&self, name: &str) -> Vec<Pointer> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let pointer = |data| match data {
            RData::NAPTR(record) => Some(Pointer {
                order: record.order,
                preference: record.preference,
                flags: text(&record.flags),
                services: text(&record.services),
                replacement: plain(&record.replacement),
            }),
            _ => None,
        };
        self.records(name, RecordType::NAPTR).await.unwrap_or_default().into_iter().filter_map(pointer).collect()
    }

    /// The SRV records of a name in the order in which they are to be tried; none as well when nobody answers.
    pub(super) async fn servers(&self, name: &str) -> Vec<Server> {
        let server = |data| match data {
            RData::SRV(record) => Some(Server {
                priority: record.priority,
                weight: record.weight,
                port: record.port,
                target: plain(&record.target),
            }),
            _ => None,
        };
        let found = self.records(name, RecordType::SRV).await.unwrap_or_default().into_iter().filter_map(server);
        order::servers(found.collect(), random)
    }

    /// The addresses of a name, IPv4 first: where a machine has no IPv6, it has only names of it.
    ///
    /// # Errors
    /// When there are none, or nobody answers and nothing is remembered.
    pub(super) async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, String> {
        if let Ok(address) = name.parse() {
            return Ok(vec![address]);
        }
        let (v4, v6) = tokio::join!(self.records(name, RecordType::A), self.records(name, RecordType::AAAA));
        let address = |data| match data {
            RData::A(address) => Some(IpAddr::V4(address.0)),
            RData::AAAA(address) => Some(IpAddr::V6(address.0)),
            _ => None,
        };
        let both = v4.as_deref().unwrap_or_default().iter().chain(v6.as_deref().unwrap_or_default());
        let found: Vec<IpAddr> = both.cloned().filter_map(address).collect();
        match (found.is_empty(), v4.and(v6)) {
            (false, _) => Ok(found),
            (true, Ok(_)) => Err(format!("{name}: no address")),
            (true, Err(why)) => Err(format!("{name}: {why}")),
        }
    }

    /// The records of one type: fresh, or remembered when nobody answers.
    async fn records(&self, name: &str, kind: RecordType) -> Result<Vec<RData>, String> {
        let key = (name.to_ascii_lowercase(), kind);
        if self.is_gone() {
            match self.remembered(&key) {
                Some(remembered) => return Ok(remembered),
                // A name that nobody has heard of is asked for by its addresses only, for that takes its time.
                None if [RecordType::NAPTR, RecordType::SRV].contains(&kind) => return Err("no answer".to_owned()),
                None => {}
            }
        }
        let resolver = self.resolver.as_ref().ok_or("no name server")?;
        let asked = Instant::now();
        let why = match timeout(ANSWER_WAIT, resolver.lookup(name, kind)).await {
            Ok(Ok(found)) => {
                let records = found.answers().iter().map(|record| record.data.clone()).take(RECORDS_MAX).collect();
                return Ok(self.remember(key, records));
            }
            // The DNS has answered: there is nothing.
            Ok(Err(error)) if error.is_no_records_found() => return Ok(self.remember(key, Vec::new())),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer to the name query".to_owned(),
        };
        self.metrics.count_dns("failed");
        let remembered = self.remembered(&key);
        // Some networks let no question for pointers through: only where one was once answered does it tell of more.
        let tells_of_more = kind != RecordType::NAPTR || remembered.is_some();
        if tells_of_more && asked.elapsed() >= AT_ONCE {
            self.memory().gone_until = Some(Instant::now() + GONE_FOR);
        }
        remembered.ok_or(why)
    }

    fn is_gone(&self) -> bool {
        self.memory().gone_until.is_some_and(|until| until > Instant::now())
    }

    fn remember(&self, key: (String, RecordType), records: Vec<RData>) -> Vec<RData> {
        let mut memory = self.memory();
        memory.gone_until = None;
        memory.answers.insert(key, (records.clone(), Instant::now()));
        records
    }

    fn remembered(&self, key: &(String, RecordType)) -> Option<Vec<RData>> {
        let mut memory = self.memory();
        let (records, at) = memory.answers.get(key).filter(|(_, at)| at.elapsed() < STALE_MAX)?;
        tracing::debug!(name = key.0, age_s = at.elapsed().as_secs(), "a remembered answer: the DNS is gone");
        let records = records.clone();
        drop(memory);
        self.metrics.count_dns("remembered");
        Some(records)
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn set(options: &mut ResolverOpts) {
    options.timeout = SERVER_WAIT;
    options.attempts = 2;
    options.cache_size = ANSWERS_MAX as u64;
}

fn name_server(address: SocketAddr) -> NameServerConfig {
    let with_port = |mut connection: ConnectionConfig| {
        connection.port = address.port();
        connection
    };
    NameServerConfig::new(
        address.ip(),
        true,
        vec![with_port(ConnectionConfig::udp()), with_port(ConnectionConfig::tcp())],
    )
}

/// The name without the dot at its end.
fn plain(name: &Name) -> String {
    let text = name.to_ascii();
    text.strip_suffix('.').filter(|rest| !rest.is_empty()).map_or(text.clone(), str::to_owned)
}

/// A number below `below`, which is not 0.
fn random(below: u32) -> u32 {
    let mut bytes = [0; 4];
    // Without random numbers the heaviest comes first, which is an order as well.
    let _ = ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut bytes);
    u32::from_be_bytes(bytes) % below.max(1)
}
