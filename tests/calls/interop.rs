//! Foreign telephones through the built program: `baresip`, `linphonec` and `ffmpeg`, as callers and as callees.
//!
//! Each says a tone, and what counts is what the other one recorded. A program that is missing is said aloud.

use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use calmline::notice::What;

use crate::stage::{Setup, Stage};
use crate::tones;

// Shared with the SIP side's own tests.
#[path = "../../src/shell/sip/tests/authority.rs"]
#[expect(dead_code, reason = "other tests need clients and servers too")]
mod authority;
mod baresip;
mod bypass;
mod captures;
mod codecs;
mod ffmpeg;
mod inside;
mod linphone;
mod ports;
pub mod program;
mod secured;
mod tls;

use baresip::Baresip;
use linphone::Linphone;
use ports::Ports;

/// What the caller says, Hz.
const CALLER_HZ: u16 = 400;
/// What the callee says, Hz.
const CALLEE_HZ: u16 = 1_000;
/// How long they talk.
const TALK: Duration = Duration::from_millis(2_500);

/// What the server agrees to on its two sides, in the words of its configuration.
#[derive(Debug, Clone, Copy)]
struct Terms {
    /// Lines of the route.
    caller: &'static str,
    /// Lines of the target.
    callee: &'static str,
}

/// Plain RTP.
const PLAIN: Terms = Terms { caller: "", callee: "" };

/// Codecs in the words of `baresip`.
const PCMU: &str = "PCMU/8000/1";
const PCMA: &str = "PCMA/8000/1";
const G722: &str = "G722/16000/1";
const OPUS: &str = "opus/48000/2";
const L16: &str = "L16/16000/1";

/// A `baresip` that speaks `codecs` over plain RTP.
const fn baresip(codecs: &'static str) -> Side {
    Side::Baresip(baresip::Account::plain(codecs))
}

/// The same with more parameters of its account.
const fn baresip_with(codecs: &'static str, parameters: &'static str) -> Side {
    Side::Baresip(baresip::Account { parameters, ..baresip::Account::plain(codecs) })
}

/// A `linphonec` that speaks `codecs` over plain RTP.
const fn linphone(codecs: &'static [&'static str]) -> Side {
    Side::Linphone(linphone::Account::plain(codecs))
}

/// A telephone and how it is set up.
#[derive(Debug, Clone, Copy)]
enum Side {
    Baresip(baresip::Account),
    Linphone(linphone::Account),
}

/// A telephone that runs.
enum Telephone {
    Baresip(Box<Baresip>),
    Linphone(Linphone),
}

/// The program, and the ports of two telephones that call through it.
struct Lab {
    name: &'static str,
    stage: Stage,
    /// Where the server is called.
    uri: String,
    caller_ports: Ports,
    callee_ports: Ports,
}

impl Side {
    fn is_there(self) -> bool {
        match self {
            Side::Baresip(_) => baresip::is_there(),
            Side::Linphone(_) => linphone::is_there(),
        }
    }

    /// One that runs and says a tone of `hz`.
    fn start(self, folder: &Path, ports: &Ports, hz: u16) -> Telephone {
        match self {
            Side::Baresip(account) => Telephone::Baresip(Box::new(Baresip::start(folder, ports, account, hz))),
            Side::Linphone(account) => Telephone::Linphone(Linphone::start(folder, ports, account, hz)),
        }
    }

    /// How loud its speech is as others decode it. What it hears is as much quieter or louder.
    fn loudness(self) -> f64 {
        match self {
            // Half of what others make of G.722: so it is too between linphone and baresip without anybody between.
            Side::Linphone(account) if account.codecs == ["G722"] => 0.5,
            Side::Linphone(_) | Side::Baresip(_) => 1.0,
        }
    }
}

impl Telephone {
    /// Calls somebody and waits until the call is up.
    fn call(&mut self, target: &str) {
        match self {
            Telephone::Baresip(baresip) => baresip.call(target),
            Telephone::Linphone(linphone) => linphone.call(target),
        }
    }

    /// Presses a key, by whichever method it was set up for.
    fn press(&mut self, key: char) {
        match self {
            Telephone::Baresip(baresip) => baresip.order("sndcode", &key.to_string()),
            Telephone::Linphone(linphone) => linphone.order(&key.to_string()),
        }
    }

    /// Puts its first call on hold.
    fn hold(&mut self) {
        match self {
            Telephone::Baresip(baresip) => baresip.offer("hold"),
            Telephone::Linphone(linphone) => {
                linphone.order("pause");
                linphone.until("is now paused");
            }
        }
    }

    /// Takes its first call up again.
    fn resume(&mut self) {
        match self {
            Telephone::Baresip(baresip) => baresip.offer("resume"),
            Telephone::Linphone(linphone) => linphone.order("resume 1"),
        }
    }

    /// Ends the call.
    fn hang_up(&mut self) {
        match self {
            Telephone::Baresip(baresip) => baresip.order("hangup", ""),
            Telephone::Linphone(linphone) => linphone.order("terminate"),
        }
    }

