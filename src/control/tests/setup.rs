//! Scenarios from the INVITE to the answer, and the plain end of calls.

use super::script::{TALKING, check, check_with};
use super::sim::settings;
use crate::settings::PortRange;

#[test]
fn basic_call() {
    check(&format!(
        "{TALKING}
        > wait 10
        > caller byes
        close caller
        bye bot
        close bot
        ended: BYE received; talk 10000 peak low lost 6
        "
    ));
}
