//! What people write into the spec, and when.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};
use tencentcloud_simulator::Effect;

use super::{CREATE, Play, Spare, code, get, rules};
use crate::faults::{Place, Trouble};
use crate::oracle;
use crate::person::{Ready, attempt_state, ids};
use crate::run::{plain, run};
use crate::scenario::{answer_what_is_held, references, spoil, spoil_after};
use crate::world::World;

/// A field of the spec: two values for it, and what must be set with it.
struct Field {
    one: Value,
    other: Value,
    with: Value,
}

fn field(one: Value, other: Value) -> Field {
    Field { one, other, with: json!({}) }
}

/// Two values for each field of our schema that is frozen at times.
fn freezable() -> BTreeMap<&'static str, Field> {
    let prepaid = json!({"instanceChargeType": "PREPAID"});
    BTreeMap::from([
        ("internetAccessible", field(json!({"internetMaxBandwidthOut": 5}), json!({"internetMaxBandwidthOut": 6}))),
        ("initScript", field(json!({"inline": "echo a"}), json!({"inline": "echo b"}))),
        ("zones", field(json!(["ap-guangzhou-2"]), json!(["ap-guangzhou-3", "ap-guangzhou-2"]))),
        ("vpcId", field(json!("vpc-1"), json!("vpc-2"))),
        ("subnetIds", field(json!(["subnet-1"]), json!(["subnet-2"]))),
        ("instanceName", field(json!("apple"), json!("pear"))),
        ("instanceTypes", field(json!(["S5.SMALL2"]), json!(["S5.LARGE8"]))),
        ("systemDisk", field(json!({"diskSize": 60}), json!({"diskSize": 70}))),
        ("loginSettings", field(json!({"keyIds": ["skey-1"]}), json!({"keyIds": ["skey-2"]}))),
        ("instanceChargeType", field(json!("SPOTPAID"), json!("POSTPAID_BY_HOUR"))),
        ("instanceChargePrepaid", Field { with: prepaid, ..field(json!({"period": 2}), json!({"period": 3})) }),
    ])
}

/// Those that are never frozen.
fn free() -> BTreeMap<&'static str, Field> {
    BTreeMap::from([
        ("deletionPolicy", field(json!("Delete"), json!("Retain"))),
        ("credentialsRef", field(json!({"name": "one"}), json!({"name": "other"}))),
    ])
}

/// When somebody edits, and whether the spec is frozen then.
const MOMENTS: [(&str, bool); 8] = [
    ("paused, before an attempt", false),
    ("without a Secret, before an attempt", false),
    ("Sending", true),
    ("Uncertain", true),
    ("Held", true),
    ("Created", true),
    ("Rejected", false),
    ("Abandoned", false),
];

/// Brings `web` to that moment.
async fn bring_to(play: &Play, moment: &str) {
    let world = &play.world;
    play.operator();
    let spec = if moment == "Held" { super::prepaid() } else { plain() };
    match moment {
        "Sending" => {
            world.state().faults.once(Place::Cloud(CREATE), Trouble::SlowAnswer(Duration::from_secs(10)));
        }
        "Uncertain" | "Held" | "Abandoned" => spoil(world, CREATE, Effect::Drop { commit: false }),
        "Rejected" => spoil_after(world, CREATE, 0, 1000, code("ResourceInsufficient", false)),
        "without a Secret, before an attempt" => world.delete_core("secrets", crate::person::SECRET),
        _ => {}
    }
    world.apply("web", &spec);
    match moment {
        "paused, before an attempt" => world.annotate("web", "paused", &"true".into()),
        "without a Secret, before an attempt" => play.until_reason("CredentialsNotFound").await,
        "Created" => play.rest().await,
        "Abandoned" => {
            play.until("an attempt", |world| attempt_state(&get(world)) == "Uncertain").await;
            let id = get(world)["status"]["createAttempt"]["id"].as_str().unwrap_or_default().to_owned();
            world.annotate("web", "resolve-create", &format!("abandon:{id}").into());
            // By the hour it is held only after three in a row, so the person writes the state.
            let path = format!("{}/status", crate::person::path("web"));
            world.ask("PATCH", &path, json!({"status": {"createAttempt": {"state": "Held"}}}));
            play.until("Abandoned", |world| attempt_state(&get(world)) == "Abandoned").await;
        }
        state => play.until(state, |world| attempt_state(&get(world)) == state).await,
    }
}

