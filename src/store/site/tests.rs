//! Several nodes and one real PostgreSQL server.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection};
use tempfile::TempDir;

use super::*;
use crate::accounts::Account;
use crate::metrics::Metrics;
use crate::notice::What;
use crate::report::Minutes;
use crate::settings::{DatabaseSettings, MasterKeySource, SiteSettings, StoreSettings};
use crate::store::embedded::Running;
use crate::store::embedded::tests::{BEGAN, call};
use crate::store::keys::{KeyRing, MasterKey};
use crate::store::opening::Masters;
use crate::store::trees::tests::database;
use crate::users::Role;

/// A site of its own in the database of tests, and the master key of its nodes.
pub(crate) struct Nodes {
    root: TempDir,
    database: DatabaseSettings,
    name: String,
}

impl Nodes {
    pub(crate) fn new() -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("site-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let nodes = Self { root: tempfile::tempdir().expect("a folder"), database: database()?, name };
        nodes.make_key("master.key");
        Some(nodes)
    }

    fn make_key(&self, name: &str) {
        MasterKey::make(&self.root.path().join(name)).expect("a key");
    }

    fn settings(&self, node: &str) -> StoreSettings {
        let long = Duration::from_secs(3_650 * 86_400);
        StoreSettings {
            database: Some(self.database.clone()),
            master_key: MasterKeySource::File(self.root.path().join("master.key")),
            site: Some(SiteSettings { name: self.name.clone(), node: node.to_owned() }),
            ..StoreSettings::within(&self.root.path().join(node), long)
        }
    }

    pub(crate) fn store(&self, node: &str) -> Store {
        Store::start(&self.settings(node), &Metrics::new()).expect("it starts")
    }

    /// Has the database refuse to remove anything of a tree that the nodes have together.
    pub(crate) async fn refuse_removals(&self, tree: &str) -> Refusing {
        let options = self.database.options().expect("good settings");
        let mut refusing = Refusing {
            by: PgConnection::connect_with(&options).await.expect("it answers"),
            name: crate::hexadecimal::hexadecimal(&name_of(&["site", &self.name])),
        };
        let name = &refusing.name;
        let refuse = format!(
            "CREATE FUNCTION pg_temp.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no room'; END $$;
            CREATE TRIGGER \"{name}\" BEFORE DELETE ON calmline_values FOR EACH ROW
            WHEN (OLD.tree = '{tree}' AND OLD.store = '\\x{name}') EXECUTE FUNCTION pg_temp.refuse()"
        );
        refusing.ask(refuse).await;
        refusing
    }

    fn open(&self, node: &str) -> Embedded {
        self.try_open(node, &self.settings(node)).expect("it opens")
    }

    fn try_open(&self, node: &str, settings: &StoreSettings) -> Result<Embedded, String> {
        let folder = self.settings(node).folder;
        std::fs::create_dir_all(&folder).expect("a folder");
        let master = MasterKey::read(&self.root.path().join("master.key")).expect("a key");
        let keys = Arc::new(KeyRing::open(&folder.join("keys.json"), &master).expect("keys"));
        let site = settings.site.as_ref().expect("it is of a site");
        let mut masters = Masters::fetch(settings).map_err(|error| error.to_string())?;
        let door = Door::new(site, &mut masters).map_err(|error| error.to_string())?;
        Embedded::open(&folder.join("calls"), Some(&self.database), &keys)?.in_site(&door)
    }
}

/// A database that refuses something until this is dropped, or it is mended.
pub(crate) struct Refusing {
    by: PgConnection,
    name: String,
}

impl Refusing {
    pub(crate) async fn mend(mut self) {
        self.ask(format!("DROP TRIGGER \"{}\" ON calmline_values", self.name)).await;
    }

    async fn ask(&mut self, what: String) {
        sqlx::raw_sql(AssertSqlSafe(what)).execute(&mut self.by).await.expect("it is taken");
    }
}

