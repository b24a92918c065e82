//! What a service is: addresses, specs, health policy, dependencies. No I/O.

mod address;
mod desired;
mod digest;
mod field;
mod health;
mod ids;
mod observed;
mod service;
mod spec;
mod text;

pub use address::{Address, AddressError, InstanceKey, ProjectName, ServiceName};
pub use desired::{Desired, Input, InputKind, Instance, OnFailure, Settings, Source, effect_of};
pub use digest::{ContentDigest, Digest, DigestKey};
pub use field::{Effect, Field, FieldValue};
pub use health::{BodyMatch, CheckPolicy, HealthCheck, Host, Probe, StatusMatch};
pub use ids::{BackendKind, ObjectId, OpId, RunId};
pub use observed::{Conflict, Drift, DriftKind, Exit, Health, ObjectState, Observation, ObservedObject};
pub use service::{Condition, Dependency, Kind, Lifecycle, Service, Trigger};
pub use spec::{ExternalSpec, LogPolicy, ProcessSpec, RestartMode, RestartPolicy, Spec, StopSignal};
pub use text::Text;
