//! Three candidates whose ways to the API server go wrong at random: whatever happens, no two lead at once.

use std::time::Duration;

use fastrand::Rng;
use tokio::time::sleep;

use super::place::{Candidate, FAST, Is, Place, Way};

const NAMES: [&str; 3] = ["first", "second", "third"];

fn draw(rng: &mut Rng) -> Way {
    match rng.u8(..8) {
        0 => Way::Refused,
        1 => Way::Lost,
        2 => Way::Queued,
        3 => Way::Open(Duration::from_millis(rng.u64(1..4_000))),
        _ => FAST,
    }
}

/// One run of ten minutes; how often another than before led, and for how many of its 50 ms steps anybody did.
async fn run(seed: u64) -> (u32, u32) {
    let mut rng = Rng::with_seed(seed);
    let place = Place::new();
    let stand = |name, way, seed| Is { way, seed, ..Is::called(name) }.stand(&place);
    let mut all: Vec<Candidate> = NAMES.iter().map(|name| stand(name, FAST, seed)).collect();
    let (mut last, mut changes, mut led) = (None, 0, 0);
    for _ in 0..12_000 {
        sleep(Duration::from_millis(50)).await;
        let leaders: Vec<usize> = (0..all.len()).filter(|one| all[*one].leads()).collect();
        assert!(leaders.len() <= 1, "seed {seed}: {leaders:?} lead at once");
        led += u32::try_from(leaders.len()).unwrap();
        if let Some(leader) = leaders.first().copied() {
            changes += u32::from(last.is_some_and(|last| last != leader));
            last = Some(leader);
        }
        let one = rng.usize(..all.len());
        if rng.u16(..160) == 0 {
            all[one].way.send_replace(draw(&mut rng));
        }
        match rng.u16(..800) {
            0 => all[one].kill(),
            1 => all[one].stop.cancel(),
            _ => {}
        }
        // As the kubelet does: under the same name, at some time after its container has ended, on the same node.
        if rng.u8(..40) == 0 && all[one].task.is_finished() && !all[one].leads() {
            let way = *all[one].way.borrow();
            all[one] = stand(NAMES[one], way, rng.u64(..));
        }
    }
    (changes, led)
}

#[tokio::test(start_paused = true)]
async fn no_two_lead_at_once_whatever_goes_wrong() {
    let (mut changes, mut led) = (0, 0);
    for seed in 0..12 {
        let (more, steps) = run(seed).await;
        (changes, led) = (changes + more, led + steps);
    }
    println!(
        "12 runs of ten minutes: {changes} changes of the leader, somebody led {:.1} % of the time",
        f64::from(led) / 1_440.0
    );
    assert!(changes > 40 && led > 80_000, "too little happened: {changes}, {led}");
}
