//! What turns a run upside down once everything else works again: a restore that loses a status, the end of the namespace, the end of
//! the CRD. Not earlier, since what a lying cloud or a lost answer adds to these is beyond what is promised, or has a row of its own.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use serde_json::Value;

use crate::person::{HOME, Ready, SECRET, STRANGE_ACCOUNT, ids, name_of};
use crate::world::{CRD, World};

/// One in five runs has one. Notes which.
pub async fn draw(rng: &mut Rng, world: &Arc<World>) {
    let class = match rng.u8(..30) {
        0..4 => lose_a_status(rng, world),
        4 => end_the_namespace(rng, world).await,
        5 => {
            world.log(|| "person deletes the CRD".to_owned());
            world.ask("DELETE", CRD, Value::Null);
            "CRD deleted"
        }
        _ => return,
    };
    world.state().drawn.insert(class);
}

/// The status of an object that is well, with a machine in the account that its Secret leads to.
fn lose_a_status(rng: &mut Rng, world: &World) -> &'static str {
    let well = |object: &Value| {
        let ids = ids(object);
        let known =
            ids.iter().all(|id| world.state().cloud.instance(id).is_some_and(|one| one.owner != STRANGE_ACCOUNT));
        Ready::of(object).status && ids.len() == 1 && known && object.pointer("/metadata/deletionTimestamp").is_none()
    };
    let objects: Vec<Value> = world.objects().into_iter().filter(well).collect();
    if objects.is_empty() {
        return "no status to lose";
    }
    let name = name_of(&objects[rng.usize(..objects.len())]).to_owned();
    world.lose_status(&name);
    // Nobody is told of a change of the status.
    world.annotate(&name, "reconcile-requested-at", &world.now().to_string().into());
    "status lost"
}

/// The namespace goes, and what is in it one after the other, in any order.
async fn end_the_namespace(rng: &mut Rng, world: &Arc<World>) -> &'static str {
    world.log(|| "person deletes the namespace".to_owned());
    world.ask("DELETE", HOME, Value::Null);
    let mut content: Vec<Option<String>> =
        world.objects().iter().map(|object| Some(name_of(object).to_owned())).chain([None]).collect();
    rng.shuffle(&mut content);
    for object in content {
        match object {
            Some(name) => world.delete(&name),
            None => world.delete_core("secrets", SECRET),
        }
        tokio::time::sleep(Duration::from_secs([0, 1, 20][rng.usize(..3)])).await;
    }
    "namespace deleted"
}
