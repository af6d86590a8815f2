//! TCP connections to PBXs and recognisers, with TLS on them where the configuration wants it.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, ToSocketAddrs};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::CONNECT_WAIT;

/// What octets come and go by.
pub(in crate::shell) trait Octets: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Octets for S {}

/// A connection.
pub(in crate::shell) type Stream = Box<dyn Octets>;

/// How a certificate is checked: the name it has to bear, and by whom it has to be signed.
#[derive(Debug, Clone)]
pub(in crate::shell) struct Secured {
    pub(in crate::shell) name: String,
    pub(in crate::shell) by: Arc<ClientConfig>,
}

/// Connects, within `CONNECT_WAIT` with everything.
///
/// # Errors
/// Why that is not to be had, in words.
pub(in crate::shell) async fn connect(to: impl ToSocketAddrs, secured: Option<&Secured>) -> Result<Stream, String> {
    let connecting = async {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        let Some(Secured { name, by }) = secured else { return Ok(Box::new(stream) as Stream) };
        let name = ServerName::try_from(name.clone()).map_err(std::io::Error::other)?;
        let stream = TlsConnector::from(by.clone()).connect(name, stream).await?;
        Ok(Box::new(stream) as Stream)
    };
    match timeout(CONNECT_WAIT, connecting).await {
        Ok(connected) => connected.map_err(|error: std::io::Error| error.to_string()),
        Err(_) => Err("no answer to the connection".to_owned()),
    }
}
