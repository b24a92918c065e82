//! Packages on real hosts: with systemd, over ssh, with the faults that hosts have.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use orch::backend::host::Hosts;
use orch::backend::package::{PackageBackend, PackageSettings};
use orch::backend::{BackendError, Observer, OpContext, Operator, ProgressSink};
use orch::model::{
    Address, Digest, DigestKey, DriftKind, Instance, ObjectId, ObjectState, ObservedObject, OpId, PackageSource,
    PackageSpec, Place, ProjectName, Repair, Service, ServiceName, Spec, Text,
};
use orch::package::{Limits, build};

use crate::support::{Fleet, Host, wait_until};

/// One package of one test on a host; all that it leaves there goes with it.
struct Deployment<'h> {
    host: &'h Host,
    folder: tempfile::TempDir,
    backend: PackageBackend,
    place: Place,
    install_path: String,
}

impl<'h> Deployment<'h> {
    fn new(host: &'h Host, user: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Names of its own, as hosts are shared.
        let name = folder.path().file_name().unwrap().to_str().unwrap().trim_start_matches('.').to_owned();
        Self::at(host, folder, host.place(user), format!("/opt/orch-test-{name}/my app"))
    }

    fn at(host: &'h Host, folder: tempfile::TempDir, place: Place, install_path: String) -> Self {
        let backend = backend(&place, folder.path(), &scope_of(&install_path));
        Self { host, folder, backend, place, install_path }
    }

    /// A package with a service that says what it got, and writes it where the test reads it.
    fn package(&self, version: &str, service: &str, files: &[(&str, &str)]) -> PackageSpec {
        let source = self.folder.path().join(format!("source-{version}"));
        put(
            &source.join("manifest.yaml"),
            &format!("name: app\nversion: \"{version}\"\nentry_point: bin/app\nargs: [first]\n"),
        );
        put(&source.join("bin/app"), service);
        put(&source.join("data/version"), version);
        files.iter().for_each(|(name, content)| put(&source.join(name), content));
        let built = build(&source, None, self.folder.path(), &Limits::default()).unwrap();
        let mut spec =
            PackageSpec::new(self.place.clone(), PackageSource::File(built.path), self.install_path.as_str());
        spec.sha256 = Some(built.sha256);
        spec
    }

    async fn deploy(&self, op: &str, spec: &PackageSpec) -> Result<ObjectId, BackendError> {
        self.backend.prepare(&op_of(op), &instance(spec)).await?;
        self.backend.create(&op_of(op), &instance(spec)).await
    }

    async fn object(&self) -> ObservedObject {
        let listing = self.backend.list().await.unwrap();
        assert!(listing.unreachable.is_empty(), "{:?}", listing.unreachable);
        let [object] = listing.objects.as_slice() else { panic!("{:?}", listing.objects) };
        object.clone()
    }

    /// The object once it is in a state.
    async fn once(&self, state: ObjectState) -> ObservedObject {
        let mut object = self.object().await;
        while object.state != state {
            assert!(!matches!(object.state, ObjectState::CrashLoop(_) | ObjectState::Exited(_)), "{object:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
            object = self.object().await;
        }
        object
    }

    fn on_host(&self, script: &str) -> String {
        self.host.sh(&format!("cd '{}' && {script}", self.install_path))
    }

    fn current(&self) -> String {
        self.on_host("readlink current && test -e current/manifest.yaml").trim_start_matches("releases/").to_owned()
    }
}

impl Drop for Deployment<'_> {
    fn drop(&mut self) {
        let scope = scope_of(&self.install_path);
        let top = Path::new(&self.install_path).parent().unwrap().display();
        let clean = format!(
            "for unit in $(grep -lsF '# orch {scope} ' /etc/systemd/system/orch-*.service); do \
             systemctl disable --quiet --now ${{unit##*/}}; rm -f $unit; done; rm -rf /var/lib/orch/{scope} '{top}'"
        );
        let _ = self.host.try_sh(&clean);
    }
}

