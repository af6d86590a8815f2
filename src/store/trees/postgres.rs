//! Trees in a PostgreSQL database (12 or later): one table, asked by the page.
//!
//! Whoever asks waits for the answer, as for a disk; queries run on a small runtime of their own, so that anybody may ask. What
//! takes longer than [`QUERY_S_MAX`] fails, and the keeper closes the store and opens it again.

mod together;

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{Connection, SqlSafeStr};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Mutex;

use super::{Order, Pair};
use crate::settings::DatabaseSettings;

/// The schema's versions, by number; what has been released is never changed.
const MIGRATIONS: [(i64, &str, &str); 2] =
    [(1, "values", include_str!("migrations/1-values.sql")), (2, "leases", include_str!("migrations/2-leases.sql"))];
const MIGRATIONS_TABLE: &str = "calmline_migrations";

/// Connections of those who read.
const READING_MAX: u32 = 4;
/// How long a connection may take.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// How often the lock is tried for, and how long between: a server that ended just now may still be known to hold it.
const LOCK_TRIES: u32 = 30;
const LOCK_EVERY: Duration = Duration::from_millis(100);
/// How long a query may take, seconds.
const QUERY_S_MAX: u64 = 20;
/// How long an answer may take, with everything on the way.
const ANSWER_MAX: Duration = Duration::from_secs(QUERY_S_MAX + 5);
/// Rows asked for at a time.
const PAGE_ROWS: usize = 1_000;

const GET: &str = "SELECT value FROM calmline_values WHERE store = $1 AND tree = $2 AND key = $3";
const SET: &str = "INSERT INTO calmline_values (store, tree, key, value)
    SELECT $1, $2, * FROM UNNEST($3::bytea[], $4::bytea[])
    ON CONFLICT (store, tree, key) DO UPDATE SET value = excluded.value";
const REMOVE: &str = "DELETE FROM calmline_values WHERE store = $1 AND tree = $2 AND key = ANY($3)";
const CLEAR: &str = "DELETE FROM calmline_values WHERE store = $1";
const PAIRS_UP: &str = "SELECT key, value FROM calmline_values
    WHERE store = $1 AND tree = $2 AND key >= $3 AND key < $4 ORDER BY key LIMIT $5";
const PAIRS_DOWN: &str = "SELECT key, value FROM calmline_values
    WHERE store = $1 AND tree = $2 AND key >= $3 AND key < $4 ORDER BY key DESC LIMIT $5";
const KEYS_UP: &str = "SELECT key, ''::bytea FROM calmline_values
    WHERE store = $1 AND tree = $2 AND key >= $3 AND key < $4 ORDER BY key LIMIT $5";
const KEYS_DOWN: &str = "SELECT key, ''::bytea FROM calmline_values
    WHERE store = $1 AND tree = $2 AND key >= $3 AND key < $4 ORDER BY key DESC LIMIT $5";
const BYTES: &str = "SELECT pg_total_relation_size('calmline_values')";
const LOCK: &str = "SELECT pg_try_advisory_lock($1)";

/// One store's part of a database.
#[derive(Debug)]
pub(in super::super) struct Postgres {
    /// For reading.
    pool: PgPool,
    /// For writing. It holds the lock by which no other server opens the same store: when it breaks, nothing is written any
    /// more, and the store has to be opened anew.
    writing: Arc<Mutex<PgConnection>>,
    store: [u8; 16],
    worker: Arc<Worker>,
}

/// What queries run on; taken when the last one that asks is dropped.
#[derive(Debug)]
struct Worker(Option<Runtime>);

impl Postgres {
    /// Connects, brings the schema to this program's version, and takes the store for this server alone.
    pub(super) fn open(settings: &DatabaseSettings, store: [u8; 16]) -> Result<Self, String> {
        let mut options = settings.options()?;
        if options.get_application_name().is_none() {
            options = options.application_name("calmline");
        }
        // A server that is told nothing of a client's end keeps its session, and with it the lock, until its own signs of
        // life go unanswered.
        let options = options.options([
            ("statement_timeout", format!("{QUERY_S_MAX}s")),
            ("tcp_keepalives_idle", "15".to_owned()),
            ("tcp_keepalives_interval", "5".to_owned()),
            ("tcp_keepalives_count", "3".to_owned()),
        ]);
        let place = settings.place().to_owned();
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("database").enable_all().build();
        let runtime = runtime.map_err(|error| format!("no thread for the database: {error}"))?;
        match wait(&runtime, connect(options, store)) {
            Ok((pool, writing)) => {
                let worker = Arc::new(Worker(Some(runtime)));
                Ok(Self { pool, writing: Arc::new(Mutex::new(writing)), store, worker })
            }
            Err(why) => {
                // The runtime must not wait for itself where this is called by another one's thread.
                runtime.shutdown_background();
                Err(format!("{place}: {why}"))
            }
        }
    }

