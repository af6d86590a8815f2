//! Sled and a real PostgreSQL server hold the same, whatever is asked of them.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use sqlx::Connection;
use sqlx::postgres::PgConnection;

use super::*;

/// Names the database that tests may write in, without a password, which is in `PGPASSWORD`.
const VARIABLE: &str = "CALMLINE_TEST_DATABASE";

/// The database of tests, when there is one.
#[expect(clippy::print_stdout, reason = "a test that needs a database says so")]
pub(in super::super) fn database() -> Option<DatabaseSettings> {
    let Ok(url) = std::env::var(VARIABLE) else {
        println!("skipped: no PostgreSQL server ({VARIABLE}; scripts/test starts one)");
        return None;
    };
    Some(DatabaseSettings::new(&url, None).expect("an address"))
}

thread_local! {
    static BREAKS: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// Has the next change of a tree by this thread fail, before anything of it is made.
pub(in super::super) fn break_once_at(tree: &'static str) {
    BREAKS.set(Some(tree));
}

/// Fails where the thread was told to.
pub(super) fn may_break(tree: &Tree) -> Result<(), String> {
    let is_it = |wanted: &&str| match tree {
        Tree::Sled(tree) => tree.name() == wanted.as_bytes(),
        Tree::Postgres(_, name) => name == wanted,
    };
    match BREAKS.get().filter(is_it) {
        Some(_) => {
            BREAKS.set(None);
            Err("it breaks off".to_owned())
        }
        None => Ok(()),
    }
}

/// A name that no other test's store has.
fn own_name() -> [u8; 16] {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let mut name = [0; 16];
    name[..4].copy_from_slice(&std::process::id().to_be_bytes());
    name[4..8].copy_from_slice(&(COUNT.fetch_add(1, Ordering::Relaxed) as u32).to_be_bytes());
    name
}

#[derive(Debug, Clone)]
enum Step {
    Apply(Vec<(Vec<u8>, Option<Vec<u8>>)>),
    Get(Vec<u8>),
    Range(Vec<u8>, Option<Vec<u8>>, bool),
    Prefix(Vec<u8>),
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(prop_oneof![Just(0_u8), Just(1), Just(254), Just(255)], 0..4)
}

fn step() -> impl Strategy<Value = Step> {
    let change = (key(), proptest::option::of(proptest::collection::vec(any::<u8>(), 0..5)));
    prop_oneof![
        proptest::collection::vec(change, 0..6).prop_map(Step::Apply),
        key().prop_map(Step::Get),
        (key(), proptest::option::of(key()), any::<bool>()).prop_map(|(from, to, up)| Step::Range(from, to, up)),
        key().prop_map(Step::Prefix),
    ]
}

/// Trees beside a map that is known to be right.
fn check(tree: &Tree, other: &Tree, steps: &[Step]) -> Result<(), TestCaseError> {
    let mut model = BTreeMap::new();
    let all = |pairs: Pairs| pairs.collect::<Result<Vec<Pair>, String>>().expect("readable");
    for step in steps {
        match step {
            Step::Apply(changes) => {
                let mut batch = Batch::default();
                for (key, value) in changes {
                    match value {
                        Some(value) => batch.insert(key.clone(), value.clone()),
                        None => batch.remove(key.clone()),
                    }
                    match value {
                        Some(value) => drop(model.insert(key.clone(), value.clone())),
                        None => drop(model.remove(key)),
                    }
                }
                tree.apply(batch).expect("written");
            }
            Step::Get(key) => {
                prop_assert_eq!(tree.get(key).expect("readable"), model.get(key).cloned());
                prop_assert_eq!(tree.contains_key(key).expect("readable"), model.contains_key(key));
            }
            Step::Range(from, before, up) => {
                let inside = |key: &[u8]| key >= &from[..] && before.as_ref().is_none_or(|before| key < &before[..]);
                let mut expected: Vec<Pair> = model.clone().into_iter().filter(|(key, _): &Pair| inside(key)).collect();
                let order = if *up { Order::Up } else { Order::Down };
                if !up {
                    expected.reverse();
                }
                prop_assert_eq!(all(tree.pairs(from, before.as_deref(), order)), expected);
            }
            Step::Prefix(prefix) => {
                let expected: Vec<Pair> =
                    model.clone().into_iter().filter(|(key, _): &Pair| key.starts_with(prefix)).collect();
                prop_assert_eq!(all(tree.scan_prefix(prefix)), expected);
                let keys: Result<Vec<Vec<u8>>, String> = tree.prefixed_keys(prefix).collect();
                prop_assert_eq!(
                    keys.expect("readable").len(),
                    model.keys().filter(|key| key.starts_with(prefix)).count()
                );
            }
        }
        prop_assert_eq!(tree.is_empty().expect("readable"), model.is_empty());
        prop_assert!(other.is_empty().expect("readable"), "another tree is another one");
    }
    Ok(())
}

#[test]
fn a_tree_is_a_sorted_map() {
    let folder = tempfile::tempdir().expect("a folder");
    let sled = Trees::in_folder(&folder.path().join("trees")).expect("it opens");
    let database = database().map(|settings| Trees::in_database(&settings, own_name()).expect("it opens"));
    let steps = proptest::collection::vec(step(), 1..30);
    proptest!(ProptestConfig::with_cases(64), |(steps in steps)| {
        for trees in std::iter::once(&sled).chain(&database) {
            let [tree, other] = ["one", "two"].map(|name| trees.tree(name).expect("it opens"));
            let mut empty = Batch::default();
            tree.keys(&[], None).for_each(|key| empty.remove(key.expect("readable")));
            tree.apply(empty).expect("written");
            check(&tree, &other, &steps)?;
        }
    });
}

#[test]
fn many_values_come_by_the_page() {
    let Some(settings) = database() else { return };
    let trees = Trees::in_database(&settings, own_name()).expect("it opens");
    let tree = trees.tree("many").expect("it opens");
    for count in [999_u32, 1_000, 1_001, 2_500] {
        let mut batch = Batch::default();
        (0..count).for_each(|number| batch.insert(number.to_be_bytes(), number.to_string()));
        tree.apply(batch).expect("written");
        let numbers = |order| -> Vec<u32> {
            let keys = tree.pairs(&[], None, order).map(|pair| pair.expect("readable").0);
            keys.map(|key| u32::from_be_bytes(key.try_into().expect("four octets"))).collect()
        };
        assert_eq!(numbers(Order::Up), (0..count).collect::<Vec<_>>());
        assert_eq!(numbers(Order::Down), (0..count).rev().collect::<Vec<_>>());
    }
    assert!(trees.bytes().is_some_and(|bytes| bytes > 10_000));
}

#[test]
fn a_store_is_open_once_and_another_one_is_not_seen() {
    let Some(settings) = database() else { return };
    let name = own_name();
    let first = Trees::in_database(&settings, name).expect("it opens");
    first.tree("calls").expect("a tree").insert(b"key", b"value").expect("written");
    let error = Trees::in_database(&settings, name).expect_err("it is open");
    assert!(error.contains("in use by another server") && error.contains("postgres"), "{error}");
    let other = Trees::in_database(&settings, own_name()).expect("another store");
    assert!(other.tree("calls").expect("a tree").is_empty().expect("readable"));
    drop(first);
    let again = Trees::in_database(&settings, name).expect("it is free again");
    assert_eq!(again.tree("calls").expect("a tree").get(b"key").expect("readable").as_deref(), Some(&b"value"[..]));
}

#[test]
fn a_database_that_is_not_there_or_of_later_days_is_told_of() {
    let nobody = DatabaseSettings::new("postgres://calmline@127.0.0.1:1/calls", None).expect("an address");
    let began = Instant::now();
    let error = Trees::in_database(&nobody, own_name()).expect_err("nobody listens");
    assert!(error.contains("127.0.0.1:1") && error.contains("refused"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(60), "it does not wait for ever");
    let Some(settings) = database() else { return };
    drop(Trees::in_database(&settings, own_name()).expect("the schema is there"));
    // A schema of its own, so that other tests go on.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let schema = format!("later_{}", std::process::id());
    let options = settings.options().expect("options").options([("search_path", schema.clone())]);
    runtime.block_on(async {
        let mut connection = PgConnection::connect_with(&options).await.expect("a connection");
        let order = sqlx::AssertSqlSafe(format!("CREATE SCHEMA {schema}"));
        sqlx::query(order).execute(&mut connection).await.expect("a schema");
        postgres::migrator().run(&mut connection).await.expect("it is new");
        let later = "UPDATE calmline_migrations SET version = 99 WHERE version = 2";
        sqlx::query(later).execute(&mut connection).await.expect("written");
        let error = postgres::migrator().run(&mut connection).await.expect_err("made by others");
        let why = postgres::schema(&error);
        assert!(why.contains("version 2 or earlier, found 99"), "{why}");
    });
}
