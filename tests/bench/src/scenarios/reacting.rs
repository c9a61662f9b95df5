//! The time from the API server's answer to a create or a delete until the first cloud call that names the object, one
//! object at a time: at rest, and during sweeps while many other machines are being bought.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::resident::{AT_REST, Residents};
use super::{Outcome, Scenario, run_with, start};
use crate::bystander::Bystander;
use crate::cloud::{Call, Journal};
use crate::cluster::Done;
use crate::progress::Progress;
use crate::reaction::{Subject, begins_listing};
use crate::settings::Settings;
use crate::statistics::{percentile, rounded};
use crate::{Error, objects};

/// While busy: short enough that one full sweep follows the other, as 100 calls at 40 a second take 2.5 s.
const BUSY: [&str; 1] = ["--sweep-interval=3s"];

/// Pauses between two samples, in milliseconds: any length, so that no rhythm of the operator's is met.
const PAUSE: std::ops::Range<u64> = 100..700;

/// Longest wait for a reaction; a sample without one counts as that long.
const LIMIT: Duration = Duration::from_mins(1);

/// Pause between two looks into the journal, whose entries have times of their own.
const LOOK: Duration = Duration::from_millis(50);

/// Longest time for all samples while busy.
const TOTAL: Duration = Duration::from_mins(20);

/// One object made or deleted.
#[derive(Clone, Copy, Debug)]
struct Sample {
    deletion: bool,
    /// From the answer of the API server to the first call that names the object, in milliseconds.
    from_answer: f64,
    /// The same from before the request was sent.
    from_request: f64,
    /// From the answer to the first page of the listing, or to the first call that names the object.
    with_listing: f64,
    /// From the answer until a program that only watches was shown it.
    shown: f64,
    answered: bool,
}

/// The measurement under way.
struct Run<'a> {
    journal: Journal<'a>,
    bystander: Bystander,
    /// Machines of objects that were made or deleted since it began.
    touched: BTreeSet<String>,
    /// Machines that were bought for the other objects.
    bought: usize,
    /// Calls that asked for a machine that nobody touched.
    sweep_calls: usize,
    random: fastrand::Rng,
}

/// Runs it; `scenario` is one of the two.
pub fn run(settings: &Settings, residents: &mut Residents, scenario: Scenario) -> Result<Outcome, Error> {
    let mut progress = Progress::of(scenario.name());
    let busy = scenario == Scenario::ReactBusy;
    residents.stop()?;
    residents.grow_to(settings.resident)?;
    residents.set_args(if busy { &BUSY } else { &AT_REST })?;
    start::start(residents, &mut progress)?;
    let count = residents.count();
    let victims: Vec<_> = {
        let mut random = fastrand::Rng::with_seed(7);
        std::iter::from_fn(|| residents.take_one(&mut random)).take(settings.samples).collect()
    };
    let began = Instant::now();
    let mut run = Run {
        journal: Journal::from_now(residents.stack().simulator())?,
        bystander: residents.cluster().bystander(&["sampled", "resident"])?,
        touched: BTreeSet::new(),
        bought: 0,
        sweep_calls: 0,
        random: fastrand::Rng::with_seed(11),
    };
    let (mut samples, mut others) = (Vec::new(), 0);
    let new = objects::names(scenario.name().replace('_', "-").as_str(), settings.samples);
    for (name, victim) in new.zip(victims) {
        if busy {
            others += keep_busy(residents, &mut run, settings.others, others)?;
        }
        thread::sleep(Duration::from_millis(run.random.u64(PAUSE)));
        let done = residents.cluster().create_one(objects::object(&name, "sampled"))?;
        let subject = Subject { uid: objects::uid_digits(&done.object), domain: objects::domain(&name), id: None };
        samples.push(run.sample(&done, &subject, busy)?);
        thread::sleep(Duration::from_millis(run.random.u64(PAUSE)));
        run.touched.insert(victim.id.clone());
        let done = residents.cluster().delete(&victim.name)?;
        let subject = Subject { id: Some(victim.id), ..Subject::default() };
        samples.push(run.sample(&done, &subject, busy)?);
        progress.sometimes(|| format!("{} of {} samples; {others} others", samples.len(), 2 * settings.samples));
        residents.stack().operator().check_alive()?;
        if busy && began.elapsed() > TOTAL {
            break;
        }
    }
    let mut figures = figures(&samples, count);
    figures["sweep_calls_per_second"] = json!(rounded(per_second(run.sweep_calls, began.elapsed()), 2));
    if busy {
        figures["others"] = json!(settings.others);
        figures["others_made"] = json!(others);
    }
    run_with(residents.stack(), &mut figures)?;
    let values: Vec<f64> = samples.iter().map(|sample| rounded(sample.from_answer, 3)).collect();
    figures["shown_ms"] = json!(samples.iter().map(|sample| rounded(sample.shown, 1)).collect::<Vec<_>>());
    Ok(Outcome { scenario, figures, series: Some(json!(values)) })
}

