//! Random faults: each seed draws objects, troubles, edits and deletions; afterwards everything works again, and the world must come
//! to rest with one machine for each object and none besides.
//!
//! `PAI_FAULT_SEEDS=A..B` says which seeds; a bad one prints the command that replays it alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use serde_json::Value;

use crate::crash_points::on_all_cores;
use crate::draw;
use crate::oracle;
use crate::people::{People, duplicate_ids, owner};
use crate::person::{OTHER_ID, Ready, SECRET_ID, name_of};
use crate::process::{Options, Slot, keep_running};
use crate::run::{fixed_point, panics, rest_for, run_in};
use crate::scenario::references;
use crate::trouble::{self, TROUBLE_LASTS};
use crate::upheaval;
use crate::world::{Seen, World, is_beyond_the_window};

/// Seeds of a run of all tests.
const SEEDS: std::ops::Range<u64> = 0..300;

/// Longest time until rest after the faults stop, in the world's own time. Three lost creates in a row take most of it.
const LONGEST: Duration = Duration::from_hours(6);

/// How long it must last: what waits for a person is looked at again every minute, what is well every five.
const CALM: Duration = Duration::from_mins(7);

/// How far a clock may be off that nobody has mended, in seconds.
const FAR_OFF: i64 = 600;

/// For how long nothing may be written then.
const STILL: Duration = Duration::from_mins(10);

/// What one seed came to.
#[derive(Clone, Debug, Default)]
struct Finding {
    seed: u64,
    /// What did not hold, by the name under which it is counted.
    broken: BTreeMap<&'static str, String>,
    panics: u64,
    reported: u64,
    two_leaders: bool,
    /// The classes of trouble that were drawn.
    drawn: BTreeSet<&'static str>,
    seen: Seen,
    /// Objects and machines at the end.
    end: Vec<String>,
    log: Vec<String>,
}

impl Finding {
    fn is_bad(&self) -> bool {
        !self.broken.is_empty() || self.panics > 0
    }

    fn why(&self) -> String {
        let said: Vec<String> = self.broken.iter().map(|(what, why)| format!("{what}: {why}")).collect();
        format!("{} ({} panics)", said.join("; "), self.panics)
    }
}

/// A run that panics is a finding like any other, and must not end the others.
fn play(seed: u64) -> Finding {
    std::panic::catch_unwind(|| play_unguarded(seed)).unwrap_or_else(|_| Finding {
        seed,
        panics: 1,
        broken: [("stuck", "the run itself panicked: see above".to_owned())].into(),
        ..Finding::default()
    })
}

fn play_unguarded(seed: u64) -> Finding {
    let mut rng = Rng::with_seed(seed);
    let shared_domains = rng.bool();
    run_in(seed, shared_domains, move |world| async move {
        let two_leaders = rng.u8(..3) == 0;
        let processes = set_the_stage(&world, &mut rng, two_leaders).await;
        make_peace(&world, &mut rng, &processes);
        upheaval::draw(&mut rng, &world).await;
        let broken = judge(&world).await;
        let mut end: Vec<String> =
            world.objects().iter().map(|object| format!("{} {:?}", object["status"], Ready::of(object))).collect();
        let state = world.state();
        end.extend(state.cloud.instances().map(|instance| format!("{instance:?}")));
        let reported = state
            .api
            .all("events.k8s.io", "events")
            .into_iter()
            .filter(|event| event.get("reason").and_then(Value::as_str) == Some("DuplicateFound"));
        Finding {
            seed,
            broken,
            panics: panics() - state.planted_panics,
            reported: reported.count() as u64,
            two_leaders,
            drawn: state.drawn.clone(),
            seen: state.seen,
            end,
            log: state.log.clone(),
        }
    })
}

