//! What happens in a run besides crashes: what is there first, and what people do and when.

use std::time::Duration;

use serde_json::{Value, json};
use tencentcloud_simulator::Effect;

use crate::person::{Ready, attempt_state, domain, ids, is_stalled, name_of};
use crate::world::World;

/// One thing that a person does.
#[derive(Clone, Copy)]
pub struct Act {
    /// How long after the one before.
    pub after: Duration,
    pub person: fn(&World),
    /// Whether the world comes to rest before the next one.
    pub then_rest: bool,
}

/// A scenario.
#[derive(Clone, Copy)]
pub struct Scenario {
    pub name: &'static str,
    /// What is there before the operator starts.
    pub prepare: fn(&World),
    pub acts: &'static [Act],
    /// What a person does whenever they look.
    pub helper: fn(&World) -> bool,
    /// Machines that are meant to be left over.
    pub excused: fn(&World) -> Vec<String>,
}

const AT_ONCE: Duration = Duration::ZERO;

const fn then_rest(person: fn(&World)) -> Act {
    Act { after: AT_ONCE, person, then_rest: true }
}

/// Something done after so many milliseconds, while all is in motion.
const fn amid(milliseconds: u64, person: fn(&World)) -> Act {
    Act { after: Duration::from_millis(milliseconds), person, then_rest: true }
}

const fn at_once(person: fn(&World)) -> Act {
    Act { after: AT_ONCE, person, then_rest: false }
}

fn nothing(_: &World) {}

fn nobody(_: &World) -> Vec<String> {
    Vec::new()
}

const fn scenario(name: &'static str, acts: &'static [Act]) -> Scenario {
    Scenario { name, prepare: nothing, acts, helper: answer, excused: nobody }
}

fn hourly(world: &World) {
    world.apply("web", &json!({}));
}

fn prepaid(world: &World) {
    world.apply("web", &json!({"instanceChargeType": "PREPAID", "instanceChargePrepaid": {"period": 1}}));
}

fn spot(world: &World) {
    world.apply("web", &json!({"instanceChargeType": "SPOTPAID"}));
}

fn named(world: &World) {
    world.apply("web", &json!({"instanceName": "my-machine"}));
}

fn named_prepaid(world: &World) {
    let spec = json!({
        "instanceName": "my-machine", "instanceChargeType": "PREPAID", "instanceChargePrepaid": {"period": 1}
    });
    world.apply("web", &spec);
}

pub fn with_references(world: &World) {
    let spec = json!({
        "initScript": {"configMapKeyRef": {"name": "script", "key": "run.sh"}},
        "loginSettings": {"passwordSecretRef": {"name": "login", "key": "password"}},
    });
    world.apply("web", &spec);
}

pub fn references(world: &World) {
    world.put_core("configmaps", "script", &json!({"data": {"run.sh": "planted script"}}));
    // `Planted@Pass1`
    world.put_core("secrets", "login", &json!({"data": {"password": "UGxhbnRlZEBQYXNzMQ=="}}));
}

fn retained(world: &World) {
    world.apply("web", &json!({"deletionPolicy": "Retain"}));
}

/// An object that wants the domain of a machine which another one left running.
fn heir(world: &World) {
    world.apply("heir", &json!({"domainName": domain("web")}));
}

fn delete_heir(world: &World) {
    world.delete("heir");
}

fn delete(world: &World) {
    world.delete("web");
}

fn rotate(world: &World) {
    world.write_secret(crate::person::OTHER_ID);
}

fn wipe_status(world: &World) {
    world.lose_status("web");
}

fn destroy_outside(world: &World) {
    let id = ids(&world.get("web").unwrap()).remove(0);
    world.state().cloud.destroy(&id);
}

fn lose_answer(world: &World) {
    spoil(world, "CreatePaiInstance", Effect::Drop { commit: true });
}

fn lose_request(world: &World) {
    spoil(world, "CreatePaiInstance", Effect::Drop { commit: false });
}

