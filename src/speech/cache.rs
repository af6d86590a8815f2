//! The sounds of texts that were spoken lately, up to a number of bytes. The one that was not asked for longest leaves.

use std::collections::BTreeMap;
use std::sync::Arc;

use media::Sound;

use super::Saying;

/// What has been spoken.
#[derive(Debug)]
pub(super) struct Cache {
    sounds: BTreeMap<Saying, Entry>,
    bytes: usize,
    bytes_max: usize,
    /// Grows with every use.
    uses: u64,
}

#[derive(Debug)]
struct Entry {
    sound: Arc<Sound>,
    used: u64,
}

impl Cache {
    /// Remembers up to `bytes_max` bytes of sound and text.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { sounds: BTreeMap::new(), bytes: 0, bytes_max, uses: 0 }
    }

    /// The sound of a text, if it is remembered.
    pub(super) fn get(&mut self, saying: &Saying) -> Option<Arc<Sound>> {
        self.uses += 1;
        let entry = self.sounds.get_mut(saying)?;
        entry.used = self.uses;
        Some(Arc::clone(&entry.sound))
    }

    /// Remembers a sound; one that alone is too large is not.
    pub(super) fn put(&mut self, saying: Saying, sound: Arc<Sound>) {
        let bytes = weight(&saying, &sound);
        if bytes > self.bytes_max {
            return;
        }
        self.forget(&saying);
        while self.bytes + bytes > self.bytes_max
            && let Some(oldest) = self.sounds.iter().min_by_key(|(_, entry)| entry.used).map(|(old, _)| old.clone())
        {
            self.forget(&oldest);
        }
        self.bytes += bytes;
        self.uses += 1;
        self.sounds.insert(saying, Entry { sound, used: self.uses });
    }

    fn forget(&mut self, saying: &Saying) {
        if let Some(entry) = self.sounds.remove(saying) {
            self.bytes -= weight(saying, &entry.sound);
        }
    }
}

fn weight(saying: &Saying, sound: &Sound) -> usize {
    saying.text.len() + size_of_val(sound.samples.as_slice())
}

#[cfg(test)]
mod tests {
    use routing::Language;

    use super::*;

    #[test]
    fn the_one_not_asked_for_longest_leaves() {
        check(&["+a", "+b", "?a", "+c", "?b", "?a", "?c"], "a a c");
        check(&["+a", "+b", "+c", "?a", "?b", "?c"], "b c");
    }

    #[test]
    fn the_same_text_counts_once() {
        check(&["+a", "+a", "+a", "+b", "?a", "?b"], "a b");
    }

    #[test]
    fn too_large_a_sound_is_not_kept() {
        check(&["+a", "+aaaaaaaaaaaaaaaaaaaaa", "?a", "?aaaaaaaaaaaaaaaaaaaaa"], "a");
    }

    /// `+TEXT` is put, with ten samples a letter, `?TEXT` is asked for; `found` are those that were there. Two texts
    /// of one letter fit.
    #[track_caller]
    fn check(steps: &[&str], found: &str) {
        let mut cache = Cache::new(50);
        let mut got = Vec::new();
        for step in steps {
            let (what, text) = step.split_at(1);
            let saying = Saying { text: text.to_owned(), language: Language::English };
            if what == "+" {
                cache.put(saying, Arc::new(Sound { samples: vec![0; 10 * text.len()] }));
                assert!(cache.bytes <= 50);
            } else if cache.get(&saying).is_some() {
                got.push(text);
            }
        }
        assert_eq!(got.join(" "), found);
    }
}
