//! What is kept outlives a program that is killed at any moment: nothing that was acknowledged is lost, and the trail is whole.
//!
//! A child process keeps calls and commits decisions as fast as it can and says what it was told is on the disk; it is killed
//! at random moments. Its keys are rotated meanwhile. The calls lie in a folder, and in a database. `CALMLINE_CRASH_ROUNDS` sets how often (default 12),
//! `CALMLINE_CRASH_SEED` when.

#![expect(clippy::print_stdout, reason = "the test tells its seed and what it found")]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use calmline::metrics::Metrics;
use calmline::notice::{Notice, Tags, What};
use calmline::pii::Pii;
use calmline::settings::{AudioSettings, DatabaseSettings, MasterKeySource, StoreSettings};
use calmline::store::audit::verify;
use calmline::store::{MasterKey, Store, keys_and_trail};
use calmline::web::Moment;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use sqlx::Connection;
use sqlx::postgres::PgConnection;

/// Set for the child: the folder that it keeps things in.
const FOLDER: &str = "CALMLINE_CRASH_FOLDER";
/// Set for the child: which round it is.
const ROUND: &str = "CALMLINE_CRASH_ROUND";
/// What may be lost of a call's details, milliseconds: twice the time between two writes.
const DETAIL_MS: u64 = 1_000;
/// What nobody may find on the disk; other tests, which write in the same database, have other ones.
const SECRET: &str = "13955501207";

/// After so many notices all keys are wrapped by the other master key, and another data key seals.
const ROTATED_EVERY: u64 = 500;

/// Names the database that tests may write in.
const DATABASE: &str = "CALMLINE_TEST_DATABASE";

#[test]
fn nothing_that_was_acknowledged_is_lost_whenever_the_program_is_killed() {
    kill_at_random("nothing_that_was_acknowledged_is_lost_whenever_the_program_is_killed", None);
}

#[test]
fn nothing_is_lost_of_what_a_database_keeps_either() {
    let Some(database) = database("calmline") else { return };
    kill_at_random("nothing_is_lost_of_what_a_database_keeps_either", Some(&database));
}

/// The database of tests, when there is one; `name` is told to it.
fn database(name: &str) -> Option<DatabaseSettings> {
    let Ok(url) = std::env::var(DATABASE) else {
        println!("skipped: no PostgreSQL server ({DATABASE}; scripts/test starts one)");
        return None;
    };
    Some(DatabaseSettings::new(&format!("{url}?application_name={name}"), None).expect("an address"))
}

/// Kills the child `test`, itself, at random moments, and looks for what it was told is kept.
fn kill_at_random(test: &str, database: Option<&DatabaseSettings>) {
    if let Ok(folder) = std::env::var(FOLDER) {
        return keep_until_killed(&settings(Path::new(&folder), database));
    }
    let number = |name: &str, usual: u64| std::env::var(name).map_or(usual, |text| text.parse().expect("a number"));
    let (rounds, seed) = (number("CALMLINE_CRASH_ROUNDS", 12), number("CALMLINE_CRASH_SEED", 20_261_126));
    println!("seed {seed}, {rounds} rounds");
    let random = TestRng::from_seed(RngAlgorithm::XorShift, &[seed.to_le_bytes(), [7; 8]].concat());
    let mut random = TestRunner::new_with_rng(Config::default(), random);
    let folder = tempfile::tempdir().expect("a folder");
    let settings = settings(folder.path(), database);
    let mut acknowledged = Vec::new();
    for round in 0..rounds {
        let after_ms = (5_u64..700).new_tree(&mut random).expect("a number").current();
        let told = run_and_kill(test, folder.path(), round, Duration::from_millis(after_ms));
        check_calls(&settings, &told);
        acknowledged.extend(told.decisions);
        check_trail(&settings, &acknowledged);
    }
    assert!(acknowledged.len() as u64 > rounds, "only {} decisions were acknowledged", acknowledged.len());
    println!("{} decisions acknowledged, all of them in the trail", acknowledged.len());
    check_secrets(folder.path());
    if let Some(database) = database {
        check_database(database);
    }
}

/// What a child said before it was killed.
struct Told {
    /// Decisions that it was told are on the disk.
    decisions: Vec<String>,
    /// Notices that it handed over: call, number, and when, milliseconds since 1970.
    notices: Vec<(String, u64, u64)>,
    killed: Moment,
}

