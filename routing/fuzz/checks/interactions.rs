//! Any bytes as a set of interactions: read or refused with faults, and what is read can be replayed.
//!
//! Included by the fuzz target and by the test that replays the corpus.

use std::sync::Arc;
use std::time::Duration;

use routing::Policy;
use routing::backtest::{Effect, Foretold, read_set, replay};

/// Reads the set and plays it through the policies.
///
/// # Panics
/// When a refusal names no fault, or an interaction goes otherwise the second time.
pub fn check(policies: &Arc<[Policy]>, bytes: &[u8]) {
    let interactions = match read_set(&String::from_utf8_lossy(bytes)) {
        Ok(interactions) => interactions,
        Err(faults) => return assert!(!faults.is_empty()),
    };
    let (mut effect, mut foretold) = (Effect::default(), Foretold::default());
    for interaction in interactions.iter().take(100) {
        let outcome = replay(policies, interaction, Duration::from_secs(5));
        assert_eq!(outcome, replay(policies, interaction, Duration::from_secs(5)));
        effect.add(interaction, &outcome);
        foretold.add(interaction, 0.5);
    }
    assert!((0.0..=1.0).contains(&effect.moved_share()) && (0.0..=1.0).contains(&effect.accuracy()));
    assert!((0.0..=1.0).contains(&foretold.precision()) && foretold.leads.len() == foretold.warned);
}
