//! Pulls business data by the clock: a task for each source, which cleans what comes beside the server's work. They pull one
//! after the other, so that one export at a time takes memory.
//!
//! A pull that fails or brings nothing usable changes nothing: what came before stays, with its age, and the next try comes
//! sooner.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use super::pbx::{client, in_words};
use super::sip::client_by;
use crate::metrics::Metrics;
use crate::pbx::Secret;
use crate::settings::{DatabaseSettings, SecretSource, SourceFormat, SourcePlace, SourceSettings};
use crate::sources::{BYTES_MAX, Customers, Pulled, ROWS_MAX, Rows, csv, json, lines};
use crate::store::Store;
use crate::web::Moment;

/// The pause after the first failure; it doubles, up to the source's own time.
const AGAIN_AFTER: Duration = Duration::from_secs(30);
/// How often it is asked whether another node still pulls, and for how much longer than a pull may take its turn is its own.
const TURN_EVERY: Duration = Duration::from_secs(5);
const SLACK: Duration = Duration::from_secs(10);
/// How often ages are told.
const LOOK_EVERY: Duration = Duration::from_secs(15);

/// The tasks that pull; they end with this.
#[derive(Debug)]
pub struct Pulling(Vec<JoinHandle<()>>);

impl Drop for Pulling {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

/// One source, ready to be pulled.
struct Source {
    name: String,
    settings: SourceSettings,
    way: Way,
}

/// How a source is reached.
enum Way {
    File { path: PathBuf, format: SourceFormat },
    Http { url: String, format: SourceFormat, client: reqwest::Client, authorization: Option<Secret> },
    Database { database: DatabaseSettings, query: String },
}

impl Pulling {
    /// Begins to pull every source, one after the other; none of them has to be there yet.
    ///
    /// # Errors
    /// When a secret or certificates are not to be had.
    pub fn start(
        settings: &BTreeMap<String, SourceSettings>,
        customers: &Customers,
        store: &Store,
        metrics: &Metrics,
    ) -> Result<Pulling, String> {
        let sources = settings.iter().map(|(name, settings)| Source::new(name, settings));
        let sources = sources.collect::<Result<Vec<Source>, String>>()?;
        let mut tasks: Vec<JoinHandle<()>> = Vec::new();
        let turns = Arc::new(Semaphore::new(1));
        for source in sources {
            let turns = Arc::clone(&turns);
            tasks.push(tokio::spawn(source.run(turns, customers.clone(), store.clone(), metrics.clone())));
        }
        if !tasks.is_empty() {
            tasks.push(tokio::spawn(tell_ages(customers.clone(), metrics.clone())));
        }
        Ok(Pulling(tasks))
    }
}

async fn tell_ages(customers: Customers, metrics: Metrics) {
    loop {
        sleep(LOOK_EVERY).await;
        for (name, standing) in customers.standings() {
            metrics.set_source_age(&name, standing.age(Moment::now()));
        }
    }
}

impl Source {
    fn new(name: &str, settings: &SourceSettings) -> Result<Source, String> {
        let failed = |why: String| format!("sources.{name}: {why}");
        let way = match settings.place.clone() {
            SourcePlace::File { path, format } => Way::File { path, format },
            SourcePlace::Http { url, format, authorization, authorities } => {
                let by = client_by(authorities.as_deref()).map_err(|error| failed(error.to_string()))?;
                let authorization = authorization.as_ref().map(SecretSource::fetch).transpose().map_err(failed)?;
                Way::Http { url, format, client: client(&by).map_err(failed)?, authorization }
            }
            SourcePlace::Database { database, query } => Way::Database { database, query },
        };
        Ok(Source { name: name.to_owned(), settings: settings.clone(), way })
    }

