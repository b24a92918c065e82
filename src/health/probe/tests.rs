use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};

use super::*;
use crate::backend::{Answer, BackendError, Command, Connection, Listing, Observer};
use crate::health::{check_many, check_once, gate};
use crate::model::{
    Address, BackendKind, BodyMatch, CheckPolicy, Conflict, Digest, DigestKey, DockerSpec, EngineCheck, ExternalSpec,
    Health, HealthCheck, Instance, ObjectId, ObjectState, ObservedObject, OpId, ProcessSpec, ServiceName, Spec,
    StatusMatch, Text,
};

fn service(spec: Spec, probe: Probe, timeout: Duration) -> Service {
    let checks = vec![HealthCheck { probe, policy: CheckPolicy { timeout, ..CheckPolicy::default() } }];
    Service { checks, ..Service::new(ServiceName::new("web").unwrap(), spec) }
}

fn env() -> ProbeEnv {
    let own = [("PATH", "/usr/bin:/bin"), ("TZ", "base"), ("CI_TOKEN", "hunter2")];
    ProbeEnv::new(own.map(|(name, value)| (name.to_owned(), value.to_owned())).into())
}

async fn ask_in(spec: Spec, probe: Probe, timeout_ms: u64) -> (bool, String) {
    let service = service(spec, probe, Duration::from_millis(timeout_ms));
    let answer = ServiceProber { service: &service, target: None, env: &env() }.probe(0).await;
    (answer.healthy, answer.detail)
}

async fn ask(probe: Probe) -> (bool, String) {
    ask_in(Spec::External(ExternalSpec {}), probe, 5000).await
}

fn told(healthy: bool, detail: impl Into<String>) -> (bool, String) {
    (healthy, detail.into())
}

/// Serves every connection with one answer, which is made from the request.
async fn serve(listener: TcpListener, answer: impl Fn(&str) -> String + Send + 'static) -> u16 {
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") && stream.read_buf(&mut request).await.is_ok_and(|n| n > 0) {}
            let _ = stream.write_all(answer(&String::from_utf8_lossy(&request)).as_bytes()).await;
        }
    });
    port
}

async fn server(answer: impl Fn(&str) -> String + Send + 'static) -> u16 {
    serve(TcpListener::bind("127.0.0.1:0").await.unwrap(), answer).await
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// A port that nothing listens on, and the socket that keeps others off it.
fn closed_port() -> (u16, TcpSocket) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    (socket.local_addr().unwrap().port(), socket)
}

fn get(url: impl Into<String>) -> Probe {
    let url = Text::plain(url.into());
    Probe::Http { url, expected_status: StatusMatch::Success, body: None, headers: Vec::new() }
}

fn get_body(url: String, body: BodyMatch) -> Probe {
    Probe::Http { url: Text::plain(url), expected_status: StatusMatch::Success, body: Some(body), headers: Vec::new() }
}

#[tokio::test]
async fn http_judges_the_status() {
    let port = server(|_| "HTTP/1.1 503 Busy\r\nlocation: /\r\ncontent-length: 0\r\n\r\n".to_owned()).await;
    let url = format!("http://127.0.0.1:{port}/health");
    assert_eq!(ask(get(&url)).await, told(false, format!("GET {url}: 503 (want 2xx)")));
    let one_of = |list: &[u16]| Probe::Http {
        url: Text::plain(url.clone()),
        expected_status: StatusMatch::OneOf(list.to_vec()),
        body: None,
        headers: Vec::new(),
    };
    assert_eq!(ask(one_of(&[200, 503])).await, told(true, format!("GET {url}: 503")));
    assert_eq!(ask(one_of(&[200, 204])).await, told(false, format!("GET {url}: 503 (want 200 or 204)")));
}

#[tokio::test]
async fn http_follows_no_redirect() {
    let port = server(|_| "HTTP/1.1 302 Found\r\nlocation: /ok\r\ncontent-length: 0\r\n\r\n".to_owned()).await;
    assert!(ask(get(format!("http://127.0.0.1:{port}"))).await.1.ends_with(": 302 (want 2xx)"));
}