    pub(super) fn get(&self, tree: &'static str, key: &[u8]) -> Result<Option<Vec<u8>>, String> {
        let (pool, store, key) = (self.pool.clone(), self.store, key.to_vec());
        self.wait(async move {
            sqlx::query_scalar(GET).bind(store).bind(tree).bind(key).fetch_optional(&pool).await.map_err(said)
        })
    }

    /// Makes changes in one transaction.
    pub(super) fn apply(&self, tree: &'static str, changes: BTreeMap<Vec<u8>, Option<Vec<u8>>>) -> Result<(), String> {
        if changes.is_empty() {
            return Ok(());
        }
        let (mut keys, mut values, mut gone) = (Vec::new(), Vec::new(), Vec::new());
        for (key, value) in changes {
            match value {
                Some(value) => {
                    keys.push(key);
                    values.push(value);
                }
                None => gone.push(key),
            }
        }
        let (writing, store) = (Arc::clone(&self.writing), self.store);
        self.wait(async move {
            let mut writing = writing.lock().await;
            let set = sqlx::query(SET).bind(store).bind(tree);
            let remove = sqlx::query(REMOVE).bind(store).bind(tree);
            // One statement is all or nothing by itself.
            if gone.is_empty() {
                return set.bind(keys).bind(values).execute(&mut *writing).await.map(drop).map_err(said);
            }
            if keys.is_empty() {
                return remove.bind(gone).execute(&mut *writing).await.map(drop).map_err(said);
            }
            let mut transaction = writing.begin().await.map_err(said)?;
            set.bind(keys).bind(values).execute(&mut *transaction).await.map_err(said)?;
            remove.bind(gone).execute(&mut *transaction).await.map_err(said)?;
            transaction.commit().await.map_err(said)
        })
    }

    /// What all stores take in the database, with the index.
    pub(super) fn bytes(&self) -> Result<u64, String> {
        let pool = self.pool.clone();
        let bytes: i64 = self.wait(async move { sqlx::query_scalar(BYTES).fetch_one(&pool).await.map_err(said) })?;
        Ok(bytes.unsigned_abs())
    }

    /// Asks the connection that writes.
    pub(super) fn check(&self) -> Result<(), String> {
        let writing = Arc::clone(&self.writing);
        self.wait(async move { writing.lock().await.ping().await.map_err(said) })
    }

    /// Removes all that the store has in the database.
    pub(super) fn clear(&self) -> Result<(), String> {
        let (writing, store) = (Arc::clone(&self.writing), self.store);
        self.wait(async move {
            let mut writing = writing.lock().await;
            sqlx::query(CLEAR).bind(store).execute(&mut *writing).await.map(drop).map_err(said)
        })
    }

    fn page(&self, query: &'static str, tree: &'static str, range: (Vec<u8>, Vec<u8>)) -> Result<Vec<Pair>, String> {
        let (pool, store, (from, before)) = (self.pool.clone(), self.store, range);
        self.wait(async move {
            let rows = sqlx::query_as(query).bind(store).bind(tree).bind(from).bind(before);
            rows.bind(PAGE_ROWS as i64).fetch_all(&pool).await.map_err(said)
        })
    }