/// Sets, changes, sets back and removes a field at this moment, and puts the old spec back. What is refused must say so.
fn edit(play: &Play, name: &str, field: &Field, refused: bool) {
    let before = get(&play.world)["spec"].clone();
    let values = [
        ("set", field.one.clone()),
        ("changed", field.other.clone()),
        ("set back", field.one.clone()),
        ("removed", Value::Null),
    ];
    for (how, value) in values {
        let mut patch = field.with.clone();
        patch[name] = value.clone();
        let required = value.is_null() && ["internetAccessible", "credentialsRef"].contains(&name);
        let lone = value.is_null() && name == "instanceChargePrepaid";
        let same = before.get(name) == Some(&value) || (value.is_null() && before.get(name).is_none() && !lone);
        let default = name == "instanceChargeType" && value.is_null() && before[name] == "POSTPAID_BY_HOUR";
        let refused = (refused && !same && !default) || required || lone;
        let last = get(&play.world)["spec"].clone();
        let accepted = play.world.patch("web", json!({"spec": patch}));
        play.expect(&format!("{name} {how}"), accepted, !refused);
        if refused {
            play.expect(&format!("{name} {how}: the spec"), get(&play.world)["spec"].clone(), last);
        }
    }
    put_back(play, &before);
}

fn put_back(play: &Play, before: &Value) {
    let mut patch = before.clone();
    for name in get(&play.world)["spec"].as_object().into_iter().flat_map(|spec| spec.keys()) {
        if before.get(name).is_none() {
            patch[name] = Value::Null;
        }
    }
    play.expect("the old spec again", play.world.patch("web", json!({"spec": patch})), true);
    play.expect("it is the old one", &get(&play.world)["spec"], before);
}

#[test]
fn i01_each_field_at_each_moment() {
    // Injects: each field of our schema set, changed, set back, removed, at each moment. Holds: refused exactly while it is frozen.
    let schema = rules::schema();
    let all: BTreeSet<&str> =
        schema["properties"]["spec"]["properties"].as_object().unwrap().keys().map(String::as_str).collect();
    let mut known: BTreeSet<&str> = freezable().into_keys().chain(free().into_keys()).collect();
    known.extend(["region", "domainName"]);
    assert_eq!(known, all, "the fields of the schema");
    for (moment, frozen) in MOMENTS {
        run(1, move |world| async move {
            let play = Play::new(&world, moment);
            rules::enforce(&world);
            references(&world);
            bring_to(&play, moment).await;
            for (name, field) in freezable() {
                edit(&play, name, &field, frozen);
            }
            for (name, field) in free() {
                edit(&play, name, &field, false);
            }
            for (name, value) in [("region", "ap-shanghai"), ("domainName", "pear.example.com")] {
                play.expect(name, world.patch("web", json!({"spec": {name: value}})), false);
                play.expect(name, world.patch("web", json!({"spec": {name: null}})), false);
            }
            world.state().cloud.clear_faults();
            world.annotate("web", "paused", &Value::Null);
            world.write_secret(crate::person::SECRET_ID);
            play.pass(Duration::from_mins(5)).await;
            play.rest_with(|world| answer_what_is_held(world, None)).await;
            play.expect("bought", play.bought(), usize::from(moment != "Abandoned"));
            play.hold(Spare::default()).await;
        });
    }
}

#[test]
fn i02_refused_and_mended_in_place() {
    // Injects: a spec that the cloud refuses, then mended, by the object or by what it names. Holds: it recovers at once.
    let rows = [
        ("a type of no form", json!({"instanceTypes": ["S5.A-B"]}), json!({"instanceTypes": ["S5.SMALL2"]}), ""),
        (
            "a disk that the cloud does not know",
            json!({"systemDisk": {"diskSize": 60}}),
            json!({"systemDisk": null}),
            "UnknownParameter",
        ),
    ];
    for (variant, bad, good, refusal) in rows {
        run(1, move |world| async move {
            let play = Play::new(&world, variant);
            rules::enforce(&world);
            if !refusal.is_empty() {
                spoil(&world, CREATE, code(refusal, false));
            }
            play.create(&bad).await;
            play.expect("reason", play.reason(), "InvalidSpec");
            play.expect("a command", play.message().contains("kubectl "), true);
            play.pass(Duration::from_mins(20)).await;
            play.expect("bought", (play.called(CREATE), play.bought()), (1, 0));
            play.expect("the edit is taken", world.patch("web", json!({"spec": good})), true);
            play.within(Duration::from_secs(20), "ready", |world| Ready::of(&get(world)).status).await;
            play.expect("calls", (play.called(CREATE), play.bought()), (2, 1));
            play.hold(Spare::default()).await;
        });
    }
    run(1, |world| async move {
        let play = Play::new(&world, "a script that is missing");
        let spec = json!({"initScript": {"configMapKeyRef": {"name": "script", "key": "run.sh"}}});
        play.create(&spec).await;
        play.expect("reason", play.reason(), "ReferenceNotFound");
        play.expect("calls", play.called(CREATE), 0);
        references(&world);
        play.within(Duration::from_secs(90), "ready", |world| Ready::of(&get(world)).status).await;
        play.expect("calls", play.called(CREATE), 1);
        play.hold(Spare::default()).await;
    });
}

