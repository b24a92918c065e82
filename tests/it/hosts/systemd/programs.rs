//! Programs on hosts, through the backend `ssh`, and what is asked of them while they run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use orch::backend::host::Hosts;
use orch::backend::ssh::{SshBackend, SshSettings};
use orch::backend::{Command, ExecRequest, LogQuery, Observer, OpContext, Operator};
use orch::model::{
    Digest, DigestKey, Exit, Instance, Kind, ObjectId, ObjectState, ObservedObject, Place, ProjectName, RemoteSpec,
    RestartMode, Service, ServiceName, Spec, Text, Upload,
};

use super::bench::{address, context};
use crate::support::{Fleet, Host};

struct Programs {
    place: Place,
    backend: SshBackend,
}

impl Programs {
    fn new(host: &Host, project: &str) -> Self {
        host.sh(&format!(
            "systemctl stop 'orch-{project}-*'; rm -f /etc/systemd/system/orch-{project}-* \
             /etc/systemd/system/*.wants/orch-{project}-*; rm -rf /opt/{project} /var/lib/orch/{project}*; systemctl daemon-reload"
        ));
        let place = host.place("root");
        let settings = SshSettings {
            project: ProjectName::new(project).unwrap(),
            scope: format!("{project}{}", std::process::id()),
            places: BTreeMap::from([(place.key(), place.clone())]),
            hosts: Hosts::default(),
        };
        Self { place, backend: SshBackend::new(settings) }
    }

    fn shell(&self, script: &str) -> RemoteSpec {
        let mut spec = RemoteSpec::new(self.place.clone(), Text::plain("/bin/sh"));
        spec.args = vec![Text::plain("-c"), Text::plain(script)];
        spec
    }

