//! Folders with configurations in them, and what the check says about them.

use std::fs;

use super::*;

const MAIN: &str =
    "[targets.human]\nuri = \"sip:h@127.0.0.1\"\n[[route]]\nname = \"r\"\ntargets = [\"human\"]\nscenario = \"s\"\n";
const POLICY: &str = r#"
name = "p"
version = 2
scenarios = ["s"]
[[rule]]
id = "r"
when = { emotion = "anger", level = "high" }
then = [{ prompt = "sorry.wav", mode = "replace" }, { reroute = "bridge", target = "human" }]
"#;

#[test]
fn a_whole_configuration() {
    check_folder(
        "whole",
        &[("calmline.toml", MAIN), ("policies/p.toml", POLICY), ("policies/readme.txt", "not a policy")],
        Ok(&[
            "calmline.toml: 1 targets, 1 routes",
            "policies: policy p@2, 1 rules",
            "prompts: 1 prompts named and read",
            "scenario s: p@2",
        ]),
    );
}

#[test]
fn reports_that_calls_are_not_kept_for_are_named() {
    let of = |kept: u64| {
        let text = format!("[store]\nkeep_days = {kept}\n[reports]\n{MAIN}");
        let settings = Settings::parse(&text, Path::new("calmline.toml")).expect("a configuration");
        reports::never_whole(&settings)
    };
    assert_eq!(of(32), Vec::<String>::new());
    let line = |name: &str, kept, least| {
        format!(
            "reports: none of a {name} is ever written or sent: store.keep_days is {kept}, expected {least} at least"
        )
    };
    assert_eq!(of(31), [line("month", 31, 32)]);
    assert_eq!(of(7), [line("week", 7, 8), line("month", 7, 32)]);
}

#[test]
fn certificates_and_passwords_are_looked_at() {
    let sip = "[sip.tls]\ncertificate = \"us.pem\"\nkey = \"us.key\"\n\
               [trunks.a]\ncredentials = { user = \"us\", password_file = \"a.password\" }\n";
    let text = format!("{sip}{MAIN}");
    let files = [("calmline.toml", text.as_str()), ("policies/p.toml", POLICY), ("us.pem", "no certificate")];
    check_folder(
        "certificates",
        &files,
        Err(&[
            "calmline.toml: sip.tls: found certificates: us.pem: no certificate in it, expected a certificate, its key and authorities, PEM",
            "calmline.toml: trunks.a.credentials: found a.password: No such file or directory (os error 2), expected a password of 1-512 characters",
        ]),
    );
}

#[test]
fn every_token_opens_one_door() {
    let tokens = "[web]\ntoken_file = \"own\"\n[web.tokens.crm]\ntenant = \"acme\"\ntoken_file = \"crm\"\n\
                  [web.tokens.shop]\ntenant = \"shop\"\ntoken_file = \"shop\"\n";
    let other = "[[route]]\nname = \"q\"\ntenant = \"shop\"\ntargets = [\"human\"]\nscenario = \"s\"\n";
    let routes = MAIN.replace("[[route]]\n", &format!("{other}[[route]]\ntenant = \"acme\"\n"));
    let text = format!("{tokens}{routes}");
    let [a, b, c] = ["0123456789abcdea", "0123456789abcdeb", "0123456789abcdec"];
    for (own, crm, shop, fault) in [
        (a, a, c, "web.tokens.crm: found the token of web, expected a token of its own"),
        (a, b, a, "web.tokens.shop: found the token of web, expected a token of its own"),
        (a, b, b, "web.tokens.shop: found the token of web.tokens.crm, expected a token of its own"),
    ] {
        let files = [("calmline.toml", text.as_str()), ("policies/p.toml", POLICY)];
        let files = [&files[..], &[("own", own), ("crm", crm), ("shop", shop)]].concat();
        check_folder("tokens", &files, Err(&[&format!("calmline.toml: {fault}")]));
    }
}

#[test]
fn a_policy_by_itself() {
    check_folder(
        "policy",
        &[("calmline.toml", &POLICY.replace("human", "nobody"))],
        Ok(&[
            "calmline.toml: policy p@2, 1 rules, 0 fallbacks (targets and prompts: check the file that names this folder)",
        ]),
    );
    check_folder(
        "bad-policy",
        &[("calmline.toml", &POLICY.replace("high", "hihg"))],
        Err(&["calmline.toml: rule[1].when.level: found \"hihg\", expected \"low\" or \"medium\" or \"high\""]),
    );
}

#[test]
fn pbxes_that_policies_ask() {
    let main = format!(
        "[pbx.ast]\nkind = \"ami\"\naddress = \"192.0.2.1:5038\"\nuser = \"u\"\nsecret_file = \"secret\"\n\
         [pbx.crm]\nkind = \"webhook\"\nurl = \"http://crm.example/\"\n{MAIN}"
    );
    let policy = |actions: &str| POLICY.replace("{ reroute = \"bridge\", target = \"human\" }", actions);
    let good = policy("{ reroute = [\"ast\", \"crm\", \"bridge\"], target = \"human\" }, { notify = \"crm\" }");
    let files: [(&str, &str); 3] = [("calmline.toml", &main), ("secret", "pw\n"), ("policies/p.toml", &good)];
    check_folder(
        "pbxes",
        &files,
        Ok(&[
            "calmline.toml: 1 targets, 1 routes",
            "pbx.ast: what goes to 192.0.2.1:5038 is not encrypted",
            "pbx.ast: the secret is there",
            "pbx.crm: what goes to crm.example is not encrypted",
            "policies: policy p@2, 1 rules",
            "prompts: 1 prompts named and read",
            "scenario s: p@2",
        ]),
    );
    let bad = policy(
        "{ reroute = \"nobody\", target = \"human\" }, { notify = \"ast\" }, { announce = \"x\", pbx = \"ast\" }",
    );
    let files: [(&str, &str); 3] = [("calmline.toml", &main), ("secret", "pw\n"), ("policies/p.toml", &bad)];
    check_folder(
        "bad-pbxes",
        &files,
        Err(&[
            "policies/p.toml: rule[1].then[2]: found \"nobody\", expected the name of a fitting [pbx.NAME]; there are: ast, crm",
            "policies/p.toml: rule[1].then[3]: found \"ast\", expected the name of a fitting [pbx.NAME]; there are: crm",
            "policies/p.toml: rule[1].then[4]: found \"ast\", expected the name of a fitting [pbx.NAME]; there are: ",
        ]),
    );
}

