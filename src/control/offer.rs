//! Offers inside a dialog: re-INVITE and UPDATE are answered at once, here, whatever the other side of the call
//! is doing (RFC 3264 §8, RFC 3311).
//!
//! Nothing is passed on to the other leg: both legs are anchored, so hold, resume and a new address or codec are
//! a matter between one far end and us.

use media::sdp;
use media::{Codec, Direction};

use super::context::Context;
use super::leg::{Dialog, Leg, Usable, header};
use super::{Header, OfferMethod, ReplyId, SipCommand};

/// One request to answer.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) reply: ReplyId,
    pub(super) method: OfferMethod,
    pub(super) sdp: Option<&'a str>,
    /// Headers that a 2xx to it carries.
    pub(super) headers: Vec<Header>,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// 200; the session is fresh, the stream may have changed.
    Accepted,
    /// Refused; everything stays as it was.
    Refused,
}

/// Answers `request` on `leg` and applies what was agreed.
pub(super) fn answer(context: &mut Context<'_>, leg: &mut Leg, request: Request<'_>) -> Outcome {
    let refuse = |context: &mut Context<'_>, leg: &Leg, code: u16, headers: Vec<Header>| {
        context.sip(SipCommand::Reply { leg: leg.id, reply: request.reply, code, sdp: None, headers });
        Outcome::Refused
    };

    match leg.dialog {
        Dialog::Inviting | Dialog::Answered => {}
        // Our BYE or CANCEL is on its way: for us the dialog is gone (RFC 3261 §15.1.1).
        Dialog::Cancelling | Dialog::Ending | Dialog::Over => return refuse(context, leg, 481, Vec::new()),
    }
    let description = match (request.sdp, request.method) {
        (None, OfferMethod::Update) => None,
        // An offer while the first one is still open (RFC 3311 §5.2).
        (_, _) if leg.settings.is_none() => return refuse(context, leg, 500, vec![header("Retry-After", "2")]),
        (None, OfferMethod::Invite) => Some(offer_again(context, leg)),
        (Some(text), _) => match agree(context, leg, text) {
            Ok(answer) => Some(answer),
            Err(error) => {
                let warning = format!("399 calmline \"{}\"", super::leg::quotable(&error.to_string()));
                return refuse(context, leg, 488, vec![header("Warning", warning)]);
            }
        },
    };
    let (reply, headers) = (request.reply, request.headers);
    context.sip(SipCommand::Reply { leg: leg.id, reply, code: 200, sdp: description, headers });
    Outcome::Accepted
}

/// Our answer to the offer `text`, once it has been applied to the leg.
fn agree(context: &mut Context<'_>, leg: &mut Leg, text: &str) -> Result<String, sdp::SdpError> {
    let session = sdp::parse(text)?;
    let local = sdp::Local { version: leg.local.version + 1, ..leg.local };
    // The codec in use stays when it can, so that the relay has nothing to transcode.
    let kept = leg.settings.as_ref().map(|settings| settings.codec);
    let (description, settings) = match kept.map(|codec| sdp::answer(&session, &local, &[codec])) {
        Some(Ok(agreed)) => agreed,
        Some(Err(_)) | None => sdp::answer(&session, &local, &ALL_CODECS)?,
    };

    leg.usable = usable(&session).preferring(settings.codec);
    leg.local = local;
    leg.sdp = Some(description.clone());
    leg.configure(context, settings);
    Ok(description)
}

/// Our offer in a 200 to a re-INVITE that brought none.
///
/// The answer comes with the ACK, which call control does not see: the offer names only the codec in use, and
/// the address stays (symmetric RTP finds a new one). A held stream is taken as resumed.
fn offer_again(context: &mut Context<'_>, leg: &mut Leg) -> String {
    leg.local.version += 1;
    let (codecs, event) = match leg.settings.clone() {
        Some(settings) => {
            let agreed = (vec![(settings.codec, settings.payload_type)], settings.event_payload_type);
            leg.configure(context, media::StreamSettings { direction: Direction::SendRecv, ..settings });
            agreed
        }
        None => (leg.usable.codecs.clone(), leg.usable.event),
    };
    let description = sdp::offer(&leg.local, &codecs, event, Direction::SendRecv);
    leg.sdp = Some(description.clone());
    description
}

/// What of an offer the media path can do.
pub(super) fn usable(session: &sdp::Session) -> Usable {
    let formats = session.formats(sdp::Protection::OFF, false).unwrap_or_default();
    let event = formats.event(Codec::Pcmu);
    let codecs = formats.codecs.into_iter().filter(|(codec, _)| ALL_CODECS.contains(codec)).collect();
    Usable { codecs, event }
}

/// Everything the media path can do.
pub(super) const ALL_CODECS: [Codec; 2] = [Codec::Pcmu, Codec::Pcma];
