//! Where services are reached: for `orch url`, and for the command of `orch run`.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{OpError, Project, pins};
use crate::backend::{self, Forward, Observers};
use crate::model::{Address, Endpoint, Instance, Known, Part, Reach, Service, Vantage, Viewer};

/// Where one endpoint is reached from this machine.
#[derive(Serialize)]
pub struct Reached {
    /// The instance.
    pub service: Address,
    /// The name of the endpoint.
    pub endpoint: String,
    /// The URL.
    pub url: String,
    /// The host.
    pub host: String,
    /// The port.
    pub port: u16,
    /// What keeps the port up, where it is forwarded.
    #[serde(skip)]
    pub forward: Option<Forward>,
}

/// Where the endpoints of an instance are reached, or the one of that name.
///
/// # Errors
/// When the service or the endpoint is not known, or nobody can say where it is reached.
pub async fn endpoints(project: &Project, name: &str, endpoint: Option<&str>) -> Result<Vec<Reached>, OpError> {
    let Opened { instances, observers } = open(project)?;
    let of_name = |address: &&Address| address.to_string() == name || address.service.as_str() == name;
    let mut chosen: Vec<&Address> = instances.keys().filter(of_name).collect();
    let address = match (chosen.pop(), &chosen[..]) {
        (Some(address), []) => address,
        (None, _) => return Err(super::status::unknown(name, &instances.keys().cloned().collect())),
        (last, others) => {
            let names: Vec<_> = others.iter().copied().chain(last).map(ToString::to_string).collect();
            return Err(OpError::request(
                format!("`{name}` has several instances"),
                format!("name one: {}", names.join(", ")),
            ));
        }
    };
    let instance = &instances[address];
    let own = &instance.service.endpoints;
    if own.is_empty() {
        return Err(OpError::request(format!("{address} has no endpoints"), "give it some: `endpoints: {http: 8080}`"));
    }
    if let Some(endpoint) = endpoint.filter(|endpoint| !own.contains_key(*endpoint)) {
        let names: Vec<&str> = own.keys().map(String::as_str).collect();
        return Err(OpError::request(
            format!("{address} has no endpoint `{endpoint}`"),
            format!("it has {}", names.join(", ")),
        ));
    }
    let mut reached = Vec::new();
    for (name, found) in own.iter().filter(|(name, _)| endpoint.is_none_or(|endpoint| endpoint == **name)) {
        reached.push(one(project, &observers, instance, name, found).await?);
    }
    Ok(reached)
}

/// What a command finds in its environment, and what keeps forwarded ports up while it runs.
pub struct CommandEnv {
    /// `ORCH_API_HTTP_URL` and so on.
    pub variables: BTreeMap<String, String>,
    /// The forwarded ports.
    pub forwards: Vec<Forward>,
}

/// Where every endpoint of the first instance of every service is reached, as environment variables.
///
/// # Errors
/// When nobody can say where an endpoint is reached.
pub async fn command_env(project: &Project) -> Result<CommandEnv, OpError> {
    let Opened { instances, observers } = open(project)?;
    let mut found = CommandEnv { variables: BTreeMap::new(), forwards: Vec::new() };
    let mut last = None;
    for instance in instances.values() {
        if last == Some(&instance.address.service) {
            continue;
        }
        last = Some(&instance.address.service);
        for (name, endpoint) in &instance.service.endpoints {
            let reached = one(project, &observers, instance, name, endpoint).await?;
            let start = variable(&instance.service, name);
            found.variables.insert(format!("{start}_URL"), reached.url);
            found.variables.insert(format!("{start}_HOST"), reached.host);
            found.variables.insert(format!("{start}_PORT"), reached.port.to_string());
            found.forwards.extend(reached.forward);
        }
    }
    Ok(found)
}

/// Refuses services whose endpoints would have the same variables.
///
/// # Errors
/// When there are two such endpoints; they are named.
pub fn check_variables(project: &Project) -> Result<(), OpError> {
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    for service in project.loaded.desired.services.values() {
        for name in service.endpoints.keys() {
            let own = format!("{}.{name}", service.name);
            if let Some(other) = seen.insert(variable(service, name), own.clone()) {
                return Err(OpError::request(
                    format!("the endpoints {other} and {own} would both be {}_URL", variable(service, name)),
                    "give one of them another name",
                ));
            }
        }
    }
    Ok(())
}

/// What the variables of an endpoint begin with.
fn variable(service: &Service, endpoint: &str) -> String {
    let upper = |text: &str| {
        text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect::<String>()
    };
    format!("ORCH_{}_{}", upper(service.name.as_str()), upper(endpoint))
}

struct Opened {
    instances: BTreeMap<Address, Instance>,
    observers: Observers,
}

fn open(project: &Project) -> Result<Opened, OpError> {
    let state = project.store.read()?;
    let key = project.key()?;
    let instances = project.instances(&key, &state, &pins::recorded(&state));
    Ok(Opened { instances, observers: project.observers(&key, &state) })
}

async fn one(
    project: &Project,
    observers: &Observers,
    instance: &Instance,
    name: &str,
    endpoint: &Endpoint,
) -> Result<Reached, OpError> {
    let Instance { address, service, .. } = instance;
    let failed = |error| OpError::backend(format!("looking for the endpoint {name} of {address}"), error);
    let observer = observers.get(service.spec.backend()).map(AsRef::as_ref);
    if let (Some(observer), Some(_)) = (observer, &endpoint.port_forward)
        && let Some(object) = backend::serving(observer, address).await.map_err(failed)?
        && let Some(forward) = observer.forward(&object.id, endpoint).await.map_err(failed)?
    {
        let reach = Reach { host: forward.local.ip().to_string(), port: forward.local.port() };
        return Ok(Reached::new(address, name, endpoint, reach, Some(forward)));
    }
    let reach = match service.known(endpoint, Viewer::Here, project.loaded.engine_here) {
        Known::At(reach) => reach,
        Known::Later(_) => backend::reach(observer, address, service, endpoint, Vantage::Here).await.map_err(failed)?,
        Known::Never(why, help) => {
            return Err(OpError::request(format!("the endpoint {name} of {address} cannot be reached: {why}"), help));
        }
    };
    Ok(Reached::new(address, name, endpoint, reach, None))
}

impl Reached {
    fn new(address: &Address, name: &str, endpoint: &Endpoint, reach: Reach, forward: Option<Forward>) -> Self {
        Self {
            service: address.clone(),
            endpoint: name.to_owned(),
            url: Part::Url.of(endpoint, &reach),
            host: reach.host,
            port: reach.port,
            forward,
        }
    }
}
