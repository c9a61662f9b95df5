//! The operator is killed with SIGKILL while it creates many machines, and started again at once.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{Goal, Outcome, Scenario, run_with, start_stack, wait_for};
use crate::cloud::{self, Call};
use crate::cluster::Cluster;
use crate::progress::Progress;
use crate::settings::Settings;
use crate::statistics::rounded;
use crate::{Error, objects};

/// Longest wait for everything. Our choice: a purchase whose outcome is unknown settles within minutes.
const LIMIT: Duration = Duration::from_mins(20);

/// Runs it.
pub fn run(settings: &Settings) -> Result<Outcome, Error> {
    let mut progress = Progress::of("recover");
    progress.say("starting a stack with an empty cloud, about 20 s");
    let stack = start_stack(&[])?;
    let cluster = Cluster::connect(&stack)?;
    let follower = cluster.follow("recover");
    let objects = objects::names("new", settings.creates).map(|name| objects::object(&name, "recover"));
    cluster.create(objects.collect())?;
    let third = settings.creates.div_ceil(3);
    let begun = wait_for(&stack, &follower, Goal::Ids, third, LIMIT, &mut progress)?;
    let with_ids = follower.with_ids().len();
    let killed = Instant::now();
    stack.operator().kill9();
    stack.operator().start()?;
    progress.say(&format!("killed with {with_ids} of {} ids, and started again", settings.creates));
    let ids = begun && wait_for(&stack, &follower, Goal::Ids, settings.creates, LIMIT, &mut progress)?;
    let ready = ids && wait_for(&stack, &follower, Goal::Ready, settings.creates, LIMIT, &mut progress)?;
    let converged = killed.elapsed();
    let calls: Vec<Call> = stack.simulator().calls()?.iter().filter_map(Call::read).collect();
    let (total, refused) = cloud::total_and_refused(&cloud::counts(stack.simulator())?);
    let mut figures = json!({
        "objects": settings.creates,
        "with_ids_at_kill": with_ids,
        "converged": ready,
        "duplicates": cloud::duplicates(&calls),
        "cloud_calls": total,
        "rate_limit_errors": refused,
    });
    if ready {
        figures["kill_to_converged_seconds"] = json!(rounded(converged.as_secs_f64(), 2));
    }
    run_with(&stack, &mut figures)?;
    Ok(Outcome { scenario: Scenario::Recover, figures, series: None })
}
