//! Who is told outside of calls, and what is pulled, changes under the running server: nothing is told twice, nothing is lost,
//! and a configuration that is broken changes nothing.

use std::path::PathBuf;

use calmline::notice::What;
use serde_json::{Value, json};

use crate::letters::{Office, PASSWORD};
use crate::stage::{Setup, Stage, eventually, folder};
use crate::tickets::{Does, Receiver, SECRET};

const NAME: &str = "outside";
const ROUTE: &str =
    "scenario = \"after-sales\"\n\n[[route]]\nname = \"chats\"\nforked = true\nscenario = \"after-sales\"\n";

#[test]
fn who_is_told_and_what_is_pulled_changes_under_the_running_server() {
    let yard = Yard::set();
    let stage = &yard.stage;
    let (first, second, office) = (Receiver::start(), Receiver::start(), Office::open("calmline", PASSWORD));
    std::fs::write(yard.file("office.pem"), &office.authority).expect("a file");
    let mail = format!(
        "[mail]\nserver = \"{}\"\nauthorities = \"office.pem\"\nuser = \"calmline\"\nsecret_file = \"mail.password\"\n\
         from = \"Calmline <calmline@shop.example>\"\nretry_s = 1\n",
        office.at
    );
    let reports = |to: &str| {
        format!(
            "[reports]\nfolder = \"../reports\"\nat = \"00:00\"\nperiods = [\"day\"]\nformats = [\"csv\"]\n\n\
             [reports.to.heads]\nmail = [{to}]\nperiods = [\"day\"]\nformats = [\"csv\"]\n\n{mail}"
        )
    };
    let customers =
        "[sources.customers]\nfile = \"customers.csv\"\nperson = \"phone\"\nfacts = { level = \"customer.tier\" }\n";

    // All of it is new, and the system outside takes nothing yet.
    first.does(Does::Fail);
    let heads = reports("\"heads@shop.example\"");
    yard.reloads(&[&crm(&first), customers, &heads]);
    eventually("the days that are over are mailed", || office.mails().len() == 3);
    eventually("it is pulled", || pulls(stage) == 1.0);
    yard.chat("13800138000", true);
    eventually("it is tried", || !first.had().is_empty());

    // Broken: what is in force stays so.
    let (status, answer) = yard.reload(&[&crm(&second).replace("crm-secret", "no-secret"), customers, &heads]);
    assert_eq!((status, &answer["faults"][0]["key"]), (422, &json!("crm.tickets")), "{answer}");
    let tries = first.had().len();
    eventually("it is tried there again", || first.had().len() > tries);

    // Elsewhere: what waits goes there, once, and those who had their mail get no other.
    let both = reports("\"heads@shop.example\", \"desk@shop.example\"");
    yard.reloads(&[&crm(&second), customers, &both]);
    eventually("it is taken elsewhere", || second.taken() == 1);
    assert_eq!(second.had()[0].header("idempotency-key"), first.had()[0].header("idempotency-key"));
    eventually("the other one is mailed, too", || office.mails().len() == 6);
    let of = |address: &str| office.mails().iter().filter(|mail| mail.contains(&format!("To: {address}"))).count();
    assert_eq!((of("heads@shop.example"), of("desk@shop.example")), (3, 3));
    eventually("nothing waits", || deliveries(stage).is_empty());
    assert_eq!(pulls(stage), 1.0, "it was not due");

    // Gone: what waits is set aside for as long as nobody is there.
    second.does(Does::Fail);
    yard.chat("13800138000", true);
    eventually("it is tried", || second.had().len() > 1);
    yard.reloads(&[]);
    eventually("it is set aside", || {
        deliveries(stage).iter().any(|one| one["next"].is_null() && one["error"].to_string().contains("no receiver"))
    });
    eventually("the source is forgotten", || stage.api("/v1/sources")["sources"] == json!([]));
    yard.chat("13800138000", false);
    assert!(stage.api("/readyz")["components"]["reports"].is_null());
    second.does(Does::Take);
    yard.reloads(&[&crm(&second), customers, &both]);
    eventually("it is taken", || second.taken() == 2 && deliveries(stage).is_empty());
    eventually("it is pulled again", || pulls(stage) == 2.0);
    assert_eq!((first.taken(), office.mails().len()), (0, 6));
}

