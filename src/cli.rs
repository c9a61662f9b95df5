//! The command line. Every option of `run` is a flag and a `PAI_OPERATOR_*` environment variable.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::telemetry::logs::LogFormat;
use crate::tencent::Action;
use crate::tencent::endpoints::DEFAULT_ROOT;

/// Kubernetes operator for Tencent Cloud PAI instances: creates each paid machine exactly once.
#[derive(Debug, Parser)]
#[command(name = "pai-operator", disable_version_flag = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs the operator. KUBECONFIG and the in-cluster configuration are found the usual way.
    Run(Box<RunOptions>),
    /// Prints the CustomResourceDefinition as YAML.
    Crd,
    /// Prints the version.
    Version,
}

/// Options of `run`. Of an option that is given twice the last one counts, so that a chart's `extraArgs` win.
#[derive(Clone, Debug, Args)]
#[command(args_override_self = true)]
pub struct RunOptions {
    /// Root domain of the cloud's API, for internal or international accounts.
    #[arg(long, env = "PAI_OPERATOR_ENDPOINT_ROOT", default_value = DEFAULT_ROOT)]
    pub endpoint_root: String,
    /// Replaces the endpoint of `as` or `cvm`, in the form SERVICE=URL; may be given once for each.
    #[arg(long, env = "PAI_OPERATOR_ENDPOINT", value_name = "SERVICE=URL", value_delimiter = ',')]
    pub endpoint: Vec<String>,
    /// Takes `http://` endpoints, for a stand-in cloud. Signed requests can then be read by anybody on the way.
    #[arg(long, env = "PAI_OPERATOR_ALLOW_INSECURE_ENDPOINTS")]
    pub allow_insecure_endpoints: bool,
    /// How long lookups for a create with an unknown outcome are spread out before it counts as having left nothing behind.
    #[arg(long, env = "PAI_OPERATOR_SETTLE_WINDOW", default_value = "5m", value_parser = duration)]
    pub settle_window: Duration,
    /// How often settled machines are described.
    #[arg(long, env = "PAI_OPERATOR_SWEEP_INTERVAL", default_value = "5m", value_parser = duration)]
    pub sweep_interval: Duration,
    /// Most objects worked on at one time.
    #[arg(long, env = "PAI_OPERATOR_MAX_CONCURRENT_RECONCILES", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub max_concurrent_reconciles: u16,
    /// Namespace to watch; may be given several times. All if it is left out.
    #[arg(long, env = "PAI_OPERATOR_WATCH_NAMESPACE", value_delimiter = ',')]
    pub watch_namespace: Vec<String>,
    /// Labels of the objects to watch, such as `team=a` or `team in (a,b)`. An object that loses them is let alone.
    #[arg(long, env = "PAI_OPERATOR_WATCH_LABEL_SELECTOR", value_parser = label_selector)]
    pub watch_label_selector: Option<String>,
    /// Calls a second of an action instead of the documented rate, in the form ACTION=RATE; may be given once for each.
    #[arg(long, env = "PAI_OPERATOR_RATE_LIMIT", value_name = "ACTION=RATE", value_delimiter = ',', value_parser = rate_limit)]
    pub rate_limit: Vec<(Action, u32)>,
    /// Address of `/metrics`, or `off`.
    #[arg(long, env = "PAI_OPERATOR_METRICS_ADDRESS", default_value = "[::]:8080")]
    pub metrics_address: Address,
    /// Folder with `tls.crt` and `tls.key`. With it the metrics are served by TLS, and only to those whom the API server knows by a bearer
    /// token and allows to get `/metrics`.
    #[arg(long, env = "PAI_OPERATOR_METRICS_CERT_DIR")]
    pub metrics_cert_dir: Option<PathBuf>,
    /// Address of `/livez` and `/readyz`, or `off`.
    #[arg(long, env = "PAI_OPERATOR_HEALTH_ADDRESS", default_value = "[::]:8081")]
    pub health_address: Address,
    /// Form of the log lines.
    #[arg(long, env = "PAI_OPERATOR_LOG_FORMAT", default_value = "json")]
    pub log_format: LogFormat,
    /// What is logged: error, warn, info, debug, trace, or a filter such as `info,pai_operator=debug`.
    #[arg(long, env = "PAI_OPERATOR_LOG_LEVEL", default_value = "info")]
    pub log_level: String,
    /// Namespace of the Lease; the operator's own if it is left out.
    #[arg(long, env = "PAI_OPERATOR_LEASE_NAMESPACE")]
    pub lease_namespace: Option<String>,
    /// Name of the Lease.
    #[arg(long, env = "PAI_OPERATOR_LEASE_NAME", default_value = "pai-operator")]
    pub lease_name: String,
    /// How long leadership holds without renewal, at least 15s: a create is sent only while leadership outlasts 10 s.
    #[arg(long, env = "PAI_OPERATOR_LEASE_DURATION", default_value = "15s", value_parser = lease_duration)]
    pub lease_duration: Duration,
    /// Name of this process in the Lease and in Events: the pod's name, so that a restarted container knows its own lease.
    #[arg(long, env = "POD_NAME")]
    pub identity: Option<String>,
}