    async fn run(self, turns: Arc<Semaphore>, customers: Customers, store: Store, metrics: Metrics) {
        let mut failures = 0_u32;
        loop {
            let turn = turns.acquire().await.expect("the semaphore is never closed");
            self.wait_for_turn(&store).await;
            let outcome = match timeout(self.settings.within, self.pull(&store)).await {
                Ok(outcome) => outcome,
                Err(_) => Err(format!("no answer within {} s", self.settings.within.as_secs())),
            };
            match outcome {
                Ok(pulled) => {
                    failures = 0;
                    metrics.count_pull(&self.name, "taken");
                    metrics.set_source(&self.name, &pulled.tally);
                    info!(source = self.name, rows = pulled.tally.rows, people = pulled.tally.taken, "pulled");
                    // What was there before is let go of here, outside of everybody's way.
                    drop(customers.take(&self.name, pulled, Moment::now()));
                    metrics.set_source_age(&self.name, Some(Duration::ZERO));
                }
                Err(why) => {
                    failures = failures.saturating_add(1);
                    metrics.count_pull(&self.name, "failed");
                    warn!(source = self.name, why, "not pulled: what was known stays");
                    customers.fail(&self.name, &why);
                }
            }
            if let Err(why) = store.give_back(self.lease()).await {
                warn!(source = self.name, why, "other nodes wait until its lease has lapsed");
            }
            drop(turn);
            sleep(pause(failures, self.settings.every)).await;
        }
    }

    /// Waits until no other node of the site pulls the same; whoever does not know pulls all the same.
    async fn wait_for_turn(&self, store: &Store) {
        let lasts = self.settings.within + SLACK;
        while let Ok(false) = store.has_lease(self.lease(), lasts).await {
            sleep(TURN_EVERY).await;
        }
    }

    fn lease(&self) -> String {
        format!("pull/{}", self.name)
    }

    /// What the source says now, cleaned.
    async fn pull(&self, store: &Store) -> Result<Pulled, String> {
        let names = self.settings.mapping.names();
        let read: Box<dyn FnOnce() -> Result<Rows, String> + Send> = match &self.way {
            Way::File { path, format } => {
                let (path, format) = (path.clone(), format.clone());
                Box::new(move || rows(&file(&path)?, &format, &names))
            }
            Way::Http { url, format, client, authorization } => {
                let octets = fetch(client, url, authorization.as_ref()).await?;
                let format = format.clone();
                Box::new(move || rows(&octets, &format, &names))
            }
            Way::Database { database, query } => {
                let found = ask(database, query, self.settings.within).await?;
                Box::new(move || lines(found.iter().map(String::as_str), &names))
            }
        };
        let (mapping, store) = (self.settings.mapping.clone(), store.clone());
        let cleaned = tokio::task::spawn_blocking(move || {
            read().map(|rows| mapping.clean(rows, |address| store.pseudonym(address)))
        });
        let pulled = cleaned.await.map_err(|error| error.to_string())??;
        match pulled.tally.taken {
            0 => Err(format!("found {} rows and nobody in them", pulled.tally.rows)),
            _ => Ok(pulled),
        }
    }
}

/// How long until the next pull.
fn pause(failures: u32, every: Duration) -> Duration {
    match failures.checked_sub(1) {
        None => every,
        Some(before) => AGAIN_AFTER.saturating_mul(1 << before.min(16)).min(every),
    }
}

fn rows(octets: &[u8], format: &SourceFormat, names: &[String]) -> Result<Rows, String> {
    match format {
        SourceFormat::Csv => csv(octets, names),
        SourceFormat::Json(pointer) => json(octets, pointer, names),
    }
}

fn file(path: &Path) -> Result<Vec<u8>, String> {
    let named = |error: std::io::Error| format!("{}: {error}", path.display());
    // First: to open a pipe is to wait for whoever writes into it.
    if !fs::metadata(path).map_err(named)?.is_file() {
        return Err(format!("{}: found no regular file, expected one", path.display()));
    }
    let mut octets = Vec::new();
    // A file may grow while it is read.
    File::open(path).map_err(named)?.take(BYTES_MAX as u64 + 1).read_to_end(&mut octets).map_err(named)?;
    if octets.len() > BYTES_MAX { Err(too_long()) } else { Ok(octets) }
}

/// The body of an answer; redirections are not followed, since secrets would be.
async fn fetch(client: &reqwest::Client, url: &str, authorization: Option<&Secret>) -> Result<Vec<u8>, String> {
    let mut request = client.get(url);
    if let Some(value) = authorization {
        request = request.header("Authorization", value.reveal());
    }
    let mut response = request.send().await.map_err(|error| in_words(&error))?;
    if !response.status().is_success() {
        return Err(format!("it answers {}", response.status()));
    }
    let mut octets = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| in_words(&error))? {
        if octets.len() + chunk.len() > BYTES_MAX {
            return Err(too_long());
        }
        octets.extend_from_slice(&chunk);
    }
    Ok(octets)
}

