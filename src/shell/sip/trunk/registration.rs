//! Tells a trunk where we are (RFC 3261 §10): registers, refreshes before it ends, backs off when refused
//! (RFC 5626 §4.5), and says goodbye.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rsipstack::sip::{Method, Request, Response, Uri};
use tokio::time::timeout;

use super::Trunk;
use crate::control::Header;
use crate::settings::Registration;
use crate::shell::sip::Shared;
use crate::shell::sip::dialog::Dialog;
use crate::shell::sip::exchange::{self, Voucher, Way};
use crate::shell::sip::transport::Hop;

/// The first pause after a failure; each further one is twice as long.
const PAUSE_MIN: Duration = Duration::from_secs(5);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(600);
/// The shortest and the longest registration that is believed, seconds.
const EXPIRES_S: std::ops::RangeInclusive<u64> = 10..=86_400;
/// How often a registrar may ask for more in a row.
const BRIEF_MAX: u32 = 3;

/// Keeps us registered at `trunk` until it leaves or the SIP side stops; then says goodbye, unless another trunk has the
/// registration from now on.
pub(in crate::shell::sip) async fn register(shared: Arc<Shared>, trunk: Arc<Trunk>, uri: Uri, wanted: Registration) {
    let _farewell = trunk.farewell.clone().drop_guard();
    let Some(mut dialog) = Dialog::to_registrar(&wanted.address, uri.clone()) else {
        return tracing::error!(trunk = trunk.name, "the address of record is no URI");
    };
    let mut may_be_known = false;
    tokio::select! {
        () = shared.stop.cancelled() => return,
        () = trunk.leaving.cancelled() => {}
        () = keep_registered(&shared, &trunk, (&mut dialog, &uri), wanted.expires, &mut may_be_known) => {}
    }
    trunk.registered.store(false, Ordering::Relaxed);
    if may_be_known
        && trunk.gives_back.load(Ordering::Relaxed)
        && let Err(Unregistered::Refused(why)) = ask(&shared, &trunk, &mut dialog, &uri, Duration::ZERO).await
    {
        tracing::debug!(trunk = trunk.name, why, "the registration ends by itself");
    }
}

/// Registers again and again; `may_be_known` is whether the registrar may have an entry for us.
async fn keep_registered(
    shared: &Arc<Shared>,
    trunk: &Arc<Trunk>,
    (dialog, uri): (&mut Dialog, &Uri),
    mut expires: Duration,
    may_be_known: &mut bool,
) {
    let mut failures = 0;
    loop {
        *may_be_known = true;
        let granted = ask(shared, trunk, dialog, uri, expires).await;
        *may_be_known = granted.is_ok();
        let pause = match granted {
            Ok(granted) => {
                if !trunk.registered.swap(true, Ordering::Relaxed) {
                    tracing::info!(trunk = trunk.name, expires_s = granted.as_secs(), "registered");
                }
                failures = 0;
                // Early enough for one more try.
                granted.mul_f64(0.8)
            }
            Err(Unregistered::TooBrief(least)) if least > expires && failures < BRIEF_MAX => {
                failures += 1;
                expires = least;
                continue;
            }
            Err(Unregistered::TooBrief(_)) => back_off(trunk, &mut failures, "423, again and again"),
            Err(Unregistered::Refused(why)) => back_off(trunk, &mut failures, &why),
        };
        tokio::time::sleep(pause).await;
    }
}

enum Unregistered {
    /// 423 with the least that the registrar takes.
    TooBrief(Duration),
    Refused(String),
}

/// Sends one REGISTER; for how long it holds.
async fn ask(
    shared: &Arc<Shared>,
    trunk: &Arc<Trunk>,
    dialog: &mut Dialog,
    uri: &Uri,
    expires: Duration,
) -> Result<Duration, Unregistered> {
    let header = Header { name: "Expires".to_owned(), value: expires.as_secs().to_string() };
    let mut last = "nowhere to register".to_owned();
    let mut hops = VecDeque::from(shared.router.hops(uri).await.map_err(Unregistered::Refused)?);
    while let Some(hop) = hops.pop_front() {
        let request = dialog.request(shared.user_agent(), Method::Register, std::slice::from_ref(&header), None);
        let voucher = Voucher { trunk: Some(trunk.clone()), sequence: dialog.sequence() };
        // What was registered goes on ending: a place that says nothing must not keep us from the next one.
        let patience = if hops.is_empty() { Duration::MAX } else { shared.waits.hop };
        let answer = timeout(patience, ask_at(shared, &hop, request, &voucher)).await;
        match answer.unwrap_or_else(|_| Err("no answer".to_owned())) {
            Ok((response, shown)) => match response.status_code.code() {
                200..300 => return Ok(granted(&response, shown, expires)),
                423 => return Err(Unregistered::TooBrief(least(&response).unwrap_or(expires * 2))),
                // These say that the place is of no use (RFC 3263 §4.3).
                code @ (408 | 503) => last = format!("{hop}: {code}"),
                code => return Err(Unregistered::Refused(format!("{hop}: {code}"))),
            },
            Err(why) => last = format!("{hop}: {why}"),
        }
        shared.router.suspect(&hop);
    }
    Err(Unregistered::Refused(last))
}

