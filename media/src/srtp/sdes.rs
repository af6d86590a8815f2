//! Keys inside session descriptions: the value of one `a=crypto` line, read and written (RFC 4568 §9.1).
//!
//! Knows nothing of offer and answer: which line is chosen is not decided here. Errors never carry the line's text,
//! because a key may stand anywhere in a line that is wrong.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::general_purpose::STANDARD as BASE64;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use super::{MasterKey, Suite};

/// One `a=crypto` line: a suite, and the key its sender will send with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crypto {
    /// The line's number in its description; an answer repeats the one it has chosen (RFC 4568 §5.1.2).
    pub tag: u32,
    /// The key and what it is for.
    pub key: MasterKey,
}

/// Why a line cannot be used. An offer may hold other lines that can.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SdesError {
    /// Longer than [`LINE_BYTES_MAX`].
    #[error("the line is too long")]
    TooLong,
    /// The tag is missing, no number, or longer than nine digits.
    #[error("the tag is not a number of one to nine digits")]
    Tag,
    /// A suite that we do not speak, perhaps one of a later standard.
    #[error("the suite is not known")]
    UnknownSuite,
    /// No `inline:` key, or a key method of another kind.
    #[error("the key is missing or not inline")]
    KeyMethod,
    /// Not base64, or not as long as the suite's key and salt.
    #[error("the key is not base64 of the suite's key and salt")]
    Key,
    /// What stands behind the key is no lifetime.
    #[error("the key's lifetime cannot be read")]
    Lifetime,
    /// The packets would carry a master key identifier, alone or to tell several keys apart.
    #[error("master key identifiers are not supported")]
    KeyIdentifier,
    /// A session parameter that switches protection off or changes it.
    #[error("the session parameter is not supported")]
    SessionParameter,
}

/// The longest value that is looked at, octets.
pub const LINE_BYTES_MAX: usize = 512;

impl Crypto {
    /// Reads what stands behind `a=crypto:`.
    ///
    /// # Errors
    /// Says why the line cannot be used; [`SdesError::UnknownSuite`] when it only names a suite that is not ours.
    pub fn parse(value: &str) -> Result<Self, SdesError> {
        if value.len() > LINE_BYTES_MAX {
            return Err(SdesError::TooLong);
        }
        let mut fields = value.split([' ', '\t']).filter(|field| !field.is_empty());
        let tag = tag(fields.next().unwrap_or_default())?;
        let suite = suite(fields.next().unwrap_or_default())?;
        let key = key(suite, fields.next().unwrap_or_default())?;
        if fields.all(is_harmless) { Ok(Self { tag, key }) } else { Err(SdesError::SessionParameter) }
    }

    /// The value of our own line. It holds the key: it belongs into a description, never into a log.
    pub fn to_value(&self) -> String {
        let key_and_salt = Zeroizing::new(BASE64.encode(self.key.key_and_salt()));
        format!("{} {} inline:{}", self.tag, self.suite().name(), *key_and_salt)
    }

    /// What the key is for.
    pub fn suite(&self) -> Suite {
        self.key.suite()
    }
}

fn tag(text: &str) -> Result<u32, SdesError> {
    let is_tag = (1..=9).contains(&text.len()) && text.bytes().all(|octet| octet.is_ascii_digit());
    if is_tag { text.parse().map_err(|_| SdesError::Tag) } else { Err(SdesError::Tag) }
}

fn suite(text: &str) -> Result<Suite, SdesError> {
    Suite::ALL.into_iter().find(|suite| suite.name().eq_ignore_ascii_case(text)).ok_or(SdesError::UnknownSuite)
}

