//! One leg: a SIP dialog and the media stream that belongs to it, each with its own life.
//!
//! Knows how to end both once and only once; knows nothing about the call it is part of.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use media::sdp::{
    self, Agreement, Credentials, Exchange, Formats, Local, Offer, Protection, SdpError, Session, Terms, Wanted, Wishes,
};
use media::srtp::Security;
use media::{Codec, ControlPort, Direction, LegId, StreamSettings};
use routing::CallKey;

use super::bypass::Receiver;
use super::context::Context;
use super::doubt::Doubt;
use super::handshake::Shaking;
use super::reoffer::Reoffers;
use super::timer::Timer;
use super::{Description, Header, SessionTerms, SipCommand};
use crate::settings::AudioTerms;

/// One side of a call.
#[derive(Debug)]
pub(super) struct Leg {
    pub(super) id: LegId,
    /// Name of the target that was called; `caller` for the incoming leg.
    pub(super) name: String,
    /// Who is on it, as notices have it: `caller`, `callee` or `supervisor`.
    pub(super) party: &'static str,
    pub(super) dialog: Dialog,
    pub(super) stream: Stream,
    /// What stands in our descriptions on this leg.
    pub(super) local: Local,
    /// What may be agreed on this leg.
    pub(super) audio: AudioTerms,
    /// What was offered on this leg: by the far end, or by us when we called it.
    pub(super) formats: Formats,
    /// The codecs that the far end has named itself.
    pub(super) known: Vec<Codec>,
    /// How the far end wants what it receives.
    pub(super) wishes: Wishes,
    /// What is known of the other side.
    pub(super) partner: Partner,
    pub(super) reoffers: Reoffers,
    /// Where the far end has been told to send instead of to us.
    pub(super) led: Option<Receiver>,
    /// Where its audio comes from, once any has come.
    pub(super) source: Option<SocketAddr>,
    /// Our keys and passwords on this leg.
    credentials: Credentials,
    /// The handshake that was agreed last.
    pub(super) shaking: Option<Shaking>,
    /// Whether the far end takes comfort noise.
    pub(super) comfort_noise: bool,
    /// The description that we sent last.
    pub(super) sdp: Option<Description>,
    /// What offer and answer agreed.
    pub(super) settings: Option<StreamSettings>,
    /// Since when the far end sends nothing, when the media path says so.
    pub(super) silent_since: Option<Duration>,
    /// Whether the far end is there, as far as it has been asked.
    pub(super) doubt: Doubt,
    /// The session timer, once the dialog is up.
    pub(super) timer: Option<Timer>,
    /// Whether the far end takes UPDATE.
    pub(super) takes_update: bool,
}

/// What a leg begins with.
#[derive(Debug)]
pub(super) struct Beginning<'a> {
    pub(super) name: &'a str,
    pub(super) audio: AudioTerms,
    pub(super) formats: Formats,
    /// How the far end wants what it receives, as far as that is known.
    pub(super) wishes: Wishes,
    /// Whom it will hear.
    pub(super) partner: Partner,
    /// Where its audio will go, as far as that is known.
    pub(super) destination: Option<IpAddr>,
    /// The local address of its port, when it is not the one that all legs share.
    pub(super) bind: Option<IpAddr>,
}

/// What a leg has to know of the one that it is connected to.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Partner {
    pub(super) codec: Option<Codec>,
    pub(super) wishes: Wishes,
}

/// The life of a SIP dialog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialog {
    /// There is none: the party of a forked call has its dialog elsewhere.
    Absent,
    /// The INVITE waits for its final response.
    Inviting,
    /// It got a 2xx.
    Answered,
    /// We gave up on our INVITE; a 2xx may still cross it.
    Cancelling,
    /// We refused it or said BYE, and wait for the last word.
    Ending,
    /// The last word has been said.
    Over,
}

