//! Model of the Kubernetes API server: a state machine to which requests and the time are handed as data.
//!
//! It knows what a controller can notice: resourceVersions and conflicts, the status subresource, generations, finalizers and
//! deletion, pruning and defaulting by a CRD's schema, lists in pages, watches with bookmarks and 410. It reads no clock, waits for
//! nothing and does no IO; who drives it decides when requests arrive and what goes wrong on the way. It depends on nothing of the
//! operator. `tests/conformance` holds it to the truth: the same rows pass here and on a real kube-apiserver.
//!
//! Left out, because nothing that is tested here can notice: managedFields, server-side apply, strategic merge patches, OpenAPI,
//! discovery, admission other than the namespace's life cycle, authentication and authorisation (faults stand for refusals).

mod definitions;
mod patch;
mod reply;
mod request;
mod schema;
mod server;
mod store;
mod watch;
mod writes;

pub use reply::Reply;
pub use request::{Request, Resource, Target, Verb};
pub use server::{Answer, ApiServer, Rules};
pub use watch::Watch;