fn backend(place: &Place, folder: &Path, scope: &str) -> PackageBackend {
    PackageBackend::new(PackageSettings {
        project: ProjectName::new("shop").unwrap(),
        scope: scope.to_owned(),
        places: BTreeMap::from([(place.key(), place.clone())]),
        hosts: Hosts::default(),
        cache: folder.join("cache"),
        store: None,
    })
}

fn scope_of(install_path: &str) -> String {
    Digest::of(install_path.as_bytes()).short()
}

fn put(path: &PathBuf, content: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
    let mode = if content.starts_with("#!") { 0o755 } else { 0o644 };
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn op_of(op: &str) -> OpContext {
    let address = Address::only(ServiceName::new("app").unwrap());
    OpContext { address, op_id: OpId::new(op), progress: ProgressSink::default(), confirm: None }
}

fn instance(spec: &PackageSpec) -> Instance {
    let service = Service::new(ServiceName::new("app").unwrap(), Spec::Package(Box::new(spec.clone())));
    Instance::new(op_of("x").address, Arc::new(service), None, &DigestKey::new([7; 32]))
}

/// A service that runs until it is told to end.
const SERVICE: &str =
    "#!/bin/sh\necho \"version $(cat data/version)\"\ntrap 'exit 0' TERM\nwhile :; do sleep 1000 & wait $!; done\n";

#[tokio::test]
async fn a_package_runs_as_a_unit_and_goes_back_to_the_release_before() {
    for (number, user) in [(1, "root"), (2, "deploy")] {
        let deployment = Deployment::new(Fleet::get().host(number), user);
        let (one, two) = (deployment.package("1", SERVICE, &[]), deployment.package("2", SERVICE, &[]));
        let id = deployment.deploy("r.1", &one).await.unwrap();
        let first = deployment.once(ObjectState::Running).await;
        assert_eq!((first.op_id.as_str(), first.revision), ("r.1", instance(&one).revision));
        assert!(first.incarnation.is_some() && first.pid.is_some() && first.since.is_some(), "{first:?}");
        assert!(first.drift.is_empty(), "{:?}", first.drift);
        let one_release = deployment.current();

        deployment.backend.prepare(&op_of("r.2"), &instance(&two)).await.unwrap();
        assert_eq!(deployment.object().await.incarnation, first.incarnation, "preparing touches nothing that runs");
        deployment.backend.switch(&op_of("r.2"), &id, &instance(&two)).await.unwrap();
        let second = deployment.once(ObjectState::Running).await;
        assert_ne!(second.incarnation, first.incarnation);
        assert_eq!(second.revision, instance(&two).revision);
        let pid = second.pid.unwrap();
        let cwd = deployment.on_host(&format!("readlink /proc/{pid}/cwd"));
        assert_eq!(cwd, format!("{}/releases/{}", deployment.install_path, deployment.current()));
        assert!(deployment.backend.tail(&id, 10).await.unwrap().contains(&"version 2".to_owned()));

        deployment.backend.revert(&op_of("r.2"), &id).await.unwrap();
        let back = deployment.once(ObjectState::Running).await;
        assert_eq!((back.op_id.as_str(), back.revision), ("r.1", instance(&one).revision));
        assert_eq!(deployment.current(), one_release);

        deployment.backend.stop(&op_of("r.3"), &id).await.unwrap();
        assert_eq!(deployment.object().await.state, ObjectState::Stopped);
        deployment.backend.start(&op_of("r.4"), &id).await.unwrap();
        deployment.once(ObjectState::Running).await;
        deployment.backend.restart(&op_of("r.5"), &id, &instance(&one)).await.unwrap();
        let restarted = deployment.once(ObjectState::Running).await;
        assert_eq!(restarted.op_id.as_str(), "r.5");
        assert_ne!(restarted.incarnation, back.incarnation);

        deployment.backend.remove(&op_of("r.6"), &id, true).await.unwrap();
        // Units of other tests on the host stay.
        let path = &deployment.install_path;
        let unit = format!("grep -lF '# orch {} ' /etc/systemd/system/orch-*", scope_of(path));
        let left = format!("ls -d '{path}'; {unit}; readlink /proc/{pid}/cwd | grep -F '{path}'");
        assert_eq!(deployment.host.sh(&format!("{{ {left}; }} 2>/dev/null || true")), "");
        assert!(deployment.backend.list().await.unwrap().objects.is_empty());
    }
}

#[tokio::test]
async fn values_reach_the_entry_point_byte_for_byte() {
    let deployment = Deployment::new(Fleet::get().host(1), "deploy");
    let service = "#!/usr/bin/python3\nimport os, sys, time\nopen('/run/got-' + os.environ['NAME'], 'w').write('\\0'.join(sys.argv[1:]) \
        + '\\1' + os.environ['NASTY'])\ntime.sleep(1000)\n";
    let nasty = ["a'b\"c $(touch /tmp/PWNED) `id` $HOME ${HOME} %n %% \\n", "", "-x", "line\nbreak\ttab", "ünï😀 ;&|*"];
    let mut spec = deployment.package("1", service, &[]);
    let name = scope_of(&deployment.install_path);
    spec.args = nasty.map(Text::sensitive).to_vec();
    spec.env.insert("NASTY".into(), Text::sensitive(nasty.join("\n")));
    spec.env.insert("NAME".into(), Text::plain(name.as_str()));
    deployment.deploy("r.1", &spec).await.unwrap();
    let got = format!("/run/got-{name}");
    wait_until("the service wrote what it got", || deployment.host.try_sh(&format!("test -s {got}")).is_ok());
    let wanted = format!("first\0{}\u{1}{}", nasty.join("\0"), nasty.join("\n"));
    let hex = deployment.host.sh(&format!("od -An -v -tx1 {got} | tr -d ' \\n'; rm {got}"));
    let wanted: String = wanted.bytes().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, wanted);
    // What may be secret is in no file that others read.
    let readable = format!(
        "grep -rlsF 'touch /tmp/PWNED' /etc/systemd/system '{}' | xargs -r stat -c '%a'",
        deployment.install_path
    );
    assert!(deployment.host.sh(&readable).lines().all(|mode| mode == "600"), "{}", deployment.host.sh(&readable));
}

