//! Bad input: a clear error that names the place and the way out, nothing changed and nothing lost.

use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::cli::helpers::{services, sleeper};
use crate::support::{Found, Project};

/// A project with something applied, to see that it is left alone.
struct Victim {
    project: Project,
    before: (std::collections::BTreeMap<PathBuf, Vec<u8>>, Vec<Found>),
}

impl Victim {
    fn new() -> Self {
        let project = Project::new(&services(&[sleeper("web", "")]));
        project.apply();
        let before = (project.bytes(), project.processes());
        Self { project, before }
    }

    /// Every verb that reads the file refuses it with exit code 1, says each of the texts, and
    /// changes nothing.
    #[track_caller]
    fn refuses(&self, texts: &[&str]) {
        for args in
            [&["validate"][..], &["plan"], &["apply", "--auto-approve"], &["destroy", "--auto-approve"], &["status"]]
        {
            let ran = self.project.orch(args).exits(1).says(texts);
            assert!(ran.err.len() < 20_000, "an error of {} bytes", ran.err.len());
            assert!(!ran.err.contains("panicked"), "{ran}");
        }
        self.unchanged();
    }

    #[track_caller]
    fn unchanged(&self) {
        let bytes = self.project.bytes();
        let paths = |files: &std::collections::BTreeMap<PathBuf, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
        assert_eq!(paths(&bytes), paths(&self.before.0));
        for (path, content) in &bytes {
            assert!(self.before.0[path] == *content, "{} changed", path.display());
        }
        assert_eq!(self.project.processes(), self.before.1);
    }

    #[track_caller]
    fn file(&self, content: impl AsRef<[u8]>, texts: &[&str]) {
        self.project.write("orch.yaml", content);
        self.refuses(texts);
    }
}

#[test]
fn files_that_are_no_definition() {
    let victim = Victim::new();
    victim.file("", &["orch.yaml", "the file is empty"]);
    victim.file(b"\x7fELF\x02\x01\x00\xff\xfe", &["orch.yaml", "is not a text file", "byte"]);
    victim.file("services:\n\tweb: 1\n", &["orch.yaml:2:1", "a tab is used to indent"]);
    // One error is one message: what could not be read may well have services.
    victim.project.orch(&["validate"]).exits(1).does_not_say(&["has no services"]);
    victim.file("- a\n", &["orch.yaml:1:1", "a configuration file is a map"]);
    std::fs::remove_file(victim.project.path("orch.yaml")).unwrap();
    victim.refuses(&["there is no `orch.yaml` in this folder", "orch init"]);
    std::fs::create_dir(victim.project.path("orch.yaml")).unwrap();
    victim.refuses(&["orch.yaml"]);
}

#[test]
fn files_of_absurd_size_depth_and_growth() {
    let victim = Victim::new();
    let started = std::time::Instant::now();
    File::create(victim.project.path("orch.yaml")).unwrap().set_len(100 << 20).unwrap();
    victim.refuses(&["orch.yaml"]);
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..12 {
        let list = vec![format!("*a{}", n - 1); 10].join(", ");
        bomb += &format!("a{n}: &a{n} [{list}]\n");
    }
    victim.file(&bomb, &["orch.yaml"]);
    victim.file("[".repeat(100_000), &["orch.yaml"]);
    victim.file(format!("services: {}", "{a: ".repeat(50_000)), &["orch.yaml"]);
    // Twenty runs on files that are built to take for ever.
    assert!(started.elapsed() < std::time::Duration::from_secs(60), "{:?}", started.elapsed());
}

#[test]
fn definitions_that_say_too_much_or_the_wrong_thing() {
    let victim = Victim::new();
    let web = |more: &str| {
        format!("services:\n  web:\n    backend: {{type: process, binary: sleep, args: [\"600\"]}}\n{more}")
    };
    victim.file(web("    timeout: 1s\n    timeout: 2s\n"), &["orch.yaml:5:5", "timeout"]);
    victim.file(web("    tiemout: 1s\n"), &["orch.yaml:4:5", "unknown key `tiemout`", "did you mean `timeout`"]);
    victim.file(web("    timeout: [1]\n"), &["orch.yaml:4:14", "found a list"]);
    victim.file(web("    dependencies: 7\n"), &["orch.yaml:4:19", "expected"]);
    victim.file(web("    timeout: -5\n"), &["orch.yaml:4:14", "the duration `-5` is negative"]);
    victim.file(web("    timeout: 99999999999h\n"), &["orch.yaml:4:14"]);
    victim.file(web("    timeout: 5 parsecs\n"), &["orch.yaml:4:14", "expected a duration such as"]);
    victim.file(web("    dependencies: [web]\n"), &["orch.yaml:4:20", "depends on itself"]);
    let second = "  api:\n    backend: {type: external}\n    dependencies: [web]\n";
    victim.file(web(&format!("    dependencies: [api]\n{second}")), &["web -> api -> web"]);
    victim.file(web("    health_check: {type: http, url: \"not a url\"}\n"), &["orch.yaml:4:"]);
    victim.file(
        "services:\n  web:\n    backend: {type: process, binary: \"${var:nope}\"}\n",
        &["the variable `nope` is not declared"],
    );
    victim.file(
        "services:\n  web:\n    backend: {type: process, binary: \"${file:nope}\"}\n",
        &["the file `nope` cannot be read"],
    );
    victim.file("variables: {v: {}}\nservices: {}\n", &["the variable `v` has no value", "--var v="]);
}

