//! A metadata document: who takes part in which session, and whose voice is in which stream.
//!
//! Reads RFC 7865 and what its drafts looked like in clients that are still in use: other attribute names for ids, streams
//! named inside participants, BroadWorks' `recording_metadata`. Whatever else stands there is kept as name and text.

use super::xml::{self, Element};

/// The most of each that is kept of one document.
pub(super) const ENTRIES_MAX: usize = 32;
/// Extensions that are kept of one element.
const EXTENSIONS_MAX: usize = 32;
/// The longest text that is kept, characters.
const CHARS_MAX: usize = 256;

/// Why metadata cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// More than is read.
    #[error("the metadata has {found} {unit}, expected at most {limit}")]
    TooLarge {
        /// What was found.
        found: usize,
        /// What is allowed.
        limit: usize,
        /// What was counted.
        unit: &'static str,
    },
    /// Not XML.
    #[error("the metadata is not well formed: {0}")]
    Malformed(String),
    /// It has a document type, or names entities of one.
    #[error("the metadata names entities, which are not read")]
    Entities,
    /// XML of another kind.
    #[error("expected <recording>, found <{0}>")]
    Other(String),
}

/// One document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Whether it says everything or what has changed.
    pub mode: Mode,
    /// The recorded sessions.
    pub sessions: Vec<Session>,
    /// Who takes part.
    pub participants: Vec<Participant>,
    /// The streams.
    pub streams: Vec<Stream>,
    /// Who speaks in which stream.
    pub associations: Vec<Association>,
    /// Participants who have left a session.
    pub left: Vec<String>,
    /// What else stands there.
    pub extensions: Vec<(String, String)>,
}

/// How much a document says (RFC 7865 §6.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// Everything.
    #[default]
    Complete,
    /// What has changed.
    Partial,
}

/// A recorded session: a call, as its own parties see it (RFC 7865 §6.3).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub id: String,
    /// Ids that SIP has for it: Session-ID or Call-ID.
    pub sip_ids: Vec<String>,
    /// When it began, as written.
    pub started: Option<String>,
    /// When it ended, as written; it is over then.
    pub stopped: Option<String>,
    /// Why it is recorded, or why it ended.
    pub reason: Option<String>,
}

/// Somebody who takes part (RFC 7865 §6.5).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Participant {
    /// The participant's id.
    pub id: String,
    /// Addresses and names.
    pub names: Vec<Name>,
    /// Streams in which the participant speaks, when the document says so here.
    pub sends: Vec<String>,
    /// What else stands there, e.g. `callingParty`.
    pub extensions: Vec<(String, String)>,
}

/// One address of a participant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Name {
    /// The address, e.g. `sip:4000@pbx.example`.
    pub address: String,
    /// The name that goes with it.
    pub name: Option<String>,
}

/// A stream (RFC 7865 §6.7).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stream {
    /// Its id.
    pub id: String,
    /// Its `a=label` in the session description.
    pub label: Option<String>,
    /// Whether several parties are mixed in it, when the document says so.
    pub mixed: Option<bool>,
}

/// Whose voice is in which streams (RFC 7865 §6.8).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Association {
    /// The participant.
    pub participant: String,
    /// Streams that carry the participant's voice.
    pub sends: Vec<String>,
    /// Streams that the participant hears.
    pub receives: Vec<String>,
    /// Whether it holds no longer.
    pub ended: bool,
}

impl Metadata {
    /// Reads a document.
    ///
    /// # Errors
    /// When it is not XML, larger than is read, names entities, or is of another kind.
    pub fn parse(text: &str) -> Result<Metadata, MetadataError> {
        // A byte order mark, or blanks that a sender has left in front.
        let root = xml::read(text.trim_start_matches('\u{feff}').trim_start())?;
        if !["recording", "recording_metadata"].contains(&root.name.as_str()) {
            return Err(MetadataError::Other(root.name.chars().take(80).collect()));
        }
        let mode = root.text_of("datamode").or_else(|| root.text_of("dataMode"));
        let partial = mode.is_some_and(|mode| mode.eq_ignore_ascii_case("partial"));
        let mut metadata =
            Metadata { mode: if partial { Mode::Partial } else { Mode::Complete }, ..Metadata::default() };
        for child in &root.children {
            metadata.take(child);
        }
        let drafts = metadata.participants.iter().filter(|participant| !participant.sends.is_empty());
        let named: Vec<Association> = drafts
            .map(|participant| Association {
                participant: participant.id.clone(),
                sends: participant.sends.clone(),
                ..Association::default()
            })
            .collect();
        metadata.associations.extend(named);
        Ok(metadata)
    }