#[tokio::test]
async fn a_release_that_does_not_start_is_gone_back_from() {
    let deployment = Deployment::new(Fleet::get().host(3), "root");
    let one = deployment.package("1", SERVICE, &[]);
    let id = deployment.deploy("r.1", &one).await.unwrap();
    let release = deployment.current();
    let two = deployment.package("2", "#!/no/such/interpreter\n", &[]);
    let error = deployment.deploy("r.2", &two).await.unwrap_err();
    assert!(error.message.contains("cannot switch") && error.message.contains("orch-my_app-"), "{error}");
    assert_eq!(deployment.object().await.revision, Digest::new([0; 32]));
    deployment.backend.revert(&op_of("r.2"), &id).await.unwrap();
    assert_eq!(deployment.current(), release);
    assert_eq!(deployment.once(ObjectState::Running).await.revision, instance(&one).revision);
}

#[tokio::test]
async fn what_is_changed_by_hand_is_found() {
    let deployment = Deployment::new(Fleet::get().host(4), "root");
    let spec = deployment.package("1", SERVICE, &[]);
    let id = deployment.deploy("r.1", &spec).await.unwrap();
    deployment.once(ObjectState::Running).await;
    let unit = deployment.host.sh(&format!(
        "basename $(grep -lF '# orch {} ' /etc/systemd/system/orch-*.service)",
        scope_of(&deployment.install_path)
    ));
    deployment.host.sh(&format!("echo '# mine' >>/etc/systemd/system/{unit}"));
    let object = deployment.object().await;
    assert_eq!((object.drift[0].kind, object.repair), (DriftKind::Config, Some(Repair::Restart)), "{object:?}");
    deployment.backend.restart(&op_of("r.2"), &id, &instance(&spec)).await.unwrap();
    assert!(deployment.once(ObjectState::Running).await.drift.is_empty());

    deployment.host.sh(&format!(
        "mkdir /etc/systemd/system/{unit}.d && printf '[Service]\\nNice=5\\n' >/etc/systemd/system/{unit}.d/x.conf && systemctl daemon-reload"
    ));
    let object = deployment.object().await;
    assert!(object.drift[0].detail.contains("x.conf"), "{object:?}");
    deployment.host.sh(&format!("rm -r /etc/systemd/system/{unit}.d && systemctl daemon-reload"));

    deployment.on_host("echo more >>current/data/version");
    let object = deployment.object().await;
    assert!(object.drift[0].detail.ends_with("changed: data/version"), "{object:?}");
    deployment.deploy("r.3", &spec).await.unwrap();
    assert!(deployment.once(ObjectState::Running).await.drift.is_empty());

    // A process that was killed comes back by its policy, and is another incarnation.
    let before = deployment.object().await;
    deployment.host.sh(&format!("kill -9 {}", before.pid.unwrap()));
    while deployment.object().await.incarnation == before.incarnation {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(deployment.once(ObjectState::Running).await.restarts, 1);
}

#[tokio::test]
async fn a_disk_that_is_full_is_left_as_it_was() {
    let deployment = Deployment::new(Fleet::get().host(1), "root");
    let path = deployment.install_path.clone();
    deployment.host.sh(&format!("mkdir -p '{path}' && mount -t tmpfs -o size=1m,nr_inodes=40 none '{path}'"));
    let small = deployment.package("1", SERVICE, &[]);
    deployment.deploy("r.1", &small).await.unwrap();
    let before = deployment.on_host("find . | sort");
    // Bytes that do not pack, so that not even the archive has room.
    let noise: String = (0..40_000_u32).map(|number| Digest::of(&number.to_le_bytes()).to_string()).collect();
    let large = deployment.package("2", SERVICE, &[("data/large", &noise)]);
    let error = deployment.deploy("r.2", &large).await.unwrap_err();
    assert!(error.message.contains("KiB free"), "{error}");
    assert!(error.hint.unwrap().contains("make room"));
    assert_eq!(deployment.on_host("find . | sort"), before);
    let many: Vec<(String, String)> = (0..60).map(|number| (format!("data/{number}"), String::new())).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, content)| (name.as_str(), content.as_str())).collect();
    let error = deployment.deploy("r.3", &deployment.package("3", SERVICE, &many)).await.unwrap_err();
    assert!(error.message.contains("inodes"), "{error}");
    assert_eq!(deployment.on_host("find . | sort"), before);
    assert_eq!(deployment.once(ObjectState::Running).await.op_id.as_str(), "r.1");
    let id = deployment.object().await.id;
    deployment.backend.remove(&op_of("r.4"), &id, true).await.unwrap();
    deployment.host.sh(&format!("umount '{path}'"));
}

