//! Every folder in `examples/` validates, plans, and is what `schemas/config.json` describes; that of containers
//! also runs, on the Docker engine of this machine.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Value};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn examples() -> Vec<PathBuf> {
    let folders = std::fs::read_dir(root().join("examples")).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<_> = folders.filter(|path| path.is_dir()).collect();
    folders.sort();
    assert!(folders.len() >= 5, "{folders:?}");
    folders
}

#[expect(clippy::disallowed_methods, reason = "a test starts the binary that it is about")]
fn orch(example: &Path, state: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_orch"));
    command.env("PATH", path());
    command.arg("-C").arg(example).arg("--state-dir").arg(state).args(args);
    if example.ends_with("helm") {
        let (path, kubeconfig) = cluster();
        command.env("PATH", path).env("KUBECONFIG", kubeconfig).env("HOME", state);
    }
    command.env("XDG_CONFIG_HOME", state).env_remove("ORCH_FILE").env_remove("ORCH_PROFILES").output().unwrap()
}

/// A `PATH` with the real `helm` and `kubectl`, and a kubeconfig: that of `ORCH_TEST_KUBECONFIG`, or of an API server
/// that ends with this process.
#[expect(
    clippy::disallowed_methods,
    reason = "the test plays the part of the user, whose environment says where things are"
)]
fn cluster() -> &'static (String, PathBuf) {
    use std::io::BufRead;
    use std::process::{Child, Stdio};
    static CLUSTER: OnceLock<(String, PathBuf)> = OnceLock::new();
    static SERVER: OnceLock<Child> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let tools = std::env::var("ORCH_TEST_TOOLS").unwrap_or_else(|_| {
            let output = Command::new(root().join("tests/tools")).stdin(Stdio::null()).output().unwrap();
            String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
        });
        let path = format!("{tools}/bin:/usr/local/bin:/usr/bin:/bin");
        if let Some(file) = std::env::var_os("ORCH_TEST_KUBECONFIG").filter(|file| !file.is_empty()) {
            return (path, PathBuf::from(file));
        }
        let folder = tempfile::Builder::new().prefix("kube-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap().keep();
        let kubeconfig = folder.join("kubeconfig");
        let mut command = Command::new(root().join("tests/kube/apiserver"));
        command.args(["--play", "--until-eof", "--kubeconfig"]).arg(&kubeconfig);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        std::io::BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
        assert!(said.starts_with("ready "), "the API server does not start: {said}");
        // It ends when its standard input does, which is with this process.
        SERVER.set(child).unwrap();
        (path, kubeconfig)
    })
}

/// Where programs are: the example of Compose needs one that the tests bring along.
#[expect(clippy::disallowed_methods, reason = "the environment says where the tests' tools are")]
fn path() -> String {
    let folder = std::env::var("ORCH_TEST_TOOLS").unwrap_or_default();
    assert!(
        Path::new(&folder).join("bin/docker-compose").is_file(),
        "ORCH_TEST_TOOLS ({folder:?}) is no folder with bin/docker-compose; `tests/run` makes one"
    );
    format!("{folder}/bin:{}", std::env::var("PATH").unwrap_or_default())
}

#[test]
fn every_example_has_a_definition_and_says_what_it_is_about() {
    for example in examples() {
        assert!(example.join("orch.yaml").is_file(), "{} has no orch.yaml", example.display());
        let readme = std::fs::read_to_string(example.join("README.md")).unwrap_or_default();
        assert!(readme.starts_with("# ") && readme.contains("orch"), "{} has no README.md", example.display());
        let main = std::fs::read_to_string(root().join("README.md")).unwrap();
        let name = format!("examples/{}", example.file_name().unwrap().to_string_lossy());
        assert!(main.contains(&name), "README.md does not name {name}");
    }
}

#[test]
fn every_example_validates() {
    let state = tempfile::tempdir().unwrap();
    for example in examples() {
        let output = orch(&example, state.path(), &["validate", "--json"]);
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{}: {text}", example.display());
        let found: Value = serde_json::from_str(&text).unwrap();
        // The demo binary and the package are built by the README's commands, and by nothing that this test needs.
        let made = ["config::missing_binary", "config::missing_file"];
        let problems = found["diagnostics"].as_array().unwrap_or_else(|| panic!("{found}"));
        let other: Vec<_> =
            problems.iter().filter(|problem| !made.contains(&problem["code"].as_str().unwrap())).collect();
        assert!(other.is_empty(), "{}: {other:?}", example.display());
    }
}

