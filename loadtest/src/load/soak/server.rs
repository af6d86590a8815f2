//! What a server holds: memory, files, UDP ports from `/proc`, and a few figures of its own from `/metrics`.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use super::super::process::Process;
use super::super::report::Spread;
use super::SoakPlan;
use super::report::{Counts, Sample};
use crate::driver::invalid;

/// How long the server may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// The longest page that is read.
const PAGE_BYTES_MAX: u64 = 4 << 20;

/// A server that is looked at again and again.
pub(super) struct Watched {
    process: Process,
    metrics: Option<(SocketAddr, Option<String>)>,
    csv: Option<File>,
    journal: Option<File>,
}

/// What the telephones tell of the time since the sample before.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Heard {
    pub(super) packets_lost: u64,
    pub(super) latency: Spread,
    pub(super) direct: Spread,
}

impl Watched {
    /// Begins the table and the journal, where there are to be any.
    ///
    /// # Errors
    /// When a file cannot be made, or the server does not show its figures.
    pub(super) fn new(plan: &SoakPlan) -> io::Result<Self> {
        let create = |path: &Option<PathBuf>| path.as_ref().map(File::create).transpose();
        let mut csv = create(&plan.csv)?;
        if let Some(csv) = &mut csv {
            writeln!(csv, "{}", Sample::COLUMNS)?;
        }
        if let Some((address, token)) = &plan.metrics {
            page(*address, token.as_deref())?;
        }
        Ok(Watched {
            process: Process::new(plan.pid),
            metrics: plan.metrics.clone(),
            csv,
            journal: create(&plan.journal)?,
        })
    }

    /// Looks now. Figures of `/metrics` are missing where it does not answer in time: the machine may be busy.
    pub(super) fn sample(&mut self, now: Duration, counts: &Counts, heard: &Heard) -> io::Result<Sample> {
        let usage = self.process.usage()?;
        let page = self.metrics.as_ref().and_then(|(address, token)| page(*address, token.as_deref()).ok());
        let figure = |name: &str| page.as_deref().map(|page| sum(page, name));
        let sample = Sample {
            seconds: now.as_secs_f64(),
            calls: counts.open(),
            ended: counts.ended(),
            rss_kb: usage.rss_bytes / 1_024,
            files: self.process.files()?,
            udp_ports: self.process.udp_ports()?,
            cpu_seconds: usage.cpu.as_secs_f64(),
            server_calls: figure("calmline_calls_active"),
            server_lost: figure("calmline_media_packets_lost_total"),
            server_refused: figure("calmline_media_packets_refused_total"),
            server_tap_dropped: figure("calmline_tap_dropped_packets_total"),
            threads: self.process.threads()?,
            packets_lost: heard.packets_lost,
            latency: heard.latency,
            direct: heard.direct,
        };
        if let Some(csv) = &mut self.csv {
            writeln!(csv, "{}", sample.line())?;
        }
        if let Some(journal) = &mut self.journal {
            writeln!(journal, "{}", serde_json::to_string(&sample)?)?;
        }
        Ok(sample)
    }
}

/// The text of `/metrics` (OpenMetrics), by HTTP/1.0 so that the end of the connection is the end of the page.
fn page(address: SocketAddr, token: Option<&str>) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_MAX)?;
    stream.set_read_timeout(Some(ANSWER_MAX))?;
    let authorization = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    write!(stream, "GET /metrics HTTP/1.0\r\nHost: {address}\r\n{authorization}\r\n")?;
    let mut page = String::new();
    stream.take(PAGE_BYTES_MAX).read_to_string(&mut page)?;
    let status = page.split_whitespace().nth(1).unwrap_or_default();
    if status != "200" { Err(invalid(format!("expected 200 from /metrics, found {status:?}"))) } else { Ok(page) }
}

/// The sum of a metric over all its labels.
pub(crate) fn sum(page: &str, name: &str) -> f64 {
    let values = page.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let value = match rest.strip_prefix('{') {
            Some(labelled) => labelled.rsplit_once('}')?.1,
            None => rest.strip_prefix(' ')?,
        };
        value.split_whitespace().next()?.parse::<f64>().ok()
    });
    // A sum of nothing would be -0.
    values.fold(0.0, |sum, value| sum + value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_summed_by_name() {
        let page = "HTTP/1.0 200 OK\r\n\r\n# HELP a b\na 3\na{x=\"}\"} 4\na_total 9\na{y=\"1\"} 0.5 123\nab 7\n";
        assert!((sum(page, "a") - 7.5).abs() < 1e-9);
        assert!(sum(page, "c").abs() < 1e-9);
    }
}
