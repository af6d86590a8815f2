//! Business data that is pulled: rules go by it from the first moment of a chat, what cannot be used is counted, and whoever is
//! erased is forgotten.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use calmline::notice::What;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection};

use crate::stage::{Setup, Stage, eventually, folder};

const POLICY: &str = r#"
name = "own"
version = 1
scenarios = ["chats"]
[[rule]]
id = "late-parcel"
when = { words = ["refund"] }
while = { order = { state = "delayed" }, customer = { tier = "gold" } }
then = [{ alert = "info", text = "the parcel is late" }]
"#;
const ROUTE: (&str, &str) = (
    "scenario = \"after-sales\"\n",
    "scenario = \"after-sales\"\n\n[[route]]\nname = \"chats\"\nmatch = { request_uri = \"chat:*\" }\nforked = true\n\
     scenario = \"chats\"\n",
);
const CUSTOMERS: &str = "phone,level,note\n13800138000,gold,x\n,gold,nobody\n13900139000,g\u{fffd}ld,lost\n\
                         13700137000,silver,a\n13700137000,gold,again\n";

#[test]
fn what_is_pulled_decides_and_goes_with_the_person() {
    let name = "sources";
    let _ = std::fs::remove_dir_all(folder(name).join("kept"));
    std::fs::create_dir_all(folder(name).join("config")).expect("a folder");
    std::fs::write(folder(name).join("config/customers.csv"), CUSTOMERS).expect("a file");
    let orders = json!({ "data": [{ "who": "13800138000", "state": 2 }, { "who": 13700137000u64, "state": 7 }] });
    let sources = format!(
        "[store]\nfolder = \"../kept\"\n\n\
         [sources.customers]\nfile = \"customers.csv\"\nperson = \"phone\"\nfacts = {{ level = \"customer.tier\" }}\n\n\
         [sources.orders]\nurl = \"http://{}/export\"\nformat = \"json\"\nrows = \"/data\"\nperson = \"who\"\n\
         facts = {{ state = \"order.state\" }}\ncodes.\"order.state\" = {{ 1 = \"placed\", 2 = \"delayed\" }}\n\
         authorization_env = \"CALMLINE_TOKEN\"\n\n\
         [sources.gone]\nurl = \"http://{}/\"\nperson = \"who\"\nfacts = {{ state = \"order.reason\" }}\n\n[listening]",
        serving("200 OK", orders.to_string()),
        serving("500 Oh", String::new()),
    );
    let stage =
        Stage::set(Setup { edits: &[("[listening]", &sources), ROUTE], policy: Some(POLICY), ..Setup::named(name) });
    eventually("all are pulled", || {
        stage.metric("calmline_source_pulls_total{source=\"customers\",outcome=\"taken\"}") == 1.0
            && stage.metric("calmline_source_pulls_total{source=\"orders\",outcome=\"taken\"}") == 1.0
            && stage.metric("calmline_source_pulls_total{source=\"gone\",outcome=\"failed\"}") == 1.0
    });
    figures(&stage);
    decides(&stage);
    let (status, erased) =
        stage.ask("POST", "/v1/people/erase", &json!({ "address": "13800138000", "reason": "asked for" }));
    assert_eq!(status, 200, "{erased}");
    open(&stage, "13800138000");
    stage.until("the chat", |what| matches!(what, What::ChatOpened { .. }));
    open(&stage, "13700137000");
    let known = facts(&stage);
    assert_eq!(known, ["customer.tier"], "of the other one, and nothing of whoever was erased");
}

/// What `GET /v1/sources` says of the three.
fn figures(stage: &Stage) {
    let listed = stage.api("/v1/sources");
    let of = |name: &str| {
        let all = listed["sources"].as_array().into_iter().flatten();
        all.into_iter().find(|source| source["source"] == name).cloned().unwrap_or_default()
    };
    let customers = of("customers");
    let counts = ["rows", "people", "empty", "garbled", "duplicate"].map(|key| customers[key].as_u64().unwrap_or(99));
    assert_eq!(counts, [5, 2, 1, 1, 1], "{customers}");
    assert_eq!(customers["facts"]["customer.tier"], json!({ "completeness": 1.0, "accuracy": 1.0 }));
    assert_eq!(of("orders")["facts"]["order.state"], json!({ "completeness": 1.0, "accuracy": 0.5 }), "{listed}");
    assert_eq!(
        (&of("gone")["pulled"], &of("gone")["failure"]),
        (&Value::Null, &json!("it answers 500 Internal Server Error"))
    );
    assert!(!listed.to_string().contains("138001"), "{listed}");
    assert_eq!(stage.metric("calmline_source_accuracy_ratio{source=\"orders\""), 0.5);
}

