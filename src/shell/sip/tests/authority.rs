//! An authority that signs certificates, and the files that they lie in.
//!
//! Knows nothing of the SIP side: the tests of the whole program share it.

use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};

/// The authority, with a folder that goes with it.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    pub(crate) folder: PathBuf,
}

impl Authority {
    /// With a folder of its own under the system's for temporary files.
    pub(crate) fn new(name: &str) -> Self {
        let mut parameters = CertificateParams::new(Vec::new()).expect("no names");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("random numbers");
        let issuer = CertifiedIssuer::self_signed(parameters, key).expect("a certificate");
        let folder = std::env::temp_dir().join(format!("calmline-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join("authority.pem"), issuer.pem()).expect("a file");
        Self { issuer, folder }
    }

    /// A certificate for `name` and its key, PEM.
    fn sign(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().expect("random numbers");
        let parameters = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        let certificate = parameters.signed_by(&key, &*self.issuer).expect("a certificate");
        (certificate.pem(), key.serialize_pem())
    }

    /// Writes a certificate for `name` and its key, `us.pem` and `us.key`, beside the authority's own,
    /// `authority.pem`.
    pub(crate) fn install(&self, name: &str) {
        let (certificate, key) = self.sign(name);
        std::fs::write(self.folder.join("us.key"), key).expect("a file");
        std::fs::write(self.folder.join("us.pem"), certificate).expect("a file");
    }

    /// A client that believes this authority, and shows a certificate for `name` when there is one.
    pub(crate) fn client(&self, name: Option<&str>, version: &'static SupportedProtocolVersion) -> Arc<ClientConfig> {
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[version])
            .expect("a version of ours")
            .with_root_certificates(self.roots());
        Arc::new(match name.map(|name| self.sign(name)) {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                builder.with_client_auth_cert(vec![der(&certificate)], key_of(&key)).expect("a pair")
            }
        })
    }

    /// A server that shows a certificate for `name`.
    pub(crate) fn server(&self, name: &str) -> Arc<ServerConfig> {
        let (certificate, key) = self.sign(name);
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions of ours")
            .with_no_client_auth();
        Arc::new(builder.with_single_cert(vec![der(&certificate)], key_of(&key)).expect("a pair"))
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(der(&self.issuer.pem())).expect("a certificate");
        roots
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        // What is left behind lies among temporary files.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate")
}

fn key_of(pem: &str) -> PrivateKeyDer<'static> {
    PrivateKeyDer::from_pem_slice(pem.as_bytes()).expect("a key")
}
