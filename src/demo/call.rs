//! One call of the demo: plays it, watches it, and measures what the telephones heard.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use loadtest::driver::PhoneHandle;
use loadtest::phone::Event;
use loadtest::stream::Recording;

use super::measure::{self, HEARD};
use super::server::Server;
use super::summary::{CallSummary, Latency};
use super::supervisor::Supervisor;
use super::{Scene, timeline};
use crate::cli::{Failure, ModelArgs, print_line};
use crate::notice::{Notice, What};
use crate::{analyze, picture};
use loadtest::audio::Audio;

/// Samples per second of everything here.
const RATE: f64 = 8_000.0;
/// How long the caller stays when the audio is over.
const STAYS: Duration = Duration::from_secs(1);
/// How long caller and human have together at least.
const TOGETHER: Duration = Duration::from_secs(6);
/// How long an end may take to be told.
const ENDING: Duration = Duration::from_secs(10);
/// Seconds of speech that are looked for in what somebody heard.
const SAMPLE_OF_SPEECH: usize = 16_000;

/// What one caller does, and what should come of it.
pub(super) struct Script {
    /// Short name, also the picture's.
    pub(super) name: String,
    /// What the terminal says before the call.
    pub(super) title: String,
    /// What the caller says, 8 kHz.
    pub(super) says: Arc<[i16]>,
    /// When the mood changes, where that is known.
    pub(super) mood_changes: Option<Duration>,
    /// What must come of it.
    pub(super) expected: Expected,
}

/// What must come of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    /// No decision, no prompt, no re-route.
    Nothing,
    /// Prompt heard, re-routed, both hear each other, alert received.
    Rescue,
    /// Whatever it is, it is reported.
    Anything,
}

/// What came of it.
pub(super) struct Played {
    pub(super) summary: CallSummary,
    /// Alerts that the supervisor client received.
    pub(super) alerts: usize,
    /// What judged the voice; `None` when nothing was judged.
    pub(super) source: Option<String>,
}

/// Everything known of the call when it is over.
struct Story {
    notices: Vec<Notice>,
    /// When the caller's audio began, on the telephones' clock.
    began: Duration,
    caller: Recording,
    human: Recording,
    bot: Recording,
}

/// Plays one call from dialling to the end.
pub(super) fn play(
    script: &Script,
    server: &Server,
    supervisor: &Supervisor,
    scene: &Scene,
    out: &Path,
    show: bool,
) -> Result<Played, Failure> {
    let failed = |error: std::io::Error| Failure::of("placing the call", error);
    let humans_before = scene.human.stats().len();
    let target = format!("sip:support@{}", server.addresses.sip);
    let phone = scene
        .phones
        .calling(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), &target, Audio::once(Arc::clone(&script.says)), &[])
        .map_err(failed)?;
    let began = answered(&phone)?;
    let notices = watch(script, supervisor, &phone, show)?;
    let human_was_called = scene.human.stats().len() > humans_before;
    let story = Story {
        notices,
        began,
        caller: phone.heard(),
        human: if human_was_called { scene.human.heard() } else { Recording::default() },
        bot: scene.bot.heard(),
    };
    let path = out.join(format!("{}.svg", script.name));
    draw(script, &story, &path)?;
    let summary = sum_up(script, &story, scene, &path);
    let alerts = story.count(|what| matches!(what, What::Alert { .. }));
    let source = story.notices.iter().find_map(|notice| match &notice.what {
        What::Observed { source, .. } => Some(source.clone()),
        _ => None,
    });
    Ok(Played { summary, alerts, source })
}

/// Waits for the answer; returns when it came.
fn answered(phone: &PhoneHandle) -> Result<Duration, Failure> {
    let outcome = phone.wait_for(ENDING, |event| matches!(event, Event::Answered | Event::Failed { .. }));
    match outcome {
        Some(event) if event.event == Event::Answered => Ok(event.at),
        Some(event) => Err(Failure::Failed(format!("the call was not answered: {:?}", event.event))),
        None => Err(Failure::Failed(format!("the call was not answered within {} s", ENDING.as_secs()))),
    }
}

/// Collects what the server tells of the call, shows it, and hangs up when the caller has nothing more to say.
fn watch(script: &Script, supervisor: &Supervisor, phone: &PhoneHandle, show: bool) -> Result<Vec<Notice>, Failure> {
    let mut notices: Vec<Notice> = Vec::new();
    let mut hang_up_at = Instant::now() + Duration::from_secs_f64(script.says.len() as f64 / RATE) + STAYS;
    let mut hung_up = None;
    loop {
        if let Some(notice) = supervisor.next(Duration::from_millis(50)) {
            if let Some(line) = timeline::line(&notice).filter(|_| show) {
                print_line(line)?;
            }
            if matches!(notice.what, What::Rerouted { .. }) {
                hang_up_at = hang_up_at.max(Instant::now() + TOGETHER);
            }
            let over = matches!(notice.what, What::CallEnded { .. });
            notices.push(notice);
            if over {
                return Ok(notices);
            }
        }
        match hung_up {
            None if Instant::now() >= hang_up_at => {
                phone.hang_up().map_err(|error| Failure::of("hanging up", error))?;
                hung_up = Some(Instant::now());
            }
            Some(at) if at.elapsed() > ENDING => {
                return Err(Failure::Failed("the server did not tell of the call's end".into()));
            }
            _ => {}
        }
    }
}

