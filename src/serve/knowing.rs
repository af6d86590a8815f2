//! What the server knows beside calls: answers to customers' questions, and facts of customers that are pulled.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::start::{Keeping, faulty};
use crate::cli::Failure;
use crate::control::{Input, Order};
use crate::knowledge::{Knowledge, Shelf};
use crate::metrics::Metrics;
use crate::notice::{Notice, What};
use crate::settings::{Settings, load_knowledge};
use crate::shell::advise::{Advisor, SharedShelf, Told};
use crate::shell::sources::Pulling;
use crate::sources::Customers;
use crate::store::Store;
use crate::web::Bus;

/// Who knows, and who finds it out.
pub(super) struct Knowing {
    advisor: Advisor,
    customers: Customers,
    /// Ends with the desk.
    _pulling: Option<Pulling>,
}

/// What the API shows of it.
pub(super) type Known = (SharedShelf, Customers);

impl Knowing {
    /// Reads what is known, has answers suggested from it, and begins to pull business data.
    ///
    /// # Errors
    /// When knowledge, a secret or certificates are wrong, or there is no thread.
    pub(super) fn start(
        settings: &Settings,
        (bus, metrics): (&Arc<Bus>, &Metrics),
        (store, outbox): Keeping,
    ) -> Result<(Knowing, Known), Failure> {
        let customers = Customers::default();
        let _pulling = start_pulling(settings, &customers, store.as_ref(), metrics)?;
        let knowledge = load_knowledge(settings).map_err(|faults| faulty(&faults))?;
        metrics.set_knowledge(knowledge.entries().len());
        let shelf = SharedShelf::new(ArcSwap::from_pointee(Shelf::of(settings, knowledge)));
        let told = Told { bus: Arc::clone(bus), store, outbox, metrics: metrics.clone() };
        let advisor = Advisor::start(Arc::clone(&shelf), told);
        let advisor = advisor.map_err(|error| Failure::of("starting the advising thread", error))?;
        Ok((Knowing { advisor, customers: customers.clone(), _pulling }, (shelf, customers)))
    }

    /// Puts other knowledge in the place of what there is.
    pub(super) fn exchange(&self, settings: &Settings, knowledge: Knowledge) {
        self.advisor.exchange(Shelf::of(settings, knowledge));
    }

    /// Hears what is told of calls. What is known of a caller is an event for policies as soon as they decide about the call.
    pub(super) fn hear(&self, notice: &Notice, bus: &Bus, store: Option<&Store>) -> Option<Input> {
        self.advisor.hear(notice);
        let What::CallAnswered { .. } = notice.what else { return None };
        let from = bus.with_board(|board| board.call(&notice.call).map(|record| record.from.clone()))?;
        let facts = self.customers.facts_of(&store?.pseudonym(from.reveal())?);
        let (call, by) = (notice.call.clone(), Some("sources".to_owned()));
        (!facts.is_empty()).then_some(Input::Order(Order::TellFacts { call, facts, by }))
    }
}

/// Has business data pulled, where there are sources; people are known by the store's pseudonyms.
fn start_pulling(
    settings: &Settings,
    customers: &Customers,
    store: Option<&Store>,
    metrics: &Metrics,
) -> Result<Option<Pulling>, Failure> {
    let Some(store) = store.filter(|_| !settings.sources.is_empty()) else { return Ok(None) };
    let pulling = Pulling::start(&settings.sources, customers, store, metrics);
    pulling.map(Some).map_err(|why| Failure::of("starting to pull business data", why))
}
