//! The two-part lookup: does the cloud hold a machine with our domain, or with our name? Reads only.
//!
//! Finding nothing proves something only if both listings were complete, so everything less is an error here, never "nothing".

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::Context;
use super::paging::Paging;
use super::problem::Problem;
use super::queue::{Key, Lane};
use crate::tencent::cvm::MAX_PAGE;
use crate::tencent::{Account, AccountKey, Action, CallError, DescribeInstances, DescribePaiInstances, Instance, Turn};

/// For how long an answer is used, from before its first request. Source: our choice: what remains of the minute of step 6 is for the
/// way to the send.
const REUSE_FOR: Duration = Duration::from_secs(45);

/// What a complete lookup found.
#[derive(Clone, Debug)]
pub struct Found {
    /// The monotonic clock before the first request.
    pub begun: Instant,
    /// Our clock before the first request: what is found was true at some moment after this.
    pub begun_at: Timestamp,
    /// The cloud's clock at the first reply (`Date` header), where it gave one.
    pub cloud_time: Option<Timestamp>,
    /// Domains of all PAI instances of the account by id; `None` if the cloud no longer offers that listing.
    pub domains: Option<Arc<BTreeMap<String, String>>>,
    /// The machines that bear exactly the name that was looked for.
    pub named: Vec<Instance>,
}

impl Found {
    /// Ids of the machines that have the domain.
    pub fn with_domain(&self, domain: &str) -> Vec<String> {
        let all = self.domains.iter().flat_map(|domains| domains.iter());
        all.filter(|(_, known)| same_domain(known, domain)).map(|(id, _)| id.clone()).collect()
    }

    /// Whether the machine was found at all.
    pub fn has(&self, id: &str) -> bool {
        let listed = self.domains.as_ref().is_some_and(|domains| domains.contains_key(id));
        listed || self.named.iter().any(|one| one.instance_id.as_str() == id)
    }

    /// Whether the machine has the domain or the name that was looked for: only such a one may a person give to an object.
    pub fn answers_to(&self, id: &str, domain: &str) -> bool {
        self.named.iter().any(|one| one.instance_id.as_str() == id)
            || self.with_domain(domain).iter().any(|known| known == id)
    }

    /// Whether the machine is known under a domain that is not ours.
    pub fn has_other_domain(&self, id: &str, domain: &str) -> bool {
        let known = self.domains.as_ref().and_then(|domains| domains.get(id));
        known.is_some_and(|known| !known.is_empty() && !same_domain(known, domain))
    }
}

/// DNS names are compared without case and without the root dot (RFC 4343).
fn same_domain(one: &str, other: &str) -> bool {
    one.trim_end_matches('.').eq_ignore_ascii_case(other.trim_end_matches('.'))
}

/// A listing of all PAI instances of one account and region.
#[derive(Clone, Debug)]
pub struct Listing {
    begun: Instant,
    begun_at: Timestamp,
    cloud_time: Option<Timestamp>,
    domains: Option<Arc<BTreeMap<String, String>>>,
}

/// The machines that bear one name.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Named {
    begun: Instant,
    begun_at: Timestamp,
    cloud_time: Option<Timestamp>,
    machines: Vec<Instance>,
}

/// A question to the cloud that one object has, until it is answered: what is used for it began after it came up.
///
/// A create that has to wait for its turn keeps its answer for less than the minute of step 6, so that a thousand that wait ask once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    account: AccountKey,
    /// The name to look for; none if the list of domains is enough.
    name: Option<String>,
    since: Instant,
    named: Option<Named>,
}

/// How far a look has come.
#[derive(Debug)]
pub enum Looked {
    /// It is complete.
    Found(Found),
    /// It failed.
    Failed(Problem),
    /// The listing is under way: the object gets another pass when it is there.
    Later,
}

/// Listings that many objects share: one may be used by all who asked before it began.
#[derive(Debug, Default)]
pub struct SharedListings {
    places: Mutex<BTreeMap<AccountKey, Place>>,
}

/// The listings of one account and region.
#[derive(Debug, Default)]
struct Place {
    /// The last one, with its beginning.
    last: Option<(Instant, Result<Listing, CallError>)>,
    /// The task that lists now.
    task: Option<JoinHandle<()>>,
    /// Who waits for one that begins after they asked.
    waiting: BTreeMap<Key, Waiter>,
}

