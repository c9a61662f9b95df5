//! The people of a random run: they read the conditions of their objects and do what these say.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tencentcloud_simulator::Instance;

use crate::person::{Ready, STRANGE_ACCOUNT, attempt_state, ids, name_of};
use crate::scenario::{answer_what_is_held, in_the_console};
use crate::world::{Purchase, World, is_beyond_the_window, uid_digits};

/// The people of a run, who look at their objects now and then and do what the conditions tell them to.
#[derive(Default)]
pub struct People {
    /// When each object was last acted on, by name: an answer takes a while to be heard.
    acted: BTreeMap<String, Duration>,
}

impl People {
    /// Says whether anybody still has something to do.
    pub fn look(&mut self, world: &World) -> bool {
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
        busy || a_duplicate_is_not_found_yet(world)
    }
}

fn needs_help(object: &Value) -> bool {
    let reason = Ready::of(object).reason;
    [
        "ExternallyDeleted",
        "InstanceFailed",
        "Stopped",
        "NotReturnable",
        "DomainNotBound",
        "AmbiguousInstances",
        "ApiRetired",
    ]
    .contains(&reason.as_str())
        || attempt_state(object) == "Held"
        || will_be_asked(object)
}

/// The key was rotated during a create: the person is asked a quarter of an hour after it.
fn will_be_asked(object: &Value) -> bool {
    Ready::of(object).reason == "CredentialsChanged" && attempt_state(object) == "Uncertain"
}

/// What shows beyond the window is found by the look that follows a lapsed attempt once an hour.
fn a_duplicate_is_not_found_yet(world: &World) -> bool {
    let objects = world.objects();
    let known: Vec<String> = objects.iter().flat_map(|object| [ids(object), duplicate_ids(object)].concat()).collect();
    let state = world.state();
    state.cloud.instances().any(|instance| {
        is_beyond_the_window(instance)
            && !known.contains(&instance.id)
            && owner(&objects, instance, state.bought.get(&instance.id)).is_some()
    })
}

/// The object for which a machine was bought: it bears its UID, or else a name of the user's and the object's domain, and is younger.
pub fn owner<'a>(objects: &'a [Value], instance: &Instance, purchase: Option<&Purchase>) -> Option<&'a Value> {
    let text =
        |object: &Value, pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    objects.iter().find(|object| {
        let name = text(object, "/spec/instanceName");
        if name.is_empty() {
            return instance.name.ends_with(&uid_digits(object));
        }
        let born: Option<Timestamp> = text(object, "/metadata/creationTimestamp").parse().ok();
        let asked_for = purchase.is_some_and(|purchase| {
            purchase.domain == text(object, "/spec/domainName") && born.is_some_and(|born| born <= purchase.at)
        });
        name == instance.name && asked_for
    })
}

/// The machines that a status reports as surplus.
pub fn duplicate_ids(object: &Value) -> Vec<String> {
    let ids = object.pointer("/status/duplicateInstanceIds").and_then(Value::as_array);
    ids.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Does what the object's condition tells people to do. False if it tells nothing.
fn help(world: &World, object: &Value) -> bool {
    let name = name_of(object);
    match Ready::of(object).reason.as_str() {
        "ExternallyDeleted" | "InstanceFailed" => {
            // A prepaid one lies in the recycle bin first, and is destroyed there by whoever wants another.
            destroy(world, &ids(object));
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
        "DomainTaken" => nobody_has_it(world, name) && world.obey(object, "adopt", None),
        "ApiRetired" => {
            world.annotate(name, "reconcile-requested-at", &world.now().to_string().into());
            true
        }
        "CredentialsNotFound" => let_it_go_and_keep_the_machine(world, object),
        _ => clear_the_console(world, object) || answer_what_is_held(world, Some(name)),
    }
}

fn destroy(world: &World, ids: &[String]) {
    for id in ids {
        world.log(|| format!("person destroys {id} in the console"));
        world.state().cloud.destroy(id);
    }
}

/// Whether the machines of the domain stand in no object, and in our account: then whoever knows them may give them to one.
fn nobody_has_it(world: &World, name: &str) -> bool {
    let taken: Vec<String> = world.objects().iter().flat_map(ids).collect();
    let machines = in_the_console(world, name);
    let strange = strangers(world, &machines);
    !machines.is_empty() && machines.iter().all(|id| !taken.contains(id)) && strange.is_empty()
}

/// The namespace took the Secret with it, and none can be put there any more.
fn let_it_go_and_keep_the_machine(world: &World, object: &Value) -> bool {
    let is_told = Ready::of(object).message.contains(r#"{"spec":{"deletionPolicy":"Retain"}}"#);
    is_told && world.patch(name_of(object), json!({"spec": {"deletionPolicy": "Retain"}}))
}

/// A person who is asked about several machines keeps one; and one that another account pays for is none that the Secret can manage.
fn clear_the_console(world: &World, object: &Value) -> bool {
    let is_asked = attempt_state(object) == "Held" || Ready::of(object).reason == "AmbiguousInstances";
    let machines = in_the_console(world, name_of(object));
    let mut unwanted = strangers(world, &machines);
    if unwanted.is_empty() {
        unwanted = machines.into_iter().skip(1).collect();
    }
    if !is_asked || unwanted.is_empty() {
        return false;
    }
    destroy(world, &unwanted);
    true
}

fn strangers(world: &World, machines: &[String]) -> Vec<String> {
    let state = world.state();
    let strange = |id: &&String| state.cloud.instance(id).is_some_and(|instance| instance.owner == STRANGE_ACCOUNT);
    machines.iter().filter(strange).cloned().collect()
}
