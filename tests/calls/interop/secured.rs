//! SRTP by keys in the description, on one side or both; each row is a call.

use super::{Lab, OPUS, PCMA, Side, Telephone, Terms, baresip, baresip_with, check, linphone};

/// RTP/AVP with keys beside it, and RTP/SAVP.
const OFFERS: &str = ";mediaenc=srtp";
pub(super) const INSISTS: &str = ";mediaenc=srtp-mand";

pub(super) const OFF: &str = "srtp = \"off\"";
const OPTIONAL: &str = "srtp = \"optional\"";
pub(super) const REQUIRED: &str = "srtp = \"required\"";

/// A `linphonec` that has no call without SRTP.
pub(super) const fn strict_linphone(codecs: &'static [&'static str]) -> Side {
    Side::Linphone(linphone::Account { encryption: "srtp", is_strict: true, ..linphone::Account::plain(codecs) })
}

/// Calls between telephones of which each protects its audio as far as its side of the server lets it.
fn all(name: &'static str, caller: &'static str, callee: &'static str, cases: &[(Side, Side)]) {
    let lab = Lab::up(name, Terms { caller, callee });
    for &(calling, answering) in cases {
        let telephones = check(&lab, calling, answering).into_iter().flatten();
        for (telephone, (side, terms)) in telephones.zip([(calling, caller), (answering, callee)]) {
            // A strict linphone has no call without.
            if let (Telephone::Baresip(baresip), Side::Baresip(account)) = (telephone, side) {
                assert_eq!(baresip.is_protected(), !account.parameters.is_empty() && terms != OFF, "{side:?}, {terms}");
            }
        }
    }
}

#[test]
fn both_sides_have_to_protect() {
    all(
        "both-required",
        REQUIRED,
        REQUIRED,
        &[
            (baresip_with(PCMA, INSISTS), baresip_with(PCMA, INSISTS)),
            (baresip_with(OPUS, INSISTS), baresip_with(PCMA, INSISTS)),
            (strict_linphone(&["PCMA"]), baresip_with(OPUS, INSISTS)),
            (baresip_with(PCMA, INSISTS), strict_linphone(&["opus"])),
        ],
    );
}

#[test]
fn the_caller_protects_and_the_callee_does_not() {
    let callers = [baresip_with(PCMA, INSISTS), strict_linphone(&["opus"])];
    all("caller-required", REQUIRED, OFF, &callers.map(|caller| (caller, baresip(PCMA))));
}

#[test]
fn the_callee_protects_and_the_caller_does_not() {
    let callees = [baresip_with(OPUS, INSISTS), strict_linphone(&["PCMA"])];
    all("callee-required", OFF, REQUIRED, &callees.map(|callee| (baresip(PCMA), callee)));
}

#[test]
fn protection_is_taken_where_it_is_offered() {
    all(
        "optional",
        OPTIONAL,
        OPTIONAL,
        &[
            (baresip_with(PCMA, OFFERS), baresip_with(PCMA, OFFERS)),
            (baresip(PCMA), baresip_with(PCMA, OFFERS)),
            (baresip_with(PCMA, OFFERS), baresip(PCMA)),
            (baresip(PCMA), linphone(&["PCMA"])),
        ],
    );
}
