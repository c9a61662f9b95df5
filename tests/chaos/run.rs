//! One run: trouble, rest, books, and the end of all objects.

use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use jiff::Timestamp;
use pai_harness::wait_until;
use serde_json::Value;

use crate::books;
use crate::faults;
use crate::keeper::{Course, Keeper};
use crate::land::{Land, PATIENCE, object, text};
use crate::person;
use crate::size::Size;

/// How long it may take until everything is at rest. An unknown outcome without a machine takes seven minutes, up to three times.
const REST: Duration = Duration::from_mins(45);

/// What is left undone.
struct Findings {
    duplicates: Vec<String>,
    leaks: Vec<String>,
    stuck: Vec<String>,
    not_awaited: usize,
    seconds_to_rest: u64,
}

/// Runs it, prints what was found on one line, and fails if it was anything.
pub fn run(name: &str, size: &Size, operators: usize) {
    println!("{name}: PAI_CHAOS_SEED={} {size:?}", size.seed);
    let land = Land::start(operators);
    let course = Course::default();
    let found = thread::scope(|scope| {
        let _ending = course.ends_with_me();
        for (number, operator) in (1..).zip(land.operators()) {
            let rng = Rng::with_seed(size.seed.wrapping_add(number));
            let keeper = Keeper { operator, course: &course, kills: size.kills, rng };
            scope.spawn(move || keeper.keep());
        }
        scope.spawn(|| person::answer_all(&land, &course));
        make_trouble(&land, &course, size, operators);
        come_to_rest(&land, &course, size)
    });
    report(name, &land, &course, size, &found);
    let Findings { duplicates, leaks, stuck, .. } = found;
    assert!(duplicates.is_empty() && leaks.is_empty() && stuck.is_empty(), "{duplicates:?}\n{leaks:?}\n{stuck:#?}");
}

/// Applies the objects spread over all kills, each with a fault of the cloud, and restarts the API server while creates are on their way.
fn make_trouble(land: &Land, course: &Course, size: &Size, operators: usize) {
    let mut rng = Rng::with_seed(size.seed);
    let kills = size.kills * operators;
    let restart_after = size.objects / (size.apiserver_restarts + 1);
    for number in 0..size.objects {
        wait_for_kills(course, number * kills / size.objects);
        land.stack.simulator().add_fault(&faults::draw(&mut rng, size.lost_creates)).unwrap();
        thread::sleep(Duration::from_millis(rng.u64(..1_000)));
        land.apply(&object(number));
        if number % restart_after == restart_after - 1 && number / restart_after < size.apiserver_restarts {
            thread::sleep(Duration::from_millis(rng.u64(..1_000)));
            land.stack.control_plane().restart_apiserver().unwrap();
        }
    }
    wait_for_kills(course, kills);
    land.stack.simulator().clear_faults().unwrap();
}

fn wait_for_kills(course: &Course, kills: usize) {
    wait_until(&format!("kill {kills}"), PATIENCE, || {
        assert!(!course.over(), "a keeper or the person has failed");
        let killed = course.kills.load(Ordering::Relaxed);
        if killed >= kills { Ok(()) } else { Err(format!("{killed} kills")) }
    })
    .unwrap();
}

fn come_to_rest(land: &Land, course: &Course, size: &Size) -> Findings {
    let began = Instant::now();
    let simulator = land.stack.simulator();
    let mut stuck = wait_for_none(REST, course, || {
        let machines = simulator.instances().map_err(|error| error.to_string())?;
        let objects = awaited(land, size)?;
        // After the worst there is nothing to wait for: the operator asks a person to remove the second machine.
        Ok(if books::bought_twice(&machines) { Vec::new() } else { books::not_at_rest(&objects, &machines) })
    });
    let seconds_to_rest = began.elapsed().as_secs();
    let objects = land.objects().unwrap();
    assert_eq!(objects.len(), size.objects);
    let mut leaks = books::leaks(&simulator.instances().unwrap(), &objects);
    let awaited_objects = awaited(land, size).unwrap();
    let names = awaited_objects.iter().map(|object| text(&object["metadata"]["name"]));
    let delete: Vec<&str> = ["delete", "pai", "--wait=false"].into_iter().chain(names).collect();
    land.kubectl(&delete);
    stuck.extend(wait_for_none(PATIENCE, course, || {
        let objects = awaited(land, size)?;
        Ok(objects.iter().map(|object| format!("not gone: {object}")).collect())
    }));
    leaks.extend(left_behind(land, course));
    let duplicates = books::duplicates(&simulator.calls().unwrap());
    let not_awaited = size.objects - awaited_objects.len();
    Findings { duplicates, leaks, stuck, not_awaited, seconds_to_rest }
}

/// The objects that come to rest within the run: a small one does not wait for those whose create never came to the cloud.
fn awaited(land: &Land, size: &Size) -> Result<Vec<Value>, String> {
    let mut objects = land.objects().map_err(|error| error.to_string())?;
    if !size.lost_creates {
        let calls = land.stack.simulator().calls().map_err(|error| error.to_string())?;
        objects.retain(|object| !books::never_arrived(object, &calls, Timestamp::now()));
    }
    Ok(objects)
}

/// What is billed after all objects are gone. A prepaid machine that was returned lies in the recycle bin, where a person destroys it.
fn left_behind(land: &Land, course: &Course) -> Vec<String> {
    let simulator = land.stack.simulator();
    for machine in simulator.instances().unwrap() {
        if machine["InstanceState"] == "SHUTDOWN" && machine["InstanceChargeType"] == "PREPAID" {
            simulator.terminate_instance(machine["InstanceId"].as_str().unwrap()).unwrap();
        }
    }
    wait_for_none(Duration::from_mins(1), course, || {
        let machines = simulator.instances().map_err(|error| error.to_string())?;
        Ok(machines.iter().map(Value::to_string).collect())
    })
}

/// Waits until the list is empty; what stands in it at the deadline is handed on.
fn wait_for_none(
    deadline: Duration,
    course: &Course,
    mut list: impl FnMut() -> Result<Vec<String>, String>,
) -> Vec<String> {
    let began = Instant::now();
    loop {
        assert!(!course.over(), "a keeper or the person has failed");
        match list() {
            Ok(left) if left.is_empty() => return left,
            Ok(left) if began.elapsed() > deadline => return left,
            Err(error) if began.elapsed() > deadline => return vec![error],
            _ => thread::sleep(Duration::from_secs(1)),
        }
    }
}

fn report(name: &str, land: &Land, course: &Course, size: &Size, found: &Findings) {
    let logs = land.logs();
    let calls = land.stack.simulator().calls().unwrap();
    let creates = books::count(&calls, "action", "CreatePaiInstance");
    let sent = |log: &[Value]| books::count(log, "message", "sending the create");
    let sent: Vec<usize> = land.operators().iter().map(|operator| sent(&operator.log_records())).collect();
    println!(
        "{name}: creates={creates} sentByOperator={sent:?} takenOver={} lapsed={} held={} notAwaited={} ownEnds={}",
        books::taken_over(&logs).len(),
        books::count(&logs, "state", "Lapsed"),
        books::count(&logs, "state", "Held"),
        found.not_awaited,
        course.own_ends.load(Ordering::Relaxed),
    );
    println!(
        "objects={} kills={} apiserverRestarts={} duplicates={} leaks={} stuck={} unknown={} secondsToRest={}",
        size.objects,
        course.kills.load(Ordering::Relaxed),
        size.apiserver_restarts,
        found.duplicates.len(),
        found.leaks.len(),
        found.stuck.len(),
        books::unknown(&logs).len(),
        found.seconds_to_rest,
    );
}
