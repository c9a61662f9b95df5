//! Every crash point of every scenario: the process dies before, during and after each call it makes, is started again, and the world
//! must come to the same end as without the crash. So must it when what made the call panics or is dropped.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::faults::{Place, Trouble};
use crate::oracle;
use crate::process::{Options, keep_running};
use crate::run::{fixed_point, rest, run_in};
use crate::scenario::{self, Scenario};

/// Longest time until rest: the search for a lost create takes a quarter of an hour, three of them in a row may happen.
const LONGEST: Duration = Duration::from_hours(3);

/// How a process dies at a call.
fn deaths() -> [Trouble; 3] {
    [Trouble::CrashBefore, Trouble::CrashInFlight(Duration::from_secs(3)), Trouble::CrashAfter]
}

/// How what made a call can end there, with or without its process.
pub fn ways() -> [Trouble; 5] {
    let [before, in_flight, after] = deaths();
    [before, in_flight, after, Trouble::PanicAfter, Trouble::Abandon]
}

/// Ends by the number of the call.
pub type Deaths = Vec<(u64, Trouble)>;

/// What a run came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    state: Vec<String>,
    pub calls: u64,
    /// The numbers of the calls that change something.
    changes: BTreeSet<u64>,
    log: Vec<String>,
}

/// Runs a scenario with these deaths. The error is the first oracle that did not hold, with the log.
pub fn play(scenario: Scenario, deaths: &Deaths) -> Result<End, String> {
    let deaths = deaths.clone();
    // In a cloud that sells a domain twice: one that refuses the second create would hide that it was sent.
    run_in(1, true, move |world| async move {
        for (nth, trouble) in deaths {
            world.state().faults.once(Place::Nth(nth), trouble);
        }
        (scenario.prepare)(&world);
        let _slot = keep_running(&world, "operator", Options::default(), Duration::from_secs(1));
        let mut result = Ok(());
        for act in scenario.acts {
            tokio::time::sleep(act.after).await;
            (act.person)(&world);
            if act.then_rest {
                result = result.and(rest(&world, LONGEST, scenario.helper).await);
            }
        }
        let calls = world.state().calls;
        let changes = world.state().changes.clone();
        let excused: BTreeSet<String> = (scenario.excused)(&world).into_iter().collect();
        let result = result
            .and_then(|()| oracle::no_duplicates(&world))
            .and_then(|()| oracle::machines_and_objects_agree(&world, &excused));
        let result = match result {
            Ok(()) => fixed_point(&world, Duration::from_mins(20)).await,
            Err(error) => Err(error),
        };
        let result = result.and_then(|()| oracle::rates_are_kept(&world));
        let result = result.and_then(|()| oracle::ends_are_right(&world));
        let result = result.and_then(|()| oracle::nothing_shown_nothing_broken(&world));
        let state = oracle::end_state(&world);
        let log = std::mem::take(&mut world.state().log);
        match result {
            Ok(()) => Ok(End { state, calls, changes, log }),
            Err(error) => Err(format!("{error}\n{}", log.join("\n"))),
        }
    })
}

/// The run must end as the one without deaths did.
pub fn judge(scenario: Scenario, clean: &End, deaths: &Deaths) -> Result<End, String> {
    let end = play(scenario, deaths)?;
    // Where a person acts amid the create, a crash decides whether a machine is bought at all: then only the objects must agree.
    let amid = scenario.acts.iter().any(|act| !act.after.is_zero());
    let compared = |end: &End| end.state.len() - usize::from(amid);
    if end.state.iter().take(compared(&end)).eq(clean.state.iter().take(compared(clean))) {
        return Ok(end);
    }
    Err(format!("it ended as {:#?}\nand not as {:#?}\n{}", end.state, clean.state, end.log.join("\n")))
}

/// Carries out the jobs on all cores and gives what they found.
pub fn on_all_cores<J: Sync, F: Send>(jobs: &[J], work: impl Fn(&J) -> Option<F> + Sync) -> Vec<F> {
    let next = AtomicUsize::new(0);
    let cores = thread::available_parallelism().map_or(2, std::num::NonZero::get);
    thread::scope(|scope| {
        let worker = || {
            let mut failures = Vec::new();
            while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                failures.extend(work(job));
            }
            failures
        };
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    })
}

