//! `calmline demo`: calls through a real server on loopback, shown while they happen and summed up afterwards.
//!
//! The server is this program as a process of its own; the telephones at both ends are `loadtest`'s, which share no
//! SIP code with it. Everything reported was measured at the telephones or told by the server's API.

mod call;
pub mod measure;
pub mod server;
mod summary;
pub mod supervisor;
mod timeline;
mod words;

use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use loadtest::audio::Audio;
use loadtest::driver::{PhoneHandle, Phones};
use loadtest::phone::Behaviour;
use media::wav::{self, Channel};

use crate::analyze::read_recording;
use crate::cli::{DemoArgs, Failure, print_line};
use call::{Expected, Script};
use server::{Plan, Server};
use summary::Summary;
use supervisor::Supervisor;

/// How long the human's telephone rings: long enough for the apology to be heard.
const HUMAN_RINGS: Duration = Duration::from_millis(6_500);
/// When the built-in angry caller's mood changes, from the start of the audio; see `fixtures/README.md`.
const MOOD_CHANGES: Duration = Duration::from_millis(15_800);

/// The telephones and what they say.
pub(crate) struct Scene {
    pub(crate) phones: Phones,
    pub(crate) bot: PhoneHandle,
    pub(crate) human: PhoneHandle,
    pub(crate) human_says: Arc<[i16]>,
    pub(crate) apology: Arc<[i16]>,
}

/// Runs the command.
///
/// # Errors
/// When the server, a telephone or a file fails, or a built-in call did not go as it should.
pub fn run(args: &DemoArgs) -> Result<(), Failure> {
    let scripts = scripts(args.call.as_deref())?;
    std::fs::create_dir_all(&args.out).map_err(|error| Failure::of(args.out.display(), error))?;
    let program = std::env::current_exe().map_err(|error| Failure::of("finding this program", error))?;
    let words = words::find(&args.models.models, &args.out)?;
    let mut plan = Plan::for_loopback()?;
    plan.configuration.push_str(&words.section);
    let server = Server::start(&program, &args.out, &plan, &[])?;
    if !words.section.is_empty() {
        server.wait_for_words()?;
    }
    let supervisor = Supervisor::subscribe(server.addresses.web, &server.token)?;
    let scene = Scene::set(&server)?;

    let mut calls = Vec::new();
    let mut alerts_received = 0;
    let mut listening = None;
    for script in &scripts {
        if !args.json {
            print_line(format_args!("\n── {} ──", script.title))?;
        }
        let played = call::play(script, &server, &supervisor, &scene, &args.out, !args.json)?;
        alerts_received += played.alerts;
        listening = listening.or(played.source);
        calls.push(played.summary);
    }
    let listening = listening.unwrap_or_else(|| "nothing heard".to_owned());
    let metrics = server.metrics()?;
    server.stop()?;

    let summary = Summary { calls, alerts_received, listening, words: words.heard_by, metrics };
    report(&summary, args.json)?;
    let faults = summary.faults();
    if faults.is_empty() { Ok(()) } else { Err(Failure::Unexpected(faults.join("\n"))) }
}

impl Scene {
    /// The bot and the human wait for calls.
    fn set(server: &Server) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| Failure::of("starting the telephones", error);
        let bot_says = built_in(include_bytes!("../fixtures/audio/bot.wav"))?;
        let human_says = built_in(include_bytes!("../fixtures/audio/agent.wav"))?;
        let apology = built_in(include_bytes!("../config/prompts/sorry-transfer.wav"))?;
        let phones = Phones::start().map_err(failed)?;
        let bot = phones.answering(server.addresses.bot, Behaviour::answer(), Audio::once(bot_says)).map_err(failed)?;
        let human = phones
            .answering(
                server.addresses.human,
                Behaviour::answer().after(HUMAN_RINGS),
                Audio::once(Arc::clone(&human_says)),
            )
            .map_err(failed)?;
        Ok(Self { phones, bot, human, human_says, apology })
    }
}

/// The two built-in callers, or the recording that was given.
fn scripts(recording: Option<&Path>) -> Result<Vec<Script>, Failure> {
    if let Some(path) = recording {
        let name = path.file_stem().map_or_else(|| "recording".into(), |stem| stem.to_string_lossy().into_owned());
        let samples = read_recording(path)?.into_iter().map(media::g711::to_i16).collect();
        let title = format!("{} calls the bot", path.display());
        return Ok(vec![Script { name, title, says: samples, mood_changes: None, expected: Expected::Anything }]);
    }
    Ok(vec![
        Script {
            name: "calm".into(),
            title: "a calm caller talks to the bot: nothing should happen".into(),
            says: built_in(include_bytes!("../fixtures/audio/calm-caller.wav"))?,
            mood_changes: None,
            expected: Expected::Nothing,
        },
        Script {
            name: "angry".into(),
            title: format!(
                "a caller gets angry {:.1} s into the call: prompt, human queue, alert",
                MOOD_CHANGES.as_secs_f32()
            ),
            says: built_in(include_bytes!("../fixtures/audio/angry-caller.wav"))?,
            mood_changes: Some(MOOD_CHANGES),
            expected: Expected::Rescue,
        },
    ])
}

fn built_in(bytes: &'static [u8]) -> Result<Arc<[i16]>, Failure> {
    let recording =
        wav::read(Cursor::new(bytes), Channel::Mix).map_err(|error| Failure::of("built-in audio", error))?;
    Ok(recording.to_sound().samples.into())
}

fn report(summary: &Summary, json: bool) -> Result<(), Failure> {
    if json {
        let text = serde_json::to_string(summary).map_err(|error| Failure::of("writing JSON", error))?;
        return print_line(text);
    }
    print_line(format_args!("\n{}", summary.table()))?;
    let alerts = summary.alerts_received;
    print_line(format_args!(
        "alerts that reached the supervisor client: {alerts}; voice judged by: {}; words heard by: {}",
        summary.listening, summary.words
    ))?;
    let counted: Vec<String> = summary.metrics.iter().map(|(name, value)| format!("{name} {value}")).collect();
    print_line(format_args!("the server counted: {}", counted.join(", ")))?;
    summary.calls.iter().try_for_each(|call| print_line(format_args!("picture of {}: {}", call.name, call.picture)))
}
