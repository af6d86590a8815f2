//! REFER of the far end with our NOTIFYs, attended REFER of ours, INFO and MESSAGE of ours, 302, takeovers.

use super::phone::{INVITE, LEG, SDP, Stand, ended, header, value};
use crate::control::{InfoMethod, SipCommand, SipEvent};

fn told(code: u16) -> SipCommand {
    SipCommand::TellReferrer { leg: LEG, code, reason: String::new() }
}