fn run_and_kill(test: &str, folder: &Path, round: u64, after: Duration) -> Told {
    let mut child = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", test, "--nocapture"])
        .env(FOLDER, folder)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a child");
    let output = child.stdout.take().expect("it is piped");
    let reader = thread::spawn(move || BufReader::new(output).lines().map_while(Result::ok).collect::<Vec<_>>());
    // Opening takes as long as it takes: the moment counts from the first decision on, or it would never come to any.
    let trail = folder.join("audit");
    let began = Instant::now();
    while !trail.exists() && began.elapsed() < Duration::from_secs(20) {
        thread::sleep(Duration::from_millis(2));
    }
    thread::sleep(after);
    let killed = Moment::now();
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    let (mut decisions, mut notices) = (Vec::new(), Vec::new());
    for line in reader.join().expect("it reads") {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["decided", name] => decisions.push((*name).to_owned()),
            ["told", call, number, at] => {
                let number_of = |text: &str| text.parse().expect("a number");
                notices.push(((*call).to_owned(), number_of(number), number_of(at)));
            }
            _ => {}
        }
    }
    Told { decisions, notices, killed }
}

/// The child: three calls at a time, each with steps, decisions and an end.
fn keep_until_killed(settings: &StoreSettings) {
    let store = Store::start(settings, &Metrics::new()).expect("a store");
    let round = std::env::var(ROUND).expect("it is set");
    let mut out = std::io::stdout().lock();
    for number in 0_u64.. {
        let call = format!("call-{round}-{}", number / 60 * 3 + number % 3);
        let (step, at) = (number % 60 / 3, Moment::now());
        let what = match step {
            0 => What::CallStarted {
                from: Pii::new(format!("sip:{SECRET}@pbx.example")),
                to: Pii::new("sip:support@calmline".to_owned()),
                route: "support".to_owned(),
                scenario: "planted-scenario".to_owned(),
                tags: Tags::default(),
            },
            19 => What::CallEnded {
                reason: "caller hung up".to_owned(),
                talk_ms: 1,
                peak_anger: 0.5,
                peak_level: "medium".to_owned(),
                packets_lost: 0,
            },
            5 | 10 => alert(format!("{call}-{step}")),
            _ => What::ForkPaused { on: step % 2 == 0 },
        };
        if number % ROTATED_EVERY == ROTATED_EVERY - 1 {
            let master_keys = [Some(&settings.master_key), settings.previous_key.as_ref()];
            let master_key = master_keys[(number / ROTATED_EVERY % 2) as usize].expect("there are two");
            store.rotate_keys(master_key).expect("it can be written");
        }
        let notice = Notice { call: call.clone(), call_ms: step, what };
        store.keep(&notice, at);
        writeln!(out, "told {call} {step} {}", at.0).expect("a pipe");
        if step == 5 || step == 10 {
            // As the server does: only what is on the disk is acted on.
            if store.commit(std::iter::once(&notice)) {
                writeln!(out, "decided {call}-{step}").expect("a pipe");
            }
        }
    }
}

fn alert(rule: String) -> What {
    What::Alert { severity: "high".to_owned(), text: "angry".to_owned(), rule, pbx_call: None }
}

/// Every decision is in the trail, in order, and the trail is as it was written.
fn check_trail(settings: &StoreSettings, acknowledged: &[String]) {
    let (keys, trail) = keys_and_trail(settings).expect("the keys");
    let mut rules = Vec::new();
    let verified = verify(&trail, &keys, &mut |_, _, entry| {
        rules.extend(entry.what["rule"].as_str().map(str::to_owned));
    });
    assert_eq!(verified.expect("readable").findings, []);
    let mut rules = rules.iter();
    for name in acknowledged {
        assert!(rules.any(|rule| rule == name), "{name} was acknowledged and is not in the trail, or not in its order");
    }
}

/// Every call has what was told of it until shortly before the end, and has ended.
fn check_calls(settings: &StoreSettings, told: &Told) {
    let store = Store::start(settings, &Metrics::new()).expect("a store");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    // A database may take a moment to see that the program before is gone.
    assert!(eventually(|| wakes(&store)), "it is up");
    for (call, number, at) in &told.notices {
        if at + DETAIL_MS >= told.killed.0 {
            continue;
        }
        let record = runtime.block_on(store.call(call.clone())).expect("readable");
        let record = record.unwrap_or_else(|| panic!("{call}, told of at {at}, is lost; killed at {}", told.killed.0));
        assert!(record.ended.is_some(), "{call} goes on for ever");
        let last = record.events.iter().rev().find(|event| !matches!(event.notice.what, What::CallEnded { .. }));
        let reached = last.map_or(0, |event| event.notice.call_ms);
        assert!(
            reached >= *number || *number == 19,
            "{call}: step {number} at {at} is lost, killed at {}",
            told.killed.0
        );
    }
    store.stop();
}

