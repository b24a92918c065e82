//! Containers: what replaces them in which order, copies, networks, and what an engine lets change.

use super::world::{File, World, actions, at, container, docker, network, process};
use crate::model::{Drift, DriftKind, HostPort, Mount, MountSource, PortMapping, Protocol, Repair, Service};
use crate::plan::{Action, Mode, Operation, Plan, Reason, ReplaceOrder, Request};

const CREATE_FIRST: Action = Action::Replace { order: ReplaceOrder::CreateBeforeDestroy };
const STOP_FIRST: Action = Action::Replace { order: ReplaceOrder::DestroyBeforeCreate };

/// Applies one service, changes it, and gives the plan of the change, applied too.
fn change(service: Service, change: impl FnOnce(&mut Service)) -> Plan {
    let mut file = File(vec![service]);
    let mut world = World::new();
    world.apply(&file);
    change(&mut file.0[0]);
    let plan = world.apply(&file);
    world.assert_exactly(&file);
    plan
}

fn publish(service: &mut Service, port: u16) {
    let host = HostPort::One(port);
    docker(service).ports.push(PortMapping { address: None, host, container: 80, protocol: Protocol::Tcp });
}

fn mount(service: &mut Service, read_only: bool) {
    let source = MountSource::Volume { name: "data".into(), external: false };
    docker(service).mounts.push(Mount { source, target: "/data".into(), read_only });
}

#[test]
fn what_can_be_twice_comes_up_beside_the_old_one() {
    let plan = change(container("web", "web:1", &[]), |web| docker(web).image = "web:2".into());
    let step = &plan.steps[0];
    assert_eq!((step.action, step.stops_first.as_deref()), (CREATE_FIRST, None));
    assert_eq!(step.reason, Reason::Changed { fields: vec!["image".into()] });
    let [Operation::Prepare, Operation::Create, Operation::Gate { .. }, Operation::Remove { volumes: false, .. }] =
        step.operations[..]
    else {
        panic!("{:#?}", step.operations)
    };
    assert!(matches!(step.rollback[..], [Operation::Remove { .. }]), "the old one never stopped");
    assert!(plan.disruptions.is_empty());
}

#[test]
fn what_cannot_be_twice_stops_first_and_the_plan_says_why() {
    type Prepare = fn(&mut Service);
    let cases: [(&str, Prepare); 3] = [
        ("port 8080 cannot be held twice", |web| publish(web, 8080)),
        ("volume data has one writer", |web| mount(web, false)),
        ("the name web is fixed", |web| docker(web).container_name = Some("web".into())),
    ];
    for (why, prepare) in cases {
        let mut web = container("web", "web:1", &[]);
        prepare(&mut web);
        let plan = change(web, |web| docker(web).image = "web:2".into());
        let step = &plan.steps[0];
        assert_eq!((step.action, step.stops_first.as_deref()), (STOP_FIRST, Some(why)));
        assert!(matches!(step.operations[..2], [Operation::Prepare, Operation::Stop { .. }]), "got before it stops");
        assert!(matches!(
            step.rollback[..],
            [Operation::Remove { .. }, Operation::Start { .. }, Operation::Gate { .. }]
        ));
    }
}

#[test]
fn only_what_both_have_stops_first() {
    let mut web = container("web", "web:1", &[]);
    publish(&mut web, 8080);
    let plan = change(web, |web| {
        docker(web).ports.clear();
        publish(web, 8081);
    });
    assert_eq!(plan.steps[0].action, CREATE_FIRST, "the old port is not the new one");
    let mut web = container("web", "web:1", &[]);
    mount(&mut web, true);
    let plan = change(web, |web| docker(web).image = "web:2".into());
    assert_eq!(plan.steps[0].action, CREATE_FIRST, "a reader is no writer");
}

#[test]
fn the_user_may_share_a_volume_but_not_a_port() {
    for (prepare, order) in
        [((|web| mount(web, false)) as fn(&mut Service), CREATE_FIRST), (|web| publish(web, 8080), STOP_FIRST)]
    {
        let mut web = container("web", "web:1", &[]);
        web.lifecycle.create_before_destroy = Some(true);
        prepare(&mut web);
        assert_eq!(change(web, |web| docker(web).image = "web:2".into()).steps[0].action, order);
    }
    let mut web = container("web", "web:1", &[]);
    web.lifecycle.create_before_destroy = Some(false);
    let plan = change(web, |web| docker(web).image = "web:2".into());
    assert_eq!((plan.steps[0].action, plan.steps[0].stops_first.as_deref()), (STOP_FIRST, None));
}

#[test]
fn a_moved_tag_is_its_own_reason() {
    let file = File(vec![container("web", "web:1", &[])]);
    let mut world = World::new();
    world.apply(&file);
    for record in world.state.records.values_mut() {
        let moved = crate::model::FieldValue::Plain("sha256:before".into());
        record.fields.insert("image.digest".into(), moved);
        record.revision = crate::model::Digest::of(b"before");
    }
    let plan = world.apply(&file);
    assert_eq!(plan.steps[0].reason, Reason::ImageMoved { image: "web:1".into() });
    assert_eq!(plan.steps[0].action, CREATE_FIRST);
}

#[test]
fn a_limit_is_changed_in_place_and_lifted_by_a_new_container() {
    let limit = |bytes: u64| move |web: &mut Service| docker(web).memory = Some(bytes);
    let mut web = container("web", "web:1", &[]);
    let plan = change(web.clone(), limit(1 << 20));
    assert_eq!(plan.steps[0].action, Action::Update);
    assert!(matches!(plan.steps[0].operations[..], [Operation::Update { .. }]));
    limit(1 << 20)(&mut web);
    assert_eq!(change(web.clone(), limit(1 << 21)).steps[0].action, Action::Update);
    let plan = change(web, |web| docker(web).memory = None);
    assert_eq!(plan.steps[0].action, CREATE_FIRST);
    assert_eq!(plan.steps[0].reason, Reason::Changed { fields: vec!["memory".into()] });
}

