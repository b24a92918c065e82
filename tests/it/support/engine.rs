//! The Docker engine that the tests talk to, and the images that they run.

use std::fs::File;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::OnceLock;

use serde_json::Value;

/// What changes whenever the images of [`Engine::get`] do, so that those of an older build go.
const RECIPE: &str = "2";

/// What the containers of the tests run: `web COMMAND`, on busybox.
///
/// `serve` ends at once when it is told to, `stubborn` does not, `lines N` prints so many first, `fail CODE` exits,
/// `sick` serves but has no `/health`, `dies N` serves so many requests and exits with 9, `wait` does nothing,
/// `job TEXT` prints and exits with 0. A shell as process 1 gets a signal only where it has a trap for it, and
/// runs that only while it waits.
const WEB: &str = r#"#!/bin/sh
serve() { httpd -f -p "${PORT:-80}" -h /www; }
until_told() { trap 'echo "stopping"; exit 0' TERM INT; "$@" & wait $!; }
answer() { nc -l -p "${PORT:-80}" -e httpd -i -h /www; }
case "${1:-serve}" in
  serve) echo "web $(cat /www/version) is up"; until_told serve;;
  lines) i=0; while [ $i -lt "${2:-30}" ]; do i=$((i+1)); echo "line $i"; done; echo "a word to stderr" >&2; until_told serve;;
  fail) echo "no configuration found" >&2; exit "${2:-3}";;
  sick) rm /www/health; echo "nobody can reach the database"; until_told serve;;
  dies) i=0; while [ $i -lt "${2:-1}" ]; do i=$((i+1)); answer; done; echo "the heap is full" >&2; exit 9;;
  stubborn) trap '' TERM INT; serve;;
  wait) until_told sleep 100000;;
  job) echo "done: ${2:-nothing}"; exit 0;;
  *) exec "$@";;
esac
"#;

/// A Docker engine.
pub(crate) struct Engine {
    host: String,
}

