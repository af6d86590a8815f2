//! The libraries of a running server: answers are suggested while a customer writes, and files are replaced over the API,
//! with everything that is wrong refused and the version before at hand.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use calmline::notice::What;
use serde_json::{Value, json};

use crate::stage::{LONG, PROGRAM, Setup, Stage, folder};

const SHOP: &str = r#"
name = "shop"
scenarios = ["chats"]
[[entry]]
id = "refund-when"
zh.questions = ["退款什么时候到账", "退款要等多久"]
zh.answer = "三个工作日内到账"
en.questions = ["When will I get my refund?"]
en.answer = "Within three working days"
[[entry]]
id = "parcel-where"
zh.questions = ["快递到哪了"]
zh.answer = "我帮您查"
"#;
const POLICY: &str = "name = \"own\"\nversion = 1\nscenarios = [\"chats\"]\n[[rule]]\nid = \"count\"\nwhen = { key = \"1\" }\n\
                      then = [{ alert = \"info\", text = \"counted\" }]\n";
const EDITS: [(&str, &str); 2] = [
    ("[listening]", "[store]\nfolder = \"../kept\"\n\n[knowledge]\n\n[listening]"),
    (
        "scenario = \"after-sales\"\n",
        "scenario = \"after-sales\"\n\n[[route]]\nname = \"chats\"\nmatch = { request_uri = \"chat:*\" }\nforked = true\n\
         scenario = \"chats\"\n",
    ),
];
const KNOWLEDGE: &str = "/v1/libraries/knowledge/shop";

#[test]
fn answers_are_suggested_and_files_replaced_under_a_chat() {
    let name = "library";
    // Of a run before: what it kept, and the files that it replaced.
    let _ = std::fs::remove_dir_all(folder(name));
    write(name, "config/knowledge/shop.toml", SHOP);
    let mut stage = Stage::set(Setup { edits: &EDITS, policy: Some(POLICY), ..Setup::named(name) });
    assert_eq!(stage.metric("calmline_knowledge_entries"), 2.0);

    let opening = json!({ "channel": "app", "customer": "13800138000", "language": "zh" });
    let (_, opened) = stage.ask("POST", "/v1/interactions", &opening);
    let chat = format!("/v1/interactions/{}", opened["interaction"].as_str().expect("an id"));
    let say = |text: &str| {
        let message = json!({ "party": "customer", "text": text });
        assert_eq!(stage.ask("POST", &format!("{chat}/messages"), &message).0, 202);
    };
    say("我的手机号是13800138000，退款多久能到账啊");
    let (query, answer) = suggested(&stage);
    assert_eq!(answer, "三个工作日内到账");
    assert!(query.contains("退款") && !query.contains("13800138000"), "{query}");
    // The agent's words ask for nothing, and neither does a greeting.
    let message = json!({ "party": "agent", "text": "快递到哪了" });
    assert_eq!(stage.ask("POST", &format!("{chat}/messages"), &message).0, 202);
    say("你好");
    say("我的快递到哪了");
    assert_eq!(suggested(&stage).1, "我帮您查");

    replaced(&stage);
    say("退款要等多久");
    assert_eq!(suggested(&stage).1, "马上到账");
    brought_back(&stage);
    found_out(&stage);
    one_policy_alone(&stage, name);
    edits_wait(&stage, name);
    // It stays with the chat, and goes with the person.
    let events = stage.api(&chat)["events"].to_string();
    assert!(events.contains("answers_suggested") && events.contains("马上到账"), "{events}");
    assert_eq!(stage.ask("POST", &format!("{chat}/end"), &Value::Null).0, 202);
    stage.until("the end", |what| matches!(what, What::CallEnded { .. }));

    // Who replaced what is on record: five times the knowledge, six times a policy, and a new file.
    stage.server.kill();
    let config = folder(name).join("config/calmline.toml");
    let listed = Command::new(PROGRAM).args(["audit", "list", "--config"]).arg(config).output().expect("the program");
    let trail = String::from_utf8_lossy(&listed.stdout);
    assert_eq!(trail.matches("library_replaced").count(), 12, "{trail}");
}

