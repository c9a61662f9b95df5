//! The two-part lookup: does the cloud hold a machine with our domain, or with our name? Reads only.
//!
//! Finding nothing proves something only if both listings were complete, so everything less is an error here, never "nothing".

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::Instant;

use super::Context;
use super::paging::Paging;
use super::problem::Problem;
use crate::tencent::cvm::MAX_PAGE;
use crate::tencent::{Account, Action, CallError, DescribeInstances, DescribePaiInstances, Instance};

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
struct Listing {
    begun: Instant,
    begun_at: Timestamp,
    cloud_time: Option<Timestamp>,
    domains: Option<Arc<BTreeMap<String, String>>>,
}

/// The last listing by secret id and region, one lock each.
type Shelf = HashMap<(String, String), Arc<AsyncMutex<Option<Listing>>>>;

/// Listings that many creations share: one may be used by all who asked before it began.
#[derive(Debug, Default)]
pub struct SharedListings {
    shelf: Mutex<Shelf>,
}

impl SharedListings {
    /// A complete listing that began after now.
    async fn listing(&self, context: &Context, account: &Account) -> Result<Listing, CallError> {
        let asked = context.clock.monotonic();
        let key = (account.credentials.secret_id.to_string(), account.region.to_string());
        let place = Arc::clone(self.shelf.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default());
        let mut last = place.lock().await;
        if let Some(listing) = last.as_ref().filter(|listing| listing.begun >= asked) {
            return Ok(listing.clone());
        }
        let listing = list_domains(context, account).await?;
        *last = Some(listing.clone());
        Ok(listing)
    }
}

/// Looks for machines with our domain, and for machines with the name.
pub async fn look_up(context: &Context, account: &Account, name: &str) -> Result<Found, Problem> {
    let listing = context.listings.listing(context, account).await;
    let listing = listing.map_err(|error| Problem::failed_lookup(Action::DescribePaiInstances, &error))?;
    let begun_at = context.clock.now().min(listing.begun_at);
    let named = list_named(context, account, name).await;
    let (named, cloud_time) = named.map_err(|error| Problem::failed_lookup(Action::DescribeInstances, &error))?;
    Ok(Found {
        begun: listing.begun,
        begun_at,
        cloud_time: listing.cloud_time.or(cloud_time),
        domains: listing.domains,
        named,
    })
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
async fn list_named(
    context: &Context,
    account: &Account,
    name: &str,
) -> Result<(Vec<Instance>, Option<Timestamp>), CallError> {
    let mut cloud_time = None;
    let mut paging = Paging::default();
    while let Some(offset) = paging.next_offset() {
        let request = DescribeInstances::by_name(name, offset);
        let reply = context.cloud.describe_instances(account, &request, context.clock.now()).await?;
        cloud_time = reply.cloud_time;
        let items = reply.value.instances.into_iter().map(|one| (one.instance_id.to_string(), one));
        paging.take(reply.value.total_count, items.collect())?;
    }
    let named = paging.entries().into_values().filter(|instance| instance.instance_name.as_deref() == Some(name));
    Ok((named.collect(), cloud_time))
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
