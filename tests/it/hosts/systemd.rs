//! Units on hosts: what is put in place, brought back, taken away and seen.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use orch::backend::host::Hosts;
use orch::backend::systemd::{SystemdBackend, SystemdSettings};
use orch::backend::{BackendError, Observer, OpContext, Operator, ProgressSink};
use orch::model::{
    Address, DigestKey, Drift, Exec, Exit, HostFile, Instance, Kind, Machine, ObjectId, ObjectState, ObservedObject,
    OpId, Place, ProjectName, Repair, Service, ServiceName, Spec, Text, UnitDefinition, UnitScope, UnitSource,
    UnitSpec, UnitTimer,
};

use crate::support::{Fleet, Host};

/// A project with units on one host. Two tests that share a host have other names for theirs.
struct Bench<'h> {
    host: &'h Host,
    place: Place,
    backend: SystemdBackend,
    scope: String,
}

fn place(host: &Host, user: &str) -> Place {
    Place::On(Arc::new(Machine {
        name: "h".to_owned(),
        user: Some(user.to_owned()),
        key_file: Some(host.key()),
        known_hosts_file: Some(host.known_hosts()),
        ..Machine::at(host.address())
    }))
}

impl<'h> Bench<'h> {
    fn new(host: &'h Host) -> Self {
        Self::with(host, "root", "scope")
    }

    fn with(host: &'h Host, user: &str, scope: &str) -> Self {
        let place = place(host, user);
        let scope = format!("{scope}{}", std::process::id());
        let settings = SystemdSettings {
            project: ProjectName::new("shop").unwrap(),
            scope: scope.clone(),
            places: BTreeMap::from([(place.key(), place.clone())]),
            hosts: Hosts::default(),
        };
        Self { host, place, backend: SystemdBackend::new(settings), scope }
    }

    /// A unit that runs a line of shell.
    fn unit(&self, name: &str, script: &str) -> UnitSpec {
        let words = ["/bin/sh", "-c", script].map(Text::plain).to_vec();
        let definition = UnitDefinition::new(Exec::Args(words));
        UnitSpec::new(self.place.clone(), name, UnitSource::Written(Box::new(definition)))
    }

    async fn create(&self, op: &str, spec: &UnitSpec) -> Result<ObjectId, BackendError> {
        self.backend.create(&context(op), &instance(spec)).await
    }

    async fn look(&self, id: &ObjectId) -> ObservedObject {
        self.backend.inspect(id).await.unwrap().expect("it is there")
    }

    async fn until(&self, id: &ObjectId, what: &str, holds: impl Fn(&ObservedObject) -> bool) -> ObservedObject {
        let start = Instant::now();
        loop {
            let object = self.look(id).await;
            if holds(&object) {
                return object;
            }
            assert!(start.elapsed() < Duration::from_secs(30), "{what}: {object:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn until_running(&self, id: &ObjectId) -> ObservedObject {
        self.until(id, "it runs", |object| object.state == ObjectState::Running).await
    }

    fn drift(object: &ObservedObject) -> Vec<&str> {
        object.drift.iter().map(|Drift { detail, .. }| detail.as_str()).collect()
    }
}

fn context(op: &str) -> OpContext {
    OpContext { address: address(), op_id: OpId::new(op), progress: ProgressSink::default(), confirm: None }
}

fn address() -> Address {
    "web@h".parse().unwrap()
}

fn service(spec: &UnitSpec) -> Service {
    Service::new(ServiceName::new("web").unwrap(), Spec::Systemd(Box::new(spec.clone())))
}

fn instance(spec: &UnitSpec) -> Instance {
    of(service(spec))
}

fn of(service: Service) -> Instance {
    Instance::new(address(), Arc::new(service), None, &DigestKey::new([7; 32]))
}

#[tokio::test]
async fn a_unit_lives_through_create_switch_revert_stop_start_and_remove() {
    let bench = Bench::new(Fleet::get().host(1));
    let name = "it-life.service";
    let v1 = bench.unit(name, "exec sleep 1001");
    let id = bench.create("run.1", &v1).await.unwrap();
    let first = bench.until_running(&id).await;
    assert_eq!((first.op_id.as_str(), first.revision), ("run.1", instance(&v1).revision));
    assert_eq!(first.drift, []);
    assert_eq!(bench.host.sh(&format!("systemctl is-enabled {name}")), "enabled");
    assert!(bench.host.sh(&format!("head -n 1 /etc/systemd/system/{name}")).contains("shop/web@h"));
    // Once more, as after a crash: it is taken as it is.
    assert_eq!(bench.create("run.1", &v1).await.unwrap(), id);
    assert_eq!(bench.look(&id).await.incarnation, first.incarnation);
    let listed = bench.backend.list().await.unwrap();
    assert!(listed.objects.iter().any(|object| object.id == id) && listed.unreachable.is_empty());

    let v2 = bench.unit(name, "exec sleep 1002");
    for _ in 0..2 {
        bench.backend.switch(&context("run.2"), &id, &instance(&v2)).await.unwrap();
    }
    let second = bench.until_running(&id).await;
    assert_eq!((second.op_id.as_str(), second.revision), ("run.2", instance(&v2).revision));
    assert_ne!(second.incarnation, first.incarnation);
    assert_eq!(bench.host.sh("pgrep -fx 'sleep 100[12]' | wc -l"), "1");

    // A change that never began is nothing to go back from.
    bench.backend.revert(&context("run.9"), &id).await.unwrap();
    assert_eq!(bench.look(&id).await.revision, second.revision);
    for _ in 0..2 {
        bench.backend.revert(&context("run.2"), &id).await.unwrap();
        let back = bench.until_running(&id).await;
        assert_eq!((back.op_id.as_str(), back.revision, back.drift), ("run.1", first.revision, vec![]));
    }
    assert_eq!(bench.host.sh("pgrep -fx 'sleep 1001' | wc -l"), "1");

    for _ in 0..2 {
        bench.backend.stop(&context("run.3"), &id).await.unwrap();
        assert_eq!(bench.look(&id).await.state, ObjectState::Stopped);
    }
    assert_eq!(bench.host.try_sh("pgrep -fx 'sleep 1001'").ok(), None);
    bench.backend.start(&context("run.3"), &id).await.unwrap();
    let started = bench.until_running(&id).await;
    assert_eq!((started.revision, started.drift), (first.revision, vec![]));

    for _ in 0..2 {
        bench.backend.remove(&context("run.4"), &id, false).await.unwrap();
        assert_eq!(bench.backend.inspect(&id).await.unwrap(), None);
    }
    assert_eq!(
        bench.host.sh(&format!("find /etc/systemd /var/lib/orch -name '*it-life*' -o -path '*{}*'", bench.scope)),
        ""
    );
    assert_eq!(bench.host.sh(&format!("systemctl show -p LoadState --value {name}")), "not-found");
}