/// What does not hold once the world has had the time and the people to come to rest.
async fn judge(world: &Arc<World>) -> BTreeMap<&'static str, String> {
    let mut people = People::default();
    let mut broken = BTreeMap::new();
    if let Err(why) = rest_for(world, CALM, LONGEST, |world| people.look(world)).await {
        // What is still on its way is no leak.
        broken.insert("stuck", why);
    } else {
        let mut excused = world.state().excused.clone();
        excused.extend(beyond_what_is_promised(world));
        broken.extend(oracle::machines_and_objects_agree(world, &excused).err().map(|why| ("leaks", why)));
        broken.extend(fixed_point(world, STILL).await.err().map(|why| ("restless", why)));
    }
    broken.extend(oracle::no_duplicates(world).err().map(|why| ("duplicates", why)));
    broken.extend(oracle::ends_are_right(world).err().map(|why| ("wrong end", why)));
    broken.extend(unmended(world).map(|why| ("stuck", why)));
    broken.extend(oracle::rates_are_kept(world).err().map(|why| ("overrun", why)));
    broken.extend(world.state().first_leak().map(|why| ("secrets", why)));
    broken
}

/// An object that still waits for what was mended long ago. What else a person may be waited for has its own answer in `people`.
fn unmended(world: &World) -> Option<String> {
    let mended = ["InvalidSpec", "CredentialsInvalid", "CredentialsForbidden", "ApiRetired", "CloudUnavailable"];
    let objects = world.objects();
    let mut waiting = objects.iter().filter(|object| mended.contains(&Ready::of(object).reason.as_str()));
    waiting.next().map(|object| format!("{} waits for what works again: {:?}", name_of(object), Ready::of(object)))
}

/// Machines that showed beyond the window: those of objects that are gone, and those that are reported.
fn beyond_what_is_promised(world: &World) -> Vec<String> {
    let objects = world.objects();
    let reported: Vec<String> = objects.iter().flat_map(duplicate_ids).collect();
    let state = world.state();
    let late = state.cloud.instances().filter(|instance| is_beyond_the_window(instance));
    let excused = late.filter(|instance| {
        let purchase = state.bought.get(&instance.id);
        owner(&objects, instance, purchase).is_none() || reported.contains(&instance.id)
    });
    excused.map(|instance| instance.id.clone()).collect()
}

/// Objects, processes and everything that goes wrong, spread over the time of trouble.
async fn set_the_stage(world: &Arc<World>, rng: &mut Rng, two_leaders: bool) -> Vec<Arc<Slot>> {
    references(world);
    world.open_strange_account();
    let names = draw::objects(rng);
    let specs: Vec<Value> = names.iter().map(|_| draw::spec(rng, &names)).collect();
    let options = Options { seed: rng.u64(..), clock_ahead: clock(rng), ..Options::default() };
    let mut processes = vec![keep_running(world, "one", options, Duration::from_secs(1 + rng.u64(..20)))];
    if two_leaders {
        let options = Options { seed: rng.u64(..), clock_ahead: clock(rng), ..options };
        processes.push(keep_running(world, "two", options, Duration::from_secs(1 + rng.u64(..20))));
    }
    // The first troubles wait for the first calls, the others come in their time.
    let mut moments: Vec<(u64, bool)> = Vec::new();
    for _ in 0..rng.u8(..=10) {
        let at = if rng.bool() { 0 } else { rng.u64(..240_000) };
        moments.push((at, true));
    }
    for _ in 0..rng.u8(..=4) {
        let at = if rng.bool() { rng.u64(..5_000) } else { rng.u64(..400_000) };
        moments.push((at, false));
    }
    moments.sort_unstable();
    for (name, spec) in names.iter().zip(&specs) {
        world.apply(name, spec);
    }
    let mut now = 0;
    for (at, is_trouble) in moments {
        tokio::time::sleep(Duration::from_millis(at - now)).await;
        now = at;
        if is_trouble {
            trouble::draw(rng, world, &processes);
        } else {
            let which = rng.usize(..names.len());
            draw::act(rng, world, &names[which], &specs[which]);
        }
    }
    tokio::time::sleep(TROUBLE_LASTS.saturating_sub(Duration::from_millis(now))).await;
    processes
}

/// Clocks are right mostly. One that is ten minutes off is refused by the cloud until it is mended, see C12.
fn clock(rng: &mut Rng) -> i64 {
    match rng.u8(..24) {
        0..4 => rng.i64(-240..240),
        4 => FAR_OFF,
        5 => -FAR_OFF,
        _ => 0,
    }
}

