//! Tenants of one server: each has half of its calls' keys, so that all of them are gone with it at once.
//!
//! Whose a call is, is told when it begins, by its route. Calls of no tenant have keys of their own alone.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;
use utoipa::ToSchema;

use super::forget::name_in;
use super::{Embedded, Held, Place, notice_key};
use crate::store::keys::KeyRing;
use crate::store::slots::{CallKeys, Class, Seat, Slots, TenantKey, head_of};

/// Tenants whose halves are kept at hand; more are read anew.
const KNOWN_MAX: usize = 1_000;

/// The tenants' halves: in their file, and those that were asked for.
#[derive(Debug)]
pub(super) struct Tenants {
    slots: Slots,
    known: BTreeMap<Seat, TenantKey>,
}

/// What was erased of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ErasedTenant {
    /// Its name.
    pub tenant: String,
    /// Calls that nobody can open any more, those that are up included.
    pub calls: usize,
    /// Those of them that are up: what they tell from now on is kept no more either.
    pub up: usize,
    /// Those of which systems outside were still to be told.
    #[serde(skip)]
    pub waiting: Vec<String>,
}

impl Tenants {
    pub(super) fn new(slots: Slots) -> Self {
        Self { slots, known: BTreeMap::new() }
    }

    fn at(&mut self, keys: &KeyRing, seat: Seat) -> Result<Option<TenantKey>, String> {
        if let Some(known) = self.known.get(&seat) {
            return Ok(Some(known.clone()));
        }
        let key = self.slots.tenant_key(keys, seat)?;
        if let Some(key) = &key {
            if self.known.len() >= KNOWN_MAX {
                self.known.pop_first();
            }
            self.known.insert(seat, key.clone());
        }
        Ok(key)
    }

    pub(super) fn piece(&self, from: &mut u64) -> io::Result<Vec<u8>> {
        self.slots.piece(from)
    }
}

impl Embedded {
    /// Fresh keys of a call, on the disk with the next sync; a tenant that is new gets its half now.
    pub(super) fn fresh_keys(&self, tenant: Option<&str>) -> Result<CallKeys, String> {
        let tenant = tenant.map(|tenant| self.tenant_named(tenant)).transpose()?;
        self.slots().take(&self.keys, tenant.as_ref()).map_err(|error| error.to_string())
    }

    /// Fresh keys of the tenant that has others already; nothing when its half is gone.
    pub(super) fn keys_beside(&self, others: &CallKeys) -> Result<Option<CallKeys>, String> {
        let tenant = match others.tenant {
            Some(seat) => match self.tenants().at(&self.keys, seat)? {
                Some(key) => Some(key),
                None => return Ok(None),
            },
            None => None,
        };
        self.slots().take(&self.keys, tenant.as_ref()).map(Some).map_err(|error| error.to_string())
    }

    /// Opens a value by the keys of its call; nothing when they are gone.
    pub(super) fn open_one(&self, context: &[u8], sealed: &[u8]) -> Result<Option<Vec<u8>>, String> {
        let Some(head) = head_of(sealed) else {
            // Of a version that knew no keys of calls.
            return self.keys.open_value(context, sealed).map(Some).map_err(|error| error.to_string());
        };
        let Some(keys) = self.keys_at(head.seat, head.tenant, &[head.class])? else { return Ok(None) };
        keys.open(context, sealed).map_err(|error| error.to_string())
    }

    /// The keys at a place; nothing when its tenant's half is gone.
    pub(super) fn keys_at(
        &self,
        seat: Seat,
        tenant: Option<Seat>,
        wanted: &[Class],
    ) -> Result<Option<CallKeys>, String> {
        let tenant = match tenant {
            Some(seat) => match self.tenants().at(&self.keys, seat)? {
                Some(key) => Some(key),
                None => return Ok(None),
            },
            None => None,
        };
        self.slots().keys(&self.keys, seat, wanted, tenant.as_ref()).map(Some)
    }