/// The life of a media stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    /// Asked for, or up.
    Open,
    /// We closed it and wait for its figures.
    Closing,
    /// Gone, or it never came to be.
    Closed,
}

/// How a leg is told that it is over.
#[derive(Debug, Clone, Copy)]
pub(super) struct Farewell<'a> {
    /// Status code for an INVITE that was not answered.
    pub(super) code: u16,
    /// Reason phrase, and the text of the Reason header in a BYE.
    pub(super) reason: &'a str,
}

impl Leg {
    /// A leg with a port of its own; `None` when no port is free.
    pub(super) fn open(
        context: &mut Context<'_>,
        call: CallKey,
        incoming: Option<LegId>,
        beginning: Beginning<'_>,
    ) -> Option<Leg> {
        let port = context.shared.ports.take(context.now)?;
        let id = match incoming {
            Some(id) => id,
            None => context.new_leg(),
        };
        context.shared.owners.insert(id, call);
        context.shared.ports_held.insert(id, port);
        context.media(media::Command::Open { leg: id, port, address: beginning.bind });
        Some(Leg::begin(context, id, port, beginning))
    }

    /// The leg of a party that writes: without dialog and without media.
    pub(super) fn of_writer(context: &mut Context<'_>, call: CallKey, party: &'static str) -> Leg {
        let id = context.new_leg();
        context.shared.owners.insert(id, call);
        let beginning = Beginning {
            name: party,
            audio: AudioTerms::default(),
            formats: Formats::default(),
            wishes: Wishes::default(),
            partner: Partner::default(),
            destination: None,
            bind: None,
        };
        let leg = Leg::begin(context, id, 0, beginning);
        Leg { party, dialog: Dialog::Absent, stream: Stream::Closed, ..leg }
    }

    fn begin(context: &mut Context<'_>, id: LegId, port: u16, beginning: Beginning<'_>) -> Leg {
        let Beginning { name, audio, formats, wishes, partner, destination, bind } = beginning;
        let address = bind.unwrap_or_else(|| context.terms.settings.address_for(destination));
        let incoming = is_incoming(id);
        Leg {
            id,
            name: name.to_owned(),
            party: if incoming { "caller" } else { "callee" },
            dialog: Dialog::Inviting,
            stream: Stream::Open,
            local: Local { address, port, session_id: u64::from(id.0), version: 1 },
            audio,
            known: formats.codecs.iter().map(|(codec, _)| *codec).filter(|_| incoming).collect(),
            formats,
            wishes,
            partner,
            reoffers: Reoffers::default(),
            led: None,
            source: None,
            credentials: context.shared.new_credentials(),
            shaking: None,
            comfort_noise: false,
            sdp: None,
            settings: None,
            silent_since: None,
            doubt: Doubt::None,
            timer: None,
            takes_update: false,
        }
    }

    /// Our answer to the far end's `offer` with one of `codecs`, and what that agrees.
    pub(super) fn answer(
        &self,
        offer: &Session,
        local: &Local,
        codecs: &[Codec],
        comfort_noise: bool,
    ) -> Result<(String, Agreement), SdpError> {
        self.terms(codecs, comfort_noise).answer(offer, local)
    }

    /// What we agree to on this leg, with one of `codecs`.
    pub(super) fn terms<'a>(&'a self, codecs: &'a [Codec], comfort_noise: bool) -> Terms<'a> {
        Terms {
            codecs,
            comfort_noise,
            protection: self.audio.protection,
            credentials: Some(&self.credentials),
            active: self.role_in_handshake(),
            wishes: self.partner.wishes,
        }
    }

    /// Our offer to whom we call: everything that may be agreed.
    pub(super) fn offer(&self) -> Offer {
        Offer {
            shares_port: true,
            protection: self.audio.protection,
            credentials: Some(self.credentials.clone()),
            wishes: self.partner.wishes,
            ..Offer::plain(self.formats.clone())
        }
    }