#[tokio::test]
async fn http_judges_the_body_and_reads_no_more_than_its_limit() {
    let port = server(|request| {
        if request.starts_with("GET /endless") {
            format!("HTTP/1.1 200 OK\r\ncontent-length: 9000000\r\n\r\n{}", "x".repeat(100_000))
        } else {
            ok(" ready: yes\n")
        }
    })
    .await;
    let at = |path: &str| format!("http://127.0.0.1:{port}/{path}");
    let holds = |text: &str| BodyMatch::Contains(text.to_owned());
    assert!(ask(get_body(at(""), holds("ready"))).await.0);
    assert!(ask(get_body(at(""), BodyMatch::Equals("ready: yes".to_owned()))).await.0);
    let lacks = ask(get_body(at(""), holds("no"))).await;
    assert_eq!(lacks, told(false, format!("GET {}: 200, but the body lacks \"no\"", at(""))));
    let endless = ask(get_body(at("endless"), holds("y"))).await;
    assert!(!endless.0 && endless.1.ends_with("lacks \"y\" in its first 64 KiB"), "{}", endless.1);
}

#[tokio::test]
async fn http_sends_its_headers_and_never_shows_them() {
    let port = server(ok).await;
    let header = |name: &str, value: &str| (name.to_owned(), Text::sensitive(value));
    let probe = |body: &str| Probe::Http {
        url: Text::plain(format!("http://127.0.0.1:{port}/")),
        expected_status: StatusMatch::Success,
        body: Some(BodyMatch::Contains(body.to_owned())),
        headers: vec![header("Authorization", "Bearer hunter2"), header("X-Two", "1"), header("x-two", "2")],
    };
    for sent in ["authorization: Bearer hunter2", "x-two: 1\r\nx-two: 2", "host: 127.0.0.1:"] {
        assert!(ask(probe(sent)).await.0, "{sent}");
    }
    assert!(ask(probe(concat!("user-agent: orch/", env!("CARGO_PKG_VERSION")))).await.0);
    assert!(!ask(probe("nothing like it")).await.1.contains("hunter2"));
}

#[tokio::test]
async fn http_tells_what_keeps_it_from_an_answer() {
    let (port, _taken) = closed_port();
    for scheme in ["http", "https"] {
        let url = format!("{scheme}://localhost:{port}/");
        assert_eq!(ask(get(&url)).await, told(false, format!("GET {url}: connection refused")));
    }
    // Accepts and says nothing.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let answer = ask_in(Spec::External(ExternalSpec {}), get(&url), 100).await;
    assert_eq!(answer, told(false, format!("GET {url}: no answer within 100ms")));
    assert!(ask(get("http://u:hunter2@127.0.0.1:1/")).await.1.contains("give an `Authorization` header"));
}

#[tokio::test]
async fn localhost_is_both_loopback_addresses() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        // A machine may have no IPv6.
        let Ok(listener) = TcpListener::bind(address).await else { continue };
        let port = serve(listener, |_| ok("")).await;
        assert!(ask(get(format!("http://localhost:{port}/"))).await.0, "{address}");
        let tcp = ask(Probe::Tcp { host: "localhost".into(), port }).await;
        assert_eq!(tcp, told(true, format!("tcp localhost:{port}: connected")), "{address}");
    }
}

#[tokio::test]
async fn tcp_tells_what_keeps_it_from_connecting() {
    let (port, _taken) = closed_port();
    let refused = ask(Probe::Tcp { host: "127.0.0.1".into(), port }).await;
    assert_eq!(refused, told(false, format!("tcp 127.0.0.1:{port}: connection refused")));
}

#[test]
fn a_url_is_shown_without_its_secrets() {
    for (url, shown) in [
        ("http://localhost:8080/health", "http://localhost:8080/health"),
        ("https://user:hunter2@host/a/b?token=hunter2#x", "https://host/a/b"),
        ("http://host?token=a/b@c", "http://host"),
    ] {
        assert_eq!(http::shown_url(&Text::plain(url)), shown);
        assert_eq!(http::shown_url(&Text::sensitive(url)), "(sensitive)");
    }
}

