//! In which order the servers of a name are tried: NAPTR by order and preference (RFC 3403), SRV by priority and weight
//! (RFC 2782). Pure.

use super::HOPS_MAX;
use crate::shell::sip::transport::SipTransport;

/// A NAPTR record, as far as SIP needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pointer {
    pub(super) order: u16,
    pub(super) preference: u16,
    /// E.g. `s`.
    pub(super) flags: String,
    /// E.g. `SIP+D2U`.
    pub(super) services: String,
    /// The name of the SRV records.
    pub(super) replacement: String,
}

/// A SRV record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Server {
    pub(super) priority: u16,
    pub(super) weight: u16,
    pub(super) port: u16,
    pub(super) target: String,
}

/// A name that has SRV records, and what is spoken there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Service {
    pub(super) transport: SipTransport,
    pub(super) name: String,
}

impl Service {
    /// The usual name (RFC 3263 §4.1, RFC 7118 §5.1).
    pub(super) fn of(domain: &str, transport: SipTransport) -> Self {
        let prefix = match transport {
            SipTransport::Udp => "_sip._udp",
            SipTransport::Tcp => "_sip._tcp",
            SipTransport::Tls => "_sips._tcp",
            SipTransport::Ws => "_sip._ws",
            SipTransport::Wss => "_sips._ws",
        };
        Self { transport, name: format!("{prefix}.{domain}") }
    }
}

/// The services that NAPTR records point at and that are `spoken`, best first.
pub(super) fn services(mut pointers: Vec<Pointer>, spoken: impl Fn(SipTransport) -> bool) -> Vec<Service> {
    pointers.sort_by_key(|pointer| (pointer.order, pointer.preference));
    let service = |pointer: Pointer| {
        let transport = match pointer.services.to_ascii_uppercase().as_str() {
            "SIP+D2U" => SipTransport::Udp,
            "SIP+D2T" => SipTransport::Tcp,
            "SIPS+D2T" => SipTransport::Tls,
            "SIP+D2W" => SipTransport::Ws,
            "SIPS+D2W" => SipTransport::Wss,
            _ => return None,
        };
        let leads_on = pointer.flags.eq_ignore_ascii_case("s") && !pointer.replacement.is_empty();
        (leads_on && spoken(transport)).then_some(Service { transport, name: pointer.replacement })
    };
    pointers.into_iter().filter_map(service).take(HOPS_MAX).collect()
}

/// The services of a domain without NAPTR records.
pub(super) fn usual(domain: &str) -> [Service; 3] {
    [SipTransport::Udp, SipTransport::Tcp, SipTransport::Tls].map(|transport| Service::of(domain, transport))
}

/// The servers in the order in which they are tried: by priority; within one, each time anew, by weight. `random` gives
/// a number below its argument, which is not 0.
pub(super) fn servers(mut servers: Vec<Server>, mut random: impl FnMut(u32) -> u32) -> Vec<Server> {
    // A target `.` says that there is no such service (RFC 2782).
    servers.retain(|server| !server.target.is_empty() && server.target != ".");
    // Those of weight 0 first, as the RFC's algorithm wants it.
    servers.sort_by(|a, b| (a.priority, a.weight, &a.target, a.port).cmp(&(b.priority, b.weight, &b.target, b.port)));
    let mut ordered = Vec::with_capacity(servers.len());
    while let Some(first) = servers.first() {
        let priority = first.priority;
        let group = servers.iter().take_while(|server| server.priority == priority).count();
        let sum: u32 = servers[..group].iter().map(|server| u32::from(server.weight)).sum();
        let drawn = random(sum + 1);
        let mut running = 0;
        let chosen = servers[..group].iter().position(|server| {
            running += u32::from(server.weight);
            running >= drawn
        });
        ordered.push(servers.remove(chosen.unwrap_or(0)));
    }
    ordered
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pointers_by_order_and_preference_and_what_is_spoken() {
        let pointer = |order, preference, services: &str| Pointer {
            order,
            preference,
            flags: "s".into(),
            services: services.into(),
            replacement: format!("_x.{order}.{preference}"),
        };
        let pointers = vec![
            pointer(50, 50, "SIPS+D2T"),
            pointer(90, 60, "sip+d2t"),
            pointer(90, 50, "SIP+D2U"),
            pointer(10, 1, "E2U+sip"),
            Pointer { flags: "u".into(), ..pointer(1, 1, "SIP+D2U") },
            pointer(95, 1, "SIP+D2W"),
        ];
        let found = services(pointers, |transport| transport != SipTransport::Tls);
        let names: Vec<_> = found.iter().map(|service| (service.transport, service.name.as_str())).collect();
        assert_eq!(
            names,
            [(SipTransport::Udp, "_x.90.50"), (SipTransport::Tcp, "_x.90.60"), (SipTransport::Ws, "_x.95.1")]
        );
    }

    #[test]
    fn weights_share_the_load_and_priorities_come_first() {
        let server = |priority, weight, target: &str| Server { priority, weight, port: 5060, target: target.into() };
        let all = vec![
            server(2, 0, "spare"),
            server(1, 3, "big"),
            server(1, 1, "small"),
            server(1, 0, "last"),
            server(0, 0, "."),
        ];
        let mut seed = 1_u32;
        let mut firsts: BTreeMap<String, usize> = BTreeMap::new();
        for _ in 0..4_000 {
            let ordered = servers(all.clone(), |below| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 8) % below
            });
            assert_eq!((ordered.len(), ordered[3].target.as_str()), (4, "spare"));
            *firsts.entry(ordered[0].target.clone()).or_default() += 1;
        }
        // 0 is drawn one time in five, and takes the one without weight.
        assert!((2_100..2_700).contains(&firsts["big"]), "{firsts:?}");
        assert!((600..1_000).contains(&firsts["small"]) && firsts["last"] < 1_000, "{firsts:?}");
    }

    proptest! {
        /// Every server is tried once, and none before one of a better priority.
        #[test]
        fn an_order_is_an_order(servers in prop::collection::vec((0..3_u16, any::<u16>()), 0..12), seed: u32) {
            let given: Vec<Server> = servers.iter().enumerate()
                .map(|(at, (priority, weight))| Server { priority: *priority, weight: *weight, port: 1, target: at.to_string() })
                .collect();
            let ordered = super::servers(given.clone(), |below| seed % below);
            prop_assert!(ordered.is_sorted_by_key(|server| server.priority));
            let mut targets: Vec<_> = ordered.iter().map(|server| server.target.parse::<usize>().expect("a number")).collect();
            targets.sort_unstable();
            prop_assert_eq!(targets, (0..given.len()).collect::<Vec<_>>());
        }
    }
}
