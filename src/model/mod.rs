//! What a service is: addresses, specs, health policy, dependencies. No I/O.

mod address;
mod desired;
mod digest;
mod endpoint;
mod field;
mod health;
mod ids;
mod known;
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
pub use endpoint::{
    Endpoint, Part, PortForward, Reach, Reference, SERVICE_REFERENCE, Seat, Vantage, map_text, replace_references,
};
pub use field::{Effect, Field, FieldValue};
pub use health::{BodyMatch, CheckPolicy, HealthCheck, Host, Probe, StatusMatch};
pub use ids::{BackendKind, ObjectId, OpId, RunId};
pub use known::{Known, Viewer};
pub use machine::{HOST_REFERENCE, HostKeys, LanHost, Machine, Place};
pub use observed::{
    Conflict, Drift, DriftKind, Exit, Health, ObjectState, Observation, ObservedObject, ObservedPart, Repair,
};
pub use secret::{has_password, is_secret_name};
pub use service::{Condition, Dependency, Kind, Lifecycle, Service, Trigger};
pub use spec::{
    ADOPTED_REVISION, Chart, Claim, ComposeProject, ComposePull, ComposeService, ComposeSpec, DockerSpec, EngineCheck,
    Exec, ExternalSpec, Gpus, HelmSpec, HostFile, HostPort, KubeCluster, KubeId, KubeObject, KubernetesSpec, LogPolicy,
    Manifest, Mount, MountSource, NetworkSpec, NetworkUse, PackageSource, PackageSpec, PortMapping, ProcessSpec,
    Protocol, PullPolicy, RemoteSpec, Rendered, RestartMode, RestartPolicy, RestartRule, Spec, StopSignal, Ulimit,
    UnitDefinition, UnitScope, UnitSource, UnitSpec, UnitTimer, Upload, Values, ValuesFile, WireguardSpec,
    compose_digest_field, shown_cpus,
};
pub use strategy::{Amount, Pause, RollFailure, Strategy};
pub use text::Text;
