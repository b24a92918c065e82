//! Single cases: one change, one drift, one request each.

use super::world::{File, World, actions, at, exit, external, job, name, process};
use crate::model::{Conflict, Dependency, Drift, DriftKind, ObjectState, Repair, Service};
use crate::plan::{Action, Mode, Operation, PlanError, PlanFile, PlanFileError, Reason, ReplaceOrder, Request};
use crate::state::RecordStatus;

fn shop() -> File {
    File(vec![
        external("db", &[]),
        job("migrate", "1", &["db"]),
        process("api", "1", &["db", "migrate"]),
        process("web", "1", &["api"]),
    ])
}

fn applied(file: &File) -> World {
    let mut world = World::new();
    world.apply(file);
    world
}

fn changed(file: &File, service: &str, change: impl FnOnce(&mut Service)) -> File {
    let mut file = file.clone();
    change(file.0.iter_mut().find(|s| s.name == name(service)).unwrap());
    file
}

#[test]
fn everything_is_created_in_waves() {
    let plan = World::new().plan(&shop());
    let waves: Vec<_> = plan.steps.iter().map(|step| (step.wave, step.address.to_string())).collect();
    assert_eq!(waves, [(1, "db".into()), (2, "migrate".into()), (3, "api".into()), (4, "web".into())]);
}

#[test]
fn a_changed_argument_replaces_and_can_go_back() {
    let file = shop();
    let mut world = applied(&file);
    let file = changed(&file, "api", |api| *api = process("api", "2", &["db", "migrate"]));
    let plan = world.apply(&file);
    assert_eq!(actions(&plan), ["replace api"]);
    let step = &plan.steps[0];
    assert_eq!(step.action, Action::Replace { order: ReplaceOrder::DestroyBeforeCreate });
    assert_eq!(step.reason, Reason::Changed { fields: vec!["args".into()] });
    assert!(matches!(step.rollback[..], [Operation::Remove { .. }, Operation::Start { .. }, Operation::Gate { .. }]));
    assert_eq!(plan.disruptions[0].affects, [name("web")]);
    world.assert_exactly(&file);
}

#[test]
fn create_before_destroy_keeps_the_old_one_until_the_gate() {
    let file = changed(&shop(), "api", |api| api.lifecycle.create_before_destroy = Some(true));
    let world = applied(&file);
    let file = changed(&file, "api", |api| {
        let lifecycle = api.lifecycle.clone();
        *api = Service { lifecycle, ..process("api", "2", &["db", "migrate"]) };
    });
    let plan = world.plan(&file);
    let operations = &plan.steps[0].operations;
    assert!(matches!(operations[..], [Operation::Create, Operation::Gate { .. }, Operation::Remove { .. }]));
    assert!(plan.disruptions.is_empty());
}

#[test]
fn a_policy_changes_in_place_and_a_dependency_on_paper() {
    let file = shop();
    let world = applied(&file);
    let policy = changed(&file, "web", |web| web.checks[0].policy.retries = 9);
    assert!(world.plan(&policy).is_empty(), "how often a check runs is not a change");
    let checks = changed(&file, "web", |web| web.checks.clear());
    assert!(matches!(world.plan(&checks).steps[0].operations[..], [Operation::Gate { .. }]));
    let needs = changed(&file, "web", |web| web.dependencies.clear());
    let plan = world.plan(&needs);
    assert_eq!((actions(&plan), plan.steps[0].operations.len()), (vec!["update web".into()], 0));
}

#[test]
fn what_was_killed_by_hand_is_started_again() {
    let file = shop();
    let mut world = applied(&file);
    world.object("web").state = ObjectState::Exited(exit(137));
    let plan = world.plan(&file);
    assert_eq!(actions(&plan), ["restart web"]);
    assert_eq!(plan.drift[0].drift.kind, DriftKind::Missing);
    world.object("web").state = ObjectState::Lost;
    assert_eq!(actions(&world.plan(&file)), ["create web"]);
    world.observed.remove(&at("web"));
    assert_eq!(actions(&world.plan(&file)), ["create web"]);
    world.apply(&file);
    world.assert_exactly(&file);
}

#[test]
fn a_changed_binary_and_a_failing_check_restart() {
    let file = shop();
    let mut world = applied(&file);
    world.object("api").drift = vec![Drift { kind: DriftKind::Config, detail: "binary changed".into() }];
    world.object("api").repair = Some(Repair::Restart);
    world.sicken("web");
    assert_eq!(actions(&world.apply(&file)), ["restart api", "restart web"]);
}

#[test]
fn a_port_that_others_hold_is_drift_and_a_warning() {
    let file = shop();
    let mut world = applied(&file);
    world.object("web").state = ObjectState::Stopped;
    let found = world.observed.get_mut(&at("web")).unwrap();
    found.conflicts.push(Conflict { what: "port 80".into(), holder: "pid 7 (nginx)".into() });
    let plan = world.plan(&file);
    assert!(plan.drift.iter().any(|note| note.drift.kind == DriftKind::Unmanaged));
    assert!(plan.warnings[0].message.contains("pid 7 (nginx)"));
}

#[test]
fn a_job_reruns_when_it_changes_or_failed_and_not_otherwise() {
    let file = shop();
    let mut world = applied(&file);
    world.observed.remove(&at("migrate"));
    assert!(world.plan(&file).is_empty(), "a completed job needs nothing");
    let file = changed(&file, "migrate", |migrate| *migrate = job("migrate", "2", &["db"]));
    assert_eq!(actions(&world.apply(&file)), ["replace migrate"]);
    world.state.records.get_mut(&at("migrate")).unwrap().status = RecordStatus::Failed;
    assert_eq!(actions(&world.apply(&file)), ["restart migrate"]);
}

