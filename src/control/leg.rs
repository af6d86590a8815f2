//! One leg: a SIP dialog and the media stream that belongs to it, each with its own life.
//!
//! Knows how to end both once and only once; knows nothing about the call it is part of.

use std::time::Duration;

use media::sdp::Local;
use media::{Codec, Direction, LegId, StreamSettings};
use routing::CallKey;

use super::context::Context;
use super::{Header, SipCommand};

/// One side of a call.
#[derive(Debug)]
pub(super) struct Leg {
    pub(super) id: LegId,
    /// Name of the target that was called; `caller` for the incoming leg.
    pub(super) name: String,
    pub(super) dialog: Dialog,
    pub(super) stream: Stream,
    /// What stands in our descriptions on this leg.
    pub(super) local: Local,
    /// What this leg may use, with the payload types of whoever offered first.
    pub(super) usable: Usable,
    /// The description that we sent last.
    pub(super) sdp: Option<String>,
    /// What offer and answer agreed.
    pub(super) settings: Option<StreamSettings>,
    /// Since when the far end sends nothing, when the media path says so.
    pub(super) silent_since: Option<Duration>,
}

/// The codecs and telephone-event of a leg, with payload types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Usable {
    /// Best first.
    pub(super) codecs: Vec<(Codec, u8)>,
    pub(super) event: Option<u8>,
}

impl Usable {
    /// The same with `codec` first.
    pub(super) fn preferring(&self, codec: Codec) -> Usable {
        let mut codecs = self.codecs.clone();
        codecs.sort_by_key(|(each, _)| *each != codec);
        Usable { codecs, event: self.event }
    }
}

/// The life of a SIP dialog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialog {
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
        name: &str,
        usable: Usable,
    ) -> Option<Leg> {
        let port = context.shared.ports.take()?;
        let id = match incoming {
            Some(id) => id,
            None => context.new_leg(),
        };
        context.shared.owners.insert(id, call);
        context.shared.ports_held.insert(id, port);
        context.media(media::Command::Open { leg: id, port, address: None });
        let address = context.shared.settings.address;
        Some(Leg {
            id,
            name: name.to_owned(),
            dialog: Dialog::Inviting,
            stream: Stream::Open,
            local: Local { address, port, session_id: u64::from(id.0), version: 1 },
            usable,
            sdp: None,
            settings: None,
            silent_since: None,
        })
    }

    /// Applies what offer and answer agreed.
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

    /// Whether anything may still be done on the dialog.
    pub(super) fn is_answered(&self) -> bool {
        self.dialog == Dialog::Answered
    }

    /// Whether both lives are over.
    pub(super) fn is_gone(&self) -> bool {
        self.dialog == Dialog::Over && self.stream == Stream::Closed
    }

    /// Ends dialog and stream; what has ended already is left alone.
    pub(super) fn end(&mut self, context: &mut Context<'_>, farewell: Farewell<'_>) {
        self.end_dialog(context, farewell);
        self.end_stream(context);
    }

    /// Ends the dialog as its state asks for.
    pub(super) fn end_dialog(&mut self, context: &mut Context<'_>, farewell: Farewell<'_>) {
        let leg = self.id;
        match self.dialog {
            Dialog::Inviting if self.is_incoming() => {
                let reason = farewell.reason.to_owned();
                context.sip(SipCommand::Reject { leg, code: farewell.code, reason, headers: Vec::new() });
                self.dialog = Dialog::Ending;
            }
            Dialog::Inviting => {
                context.sip(SipCommand::Cancel { leg });
                self.dialog = Dialog::Cancelling;
            }
            Dialog::Answered => self.say_bye(context, farewell.reason),
            Dialog::Cancelling | Dialog::Ending | Dialog::Over => {}
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

    fn is_incoming(&self) -> bool {
        self.id.0 >> 31 == 1
    }
}

/// A header from its parts.
pub(super) fn header(name: &str, value: impl Into<String>) -> Header {
    Header { name: name.to_owned(), value: value.into() }
}

/// `text` as it may stand between double quotes in a header (RFC 3261 §25.1), at most 128 characters.
pub(super) fn quotable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() && !matches!(c, '"' | '\\')).take(128).collect()
}
