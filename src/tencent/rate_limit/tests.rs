use std::sync::Arc;

use futures::poll;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::*;

const ACTION: Action = Action::CreatePaiInstance;

pub(super) fn keys() -> (RateLimits, SecretId, Region) {
    (RateLimits::default(), SecretId::new("AKIDx"), Region::parse("ap-guangzhou").unwrap())
}

/// When a call goes out whose caller has its token now.
fn sent(limits: &RateLimits, id: &SecretId, region: &Region, action: Action, now: Instant) -> Instant {
    let slot = limits.with(id, region, action, now, |bucket| bucket.slot(now));
    slot.map_or_else(|free_at| sent(limits, id, region, action, free_at), |()| now)
}

/// Times at which calls go out of one caller that comes back when it is told to.
fn greedy(limits: &RateLimits, id: &SecretId, region: &Region, action: Action, calls: usize) -> Vec<Instant> {
    let mut now = Instant::now();
    let mut taken = Vec::new();
    while taken.len() < calls {
        match limits.try_take(id, region, action, now) {
            Ok(()) => {
                now = sent(limits, id, region, action, now);
                taken.push(now);
            }
            Err(wait) => now += wait,
        }
    }
    taken
}

fn most_in_one_second(times: &[Instant]) -> usize {
    let within = |start: Instant| times.iter().filter(|&&t| t >= start && t < start + Duration::from_secs(1)).count();
    times.iter().map(|&start| within(start)).max().unwrap_or(0)
}

#[tokio::test(start_paused = true)]
async fn no_second_holds_more_than_the_documented_rate() {
    for action in Action::ALL {
        let (limits, id, region) = keys();
        let taken = greedy(&limits, &id, &region, action, 200);
        let most = most_in_one_second(&taken);
        let documented = usize::try_from(action.documented_rate()).unwrap();
        assert!(most <= documented, "{action}: {most}");
        assert!(most >= documented - 1, "{action}: {most}");
    }
}

/// Each call is held up between its token and its send, now less and now more.
#[tokio::test(start_paused = true)]
async fn calls_that_are_held_up_do_not_bunch() {
    let (limits, id, region) = keys();
    let limits = Arc::new(limits);
    let mut calls = JoinSet::new();
    for nth in 0..200_u64 {
        limits.take(&id, &region, ACTION, Duration::MAX).await.unwrap();
        let (limits, id, region) = (Arc::clone(&limits), id.clone(), region.clone());
        calls.spawn(async move {
            sleep(Duration::from_millis(nth * 7919 % 400)).await;
            limits.slot(&id, &region, ACTION).await;
            Instant::now()
        });
    }
    let begun = Instant::now();
    let sent = calls.join_all().await;
    assert!(most_in_one_second(&sent) <= 20, "{}", most_in_one_second(&sent));
    assert!(sent.iter().max().unwrap().duration_since(begun) < Duration::from_secs(1), "nobody waits for long");
}

/// An API server as creates meet it.
struct Server {
    /// Creates that are prepared at a time.
    writers: usize,
    /// Shortest and longest time for an intent, in milliseconds.
    writes: std::ops::Range<u64>,
    /// For how long it stands still at the beginning of each seven seconds, in milliseconds.
    stands_still: u64,
    /// Creates that stand ready on average, at most: as many a process that is killed leaves unsent.
    ready: u128,
}

/// Creates as they are made: some at a time take a token and write their intent, and each is sent when its slot has come.
async fn creates_fill_every_second_and_few_stand_ready(server: Server) {
    const CREATES: u64 = 1000;
    let (limits, id, region) = keys();
    let (limits, left) = (Arc::new(limits), Arc::new(Mutex::new(0..CREATES)));
    let begun = Instant::now();
    let mut writers = JoinSet::new();
    let (least, spread) = (server.writes.start, server.writes.end - server.writes.start);
    for _ in 0..server.writers {
        let (limits, left, id, region) = (Arc::clone(&limits), Arc::clone(&left), id.clone(), region.clone());
        writers.spawn(async move {
            let mut sends = JoinSet::new();
            loop {
                let Some(nth) = left.lock().unwrap().next() else { break };
                let permit = limits.take_ahead(&id, &region, ACTION, Duration::MAX).await.unwrap();
                sleep(Duration::from_millis(least + nth * 7919 % spread)).await;
                let stands_until = begun.elapsed().as_secs() / 7 * 7000 + server.stands_still;
                sleep_until(begun + Duration::from_millis(stands_until)).await;
                let written = Instant::now();
                sends.spawn(async move {
                    permit.slot().await;
                    (written, Instant::now())
                });
            }
            sends.join_all().await
        });
    }
    let calls: Vec<(Instant, Instant)> = writers.join_all().await.into_iter().flatten().collect();
    let sent: Vec<Instant> = calls.iter().map(|(_, sent)| *sent).collect();
    assert!(most_in_one_second(&sent) <= 20, "{}", most_in_one_second(&sent));
    let took = sent.iter().max().unwrap().duration_since(begun).as_millis();
    assert!(took <= 1_040 * u128::from(CREATES) / 20, "{took} ms");
    let ready: Duration = calls.iter().map(|(written, sent)| sent.duration_since(*written)).sum();
    assert!(ready.as_millis() <= server.ready * took, "{} stand ready on average", ready.as_millis() / took);
}

