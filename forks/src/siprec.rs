//! SIPREC seen from the recording server: metadata (RFC 7865 and the drafts before it), and who speaks in which stream.
//!
//! Knows no session description and no dialog: streams are named by their labels.

mod metadata;
mod recording;
mod roles;
mod xml;

pub use metadata::{Association, Metadata, MetadataError, Mode, Name, Participant, Session, Stream};
pub use recording::Recording;
pub use roles::{How, Seat, Seats, seats};

/// The media type of metadata (RFC 7866 §9.1), and the one that clients used before it was registered.
pub const MEDIA_TYPES: [&str; 2] = ["application/rs-metadata+xml", "application/rs-metadata"];
/// The disposition of a body part with metadata (RFC 7866 §9.1).
pub const DISPOSITION: &str = "recording-session";
