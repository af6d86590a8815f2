//! SRTP by keys in the description, on one side or both; each row is a call.

use super::baresip::Account;
use super::{Lab, Side, Terms, check, linphone};

const PCMA: &str = "PCMA/8000/1";
const OPUS: &str = "opus/48000/2";
/// RTP/AVP with keys beside it, and RTP/SAVP.
const OFFERS: &str = ";mediaenc=srtp";
const INSISTS: &str = ";mediaenc=srtp-mand";

const OFF: &str = "srtp = \"off\"";
const OPTIONAL: &str = "srtp = \"optional\"";
const REQUIRED: &str = "srtp = \"required\"";

const fn baresip(codecs: &'static str, protection: &'static str) -> Side {
    Side::Baresip(Account::plain(codecs).with(protection))
}

const fn linphone(codecs: &'static [&'static str], encryption: &'static str, is_strict: bool) -> Side {
    Side::Linphone(linphone::Account { encryption, is_strict, ..linphone::Account::plain(codecs) })
}

fn all(name: &'static str, caller: &'static str, callee: &'static str, cases: &[(Side, Side)]) {
    let lab = Lab::up(name, Terms { caller, callee });
    for (calling, answering) in cases {
        check(&lab, *calling, *answering);
    }
}

#[test]
fn both_sides_have_to_protect() {
    all(
        "both-required",
        REQUIRED,
        REQUIRED,
        &[
            (baresip(PCMA, INSISTS), baresip(PCMA, INSISTS)),
            (baresip(OPUS, INSISTS), baresip(PCMA, INSISTS)),
            (linphone(&["PCMA"], "srtp", true), baresip(OPUS, INSISTS)),
            (baresip(PCMA, INSISTS), linphone(&["opus"], "srtp", true)),
        ],
    );
}

#[test]
fn the_caller_protects_and_the_callee_does_not() {
    let callers = [baresip(PCMA, INSISTS), linphone(&["opus"], "srtp", true)];
    all("caller-required", REQUIRED, OFF, &callers.map(|caller| (caller, baresip(PCMA, ""))));
}

#[test]
fn the_callee_protects_and_the_caller_does_not() {
    let callees = [baresip(OPUS, INSISTS), linphone(&["PCMA"], "srtp", true)];
    all("callee-required", OFF, REQUIRED, &callees.map(|callee| (baresip(PCMA, ""), callee)));
}

#[test]
fn protection_is_taken_where_it_is_offered() {
    all(
        "optional",
        OPTIONAL,
        OPTIONAL,
        &[
            (baresip(PCMA, OFFERS), baresip(PCMA, OFFERS)),
            (baresip(PCMA, ""), baresip(PCMA, OFFERS)),
            (baresip(PCMA, OFFERS), baresip(PCMA, "")),
            (baresip(PCMA, ""), linphone(&["PCMA"], "none", false)),
        ],
    );
}
