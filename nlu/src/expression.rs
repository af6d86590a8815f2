//! What software of the customer's own device sees in a face, or which emoji is sent: a third modality beside voice and words.
//!
//! Labels and scores only, never an image. Relied on less than words: faces of people who type say little, and emoji are
//! meant for others to see.

/// What is seen: the basic emotions (Ekman 1992), contempt, and nothing of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// Nothing stands out.
    Neutral,
    /// Anger.
    Anger,
    /// Disgust.
    Disgust,
    /// Contempt.
    Contempt,
    /// Fear.
    Fear,
    /// Sadness.
    Sadness,
    /// Surprise.
    Surprise,
    /// Joy.
    Joy,
}

impl Shown {
    /// All of them.
    pub const ALL: [Shown; 8] = [
        Shown::Neutral,
        Shown::Anger,
        Shown::Disgust,
        Shown::Contempt,
        Shown::Fear,
        Shown::Sadness,
        Shown::Surprise,
        Shown::Joy,
    ];

    /// Probabilities of neutral, anger, joy and sadness; sums to 1.
    fn as_voice(self) -> [f32; 4] {
        match self {
            Shown::Neutral | Shown::Surprise => [1.0, 0.0, 0.0, 0.0],
            Shown::Anger => [0.0, 1.0, 0.0, 0.0],
            Shown::Disgust | Shown::Contempt => [0.5, 0.5, 0.0, 0.0],
            Shown::Joy => [0.0, 0.0, 1.0, 0.0],
            Shown::Fear => [0.5, 0.0, 0.0, 0.5],
            Shown::Sadness => [0.0, 0.0, 0.0, 1.0],
        }
    }
}

/// How an expression comes to be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeenIn {
    /// A face, as software of the client judges it.
    Face,
    /// An emoji, as the customer chose it.
    Emoji,
}

impl SeenIn {
    /// How far it is relied on beside voice and words, 0-1.
    fn reliability(self) -> f32 {
        match self {
            // Facial expression in the wild is told right in two cases of three (AffectNet, 8 classes).
            SeenIn::Face => 0.35,
            SeenIn::Emoji => 0.5,
        }
    }
}

/// One expression of a party.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Expression {
    /// What is shown.
    pub shown: Shown,
    /// How sure that is, 0-1.
    pub score: f32,
    /// Where it is seen.
    pub seen_in: SeenIn,
    /// When, samples at 8 kHz on the axis of the party's positions.
    pub position: u64,
}

/// An expression counts half after this time, seconds, and no more after `FORGOTTEN_S`.
const HALF_LIFE_S: f32 = 3.0;
const FORGOTTEN_S: f32 = 12.0;

impl Expression {
    /// Whether it still counts at `position`.
    pub(crate) fn counts_at(&self, position: u64) -> bool {
        self.age_s(position) <= FORGOTTEN_S
    }

    /// What it says of the classes neutral, anger, joy and sadness, where `usual` holds as far as it is not sure.
    pub(crate) fn probabilities(&self, usual: [f32; 4]) -> [f32; 4] {
        let score = if self.score.is_nan() { 0.0 } else { self.score.clamp(0.0, 1.0) };
        let shown = self.shown.as_voice();
        std::array::from_fn(|class| score * shown[class] + (1.0 - score) * usual[class])
    }

    /// How much it counts at `position`.
    pub(crate) fn weight(&self, position: u64) -> f32 {
        self.seen_in.reliability() * (-self.age_s(position) / HALF_LIFE_S).exp2()
    }

    fn age_s(&self, position: u64) -> f32 {
        position.saturating_sub(self.position) as f32 / crate::features::SAMPLE_RATE_HZ as f32
    }
}
