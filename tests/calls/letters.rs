//! Reports by mail, handed to a mail server over TLS: once each, over refusals, a crash, and for as long as somebody is there to
//! take them.

mod office;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use calmline::demo::server::{ask, get};
use serde_json::Value;

pub use self::office::Office;
use crate::kept::Again;
use crate::stage::{Setup, Stage, eventually, folder};

pub const PASSWORD: &str = "a password of both";

#[test]
fn reports_are_mailed_once_over_refusals_and_a_crash() {
    let name = "letters";
    let office = Office::open("calmline", PASSWORD);
    office.refuse(2);
    let mut stage =
        set(name, &office, "starttls", "periods = [\"day\"]\nformats = [\"xlsx\", \"csv\"]\nlanguage = \"en\"");
    // The last three days that are over, and each of them once.
    eventually("three reports came", || office.mails().len() == 3);
    assert_eq!(office.refusals(), 0, "what was refused for the moment was tried again");
    let mails = office.mails();
    for mail in &mails {
        for part in [
            "From: Calmline <calmline@shop.example>",
            "To: heads@shop.example",
            "Subject: Calls and moods 20",
            "Content-Type: text/html",
            ".xlsx\"",
            ".csv\"",
        ] {
            assert!(mail.contains(part), "no {part} in {mail}");
        }
    }
    let ids = |mails: &[String]| {
        let mut ids: Vec<String> = mails.iter().filter_map(|mail| header(mail, "Message-ID: ")).collect();
        ids.sort();
        ids.dedup();
        ids
    };
    assert_eq!(ids(&mails).len(), 3);
    let (web, token) = (stage.server.addresses.web, stage.server.token.clone());
    eventually("nothing waits", || deliveries(web, &token, "").is_empty());
    assert_eq!(stage.api("/readyz")["components"]["reports"], "up");
    assert!(stage.metric("calmline_deliveries_total{crm=\"mail:heads\",outcome=\"taken\"") >= 3.0);

    stage.server.kill();
    let written = std::fs::read_dir(folder(name).join("reports")).expect("reports on disk");
    let file = written.map(|entry| entry.expect("an entry").path()).next().expect("one at least");
    std::fs::remove_file(&file).expect("it is there");
    let again = Again::start(&folder(name).join("config/calmline.toml"), &stage.server.token);
    eventually("it has looked for what is due", || file.exists());
    for _ in 0..20 {
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(deliveries(web, &again.token, ""), Vec::<Value>::new());
    }
    assert_eq!(office.mails().len(), 3, "what was sent is not sent again");
}

#[test]
fn who_cannot_be_trusted_gets_no_report_and_no_password() {
    let office = Office::open("calmline", PASSWORD);
    // The server's own authority is not ours: it may be anybody's.
    let other = Office::open("calmline", PASSWORD);
    std::fs::create_dir_all(folder("letters-false").join("config")).expect("a folder");
    let (to, terms) = (["heads@shop.example"], "periods = [\"month\"]\nformats = [\"csv\"]");
    let stage = set_with("letters-false", (&office, &other), "starttls", &to, terms);
    let (web, token) = (stage.server.addresses.web, stage.server.token.clone());
    eventually("it says why", || {
        deliveries(web, &token, "")
            .iter()
            .any(|one| one["error"].as_str().is_some_and(|why| why.contains("ertificate")))
    });
    assert!(office.mails().is_empty() && office.logins() == 0);
}

#[test]
fn what_is_refused_for_good_is_set_aside_and_told() {
    let office = Office::open("calmline", "another password");
    let stage = set("letters-refused", &office, "tls", "periods = [\"month\"]\nformats = [\"csv\"]");
    let (web, token) = (stage.server.addresses.web, stage.server.token.clone());
    eventually("it is set aside", || deliveries(web, &token, "?state=set_aside").len() == 1);
    let aside = &deliveries(web, &token, "?state=set_aside")[0];
    assert_eq!((&aside["crm"], &aside["event"]), (&Value::from("mail:heads"), &Value::from("report")), "{aside}");
    assert!(aside["error"].as_str().is_some_and(|why| why.contains("535")), "{aside}");
    assert!(office.mails().is_empty());
    let reports_are = |state: &str| stage.api("/readyz")["components"]["reports"] == state;
    eventually("it is told", || reports_are("down"));
    let (status, _) = ask(web, ("DELETE", &format!("/v1/deliveries/{}", aside["id"])), "", &token).expect("an answer");
    assert!((200..300).contains(&status), "{status}");
    eventually("nothing is wrong any more", || reports_are("up"));
}

#[test]
fn an_address_that_nobody_has_keeps_the_report_from_no_other() {
    let office = Office::open("calmline", PASSWORD);
    office.has_nobody("gone@shop.example");
    let terms = "periods = [\"month\"]\nformats = [\"csv\"]";
    let to = ["gone@shop.example", "heads@shop.example"];
    let stage = set_with("letters-gone", (&office, &office), "starttls", &to, terms);
    let (web, token) = (stage.server.addresses.web, stage.server.token.clone());
    eventually("one is set aside, and the other came", || {
        deliveries(web, &token, "?state=set_aside").len() == 1 && office.mails().len() == 1
    });
    let mail = &office.mails()[0];
    assert!(mail.contains("To: heads@shop.example") && !mail.contains("gone@"), "{mail}");
    let why = deliveries(web, &token, "")[0]["error"].to_string();
    assert!(why.contains("550") && why.contains("<…>") && !why.contains("gone@"), "{why}");
}

/// A server that mails reports to the heads, by an office that it trusts.
fn set(name: &str, office: &Office, tls: &str, terms: &str) -> Stage {
    set_with(name, (office, office), tls, &["heads@shop.example"], terms)
}

fn set_with(name: &str, (office, trusted): (&Office, &Office), tls: &str, to: &[&str], terms: &str) -> Stage {
    let home = folder(name);
    for left in ["kept", "reports"] {
        let _ = std::fs::remove_dir_all(home.join(left));
    }
    let config = home.join("config");
    std::fs::create_dir_all(&config).expect("a folder");
    write(&config, "office.pem", &trusted.authority);
    write(&config, "mail.password", PASSWORD);
    let at = if tls == "tls" { office.wrapped } else { office.at };
    let sections = format!(
        "[store]\nfolder = \"../kept\"\n\n[reports]\nfolder = \"../reports\"\nat = \"00:00\"\nperiods = [\"day\"]\n\n\
         [reports.to.heads]\nmail = {to:?}\n{terms}\n\n[mail]\nserver = \"{at}\"\ntls = \"{tls}\"\n\
         authorities = \"office.pem\"\nuser = \"calmline\"\nsecret_file = \"mail.password\"\n\
         from = \"Calmline <calmline@shop.example>\"\nretry_s = 1\nwithin_s = 10\n\n[listening]"
    );
    Stage::set(Setup { edits: &[("[listening]", sections.as_str())], ..Setup::named(name) })
}

fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).expect("a file");
}

fn deliveries(web: SocketAddr, token: &str, query: &str) -> Vec<Value> {
    let text = get(web, &format!("/v1/deliveries{query}"), token).unwrap_or_default();
    let answer: Value = serde_json::from_str(&text).unwrap_or_default();
    answer["deliveries"].as_array().cloned().unwrap_or_default()
}

fn header(mail: &str, name: &str) -> Option<String> {
    mail.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned)
}
