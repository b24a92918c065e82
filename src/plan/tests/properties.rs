//! Properties that hold of every plan, over random files and random interruptions.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::world::{File, World, external, job, process};
use crate::model::{Address, ObjectState};
use crate::plan::{Action, Mode, Request, StepId};

/// A file of up to seven services, each depending on some before it.
fn file() -> impl Strategy<Value = File> {
    let service = (0..3_u8, 0..3_u8, any::<u8>(), any::<bool>(), any::<bool>());
    proptest::collection::vec(service, 0..7).prop_map(|list| {
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
                _ => process(&name, &arg.to_string(), &needs),
            };
            service.lifecycle.create_before_destroy = Some(create_first);
            file.0.push(service);
        }
        file
    })
}

fn assert_order(world: &World, file: &File) {
    let plan = world.plan(file);
    let places: BTreeMap<&Address, StepId> = plan.steps.iter().map(|step| (&step.address, step.id)).collect();
    let actions: BTreeMap<&Address, Action> = plan.steps.iter().map(|step| (&step.address, step.action)).collect();
    for service in &file.0 {
        for dependency in &service.dependencies {
            let dependency = Address::only(dependency.service.clone());
            let own = Address::only(service.name.clone());
            if let (Some(own), Some(dependency)) = (places.get(&own), places.get(&dependency)) {
                assert!(dependency < own, "{plan:#?}");
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
        let services: BTreeSet<_> = first.0.iter().map(|service| &service.name).collect();
        prop_assert_eq!(services.len(), world.state.records.len());
    }

    #[test]
    fn the_order_of_the_file_does_not_matter(first in file()) {
        let mut reversed = first.clone();
        reversed.0.reverse();
        prop_assert_eq!(World::new().plan(&first), World::new().plan(&reversed));
    }
}