/// What was asked of the cloud in the last create.
fn last_create(world: &World) -> Value {
    let state = world.state();
    let creates = state.cloud.calls(0).filter(|call| call.action == CREATE);
    creates.last().map(|call| call.parameters.clone()).unwrap_or_default()
}

#[test]
fn i03_the_same_end_by_every_path() {
    // Injects: A-B-A, and A to B by way of C or by removing it first, calmly or in haste. Holds: the same end state and request.
    let types = |name: &str| json!({"instanceTypes": [name]});
    let none = || json!({"instanceTypes": null});
    let a_again = [
        vec![types("S5.A1")],
        vec![types("S5.A1"), types("S5.B1"), types("S5.A1")],
        vec![types("S5.A1"), none(), types("S5.A1")],
    ];
    let to_b = [
        vec![types("S5.A1"), types("S5.B1")],
        vec![types("S5.A1"), types("S5.C1"), types("S5.B1")],
        vec![types("S5.A1"), none(), types("S5.B1")],
        vec![types("S5.B1")],
    ];
    for paths in [a_again.to_vec(), to_b.to_vec()] {
        for seconds in [0, 100] {
            let mut first = None;
            for path in &paths {
                let path = path.clone();
                let end = run(1, move |world| async move {
                    let play = Play::new(&world, format!("{path:?}, {seconds} s apart"));
                    rules::enforce(&world);
                    spoil_after(&world, CREATE, 0, 1000, code("ResourceInsufficient", false));
                    play.operator();
                    world.apply("web", &plain());
                    play.until_reason("OutOfStock").await;
                    for edit in path {
                        play.expect("the edit is taken", world.patch("web", json!({"spec": edit})), true);
                        play.pass(Duration::from_secs(seconds)).await;
                    }
                    world.state().cloud.clear_faults();
                    play.rest().await;
                    play.hold(Spare::default()).await;
                    (oracle::end_state(&world), get(&world)["spec"].clone(), last_create(&world))
                });
                assert_eq!(first.get_or_insert_with(|| end.clone()), &end);
            }
        }
    }
}

#[test]
fn i04_edited_during_sending_or_uncertain() {
    // Injects: name, charge type and types edited while an attempt is open, refused by the CRD or not. Holds: the record.
    for state in ["Sending", "Uncertain"] {
        for checked in [true, false] {
            for commit in [true, false] {
                frozen_values(state, checked, commit);
            }
        }
    }
}

/// The values of the record count until the attempt is closed.
fn frozen_values(state: &'static str, checked: bool, commit: bool) {
    run(1, move |world| async move {
        let play = Play::new(&world, format!("{state}, checked {checked}, bought {commit}"));
        if checked {
            rules::enforce(&world);
        }
        spoil(&world, CREATE, Effect::Stall { seconds: 5.0, commit });
        world.state().faults.once(Place::Cloud(CREATE), Trouble::LoseAnswer);
        spoil(&world, CREATE, Effect::Invisible { seconds: 60.0 });
        play.operator();
        world.apply("web", &plain());
        play.until(state, |world| attempt_state(&get(world)) == state).await;
        let frozen = |world: &World| {
            let mut record = get(world)["status"]["createAttempt"].clone();
            for open in ["state", "requestId", "reason"] {
                record.as_object_mut().map(|record| record.remove(open));
            }
            record
        };
        let before = frozen(&world);
        for edit in [json!({"instanceName": "other"}), json!({"instanceTypes": ["S5.B1"]}), super::prepaid()] {
            let taken = world.patch("web", json!({"spec": edit}));
            play.expect("the edit is taken", taken, !checked);
        }
        play.pass(Duration::from_mins(5)).await;
        play.expect("the record", frozen(&world), before);
        play.rest_with(|world| answer_what_is_held(world, None)).await;
        play.expect("bought", play.bought(), 1);
        if commit {
            play.expect("found by the name that was sent", (play.called(CREATE), ids(&get(&world)).len()), (1, 1));
        }
        let name = last_create(&world)["InstanceName"].as_str().unwrap_or_default().to_owned();
        play.expect("the name of the last create", name == "other", !commit && !checked);
        play.hold(Spare::default()).await;
    });
}