#[test]
fn names_that_would_mean_something_elsewhere() {
    let victim = Victim::new();
    let long = "n".repeat(10_000);
    for name in ["a/b", "..", ".", "a b", "a\nb", "$(reboot)", "a;b", "`x`", "-rf", "", &long, "a\u{1b}[2J", "ü"] {
        let quoted = serde_json::to_string(name).unwrap();
        victim.file(
            format!("services:\n  ? {quoted}\n  : {{backend: {{type: external}}}}\n"),
            &["cannot be the name of a", "orch.yaml:2:5"],
        );
        let project = &victim.project;
        project.yaml("services: {}\n");
        for verb in [&["plan", "--target"][..], &["restart"], &["logs"], &["state", "show"]] {
            // Behind `=` or `--`, what begins with a dash is a name too.
            let args: Vec<&str> = verb.iter().copied().filter(|arg| *arg != "--target").collect();
            let target = format!("--target={name}");
            let args =
                if verb.contains(&"--target") { vec!["plan", &target] } else { [&args[..], &["--", name]].concat() };
            let ran = project.orch(&args).exits(64);
            assert!(ran.err.len() < 25_000 && !ran.err.contains('\u{1b}'), "{ran}");
        }
    }
    victim.unchanged();
}

#[test]
fn a_state_of_a_newer_version_is_left_to_the_newer_version() {
    let victim = Victim::new();
    let text = victim.project.read(".orch/state.json");
    let mut state: serde_json::Value = serde_json::from_str(&text).unwrap();
    let key = ["format", "format_version", "version"].into_iter().find(|key| state[*key].is_u64()).unwrap();
    state[key] = 999.into();
    state["orch"] = "99.0.0".into();
    damaged(victim, &state.to_string(), &["state.json has state format 999", "orch 99.0.0"]);
}

/// Puts a text in the place of the state, and checks that every verb refuses it and leaves it.
#[track_caller]
fn damaged(mut victim: Victim, text: &str, says: &[&str]) {
    let good = victim.project.read(".orch/state.json");
    victim.project.write(".orch/state.json", text);
    victim.before.0 = victim.project.bytes();
    for args in [
        &["plan"][..],
        &["apply", "--auto-approve"],
        &["destroy", "--auto-approve"],
        &["status"],
        &["state", "list"],
        &["restart", "web"],
    ] {
        victim.project.orch(args).exits(1).says(says).says(&["help:"]);
        victim.unchanged();
    }
    victim.project.write(".orch/state.json", good);
    victim.project.apply().says(&["No changes."]);
}

#[test]
fn a_damaged_state_names_the_previous_one_and_is_never_an_empty_one() {
    let victim = || {
        let mut victim = Victim::new();
        victim.project.orch(&["restart", "web"]).ok();
        victim.before = (victim.project.bytes(), victim.project.processes());
        victim
    };
    let good = victim().project.read(".orch/state.json");
    for text in ["", "{", &good[..good.len() / 2], &good.replacen("healthy", "stopped", 1), "\0\0\0\0"] {
        damaged(victim(), text, &["state.json is damaged", "the previous state is kept in", "orch state push"]);
    }
    // What the error says to do works.
    let victim = victim();
    let ran = victim.project.write(".orch/state.json", "{");
    let said = victim.project.orch(&["plan"]).exits(1).err;
    let previous = said.split("orch state push ").nth(1).unwrap().split('`').next().unwrap().replace(['\n', ' '], "");
    assert_ne!(PathBuf::from(&previous), ran);
    victim.project.orch(&["state", "push", &previous]).ok();
    victim.project.apply();
    assert_eq!(victim.project.processes().len(), 2);
    victim.project.orch(&["plan", "--detailed-exitcode"]).ok();
}

#[test]
fn a_state_file_that_is_gone_is_not_an_empty_state() {
    let victim = Victim::new();
    let good = victim.project.read(".orch/state.json");
    std::fs::remove_file(victim.project.path(".orch/state.json")).unwrap();
    victim.project.orch(&["plan"]).exits(1).says(&["state.json is missing", "help:"]);
    assert_eq!(victim.project.processes(), victim.before.1);
    victim.project.write(".orch/state.json", good);
}

