//! Any bytes as a set of interactions, through a shipped policy.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use routing::Policy;

#[path = "../checks/interactions.rs"]
mod interactions;

static POLICIES: LazyLock<Arc<[Policy]>> = LazyLock::new(|| {
    let policy = Policy::parse(include_str!("../../../config/policies/ecommerce.toml"));
    Arc::from([policy.expect("it is shipped")])
});

fuzz_target!(|bytes: &[u8]| interactions::check(&POLICIES, bytes));
