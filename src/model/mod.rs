//! What a service is: addresses, specs, health policy, dependencies. No I/O.

mod address;
mod desired;
mod digest;
mod field;
mod health;
mod ids;
mod machine;
mod observed;
mod secret;
mod service;
mod spec;
mod strategy;
mod text;

pub use address::{Address, AddressError, InstanceKey, NETWORK_PREFIX, ProjectName, ServiceName};
pub use desired::{Desired, IMAGE_PIN, Input, InputKind, Instance, OnFailure, Pins, Settings, Source, effect_of};
pub use digest::{ContentDigest, Digest, DigestKey};
pub use field::{Effect, Field, FieldValue};
pub use health::{BodyMatch, CheckPolicy, HealthCheck, Host, Probe, StatusMatch};
pub use ids::{BackendKind, ObjectId, OpId, RunId};
pub use machine::{HOST_REFERENCE, HostKeys, LanHost, Machine, Place};
pub use observed::{
    Conflict, Drift, DriftKind, Exit, Health, ObjectState, Observation, ObservedObject, ObservedPart, Repair,
};
pub use secret::{has_password, is_secret_name};
pub use service::{Condition, Dependency, Kind, Lifecycle, Service, Trigger};
pub use spec::{
    Claim, ComposeProject, ComposePull, ComposeService, ComposeSpec, DockerSpec, EngineCheck, Exec, ExternalSpec, Gpus,
    HostFile, HostPort, LogPolicy, Mount, MountSource, NetworkSpec, NetworkUse, PackageSource, PackageSpec,
    PortMapping, ProcessSpec, Protocol, PullPolicy, RemoteSpec, RestartMode, RestartPolicy, RestartRule, Spec,
    StopSignal, Ulimit, UnitDefinition, UnitScope, UnitSource, UnitSpec, UnitTimer, Upload, WireguardSpec,
    compose_digest_field, shown_cpus,
};
pub use strategy::{Amount, Pause, RollFailure, Strategy};
pub use text::Text;