fn make_peace(world: &World, rng: &mut Rng, processes: &[Arc<Slot>]) {
    world.log(|| "everything works from now on".to_owned());
    let mut state = world.state();
    state.faults.clear();
    state.cloud.clear_faults();
    drop(state);
    // The old key does not always come back.
    world.write_secret(if rng.u8(..5) == 0 { OTHER_ID } else { SECRET_ID });
    for slot in processes {
        if slot.clock_ahead().abs() == FAR_OFF {
            world.state().drawn.insert("clock far off");
            slot.mend_the_clock();
        }
    }
    // Watches that were held back see what they missed.
    world.wake_watches();
}

/// The sums over all seeds, in the form that scripts read.
struct Summary<'a>(&'a [Finding]);

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.0;
        let broken = |what| all.iter().filter(|finding| finding.broken.contains_key(what)).count();
        let sum = |of: fn(&Finding) -> u64| all.iter().map(of).sum::<u64>();
        write!(
            f,
            "runs={} duplicates={} leaks={} stuck={} secrets={} panics={} reported={} crashes={} lostWrites={} unknown={} twoLeaders={} held={}",
            all.len(),
            broken("duplicates"),
            broken("leaks"),
            broken("stuck"),
            broken("secrets"),
            sum(|one| one.panics),
            sum(|one| one.reported),
            sum(|one| one.seen.crashes),
            sum(|one| one.seen.lost_writes),
            sum(|one| one.seen.unknown),
            all.iter().filter(|one| one.two_leaders).count(),
            sum(|one| one.seen.held),
        )
    }
}

fn seeds() -> Vec<u64> {
    let Ok(text) = std::env::var("PAI_FAULT_SEEDS") else { return SEEDS.collect() };
    let bounds =
        text.split_once("..").and_then(|(from, to)| Some((from.trim().parse().ok()?, to.trim().parse().ok()?)));
    let (from, to): (u64, u64) = bounds.unwrap_or_else(|| panic!("PAI_FAULT_SEEDS={text} is not of the form A..B"));
    assert!(from < to, "PAI_FAULT_SEEDS={text} holds no seed");
    (from..to).collect()
}

fn share(all: &[Finding], what: &str, holds: impl Fn(&Finding) -> bool) {
    let count = all.iter().filter(|finding| holds(finding)).count();
    println!("{what} in {count} of {} runs ({} %)", all.len(), count * 100 / all.len().max(1));
}

#[test]
fn random_faults() {
    let seeds = seeds();
    let mut all: Vec<Finding> = on_all_cores(&seeds, |seed| {
        let mut finding = play(*seed);
        if !finding.is_bad() || seeds.len() > 1 {
            finding.log = Vec::new();
            finding.end = Vec::new();
        }
        Some(finding)
    });
    all.sort_by_key(|finding| finding.seed);
    for bad in all.iter().filter(|finding| finding.is_bad()) {
        println!("{}", bad.log.join("\n"));
        println!("{}", bad.end.join("\n"));
        println!("seed {}: {}", bad.seed, bad.why());
        let replay = format!(
            "PAI_FAULT_SEEDS={}..{} cargo test --release --test faults random_faults -- --nocapture",
            bad.seed,
            bad.seed + 1
        );
        println!("replay it: {replay}");
    }
    share(&all, "an unknown outcome", |one| one.seen.unknown > 0);
    share(&all, "a lost write", |one| one.seen.lost_writes > 0);
    share(&all, "two leaders", |one| one.two_leaders);
    share(&all, "a crash while a create was open", |one| one.seen.critical_crashes > 0);
    share(&all, "a question to a person", |one| one.seen.held > 0);
    share(&all, "calls beyond the cloud's rates", |one| one.broken.contains_key("overrun"));
    share(&all, "a termination that may not be", |one| one.broken.contains_key("wrong end"));
    share(&all, "writes at rest", |one| one.broken.contains_key("restless"));
    for class in all.iter().flat_map(|one| &one.drawn).collect::<BTreeSet<_>>() {
        share(&all, &format!("drawn: {class}"), |one| one.drawn.contains(class));
    }
    println!("\n{}", Summary(&all));
    let bad = all.iter().filter(|finding| finding.is_bad()).count();
    assert_eq!(bad, 0, "bad seeds");
}
