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
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::Leadership;
use crate::clock::Clock;

/// How the election is set up.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Namespace of the Lease.
    pub namespace: String,
    /// Name of the Lease.
    pub name: String,
    /// Who we are: the pod's name, so that a restarted container recognises its own lease.
    pub identity: String,
    /// How long a lease holds without renewal. Renewed every fifth of it.
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

/// One candidate.
pub struct Election {
    leases: Api<Lease>,
    settings: Settings,
    clock: Clock,
    expires: watch::Sender<Option<Instant>>,
    /// The holder and the renewal that were seen last, and when by our own clock: a lease is stale when these stand still.
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
            let pause = match timeout(self.call_deadline(), self.try_hold()).await {
                Ok(Ok(true)) => {
                    alive();
                    self.hold_until(sent + self.settings.duration);
                    self.settings.duration / 5
                }
                Ok(Ok(false)) => {
                    alive();
                    if self.leads() {
                        warn!(lease = self.settings.name, "another holds the lease");
                        return self.lose();
                    }
                    self.settings.duration / 7
                }
                Ok(Err(error)) => {
                    warn!(%error, "the lease cannot be read or written");
                    self.settings.duration / 15
                }
                Err(_) => {
                    warn!("the lease cannot be read or written in time");
                    self.settings.duration / 15
                }
            };
            let end = *self.expires.borrow();
            tokio::select! {
                biased;
                () = stop.cancelled() => return self.release().await,
                () = expired(end) => {
                    warn!(lease = self.settings.name, "the lease was not renewed in time");
                    return self.lose();
                }
                () = tokio::time::sleep(self.clock.jittered(pause)) => {}
            }
        }
    }

    /// Longest wait for one exchange: a third of the lease, so that two tries fit before it ends.
    fn call_deadline(&self) -> Duration {
        self.settings.duration / 3
    }

    fn leads(&self) -> bool {
        self.expires.borrow().is_some()
    }

    fn hold_until(&self, end: Instant) {
        if self.expires.send_replace(Some(end)).is_none() {
            info!(lease = self.settings.name, identity = self.settings.identity, "leading");
        }
    }

    fn lose(&self) -> Stepdown {
        self.expires.send_replace(None);
        Stepdown::Lost
    }

    /// One exchange: takes or renews the lease if it may. Says whether we hold it.
    async fn try_hold(&mut self) -> Result<bool, kube::Error> {
        let Some(mut lease) = self.leases.get_opt(&self.settings.name).await? else {
            let lease = Lease {
                metadata: ObjectMeta { name: Some(self.settings.name.clone()), ..ObjectMeta::default() },
                spec: Some(self.ours(None)),
            };
            return taken(self.leases.create(&PostParams::default(), &lease).await);
        };
        let spec = lease.spec.clone().unwrap_or_default();
        if !self.may_take(&spec) {
            return Ok(false);
        }
        lease.spec = Some(self.ours(Some(&spec)));
        taken(self.leases.replace(&self.settings.name, &PostParams::default(), &lease).await)
    }

    /// Whether the lease is ours, free, or has stood still for its whole duration by our own clock.
    fn may_take(&mut self, spec: &LeaseSpec) -> bool {
        let holder = spec.holder_identity.as_deref().unwrap_or_default();
        if holder.is_empty() || holder == self.settings.identity {
            return true;
        }
        let now = Instant::now();
        match &self.observed {
            Some((seen, since)) if seen == spec => {
                let seconds = spec.lease_duration_seconds.unwrap_or(0).clamp(0, 3600);
                now >= *since + Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
            }
            _ => {
                self.observed = Some((spec.clone(), now));
                false
            }
        }
    }

    /// The lease as ours, over the one before.
    fn ours(&self, before: Option<&LeaseSpec>) -> LeaseSpec {
        let now = MicroTime(self.clock.now());
        let renewed = before.filter(|spec| spec.holder_identity.as_deref() == Some(self.settings.identity.as_str()));
        let transitions = before.and_then(|spec| spec.lease_transitions).unwrap_or(0);
        LeaseSpec {
            holder_identity: Some(self.settings.identity.clone()),
            lease_duration_seconds: Some(i32::try_from(self.settings.duration.as_secs()).unwrap_or(15).max(1)),
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
            match timeout(self.call_deadline(), self.give_back()).await {
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

/// A lost race is not an error: somebody else was faster.
fn taken(result: Result<Lease, kube::Error>) -> Result<bool, kube::Error> {
    match result {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
        Err(error) => Err(error),
    }
}

/// Waits for the end of a lease that is held; for ever if none is.
async fn expired(end: Option<Instant>) {
    match end {
        Some(end) => tokio::time::sleep_until(end).await,
        None => std::future::pending().await,
    }
}