#[test]
fn faults_in_several_files() {
    let files = [
        ("calmline.toml", MAIN),
        ("policies/a.toml", &POLICY.replace("human", "hunam")),
        ("policies/b.toml", &POLICY.replace("sorry.wav", "gone.wav")),
        ("policies/c.toml", "name = 1"),
    ];
    check_folder(
        "several",
        &files,
        Err(&[
            "policies/a.toml: rule[1].then[2].target: found \"hunam\", expected the name of a [targets.NAME]; there are: human",
            "policies/b.toml: name: found \"p\", as in another file, expected a name of its own",
            "policies/b.toml: rule[1].then[1].prompt: found prompts/gone.wav: No such file or directory (os error 2), expected a WAV or Ogg Opus file in the prompt folder, shorter than 60 s and not empty",
            "policies/c.toml: name: found 1, expected 1-64 letters, digits, \"-\", \"_\" or \".\"",
            "policies/c.toml: version: found nothing, expected a whole number from 1 to 1000000",
            "policies/c.toml: scenarios: found nothing, expected a list of 1-50 scenario names, or [\"*\"]",
            "policies/c.toml: rule: found nothing, expected at least one [[rule]]",
        ]),
    );
}

#[test]
fn a_model_must_be_the_one_its_card_names() {
    let main = format!("[listening]\nmodel = \"m.onnx\"\n[web]\ntoken_file = \"t\"\n{MAIN}");
    let expected = "expected an ONNX file of this kind with its card (.json) beside it";
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let wrong = [
        ("calmline.toml", main.as_str()),
        ("policies/p.toml", POLICY),
        ("m.onnx", "abc"),
        ("m.json", "{\"sha256\": \"00\"}"),
        ("t", "short"),
    ];
    check_folder(
        "wrong-model",
        &wrong,
        Err(&[
            &format!(
                "calmline.toml: listening.model: found m.onnx: expected SHA-256 00, as its card says, found {abc}, {expected}"
            ),
            "calmline.toml: web.token_file: found a token of 5 bytes; 16-512 are needed, expected a token of 16-512 characters",
        ]),
    );
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/nlu/models/acoustic.onnx");
    let main = main.replace("m.onnx", shipped);
    let right = [("calmline.toml", main.as_str()), wrong[1], ("t", "0123456789abcdef\n")];
    check_folder(
        "right-model",
        &right,
        Ok(&[
            "calmline.toml: 1 targets, 1 routes",
            &format!("{shipped}: a model, as its card says"),
            "web: the token is there",
            "policies: policy p@2, 1 rules",
            "prompts: 1 prompts named and read",
            "scenario s: p@2",
        ]),
    );
}

#[test]
fn the_shipped_configuration_is_good() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/calmline.toml");
    let good = check(&path).map_err(|faults| faults.iter().map(Fault::to_string).collect::<Vec<_>>());
    let good = good.expect("no faults").join("\n");
    for line in ["scenario after-sales: after-sales@1", "scenario finance: finance@1", "scenario general: no policy"] {
        assert!(good.contains(line), "{line} in\n{good}");
    }
}

/// Writes `files` and one prompt into a folder of its own, checks `calmline.toml` there and compares what is said,
/// without that folder's path.
#[track_caller]
fn check_folder(name: &str, files: &[(&str, &str)], expected: Result<&[&str], &[&str]>) {
    let folder = std::env::temp_dir().join(format!("calmline-check-{name}-{}", std::process::id()));
    for sub in ["policies", "prompts"] {
        fs::create_dir_all(folder.join(sub)).expect("a folder for the test");
    }
    for (file, text) in files {
        fs::write(folder.join(file), text).expect("a file for the test");
    }
    write_prompt(&folder.join("prompts/sorry.wav"));

    let outcome = check(&folder.join("calmline.toml"));
    let prefix = format!("{}/", folder.display());
    let plain = |line: &String| line.replace(&prefix, "");
    let got = match outcome {
        Ok(good) => Ok(good.iter().map(plain).collect::<Vec<_>>()),
        Err(faults) => Err(faults.iter().map(|fault| plain(&fault.to_string())).collect::<Vec<_>>()),
    };
    fs::remove_dir_all(&folder).expect("the test's own folder");
    let expected = expected.map(strings).map_err(strings);
    assert_eq!(got, expected);
}

fn strings(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}

/// 0.1 s of silence.
fn write_prompt(file: &Path) {
    let sink = fs::File::create(file).expect("a file for the test");
    media::wav::write(&[0; 800], 8_000, sink).expect("a prompt for the test");
}
