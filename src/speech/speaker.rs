//! The thread that speaks, with what it remembers in front of it. Nobody waits for it.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use media::{LegId, PromptId, Sound};
use tokio::sync::mpsc;

use super::cache::Cache;
use super::{Saying, Speech, SpeechError};

/// Texts that may wait to be spoken. At about 0.1 s each the last of them is still in time.
const WAITING_MAX: usize = 16;

/// A text that has been spoken for a prompt, or could not be.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Who is to hear it.
    pub leg: LegId,
    /// The prompt that it becomes.
    pub prompt: PromptId,
    /// Its sound, or why there is none, in words.
    pub sound: Result<Arc<Sound>, String>,
}

#[derive(Debug)]
struct Request {
    leg: LegId,
    prompt: PromptId,
    saying: Saying,
}

/// The way to whoever speaks. The thread ends with it.
#[derive(Debug)]
pub struct Speaker {
    requests: SyncSender<Request>,
    cache: Arc<Mutex<Cache>>,
}

impl Speaker {
    /// Speaks `first` with `speech` here and now, as far as `bytes_max` goes, then starts a thread for what comes later.
    ///
    /// # Returns
    /// The way to it, and those of `first` that could not be spoken, with why.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(
        mut speech: impl Speech + 'static,
        bytes_max: usize,
        first: impl IntoIterator<Item = Saying>,
        answers: mpsc::Sender<Answer>,
    ) -> io::Result<(Self, Vec<(Saying, SpeechError)>)> {
        let mut cache = Cache::new(bytes_max);
        let mut unspoken = Vec::new();
        for saying in first {
            match speech.speak(&saying) {
                Ok(sound) => cache.put(saying, Arc::new(sound)),
                Err(error) => unspoken.push((saying, error)),
            }
        }

        let cache = Arc::new(Mutex::new(cache));
        let (requests, waiting) = sync_channel(WAITING_MAX);
        let remembered = Arc::clone(&cache);
        thread::Builder::new()
            .name("speech".into())
            .spawn(move || speak_all(&mut speech, &waiting, &remembered, &answers))?;
        Ok((Self { requests, cache }, unspoken))
    }

    /// Remembers texts that have been spoken elsewhere.
    pub fn remember(&self, spoken: impl IntoIterator<Item = (Saying, Arc<Sound>)>) {
        for (saying, sound) in spoken {
            locked(&self.cache).put(saying, sound);
        }
    }

    /// Asks for a text; the answer when it is known at once, else it comes later by the channel.
    pub fn ask(&self, leg: LegId, prompt: PromptId, saying: Saying) -> Option<Answer> {
        if let Some(sound) = locked(&self.cache).get(&saying) {
            return Some(Answer { leg, prompt, sound: Ok(sound) });
        }
        match self.requests.try_send(Request { leg, prompt, saying }) {
            Ok(()) => None,
            Err(TrySendError::Full(_)) => Some(Answer { leg, prompt, sound: Err(SpeechError::Busy.to_string()) }),
            Err(TrySendError::Disconnected(_)) => {
                Some(Answer { leg, prompt, sound: Err("the speaking thread has ended".to_owned()) })
            }
        }
    }
}

/// Speaks until nobody can ask any more.
fn speak_all(
    speech: &mut impl Speech,
    waiting: &Receiver<Request>,
    cache: &Mutex<Cache>,
    answers: &mpsc::Sender<Answer>,
) {
    while let Ok(Request { leg, prompt, saying }) = waiting.recv() {
        // Another call may have asked for the same text meanwhile.
        let known = locked(cache).get(&saying);
        let sound = match known {
            Some(sound) => Ok(sound),
            None => speech.speak(&saying).map(Arc::new).map_err(|error| error.to_string()),
        };
        if let Ok(sound) = &sound {
            locked(cache).put(saying, Arc::clone(sound));
        }
        if answers.blocking_send(Answer { leg, prompt, sound }).is_err() {
            return;
        }
    }
}

fn locked(cache: &Mutex<Cache>) -> MutexGuard<'_, Cache> {
    // A panic between two steps of the cache leaves at worst a wrong count of bytes.
    cache.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use routing::Language;

    use super::*;

    #[test]
    fn what_was_spoken_first_is_answered_at_once() {
        let (speaker, mut later, spoken) = speaker(&["hello", ""]);
        let answer = speaker.ask(LEG, PromptId(1), saying("hello")).expect("known");
        assert_eq!(answer.sound.map(|sound| sound.samples.len()), Ok(5));
        assert!(later.try_recv().is_err());
        assert_eq!(spoken.load(Ordering::Relaxed), 2, "and not spoken again");
    }

    #[test]
    fn others_are_answered_later_and_remembered() {
        let (speaker, mut later, spoken) = speaker(&[]);
        assert!(speaker.ask(LEG, PromptId(1), saying("hello")).is_none());
        let answer = later.blocking_recv().expect("an answer");
        assert_eq!((answer.leg, answer.prompt), (LEG, PromptId(1)));
        assert_eq!(answer.sound.map(|sound| sound.samples.len()), Ok(5));
        assert!(speaker.ask(LEG, PromptId(2), saying("hello")).is_some());
        assert_eq!(spoken.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn failures_are_told() {
        let (speaker, mut later, _) = speaker(&[]);
        assert!(speaker.ask(LEG, PromptId(1), saying("")).is_none());
        let reason = later.blocking_recv().expect("an answer").sound.expect_err("nothing to say");
        assert_eq!(reason, "a text of 0 characters; 1-1000 can be spoken");
    }

    #[test]
    fn too_many_texts_are_refused_at_once() {
        // Nobody takes the answers, so that the thread stands still soon.
        let (speaker, _later, _) = speaker(&[]);
        let refused = (0..100).filter(|number| {
            let answer = speaker.ask(LEG, PromptId(*number), saying(&"x".repeat(*number as usize + 1)));
            answer.is_some_and(|answer| answer.sound == Err("too many texts wait to be spoken".to_owned()))
        });
        assert!(refused.count() > 50);
    }

    const LEG: LegId = LegId(7);

    /// Says one sample a letter, and counts.
    struct Letters(Arc<AtomicUsize>);

    impl Speech for Letters {
        fn speak(&mut self, saying: &Saying) -> Result<Sound, SpeechError> {
            self.0.fetch_add(1, Ordering::Relaxed);
            match saying.text.len() {
                0 => Err(SpeechError::Text(0)),
                letters => Ok(Sound { samples: vec![1; letters] }),
            }
        }
    }

    fn saying(text: &str) -> Saying {
        Saying { text: text.to_owned(), language: Language::English }
    }

    fn speaker(first: &[&str]) -> (Speaker, mpsc::Receiver<Answer>, Arc<AtomicUsize>) {
        let spoken = Arc::new(AtomicUsize::new(0));
        let (answers, later) = mpsc::channel(4);
        let sayings: Vec<Saying> = first.iter().map(|text| saying(text)).collect();
        let (speaker, unspoken) =
            Speaker::start(Letters(Arc::clone(&spoken)), 1_000, sayings, answers).expect("a thread");
        assert_eq!(unspoken.len(), first.iter().filter(|text| text.is_empty()).count());
        (speaker, later, spoken)
    }
}
