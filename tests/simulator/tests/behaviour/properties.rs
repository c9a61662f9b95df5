//! What holds after any sequence of calls: the sums add up, and one domain has one machine where it is unique.

use crate::client::{World, account, minimal};
use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeSet;
use tencentcloud_simulator::Config;

#[derive(Debug, Clone)]
enum Move {
    Create(u8),
    Spoil(usize),
    Terminate(usize),
    Destroy(usize),
    Wait(i64),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        (0..4_u8).prop_map(Move::Create),
        (0..6_usize).prop_map(Move::Spoil),
        (0..8_usize).prop_map(Move::Terminate),
        (0..8_usize).prop_map(Move::Destroy),
        (0..90_i64).prop_map(Move::Wait),
    ];
    prop::collection::vec(one, 0..60)
}

fn play(world: &mut World, step: &Move) {
    let nth = |world: &World, n: usize| world.cloud.instances().nth(n).map(|instance| instance.id.clone());
    match step {
        Move::Create(domain) => {
            let request = world.client.post("CreatePaiInstance", &minimal(&format!("d{domain}.test")), world.now);
            world.send(&request);
        }
        Move::Spoil(which) => {
            let effects = [
                json!({"kind": "drop", "commit": true}),
                json!({"kind": "launch-failed"}),
                json!({"kind": "late", "seconds": 40}),
                json!({"kind": "invisible", "seconds": 40}),
                json!({"kind": "no-domain"}),
                json!({"kind": "truncate", "commit": false}),
            ];
            world.spoil("CreatePaiInstance", &effects[*which]);
        }
        Move::Terminate(n) => {
            if let Some(id) = nth(world, *n) {
                world.call("TerminateInstances", &json!({"InstanceIds": [id]}));
            }
        }
        Move::Destroy(n) => {
            if let Some(id) = nth(world, *n) {
                world.cloud.destroy(&id);
            }
        }
        Move::Wait(seconds) => world.wait(*seconds),
    }
}

proptest! {
    #[test]
    fn sums_add_up_and_domains_stay_unique(moves in moves()) {
        let mut world = World::with(Config { rate_limits: false, ..Config::default().account(account()) });
        for step in &moves {
            play(&mut world, step);
            world.cloud.advance(world.now);
            let state = world.cloud.state();
            let count = |name: &str| state["history"][name].as_u64().unwrap();
            let left = world.cloud.instances().filter(|instance| instance.billed()).count() as u64;
            prop_assert_eq!(count("created"), count("terminated") + count("launchFailed") + left);
            let billed = world.cloud.instances().filter(|instance| instance.billed());
            let domains: Vec<_> = billed.filter_map(|instance| instance.domain.clone()).collect();
            let distinct: BTreeSet<_> = domains.iter().collect();
            prop_assert_eq!(domains.len(), distinct.len());
            let recorded: usize = world.cloud.calls(0).map(|call| call.created.len()).sum();
            prop_assert_eq!(recorded as u64, count("created"));
        }
        // Nothing goes on by itself for ever.
        world.wait(1_000);
        world.cloud.advance(world.now);
        prop_assert_eq!(world.cloud.next_event(), None);
    }

    #[test]
    fn no_request_is_beyond_an_answer(
        method in "GET|POST|PUT",
        query in ".{0,40}",
        body in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        let mut world = World::new();
        let mut request = world.client.get("DescribeInstances", &query, world.now);
        if method == "POST" {
            request = world.client.post_bytes("DescribeInstances", body, world.now);
        }
        request.method = method;
        prop_assert_eq!(world.send(&request).response.status, 200);
    }
}
