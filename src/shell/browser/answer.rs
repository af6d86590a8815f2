//! What we answer a browser, as it leaves us: behind address translation with the address under which it reaches us.

use std::net::IpAddr;

/// The answer with a second candidate behind each of ours: the same port at the address that the world sees (RFC 8839
/// §5.1). It comes as one that a STUN server has seen, because that is what it is to the browser.
pub(super) fn with_external(answer: &str, external: Option<IpAddr>) -> String {
    let Some(external) = external else { return answer.to_owned() };
    let mut shown = String::with_capacity(answer.len() + 128);
    for line in answer.lines() {
        shown.push_str(line);
        shown.push_str("\r\n");
        if let Some(candidate) = line.strip_prefix("a=candidate:").and_then(|host| seen_from_outside(host, external)) {
            shown.push_str(&candidate);
            shown.push_str("\r\n");
        }
    }
    shown
}

/// A host candidate as it is seen from outside, where it can be.
fn seen_from_outside(host: &str, external: IpAddr) -> Option<String> {
    let words: Vec<&str> = host.split_ascii_whitespace().collect();
    let [_, component, transport, _, address, port, "typ", "host", ..] = words.as_slice() else { return None };
    let inside: IpAddr = address.parse().ok()?;
    (inside.is_ipv4() == external.is_ipv4() && inside != external).then(|| {
        format!(
            "a=candidate:external {component} {transport} {PRIORITY} {external} {port} typ srflx raddr {address} rport {port}"
        )
    })
}

/// Type preference 100, local preference 65,535, component 1 (RFC 8445 §5.1.2.1).
const PRIORITY: u32 = (100 << 24) + (65_535 << 8) + 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_world_sees_stands_behind_what_we_see() {
        let answer = "a=mid:0\r\na=candidate:7 1 udp 2130706431 10.0.0.5 30000 typ host\r\na=end-of-candidates\r\n";
        let external = Some(IpAddr::from([198, 51, 100, 7]));
        let expected = "a=mid:0\r\na=candidate:7 1 udp 2130706431 10.0.0.5 30000 typ host\r\n\
            a=candidate:external 1 udp 1694498815 198.51.100.7 30000 typ srflx raddr 10.0.0.5 rport 30000\r\n\
            a=end-of-candidates\r\n";
        assert_eq!(with_external(answer, external), expected);
        assert_eq!(with_external(answer, None), answer);
        let six = answer.replace("10.0.0.5", "2001:db8::5");
        assert_eq!(with_external(&six, external), six, "another family");
    }
}
