//! Services on several hosts: slots that are switched in place, and rolls over them.

use super::world::{File, World, actions, at, fleet};
use crate::model::{Amount, Pause, RollFailure, Strategy};
use crate::plan::{Action, ObjectRef, Operation, Plan, ReplaceOrder};

const HOSTS: [&str; 5] = ["h1", "h2", "h3", "h4", "h5"];

fn file(arg: &str, strategy: Option<Strategy>) -> File {
    File(vec![fleet("web", arg, &HOSTS, strategy)])
}

fn batches(plan: &Plan) -> Vec<Vec<String>> {
    let address = |id: &crate::plan::StepId| plan.steps[id.0 as usize - 1].address.to_string();
    plan.rolls[0].batches.iter().map(|batch| batch.iter().map(address).collect()).collect()
}

#[test]
fn new_copies_are_made_at_once_and_changed_one_after_the_other() {
    let mut world = World::new();
    let plan = world.apply(&file("1", None));
    assert_eq!((plan.rolls.len(), plan.steps.last().unwrap().wave), (0, 1));
    assert_eq!(plan.max_parallel, 10);
    let plan = world.apply(&file("2", None));
    assert_eq!(batches(&plan), HOSTS.map(|host| vec![format!("web@{host}")]));
    assert_eq!(plan.rolls[0].on_failure, RollFailure::Rollback);
    let step = &plan.steps[0];
    assert_eq!(step.action, Action::Replace { order: ReplaceOrder::InPlace });
    assert!(matches!(step.operations[..], [Operation::Switch { .. }, Operation::Gate { .. }]), "{step:?}");
    assert!(matches!(step.rollback[..], [Operation::Revert { .. }, Operation::Gate { .. }]), "{step:?}");
    assert_eq!((&step.undo, step.after.len()), (&step.rollback, 0));
}

#[test]
fn a_strategy_makes_the_batches_and_the_canary_goes_first() {
    let strategy = Strategy {
        max_parallel: vec![Amount::Percent(50)],
        canary: 1,
        max_failures: Amount::Percent(40),
        pause: Some(Pause::Ask),
        on_failure: Some(RollFailure::Halt),
        ..Strategy::default()
    };
    let mut world = World::new();
    // In the order of the file, which is not that of the alphabet.
    let file = |arg| File(vec![fleet("web", arg, &["z", "a", "m", "b", "c"], Some(strategy.clone()))]);
    let plan = world.apply(&file("1"));
    assert_eq!(batches(&plan), [vec!["web@z"], vec!["web@a", "web@m"], vec!["web@b", "web@c"]]);
    let roll = &plan.rolls[0];
    assert_eq!((roll.max_failures, roll.pause, roll.canary), (2, Some(Pause::Ask), true));
    let plan = world.apply(&file("2"));
    assert!(plan.steps.iter().all(|step| step.undo.is_empty()), "{plan:?}");
}

#[test]
fn a_fleet_gains_and_loses_hosts() {
    let mut world = World::new();
    world.apply(&File(vec![fleet("web", "1", &["h1", "h2"], None)]));
    let plan = world.apply(&File(vec![fleet("web", "1", &["h2", "h3"], None)]));
    assert_eq!(actions(&plan), ["delete web@h1", "create web@h3"]);
}

#[test]
fn a_switch_that_was_killed_is_done_again_and_can_still_go_back() {
    let mut world = World::new();
    world.apply(&file("1", None));
    let wanted = file("2", None);
    let plan = world.plan(&wanted);
    world.obey(&plan, &wanted, 1);
    let again = world.plan(&wanted);
    let step = again.steps.iter().find(|step| step.address == at("web@h1")).unwrap();
    assert_eq!(step.action, Action::Adopt);
    assert!(step.rollback.iter().any(|operation| matches!(operation, Operation::Revert { .. })), "{step:?}");
    world.apply(&wanted);
    world.assert_exactly(&wanted);
}

#[test]
fn a_half_done_switch_is_switched_again_even_back_to_what_is_recorded() {
    let mut world = World::new();
    world.apply(&file("1", None));
    // What the backend reports of a slot whose switch was interrupted.
    world.object("web@h1").revision = "0".repeat(64).parse().unwrap();
    let plan = world.apply(&file("1", None));
    assert_eq!(actions(&plan), ["replace web@h1"]);
    let object =
        ObjectRef::Existing { backend: crate::model::BackendKind::Ssh, id: crate::model::ObjectId::new("web@h1") };
    assert_eq!(plan.steps[0].operations[0], Operation::Switch { object });
}

#[test]
fn a_protected_service_may_be_switched_but_not_deleted() {
    let mut world = World::new();
    let protected = |arg| {
        let mut file = file(arg, None);
        file.0[0].lifecycle.prevent_destroy = true;
        file
    };
    world.apply(&protected("1"));
    world.apply(&protected("2"));
    assert!(world.try_plan(&File::default(), &crate::plan::Request::default()).is_err());
}
