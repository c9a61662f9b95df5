//! The cloud's actions and services by name, with version and documented rate. Needs nothing; must not know
//! how a call is made.

use std::fmt;

/// A service of the cloud; its bare name also stands in the signature's scope, whatever the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Service {
    /// Auto Scaling, which holds the PAI actions.
    As,
    /// Cloud Virtual Machine, which holds everything after the create.
    Cvm,
}

impl Service {
    /// Every service that the operator calls.
    pub const ALL: [Self; 2] = [Self::As, Self::Cvm];

    /// The name in hosts and scopes.
    pub const fn name(self) -> &'static str {
        match self {
            Self::As => "as",
            Self::Cvm => "cvm",
        }
    }

    /// The API version (`X-TC-Version`).
    pub const fn version(self) -> &'static str {
        match self {
            Self::As => "2018-04-19",
            Self::Cvm => "2017-03-12",
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An action whose error codes we can judge. The operator calls [`Action::CALLED`]; the others are the remaining ones
/// that concern a PAI instance, since a code's class depends on its action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// Buys one machine. Has no client token: never repeat it to find out.
    CreatePaiInstance,
    /// Lists PAI instances with their domains.
    DescribePaiInstances,
    /// Lists machines.
    DescribeInstances,
    /// Destroys a machine; moves a prepaid one to the recycle bin first.
    TerminateInstances,
    /// Offers a free domain name.
    PreviewPaiDomainName,
    /// Starts machines.
    StartInstances,
    /// Stops machines.
    StopInstances,
    /// Renames machines and the like.
    ModifyInstancesAttribute,
    /// Sets the login password.
    ResetInstancesPassword,
    /// Sets the public bandwidth.
    ResetInstancesInternetMaxBandwidth,
    /// Changes the machine type.
    ResetInstancesType,
    /// Renews prepaid machines: costs money, not idempotent.
    RenewInstances,
    /// Sets what happens at the end of a prepaid term.
    ModifyInstancesRenewFlag,
}

impl Action {
    /// All actions.
    pub const ALL: [Self; 13] = [
        Self::CreatePaiInstance,
        Self::DescribePaiInstances,
        Self::DescribeInstances,
        Self::TerminateInstances,
        Self::PreviewPaiDomainName,
        Self::StartInstances,
        Self::StopInstances,
        Self::ModifyInstancesAttribute,
        Self::ResetInstancesPassword,
        Self::ResetInstancesInternetMaxBandwidth,
        Self::ResetInstancesType,
        Self::RenewInstances,
        Self::ModifyInstancesRenewFlag,
    ];

    /// Those that the operator calls.
    pub const CALLED: [Self; 4] =
        [Self::CreatePaiInstance, Self::DescribePaiInstances, Self::DescribeInstances, Self::TerminateInstances];

    /// The name as sent in `X-TC-Action`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CreatePaiInstance => "CreatePaiInstance",
            Self::DescribePaiInstances => "DescribePaiInstances",
            Self::DescribeInstances => "DescribeInstances",
            Self::TerminateInstances => "TerminateInstances",
            Self::PreviewPaiDomainName => "PreviewPaiDomainName",
            Self::StartInstances => "StartInstances",
            Self::StopInstances => "StopInstances",
            Self::ModifyInstancesAttribute => "ModifyInstancesAttribute",
            Self::ResetInstancesPassword => "ResetInstancesPassword",
            Self::ResetInstancesInternetMaxBandwidth => "ResetInstancesInternetMaxBandwidth",
            Self::ResetInstancesType => "ResetInstancesType",
            Self::RenewInstances => "RenewInstances",
            Self::ModifyInstancesRenewFlag => "ModifyInstancesRenewFlag",
        }
    }

    /// The service that offers the action.
    pub const fn service(self) -> Service {
        match self {
            Self::CreatePaiInstance | Self::DescribePaiInstances | Self::PreviewPaiDomainName => Service::As,
            _ => Service::Cvm,
        }
    }

    /// The API version of the action (`X-TC-Version`).
    pub const fn version(self) -> &'static str {
        self.service().version()
    }

    /// Calls per second that the vendor documents, counted per account, region and action.
    pub const fn documented_rate(self) -> u32 {
        match self {
            Self::DescribeInstances => 40,
            Self::CreatePaiInstance | Self::DescribePaiInstances | Self::PreviewPaiDomainName => 20,
            _ => 10,
        }
    }

    /// Whether the action only reads, so that it may share a connection and wait in a queue.
    pub const fn is_read(self) -> bool {
        matches!(self, Self::DescribePaiInstances | Self::DescribeInstances | Self::PreviewPaiDomainName)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
