//! The keys of a service that orch has nothing for.

use super::context::Context;
use super::node::Node;

/// Keys that are read elsewhere.
const READ: &[&str] = &[
    "build",
    "cap_add",
    "cap_drop",
    "command",
    "configs",
    "container_name",
    "cpus",
    "depends_on",
    "deploy",
    "entrypoint",
    "env_file",
    "environment",
    "expose",
    "extends",
    "extra_hosts",
    "gpus",
    "healthcheck",
    "hostname",
    "image",
    "init",
    "label_file",
    "labels",
    "links",
    "mem_limit",
    "network_mode",
    "networks",
    "ports",
    "profiles",
    "pull_policy",
    "read_only",
    "restart",
    "scale",
    "secrets",
    "shm_size",
    "stop_grace_period",
    "stop_signal",
    "tmpfs",
    "ulimits",
    "user",
    "volumes",
    "working_dir",
];

/// Keys for which there is more to say than that orch has nothing like them.
const BETTER: &[(&str, &str)] = &[
    ("privileged", "give it the capabilities that it needs, with `cap_add`"),
    ("logging", "the engine's own log driver counts"),
    ("develop", "it is for `docker compose watch`"),
    ("attach", "it is for `docker compose up` at a terminal"),
    ("tty", "`orch exec -t` gives a terminal"),
    ("stdin_open", "`orch exec -i` gives one"),
    ("memswap_limit", "there is as much swap again as `memory`"),
    ("platform", "the engine's own platform counts"),
    ("external_links", "put both into one network, with `external: true`"),
    ("post_start", "make it a service of `kind: job`"),
    ("pre_stop", "let the service do it when it is asked to stop"),
    ("runtime", "the engine's default runtime counts; for graphics processors there is `gpus`"),
    ("provider", "what it provides is not a container"),
];

impl Context<'_> {
    pub(super) fn lost_keys(&self, name: &str, node: &Node) {
        for (key, value) in node.entries() {
            let key_text = key.text.as_str();
            if READ.contains(&key_text) || key_text.starts_with("x-") || value.is_nothing() {
                continue;
            }
            let better = BETTER.iter().find(|(of, _)| *of == key_text);
            let message = match better {
                Some((_, instead)) => format!("`{key_text}`: {instead}"),
                None => format!("`{key_text}`: a container of orch has nothing like it"),
            };
            self.lost(Some(name), key.span, message);
        }
    }
}