/// A server with a store that tells nobody, and its configuration.
struct Yard {
    stage: Stage,
    written: String,
}

impl Yard {
    fn set() -> Yard {
        let home = folder(NAME);
        for left in ["kept", "reports"] {
            let _ = std::fs::remove_dir_all(home.join(left));
        }
        std::fs::create_dir_all(home.join("config")).expect("a folder");
        for (name, text) in
            [("crm-secret", SECRET), ("mail.password", PASSWORD), ("customers.csv", "phone,level\n13800138000,gold\n")]
        {
            std::fs::write(home.join("config").join(name), text).expect("a file");
        }
        let store = ("[listening]", "[store]\nfolder = \"../kept\"\n\n[listening]");
        let edits = [store, ("scenario = \"after-sales\"\n", ROUTE)];
        let stage = Stage::set(Setup { edits: &edits, ..Setup::named(NAME) });
        let written = std::fs::read_to_string(home.join("config/calmline.toml")).expect("the configuration");
        Yard { stage, written }
    }

    fn file(&self, name: &str) -> PathBuf {
        folder(NAME).join("config").join(name)
    }

    /// Has the server read its configuration with these sections.
    fn reload(&self, sections: &[&str]) -> (u16, Value) {
        let text = self.written.replacen("[listening]", &format!("{}\n\n[listening]", sections.join("\n")), 1);
        std::fs::write(self.file("calmline.toml"), text).expect("a file of the server's folder");
        self.stage.ask("POST", "/v1/reload", &Value::Null)
    }

    #[track_caller]
    fn reloads(&self, sections: &[&str]) {
        let (status, answer) = self.reload(sections);
        assert_eq!((status, &answer["needs_restart"]), (200, &json!([])), "{answer}");
    }

    /// Opens a chat of a customer, of whom something is known or not.
    fn chat(&self, customer: &str, is_known: bool) {
        let opening = json!({ "channel": "app", "customer": customer });
        let (status, opened) = self.stage.ask("POST", "/v1/interactions", &opening);
        assert_eq!(status, 201, "{opened}");
        match is_known {
            true => {
                let told = |what: &What| matches!(what, What::FactsTold { by: Some(by), .. } if by == "sources");
                let told = self.stage.until("facts", told);
                let record = self.stage.api(&format!("/v1/calls/{}", told.call));
                assert!(record["events"].to_string().contains("facts_told"), "{record}");
            }
            false => {
                let id = opened["interaction"].as_str().expect("an id").to_owned();
                assert_eq!(self.stage.ask("POST", &format!("/v1/interactions/{id}/end"), &Value::Null).0, 202);
                self.stage.until("the end", |what| matches!(what, What::CallEnded { .. }));
                let record = self.stage.api(&format!("/v1/calls/{id}"));
                assert!(!record["events"].to_string().contains("facts_told"), "nothing is known any more: {record}");
            }
        }
    }
}

fn crm(receiver: &Receiver) -> String {
    format!(
        "[crm.tickets]\nurl = \"http://{}/hook\"\nsecret_file = \"crm-secret\"\nretry_s = 1\nevents = [\"chat_opened\"]\n",
        receiver.at
    )
}

fn pulls(stage: &Stage) -> f64 {
    stage.metric("calmline_source_pulls_total{source=\"customers\",outcome=\"taken\"}")
}

fn deliveries(stage: &Stage) -> Vec<Value> {
    stage.api("/v1/deliveries")["deliveries"].as_array().cloned().unwrap_or_default()
}