fn process(folder: &Path, env: &[(&str, Text)]) -> Spec {
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    Spec::Process(Box::new(ProcessSpec { env, ..ProcessSpec::new(Text::plain("web"), folder.to_owned()) }))
}

fn shell(script: &str, expected_exit_code: i32) -> Probe {
    Probe::Command {
        command: Text::plain("sh"),
        args: vec![Text::plain("-c"), Text::plain(script)],
        expected_exit_code,
    }
}

#[tokio::test]
async fn a_command_is_judged_by_its_exit_code_and_tells_its_last_line() {
    assert_eq!(ask(shell("exit 0", 0)).await, told(true, "sh exited 0"));
    assert_eq!(ask(shell("echo a; echo no response >&2; exit 2", 0)).await, told(false, "sh exited 2: no response"));
    assert_eq!(ask(shell("exit 3", 3)).await, told(true, "sh exited 3"));
    assert_eq!(ask(shell("exit 0", 3)).await, told(false, "sh exited 0 (want 3)"));
    assert_eq!(ask(shell("kill -9 $$", 0)).await, told(false, "sh was killed by signal 9"));
    let noisy = ask(shell("yes | head -c 200000; printf '\\033[31mred\\n\\n'", 0)).await;
    assert_eq!(noisy, told(true, "sh exited 0: [31mred"));
    let missing = Probe::Command { command: Text::plain("no-such-tool"), args: Vec::new(), expected_exit_code: 0 };
    assert_eq!(ask(missing).await, told(false, "cannot run no-such-tool: no such file or directory"));
}

#[tokio::test]
async fn a_command_gets_the_folder_and_environment_of_its_service_and_shows_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let spec = process(folder.path(), &[("PGPASSWORD", Text::sensitive("hunter2")), ("PORT", Text::plain("5432"))]);
    let script = "echo $TZ $PORT $PGPASSWORD $CI_TOKEN $CARGO_PKG_NAME $(test $PWD -ef . && basename $PWD)";
    let name = folder.path().file_name().unwrap().to_string_lossy();
    let answer = ask_in(spec, shell(script, 0), 5000).await;
    assert_eq!(answer, told(true, format!("sh exited 0: base 5432 (sensitive) {name}")));
    let secret =
        Probe::Command { command: Text::plain("echo"), args: vec![Text::sensitive("hunter2")], expected_exit_code: 1 };
    assert_eq!(ask(secret).await, told(false, "echo exited 0 (want 1): (sensitive)"));
}

#[tokio::test]
async fn a_timeout_kills_the_command_and_all_that_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let spec = process(folder.path(), &[]);
    let began = Instant::now();
    let answer = ask_in(spec, shell("sleep 60 & echo $! > child; echo $$ > leader; wait", 0), 1000).await;
    assert_eq!(answer, told(false, "sh: no answer within 1s"));
    assert!(began.elapsed() < Duration::from_secs(5));
    for file in ["child", "leader"] {
        assert_ends(&folder.path().join(file)).await;
    }
}

/// Waits until the process whose pid is in a file has ended.
async fn assert_ends(file: &Path) {
    let pid: u32 = std::fs::read_to_string(file).unwrap().trim().parse().unwrap();
    let runs = || crate::sys::Identity::of(pid).is_some_and(|identity| identity.is_alive());
    let until = Instant::now() + Duration::from_secs(5);
    while runs() && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(!runs(), "{} still runs", file.display());
}

