//! A container, as it is written; the keys and spellings are those of Compose.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Cpus, Delay, EngineRestart, EngineSignal, EngineSize, GpuCount, Ports, Pull, VolumeText};
use crate::config::field::{Entries, Field, Names, OneOrList, OneOrMany, Pairs, RawText, Short};

/// A volume or folder, in short or in full.
pub(crate) type AnyMount = Field<Short<VolumeText, RawMount>>;

/// A container of a Docker engine.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawDocker {
    /// The image: `postgres:15`, `registry.example.com/team/app@sha256:...`. A plan holds the digest that
    /// it stood for; a tag that moved is a change.
    pub(crate) image: Field<String>,
    /// The engine: `unix://`, `tcp://` or `ssh://`. Default: the one that `DOCKER_HOST` or the Docker
    /// context names.
    #[serde(default)]
    pub(crate) host: Option<Field<String>>,
    /// When the registry is asked about the image: `missing`, `always`, `never` or `every 24h`; also
    /// `every_24h`, `daily`, `weekly` and `if_not_present`. Default: `missing`.
    #[serde(default)]
    pub(crate) pull_policy: Option<Field<Pull>>,
    /// The container's name. With a name of its own it cannot come up beside the one that it replaces.
    /// Default: made from the project and the service.
    #[serde(default)]
    pub(crate) container_name: Option<Field<String>>,
    /// The command in the place of the image's: a list, or a text that is split into words as a shell
    /// does, with nothing expanded.
    #[serde(default)]
    pub(crate) command: Option<Field<OneOrList<RawText, RawText>>>,
    /// The entry point in the place of the image's; written as `command` is.
    #[serde(default)]
    pub(crate) entrypoint: Option<Field<OneOrList<RawText, RawText>>>,
    /// The environment, on top of the image's: a map, or a list of `NAME=value`. A name alone takes the
    /// value from the environment of orch. A value whose name looks secret (`PASSWORD`, `TOKEN`, ...) is
    /// never shown or recorded.
    #[serde(default)]
    pub(crate) env: Option<Field<Pairs>>,
    /// Files with lines of `NAME=value`, one path or a list, relative to this file; later ones win, and
    /// `env` wins over all of them. Nothing in them is expanded.
    #[serde(default)]
    pub(crate) env_file: Option<Field<OneOrMany<String>>>,
    /// Labels: a map, or a list of `NAME=value`. Those that start with `orch.` are orch's own.
    #[serde(default)]
    pub(crate) labels: Option<Field<Pairs>>,
    /// The ports that are published on the host: `"8080:80"`, `"127.0.0.1:8080:80/udp"`, `"80"` for any
    /// free port of the host, `"8080-8082:80"` for one port of the range (for each replica its own), or
    /// `"8080-8082:80-82"` for each of them.
    #[serde(default)]
    pub(crate) ports: Option<Field<Vec<Field<Ports>>>>,
    /// Volumes and folders: `"data:/path"` for a named volume, `"./folder:/path:ro"` for a folder or file
    /// of the engine's machine (relative to this file, or to `~`), `"/path"` for a volume without a name,
    /// or a map with `type: volume` or `type: bind`.
    #[serde(default)]
    pub(crate) volumes: Option<Field<Vec<AnyMount>>>,
    /// Folders in memory: a path, with options after a `:` (`"/run:size=64m"`), or a list of them.
    #[serde(default)]
    pub(crate) tmpfs: Option<Field<OneOrMany<String>>>,
    /// The networks of the file that it is in: a list of names, or a map from names to what there is to
    /// say. There it is found by its service's name. Default: the engine's own network.
    #[serde(default)]
    pub(crate) networks: Option<Field<Names<RawJoin>>>,
    /// The user it runs as, by the container's names or numbers: `app`, `1000:1000`. Default: the image's.
    #[serde(default)]
    pub(crate) user: Option<Field<String>>,
    /// The folder that it runs in, an absolute path in the container. Default: the image's.
    #[serde(default)]
    pub(crate) working_dir: Option<Field<String>>,
    /// Its host name. Default: the start of the container's id.
    #[serde(default)]
    pub(crate) hostname: Option<Field<String>>,
    /// Whether a small init process reaps zombies and forwards signals. Default: false.
    #[serde(default)]
    pub(crate) init: Option<Field<bool>>,
    /// Whether its own file system is read-only. Default: false.
    #[serde(default)]
    pub(crate) read_only: Option<Field<bool>>,
    /// Capabilities that it gets: `NET_ADMIN`, or `ALL`.
    #[serde(default)]
    pub(crate) cap_add: Option<Field<Vec<Field<String>>>>,
    /// Capabilities that it loses.
    #[serde(default)]
    pub(crate) cap_drop: Option<Field<Vec<Field<String>>>>,
    /// Limits by name: a number, or a map with `soft` and `hard`. -1 is no limit.
    #[serde(default)]
    pub(crate) ulimits: Option<Field<Entries<Short<i64, RawUlimit>>>>,
    /// How much memory it may use, at least `6m`. As Docker reads it, every unit is a power of two: `k`,
    /// `KB` and `KiB` are 1024 bytes, `m`, `MB` and `MiB` 1024 of these.
    #[serde(default)]
    pub(crate) memory: Option<Field<EngineSize>>,
    /// How many processors it may use: `2`, `0.5`; at least 0.01.
    #[serde(default)]
    pub(crate) cpus: Option<Field<Cpus>>,
    /// The graphics processors that it gets: `all`, a number, or a list of ids.
    #[serde(default)]
    pub(crate) gpus: Option<Field<OneOrList<GpuCount, String>>>,
    /// The size of `/dev/shm`, with units as in `memory`. Default: the engine's, 64 MiB.
    #[serde(default)]
    pub(crate) shm_size: Option<Field<EngineSize>>,
    /// Further lines of its `/etc/hosts`: a list of `NAME:ADDRESS`, or a map. `host-gateway` stands for the
    /// address of the host.
    #[serde(default)]
    pub(crate) extra_hosts: Option<Field<Pairs>>,
    /// When the engine starts it again: `no` (or `never`), `always`, `unless-stopped`, `on-failure` or
    /// `on-failure:3`. Default: `unless-stopped`; for a job `no`.
    #[serde(default)]
    pub(crate) restart: Option<Field<EngineRestart>>,
    /// The signal that asks it to stop, a name or a number. Default: the image's, or SIGTERM.
    #[serde(default)]
    pub(crate) stop_signal: Option<Field<EngineSignal>>,
    /// How long it may take to stop before it is killed: seconds or a duration. Default: 10 seconds.
    #[serde(default)]
    pub(crate) stop_timeout: Option<Field<Delay>>,
    /// Whether its named volumes are removed, with what they hold, when the service is deleted. Default:
    /// false.
    #[serde(default)]
    pub(crate) remove_volumes: Option<Field<bool>>,
}