/// `inline:` key and salt, then perhaps `|lifetime`, then perhaps `|identifier:length`.
fn key(suite: Suite, text: &str) -> Result<MasterKey, SdesError> {
    let (method, parameters) = text.split_once(':').ok_or(SdesError::KeyMethod)?;
    if !method.eq_ignore_ascii_case("inline") {
        return Err(SdesError::KeyMethod);
    }
    // Several keys can only be told apart by their identifiers (RFC 4568 §6.1).
    if parameters.contains(';') {
        return Err(SdesError::KeyIdentifier);
    }

    let mut parts = parameters.split('|');
    let key = decode(suite, parts.next().unwrap_or_default())?;
    for part in parts {
        if part.contains(':') {
            return Err(SdesError::KeyIdentifier);
        }
        if !is_lifetime(part) {
            return Err(SdesError::Lifetime);
        }
    }
    Ok(key)
}

fn decode(suite: Suite, text: &str) -> Result<MasterKey, SdesError> {
    let mut octets = Zeroizing::new([0; BASE64_BYTES_MAX / 4 * 3]);
    if text.len() > BASE64_BYTES_MAX {
        return Err(SdesError::Key);
    }
    let length = LENIENT.decode_slice(text, octets.as_mut()).map_err(|_| SdesError::Key)?;
    MasterKey::new(suite, &octets[..length]).ok_or(SdesError::Key)
}

/// Packets until the key has to change: a number or a power of two. Ours are changed by re-offers long before.
fn is_lifetime(text: &str) -> bool {
    let digits = text.strip_prefix("2^").unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|octet| octet.is_ascii_digit())
}

/// Whether a session parameter leaves the packets as they are: a hint on the size of the replay window, which is not
/// smaller than ours has to be, or an extension that says of itself that it may be ignored (RFC 4568 §6.3.6, §6.3.7).
fn is_harmless(parameter: &str) -> bool {
    let window = parameter.strip_prefix("WSH=");
    let is_hint = window.is_some_and(|size| !size.is_empty() && size.bytes().all(|octet| octet.is_ascii_digit()));
    let is_optional = parameter.len() > 1 && parameter.starts_with('-');
    is_hint || is_optional
}

