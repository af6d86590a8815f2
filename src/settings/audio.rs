//! Keys of `[store]` about kept audio: where it lies, for how long, how much of it, and as what. Which calls' audio is kept, their
//! routes say (`keep_audio`).

use std::path::{Path, PathBuf};
use std::time::Duration;

use media::Codec;
use routing::section::{Section, whole};

use super::read::path;
use super::store::{days, span};

/// How long audio is kept unless the file says otherwise, days; less where calls are kept for less.
const KEEP_DAYS: i64 = 30;
/// What it may take unless the file says otherwise, MB: of calls in Opus about two months of talk.
const SPACE_MB: u64 = 20_000;

/// How audio is kept of calls whose routes say that it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioSettings {
    /// The folder of its files.
    pub folder: PathBuf,
    /// How long; at most as long as the call.
    pub keep: Duration,
    /// What it may take, bytes; beyond that no more is kept until some of it has grown too old.
    pub space_bytes: u64,
    /// What it is kept as: Opus or PCMU.
    pub codec: Codec,
}

impl AudioSettings {
    /// As it is for a store in `folder` unless its section says otherwise.
    pub fn beside(folder: &Path, keep: Duration) -> Self {
        Self { folder: folder.join("audio"), keep, space_bytes: SPACE_MB << 20, codec: Codec::Opus }
    }
}

/// The keys of the section; `folder` is that of the file, `store` that of the store, whose calls are kept for `calls` days.
pub(super) fn read_audio(section: &mut Section<'_>, folder: &Path, store: &Path, calls: i64) -> AudioSettings {
    let found = days(section, "keep_audio_days");
    if let Some(found) = found.filter(|found| *found > calls) {
        section.fault("keep_audio_days", format!("{found}"), format!("at most keep_days, {calls}"));
    }
    let usual = AudioSettings::beside(store, span(found.unwrap_or(KEEP_DAYS.min(calls))));
    let space = section.read("audio_space_mb", "a whole number from 1 to 100000000", whole(1..=100_000_000));
    let codec = section.read("audio_codec", "\"opus\" or \"pcmu\"", |value| match value.as_str()? {
        "opus" => Some(Codec::Opus),
        "pcmu" => Some(Codec::Pcmu),
        _ => None,
    });
    AudioSettings {
        folder: section.read("audio", "a folder's path", path(folder)).unwrap_or(usual.folder),
        keep: usual.keep,
        space_bytes: space.map_or(usual.space_bytes, |space| space.unsigned_abs() << 20),
        codec: codec.unwrap_or(usual.codec),
    }
}

#[cfg(test)]
mod tests {
    use routing::section::parse_table;

    use super::*;

    #[test]
    fn keys_of_kept_audio_are_read() {
        let day = Duration::from_secs(86_400);
        let usual = AudioSettings::beside(Path::new("data"), day * 30);
        assert_eq!(check("", 180), Ok(usual.clone()));
        assert_eq!(check("", 7), Ok(AudioSettings { keep: day * 7, ..usual }));
        let own = "audio = \"sound\"\nkeep_audio_days = 3\naudio_space_mb = 2\naudio_codec = \"pcmu\"";
        let folder = PathBuf::from("etc/sound");
        assert_eq!(
            check(own, 180),
            Ok(AudioSettings { folder, keep: day * 3, space_bytes: 2 << 20, codec: Codec::Pcmu })
        );
        for (text, expected) in [
            ("keep_audio_days = 8", "keep_audio_days: found 8, expected at most keep_days, 7"),
            ("audio_codec = \"mp3\"", "audio_codec: found \"mp3\", expected \"opus\" or \"pcmu\""),
            ("audio_space_mb = 0", "audio_space_mb: found 0"),
        ] {
            let told = check(text, 7).expect_err(expected);
            assert!(told.contains(expected), "{told}");
        }
    }

    fn check(text: &str, calls: i64) -> Result<AudioSettings, String> {
        let table = parse_table(text).expect("TOML");
        let mut faults = Vec::new();
        let mut root = Section::root(&table, &mut faults);
        let read = read_audio(&mut root, Path::new("etc"), Path::new("data"), calls);
        root.finish();
        let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
        if told.is_empty() { Ok(read) } else { Err(told.join("; ")) }
    }
}
