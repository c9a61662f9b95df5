//! The operator's library: see `docs/architecture.md` for the map.

pub mod tencent;
