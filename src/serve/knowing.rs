//! What the server knows beside calls: answers to customers' questions, facts of customers that are pulled, what is heard of
//! recordings afterwards, and which alerts nobody has reacted to.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::task::JoinHandle;

use super::start::{Keeping, boot_id, faulty};
use crate::cli::Failure;
use crate::control::{Control, Input, Order};
use crate::knowledge::{Knowledge, Shelf};
use crate::metrics::Metrics;
use crate::notice::{Notice, What};
use crate::settings::{Settings, load_knowledge};
use crate::shell::advise::{Advisor, SharedShelf};
use crate::shell::escalate::Escalating;
use crate::shell::nats::{Carrier, Link};
use crate::shell::recordings::{InForce, Recordings};
use crate::shell::sources::{FreshSources, Pulling};
use crate::shell::told::Told;
use crate::sources::Customers;
use crate::web::{Bus, Moment};

/// Who knows, and who finds it out.
pub(super) struct Knowing {
    advisor: Advisor,
    customers: Customers,
    recordings: Recordings,
    escalating: Escalating,
    /// Whom calls and steps of alerts are told, and who tells the steps.
    told: Told,
    telling: JoinHandle<()>,
    /// What carries events to other nodes, and theirs here.
    link: Option<Link>,
    /// Who pulls business data, where there is a store; ends with the desk.
    pulling: Option<Pulling>,
}

/// What the API shows of it.
pub(super) type Known = (SharedShelf, Customers, Recordings, Escalating, Option<Carrier>);

impl Knowing {
    /// Reads what is known, has answers suggested from it, and begins to pull business data.
    ///
    /// # Errors
    /// When knowledge, a secret or certificates are wrong, or there is no thread.
    pub(super) async fn start(
        settings: &Settings,
        (bus, metrics): (&Arc<Bus>, &Metrics),
        (store, outbox): Keeping,
    ) -> Result<(Knowing, Known), Failure> {
        let customers = Customers::default();
        let sources = FreshSources::read(&settings.sources)
            .map_err(|(key, why)| Failure::of(format!("starting to pull business data: {key}"), why))?;
        // People are known by the store's pseudonyms.
        let pulling = store.as_ref().map(|store| Pulling::start(sources, &customers, store, metrics));
        let knowledge = load_knowledge(settings).map_err(|faults| faulty(&faults))?;
        metrics.set_knowledge(knowledge.entries().len());
        let shelf = SharedShelf::new(ArcSwap::from_pointee(Shelf::of(settings, knowledge)));
        let told = Told { bus: Arc::clone(bus), store, outbox, metrics: metrics.clone() };
        let recordings = Recordings::start(boot_id()?, told.clone());
        let recordings = recordings.map_err(|error| Failure::of("starting the thread for recordings", error))?;
        let escalating = Escalating::new(settings.alerts.escalation.clone());
        let telling = escalating.run(told.clone());
        let advisor = Advisor::start(Arc::clone(&shelf), told.clone());
        let advisor = advisor.map_err(|error| Failure::of("starting the advising thread", error))?;
        let link = match &settings.bus {
            Some(wanted) => {
                let told = (Arc::clone(bus), escalating.clone(), metrics.clone());
                Some(Link::start(wanted, &settings.node, told, boot_id()?).await)
            }
            None => None,
        };
        let link = link.transpose().map_err(|why| Failure::of("starting the bus", why))?;
        let carrier = link.as_ref().map(Link::carrier);
        let known = (shelf, customers.clone(), recordings.clone(), escalating.clone(), carrier);
        Ok((Knowing { advisor, customers, recordings, escalating, told, telling, link, pulling }, known))
    }

    /// Puts other knowledge, other sources, and other steps of alerts, in the place of what there is.
    pub(super) fn exchange(&mut self, settings: &Settings, knowledge: Knowledge, sources: FreshSources) {
        if let Some(pulling) = &mut self.pulling {
            pulling.exchange(sources);
        }
        self.advisor.exchange(Shelf::of(settings, knowledge));
        self.escalating.exchange(settings.alerts.escalation.clone());
    }

    /// Has recordings listened to by what calls begin with.
    pub(super) fn show_in_force(&self, settings: Settings, control: &Control) {
        let (control, policies) = control.in_force();
        self.recordings.exchange(InForce { settings, control, policies });
    }

    /// The same after a step back of the policies.
    pub(super) fn went_back(&self, control: &Control) {
        if let Some(before) = self.recordings.in_force() {
            self.show_in_force(before.settings.clone(), control);
        }
    }

    /// Ends what goes on beside calls.
    pub(super) fn stop(&self) {
        self.recordings.stop();
    }

    /// Writes down which alerts wait, and lets what was told last go out, once nothing is told any more.
    pub(super) async fn settle(&mut self) {
        self.telling.abort();
        self.escalating.settle(&self.told).await;
        if let Some(link) = &mut self.link {
            link.close().await;
        }
    }

    /// Whether nobody uses a model any more.
    pub(super) fn has_ended(&self) -> bool {
        self.recordings.has_ended()
    }

    /// Tells everybody of a call. What is known of a caller is an event for policies as soon as they decide about the call.
    pub(super) fn tell(&self, notice: &Notice, time: Moment) -> Option<Input> {
        let Told { bus, store, .. } = &self.told;
        self.told.tell(notice, time);
        self.advisor.hear(notice);
        self.escalating.hear(notice, bus, time);
        let What::CallAnswered { .. } = notice.what else { return None };
        let from = bus.with_board(|board| board.call(&notice.call).map(|record| record.from.clone()))?;
        let facts = self.customers.facts_of(&store.as_ref()?.pseudonym(from.reveal())?);
        let (call, by) = (notice.call.clone(), Some("sources".to_owned()));
        (!facts.is_empty()).then_some(Input::Order(Order::TellFacts { call, facts, by }))
    }
}
