//! Follows the objects of one scope: a list, then a watch from its version on, and a list again when the watch cannot go on.
//!
//! As the watcher of kube-runtime does it, whose events and errors these are, but for the list, which is read as it arrives.

use std::time::Duration;

use futures::channel::mpsc::Sender;
use futures::{SinkExt, Stream, StreamExt};
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::core::ResourceExt;
use kube::runtime::utils::Backoff;
use kube::runtime::watcher::{DefaultBackoff, Error, Event};
use kube::{Api, Client};
use tokio::time::{Instant, sleep, timeout};

use super::listing::Listing;
use super::references::{Denied, denied};
use super::watched::Watched;
use crate::telemetry::sight::WatchSight;

/// After how long the server ends a watch, in seconds, and what we wait beyond for an end that does not come. Source: kube-runtime.
const WATCH_SECONDS: u32 = 290;
const MARGIN: Duration = Duration::from_secs(5);

/// A watch that ended sooner without an event did not really begin. Source: client-go's reflector.
const AT_ONCE: Duration = Duration::from_secs(1);

/// What a watch shows.
pub type Seen = Result<Event<Watched>, Error>;

/// Whoever was listening does not any more.
struct NobodyListens;

/// Follows the objects and tells what it sees, until nobody listens. A failed listing is begun again.
pub async fn follow(
    client: Client,
    api: Api<Watched>,
    label_selector: Option<String>,
    sight: WatchSight,
    to: Sender<Seen>,
) {
    let follower = Follower { client, api, label_selector, sight, to, back_off: DefaultBackoff::default() };
    let _ = follower.run().await;
}

struct Follower {
    client: Client,
    api: Api<Watched>,
    label_selector: Option<String>,
    sight: WatchSight,
    to: Sender<Seen>,
    back_off: DefaultBackoff,
}

impl Follower {
    async fn run(mut self) -> Result<(), NobodyListens> {
        loop {
            let mut version = self.list().await?;
            while let Some(reached) = self.watch(version).await? {
                version = reached;
            }
        }
    }

    /// Lists until it succeeds.
    async fn list(&mut self) -> Result<String, NobodyListens> {
        loop {
            match self.list_once().await? {
                Ok(version) => {
                    self.sight.sees();
                    self.tell(Event::InitDone).await?;
                    return Ok(version);
                }
                Err(error) => self.fail(Error::InitialListFailed(error)).await?,
            }
        }
    }

    /// Lists. What it finds before it fails is no success, and does not end the back-off.
    async fn list_once(&mut self) -> Result<kube::Result<String>, NobodyListens> {
        let params = ListParams { label_selector: self.label_selector.clone(), ..ListParams::default() };
        let mut listing = match Listing::begin(&self.client, &self.api, &params).await {
            Ok(listing) => listing,
            Err(error) => return Ok(Err(error)),
        };
        self.to.send(Ok(Event::Init)).await.map_err(|_| NobodyListens)?;
        loop {
            match listing.next().await {
                Ok(Some(object)) => self.to.send(Ok(Event::InitApply(object))).await.map_err(|_| NobodyListens)?,
                Ok(None) => return Ok(listing.version()),
                Err(error) => return Ok(Err(error)),
            }
        }
    }

    /// Watches from a version on until the watch ends. Returns the version it came to; none if the server does not know it any more.
    async fn watch(&mut self, mut version: String) -> Result<Option<String>, NobodyListens> {
        let params = WatchParams {
            label_selector: self.label_selector.clone(),
            timeout: Some(WATCH_SECONDS),
            ..WatchParams::default()
        };
        let mut events = match self.api.watch(&params, &version).await {
            Ok(events) => {
                self.sight.sees();
                events.boxed()
            }
            Err(error) => {
                let error = Error::WatchStartFailed(error);
                let lost = is_lost(&error);
                self.fail(error).await?;
                return Ok((!lost).then_some(version));
            }
        };
        let (begun, from) = (Instant::now(), version.clone());
        while let Some(event) = next(&mut events).await {
            match news(event) {
                Ok((reached, event)) => {
                    self.sight.sees();
                    version = reached;
                    if let Some(event) = event {
                        self.tell(event).await?;
                    }
                }
                // It may be one event that cannot be read: the next one tells.
                Err(error) => {
                    let lost = is_lost(&error);
                    self.fail(error).await?;
                    if lost {
                        return Ok(None);
                    }
                }
            }
        }
        // Whatever ends watches as soon as they begin is not asked again at once.
        if version == from && begun.elapsed() < AT_ONCE {
            self.pause().await;
        }
        Ok(Some(version))
    }

    async fn tell(&mut self, event: Event<Watched>) -> Result<(), NobodyListens> {
        self.back_off.reset();
        self.to.send(Ok(event)).await.map_err(|_| NobodyListens)
    }

    /// Tells of a failure, and waits, longer each time, until it is worth trying again.
    async fn fail(&mut self, error: Error) -> Result<(), NobodyListens> {
        self.sight.fails(is_refused(&error));
        self.to.send(Err(error)).await.map_err(|_| NobodyListens)?;
        self.pause().await;
        Ok(())
    }

    async fn pause(&mut self) {
        // It has no end.
        if let Some(pause) = self.back_off.next() {
            sleep(pause).await;
        }
    }
}

/// The next event; none once the watch ended, or is dead: the server ends a watch in time.
async fn next<S: Stream + Unpin>(events: &mut S) -> Option<S::Item> {
    timeout(Duration::from_secs(WATCH_SECONDS.into()) + MARGIN, events.next()).await.unwrap_or(None)
}

/// The version to which an event brings us, and what it tells.
fn news(event: kube::Result<WatchEvent<Watched>>) -> Result<(String, Option<Event<Watched>>), Error> {
    let (version, event) = match event.map_err(Error::WatchFailed)? {
        WatchEvent::Added(object) | WatchEvent::Modified(object) => {
            (object.resource_version(), Some(Event::Apply(object)))
        }
        WatchEvent::Deleted(object) => (object.resource_version(), Some(Event::Delete(object))),
        WatchEvent::Bookmark(mark) => (Some(mark.metadata.resource_version), None),
        WatchEvent::Error(status) => return Err(Error::WatchError(status.boxed())),
    };
    let version = version.filter(|version| !version.is_empty()).ok_or(Error::NoResourceVersion)?;
    Ok((version, event))
}

/// Whether the watch cannot go on where it was: the server has forgotten the version, or we do not know it.
///
/// Source: Kubernetes API concepts, "410 Gone responses".
fn is_lost(error: &Error) -> bool {
    match error {
        Error::NoResourceVersion => true,
        Error::WatchError(status) | Error::WatchStartFailed(kube::Error::Api(status)) => status.code == 410,
        _ => false,
    }
}

/// Whether we may not look there at all.
pub fn is_refused(error: &Error) -> bool {
    let (Error::InitialListFailed(error) | Error::WatchStartFailed(error)) = error else { return false };
    matches!(denied(error), Some(Denied::Forbidden { .. }))
}

#[cfg(test)]
mod tests;