/// A volume or folder in full.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(tag = "type")]
pub(crate) enum RawMount {
    /// A file or folder of the engine's machine.
    Bind(RawBind),
    /// A volume of the engine.
    Volume(RawVolume),
}

/// A file or folder of the engine's machine.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawBind {
    /// Its path, relative to this file or to `~`.
    pub(crate) source: Field<String>,
    /// The path in the container.
    pub(crate) target: Field<String>,
    /// Whether the container may not write to it. Default: false.
    #[serde(default)]
    pub(crate) read_only: Option<Field<bool>>,
}

/// A volume of the engine.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawVolume {
    /// Its name. Default: none, and it goes with the container.
    #[serde(default)]
    pub(crate) source: Option<Field<String>>,
    /// The path in the container.
    pub(crate) target: Field<String>,
    /// Whether the container may not write to it. Default: false.
    #[serde(default)]
    pub(crate) read_only: Option<Field<bool>>,
    /// Whether others make and keep it; `source` is then the engine's name for it. Default: false.
    #[serde(default)]
    pub(crate) external: Option<Field<bool>>,
}

/// How a container takes part in a network.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawJoin {
    /// Further names that others find it by, beside the service's.
    pub(crate) aliases: Option<Field<Vec<Field<String>>>>,
}

/// A limit of the processes in a container.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawUlimit {
    /// The limit at the start.
    pub(crate) soft: Field<i64>,
    /// The limit that a process may raise it to.
    pub(crate) hard: Field<i64>,
}
