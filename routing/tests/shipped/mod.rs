//! The policies of `config/policies`, which cover one scenario each or two; for tests and benches.

use std::sync::Arc;

use routing::Policy;

/// All of them, in the order of their names.
pub fn policies() -> Arc<[Policy]> {
    let texts = [
        include_str!("../../../config/policies/after-sales.toml"),
        include_str!("../../../config/policies/banking.toml"),
        include_str!("../../../config/policies/ecommerce.toml"),
        include_str!("../../../config/policies/finance.toml"),
        include_str!("../../../config/policies/government.toml"),
        include_str!("../../../config/policies/travel.toml"),
    ];
    texts.iter().map(|text| Policy::parse(text).unwrap_or_else(|faults| panic!("{faults:?}"))).collect()
}
