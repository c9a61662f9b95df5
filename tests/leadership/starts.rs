//! Two replicas are started at once, again and again: exactly one leads.

use std::thread;

use pai_harness::{Operator, wait_until};

use crate::scene::{PATIENCE, Scene, assert_not_both, leads, position};

/// Pairs that run side by side: the machine is then busier, and the starts take half the time.
const PAIRS: u32 = 2;

/// Who led in a round, and whether the other was there at the same moment.
struct Round {
    leader: usize,
    raced: bool,
}

#[test]
fn two_replicas_that_start_at_once() {
    let starts: u32 = std::env::var("PAI_LEADERSHIP_STARTS").map_or(50, |text| text.parse().unwrap());
    let (mut led, mut raced) = ([0, 0], 0);
    thread::scope(|scope| {
        let pairs: Vec<_> = (0..PAIRS).map(|pair| scope.spawn(move || run_pair((starts + pair) / PAIRS))).collect();
        for round in pairs.into_iter().flat_map(|pair| pair.join().unwrap()) {
            led[round.leader] += 1;
            raced += u32::from(round.raced);
        }
    });
    println!("started at once: {starts} times; led: {led:?}; both wrote the Lease at the same moment: {raced} times");
    assert_eq!(led.iter().sum::<u32>(), starts);
}

fn run_pair(rounds: u32) -> Vec<Round> {
    let scene = Scene::start();
    let both = [scene.replica("one"), scene.replica("two")];
    (0..rounds).map(|round| run_round(&scene, &both, round)).collect()
}

fn run_round(scene: &Scene, both: &[Operator; 2], round: u32) -> Round {
    // Every other time there is no Lease at all, as in a new cluster; else one that was given back.
    if round.is_multiple_of(2) && scene.lease().is_some() {
        scene.delete_lease();
    }
    let races_before = both.each_ref().map(races);
    thread::scope(|scope| {
        for operator in both {
            scope.spawn(|| operator.start().unwrap());
        }
    });
    let mut ever = [false, false];
    // A replica is ready once it has seen the Lease, so that both have said what they take themselves for.
    wait_until("one to lead and both to be ready", PATIENCE, || {
        assert_not_both(&both[0], &both[1]);
        for operator in both {
            operator.check_alive().unwrap();
        }
        let now = both.each_ref().map(leads);
        ever = [ever[0] || now[0], ever[1] || now[1]];
        let ready = both.each_ref().map(|operator| matches!(operator.health("/readyz"), Ok((200, _))));
        if ready == [true, true] && ever != [false, false] { Ok(()) } else { Err(format!("{now:?} {ready:?}")) }
    })
    .unwrap();
    assert_ne!(ever, [true, true], "the lease changed hands though nobody let go of it");
    let leader = usize::from(ever[1]);
    assert_eq!(scene.lease().unwrap().holder, both[leader].pod_name().unwrap());
    for operator in [&both[1 - leader], &both[leader]] {
        assert!(operator.terminate().unwrap().success());
    }
    assert_eq!(scene.lease().unwrap().holder, "", "it was not given back");
    Round { leader, raced: both.each_ref().map(races) != races_before }
}

/// How often it was told that another had written the Lease since it had read it.
fn races(operator: &Operator) -> usize {
    if position(operator, RACED).is_none() {
        return 0;
    }
    operator.log_records().iter().filter(|record| record["message"] == RACED).count()
}

const RACED: &str = "another wrote the lease at the same moment";