fn alert(call: &str, steps: usize) -> WaitingAlert {
    WaitingAlert {
        call: call.to_owned(),
        call_ms: 5_000,
        rule: "angry".to_owned(),
        route: "hotline".to_owned(),
        tenant: None,
        severity: "critical".to_owned(),
        text: "angry caller".to_owned(),
        raised: Moment(1),
        since: Moment(2),
        steps,
        handled: None,
        escalated: None,
    }
}

fn kept(alert: WaitingAlert) -> (AlertName, Option<WaitingAlert>) {
    ((alert.call.clone(), alert.call_ms, alert.rule.clone()), Some(alert))
}

fn account(role: Role) -> Account {
    Account { role, serves: None, tenant: None, disabled: false, password_hash: "a hash".to_owned(), totp: None }
}

#[test]
fn who_may_sign_in_may_at_every_node() {
    let Some(nodes) = Nodes::new() else { return };
    let (a, b) = (nodes.open("a"), nodes.open("b"));
    a.keep_account("li", Some(&account(Role::Agent))).expect("written");
    b.keep_account("li", Some(&account(Role::Supervisor))).expect("written");
    a.keep_account("wang", Some(&account(Role::Auditor))).expect("written");
    b.keep_account("wang", None).expect("written");
    let all = [("li".to_owned(), account(Role::Supervisor))].into();
    assert_eq!([&a, &b].map(|node| node.accounts().expect("readable")), [all, a.accounts().expect("readable")]);
    // One that was removed does not come back with a node that had it before.
    drop(a);
    assert_eq!(nodes.open("a").accounts().expect("readable").len(), 1);
}

const LONG: Duration = Duration::from_secs(600);

#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_once_is_done_by_one_node_and_by_another_when_that_is_gone() {
    let Some(nodes) = Nodes::new() else { return };
    let (a, b) = (nodes.store("a"), nodes.store("b"));
    for number in 0..20 {
        let name = || format!("work {number}");
        let (first, second) = tokio::join!(a.has_lease(name(), LONG), b.has_lease(name(), LONG));
        let (first, second) = (first.expect("it answers"), second.expect("it answers"));
        assert_ne!(first, second, "one of them");
        assert_eq!(a.has_lease(name(), LONG).await, Ok(first), "it stays so");
        assert_eq!(b.has_lease(name(), LONG).await, Ok(second));
    }
    let reports = || REPORTS_LEASE.to_owned();
    assert_eq!(a.has_lease(reports(), LONG).await, Ok(true));
    assert_eq!(b.has_lease(reports(), LONG).await, Ok(false));
    a.stop();
    assert_eq!(b.has_lease(reports(), LONG).await, Ok(true), "whoever ends gives it back");

    // One that is killed gives nothing back: it is waited until that lapses.
    let c = nodes.store("c");
    assert_eq!(c.has_lease("killed".to_owned(), Duration::from_millis(200)).await, Ok(true));
    drop(c);
    while b.has_lease("killed".to_owned(), LONG).await != Ok(true) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(a.key_of("report"), b.key_of("report"), "systems outside know it by one name");
    b.stop();
}

