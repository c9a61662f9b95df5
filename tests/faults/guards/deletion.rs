//! Section 3: nothing is ended that is not ours to end, and a prepaid machine is asked for once.

use super::*;

/// A machine that runs for `web`.
async fn running(world: &Arc<World>, spec: &Value) -> Arc<Process> {
    let operator = start(world);
    world.apply("web", spec);
    settle(world).await;
    operator
}

fn sent_at(object: &Value) -> Option<jiff::Timestamp> {
    object.pointer("/status/instances/0/terminateSentAt")?.as_str()?.parse().ok()
}

/// Every return was written down less than 10 s before it reached the cloud.
fn every_return_was_written_down(world: &World) {
    let all = arrivals(world, "TerminateInstances");
    assert!(!all.is_empty(), "nothing was sent");
    for arrival in all {
        let written = sent_at(&arrival.objects[0]).unwrap();
        assert!(arrival.at.duration_since(written) < jiff::SignedDuration::from_secs(11), "{written} {}", arrival.at);
    }
}

#[test]
fn a_return_is_written_down_before_it_is_sent() {
    run(1, |world| async move {
        note_arrivals(&world);
        let _operator = running(&world, &prepaid()).await;
        world.delete("web");
        settle(&world).await;
        every_return_was_written_down(&world);
        assert_eq!(calls(&world, "TerminateInstances"), 1);
    });
}

#[test]
fn a_conflict_stops_the_return() {
    run(1, |world| async move {
        note_arrivals(&world);
        let _operator = running(&world, &prepaid()).await;
        world.state().faults.once(Place::StatusWrite, Trouble::Refuse(409, "Conflict"));
        world.delete("web");
        settle(&world).await;
        every_return_was_written_down(&world);
        assert_eq!(calls(&world, "TerminateInstances"), 1);
    });
}

#[test]
fn a_freeze_before_the_return_stops_it() {
    run(1, |world| async move {
        note_arrivals(&world);
        let _operator = running(&world, &prepaid()).await;
        world.state().faults.once(Place::StatusWrite, Trouble::FreezeAfter(Duration::from_secs(12)));
        world.delete("web");
        settle(&world).await;
        every_return_was_written_down(&world);
    });
}

#[test]
fn a_return_of_unknown_end_is_never_repeated() {
    run(1, |world| async move {
        let code = "InternalError.TradeUnknownError".to_owned();
        spoil(&world, "TerminateInstances", Effect::Error { code, message: String::new(), commit: false });
        let _operator = running(&world, &prepaid()).await;
        world.delete("web");
        sleep(Duration::from_hours(2)).await;
        assert_eq!(calls(&world, "TerminateInstances"), 1);
        assert_eq!(Ready::of(&web(&world)).reason, "NotReturnable");
    });
}

#[test]
fn a_secret_that_goes_first_does_not_hold_the_deletion() {
    run(1, |world| async move {
        let _operator = running(&world, &json!({})).await;
        world.delete_core("secrets", crate::person::SECRET);
        world.delete("web");
        settle(&world).await;
        assert!(world.objects().is_empty());
        assert_eq!(world.state().cloud.instances().filter(|instance| instance.billed()).count(), 0);
    });
}

#[test]
fn machines_outlive_the_deletion_of_the_crd() {
    run(1, |world| async move {
        let _operator = running(&world, &json!({})).await;
        let crd = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/paiinstances.pai.tencentcloud.io";
        world.try_ask("DELETE", crd, Value::Null);
        sleep(Duration::from_mins(5)).await;
        assert!(world.objects().is_empty(), "they are let go: {:?}", world.objects());
        assert_eq!(calls(&world, "TerminateInstances"), 0);
    });
}

#[test]
fn a_list_that_is_shorter_than_it_says_shows_no_absence() {
    run(1, |world| async move {
        let options = Options { sweep_interval: Duration::from_secs(20), ..Options::default() };
        let _operator = Process::start(&world, "operator", options);
        world.apply("web", &json!({}));
        settle(&world).await;
        let body = json!({"Response": {"TotalCount": 1, "InstanceSet": [], "RequestId": "r"}}).to_string();
        spoil_after(&world, "DescribeInstances", 0, 1000, Effect::Status { status: 200, body, commit: false });
        sleep(Duration::from_mins(10)).await;
        assert!(Ready::of(&web(&world)).status, "{:?}", Ready::of(&web(&world)));
    });
}

/// What was decided before a hold-up is decided anew after it: a person may have kept the machine meanwhile.
#[test]
fn a_held_up_process_terminates_nothing_on_an_old_decision() {
    run(1, |world| async move {
        let _operator = running(&world, &json!({})).await;
        world.state().faults.once(Place::StatusWrite, Trouble::FreezeAfter(Duration::from_secs(12)));
        world.delete("web");
        sleep(Duration::from_secs(5)).await;
        world.patch("web", json!({"spec": {"deletionPolicy": "Retain"}}));
        settle(&world).await;
        assert_eq!(world.get("web"), None);
        assert_eq!(calls(&world, "TerminateInstances"), 0, "the machine was to be kept");
    });
}

#[test]
fn without_leadership_nothing_is_terminated() {
    run(1, |world| async move {
        let operator = running(&world, &json!({})).await;
        operator.lose_leadership();
        world.delete("web");
        sleep(Duration::from_mins(5)).await;
        assert_eq!(calls(&world, "TerminateInstances"), 0);
        operator.lead_again();
        settle(&world).await;
        assert_ne!(calls(&world, "TerminateInstances"), 0);
    });
}
