//! Writes notices, as `cargo bench --bench store -- lines` prints them, into SQLite or PostgreSQL, as plainly as can be: a row
//! each, by call and number, and a row for every call that has ended.
//!
//! `beside sqlite FILE <lines`, `beside postgres URL <lines`. A transaction is committed every half second, to the disk: what
//! the store promises of details. Then decisions are committed one after the other, each to the disk.

use std::collections::HashMap;
use std::error::Error;
use std::io::BufRead;
use std::time::{Duration, Instant};

use postgres::{Client, NoTls};
use rusqlite::{Connection, params};
use serde::Deserialize;
use serde_json::value::RawValue;

/// What may be lost of details.
const COMMIT_EVERY: Duration = Duration::from_millis(500);
const DECISIONS: usize = 1_000;
/// Rows that go to PostgreSQL in one statement.
const TOGETHER: usize = 1_024;

/// A line of the input.
#[derive(Deserialize)]
struct Line<'a> {
    unix_ms: i64,
    #[serde(borrow)]
    notice: &'a RawValue,
}

#[derive(Deserialize)]
struct Head<'a> {
    call: &'a str,
    r#type: &'a str,
}

/// A row.
struct Row {
    call: String,
    number: i32,
    unix_ms: i64,
    body: String,
    is_end: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let rows = rows()?;
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["sqlite", file] => sqlite(file, &rows),
        ["postgres", url] => postgres(url, &rows),
        _ => Err("expected sqlite FILE or postgres URL".into()),
    }
}

fn rows() -> Result<Vec<Row>, Box<dyn Error>> {
    let (mut rows, mut numbers) = (Vec::new(), HashMap::<String, i32>::new());
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let Line { unix_ms, notice } = serde_json::from_str(&line)?;
        let Head { call, r#type } = serde_json::from_str(notice.get())?;
        let number = numbers.entry(call.to_owned()).or_default();
        *number += 1;
        let (call, number, is_end) = (call.to_owned(), *number, r#type == "call_ended");
        rows.push(Row { call, number, unix_ms, body: notice.get().to_owned(), is_end });
    }
    Ok(rows)
}

fn sqlite(file: &str, rows: &[Row]) -> Result<(), Box<dyn Error>> {
    let database = Connection::open(file)?;
    // Every commit is on the disk.
    database.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         CREATE TABLE notices (call TEXT, number INTEGER, unix_ms INTEGER, body TEXT, PRIMARY KEY (call, number)) WITHOUT ROWID;
         CREATE TABLE calls (started INTEGER, call TEXT, line TEXT, PRIMARY KEY (started, call)) WITHOUT ROWID;
         CREATE TABLE decisions (number INTEGER PRIMARY KEY, body TEXT);",
    )?;
    let (began, mut committed) = (Instant::now(), Instant::now());
    {
        let mut notice = database.prepare("INSERT INTO notices VALUES (?1, ?2, ?3, ?4)")?;
        let mut call = database.prepare("INSERT INTO calls VALUES (?1, ?2, ?3)")?;
        database.execute_batch("BEGIN")?;
        for row in rows {
            notice.execute(params![row.call, row.number, row.unix_ms, row.body])?;
            if row.is_end {
                call.execute(params![row.unix_ms, row.call, row.body])?;
            }
            if committed.elapsed() >= COMMIT_EVERY {
                database.execute_batch("COMMIT; BEGIN")?;
                committed = Instant::now();
            }
        }
        database.execute_batch("COMMIT")?;
    }
    let kept = began.elapsed();
    let began = Instant::now();
    for row in rows.iter().take(DECISIONS) {
        database.execute("INSERT INTO decisions (body) VALUES (?1)", params![row.body])?;
    }
    print(rows, kept, began.elapsed());
    Ok(())
}

fn postgres(url: &str, rows: &[Row]) -> Result<(), Box<dyn Error>> {
    let mut database = Client::connect(url, NoTls)?;
    database.batch_execute(
        "DROP TABLE IF EXISTS beside_notices, beside_calls, beside_decisions;
         CREATE TABLE beside_notices (call text, number int, unix_ms bigint, body text, PRIMARY KEY (call, number));
         CREATE TABLE beside_calls (started bigint, call text, line text, PRIMARY KEY (started, call));
         CREATE TABLE beside_decisions (number bigserial PRIMARY KEY, body text);",
    )?;
    let settings = ["fsync", "synchronous_commit"].map(|name| database.query_one(&format!("SHOW {name}"), &[]));
    for setting in settings {
        let setting: String = setting?.get(0);
        if setting != "on" {
            return Err("expected fsync and synchronous_commit to be on: what is measured is to be on the disk".into());
        }
    }
    let notice = database.prepare(
        "INSERT INTO beside_notices SELECT * FROM UNNEST($1::text[], $2::int[], $3::bigint[], $4::text[])",
    )?;
    let call = database.prepare("INSERT INTO beside_calls SELECT * FROM UNNEST($1::bigint[], $2::text[], $3::text[])")?;
    let (began, mut committed) = (Instant::now(), Instant::now());
    let mut transaction = database.transaction()?;
    for rows in rows.chunks(TOGETHER) {
        let calls: Vec<&str> = rows.iter().map(|row| row.call.as_str()).collect();
        let numbers: Vec<i32> = rows.iter().map(|row| row.number).collect();
        let times: Vec<i64> = rows.iter().map(|row| row.unix_ms).collect();
        let bodies: Vec<&str> = rows.iter().map(|row| row.body.as_str()).collect();
        transaction.execute(&notice, &[&calls, &numbers, &times, &bodies])?;
        let ended: Vec<&Row> = rows.iter().filter(|row| row.is_end).collect();
        let times: Vec<i64> = ended.iter().map(|row| row.unix_ms).collect();
        let calls: Vec<&str> = ended.iter().map(|row| row.call.as_str()).collect();
        let lines: Vec<&str> = ended.iter().map(|row| row.body.as_str()).collect();
        transaction.execute(&call, &[&times, &calls, &lines])?;
        if committed.elapsed() >= COMMIT_EVERY {
            transaction.commit()?;
            committed = Instant::now();
            transaction = database.transaction()?;
        }
    }
    transaction.commit()?;
    let kept = began.elapsed();
    let decision = database.prepare("INSERT INTO beside_decisions (body) VALUES ($1)")?;
    let began = Instant::now();
    for row in rows.iter().take(DECISIONS) {
        database.execute(&decision, &[&row.body])?;
    }
    print(rows, kept, began.elapsed());
    Ok(())
}

fn print(rows: &[Row], kept: Duration, decided: Duration) {
    let bytes: usize = rows.iter().map(|row| row.body.len()).sum();
    println!(
        "{} notices, {} MB: {:.0} notices per second; {:.0} decisions per second, one after the other",
        rows.len(),
        bytes / 1_000_000,
        rows.len() as f64 / kept.as_secs_f64(),
        DECISIONS.min(rows.len()) as f64 / decided.as_secs_f64(),
    );
}
