//! A project in a temporary folder, hermetic, and gone with all its processes when it is dropped.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use orch::sys::{Durability, write_atomic};
use serde_json::Value;

use super::processes::{Found, end_all, processes_below};
use super::{Ran, Running, wait_until};

/// The binary under test.
const ORCH: &str = env!("CARGO_BIN_EXE_orch");

/// A project named `shop`, or as its test says.
pub(crate) struct Project {
    name: String,
    temp: tempfile::TempDir,
    root: PathBuf,
    runs: AtomicUsize,
    env: BTreeMap<String, String>,
}

impl Project {
    /// A project with nothing in it.
    pub(crate) fn empty() -> Self {
        super::show_panics();
        let temp = tempfile::Builder::new().prefix("orch-it-").tempdir().unwrap();
        // The kernel shows real paths, so that is what processes are compared with.
        let root = temp.path().canonicalize().unwrap().join("shop");
        for folder in ["shop", "home", "config", "runs"] {
            std::fs::create_dir(temp.path().join(folder)).unwrap();
        }
        Self { name: "shop".to_owned(), temp, root, runs: AtomicUsize::new(0), env: BTreeMap::new() }
    }

    /// A project with a file.
    pub(crate) fn new(yaml: &str) -> Self {
        let project = Self::empty();
        project.yaml(yaml);
        project
    }

