//! What several servers have together in one database: values that the first one sets, names, and leases by the database's clock.
//!
//! Leases are asked for by the connections that read, so that none waits behind what is being written.

use std::sync::Arc;
use std::time::Duration;

use super::{Pair, Postgres, lock, said};

const FIRST: &str =
    "INSERT INTO calmline_values (store, tree, key, value) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
const UPDATE: &str = "UPDATE calmline_values AS there SET value = changed.value
    FROM UNNEST($3::bytea[], $4::bytea[]) AS changed (key, value)
    WHERE there.store = $1 AND there.tree = $2 AND there.key = changed.key";
const REMOVE_BEFORE: &str = "DELETE FROM calmline_values WHERE store = $1 AND tree = $2 AND key = ANY(ARRAY(
    SELECT key FROM calmline_values WHERE store = $1 AND tree = $2 AND key < $3 ORDER BY key LIMIT $4))";
const TAKE: &str = "INSERT INTO calmline_leases AS lease (site, name, holder, until)
    VALUES ($1, $2, $3, clock_timestamp() + $4 * interval '1 millisecond')
    ON CONFLICT (site, name) DO UPDATE SET holder = excluded.holder, until = excluded.until
    WHERE lease.holder = excluded.holder OR lease.until <= clock_timestamp()";
const GIVE_BACK: &str = "DELETE FROM calmline_leases WHERE site = $1 AND name = $2 AND holder = $3";
const LAPSED: &str = "SELECT name FROM calmline_leases
    WHERE site = $1 AND starts_with(name, $2) AND until <= clock_timestamp() ORDER BY name";

impl Postgres {
    /// The same connections, for what stands under another store's name.
    pub(in super::super) fn beside(&self, store: [u8; 16]) -> Self {
        let (pool, writing, worker) = (self.pool.clone(), Arc::clone(&self.writing), Arc::clone(&self.worker));
        Self { pool, writing, store, worker }
    }

    pub(in super::super) fn first(&self, tree: &'static str, key: &[u8], value: &[u8]) -> Result<Vec<u8>, String> {
        let (writing, store, key_set, value) = (Arc::clone(&self.writing), self.store, key.to_vec(), value.to_vec());
        self.wait(async move {
            let set = sqlx::query(FIRST).bind(store).bind(tree).bind(key_set).bind(value);
            set.execute(&mut *writing.lock().await).await.map(drop).map_err(said)
        })?;
        self.get(tree, key)?.ok_or_else(|| "a value was removed as it was set".to_owned())
    }

    pub(in super::super) fn update(&self, tree: &'static str, changed: Vec<Pair>) -> Result<(), String> {
        if changed.is_empty() {
            return Ok(());
        }
        let (writing, store) = (Arc::clone(&self.writing), self.store);
        let (keys, values): (Vec<Vec<u8>>, Vec<Vec<u8>>) = changed.into_iter().unzip();
        self.wait(async move {
            let update = sqlx::query(UPDATE).bind(store).bind(tree).bind(keys).bind(values);
            update.execute(&mut *writing.lock().await).await.map(drop).map_err(said)
        })
    }

    pub(in super::super) fn remove_before(&self, tree: &'static str, before: &[u8], max: u32) -> Result<u64, String> {
        let (writing, store, before) = (Arc::clone(&self.writing), self.store, before.to_vec());
        self.wait(async move {
            let remove = sqlx::query(REMOVE_BEFORE).bind(store).bind(tree).bind(before).bind(i64::from(max));
            let removed = remove.execute(&mut *writing.lock().await).await.map_err(said)?;
            Ok(removed.rows_affected())
        })
    }

    pub(in super::super) fn take_name(&self, name: [u8; 16]) -> Result<bool, String> {
        let writing = Arc::clone(&self.writing);
        self.wait(async move { lock(&mut *writing.lock().await, name).await })
    }

    pub(in super::super) fn take_lease(&self, name: &str, holder: &str, lasts: Duration) -> Result<bool, String> {
        let (pool, site, name, holder) = (self.pool.clone(), self.store, name.to_owned(), holder.to_owned());
        let lasts = i64::try_from(lasts.as_millis()).unwrap_or(i64::MAX);
        self.wait(async move {
            let take = sqlx::query(TAKE).bind(site).bind(name).bind(holder).bind(lasts);
            // Nothing is changed of one that is another one's, and still is.
            take.execute(&pool).await.map(|taken| taken.rows_affected() == 1).map_err(said)
        })
    }

    pub(in super::super) fn give_back_lease(&self, name: &str, holder: &str) -> Result<(), String> {
        let (pool, site, name, holder) = (self.pool.clone(), self.store, name.to_owned(), holder.to_owned());
        self.wait(async move {
            let give = sqlx::query(GIVE_BACK).bind(site).bind(name).bind(holder);
            give.execute(&pool).await.map(drop).map_err(said)
        })
    }

    pub(in super::super) fn lapsed_leases(&self, prefix: &str) -> Result<Vec<String>, String> {
        let (pool, site, prefix) = (self.pool.clone(), self.store, prefix.to_owned());
        self.wait(
            async move { sqlx::query_scalar(LAPSED).bind(site).bind(prefix).fetch_all(&pool).await.map_err(said) },
        )
    }
}