fn check_secrets(folder: &Path) {
    let mut bytes = 0;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read(&path).expect("a file");
            bytes += text.len();
            for secret in [SECRET, "support", "planted-scenario", "angry"] {
                let found = text.windows(secret.len()).any(|window| window == secret.as_bytes());
                assert!(!found, "{secret} can be read in {}", path.display());
            }
        }
    }
    println!("no secret in {bytes} bytes");
}

/// Nor can anything be read in the database's own files, its log of what is written included, where they lie on this machine.
fn check_database(settings: &DatabaseSettings) {
    const PLANTED: &str = "planted where nothing is sealed";
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let folder: String = runtime.block_on(async {
        let options = settings.options().expect("options");
        let mut connection = PgConnection::connect_with(&options).await.expect("a connection");
        let plant = format!("CREATE TABLE planted AS SELECT '{PLANTED}'; DROP TABLE planted; CHECKPOINT");
        sqlx::raw_sql(sqlx::AssertSqlSafe(plant)).execute(&mut connection).await.expect("written");
        sqlx::query_scalar("SHOW data_directory").fetch_one(&mut connection).await.expect("an answer")
    });
    if std::fs::read_dir(&folder).is_err() {
        println!("skipped: {folder}, the database's own files, cannot be read from here");
        return;
    }
    let files_with = |text: &str| {
        let found = Command::new("grep").args(["-rlaF", "-e", text, &folder]).output().expect("grep");
        String::from_utf8_lossy(&found.stdout).into_owned()
    };
    assert_ne!(files_with(PLANTED), "", "what is not sealed is found");
    for secret in [SECRET, "planted-scenario"] {
        assert_eq!(files_with(secret), "", "{secret} can be read");
    }
    println!("no secret in {folder}");
}

/// Two master keys lie in a folder, which are made when they are asked for first.
fn key_file(folder: &Path, number: usize) -> PathBuf {
    let path = folder.join(format!("{number}.key"));
    if !path.exists() {
        MasterKey::make(&path).expect("a key");
    }
    path
}

fn settings(folder: &Path, database: Option<&DatabaseSettings>) -> StoreSettings {
    let day = Duration::from_secs(86_400);
    // It is rotated between both, whenever it is killed.
    let [master_key, previous_key] = [0, 1].map(|number| MasterKeySource::File(key_file(folder, number)));
    StoreSettings {
        folder: folder.to_owned(),
        database: database.cloned(),
        master_key,
        previous_key: Some(previous_key),
        audio: AudioSettings::beside(folder, day),
        ..StoreSettings::within(folder, day)
    }
}

/// A disk that is full takes nothing more: that is counted, decisions are told not to be kept, and nothing breaks. With room again
/// all is kept again.
#[test]
fn a_disk_that_is_full_is_told_of_and_used_again_once_it_has_room() {
    const TEST: &str = "a_disk_that_is_full_is_told_of_and_used_again_once_it_has_room";
    if let Ok(folder) = std::env::var(FOLDER) {
        return fill_the_disk(&settings(Path::new(&folder), None));
    }
    let folder = tempfile::tempdir().expect("a folder");
    // No file may grow beyond two megabytes (2,048 KB), and who tries is told so instead of killed.
    let limited = "trap '' XFSZ; ulimit -S -f 2048; exec \"$0\" \"$@\"";
    let outcome = Command::new("bash")
        .args(["-c", limited])
        .arg(std::env::current_exe().expect("this test"))
        .args(["--exact", TEST, "--nocapture"])
        .env(FOLDER, folder.path())
        .output()
        .expect("a shell");
    let told = String::from_utf8_lossy(&outcome.stdout);
    assert!(outcome.status.success(), "{told}{}", String::from_utf8_lossy(&outcome.stderr));
    assert!(told.contains("full") && told.contains("kept again"), "{told}");
    let (keys, trail) = keys_and_trail(&settings(folder.path(), None)).expect("the keys");
    let verified = verify(&trail, &keys, &mut |_, _, _| {}).expect("readable");
    assert_eq!(verified.findings, []);
    check_secrets(folder.path());
}

