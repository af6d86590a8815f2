//! The two tasks that all of SIP hangs on: the stack's own, and the one that takes its requests.
//!
//! A request that breaks the second costs nobody else anything; the end of either is told, for without them nothing is
//! heard any more, and every other part of the program would go on as if it were.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use rsipstack::platform::CancellationToken;
use rsipstack::transaction::Endpoint;
use tokio::task::JoinHandle;

use super::{Shared, accept};

/// Starts both; what is returned is cancelled when one of them has ended though nobody wanted it.
///
/// # Errors
/// When the stack's requests are taken already.
pub(super) fn begin(endpoint: Endpoint, shared: Arc<Shared>) -> Result<CancellationToken, String> {
    let mut requests = endpoint.incoming_transactions().map_err(|error| error.to_string())?;
    let (stop, broken) = (shared.stop.clone(), CancellationToken::new());
    let stack = tokio::spawn(async move { endpoint.serve().await });
    let taker = tokio::spawn(async move {
        while let Some(transaction) = requests.recv().await {
            let accepted = AssertUnwindSafe(accept::accept(&shared, transaction)).catch_unwind().await;
            if accepted.is_err() {
                tracing::error!("a request could not be taken: it broke the task that takes them");
            }
        }
    });
    let told = broken.clone();
    tokio::spawn(async move {
        if let Some(why) = end_of(stack, taker, &stop).await {
            tracing::error!(why, "SIP has ended, and with it everything that calls need");
            told.cancel();
        }
    });
    Ok(broken)
}

/// Waits until one of them has ended; why that is wrong, unless `stop` had said so.
async fn end_of(stack: JoinHandle<()>, taker: JoinHandle<()>, stop: &CancellationToken) -> Option<String> {
    let (which, ended) = tokio::select! {
        ended = stack => ("the stack", ended),
        ended = taker => ("the task that takes requests", ended),
    };
    if stop.is_cancelled() {
        return None;
    }
    Some(match ended {
        Ok(()) => format!("{which} has ended"),
        Err(error) => format!("{which} broke: {error}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_end_is_told_unless_it_was_wanted() {
        let stop = CancellationToken::new();
        let ended = end_of(forever(), tokio::spawn(async {}), &stop).await;
        assert_eq!(ended.as_deref(), Some("the task that takes requests has ended"));
        let breaks = tokio::spawn(async { assert!(std::hint::black_box(false), "it breaks") });
        let broke = end_of(breaks, forever(), &stop).await.expect("it has broken");
        assert!(broke.starts_with("the stack broke: "), "{broke}");
        stop.cancel();
        assert_eq!(end_of(tokio::spawn(async {}), forever(), &stop).await, None);
    }

    fn forever() -> JoinHandle<()> {
        tokio::spawn(std::future::pending())
    }
}
