//! The election: a Lease, replaced with its resourceVersion, judged by our own monotonic clock. Needs an API client with
//! deadlines; must never say "leader" past the end of the lease.
//!
//! The protocol is client-go's (`k8s.io/client-go/tools/leaderelection`). The candidates among crates were looked at and left out;
//! `docs/dependencies.md` says why.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::Leadership;
use crate::clock::Clock;

/// From one renewal to the next. Source: our choice: of a lease of 15 s, the shortest, this leaves a create's fence of 10 s two seconds
/// for the exchange; a longer lease is not renewed more seldom, it only bears a longer silence of the API server.
const RENEWAL: Duration = Duration::from_secs(3);

/// From one look of a standby to the next. Source: our choice: a lease that was given back is taken within this time, and one small read
/// a second is less than a watch that has to be opened, followed and opened again.
const LOOK: Duration = Duration::from_secs(1);

/// From a failed exchange to the next. Source: our choice.
const RETRY: Duration = Duration::from_secs(1);

/// From a lost race to the next exchange, which sees who won it. Source: our choice.
const AFTER_RACE: Duration = Duration::from_millis(100);

/// Longest wait for one exchange. Source: our choice: two tries fit between a renewal and the end of a lease of 15 s.
const CALL_DEADLINE: Duration = Duration::from_secs(5);

/// How the election is set up.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Namespace of the Lease.
    pub namespace: String,
    /// Name of the Lease.
    pub name: String,
    /// Who we are: the pod's name, so that a restarted container recognises its own lease.
    pub identity: String,
    /// How long a lease holds without renewal; at least 15 s, so that it outlasts a create's fence.
    pub duration: Duration,
}

/// Why the election ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stepdown {
    /// It was asked to end, and gave the lease back if it held it.
    Released,
    /// The lease could not be renewed in time, or another holds it.
    Lost,
}

/// What an exchange with the API server came to.
enum Exchange {
    /// The lease is ours.
    Held,
    /// It is another's, until then unless it is renewed.
    Claimed { until: Instant },
    /// Somebody wrote at the same moment.
    Raced,
}

/// One candidate.
pub struct Election {
    leases: Api<Lease>,
    settings: Settings,
    clock: Clock,
    expires: watch::Sender<Option<Instant>>,
    /// The lease as it was last seen while it was not ours, and since when by our own clock it has stood still.
    observed: Option<(LeaseSpec, Instant)>,
}

impl Election {
    /// A candidate, and the leadership that it tells of.
    pub fn new(api: Client, settings: Settings, clock: Clock) -> (Self, Leadership) {
        let (expires, leadership) = watch::channel(None);
        let leases = Api::namespaced(api, &settings.namespace);
        (Self { leases, settings, clock, expires, observed: None }, Leadership::new(leadership))
    }

    /// Stands until `stop`, or until leadership was held and is lost. `alive` is told after each exchange with the API server.
    pub async fn run(mut self, stop: CancellationToken, alive: impl Fn()) -> Stepdown {
        loop {
            let sent = Instant::now();
            let end = *self.expires.borrow();
            let exchange = tokio::select! {
                biased;
                () = expired(end) => return self.lose("the lease was not renewed in time"),
                exchange = timeout(CALL_DEADLINE, self.exchange()) => exchange,
            };
            if matches!(exchange, Ok(Ok(_))) {
                alive();
            }
            let next = match exchange {
                Ok(Ok(Exchange::Held)) => {
                    self.hold_until(sent + self.settings.duration);
                    // From one sending to the next, so that slow answers do not eat into what the fence asks for.
                    sent + self.clock.jittered(RENEWAL)
                }
                Ok(Ok(Exchange::Claimed { .. })) if self.leads() => return self.lose("another holds the lease"),
                Ok(Ok(Exchange::Claimed { until })) => until.min(Instant::now() + self.clock.jittered(LOOK)),
                Ok(Ok(Exchange::Raced)) => Instant::now() + self.clock.jittered(AFTER_RACE),
                Ok(Err(error)) => {
                    warn!(%error, "the lease cannot be read or written");
                    Instant::now() + self.clock.jittered(RETRY)
                }
                Err(_) => {
                    warn!("the lease cannot be read or written in time");
                    Instant::now() + self.clock.jittered(RETRY)
                }
            };
            let end = *self.expires.borrow();
            tokio::select! {
                biased;
                () = stop.cancelled() => return self.release().await,
                () = expired(end) => return self.lose("the lease was not renewed in time"),
                () = sleep_until(next) => {}
            }
        }
    }

    fn leads(&self) -> bool {
        self.expires.borrow().is_some()
    }

    fn hold_until(&self, end: Instant) {
        if self.expires.send_replace(Some(end)).is_none() {
            info!(lease = self.settings.name, identity = self.settings.identity, "leading");
        }
    }

    fn lose(&self, why: &str) -> Stepdown {
        warn!(lease = self.settings.name, why, "leadership is lost");
        self.expires.send_replace(None);
        Stepdown::Lost
    }