#[tokio::test(start_paused = true)]
async fn creates_fill_every_second_although_the_server_stands_still_now_and_then() {
    let server = Server { writers: 8, writes: 5..45, stands_still: 600, ready: 2 };
    creates_fill_every_second_and_few_stand_ready(server).await;
}

#[tokio::test(start_paused = true)]
async fn creates_fill_every_second_although_the_server_is_slow() {
    let server = Server { writers: 40, writes: 20..300, stands_still: 0, ready: 4 };
    creates_fill_every_second_and_few_stand_ready(server).await;
}

#[tokio::test(start_paused = true)]
async fn a_slot_is_free_in_as_many_seconds_as_others_fill_before() {
    let now = Instant::now();
    let mut bucket = Bucket::new(20, now);
    let windows = |bucket: &Bucket, others| {
        (0..9).find(|count| bucket.free_slot(now, others) == now + WINDOW * *count).expect("a whole number of windows")
    };
    for _ in 0..10 {
        bucket.slot(now).unwrap();
    }
    let seconds = [9, 10, 29, 30].map(|others| windows(&bucket, others));
    assert_eq!(seconds, [0, 1, 1, 2]);
    for _ in 0..10 {
        bucket.slot(now).unwrap();
    }
    let seconds = [0, 19, 20, 45].map(|others| windows(&bucket, others));
    assert_eq!(seconds, [1, 1, 2, 3]);
}

/// Those that were ready first saw others that came later being sent before them, again and again.
#[tokio::test(start_paused = true)]
async fn who_is_ready_first_is_sent_first() {
    let (limits, id, region) = keys();
    let slot = || Box::pin(limits.slot(&id, &region, ACTION));
    for _ in 0..ACTION.documented_rate() {
        slot().await;
    }
    let mut first = slot();
    assert!(poll!(&mut first).is_pending());
    tokio::time::advance(WINDOW).await;
    let mut second = slot();
    assert!(poll!(&mut second).is_pending());
    assert!(poll!(&mut first).is_ready());
    assert!(poll!(&mut second).is_ready());
}

#[tokio::test(start_paused = true)]
async fn a_create_that_is_given_up_leaves_its_slot_to_the_next() {
    let (limits, id, region) = keys();
    let limits = Arc::new(limits);
    for nth in 0..100 {
        let permit = limits.take_ahead(&id, &region, ACTION, Duration::from_millis(200)).await;
        let permit = permit.unwrap_or_else(|wait| panic!("number {nth} was told to wait for {wait:?}"));
        if nth % 2 == 0 {
            permit.slot().await;
        }
    }
    assert_eq!(limits.with(&id, &region, ACTION, Instant::now(), |bucket| bucket.ahead), 0);
}

#[tokio::test(start_paused = true)]
async fn keys_do_not_share_tokens() {
    let (limits, id, region) = keys();
    let now = Instant::now();
    let other = SecretId::new("AKIDy");
    let shanghai = Region::parse("ap-shanghai").unwrap();
    assert!(limits.try_take(&id, &region, ACTION, now).is_ok());
    assert!(limits.try_take(&id, &region, ACTION, now).is_err());
    assert!(limits.try_take(&other, &region, ACTION, now).is_ok());
    assert!(limits.try_take(&id, &shanghai, ACTION, now).is_ok());
    assert!(limits.try_take(&id, &region, Action::TerminateInstances, now).is_ok());
}

