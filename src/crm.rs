//! What systems outside are told of calls, and how it is made sure that they are: bodies from templates, signatures, and
//! parcels that are tried again until they are taken or set aside.
//!
//! Pure: `shell::crm` posts them, the store keeps them.

mod letter;
mod parcel;
mod template;

use ring::hmac;

pub use letter::{Letter, REPORT_EVENT};
pub use parcel::{Answer, Fate, Parcel, State, after};
pub use template::{Template, VARIABLES, facts_of};

use crate::hexadecimal::hexadecimal;
use crate::pbx::Secret;

/// What a receiver checks: `t=UNIX_SECONDS,v1=HEX`, HMAC-SHA-256 over `UNIX_SECONDS.BODY` (RFC 2104). The time is signed, so
/// that what was sent once cannot be sent again much later.
pub fn signature(secret: &Secret, unix_s: u64, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.reveal().as_bytes());
    let tag = hmac::sign(&key, format!("{unix_s}.{body}").as_bytes());
    format!("t={unix_s},v1={}", hexadecimal(tag.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_and_body_are_signed() {
        // printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac secret
        let expected = "t=1700000000,v1=49f24e537407743fa4a0242bb63b94b9a47ee99cbbe071ccd8a22550ae411686";
        let signed = |secret: &str, unix_s, body: &str| signature(&Secret::new(secret), unix_s, body);
        let own = signed("secret", 1_700_000_000, "{\"a\":1}");
        assert_eq!(own, expected);
        assert_ne!(signed("secret", 1_700_000_001, "{\"a\":1}")[13..], own[13..]);
        assert_ne!(signed("other", 1_700_000_000, "{\"a\":1}"), own);
    }
}
