//! The scripts, run on this machine: what is kept, what is refused, and what a kill leaves.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use super::{PackageBackend, PackageSettings};
use crate::backend::{BackendError, Observer, OpContext, Operator, ProgressSink};
use crate::model::{
    Address, Digest, DigestKey, DriftKind, Instance, ObjectId, ObjectState, ObservedObject, OpId, PackageSource,
    PackageSpec, Place, ProjectName, Repair, Service, ServiceName, Spec, Text,
};
use crate::package::{Limits, build};

struct World {
    folder: TempDir,
    backend: PackageBackend,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let backend = backend(folder.path(), "scope");
        Self { folder, backend }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn install_path(&self) -> PathBuf {
        self.path("opt/my app")
    }

    /// A package of a version, with these files on top of `data`.
    fn package(&self, version: &str, files: &[(&str, &str)]) -> PackageSpec {
        let source = self.path(&format!("source-{version}"));
        fs::create_dir_all(source.join("scripts")).unwrap();
        put(&source.join("manifest.yaml"), &format!("name: app\nversion: \"{version}\"\nenv: {{FROM: manifest}}\n"));
        put(&source.join("data"), version);
        std::os::unix::fs::symlink("data", source.join("link")).unwrap();
        for (name, content) in files {
            put(&source.join(name), content);
            fs::set_permissions(source.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
        let built = build(&source, None, self.folder.path(), &Limits::default()).unwrap();
        let install_path = self.install_path().to_str().unwrap().to_owned();
        let mut spec = PackageSpec::new(Place::Here, PackageSource::File(built.path), install_path);
        spec.sha256 = Some(built.sha256);
        spec
    }

    async fn deploy(&self, op: &str, spec: &PackageSpec) -> Result<ObjectId, BackendError> {
        let (op, instance) = (op_of(op), instance(spec));
        self.backend.prepare(&op, &instance).await?;
        self.backend.create(&op, &instance).await
    }

    async fn object(&self) -> ObservedObject {
        let listing = self.backend.list().await.unwrap();
        assert!(listing.unreachable.is_empty(), "{:?}", listing.unreachable);
        let [object] = listing.objects.as_slice() else { panic!("{:?}", listing.objects) };
        let inspected = self.backend.inspect(&object.id).await.unwrap().unwrap();
        assert_eq!((&inspected.op_id, inspected.revision), (&object.op_id, object.revision));
        object.clone()
    }

    fn current(&self) -> String {
        let link = fs::read_link(self.install_path().join("current")).unwrap();
        let link = link.to_str().unwrap();
        assert!(self.install_path().join(link).join("manifest.yaml").exists(), "{link} is not whole");
        link.strip_prefix("releases/").unwrap().to_owned()
    }

    fn releases(&self) -> Vec<String> {
        names(&self.install_path().join("releases"))
    }

    /// The folder of the slot in the store.
    fn slot(&self) -> PathBuf {
        let scope = self.path("store/scope");
        let [folder] = &names(&scope)[..] else { panic!("{:?}", names(&scope)) };
        scope.join(folder)
    }
}

fn backend(folder: &Path, scope: &str) -> PackageBackend {
    PackageBackend::new(PackageSettings {
        project: ProjectName::new("shop").unwrap(),
        scope: scope.to_owned(),
        places: BTreeMap::from([(Place::Here.key(), Place::Here)]),
        hosts: Default::default(),
        cache: folder.join("cache"),
        store: Some(folder.join("store").to_str().unwrap().to_owned()),
    })
}

#[expect(clippy::disallowed_methods, reason = "a file of a test")]
fn put(path: &Path, content: &str) {
    fs::write(path, content).unwrap();
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = entries.collect();
    names.sort();
    names
}

fn op_of(op: &str) -> OpContext {
    let address = Address::only(ServiceName::new("app").unwrap());
    OpContext { address, op_id: OpId::new(op), progress: ProgressSink::default(), confirm: None }
}

fn instance(spec: &PackageSpec) -> Instance {
    let service = Service::new(ServiceName::new("app").unwrap(), Spec::Package(Box::new(spec.clone())));
    Instance::new(op_of("x").address, Arc::new(service), None, &DigestKey::new([7; 32]))
}

#[tokio::test]
async fn a_release_is_deployed_switched_and_gone_back_from() {
    let world = World::new();
    let (one, two) = (world.package("1", &[]), world.package("2", &[]));
    let id = world.deploy("r.1", &one).await.unwrap();
    let first = world.current();
    let object = world.object().await;
    assert_eq!(
        (object.id.clone(), object.state, object.revision),
        (id.clone(), ObjectState::Running, instance(&one).revision)
    );
    assert!(object.drift.is_empty(), "{:?}", object.drift);

    world.backend.prepare(&op_of("r.2"), &instance(&two)).await.unwrap();
    assert_eq!(world.current(), first, "preparing switches nothing");
    world.backend.switch(&op_of("r.2"), &id, &instance(&two)).await.unwrap();
    assert_ne!(world.current(), first);
    let object = world.object().await;
    assert_eq!((object.op_id.as_str(), object.revision), ("r.2", instance(&two).revision));
    // The same attempt again finds it done.
    world.backend.switch(&op_of("r.2"), &id, &instance(&two)).await.unwrap();

    for _ in 0..2 {
        world.backend.revert(&op_of("r.2"), &id).await.unwrap();
        assert_eq!(world.current(), first);
        let object = world.object().await;
        assert_eq!((object.op_id.as_str(), object.revision), ("r.1", instance(&one).revision));
    }
    world.backend.remove(&op_of("r.3"), &id, true).await.unwrap();
    world.backend.remove(&op_of("r.3"), &id, true).await.unwrap();
    assert!(!world.install_path().exists());
    assert!(names(&world.path("store/scope")).is_empty());
    assert!(world.backend.list().await.unwrap().objects.is_empty());
    assert_eq!(world.backend.inspect(&id).await.unwrap(), None);
}

#[tokio::test]
async fn an_attempt_that_never_switched_has_nothing_to_go_back_from() {
    let world = World::new();
    let specs = ["1", "2", "3"].map(|version| world.package(version, &[]));
    world.deploy("r.1", &specs[0]).await.unwrap();
    let id = world.deploy("r.2", &specs[1]).await.unwrap();
    let second = world.current();
    // The host was lost after this, and came back for the way back.
    world.backend.prepare(&op_of("r.3"), &instance(&specs[2])).await.unwrap();
    world.backend.revert(&op_of("r.3"), &id).await.unwrap();
    assert_eq!((world.current(), world.object().await.op_id.as_str()), (second, "r.2"));
}

#[tokio::test]
async fn what_is_there_already_is_not_unpacked_again() {
    let world = World::new();
    let spec = world.package("1", &[]);
    world.deploy("r.1", &spec).await.unwrap();
    let of = || fs::metadata(world.install_path().join("current/data")).unwrap().modified().unwrap();
    let inode =
        || std::os::unix::fs::MetadataExt::ino(&fs::metadata(world.install_path().join("current/data")).unwrap());
    let before = (of(), inode());
    world.deploy("r.2", &spec).await.unwrap();
    assert_eq!((of(), inode()), before);
    assert_eq!(world.releases().len(), 1);
}

#[tokio::test]
async fn values_reach_the_commands_byte_for_byte_and_nothing_else_runs() {
    let world = World::new();
    let nasty = "a'b\"c $(touch PWNED) `touch PWNED`\n;touch PWNED\\ ü %s *";
    let mut spec = world
        .package("1", &[("scripts/pre-start", "#!/bin/sh\nprintf %s \"$FROM\" >\"$ORCH_INSTALL_PATH/../from\"\n")]);
    spec.env.insert("NASTY".into(), Text::sensitive(nasty));
    let out = world.path("out");
    spec.env.insert("OUT".into(), Text::plain(out.to_str().unwrap()));
    spec.pre_install = vec![
        Text::plain("printf %s \"$NASTY\" >\"$OUT\""),
        Text::plain("printf '%s' \"$PWD|$ORCH_RELEASE|$ORCH_PREVIOUS\" >>\"$OUT\""),
    ];
    world.deploy("r.1", &spec).await.unwrap();
    let release = world.install_path().join("releases").join(world.current());
    let release = release.to_str().unwrap();
    assert_eq!(fs::read_to_string(out).unwrap(), format!("{nasty}{release}|{release}|"));
    assert_eq!(fs::read_to_string(world.path("opt/from")).unwrap(), "manifest");
    assert!(!names(Path::new(release)).contains(&"PWNED".to_owned()));
    // Only its owner may read what may be secret.
    let slot = world.slot();
    assert_eq!(fs::metadata(&slot).unwrap().permissions().mode() & 0o777, 0o700);
    let env = slot.join("now/env");
    assert_eq!(fs::metadata(env).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn a_command_that_fails_before_the_switch_leaves_everything_as_it_was() {
    let world = World::new();
    let one = world.package("1", &[]);
    let id = world.deploy("r.1", &one).await.unwrap();
    let before = world.current();
    let mut two = world.package("2", &[]);
    two.env.insert("TOKEN".into(), Text::sensitive("hunter2"));
    two.pre_install =
        vec![Text::plain("echo \"no $TOKEN here\""), Text::plain("false"), Text::plain("echo not reached")];
    world.backend.prepare(&op_of("r.2"), &instance(&two)).await.unwrap();
    let error = world.backend.switch(&op_of("r.2"), &id, &instance(&two)).await.unwrap_err();
    assert!(error.message.contains("pre_install ended with exit code 1: no (sensitive) here"), "{}", error.message);
    assert_eq!(world.current(), before);
    let object = world.object().await;
    assert_eq!((object.op_id.as_str(), object.revision), ("r.1", instance(&one).revision));
    assert_eq!(world.backend.tail(&id, 5).await.unwrap().last().unwrap(), "no hunter2 here");
    // There is nothing to go back from.
    world.backend.revert(&op_of("r.2"), &id).await.unwrap();
    assert_eq!((world.current(), world.object().await.op_id.as_str()), (before, "r.1"));
}

#[tokio::test]
async fn a_command_that_fails_after_the_switch_is_gone_back_from_with_the_old_commands() {
    let world = World::new();
    let log = world.path("log");
    let said = |version: &str| vec![Text::plain(format!("echo {version} >>'{}'", log.display()))];
    let mut one = world.package("1", &[]);
    (one.pre_install, one.post_install) = (said("pre1"), said("post1"));
    let id = world.deploy("r.1", &one).await.unwrap();
    let before = world.current();
    let mut two = world.package("2", &[("scripts/post-start", "#!/bin/sh\nexit 3\n")]);
    two.pre_install = said("pre2");
    world.backend.prepare(&op_of("r.2"), &instance(&two)).await.unwrap();
    let error = world.backend.switch(&op_of("r.2"), &id, &instance(&two)).await.unwrap_err();
    assert!(error.message.contains("scripts/post-start ended with exit code 3"), "{}", error.message);
    assert_eq!(world.object().await.revision, Digest::new([0; 32]), "what is under way is no revision");
    world.backend.revert(&op_of("r.2"), &id).await.unwrap();
    assert_eq!(world.current(), before);
    assert_eq!(world.object().await.revision, instance(&one).revision);
    assert_eq!(fs::read_to_string(log).unwrap(), "pre1\npost1\npre2\npre1\npost1\n");
}

#[tokio::test]
async fn a_folder_that_is_not_ours_is_refused_and_left_alone() {
    let world = World::new();
    let spec = world.package("1", &[]);
    fs::create_dir_all(world.install_path()).unwrap();
    put(&world.install_path().join("theirs"), "x");
    let conflicts = world.backend.conflicts(&[&instance(&spec)]).await.unwrap();
    assert!(conflicts.values().flatten().any(|conflict| conflict.holder.contains("theirs")), "{conflicts:?}");
    let error = world.deploy("r.1", &spec).await.unwrap_err();
    assert!(error.message.contains("files that are not orch's, such as theirs"), "{}", error.message);
    assert_eq!(names(&world.install_path()), ["theirs"]);

    fs::remove_file(world.install_path().join("theirs")).unwrap();
    world.deploy("r.2", &spec).await.unwrap();
    let other = backend(world.folder.path(), "other");
    let error = other.prepare(&op_of("r.3"), &instance(&spec)).await.unwrap_err();
    assert!(error.message.contains("another project's"), "{}", error.message);
    assert!(other.list().await.unwrap().objects.is_empty());

    // What is not orch's stays when the package goes, and so does a folder that orch did not make.
    put(&world.install_path().join("theirs"), "x");
    let id = world.object().await.id;
    world.backend.remove(&op_of("r.4"), &id, true).await.unwrap();
    assert_eq!(names(&world.install_path()), ["theirs"]);
}

#[tokio::test]
async fn drift_is_found_and_told() {
    let world = World::new();
    let spec = world.package("1", &[]);
    world.deploy("r.1", &spec).await.unwrap();
    let release = world.install_path().join("releases").join(world.current());
    let drift = || async {
        let object = world.object().await;
        let first = object.drift.first().cloned().unwrap_or_else(|| panic!("no drift: {object:?}"));
        (first.kind, first.detail, object.repair, object.revision == Digest::new([0; 32]))
    };
    // Touching a file changes nothing of it.
    put(&release.join("data"), "1");
    assert!(world.object().await.drift.is_empty());
    put(&release.join("data"), "2");
    assert!(matches!(drift().await, (DriftKind::Config, detail, None, true) if detail.ends_with("changed: data")));
    put(&release.join("data"), "1");
    put(&release.join("new file"), "");
    assert!(matches!(drift().await, (DriftKind::Config, detail, None, true) if detail.ends_with("missing: new file")));
    fs::remove_file(release.join("new file")).unwrap();
    fs::remove_file(release.join("link")).unwrap();
    std::os::unix::fs::symlink("manifest.yaml", release.join("link")).unwrap();
    assert!(
        matches!(drift().await, (DriftKind::Config, detail, None, true) if detail.ends_with("a link leads elsewhere"))
    );

    let current = world.install_path().join("current");
    fs::remove_file(&current).unwrap();
    let (kind, detail, repair, _) = drift().await;
    assert_eq!((kind, repair), (DriftKind::Missing, Some(Repair::Restart)), "{detail}");
    std::os::unix::fs::symlink("/etc", &current).unwrap();
    assert!(matches!(drift().await, (DriftKind::Identity, _, Some(Repair::Restart), _)));
    let id = world.object().await.id;
    world.backend.restart(&op_of("r.2"), &id, &instance(&spec)).await.unwrap();
    assert_eq!(fs::read_link(&current).unwrap(), Path::new("releases").join(release.file_name().unwrap()));

    // A release that was edited is put beside the one that may be running, and then switched to.
    world.deploy("r.3", &spec).await.unwrap();
    assert!(world.object().await.drift.is_empty());
    assert!(world.current().ends_with(".2"));
    fs::remove_dir_all(world.install_path().join("releases").join(world.current())).unwrap();
    assert!(matches!(drift().await, (DriftKind::Missing, _, None, true)));
    world.deploy("r.4", &spec).await.unwrap();
    assert!(world.object().await.drift.is_empty());
}

#[tokio::test]
async fn so_many_releases_stay_and_what_is_needed_is_never_pruned() {
    let world = World::new();
    let mut id = None;
    for version in ["1", "2", "3", "4"] {
        let mut spec = world.package(version, &[]);
        spec.keep = 2;
        id = Some(world.deploy(&format!("r.{version}"), &spec).await.unwrap());
    }
    let kept = world.releases();
    assert_eq!(kept.iter().map(|name| &name[..5]).collect::<Vec<_>>(), ["app-3", "app-4"]);
    // The one to go back to is there, whatever is to stay.
    world.backend.revert(&op_of("r.4"), &id.unwrap()).await.unwrap();
    assert!(world.current().starts_with("app-3"));
}

#[tokio::test]
async fn a_release_that_a_process_works_in_is_not_pruned() {
    let world = World::new();
    let mut one = world.package("1", &[("run", "#!/bin/sh\nread -r line\n")]);
    one.keep = 1;
    world.deploy("r.1", &one).await.unwrap();
    let first = world.current();
    #[expect(clippy::disallowed_methods, reason = "a process of a test")]
    let mut child = std::process::Command::new("/bin/sh")
        .args(["-c", "read -r line"])
        .current_dir(world.install_path().join("releases").join(&first))
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    for version in ["2", "3"] {
        let mut spec = world.package(version, &[]);
        spec.keep = 1;
        world.deploy(&format!("r.{version}"), &spec).await.unwrap();
    }
    assert!(world.releases().contains(&first));
    drop(child.stdin.take());
    child.wait().unwrap();
    let mut last = world.package("4", &[]);
    last.keep = 1;
    world.deploy("r.4", &last).await.unwrap();
    assert!(!world.releases().contains(&first), "{:?}", world.releases());
}

#[tokio::test]
async fn an_archive_that_is_another_one_than_planned_goes_nowhere() {
    let world = World::new();
    let mut spec = world.package("1", &[]);
    spec.sha256 = Some(Digest::of(b"another"));
    let error = world.deploy("r.1", &spec).await.unwrap_err();
    assert!(error.message.contains("it changed since it was planned"), "{}", error.message);
    spec.sha256 = None;
    assert!(world.deploy("r.1", &spec).await.unwrap_err().hint.unwrap().contains("orch package build"));
    assert!(!world.install_path().exists());
}

#[tokio::test]
async fn what_a_killed_attempt_left_is_swept() {
    let world = World::new();
    let (one, two) = (world.package("1", &[]), world.package("2", &[]));
    world.deploy("r.1", &one).await.unwrap();
    let releases = world.install_path().join("releases");
    fs::create_dir(releases.join(".app-2-000000000000.partial")).unwrap();
    put(&releases.join(".0123.tar.gz"), "x");
    fs::create_dir(world.slot().join("contents/.app-2-000000000000.partial")).unwrap();
    // A release that was recorded but never got its name, as after a kill between the two renames.
    fs::create_dir(world.slot().join("contents/app-2-gone")).unwrap();
    world.backend.prepare(&op_of("r.2"), &instance(&two)).await.unwrap();
    assert_eq!(world.releases().len(), 2, "{:?}", world.releases());
    assert_eq!(names(&world.slot().join("contents")).len(), 2);
}

#[tokio::test]
async fn an_interrupted_switch_is_no_revision_and_keeps_what_to_go_back_to() {
    let world = World::new();
    let (one, two) = (world.package("1", &[]), world.package("2", &[]));
    let id = world.deploy("r.1", &one).await.unwrap();
    let first = world.current();
    world.deploy("r.2", &two).await.unwrap();
    // As if the script had been killed right after it made the new definition the one that counts.
    put(&world.slot().join("pending"), "dr.2");
    assert_eq!(world.object().await.revision, Digest::new([0; 32]));
    world.backend.switch(&op_of("r.3"), &id, &instance(&two)).await.unwrap();
    assert_eq!(world.object().await.revision, instance(&two).revision);
    world.backend.revert(&op_of("r.3"), &id).await.unwrap();
    assert_eq!((world.current(), world.object().await.op_id.as_str()), (first, "r.1"));
}

#[tokio::test]
async fn a_package_that_runs_nothing_can_be_stopped_and_started() {
    let world = World::new();
    let spec = world.package("1", &[("scripts/health-check", "#!/bin/sh\necho \"$FROM is well\"\nexit 4\n")]);
    let id = world.deploy("r.1", &spec).await.unwrap();
    world.backend.stop(&op_of("r.2"), &id).await.unwrap();
    assert_eq!(world.object().await.state, ObjectState::Stopped);
    world.backend.start(&op_of("r.3"), &id).await.unwrap();
    assert_eq!(world.object().await.state, ObjectState::Running);
    let health = world.backend.own_check(&id, Duration::from_secs(10)).await.unwrap().unwrap();
    assert_eq!(
        (health.healthy, health.detail.as_str()),
        (false, "scripts/health-check: exit code 4: manifest is well")
    );
}

#[tokio::test]
async fn a_change_in_place_moves_the_stamp_and_nothing_else() {
    let world = World::new();
    let spec = world.package("1", &[]);
    let id = world.deploy("r.1", &spec).await.unwrap();
    let mut moved = op_of("r.2");
    moved.address = Address::only(ServiceName::new("other").unwrap());
    world.backend.update(&moved, &id, &instance(&spec)).await.unwrap();
    let object = world.object().await;
    assert_eq!(
        (object.address, object.op_id.as_str(), object.revision),
        (moved.address, "r.1", instance(&spec).revision)
    );
}

#[tokio::test]
async fn a_host_goes_back_by_itself_unless_it_is_told_in_time() {
    let world = World::new();
    let (one, two) = (world.package("1", &[]), world.package("2", &[]));
    let id = world.deploy("r.1", &one).await.unwrap();
    let first = world.current();
    let mut op = op_of("r.2");
    op.confirm = Some(Duration::from_secs(1));
    world.backend.prepare(&op, &instance(&two)).await.unwrap();
    world.backend.switch(&op, &id, &instance(&two)).await.unwrap();
    assert_ne!(world.current(), first);
    // It goes back in several steps, and the last is that nothing is under way.
    let is_back = |object: ObservedObject| object.revision == instance(&one).revision;
    while !is_back(world.backend.inspect(&id).await.unwrap().unwrap()) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(world.current(), first);
    let error = world.backend.confirm(&op, &id).await.unwrap_err();
    assert!(error.message.contains("gone back by itself"), "{}", error.message);

    op.op_id = OpId::new("r.3");
    op.confirm = Some(Duration::from_secs(600));
    world.backend.switch(&op, &id, &instance(&two)).await.unwrap();
    world.backend.confirm(&op, &id).await.unwrap();
    assert_eq!(fs::read_to_string(world.slot().join("confirmed")).unwrap(), "dr.3");
}

/// Programs that count their calls in a folder, and end the whole group of processes before or after the one
/// that is meant, as SIGKILL does.
fn deadly_programs(folder: &Path) {
    let programs =
        ["mv", "ln", "rm", "mkdir", "cat", "touch", "cp", "tar", "find", "sync", "sort", "chmod", "flock", "readlink"];
    for program in programs {
        let real = ["/usr/bin", "/bin"].iter().map(|place| Path::new(place).join(program)).find(|path| path.exists());
        let real = real.unwrap().display().to_string();
        let text = format!(
            "#!/bin/sh\necho >>'{0}/count'\nnumber=$(wc -l <'{0}/count')\n[ \"$number\" = \"$DIE_BEFORE\" ] && kill -9 0\n\
             '{real}' \"$@\"\ncode=$?\n[ \"$number\" = \"$DIE_AFTER\" ] && kill -9 0\nexit $code\n",
            folder.display()
        );
        put(&folder.join(program), &text);
        fs::set_permissions(folder.join(program), fs::Permissions::from_mode(0o755)).unwrap();
    }
}

/// Runs a script with such programs; how many of them it called, or `None` when it was killed.
#[expect(clippy::disallowed_methods, reason = "the test plays the part of the host")]
fn run_deadly(programs: &Path, parts: &[&str], values: &[&str], die: (&str, usize)) -> Option<usize> {
    use std::os::unix::process::{CommandExt, ExitStatusExt};
    let _ = fs::remove_file(programs.join("count"));
    let text = format!("trap '' HUP PIPE\nmain() {{\n{}\n}}\nmain \"$@\"\n", parts.join("\n"));
    let status = std::process::Command::new("/bin/sh")
        .args(["-c", &text, "sh"])
        .args(values)
        .env("PATH", format!("{}:/usr/bin:/bin", programs.display()))
        .env(die.0, die.1.to_string())
        .process_group(0)
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status()
        .unwrap();
    if status.signal() == Some(9) {
        return None;
    }
    assert_eq!(status.code(), Some(0));
    Some(fs::read_to_string(programs.join("count")).unwrap().lines().count())
}

/// A kill at any call of a program leaves the old release or the new one, and the next attempt gets there.
#[tokio::test]
async fn a_kill_anywhere_in_a_switch_leaves_one_of_the_two() {
    kill_everywhere(false).await;
}

#[tokio::test]
async fn a_kill_anywhere_on_the_way_back_leaves_one_of_the_two() {
    kill_everywhere(true).await;
}

async fn kill_everywhere(back: bool) {
    let world = World::new();
    let programs = world.path("programs");
    fs::create_dir(&programs).unwrap();
    deadly_programs(&programs);
    let (one, two) = (world.package("1", &[]), world.package("2", &[]));
    let id = world.deploy("r.1", &one).await.unwrap();
    let old = world.current();
    world.backend.prepare(&op_of("r.2"), &instance(&two)).await.unwrap();
    let new = world.releases().into_iter().find(|name| *name != old).unwrap();
    let store = world.path("store").to_str().unwrap().to_owned();
    let folder = world.slot().file_name().unwrap().to_str().unwrap().to_owned();
    let head = [store.as_str(), "scope", folder.as_str()];
    for number in 1.. {
        // Between two calls there is nothing but what the shell does itself.
        let when = if number % 2 == 0 { "DIE_BEFORE" } else { "DIE_AFTER" };
        let (op, name) = (format!("k.{number}"), format!("dk.{number}"));
        let ended = if back {
            world.backend.switch(&op_of(&op), &id, &instance(&two)).await.unwrap();
            run_deadly(&programs, super::call::REVERT, &head, (when, number))
        } else {
            let settings = &world.backend.inner.settings;
            let stamp = super::definition::stamp(settings, &op_of(&op), &instance(&two), &two).unwrap();
            let values = [name.as_str(), &new, &stamp, "true", "true", "", "", "", "", "0", "", "5", "644"];
            let values: Vec<&str> = head.into_iter().chain(values).collect();
            run_deadly(&programs, super::call::SWITCH, &values, (when, number))
        };
        let current = world.current();
        assert!([&old, &new].contains(&&current), "{when} {number}");
        let object = world.object().await;
        // Where nothing says that it is under way, what counts is what current leads to.
        match object.revision {
            revision if revision == instance(&one).revision => assert_eq!(current, old, "{when} {number}"),
            revision if revision == instance(&two).revision => assert_eq!(current, new, "{when} {number}"),
            revision => assert_eq!(revision, Digest::new([0; 32]), "{when} {number}"),
        }
        assert!(object.revision == Digest::new([0; 32]) || object.drift.is_empty(), "{when} {number}: {object:?}");
        // The next attempts, under other names, get there, and back.
        for (op, spec, release) in [("n", &two, &new), ("o", &one, &old)] {
            world.backend.switch(&op_of(&format!("{op}.{number}")), &id, &instance(spec)).await.unwrap();
            assert_eq!((world.current(), world.object().await.revision), (release.clone(), instance(spec).revision));
        }
        if ended.is_some() {
            assert!(number > 20, "only {number} calls");
            break;
        }
    }
}

/// A kill at any call of a program while a release is unpacked leaves nothing that counts as a release.
#[tokio::test]
async fn a_kill_anywhere_in_unpacking_leaves_a_whole_release_or_none() {
    let world = World::new();
    let programs = world.path("programs");
    fs::create_dir(&programs).unwrap();
    deadly_programs(&programs);
    let spec = world.package("1", &[]);
    world.deploy("r.1", &spec).await.unwrap();
    let two = world.package("2", &[]);
    let PackageSource::File(archive) = &two.source else { panic!("no file") };
    let contents = crate::package::Archive::open(archive, &Limits::default()).unwrap();
    let (lists, sha256) = (super::archive::Lists::of(&contents), contents.sha256.to_string());
    let (name, files) = (super::archive::release(&contents), lists.files.to_string());
    let store = world.path("store").to_str().unwrap().to_owned();
    let folder = world.slot().file_name().unwrap().to_str().unwrap().to_owned();
    let releases = world.install_path().join("releases");
    for number in 1.. {
        let when = if number % 2 == 0 { "DIE_BEFORE" } else { "DIE_AFTER" };
        fs::copy(archive, releases.join(format!(".{sha256}.tar.gz"))).unwrap();
        let values = [&store, "scope", &folder, &sha256, &name, &lists.sums, &lists.links, &files];
        let ended = run_deadly(&programs, super::call::UNPACK, &values, (when, number));
        let named = world.releases().into_iter().filter(|name| !name.starts_with('.')).count();
        assert!(named <= 2, "{when} {number}: {:?}", world.releases());
        world.deploy(&format!("r.{when}.{number}"), &two).await.unwrap();
        assert!(world.object().await.drift.is_empty());
        assert!(world.releases().iter().all(|name| !name.starts_with('.')), "{:?}", world.releases());
        world.deploy(&format!("s.{when}.{number}"), &spec).await.unwrap();
        // The next one begins without it.
        for release in world.releases().into_iter().filter(|name| name.starts_with("app-2")) {
            fs::remove_dir_all(releases.join(&release)).unwrap();
            fs::remove_dir_all(world.slot().join("contents").join(&release)).unwrap();
        }
        if ended.is_some() {
            assert!(number > 5, "only {number} calls");
            break;
        }
    }
}

/// A server that answers each request, in turn, with one of these; its address.
async fn server(answers: Vec<Vec<u8>>) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut read = [0; 2000];
            let _ = stream.read(&mut read).await.unwrap();
            let _ = stream.write_all(&answer).await;
        }
    });
    address
}

