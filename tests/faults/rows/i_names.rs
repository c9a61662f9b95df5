//! Names at the edge of what they may be.

use std::time::Duration;

use serde_json::{Value, json};
use tencentcloud_simulator::Effect;

use super::{CREATE, Play, Spare, get, rules};
use crate::person::{Ready, domain, ids, object, path};
use crate::run::{plain, run};
use crate::scenario::spoil;

#[test]
fn i05_names_at_their_edges() {
    // Injects: 253-byte names, a UTF-8 edge, odd domains, two objects with one domain or name. Holds: a valid marker; refused; one winner.
    long_object_names();
    instance_names();
    domains();
    one_domain();
    one_instance_name();
}

/// Two objects whose long names differ only at the end have two markers.
fn long_object_names() {
    run(1, |world| async move {
        let play = Play::new(&world, "names of 253 bytes");
        rules::enforce(&world);
        let names = ["a", "b"].map(|last| format!("{}{last}", "long.".repeat(51).get(..252).unwrap_or_default()));
        play.operator();
        for (n, name) in names.iter().enumerate() {
            let spec = json!({"domainName": domain(&format!("web-{n}"))});
            world.apply(name, &spec);
            spoil(&world, CREATE, Effect::Drop { commit: true });
        }
        play.rest().await;
        let sent: Vec<String> = world.state().cloud.instances().map(|one| one.name.clone()).collect();
        play.expect("markers", sent.len(), 2);
        play.expect("one each", sent[0] == sent[1], false);
        play.expect("bytes", sent.iter().all(|name| name.len() <= 60 && name.is_ascii()), true);
        play.expect("calls", play.called(CREATE), 2);
        for name in &names {
            world.delete(name);
        }
        play.rest().await;
        play.hold(Spare::default()).await;
    });
}

/// Sixty bytes of UTF-8 are the most, wherever a character ends.
fn instance_names() {
    let rows = [
        ("a".repeat(60), true),
        ("密".repeat(20), true),
        ("🚀".repeat(15), true),
        (format!("{}a", "密".repeat(20)), false),
        (format!("aa{}", "密".repeat(20)), false),
        (format!("aaa{}", "🚀".repeat(15)), false),
        ("é".repeat(60), false),
    ];
    for (name, taken) in rows {
        run(1, move |world| async move {
            let play = Play::new(&world, format!("instanceName {name}"));
            rules::enforce(&world);
            let reply =
                world.try_ask("POST", path("").trim_end_matches('/'), object("web", &json!({"instanceName": name})));
            play.expect("taken", reply.status < 300, taken);
            if !taken {
                let said = reply.body["message"].as_str().unwrap_or_default().to_owned();
                play.expect("why", said.contains("at most 60 bytes in UTF-8"), true);
                return;
            }
            spoil(&world, CREATE, Effect::Drop { commit: true });
            play.operator();
            play.rest().await;
            play.expect("sent as it stands", world.state().cloud.instances().all(|one| one.name == name), true);
            play.expect("calls", play.called(CREATE), 1);
            play.hold(Spare::default()).await;
        });
    }
}

fn domains() {
    run(1, |world| async move {
        let play = Play::new(&world, "domains");
        rules::enforce(&world);
        let label = "a".repeat(63);
        let long = format!("{label}.{label}.{label}.{}", "a".repeat(61));
        let rows = [
            ("web.example.com".to_owned(), true),
            (long.clone(), true),
            (format!("{long}a"), false),
            (format!("{label}a.example.com"), false),
            ("Web.example.com".to_owned(), false),
            ("WEB.EXAMPLE.COM".to_owned(), false),
            ("web.example.com.".to_owned(), false),
            (".web.example.com".to_owned(), false),
            ("web..example.com".to_owned(), false),
            ("web".to_owned(), false),
            ("-web.example.com".to_owned(), false),
            ("wéb.example.com".to_owned(), false),
            (String::new(), false),
        ];
        for (n, (name, taken)) in rows.iter().enumerate() {
            let object = object(&format!("web-{n}"), &json!({"domainName": name}));
            let reply = world.try_ask("POST", path("").trim_end_matches('/'), object);
            play.expect(name, reply.status < 300, *taken);
        }
        play.operator();
        play.rest().await;
        play.expect("bought", play.bought(), 2);
        play.hold(Spare::default()).await;
    });
}

/// Of two objects with one domain the older wins; the other makes no call until the first is gone.
fn one_domain() {
    for apart in [0, 20, 5_000] {
        run(1, move |world| async move {
            let play = Play::new(&world, format!("one domain, {apart} ms apart"));
            play.operator();
            world.apply("web", &plain());
            play.pass(Duration::from_millis(apart)).await;
            world.apply("late", &json!({"domainName": domain("web")}));
            play.rest().await;
            play.pass(Duration::from_mins(10)).await;
            let reasons: Vec<String> = world.objects().iter().map(|object| Ready::of(object).reason).collect();
            let won = reasons.iter().filter(|reason| *reason == "Available").count();
            play.expect("winners", won, 1);
            play.expect("the other", reasons.contains(&"DomainConflict".to_owned()), true);
            play.expect("calls", play.called(CREATE), 1);
            let loser = world.objects().into_iter().find(|object| Ready::of(object).reason == "DomainConflict");
            let loser = loser.unwrap_or(Value::Null);
            play.expect("a command", Ready::of(&loser).message.contains("kubectl delete pai"), true);
            let winner = if loser["metadata"]["name"] == "web" { "late" } else { "web" };
            world.delete(winner);
            play.until("the loser has one", |world| {
                let left = world.objects();
                left.len() == 1 && Ready::of(&left[0]).status
            })
            .await;
            play.expect("calls", play.called(CREATE), 2);
            play.hold(Spare::default()).await;
        });
    }
}

/// Of two objects with one instance name each has its own machine, also where the replies are lost.
fn one_instance_name() {
    for lost in 0..3 {
        run(1, move |world| async move {
            let play = Play::new(&world, format!("one instance name, {lost} replies lost"));
            for _ in 0..lost {
                spoil(&world, CREATE, Effect::Drop { commit: true });
            }
            play.operator();
            let spec = json!({"instanceName": "my-machine"});
            world.apply("web", &spec);
            world.apply("other", &spec);
            play.rest().await;
            play.expect("bought", (play.called(CREATE), play.bought()), (2, 2));
            for object in world.objects() {
                let id = ids(&object)[0].clone();
                let has = world.state().cloud.instance(&id).and_then(|one| one.domain.clone());
                play.expect("its own domain", has.map(Value::from), object["spec"].get("domainName").cloned());
            }
            world.delete("other");
            play.rest().await;
            play.expect("the one that is left", Ready::of(&get(&world)).status, true);
            play.hold(Spare::default()).await;
        });
    }
}
