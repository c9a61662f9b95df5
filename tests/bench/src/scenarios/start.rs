//! A start with many settled objects: until the operator is ready, and until it has asked for every machine once.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::resident::Residents;
use super::{Outcome, Scenario, run_with};
use crate::cloud::{Journal, LATENCY};
use crate::progress::Progress;
use crate::settings::Settings;
use crate::statistics::{percentile, rounded};
use crate::{Error, while_doing};

/// Pause between two questions whether it is ready.
const PROBE: Duration = Duration::from_millis(10);

/// Probes between two looks into the cloud's journal, whose entries have times of their own.
const PROBES_A_LOOK: u32 = 20;

/// Longest wait for the first sweep. Our choice: four times what 10,000 single calls take at the cloud's limit.
const LIMIT: Duration = Duration::from_mins(17);

/// What one start took.
#[derive(Clone, Copy, Debug)]
pub struct Started {
    /// From just before the process until the answer that completed the first sweep.
    pub first_sweep: f64,
    /// From just before the process until `/readyz` answered 200.
    pub ready: f64,
    /// Writes on the objects meanwhile. Settled objects get none.
    pub writes: u64,
    /// Calls until the first sweep was done.
    pub calls: usize,
}

/// Runs it several times; the median is the result.
pub fn run(settings: &Settings, residents: &Residents) -> Result<Outcome, Error> {
    let mut progress = Progress::of("start");
    let mut runs = Vec::new();
    for _ in 0..settings.runs {
        residents.stop()?;
        runs.push(start(residents, &mut progress)?);
    }
    let median = |of: fn(&Started) -> f64| {
        let values: Vec<f64> = runs.iter().map(of).collect();
        percentile(&values, 50).map(|value| rounded(value, 3))
    };
    let mut figures = json!({
        "resident": residents.count(),
        "seeded": true,
        "first_sweep_seconds": median(|run| run.first_sweep),
        "ready_seconds": median(|run| run.ready),
        "runs": runs.iter().map(shown).collect::<Vec<_>>(),
    });
    run_with(residents.stack(), &mut figures)?;
    Ok(Outcome { scenario: Scenario::Start, figures, series: None })
}

fn shown(run: &Started) -> Value {
    json!({
        "first_sweep_seconds": rounded(run.first_sweep, 3),
        "ready_seconds": rounded(run.ready, 3),
        "cloud_calls": run.calls,
        "apiserver_writes": run.writes,
    })
}

/// Starts the operator, which must not run, and waits until every resident machine was asked for.
pub fn start(residents: &Residents, progress: &mut Progress) -> Result<Started, Error> {
    let stack = residents.stack();
    let mut journal = Journal::from_now(stack.simulator())?;
    let before = residents.cluster().writes()?;
    stack.operator().start()?;
    let began = stack.operator().started().ok_or_else(|| Error::Other("the operator was not started".into()))?;
    let began = Timestamp::try_from(began).map_err(while_doing("reading the clock"))?;
    let since = |moment: Timestamp| moment.duration_since(began).as_secs_f64();
    let mut missing: BTreeSet<String> = residents.ids();
    let (mut ready, mut last, mut calls) = (None, None, 0);
    for round in 1.. {
        if ready.is_none() && stack.operator().health("/readyz").is_ok_and(|(status, _)| status == 200) {
            ready = Some(since(Timestamp::now()));
        }
        if round % PROBES_A_LOOK == 0 && !missing.is_empty() {
            for call in journal.new_calls()? {
                calls += usize::from(!missing.is_empty());
                if call.describes_ids()
                    && call.is_ok()
                    && call.ids().into_iter().filter(|id| missing.remove(*id)).count() > 0
                {
                    last = Some(since(call.time));
                }
            }
            progress.sometimes(|| {
                format!("{} of {} machines asked for", residents.count() - missing.len(), residents.count())
            });
        }
        if let (Some(ready), Some(last), true) = (ready, last, missing.is_empty()) {
            let writes = residents.cluster().writes()?.objects - before.objects;
            let first_sweep = last + LATENCY.as_secs_f64();
            progress.say(&format!("ready after {ready:.2} s, first sweep after {first_sweep:.2} s, {writes} writes"));
            return Ok(Started { first_sweep, ready, writes, calls });
        }
        stack.operator().check_alive()?;
        if since(Timestamp::now()) > LIMIT.as_secs_f64() {
            break;
        }
        thread::sleep(PROBE);
    }
    Err(Error::Other(format!("{} machines were not asked for within {} s of a start", missing.len(), LIMIT.as_secs())))
}