/// What one place says, and the address that it was shown as ours.
async fn ask_at(
    shared: &Arc<Shared>,
    hop: &Hop,
    request: Request,
    voucher: &Voucher,
) -> Result<(Response, SocketAddr), String> {
    let link = shared.transports.open(hop).await?;
    let shown = link.shown;
    let response = exchange::converse(shared, request, &Way::Link(link), voucher).await;
    Ok((response.ok_or("no answer")?, shown))
}

/// What our Contact was granted: its own `expires`, else the header, else what was asked for.
fn granted(response: &Response, shown: SocketAddr, asked: Duration) -> Duration {
    let contacts = response.headers.iter().filter(|header| header.name().eq_ignore_ascii_case("Contact"));
    let values: Vec<String> = contacts.map(|header| header.value().to_owned()).collect();
    // All who are registered by our address of record are named (RFC 3261 §10.3), others of our name among them.
    let named = || values.iter().flat_map(|value| value.split(',')).filter(|contact| contact.contains("sip:calmline@"));
    let address = format!("sip:calmline@{shown}");
    let is_here = |contact: &&str| {
        let behind = contact.split_once(&address).map(|(_, behind)| behind);
        behind.is_some_and(|behind| !behind.starts_with(|next: char| next.is_ascii_digit()))
    };
    // Who has written another address over ours knows us by that one.
    let ours = named().find(is_here).or_else(|| named().next());
    let of_contact = ours
        .into_iter()
        .flat_map(|contact| contact.split(';'))
        .find_map(|parameter| parameter.trim().strip_prefix("expires=")?.parse().ok());
    let seconds: u64 = of_contact.or_else(|| number(response, "Expires")).unwrap_or(asked.as_secs());
    Duration::from_secs(seconds.clamp(*EXPIRES_S.start(), *EXPIRES_S.end()))
}

fn least(response: &Response) -> Option<Duration> {
    number(response, "Min-Expires").filter(|seconds| EXPIRES_S.contains(seconds)).map(Duration::from_secs)
}

fn number(response: &Response, name: &str) -> Option<u64> {
    let header = response.headers.iter().find(|header| header.name().eq_ignore_ascii_case(name))?;
    header.value().trim().parse().ok()
}

/// How long to wait after a failure.
fn back_off(trunk: &Trunk, failures: &mut u32, why: &str) -> Duration {
    trunk.registered.store(false, Ordering::Relaxed);
    let pause = (PAUSE_MIN * 2_u32.saturating_pow(*failures)).min(PAUSE_MAX);
    *failures = (*failures + 1).min(16);
    tracing::error!(trunk = trunk.name, why, pause_s = pause.as_secs(), "not registered");
    // Many nodes must not come back at the same moment.
    let mut spread = [0; 1];
    let _ = ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut spread);
    pause.mul_f64(0.75 + f64::from(spread[0]) / 512.0)
}

#[cfg(test)]
mod tests {
    use rsipstack::sip::SipMessage;

    use super::*;

    #[test]
    fn what_others_of_our_name_were_granted_is_theirs() {
        for (contacts, granted_s) in [
            ("Contact: <sip:calmline@192.0.2.9:5060>;expires=11, <sip:calmline@192.0.2.1:5060>;q=1;expires=50\r\n", 50),
            ("Contact: <sip:calmline@192.0.2.1:50601>;expires=11, <sip:calmline@192.0.2.1:5060>;expires=50\r\n", 50),
            ("Contact: <sip:calmline@198.51.100.7:1024>;expires=50\r\n", 50),
            ("Contact: <sip:calmline@192.0.2.1:5060>\r\nExpires: 40\r\n", 40),
            ("", 60),
        ] {
            let text = format!("SIP/2.0 200 OK\r\n{contacts}Content-Length: 0\r\n\r\n");
            let Ok(SipMessage::Response(response)) = SipMessage::try_from(text.as_str()) else { panic!("{text}") };
            let (shown, asked) = (SocketAddr::from(([192, 0, 2, 1], 5060)), Duration::from_secs(60));
            assert_eq!(granted(&response, shown, asked).as_secs(), granted_s, "{contacts}");
        }
    }
}