    /// Waits until the call is over; what it heard in it, 8 kHz.
    fn heard(&mut self) -> Vec<i16> {
        match self {
            Telephone::Baresip(baresip) => {
                baresip.until("CALL_CLOSED");
                baresip.heard().pop().expect("a recording of the call")
            }
            Telephone::Linphone(linphone) => {
                linphone.until(" ended");
                linphone.heard()
            }
        }
    }
}

impl Lab {
    fn up(name: &'static str, terms: Terms) -> Lab {
        Lab::up_with(name, terms, &[])
    }

    /// The same with more pieces of the configuration replaced.
    fn up_with(name: &'static str, terms: Terms, more: &[(&str, &str)]) -> Lab {
        let (caller_ports, callee_ports) = (Ports::claim(), Ports::claim());
        let callee = format!("sip:{}@{}", baresip::USER, callee_ports.sip());
        let stage = Lab::stage(name, terms, &callee, more);
        let uri = format!("sip:support@{}", stage.server.addresses.sip);
        Lab { name, stage, uri, caller_ports, callee_ports }
    }

    /// A server that calls `callee`, with more pieces of its configuration replaced.
    fn stage(name: &'static str, terms: Terms, callee: &str, more: &[(&str, &str)]) -> Stage {
        let target = format!("[targets.callee]\nuri = \"{callee}\"\n{}\n\n[targets.human]", terms.callee);
        let route = format!("targets = [\"callee\"]\n{}", terms.caller);
        let mut setup = Setup::named(name);
        let edits = [&[("[targets.human]", &*target), ("targets = [\"bot\"]", &*route)], more].concat();
        setup.edits = &edits;
        Stage::set(setup)
    }

    fn caller(&self, side: Side) -> Telephone {
        side.start(&self.folder("caller"), &self.caller_ports, CALLER_HZ)
    }

    fn callee(&self, side: Side) -> Telephone {
        side.start(&self.folder("callee"), &self.callee_ports, CALLEE_HZ)
    }

    fn folder(&self, who: &str) -> PathBuf {
        crate::stage::folder(self.name).join(who)
    }

    /// The call that was just hung up is over for everybody, and nothing of it was lost on the way to the server.
    fn is_over(&self) {
        self.stage.until("the end", |what| matches!(what, What::CallEnded { packets_lost: 0, .. }));
        self.stage.is_empty();
    }
}

/// Makes a call with foreign telephones, whose failure says what was heard instead.
///
/// These programs keep real time by themselves: where a busy machine has spoilt a call, a second one is made.
fn once_more_if_spoilt<T>(mut call: impl FnMut() -> Result<T, String>) -> Result<T, String> {
    call().or_else(|why| {
        println!("once more, for {why}");
        call()
    })
}

/// One call from one foreign telephone to another; both hear each other. Both as they are after the call; `None` when
/// one of them is missing.
#[track_caller]
fn check(lab: &Lab, caller: Side, callee: Side) -> Option<[Telephone; 2]> {
    if !caller.is_there() || !callee.is_there() {
        return None;
    }
    let telephones = once_more_if_spoilt(|| call(lab, caller, callee));
    Some(telephones.unwrap_or_else(|why| panic!("{caller:?} calls {callee:?}: {why}")))
}

fn call(lab: &Lab, caller: Side, callee: Side) -> Result<[Telephone; 2], String> {
    println!("{caller:?} calls {callee:?}");
    let mut answering = lab.callee(callee);
    let mut calling = lab.caller(caller);
    calling.call(&lab.uri);
    sleep(TALK);
    calling.hang_up();
    let (caller_heard, callee_heard) = (calling.heard(), answering.heard());
    lab.is_over();
    let level = tones::PEAK * callee.loudness() / caller.loudness();
    judge("the caller", &caller_heard, (CALLEE_HZ, level), CALLER_HZ)?;
    let level = tones::PEAK * caller.loudness() / callee.loudness();
    judge("the callee", &callee_heard, (CALLER_HZ, level), CALLEE_HZ)?;
    Ok([calling, answering])
}

/// `who` heard a tone of `hz` at a level, all the time and hardly anything else, and not its own of `own_hz`.
///
/// # Errors
/// What it heard instead.
fn judge(who: &str, samples: &[i16], (hz, level): (u16, f64), own_hz: u16) -> Result<(), String> {
    let (other, own) = (tones::heard(samples, hz), tones::heard(samples, own_hz));
    println!("{who}: {other:?} of {hz} Hz; {:.3} of its own", own.level);
    let is_whole = other.seconds > TALK.as_secs_f64() - 0.7 && other.pure > 0.9;
    let is_loud = (0.9..1.1).contains(&(other.level / level));
    if is_whole && is_loud && own.level < 0.01 {
        return Ok(());
    }
    Err(format!("{who} heard {other:?} of {hz} Hz, expected a level of {level}; of its own tone {own:?}"))
}
