//! What the cloud does wrong: one rule at a time, drawn while the run goes on.

use fastrand::Rng;
use serde_json::{Value, json};

/// A rule for the next create, or for one of the next listings.
pub fn draw(rng: &mut Rng, lost_creates: bool) -> Value {
    if rng.u8(..3) == 0 { listing(rng) } else { create(rng, lost_creates) }
}

fn create(rng: &mut Rng, lost_creates: bool) -> Value {
    let commit = !lost_creates || rng.u8(..4) != 0;
    let effect = match rng.u8(..8) {
        0 | 1 => json!({"kind": "drop", "commit": commit}),
        2 => json!({"kind": "stall", "seconds": rng.choice([2, 20, 40]), "commit": commit}),
        3 => json!({"kind": "truncate", "commit": commit}),
        4 => json!({"kind": "status", "status": 502, "body": "<html>bad gateway</html>", "commit": commit}),
        5 => json!({"kind": "error", "code": "InternalError", "message": "try again later", "commit": commit}),
        6 => json!({"kind": "late", "seconds": 8}),
        _ => json!({"kind": "invisible", "seconds": 12}),
    };
    json!({"action": "CreatePaiInstance", "effect": effect})
}

fn listing(rng: &mut Rng) -> Value {
    let effect = match rng.u8(..7) {
        0 => json!({"kind": "drop", "commit": true}),
        1 => json!({"kind": "stall", "seconds": 5}),
        2 => json!({"kind": "truncate"}),
        3 => json!({"kind": "status", "status": 502, "body": "<html>bad gateway</html>"}),
        4 => json!({"kind": "error", "code": "InternalError", "message": "try again later"}),
        5 => json!({"kind": "shift-pages"}),
        _ => json!({"kind": "ignore-filter"}),
    };
    let action = rng.choice(["DescribePaiInstances", "DescribeInstances"]);
    json!({"action": action, "after": rng.u8(..4), "times": rng.u8(1..4), "effect": effect})
}
