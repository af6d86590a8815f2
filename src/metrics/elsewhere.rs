//! The recogniser elsewhere, as figures; the metrics stand in the table of all.

use super::Metrics;
use super::table::{Metric, counter, gauge};
use crate::shell::recognize::RemoteFigures;

/// The recogniser elsewhere.
pub const REMOTE_RECOGNITION_UP: Metric = gauge(
    "calmline_recognition_remote_up",
    &[],
    "1 while the recogniser elsewhere answers, else 0; absent where none is asked for.",
);
/// Its streams.
pub const REMOTE_RECOGNITION_STREAMS: Metric = gauge(
    "calmline_recognition_remote_streams_active",
    &[],
    "Parties that the recogniser elsewhere hears or is asked to hear.",
);
/// Its connections.
pub const REMOTE_RECOGNITION_CONNECTIONS: Metric = counter(
    "calmline_recognition_remote_connections_total",
    &["outcome"],
    "Connections to the recogniser elsewhere: opened, failed (could not be opened) and lost (or given up).",
);
/// Its answers.
pub const REMOTE_RECOGNITION_ANSWERS: Metric = counter(
    "calmline_recognition_remote_answers_total",
    &["outcome"],
    "Answers of the recogniser elsewhere: taken, or wrong (no answers of its protocol).",
);
/// Its audio.
pub const REMOTE_RECOGNITION_AUDIO: Metric = counter(
    "calmline_recognition_remote_audio_seconds_total",
    &["what"],
    "Whole seconds of audio sent to the recogniser elsewhere, dropped (too much waited) and heard here in its absence.",
);

impl Metrics {
    /// How things stand with the recogniser elsewhere.
    pub fn set_remote_recognition(&self, figures: &RemoteFigures) {
        let RemoteFigures { is_up, streams, opened, failed, lost, answers, answers_wrong, sent, dropped, local } =
            figures;
        self.gauge(&REMOTE_RECOGNITION_UP, &[]).set(f64::from(u8::from(*is_up)));
        self.gauge(&REMOTE_RECOGNITION_STREAMS, &[]).set(*streams as f64);
        let counts = [
            (&REMOTE_RECOGNITION_CONNECTIONS, "opened", *opened),
            (&REMOTE_RECOGNITION_CONNECTIONS, "failed", *failed),
            (&REMOTE_RECOGNITION_CONNECTIONS, "lost", *lost),
            (&REMOTE_RECOGNITION_ANSWERS, "taken", *answers),
            (&REMOTE_RECOGNITION_ANSWERS, "wrong", *answers_wrong),
            (&REMOTE_RECOGNITION_AUDIO, "sent", sent.as_secs()),
            (&REMOTE_RECOGNITION_AUDIO, "dropped", dropped.as_secs()),
            (&REMOTE_RECOGNITION_AUDIO, "local", local.as_secs()),
        ];
        counts.into_iter().for_each(|(metric, label, so_far)| self.counter(metric, &[label]).absolute(so_far));
    }
}