fn answer(body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len()).as_bytes(), body].concat()
}

#[tokio::test]
async fn an_archive_is_downloaded_once_checked_and_kept() {
    let world = World::new();
    let mut spec = world.package("1", &[]);
    let PackageSource::File(path) = &spec.source else { panic!("no file") };
    let content = fs::read(path).unwrap();
    let mut cut = answer(&content);
    cut.truncate(cut.len() - 7);
    let redirect = b"HTTP/1.1 302 Found\r\nlocation: /app.tar.gz\r\ncontent-length: 0\r\n\r\n".to_vec();
    let url = server(vec![cut, answer(b"another"), redirect, answer(&content)]).await;
    spec.source = PackageSource::Url(Text::plain(format!("{url}/app?token=x")));
    let error = world.deploy("r.1", &spec).await.unwrap_err();
    assert!(error.message.contains("broke off") && !error.message.contains("token"), "{}", error.message);
    let error = world.deploy("r.1", &spec).await.unwrap_err();
    assert!(error.message.contains("has the sha256"), "{}", error.message);
    assert!(names(&world.path("cache")).is_empty());
    assert!(!world.install_path().exists());
    world.deploy("r.1", &spec).await.unwrap();
    // The server answers no more: what is in the cache is taken.
    world.deploy("r.2", &spec).await.unwrap();
    assert_eq!(names(&world.path("cache")), [format!("{}.tar.gz", spec.sha256.unwrap())]);
}