#[tokio::test(start_paused = true)]
async fn callers_that_were_turned_away_get_different_times_and_are_served_then() {
    let (limits, id, region) = keys();
    let start = Instant::now();
    limits.try_take(&id, &region, ACTION, start).unwrap();
    let mut times: Vec<Instant> = Vec::new();
    for _ in 0..100 {
        let wait = limits.try_take(&id, &region, ACTION, start).unwrap_err();
        times.push(start + wait);
    }
    times.sort();
    times.dedup();
    assert_eq!(times.len(), 100);
    for time in times {
        // Timers wake on the next whole millisecond.
        let late = time + Duration::from_millis(1);
        assert!(limits.try_take(&id, &region, ACTION, late).is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn waiting_callers_are_served_in_order_and_within_their_bound() {
    let (limits, id, region) = keys();
    let longest = Duration::from_millis(200);
    let start = Instant::now();
    let mut served = Vec::new();
    for _ in 0..50 {
        limits.take(&id, &region, ACTION, longest).await.unwrap();
        served.push(Instant::now());
    }
    assert!(most_in_one_second(&served) <= 20);
    assert!(start.elapsed() > Duration::ZERO);
    limits.throttled(&id, &region, ACTION, Instant::now());
    assert!(limits.take(&id, &region, ACTION, longest).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn routine_work_goes_behind_others_and_is_not_starved() {
    let limits = std::sync::Arc::new(RateLimits::default());
    let (_, id, region) = keys();
    let interval = Duration::from_millis(60);
    let served = std::sync::Arc::new(Mutex::new(Vec::new()));
    let mut tasks = tokio::task::JoinSet::new();
    for nth in 0..40 {
        let (limits, id, region, served) = (limits.clone(), id.clone(), region.clone(), served.clone());
        tasks.spawn(async move {
            limits.take_behind(&id, &region, ACTION).await;
            served.lock().unwrap().push((Instant::now(), format!("routine {nth}")));
        });
    }
    tokio::time::sleep(interval).await;
    // One who comes amid a flood of routine work waits for one token at most, not for the flood.
    let asked = Instant::now();
    assert!(limits.has_room(&id, &region, ACTION));
    limits.take(&id, &region, ACTION, Duration::from_secs(5)).await.unwrap();
    assert!(asked.elapsed() <= interval, "{:?}", asked.elapsed());
    while tasks.join_next().await.is_some() {}
    let times: Vec<Instant> = served.lock().unwrap().iter().map(|(at, _)| *at).collect();
    assert_eq!(times.len(), 40);
    assert!(most_in_one_second(&times) <= 20);
    // And routine work gets its turn while others never cease to call.
    let (flood, key, place) = (limits.clone(), id.clone(), region.clone());
    let flood =
        tokio::spawn(async move { while flood.take(&key, &place, ACTION, Duration::from_secs(5)).await.is_ok() {} });
    let asked = Instant::now();
    limits.take_behind(&id, &region, ACTION).await;
    assert!(asked.elapsed() <= PATIENCE + 2 * interval, "{:?}", asked.elapsed());
    flood.abort();
    tokio::time::sleep(2 * interval).await;
    for waits in [true, true, false] {
        assert_eq!(limits.has_room(&id, &region, ACTION), waits);
        let _ = limits.with(&id, &region, ACTION, Instant::now(), |bucket| bucket.reserve(Instant::now(), PATIENCE));
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_by_the_cloud_slows_down_and_recovers() {
    let (limits, id, region) = keys();
    let full = most_in_one_second(&greedy(&limits, &id, &region, ACTION, 100));
    tokio::time::advance(Duration::from_mins(1)).await;
    // Twenty answers that were under way together count once.
    for _ in 0..20 {
        limits.throttled(&id, &region, ACTION, Instant::now());
    }
    assert!(limits.try_take(&id, &region, ACTION, Instant::now()).is_err());
    let slow = most_in_one_second(&greedy(&limits, &id, &region, ACTION, 50));
    assert_eq!(slow, full / 2);
    tokio::time::advance(RECOVERY * 2).await;
    let recovered = most_in_one_second(&greedy(&limits, &id, &region, ACTION, 100));
    assert_eq!(recovered, full);
}

#[tokio::test(start_paused = true)]
async fn refusals_in_a_row_never_stop_the_calls() {
    let (limits, id, region) = keys();
    for _ in 0..10 {
        limits.throttled(&id, &region, ACTION, Instant::now());
        tokio::time::advance(PAUSE).await;
    }
    assert_eq!(most_in_one_second(&greedy(&limits, &id, &region, ACTION, 20)), 3);
}

#[tokio::test(start_paused = true)]
async fn keys_that_are_not_used_are_forgotten() {
    let (limits, _, region) = keys();
    for n in 0..1000 {
        let id = SecretId::new(format!("AKID{n}"));
        limits.try_take(&id, &region, ACTION, Instant::now()).unwrap();
    }
    tokio::time::advance(FORGET * 2).await;
    limits.try_take(&SecretId::new("AKIDx"), &region, ACTION, Instant::now()).unwrap();
    assert_eq!(limits.state.lock().unwrap().buckets.len(), 1);
}
