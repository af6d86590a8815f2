//! How often whoever asks may ask: whoever has the token, each person, and each address that nobody is known at.
//!
//! Bounded: names and addresses share a fixed number of places, and who falls into the same place shares its limit. Where
//! is random per process, so nobody can aim at anybody's.

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::time::Duration;

use axum::http::HeaderMap;
use governor::clock::{Clock, DefaultClock};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

/// Requests per second in the long run, and at once, of whoever has the token: other systems tell of every call.
const TOKEN: (u32, u32) = (500, 2_000);
/// Those of one person: a page asks for a dozen things when it opens, and for little afterwards.
const PERSON: (u32, u32) = (20, 200);
/// Refused requests and sign-ins of one address.
const STRANGER: (u32, u32) = (10, 200);
/// Places for people, and as many for addresses.
const PLACES: usize = 1_024;

type Limiter<C> = RateLimiter<NotKeyed, InMemoryState, C, NoOpMiddleware<<C as Clock>::Instant>>;

/// Where a request comes from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) SocketAddr);

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub(super) enum Asker<'a> {
    /// Whoever has the token.
    Token,
    /// A person, by name.
    Person(&'a str),
    /// Somebody who is not known, by address.
    Stranger(IpAddr),
}

/// How often each has asked lately.
pub(super) struct Limits<C: Clock = DefaultClock> {
    clock: C,
    token: Limiter<C>,
    people: Vec<Limiter<C>>,
    strangers: Vec<Limiter<C>>,
    places: RandomState,
}

impl Limits {
    /// Nobody has asked yet.
    pub(super) fn new() -> Self {
        Self::by(&DefaultClock::default())
    }
}

impl<C: Clock + Clone> Limits<C> {
    fn by(clock: &C) -> Self {
        let limiter = |limit| RateLimiter::direct_with_clock(quota(limit), C::clone(clock));
        let many = |limit| (0..PLACES).map(|_| limiter(limit)).collect();
        let (people, strangers) = (many(PERSON), many(STRANGER));
        Self { clock: C::clone(clock), token: limiter(TOKEN), people, strangers, places: RandomState::new() }
    }

    /// Counts a request.
    ///
    /// # Errors
    /// How long it is until there may be another one.
    pub(super) fn count(&self, asker: Asker<'_>) -> Result<(), Duration> {
        let limiter = match asker {
            Asker::Token => &self.token,
            Asker::Person(name) => &self.people[self.place(name)],
            Asker::Stranger(address) => &self.strangers[self.place(network(address))],
        };
        limiter.check().map_err(|until| until.wait_time_from(self.clock.now()))
    }

    fn place(&self, who: impl std::hash::Hash) -> usize {
        (self.places.hash_one(who) % PLACES as u64) as usize
    }
}

impl Asker<'_> {
    /// As metrics name it.
    pub(super) fn kind(self) -> &'static str {
        match self {
            Asker::Token => "token",
            Asker::Person(_) => "person",
            Asker::Stranger(_) => "address",
        }
    }
}

/// The address that a request is from: behind a proxy on this machine, the one that the proxy was asked by.
pub(super) fn address(peer: SocketAddr, headers: &HeaderMap) -> IpAddr {
    let peer = peer.ip().to_canonical();
    let told = headers.get_all("x-forwarded-for").iter().next_back().and_then(|value| value.to_str().ok());
    // What stands before the last one was said by whoever asked the proxy.
    let told = told.and_then(|list| list.rsplit(',').next()?.trim().parse().ok());
    told.filter(|_| peer.is_loopback()).unwrap_or(peer)
}

/// What one subscriber has of addresses: one of IPv4, 2^64 of IPv6.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(six) => Ipv6Addr::from_bits(six.to_bits() >> 64 << 64).into(),
    }
}

fn quota((per_second, at_once): (u32, u32)) -> Quota {
    let number = |count| NonZeroU32::new(count).expect("a limit is not 0");
    Quota::per_second(number(per_second)).allow_burst(number(at_once))
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    #[test]
    fn each_may_ask_so_often_and_again_a_moment_later() {
        let clock = FakeRelativeClock::default();
        let limits = Limits::by(&clock);
        let asked = |asker| (0..).take_while(|_| limits.count(asker).is_ok()).count();
        assert_eq!(asked(Asker::Person("li")), 200);
        let wait = limits.count(Asker::Person("li")).expect_err("too often");
        assert!(wait > Duration::ZERO && wait <= Duration::from_millis(50), "{wait:?}");
        assert_eq!(asked(Asker::Token), 2_000, "people do not keep machines off");
        clock.advance(Duration::from_secs(1));
        assert_eq!((asked(Asker::Person("li")), asked(Asker::Token)), (20, 500));
        let stranger = |text: &str| Asker::Stranger(text.parse().expect("an address"));
        assert_eq!(asked(stranger("2001:db8::1")), 200);
        assert_eq!(asked(stranger("2001:db8::ffff:1")), 0, "of the same subscriber");
        let others = (0..20).map(|number| format!("10.0.0.{number}"));
        assert!(others.map(|address| asked(stranger(&address))).sum::<usize>() > 1_000, "places are many");
    }

    #[test]
    fn a_proxy_on_this_machine_is_believed_and_nobody_else() {
        let check = |peer: &str, told: &[&str], expected: &str| {
            let mut headers = HeaderMap::new();
            for value in told {
                headers.append("x-forwarded-for", value.parse().expect("a header value"));
            }
            let address = address(peer.parse().expect("an address"), &headers);
            assert_eq!(address.to_string(), expected, "{peer} {told:?}");
        };
        check("127.0.0.1:4000", &[], "127.0.0.1");
        check("127.0.0.1:4000", &["10.0.0.7"], "10.0.0.7");
        check("[::1]:4000", &["6.6.6.6, 10.0.0.7"], "10.0.0.7");
        check("[::ffff:127.0.0.1]:4000", &["6.6.6.6", "10.0.0.7"], "10.0.0.7");
        check("127.0.0.1:4000", &["unknown"], "127.0.0.1");
        check("192.0.2.1:4000", &["10.0.0.7"], "192.0.2.1");
    }
}