#[allow(clippy::cast_precision_loss)] // counts of calls are far below 2^52
fn per_second(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

/// Makes other objects, as many as were bought since the last look, so that the wanted number waits for its machines.
/// The first of them are on their way to the cloud before it returns. Says how many were made.
fn keep_busy(residents: &Residents, run: &mut Run<'_>, wanted: usize, made: usize) -> Result<usize, Error> {
    let waiting = made.saturating_sub(run.bought);
    let names = (made..made + wanted - waiting).map(|number| format!("other-{number:05}"));
    let objects: Vec<Value> = names.map(|name| objects::object(&name, "other")).collect();
    let count = residents.cluster().create(objects)?.len();
    let began = Instant::now();
    while run.bought < wanted / 10 && began.elapsed() < LIMIT {
        thread::sleep(LOOK);
        run.calls()?;
    }
    Ok(count)
}

impl Run<'_> {
    /// Waits for the first call of the subject. At rest also until its purchase or termination is sent, so that the next
    /// sample finds everything at rest again.
    fn sample(&mut self, done: &Done, subject: &Subject, busy: bool) -> Result<Sample, Error> {
        let deletion = subject.id.is_some();
        let ends = if deletion { "TerminateInstances" } else { "CreatePaiInstance" };
        let (mut first, mut listing): (Option<Timestamp>, Option<Timestamp>) = (None, None);
        let began = Instant::now();
        let name = done.object.metadata.name.clone().unwrap_or_default();
        let (mut ended, mut shown) = (false, None);
        while !((ended || (busy && first.is_some())) && shown.is_some()) && began.elapsed() < LIMIT {
            thread::sleep(LOOK);
            shown = self.bystander.shown(&name, deletion)?;
            for call in self.calls()? {
                let own = call.time >= done.sent && subject.owns(&call, &self.touched);
                if own {
                    first.get_or_insert(call.time);
                    ended |= call.action == ends;
                }
                if own || (!deletion && call.time >= done.sent && begins_listing(&call)) {
                    listing.get_or_insert(call.time);
                }
            }
        }
        let from = |moment: Timestamp, time: Option<Timestamp>| {
            let limit = LIMIT.as_secs_f64();
            time.map_or(limit, |time| time.duration_since(moment).as_secs_f64()) * 1000.0
        };
        Ok(Sample {
            deletion,
            from_answer: from(done.answered, first),
            from_request: from(done.sent, first),
            with_listing: from(done.answered, listing),
            shown: from(done.answered, shown),
            answered: first.is_some(),
        })
    }

    /// The new calls; machines that were bought count as touched from now on.
    fn calls(&mut self) -> Result<Vec<Call>, Error> {
        let calls = self.journal.new_calls()?;
        for call in &calls {
            if call.domain().is_some_and(|domain| domain.starts_with("other-")) {
                self.bought += call.created.len();
            }
            self.touched.extend(call.created.iter().cloned());
            self.sweep_calls += usize::from(call.ids().iter().any(|id| !self.touched.contains(*id)));
        }
        Ok(calls)
    }
}

fn figures(samples: &[Sample], resident: usize) -> Value {
    let with = |samples: &[Sample], of: fn(&Sample) -> f64, percent| {
        let values: Vec<f64> = samples.iter().map(of).collect();
        percentile(&values, percent).map(|value| rounded(value, 2))
    };
    let both = |samples: &[Sample]| {
        json!({
            "samples": samples.len(),
            "p50_ms": with(samples, |sample| sample.from_answer, 50),
            "p99_ms": with(samples, |sample| sample.from_answer, 99),
            "max_ms": with(samples, |sample| sample.from_answer, 100),
            "from_request_p50_ms": with(samples, |sample| sample.from_request, 50),
            "from_request_p99_ms": with(samples, |sample| sample.from_request, 99),
            "shown_p50_ms": with(samples, |sample| sample.shown, 50),
            "shown_p99_ms": with(samples, |sample| sample.shown, 99),
            "after_shown_p50_ms": with(samples, |sample| sample.from_answer - sample.shown, 50),
            "after_shown_p99_ms": with(samples, |sample| sample.from_answer - sample.shown, 99),
            "without_reaction": samples.iter().filter(|sample| !sample.answered).count(),
        })
    };
    let (deletions, new): (Vec<Sample>, Vec<Sample>) = samples.iter().partition(|sample| sample.deletion);
    let mut figures = both(samples);
    figures["resident"] = json!(resident);
    figures["seeded"] = json!(true);
    figures["new"] = both(&new);
    figures["deletion"] = both(&deletions);
    figures["new"]["with_listing_p50_ms"] = json!(with(&new, |sample| sample.with_listing, 50));
    figures["new"]["with_listing_p99_ms"] = json!(with(&new, |sample| sample.with_listing, 99));
    figures
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_without_a_reaction_is_not_left_out() {
        let sample = |deletion, from_answer| Sample {
            deletion,
            from_answer,
            from_request: from_answer + 1.0,
            with_listing: from_answer,
            shown: from_answer - 2.0,
            answered: from_answer < 60_000.0,
        };
        let figures = figures(&[sample(false, 3.0), sample(true, 5.0), sample(true, 60_000.0)], 10);
        assert_eq!((&figures["samples"], &figures["p50_ms"]), (&json!(3), &json!(5.0)));
        assert_eq!((&figures["p99_ms"], &figures["without_reaction"]), (&json!(60_000.0), &json!(1)));
        assert_eq!((&figures["new"]["p99_ms"], &figures["deletion"]["samples"]), (&json!(3.0), &json!(2)));
        assert_eq!(figures["from_request_p50_ms"], json!(6.0));
        assert_eq!((&figures["shown_p50_ms"], &figures["after_shown_p50_ms"]), (&json!(3.0), &json!(2.0)));
    }
}
