//! The states of a machine: an open set. Needs nothing; must keep a state that it does not know as it is.

use std::fmt;

use serde::Deserialize;

/// What a machine is doing. Open: the cloud's error codes hint at states that its page does not list.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(from = "String")]
pub enum InstanceState {
    /// Being created.
    Pending,
    /// Creation failed: final for this id, and it cannot be terminated.
    LaunchFailed,
    /// Running.
    Running,
    /// Powered off.
    Stopped,
    /// Being started.
    Starting,
    /// Being stopped.
    Stopping,
    /// Being rebooted.
    Rebooting,
    /// In the recycle bin.
    Shutdown,
    /// Being destroyed.
    Terminating,
    /// A person begins a rescue.
    EnterRescueMode,
    /// A person is at it.
    RescueMode,
    /// A person ends a rescue.
    ExitRescueMode,
    /// Moves to another host soon.
    EnterServiceLiveMigrate,
    /// Moves to another host.
    ServiceLiveMigrate,
    /// Has moved to another host.
    ExitServiceLiveMigrate,
    /// Anything else, as the cloud says it; empty when it says nothing.
    Other(String),
}

impl InstanceState {
    const KNOWN: [Self; 15] = [
        Self::Pending,
        Self::LaunchFailed,
        Self::Running,
        Self::Stopped,
        Self::Starting,
        Self::Stopping,
        Self::Rebooting,
        Self::Shutdown,
        Self::Terminating,
        Self::EnterRescueMode,
        Self::RescueMode,
        Self::ExitRescueMode,
        Self::EnterServiceLiveMigrate,
        Self::ServiceLiveMigrate,
        Self::ExitServiceLiveMigrate,
    ];

    /// The state as the cloud writes it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Pending => "PENDING",
            Self::LaunchFailed => "LAUNCH_FAILED",
            Self::Running => "RUNNING",
            Self::Stopped => "STOPPED",
            Self::Starting => "STARTING",
            Self::Stopping => "STOPPING",
            Self::Rebooting => "REBOOTING",
            Self::Shutdown => "SHUTDOWN",
            Self::Terminating => "TERMINATING",
            Self::EnterRescueMode => "ENTER_RESCUE_MODE",
            Self::RescueMode => "RESCUE_MODE",
            Self::ExitRescueMode => "EXIT_RESCUE_MODE",
            Self::EnterServiceLiveMigrate => "ENTER_SERVICE_LIVE_MIGRATE",
            Self::ServiceLiveMigrate => "SERVICE_LIVE_MIGRATE",
            Self::ExitServiceLiveMigrate => "EXIT_SERVICE_LIVE_MIGRATE",
            Self::Other(text) => text,
        }
    }
}

impl From<String> for InstanceState {
    fn from(text: String) -> Self {
        Self::KNOWN.into_iter().find(|state| state.as_str() == text).unwrap_or(Self::Other(text))
    }
}

impl Default for InstanceState {
    fn default() -> Self {
        Self::Other(String::new())
    }
}

impl fmt::Display for InstanceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_open() {
        for state in InstanceState::KNOWN {
            assert_eq!(InstanceState::from(state.as_str().to_owned()), state);
        }
        for text in ["CORRUPTED", "running", ""] {
            let state = InstanceState::from(text.to_owned());
            assert_eq!(state, InstanceState::Other(text.to_owned()));
            assert_eq!(state.as_str(), text);
        }
    }
}