    async fn until(&self, id: &ObjectId, holds: impl Fn(&ObservedObject) -> bool) -> ObservedObject {
        let found = async {
            loop {
                let object = self.backend.inspect(id).await.unwrap().expect("it is there");
                if holds(&object) {
                    return object;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), found).await.expect("it comes to that")
    }
}

fn instance(spec: &RemoteSpec, kind: Kind) -> Instance {
    let service = Service::new(ServiceName::new("web").unwrap(), Spec::Ssh(Box::new(spec.clone())));
    Instance::new(address(), Arc::new(Service { kind, ..service }), None, &DigestKey::new([9; 32]))
}

fn is_running(object: &ObservedObject) -> bool {
    object.state == ObjectState::Running
}

#[tokio::test]
async fn a_program_is_uploaded_switched_and_brought_back() {
    let host = Fleet::get().host(1);
    let bench = Programs::new(host, "it-up");
    let folder = tempfile::tempdir().unwrap();
    let version = |number: u32| {
        let path = folder.path().join(format!("v{number}"));
        let script = format!("#!/bin/sh\nexec sleep 550{number} # {}\n", "x".repeat(100_000));
        std::fs::write(&path, &script).unwrap();
        let mut spec = RemoteSpec::new(bench.place.clone(), Text::plain("/opt/it-up/bin/app"));
        spec.upload = Some(Upload { path, content: Some(Digest::of(script.as_bytes())) });
        spec.user = Some("daemon".to_owned());
        spec
    };
    let (v1, v2) = (instance(&version(1), Kind::Permanent), instance(&version(2), Kind::Permanent));
    bench.backend.prepare(&context("run.1"), &v1).await.unwrap();
    assert_eq!(host.try_sh("ls /opt/it-up").ok(), None, "nothing is switched yet");
    let id = bench.backend.create(&context("run.1"), &v1).await.unwrap();
    let first = bench.until(&id, is_running).await;
    assert_eq!(first.drift, []);
    assert_eq!(host.sh("ps -o user= -p $(pgrep -fx 'sleep 5501')"), "daemon");
    // What is there already is not sent again: the file here may be gone by then.
    std::fs::remove_file(folder.path().join("v1")).unwrap();
    bench.backend.restart(&context("run.2"), &id, &v1).await.unwrap();
    bench.until(&id, is_running).await;

    bench.backend.prepare(&context("run.3"), &v2).await.unwrap();
    bench.backend.switch(&context("run.3"), &id, &v2).await.unwrap();
    bench.until(&id, is_running).await;
    host.sh("while ! pgrep -fx 'sleep 5502' >/dev/null; do :; done");
    bench.backend.revert(&context("run.3"), &id).await.unwrap();
    let back = bench.until(&id, is_running).await;
    assert_eq!((back.revision, back.drift), (first.revision, vec![]));
    host.sh("while ! pgrep -fx 'sleep 5501' >/dev/null; do :; done");
    assert_eq!(host.sh("find /var/lib/orch -path '*it-up*' -path '*uploads*' -type f"), "");
    bench.backend.remove(&context("run.4"), &id, false).await.unwrap();
    assert_eq!(host.try_sh("ls /opt/it-up/bin/app").ok(), None);

    let mut missing = version(1);
    missing.upload.as_mut().unwrap().content = None;
    let refused = bench.backend.create(&context("run.5"), &instance(&missing, Kind::Permanent)).await.unwrap_err();
    assert!(refused.message.contains("does not exist") && refused.hint.is_some(), "{refused:?}");
}

#[tokio::test]
async fn a_job_ends_and_how_it_ended_stays_known() {
    let host = Fleet::get().host(2);
    let bench = Programs::new(host, "it-job");
    let exit = |code| Exit { code: Some(code), signal: None, out_of_memory: false };
    for (op, script, ended) in [("run.1", "echo done; exit 0", exit(0)), ("run.2", "echo failed; exit 4", exit(4))] {
        let mut spec = bench.shell(script);
        spec.restart.mode = RestartMode::Never;
        let id = bench.backend.create(&context(op), &instance(&spec, Kind::Job)).await.unwrap();
        bench.until(&id, |object| object.state == ObjectState::Exited(ended.clone())).await;
        // Called again, as after a crash, it does not run twice.
        bench.backend.create(&context(op), &instance(&spec, Kind::Job)).await.unwrap();
        let said = bench.backend.tail(&id, 50).await.unwrap();
        assert_eq!(said.iter().filter(|line| *line == "done" || *line == "failed").count(), 1, "{said:?}");
        bench.backend.remove(&context(op), &id, false).await.unwrap();
    }
}

#[tokio::test]
async fn logs_commands_and_ports_are_those_of_the_machine() {
    let host = Fleet::get().host(4);
    let bench = Programs::new(host, "it-ask");
    let mut spec =
        bench.shell("trap 'echo bye; exit 0' INT; echo one; printf 'two\\377\\n'; while :; do sleep 0.1; done");
    spec.user = Some("daemon".to_owned());
    spec.stop_signal = "INT".parse().unwrap();
    let id = bench.backend.create(&context("run.1"), &instance(&spec, Kind::Permanent)).await.unwrap();
    bench.until(&id, is_running).await;
    let query = LogQuery { lines: None, since: None, follow: true };
    let mut lines = bench.backend.stream_log(&id, query).await.unwrap().unwrap();
    let mut seen = Vec::new();
    while !seen.iter().any(|line| line == "two\u{fffd}") {
        let line = tokio::time::timeout(Duration::from_secs(20), lines.next()).await.expect("a line").unwrap().unwrap();
        assert!(line.at.is_some());
        seen.push(line.text);
    }
    assert!(seen.iter().any(|line| line == "one"), "{seen:?}");
    drop(lines);

    let (program, args) = (Text::plain("sh"), ["-c", "id -un; echo \"$1\"; exit 3", "x", "$(id) 'q'"].map(Text::plain));
    let command = Command { program: &program, args: &args, timeout: Duration::from_secs(20) };
    let answer = bench.backend.probe_inside(&id, &command).await.unwrap().unwrap();
    assert_eq!((answer.exit_code, answer.output.trim()), (3, "daemon\n$(id) 'q'"));
    let args = [Text::plain("100")];
    let slow = Command { program: &Text::plain("sleep"), args: &args, timeout: Duration::from_millis(100) };
    assert!(bench.backend.probe_inside(&id, &slow).await.unwrap_err().message.contains("no end within"));

    let (stdout, mut out) = tokio::io::duplex(4096);
    let request = ExecRequest {
        argv: ["sh", "-c", "id -un; pwd; echo $A; exit 5"].map(str::to_owned).to_vec(),
        user: None,
        working_dir: Some("/tmp".to_owned()),
        env: vec![("A".to_owned(), "b c".to_owned())],
        stdin: None,
        stdout: Box::pin(stdout),
        stderr: Box::pin(tokio::io::sink()),
        terminal: None,
    };
    assert_eq!(bench.backend.exec(&id, request).await.unwrap(), 5);
    let mut text = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut out, &mut text).await.unwrap();
    assert_eq!(text, "daemon\n/tmp\nb c\n");

    let mut wire = bench.backend.dial(&id, "localhost", 22).await.unwrap().unwrap();
    let mut greeting = [0; 4];
    tokio::io::AsyncReadExt::read_exact(&mut wire, &mut greeting).await.unwrap();
    assert_eq!(&greeting, b"SSH-");

    let op = OpContext { ..context("run.2") };
    bench.backend.stop(&op, &id).await.unwrap();
    assert!(bench.backend.tail(&id, 50).await.unwrap().iter().any(|line| line == "bye"), "it was asked by its signal");
    bench.backend.remove(&op, &id, false).await.unwrap();
}
