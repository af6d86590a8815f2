//! Octets as digits, and their digest.

use ring::digest::{SHA256, digest};

/// Two hexadecimal digits per octet, in lower case.
pub(crate) fn hexadecimal(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// The SHA-256 of octets (FIPS 180-4).
pub(crate) fn sha256(octets: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, octets).as_ref());
    hash
}

/// A text as it may stand in a path or a query: octets that may mean something there as two digits behind a `%` (RFC 3986 §2.1).
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped += &format!("%{byte:02X}");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_digits_each() {
        assert_eq!(hexadecimal(&[0, 0x0f, 0xa0, 0xff]), "000fa0ff");
        assert_eq!(hexadecimal(&[]), "");
    }

    #[test]
    fn the_digest_of_nothing() {
        let expected = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(hexadecimal(&sha256(&[])), expected);
    }

    #[test]
    fn nothing_in_a_text_means_anything_in_an_address() {
        assert_eq!(escaped("a/b?c d"), "a%2Fb%3Fc%20d");
        assert_eq!(escaped("..+é&~"), "..%2B%C3%A9%26~");
    }
}