/// The rows of a query, a JSON object each; the database changes nothing for it, and gives up when we do.
async fn ask(database: &DatabaseSettings, query: &str, within: Duration) -> Result<Vec<String>, String> {
    let bounds = [
        ("default_transaction_read_only", "on".to_owned()),
        ("statement_timeout", format!("{}ms", within.as_millis())),
    ];
    let options = database.options()?.options(bounds).disable_statement_logging();
    let mut connection = PgConnection::connect_with(&options).await.map_err(refusal)?;
    let text = wrapped(query);
    let mut found: Vec<String> = Vec::new();
    let mut octets = 0;
    {
        let mut rows = sqlx::query_scalar::<_, String>(AssertSqlSafe(text)).fetch(&mut connection);
        while let Some(row) = rows.try_next().await.map_err(refusal)? {
            octets += row.len();
            if octets > BYTES_MAX {
                return Err(too_long());
            }
            found.push(row);
        }
    }
    // What was asked has come; a goodbye that does not arrive is missed by nobody.
    let _ = connection.close().await;
    Ok(found)
}

/// A query's rows as JSON, no more than may be taken; a comment at its end ends with its line.
fn wrapped(query: &str) -> String {
    format!("SELECT row_to_json(pulled)::text FROM (\n{query}\n) AS pulled LIMIT {}", ROWS_MAX + 1)
}

/// What went wrong with a database, without its own words: values of rows stand in them.
fn refusal(error: sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(error) => match error.code() {
            Some(code) => format!("the database refuses it: SQLSTATE {code}"),
            None => "the database refuses it, without a code".to_owned(),
        },
        other => other.to_string(),
    }
}

fn too_long() -> String {
    format!("found more than {} MiB", BYTES_MAX >> 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_a_bounded_length_are_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("export.csv");
        std::fs::write(&path, "phone\n1").expect("written");
        assert_eq!(file(&path), Ok(b"phone\n1".to_vec()));
        // Nothing of it takes room on the disk.
        let long = File::create(&path).expect("a file");
        long.set_len(BYTES_MAX as u64 + 1).expect("a length");
        assert_eq!(file(&path), Err("found more than 64 MiB".to_owned()));
        for other in [folder.path(), Path::new("/dev/zero")] {
            let told = file(other).expect_err("no file");
            assert!(told.ends_with("found no regular file, expected one"), "{told}");
        }
        assert!(file(&folder.path().join("none")).is_err());
    }

    #[test]
    fn a_comment_at_the_end_of_a_query_ends_there() {
        let text = wrapped("SELECT phone FROM people -- all of them");
        assert!(text.lines().last().is_some_and(|line| line.starts_with(") AS pulled LIMIT ")), "{text}");
    }

    #[test]
    fn failures_are_tried_again_sooner_and_never_later_than_usual() {
        let every = Duration::from_secs(3_600);
        let pauses: Vec<u64> = [0, 1, 2, 3, 7, 8, 40, u32::MAX].map(|failures| pause(failures, every).as_secs()).into();
        assert_eq!(pauses, [3_600, 30, 60, 120, 1_920, 3_600, 3_600, 3_600]);
        assert_eq!(pause(1, Duration::from_secs(10)), Duration::from_secs(10));
    }
}