#[test]
fn what_waits_at_a_node_that_is_gone_is_taken_over_once_and_it_begins_anew() {
    let Some(nodes) = Nodes::new() else { return };
    let (a, b, c) = (nodes.open("a"), nodes.open("b"), nodes.open("c"));
    let of = |node: &Embedded| node.alerts().expect("readable");
    let site = |node: &Embedded| node.site().expect("it is of a site").node.clone();
    assert_eq!([&a, &b, &c].map(site), ["a", "b", "c"]);
    a.keep_alerts(&[kept(alert("call 1", 0)), kept(alert("call 2", 0))]).expect("written");
    b.keep_alerts(&[kept(alert("call 3", 0))]).expect("written");
    a.keep_alerts(&[kept(alert("call 1", 1)), (kept(alert("call 2", 0)).0, None)]).expect("written");
    assert_eq!((of(&a), of(&b)), (vec![alert("call 1", 1)], vec![alert("call 3", 0)]), "each has its own");
    let [at_a, at_b, at_c] = [&a, &b, &c].map(|node| node.site().expect("it is of a site"));
    assert_eq!(at_a.has_alerts_lease(LONG), Ok(true));
    let waits = |id, call: &str| crate::store::embedded::tests::parcel(id, call);
    a.keep_parcels(&[waits(7, "call 1"), waits(8, ""), waits(9, "call 2")]).expect("written");
    a.drop_parcels(&[9]).expect("written");
    b.keep_parcels(&[waits(7, "call 3")]).expect("written");
    assert_eq!(a.parcels().expect("readable"), [waits(7, "call 1"), waits(8, "")], "each has its own");
    assert_eq!(at_b.take_over().expect("it answers"), [], "nobody is gone");
    assert_eq!(at_a.has_alerts_lease(Duration::ZERO), Ok(true));
    let taken = [at_b, at_c].map(|site| site.take_over().expect("it answers"));
    // What a system outside knows each by stays as it is.
    let parcels = vec![Parcel { id: 8, ..waits(7, "call 1") }, Parcel { id: 9, ..waits(8, "") }];
    let of_a =
        TakenOver { node: "a".to_owned(), alerts: vec![alert("call 1", 1)], parcels: parcels.clone(), fault: None };
    assert_eq!(taken, [vec![of_a], vec![]], "by one");
    assert_eq!(b.parcels().expect("readable"), [&[waits(7, "call 3")][..], &parcels].concat(), "by numbers of its own");
    assert_eq!((a.parcels().expect("readable"), c.parcels().expect("readable")), (vec![], vec![]));
    assert_eq!((of(&a), of(&b).len(), of(&c).len()), (vec![], 2, 0));
    assert_eq!(at_a.has_alerts_lease(LONG), Ok(true), "it begins anew");
    a.keep_alerts(&[kept(alert("call 4", 0))]).expect("written");
    assert_eq!((of(&a).len(), of(&b).len()), (1, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_one_node_has_ended_does_not_come_back_by_another_that_tells_of_its_use() {
    let Some(nodes) = Nodes::new() else { return };
    let (a, b) = (nodes.store("a"), nodes.store("b"));
    let session =
        |number, used| SiteSession { name: [number; 32], user: "li".to_owned(), means: [7; 32], began: 1, used };
    a.keep_sessions(vec![session(1, 1), session(2, 1)], Vec::new(), Vec::new()).await.expect("written");
    a.keep_sessions(Vec::new(), Vec::new(), vec![[1; 32]]).await.expect("written");
    b.keep_sessions(Vec::new(), vec![session(1, 9), session(2, 9)], Vec::new()).await.expect("written");
    assert_eq!(a.sessions().await.expect("readable"), [session(2, 9)]);
    assert_eq!(a.session([1; 32]).await, Ok(None));
    [a, b].iter().for_each(Store::stop);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_taken_over_whole_is_told_as_far_as_it_came_and_taken_over_once_more() {
    let Some(nodes) = Nodes::new() else { return };
    let (a, b) = (nodes.store("a"), nodes.store("b"));
    a.keep_alerts(vec![kept(alert("call 1", 1))]).await.expect("written");
    a.keep_parcels(vec![crate::store::embedded::tests::parcel(7, "call 1")]).await.expect("written");
    assert_eq!(a.has_alerts_lease(Duration::ZERO).await, Ok(true));
    let broken = nodes.refuse_removals("parcels").await;
    let taken = b.take_over().await.expect("it answers");
    let [TakenOver { node, alerts, parcels, fault: Some(why) }] = &taken[..] else { panic!("{taken:?}") };
    assert!(node == "a" && *alerts == [alert("call 1", 1)] && parcels.is_empty() && why.contains("no room"), "{why}");
    assert_eq!(b.alerts().await, Ok(alerts.clone()), "they are kept as its own by now");

    broken.mend().await;
    assert_eq!(b.has_lease(alerts_lease("a"), Duration::ZERO).await, Ok(true), "it has lapsed again");
    let taken = b.take_over().await.expect("it answers");
    let rest: Vec<(usize, usize, bool)> =
        taken.iter().map(|taken| (taken.alerts.len(), taken.parcels.len(), taken.fault.is_some())).collect();
    assert_eq!(rest, [(0, 1, false)]);
    [a, b].iter().for_each(Store::stop);
}

#[test]
fn reports_are_of_all_nodes_and_made_once() {
    let Some(nodes) = Nodes::new() else { return };
    // What a node has kept before it is one of several counts, too.
    let alone = StoreSettings { site: None, ..nodes.settings("a") };
    let keys = || {
        let master = MasterKey::read(&nodes.root.path().join("master.key")).expect("a key");
        Arc::new(KeyRing::open(&alone.folder.join("keys.json"), &master).expect("keys"))
    };
    std::fs::create_dir_all(&alone.folder).expect("a folder");
    let before = Embedded::open(&alone.folder.join("calls"), Some(&nodes.database), &keys()).expect("it opens");
    before.keep(&mut Running::default(), &call(1, BEGAN)).expect("written");
    before.keep_alerts(&[kept(alert("call 1", 0))]).expect("written");
    before.keep_parcels(&[crate::store::embedded::tests::parcel(5, "call 1")]).expect("written");
    before.keep_account("li", Some(&account(Role::Agent))).expect("written");
    drop(before);
    let (a, b) = (nodes.open("a"), nodes.open("b"));
    assert_eq!(a.parcels().expect("readable"), [crate::store::embedded::tests::parcel(5, "call 1")]);
    assert_eq!(b.accounts().expect("readable"), a.accounts().expect("readable"), "they are one");
    assert_eq!(b.accounts().expect("readable").keys().collect::<Vec<_>>(), ["li"]);
    assert_eq!(a.alerts().expect("readable"), [alert("call 1", 0)]);
    a.keep(&mut Running::default(), &call(2, BEGAN + 1)).expect("written");
    b.keep(&mut Running::default(), &call(3, BEGAN + 2)).expect("written");
    let started = |node: &Embedded| {
        let mut started = Vec::new();
        let each = &mut |moment: Moment, _: &CallFacts| started.push(moment.0 - BEGAN);
        node.facts(Moment(0), Moment(u64::MAX), each).expect("readable");
        started
    };
    assert_eq!([started(&a), started(&b)], [[0, 1, 2], [0, 1, 2]], "once each");
    let own = |node: &Embedded| node.calls(Moment(u64::MAX), 10).expect("readable").len();
    assert_eq!((own(&a), own(&b)), (2, 1), "each has its own calls");
    assert_eq!(a.forget_before(Moment(BEGAN + 1), 10), Ok(1));
    assert_eq!(started(&b), [1, 2], "and takes them out");
    let retention = |node: &Embedded| node.site().expect("it is of a site").forget_before(Moment(BEGAN + 2));
    assert_eq!((retention(&a), retention(&b)), (Ok(1), Ok(0)), "by one of them");
    assert_eq!(started(&b), [2]);

    let parcel = crate::store::embedded::tests::parcel(1, "");
    assert_eq!(a.keep_parcel_once(&parcel), Ok(true));
    assert_eq!(b.keep_parcel_once(&parcel), Ok(false), "another one has made it");
    let minute = |number: u64| Moment(number * 60_000);
    a.note_minute(minute(1_440), true).expect("written");
    b.note_minute(minute(1_440), false).expect("written");
    b.note_minute(minute(1_442), false).expect("written");
    let minutes = a.minutes(minute(0), minute(1_445), minute(1_445)).expect("readable");
    assert_eq!(minutes, Minutes { known: 5, up: 2, ready: 1 }, "any of them was up");
}

#[test]
fn reports_of_all_nodes_count_no_calls_of_a_tenant_that_is_erased() {
    let Some(nodes) = Nodes::new() else { return };
    let (a, b) = (nodes.open("a"), nodes.open("b"));
    for (node, number, tenant) in [(&a, 1, "shop"), (&a, 2, "other"), (&b, 3, "shop")] {
        let mut kept = call(number, BEGAN + number);
        if let What::CallStarted { tags, .. } = &mut kept[0].notice.what {
            tags.tenant = Some(tenant.to_owned());
        }
        node.keep(&mut Running::default(), &kept).expect("written");
    }
    let counted = || {
        let mut counted = Vec::new();
        let each = &mut |moment: Moment, _: &CallFacts| counted.push(moment.0 - BEGAN);
        b.facts(Moment(0), Moment(u64::MAX), each).expect("readable");
        counted
    };
    assert_eq!(counted(), [1, 2, 3]);
    assert_eq!(a.erase_tenant("shop").expect("written").expect("nobody is held").calls, 1);
    assert_eq!(counted(), [2, 3], "each node erases its own");
    assert_eq!(b.erase_tenant("shop").expect("written").expect("nobody is held").calls, 1);
    assert_eq!(counted(), [2]);
}

#[test]
fn old_facts_are_removed_some_at_a_time_and_the_rest_soon_after() {
    let Some(nodes) = Nodes::new() else { return };
    let a = nodes.open("a");
    let site = a.site().expect("it is of a site");
    let many = u64::from(FACTS_SWEEP_MAX) + 1;
    for from in (0..many).step_by(TOGETHER_MAX) {
        let mut batch = Batch::default();
        for started in from..many.min(from + TOGETHER_MAX as u64) {
            batch.insert([&started.to_be_bytes()[..], &[0; 16]].concat(), []);
        }
        site.facts.apply(batch).expect("written");
    }
    let retained = || site.forget_before(Moment(many));
    assert_eq!((retained(), site.facts.len()), (Ok(many - 1), 1));
    let first = site.facts.keys(&[], None).next().expect("one is left").expect("readable");
    assert_eq!(first[..8], (many - 1).to_be_bytes(), "the youngest");
    assert_eq!((retained(), retained()), (Ok(1), Ok(0)));
}

#[test]
fn a_node_has_a_name_of_its_own_and_the_sites_master_key() {
    let Some(nodes) = Nodes::new() else { return };
    let a = nodes.open("a");
    a.keep(&mut Running::default(), &call(1, BEGAN)).expect("written");
    let same = nodes.try_open("elsewhere", &nodes.settings("a")).expect_err("the name is taken");
    assert!(same.contains("a node \"a\" of the site") && same.contains("a name of its own"), "{same}");
    nodes.make_key("other.key");
    let file = |name: &str| MasterKeySource::File(nodes.root.path().join(name));
    let other = StoreSettings { master_key: file("other.key"), ..nodes.settings("b") };
    let strange = nodes.try_open("b", &other).expect_err("another master key");
    assert!(strange.contains("nodes of one site share it"), "{strange}");
    let changed = StoreSettings { previous_key: Some(file("master.key")), ..other };
    drop(nodes.try_open("b", &changed).expect("the one of before opens it"));
    let c = StoreSettings { master_key: file("other.key"), ..nodes.settings("c") };
    let again = nodes.try_open("c", &c).expect("it is sealed by the new one");
    let mut count = 0;
    again.facts(Moment(0), Moment(u64::MAX), &mut |_, _| count += 1).expect("readable as before");
    assert_eq!(count, 1);
    assert!(nodes.try_open("d", &nodes.settings("d")).is_err(), "the old one opens it no longer");
}
