//! Leadership passes from one replica to the other: after SIGTERM, and after SIGKILL.

use std::thread;
use std::time::{Duration, Instant};

use pai_harness::{Operator, Stack};
use serde_json::json;

use super::{Outcome, Scenario, run_with, start_stack};
use crate::Error;
use crate::progress::Progress;
use crate::settings::Settings;
use crate::statistics::rounded;

/// The gauge by which a replica says that it leads.
const LEADS: &str = "pai_operator_leader";

/// Longest wait for the other to lead. Our choice: four times the default lease.
const LIMIT: Duration = Duration::from_mins(1);

/// Runs it. Of several runs the slowest is the result.
pub fn run(settings: &Settings) -> Result<Outcome, Error> {
    let mut progress = Progress::of("handover");
    progress.say("starting a stack with two replicas, about 20 s");
    let stack = start_stack(&[])?;
    let other = stack.another_operator("standby")?;
    other.start()?;
    other.wait_standby()?;
    let (mut leader, mut standby) = (stack.operator(), &other);
    let (mut clean, mut killed) = (Vec::new(), Vec::new());
    for (signal, seconds) in [("TERM", &mut clean), ("KILL", &mut killed)] {
        for _ in 0..settings.runs {
            let took = hand_over(leader, standby, signal)?;
            progress.say(&format!("{took:.2} s from SIG{signal} until the other leads"));
            seconds.push(rounded(took, 3));
            (leader, standby) = (standby, leader);
            standby.start_new_pod()?;
            standby.wait_standby()?;
        }
    }
    let slowest = |seconds: &[f64]| seconds.iter().copied().fold(0.0, f64::max);
    let mut figures = json!({
        "clean_seconds": slowest(&clean),
        "killed_seconds": slowest(&killed),
        "clean_runs": clean,
        "killed_runs": killed,
        "lease_duration_seconds": lease_duration(&stack)?,
    });
    run_with(&stack, &mut figures)?;
    Ok(Outcome { scenario: Scenario::Handover, figures, series: None })
}

/// Seconds from the signal until the standby says that it leads. The old leader has ended by then, or is waited for.
fn hand_over(leader: &Operator, standby: &Operator, signal: &str) -> Result<f64, Error> {
    let signalled = Instant::now();
    leader.signal(signal)?;
    while standby.metric(LEADS)? != Some(1.0) {
        if signalled.elapsed() > LIMIT {
            return Err(Error::Other(format!("nobody led {} s after SIG{signal}", LIMIT.as_secs())));
        }
        standby.check_alive()?;
        thread::sleep(Duration::from_millis(10));
    }
    let took = signalled.elapsed();
    pai_harness::wait_until("the old leader to end", LIMIT, || {
        leader.exited().map(drop).ok_or_else(|| "it runs".to_owned())
    })?;
    Ok(took.as_secs_f64())
}

fn lease_duration(stack: &Stack) -> Result<serde_json::Value, Error> {
    let namespace = format!("--namespace={}", stack.system_namespace());
    let leases = stack.get(&[&namespace, "leases"])?;
    Ok(leases.pointer("/items/0/spec/leaseDurationSeconds").cloned().unwrap_or_default())
}
