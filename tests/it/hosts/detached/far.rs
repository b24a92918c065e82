//! Programs under keepers on a host without systemd, over ssh, through the backend that a project has.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use orch::backend::host::Hosts;
use orch::backend::ssh::{SshBackend, SshSettings};
use orch::backend::{Command as Probe, Observer, OpContext, Operator, ProgressSink};
use orch::model::{
    Address, DigestKey, Instance, ObjectId, ObjectState, ObservedObject, OpId, Place, ProjectName, RemoteSpec, Service,
    ServiceName, Spec, Text,
};

use crate::support::{Engine, Fleet, Host};

fn backend(place: &Place) -> SshBackend {
    SshBackend::new(SshSettings {
        project: ProjectName::new("shop").unwrap(),
        scope: "scope".to_owned(),
        places: BTreeMap::from([(place.key(), place.clone())]),
        hosts: Hosts::default(),
    })
}

fn context(op: &str) -> OpContext {
    let address: Address = "web@h".parse().unwrap();
    OpContext { address, op_id: OpId::new(op), progress: ProgressSink::default(), confirm: None }
}

fn shell(place: &Place, script: &str) -> RemoteSpec {
    RemoteSpec {
        args: ["-c", script].map(Text::plain).to_vec(),
        stop_timeout: Duration::from_millis(500),
        ..RemoteSpec::new(place.clone(), Text::plain("/bin/sh"))
    }
}

fn instance(spec: RemoteSpec) -> Instance {
    let service = Service::new(ServiceName::new("web").unwrap(), Spec::Ssh(Box::new(spec)));
    Instance::new("web@h".parse().unwrap(), Arc::new(service), None, &DigestKey::new([7; 32]))
}

