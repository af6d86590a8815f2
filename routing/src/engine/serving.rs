//! How the caller of one call is served, and when that changes.
//!
//! Up at once, back slowly: a stronger service follows the mood as soon as it has held, a weaker one only when the caller
//! has been heard calmer for the policy's `calm_s`. So services cannot swing faster than that.

use std::time::Duration;

use crate::{Emotion, Language, Level, Mood, Policy, Serve, Service, Switch};

/// The service of one call by one policy.
#[derive(Debug)]
pub(super) struct Serving {
    /// Which policy.
    pub(super) policy: usize,
    /// Services of the policy that are for this call, the strongest first.
    services: Vec<usize>,
    /// The place among those; past the end: as usual, whatever that is.
    current: usize,
    /// Since when the mood has asked for a stronger one without a break, by the place of each.
    stronger_since: Vec<Option<Duration>>,
    /// Since when it has asked for nothing but weaker ones, and the strongest of these.
    weaker: Option<(Duration, usize)>,
}

impl Serving {
    /// The service that a call of `scenario` begins with; `None` where no policy says how to serve.
    pub(super) fn new(scenario: &str, policies: &[Policy]) -> Option<Serving> {
        let (policy, own) =
            policies.iter().enumerate().find(|(_, text)| text.covers(scenario) && !text.services.is_empty())?;
        let fits = |service: &Service| service.scenario.as_deref().is_none_or(|own| own == scenario);
        let places = own.services.iter().enumerate().filter(|(_, service)| fits(service));
        let mut services: Vec<usize> = places.map(|(at, _)| at).collect();
        // Whatever comes after the usual one can never be chosen.
        if let Some(usual) = services.iter().position(|at| own.services[*at].mood.is_none()) {
            services.truncate(usual + 1);
        }
        let usual = services.iter().position(|at| own.services[*at].mood.is_none()).unwrap_or(services.len());
        let stronger_since = vec![None; services.len()];
        Some(Serving { policy, services, current: usual, stronger_since, weaker: None })
    }

    /// Takes in the caller's mood; the service that changes, if it does.
    ///
    /// `uses` tells whether words of a category were used not long ago.
    pub(super) fn observe(
        &mut self,
        now: Duration,
        mood: Option<(Emotion, Level)>,
        uses: impl Fn(&str) -> bool,
        policy: &Policy,
    ) -> Option<(usize, usize)> {
        let asks = |at: &usize| match &policy.services[*at].mood {
            None => true,
            Some(Mood::Feels(emotion, level)) => mood.is_some_and(|(felt, at)| felt == *emotion && at >= *level),
            Some(Mood::Uses(categories)) => categories.iter().any(|category| uses(category)),
        };
        let wanted = self.services.iter().position(asks).unwrap_or(self.services.len());
        for (place, since) in self.stronger_since.iter_mut().enumerate() {
            if place >= wanted && place < self.current {
                since.get_or_insert(now);
            } else {
                *since = None;
            }
        }
        let held = |place: &usize| {
            let lasted = policy.services[self.services[*place]].lasted;
            // Only services that the mood itself asks for; it may pass over some.
            asks(&self.services[*place])
                && self.stronger_since[*place].is_some_and(|since| now.saturating_sub(since) >= lasted)
        };
        let next = (wanted..self.current).find(held).or_else(|| self.back(now, wanted, policy.calm));
        let next = next?;
        let before = std::mem::replace(&mut self.current, next);
        self.weaker = None;
        self.stronger_since.fill(None);
        Some((before, next))
    }

    /// The caller is not heard any more: no mood has lasted since.
    pub(super) fn hear_nothing(&mut self) {
        self.stronger_since.fill(None);
        self.weaker = None;
    }

    /// The weaker service to go back to, once nothing stronger was asked for long enough.
    fn back(&mut self, now: Duration, wanted: usize, calm: Duration) -> Option<usize> {
        if wanted <= self.current {
            self.weaker = None;
            return None;
        }
        let (since, strongest) = self.weaker.map_or((now, wanted), |(since, at)| (since, at.min(wanted)));
        self.weaker = Some((since, strongest));
        (now.saturating_sub(since) >= calm).then_some(strongest)
    }

    /// The change in full.
    pub(super) fn switch(
        &self,
        (before, after): (usize, usize),
        policy: &Policy,
        language: Option<Language>,
    ) -> Switch {
        let serve =
            |place: usize| -> Option<Serve> { self.services.get(place).map(|at| policy.services[*at].serve.clone()) };
        let after = serve(after);
        let script = after.as_ref().and_then(|after| after.script.as_ref());
        let script = script.and_then(|id| policy.scripts.iter().find(|script| script.id == *id));
        let words = script.and_then(|script| super::call::in_language(&script.texts, language));
        Switch { before: serve(before), after, words }
    }

    /// The id of the service in force; `None`: as usual, whatever that is.
    pub(super) fn current_id<'p>(&self, policy: &'p Policy) -> Option<&'p str> {
        self.services.get(self.current).map(|at| policy.services[*at].serve.id.as_str())
    }

    /// How strong the present service is: 0 is the strongest.
    pub(super) fn rule_id<'p>(&self, (before, after): (usize, usize), policy: &'p Policy) -> &'p str {
        // Back to what no service says: the decision is that of the one that ends.
        let at = self.services.get(after).or_else(|| self.services.get(before));
        at.map_or("", |at| policy.services[*at].serve.id.as_str())
    }
}
