//! The same requests to the model of the API server and to a real kube-apiserver: both must give what the rows say.
//! Needs the control plane of `pai-harness`. Must not test anything of the operator but its CRD.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that meets the unexpected shall end there and say where"
)]

mod model;
mod real;
mod row;
mod run;
mod side;

use std::io::Write;

use model::Model;
use real::Real;
use row::Row;
use run::{failures, install};

/// The table. The last file comes last: it makes the server forget, which costs a restart.
const TABLE: [(&str, &str); 9] = [
    ("create", include_str!("rows/create.yaml")),
    ("update", include_str!("rows/update.yaml")),
    ("status", include_str!("rows/status.yaml")),
    ("delete", include_str!("rows/delete.yaml")),
    ("schema", include_str!("rows/schema.yaml")),
    ("list_watch", include_str!("rows/list_watch.yaml")),
    ("core", include_str!("rows/core.yaml")),
    ("crd", include_str!("rows/crd.yaml")),
    ("forget", include_str!("rows/forget.yaml")),
];

fn rows() -> Vec<Row> {
    let read = |(file, text): &(&str, &str)| -> Vec<Row> {
        serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("rows/{file}.yaml: {error}"))
    };
    TABLE.iter().flat_map(read).collect()
}

#[test]
fn the_rows_hold_on_the_model_and_on_the_server() {
    let rows = rows();
    let mut model = Model::new();
    install(&mut model);
    let mut failed = failures(&rows, &mut model, "the model");
    let mut real = Real::start();
    install(&mut real);
    let server = format!("kube-apiserver {}", real.version());
    failed.extend(failures(&rows, &mut real, &server));
    assert!(failed.is_empty(), "{} divergences\n{}", failed.len(), failed.join("\n"));
    let all = rows.len();
    // Not `println`: cargo keeps that to itself when a test passes.
    writeln!(std::io::stderr(), "{all} rows on the model, {all} rows on {server}").unwrap();
}

/// Quick, for work on the model.
#[test]
fn the_rows_hold_on_the_model() {
    let mut model = Model::new();
    install(&mut model);
    let failed = failures(&rows(), &mut model, "the model");
    assert!(failed.is_empty(), "{} divergences\n{}", failed.len(), failed.join("\n"));
}