async fn until(
    backend: &SshBackend,
    id: &ObjectId,
    what: &str,
    holds: impl Fn(&ObservedObject) -> bool,
) -> ObservedObject {
    let start = Instant::now();
    loop {
        let object = backend.inspect(id).await.unwrap().expect("it is there");
        if holds(&object) {
            return object;
        }
        assert!(start.elapsed() < Duration::from_secs(30), "{what}: {object:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What the host calls `/bin/sh`, one after the other: it runs the scripts and the keepers.
fn shells(host: &Host) -> Vec<&'static str> {
    let mut found = vec!["dash", "bash"];
    let busybox = Command::new("busybox").arg("true").output().is_ok_and(|output| output.status.success());
    if busybox {
        let path = Command::new("sh").args(["-c", "command -v busybox"]).output().unwrap().stdout;
        let path = String::from_utf8(path).unwrap();
        Engine::get().docker(&["cp", path.trim(), &format!("{}:/usr/local/bin/busybox", host.container())]);
        host.sh("printf '%s\\n' '#!/usr/local/bin/busybox sh' 'exec /usr/local/bin/busybox sh \"$@\"' >/bin/bbsh; chmod 755 /bin/bbsh");
        found.push("bbsh");
    }
    found
}

#[tokio::test]
async fn a_host_without_systemd_runs_a_program_under_a_keeper() {
    let host = Fleet::own_without_systemd();
    let place = host.place("root");
    for name in shells(&host) {
        host.sh(&format!("ln -sf {name} /bin/sh.new && mv -f /bin/sh.new /bin/sh"));
        // The facts are those of this shell.
        let backend = backend(&place);
        let first = instance(RemoteSpec {
            user: Some("plain".to_owned()),
            ..shell(&place, "echo one; id -un; exec sleep 1001")
        });
        let id = backend.create(&context("run.1"), &first).await.unwrap();
        let object = until(&backend, &id, "it runs", |object| object.state == ObjectState::Running).await;
        let pid = object.pid.unwrap();
        until(&backend, &id, "it sleeps", |_| host.sh(&format!("cat /proc/{pid}/comm")) == "sleep").await;
        assert_eq!(host.sh(&format!("stat -c %U /proc/{pid}")), "plain", "{name}");
        assert_eq!(
            host.sh(&format!("grep -E '^Sig(Ign|Blk)' /proc/{pid}/status | cut -f 2 | sort -u")),
            "0".repeat(16)
        );
        assert_eq!(backend.tail(&id, 5).await.unwrap(), ["one", "plain"]);
        let listing = backend.list().await.unwrap();
        assert_eq!(listing.objects.iter().map(|object| &object.id).collect::<Vec<_>>(), [&id]);
        assert!(listing.unreachable.is_empty() && listing.objects[0].drift.is_empty(), "{listing:?}");

        let probe = Text::plain("id");
        let args = [Text::plain("-un")];
        let command = Probe { program: &probe, args: &args, timeout: Duration::from_secs(10) };
        let answer = backend.probe_inside(&id, &command).await.unwrap().unwrap();
        assert_eq!((answer.exit_code, answer.output.as_str()), (0, "plain"));

        let second = instance(shell(&place, "echo two; exec sleep 1002"));
        backend.switch(&context("run.2"), &id, &second).await.unwrap();
        until(&backend, &id, "the second", |object| object.revision == second.revision && object.pid.is_some()).await;
        assert_eq!(backend.tail(&id, 1).await.unwrap(), ["two"]);
        backend.revert(&context("run.2"), &id).await.unwrap();
        let back = until(&backend, &id, "the first", |object| object.state == ObjectState::Running).await;
        assert_eq!((back.revision, back.op_id.as_str()), (first.revision, "run.1"));

        backend.stop(&context("run.3"), &id).await.unwrap();
        assert_eq!(backend.inspect(&id).await.unwrap().unwrap().state, ObjectState::Stopped);
        backend.start(&context("run.4"), &id).await.unwrap();
        until(&backend, &id, "it runs again", |object| object.state == ObjectState::Running).await;
        backend.remove(&context("run.5"), &id, true).await.unwrap();
        assert!(backend.inspect(&id).await.unwrap().is_none());
        assert_eq!(host.sh("ls /var/lib/orch; grep -l ORCH_ /proc/[0-9]*/environ 2>/dev/null || true"), "", "{name}");
    }
}

#[tokio::test]
async fn a_reboot_is_seen_and_the_connection_is_not_what_keeps_it() {
    let host = Fleet::own_without_systemd();
    let place = host.place("root");
    let spec = instance(shell(&place, "exec sleep 1001"));
    let id = {
        // The connection ends with what made it.
        let backend = backend(&place);
        backend.create(&context("run.1"), &spec).await.unwrap()
    };
    let again = backend(&place);
    until(&again, &id, "it goes on", |object| object.state == ObjectState::Running).await;
    host.reboot();
    let anew = backend(&place);
    let object = anew.inspect(&id).await.unwrap().unwrap();
    assert_eq!((&object.state, object.pid), (&ObjectState::Lost, None));
    assert_eq!(object.drift[0].detail, "the machine was rebooted since it ran");
    anew.restart(&context("run.2"), &id, &spec).await.unwrap();
    let object = until(&anew, &id, "it runs", |object| object.state == ObjectState::Running).await;
    assert_eq!((object.op_id.as_str(), object.drift.len()), ("run.2", 0));
    // The same without root's rights is another slot, in the home of the user.
    let user = host.place("plain");
    let (theirs, spec) = (backend(&user), instance(shell(&user, "exec sleep 1003")));
    let id = theirs.create(&context("run.1"), &spec).await.unwrap();
    let object = until(&theirs, &id, "it runs", |object| object.state == ObjectState::Running).await;
    assert_eq!(host.sh(&format!("stat -c %U /proc/{}", object.pid.unwrap())), "plain");
    theirs.remove(&context("run.2"), &id, true).await.unwrap();
    assert_eq!(host.sh("pgrep -x sleep -c"), "1", "the other one goes on");
}
