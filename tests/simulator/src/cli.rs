//! The command line of the binary. Parses only.

use crate::config::{Account, Config, DomainPolicy, SystemDiskPolicy};
use clap::{Parser, ValueEnum};
use jiff::SignedDuration;
use std::net::SocketAddr;
use std::time::Duration;

/// Stand-in for the Tencent Cloud AS and CVM APIs.
#[derive(Debug, Parser)]
#[command(name = "tencentcloud-simulator", version)]
pub struct Arguments {
    /// Address to listen on; port 0 picks a free one
    #[arg(long, default_value = "127.0.0.1:9000")]
    listen: SocketAddr,
    /// A key that is known; each has an account of its own
    #[arg(long = "account", value_name = "ID:KEY[:TOKEN]", required = true, value_parser = account)]
    accounts: Vec<Account>,
    /// A further key of the account of the key ID, as after a rotation
    #[arg(long = "further-key", value_name = "OF-ID:ID:KEY[:TOKEN]", value_parser = further_key)]
    further_keys: Vec<Account>,
    /// From the create until an instance runs
    #[arg(long, default_value = "2s", value_parser = duration)]
    boot_time: Duration,
    /// From a terminate until an instance is gone
    #[arg(long, default_value = "2s", value_parser = duration)]
    terminate_time: Duration,
    /// How long an instance that failed to launch stays listed
    #[arg(long, default_value = "60s", value_parser = duration)]
    launch_failed_time: Duration,
    /// Seed of ids and names
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Whether a domain that is in use is refused or bought again
    #[arg(long, value_enum, default_value_t = Domains::Unique)]
    domain_policy: Domains,
    /// Whether the parameter `SystemDisk` is known
    #[arg(long, value_enum, default_value_t = SystemDisk::Accept)]
    system_disk: SystemDisk,
    /// Whether the documented rate limits are enforced
    #[arg(long, value_enum, default_value_t = Switch::On)]
    rate_limits: Switch,
    /// Wait before each answer
    #[arg(long, default_value = "0ms", value_parser = duration)]
    latency: Duration,
    /// How far the cloud's clock is ahead of this machine's; may be negative
    #[arg(long, default_value = "0s", allow_hyphen_values = true)]
    clock_offset: SignedDuration,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Domains {
    Unique,
    Shared,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum SystemDisk {
    Accept,
    Refuse,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Switch {
    On,
    Off,
}

impl From<Arguments> for Config {
    fn from(arguments: Arguments) -> Self {
        let mut accounts = arguments.accounts;
        accounts.extend(arguments.further_keys);
        Self {
            listen: arguments.listen,
            accounts,
            boot_time: arguments.boot_time,
            terminate_time: arguments.terminate_time,
            launch_failed_time: arguments.launch_failed_time,
            seed: arguments.seed,
            domain_policy: match arguments.domain_policy {
                Domains::Unique => DomainPolicy::Unique,
                Domains::Shared => DomainPolicy::Shared,
            },
            system_disk: match arguments.system_disk {
                SystemDisk::Accept => SystemDiskPolicy::Accept,
                SystemDisk::Refuse => SystemDiskPolicy::Refuse,
            },
            rate_limits: matches!(arguments.rate_limits, Switch::On),
            latency: arguments.latency,
            clock_offset: arguments.clock_offset,
        }
    }
}

fn account(text: &str) -> Result<Account, String> {
    let mut fields = text.splitn(3, ':');
    let mut field = || fields.next().filter(|field| !field.is_empty());
    match (field(), field(), field()) {
        (Some(id), Some(key), None) => Ok(Account::new(id, key)),
        (Some(id), Some(key), Some(token)) => Ok(Account::new(id, key).token(token)),
        _ => Err("expected ID:KEY or ID:KEY:TOKEN".to_owned()),
    }
}

fn further_key(text: &str) -> Result<Account, String> {
    let (owner, rest) = text.split_once(':').ok_or_else(|| "expected OF-ID:ID:KEY or OF-ID:ID:KEY:TOKEN".to_owned())?;
    account(rest).map(|account| account.owner(owner))
}

fn duration(text: &str) -> Result<Duration, String> {
    text.parse::<SignedDuration>()
        .ok()
        .and_then(|span| Duration::try_from(span).ok())
        .ok_or_else(|| "expected a time such as 500ms, 90s or 5m".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Config, clap::Error> {
        Arguments::try_parse_from(["x"].iter().chain(arguments)).map(Config::from)
    }

    #[test]
    fn the_defaults_are_the_documented_ones() {
        let config = parse(&["--account", "id:key"]).unwrap();
        assert_eq!(config.listen, "127.0.0.1:9000".parse().unwrap());
        assert_eq!(config.accounts, [Account::new("id", "key")]);
        assert_eq!(config.boot_time, Duration::from_secs(2));
        assert_eq!(config.domain_policy, DomainPolicy::Unique);
        assert_eq!(config.system_disk, SystemDiskPolicy::Accept);
        assert!(config.rate_limits);
        assert_eq!(config.latency, Duration::ZERO);
    }

    #[test]
    fn every_option_is_read() {
        let config = parse(&[
            "--account",
            "a:k",
            "--account",
            "b:k:t:u",
            "--clock-offset",
            "-10m",
            "--further-key",
            "a:c:k",
            "--boot-time",
            "500ms",
            "--terminate-time",
            "1s",
            "--launch-failed-time",
            "5m",
            "--seed",
            "7",
            "--domain-policy",
            "shared",
            "--system-disk",
            "refuse",
            "--rate-limits",
            "off",
            "--latency",
            "20ms",
            "--listen",
            "127.0.0.1:0",
        ])
        .unwrap();
        assert_eq!(config.accounts[1], Account::new("b", "k").token("t:u"));
        assert_eq!(config.accounts[2], Account::new("c", "k").owner("a"));
        assert_eq!(config.boot_time, Duration::from_millis(500));
        assert_eq!(config.launch_failed_time, Duration::from_mins(5));
        assert_eq!((config.seed, config.rate_limits), (7, false));
        assert_eq!(config.latency, Duration::from_millis(20));
        assert_eq!(config.clock_offset, SignedDuration::from_mins(-10));
    }

    #[test]
    fn wrong_values_are_refused() {
        for arguments in [&[][..], &["--account", "id"], &["--account", "id:key", "--latency", "-1s"]] {
            assert!(parse(arguments).is_err(), "{arguments:?}");
        }
    }
}