/// The images of `examples/docker`, which its plan asks the engine about.
fn make_images() {
    static MADE: OnceLock<()> = OnceLock::new();
    MADE.get_or_init(|| {
        let script = root().join("examples/docker/make-images");
        #[expect(clippy::disallowed_methods, reason = "the test plays the part of the user")]
        let Output { status, stderr, .. } = Command::new(script).output().unwrap();
        let problems = String::from_utf8_lossy(&stderr);
        assert!(status.success(), "the images cannot be made; `tests/run` has what they need: {problems}");
    });
}

#[test]
fn every_example_plans_to_create_all_that_it_has() {
    make_images();
    for example in examples() {
        let state = tempfile::tempdir().unwrap();
        let output = orch(&example, state.path(), &["plan", "--json", "--detailed-exitcode"]);
        let text = String::from_utf8_lossy(&output.stdout);
        let problems = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{}: {problems}", example.display());
        assert!(text.contains("\"create\""), "{}: {text}", example.display());
        assert!(!state.path().join("state.json").exists(), "a plan wrote a state");
    }
}

#[test]
fn every_example_is_what_the_schema_describes() {
    let schema = std::fs::read_to_string(root().join("schemas/config.json")).unwrap();
    let validator = jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap();
    for example in examples() {
        let definition = json_of(&std::fs::read_to_string(example.join("orch.yaml")).unwrap());
        let errors: Vec<_> =
            validator.iter_errors(&definition).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(errors.is_empty(), "{}: {errors:#?}", example.display());
    }
    let mut wrong = json_of("services: {a: {backend: {type: process, binary: sh}}}");
    assert!(validator.is_valid(&wrong));
    wrong["services"]["a"]["backend"]["binry"] = Value::Bool(true);
    assert!(!validator.is_valid(&wrong), "the schema takes anything");
}