#[test]
fn what_the_file_no_longer_has_goes_dependents_first() {
    let file = shop();
    let mut world = applied(&file);
    let plan = world.apply(&File(vec![external("db", &[])]));
    assert_eq!(actions(&plan), ["delete web", "delete api", "delete migrate"]);
    let rest = world.try_plan(&File::default(), &Request { mode: Mode::Destroy, ..Request::default() }).unwrap();
    assert_eq!(actions(&rest), ["forget db"]);
}

#[test]
fn protection_holds_even_when_the_file_forgets_it() {
    let file = changed(&shop(), "api", |api| api.lifecycle.prevent_destroy = true);
    let world = applied(&file);
    let destroy = Request { mode: Mode::Destroy, ..Request::default() };
    let errors = world.try_plan(&file, &destroy).unwrap_err();
    assert!(matches!(&errors[..], [PlanError::Protected { address, .. }] if *address == at("api")));
    assert!(world.try_plan(&File(vec![external("db", &[])]), &Request::default()).is_err());
    let spared = Request { exclude: [name("api")].into(), ..destroy };
    assert_eq!(actions(&world.try_plan(&file, &spared).unwrap()), ["delete web"]);
}

#[test]
fn a_target_brings_its_dependencies_and_an_exclude_takes_its_dependents() {
    let request = |target: &[&str], exclude: &[&str]| Request {
        target: target.iter().map(|n| name(n)).collect(),
        exclude: exclude.iter().map(|n| name(n)).collect(),
        ..Request::default()
    };
    let world = World::new();
    let plan = world.try_plan(&shop(), &request(&["migrate"], &[])).unwrap();
    assert_eq!(actions(&plan), ["create db", "create migrate"]);
    let plan = world.try_plan(&shop(), &request(&[], &["api"])).unwrap();
    assert_eq!(actions(&plan), ["create db", "create migrate"]);
    assert!(world.try_plan(&shop(), &request(&["wbe"], &[])).is_err());
}

#[test]
fn a_replace_reaches_what_follows_it() {
    let file = changed(&shop(), "web", |web| web.lifecycle.replace_triggered_by = vec![name("api")]);
    let file = changed(&file, "api", |api| {
        api.dependencies = vec![Dependency { restart: true, ..api.dependencies[0].clone() }];
    });
    let mut world = applied(&file);
    let forced = Request { replace: [name("api")].into(), ..Request::default() };
    assert_eq!(actions(&world.try_plan(&file, &forced).unwrap()), ["replace api", "replace web"]);
    world.object("web").state = ObjectState::Stopped;
    world.state.records.get_mut(&at("web")).unwrap().status = RecordStatus::Stopped;
    assert_eq!(actions(&world.plan(&file)), ["start web"]);
}

#[test]
fn a_rename_keeps_what_runs() {
    let file = shop();
    let mut world = applied(&file);
    let file = File(vec![
        external("db", &[]),
        job("migrate", "1", &["db"]),
        process("api", "1", &["db", "migrate"]),
        Service { renamed_from: Some(name("web")), ..process("site", "1", &["api"]) },
    ]);
    let plan = world.apply(&file);
    assert_eq!(actions(&plan), ["update site"]);
    assert_eq!(plan.steps[0].reason, Reason::Renamed { from: name("web") });
    world.assert_exactly(&file);
}

#[test]
fn a_move_to_another_backend_shows_both_sides() {
    let file = shop();
    let mut world = applied(&file);
    let outside = changed(&file, "api", |api| *api = external("api", &["db"]));
    assert_eq!(actions(&world.apply(&outside)), ["replace api"]);
    world.assert_exactly(&outside);
    let plan = world.apply(&file);
    assert_eq!(actions(&plan), ["create api"]);
    assert_eq!(plan.steps[0].reason, Reason::Moved { from: crate::model::BackendKind::External });
}

#[test]
fn an_ignored_change_is_no_change() {
    let file = changed(&shop(), "api", |api| api.lifecycle.ignore_changes = vec!["args".into()]);
    let world = applied(&file);
    let file = changed(&file, "api", |api| {
        let lifecycle = api.lifecycle.clone();
        *api = Service { lifecycle, ..process("api", "9", &["db", "migrate"]) };
    });
    assert!(world.plan(&file).is_empty());
}

#[test]
fn refresh_only_forgets_what_is_gone_and_touches_nothing() {
    let file = shop();
    let mut world = applied(&file);
    world.observed.remove(&at("web"));
    let plan = world.try_plan(&file, &Request { mode: Mode::RefreshOnly, ..Request::default() }).unwrap();
    assert_eq!(actions(&plan), ["forget web"]);
}

#[test]
fn a_plan_file_tells_when_it_was_altered() {
    let file = PlanFile::seal(World::new().plan(&shop()));
    let bytes = file.to_bytes();
    assert_eq!(PlanFile::from_bytes(&bytes).unwrap(), file);
    let text = String::from_utf8(bytes).unwrap();
    for (from, to) in [("\"web\"", "\"wob\""), ("\"steps\":", "\"extra\":1,\"steps\":")] {
        let altered = text.replacen(from, to, 1);
        assert!(matches!(PlanFile::from_bytes(altered.as_bytes()), Err(PlanFileError::Altered)), "{from}");
    }
    let newer = text.replacen("\"format\":1", "\"format\":2", 1);
    assert!(matches!(PlanFile::from_bytes(newer.as_bytes()), Err(PlanFileError::Format { found: 2 })));
    assert!(matches!(PlanFile::from_bytes(b"{}"), Err(PlanFileError::Malformed(_))));
}