/// Another text is checked, refused where it is wrong or goes by another version, and taken.
fn replaced(stage: &Stage) {
    let (status, head, text) = send(stage, "GET", KNOWLEDGE, "", "");
    assert_eq!((status, text.as_str()), (200, SHOP));
    let version = etag(&head);
    let other = SHOP.replace("三个工作日内到账", "马上到账");
    let broken = SHOP.replace("zh.answer", "zh.anwser");

    assert_eq!(send(stage, "PUT", &format!("{KNOWLEDGE}?check=true"), "", &other).0, 200);
    let (status, _, answer) = send(stage, "PUT", &format!("{KNOWLEDGE}?check=true"), "", &broken);
    assert_eq!((status, answer.contains("entry[1].zh.answer")), (422, true), "{answer}");
    assert_eq!(send(stage, "PUT", KNOWLEDGE, "", &other).0, 428, "whoever replaces says what");
    assert_eq!(send(stage, "PUT", KNOWLEDGE, "If-Match: \"0\"\r\n", &other).0, 412);
    assert_eq!(send(stage, "PUT", KNOWLEDGE, "If-None-Match: *\r\n", &other).0, 412);
    assert_eq!(send(stage, "PUT", KNOWLEDGE, &format!("If-Match: {version}\r\n"), &broken).0, 422);
    let (status, head, answer) = send(stage, "PUT", KNOWLEDGE, &format!("If-Match: {version}\r\n"), &other);
    assert_eq!(status, 200, "{answer}");
    assert_ne!(etag(&head), version);
    assert_eq!(send(stage, "PUT", KNOWLEDGE, &format!("If-Match: {version}\r\n"), SHOP).0, 412, "somebody was faster");
    let one = stage.api("/v1/knowledge/refund-when");
    assert_eq!(one["languages"]["zh"]["answer"], "马上到账");
}

/// The version before comes back; a policy that does not fit the rest is never in force.
fn brought_back(stage: &Stage) {
    assert_eq!(send(stage, "POST", &format!("{KNOWLEDGE}/back"), "", "").0, 200);
    assert_eq!(send(stage, "GET", KNOWLEDGE, "", "").2, SHOP);
    assert_eq!(send(stage, "POST", &format!("{KNOWLEDGE}/back"), "", "").0, 200);
    assert_eq!(stage.api("/v1/knowledge/refund-when")["languages"]["zh"]["answer"], "马上到账");

    let policy = "/v1/libraries/policies/own";
    assert_eq!(send(stage, "POST", &format!("{policy}/back"), "", "").0, 404, "it was never replaced");
    let version = etag(&send(stage, "GET", policy, "", "").1);
    let nowhere =
        POLICY.replace("{ alert = \"info\", text = \"counted\" }", "{ reroute = \"bridge\", target = \"mars\" }");
    let (status, _, answer) = send(stage, "PUT", policy, &format!("If-Match: {version}\r\n"), &nowhere);
    assert_eq!((status, answer.contains("rule[1].then[1].target")), (422, true), "{answer}");
    assert_eq!(send(stage, "GET", policy, "", "").2, POLICY);
    let second = POLICY.replace("version = 1", "version = 2");
    let (status, _, answer) = send(stage, "PUT", policy, &format!("If-Match: {version}\r\n"), &second);
    assert_eq!((status, answer.contains("own@2")), (200, true), "{answer}");
    let (status, _, answer) = send(stage, "PUT", "/v1/libraries/knowledge/more", "If-None-Match: *\r\n", SHOP);
    assert_eq!((status, answer.contains("once more")), (422, true), "{answer}");
    let more = SHOP.replace("id = \"", "id = \"more-");
    assert_eq!(send(stage, "PUT", "/v1/libraries/knowledge/more", "If-None-Match: *\r\n", &more).0, 201);
    assert_eq!(stage.metric("calmline_knowledge_entries"), 4.0);
}

/// After a step back of all policies, one of them is put in force, and back, and no other one moves.
fn one_policy_alone(stage: &Stage, name: &str) {
    let own = "/v1/libraries/policies/own";
    let version = |of: &str, number: u32| {
        POLICY.replace("\"own\"", &format!("\"{of}\"")).replace("version = 1", &format!("version = {number}"))
    };
    let in_force = |answer: &str| serde_json::from_str::<Value>(answer).expect("JSON")["policies"].clone();
    for number in [1, 2] {
        write(name, "config/own/other.toml", &version("other", number));
        let reloaded = stage.ask("POST", "/v1/reload", &Value::Null).1;
        assert_eq!(reloaded["policies"], json!([format!("other@{number}"), "own@2"]));
    }
    assert_eq!(stage.ask("POST", "/v1/policies/back", &Value::Null).0, 202);
    let (status, _, answer) = send(stage, "PUT", own, "If-Match: *\r\n", &version("own", 3));
    assert_eq!((status, in_force(&answer)), (200, json!(["other@1", "own@3"])), "{answer}");
    let (status, _, answer) = send(stage, "POST", &format!("{own}/back"), "", "");
    assert_eq!((status, in_force(&answer)), (200, json!(["other@1", "own@2"])), "{answer}");
    let other = stage.api("/v1/policies")["policies"][0].clone();
    assert_eq!((&other["label"], &other["saved"]), (&json!("other@1"), &json!(false)), "its file waits");
    let (status, _, answer) = send(stage, "POST", &format!("{KNOWLEDGE}/back"), "", "");
    assert_eq!((status, in_force(&answer)), (200, json!(["other@1", "own@2"])), "{answer}");
    assert_eq!(send(stage, "POST", &format!("{KNOWLEDGE}/back"), "", "").0, 200);
    // Other knowledge leaves the policies before those in force where they were.
    for labels in [["other@1", "own@3"], ["other@1", "own@2"]] {
        assert_eq!(stage.ask("POST", "/v1/policies/back", &Value::Null).0, 202);
        let listed = stage.api("/v1/policies")["policies"].clone();
        assert_eq!([&listed[0]["label"], &listed[1]["label"]], labels, "{listed}");
    }
    // Who asks for all of them gets all of them.
    let reloaded = stage.ask("POST", "/v1/reload", &Value::Null).1;
    assert_eq!(reloaded["policies"], json!(["other@2", "own@2"]));
}