/// Spoils the next call of the action in the cloud.
pub fn spoil(world: &World, action: &str, effect: Effect) {
    spoil_after(world, action, 0, 1, effect);
}

pub fn spoil_after(world: &World, action: &str, after: u32, times: u32, effect: Effect) {
    world.state().cloud.add_fault(tencentcloud_simulator::Rule { action: action.to_owned(), after, times, effect });
}

/// Machines that are billed for the object of this name, as the console shows them.
pub fn in_the_console(world: &World, name: &str) -> Vec<String> {
    world.audit();
    let asked_for = world.get(name).and_then(|object| Some(object.pointer("/spec/domainName")?.as_str()?.to_owned()));
    let wanted = asked_for.unwrap_or_else(|| domain(name));
    let state = world.state();
    let bought = state.cloud.instances().filter(|instance| instance.billed());
    let ours = bought.filter(|instance| state.bought.get(&instance.id).is_some_and(|one| one.domain == wanted));
    ours.map(|instance| instance.id.clone()).collect()
}

/// A person who is asked about an attempt looks into the console and then types what the message offers: for all objects, or for the
/// one of this name. Says whether anything was asked.
pub fn answer_what_is_held(world: &World, only: Option<&str>) -> bool {
    let is_meant = |object: &Value| only.is_none_or(|name| name_of(object) == name);
    let objects: Vec<Value> = world.objects().into_iter().filter(is_meant).collect();
    let held: Vec<&Value> =
        objects.iter().filter(|object| is_stalled(object) && attempt_state(object) == "Held").collect();
    for object in held.iter().copied() {
        let name = name_of(object);
        let machines = in_the_console(world, name);
        // The question may stand in the state a moment before it stands in the message: then the person looks again.
        match machines.first() {
            Some(id) => world.obey(object, "adopt", Some(id)),
            None if object.pointer("/metadata/deletionTimestamp").is_some() => world.obey(object, "abandon", None),
            None => world.obey(object, "retry", None),
        };
    }
    return_what_may_not_be_asked_for_twice(world, &objects) || !held.is_empty()
}

/// A person who reads that the return of a prepaid machine is not asked for again returns it in the console.
fn return_what_may_not_be_asked_for_twice(world: &World, objects: &[Value]) -> bool {
    let waits = |object: &Value| {
        let ready = Ready::of(object);
        ready.reason == "NotReturnable" && ready.message.contains("Return it in the console")
    };
    let waiting: Vec<String> = objects.iter().filter(|object| waits(object)).flat_map(ids).collect();
    let shutdown = json!({"InstanceState": "SHUTDOWN"});
    for id in &waiting {
        world.state().cloud.change(id, shutdown.as_object().unwrap());
    }
    !waiting.is_empty()
}

fn answer(world: &World) -> bool {
    answer_what_is_held(world, None)
}

/// A person who reads that the domain is taken, knows the machine, and says that it belongs to the object.
fn adopt_what_is_taken(world: &World) -> bool {
    let mut acted = answer(world);
    for object in world.objects() {
        if Ready::of(&object).reason == "DomainTaken" {
            acted |= world.obey(&object, "adopt", None);
        }
    }
    acted
}

/// A person who has rotated the key and waits to be asked about the create that was sent with the old one.
fn answer_after_a_rotation(world: &World) -> bool {
    answer(world) || world.objects().iter().any(|object| Ready::of(object).reason == "CredentialsChanged")
}

/// A person who wants a machine in the place of one that is gone types what the message offers.
fn answer_and_recreate(world: &World) -> bool {
    let mut acted = answer(world);
    for object in world.objects() {
        if Ready::of(&object).reason == "ExternallyDeleted" {
            acted |= world.obey(&object, "recreate", None);
        }
    }
    acted
}

fn machines_of_web(world: &World) -> Vec<String> {
    in_the_console(world, "web")
}

