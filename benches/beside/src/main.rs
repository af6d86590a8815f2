//! Sustained write rates of plain SQLite and plain PostgreSQL with the records of the store's bench: what it is measured beside.
//!
//! `beside RECORDS [URL]`: details go in together, 8,192 in a transaction, as the store's keeper takes them; decisions one after the
//! other, each on the disk before the next. Rows are as they are: nothing is sealed, nothing hidden in indexes.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use postgres::{Client, NoTls};
use rusqlite::{Connection, params};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Details written together.
const TOGETHER: usize = 8_192;
/// Decisions that each wait for the disk.
const DECISIONS: i64 = 1_000;

fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let records = arguments.next().ok_or("expected a file of records, found nothing")?;
    let text = std::fs::read_to_string(&records)?;
    let records: Vec<Record<'_>> =
        text.lines().enumerate().map(|(number, line)| Record { number: number as i64, line }).collect();
    let decision = r#"{"type":"alert","severity":"critical","text":"angry","rule":"angry-to-human","call":"call-1"}"#;
    sqlite(&records, decision)?;
    if let Some(url) = arguments.next() {
        postgresql(&url, &records, decision)?;
    }
    Ok(())
}

/// One notice, as JSON.
struct Record<'t> {
    number: i64,
    line: &'t str,
}

/// Write-ahead log; synced with every decision, and for details by the checkpoints alone.
fn sqlite(records: &[Record<'_>], decision: &str) -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let mut details = open(&folder.path().join("calls.db"), "NORMAL")?;
    let began = Instant::now();
    for together in records.chunks(TOGETHER) {
        let transaction = details.transaction()?;
        let mut insert = transaction.prepare_cached("INSERT INTO notices VALUES (?1, ?2)")?;
        for record in together {
            insert.execute(params![record.number, record.line])?;
        }
        drop(insert);
        transaction.commit()?;
    }
    details.pragma_update(None, "wal_checkpoint", "TRUNCATE")?;
    let kept_s = began.elapsed().as_secs_f64();
    let trail = open(&folder.path().join("trail.db"), "FULL")?;
    let began = Instant::now();
    for number in 0..DECISIONS {
        trail.prepare_cached("INSERT INTO notices VALUES (?1, ?2)")?.execute(params![number, decision])?;
    }
    tell("SQLite", records.len(), kept_s, began.elapsed().as_secs_f64());
    Ok(())
}

fn open(path: &Path, synchronous: &str) -> Outcome<Connection> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.execute("CREATE TABLE notices (number INTEGER PRIMARY KEY, body TEXT NOT NULL)", [])?;
    Ok(connection)
}

/// The same through a connection: details are acknowledged before they are on the disk, decisions when they are.
fn postgresql(url: &str, records: &[Record<'_>], decision: &str) -> Outcome<()> {
    let mut client = Client::connect(url, NoTls)?;
    client.batch_execute(
        "DROP TABLE IF EXISTS beside; CREATE TABLE beside (number bigint PRIMARY KEY, body text NOT NULL)",
    )?;
    client.batch_execute("SET synchronous_commit = off")?;
    let insert = client.prepare("INSERT INTO beside SELECT * FROM UNNEST($1::bigint[], $2::text[])")?;
    let began = Instant::now();
    for together in records.chunks(TOGETHER) {
        let numbers: Vec<i64> = together.iter().map(|record| record.number).collect();
        let lines: Vec<&str> = together.iter().map(|record| record.line).collect();
        client.execute(&insert, &[&numbers, &lines])?;
    }
    client.batch_execute("CHECKPOINT")?;
    let kept_s = began.elapsed().as_secs_f64();
    client.batch_execute("SET synchronous_commit = on")?;
    let insert = client.prepare("INSERT INTO beside VALUES ($1, $2)")?;
    let began = Instant::now();
    for number in 0..DECISIONS {
        client.execute(&insert, &[&-(number + 1), &decision])?;
    }
    tell("PostgreSQL", records.len(), kept_s, began.elapsed().as_secs_f64());
    client.batch_execute("DROP TABLE beside")?;
    Ok(())
}

fn tell(name: &str, records: usize, kept_s: f64, decided_s: f64) {
    let (kept, decided) = (records as f64 / kept_s, DECISIONS as f64 / decided_s);
    println!("{name}: {kept:.0} notices per second; {decided:.0} decisions per second, one after the other");
}