    /// Says what the files of the project call it, which is not in them by itself.
    pub(crate) fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// Sets a variable in the environment of every run from now on.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.set_env(name, value);
        self
    }

    /// The same for a project that is part of something.
    pub(crate) fn set_env(&mut self, name: &str, value: &str) {
        self.env.insert(name.to_owned(), value.to_owned());
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The folder that holds everything, the project's folder too.
    pub(crate) fn outer(&self) -> &Path {
        self.root.parent().unwrap()
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        write_atomic(&path, content.as_ref(), Durability::Atomic).unwrap();
        path
    }

    /// Writes a file that can be executed.
    pub(crate) fn script(&self, name: &str, content: &str) -> PathBuf {
        let path = self.write(name, content);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// Writes `orch.yaml`.
    pub(crate) fn yaml(&self, text: &str) {
        self.write("orch.yaml", text);
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// A command with an environment of its own.
    #[expect(clippy::disallowed_methods, reason = "the test plays the part of the user")]
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(ORCH);
        command.args(args).current_dir(&self.root).env_clear().stdin(Stdio::null());
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin");
        command.env("HOME", self.temp.path().join("home")).env("XDG_CONFIG_HOME", self.temp.path().join("config"));
        command.env("NO_COLOR", "1").env("LC_ALL", "C.UTF-8").env("TZ", "UTC").envs(&self.env);
        command
    }

    /// Starts orch.
    pub(crate) fn start(&self, args: &[&str]) -> Running {
        self.spawn(self.command(args), args)
    }

    /// Starts a command that was made by [`command`](Self::command).
    pub(crate) fn spawn(&self, mut command: Command, args: &[&str]) -> Running {
        let n = self.runs.fetch_add(1, Ordering::Relaxed);
        let path = |stream: &str| self.temp.path().join("runs").join(format!("{n}.{stream}"));
        let (out, err) = (path("out"), path("err"));
        let stream = |path: &Path| Stdio::from(File::create(path).unwrap());
        let child = command.stdout(stream(&out)).stderr(stream(&err)).spawn().unwrap();
        Running { args: args.join(" "), child, out, err }
    }

    /// Starts orch on a terminal of its own, and types an answer.
    pub(crate) fn on_terminal(&self, line: &str, answer: &str) -> Running {
        self.on_terminal_from(line, File::open(self.write("../runs/answer", answer)).unwrap())
    }

    /// The same with what is typed read from a file, a pipe say.
    #[expect(clippy::disallowed_methods, reason = "`script` makes the terminal")]
    pub(crate) fn on_terminal_from(&self, line: &str, typed: File) -> Running {
        let orch = self.command(&[]);
        let env = orch.get_envs().filter_map(|(name, value)| Some((name, value?)));
        let mut script = Command::new("script");
        script.args(["-qec", &format!("stty cols 120 rows 30; exec {ORCH} {line}"), "/dev/null"]);
        script.current_dir(&self.root).env_clear().envs(env).env("TERM", "xterm");
        script.stdin(typed);
        self.spawn(script, &[line, "(on a terminal)"])
    }

    /// Runs orch to its end.
    #[track_caller]
    pub(crate) fn orch(&self, args: &[&str]) -> Ran {
        self.start(args).end()
    }

    /// `orch apply --auto-approve`, which must succeed.
    #[track_caller]
    pub(crate) fn apply(&self) -> Ran {
        self.orch(&["apply", "--auto-approve"]).ok()
    }

    /// `orch plan --json` with more arguments.
    #[track_caller]
    pub(crate) fn plan(&self, args: &[&str]) -> Value {
        let all: Vec<&str> = ["plan", "--json"].iter().chain(args).copied().collect();
        self.orch(&all).ok().json()
    }

    /// What a plan would do: `(address, action)` in plan order.
    #[track_caller]
    pub(crate) fn actions(&self, args: &[&str]) -> Vec<(String, String)> {
        let text = |step: &Value, key: &str| step[key].as_str().unwrap().to_owned();
        self.plan(args)["steps"].as_array().unwrap().iter().map(|s| (text(s, "address"), text(s, "action"))).collect()
    }

    /// Checks what a plan would do, as `address action`, in plan order.
    #[track_caller]
    pub(crate) fn plans(&self, args: &[&str], expected: &[&str]) {
        let actions: Vec<String> = self.actions(args).into_iter().map(|(a, b)| format!("{a} {b}")).collect();
        assert_eq!(actions, expected);
    }

    /// A row of `orch status --json`.
    #[track_caller]
    pub(crate) fn row(&self, service: &str) -> Value {
        self.orch(&["status", service, "--json"]).ok().json()[0].clone()
    }

    /// The pid of a service that runs.
    #[track_caller]
    pub(crate) fn pid(&self, service: &str) -> u64 {
        let row = self.row(service);
        row["pid"].as_u64().unwrap_or_else(|| panic!("{service} does not run: {row}"))
    }

    /// The recorded state.
    #[track_caller]
    pub(crate) fn state(&self) -> Value {
        self.orch(&["state", "pull"]).ok().json()
    }

    /// The folder of the newest run.
    pub(crate) fn last_run(&self) -> PathBuf {
        let runs = self.orch(&["history", "-n", "1", "--json"]).ok().json();
        self.path(".orch/runs").join(runs[0]["run"].as_str().unwrap())
    }

    /// Every file of the state folder and its content, without sockets.
    pub(crate) fn bytes(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        files_below(&self.path(".orch"))
    }

    /// The processes that are left of the project.
    pub(crate) fn processes(&self) -> Vec<Found> {
        processes_below(self.outer())
    }
}

/// Every file below a folder and its content.
pub(crate) fn files_below(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut todo = vec![folder.to_owned()];
    while let Some(folder) = todo.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries.map(Result::unwrap) {
            let kind = entry.file_type().unwrap();
            match (kind.is_dir(), kind.is_file()) {
                (true, _) => todo.push(entry.path()),
                (_, true) => drop(files.insert(entry.path(), std::fs::read(entry.path()).unwrap_or_default())),
                _ => {}
            }
        }
    }
    files
}

impl Drop for Project {
    fn drop(&mut self) {
        // Whatever the file says by now: what is recorded goes.
        let clean = self.write("clean/orch.yaml", format!("project: {}\nservices: {{}}\n", self.name));
        let (clean, state) = (clean.display().to_string(), self.path(".orch").display().to_string());
        if self.path(".orch").is_dir() {
            let mut command = self.command(&["-f", &clean, "--state-dir", &state, "destroy", "--auto-approve"]);
            let _ = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
        }
        end_all(self.outer());
        let panicking = std::thread::panicking();
        if !panicking {
            wait_until("every process of the project is gone", || self.processes().is_empty());
        }
    }
}
