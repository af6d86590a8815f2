//! What a listener has judged, recorded in order, so that something beside it can go over it again.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use crate::expression::Expression;
use crate::features::Row;
use crate::fusion::Utterance;
use crate::model::CLASSES;
use crate::mood::Mood;
use crate::observation::{Observation, PartyId};
use crate::text::Reading;

/// What a listener has judged since it was last asked for it, in the order in which it has; and who came and went meanwhile.
#[derive(Debug, Default)]
pub struct Steps {
    pub(crate) events: Vec<Event>,
    /// Steps that stood here and were left out.
    pub(crate) shed: u64,
}

#[derive(Debug)]
pub(crate) enum Event {
    /// A party that was not there, and how it feels.
    Came(PartyId, Box<Mood>),
    /// A party is gone, or another one under the same name.
    Left(PartyId),
    /// A step of a timeline as it was told, and what led to it.
    Stepped(Box<(Observation, What)>),
}

/// What a party's timeline was stepped by, and what the models in use made of it.
#[derive(Debug)]
pub(crate) enum What {
    /// An expression; no model judges it.
    Seen(Expression),
    /// What was said, and how it was read.
    Read(Box<(Utterance, Reading)>),
    /// A window of the voice, and how it was judged; `None` when signal processing judged it alone.
    Heard(Box<Row>, Option<[f32; CLASSES]>),
}

impl Steps {
    /// Whether there is nothing to go over.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && self.shed == 0
    }

    /// Appends what was judged later.
    pub fn append(&mut self, later: Self) {
        self.events.extend(later.events);
        self.shed += later.shed;
    }

    /// Leaves out the steps, which are counted, and keeps who came and who went: one entry per party at most.
    pub fn shed(&mut self) {
        let mut parties: BTreeMap<PartyId, (bool, Event)> = BTreeMap::new();
        for event in std::mem::take(&mut self.events) {
            let (id, came) = match &event {
                Event::Came(id, _) => (*id, true),
                Event::Left(id) => (*id, false),
                Event::Stepped(_) => {
                    self.shed += 1;
                    continue;
                }
            };
            match parties.entry(id) {
                Entry::Occupied(mut known) => known.get_mut().1 = event,
                Entry::Vacant(new) => drop(new.insert((came, event))),
            }
        }
        // Who came and went meanwhile has never been here.
        let told = parties.into_values().filter(|(came, last)| !(*came && matches!(last, Event::Left(_))));
        self.events = told.map(|(_, last)| last).collect();
    }
}

/// Takes down what a listener judges.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    known: BTreeSet<PartyId>,
    steps: Steps,
}

impl Recorder {
    /// Begins with the parties that there are.
    pub(crate) fn new(parties: impl Iterator<Item = (PartyId, Mood)>) -> Self {
        let mut recorder = Self::default();
        parties.for_each(|(id, mood)| recorder.come(id, mood));
        recorder
    }

    /// The party is another one from now on, or gone.
    pub(crate) fn forget(&mut self, party: PartyId) {
        if self.known.remove(&party) {
            self.steps.events.push(Event::Left(party));
        }
    }

    /// Takes down a step of the timeline of a party with this `mood`.
    pub(crate) fn record(&mut self, mood: &Mood, observed: &Observation, what: What) {
        if !self.known.contains(&observed.party) {
            self.come(observed.party, mood.alike());
        }
        self.steps.events.push(Event::Stepped(Box::new((observed.clone(), what))));
    }

    pub(crate) fn shed(&mut self) {
        if !self.steps.is_empty() {
            self.steps.shed();
        }
    }

    pub(crate) fn take(&mut self) -> Steps {
        std::mem::take(&mut self.steps)
    }

    fn come(&mut self, party: PartyId, mood: Mood) {
        self.known.insert(party);
        self.steps.events.push(Event::Came(party, Box::new(mood)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shed_leaves_who_came_and_went() {
        let [stays, passes, goes, returns] = [1, 2, 3, 4].map(PartyId);
        let mut steps = Steps::default();
        let came = |id| Event::Came(id, Box::default());
        steps.events = vec![came(stays), Event::Left(goes), came(passes), Event::Left(returns), came(returns)];
        steps.append(Steps { events: vec![Event::Left(passes)], shed: 2 });
        steps.shed();
        let left: Vec<(PartyId, bool)> = steps
            .events
            .iter()
            .map(|event| match event {
                Event::Came(id, _) => (*id, true),
                Event::Left(id) => (*id, false),
                Event::Stepped(_) => panic!("steps are shed"),
            })
            .collect();
        assert_eq!(left, [(stays, true), (goes, false), (returns, true)]);
        assert_eq!(steps.shed, 2);
    }
}