/// Edits that nobody has put in force: of a policy, it is not what one goes back to, and the configuration's own, whatever it
/// says, has nothing to do with a library.
fn edits_wait(stage: &Stage, name: &str) {
    let own = "/v1/libraries/policies/own";
    let version = |number: u32| POLICY.replace("version = 1", &format!("version = {number}"));
    let in_force = || stage.api("/v1/policies/own")["label"].clone();
    assert_eq!(in_force(), "own@2");
    write(name, "config/own/own.toml", &version(8));
    let configuration = folder(name).join("config/calmline.toml");
    let good = std::fs::read_to_string(&configuration).expect("a file");
    std::fs::write(&configuration, "half of a cha").expect("a file");
    let (status, _, answer) = send(stage, "PUT", own, "If-Match: *\r\n", &version(9));
    assert_eq!((status, in_force()), (200, json!("own@9")), "{answer}");
    for label in ["own@2", "own@9"] {
        let (status, _, answer) = send(stage, "POST", &format!("{own}/back"), "", "");
        assert_eq!((status, in_force()), (200, json!(label)), "{answer}");
    }
    let edited = std::fs::read_to_string(folder(name).join("config/own/.own.toml.edited")).expect("the edit");
    assert_eq!(edited, version(8), "nobody's work is lost");
    assert_eq!(stage.ask("POST", "/v1/reload", &Value::Null).0, 422, "who asks for all of it gets all of it");
    std::fs::write(&configuration, good).expect("a file");
    assert_eq!(stage.ask("POST", "/v1/reload", &Value::Null).0, 200);
}

/// Paths that lead elsewhere lead nowhere, and what comes with the program stays.
fn found_out(stage: &Stage) {
    for path in ["knowledge/..%2F..%2Fcalmline", "knowledge/%2E%2E", "policies/OWN", "secrets/own", "lexicons/new"] {
        let (status, _, answer) = send(stage, "PUT", &format!("/v1/libraries/{path}"), "If-None-Match: *\r\n", SHOP);
        assert_eq!(status, 404, "{path}: {answer}");
    }
    let (_, head, text) = send(stage, "GET", "/v1/libraries/lexicons/zh", "", "");
    let (status, _, answer) =
        send(stage, "PUT", "/v1/libraries/lexicons/zh", &format!("If-Match: {}\r\n", etag(&head)), &text);
    assert_eq!((status, answer.contains("comes with the program")), (409, true), "{answer}");
    let long = "#".repeat((1 << 20) + 1);
    assert_eq!(send(stage, "PUT", KNOWLEDGE, "If-Match: *\r\n", &long).0, 413);
    let listed = stage.api("/v1/libraries");
    let names: Vec<_> = listed["libraries"].as_array().into_iter().flatten().map(|each| &each["name"]).collect();
    assert_eq!(names, ["own", "more", "shop", "en", "zh", "masking.en", "masking.zh", "words.zh"], "{listed}");
}

/// The words that were looked for, and the best answer.
fn suggested(stage: &Stage) -> (String, String) {
    let told = stage.until("an answer", |what| matches!(what, What::AnswersSuggested(_)));
    let What::AnswersSuggested(advice) = told.what else { unreachable!("just matched") };
    (advice.query.reveal().clone(), advice.answers[0].answer.clone())
}

/// Asks with headers; status, head and body.
fn send(stage: &Stage, method: &str, path: &str, headers: &str, body: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(stage.server.addresses.web).expect("the API");
    stream.set_read_timeout(Some(2 * LONG)).expect("a time");
    let request = format!(
        "{method} {path} HTTP/1.0\r\nAuthorization: Bearer {}\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        stage.server.token,
        body.len()
    );
    // What is too long is refused before it is read to its end.
    let _ = stream.write_all(request.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8(answer).expect("text");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, head.to_owned(), body.to_owned())
}

fn etag(head: &str) -> String {
    let line = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("etag: ").map(str::to_owned));
    line.unwrap_or_else(|| panic!("no ETag in {head}"))
}

fn write(name: &str, path: &str, text: &str) {
    let file = folder(name).join(path);
    std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
    std::fs::write(file, text).expect("a file");
}
