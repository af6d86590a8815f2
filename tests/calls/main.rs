//! The built program with real telephones: each test starts a server of its own on loopback and calls through it.
//!
//! The telephones share no SIP code with the server; what they heard is what counts.

#![expect(clippy::print_stdout, reason = "tests tell what they measured and what they skip")]

mod agreed;
mod anger;
mod browsers;
mod captures;
mod chaos;
mod chats;
mod codecs;
mod console;
mod described;
mod dictation;
mod elsewhere;
mod escalation;
mod forks;
mod interop;
mod kept;
mod letters;
mod library;
mod models;
mod moves;
mod odd;
mod outside;
mod playback;
mod policies;
mod programs;
mod raw;
mod reload;
mod secrets;
mod setup;
mod sounds;
mod sources;
mod stage;
mod supervision;
mod talk;
mod tickets;
mod tones;
mod turns;
mod words;
