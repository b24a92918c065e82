//! A project with units on one host.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use orch::backend::host::Hosts;
use orch::backend::systemd::{SystemdBackend, SystemdSettings};
use orch::backend::{BackendError, Observer, OpContext, Operator, ProgressSink};
use orch::model::{
    Address, DigestKey, Drift, Exec, Instance, ObjectId, ObjectState, ObservedObject, OpId, Place, ProjectName,
    Service, ServiceName, Spec, Text, UnitDefinition, UnitSource, UnitSpec,
};

use crate::support::Host;

/// A project with units on one host. Two tests that share a host have other names for theirs.
pub(super) struct Bench<'h> {
    pub(super) host: &'h Host,
    pub(super) place: Place,
    pub(super) backend: SystemdBackend,
    pub(super) scope: String,
}

impl<'h> Bench<'h> {
    /// `names` is what the test's units begin with: what a killed run of it left goes.
    pub(super) fn new(host: &'h Host, names: &str) -> Self {
        host.sh(&format!(
            "systemctl stop '{names}*'; rm -rf /etc/systemd/system/{names}* /etc/systemd/system/*.wants/{names}* /etc/{names}* /run/{names}* \
             /var/lib/systemd/timers/stamp-{names}*; \
             systemctl daemon-reload; systemctl reset-failed '{names}*' 2>/dev/null || :"
        ));
        Self::with(host, "root", names)
    }

    pub(super) fn with(host: &'h Host, user: &str, scope: &str) -> Self {
        let place = host.place(user);
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
    pub(super) fn unit(&self, name: &str, script: &str) -> UnitSpec {
        let words = ["/bin/sh", "-c", script].map(Text::plain).to_vec();
        let definition = UnitDefinition::new(Exec::Args(words));
        UnitSpec::new(self.place.clone(), name, UnitSource::Written(Box::new(definition)))
    }

    pub(super) async fn create(&self, op: &str, spec: &UnitSpec) -> Result<ObjectId, BackendError> {
        self.backend.create(&context(op), &instance(spec)).await
    }

    pub(super) async fn look(&self, id: &ObjectId) -> ObservedObject {
        self.backend.inspect(id).await.unwrap().expect("it is there")
    }

    pub(super) async fn until(
        &self,
        id: &ObjectId,
        what: &str,
        holds: impl Fn(&ObservedObject) -> bool,
    ) -> ObservedObject {
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

    pub(super) async fn until_running(&self, id: &ObjectId) -> ObservedObject {
        self.until(id, "it runs", |object| object.state == ObjectState::Running).await
    }

    pub(super) fn drift(object: &ObservedObject) -> Vec<&str> {
        object.drift.iter().map(|Drift { detail, .. }| detail.as_str()).collect()
    }
}

pub(super) fn context(op: &str) -> OpContext {
    OpContext { address: address(), op_id: OpId::new(op), progress: ProgressSink::default(), confirm: None }
}

pub(super) fn address() -> Address {
    "web@h".parse().unwrap()
}

pub(super) fn service(spec: &UnitSpec) -> Service {
    Service::new(ServiceName::new("web").unwrap(), Spec::Systemd(Box::new(spec.clone())))
}

pub(super) fn instance(spec: &UnitSpec) -> Instance {
    of(service(spec))
}

pub(super) fn of(service: Service) -> Instance {
    Instance::new(address(), Arc::new(service), None, &DigestKey::new([7; 32]))
}