    /// One exchange: takes or renews the lease if it may.
    async fn exchange(&mut self) -> Result<Exchange, kube::Error> {
        let Some(mut lease) = self.leases.get_opt(&self.settings.name).await? else {
            if let Some(until) = self.observe_deleted() {
                return Ok(Exchange::Claimed { until });
            }
            let lease = Lease {
                metadata: ObjectMeta { name: Some(self.settings.name.clone()), ..ObjectMeta::default() },
                spec: Some(self.ours(None)),
            };
            return self.written(self.leases.create(&PostParams::default(), &lease).await);
        };
        let spec = lease.spec.clone().unwrap_or_default();
        if let Some(until) = self.observe(&spec) {
            return Ok(Exchange::Claimed { until });
        }
        lease.spec = Some(self.ours(Some(&spec)));
        self.written(self.leases.replace(&self.settings.name, &PostParams::default(), &lease).await)
    }

    /// A lost race is not an error: somebody else was faster, whose claim the next exchange sees.
    fn written(&mut self, result: Result<Lease, kube::Error>) -> Result<Exchange, kube::Error> {
        match result {
            Ok(_) => {
                self.observed = None;
                Ok(Exchange::Held)
            }
            Err(kube::Error::Api(status)) if status.code == 409 => {
                debug!(lease = self.settings.name, "another wrote the lease at the same moment");
                Ok(Exchange::Raced)
            }
            Err(error) => Err(error),
        }
    }

    /// Until when the lease is another's, after what is seen of it now; `None` if we may take it.
    fn observe(&mut self, spec: &LeaseSpec) -> Option<Instant> {
        let since = match &self.observed {
            Some((seen, since)) if seen == spec => *since,
            _ => Instant::now(),
        };
        self.observed = Some((spec.clone(), since));
        self.claimed_until(spec, since)
    }

    /// Until when a deleted lease is another's: its holder, who may not know yet and may have renewed it just before, goes on for as long
    /// as it was promised, and makes it again.
    fn observe_deleted(&mut self) -> Option<Instant> {
        let (seen, _) = self.observed.as_ref()?;
        self.observe(&LeaseSpec { renew_time: None, ..seen.clone() })
    }

    /// Until when a lease that has stood still since `since` by our own clock is another's; `None` if it is free, ours or stale.
    fn claimed_until(&self, spec: &LeaseSpec, since: Instant) -> Option<Instant> {
        let holder = spec.holder_identity.as_deref().unwrap_or_default();
        if holder.is_empty() || holder == self.settings.identity {
            return None;
        }
        let promised = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        let until = since + promised.map_or(self.settings.duration, Duration::from_secs);
        (Instant::now() < until).then_some(until)
    }

    /// The lease as ours, over the one before.
    fn ours(&self, before: Option<&LeaseSpec>) -> LeaseSpec {
        let now = MicroTime(self.clock.now());
        let renewed = before.filter(|spec| spec.holder_identity.as_deref() == Some(self.settings.identity.as_str()));
        let transitions = before.and_then(|spec| spec.lease_transitions).unwrap_or(0);
        LeaseSpec {
            holder_identity: Some(self.settings.identity.clone()),
            lease_duration_seconds: Some(whole_seconds(self.settings.duration)),
            acquire_time: renewed.and_then(|spec| spec.acquire_time.clone()).or_else(|| Some(now.clone())),
            renew_time: Some(now),
            lease_transitions: Some(if before.is_some() && renewed.is_none() {
                transitions.saturating_add(1)
            } else {
                transitions
            }),
            ..LeaseSpec::default()
        }
    }

    /// Gives the lease back, so that the next leader need not wait for its end. A failure costs only that wait.
    async fn release(self) -> Stepdown {
        if self.expires.send_replace(None).is_some() {
            match timeout(CALL_DEADLINE, self.give_back()).await {
                Ok(Ok(())) => info!(lease = self.settings.name, "released"),
                Ok(Err(error)) => warn!(%error, "the lease was not given back"),
                Err(_) => warn!("the lease was not given back in time"),
            }
        }
        Stepdown::Released
    }

    async fn give_back(&self) -> Result<(), kube::Error> {
        let mut lease = self.leases.get(&self.settings.name).await?;
        if let Some(spec) = lease.spec.as_mut()
            && spec.holder_identity.as_deref() == Some(self.settings.identity.as_str())
        {
            spec.holder_identity = Some(String::new());
            spec.lease_duration_seconds = Some(1);
            spec.renew_time = Some(MicroTime(self.clock.now()));
            self.leases.replace(&self.settings.name, &PostParams::default(), &lease).await?;
        }
        Ok(())
    }
}

/// The promise in the Lease, which must not be shorter than what we believe: rounded up.
fn whole_seconds(duration: Duration) -> i32 {
    let seconds = duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0));
    i32::try_from(seconds).unwrap_or(i32::MAX)
}

/// Waits for the end of a lease that is held; for ever if none is.
async fn expired(end: Option<Instant>) {
    match end {
        Some(end) => tokio::time::sleep_until(end).await,
        None => std::future::pending().await,
    }
}