#[test]
fn variable_files_and_profiles_of_the_example_work() {
    let (example, state) = (root().join("examples/variables"), tempfile::tempdir().unwrap());
    let plan = |args: &[&str]| {
        let output = orch(&example, state.path(), &[&["plan"], args].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let staging = plan(&["--var-file", "staging.toml"]);
    assert!(staging.contains("env.PLACE: \"staging\"") && !staging.contains("inspector"), "{staging}");
    let production = plan(&["--var-file", "production.yaml", "--profile", "debug", "--var", "token=hunter2"]);
    assert!(production.contains("env.PLACE: \"production\"") && production.contains("inspector"), "{production}");
    assert!(production.contains("costs ${5}"), "{production}");
    assert!(production.contains("(sensitive)") && !production.contains("hunter2"), "{production}");
}

/// A copy of the example of containers under a project name of its own; what it made on the engine goes with it.
struct Containers {
    project: String,
    folder: tempfile::TempDir,
    port: u16,
}

impl Containers {
    fn new() -> Self {
        make_images();
        let folder = tempfile::Builder::new().prefix("orch-example-").tempdir().unwrap();
        let project = folder.path().file_name().unwrap().to_string_lossy().to_lowercase();
        let example = root().join("examples/docker");
        let definition = std::fs::read_to_string(example.join("orch.yaml")).unwrap();
        let definition = definition.replace("project: docker-example", &format!("project: {project}"));
        #[expect(clippy::disallowed_methods, reason = "the test writes the example as a user does")]
        std::fs::write(folder.path().join("orch.yaml"), definition).unwrap();
        std::fs::copy(example.join("watch"), folder.path().join("watch")).unwrap();
        let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        Self { project, folder, port }
    }

    /// Runs orch with a version of the API; what it says, when its exit code is this one.
    #[track_caller]
    fn orch(&self, args: &[&str], api: &str, code: i32) -> String {
        let (port, api) = (format!("port={}", self.port), format!("api={api}"));
        let state = self.folder.path().join(".orch");
        let all = [args, &["--var", port.as_str(), "--var", api.as_str()]].concat();
        let Output { status, stdout, stderr } = orch(self.folder.path(), &state, &all);
        let said = String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned();
        assert_eq!(status.code(), Some(code), "orch {all:?}: {said}");
        said
    }

    /// What the API says.
    fn fruit(&self) -> String {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.write_all(b"GET /cgi-bin/fruit HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// The ids of what the engine has of the project: `ps --all`, `network ls`, `volume ls`.
    fn left(&self, list: &[&str]) -> Vec<String> {
        let label = format!("label=orch.project={}", self.project);
        docker(&[list, &["--quiet", "--filter", &label]].concat()).lines().map(str::to_owned).collect()
    }
}

impl Drop for Containers {
    fn drop(&mut self) {
        let _ = orch(self.folder.path(), &self.folder.path().join(".orch"), &["destroy", "--auto-approve"]);
        for (list, remove) in [
            (&["ps", "--all"][..], &["rm", "--force", "--volumes"][..]),
            (&["network", "ls"], &["network", "rm"]),
            (&["volume", "ls"], &["volume", "rm"]),
        ] {
            for id in self.left(list) {
                docker(&[remove, &[id.as_str()]].concat());
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the test plays the part of the user")]
fn docker(args: &[&str]) -> String {
    let output = Command::new("docker").args(args).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_example_of_containers_comes_up_changes_and_goes() {
    let example = Containers::new();
    example.orch(&["apply", "--auto-approve"], "1", 0);
    let fruit = example.fruit();
    assert!(fruit.ends_with("version 1:\napple\npear\n"), "{fruit}");
    example.orch(&["plan", "--detailed-exitcode"], "1", 0);

    let plan = example.orch(&["plan", "--detailed-exitcode"], "2", 2);
    assert!(plan.contains("orch-example/api:2") && !plan.contains("secret"), "{plan}");
    example.orch(&["apply", "--auto-approve"], "2", 0);
    let fruit = example.fruit();
    assert!(fruit.ends_with("version 2:\napple\npear\n"), "the data is what it was: {fruit}");
    example.orch(&["plan", "--detailed-exitcode"], "2", 0);

    example.orch(&["destroy", "--auto-approve"], "2", 0);
    let empty: Vec<String> = Vec::new();
    assert_eq!((example.left(&["ps", "--all"]), example.left(&["network", "ls"])), (empty.clone(), empty));
    assert_eq!(example.left(&["volume", "ls"]).len(), 1, "the volume is kept");
}

/// What a YAML text means as JSON: enough of YAML 1.2 for the examples, apart from orch's own reader so
/// that the two are held against each other.
fn json_of(text: &str) -> Value {
    let mut parser = Parser::new_from_str(text);
    let mut open: Vec<(Value, Option<String>, usize)> = Vec::new();
    let mut anchors: HashMap<usize, Value> = HashMap::new();
    let mut root = Value::Null;
    while let Some(next) = parser.next_event() {
        let (event, _) = next.unwrap();
        let (value, anchor) = match event {
            Event::SequenceStart(anchor, _) => {
                open.push((Value::Array(Vec::new()), None, anchor));
                continue;
            }
            Event::MappingStart(anchor, _) => {
                open.push((Value::Object(Map::new()), None, anchor));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let (value, _, anchor) = open.pop().unwrap();
                (value, anchor)
            }
            Event::Scalar(text, style, anchor, _) => (scalar(&text, style), anchor),
            Event::Alias(anchor) => (anchors[&anchor].clone(), 0),
            _ => continue,
        };
        if anchor > 0 {
            anchors.insert(anchor, value.clone());
        }
        match open.last_mut() {
            None => root = value,
            Some((Value::Array(list), ..)) => list.push(value),
            Some((Value::Object(map), key, _)) => match key.take() {
                None => *key = Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned)),
                Some(key) if key == "<<" => {
                    for (name, inherited) in value.as_object().unwrap() {
                        map.entry(name.clone()).or_insert_with(|| inherited.clone());
                    }
                }
                Some(key) => drop(map.insert(key, value)),
            },
            Some(_) => unreachable!("only collections are open"),
        }
    }
    root
}

fn scalar(text: &str, style: ScalarStyle) -> Value {
    match text {
        _ if style != ScalarStyle::Plain => Value::from(text),
        "" | "~" | "null" => Value::Null,
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        _ => match (text.parse::<i64>(), text.parse::<f64>()) {
            (Ok(number), _) => Value::from(number),
            (_, Ok(number)) => Value::from(number),
            _ => Value::from(text),
        },
    }
}

/// A copy of an example that deploys to hosts, for those that the tests share, under a project name of its own.
struct OnHosts {
    folder: tempfile::TempDir,
    prefix: String,
}

impl OnHosts {
    fn new(example: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("orch-example-").tempdir().unwrap();
        #[expect(clippy::disallowed_methods, reason = "where the hosts are is told by who runs the tests")]
        let net = std::env::var("ORCH_TEST_HOSTS_NET").unwrap_or_else(|_| "127.0.1".to_owned());
        let prefix = format!("orch-test-{}", net.replace('.', "-"));
        let keys = folder.path().join("keys");
        let args = ["up", "4", "--net", &net, "--prefix", &prefix, "--keys", keys.to_str().unwrap()];
        #[expect(clippy::disallowed_methods, reason = "the test plays the part of the user")]
        let made = Command::new(root().join("examples/fleet/hosts")).args(args).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let definition = std::fs::read_to_string(root().join("examples").join(example).join("orch.yaml")).unwrap();
        let own = folder.path().file_name().unwrap().to_string_lossy().to_lowercase();
        let definition = definition
            .replace(&format!("project: {example}-example"), &format!("project: {own}"))
            .replace("127.0.1.", &format!("{net}."))
            .replace("../fleet/keys/", "keys/");
        #[expect(clippy::disallowed_methods, reason = "the test writes the example as a user does")]
        std::fs::write(folder.path().join("orch.yaml"), definition).unwrap();
        Self { folder, prefix }
    }

    #[track_caller]
    fn orch(&self, args: &[&str], code: i32) -> String {
        let state = self.folder.path().join(".orch");
        let Output { status, stdout, stderr } = orch(self.folder.path(), &state, args);
        let said = String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned();
        assert_eq!(status.code(), Some(code), "orch {args:?}: {said}");
        said
    }

    /// What a command says on a host.
    fn on(&self, host: u8, command: &str) -> String {
        docker(&["exec", &format!("{}-{host}", self.prefix), "sh", "-c", command])
    }
}

impl Drop for OnHosts {
    fn drop(&mut self) {
        let _ = orch(self.folder.path(), &self.folder.path().join(".orch"), &["destroy", "--auto-approve"]);
    }
}

#[test]
fn the_example_of_a_fleet_comes_up_rolls_and_goes() {
    let fleet = OnHosts::new("fleet");
    std::fs::copy(root().join("examples/fleet/heartbeat"), fleet.folder.path().join("heartbeat")).unwrap();
    fleet.orch(&["doctor"], 0);
    fleet.orch(&["apply", "--auto-approve"], 0);
    assert_eq!(fleet.on(3, "curl -s localhost:8080"), "hello from web3\n");
    fleet.orch(&["plan", "--detailed-exitcode"], 0);
    let rolled = fleet.orch(&["apply", "--auto-approve", "--var", "greeting=bye\" }"], 0);
    assert!(rolled.contains("rolling: batch 2 of 2"), "{rolled}");
    assert_eq!(fleet.on(1, "curl -s localhost:8080"), "bye\" } from web1\n");
    assert!(fleet.orch(&["logs", "heartbeat@web2"], 0).contains("web2 is alive"));
    fleet.orch(&["destroy", "--auto-approve"], 0);
    assert_eq!(fleet.on(1, "ls /srv/fleet /usr/local/bin/fleet-heartbeat 2>/dev/null"), "");
}

#[test]
fn the_example_of_a_package_comes_up_and_goes() {
    let package = OnHosts::new("package");
    let source = root().join("examples/package/hello");
    package.orch(&["package", "build", source.to_str().unwrap()], 0);
    package.orch(&["apply", "--auto-approve"], 0);
    assert_eq!(package.on(2, "curl -s -o /dev/null -w '%{http_code}' localhost:8090/health"), "200");
    package.orch(&["plan", "--detailed-exitcode"], 0);
    package.orch(&["destroy", "--auto-approve"], 0);
    assert_eq!(package.on(2, "ls -d /opt/hello 2>/dev/null"), "");
}

#[test]
fn the_harness_runs_its_test_on_either_deployment() {
    make_images();
    let example = root().join("examples/harness");
    let folder = tempfile::Builder::new().prefix("orch-example-").tempdir().unwrap();
    let own = folder.path().file_name().unwrap().to_string_lossy().to_lowercase();
    let demo = Path::new(env!("CARGO_BIN_EXE_orch")).with_file_name("orch-demo");
    let definition = std::fs::read_to_string(example.join("orch.yaml")).unwrap();
    let definition = definition
        .replace("project: harness", &format!("project: {own}"))
        .replace("../../target/release/orch-demo", demo.to_str().unwrap());
    #[expect(clippy::disallowed_methods, reason = "the test writes the example as a user does")]
    std::fs::write(folder.path().join("orch.yaml"), definition).unwrap();
    for name in ["check", "watch"] {
        std::fs::copy(example.join(name), folder.path().join(name)).unwrap();
    }
    let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let state = folder.path().join(".orch");
    for (deployment, answer) in [("process", "Hello from the process\n"), ("docker", "1\n")] {
        let args = ["run", "--deployment", deployment, "--var", &format!("port={port}"), "--", "./check"];
        let Output { status, stdout, stderr } = orch(folder.path(), &state, &args);
        let (said, progress) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        assert!(status.success() && said.starts_with("asking http://localhost:"), "{said}{progress}");
        assert!(said.contains(answer) && progress.contains("api: deleted in"), "{said}{progress}");
        let left = docker(&["ps", "--all", "--format", "{{.Names}}"]);
        assert!(!left.contains(&own), "{left}");
    }
}

#[test]
fn the_example_of_a_chart_comes_up_changes_and_goes() {
    let (example, state) = (root().join("examples/helm"), tempfile::tempdir().unwrap());
    let orch = |args: &[&str], code: i32| {
        let Output { status, stdout, stderr } = orch(&example, state.path(), args);
        let said = String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned();
        assert_eq!(status.code(), Some(code), "orch {args:?}: {said}");
        said
    };
    orch(&["apply", "--auto-approve"], 0);
    orch(&["plan", "--detailed-exitcode"], 0);
    let plan = orch(&["plan", "--detailed-exitcode", "--profile", "retrieval"], 2);
    assert!(plan.contains("-  replicas: 2") && plan.contains("+  replicas: 3"), "{plan}");
    orch(&["apply", "--auto-approve", "--profile", "retrieval"], 0);
    orch(&["plan", "--detailed-exitcode", "--profile", "retrieval"], 0);
    orch(&["destroy", "--auto-approve"], 0);
}

#[test]
fn the_example_of_compose_comes_up_and_goes() {
    let example = Containers::new();
    let (from, folder) = (root().join("examples/compose"), example.folder.path());
    let definition = std::fs::read_to_string(from.join("orch.yaml")).unwrap();
    let definition = definition.replace("project: compose-example", &format!("project: {}", example.project));
    #[expect(clippy::disallowed_methods, reason = "the test writes the example as a user does")]
    std::fs::write(folder.join("orch.yaml"), definition.replace("../docker/watch", "./watch")).unwrap();
    std::fs::copy(from.join("docker-compose.yml"), folder.join("docker-compose.yml")).unwrap();
    let run = |args: &[&str], code: i32| {
        let port = format!("port={}", example.port);
        let output = orch(folder, &folder.join(".orch"), &[args, &["--var", port.as_str()]].concat());
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert_eq!(output.status.code(), Some(code), "orch {args:?}: {said}");
        said
    };
    run(&["apply", "--auto-approve"], 0);
    let fruit = example.fruit();
    assert!(fruit.ends_with("version 1:\napple\npear\n"), "{fruit}");
    run(&["plan", "--detailed-exitcode"], 0);
    run(&["destroy", "--auto-approve"], 0);
    assert!(example.left(&["ps", "--all"]).is_empty());
    let volume = format!("{}-stack_data", example.project);
    assert_eq!(docker(&["volume", "rm", &volume]).trim(), volume, "the volume was kept");
}