#[tokio::test]
async fn what_a_command_leaves_behind_does_not_hold_it_up() {
    let began = Instant::now();
    assert_eq!(ask(shell("echo fine; sleep 3 & exit 0", 0)).await, told(true, "sh exited 0: fine"));
    assert!(began.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn a_script_runs_by_its_first_line() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, mode: u32| {
        let path = folder.path().join(name);
        crate::sys::write_atomic(&path, b"#!/bin/sh\necho checked\nexit 4\n", crate::sys::Durability::Atomic).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    };
    let path = write("check.sh", 0o700);
    let answer = ask(Probe::Script { path: path.clone() }).await;
    assert_eq!(answer, told(false, format!("{} exited 4: checked", path.display())));
    let path = write("plain.sh", 0o600);
    let answer = ask(Probe::Script { path: path.clone() }).await;
    assert_eq!(answer, told(false, format!("cannot run {}: permission denied", path.display())));
}

#[tokio::test]
async fn the_backend_is_asked_about_what_runs_only() {
    assert!(!ask(Probe::Backend).await.0);
}

fn instance(name: &str, spec: Spec, probe: Option<Probe>) -> Instance {
    let mut service = service(spec, probe.clone().unwrap_or(Probe::Backend), Duration::from_secs(5));
    service.name = ServiceName::new(name).unwrap();
    if probe.is_none() {
        service.checks.clear();
    }
    Instance::new(Address::only(service.name.clone()), Arc::new(service), None, &DigestKey::new([0; 32]))
}

#[tokio::test]
async fn many_instances_are_probed_side_by_side() {
    let port = server(|_| ok("")).await;
    let external = |n: usize| {
        let probe = (n > 0).then(|| get(format!("http://localhost:{port}/{n}")));
        instance(&format!("s{n:03}"), Spec::External(ExternalSpec {}), probe)
    };
    let instances: Vec<Instance> = (0..=200).map(external).collect();
    let found = check_many(&instances.iter().map(|instance| (instance, None)).collect::<Vec<_>>(), &env()).await;
    assert_eq!(found[0], None);
    for (n, health) in found.iter().enumerate().skip(1) {
        let detail = format!("GET http://localhost:{port}/{n}: 200");
        assert_eq!(health.as_ref().map(|health| (health.healthy, &health.detail)), Some((true, &detail)));
    }
    let native = instance("web", Spec::External(ExternalSpec {}), Some(Probe::Backend));
    assert!(check_once(&native, None, &env()).await.is_some_and(|health| !health.healthy));
}

#[tokio::test]
async fn many_gates_wait_at_once_for_what_comes_up_late() {
    let (port, socket) = closed_port();
    let env = Arc::new(env());
    let mut gates = tokio::task::JoinSet::new();
    for n in 0..200 {
        let probe = match n % 2 {
            0 => get(format!("http://localhost:{port}/")),
            _ => Probe::Tcp { host: "localhost".to_owned(), port },
        };
        let (instance, env) = (instance(&format!("s{n}"), Spec::External(ExternalSpec {}), Some(probe)), env.clone());
        gates.spawn(async move { gate(&instance, None, &env, &mut |_| ()).await });
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    serve(socket.listen(1024).unwrap(), |_| ok("")).await;
    for passed in gates.join_all().await {
        assert!(passed.unwrap().probes > 1);
    }
}

#[tokio::test]
async fn a_gate_that_is_dropped_takes_its_command_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("leader");
    let instance = instance("web", process(folder.path(), &[]), Some(shell("echo $$ > leader; sleep 60", 0)));
    let env = env();
    let dropped = tokio::time::timeout(Duration::from_secs(1), gate(&instance, None, &env, &mut |_| ())).await;
    assert!(dropped.is_err());
    assert_ends(&mark).await;
}

/// An object that has an inside, or none, and a backend with a word on its health.
struct Inside {
    answer: Result<Option<(i32, &'static str)>, &'static str>,
    state: ObjectState,
    reported: Option<Health>,
}

#[async_trait]
impl Observer for Inside {
    async fn list(&self) -> Result<Listing, BackendError> {
        Ok(Listing::default())
    }
    async fn conflicts(&self, _: &[&Instance]) -> Result<BTreeMap<Address, Vec<Conflict>>, BackendError> {
        Ok(BTreeMap::new())
    }
    async fn inspect(&self, object: &ObjectId) -> Result<Option<ObservedObject>, BackendError> {
        Ok(Some(ObservedObject {
            since: Some(crate::sys::now()),
            reported: self.reported.clone(),
            ..ObservedObject::new(
                BackendKind::Docker,
                object.clone(),
                OpId::new("run.1"),
                Address::only(ServiceName::new("web").unwrap()),
                Digest::of(b"new"),
                self.state.clone(),
            )
        }))
    }
    async fn probe_inside(&self, _: &ObjectId, command: &Command<'_>) -> Result<Option<Answer>, BackendError> {
        assert_eq!((command.args.len(), command.timeout), (2, Duration::from_secs(5)));
        let answer = |(exit_code, output): (i32, &str)| Answer { exit_code, output: output.to_owned() };
        self.answer.map(|answered| answered.map(answer)).map_err(BackendError::new)
    }
    async fn tail(&self, _: &ObjectId, _: usize) -> Result<Vec<String>, BackendError> {
        Ok(Vec::new())
    }
    async fn log_files(&self, _: &ObjectId) -> Result<Vec<PathBuf>, BackendError> {
        Ok(Vec::new())
    }
}

async fn ask_inside(observer: Inside, probe: Probe) -> (bool, String) {
    let mut spec = DockerSpec::new("web:1");
    spec.env.insert("TOKEN".to_owned(), Text::sensitive("hunter2"));
    let service = service(Spec::Docker(Box::new(spec)), probe, Duration::from_secs(5));
    let id = ObjectId::new("container/1");
    let prober = ServiceProber { service: &service, target: Some((&observer, &id)), env: &env() };
    let answer = prober.probe(0).await;
    (answer.healthy, answer.detail)
}

#[tokio::test]
async fn a_command_is_judged_by_how_it_ended_inside() {
    let ask = async |answer, expected| {
        let inside = Inside { answer, state: ObjectState::Running, reported: None };
        ask_inside(inside, shell("echo here; exit 4", expected)).await
    };
    let answer = Ok(Some((0, "one\ntoken is hunter2\n")));
    assert_eq!(ask(answer, 0).await, told(true, "sh exited 0: token is (sensitive)"));
    assert_eq!(ask(Ok(Some((2, ""))), 3).await, told(false, "sh exited 2 (want 3)"));
    assert_eq!(ask(Err("no answer within 5s: hunter2"), 0).await, told(false, "sh: no answer within 5s: (sensitive)"));
    // A backend without an inside has it run here, and so is a script.
    assert_eq!(ask(Ok(None), 4).await, told(true, "sh exited 4: here"));
    let inside = Inside { answer: Ok(Some((0, ""))), state: ObjectState::Running, reported: None };
    let script = ask_inside(inside, Probe::Script { path: "/nonexistent".into() }).await;
    assert_eq!(script, told(false, "cannot run /nonexistent: no such file or directory"));
}

#[tokio::test]
async fn what_a_backend_reports_is_its_health() {
    let ask = async |state, reported: Option<(bool, &str)>| {
        let reported = reported.map(|(healthy, detail)| Health { healthy, detail: detail.to_owned() });
        ask_inside(Inside { answer: Ok(None), state, reported }, Probe::Backend).await
    };
    assert_eq!(ask(ObjectState::Running, None).await, told(true, "docker: running"));
    let healthy = Some((true, "docker: healthy"));
    assert_eq!(ask(ObjectState::Running, healthy).await, told(true, "docker: healthy"));
    let leaks = Some((false, "docker: unhealthy: hunter2 is wrong"));
    assert_eq!(ask(ObjectState::Running, leaks).await, told(false, "docker: unhealthy: (sensitive) is wrong"));
    // What it said while it ran is not what it is.
    assert_eq!(ask(ObjectState::Restarting, healthy).await, told(false, "docker: restarting"));
}

#[tokio::test]
async fn a_plan_and_a_status_ask_inside_too() {
    let id = ObjectId::new("container/1");
    let inside = Inside { answer: Ok(Some((0, "up"))), state: ObjectState::Running, reported: None };
    let asked = instance("web", Spec::Docker(Box::new(DockerSpec::new("web:1"))), Some(shell("exit 1", 0)));
    let health = check_once(&asked, Some((&inside, &id)), &env()).await.unwrap();
    assert_eq!((health.healthy, health.detail.as_str()), (true, "sh exited 0: up"));
}

#[tokio::test]
async fn the_check_of_an_engine_is_run_at_once_before_the_engine_asks() {
    let ask = async |exit_code, interval| {
        let test = ["CMD-SHELL", "test -f ready"].map(Text::plain).to_vec();
        let limit = Duration::from_secs(5);
        let check = EngineCheck { test, interval, timeout: limit, retries: 3, start_period: Duration::ZERO };
        let spec = DockerSpec { check: Some(check), ..DockerSpec::new("web:1") };
        let service = service(Spec::Docker(Box::new(spec)), Probe::Backend, limit);
        let starting = Health { healthy: false, detail: "docker: starting".to_owned() };
        let inside =
            Inside { answer: Ok(Some((exit_code, ""))), state: ObjectState::Running, reported: Some(starting) };
        let id = ObjectId::new("container/1");
        ServiceProber { service: &service, target: Some((&inside, &id)), env: &env() }.probe(0).await
    };
    let (long, over) = (Duration::from_secs(3600), Duration::ZERO);
    assert!(ask(0, long).await.healthy);
    assert_eq!(ask(1, long).await.detail, "docker: starting", "a failure is left to the engine");
    assert!(!ask(0, over).await.healthy, "the engine asked already");
}

/// Something that runs on another machine, which is another port of this one: it has what listens there, and
/// nothing else.
struct Elsewhere(u16);

#[async_trait]
impl Observer for Elsewhere {
    async fn list(&self) -> Result<Listing, BackendError> {
        Ok(Listing::default())
    }

    async fn conflicts(&self, _: &[&Instance]) -> Result<BTreeMap<Address, Vec<Conflict>>, BackendError> {
        Ok(BTreeMap::new())
    }

    async fn inspect(&self, _: &ObjectId) -> Result<Option<ObservedObject>, BackendError> {
        Ok(None)
    }

    async fn tail(&self, _: &ObjectId, _: usize) -> Result<Vec<String>, BackendError> {
        Ok(Vec::new())
    }

    async fn log_files(&self, _: &ObjectId) -> Result<Vec<PathBuf>, BackendError> {
        Ok(Vec::new())
    }

    async fn dial(&self, _: &ObjectId, host: &str, port: u16) -> Result<Option<Connection>, BackendError> {
        assert!(dialled::is_own(host), "{host} is not for the machine");
        match port {
            8080 => Ok(Some(Box::new(tokio::net::TcpStream::connect(("127.0.0.1", self.0)).await.unwrap()))),
            _ => Err(BackendError::new("connection refused")),
        }
    }
}

#[tokio::test]
async fn localhost_is_the_machine_that_the_service_runs_on() {
    let there = server(|request| ok(request.lines().find(|line| line.starts_with("host")).unwrap_or(""))).await;
    let here = server(|_| ok("here")).await;
    let (elsewhere, object) = (Elsewhere(there), ObjectId::new("web"));
    let ask = async |probe| {
        let service = service(Spec::External(ExternalSpec {}), probe, Duration::from_secs(5));
        let target: Target<'_> = Some((&elsewhere, &object));
        let answer = ServiceProber { service: &service, target, env: &env() }.probe(0).await;
        (answer.healthy, answer.detail)
    };
    for host in ["localhost", "127.0.0.1", "127.1.2.3", "[::1]", "LocalHost"] {
        let body = BodyMatch::Contains(format!("host: {host}:8080").to_lowercase());
        let answer = ask(get_body(format!("http://{}:8080/", host.to_lowercase()), body)).await;
        assert!(answer.0, "{answer:?}");
        let tcp = ask(Probe::Tcp { host: host.into(), port: 8080 }).await;
        assert!(tcp.0, "{tcp:?}");
        let closed = ask(Probe::Tcp { host: host.into(), port: 1 }).await;
        assert!(!closed.0 && closed.1.ends_with(": connection refused"), "{closed:?}");
    }
    let refused = ask(get(format!("http://localhost:{here}/"))).await;
    assert_eq!(refused, told(false, format!("GET http://localhost:{here}/: connection refused")));
    // Over the connection goes TLS, which what listens there does not speak.
    let secure = ask(get("https://localhost:8080/")).await;
    assert!(!secure.0 && !secure.1.contains("connection refused"), "{secure:?}");
    assert!(!dialled::is_own("10.0.0.1") && !dialled::is_own("localhost.example.com"));
}
