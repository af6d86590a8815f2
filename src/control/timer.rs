//! The session timer of one leg (RFC 4028): who refreshes it, when that is due, and when the session is over without.
//!
//! Says nothing to anybody: `session` sends what is due.

use std::time::Duration;

use super::Header;
use super::input::{Refresher, SessionTerms};
use super::leg::header;

/// A session timer that both sides have agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Timer {
    interval_s: u32,
    /// The shortest interval that the far end agrees to, as far as a 422 of it has said so: Min-SE of our requests.
    least_s: u32,
    by_us: bool,
    refreshed: Duration,
    /// When we refresh: half way, or sooner after a refresh that crossed something. `None` while one is on its way.
    refresh_at: Option<Duration>,
}

impl Timer {
    /// What a request of the far end that begins or refreshes a session agrees, with our 2xx to it (RFC 4028 §9).
    ///
    /// `ours_s` is the longest interval that we want, `before` what was agreed until now.
    pub(super) fn for_answer(
        now: Duration,
        terms: &SessionTerms,
        ours_s: Option<u32>,
        before: Option<Timer>,
    ) -> Option<Timer> {
        if !terms.supported {
            // We go on alone with what is ours; nobody can be asked to refresh.
            let ours = before.filter(|timer| timer.by_us)?;
            return Some(Timer::new(now, ours.interval_s, true).knowing(before));
        }
        let wanted = terms.interval_s.or(before.map(|timer| timer.interval_s)).or(ours_s)?;
        // Less than the far end agrees to would be refused by it, or by a proxy (RFC 4028 §9).
        let least_s = terms.least_s.unwrap_or(INTERVAL_S_MIN).clamp(INTERVAL_S_MIN, INTERVAL_S_MAX);
        let interval_s = wanted.min(ours_s.unwrap_or(wanted)).max(least_s);
        let by_us = match terms.refresher {
            Some(refresher) => refresher == Refresher::Uas,
            // Who has refreshed so far goes on; who asks for a timer refreshes it; a timer that we want is ours.
            None => before.map_or(terms.interval_s.is_none(), |timer| timer.by_us),
        };
        Some(Timer::new(now, interval_s, by_us).knowing(before))
    }

    /// What a 2xx to a request of ours agrees; nothing when it does not speak of a timer (RFC 4028 §7.2).
    ///
    /// What it says counts, whatever we asked for: the far end refreshes and ends the call by its own word. `by_us` is
    /// who refreshes if it does not say.
    pub(super) fn from_answer(now: Duration, terms: &SessionTerms, by_us: bool) -> Option<Timer> {
        let interval_s = terms.interval_s?.clamp(INTERVAL_S_MIN, INTERVAL_S_MAX);
        let by_us = terms.refresher.map_or(by_us, |refresher| refresher == Refresher::Uac);
        Some(Timer::new(now, interval_s, by_us))
    }

    /// What a 2xx to our refresh agrees.
    pub(super) fn refreshed(self, now: Duration, terms: &SessionTerms) -> Option<Timer> {
        Timer::from_answer(now, terms, self.by_us).map(|timer| timer.knowing(Some(self)))
    }

    fn new(now: Duration, interval_s: u32, by_us: bool) -> Timer {
        let refresh_at = by_us.then(|| now + Duration::from_secs(u64::from(interval_s / 2)));
        Timer { interval_s, least_s: INTERVAL_S_MIN, by_us, refreshed: now, refresh_at }
    }

    /// With the shortest interval that the far end has named before.
    fn knowing(self, before: Option<Timer>) -> Timer {
        Timer { least_s: before.map_or(self.least_s, |before| before.least_s), ..self }
    }

    /// Whether we refresh it.
    pub(super) fn is_ours(&self) -> bool {
        self.by_us
    }

    /// When we have to refresh; nothing when the far end does, or while a refresh is on its way.
    pub(super) fn refresh_at(&self) -> Option<Duration> {
        self.refresh_at
    }

    /// When the session is over without a refresh: a little early, as RFC 4028 §10 asks.
    pub(super) fn ends_at(&self) -> Duration {
        let early_s = (self.interval_s / 3).min(32);
        self.refreshed + Duration::from_secs(u64::from(self.interval_s - early_s))
    }

    /// A refresh goes out.
    pub(super) fn asked(&mut self) {
        self.refresh_at = None;
    }

    /// A refresh is to be tried again.
    pub(super) fn ask_again(&mut self, at: Duration) {
        self.refresh_at = Some(at).filter(|_| self.by_us);
    }

    /// A refresh was refused for too short an interval (422): it is to be tried again with the one that the far end
    /// names; false when that is no longer one (RFC 4028 §7.4).
    pub(super) fn ask_for_longer(&mut self, at: Duration, least_s: Option<u32>) -> bool {
        let is_longer = |least_s: &u32| *least_s > self.interval_s && *least_s <= INTERVAL_S_MAX;
        let Some(least_s) = least_s.filter(is_longer) else { return false };
        (self.interval_s, self.least_s) = (least_s, least_s);
        self.ask_again(at);
        true
    }

