//! Random faults: each seed draws objects, troubles, edits and deletions; afterwards everything works again, and the world must come
//! to rest with one machine for each object and none besides.
//!
//! `PAI_FAULT_SEEDS=A..B` says which seeds; a bad one prints the command that replays it alone.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};

use crate::crash_points::on_all_cores;
use crate::draw::{self, TROUBLE_LASTS};
use crate::oracle;
use crate::person::{Ready, SECRET_ID, attempt_state, ids, name_of};
use crate::process::{Options, keep_running};
use crate::run::{fixed_point, panics, rest_for, run_in};
use crate::scenario::{answer_what_is_held, references};
use crate::world::{Seen, World};

/// Seeds of a run of all tests.
const SEEDS: std::ops::Range<u64> = 0..300;

/// Longest time until rest after the faults stop, in the world's own time. Three lost creates in a row take most of it.
const LONGEST: Duration = Duration::from_hours(6);

/// How long it must last: what waits for a person is looked at again every minute, what is well every five.
const CALM: Duration = Duration::from_mins(7);

/// For how long nothing may be written then.
const STILL: Duration = Duration::from_mins(10);

/// What one seed came to.
#[derive(Clone, Debug, Default)]
struct Finding {
    seed: u64,
    duplicates: Option<String>,
    leaks: Option<String>,
    stuck: Option<String>,
    secrets: Option<String>,
    /// Calls more often than the cloud takes.
    overrun: Option<String>,
    /// Writes at rest.
    restless: Option<String>,
    panics: u64,
    reported: u64,
    two_leaders: bool,
    seen: Seen,
    /// Objects and machines at the end.
    end: Vec<String>,
    log: Vec<String>,
}

impl Finding {
    fn is_bad(&self) -> bool {
        self.duplicates.is_some()
            || self.leaks.is_some()
            || self.stuck.is_some()
            || self.secrets.is_some()
            || self.overrun.is_some()
            || self.restless.is_some()
            || self.panics > 0
    }

    fn why(&self) -> String {
        let said = [&self.duplicates, &self.leaks, &self.stuck, &self.secrets, &self.overrun, &self.restless];
        let said: Vec<&str> = said.into_iter().flatten().map(String::as_str).collect();
        format!("{} ({} panics)", said.join("; "), self.panics)
    }
}

/// A run that panics is a finding like any other, and must not end the others.
fn play(seed: u64) -> Finding {
    std::panic::catch_unwind(|| play_unguarded(seed)).unwrap_or_else(|_| Finding {
        seed,
        panics: 1,
        stuck: Some("the run itself panicked: see above".to_owned()),
        ..Finding::default()
    })
}

fn play_unguarded(seed: u64) -> Finding {
    let mut rng = Rng::with_seed(seed);
    let shared_domains = rng.bool();
    run_in(seed, shared_domains, move |world| async move {
        let two_leaders = rng.u8(..3) == 0;
        set_the_stage(&world, &mut rng, two_leaders).await;
        make_peace(&world);
        let mut people = People::default();
        let stuck = rest_for(&world, CALM, LONGEST, |world| people.look(world)).await.err();
        let excused = world.state().excused.clone();
        let leaks = match &stuck {
            // What is still on its way is no leak.
            Some(_) => None,
            None => oracle::machines_and_objects_agree(&world, &excused).err(),
        };
        let restless = match &stuck {
            Some(_) => None,
            None => fixed_point(&world, STILL).await.err(),
        };
        let duplicates = oracle::no_duplicates(&world).err();
        let overrun = oracle::rates_are_kept(&world).err();
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
            duplicates,
            leaks,
            stuck,
            secrets: state.first_leak(),
            overrun,
            restless,
            panics: panics(),
            reported: reported.count() as u64,
            two_leaders,
            seen: state.seen,
            end,
            log: state.log.clone(),
        }
    })
}

/// Objects, processes and everything that goes wrong, spread over the time of trouble.
async fn set_the_stage(world: &Arc<World>, rng: &mut Rng, two_leaders: bool) {
    references(world);
    let names = draw::objects(rng);
    let specs: Vec<Value> = names.iter().map(|_| draw::spec(rng, &names)).collect();
    let options = Options { seed: rng.u64(..), clock_ahead: clock(rng), ..Options::default() };
    keep_running(world, "one", options, Duration::from_secs(1 + rng.u64(..20)));
    if two_leaders {
        let options = Options { seed: rng.u64(..), clock_ahead: clock(rng), ..options };
        keep_running(world, "two", options, Duration::from_secs(1 + rng.u64(..20)));
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
            draw::trouble(rng, world);
        } else {
            let which = rng.usize(..names.len());
            draw::act(rng, world, &names[which], &specs[which]);
        }
    }
    tokio::time::sleep(TROUBLE_LASTS.saturating_sub(Duration::from_millis(now))).await;
}

