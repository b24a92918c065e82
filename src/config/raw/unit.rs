//! A unit of systemd, as it is written.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;

use super::Delay;
use crate::config::field::{Entries, Field, OneOrList, OneOrMany, RawText, Shaped, Short};
use crate::model::UnitScope;

/// A command line of a unit: a text in systemd's syntax, or a list of words.
pub(crate) type RawExec = OneOrList<RawText, RawText>;

/// A unit of systemd, on this machine or on hosts.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawSystemd {
    /// The machine that has it: a name of `hosts`, an address, or `user@address:port`. Default: this
    /// machine.
    #[serde(default)]
    pub(crate) host: Option<Field<String>>,
    /// The machines that have it, one copy on each: names of machines and groups of `hosts`, or labels
    /// that a machine must have (`"role=web,zone=a"`); one or a list.
    #[serde(default)]
    pub(crate) hosts: Option<Field<OneOrMany<String>>>,
    /// The unit's name; one without a type is a `.service`. Default: `orch-PROJECT-SERVICE.service`, with
    /// `instances` the template `orch-PROJECT-SERVICE@.service`.
    #[serde(default)]
    pub(crate) unit: Option<Field<String>>,
    /// Which manager has it: `system`, the machine's, or `user`, that of the user who logs in. Default:
    /// `system`.
    #[serde(default)]
    pub(crate) scope: Option<Field<UnitScope>>,
    /// What runs, for a unit that orch writes: a text in systemd's syntax, with its specifiers and quotes,
    /// or a list of words, which arrive byte for byte. The program is an absolute path.
    #[serde(default)]
    pub(crate) exec: Option<Field<RawExec>>,
    /// A unit file of this machine, relative to this file, in the place of `exec`. Without either, the unit
    /// is another's, and orch only adds `drop_ins` to it.
    #[serde(default)]
    pub(crate) unit_file: Option<Field<String>>,
    /// The instances of a template: `[a, b]` for `web@a.service` and `web@b.service`.
    #[serde(default)]
    pub(crate) instances: Option<Field<Vec<Field<String>>>>,
    /// Drop-ins, by file name (`10-limits.conf`), with their text.
    #[serde(default)]
    pub(crate) drop_ins: Option<Field<Entries<RawText>>>,
    /// When it runs, which makes the service `kind: periodic`: a calendar expression of systemd
    /// (`"*-*-* 03:00:00"`, `daily`), a list of them, or a map with more.
    #[serde(default)]
    pub(crate) schedule: Option<Field<Shaped<String, String, RawSchedule>>>,
    /// Files that it needs, by their absolute path on the host: a text, or a map with more.
    #[serde(default)]
    pub(crate) files: Option<Field<Entries<Short<RawText, RawHostFile>>>>,
    /// Its environment, in a file that only the manager reads. A value whose name looks secret (`PASSWORD`,
    /// `TOKEN`, ...) is never shown or recorded.
    #[serde(default)]
    pub(crate) env: Option<Field<Entries<RawText>>>,
    /// What it is; only with `exec`.
    #[serde(default)]
    pub(crate) description: Option<Field<String>>,
    /// What runs before `exec`, in order: a list of command lines; only with `exec`.
    #[serde(default)]
    pub(crate) exec_start_pre: Option<Field<Vec<Field<RawExec>>>>,
    /// What runs once it was started, in order: a list of command lines; only with `exec`.
    #[serde(default)]
    pub(crate) exec_start_post: Option<Field<Vec<Field<RawExec>>>>,
    /// What makes it read its configuration again; only with `exec`.
    #[serde(default)]
    pub(crate) exec_reload: Option<Field<RawExec>>,
    /// When it counts as started, `Type=` of systemd; only with `exec`. Default: `exec`, which fails when the program cannot
    /// be executed; for a job or with a schedule `oneshot`.
    #[serde(default)]
    pub(crate) service_type: Option<Field<ServiceType>>,
    /// The user that it runs as; only with `exec`. Default: root, or with `scope: user` the user.
    #[serde(default)]
    pub(crate) user: Option<Field<String>>,
    /// The group that it runs as; only with `exec`. Default: the user's.
    #[serde(default)]
    pub(crate) group: Option<Field<String>>,
    /// The folder of the host that it runs in, absolute, or `~`; only with `exec`. Default: `/`, or with `scope: user` the
    /// home folder.
    #[serde(default)]
    pub(crate) working_dir: Option<Field<String>>,
    /// When systemd starts it again; only with `exec`. Default: `on-failure`; for a job or with a schedule `no`.
    #[serde(default)]
    pub(crate) restart: Option<Field<UnitRestart>>,
    /// The wait before it is started again: seconds or a duration; only with `exec`. Default: systemd's, 100 ms.
    #[serde(default)]
    pub(crate) restart_delay: Option<Field<Delay>>,
    /// The units that it starts after, one or a list; only with `exec`.
    #[serde(default)]
    pub(crate) after: Option<Field<OneOrMany<String>>>,
    /// The units that it cannot be without, one or a list; only with `exec`.
    #[serde(default)]
    pub(crate) requires: Option<Field<OneOrMany<String>>>,
    /// The units that are started with it, one or a list; only with `exec`.
    #[serde(default)]
    pub(crate) wants: Option<Field<OneOrMany<String>>>,
    /// Any other settings of `[Service]`, limits and hardening, by their names in systemd (`MemoryMax`,
    /// `NoNewPrivileges`), each with a value or a list of them; only with `exec`.
    #[serde(default)]
    pub(crate) options: Option<Field<Entries<OneOrMany<RawText>>>>,
    /// Whether it starts with the machine; of a unit that others own they say it. Default: true, for a job
    /// false.
    #[serde(default)]
    pub(crate) enable: Option<Field<bool>>,
    /// The TCP ports of the host that it listens on, so that two services with one port are found. Default:
    /// the ports of `localhost` that its health checks probe.
    #[serde(default)]
    pub(crate) ports: Option<Field<Vec<Field<u16>>>>,
    /// How long it may take to stop before it is killed: seconds or a duration. Default: 90 seconds.
    #[serde(default)]
    pub(crate) stop_timeout: Option<Field<Delay>>,
}

