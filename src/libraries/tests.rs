//! Names lead nowhere else, what is wrong is named, and what comes with the program is shown.

use std::fs;

use super::*;

const POLICY: &str = "name = \"own\"\nversion = 1\nscenarios = [\"any\"]\n[[rule]]\nid = \"a\"\nwhen = { key = \"1\" }\n\
                      then = [{ alert = \"info\", text = \"pressed\" }]\n";
const KNOWLEDGE: &str = "name = \"own\"\nscenarios = [\"any\"]\n[[entry]]\nid = \"hours\"\nen.questions = [\"When?\"]\n\
                         en.answer = \"Nine to five\"\n";

/// Libraries of a configuration with `more` in it, in a folder with a policy and an entry.
fn libraries(more: &str) -> (tempfile::TempDir, Libraries) {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in [("policies", POLICY), ("knowledge", KNOWLEDGE)] {
        fs::create_dir(folder.path().join(name)).expect("a folder");
        fs::write(folder.path().join(name).join("own.toml"), text).expect("a file");
    }
    let settings = Settings::parse(&format!("[knowledge]\n{more}"), &folder.path().join("calmline.toml"));
    let libraries = Libraries::of(&settings.expect("a configuration"));
    (folder, libraries)
}

/// What is in force: the policy as its file has it.
fn in_force() -> BTreeMap<String, String> {
    BTreeMap::from([("own".to_owned(), POLICY.to_owned())])
}

#[test]
fn a_policy_is_looked_at_beside_those_in_force_and_beside_the_files() {
    let (folder, libraries) = libraries("");
    let named = |name: &str, alert: &str| POLICY.replace("\"own\"", &format!("\"{name}\"")).replace("info", alert);
    let volume = libraries.volume(Kind::Policies, "new").expect("readable").expect("may be made");
    let told = |text: &str| {
        let faults = libraries.check(&volume, text, &in_force()).err().unwrap_or_default();
        faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    };
    // Another file that is broken, and not in force, keeps nobody from putting a good one in force.
    fs::write(folder.path().join("policies/other.toml"), named("other", "loud")).expect("a file");
    assert_eq!(told(&named("new", "info")), "");
    // What the next start would refuse because of it is refused now.
    fs::write(folder.path().join("policies/other.toml"), named("other", "info")).expect("a file");
    assert!(told(&named("other", "info")).contains("name: found \"other\", as in another file"));
    // And so is what does not go with a policy in force whose file says something else by now.
    fs::write(folder.path().join("policies/own.toml"), named("renamed", "info")).expect("a file");
    assert!(told(&named("own", "info")).contains("name: found \"own\", as in another file"));
}

#[test]
fn volumes_are_found_by_kind_and_name() {
    let (_folder, libraries) = libraries("");
    for (kind, names) in [
        (Kind::Policies, &["own"][..]),
        (Kind::Knowledge, &["own"]),
        (Kind::Lexicons, &["en", "zh"]),
        (Kind::Phrases, &[]),
        (Kind::Compliance, &["masking.en", "masking.zh", "words.zh"]),
        (Kind::Parts, &[]),
    ] {
        let found = libraries.volumes(kind).expect("readable");
        assert_eq!(found.iter().map(|volume| volume.name.as_str()).collect::<Vec<_>>(), names, "{kind:?}");
        for volume in found {
            let text = libraries.read(&volume).expect("readable").expect("there");
            assert_eq!(text.version, Version::of(&text.text));
            libraries.check(&volume, &text.text, &in_force()).expect("what there is is right");
        }
    }
}

#[test]
fn names_lead_to_libraries_alone() {
    let (folder, libraries) = libraries("");
    fs::write(folder.path().join("calmline.toml"), "").expect("a file");
    for name in
        ["../calmline", "..", "/etc/passwd", "own.toml", "", ".own", "OWN", "a/b", "a\0", "a\\b", &"a".repeat(65)]
    {
        for kind in Kind::ALL {
            assert_eq!(libraries.volume(kind, name).expect("readable"), None, "{kind:?} {name:?}");
        }
    }
    let fresh = libraries.volume(Kind::Policies, "new-1").expect("readable").expect("may be made");
    assert_eq!(fresh.path, Some(folder.path().join("policies/new-1.toml")));
    assert_eq!(libraries.read(&fresh), Ok(None));
    assert_eq!(libraries.volume(Kind::Lexicons, "new-1"), Ok(None), "there is no folder of lexicons");
}

