//! The election on the model of the API server and a paused clock: from every seed the same.

mod place;
mod trouble;

use std::time::Duration;

use jiff::SignedDuration;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::Stepdown;
use place::{FAST, Is, LEASE, Place, Way};

/// What a create asks for: see `controller::create::GATE`.
const FENCE: Duration = crate::controller::create::GATE;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_given_back_is_taken_within_a_second() {
    for duration in [LEASE, Duration::from_mins(1), Duration::from_hours(1)] {
        for seed in 0..20 {
            let place = Place::new();
            let first = Is { duration, ..Is::called("first") }.stand(&place);
            first.time_to_lead().await;
            let second = Is { duration, seed, ..Is::called("second") }.stand(&place);
            sleep(7 * SECOND + Duration::from_millis(seed * 137)).await;
            first.stop.cancel();
            assert_eq!(first.task.await.unwrap(), Stepdown::Released);
            assert!(second.time_to_lead().await <= SECOND + Duration::from_millis(30), "{duration:?}, seed {seed}");
            assert_eq!(place.spec("leaseTransitions"), 1);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_dead_leader_is_followed_when_its_lease_has_run_out_and_a_second_later_at_most() {
    for seed in 0..20 {
        let place = Place::new();
        let first = Is::called("first").stand(&place);
        first.time_to_lead().await;
        let second = Is { seed, ..Is::called("second") }.stand(&place);
        sleep(20 * SECOND + Duration::from_millis(seed * 77)).await;
        first.kill();
        let believed = Instant::now();
        while first.leads() {
            assert!(!second.leads(), "seed {seed}: it took over while the dead one might still have believed");
            sleep(Duration::from_millis(5)).await;
        }
        let believed = believed.elapsed();
        let late = second.time_to_lead().await;
        assert!(believed <= LEASE && late <= SECOND + Duration::from_millis(50), "seed {seed}: {late:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_restarted_process_knows_its_own_lease() {
    let place = Place::new();
    let first = Is::called("pod").stand(&place);
    first.time_to_lead().await;
    sleep(10 * SECOND).await;
    let acquired = place.spec("acquireTime");
    first.kill();
    let again = Is::called("pod").stand(&place);
    assert!(again.time_to_lead().await < SECOND);
    assert_eq!((place.spec("acquireTime"), place.spec("leaseTransitions")), (acquired, json!(0)));
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_cut_off_ends_with_its_lease() {
    for way in [Way::Refused, Way::Lost, Way::Queued] {
        for phase in 0..30 {
            let place = Place::new();
            let first = Is { seed: phase, ..Is::called("first") }.stand(&place);
            let second = Is::called("second").stand(&place);
            first.time_to_lead().await;
            sleep(8 * SECOND + Duration::from_millis(phase * 100)).await;
            first.way.send_replace(way);
            while first.leads() {
                assert!(!second.leads(), "{way:?}");
                sleep(Duration::from_millis(5)).await;
            }
            sleep(Duration::from_millis(2)).await;
            assert!(first.task.is_finished(), "{way:?}, {phase}: it is not told that its lease ended");
            assert_eq!(first.task.await.unwrap(), Stepdown::Lost);
            assert!(second.time_to_lead().await <= SECOND + Duration::from_millis(50), "{way:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_fence_is_open_as_long_as_the_api_server_answers_within_a_second() {
    let mut closed = Vec::new();
    for millis in [1, 100, 500, 900, 1_500, 2_000] {
        let place = Place::new();
        let leader = Is { way: Way::Open(Duration::from_millis(millis)), ..Is::called("leader") }.stand(&place);
        leader.time_to_lead().await;
        let mut count = 0;
        for _ in 0..12_000 {
            count += u32::from(!leader.leadership.valid_for(FENCE));
            sleep(Duration::from_millis(10)).await;
        }
        println!("a call takes {millis:>4} ms: the fence is closed {:>4.1} % of two minutes", f64::from(count) / 120.0);
        closed.push((millis, count));
        assert!(leader.leads());
    }
    assert!(closed.iter().all(|(millis, count)| *millis > 900 || *count == 0), "{closed:?}");
    assert!(closed.iter().any(|(_, count)| *count > 0), "a fence that never closes is none");
}

#[tokio::test(start_paused = true)]
async fn the_fence_closes_ten_seconds_before_the_lease_ends() {
    let place = Place::new();
    let leader = Is::called("leader").stand(&place);
    leader.time_to_lead().await;
    leader.way.send_replace(Way::Lost);
    while leader.leadership.valid_for(FENCE) {
        sleep(Duration::from_millis(1)).await;
    }
    assert!(leader.leads());
    sleep(Duration::from_millis(9_995)).await;
    assert!(leader.leads());
    sleep(Duration::from_millis(10)).await;
    assert!(!leader.leads());
}

/// However long the lease is: a process that hears from the API server is ready, leading or not.
#[tokio::test(start_paused = true)]
async fn leader_and_standby_are_ready_as_long_as_they_hear_from_the_api_server() {
    for duration in [LEASE, Duration::from_mins(5), Duration::from_hours(1)] {
        let place = Place::new();
        let leader = Is { duration, ..Is::called("leader") }.stand(&place);
        leader.time_to_lead().await;
        let standby = Is { duration, ..Is::called("standby") }.stand(&place);
        sleep(SECOND).await;
        for _ in 0..180 {
            sleep(SECOND).await;
            assert!(leader.health.missing().is_empty() && standby.health.missing().is_empty(), "{duration:?}");
        }
        standby.way.send_replace(Way::Lost);
        sleep(40 * SECOND).await;
        assert!(leader.health.missing().is_empty() && !standby.health.missing().is_empty(), "{duration:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_edit_of_the_lease_by_a_person_does_not_depose_the_leader() {
    let place = Place::new();
    let leader = Is::called("leader").stand(&place);
    leader.time_to_lead().await;
    place.annotate_before_next_replacements(3);
    for _ in 0..3_000 {
        assert!(leader.leads());
        sleep(Duration::from_millis(10)).await;
    }
    assert!(place.lease().unwrap()["metadata"]["annotations"]["noted"].is_string(), "nothing was in the way");
}

#[tokio::test(start_paused = true)]
async fn who_finds_another_in_the_lease_steps_down() {
    let place = Place::new();
    let leader = Is::called("leader").stand(&place);
    leader.time_to_lead().await;
    place.change_lease(|lease| lease["spec"]["holderIdentity"] = json!("another"));
    sleep(4 * SECOND).await;
    assert!(!leader.leads());
    assert_eq!(leader.task.await.unwrap(), Stepdown::Lost);
    assert_eq!(place.spec("holderIdentity"), "another");
}

#[tokio::test(start_paused = true)]
async fn a_deleted_lease_is_made_again_by_its_leader_and_nobody_else() {
    for seed in 0..20 {
        let place = Place::new();
        let leader = Is::called("leader").stand(&place);
        leader.time_to_lead().await;
        let standby = Is { seed, ..Is::called("standby") }.stand(&place);
        sleep(20 * SECOND + Duration::from_millis(seed * 77)).await;
        place.delete_lease();
        for _ in 0..2_000 {
            assert!(leader.leads() && !standby.leads(), "seed {seed}");
            sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(place.spec("holderIdentity"), "leader");
    }
}

/// Its leader died with it, perhaps right after a renewal that nobody else has seen.
#[tokio::test(start_paused = true)]
async fn a_deleted_lease_of_a_dead_leader_is_waited_for_and_then_taken() {
    for seed in 0..20 {
        let place = Place::new();
        let leader = Is::called("leader").stand(&place);
        leader.time_to_lead().await;
        let standby = Is { seed, ..Is::called("standby") }.stand(&place);
        sleep(20 * SECOND + Duration::from_millis(seed * 77)).await;
        leader.kill();
        place.delete_lease();
        let deleted = Instant::now();
        while leader.leads() {
            assert!(!standby.leads(), "seed {seed}");
            sleep(Duration::from_millis(5)).await;
        }
        standby.time_to_lead().await;
        assert!(deleted.elapsed() <= LEASE + SECOND + Duration::from_millis(50), "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn wall_clocks_decide_nothing() {
    for hours in [-9, -1, 1, 9] {
        let place = Place::new();
        let ahead = SignedDuration::from_hours(hours);
        let leader = Is { ahead, ..Is::called("leader") }.stand(&place);
        leader.time_to_lead().await;
        let standby = Is::called("standby").stand(&place);
        for _ in 0..600 {
            assert!(leader.leads() && !standby.leads(), "{hours} h: too early");
            sleep(Duration::from_millis(100)).await;
        }
        leader.kill();
        assert!(standby.time_to_lead().await <= LEASE + SECOND + Duration::from_millis(50), "{hours} h: too late");
    }
}

/// The Lease counts in whole seconds: who believes in 15.5 s must not be followed after 15.
#[tokio::test(start_paused = true)]
async fn a_fraction_of_a_second_is_promised_as_a_whole_one() {
    let place = Place::new();
    let leader = Is { duration: Duration::from_millis(15_500), ..Is::called("leader") }.stand(&place);
    leader.time_to_lead().await;
    assert_eq!(place.spec("leaseDurationSeconds"), 16);
}

/// As somebody may have written it who is none of ours.
#[tokio::test(start_paused = true)]
async fn a_lease_without_a_duration_is_waited_for_as_ours() {
    let place = Place::new();
    let first = Is::called("first").stand(&place);
    first.time_to_lead().await;
    first.kill();
    place.change_lease(|lease| lease["spec"]["leaseDurationSeconds"] = Value::Null);
    let second = Is::called("second").stand(&place);
    assert!(second.time_to_lead().await >= LEASE);
}

#[tokio::test(start_paused = true)]
async fn of_two_that_start_at_once_one_leads() {
    for seed in 0..50 {
        let place = Place::new();
        let both = ["first", "second"].map(|name| Is { seed, ..Is::called(name) }.stand(&place));
        for _ in 0..1_000 {
            sleep(Duration::from_millis(5)).await;
            assert!(both.iter().filter(|one| one.leads()).count() <= 1, "seed {seed}");
        }
        assert_eq!(both.iter().filter(|one| one.leads()).count(), 1, "seed {seed}");
        assert_eq!(*both[0].way.borrow(), FAST);
    }
}
