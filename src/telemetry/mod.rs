//! Logs, metrics, and the small HTTP server that shows them. Never holds a secret: nothing here sees one.

pub mod catalogue;
pub mod connections;
pub mod health;
pub mod logs;
pub mod metrics;
pub mod reviews;
pub mod server;
pub mod sight;
