//! What a stand-in cloud is started with. Plain data; reads no environment and no file.

use jiff::SignedDuration;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// One API key. Machines belong to its [`owner`](Account::owner).
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// Secret id, as in the credential scope.
    pub secret_id: String,
    /// Secret key.
    pub secret_key: String,
    /// Token of a temporary key; then `X-TC-Token` must equal it. Without one the header is refused.
    pub token: Option<String>,
    /// Name of the account the key belongs to: its own secret id unless set. Two keys of one owner see the
    /// same machines, as after the rotation of a key.
    pub owner: String,
}

impl Account {
    /// A permanent key with an account of its own.
    pub fn new(secret_id: impl Into<String>, secret_key: impl Into<String>) -> Self {
        let secret_id = secret_id.into();
        Self { owner: secret_id.clone(), secret_id, secret_key: secret_key.into(), token: None }
    }

    /// Makes it a temporary key.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// Makes it a further key of the account `owner`.
    #[must_use]
    pub fn owner(mut self, owner: impl Into<String>) -> Self {
        self.owner = owner.into();
        self
    }
}

// The key must not reach a log through a derived Debug.
impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("secret_id", &self.secret_id)
            .field("owner", &self.owner)
            .finish_non_exhaustive()
    }
}

/// What a second create with a domain that is in use gets. No page says; both worlds are offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DomainPolicy {
    /// Refused with `FailedOperation.DomainNameInUse`: our choice of a code that no list has.
    Unique,
    /// A second machine is bought.
    Shared,
}

/// Whether `SystemDisk` of `CreatePaiInstance` is known: the API page contradicts itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SystemDiskPolicy {
    /// Taken, as in the page's example.
    Accept,
    /// `UnknownParameter`, as its parameter table suggests.
    Refuse,
}

/// Everything a stand-in cloud is started with.
#[derive(Debug, Clone)]
pub struct Config {
    /// Address of the HTTP shell; port 0 picks a free one. The core ignores it.
    pub listen: SocketAddr,
    /// The keys that are known.
    pub accounts: Vec<Account>,
    /// From the create to RUNNING.
    pub boot_time: Duration,
    /// From an accepted terminate until the machine is no longer listed, and how long the operation of a
    /// prepaid one runs. Our choice, because no page gives a figure.
    pub terminate_time: Duration,
    /// How long a `LAUNCH_FAILED` machine stays listed. Our choice, as above.
    pub launch_failed_time: Duration,
    /// Seed of ids, request ids and preview names.
    pub seed: u64,
    /// What a domain in use means.
    pub domain_policy: DomainPolicy,
    /// What `SystemDisk` means.
    pub system_disk: SystemDiskPolicy,
    /// Whether the documented rate limits are enforced.
    pub rate_limits: bool,
    /// Wait before every answer of the API.
    pub latency: Duration,
    /// How far the clock of the HTTP shell is ahead of this machine's. The core has no clock and ignores it.
    pub clock_offset: SignedDuration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            accounts: Vec::new(),
            boot_time: Duration::from_secs(2),
            terminate_time: Duration::from_secs(2),
            launch_failed_time: Duration::from_mins(1),
            seed: 0,
            domain_policy: DomainPolicy::Unique,
            system_disk: SystemDiskPolicy::Accept,
            rate_limits: true,
            latency: Duration::ZERO,
            clock_offset: SignedDuration::ZERO,
        }
    }
}

impl Config {
    /// Adds a key.
    #[must_use]
    pub fn account(mut self, account: Account) -> Self {
        self.accounts.push(account);
        self
    }
}
