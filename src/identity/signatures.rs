//! The signatures of ID tokens, checked by `ring`: what `jsonwebtoken` asks of whoever does its cryptography.
//!
//! Only what providers sign with (RFC 7518 §3.1): no shared secrets, and nothing is signed here.

use jsonwebtoken::crypto::{CryptoProvider, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind};
use ring::signature::{self as by, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm};
use signature::{Error, Verifier};

/// What a token may be signed by.
pub(super) const ALGORITHMS: [Algorithm; 8] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
];

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |_, _| Err(ErrorKind::InvalidAlgorithm.into()),
    verifier_factory: |algorithm, key| Ok(Box::new(ByRing { algorithm: *algorithm, key: key.clone() })),
    key_utils: KeyUtils::new_unimplemented(),
};

/// Has every token of this process checked here.
pub(super) fn install() {
    // It fails when it was done before, which is as good.
    let _ = PROVIDER.install_default();
}

/// Checks signatures of one key.
struct ByRing {
    algorithm: Algorithm,
    key: DecodingKey,
}

impl JwtVerifier for ByRing {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

impl Verifier<Vec<u8>> for ByRing {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), Error> {
        let checked = match (how(self.algorithm), self.key.kind()) {
            (Some(How::Rsa(how)), DecodingKeyKind::RsaModulusExponent { n, e }) => {
                RsaPublicKeyComponents { n, e }.verify(how, message, signature)
            }
            (Some(How::Ec(how)), DecodingKeyKind::SecretOrDer(point)) => {
                UnparsedPublicKey::new(how, point).verify(message, signature)
            }
            _ => return Err(Error::new()),
        };
        checked.map_err(|_| Error::new())
    }
}

enum How {
    Rsa(&'static RsaParameters),
    Ec(&'static dyn VerificationAlgorithm),
}

fn how(algorithm: Algorithm) -> Option<How> {
    Some(match algorithm {
        Algorithm::RS256 => How::Rsa(&by::RSA_PKCS1_2048_8192_SHA256),
        Algorithm::RS384 => How::Rsa(&by::RSA_PKCS1_2048_8192_SHA384),
        Algorithm::RS512 => How::Rsa(&by::RSA_PKCS1_2048_8192_SHA512),
        Algorithm::PS256 => How::Rsa(&by::RSA_PSS_2048_8192_SHA256),
        Algorithm::PS384 => How::Rsa(&by::RSA_PSS_2048_8192_SHA384),
        Algorithm::PS512 => How::Rsa(&by::RSA_PSS_2048_8192_SHA512),
        Algorithm::ES256 => How::Ec(&by::ECDSA_P256_SHA256_FIXED),
        Algorithm::ES384 => How::Ec(&by::ECDSA_P384_SHA384_FIXED),
        _ => return None,
    })
}
