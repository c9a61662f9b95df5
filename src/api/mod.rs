//! The `PaiInstance` API: what a person writes, what the operator reports. Knows no network and no cloud client.
//!
//! A fact lives in one place: fields in [`spec`] and [`status`], condition types and reasons in [`conditions`],
//! those of Events in [`EventReason`], every CEL rule in [`rules`], and the finished CRD in [`crd`].

pub mod conditions;
pub mod crd;
mod event_reasons;
mod reasons;
pub mod rules;
pub mod spec;
pub mod status;

pub use conditions::{ConditionType, Synced};
pub use crd::crd;
pub use event_reasons::EventReason;
pub use reasons::Reason;
pub use spec::{
    ChargeType, CredentialsRef, DeletionPolicy, InitScript, InstanceChargePrepaid, InternetAccessible, KeyRef,
    LoginSettings, PaiInstance, PaiInstanceSpec, SystemDisk,
};
pub use status::{
    AdoptedBy, AttemptState, CreateAttempt, InstanceStatus, LAPSED_LIMIT, LapsedAttempt, NameOrigin, PaiInstanceStatus,
};

/// API group. Source: our choice, because the product's public name is "PAI" and the vendor's site is tencentcloud.com.
pub const GROUP: &str = "pai.tencentcloud.io";

/// Finalizer that keeps an object until its machine is released. Source: our choice (group-qualified, as Kubernetes asks).
pub const FINALIZER: &str = "pai.tencentcloud.io/instance";

/// Annotation that stops every write to the cloud while its value is `"true"`. Source: our choice.
pub const PAUSED_ANNOTATION: &str = "pai.tencentcloud.io/paused";

/// Annotation whose every new value asks for a fresh look. Source: our choice, after Flux's annotation of the same name.
pub const RECONCILE_REQUESTED_ANNOTATION: &str = "pai.tencentcloud.io/reconcile-requested-at";

/// Annotation with a person's answer to a creation whose outcome is uncertain. Source: our choice.
pub const RESOLVE_CREATE_ANNOTATION: &str = "pai.tencentcloud.io/resolve-create";