#[test]
fn what_is_to_come_is_checked_with_what_it_goes_together_with() {
    let (_folder, libraries) = libraries("");
    let check = |kind: Kind, name: &str, text: &str, expected: &str| {
        let volume = libraries.volume(kind, name).expect("readable").expect("there");
        let faults = libraries.check(&volume, text, &in_force()).err().unwrap_or_default();
        let told = faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        assert!(told.contains(expected) && told.is_empty() == expected.is_empty(), "{kind:?}: {told}");
    };
    check(Kind::Policies, "own", &POLICY.replace("info", "loud"), "own.toml: rule[1].then[1].alert: found \"loud\"");
    check(Kind::Policies, "other", POLICY, "name: found \"own\", as in another file");
    check(Kind::Policies, "own", &POLICY.replace("version = 1", "version = 2"), "");
    check(Kind::Knowledge, "own", &KNOWLEDGE.replace("answer", "anser"), "entry[1].en.answer: found nothing");
    check(Kind::Knowledge, "other", KNOWLEDGE, "entry[1].id: found \"hours\", once more");
    check(Kind::Knowledge, "own", &format!("#{}", "x".repeat(TEXT_BYTES_MAX)), "expected at most 1 MiB");
    check(Kind::Lexicons, "zh", "[[entry]]\ncategory = \"rage\"", "expected a lexicon");
    check(Kind::Compliance, "masking.zh", "context = 1", "expected lists");
}

#[test]
fn files_that_the_configuration_names_take_the_place_of_those_of_the_program() {
    let (folder, libraries) = libraries("[listening]\nlexicons = [\"mine.toml\"]\n");
    let found = libraries.volumes(Kind::Lexicons).expect("readable");
    let expected = Volume { kind: Kind::Lexicons, name: "mine".into(), path: Some(folder.path().join("mine.toml")) };
    assert_eq!(found, [expected]);
}

#[test]
fn a_part_is_looked_at_with_the_rest_of_the_configuration_and_the_policies_in_force() {
    let folder = tempfile::tempdir().expect("a folder");
    let site = "[targets.human]\nuri = \"sip:human@127.0.0.1:5080\"\n";
    fs::write(folder.path().join("site.toml"), site).expect("a file");
    let own = "parts = [\"site.toml\"]\n[[route]]\nname = \"all\"\ntargets = [\"human\"]\nscenario = \"any\"\n";
    let settings = Settings::parse(own, &folder.path().join("calmline.toml")).expect("good");
    let libraries = Libraries::of(&settings);
    let volume = libraries.volume(Kind::Parts, "site").expect("readable").expect("it is named");
    assert_eq!(libraries.volume(Kind::Parts, "calmline"), Ok(None), "the file itself is none");
    let moves = POLICY.replace("alert = \"info\", text = \"pressed\"", "reroute = \"bridge\", target = \"expert\"");
    let in_force = BTreeMap::from([("own".to_owned(), moves)]);
    let check = |text: &str, policies: &BTreeMap<String, String>, expected: &str| {
        let faults = libraries.check(&volume, text, policies).err().unwrap_or_default();
        let told = faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        assert!(told.contains(expected) && told.is_empty() == expected.is_empty(), "{told}");
    };
    let expert = format!("{site}{}", site.replace("human", "expert"));
    check(&site.replace("5080", "5090"), &BTreeMap::new(), "");
    check(&expert, &in_force, "");
    check(site, &in_force, "own.toml: rule[1].then[1].target: found \"expert\"");
    check(&site.replace("human", "person"), &BTreeMap::new(), "calmline.toml: route[1].targets: found");
    check(&site.replace("sip:", ""), &BTreeMap::new(), "site.toml: targets.human.uri: found");
}