/// Clocks are right mostly; a process whose clock is far off is refused by the cloud until it is mended, see C12.
fn clock(rng: &mut Rng) -> i64 {
    if rng.u8(..6) == 0 { rng.i64(-240..240) } else { 0 }
}

fn make_peace(world: &World) {
    world.log(|| "everything works from now on".to_owned());
    let mut state = world.state();
    state.faults.clear();
    state.cloud.clear_faults();
    drop(state);
    world.write_secret(SECRET_ID);
    // Watches that were held back see what they missed.
    world.wake_watches();
}

/// The people of a run, who look at their objects now and then and do what the conditions tell them to.
#[derive(Default)]
struct People {
    /// When each object was last acted on, by name: an answer takes a while to be heard.
    acted: BTreeMap<String, Duration>,
}

impl People {
    /// Says whether anybody still has something to do.
    fn look(&mut self, world: &World) -> bool {
        let mut busy = false;
        for object in world.objects() {
            let name = name_of(&object).to_owned();
            let now = world.elapsed();
            let waits = self.acted.get(&name).is_some_and(|at| now < *at + Duration::from_mins(2));
            if waits {
                busy |= needs_help(&object);
            } else if help(world, &object) {
                self.acted.insert(name, now);
                busy = true;
            } else {
                busy |= will_be_asked(&object);
            }
        }
        busy
    }
}

fn needs_help(object: &Value) -> bool {
    let reason = Ready::of(object).reason;
    ["ExternallyDeleted", "InstanceFailed", "Stopped", "NotReturnable", "DomainNotBound"].contains(&reason.as_str())
        || attempt_state(object) == "Held"
        || will_be_asked(object)
}

/// The key was rotated during a create: the person is asked a quarter of an hour after it.
fn will_be_asked(object: &Value) -> bool {
    Ready::of(object).reason == "CredentialsChanged" && attempt_state(object) == "Uncertain"
}

/// Does what the object's condition tells people to do. False if it tells nothing.
fn help(world: &World, object: &Value) -> bool {
    let name = name_of(object);
    match Ready::of(object).reason.as_str() {
        "ExternallyDeleted" | "InstanceFailed" => {
            // A prepaid one lies in the recycle bin first, and is destroyed there by whoever wants another.
            for id in ids(object) {
                world.state().cloud.destroy(&id);
            }
            world.obey(object, "recreate", None)
        }
        "Stopped" => {
            let running = json!({"InstanceState": "RUNNING"});
            for id in ids(object) {
                world.state().cloud.change(&id, running.as_object().unwrap());
            }
            true
        }
        "DomainNotBound" => {
            world.delete(name);
            true
        }
        _ => answer_what_is_held(world, Some(name)),
    }
}

/// The sums over all seeds, in the form that scripts read.
struct Summary<'a>(&'a [Finding]);

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.0;
        let count = |holds: fn(&Finding) -> bool| all.iter().filter(|finding| holds(finding)).count();
        let sum = |of: fn(&Finding) -> u64| all.iter().map(of).sum::<u64>();
        write!(
            f,
            "runs={} duplicates={} leaks={} stuck={} secrets={} panics={} reported={} crashes={} lostWrites={} unknown={} twoLeaders={} held={}",
            all.len(),
            count(|one| one.duplicates.is_some()),
            count(|one| one.leaks.is_some()),
            count(|one| one.stuck.is_some()),
            count(|one| one.secrets.is_some()),
            sum(|one| one.panics),
            sum(|one| one.reported),
            sum(|one| one.seen.crashes),
            sum(|one| one.seen.lost_writes),
            sum(|one| one.seen.unknown),
            count(|one| one.two_leaders),
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

fn share(all: &[Finding], what: &str, holds: fn(&Finding) -> bool) {
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
    share(&all, "calls beyond the cloud's rates", |one| one.overrun.is_some());
    share(&all, "writes at rest", |one| one.restless.is_some());
    println!("\n{}", Summary(&all));
    let bad = all.iter().filter(|finding| finding.is_bad()).count();
    assert_eq!(bad, 0, "bad seeds");
}
