//! Tells a trunk where we are (RFC 3261 §10): registers, refreshes before it ends, backs off when refused
//! (RFC 5626 §4.5), and says goodbye.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rsipstack::sip::{Method, Response, Uri};

use super::Trunk;
use crate::control::Header;
use crate::settings::Registration;
use crate::shell::sip::Shared;
use crate::shell::sip::dialog::Dialog;
use crate::shell::sip::exchange::{self, Voucher, Way};

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
    for hop in shared.router.hops(uri).await.map_err(Unregistered::Refused)? {
        let link = match shared.transports.open(&hop).await {
            Ok(link) => link,
            Err(why) => {
                last = format!("{hop}: {why}");
                continue;
            }
        };
        let request = dialog.request(shared.user_agent(), Method::Register, std::slice::from_ref(&header), None);
        let voucher = Voucher { trunk: Some(trunk.clone()), sequence: dialog.sequence() };
        let Some(response) = exchange::converse(shared, request, &Way::Link(link), &voucher).await else {
            last = format!("{hop}: no answer");
            continue;
        };
        return match response.status_code.code() {
            200..300 => Ok(granted(&response, expires)),
            423 => Err(Unregistered::TooBrief(least(&response).unwrap_or(expires * 2))),
            code => Err(Unregistered::Refused(format!("{hop}: {code}"))),
        };
    }
    Err(Unregistered::Refused(last))
}

/// What our Contact was granted: its own `expires`, else the header, else what was asked for.
fn granted(response: &Response, asked: Duration) -> Duration {
    let contacts = response.headers.iter().filter(|header| header.name().eq_ignore_ascii_case("Contact"));
    let values: Vec<String> = contacts.map(|header| header.value().to_owned()).collect();
    let ours = values.iter().flat_map(|value| value.split(',')).filter(|contact| contact.contains("sip:calmline@"));
    let of_contact = ours
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