impl Engine {
    /// The engine of this machine, with the images of the tests.
    ///
    /// `orch-test/web:1` and `orch-test/web:2` serve `/` (which says `web 1` and `web 2`), `/version` and `/health` on
    /// port 80, or `PORT`. `orch-test/web:fail` and `orch-test/web:sick` do what their name says. Each has all the
    /// commands of [`WEB`], so that a service's `command` can be `[web, dies, "2"]`.
    ///
    /// # Panics
    ///
    /// Where none answers.
    pub(crate) fn get() -> &'static Self {
        static ENGINE: OnceLock<Engine> = OnceLock::new();
        super::show_panics();
        ENGINE.get_or_init(|| {
            let host = std::env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned());
            let engine = Self::at(host);
            if let Err(error) = engine.try_docker(&["version"]) {
                panic!("no Docker engine answers at {}; `tests/run` starts one: {error}", engine.host);
            }
            engine.make_images();
            engine
        })
    }

    /// The engine at an address.
    pub(crate) fn at(host: impl Into<String>) -> Self {
        Self { host: host.into() }
    }

    /// Its address, as `DOCKER_HOST` has it.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// What a `docker` command prints, without the last line's end.
    #[track_caller]
    pub(crate) fn docker(&self, args: &[&str]) -> String {
        self.try_docker(args).unwrap_or_else(|error| panic!("{error}"))
    }

    /// What a `docker` command prints, or what it says when it fails.
    pub(crate) fn try_docker(&self, args: &[&str]) -> Result<String, String> {
        let Output { status, stdout, stderr } = self.command(args).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        if status.success() {
            return Ok(text(&stdout));
        }
        Err(format!("`docker {}`: {status}: {}", args.join(" "), text(&stderr)))
    }

    /// A `docker` command for this engine, which takes nothing from the user's own settings.
    #[expect(clippy::disallowed_methods, reason = "the test plays the part of the user")]
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command.args(args).env("DOCKER_HOST", &self.host).env("DOCKER_CONFIG", "/nonexistent");
        command.env_remove("DOCKER_CONTEXT").env_remove("DOCKER_TLS_VERIFY");
        command
    }

    /// What the engine says about a container, an image, a network or a volume; null where there is none.
    #[track_caller]
    pub(crate) fn inspect(&self, name: &str) -> Value {
        match self.try_docker(&["inspect", name]) {
            Ok(text) => serde_json::from_str::<Value>(&text).unwrap()[0].take(),
            Err(error) if error.to_lowercase().contains("no such") => Value::Null,
            Err(error) => panic!("{error}"),
        }
    }

    /// Whether a container runs.
    #[track_caller]
    pub(crate) fn runs(&self, container: &str) -> bool {
        self.inspect(container)["State"]["Running"] == true
    }

    /// The containers, running or not, that have a label.
    #[track_caller]
    pub(crate) fn containers_with(&self, label: &str) -> Vec<String> {
        self.with_label(&["ps", "--all", "--no-trunc"], label).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Removes a container, if it is there. A busy engine may give up what takes long, so that it is asked again.
    pub(crate) fn remove_container(&self, name: &str) {
        let is_gone = || {
            let _ = self.try_docker(&["rm", "--force", "--volumes", name]);
            self.inspect(name).is_null()
        };
        // Of a test that failed, that is what is to be told.
        if std::thread::panicking() {
            let _ = is_gone();
        } else {
            super::wait_until(&format!("{name} is gone"), is_gone);
        }
    }

    /// Removes every container, network and volume that has a label, and nothing else. Of an engine that does not
    /// answer there is nothing to remove.
    pub(crate) fn remove_all_with(&self, label: &str) {
        let remove = |list: &[&str], remove: &[&str]| {
            let found = self.with_label(list, label).unwrap_or_default();
            if !found.is_empty() {
                let found: Vec<&str> = found.iter().map(String::as_str).collect();
                // Whatever is gone by now need not be removed.
                let _ = self.try_docker(&[remove, &found].concat());
            }
        };
        remove(&["ps", "--all", "--no-trunc"], &["rm", "--force", "--volumes"]);
        remove(&["network", "ls", "--no-trunc"], &["network", "rm"]);
        remove(&["volume", "ls"], &["volume", "rm", "--force"]);
    }

    fn with_label(&self, list: &[&str], label: &str) -> Result<Vec<String>, String> {
        let filter = format!("label={label}");
        let found = self.try_docker(&[list, &["--quiet", "--filter", &filter]].concat())?;
        Ok(found.lines().map(str::to_owned).collect())
    }

    /// Makes an image of a folder.
    #[track_caller]
    pub(crate) fn import(&self, folder: &Path, tag: &str, changes: &[&str]) {
        let tar = tempfile::NamedTempFile::new().unwrap();
        #[expect(clippy::disallowed_methods, reason = "the test plays the part of the user")]
        let packed = Command::new("tar").arg("-C").arg(folder).arg("-cf").arg(tar.path()).arg(".").status().unwrap();
        assert!(packed.success(), "tar of {}", folder.display());
        let tar = tar.path().display().to_string();
        let changes = changes.iter().flat_map(|change| ["--change", change]);
        let args: Vec<&str> = ["import"].into_iter().chain(changes).chain([tar.as_str(), tag]).collect();
        self.docker(&args);
    }

    fn make_images(&self) {
        // Other test processes may share the engine: they neither see half of the images nor replace these.
        let lock = File::create(std::env::temp_dir().join("orch-test-images.lock")).unwrap();
        lock.lock().unwrap();
        for (tag, version, command) in
            [("1", "1", "serve"), ("2", "2", "serve"), ("fail", "2", "fail"), ("sick", "2", "sick")]
        {
            let tag = format!("orch-test/web:{tag}");
            if self.inspect(&tag)["Config"]["Labels"]["orch-test.recipe"] == RECIPE {
                continue;
            }
            let folder = web_root(version);
            let (entry, label) = (format!("CMD [\"web\", \"{command}\"]"), format!("LABEL orch-test.recipe={RECIPE}"));
            self.import(folder.path(), &tag, &[&entry, &label, "ENV PATH=/bin", "EXPOSE 80"]);
        }
    }
}

/// The file system of a `web` image.
pub(crate) fn web_root(version: &str) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    // The folder becomes the image's `/`, which whatever user a container has must be able to enter.
    std::fs::set_permissions(root.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = |name: &str| root.path().join(name);
    for folder in ["bin", "etc", "tmp", "www"] {
        std::fs::create_dir_all(path(folder)).unwrap();
    }
    std::fs::set_permissions(path("tmp"), std::fs::Permissions::from_mode(0o1777)).unwrap();
    let busybox = std::env::split_paths(&std::env::var_os("PATH").unwrap())
        .map(|folder| folder.join("busybox"))
        .find(|path| path.is_file())
        .expect("busybox-static is needed for images: use `tests/run`");
    std::fs::copy(&busybox, path("bin/busybox")).unwrap();
    for applet in
        ["sh", "cat", "echo", "env", "false", "httpd", "id", "kill", "ls", "nc", "rm", "sleep", "touch", "true", "wget"]
    {
        symlink("busybox", path("bin").join(applet)).unwrap();
    }
    let files = [
        ("bin/web", 0o755, WEB.to_owned()),
        ("etc/passwd", 0o644, "root:x:0:0:root:/:/bin/sh\nweb:x:1000:1000:web:/:/bin/sh\n".to_owned()),
        ("etc/group", 0o644, "root:x:0:\nweb:x:1000:\n".to_owned()),
        ("www/index.html", 0o644, format!("web {version}\n")),
        ("www/version", 0o644, format!("{version}\n")),
        ("www/health", 0o644, "ok\n".to_owned()),
    ];
    for (name, mode, text) in files {
        std::fs::write(path(name), text).unwrap();
        std::fs::set_permissions(path(name), std::fs::Permissions::from_mode(mode)).unwrap();
    }
    root
}
