//! The real command lines that tests drive: Docker Compose, helm and kubectl.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Where the real command lines are.
pub(crate) struct Tools {
    bin: PathBuf,
}

impl Tools {
    /// Those of `ORCH_TEST_TOOLS`, or else those that `tests/tools` fetches.
    ///
    /// # Panics
    ///
    /// Where there are none.
    pub(crate) fn get() -> &'static Self {
        static TOOLS: OnceLock<Tools> = OnceLock::new();
        TOOLS.get_or_init(|| {
            let folder = std::env::var("ORCH_TEST_TOOLS").unwrap_or_else(|_| fetch());
            let tools = Self { bin: Path::new(&folder).join("bin") };
            for name in ["docker-compose", "helm", "helm3", "kubectl"] {
                assert!(tools.bin(name).is_file(), "{} is missing: use `tests/run`", tools.bin(name).display());
            }
            tools
        })
    }

    /// One of them: `docker-compose`, `helm` (4), `helm3` or `kubectl`.
    pub(crate) fn bin(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }

    /// A `PATH` on which they come first.
    pub(crate) fn path(&self) -> String {
        format!("{}:/usr/local/bin:/usr/bin:/bin", self.bin.display())
    }
}

fn fetch() -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools");
    let output = Command::new(script).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}