#[test]
fn what_was_changed_by_hand_is_changed_back_in_place() {
    let file = File(vec![container("web", "web:1", &[])]);
    let mut world = World::new();
    world.apply(&file);
    let detail = "memory is 1, not no limit as recorded".to_owned();
    world.object("web").drift = vec![Drift { kind: DriftKind::Config, detail: detail.clone() }];
    assert!(world.plan(&file).is_empty(), "drift that nothing brings back is only told");
    world.object("web").repair = Some(Repair::Update);
    let plan = world.apply(&file);
    assert_eq!(plan.steps[0].action, Action::Update);
    assert_eq!(plan.steps[0].reason, Reason::Drifted { detail });
    assert_eq!(plan.drift[0].drift.kind, DriftKind::Config);
}

#[test]
fn a_changed_trigger_makes_a_new_container() {
    let trigger = |content: &[u8]| crate::model::Trigger {
        path: "conf".into(),
        content: Some(crate::model::ContentDigest::of(content)),
    };
    let mut web = container("web", "web:1", &[]);
    web.triggers = vec![trigger(b"1")];
    let plan = change(web, |web| web.triggers = vec![trigger(b"2")]);
    assert_eq!(plan.steps[0].action, CREATE_FIRST, "no restart gives a container another revision");
    assert_eq!(plan.steps[0].reason, Reason::Triggered { path: "conf".into() });
}

#[test]
fn copies_come_go_and_change_one_after_the_other() {
    let mut file = File(vec![container("web", "web:1", &[])]);
    let mut world = World::new();
    world.apply(&file);
    file.0[0].replicas = Some(3);
    let plan = world.apply(&file);
    assert_eq!(actions(&plan), ["update web[0]", "create web[1]", "create web[2]"]);
    assert_eq!(plan.steps[0].renamed_from, Some(at("web")), "the one there was is the first of three");
    docker(&mut file.0[0]).image = "web:2".into();
    let plan = world.apply(&file);
    assert_eq!(plan.steps.iter().map(|step| step.wave).collect::<Vec<_>>(), [1, 2, 3]);
    file.0[0].replicas = Some(1);
    let plan = world.apply(&file);
    assert_eq!(actions(&plan), ["delete web[1]", "delete web[2]"]);
    assert_eq!(plan.steps[0].reason, Reason::Scaled { replicas: 1 });
    file.0[0].replicas = None;
    assert_eq!(actions(&world.apply(&file)), ["update web"]);
    world.assert_exactly(&file);
}

#[test]
fn a_network_comes_first_goes_last_and_takes_its_members_along() {
    let mut file = File(vec![container("db", "db:1", &[]), container("web", "web:1", &["db"])]);
    network(&mut file, "10.9.0.0/24", &["db", "web"]);
    let mut world = World::new();
    assert_eq!(actions(&world.apply(&file)), ["create networks.lan", "create db", "create web"]);
    let mut moved = File(vec![container("db", "db:1", &[]), container("web", "web:1", &["db"])]);
    network(&mut moved, "10.8.0.0/24", &["db", "web"]);
    let plan = world.apply(&moved);
    assert_eq!(actions(&plan), ["replace networks.lan", "replace db", "replace web"]);
    assert!(matches!(plan.steps[0].operations[..2], [Operation::Remove { .. }, Operation::Create]));
    world.observed.get_mut(&at("networks.lan")).unwrap().objects.clear();
    assert_eq!(actions(&world.apply(&moved)), ["create networks.lan", "replace db", "replace web"]);
    let destroy = Request { mode: Mode::Destroy, ..Request::default() };
    let plan = world.try_plan(&moved, &destroy).unwrap();
    assert_eq!(actions(&plan), ["delete web", "delete db", "delete networks.lan"]);
}

#[test]
fn volumes_go_only_with_a_service_that_says_so() {
    for (remove_volumes, expected) in [(false, false), (true, true)] {
        let mut db = container("db", "db:1", &[]);
        mount(&mut db, false);
        docker(&mut db).remove_volumes = remove_volumes;
        let mut world = World::new();
        world.apply(&File(vec![db]));
        let plan = world.plan(&File::default());
        let [Operation::Remove { volumes, .. }] = plan.steps[0].operations[..] else { panic!("{plan:#?}") };
        assert_eq!(volumes, expected);
    }
}

#[test]
fn a_process_becomes_a_container_and_goes_back_in_one_replace() {
    let mut ours = process("web", "1", &[]);
    if let crate::model::Spec::Process(spec) = &mut ours.spec {
        spec.ports = vec![8080];
    }
    let mut theirs = container("web", "web:1", &[]);
    publish(&mut theirs, 8080);
    for (from, to) in [(ours.clone(), theirs.clone()), (theirs, ours)] {
        let backend = from.spec.backend();
        let plan = change(from, |web| *web = to);
        assert_eq!(actions(&plan), ["replace web"]);
        let step = &plan.steps[0];
        assert_eq!((step.action, &step.reason), (STOP_FIRST, &Reason::Moved { from: backend }));
        let paths: Vec<&str> = step.changes.iter().map(|change| change.path.as_str()).collect();
        assert!(paths.contains(&"binary") && paths.contains(&"image"), "both sides: {paths:?}");
        assert!(!step.rollback.is_empty());
    }
}
