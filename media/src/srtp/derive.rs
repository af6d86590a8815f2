//! Session keys from a master key: the counter mode key stream of the master key, one label per purpose.
//!
//! Keys are derived once, for the whole life of the master key (a derivation rate of zero, RFC 3711 §4.3.1).

use aes::cipher::{KeyIvInit, StreamCipher};
use aes::{Aes128, Aes256};
use ctr::Ctr128BE;
use zeroize::Zeroizing;

use super::MasterKey;

/// What a session key is for; the octet is its label (RFC 3711 §4.3.1, §4.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Label {
    PacketCipher = 0,
    PacketAuthentication = 1,
    PacketSalt = 2,
    ControlCipher = 3,
    ControlAuthentication = 4,
    ControlSalt = 5,
}

/// `BYTES` octets of session key. A salt of twelve octets is filled up with zeros (RFC 7714 §11).
pub(super) fn derive<const BYTES: usize>(master: &MasterKey, label: Label) -> Zeroizing<[u8; BYTES]> {
    let mut start = [0; 16];
    start[..master.salt().len()].copy_from_slice(master.salt());
    start[7] ^= label as u8;

    let mut derived = Zeroizing::new([0; BYTES]);
    let fits = "a master key has the length of its suite";
    if master.key().len() == 32 {
        Ctr128BE::<Aes256>::new_from_slices(master.key(), &start).expect(fits).apply_keystream(derived.as_mut());
    } else {
        Ctr128BE::<Aes128>::new_from_slices(master.key(), &start).expect(fits).apply_keystream(derived.as_mut());
    }
    derived
}

#[cfg(test)]
mod tests {
    use super::super::{Suite, tests::octets};
    use super::*;

    /// RFC 3711 §B.3.
    #[test]
    fn the_vectors_of_the_standard() {
        let master = octets("E1F97A0D3E018BE0D64FA32C06DE41390EC675AD498AFEEBB6960B3AABE6");
        let master = MasterKey::new(Suite::AesCm128HmacSha1Tag80, &master).expect("it has the right length");
        assert_eq!(derive::<16>(&master, Label::PacketCipher).as_slice(), octets("C61E7A93744F39EE10734AFE3FF7A087"));
        assert_eq!(derive::<14>(&master, Label::PacketSalt).as_slice(), octets("30CBBC08863D8C85D49DB34A9AE1"));
        assert_eq!(
            derive::<94>(&master, Label::PacketAuthentication).as_slice(),
            octets(
                "CEBE321F6FF7716B6FD4AB49AF256A156D38BAA48F0A0ACF3C34E2359E6CDBCE\
                 E049646C43D9327AD175578EF72270986371C10C9A369AC2F94A8C5FBCDDDC25\
                 6D6E919A48B610EF17C2041E474035766B68642C59BBFC2F34DB60DBDFB2"
            )
        );
    }
}