impl Story {
    fn count(&self, wanted: impl Fn(&What) -> bool) -> usize {
        self.notices.iter().filter(|notice| wanted(&notice.what)).count()
    }

    fn first<T>(&self, wanted: impl Fn(&What) -> Option<T>) -> Option<(u64, T)> {
        self.notices.iter().find_map(|notice| Some((notice.call_ms, wanted(&notice.what)?)))
    }

    /// Where the decision stands that did something to the call; the first one when none did.
    fn decided(&self) -> Option<usize> {
        let acts = |what: &What| matches!(what, What::Decided { actions, .. } if actions.iter().any(|a| !a.starts_with("alert")));
        let decides = |what: &What| matches!(what, What::Decided { .. });
        let find = |wanted: &dyn Fn(&What) -> bool| self.notices.iter().position(|notice| wanted(&notice.what));
        find(&acts).or_else(|| find(&decides))
    }

    /// When the caller had said what first reached the level that the decision was made at: end of the judged
    /// window, ms of audio.
    fn reached_ms(&self) -> Option<u64> {
        let decided = self.decided()?;
        let What::Decided { level: wanted, .. } = &self.notices[decided].what else { return None };
        let wanted = crate::words::level_named(wanted)?;
        let steps = self.notices[..decided].iter().rev().filter_map(|notice| match &notice.what {
            What::Observed { party, audio_ms, level, .. } if party == "caller" => Some((*audio_ms, level)),
            _ => None,
        });
        steps
            .take_while(|(_, level)| crate::words::level_named(level).is_some_and(|level| level >= wanted))
            .last()
            .map(|(audio_ms, _)| audio_ms)
    }

    /// When the apology began in the caller's ear, on the telephones' clock.
    fn apology_heard(&self, scene: &Scene) -> Option<Duration> {
        // Its beginning is enough: the human may answer before it is over.
        let beginning = &scene.apology[..scene.apology.len().min(SAMPLE_OF_SPEECH)];
        let found = measure::find(&self.caller.samples, beginning).filter(|found| found.likeness >= HEARD)?;
        Some(self.caller.started? + Duration::from_secs_f64(found.position as f64 / RATE))
    }

    /// Whether caller and human heard each other.
    fn both_heard(&self, script: &Script, scene: &Scene) -> bool {
        let Some(started) = self.human.started else { return false };
        let human_says = speech(&scene.human_says, 0);
        // What the caller said once the human was there.
        let since = ((started.saturating_sub(self.began)).as_secs_f64() * RATE) as usize + RATE as usize / 2;
        let caller_says = speech(&script.says, since);
        let heard = |recording: &Recording, sound: &[i16]| {
            measure::find(&recording.samples, sound).is_some_and(|found| found.likeness >= HEARD)
        };
        heard(&self.caller, human_says) && heard(&self.human, caller_says)
    }
}

/// Two seconds of what is said, from `since` on or as late as there is enough.
fn speech(says: &[i16], since: usize) -> &[i16] {
    let start = since.min(says.len().saturating_sub(SAMPLE_OF_SPEECH));
    &says[start..says.len().min(start + SAMPLE_OF_SPEECH)]
}