/// An object that needs a listing.
#[derive(Clone, Copy, Debug)]
struct Waiter {
    /// When its question came up.
    since: Instant,
    /// The lane in which it is called, once its pass has ended; none while its pass still runs and asks again itself.
    called_in: Option<Lane>,
}

impl SharedListings {
    /// A complete listing that began after the waiter's question, if there is one; else one is begun, and an object whose pass has ended
    /// is called when it is there.
    fn get(
        &self,
        context: &Arc<Context>,
        account: &Account,
        key: &Key,
        waiter: Waiter,
    ) -> Option<Result<Listing, CallError>> {
        let mut places = self.locked();
        let place = places.entry(account.key()).or_default();
        if let Some((begun, listing)) = &place.last
            && *begun >= waiter.since
            && begun.elapsed() < REUSE_FOR
        {
            return Some(listing.clone());
        }
        place.waiting.insert(key.clone(), waiter);
        if place.task.as_ref().is_none_or(JoinHandle::is_finished) {
            place.task = Some(tokio::spawn(list(Arc::clone(context), account.clone())));
        }
        None
    }

    /// The object has no use for a listing any more: it is not called when one is there.
    fn forget(&self, account: &AccountKey, key: &Key) {
        if let Some(place) = self.locked().get_mut(account) {
            place.waiting.remove(key);
        }
    }

    /// Puts a listing down. Returns whom to call, and whether somebody asked after it had begun.
    fn put(&self, key: &AccountKey, begun: Instant, listing: Result<Listing, CallError>) -> (Vec<(Key, Lane)>, bool) {
        let mut places = self.locked();
        let place = places.entry(key.clone()).or_default();
        place.last = Some((begun, listing));
        let (served, later): (Vec<_>, Vec<_>) =
            std::mem::take(&mut place.waiting).into_iter().partition(|(_, waiter)| waiter.since <= begun);
        place.waiting = later.into_iter().collect();
        let called = served.into_iter().filter_map(|(key, waiter)| Some((key, waiter.called_in?)));
        (called.collect(), !place.waiting.is_empty())
    }

