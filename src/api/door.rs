//! The way from a command to the server of the same configuration: over TLS where it says so, and then to nobody who does not
//! show the very certificate that it names.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme, StreamOwned};

use crate::settings::WebSettings;

/// Where the API is, and what certificate it shows.
#[derive(Debug, Clone)]
pub struct Door {
    /// Its socket.
    pub address: SocketAddr,
    /// The PEM file whose first certificate is the server's; `None`: no TLS.
    pub certificate: Option<PathBuf>,
}

impl From<SocketAddr> for Door {
    fn from(address: SocketAddr) -> Self {
        Self { address, certificate: None }
    }
}

impl From<&WebSettings> for Door {
    fn from(web: &WebSettings) -> Self {
        let mut address = web.listen;
        if address.ip().is_unspecified() {
            // Nobody is at the address that stands for all of them.
            address.set_ip(match address {
                SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
            });
        }
        Self { address, certificate: web.tls.as_ref().map(|tls| tls.certificate.clone()) }
    }
}

/// What goes to the server and comes back.
pub trait Wire: Read + Write {}

impl<T: Read + Write> Wire for T {}

impl Door {
    /// A connection on which answers may take so long.
    ///
    /// # Errors
    /// When nobody answers, the certificate's file cannot be read, or another one is shown.
    pub fn connect(&self, answered_within: Duration) -> io::Result<Box<dyn Wire>> {
        let stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(answered_within))?;
        let Some(path) = &self.certificate else { return Ok(Box::new(stream)) };
        let expected = CertificateDer::from_pem_file(path)
            .map_err(|error| io::Error::other(format!("{}: {error}", path.display())))?;
        let provider = Arc::new(ring::default_provider());
        let pinned = Pinned { expected, provider: Arc::clone(&provider) };
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(pinned))
            .with_no_client_auth();
        let name = ServerName::from(self.address.ip());
        let connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
        Ok(Box::new(StreamOwned::new(connection, stream)))
    }
}

/// Believes one certificate alone, whatever its names and dates are, when its owner has its key.
#[derive(Debug)]
struct Pinned {
    expected: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match *end_entity == self.expected {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(Error::General("another certificate than the configuration's is shown".to_owned())),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
