//! A project whose services are on hosts that other tests use too.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::{Host, Project};

/// A name that no other test, and no other run of the tests, gives to its project: units are called after it.
pub(super) fn name(of: &str) -> String {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    format!("{of}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// A project with a name of its own, and the `hosts:` section that it begins with.
pub(super) struct Site {
    pub(super) project: Project,
    pub(super) name: String,
}

impl Site {
    pub(super) fn new(of: &str, hosts: &str, rest: &str) -> Self {
        let name = name(of);
        let site = Self { project: Project::empty().named(&name), name };
        site.file(hosts, rest);
        site
    }

    /// Writes `orch.yaml` anew.
    pub(super) fn file(&self, hosts: &str, rest: &str) {
        self.project.yaml(&format!("project: {}\n{hosts}{rest}", self.name));
    }

    /// The unit of a service.
    pub(super) fn unit(&self, service: &str) -> String {
        format!("orch-{}-{service}.service", self.name)
    }

    /// What the unit of a service runs on a host, by the last word of its command line; `-` where nothing does.
    pub(super) fn runs(&self, host: &Host, service: &str) -> String {
        let unit = self.unit(service);
        host.sh(&format!(
            "pid=$(systemctl show -p MainPID --value {unit}); [ \"$pid\" = 0 ] && echo - || \
             tr '\\0' '\\n' </proc/$pid/cmdline | tail -n 1"
        ))
    }

    /// Whether nothing is left to do.
    #[track_caller]
    pub(super) fn is_done(&self, args: &[&str]) {
        self.project.plans(args, &[]);
    }
}

/// A unit that sleeps; `rest` are more lines of the service, as they stand in the file.
pub(super) fn sleeper(service: &str, at: &str, seconds: &str, rest: &str) -> String {
    format!(
        "  {service}:\n    backend: {{type: systemd, {at}, exec: [/bin/sleep, \"{seconds}\"]}}\n    settle: 100ms\n{rest}"
    )
}