/// Padding is missing in lines of some telephones, and the unused bits of the last character are not always zero.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);
/// Longer than the base64 of any key and salt.
const BASE64_BYTES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::srtp::MASTER_BYTES_MAX;

    /// The example of RFC 4568 §9.1, without its identifier.
    const EXAMPLE: &str = "inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR";

    #[test]
    fn the_standard_example() {
        let line = Crypto::parse(&format!("1 AES_CM_128_HMAC_SHA1_80 {EXAMPLE}|2^20")).expect("it is a line");
        assert_eq!((line.tag, line.suite()), (1, Suite::AesCm128HmacSha1Tag80));
        assert_eq!(line.key.key_and_salt(), b"=-n@%^x!Bjufr9)?,#5h\\`=&]{qiPQ");
    }

    #[test]
    fn what_is_taken() {
        for value in [
            "999999999 AES_CM_128_HMAC_SHA1_32 KEY",
            "01 aes_cm_128_hmac_sha1_80 KEY",
            "1  AES_CM_128_HMAC_SHA1_80\tKEY",
            "1 AES_CM_128_HMAC_SHA1_80 KEY|2^48",
            "1 AES_CM_128_HMAC_SHA1_80 KEY|1048576",
            "1 AES_CM_128_HMAC_SHA1_80 KEY WSH=128",
            "1 AES_CM_128_HMAC_SHA1_80 KEY -LATER=1",
            "1 AEAD_AES_128_GCM inline:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==",
            "1 AEAD_AES_128_GCM inline:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "1 AEAD_AES_256_GCM inline:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        ] {
            check(value, Ok(()));
        }
    }

    #[test]
    fn what_is_refused() {
        for (value, expected) in [
            ("", SdesError::Tag),
            ("x AES_CM_128_HMAC_SHA1_80 KEY", SdesError::Tag),
            ("-1 AES_CM_128_HMAC_SHA1_80 KEY", SdesError::Tag),
            ("1234567890 AES_CM_128_HMAC_SHA1_80 KEY", SdesError::Tag),
            ("1", SdesError::UnknownSuite),
            ("1 AES_256_CM_HMAC_SHA1_80 KEY", SdesError::UnknownSuite),
            ("1 AES_CM_128_HMAC_SHA1_80", SdesError::KeyMethod),
            ("1 AES_CM_128_HMAC_SHA1_80 uri:abc", SdesError::KeyMethod),
            ("1 AES_CM_128_HMAC_SHA1_80 inline:", SdesError::Key),
            ("1 AES_CM_128_HMAC_SHA1_80 inline:!!!!", SdesError::Key),
            ("1 AES_CM_128_HMAC_SHA1_80 inline:AAAA", SdesError::Key),
            ("1 AEAD_AES_128_GCM KEY", SdesError::Key),
            ("1 AES_CM_128_HMAC_SHA1_80 KEYAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", SdesError::Key),
            ("1 AES_CM_128_HMAC_SHA1_80 KEY|", SdesError::Lifetime),
            ("1 AES_CM_128_HMAC_SHA1_80 KEY|2^", SdesError::Lifetime),
            ("1 AES_CM_128_HMAC_SHA1_80 KEY|2^20|1:4", SdesError::KeyIdentifier),
            ("1 AES_CM_128_HMAC_SHA1_80 KEY|1:4", SdesError::KeyIdentifier),
            ("1 AES_CM_128_HMAC_SHA1_80 KEY;KEY", SdesError::KeyIdentifier),
            ("1 AES_CM_128_HMAC_SHA1_80 KEY UNENCRYPTED_SRTP", SdesError::SessionParameter),
            ("1 AES_CM_128_HMAC_SHA1_80 KEY WSH=64 UNENCRYPTED_SRTCP", SdesError::SessionParameter),
            ("1 AES_CM_128_HMAC_SHA1_80 KEY UNAUTHENTICATED_SRTP", SdesError::SessionParameter),
            ("1 AES_CM_128_HMAC_SHA1_80 KEY KDR=1", SdesError::SessionParameter),
            ("1 AES_CM_128_HMAC_SHA1_80 KEY FEC_ORDER=SRTP_FEC", SdesError::SessionParameter),
            ("1 AES_CM_128_HMAC_SHA1_80 KEY WSH=", SdesError::SessionParameter),
            ("1 AES_CM_128_HMAC_SHA1_80 KEY -", SdesError::SessionParameter),
        ] {
            check(value, Err(expected));
        }
        check(&" ".repeat(LINE_BYTES_MAX + 1), Err(SdesError::TooLong));
    }

    #[test]
    fn our_lines_can_be_read_back() {
        let random: [u8; MASTER_BYTES_MAX] = std::array::from_fn(|index| index as u8 * 5 + 1);
        for suite in Suite::ALL {
            let line = Crypto { tag: 7, key: MasterKey::from_random(suite, &random) };
            assert_eq!(Crypto::parse(&line.to_value()), Ok(line));
        }
    }

    #[test]
    fn what_is_printed_holds_no_key() {
        let line = Crypto::parse(&format!("1 AES_CM_128_HMAC_SHA1_80 {EXAMPLE}")).expect("it is a line");
        assert_eq!(format!("{line:?}"), "Crypto { tag: 1, key: MasterKey(AesCm128HmacSha1Tag80) }");
        let wrong = Crypto::parse(&format!("1 AES_CM_128_HMAC_SHA1_80 {EXAMPLE}KEY")).expect_err("the key is too long");
        assert!(!format!("{wrong} {wrong:?}").contains("PS1u"), "{wrong:?}");
    }

    #[track_caller]
    fn check(value: &str, expected: Result<(), SdesError>) {
        let value = value.replace("KEY", EXAMPLE);
        assert_eq!(Crypto::parse(&value).map(drop), expected, "{value}");
    }
}
