//! Tunnels that put TLS around TCP, and take it off again: SIPp from Debian speaks none.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ServerConfig};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// Where TCP is taken that goes on to `to` under TLS; `name` has to be in the certificate there.
pub async fn into_tls(to: SocketAddr, name: &'static str, client: Arc<ClientConfig>) -> SocketAddr {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let client = client.clone();
            tokio::spawn(async move {
                let inner = TcpStream::connect(to).await?;
                let name = ServerName::try_from(name).expect("a name");
                let mut inner = TlsConnector::from(client).connect(name, inner).await?;
                copy_bidirectional(&mut stream, &mut inner).await
            });
        }
    });
    address
}

/// Where TLS is taken that goes on to `to` by TCP.
pub async fn out_of_tls(to: SocketAddr, server: Arc<ServerConfig>) -> SocketAddr {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let server = server.clone();
            tokio::spawn(async move {
                let mut stream = TlsAcceptor::from(server).accept(stream).await?;
                let mut inner = TcpStream::connect(to).await?;
                copy_bidirectional(&mut stream, &mut inner).await
            });
        }
    });
    address
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port on loopback");
    let address = listener.local_addr().expect("it is bound");
    (listener, address)
}
