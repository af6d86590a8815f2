//! Offers inside a dialog: re-INVITE and UPDATE are answered at once, here, whatever the other side of the call
//! is doing (RFC 3264 §8, RFC 3311).
//!
//! Nothing is passed on to the other leg: both legs are anchored, so hold, resume and a new address or codec are
//! a matter between one far end and us. A side that sends past us comes back by its own offer, unless that only says
//! again what is known.

use media::sdp;

use super::codecs;
use super::context::Context;
use super::leg::{Dialog, Leg, header};
use super::timer::{self, Timer};
use super::{Description, Header, OfferMethod, ReplyId, SessionTerms, SipCommand};

/// One request to answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request<'a> {
    pub(super) reply: ReplyId,
    pub(super) method: OfferMethod,
    pub(super) sdp: Option<&'a Description>,
    pub(super) session: SessionTerms,
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
        Dialog::Absent | Dialog::Cancelling | Dialog::Ending | Dialog::Over => {
            return refuse(context, leg, 481, Vec::new());
        }
    }
    if let Some(refusal) = timer::too_short(&request.session) {
        return refuse(context, leg, 422, refusal);
    }
    let description = match (request.sdp, request.method) {
        (None, OfferMethod::Update) => None,
        // It crosses an offer of ours (RFC 3261 §14.2, RFC 3311 §5.2).
        (_, _) if leg.reoffers.is_open() => return refuse(context, leg, 491, Vec::new()),
        // An offer while the first one is still open (RFC 3311 §5.2).
        (_, _) if leg.settings.is_none() => return refuse(context, leg, 500, vec![header("Retry-After", "2")]),
        (None, OfferMethod::Invite) => {
            leg.led = None;
            let offer = leg.offer_when_asked(request.reply);
            leg.sdp = Some(offer.clone());
            Some(offer)
        }
        (Some(text), _) => match agree(context, leg, text) {
            Ok(answer) => Some(answer),
            Err(error) => {
                let warning = format!("399 calmline \"{}\"", super::leg::quotable(&error.to_string()));
                return refuse(context, leg, 488, vec![header("Warning", warning)]);
            }
        },
    };
    let ours_s = context.terms.settings.limits.session_expires_s;
    leg.takes_update |= request.session.takes_update;
    leg.timer = Timer::for_answer(context.now, &request.session, ours_s, leg.timer);
    let headers = leg.timer.as_ref().map(Timer::answer_headers).unwrap_or_default();
    let reply = request.reply;
    context.sip(SipCommand::Reply { leg: leg.id, reply, code: 200, sdp: description, headers });
    Outcome::Accepted
}

/// Our answer to the offer `text`, once it has been applied to the leg.
///
/// New keys of the far end count from now on; ours stay as they were.
fn agree(context: &mut Context<'_>, leg: &mut Leg, text: &str) -> Result<Description, sdp::SdpError> {
    let session = sdp::parse(text)?;
    if let Some(said) = leg.sdp.clone().filter(|_| leg.is_known(&session)) {
        return Ok(said);
    }
    let local = sdp::Local { version: leg.local.version + 1, ..leg.local };
    let certified = context.terms.settings.fingerprint.is_some();
    let formats = codecs::usable(&session.formats(leg.audio.protection, certified)?, &leg.audio.codecs);
    let codec = codecs::answer_again(&formats, leg.codec(), leg.partner.codec);
    let (text, agreement) = leg.answer(&session, &local, codec.as_slice(), leg.comfort_noise)?;
    let description = Description::from(text);

    leg.known = formats.codecs.iter().map(|(codec, _)| *codec).collect();
    leg.formats = codecs::preferring(&formats, agreement.settings.codec);
    leg.local = local;
    leg.sdp = Some(description.clone());
    // It has been told to send to us.
    leg.led = None;
    leg.agree(context, agreement, false);
    Ok(description)
}
