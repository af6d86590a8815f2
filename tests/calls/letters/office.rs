//! A mail server (RFC 5321, by `mailin`) with STARTTLS or TLS from the start, that keeps what it is handed.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use mailin::response::{AUTH_OK, INTERNAL_ERROR, INVALID_CREDENTIALS, OK};
use mailin::{Action, AuthMechanism, Handler, Response, Session, SessionBuilder};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// Longer than a client is silent.
const SILENCE: Duration = Duration::from_secs(30);

/// The office; it ends with the test.
pub struct Office {
    /// Where it waits for STARTTLS.
    pub at: SocketAddr,
    /// Where it expects TLS at once.
    pub wrapped: SocketAddr,
    /// Who has signed its certificate, PEM.
    pub authority: String,
    kept: Arc<Kept>,
}

#[derive(Default)]
struct Kept {
    login: (String, String),
    mails: Mutex<Vec<String>>,
    /// Mails that are still to be refused for the moment.
    refusals: AtomicUsize,
    /// The address that nobody has.
    nobody: Mutex<String>,
    logins: AtomicUsize,
}

impl Office {
    /// Opens on two ports of loopback, for one user.
    pub fn open(user: &str, password: &str) -> Office {
        let (authority, config) = certified();
        let kept = Arc::new(Kept { login: (user.to_owned(), password.to_owned()), ..Kept::default() });
        let [at, wrapped] = [false, true].map(|wrapped| listen(Arc::clone(&config), Arc::clone(&kept), wrapped));
        Office { at, wrapped, authority, kept }
    }

    /// Refuses the next mails for the moment.
    pub fn refuse(&self, mails: usize) {
        self.kept.refusals.store(mails, Ordering::SeqCst);
    }

    /// Refuses mail to an address for good.
    pub fn has_nobody(&self, address: &str) {
        *self.kept.nobody.lock().expect("nobody panics with it") = address.to_owned();
    }

    pub fn refusals(&self) -> usize {
        self.kept.refusals.load(Ordering::SeqCst)
    }

    /// How often somebody has said a password.
    pub fn logins(&self) -> usize {
        self.kept.logins.load(Ordering::SeqCst)
    }

    /// What was taken, with folded headers on one line each.
    pub fn mails(&self) -> Vec<String> {
        self.kept.mails.lock().expect("nobody panics with it").clone()
    }
}

fn certified() -> (String, Arc<ServerConfig>) {
    let key = || KeyPair::generate().expect("a key");
    let mut parameters = CertificateParams::new(Vec::new()).expect("no names");
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(parameters, key()).expect("a certificate");
    let own = key();
    let parameters = CertificateParams::new(vec![Ipv4Addr::LOCALHOST.to_string()]).expect("a name");
    let certificate = parameters.signed_by(&own, &issuer).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(own.serialize_der().into()))
        .expect("a certificate and its key");
    (issuer.pem(), Arc::new(config))
}

fn listen(config: Arc<ServerConfig>, kept: Arc<Kept>, wrapped: bool) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let at = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (config, kept) = (Arc::clone(&config), Arc::clone(&kept));
            // Whoever goes away in the midst is no business of the test's.
            thread::spawn(move || drop(serve(stream, &config, kept, wrapped)));
        }
    });
    at
}

fn serve(stream: TcpStream, config: &Arc<ServerConfig>, kept: Arc<Kept>, wrapped: bool) -> std::io::Result<()> {
    stream.set_read_timeout(Some(SILENCE))?;
    let mut builder = SessionBuilder::new("office");
    builder.enable_auth(AuthMechanism::Plain).enable_auth(AuthMechanism::Login);
    match wrapped {
        // Nothing is plain behind TLS, of which the session does not know.
        true => builder.insecure_enable_plaintext_auth(),
        false => builder.enable_start_tls(),
    };
    let mut session = builder.build(stream.peer_addr()?.ip(), Clerk { kept, mail: Vec::new() });
    let secured = |stream: TcpStream| {
        let connection = ServerConnection::new(Arc::clone(config)).map_err(std::io::Error::other)?;
        Ok::<_, std::io::Error>(StreamOwned::new(connection, stream))
    };
    if wrapped {
        let mut stream = BufReader::new(secured(stream)?);
        session.greeting().write_to(stream.get_mut())?;
        return talk(&mut stream, &mut session).map(drop);
    }
    let mut stream = BufReader::new(stream);
    session.greeting().write_to(stream.get_mut())?;
    if talk(&mut stream, &mut session)? == Action::UpgradeTls {
        let mut stream = BufReader::new(secured(stream.into_inner())?);
        session.tls_active();
        talk(&mut stream, &mut session)?;
    }
    Ok(())
}

/// Answers line by line until the connection is closed, or to be secured.
fn talk<S: Read + Write>(stream: &mut BufReader<S>, session: &mut Session<Clerk>) -> std::io::Result<Action> {
    loop {
        let mut line = Vec::new();
        if stream.read_until(b'\n', &mut line)? == 0 {
            return Ok(Action::Close);
        }
        let response = session.process(&line);
        match response.action {
            Action::NoReply => continue,
            Action::Reply => response.write_to(stream.get_mut())?,
            Action::Close | Action::UpgradeTls => {
                response.write_to(stream.get_mut())?;
                stream.get_mut().flush()?;
                return Ok(response.action);
            }
        }
        stream.get_mut().flush()?;
    }
}

/// Who takes the mail of one connection.
struct Clerk {
    kept: Arc<Kept>,
    mail: Vec<u8>,
}

impl Clerk {
    fn knows(&self, user: &str, password: &str) -> Response {
        self.kept.logins.fetch_add(1, Ordering::SeqCst);
        let (own, right) = &self.kept.login;
        if own == user && right == password { AUTH_OK } else { INVALID_CREDENTIALS }
    }
}

impl Handler for Clerk {
    fn auth_plain(&mut self, _: &str, user: &str, password: &str) -> Response {
        self.knows(user, password)
    }

    fn auth_login(&mut self, user: &str, password: &str) -> Response {
        self.knows(user, password)
    }

    fn rcpt(&mut self, to: &str) -> Response {
        let is_nobody = to == *self.kept.nobody.lock().expect("nobody panics with it");
        if is_nobody { Response::custom(550, format!("<{to}>: nobody has this address")) } else { OK }
    }

    fn data(&mut self, octets: &[u8]) -> std::io::Result<()> {
        self.mail.extend(octets);
        Ok(())
    }

    fn data_end(&mut self) -> Response {
        let mail = String::from_utf8_lossy(&std::mem::take(&mut self.mail)).replace("\r\n ", " ");
        let refuse = |left: usize| left.checked_sub(1);
        if self.kept.refusals.fetch_update(Ordering::SeqCst, Ordering::SeqCst, refuse).is_ok() {
            return INTERNAL_ERROR;
        }
        self.kept.mails.lock().expect("nobody panics with it").push(mail);
        OK
    }
}