/// Where a server listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address {
    /// Nowhere.
    Off,
    /// At this address and port.
    At(SocketAddr),
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Off);
        }
        let at =
            text.parse().map_err(|_| format!("{text:?} must be an address and a port such as [::]:8080, or off"))?;
        Ok(Self::At(at))
    }
}

/// A rate such as `DescribeInstances=20`, at most 100 calls a second: beyond that they could not be spaced evenly.
fn rate_limit(text: &str) -> Result<(Action, u32), String> {
    let parsed = text.split_once('=').and_then(|(name, rate)| {
        let action = Action::CALLED.into_iter().find(|action| action.name() == name)?;
        Some((action, rate.parse().ok().filter(|rate| (1..=100).contains(rate))?))
    });
    parsed.ok_or_else(|| {
        let names = Action::CALLED.map(Action::name).join(", ");
        format!("{text:?} must be ACTION=RATE with a whole rate from 1 to 100 and one of {names}")
    })
}

/// A label selector: the API server judges it, but an empty one would select everything and was hardly meant.
fn label_selector(text: &str) -> Result<String, String> {
    let bare = text.trim();
    if bare.is_empty() { Err("must not be empty: leave it out to watch all objects".into()) } else { Ok(bare.into()) }
}

/// A positive time span such as `90s` or `5m`.
fn duration(text: &str) -> Result<Duration, String> {
    let span: jiff::SignedDuration =
        text.parse().map_err(|_| format!("{text:?} must be a time span such as 90s or 5m"))?;
    Duration::try_from(span)
        .ok()
        .filter(|span| !span.is_zero())
        .ok_or_else(|| format!("{text:?} must be longer than zero"))
}

/// Shortest lease. A create asks for leadership that outlasts its gate of 10 s, and a renewal comes every three seconds: a
/// shorter one would hardly ever let a create through.
const SHORTEST_LEASE: Duration = Duration::from_secs(15);

fn lease_duration(text: &str) -> Result<Duration, String> {
    let span = duration(text)?;
    if span < SHORTEST_LEASE {
        return Err(format!("{text:?} must be at least 15s: a create is sent only while leadership outlasts 10 s"));
    }
    Ok(span)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn spans_and_addresses() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(duration("1m 30s"), Ok(Duration::from_secs(90)));
        for wrong in ["", "0s", "-5s", "five", "5"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
        assert!(lease_duration("14s").is_err());
        assert_eq!("off".parse(), Ok(Address::Off));
        assert!("8080".parse::<Address>().is_err());
        assert!("[::]:8080".parse::<Address>().is_ok());
    }

    #[test]
    fn rates_are_of_known_actions_and_within_bounds() {
        assert_eq!(rate_limit("DescribeInstances=20"), Ok((Action::DescribeInstances, 20)));
        for wrong in ["", "DescribeInstances", "DescribeInstances=0", "DescribeInstances=101", "StopInstances=1", "x=1"]
        {
            assert!(rate_limit(wrong).is_err(), "{wrong}");
        }
        assert!(label_selector(" ").is_err());
        assert_eq!(label_selector("team in (a,b)"), Ok("team in (a,b)".to_owned()));
    }

    #[test]
    fn the_last_of_two_counts_and_lists_add_up() {
        let words =
            "pai-operator run --log-level info --log-level trace --endpoint as=https://a --endpoint cvm=https://b";
        let Command::Run(options) = Cli::parse_from(words.split(' ')).command else { panic!("not run") };
        assert_eq!(options.log_level, "trace");
        assert_eq!(options.endpoint, ["as=https://a", "cvm=https://b"]);
    }

    #[test]
    fn every_option_of_run_has_its_environment_variable() {
        let command = Cli::command();
        let run = command.get_subcommands().find(|command| command.get_name() == "run").unwrap();
        for option in run.get_arguments().filter(|option| option.get_id() != "help" && option.get_id() != "identity") {
            let flag = option.get_long().unwrap();
            let expected = format!("PAI_OPERATOR_{}", flag.replace('-', "_").to_uppercase());
            assert_eq!(option.get_env().and_then(|name| name.to_str()), Some(expected.as_str()), "--{flag}");
        }
    }
}