#[tokio::test]
async fn a_path_that_cannot_be_written_is_refused() {
    let deployment = Deployment::new(Fleet::get().host(2), "root");
    let path = deployment.install_path.clone();
    deployment.host.sh(&format!("mkdir -p '{path}' && mount -t tmpfs -o ro none '{path}'"));
    let error = deployment.deploy("r.1", &deployment.package("1", SERVICE, &[])).await.unwrap_err();
    deployment.host.sh(&format!("umount '{path}'"));
    assert!(error.message.contains("cannot write into it"), "{error}");
    assert!(error.hint.unwrap().contains("can be written to"));
}

#[tokio::test]
async fn a_host_without_systemd_runs_no_entry_point_and_says_so() {
    let host = Fleet::own_without_systemd();
    let deployment = Deployment::new(&host, "root");
    let mut spec = deployment.package("1", SERVICE, &[]);
    let error = deployment.deploy("r.1", &spec).await.unwrap_err();
    assert!(error.message.contains("no systemd"), "{error}");
    assert!(deployment.host.try_sh(&format!("test -e '{}'", deployment.install_path)).is_err());
    spec.run = Some(false);
    deployment.deploy("r.2", &spec).await.unwrap();
    assert_eq!(deployment.object().await.state, ObjectState::Running);
}

