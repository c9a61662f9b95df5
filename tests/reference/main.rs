//! The pages of reference that are made from the code, the CRD and the chart: each must be what would be made today.
//!
//! `make gen` writes them anew (`PAI_WRITE_REFERENCE=1`).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by a panic; clippy exempts the test functions alone, not what they share"
)]

mod alerts;
mod api;
mod conditions;
mod flags;
mod metrics;
mod values;

use std::fs;
use std::path::Path;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The page must hold this text; where it was asked for, it is written instead.
fn is_up_to_date(page: &str, text: &str) {
    let path = root().join(page);
    if std::env::var_os("PAI_WRITE_REFERENCE").is_some() {
        fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        return;
    }
    assert!(fs::read_to_string(&path).is_ok_and(|found| found == text), "{page} is out of date: run make gen");
}

/// A cell of a table: one line, in which nothing ends the cell.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}