fn sum_up(script: &Script, story: &Story, scene: &Scene, picture: &Path) -> CallSummary {
    let peak = story
        .notices
        .iter()
        .filter_map(|notice| match &notice.what {
            What::Observed { party, anger, emotion, .. } if party == "caller" => Some((*anger, emotion.clone())),
            _ => None,
        })
        .max_by(|a, b| a.0.total_cmp(&b.0));
    let ended = story.first(|what| match what {
        What::CallEnded { talk_ms, peak_level, packets_lost, .. } => {
            Some((*talk_ms, peak_level.clone(), *packets_lost))
        }
        _ => None,
    });
    let (talk_ms, peak_level, lost_at_server) = ended.map(|(_, ended)| ended).unwrap_or_default();
    let decision = story.decided().and_then(|at| match &story.notices[at].what {
        What::Decided { rule, policy, .. } => Some(format!("{policy} {rule}")),
        _ => None,
    });
    let gap = story.first(|what| match what {
        What::Rerouted { gap_ms, .. } => Some(*gap_ms),
        _ => None,
    });
    let apology = story.apology_heard(scene);
    let reached = story.reached_ms().map(|ms| story.began + Duration::from_millis(ms));
    let lost_at_phones: u64 =
        [&story.caller, &story.human, &story.bot].iter().map(|recording| recording.stats.packets_lost).sum();
    let mut summary = CallSummary {
        name: script.name.clone(),
        call: story.notices.first().map(|notice| notice.call.clone()).unwrap_or_default(),
        duration_s: talk_ms as f64 / 1_000.0,
        peak_emotion: peak.as_ref().map_or_else(|| "neutral".into(), |(_, emotion)| emotion.clone()),
        peak_level,
        peak_anger: peak.map_or(0.0, |(anger, _)| anger),
        decision,
        reaction_ms: apology.zip(reached).map(|(heard, reached)| heard.saturating_sub(reached).as_millis() as u64),
        onset_to_level_ms: script
            .mood_changes
            .zip(story.reached_ms())
            .map(|(changes, reached)| reached.saturating_sub(changes.as_millis() as u64)),
        rerouted: gap.is_some(),
        gap_ms: gap.and_then(|(_, gap)| gap),
        prompt_played: apology.is_some(),
        both_heard: story.both_heard(script, scene),
        packets_lost: lost_at_server + lost_at_phones,
        added_latency_ms: latency(story),
        picture: picture.display().to_string(),
        faults: Vec::new(),
    };
    summary.faults = faults(script.expected, story, &summary);
    summary
}

/// One-way times of the caller's packets to the bot and to the human. The other direction would mix three senders,
/// whose line noise is the same.
fn latency(story: &Story) -> Latency {
    let mut all = story.bot.received.since(&story.caller.sent);
    all.merge(&story.human.received.since(&story.caller.sent));
    let percentiles = all.percentiles();
    Latency { p50: percentiles.p50_ms, p99: percentiles.p99_ms }
}

fn faults(expected: Expected, story: &Story, summary: &CallSummary) -> Vec<String> {
    let stream = &story.caller.stats;
    let mut claims = vec![
        (summary.packets_lost > 0, "packets were lost"),
        (stream.ssrc_changes > 0, "the caller's telephone saw more than one RTP stream"),
        (stream.timestamp_steps_back > 0, "a timestamp went backwards"),
        (story.notices.iter().all(|notice| !matches!(notice.what, What::Observed { .. })), "nothing was observed"),
    ];
    match expected {
        Expected::Nothing => claims.extend([
            (summary.decision.is_some(), "a decision was made about a calm caller"),
            (summary.prompt_played, "a prompt was played to a calm caller"),
            (summary.rerouted, "a calm caller was moved"),
        ]),
        Expected::Rescue => claims.extend([
            (summary.decision.is_none(), "no decision was made"),
            (!summary.prompt_played, "the prompt was not heard"),
            (!summary.rerouted, "the caller was not moved"),
            (!summary.both_heard, "caller and human did not hear each other"),
            (story.count(|what| matches!(what, What::Alert { .. })) == 0, "no alert reached the supervisor"),
        ]),
        Expected::Anything => {}
    }
    claims.into_iter().filter(|(wrong, _)| *wrong).map(|(_, claim)| claim.to_owned()).collect()
}

/// The picture: what the caller said by our own listening, and over it what the server made of it and did.
fn draw(script: &Script, story: &Story, path: &Path) -> Result<(), Failure> {
    let samples: Vec<f32> = script.says.iter().map(|&sample| f32::from(sample) / 32_768.0).collect();
    let mut picture = analyze::analyze(samples, &ModelArgs::default())?.picture(&script.title);
    let answered_ms =
        story.first(|what| matches!(what, What::CallAnswered { .. }).then_some(())).map_or(0, |(ms, ())| ms);
    let at = |call_ms: u64| call_ms.saturating_sub(answered_ms) as f32 / 1_000.0;
    picture.anger = story
        .notices
        .iter()
        .filter_map(|notice| match &notice.what {
            What::Observed { party, anger, level, audio_ms, .. } if party == "caller" => {
                Some((*audio_ms as f32 / 1_000.0, *anger, crate::words::level_named(level)?))
            }
            _ => None,
        })
        .collect();
    picture.marks = story
        .notices
        .iter()
        .filter_map(|notice| {
            let label = match &notice.what {
                What::Decided { rule, .. } => format!("decision: {rule}"),
                What::PromptStarted { .. } => "prompt".to_owned(),
                What::Rerouted { target, .. } => format!("with {target}"),
                What::RerouteFailed { target, .. } => format!("{target} refused"),
                What::Alert { severity, .. } => format!("alert: {severity}"),
                _ => return None,
            };
            Some((at(notice.call_ms), label))
        })
        .collect();
    let text = picture::draw(&picture).map_err(|error| Failure::of("drawing", error))?;
    std::fs::write(path, text).map_err(|error| Failure::of(path.display(), error))
}