#[tokio::test]
async fn a_host_that_loses_its_connection_or_reboots_gets_there() {
    let host = Fleet::own();
    let deployment = Deployment::new(&host, "root");
    let (one, mut two) = (deployment.package("1", SERVICE, &[]), deployment.package("2", SERVICE, &[]));
    let id = deployment.deploy("r.1", &one).await.unwrap();
    deployment.once(ObjectState::Running).await;
    // The server's process of this very connection ends in the middle of the switch.
    two.pre_install = vec![Text::plain("kill -9 $(ps -o ppid= -p $PPID)")];
    deployment.backend.prepare(&op_of("r.2"), &instance(&two)).await.unwrap();
    let error = deployment.backend.switch(&op_of("r.2"), &id, &instance(&two)).await.unwrap_err();
    assert!(error.message.contains("lost the connection"), "{error}");
    // What the script began, it ends.
    while deployment.object().await.revision != instance(&two).revision {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let before = deployment.once(ObjectState::Running).await;
    assert_eq!(before.op_id.as_str(), "r.2");
    // The same attempt again finds it done.
    deployment.backend.switch(&op_of("r.2"), &id, &instance(&two)).await.unwrap();

    host.reboot();
    let after = deployment.once(ObjectState::Running).await;
    assert_eq!((after.op_id.as_str(), after.revision), ("r.2", instance(&two).revision));
    assert_ne!(after.incarnation, before.incarnation);
    assert!(after.drift.is_empty(), "{after:?}");

    // What was stopped stays so.
    deployment.backend.stop(&op_of("r.3"), &id).await.unwrap();
    host.reboot();
    assert_eq!(deployment.object().await.state, ObjectState::Stopped);

    // Cut off, it is named, and hides nothing else.
    host.cut_off();
    let listing = deployment.backend.list().await.unwrap();
    assert!(listing.objects.is_empty() && listing.unreachable.contains_key("h"), "{listing:?}");
    assert!(deployment.backend.revert(&op_of("r.4"), &id).await.is_err());
    host.bring_back();
    deployment.backend.revert(&op_of("r.4"), &id).await.unwrap();
    assert_eq!(deployment.once(ObjectState::Running).await.revision, instance(&one).revision);
}

#[tokio::test]
async fn a_host_that_is_not_told_in_time_goes_back_with_its_unit() {
    let deployment = Deployment::new(Fleet::get().host(4), "deploy");
    let (one, two) = (deployment.package("1", SERVICE, &[]), deployment.package("2", SERVICE, &[]));
    let id = deployment.deploy("r.1", &one).await.unwrap();
    let mut op = op_of("r.2");
    op.confirm = Some(Duration::from_secs(2));
    deployment.backend.prepare(&op, &instance(&two)).await.unwrap();
    deployment.backend.switch(&op, &id, &instance(&two)).await.unwrap();
    assert_eq!(deployment.object().await.revision, instance(&two).revision);
    while deployment.object().await.revision != instance(&one).revision {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let back = deployment.once(ObjectState::Running).await;
    assert_eq!(back.op_id.as_str(), "r.1");
    assert!(back.drift.is_empty(), "{back:?}");
    assert!(deployment.backend.confirm(&op, &id).await.unwrap_err().message.contains("gone back by itself"));

    op.op_id = OpId::new("r.3");
    op.confirm = Some(Duration::from_secs(600));
    deployment.backend.switch(&op, &id, &instance(&two)).await.unwrap();
    deployment.backend.confirm(&op, &id).await.unwrap();
    assert_eq!(deployment.once(ObjectState::Running).await.op_id.as_str(), "r.3");
}
