//! TLS 1.2 and 1.3 by rustls with ring: certificates, authorities, and reading them again when their files change.
//!
//! A connection keeps what it was made with; what has been read anew is for the next one. Files that cannot be used
//! change nothing.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};
use tokio_util::sync::CancellationToken;

use crate::settings::TlsSettings;

/// Certificates in one file.
const CERTIFICATES_MAX: usize = 1_024;

/// Why certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    /// A file is missing or not what it should be.
    #[error("{path}: {reason}")]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The files do not go together.
    #[error("certificate and key: {0}")]
    Pair(String),
}

/// The files and what was made of them.
pub(crate) struct TlsFiles {
    settings: Option<TlsSettings>,
    current: RwLock<Current>,
}

struct Current {
    server: Option<Arc<ServerConfig>>,
    client: Arc<ClientConfig>,
    /// When each file was last changed.
    changed: Vec<Option<SystemTime>>,
}

impl TlsFiles {
    /// Reads the files; without settings only others' certificates are checked, by the system's authorities.
    ///
    /// # Errors
    /// When a file cannot be used.
    pub(crate) fn read(settings: Option<TlsSettings>) -> Result<Self, TlsError> {
        let current = RwLock::new(read(settings.as_ref())?);
        Ok(Self { settings, current })
    }

    /// Reads the files again whenever they change, until `stop`, and tells what came of it; nothing without files.
    pub(crate) async fn watch(self: Arc<Self>, stop: CancellationToken, tell: impl Fn(Result<(), TlsError>)) {
        let Some(every) = self.settings.as_ref().map(|settings| settings.reload) else { return };
        while stop.run_until_cancelled(tokio::time::sleep(every)).await.is_some() {
            let tls = Arc::clone(&self);
            // Files may lie on a disk that is slow.
            match tokio::task::spawn_blocking(move || tls.reload()).await {
                Ok(Ok(true)) => tell(Ok(())),
                Ok(Ok(false)) | Err(_) => {}
                Ok(Err(error)) => tell(Err(error)),
            }
        }
    }

    /// Reads the files again when one has changed; true when that was so.
    ///
    /// # Errors
    /// When they cannot be used: everything stays as it was, and the next look tries again.
    pub(crate) fn reload(&self) -> Result<bool, TlsError> {
        let Some(settings) = &self.settings else { return Ok(false) };
        if changes(settings) == self.current.read().unwrap_or_else(PoisonError::into_inner).changed {
            return Ok(false);
        }
        let fresh = read(Some(settings))?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(true)
    }

    /// Greets a client.
    pub(crate) async fn accept<S>(&self, stream: S) -> std::io::Result<server::TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let server = self.current.read().unwrap_or_else(PoisonError::into_inner).server.clone();
        let server = server.ok_or_else(|| std::io::Error::other("no certificate of ours"))?;
        TlsAcceptor::from(server).accept(stream).await
    }

    /// Greets a server that has to show a certificate for `name`, or for its address when it has no name.
    pub(super) async fn connect<S>(
        &self,
        stream: S,
        name: Option<&str>,
        ip: IpAddr,
    ) -> std::io::Result<client::TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let name = match name {
            Some(name) => ServerName::try_from(name.to_owned()).map_err(std::io::Error::other)?,
            None => ServerName::from(ip),
        };
        let client = self.current.read().unwrap_or_else(PoisonError::into_inner).client.clone();
        TlsConnector::from(client).connect(name, stream).await
    }
}

/// Whether a certificate, already known to be signed by an authority of ours, bears one of `names`.
pub(crate) fn bears_name(certificate: &CertificateDer<'_>, names: &[String]) -> bool {
    let Ok(certificate) = webpki::EndEntityCert::try_from(certificate) else { return false };
    names.iter().any(|name| {
        ServerName::try_from(name.as_str())
            .is_ok_and(|name| certificate.verify_is_valid_for_subject_name(&name).is_ok())
    })
}

/// What a client of another protocol checks certificates by: the authorities of a file, or those of the system.
///
/// # Errors
/// When the file cannot be used.
pub(crate) fn client_by(authorities_file: Option<&Path>) -> Result<ClientConfig, TlsError> {
    let roots = authorities_file.map(authorities).transpose()?.unwrap_or_else(system_authorities);
    let provider = Arc::new(ring::default_provider());
    Ok(client(&provider, BOTH)?.with_root_certificates(roots).with_no_client_auth())
}

fn read(settings: Option<&TlsSettings>) -> Result<Current, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let Some(settings) = settings else {
        let client = client(&provider, BOTH)?.with_root_certificates(system_authorities()).with_no_client_auth();
        return Ok(Current { server: None, client: Arc::new(client), changed: Vec::new() });
    };
    let changed = changes(settings);
    let chain = certificates(&settings.certificate)?;
    let key = || {
        PrivateKeyDer::from_pem_file(&settings.key)
            .map_err(|error| TlsError::File { path: settings.key.clone(), reason: error.to_string() })
    };
    let authorities = match &settings.authorities {
        Some(path) => Some(Arc::new(authorities(path)?)),
        None => None,
    };
    let versions = if settings.allows_1_2 { BOTH } else { ONLY_1_3 };
    let pair = |error: rustls::Error| TlsError::Pair(error.to_string());

    let verifier = match &authorities {
        // Whether one has to be shown is the trunk's business.
        Some(roots) => WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone())
            .allow_unauthenticated()
            .build()
            .map_err(|error| TlsError::Pair(error.to_string()))?,
        None => WebPkiClientVerifier::no_client_auth(),
    };
    let server = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions)
        .map_err(pair)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain.clone(), key()?)
        .map_err(pair)?;
    let roots = authorities.unwrap_or_else(|| Arc::new(system_authorities()));
    let client = client(&provider, versions)?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key()?)
        .map_err(pair)?;
    Ok(Current { server: Some(Arc::new(server)), client: Arc::new(client), changed })
}

type Versions = &'static [&'static SupportedProtocolVersion];
const BOTH: Versions = &[&rustls::version::TLS13, &rustls::version::TLS12];
const ONLY_1_3: Versions = &[&rustls::version::TLS13];

fn client(
    provider: &Arc<CryptoProvider>,
    versions: Versions,
) -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, TlsError> {
    ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions)
        .map_err(|error| TlsError::Pair(error.to_string()))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let fault = |reason: String| TlsError::File { path: path.to_owned(), reason };
    let found = CertificateDer::pem_file_iter(path).map_err(|error| fault(error.to_string()))?;
    let found: Result<Vec<_>, _> = found.take(CERTIFICATES_MAX).collect();
    let found = found.map_err(|error| fault(error.to_string()))?;
    if found.is_empty() { Err(fault("no certificate in it".to_owned())) } else { Ok(found) }
}

fn authorities(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|error| TlsError::File { path: path.to_owned(), reason: error.to_string() })?;
    }
    Ok(roots)
}

/// Those of the machine; one that cannot be read is not believed.
fn system_authorities() -> RootCertStore {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "an authority of the system cannot be read");
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    roots
}

fn changes(settings: &TlsSettings) -> Vec<Option<SystemTime>> {
    let files = [Some(&settings.certificate), Some(&settings.key), settings.authorities.as_ref()];
    let changed = |path: &PathBuf| std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    files.into_iter().map(|file| file.and_then(changed)).collect()
}
