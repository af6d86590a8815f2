//! Asks a trunk by OPTIONS whether it is there (RFC 3261 §11).
//!
//! Any answer but 408 and 503 is a sign of life: a trunk may well not know the method.

use std::sync::Arc;
use std::time::Duration;

use rsipstack::sip::{Method, Uri};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::{Health, Trunk};
use crate::shell::sip::Shared;
use crate::shell::sip::dialog::Dialog;
use crate::shell::sip::exchange::{self, Voucher, Way};
use crate::shell::sip::transport::Hop;

/// Questions without an answer, one after the other, that make a trunk down.
const MISSES_MAX: u32 = 2;
/// How long an answer of one place may take.
const ANSWER_WAIT: Duration = Duration::from_secs(4);

/// Asks `trunk` every `every`, until it leaves or the SIP side stops.
pub(in crate::shell::sip) async fn watch(shared: Arc<Shared>, trunk: Arc<Trunk>, uri: Uri, every: Duration) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut misses = 0;
    loop {
        tokio::select! {
            () = shared.stop.cancelled() => return,
            () = trunk.leaving.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let found = tokio::select! {
            () = shared.stop.cancelled() => return,
            () = trunk.leaving.cancelled() => return,
            found = ask(&shared, &trunk, &uri) => found,
        };
        misses = if found.is_ok() { 0 } else { misses + 1 };
        let health = match &found {
            Ok(_) => Health::Up,
            Err(_) if misses >= MISSES_MAX => Health::Down,
            Err(_) => trunk.health(),
        };
        if health != trunk.health() {
            trunk.set_health(health);
            match found {
                Ok(code) => tracing::info!(trunk = trunk.name, code, "the trunk is up"),
                Err(why) => tracing::error!(trunk = trunk.name, why, "the trunk is down: its targets are passed over"),
            }
        }
    }
}

/// The code of the answer; the first place that has one speaks for the trunk.
async fn ask(shared: &Arc<Shared>, trunk: &Arc<Trunk>, uri: &Uri) -> Result<u16, String> {
    let mut last = "nowhere to ask".to_owned();
    for hop in shared.router.hops(uri).await? {
        let found = timeout(ANSWER_WAIT, ask_at(shared, trunk, uri, &hop)).await;
        match found.unwrap_or_else(|_| Err("no answer".to_owned())) {
            Ok(code) => return Ok(code),
            Err(why) => last = format!("{hop}: {why}"),
        }
        shared.router.suspect(&hop);
    }
    Err(last)
}

/// What one place says; as an error that it is of no use, and why.
async fn ask_at(shared: &Arc<Shared>, trunk: &Arc<Trunk>, uri: &Uri, hop: &Hop) -> Result<u16, String> {
    let link = shared.transports.open(hop).await?;
    let mut dialog = Dialog::to_target("<sip:calmline@calmline.invalid>", uri.clone()).ok_or("the uri is none")?;
    let request = dialog.request(shared.user_agent(), Method::Options, &[], None);
    let voucher = Voucher { trunk: Some(trunk.clone()), sequence: dialog.sequence() };
    let outcome = exchange::exchange(shared, request, &Way::Link(link), &voucher).await;
    match outcome.code {
        408 | 503 => Err(format!("{} {}", outcome.code, outcome.reason)),
        code => Ok(code),
    }
}
