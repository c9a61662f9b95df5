//! What goes before all others, and what that costs them.

use std::sync::Arc;

use futures::future::join_all;
use tokio::task::JoinSet;
use tokio::time::{advance, sleep};

use super::tests::keys;
use super::*;

const ACTION: Action = Action::DescribeInstances;
const RATE: usize = 40;

/// The times at which calls go out.
type Times = Arc<Mutex<Vec<Instant>>>;

fn taken(times: &Times) -> Vec<Instant> {
    std::mem::take(&mut *times.lock().unwrap())
}

/// A call for which nobody waits follows the other, until the set is dropped.
fn sweep_without_end(limits: &Arc<RateLimits>, times: &Times) -> JoinSet<()> {
    let (limits, times) = (Arc::clone(limits), Arc::clone(times));
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let (_, id, region) = keys();
        loop {
            limits.take_behind(&id, &region, ACTION).await;
            limits.slot(&id, &region, ACTION).await;
            times.lock().unwrap().push(Instant::now());
        }
    });
    tasks
}

/// As many as in a second stand in line, until the set is dropped: as many as may be on their way to be bought.
fn line(limits: &Arc<RateLimits>, times: &Times) -> JoinSet<()> {
    let mut line = JoinSet::new();
    for _ in 0..RATE {
        let (limits, times) = (limits.clone(), times.clone());
        line.spawn(async move {
            let (_, id, region) = keys();
            limits.take(&id, &region, ACTION, Duration::from_mins(1)).await.unwrap();
            limits.slot(&id, &region, ACTION).await;
            times.lock().unwrap().push(Instant::now());
        });
    }
    line
}

/// Sends an urgent call, if it may go before the others. Says how long it waited.
async fn send(limits: &RateLimits, times: &Times) -> Option<Duration> {
    let (_, id, region) = keys();
    let asked = Instant::now();
    if limits.take_urgent(&id, &region, ACTION).await != Some(Turn::Taken) {
        return None;
    }
    limits.slot(&id, &region, ACTION).await;
    times.lock().unwrap().push(Instant::now());
    Some(asked.elapsed())
}

#[tokio::test(start_paused = true)]
async fn it_goes_before_those_who_stand_in_line() {
    let (limits, times) = (Arc::new(keys().0), Times::default());
    let mut line = line(&limits, &times);
    sleep(Duration::from_millis(10)).await;
    for nth in 0..10 {
        let waited = send(&limits, &times).await.unwrap();
        assert!(waited <= Duration::from_millis(250), "{nth}: {waited:?}");
        sleep(WINDOW / 8).await;
    }
    assert!(line.try_join_next().is_some(), "the line moves on");
    while line.join_next().await.is_some() {}
    assert_eq!(taken(&times).len(), RATE + 10);
}

#[tokio::test(start_paused = true)]
async fn the_others_leave_room_for_it_as_long_as_there_is_such() {
    let (limits, _, _) = keys();
    let (limits, times) = (Arc::new(limits), Times::default());
    let _sweep = sweep_without_end(&limits, &times);
    send(&limits, &times).await.unwrap();
    sleep(Duration::from_secs(2)).await;
    for nth in 0..20 {
        let waited = send(&limits, &times).await;
        assert_eq!(waited, Some(Duration::ZERO), "{nth}");
        sleep(WINDOW / 8).await;
    }
    sleep(urgent::ROOM_FOR).await;
    taken(&times);
    sleep(Duration::from_secs(2)).await;
    assert!(taken(&times).len() > 2 * RATE - 3, "then it has the whole rate again");
}

#[tokio::test(start_paused = true)]
async fn of_a_burst_only_the_last_waits_and_who_comes_after_it_finds_one() {
    let (limits, times) = (Arc::new(keys().0), Times::default());
    let _line = line(&limits, &times);
    sleep(Duration::from_millis(10)).await;
    let mut burst = JoinSet::new();
    for nth in 0..50 {
        let (limits, times) = (limits.clone(), times.clone());
        burst.spawn(async move { (nth, Instant::now(), send(&limits, &times).await) });
    }
    let mut sent = Vec::new();
    while let Some(ended) = burst.join_next().await {
        let (nth, begun, waited) = ended.unwrap();
        match waited {
            Some(waited) => sent.push((nth, waited.is_zero())),
            None => assert_eq!(begun.elapsed(), Duration::ZERO, "{nth} is not held up"),
        }
    }
    assert_eq!(sent, [(0, true), (49, false)]);
    assert_eq!(send(&limits, &times).await, Some(Duration::ZERO));
}