/// The failures in short, and the first of them whole.
fn conclude(failures: &[(Deaths, String)]) {
    for (deaths, failure) in failures {
        println!("FAILED {deaths:?}: {}", failure.lines().take(12).collect::<Vec<_>>().join(" "));
    }
    if let Some((deaths, failure)) = failures.first() {
        panic!("{} failures, the first with {deaths:?}: {failure}", failures.len());
    }
}

#[test]
fn every_single_crash_point() {
    let mut total = 0;
    let mut all_failures = Vec::new();
    for scenario in scenario::all() {
        let clean = match play(scenario, &Vec::new()) {
            Ok(clean) => clean,
            Err(failure) => {
                all_failures.push((Vec::new(), failure));
                continue;
            }
        };
        let points: Vec<Deaths> = (0..clean.calls).flat_map(|nth| ways().map(|way| vec![(nth, way)])).collect();
        let failures = on_all_cores(&points, |deaths| {
            judge(scenario, &clean, deaths).err().map(|failure| (deaths.clone(), failure))
        });
        println!(
            "{}: {} crash points at {} calls, {} failed",
            scenario.name,
            points.len(),
            clean.calls,
            failures.len()
        );
        total += points.len();
        all_failures.extend(failures);
    }
    conclude(&all_failures);
    println!("{total} single crash points: one machine each, none left over, the same end, at rest, nothing shown");
}

/// The different deaths at a call. At one that only reads they are one and the same: the world that is left does not depend on
/// whether it was read, where no fault of the scenario waits for a read. (`every_single_crash_point` tries all of them all the same.)
fn deaths_at(nth: u64, end: &End) -> Vec<(u64, Trouble)> {
    let all = if end.changes.contains(&nth) { deaths().to_vec() } else { vec![Trouble::CrashAfter] };
    all.into_iter().map(|death| (nth, death)).collect()
}

/// Pairs of crash points of one scenario: the second comes within `reach` calls of the first, in the life that the first left behind.
fn pairs(scenario: Scenario, clean: &End, reach: u64) -> (usize, Vec<(Deaths, String)>) {
    let firsts: Vec<_> = (0..clean.calls.min(reach)).flat_map(|nth| deaths_at(nth, clean)).collect();
    let runs = AtomicUsize::new(0);
    let failures = on_all_cores(&firsts, |first| {
        let once = match judge(scenario, clean, &vec![first.clone()]) {
            Ok(once) => once,
            Err(failure) => return Some((vec![first.clone()], failure)),
        };
        let begin = first.0 + 1;
        let seconds = (begin..once.calls.min(begin.saturating_add(reach))).flat_map(|nth| deaths_at(nth, &once));
        seconds.into_iter().find_map(|second| {
            runs.fetch_add(1, Ordering::Relaxed);
            let deaths = vec![first.clone(), second];
            let end = judge(scenario, clean, &deaths);
            // A run that did not repeat the other up to its second death would have other calls that change something.
            let upto = |end: &End| end.changes.range(..=deaths[1].0).copied().collect::<Vec<_>>();
            let repeats =
                end.and_then(|end| if upto(&end) == upto(&once) { Ok(()) } else { Err("no replay".to_owned()) });
            repeats.err().map(|failure| (deaths, failure))
        })
    });
    (runs.into_inner(), failures)
}

/// `PAI_CRASH_PAIRS=all` runs every pair of every create. Otherwise it is those of one scenario of each kind of billing within the first
/// calls, which hold all kinds of calls: the long search for a lost create repeats the same four.
#[test]
fn every_pair_of_crash_points_of_a_create() {
    let all = std::env::var("PAI_CRASH_PAIRS").is_ok_and(|value| value == "all");
    let (scenarios, reach) = if all { (scenario::CREATES, u64::MAX) } else { (&scenario::CREATES[..2], 24) };
    let mut total = 0;
    let mut all_failures = Vec::new();
    for scenario in scenarios.iter().copied() {
        let clean = play(scenario, &Vec::new()).unwrap();
        let (runs, failures) = pairs(scenario, &clean, reach);
        println!("{}: {runs} pairs, {} failed", scenario.name, failures.len());
        total += runs;
        all_failures.extend(failures);
    }
    conclude(&all_failures);
    println!("{total} pairs of crash points: one machine each, none left over, the same end, at rest, nothing shown");
}