    /// Erases all of a tenant by overwriting its half of the keys: what its calls sealed opens nowhere any more, and is removed
    /// when it is as old as calls may become. Nothing is erased while anybody in one of them is held.
    ///
    /// # Returns
    /// What was erased, which is nothing of a tenant that has no calls; or why nothing was.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub fn erase_tenant(&self, tenant: &str) -> Result<Result<ErasedTenant, Held>, String> {
        let name = self.tenant_name(tenant);
        let (mut calls, mut up) = (0, 0);
        let places = self.places_of(&name)?;
        let (mut waiting, mut parcels) = (Vec::new(), Vec::new());
        for parcel in self.parcels()? {
            if self.parties.contains_key([self.keys.blind(parcel.call.as_bytes()), name].concat())? {
                parcels.push(parcel.id);
                waiting.push(parcel.call);
            }
        }
        let is_anybody_held = !self.holds.is_empty()?;
        for place in &places {
            if self.is_erased(place)? {
                continue;
            }
            if is_anybody_held && let Some(held) = self.held_by(&name_in(place))? {
                return Ok(Err(held));
            }
            calls += 1;
            up += usize::from(self.running.contains_key(name_in(place))?);
        }
        // They are sealed by the site's key, not by the tenant's: reports of all nodes would go on counting them.
        self.site().map_or(Ok(()), |site| site.forget_facts(&places))?;
        self.drop_parcels(&parcels)?;
        self.forget_alerts(|alert| alert.tenant.as_deref() == Some(tenant))?;
        if let Some(seat) = self.seat_of_tenant(&name)? {
            let mut tenants = self.tenants();
            tenants.slots.destroy(&[seat], &Class::ALL).map_err(|error| error.to_string())?;
            tenants.known.remove(&seat);
            drop(tenants);
            self.marks.remove(mark_of(&name))?;
            self.flush()?;
            // Of those that are up nothing that is in the files, or still comes, can be opened either.
            places.iter().for_each(|place| self.remove_reel_file(&name_in(place)));
        }
        Ok(Ok(ErasedTenant { tenant: tenant.to_owned(), calls, up, waiting }))
    }

    /// Whether a call's half of before was erased: it is counted no more, and whoever was in it is held in vain.
    fn is_erased(&self, place: &Place) -> Result<bool, String> {
        let line = self.calls.get(place)?;
        let sealed = match line {
            Some(line) => Some(line),
            // It is up.
            None => self.notices.get(notice_key(&name_in(place), 0))?,
        };
        let Some(head) = sealed.as_deref().and_then(head_of) else { return Ok(false) };
        let Some(seat) = head.tenant else { return Ok(false) };
        Ok(self.tenants().at(&self.keys, seat)?.is_none())
    }

    /// Writes the tenants' halves.
    pub(in super::super) fn dump_tenants(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut first = 0;
        loop {
            let bytes = self.tenants().piece(&mut first)?;
            if bytes.is_empty() {
                return Ok(());
            }
            out.write_all(&bytes)?;
        }
    }

    /// What stands for a tenant in the index of whose calls they are.
    pub(super) fn tenant_name(&self, tenant: &str) -> [u8; 16] {
        // No person's: those have an `@`, or digits alone.
        self.keys.blind(format!("tenant {tenant}").as_bytes())
    }

    fn tenant_named(&self, tenant: &str) -> Result<TenantKey, String> {
        let name = self.tenant_name(tenant);
        let known = self.seat_of_tenant(&name)?;
        if let Some(seat) = known
            && let Some(key) = self.tenants().at(&self.keys, seat)?
        {
            return Ok(key);
        }
        let mut tenants = self.tenants();
        let seat = tenants.slots.take(&self.keys, None).map_err(|error| error.to_string())?.seat;
        tenants.slots.sync().map_err(|error| error.to_string())?;
        self.marks.insert(mark_of(&name), seat.octets())?;
        // Without it nobody would know what to overwrite.
        self.flush()?;
        tenants.at(&self.keys, seat)?.ok_or_else(|| "the tenant's key is gone".to_owned())
    }

    fn seat_of_tenant(&self, name: &[u8; 16]) -> Result<Option<Seat>, String> {
        Ok(self.marks.get(mark_of(name))?.and_then(|octets| Seat::of(&octets)))
    }
}

fn mark_of(name: &[u8; 16]) -> Vec<u8> {
    [&b"tenant "[..], name].concat()
}

#[cfg(test)]
mod tests {
    use super::super::outbox::context;
    use super::super::tests::{BEGAN, Place, call, parcel};
    use super::super::{Kept, Running};
    use super::*;
    use crate::notice::{Outcome, Tags, What};
    use crate::web::Moment;

    #[test]
    fn what_is_erased_of_a_tenant_opens_nowhere_and_others_stay() {
        Place::each().iter().for_each(check);
    }

