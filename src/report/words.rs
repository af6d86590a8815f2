//! The words of reports, in both languages.

/// The language that a report is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Language {
    /// Mandarin.
    Zh,
    /// English.
    En,
}

impl Language {
    /// Both.
    pub const ALL: [Language; 2] = [Language::Zh, Language::En];

    /// Its name in configurations and file names.
    pub fn name(self) -> &'static str {
        match self {
            Language::Zh => "zh",
            Language::En => "en",
        }
    }

    /// As HTML names it.
    pub(super) fn code(self) -> &'static str {
        match self {
            Language::Zh => "zh-CN",
            Language::En => "en",
        }
    }

    /// One of two texts.
    pub(super) fn of(self, zh: &'static str, en: &'static str) -> &'static str {
        match self {
            Language::Zh => zh,
            Language::En => en,
        }
    }

    /// An emotion, by the name that people have for it.
    pub(super) fn emotion(self, name: &str) -> String {
        self.known(name, &EMOTIONS)
    }

    /// What a caller says, by its meaning; those of an operator's own phrase lists are in the operator's words.
    pub(super) fn meaning(self, name: &str) -> String {
        self.known(name, &MEANINGS)
    }

    fn known(self, name: &str, known: &[(&str, &'static str, &'static str)]) -> String {
        let found = known.iter().find(|(own, ..)| *own == name);
        found.map_or(name, |(_, zh, en)| self.of(zh, en)).to_owned()
    }
}

const EMOTIONS: [(&str, &str, &str); 4] = [
    ("neutral", "平静", "neutral"),
    ("anger", "愤怒", "anger"),
    ("joy", "高兴", "joy"),
    ("sadness", "悲伤", "sadness"),
];

/// Those that the text model and the shipped phrase lists tell.
const MEANINGS: [(&str, &str, &str); 7] = [
    ("complaint", "投诉", "complaint"),
    ("refund", "退款", "refund"),
    ("cancel", "取消", "cancel"),
    ("human", "找人工", "human"),
    ("threat", "威胁", "threat"),
    ("abuse", "辱骂", "abuse"),
    ("thanks", "感谢", "thanks"),
];
