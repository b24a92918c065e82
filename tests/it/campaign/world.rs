//! A project whose processes can be counted: none may be there twice, none left over.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use orch::sys::CRASH_POINTS;

pub(super) const ORCH: &str = env!("CARGO_BIN_EXE_orch");

/// How a command ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) code: Option<i32>,
    pub(super) killed: bool,
    pub(super) text: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        Self { code: output.status.code(), killed: output.status.signal() == Some(9), text }
    }
}

/// A project in a folder of its own; whatever runs of it is ended when it is dropped.
pub(super) struct World {
    folder: tempfile::TempDir,
}

impl World {
    pub(super) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes the file of the project; `PROJECT` in it becomes the folder, by which its processes
    /// are known.
    pub(super) fn write(&self, services: &str) {
        let folder = self.folder.path().display().to_string();
        let text = format!("project: world\nsettings: {{max_parallel: 8}}\nservices:\n{services}");
        std::fs::write(self.path("orch.yaml"), text.replace("PROJECT", &folder)).unwrap();
    }

    fn command(&self, args: &[&str], failpoints: &str) -> Command {
        let mut command = Command::new(ORCH);
        command.args(args).current_dir(self.folder.path()).env_clear().env("PATH", "/usr/bin:/bin");
        command.env("FAILPOINTS", failpoints).stdin(Stdio::null());
        command
    }

    pub(super) fn orch(&self, args: &[&str]) -> Ended {
        self.orch_with(args, "")
    }

    /// Runs orch with a crash point armed: `journal.begin.synced=return`.
    pub(super) fn orch_with(&self, args: &[&str], failpoints: &str) -> Ended {
        self.command(args, failpoints).output().unwrap().into()
    }

    /// Applies with one more variable in the environment.
    pub(super) fn apply_with(&self, name: &str, value: &Path) -> Output {
        self.command(&["apply", "--auto-approve"], "").env(name, value).output().unwrap()
    }

    pub(super) fn start(&self, args: &[&str]) -> Child {
        self.command(args, "").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    pub(super) fn apply(&self) -> Ended {
        self.orch(&["apply", "--auto-approve"])
    }

    /// Applies what the file says now, asks no question, and must end with exactly that.
    pub(super) fn converge(&self, expected: &[(&str, &str)], context: &str) {
        let applied = self.apply();
        assert_eq!(applied.code, Some(0), "{context}\n{}", applied.text);
        let again = self.orch(&["plan", "--detailed-exitcode"]);
        assert_eq!(again.code, Some(0), "{context}: the plan after is not empty\n{}", again.text);
        self.assert_exactly(expected, context);
    }

    /// Exactly these services run, each once, in this version; nothing else is left of the project.
    /// One that was killed may be between two starts of its restart policy, so this waits for it;
    /// one that is there twice, or should not be there, does not go away by waiting.
    pub(super) fn assert_exactly(&self, expected: &[(&str, &str)], context: &str) {
        let mut wanted: Vec<_> = expected.iter().map(|(s, v)| ((*s).to_owned(), (*v).to_owned())).collect();
        wanted.sort();
        let began = Instant::now();
        loop {
            let mut running: Vec<_> = self.running().into_values().collect();
            running.sort();
            let supervisors = self.supervisors().len();
            if running == wanted && supervisors == wanted.len() {
                return;
            }
            if began.elapsed() > Duration::from_secs(5) {
                assert_eq!(running, wanted, "{context}");
                assert_eq!(supervisors, wanted.len(), "{context}: supervisors");
            }
            std::thread::yield_now();
        }
    }

    /// Service and version of every process of the project, by pid.
    pub(super) fn running(&self) -> BTreeMap<u32, (String, String)> {
        let folder = self.folder.path().display().to_string();
        let own = |pid: u32| {
            let environment = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
            let variables: BTreeMap<&[u8], &[u8]> = environment
                .split(|byte| *byte == 0)
                .filter_map(|entry| {
                    let at = entry.iter().position(|byte| *byte == b'=')?;
                    Some((&entry[..at], &entry[at + 1..]))
                })
                .collect();
            let get =
                |name: &str| variables.get(name.as_bytes()).map(|value| String::from_utf8_lossy(value).into_owned());
            (get("WORLD")? == folder).then(|| Some((get("ORCH_ADDRESS")?, get("VERSION")?)))?
        };
        pids().filter_map(|pid| Some((pid, own(pid)?))).collect()
    }

    pub(super) fn supervisors(&self) -> Vec<u32> {
        let folder = self.folder.path().display().to_string();
        let own = |pid: &u32| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line);
            line.contains("__supervise") && line.contains(&folder)
        };
        pids().filter(own).collect()
    }

    /// How often the job ran.
    pub(super) fn job_runs(&self) -> usize {
        std::fs::read_to_string(self.path("runs.txt")).unwrap_or_default().lines().count()
    }

    pub(super) fn journal(&self) -> PathBuf {
        self.path(".orch/journal.ndjson")
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // The test's own verdict stands; this only ends what it started.
        self.write("  {}\n");
        let _ = self.apply();
        for pid in self.supervisors().into_iter().chain(self.running().into_keys()) {
            if let Some(pid) = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
    }
}

fn pids() -> impl Iterator<Item = u32> {
    std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// A permanent service in a version.
pub(super) fn service(name: &str, version: &str, more: &str) -> String {
    format!(
        "  {name}:\n    settle: 20ms\n    backend:\n      type: process\n      binary: sleep\n      args: ['1000']\n      \
         env: {{WORLD: PROJECT, VERSION: '{version}'}}\n{more}"
    )
}

/// A service whose gate is never passed.
pub(super) fn broken(name: &str, version: &str) -> String {
    service(name, version, "    health_check: {type: command, command: 'false', interval: 100ms, retries: 1}\n")
}

/// A job that notes each of its runs.
pub(super) fn job(version: &str) -> String {
    format!(
        "  job:\n    kind: job\n    backend:\n      type: process\n      binary: sh\n      \
         args: [-c, 'echo {version} >> runs.txt']\n"
    )
}

/// A rough check that a folder has only whole files of orch's, no temporary ones.
pub(super) fn leftovers(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.ends_with(".tmp")).collect()
}

/// Says something past the test harness, which shows what a test prints only when it fails.
pub(super) fn tell(line: &str) {
    let _ = writeln!(std::io::stderr(), "campaign: {line}");
}

/// The boundaries that a run meets, in the order of their list: each point, with how often it was passed before. The run
/// is told where to write them by a variable of its environment.
pub(super) fn boundaries(run: impl FnOnce(&str, &Path) -> Output) -> Vec<(&'static str, usize)> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("passed");
    let ran = run("ORCH_PASSED", &path);
    assert!(ran.status.code().is_some(), "{}", String::from_utf8_lossy(&ran.stderr));
    let passed = std::fs::read_to_string(path).unwrap();
    let times = |point: &str| passed.lines().filter(|line| *line == point).count();
    CRASH_POINTS.iter().flat_map(|point| (0..times(point)).map(move |passes| (*point, passes))).collect()
}