    /// Whether it was agreed that the far end sends keys as telephone-events.
    pub(super) fn sends_events(&self) -> bool {
        self.settings.as_ref().is_some_and(|settings| settings.event_payload_type_received.is_some())
    }

    /// Whether the far end takes keys as telephone-events.
    pub(super) fn takes_events(&self) -> bool {
        self.settings.as_ref().is_some_and(|settings| settings.event_payload_type.is_some())
    }

    /// Our offer of what is in use already.
    pub(super) fn offer_in_use(&self, settings: &StreamSettings) -> Offer {
        let event = settings.event_payload_type_received.map(|number| (settings.event_clock_hz, number));
        let formats = Formats {
            codecs: vec![(settings.codec, settings.payload_type_received)],
            events: event.into_iter().collect(),
            comfort_noise: self.comfort_noise,
        };
        let wanted = |wanted, exchange| Protection { wanted, exchange };
        let (protection, suite) = match &settings.security {
            Security::Plain => (Protection::OFF, None),
            Security::Keys(keys) => (wanted(Wanted::Required, Exchange::Sdes), Some(keys.send.suite())),
            Security::Handshake => (wanted(Wanted::Required, Exchange::Dtls), None),
        };
        Offer {
            shares_port: settings.control == ControlPort::Shared,
            protection,
            credentials: Some(self.credentials.clone()),
            suite,
            active: self.role_in_handshake(),
            ice_name: settings.ice.as_ref().map(|ice| ice.remote_name.clone()),
            wishes: self.partner.wishes,
            ..Offer::plain(formats)
        }
    }

    /// What the far end's answer to our offer agrees.
    ///
    /// # Errors
    /// Why nothing is agreed, in words.
    pub(super) fn accept(&self, answer: Option<&str>) -> Result<Agreement, String> {
        let text = answer.ok_or("answered without a session description")?;
        sdp::parse(text).and_then(|session| self.offer().accept(&session)).map_err(|error| error.to_string())
    }

    /// Applies the answer to our INVITE; `forks` when others may answer the same offer.
    pub(super) fn agree_first(&mut self, context: &mut Context<'_>, agreement: Agreement, forks: bool) {
        self.known.clone_from(&agreement.codecs);
        self.agree(context, agreement, forks);
    }

    /// Applies what offer and answer agreed, the handshake included; `forks` when others may answer the same offer.
    pub(super) fn agree(&mut self, context: &mut Context<'_>, agreement: Agreement, forks: bool) {
        let Agreement { settings, handshake, comfort_noise, wishes, codecs: _ } = agreement;
        self.comfort_noise = comfort_noise;
        self.wishes = wishes;
        self.configure(context, StreamSettings { also_received: Box::new(self.formats.clone()), ..settings });
        self.agree_handshake(context, handshake, forks);
    }

    /// Whether we began the handshake that was agreed last.
    fn role_in_handshake(&self) -> Option<bool> {
        self.shaking.as_ref().map(|shaking| shaking.agreed.active)
    }

    /// Makes this leg and the one that it is connected to known to each other.
    pub(super) fn meet(&mut self, other: &mut Leg) {
        (self.partner, other.partner) = (other.as_partner(), self.as_partner());
    }

    /// What the other side has to know of this one.
    pub(super) fn as_partner(&self) -> Partner {
        Partner { codec: self.codec(), wishes: self.wishes }
    }

    /// The codec in use.
    pub(super) fn codec(&self) -> Option<Codec> {
        self.settings.as_ref().map(|settings| settings.codec)
    }

    /// Tells the media path what is agreed.
    pub(super) fn configure(&mut self, context: &mut Context<'_>, settings: StreamSettings) {
        if self.stream == Stream::Open {
            context.media(media::Command::Configure { leg: self.id, settings: settings.clone() });
        }
        self.settings = Some(settings);
    }

