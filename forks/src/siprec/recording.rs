//! What is known of a recording so far: complete documents replace it, partial ones change it (RFC 7865 §6.1).

use super::metadata::{Association, ENTRIES_MAX, Metadata, Mode, Participant, Session, Stream};

/// What the metadata of one recording has said so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recording {
    sessions: Vec<Session>,
    participants: Vec<Participant>,
    streams: Vec<Stream>,
    associations: Vec<Association>,
    extensions: Vec<(String, String)>,
}

impl Recording {
    /// Takes up a document.
    pub fn apply(&mut self, metadata: Metadata) {
        let Metadata { mode, sessions, participants, streams, associations, left, extensions } = metadata;
        if mode == Mode::Complete {
            *self = Recording::default();
        }
        for session in sessions {
            change(&mut self.sessions, session, |session| &session.id, Session::update);
        }
        for participant in participants {
            change(&mut self.participants, participant, |participant| &participant.id, Participant::update);
        }
        for stream in streams {
            change(&mut self.streams, stream, |stream| &stream.id, Stream::update);
        }
        for association in associations {
            change(&mut self.associations, association, |each| &each.participant, Association::update);
        }
        self.associations.retain(|each| !each.ended && !left.contains(&each.participant));
        self.participants.retain(|each| !left.contains(&each.id));
        if !extensions.is_empty() {
            self.extensions = extensions;
        }
    }

    /// The recorded sessions.
    pub fn sessions(&self) -> &[Session] {
        &self.sessions
    }

    /// Who takes part.
    pub fn participants(&self) -> &[Participant] {
        &self.participants
    }

    /// What else the documents have said about the whole recording, e.g. `callingPartyNumber`.
    pub fn extensions(&self) -> &[(String, String)] {
        &self.extensions
    }

    /// Whether every session is over.
    pub fn is_over(&self) -> bool {
        !self.sessions.is_empty() && self.sessions.iter().all(|session| session.stopped.is_some())
    }

    /// Whether several parties are mixed in the stream with this label, when that is known.
    pub fn is_mixed(&self, label: &str) -> Option<bool> {
        let mixed = self.stream(label)?.mixed;
        mixed.or_else(|| (self.speakers(label).count() > 1).then_some(true))
    }

    /// Whose voice is in the stream with this label.
    pub fn speakers<'a>(&'a self, label: &str) -> impl Iterator<Item = &'a Participant> {
        let stream = self.stream(label).map(|stream| stream.id.as_str());
        self.participants.iter().filter(move |participant| {
            let speaks = |each: &Association| {
                each.participant == participant.id && each.sends.iter().any(|id| Some(id.as_str()) == stream)
            };
            self.associations.iter().any(speaks)
        })
    }

    /// Whether it is known of any stream whose voice is in it.
    pub fn has_speakers(&self) -> bool {
        self.associations.iter().any(|each| !each.sends.is_empty())
    }

    fn stream(&self, label: &str) -> Option<&Stream> {
        self.streams.iter().find(|stream| stream.label.as_deref() == Some(label))
    }
}

impl Session {
    fn update(&mut self, newer: Session) {
        let Session { id: _, sip_ids, started, stopped, reason } = newer;
        if !sip_ids.is_empty() {
            self.sip_ids = sip_ids;
        }
        self.started = started.or(self.started.take());
        self.stopped = stopped.or(self.stopped.take());
        self.reason = reason.or(self.reason.take());
    }
}

impl Participant {
    fn update(&mut self, newer: Participant) {
        let Participant { id: _, names, sends, extensions } = newer;
        if !extensions.is_empty() {
            self.extensions = extensions;
        }
        if !names.is_empty() {
            self.names = names;
        }
        if !sends.is_empty() {
            self.sends = sends;
        }
    }
}

impl Stream {
    fn update(&mut self, newer: Stream) {
        self.label = newer.label.or(self.label.take());
        self.mixed = newer.mixed.or(self.mixed);
    }
}

impl Association {
    fn update(&mut self, newer: Association) {
        *self = newer;
    }
}

/// Changes the entry of the same id, or adds one while there is room.
fn change<T>(entries: &mut Vec<T>, newer: T, id: impl Fn(&T) -> &String, update: impl Fn(&mut T, T)) {
    match entries.iter().position(|entry| id(entry) == id(&newer)) {
        Some(place) => update(&mut entries[place], newer),
        None if entries.len() < ENTRIES_MAX => entries.push(newer),
        None => {}
    }
}
