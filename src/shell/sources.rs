//! Pulls business data by the clock: a task for each source, which cleans what comes beside the server's work. They pull one
//! after the other, so that one export at a time takes memory.
//!
//! A pull that fails or brings nothing usable changes nothing: what came before stays, with its age, and the next try comes
//! sooner. Another configuration changes nothing about sources that it leaves alone: they are pulled when they would have been.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
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
pub struct Pulling {
    tasks: BTreeMap<String, Task>,
    ages: JoinHandle<()>,
    beside: Beside,
}

/// What every pull has to do with.
#[derive(Debug, Clone)]
struct Beside {
    /// One pulls at a time.
    turns: Arc<Semaphore>,
    customers: Customers,
    store: Store,
    metrics: Metrics,
}

/// The task of one source.
#[derive(Debug)]
struct Task {
    fresh: watch::Sender<Arc<Source>>,
    /// Tells it that it is over: what it brought is forgotten then.
    _over: DropGuard,
    handle: JoinHandle<()>,
}

impl Drop for Pulling {
    fn drop(&mut self) {
        self.ages.abort();
        self.tasks.values().for_each(|task| task.handle.abort());
    }
}

/// The sources of a configuration, with the secrets at hand: nothing of it can fail any more.
#[derive(Debug, Default)]
pub struct FreshSources(Vec<Source>);

impl FreshSources {
    /// Fetches secrets and reads certificates; none of the sources has to be there yet.
    ///
    /// # Errors
    /// The key of which source what is not to be had, and why.
    pub fn read(sources: &BTreeMap<String, SourceSettings>) -> Result<FreshSources, (String, String)> {
        let source = |(name, settings): (&String, &SourceSettings)| {
            Source::new(name, settings).map_err(|why| (format!("sources.{name}"), why))
        };
        sources.iter().map(source).collect::<Result<_, _>>().map(FreshSources)
    }
}

/// One source, ready to be pulled.
#[derive(Debug)]
struct Source {
    name: String,
    settings: SourceSettings,
    way: Way,
}

/// How a source is reached.
#[derive(Debug)]
enum Way {
    File { path: PathBuf, format: SourceFormat },
    Http { url: String, format: SourceFormat, client: reqwest::Client, authorization: Option<Secret> },
    Database { database: DatabaseSettings, query: String },
}

impl Pulling {
    /// Begins to pull every source, one after the other.
    pub fn start(sources: FreshSources, customers: &Customers, store: &Store, metrics: &Metrics) -> Pulling {
        let (customers, store, metrics) = (customers.clone(), store.clone(), metrics.clone());
        let ages = tokio::spawn(tell_ages(customers.clone(), metrics.clone()));
        let beside = Beside { turns: Arc::new(Semaphore::new(1)), customers, store, metrics };
        let mut pulling = Pulling { tasks: BTreeMap::new(), ages, beside };
        pulling.exchange(sources);
        pulling
    }

    /// Puts others in the place of those that there are. One whose settings are the same is pulled when it would have been,
    /// by the secret and certificates of now; one that has changed is pulled at once, and what it brought stays until then;
    /// of one that is gone everything is forgotten.
    pub fn exchange(&mut self, FreshSources(sources): FreshSources) {
        let mut before = std::mem::take(&mut self.tasks);
        for source in sources {
            let name = source.name.clone();
            let task = match before.remove(&name) {
                Some(task) => {
                    task.fresh.send_replace(Arc::new(source));
                    task
                }
                None => self.beside.begin(source),
            };
            self.tasks.insert(name, task);
        }
    }
}

impl Beside {
    fn begin(&self, source: Source) -> Task {
        let over = CancellationToken::new();
        let (fresh, in_force) = watch::channel(Arc::new(source));
        let handle = tokio::spawn(self.clone().pull_on(in_force, over.clone()));
        Task { fresh, _over: over.drop_guard(), handle }
    }

    /// Pulls one source by the clock until it is over.
    async fn pull_on(self, mut fresh: watch::Receiver<Arc<Source>>, over: CancellationToken) {
        let (mut failures, name) = (0, fresh.borrow().name.clone());
        loop {
            let source = Arc::clone(&fresh.borrow_and_update());
            let pulled = over.run_until_cancelled(source.take_turn(&self, &mut failures)).await;
            source.give_back(&self.store).await;
            let Some(()) = pulled else { break };
            let due = Instant::now() + pause(failures, source.settings.every);
            let rested = over.run_until_cancelled(rest(&mut fresh, &source.settings, failures > 0, due)).await;
            let Some(()) = rested else { break };
        }
        drop(self.customers.forget_source(&name));
        self.metrics.forget_source(&name);
    }
}

/// Waits until a source is due, or is another one than by these settings; one that could not be pulled, until there is any
/// other configuration, for it may bring another secret.
async fn rest(fresh: &mut watch::Receiver<Arc<Source>>, settings: &SourceSettings, has_failed: bool, due: Instant) {
    loop {
        tokio::select! {
            // The other end ends with the whole task.
            Ok(()) = fresh.changed() => {
                if has_failed || fresh.borrow().settings != *settings {
                    return;
                }
            }
            () = sleep_until(due) => return,
        }
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
        let way = match settings.place.clone() {
            SourcePlace::File { path, format } => Way::File { path, format },
            SourcePlace::Http { url, format, authorization, authorities } => {
                let by = client_by(authorities.as_deref()).map_err(|error| error.to_string())?;
                let authorization = authorization.as_ref().map(SecretSource::fetch).transpose()?;
                Way::Http { url, format, client: client(&by)?, authorization }
            }
            SourcePlace::Database { database, query } => Way::Database { database, query },
        };
        Ok(Source { name: name.to_owned(), settings: settings.clone(), way })
    }

    /// Pulls once it is its turn; counts failures in a row.
    async fn take_turn(&self, beside: &Beside, failures: &mut u32) {
        let Beside { turns, customers, store, metrics } = beside;
        let _turn = turns.acquire().await.expect("the semaphore is never closed");
        self.wait_for_turn(store).await;
        let outcome = match timeout(self.settings.within, self.pull(store)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(format!("no answer within {} s", self.settings.within.as_secs())),
        };
        match outcome {
            Ok(pulled) => {
                *failures = 0;
                metrics.count_pull(&self.name, "taken");
                metrics.set_source(&self.name, &pulled.tally);
                info!(source = self.name, rows = pulled.tally.rows, people = pulled.tally.taken, "pulled");
                // What was there before is let go of here, outside of everybody's way.
                drop(customers.take(&self.name, pulled, Moment::now()));
                metrics.set_source_age(&self.name, Some(Duration::ZERO));
            }
            Err(why) => {
                *failures = failures.saturating_add(1);
                metrics.count_pull(&self.name, "failed");
                warn!(source = self.name, why, "not pulled: what was known stays");
                customers.fail(&self.name, &why);
            }
        }
    }

    /// Lets other nodes of the site pull the same.
    async fn give_back(&self, store: &Store) {
        if let Err(why) = store.give_back(self.lease()).await {
            warn!(source = self.name, why, "other nodes wait until its lease has lapsed");
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