    fn wait<T: Send + 'static>(
        &self,
        asked: impl Future<Output = Result<T, String>> + Send + 'static,
    ) -> Result<T, String> {
        wait(self.worker.0.as_ref().expect("taken only when it is dropped"), asked)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Rows between two keys, a page at a time.
pub(in super::super) struct Pages {
    postgres: Arc<Postgres>,
    tree: &'static str,
    /// What was not asked for yet: from, and before.
    left: Option<(Vec<u8>, Vec<u8>)>,
    order: Order,
    query: &'static str,
    page: VecDeque<Pair>,
}

impl Pages {
    pub(super) fn new(
        postgres: &Arc<Postgres>,
        tree: &'static str,
        range: (Vec<u8>, Vec<u8>),
        order: Order,
        values: bool,
    ) -> Self {
        let query = match (order, values) {
            (Order::Up, true) => PAIRS_UP,
            (Order::Up, false) => KEYS_UP,
            (Order::Down, true) => PAIRS_DOWN,
            (Order::Down, false) => KEYS_DOWN,
        };
        Self { postgres: Arc::clone(postgres), tree, left: Some(range), order, query, page: VecDeque::new() }
    }

    fn turn(&mut self) -> Result<(), String> {
        let Some((from, before)) = self.left.take() else { return Ok(()) };
        self.page = self.postgres.page(self.query, self.tree, (from.clone(), before.clone()))?.into();
        if self.page.len() == PAGE_ROWS
            && let Some((last, _)) = self.page.back()
        {
            self.left = Some(match self.order {
                // The next key that there can be.
                Order::Up => ([last, &[0][..]].concat(), before),
                Order::Down => (from, last.clone()),
            });
        }
        Ok(())
    }
}

impl Iterator for Pages {
    type Item = Result<Pair, String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.is_empty()
            && let Err(why) = self.turn()
        {
            return Some(Err(why));
        }
        self.page.pop_front().map(Ok)
    }
}

async fn connect(options: PgConnectOptions, store: [u8; 16]) -> Result<(PgPool, PgConnection), String> {
    let connected = tokio::time::timeout(CONNECT_MAX, PgConnection::connect_with(&options)).await;
    let mut writing = connected.map_err(|_| format!("no answer within {} s", CONNECT_MAX.as_secs()))?.map_err(said)?;
    // `run` asks for a bound that a future of any thread cannot meet.
    migrator().run_direct(None, &mut writing, false).await.map_err(|error| schema(&error))?;
    if !lock(&mut writing, store).await? {
        return Err("the store is in use by another server".to_owned());
    }
    let pool = PgPoolOptions::new().max_connections(READING_MAX).acquire_timeout(CONNECT_MAX);
    Ok((pool.connect_lazy_with(options), writing))
}

/// Takes what has that name for this connection alone; whether it is free.
async fn lock(connection: &mut PgConnection, name: [u8; 16]) -> Result<bool, String> {
    let name = i64::from_be_bytes(*name.first_chunk().expect("16 octets"));
    for _ in 0..LOCK_TRIES {
        if sqlx::query_scalar::<_, bool>(LOCK).bind(name).fetch_one(&mut *connection).await.map_err(said)? {
            return Ok(true);
        }
        tokio::time::sleep(LOCK_EVERY).await;
    }
    Ok(false)
}

pub(super) fn migrator() -> Migrator {
    let migrations = MIGRATIONS.map(|(version, name, sql)| {
        Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    });
    let mut migrator = Migrator::with_migrations(migrations.into());
    migrator.dangerous_set_table_name(MIGRATIONS_TABLE);
    migrator
}

pub(super) fn schema(error: &MigrateError) -> String {
    let newest = MIGRATIONS[MIGRATIONS.len() - 1].0;
    match error {
        MigrateError::VersionMissing(found) => {
            format!("expected a schema of version {newest} or earlier, found {found}: made by a later Calmline")
        }
        error => error.to_string(),
    }
}

/// Runs something on the runtime and waits for it, whoever this is.
fn wait<T: Send + 'static>(
    runtime: &Runtime,
    asked: impl Future<Output = Result<T, String>> + Send + 'static,
) -> Result<T, String> {
    let (answer, answered) = sync_channel(1);
    // The server bounds its queries, but a network may swallow them, and whoever asked is waiting below.
    let bounded = async move {
        let answered = tokio::time::timeout(ANSWER_MAX, asked).await;
        answered.unwrap_or_else(|_| Err(format!("no answer within {} s", ANSWER_MAX.as_secs())))
    };
    runtime.spawn(async move { drop(answer.send(bounded.await)) });
    answered.recv().unwrap_or_else(|_| Err("the query broke".to_owned()))
}

#[expect(clippy::needless_pass_by_value, reason = "called by `map_err`")]
fn said(error: sqlx::Error) -> String {
    error.to_string()
}
