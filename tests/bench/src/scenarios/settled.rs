//! Settled objects at rest: memory, processor time, cloud calls and writes. On the way to the full number a shorter look
//! at smaller ones, for the curve.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::resident::Residents;
use super::{Outcome, Scenario, run_with, start};
use crate::Error;
use crate::cloud::{Call, Journal};
use crate::process;
use crate::progress::Progress;
use crate::settings::Settings;
use crate::statistics::rounded;

/// Points of the curve before the full number.
const CURVE: [usize; 2] = [100, 1000];

/// Rest between the first sweep and the window, as part of the window.
const REST_SHARE: u32 = 20;

/// Pause between two looks at the memory.
const LOOK: Duration = Duration::from_secs(1);

/// What was seen of an operator at rest.
#[derive(Debug)]
struct Window {
    objects: usize,
    seconds: f64,
    /// The most that was resident at any look, in MiB.
    rss: f64,
    peak: f64,
    cpu_percent: f64,
    calls: Vec<Call>,
    writes: u64,
    events: u64,
}

/// Runs it. The operator must not run, and runs afterwards.
pub fn run(settings: &Settings, residents: &mut Residents) -> Result<Outcome, Error> {
    let mut progress = Progress::of("settled");
    let mut curve = Vec::new();
    for count in CURVE.into_iter().filter(|count| *count < settings.resident) {
        residents.stop()?;
        residents.grow_to(count)?;
        curve.push(look(residents, settings.window / 2, &mut progress)?);
    }
    residents.stop()?;
    residents.grow_to(settings.resident)?;
    let full = look(residents, settings.window, &mut progress)?;
    let mut figures = figures(&full, residents);
    run_with(residents.stack(), &mut figures)?;
    curve.push(full);
    Ok(Outcome { scenario: Scenario::Settled, figures, series: Some(curve.iter().map(point).collect()) })
}

/// Starts the operator, lets it sweep once and rest, and then watches it for `window`.
fn look(residents: &Residents, window: Duration, progress: &mut Progress) -> Result<Window, Error> {
    start::start(residents, progress)?;
    thread::sleep(window / REST_SHARE);
    let stack = residents.stack();
    let pid = stack.operator().pid().ok_or_else(|| Error::Other("the operator does not run".into()))?;
    let mut journal = Journal::from_now(stack.simulator())?;
    let writes = residents.cluster().writes()?;
    let (began, used) = (Instant::now(), process::processor_seconds(pid)?);
    let mut memory = process::memory(pid)?;
    while began.elapsed() < window {
        thread::sleep(LOOK.min(window.saturating_sub(began.elapsed())));
        let now = process::memory(pid)?;
        memory = process::Memory { resident: memory.resident.max(now.resident), peak: now.peak };
        progress.sometimes(|| {
            let (objects, rest) = (residents.count(), window.saturating_sub(began.elapsed()).as_secs());
            format!("{objects} objects at rest: {:.1} MiB; {rest} s to go", now.resident)
        });
    }
    let seconds = began.elapsed().as_secs_f64();
    let used = process::processor_seconds(pid)? - used;
    let after = residents.cluster().writes()?;
    Ok(Window {
        objects: residents.count(),
        seconds,
        rss: memory.resident,
        peak: memory.peak,
        cpu_percent: used / seconds * 100.0,
        calls: journal.new_calls()?,
        writes: after.objects - writes.objects,
        events: after.events - writes.events,
    })
}

fn point(window: &Window) -> Value {
    json!({
        "objects": window.objects,
        "rss_mib": rounded(window.rss, 2),
        "peak_rss_mib": rounded(window.peak, 2),
        "cpu_percent_of_core": rounded(window.cpu_percent, 4),
        "window_seconds": rounded(window.seconds, 1),
    })
}

/// A sweep is every resident machine asked for once, however many calls that took and whenever they came: so the calls
/// for each sweep are right also where the window holds no whole number of sweeps.
#[allow(clippy::cast_precision_loss)] // counts of calls are far below 2^52
fn figures(window: &Window, residents: &Residents) -> Value {
    let ids = residents.ids();
    let sweeping: Vec<&Call> = window.calls.iter().filter(|call| call.describes_ids()).collect();
    let asked = sweeping.iter().flat_map(|call| call.ids()).filter(|id| ids.contains(*id)).count();
    let sweeps = asked as f64 / ids.len() as f64;
    let mut figures = point(window);
    figures["seeded"] = json!(true);
    figures["sweeps"] = json!(rounded(sweeps, 3));
    if asked > 0 {
        figures["cloud_calls_per_sweep"] = json!(rounded(sweeping.len() as f64 / sweeps, 2));
    }
    figures["cloud_calls"] = json!(by_action(&window.calls));
    figures["apiserver_writes"] = json!(window.writes + window.events);
    figures
}

fn by_action(calls: &[Call]) -> BTreeMap<&str, u64> {
    let mut counts = BTreeMap::new();
    for call in calls {
        *counts.entry(call.action.as_str()).or_default() += 1;
    }
    counts
}