/// The scenarios in which nothing but a create happens.
pub const CREATES: &[Scenario] = &[
    scenario("create hourly", &[then_rest(hourly)]),
    scenario("create prepaid", &[then_rest(prepaid)]),
    scenario("create spot", &[then_rest(spot)]),
    scenario("create with a name of one's own", &[then_rest(named)]),
    scenario("create prepaid with a name of one's own", &[then_rest(named_prepaid)]),
    Scenario { prepare: references, ..scenario("script and password from references", &[then_rest(with_references)]) },
    Scenario { prepare: lose_answer, ..scenario("outcome unknown with a machine", &[then_rest(hourly)]) },
    Scenario { prepare: lose_request, ..scenario("outcome unknown without a machine", &[then_rest(hourly)]) },
    Scenario { prepare: lose_answer, ..scenario("prepaid, outcome unknown with a machine", &[then_rest(prepaid)]) },
    Scenario { prepare: lose_request, ..scenario("prepaid, outcome unknown without a machine", &[then_rest(prepaid)]) },
];

/// What comes after a create, or in the middle of one.
const LIVES: &[Scenario] = &[
    scenario("create and delete hourly", &[then_rest(hourly), then_rest(delete)]),
    scenario("create and delete prepaid", &[then_rest(prepaid), then_rest(delete)]),
    scenario("create and delete with a name of one's own", &[then_rest(named), then_rest(delete)]),
    Scenario { excused: machines_of_web, ..scenario("retain", &[then_rest(retained), then_rest(delete)]) },
    Scenario {
        helper: adopt_what_is_taken,
        excused: machines_of_web,
        ..scenario(
            "adopt a machine, and leave it",
            &[then_rest(retained), then_rest(delete), then_rest(heir), then_rest(delete_heir)],
        )
    },
    scenario("find the machine of a lost status", &[then_rest(hourly), then_rest(wipe_status)]),
    scenario(
        "the status is lost and the object deleted",
        &[then_rest(hourly), at_once(wipe_status), then_rest(delete)],
    ),
    Scenario {
        helper: answer_and_recreate,
        ..scenario("recreate what was destroyed outside", &[then_rest(hourly), then_rest(destroy_outside)])
    },
    Scenario {
        helper: answer_after_a_rotation,
        ..scenario("rotate the key before the create", &[at_once(hourly), amid(30, rotate)])
    },
    Scenario {
        helper: answer_after_a_rotation,
        ..scenario("rotate the key during the create", &[at_once(hourly), amid(130, rotate)])
    },
    Scenario {
        helper: answer_after_a_rotation,
        ..scenario("rotate the key after the create", &[then_rest(hourly), then_rest(rotate)])
    },
];

/// The same life, with the deletion at another stage each.
const DELETIONS: &[Scenario] = &[
    scenario("delete before the finalizer", &[at_once(hourly), amid(1, delete)]),
    scenario("delete during the lookup", &[at_once(hourly), amid(30, delete)]),
    scenario("delete before the intent", &[at_once(hourly), amid(99, delete)]),
    scenario("delete before the send", &[at_once(hourly), amid(106, delete)]),
    scenario("delete during the send", &[at_once(hourly), amid(130, delete)]),
    scenario("delete before the ids are persisted", &[at_once(hourly), amid(150, delete)]),
    scenario("delete while it boots", &[at_once(hourly), amid(1170, delete)]),
    scenario("delete a prepaid one during the send", &[at_once(prepaid), amid(130, delete)]),
    Scenario { prepare: lose_answer, ..scenario("delete after a lost answer", &[at_once(hourly), amid(500, delete)]) },
    Scenario {
        prepare: lose_request,
        ..scenario("delete after a lost request", &[at_once(hourly), amid(500, delete)])
    },
];

/// Every scenario.
pub fn all() -> impl Iterator<Item = Scenario> {
    CREATES.iter().chain(LIVES).chain(DELETIONS).copied()
}