    /// Frees the room of an account whose last listing nobody may use any more, unless one is under way: that one clears up after itself.
    fn clear(&self, key: &AccountKey) {
        let mut places = self.locked();
        let is_over = |place: &Place| {
            place.task.as_ref().is_none_or(JoinHandle::is_finished)
                && place.waiting.is_empty()
                && place.last.as_ref().is_some_and(|(begun, _)| begun.elapsed() >= REUSE_FOR)
        };
        if places.get(key).is_some_and(is_over) {
            places.remove(key);
        }
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<AccountKey, Place>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lists until nobody waits any more.
async fn list(context: Arc<Context>, account: Account) {
    let key = account.key();
    loop {
        let begun = context.clock.monotonic();
        let listing = list_domains(&context, &account).await;
        let (served, more) = context.listings.put(&key, begun, listing);
        for (object, lane) in served {
            context.queue.push(&object, lane);
        }
        if !more {
            break;
        }
    }
    tokio::spawn(async move {
        tokio::time::sleep(REUSE_FOR + Duration::from_secs(1)).await;
        context.listings.clear(&key);
    });
}

impl Question {
    /// A new question.
    pub fn new(account: &Account, name: Option<&str>, since: Instant) -> Self {
        Self { account: account.key(), name: name.map(str::to_owned), since, named: None }
    }

    /// Whether it asks the same.
    pub fn is(&self, account: &Account, name: Option<&str>) -> bool {
        self.account == account.key() && self.name.as_deref() == name
    }

    /// Whether a call has to be made for it that no other object shares.
    pub fn takes_a_call(&self) -> bool {
        self.name.is_some() && self.named.as_ref().is_none_or(|named| named.begun.elapsed() >= REUSE_FOR)
    }

    /// Looks for machines with our domain, and for machines with the name, as far as the answers can be had now. If they cannot, the
    /// object is called in that lane when they can.
    pub async fn ask(
        &mut self,
        context: &Arc<Context>,
        account: &Account,
        key: &Key,
        lane: Lane,
        turn: Turn,
    ) -> Looked {
        let asks_itself = self.takes_a_call();
        let waiter = |called_in| Waiter { since: self.since, called_in };
        let later = waiter(Some(lane));
        // Asked for before the call by name, so that both are under way at once.
        let now = if asks_itself { waiter(None) } else { later };
        let mut listing = context.listings.get(context, account, key, now);
        if asks_itself && let Some(name) = &self.name {
            match list_named(context, account, name, turn).await {
                Ok(named) => self.named = Some(named),
                Err(error) => {
                    context.listings.forget(&self.account, key);
                    return Looked::Failed(Problem::failed_lookup(Action::DescribeInstances, &error));
                }
            }
            if listing.is_none() {
                listing = context.listings.get(context, account, key, later);
            }
        }
        match listing {
            None => Looked::Later,
            Some(Err(error)) => Looked::Failed(Problem::failed_lookup(Action::DescribePaiInstances, &error)),
            Some(Ok(listing)) => Looked::Found(self.found(listing)),
        }
    }

    fn found(&self, listing: Listing) -> Found {
        let named = self.named.as_ref();
        Found {
            begun: named.map_or(listing.begun, |named| named.begun.min(listing.begun)),
            begun_at: named.map_or(listing.begun_at, |named| named.begun_at.min(listing.begun_at)),
            // The earlier of two readings: what was late enough at the first reply was so at both.
            cloud_time: named.and_then(|named| named.cloud_time).into_iter().chain(listing.cloud_time).min(),
            domains: listing.domains,
            named: named.map(|named| named.machines.clone()).unwrap_or_default(),
        }
    }
}

/// All PAI instances. Only a cloud that no longer knows the action is excused: the other half must then suffice.
async fn list_domains(context: &Context, account: &Account) -> Result<Listing, CallError> {
    let (begun, begun_at) = (context.clock.monotonic(), context.clock.now());
    let mut cloud_time = None;
    let mut paging = Paging::default();
    while let Some(offset) = paging.next_offset() {
        let request = DescribePaiInstances {
            offset: Some(offset),
            limit: Some(MAX_PAGE as u64),
            ..DescribePaiInstances::default()
        };
        match context.cloud.describe_pai_instances(account, &request, context.clock.now()).await {
            Ok(reply) => {
                cloud_time = cloud_time.or(reply.cloud_time);
                let items = reply.value.instances.into_iter();
                let items = items.map(|one| (one.instance_id.to_string(), one.domain_name.unwrap_or_default()));
                paging.take(reply.value.total_count, items.collect())?;
            }
            Err(CallError::Refused { error, cloud_time })
                if matches!(error.code.as_str(), "ActionOffline" | "InvalidAction") =>
            {
                return Ok(Listing { begun, begun_at, cloud_time, domains: None });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Listing { begun, begun_at, cloud_time, domains: Some(Arc::new(paging.entries())) })
}

/// The machines that bear exactly the name. The cloud's filter may be fuzzy, so the names are compared here.
async fn list_named(context: &Context, account: &Account, name: &str, turn: Turn) -> Result<Named, CallError> {
    let (begun, begun_at) = (context.clock.monotonic(), context.clock.now());
    let mut cloud_time = None;
    let mut paging = Paging::default();
    let mut has_turn = turn == Turn::Taken;
    while let Some(offset) = paging.next_offset() {
        let request = DescribeInstances::by_name(name, offset);
        if !has_turn {
            context.cloud.turn(account, Action::DescribeInstances).await?;
        }
        has_turn = false;
        let reply = context.cloud.describe_instances(account, &request, context.clock.now()).await?;
        cloud_time = cloud_time.or(reply.cloud_time);
        let items = reply.value.instances.into_iter().map(|one| (one.instance_id.to_string(), one));
        paging.take(reply.value.total_count, items.collect())?;
    }
    let machines = paging.entries().into_values().filter(|one| one.instance_name.as_deref() == Some(name)).collect();
    Ok(Named { begun, begun_at, cloud_time, machines })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_are_compared_as_dns_does() {
        assert!(same_domain("Apple.PAI.tcloudbase.com.", "apple.pai.tcloudbase.com"));
        assert!(!same_domain("apple2.pai.tcloudbase.com", "apple.pai.tcloudbase.com"));
    }
}
