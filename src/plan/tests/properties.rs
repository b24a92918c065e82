//! Properties that hold of every plan, over random files and random interruptions.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::world::{File, World, container, docker, external, fleet, job, network, process};
use crate::model::{
    Address, Amount, HostPort, Machine, ObjectState, PortMapping, Protocol, Service, ServiceName, Strategy as Roll,
};
use crate::plan::{Action, Mode, Request, Step, StepId};

/// A file of up to seven services, each depending on some before it.
fn file() -> impl Strategy<Value = File> {
    let service = (0..6_u8, 0..3_u8, any::<u8>(), any::<bool>(), any::<bool>());
    (proptest::collection::vec(service, 0..7), 0..3_u8).prop_map(|(list, subnet)| {
        let services = list.into_iter().enumerate().filter(|(_, (.., absent))| !absent).collect::<Vec<_>>();
        let mut file = File::default();
        for (place, (kind, arg, needs, create_first, _)) in services {
            let needs: Vec<String> = file
                .0
                .iter()
                .filter(|other| needs >> (other.name.as_str().len() + place) & 1 == 1 || needs == 7)
                .map(|other| other.name.to_string())
                .collect();
            let needs: Vec<&str> = needs.iter().map(String::as_str).collect();
            let name = format!("s{place}");
            let mut service = match kind {
                0 => external(&name, &needs),
                1 => job(&name, &arg.to_string(), &needs),
                2 => several(container(&name, &arg.to_string(), &needs), arg),
                3 => publishing(container(&name, &arg.to_string(), &needs), needs.len()),
                4 => hosts(fleet(&name, &arg.to_string(), &[], None), arg, &needs),
                _ => process(&name, &arg.to_string(), &needs),
            };
            service.lifecycle.create_before_destroy = Some(create_first).filter(|_| kind != 2);
            file.0.push(service);
        }
        let members: Vec<String> = file.0.iter().filter(|s| s.replicas.is_some()).map(|s| s.name.to_string()).collect();
        if subnet > 0 && !members.is_empty() {
            network(&mut file, &subnet.to_string(), &members.iter().map(String::as_str).collect::<Vec<_>>());
        }
        file
    })
}

/// A container of which there are several, or one without a number.
fn several(mut service: Service, replicas: u8) -> Service {
    service.replicas = (replicas > 0).then(|| u32::from(replicas));
    docker(&mut service).memory = (replicas == 1).then_some(1 << 20);
    service
}

/// A container that holds a port, which another may have held before.
fn publishing(mut service: Service, port: usize) -> Service {
    let port = HostPort::One(8000 + u16::try_from(port).unwrap());
    docker(&mut service).ports =
        vec![PortMapping { address: None, host: port, container: 80, protocol: Protocol::Tcp }];
    service
}

/// A service on some of three hosts, which are changed two at a time or one after the other.
fn hosts(service: Service, arg: u8, needs: &[&str]) -> Service {
    let machine = |host: &str| Arc::new(Machine { name: host.to_owned(), ..Machine::at("10.0.0.1") });
    let some = ["h1", "h2", "h3"].into_iter().skip(usize::from(arg) % 2).map(machine).collect();
    let strategy = Roll { max_parallel: vec![Amount::Count(2)], ..Roll::default() };
    let needs = process("x", "", needs).dependencies;
    Service { hosts: Some(some), strategy: (arg == 2).then_some(strategy), dependencies: needs, ..service }
}

fn assert_order(world: &World, file: &File) {
    let plan = world.plan(file);
    let places: BTreeMap<&Address, StepId> = plan.steps.iter().map(|step| (&step.address, step.id)).collect();
    let goes = |step: &&Step| matches!(step.action, Action::Delete | Action::Forget);
    let of = |service: &ServiceName| {
        let own: Vec<&Step> = plan.steps.iter().filter(|step| step.address.service == *service).collect();
        own.into_iter().filter(|step| !goes(step)).map(|step| step.id).collect::<Vec<_>>()
    };
    let actions: BTreeMap<&Address, Action> = plan.steps.iter().map(|step| (&step.address, step.action)).collect();
    for service in &file.0 {
        for dependency in &service.dependencies {
            if let (Some(first), Some(last)) = (of(&service.name).first(), of(&dependency.service).last()) {
                assert!(last < first, "{plan:#?}");
            }
        }
    }
    for (address, record) in &world.state.records {
        for dependency in &record.dependencies {
            let dependency = Address::only(dependency.service.clone());
            if let (Some(own), Some(needed)) = (places.get(address), places.get(&dependency))
                && matches!(actions[&dependency], Action::Delete | Action::Forget)
            {
                assert!(own < needed, "{dependency} goes before its dependent {address}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn apply_then_plan_is_empty_from_any_file_to_any_other(first in file(), second in file()) {
        let mut world = World::new();
        assert_order(&world, &first);
        world.apply(&first);
        world.assert_exactly(&first);
        assert_order(&world, &second);
        world.apply(&second);
        world.assert_exactly(&second);
        let destroy = Request { mode: Mode::Destroy, ..Request::default() };
        let plan = world.try_plan(&second, &destroy).unwrap();
        world.obey(&plan, &second, usize::MAX);
        world.assert_exactly(&File::default());
        prop_assert!(world.state.records.is_empty());
    }

    #[test]
    fn a_run_killed_after_any_operation_converges(first in file(), second in file(), at in 0..40_usize, third in file()) {
        let mut world = World::new();
        world.apply(&first);
        let plan = world.plan(&second);
        world.obey(&plan, &second, at);
        let mut same = world.clone();
        same.apply(&second);
        same.assert_exactly(&second);
        // The file may even have changed meanwhile.
        world.apply(&third);
        world.assert_exactly(&third);
    }

    #[test]
    fn any_drift_converges(first in file(), which in any::<u16>(), how in 0..4_u8) {
        let mut world = World::new();
        world.apply(&first);
        let addresses: Vec<Address> = world.observed.keys().cloned().collect();
        for (place, address) in addresses.iter().enumerate() {
            if which >> place & 1 == 0 { continue }
            let found = world.observed.get_mut(address).unwrap();
            match how {
                0 => found.objects.clear(),
                1 => found.objects.iter_mut().for_each(|object| object.state = ObjectState::Lost),
                2 => found.objects.iter_mut().for_each(|object| object.state = ObjectState::Stopped),
                _ => found.objects.iter_mut().for_each(|o| o.revision = crate::model::Digest::of(b"other")),
            }
        }
        world.apply(&first);
        prop_assert_eq!(world.instances(&first).len(), world.state.records.len());
    }

    #[test]
    fn the_order_of_the_file_does_not_matter(first in file()) {
        let mut reversed = first.clone();
        reversed.0.reverse();
        prop_assert_eq!(World::new().plan(&first), World::new().plan(&reversed));
    }
}
