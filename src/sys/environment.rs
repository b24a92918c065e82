//! The part of orch's own environment that others may see.

use std::collections::BTreeMap;

/// What programs need to run at all; nothing that may be secret.
const BASE: [&str; 8] = ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "TMPDIR"];

/// The part of orch's environment that services, and the commands that check them, get below their
/// own: `PATH`, `HOME`, `USER`, `LOGNAME`, `SHELL`, `LANG`, `LC_*`, `TZ` and `TMPDIR`. Whoever runs
/// orch, a person or a CI job with its tokens, the services get the same.
#[must_use]
pub fn base_environment(mut env: BTreeMap<String, String>) -> BTreeMap<String, String> {
    env.retain(|name, _| BASE.contains(&name.as_str()) || name.starts_with("LC_"));
    env
}
