//! Definitions that many tests use.

/// The demo service.
pub(crate) const DEMO: &str = env!("CARGO_BIN_EXE_orch-demo");

/// A service that sleeps, with more keys of the service (each on a line of its own, indented by four).
pub(crate) fn sleeper(name: &str, more: &str) -> String {
    format!("  {name}:\n    backend: {{type: process, binary: sleep, args: [\"600\"], stop_timeout: 2s}}\n{more}")
}

/// A service that runs a shell script, with more keys of the service.
pub(crate) fn shell(name: &str, script: &str, more: &str) -> String {
    let script = serde_json::to_string(script).unwrap();
    format!(
        "  {name}:\n    backend: {{type: process, binary: /bin/sh, args: [\"-c\", {script}], stop_timeout: 2s}}\n{more}"
    )
}

/// A job that runs a shell script, with more keys of the service.
pub(crate) fn job(name: &str, script: &str, more: &str) -> String {
    shell(name, script, &format!("    kind: job\n{more}"))
}

/// A demo service that greets, behind an HTTP check with a short deadline.
pub(crate) fn greeter(name: &str, port: u16, greeting: &str, more: &str) -> String {
    format!(
        "  {name}:\n    backend: {{type: process, binary: {DEMO}, args: [serve, --port, \"{port}\"], \
         env: {{GREETING: \"{greeting}\"}}, stop_timeout: 2s}}\n    \
         health_check: {{type: http, url: \"http://127.0.0.1:{port}/health\", deadline: 20s}}\n{more}"
    )
}

/// Services under their key.
pub(crate) fn services(list: &[String]) -> String {
    format!("services:\n{}", list.concat())
}

/// `needs: [...]` of a service.
pub(crate) fn needs(names: &[&str]) -> String {
    format!("    dependencies: [{}]\n", names.join(", "))
}