/// A rule about pulled facts fires, and says so.
fn decides(stage: &Stage) {
    let chat = open(stage, "13800138000");
    assert_eq!(facts(stage), ["customer.tier", "order.state"]);
    crate::chats::read_words(stage, &chat);
    let told = crate::chats::told(stage, "the decision", |what| matches!(what, What::Decided { .. }));
    let What::Decided { rule, facts, .. } = told else { unreachable!("just matched") };
    assert_eq!(rule, "late-parcel");
    assert!(facts.iter().any(|fact| fact == "order.state = delayed"), "{facts:?}");
    assert_eq!(stage.ask("POST", &format!("{chat}/end"), &Value::Null).0, 202);
    stage.until("the end", |what| matches!(what, What::CallEnded { .. }));
}

#[test]
fn a_database_is_asked_and_changes_nothing() {
    let Ok(url) = std::env::var("CALMLINE_TEST_DATABASE") else {
        println!("skipped: CALMLINE_TEST_DATABASE names no PostgreSQL");
        return;
    };
    let name = "sources-database";
    let _ = std::fs::remove_dir_all(folder(name).join("kept"));
    let table = format!("calmline_people_{}", std::process::id());
    execute(&url, &format!("CREATE TABLE {table} (phone text, tier text, orders int, taken date)"));
    execute(
        &url,
        &format!("INSERT INTO {table} VALUES ('13800138000', 'gold', 3, '2026-11-26'), ('13700137000', NULL, 0, NULL)"),
    );
    let sources = |query: &str| {
        format!(
            "database = \"{url}\"\nquery = \"{query}\"\nperson = \"phone\"\n\
             facts = {{ tier = \"customer.tier\", orders = \"customer.orders\", taken = \"order.taken\" }}\n\n"
        )
    };
    let mut text = "[store]\nfolder = \"../kept\"\n\n".to_owned();
    write!(text, "[sources.people]\n{}", sources(&format!("SELECT * FROM {table}"))).expect("text");
    let deleting = format!("WITH gone AS (DELETE FROM {table} RETURNING *) SELECT * FROM gone");
    write!(text, "[sources.sly]\n{}[listening]", sources(&deleting)).expect("text");
    let stage =
        Stage::set(Setup { edits: &[("[listening]", &text), ROUTE], policy: Some(POLICY), ..Setup::named(name) });
    eventually("both are tried", || stage.metric("calmline_source_pulls_total") == 2.0);
    open(&stage, "13800138000");
    assert_eq!(facts(&stage), ["customer.orders", "customer.tier", "order.taken"]);
    let listed = stage.api("/v1/sources");
    let [people, sly] = [&listed["sources"][0], &listed["sources"][1]];
    // A transaction that may only read, and a DELETE inside of a query: the one or the other code.
    let refused = sly["failure"].as_str().unwrap_or_default();
    assert!(["25006", "0A000"].iter().any(|code| refused.ends_with(&format!("SQLSTATE {code}"))), "{sly}");
    assert_eq!(people["facts"]["order.taken"], json!({ "completeness": 0.5, "accuracy": 1.0 }), "{people}");
    execute(&url, &format!("DROP TABLE {table}"));
}

fn execute(url: &str, statement: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut connection = sqlx::PgConnection::connect(url).await.expect("the database");
        sqlx::query(AssertSqlSafe(statement.to_owned())).execute(&mut connection).await.expect(statement);
    });
}

/// Opens a chat of a customer; its address.
fn open(stage: &Stage, customer: &str) -> String {
    let opening = json!({ "channel": "app", "customer": customer, "language": "zh" });
    let (status, opened) = stage.ask("POST", "/v1/interactions", &opening);
    assert_eq!(status, 201, "{opened}");
    format!("/v1/interactions/{}", opened["interaction"].as_str().expect("an id"))
}

/// The names of the facts that the sources tell next.
fn facts(stage: &Stage) -> Vec<String> {
    let told = stage.until("facts", |what| matches!(what, What::FactsTold { by: Some(by), .. } if by == "sources"));
    let What::FactsTold { known, .. } = told.what else { unreachable!("just matched") };
    known
}

/// A server that gives one answer to whoever has the token, or to everybody when it fails anyway.
fn serving(status: &'static str, body: String) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = listener.local_addr().expect("bound");
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut octets = [0; 4_096];
            let read = stream.read(&mut octets).unwrap_or(0);
            let asked = String::from_utf8_lossy(&octets[..read]).to_ascii_lowercase();
            let status = if body.is_empty() || asked.contains("authorization:") { status } else { "401 No" };
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let _ = stream.write_all(format!("{head}{body}").as_bytes());
        }
    });
    at
}
