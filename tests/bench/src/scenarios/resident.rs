//! Many settled objects: they and their machines are put in directly, after the picture of one that the operator itself
//! brought to Ready in the same stack, since buying 10,000 takes over eight minutes and proves nothing more.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use pai_harness::{Account, Stack, wait_until};
use serde_json::{Value, json};

use super::{Goal, Outcome, Scenario, reacting, settled, start, start_stack, wait_for};
use crate::cluster::Cluster;
use crate::objects::{self, Template};
use crate::progress::Progress;
use crate::settings::Settings;
use crate::{Error, while_doing};

/// Arguments of the operator while nothing but the residents is there.
pub const AT_REST: [&str; 1] = ["--sweep-interval=5m"];

/// Objects that are put in together.
const PIECE: usize = 500;

/// Longest wait for the one real object.
const PATIENCE: Duration = Duration::from_mins(2);

/// A settled object.
#[derive(Clone, Debug)]
pub struct Resident {
    /// Its name.
    pub name: String,
    /// Id of its machine.
    pub id: String,
}

/// A stack with settled objects.
pub struct Residents {
    // The cluster's connections end before the stack does.
    cluster: Cluster,
    stack: Stack,
    template: Template,
    seeded: Vec<Resident>,
    /// Number of the next one: the names and ids of those that were taken out are not used again.
    next: usize,
}

/// Runs all scenarios that need residents, in one stack.
pub fn run(settings: &Settings, keep: &mut dyn FnMut(Outcome) -> Result<(), Error>) -> Result<(), Error> {
    let mut residents = Residents::new()?;
    if settings.wants(Scenario::Settled) {
        keep(settled::run(settings, &mut residents)?)?;
    }
    residents.grow_to(settings.resident)?;
    if settings.wants(Scenario::Start) {
        keep(start::run(settings, &residents)?)?;
    }
    for scenario in [Scenario::React, Scenario::ReactBusy] {
        if settings.wants(scenario) {
            keep(reacting::run(settings, &mut residents, scenario)?)?;
        }
    }
    Ok(())
}

impl Residents {
    /// A stack with the one real object; the operator is stopped.
    fn new() -> Result<Self, Error> {
        let mut progress = Progress::of("resident");
        progress.say("starting a stack, about 20 s");
        let stack = start_stack(&AT_REST)?;
        let cluster = Cluster::connect(&stack)?;
        let follower = cluster.follow("template");
        cluster.create_one(objects::object("template", "template"))?;
        if !wait_for(&stack, &follower, Goal::Ready, 1, PATIENCE, &mut progress)? {
            return Err(Error::Other("the operator did not bring one object to Ready".into()));
        }
        stop(&stack)?;
        let object = cluster.get("template")?;
        let id = object.data.pointer("/status/instanceIds/0").and_then(Value::as_str).unwrap_or_default();
        let machine = stack.simulator().instance(id)?;
        let template = Template::new(object, machine, &Account::default().id);
        Ok(Self { cluster, stack, template, seeded: Vec::new(), next: 0 })
    }

    /// Puts settled objects in until there are `count`, the real one included. The operator must not run.
    pub fn grow_to(&mut self, count: usize) -> Result<(), Error> {
        let mut progress = Progress::of("resident");
        while self.count() < count {
            let piece = PIECE.min(count - self.count());
            let began = Instant::now();
            self.seed(piece)?;
            progress.sometimes(|| {
                format!(
                    "{} of {count} settled objects are put in, {PIECE} in {:.1} s",
                    self.count(),
                    began.elapsed().as_secs_f64()
                )
            });
        }
        Ok(())
    }

    fn seed(&mut self, count: usize) -> Result<(), Error> {
        let first = self.next;
        self.next += count;
        let names = (first..first + count).map(|number| format!("resident-{number:05}"));
        let made = self.cluster.create(names.map(|name| self.template.spec_of(&name, "resident")).collect())?;
        let mut machines = Vec::with_capacity(count);
        let mut statuses = Vec::with_capacity(count);
        for (number, done) in (first..).zip(made) {
            machines.push(Value::Object(self.template.machine_of(&done.object, number)));
            let name = done.object.metadata.name.clone().unwrap_or_default();
            self.seeded.push(Resident { name, id: objects::machine_id(number) });
            statuses.push(self.template.settled(done.object, number));
        }
        self.stack.simulator().add_instances(&machines)?;
        self.cluster.put_status(statuses)
    }

    /// Starts the operator with other arguments in the place of those at rest.
    pub fn set_args(&self, args: &[&str]) -> Result<(), Error> {
        self.stack.upgrade(&json!({"extraArgs": args}))
    }

    /// Stops the operator cleanly, if it runs.
    pub fn stop(&self) -> Result<(), Error> {
        stop(&self.stack)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.seeded.len() + 1
    }

    /// Ids of all their machines.
    pub fn ids(&self) -> BTreeSet<String> {
        self.seeded.iter().map(|one| one.id.clone()).chain([self.template.id().to_owned()]).collect()
    }

    /// Takes a resident out of the books, any one, for whoever is about to delete it.
    pub fn take_one(&mut self, random: &mut fastrand::Rng) -> Option<Resident> {
        let count = self.seeded.len();
        (count > 0).then(|| self.seeded.swap_remove(random.usize(..count)))
    }

    /// The stack.
    pub fn stack(&self) -> &Stack {
        &self.stack
    }

    /// The API server.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }
}

fn stop(stack: &Stack) -> Result<(), Error> {
    if stack.operator().pid().is_none() {
        return Ok(());
    }
    let status = stack.operator().terminate()?;
    if !status.success() {
        return Err(Error::Other(format!("the operator ended with {status} after SIGTERM")));
    }
    // A lease that was given back is free at once.
    let namespace = format!("--namespace={}", stack.system_namespace());
    let free = || {
        let leases = stack.get(&[&namespace, "leases"]).map_err(|error| error.to_string())?;
        let holder = leases.pointer("/items/0/spec/holderIdentity").and_then(Value::as_str).unwrap_or_default();
        if holder.is_empty() { Ok(()) } else { Err(format!("held by {holder}")) }
    };
    wait_until("the lease to be given back", Duration::from_secs(20), free).map_err(while_doing("stopping"))
}