/// Asks at such times, in milliseconds from now on, while others stand in line. Says when each was served, if it was.
async fn ask_at(limits: RateLimits, times: &[u64]) -> Vec<Option<u64>> {
    let limits = Arc::new(limits);
    let _line = line(&limits, &Times::default());
    sleep(Duration::from_millis(10)).await;
    let begun = Instant::now();
    let asked = times.iter().map(|time| {
        let limits = limits.clone();
        let at = Duration::from_millis(*time);
        async move {
            let (_, id, region) = keys();
            sleep(at).await;
            let turn = limits.take_urgent(&id, &region, ACTION).await;
            turn.map(|_| u64::try_from(begun.elapsed().as_millis()).unwrap())
        }
    });
    join_all(asked).await
}

#[tokio::test(start_paused = true)]
async fn one_by_one_three_are_served_at_once_and_ten_in_a_second() {
    assert_eq!(ask_at(keys().0, &[0, 41, 82, 123]).await, [Some(0), Some(41), Some(82), Some(127)]);
    let every: Vec<u64> = (0..22).map(|nth| nth * 45).collect();
    let served: Vec<u64> = ask_at(keys().0, &every).await.into_iter().flatten().collect();
    let most =
        served.iter().map(|first| served.iter().filter(|time| (*first..first + 1010).contains(time)).count()).max();
    assert_eq!(most, Some(10), "{served:?}");
}

#[tokio::test(start_paused = true)]
async fn those_who_come_at_once_after_another_leave_two() {
    assert_eq!(ask_at(keys().0, &[0, 39, 200]).await, [Some(0), Some(127), Some(200)]);
    assert_eq!(ask_at(keys().0, &[0, 41, 200]).await, [Some(0), Some(41), Some(200)]);
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_not_lost_when_another_is_served() {
    assert_eq!(ask_at(keys().0, &[0, 10, 60]).await, [Some(0), Some(253), Some(60)]);
}

#[tokio::test(start_paused = true)]
async fn who_takes_the_place_of_another_waits_no_longer_than_that_one_would() {
    let served = ask_at(keys().0, &[0, 45, 90, 135, 180, 205]).await;
    assert_eq!(served, [Some(0), Some(45), Some(90), Some(135), None, Some(253)]);
}

#[tokio::test(start_paused = true)]
async fn where_it_would_last_nobody_waits() {
    let limits = RateLimits::with_rates([(ACTION, 12)]);
    assert_eq!(ask_at(limits, &[0, 50, 100, 150]).await, [Some(0), Some(50), Some(100), None]);
}

#[tokio::test(start_paused = true)]
async fn where_nobody_stands_in_line_a_burst_goes_there() {
    let (limits, id, region) = keys();
    let mut turns = Vec::new();
    for _ in 0..4 {
        turns.push(limits.take_urgent(&id, &region, ACTION).await.unwrap());
    }
    assert_eq!(turns, [Turn::Taken, Turn::InLine, Turn::InLine, Turn::InLine]);
}

#[tokio::test(start_paused = true)]
async fn without_end_it_leaves_most_of_the_rate_to_others() {
    let (limits, id, region) = keys();
    let (limits, times) = (Arc::new(limits), Times::default());
    let flood = tokio::spawn({
        let (limits, times) = (limits.clone(), times.clone());
        async move {
            loop {
                send(&limits, &times).await;
                sleep(Duration::from_millis(1)).await;
            }
        }
    });
    let others = (RATE - RATE / urgent::SHARE as usize) * 5;
    let begun = Instant::now();
    for _ in 0..others {
        limits.take(&id, &region, ACTION, Duration::from_mins(1)).await.unwrap();
        limits.slot(&id, &region, ACTION).await;
    }
    flood.abort();
    assert!(begun.elapsed() <= Duration::from_millis(5300), "{:?}", begun.elapsed());
    assert!(taken(&times).len() >= 40, "and it had its own share");
}

#[tokio::test(start_paused = true)]
async fn where_a_share_is_less_than_one_call_there_is_none() {
    let (limits, times) = (Arc::new(RateLimits::with_rates([(ACTION, 3)])), Times::default());
    let _line = line(&limits, &times);
    sleep(Duration::from_millis(10)).await;
    assert_eq!(send(&limits, &times).await, None);
}

#[tokio::test(start_paused = true)]
async fn there_is_none_while_the_cloud_slows_us_down() {
    let (limits, id, region) = keys();
    let times = Times::default();
    let begun = Instant::now();
    limits.throttled(&id, &region, ACTION, begun);
    assert_eq!(send(&limits, &times).await, None);
    assert_eq!(begun.elapsed(), Duration::ZERO, "and nobody waits for one");
    advance(RECOVERY).await;
    assert_eq!(send(&limits, &times).await, Some(Duration::ZERO));
}