    fn check(place: &Place) {
        let mut running = Running::default();
        let store = place.open();
        for (number, tenant) in [(0, Some("one")), (1, Some("one")), (2, Some("other")), (3, None)] {
            store.keep(&mut running, &of_tenant(number, tenant)).expect("written");
        }
        store.keep_parcels(&[parcel(1, "call 0"), parcel(2, "call 2")]).expect("written");
        let waiting = store.outbox.get(1_u64.to_be_bytes()).expect("readable").expect("it waits");
        // One that is up, and goes on behind the erasure.
        let up = of_tenant(4, Some("one"));
        store.keep(&mut running, &up[..1]).expect("written");
        let store = place.open_again(store);
        let sealed: Vec<_> = store.notices.scan_prefix(&[]).map(|entry| entry.expect("readable")).collect();
        let is_there =
            |store: &Embedded, number: u64| store.call(&format!("call {number}")).expect("readable").is_some();
        assert!((0..4).all(|number| is_there(&store, number)), "they outlive a start");

        let held = Held { reason: "court".to_owned(), since: Moment(1) };
        assert!(store.hold("13800138000", held.clone()).expect("written").is_ok());
        assert_eq!(store.erase_tenant("one").expect("written"), Err(held));
        store.release("13800138000").expect("written");
        let erased = store.erase_tenant("one").expect("written").expect("nobody is held");
        assert_eq!((erased.calls, erased.up), (3, 1));
        assert_eq!(store.parcels().expect("readable"), [parcel(2, "call 2")]);
        assert!(store.open_one(&context(1), &waiting).expect("as sealed").is_none());
        let held = Held { reason: "court".to_owned(), since: Moment(2) };
        assert!(store.hold("13800138000", held).expect("written").is_ok());
        let twice = store.erase_tenant("one").expect("written").expect("nobody is held in what is gone");
        assert_eq!((twice.calls, twice.up), (0, 0));
        store.release("13800138000").expect("written");
        assert_eq!([0, 1, 2, 3].map(|number| is_there(&store, number)), [false, false, true, true]);
        assert_eq!(store.calls(Moment(u64::MAX), 10).expect("readable").len(), 2);
        let outcome = Outcome { by: "crm".to_owned(), satisfied: Some(1), ..Outcome::default() };
        assert_eq!(store.tell_late("call 0", outcome, Moment(BEGAN)).expect("read"), Err(crate::web::Late::NoSuchCall));
        store.keep(&mut running, &up[1..]).expect("what it tells is kept no more");
        assert!(!is_there(&store, 4));

        // Values of before open for nobody, and the tenant begins anew.
        store.keep(&mut running, &of_tenant(5, Some("one"))).expect("written");
        let store = place.open_again(store);
        let opened = |(key, sealed): &(Vec<u8>, Vec<u8>)| store.open_one(key, sealed).expect("as sealed").is_some();
        assert_eq!(sealed.iter().filter(|value| opened(value)).count(), 4, "two calls of two notices");
        assert!(is_there(&store, 5));
        let none = store.erase_tenant("nobody").expect("written").expect("nobody is held");
        assert_eq!((none.calls, none.up), (0, 0));
        assert_eq!(store.forget_before(Moment(u64::MAX), 100).expect("written"), 5, "what is left goes by its age");
        assert_eq!(store.notices.len(), 0);
    }

    #[test]
    fn what_is_left_of_a_call_that_was_up_goes_with_the_next_start() {
        for place in Place::each() {
            let store = place.open();
            store.keep(&mut Running::default(), &of_tenant(0, Some("one"))[..1]).expect("written");
            assert_eq!(store.erase_tenant("one").expect("written").expect("nobody is held").up, 1);
            let store = place.open_again(store);
            let (mut running, up) = (Running::default(), Running::default());
            assert_eq!(store.end_abandoned(&mut running, &up, Moment(BEGAN)).expect("written"), 0);
            assert_eq!((store.notices.len(), store.people.len(), store.parties.len()), (0, 0, 0));
        }
    }

    fn of_tenant(number: u64, tenant: Option<&str>) -> Vec<Kept> {
        let mut kept = call(number, BEGAN + number);
        if let What::CallStarted { tags, .. } = &mut kept[0].notice.what {
            *tags = Tags { tenant: tenant.map(str::to_owned), ..Tags::default() };
        }
        kept
    }
}
