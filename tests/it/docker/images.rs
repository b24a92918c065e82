//! What images stand for, and how an engine gets them.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use orch::backend::docker::{DockerBackend, DockerSettings};
use orch::backend::{BackendError, Observer, OpContext, Operator, ProgressSink};
use orch::event::Progress;
use orch::model::{
    Address, DigestKey, DockerSpec, Instance, OpId, Pins, ProjectName, PullPolicy, Service, ServiceName, Spec,
};

use crate::support::{Deployment, Engine, Registry, files_below, free_port};

/// A backend that runs nothing; what `env` adds to its environment.
pub(super) fn backend(env: &[(&str, &str)]) -> DockerBackend {
    let mut all = BTreeMap::from([("DOCKER_HOST".to_owned(), Engine::get().host().to_owned())]);
    all.extend(env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    DockerBackend::new(DockerSettings {
        project: ProjectName::new("orch-images").unwrap(),
        scope: format!("orch-images-{}", std::process::id()),
        env: all,
        hosts: BTreeSet::new(),
        known: BTreeMap::new(),
        pending: BTreeMap::new(),
    })
}

pub(super) fn spec(image: &str, pull_policy: PullPolicy) -> DockerSpec {
    DockerSpec { pull_policy, ..DockerSpec::new(image) }
}

fn service(spec: &DockerSpec) -> Service {
    Service::new(ServiceName::new("web").unwrap(), Spec::Docker(Box::new(spec.clone())))
}

/// What an image is pinned to, when `recorded` was its pin before.
async fn pin_after(backend: &DockerBackend, spec: &DockerSpec, recorded: Option<&str>) -> Result<String, BackendError> {
    let service = service(spec);
    let recorded: Pins = recorded.map(|pin| (service.name.clone(), pin.to_owned())).into_iter().collect();
    backend.pins(&[&service], &recorded).await.remove(&service.name).unwrap()
}

pub(super) async fn pin(backend: &DockerBackend, spec: &DockerSpec) -> Result<String, BackendError> {
    pin_after(backend, spec, None).await
}

/// Gets an image; what was said of how far it is.
async fn get(backend: &DockerBackend, spec: &DockerSpec, pin: &str) -> Result<Vec<Progress>, BackendError> {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hears = heard.clone();
    let progress = ProgressSink::new(move |progress| hears.lock().unwrap().push(progress));
    let op = OpContext {
        address: Address::only(service(spec).name),
        op_id: OpId::new("run-abc.1"),
        progress,
        confirm: None,
    };
    let instance =
        Instance::new(op.address.clone(), Arc::new(service(spec)), Some(pin.to_owned()), &DigestKey::new([7; 32]));
    backend.prepare(&op, &instance).await?;
    drop(op);
    Ok(Arc::into_inner(heard).unwrap().into_inner().unwrap())
}

/// The name of what a repository has under a digest.
fn at(name: &str, digest: &str) -> String {
    format!("{}@{digest}", name.rsplit_once(':').unwrap().0)
}

#[track_caller]
pub(super) fn says(error: &BackendError, parts: &[&str]) {
    let told = format!("{error}\nhint: {}", error.hint.as_deref().unwrap_or("none"));
    for part in parts {
        assert!(told.contains(part), "not told: {part}\n{told}");
    }
}

#[tokio::test]
async fn an_image_that_only_the_engine_has_is_pinned_by_its_id() {
    let (backend, engine) = (backend(&[]), Engine::get());
    let id = engine.inspect("orch-test/web:1")["Id"].as_str().unwrap().to_owned();
    for policy in [PullPolicy::Never, PullPolicy::Missing, PullPolicy::Every(Duration::from_secs(u64::MAX / 4))] {
        let web = spec("orch-test/web:1", policy);
        assert_eq!(pin(&backend, &web).await.unwrap(), id, "{policy}");
        assert_eq!(get(&backend, &web, &id).await.unwrap(), [], "{policy}: it is there");
    }
    let by_id = spec(&id, PullPolicy::Missing);
    assert_eq!(pin(&backend, &by_id).await.unwrap(), id);
    assert_eq!(get(&backend, &by_id, &id).await.unwrap(), []);

    let absent = spec("orch-test/none:1", PullPolicy::Never);
    says(&pin(&backend, &absent).await.unwrap_err(), &["does not have the image orch-test/none:1", "pull_policy"]);
    let pruned = get(&backend, &absent, &format!("sha256:{}", "0".repeat(64))).await.unwrap_err();
    says(&pruned, &["does not have the image orch-test/none:1", "plan again"]);
    says(&pin(&backend, &spec("Upper/Case", PullPolicy::Missing)).await.unwrap_err(), &["`Upper/Case`", "write it as"]);
}

#[tokio::test]
async fn an_image_comes_from_its_registry_by_digest_and_with_progress() {
    let (backend, engine, mut registry) = (backend(&[]), Engine::get(), Registry::start());
    let digest = registry.push_new(engine, "1", "web:1", 3);
    let name = registry.name("web:1");
    let web = spec(&name, PullPolicy::Missing);
    assert_eq!(pin(&backend, &web).await.unwrap(), digest, "asked of the registry");

    let heard = get(&backend, &web, &digest).await.unwrap();
    let layers: BTreeSet<_> = heard.iter().filter_map(|progress| progress.part.clone()).collect();
    assert_eq!(layers.len(), 1, "{heard:?}");
    assert!(heard.iter().all(|progress| progress.what == name), "{heard:?}");
    assert!(heard.iter().any(|progress| progress.total.is_some() && progress.current.is_some()), "{heard:?}");
    assert!(heard.iter().any(|progress| progress.status == "Pull complete"), "{heard:?}");
    let by_digest = at(&name, &digest);
    assert_eq!(engine.inspect(&name)["Id"], engine.inspect(&by_digest)["Id"], "it has the tag too");

    registry.stop();
    assert_eq!(get(&backend, &web, &digest).await.unwrap(), [], "nobody is asked about an image that is there");
    assert_eq!(pin(&backend, &web).await.unwrap(), digest);
    assert_eq!(pin(&backend, &spec(&by_digest, PullPolicy::Always)).await.unwrap(), digest);
}

#[tokio::test]
async fn a_tag_that_moved_is_seen_by_who_asks_the_registry() {
    let (backend, engine, registry) = (backend(&[]), Engine::get(), Registry::start());
    let old = registry.push(engine, "orch-test/web:1", "web:1");
    let name = registry.name("web:1");
    let (missing, always) = (spec(&name, PullPolicy::Missing), spec(&name, PullPolicy::Always));
    get(&backend, &missing, &old).await.unwrap();

    // Pushed from elsewhere: the engine's own tag stays.
    let other = registry.name("web:2");
    let new = registry.push(engine, "orch-test/web:2", "web:2");
    engine.docker(&["pull", "--quiet", &other]);
    engine.docker(&["tag", &other, &name]);
    engine.docker(&["push", "--quiet", &name]);
    engine.docker(&["rmi", &name, &other]);
    engine.docker(&["pull", "--quiet", &at(&name, &old)]);
    engine.docker(&["tag", &at(&name, &old), &name]);

    let young = PullPolicy::Every(Duration::from_secs(3600));
    assert_ne!(old, new);
    assert_eq!(pin(&backend, &missing).await.unwrap(), old);
    assert_eq!(pin(&backend, &spec(&name, young)).await.unwrap(), old, "tagged just now");
    assert_eq!(pin(&backend, &spec(&name, PullPolicy::Every(Duration::ZERO))).await.unwrap(), new);
    assert_eq!(pin_after(&backend, &always, Some(&old)).await.unwrap(), new);

    // An image that is not what the tag stands for is got without touching the tag.
    get(&backend, &missing, &new).await.unwrap();
    assert_eq!(pin(&backend, &missing).await.unwrap(), old);
    get(&backend, &always, &new).await.unwrap();
    assert_eq!(pin(&backend, &missing).await.unwrap(), new, "the tag follows the registry");
}

#[tokio::test]
async fn another_name_for_the_image_that_runs_is_no_change() {
    let (backend, engine, registry) = (backend(&[]), Engine::get(), Registry::start());
    let local = format!("orch-test/images-same:{}", std::process::id());
    engine.docker(&["tag", "orch-test/web:1", &local]);
    let local_spec = spec(&local, PullPolicy::Missing);
    let id = pin(&backend, &local_spec).await.unwrap();
    let name = registry.name("same:1");
    engine.docker(&["tag", &local, &name]);
    engine.docker(&["push", "--quiet", &name]);
    let pushed = spec(&name, PullPolicy::Missing);
    let digest = pin(&backend, &pushed).await.unwrap();
    assert_ne!(digest, id, "its repository knows it");
    for policy in [PullPolicy::Missing, PullPolicy::Always] {
        let pushed = spec(&name, policy);
        assert_eq!(pin_after(&backend, &pushed, Some(&id)).await.unwrap(), id, "{policy}: it was pushed");
        assert_eq!(pin_after(&backend, &pushed, Some(&digest)).await.unwrap(), digest);
        let another = format!("sha256:{}", "1".repeat(64));
        assert_eq!(pin_after(&backend, &pushed, Some(&another)).await.unwrap(), digest);
    }
    assert_eq!(pin_after(&backend, &local_spec, Some(&digest)).await.unwrap(), digest, "it was tagged");
    assert_eq!(get(&backend, &local_spec, &digest).await.unwrap(), [], "and need not be got");
    engine.docker(&["rmi", &local]);
}

#[tokio::test]
async fn what_a_registry_cannot_give_is_said() {
    let (backend, engine, mut registry) = (backend(&[]), Engine::get(), Registry::start());
    let digest = registry.push(engine, "orch-test/web:1", "web:1");
    let wrong = spec(&registry.name("web:9"), PullPolicy::Missing);
    says(&pin(&backend, &wrong).await.unwrap_err(), &["web:9", "see the name and the tag"]);
    let nobody = spec(&format!("127.0.0.1:{}/web:1", free_port()), PullPolicy::Always);
    says(&pin(&backend, &nobody).await.unwrap_err(), &["connection refused", "see that the registry 127.0.0.1:"]);

    let web = spec(&registry.name("web:1"), PullPolicy::Missing);
    let gone = get(&backend, &web, &format!("sha256:{}", "2".repeat(64))).await.unwrap_err();
    says(&gone, &["pull 127.0.0.1:", "@sha256:2222", "if no registry ever had the image"]);
    registry.stop();
    says(&pin(&backend, &web).await.unwrap_err(), &["connection refused", "runs and that the engine reaches it"]);
    says(&get(&backend, &web, &digest).await.unwrap_err(), &["connection refused"]);
    registry.again();
    get(&backend, &web, &digest).await.unwrap();
}

/// What lets `me` into a registry. In the header that it is sent in, it has both characters in which the
/// alphabets of base64 differ.
const PASSWORD: &str = "p~~~???>>>w";

/// A registry that has `web:1`, whose digest is given, for nobody but `me`.
fn closed_registry() -> (Registry, String) {
    let mut registry = Registry::start();
    let digest = registry.push(Engine::get(), "orch-test/web:1", "web:1");
    registry.stop();
    registry.protect("me:$2y$05$abcdefghijklmnopqrstuuIOYIqxjtXQPnyNGwm7cYnKzXXGQVWxe\n");
    registry.again();
    (registry, digest)
}

#[tokio::test]
async fn a_registry_that_lets_not_everybody_in_knows_the_user() {
    let (registry, digest) = closed_registry();
    let name = registry.name("web:1");
    let server = name.split('/').next().unwrap();
    let web = spec(&name, PullPolicy::Missing);
    let config = tempfile::tempdir().unwrap();
    let folder = config.path().to_str().unwrap();
    let env = [("DOCKER_CONFIG", folder)];
    let write = |text: String| std::fs::write(config.path().join("config.json"), text).unwrap();

    let refused = pin(&backend(&env), &web).await.unwrap_err();
    says(&refused, &["docker login 127.0.0.1:", "if it is not public"]);
    says(&get(&backend(&env), &web, &digest).await.unwrap_err(), &["docker login 127.0.0.1:"]);

    let login =
        |password: &str| serde_json::json!({"auths": {server: {"username": "me", "password": password}}}).to_string();
    write(login("wrong-password"));
    let refused = pin(&backend(&env), &web).await.unwrap_err();
    says(&refused, &["the credentials for 127.0.0.1:"]);
    assert!(!format!("{refused:?}").contains("wrong-password"));

    write(login(PASSWORD));
    let known = backend(&env);
    assert_eq!(pin(&known, &web).await.unwrap(), digest);
    assert!(!get(&known, &web, &digest).await.unwrap().is_empty());

    write(serde_json::json!({"credHelpers": {server: "orch-no-such-helper"}}).to_string());
    let always = spec(&name, PullPolicy::Always);
    says(&pin(&backend(&env), &always).await.unwrap_err(), &["credential helper", "could not be run"]);
}

#[tokio::test]
async fn two_who_want_an_image_pull_it_once_and_both_hear_of_it() {
    let (backend, engine, registry) = (backend(&[]), Engine::get(), Registry::start());
    let digest = registry.push_new(engine, "1", "web:1", 2);
    let web = spec(&registry.name("web:1"), PullPolicy::Missing);
    let (one, other) = tokio::join!(get(&backend, &web, &digest), get(&backend, &web, &digest));
    let (one, other) = (one.unwrap(), other.unwrap());
    let begun = |heard: &[Progress]| heard.iter().filter(|told| told.status.starts_with("Pulling from")).count();
    assert_eq!((begun(&one), begun(&other)), (1, 1), "{one:?}\n{other:?}");
    assert_eq!(one, other);
}

#[tokio::test]
async fn who_waits_for_a_pull_goes_on_when_it_is_dropped() {
    let (backend, engine, registry) = (backend(&[]), Engine::get(), Registry::start());
    let digest = registry.push_new(engine, "1", "web:1", 2);
    let name = registry.name("web:1");
    let web = spec(&name, PullPolicy::Missing);
    registry.pause();
    let mut first = Box::pin(get(&backend, &web, &digest));
    let mut second = Box::pin(get(&backend, &web, &digest));
    // Both have asked the engine whether it has the image, and the first one asks for it.
    let both = async { tokio::join!(&mut first, &mut second) };
    assert!(tokio::time::timeout(Duration::from_millis(500), both).await.is_err(), "the registry hangs");
    drop(first);
    registry.resume();
    let heard = second.await.unwrap();
    assert!(heard.iter().any(|told| told.status == "Pull complete"), "{heard:?}");
    assert!(!engine.inspect(&name).is_null());
}

#[test]
fn a_credential_helper_is_asked_and_its_secret_goes_nowhere_else() {
    let (registry, _) = closed_registry();
    let name = registry.name("web:1");
    let server = name.split('/').next().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let asked = folder.path().join("asked");
    let helper = folder.path().join("docker-credential-orch-test");
    let script = format!(
        "#!/bin/sh\n{{ echo \"$*\"; cat; }} > {}\necho '{{\"Username\": \"me\", \"Secret\": \"{PASSWORD}\"}}'\n",
        asked.display()
    );
    std::fs::write(&helper, script).unwrap();
    std::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::write(folder.path().join("config.json"), r#"{"credsStore": "orch-test"}"#).unwrap();
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    let yaml = format!("services:\n  web:\n    backend: {{type: docker, image: \"{name}\", pull_policy: always}}\n");
    let shop = Deployment::new(&yaml);
    let mut apply = shop.command(&["apply", "--auto-approve"]);
    let applied = apply.env("PATH", &path).env("DOCKER_CONFIG", folder.path()).output().unwrap();
    assert!(applied.status.success(), "{}", String::from_utf8_lossy(&applied.stderr));
    assert_eq!(std::fs::read_to_string(&asked).unwrap(), format!("get\n{server}"));
    for said in [&applied.stdout, &applied.stderr] {
        assert!(!String::from_utf8_lossy(said).contains(PASSWORD));
    }
    assert_eq!(shop.containers().len(), 1);
    for (file, text) in files_below(shop.outer()) {
        assert!(!String::from_utf8_lossy(&text).contains(PASSWORD), "{}", file.display());
    }
}