#[test]
fn a_state_folder_of_another_project_is_refused() {
    let victim = Victim::new();
    victim.project.yaml(&format!("project: other\n{}", services(&[sleeper("web", "")])));
    for args in [&["plan"][..], &["apply", "--auto-approve"], &["destroy", "--auto-approve"]] {
        victim
            .project
            .orch(args)
            .exits(1)
            .says(&["is of project `shop`, the file is of project `other`", "settings.state_dir"]);
    }
    victim.unchanged();
}

#[test]
fn a_state_folder_that_cannot_be_made_is_named() {
    // root may write everywhere, so a file stands in the way.
    let project = Project::new(&services(&[sleeper("web", "")]));
    project.write("taken", "mine");
    let ran = project.orch(&["apply", "--auto-approve", "--state-dir", "taken"]).exits(1);
    ran.says(&["taken"]);
    assert_eq!((project.read("taken").as_str(), project.processes()), ("mine", Vec::new()));
    project.orch(&["apply", "--auto-approve", "--state-dir", "/proc/nowhere"]).exits(1).says(&["/proc/nowhere"]);
    project.orch(&["plan", "--out", "/proc/nowhere/change.plan"]).exits(1).says(&["/proc/nowhere"]);
}

/// Runs a command as root; `None` when this user may not.
#[expect(clippy::disallowed_methods, reason = "only the system can mount")]
fn as_root(args: &[&str]) -> Option<()> {
    let done = std::process::Command::new(args[0]).args(&args[1..]).output().ok()?;
    done.status.success().then_some(())
}

/// A file system of its own over a folder; taken away when it is dropped.
struct Mounted(PathBuf);

impl Mounted {
    fn new(folder: PathBuf, options: &str) -> Option<Self> {
        std::fs::create_dir_all(&folder).unwrap();
        as_root(&["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder.to_str()?])?;
        Some(Self(folder))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = as_root(&["umount", "-l", self.0.to_str().unwrap_or_default()]);
    }
}

#[test]
fn a_state_folder_on_a_read_only_file_system_is_named_with_a_way_out() {
    let project = Project::new(&services(&[sleeper("web", "")]));
    let Some(mounted) = Mounted::new(project.path(".orch"), "size=1m,ro") else {
        eprintln!("SKIPPED: this user may not mount a file system");
        return;
    };
    project.orch(&["apply", "--auto-approve"]).exits(1).says(&[".orch", "settings.state_dir"]);
    assert_eq!(project.processes(), []);
    project.orch(&["plan"]).ok();
    drop(mounted);
}

#[test]
fn a_full_disk_is_said_and_nothing_is_lost() {
    let project = Project::new(&services(&[sleeper("web", "")]));
    let Some(mounted) = Mounted::new(project.path(".orch"), "size=256k") else {
        eprintln!("SKIPPED: this user may not mount a file system");
        return;
    };
    std::fs::set_permissions(project.path(".orch"), std::fs::Permissions::from_mode(0o700)).unwrap();
    project.apply();
    let pid = project.pid("web");
    let filler = || {
        use std::io::Write;
        let mut file = File::create(project.path(".orch/filler")).unwrap();
        while file.write_all(&[0; 512]).is_ok() {}
    };
    filler();
    project.yaml(&services(&[sleeper("web", ""), sleeper("api", "")]));
    let ran = project.orch(&["apply", "--auto-approve"]);
    assert!([Some(1), Some(5)].contains(&ran.code), "{ran}");
    ran.says(&["No space left on device"]).says(&["free some space"]);
    assert_eq!(project.pid("web"), pid, "what ran was touched");
    std::fs::remove_file(project.path(".orch/filler")).unwrap();
    project.apply();
    assert_eq!(project.pid("web"), pid);
    assert_eq!(project.processes().len(), 4, "{:?}", project.processes());
    project.orch(&["plan", "--detailed-exitcode"]).ok();
    project.orch(&["destroy", "--auto-approve"]).ok();
    drop(mounted);
}

#[test]
fn contradictions_of_the_command_line_are_usage_errors() {
    let project = Project::new("services: {}\n");
    for args in [
        &["apply", "change.plan", "--target", "web"][..],
        &["apply", "--resume"],
        &["plan", "--json", "--markdown"],
        &["plan", "--destroy", "--refresh-only"],
        &["apply", "--lock-timeout", "-5s"],
        &["apply", "--lock-timeout", "99999999999999h"],
        &["apply", "--max-parallel", "0"],
        &["apply", "--on-failure", "maybe"],
        &["fly"],
        &[],
    ] {
        project.orch(args).exits(64);
    }
    assert!(!project.path(".orch").exists());
}
