//! Step 12 to 14: late machines, adoption, and a person's answers.

use super::*;

/// A machine stays of an object that went, and another object asks for its domain.
async fn a_taken_domain(world: &Arc<World>) {
    world.apply("first", &json!({}));
    settle(world).await;
    tear_out(world, "first");
    world.apply("web", &json!({"domainName": domain("first")}));
    sleep(Duration::from_mins(1)).await;
    assert_eq!(Ready::of(&web(world)).reason, "DomainTaken");
}

#[test]
fn a_machine_that_a_person_gave_is_marked_as_adopted_and_stays() {
    run(1, |world| async move {
        let _operator = start(&world);
        a_taken_domain(&world).await;
        let machine = world.state().cloud.instances().next().unwrap().id.clone();
        assert!(world.obey(&web(&world), "adopt", Some(&machine)));
        sleep(Duration::from_mins(1)).await;
        assert_eq!(web(&world)["status"]["instances"][0]["adoptedBy"], "Domain");
        world.delete("web");
        settle(&world).await;
        assert_eq!((world.objects().len(), calls(&world, "TerminateInstances")), (0, 0));
    });
}

#[test]
fn a_machine_that_another_object_holds_is_not_adopted() {
    run(1, |world| async move {
        let _operator = start(&world);
        world.apply("other", &json!({"instanceName": "shared-name"}));
        settle(&world).await;
        let id = ids(&world.get("other").unwrap()).remove(0);
        world.state().faults.api_down_until = world.elapsed() + Duration::from_secs(5);
        world.apply("web", &json!({"instanceName": "shared-name"}));
        world.annotate("web", "resolve-create", &format!("adopt:{id}").into());
        sleep(Duration::from_mins(3)).await;
        assert_eq!(ids(&web(&world)), [""; 0]);
        assert_eq!(Ready::of(&web(&world)).reason, "DomainTaken");
    });
}

#[test]
fn an_answer_that_speaks_of_nothing_is_told_of_once() {
    run(1, |world| async move {
        let _operator = start(&world);
        world.apply("web", &json!({}));
        settle(&world).await;
        world.annotate("web", "resolve-create", &"retry:stale".into());
        sleep(Duration::from_mins(30)).await;
        let state = world.state();
        let events = state.api.all("events.k8s.io", "events");
        assert_eq!(events.iter().filter(|event| event["reason"] == "AnswerIgnored").count(), 1);
    });
}

#[test]
fn a_machine_that_shows_after_its_attempt_lapsed_is_told_of_and_never_terminated() {
    run_in(1, true, |world| async move {
        spoil(&world, "CreatePaiInstance", Effect::Invisible { seconds: 1800.0 });
        world.state().faults.once(Place::Cloud("CreatePaiInstance"), Trouble::LoseAnswer);
        let _operator = start(&world);
        world.apply("web", &json!({}));
        sleep(Duration::from_hours(3)).await;
        assert_eq!(bought(&world), 2, "the first showed beyond the window");
        let told = condition(&web(&world), "Stalled").cloned().unwrap_or_default();
        assert_eq!(told["reason"], "DuplicateFound");
        world.delete("web");
        settle(&world).await;
        let left = world.state().cloud.instances().filter(|instance| instance.billed()).count();
        assert_eq!(left, 1, "ours is gone");
    });
}