/// The child on the disk that is full.
fn fill_the_disk(settings: &StoreSettings) {
    let store = Store::start(settings, &Metrics::new()).expect("a store");
    let text = "x".repeat(2_000);
    let decide = |number: u64| {
        let what =
            What::Alert { severity: "high".to_owned(), text: text.clone(), rule: number.to_string(), pbx_call: None };
        store.commit(std::iter::once(&Notice { call: "call".to_owned(), call_ms: number, what }))
    };
    let is_full = |number: u64| {
        keep_one(&store, &format!("call-{number}-{text}"));
        // Either of both may notice first.
        !decide(number) && !store.is_up()
    };
    assert!((0..20_000).any(is_full), "there is room for everything");
    for number in 0..200 {
        keep_one(&store, &format!("lost-{number}-{text}"));
        assert!(!decide(number), "it is not on the disk");
    }
    println!("full");
    let (_, most) = getrlimit(Resource::RLIMIT_FSIZE).expect("a limit");
    setrlimit(Resource::RLIMIT_FSIZE, most, most).expect("as much as before");
    // The trail is tried again by what there is to write.
    assert!(eventually(|| decide(1)), "decisions are kept again");
    assert!(eventually(|| wakes(&store)), "it is tried again");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    keep_one(&store, "again");
    let is_kept =
        || matches!(runtime.block_on(store.call("again".to_owned())), Ok(Some(record)) if record.ended.is_some());
    assert!(eventually(is_kept), "calls are kept again");
    println!("kept again");
    store.stop();
}

/// While a database is away calls go on and are counted; once it is back, they are kept again.
#[test]
fn a_database_that_goes_away_and_comes_back() {
    let Some(database) = database("calmline_outage") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::start(&settings(folder.path(), Some(&database)), &Metrics::new()).expect("a store");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let started = |call: &str| store.keep(&Notice { call: call.to_owned(), call_ms: 0, what: start() }, Moment::now());
    started("across");
    let kept = |call: &str| {
        keep_one(&store, call);
        let call = call.to_owned();
        eventually(|| matches!(runtime.block_on(store.call(call.clone())), Ok(Some(record)) if record.ended.is_some()))
    };
    assert!(kept("before"), "it is up");

    let cut =
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'calmline_outage'";
    runtime.block_on(async {
        let options = database.options().expect("options").application_name("calmline_cuts");
        let mut connection = PgConnection::connect_with(&options).await.expect("a connection");
        let cut: i64 = sqlx::query_scalar(cut).fetch_one(&mut connection).await.expect("an answer");
        assert!(cut > 0, "nobody was connected");
    });
    // What finds that out is written once the store is open again.
    assert!(kept("after"));
    let record = |call: &str| runtime.block_on(store.call(call.to_owned())).expect("readable").expect("it is kept");
    assert!(record("before").ended.is_some(), "what was kept before is there");
    assert!(record("across").ended.is_none(), "a call that was up goes on");
    store.keep(&Notice { call: "across".to_owned(), call_ms: 9, what: end() }, Moment::now());
    assert!(eventually(|| record("across").end_reason.as_deref() == Some("caller hung up")), "and ends as it does");
    store.stop();
}

/// Whether the store is up, or is by what it is given.
fn wakes(store: &Store) -> bool {
    if !store.is_up() {
        keep_one(store, "wake");
    }
    store.is_up()
}

/// A call that began and ended.
fn keep_one(store: &Store, call: &str) {
    for (call_ms, what) in [(0, start()), (1, end())] {
        store.keep(&Notice { call: call.to_owned(), call_ms, what }, Moment::now());
    }
}

fn start() -> What {
    What::CallStarted {
        from: Pii::new(format!("sip:{SECRET}@pbx.example")),
        to: Pii::new("sip:support@calmline".to_owned()),
        route: "support".to_owned(),
        scenario: "planted-scenario".to_owned(),
        tags: Tags::default(),
    }
}

fn end() -> What {
    What::CallEnded {
        reason: "caller hung up".to_owned(),
        talk_ms: 1,
        peak_anger: 0.5,
        peak_level: "medium".to_owned(),
        packets_lost: 0,
    }
}

/// Whether it becomes so within a minute.
fn eventually(mut so: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + Duration::from_secs(60);
    while Instant::now() < end {
        if so() {
            return true;
        }
        thread::sleep(Duration::from_millis(50));
    }
    false
}
