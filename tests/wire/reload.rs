//! Neighbours that change while a call is up: a registrar is left for another one, and a PBX's connection for another.

use std::net::TcpListener;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use calmline::demo::server::{Plan, Server};

use super::bypass::Call;
use super::phone::{PATIENCE, PROGRAM, Phone, ask, order, value};

#[test]
fn a_call_outlives_the_trunk_it_is_on() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("wire-reload");
    let mut plan = Plan::for_loopback().expect("free ports");
    let (server_at, bot_at) = (plan.addresses.sip, plan.addresses.bot);
    let [old, new] = ["old", "new"].map(|name| Phone::anywhere(server_at, name));
    let pbx = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let bot = format!("uri = \"sip:bot@{bot_at}\"");
    assert!(plan.configuration.contains(&bot), "{}", plan.configuration);
    let base = plan.configuration.replace("enabled = true", "enabled = false");
    let by = |trunk: &str, at: &Phone| {
        let registrar = at.sip.local_addr().expect("it is bound");
        let target = base.replacen(&bot, &format!("{bot}\ntrunk = \"{trunk}\""), 1);
        format!(
            "{target}\n[trunks.{trunk}]\nuri = \"sip:{registrar}\"\n\
             register = {{ address = \"sip:us@{trunk}.example\" }}\n"
        )
    };
    plan.configuration = by("old", &old);
    let server = Server::start(PROGRAM.as_ref(), &folder, &plan, &[]).expect("a server");
    let registered = old.hear("REGISTER ");
    old.respond(&registered, 200, "");
    let mut call = Call::begin(server_at, bot_at);
    assert_eq!(call.speak(call.to_server), [10, 10]);

    let switch = pbx.local_addr().expect("it is bound");
    std::fs::write(folder.join("config/secret"), "ours").expect("a file");
    let neighbours =
        format!("{}[pbx.switch]\nkind = \"esl\"\naddress = \"{switch}\"\nsecret_file = \"secret\"\n", by("new", &new));
    // A trunk whose password is missing: nothing of it is taken, and nobody hears of it.
    let file = folder.join("config/calmline.toml");
    let broken = "[trunks.new.credentials]\nuser = \"us\"\npassword_file = \"nowhere\"\n";
    std::fs::write(&file, format!("{neighbours}{broken}")).expect("a file");
    assert_eq!(order(&server, "POST", "/v1/reload"), 422);
    assert_eq!(trunks(&server), ["old"]);
    std::fs::write(&file, neighbours).expect("a file");
    assert_eq!(order(&server, "POST", "/v1/reload"), 200);

    let goodbye = old.hear("REGISTER ");
    assert_eq!((value(&goodbye, "Expires"), value(&goodbye, "Call-ID")), ("0", value(&registered, "Call-ID")));
    old.respond(&goodbye, 200, "");
    let registered = new.hear("REGISTER ");
    assert_eq!(value(&registered, "To"), "<sip:us@new.example>");
    new.respond(&registered, 200, "");
    pbx.accept().expect("the server connects to the PBX that is new");
    assert_eq!(trunks(&server), ["new"]);

    // The call is still up, and ends as calls do; the next one goes the new way.
    assert_eq!(call.speak(call.to_server), [10, 10]);
    call.hang_up();
    drop(call);
    let mut next = Call::begin(server_at, bot_at);
    assert_eq!(next.speak(next.to_server), [10, 10]);
    next.hang_up();
    let metrics = calmline::demo::server::get(server.addresses.web, "/metrics", &server.token).expect("metrics");
    for line in [
        "calmline_trunk_registration_up{trunk=\"old\"} NaN",
        "calmline_trunk_registration_up{trunk=\"new\"} 1",
        "calmline_reloads_total{outcome=\"refused\"} 1",
    ] {
        assert!(metrics.contains(line), "{line} in\n{metrics}");
    }
    let stopping = std::thread::spawn(move || server.stop());
    let goodbye = new.hear("REGISTER ");
    assert_eq!(value(&goodbye, "Expires"), "0");
    new.respond(&goodbye, 200, "");
    stopping.join().expect("it is waited for").expect("it ends");
}

/// The trunks that are in force, once they are registered.
fn trunks(server: &Server) -> Vec<String> {
    let end = Instant::now() + PATIENCE;
    loop {
        let ready = ask(server, "/readyz");
        let trunks: Vec<_> = ready["trunks"].as_object().into_iter().flatten().collect();
        if !trunks.is_empty() && trunks.iter().all(|(_, state)| *state == "up") {
            return trunks.into_iter().map(|(name, _)| name.clone()).collect();
        }
        assert!(Instant::now() < end, "{ready}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