    fn take(&mut self, element: &Element) {
        match element.name.as_str() {
            "session" => keep(&mut self.sessions, session(element)),
            "participant" => keep(&mut self.participants, participant(element)),
            "stream" => keep(&mut self.streams, stream(element)),
            "participantstreamassoc" => keep(&mut self.associations, association(element)),
            "participantsessionassoc" if ended(element) => {
                keep(&mut self.left, element.attribute(&["participant_id"]).map(bounded));
            }
            "datamode" | "dataMode" | "participantsessionassoc" | "sessionrecordingassoc" => {}
            _ => extend(element, &mut self.extensions),
        }
    }
}

fn session(element: &Element) -> Option<Session> {
    let time = |names: [&str; 2]| names.iter().find_map(|name| element.text_of(name)).map(bounded);
    Some(Session {
        id: bounded(element.attribute(&["session_id", "id"])?),
        sip_ids: element.all("sipSessionID").map(|each| bounded(&each.text)).filter(|id| !id.is_empty()).collect(),
        started: time(["start-time", "associate-time"]),
        stopped: time(["stop-time", "end-time"]),
        reason: element.text_of("reason").map(bounded),
    })
}

fn participant(element: &Element) -> Option<Participant> {
    let mut names: Vec<Name> = element
        .all("nameID")
        .filter_map(|each| {
            let address = bounded(each.attribute(&["aor"])?);
            Some(Name { address, name: each.text_of("name").map(bounded) })
        })
        .collect();
    // BroadWorks and the early drafts.
    let name = element.text_of("name").map(bounded);
    names.extend(element.all("aor").map(|each| Name { address: bounded(&each.text), name: name.clone() }));
    names.retain(|name| !name.address.is_empty());
    names.truncate(ENTRIES_MAX);
    let mut extensions = Vec::new();
    let known = ["nameID", "aor", "name", "send", "recv"];
    let others = element.children.iter().filter(|child| !known.contains(&child.name.as_str()));
    others.for_each(|child| extend(child, &mut extensions));
    Some(Participant {
        id: bounded(element.attribute(&["participant_id", "id"])?),
        names,
        sends: ids(element, "send"),
        extensions,
    })
}

fn stream(element: &Element) -> Option<Stream> {
    let mixed = match element.text_of("mode").map(str::to_ascii_lowercase).as_deref() {
        Some("mixed") => Some(true),
        Some("separate") => Some(false),
        Some(_) | None => None,
    };
    Some(Stream {
        id: bounded(element.attribute(&["stream_id", "id"])?),
        label: element.text_of("label").map(bounded),
        mixed,
    })
}

fn association(element: &Element) -> Option<Association> {
    Some(Association {
        participant: bounded(element.attribute(&["participant_id"])?),
        sends: ids(element, "send"),
        receives: ids(element, "recv"),
        ended: ended(element),
    })
}

fn ended(element: &Element) -> bool {
    element.child("disassociate-time").is_some()
}

/// The streams that children of that name stand for, directly or as BroadWorks writes it.
fn ids(element: &Element, name: &str) -> Vec<String> {
    let id = |each: &Element| each.text_of("id").map_or_else(|| bounded(&each.text), bounded);
    element.all(name).map(id).filter(|id| !id.is_empty()).take(ENTRIES_MAX).collect()
}

/// Every text below an element, by the name of what it stands in.
fn extend(element: &Element, extensions: &mut Vec<(String, String)>) {
    if extensions.len() >= EXTENSIONS_MAX {
        return;
    }
    // Times of what has begun and ended tell nothing here.
    if !element.text.is_empty() && !element.name.ends_with("-time") {
        extensions.push((bounded(&element.name), bounded(&element.text)));
    }
    element.children.iter().for_each(|child| extend(child, extensions));
}

fn keep<T>(list: &mut Vec<T>, item: Option<T>) {
    list.extend(item.filter(|_| list.len() < ENTRIES_MAX));
}

fn bounded(text: &str) -> String {
    text.trim().chars().filter(|letter| !letter.is_control()).take(CHARS_MAX).collect()
}

#[cfg(test)]
mod tests;
