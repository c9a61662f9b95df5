//! One run: a fresh thread and a paused clock, so that every run repeats from its seed.

use std::cell::Cell;
use std::future::Future;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, Once};
use std::thread;
use std::time::Duration;

use kube_apiserver_model::ApiServer;
use serde_json::{Value, json};
use tencentcloud_simulator::{Account, Cloud, Config, DomainPolicy};

use crate::oracle;
use crate::person::{OTHER_ID, SECRET_ID, SECRET_KEY};
use crate::world::{World, look_for_secrets};

/// What a panic says that the test wanted.
pub const PLANTED_PANIC: &str = "planted by the test";

thread_local! {
    static PANICS: Cell<u64> = const { Cell::new(0) };
}

/// How many panics there were on this thread.
pub fn panics() -> u64 {
    PANICS.get()
}

/// Runs a scenario in a world of its own, whose cloud sells a domain as often as it is asked to: one that refuses the second create would
/// hide that it was sent.
pub fn run<T, F>(seed: u64, scenario: impl FnOnce(Arc<World>) -> F + Send + 'static) -> T
where
    T: Send + 'static,
    F: Future<Output = T>,
{
    run_in(seed, true, scenario)
}

/// Runs a scenario in a world whose cloud gives a domain to one machine only, or to as many as ask for it.
pub fn run_in<T, F>(seed: u64, shared_domains: bool, scenario: impl FnOnce(Arc<World>) -> F + Send + 'static) -> T
where
    T: Send + 'static,
    F: Future<Output = T>,
{
    count_panics();
    let thread = thread::Builder::new().name(format!("seed {seed}")).spawn(move || {
        seeded_random::seed(seed);
        fastrand::seed(seed);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let lines = Arc::default();
        let _logs = tracing::subscriber::set_default(subscriber(&lines));
        runtime.block_on(async {
            let world = World::new(api_server(seed), cloud(seed, shared_domains));
            world.write_secret(SECRET_ID);
            world.state().leaked_in_logs = lines;
            scenario(world).await
        })
    });
    match thread.unwrap().join() {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

fn count_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            PANICS.set(PANICS.get() + 1);
            if info.payload_as_str() != Some(PLANTED_PANIC) {
                before(info);
            }
        }));
    });
}

fn api_server(seed: u64) -> ApiServer {
    let mut api = ApiServer::new(seed);
    let crd = serde_json::to_value(pai_operator::api::crd::crd().unwrap()).unwrap();
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    api.handle(&kube_apiserver_model::Request::new("POST", path, crd), jiff::Timestamp::UNIX_EPOCH);
    api
}

fn cloud(seed: u64, shared_domains: bool) -> Cloud {
    let owner = "one-account";
    Cloud::new(Config {
        seed,
        boot_time: Duration::from_secs(2),
        domain_policy: if shared_domains { DomainPolicy::Shared } else { DomainPolicy::Unique },
        ..Config::default()
            .account(Account::new(SECRET_ID, SECRET_KEY).owner(owner))
            .account(Account::new(OTHER_ID, SECRET_KEY).owner(owner))
    })
}

/// Tells every log line of the operator to the oracle, and keeps none.
fn subscriber(leaks: &Arc<Mutex<Vec<String>>>) -> impl tracing::Subscriber + Send + Sync + 'static {
    let leaks = Arc::clone(leaks);
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_ansi(false)
        .without_time()
        .with_writer(move || LogOracle(Arc::clone(&leaks)))
        .finish()
}

struct LogOracle(Arc<Mutex<Vec<String>>>);

impl Write for LogOracle {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        look_for_secrets(&text, "a log line", &mut self.0.lock().unwrap());
        if std::env::var_os("PAI_FAULT_LOG").is_some() {
            eprint!("{text}");
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How often a run looks whether it is at rest.
const LOOKS: Duration = Duration::from_secs(5);

/// Waits until nothing has had to happen for `calm`, looking each few seconds, at most `longest`. `helper` is what a person does who looks
/// then; it says whether there was anything to do.
pub async fn rest_for(
    world: &Arc<World>,
    calm: Duration,
    longest: Duration,
    mut helper: impl FnMut(&World) -> bool,
) -> Result<(), String> {
    let end = world.elapsed() + longest;
    let mut since = world.elapsed();
    loop {
        world.audit();
        let acted = helper(world);
        let unrest = oracle::unrest(world).or_else(|| acted.then(|| "a person has just acted".to_owned()));
        let now = world.elapsed();
        match unrest {
            None if now >= since + calm => return Ok(()),
            None => {}
            Some(why) if now >= end => return Err(format!("not at rest: {why}")),
            Some(_) => since = now,
        }
        tokio::time::sleep(LOOKS).await;
    }
}

/// The same, at rest as soon as nothing has to happen.
pub async fn rest(world: &Arc<World>, longest: Duration, helper: impl FnMut(&World) -> bool) -> Result<(), String> {
    rest_for(world, Duration::ZERO, longest, helper).await
}

/// No object is written while nothing changes: an oracle of its own, since a hot loop can hide behind a right end.
pub async fn fixed_point(world: &Arc<World>, span: Duration) -> Result<(), String> {
    // What was on its way when rest was seen may still land, and one sweep may still note what a person changed.
    tokio::time::sleep(Duration::from_mins(6)).await;
    let before = world.state().writes;
    tokio::time::sleep(span).await;
    let written = world.state().writes - before;
    if written == 0 { Ok(()) } else { Err(format!("{written} writes at the fixed point")) }
}

/// An empty spec beside what every object has.
pub fn plain() -> Value {
    json!({})
}