    /// Whether the far end is expected to send audio: it is answered and not on hold.
    pub(super) fn expects_audio(&self) -> bool {
        self.settings
            .as_ref()
            .is_some_and(|settings| matches!(settings.direction, Direction::SendRecv | Direction::RecvOnly))
    }

    /// The far end has answered our INVITE.
    pub(super) fn answered(&mut self, context: &Context<'_>, session: &SessionTerms) {
        let is_asked = context.terms.settings.limits.session_expires_s.is_some();
        self.takes_update = session.takes_update;
        self.timer = Timer::from_answer(context.now, session, true).filter(|_| is_asked);
    }

    /// Whether anything may still be done on the dialog.
    pub(super) fn is_answered(&self) -> bool {
        self.dialog == Dialog::Answered
    }

    /// Whether offer and answer are complete: from then on, a handshake has to come to an end.
    pub(super) fn is_agreed(&self) -> bool {
        matches!(self.dialog, Dialog::Absent | Dialog::Answered)
    }

    /// Whether both lives are over.
    pub(super) fn is_gone(&self) -> bool {
        matches!(self.dialog, Dialog::Absent | Dialog::Over) && self.stream == Stream::Closed
    }

    /// Ends dialog and stream; what has ended already is left alone.
    pub(super) fn end(&mut self, context: &mut Context<'_>, farewell: Farewell<'_>) {
        self.end_dialog(context, farewell);
        self.end_stream(context);
    }

    /// Refuses an INVITE of the far end that waits for its answer; `headers` say more about it.
    pub(super) fn reject(&mut self, context: &mut Context<'_>, farewell: Farewell<'_>, headers: Vec<Header>) {
        let Farewell { code, reason } = farewell;
        if self.dialog == Dialog::Inviting && self.is_incoming() {
            context.sip(SipCommand::Reject { leg: self.id, code, reason: reason.to_owned(), headers });
            self.dialog = Dialog::Ending;
        }
    }

    /// Ends the dialog as its state asks for.
    pub(super) fn end_dialog(&mut self, context: &mut Context<'_>, farewell: Farewell<'_>) {
        let leg = self.id;
        match self.dialog {
            Dialog::Inviting if self.is_incoming() => self.reject(context, farewell, Vec::new()),
            Dialog::Inviting => {
                context.sip(SipCommand::Cancel { leg });
                self.dialog = Dialog::Cancelling;
            }
            Dialog::Answered => self.say_bye(context, farewell.reason),
            Dialog::Absent | Dialog::Cancelling | Dialog::Ending | Dialog::Over => {}
        }
    }

    /// Ends an answered dialog.
    pub(super) fn say_bye(&mut self, context: &mut Context<'_>, reason: &str) {
        let reason = Some(format!("SIP;cause=200;text=\"{}\"", quotable(reason)));
        context.sip(SipCommand::Bye { leg: self.id, reason });
        self.dialog = Dialog::Ending;
    }

    /// Ends the media stream.
    pub(super) fn end_stream(&mut self, context: &mut Context<'_>) {
        if self.stream == Stream::Open {
            context.media(media::Command::Close { leg: self.id });
            self.stream = Stream::Closing;
        }
    }

    /// A 2xx came for an INVITE that we had given up: it has to be ended like any answered call.
    pub(super) fn end_crossed(&mut self, context: &mut Context<'_>) {
        if self.dialog == Dialog::Cancelling {
            self.say_bye(context, "answered after it was cancelled");
        }
    }

    pub(super) fn is_incoming(&self) -> bool {
        is_incoming(self.id)
    }
}

fn is_incoming(id: LegId) -> bool {
    id.0 >> 31 == 1
}

/// A header from its parts.
pub(super) fn header(name: &str, value: impl Into<String>) -> Header {
    Header { name: name.to_owned(), value: value.into() }
}

/// `text` as it may stand between double quotes in a header (RFC 3261 §25.1), at most 128 characters.
pub(super) fn quotable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() && !matches!(c, '"' | '\\')).take(128).collect()
}