    /// What our 2xx says of it. Whoever sent the request is the UAC.
    pub(super) fn answer_headers(&self) -> Vec<Header> {
        let refresher = if self.by_us { "uas" } else { "uac" };
        let expires = header("Session-Expires", format!("{};refresher={refresher}", self.interval_s));
        let require = (!self.by_us).then(|| header("Require", "timer"));
        std::iter::once(expires).chain(require).collect()
    }

    /// What a request of ours inside the dialog says of it.
    pub(super) fn request_headers(&self) -> Vec<Header> {
        let refresher = if self.by_us { "uac" } else { "uas" };
        vec![
            header("Session-Expires", format!("{};refresher={refresher}", self.interval_s)),
            header("Min-SE", self.least_s.to_string()),
        ]
    }
}

/// What a request that asks for too short an interval is refused with (422, RFC 4028 §9).
pub(super) fn too_short(terms: &SessionTerms) -> Option<Vec<Header>> {
    let is_short = terms.supported && terms.interval_s.is_some_and(|interval_s| interval_s < INTERVAL_S_MIN);
    is_short.then(|| vec![header("Min-SE", INTERVAL_S_MIN.to_string())])
}

/// What our INVITE says of the timer that we want.
pub(super) fn offer_headers(interval_s: u32) -> Vec<Header> {
    vec![header("Session-Expires", interval_s.to_string()), header("Min-SE", INTERVAL_S_MIN.to_string())]
}

/// The smallest session interval we agree to, seconds (RFC 4028 §5).
pub(super) const INTERVAL_S_MIN: u32 = 90;
/// The longest one, seconds: a day.
const INTERVAL_S_MAX: u32 = 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(100);

    fn terms(interval_s: Option<u32>, refresher: Option<Refresher>) -> SessionTerms {
        SessionTerms { supported: true, interval_s, refresher, ..SessionTerms::default() }
    }

    #[test]
    fn who_refreshes_what_the_far_end_began() {
        use Refresher::{Uac, Uas};
        let ours = Timer::new(NOW, 600, true);
        let at_least = |least_s| SessionTerms { least_s: Some(least_s), ..terms(Some(1800), None) };
        for (said, ours_s, before, expected) in [
            (terms(Some(1800), None), Some(1800), None, Some("1800;refresher=uac")),
            (terms(Some(1800), Some(Uas)), Some(1800), None, Some("1800;refresher=uas")),
            (terms(Some(1800), Some(Uac)), Some(600), None, Some("600;refresher=uac")),
            (terms(None, None), Some(1800), None, Some("1800;refresher=uas")),
            (terms(None, None), None, None, None),
            (terms(Some(120), None), None, None, Some("120;refresher=uac")),
            (terms(None, None), Some(1800), Some(ours), Some("600;refresher=uas")),
            (terms(Some(600), Some(Uac)), Some(1800), Some(ours), Some("600;refresher=uac")),
            (SessionTerms::default(), Some(1800), Some(ours), Some("600;refresher=uas")),
            (SessionTerms::default(), Some(1800), Some(Timer::new(NOW, 600, false)), None),
            (at_least(1800), Some(600), None, Some("1800;refresher=uac")),
            (at_least(300), Some(600), None, Some("600;refresher=uac")),
        ] {
            let timer = Timer::for_answer(NOW, &said, ours_s, before);
            let shown = timer.map(|timer| timer.answer_headers()[0].value.clone());
            assert_eq!(shown.as_deref(), expected, "{said:?}");
        }
    }

    #[test]
    fn who_refreshes_what_we_began() {
        for (said, expected) in [
            (terms(Some(1800), Some(Refresher::Uac)), Some((1800, Some(NOW + Duration::from_secs(900))))),
            (terms(Some(600), None), Some((600, Some(NOW + Duration::from_secs(300))))),
            (terms(Some(9000), Some(Refresher::Uas)), Some((9000, None))),
            (terms(Some(100_000), Some(Refresher::Uas)), Some((86_400, None))),
            (terms(None, Some(Refresher::Uas)), None),
        ] {
            let timer = Timer::from_answer(NOW, &said, true);
            assert_eq!(timer.map(|timer| (timer.interval_s, timer.refresh_at())), expected, "{said:?}");
        }
    }

    #[test]
    fn a_longer_interval_is_kept_once_it_was_asked_for() {
        let (later, mut timer) = (NOW + Duration::from_secs(310), Timer::new(NOW, 600, true));
        for too_short in [None, Some(600), Some(90), Some(100_000)] {
            assert!(!timer.ask_for_longer(later, too_short), "{too_short:?}");
        }
        assert!(timer.ask_for_longer(later, Some(1800)));
        assert_eq!(timer.refresh_at(), Some(later));
        let said = |timer: &Timer| timer.request_headers().into_iter().map(|each| each.value).collect::<Vec<_>>();
        assert_eq!(said(&timer), ["1800;refresher=uac", "1800"]);
        let refreshed = timer.refreshed(later, &terms(Some(1800), None)).expect("a timer");
        assert_eq!(said(&refreshed), ["1800;refresher=uac", "1800"]);
    }

    #[test]
    fn the_end_comes_early() {
        for (interval_s, ends_s) in [(90, 160), (1800, 1868)] {
            assert_eq!(Timer::new(NOW, interval_s, false).ends_at(), Duration::from_secs(ends_s));
        }
    }
}
