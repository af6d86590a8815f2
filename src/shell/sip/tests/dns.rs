//! A name server on loopback that knows what a test tells it, and falls silent when it is told.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use hickory_resolver::proto::op::{Message, OpCode};
use hickory_resolver::proto::rr::rdata::{A, AAAA, NAPTR, SRV};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use tokio::net::UdpSocket;

/// The name server.
pub(super) struct Dns {
    pub(super) address: SocketAddr,
    zone: Arc<Mutex<Vec<Record>>>,
    is_gone: Arc<AtomicBool>,
    without_pointers: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
}

impl Dns {
    /// Answers from now on.
    pub(super) async fn start() -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port on loopback");
        let address = socket.local_addr().expect("it is bound");
        let dns = Self {
            address,
            zone: Arc::default(),
            is_gone: Arc::default(),
            without_pointers: Arc::default(),
            asked: Arc::default(),
        };
        let (zone, is_gone, asked) = (dns.zone.clone(), dns.is_gone.clone(), dns.asked.clone());
        let without_pointers = dns.without_pointers.clone();
        tokio::spawn(async move {
            let mut buffer = [0; 1_500];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                asked.fetch_add(1, Ordering::Relaxed);
                if is_gone.load(Ordering::Relaxed) {
                    continue;
                }
                let Ok(question) = Message::from_vec(&buffer[..length]) else { continue };
                let is_for_pointers = question.queries.iter().any(|query| query.query_type() == RecordType::NAPTR);
                if is_for_pointers && without_pointers.load(Ordering::Relaxed) {
                    continue;
                }
                let answer = answer(&question, &zone.lock().expect("no panic"));
                let _ = socket.send_to(&answer.to_vec().expect("a message"), from).await;
            }
        });
        dns
    }

    /// A pointer to the SRV records of `replacement`.
    pub(super) fn naptr(&self, name: &str, order: u16, services: &str, replacement: &str) {
        let (flags, services) = (Box::from(*b"s"), Box::from(services.as_bytes()));
        let data = NAPTR::new(order, 10, flags, services, Box::default(), name_of(replacement));
        self.add(name, RData::NAPTR(data));
    }

    /// A server of a service.
    pub(super) fn srv(&self, name: &str, priority: u16, port: u16, target: &str) {
        self.add(name, RData::SRV(SRV::new(priority, 10, port, name_of(target))));
    }

    /// An address.
    pub(super) fn host(&self, name: &str, address: IpAddr) {
        self.add(
            name,
            match address {
                IpAddr::V4(address) => RData::A(A(address)),
                IpAddr::V6(address) => RData::AAAA(AAAA(address)),
            },
        );
    }

    /// Says nothing any more, or answers again.
    pub(super) fn set_gone(&self, is_gone: bool) {
        self.is_gone.store(is_gone, Ordering::Relaxed);
    }

    /// Says nothing to questions for pointers.
    pub(super) fn drop_pointers(&self) {
        self.without_pointers.store(true, Ordering::Relaxed);
    }

    /// How many questions have come.
    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    /// Records live for a moment only: the resolver's own cache must not answer for us.
    fn add(&self, name: &str, data: RData) {
        self.zone.lock().expect("no panic").push(Record::from_rdata(name_of(name), 0, data));
    }
}

fn answer(question: &Message, zone: &[Record]) -> Message {
    let mut answer = Message::response(question.metadata.id, OpCode::Query);
    for query in &question.queries {
        answer.add_query(query.clone());
        let fits = |record: &&Record| record.name == *query.name() && record.record_type() == query.query_type();
        answer.add_answers(zone.iter().filter(fits).cloned().collect::<Vec<_>>());
    }
    answer
}

fn name_of(text: &str) -> Name {
    Name::from_ascii(format!("{text}.")).expect("a name")
}