/// When a unit runs.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawSchedule {
    /// A calendar expression of systemd (`"*-*-* 03:00:00"`, `daily`), or a list of them.
    pub(crate) on_calendar: Field<OneOrMany<String>>,
    /// Whether a run that was missed while the machine was off is made up for. Default: true.
    #[serde(default)]
    pub(crate) persistent: Option<Field<bool>>,
    /// The most that a run is put off by chance, so that not all machines run at once: seconds or a
    /// duration. Default: 0.
    #[serde(default)]
    pub(crate) random_delay: Option<Field<Delay>>,
}

/// A file that a unit needs; `content` or `source` is required.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawHostFile {
    /// What is in it.
    pub(crate) content: Option<Field<RawText>>,
    /// The file of this machine, relative to this file, that it is a copy of; it counts as a secret.
    pub(crate) source: Option<Field<String>>,
    /// Its mode, octal digits. Default: `0644`.
    pub(crate) mode: Option<Field<String>>,
    /// Its owner and group, `USER` or `USER:GROUP`. Default: root, or with `scope: user` the user.
    pub(crate) owner: Option<Field<String>>,
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
        #[serde(rename_all = "kebab-case")]
        pub(crate) enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $(Self::$variant => $word,)*
                })
            }
        }
    };
}

words! {
    /// When systemd starts a unit again.
    UnitRestart {
        /// Never.
        No = "no",
        /// Whatever its exit code.
        Always = "always",
        /// When it exited 0.
        OnSuccess = "on-success",
        /// When its exit code is not 0, a signal ended it, or it took too long.
        OnFailure = "on-failure",
        /// When a signal ended it, or it took too long.
        OnAbnormal = "on-abnormal",
        /// When a signal ended it that it did not expect.
        OnAbort = "on-abort",
        /// When its watchdog expired.
        OnWatchdog = "on-watchdog",
    }
}

words! {
    /// When a unit counts as started.
    ServiceType {
        /// As soon as systemd has made the process.
        Simple = "simple",
        /// When the program is executed.
        Exec = "exec",
        /// When the first process ends and leaves another one.
        Forking = "forking",
        /// When it has ended.
        Oneshot = "oneshot",
        /// When it has its name on the bus.
        Dbus = "dbus",
        /// When it says so.
        Notify = "notify",
        /// When it says so, of a reload too.
        NotifyReload = "notify-reload",
        /// When nothing else is being started.
        Idle = "idle",
    }
}
