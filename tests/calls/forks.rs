//! Calls that are forked to us: by a recording client, over AudioSocket, over WebSockets, as RTP to ports of the API.
//!
//! Who speaks in them are people, from recordings; without those the tests say so and use the synthesised caller.

mod asterisk;
mod audio;
mod bodies;
#[path = "../lab/asterisk.rs"]
mod lab;
mod siprec;
mod streams;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use calmline::notice::{Notice, What};

use crate::stage::{Setup, Stage};

/// What is done about anger: as shipped, without another prompt when nobody can be reached.
const POLICY: &str = r#"
name = "forked"
version = 1
scenarios = ["after-sales"]

[[rule]]
id = "angry-to-human"
when = { emotion = "anger", level = "high", lasted_s = 0.5 }
then = [
  { alert = "critical", text = "An angry caller" },
  { prompt = "sorry-transfer.wav", mode = "replace" },
  { reroute = "bridge", target = "human" },
]
"#;

/// Where streams without SIP are taken.
struct Doors {
    audiosocket: SocketAddr,
    websocket: SocketAddr,
}

impl Doors {
    fn find() -> Doors {
        let free = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let held = [free(), free()];
        let [audiosocket, websocket] = held.map(|each| each.local_addr().expect("bound"));
        Doors { audiosocket, websocket }
    }

    /// A server that takes forked calls.
    fn open(&self, name: &str, more: &str) -> Stage {
        let Doors { audiosocket, websocket } = self;
        let section = format!(
            "[forks]\naudiosocket = \"{audiosocket}\"\nwebsocket = \"{websocket}\"\nagents = [\"sip:7*@*\"]\n{more}\n[web]"
        );
        let route = "[[route]]\nname = \"copies\"\nforked = true\nscenario = \"after-sales\"\n\n[[route]]";
        let both = "[listening]\nenabled = true\nparties = \"both\"";
        let edits = [("[web]", &*section), ("[[route]]", route), ("[listening]\nenabled = true", both)];
        Stage::set(Setup { edits: &edits, policy: Some(POLICY), ..Setup::named(name) })
    }
}

/// A server that takes forked calls.
fn stage(name: &str) -> (Stage, Doors) {
    let doors = Doors::find();
    (doors.open(name, ""), doors)
}

/// Waits for the beginning of a forked call: its id, and what was told of it.
fn begun(stage: &Stage, source: &str) -> Notice {
    stage.until("a forked call", |what| matches!(what, What::CallForked { source: found, .. } if found == source))
}

/// Both parties have been heard, the caller got angry, a supervisor was told, and the transfer could not be done.
#[track_caller]
fn angry_as_in_our_path(stage: &Stage, pbx_call: Option<&str>) {
    let alert = stage.until("the alert", |what| matches!(what, What::Alert { severity, .. } if severity == "critical"));
    let What::Alert { pbx_call: named, .. } = alert.what else { unreachable!("just matched") };
    assert_eq!(named.as_deref(), pbx_call, "the alert names the PBX's call");
    let failed = stage.until("the failure", |what| matches!(what, What::RerouteFailed { .. }));
    let What::RerouteFailed { target, reason, .. } = failed.what else { unreachable!("just matched") };
    assert!(target == "human" && reason.contains("by a connector"), "{target}: {reason}");
    for party in ["caller", "callee"] {
        let observed = |what: &What| matches!(what, What::Observed { party: found, .. } if found == party);
        assert!(stage.was_told(observed), "the {party} was not heard");
    }
    let record = stage.api(&format!("/v1/calls/{}", alert.call)).to_string();
    for wanted in ["angry-to-human", "\"fork\"", "\"severity\":\"critical\"", "by a connector"] {
        assert!(record.contains(wanted), "no {wanted} in {record}");
    }
}
