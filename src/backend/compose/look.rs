//! The containers of Compose projects, as the engine has them.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use bollard::models::{
    ContainerInspectResponse, ContainerStateStatusEnum as Status, ContainerSummary, HealthStatusEnum,
    RestartPolicyNameEnum,
};
use bollard::query_parameters::{InspectContainerOptions, ListContainersOptionsBuilder};
use futures_util::{StreamExt, TryStreamExt};
use jiff::Timestamp;

use crate::backend::BackendError;
use crate::backend::docker::{Engine, exit_of, failed, is_missing, state_of, time_of};
use crate::model::{Exit, ObjectState};

/// Compose's own labels.
pub(super) const COMPOSE_PROJECT: &str = "com.docker.compose.project";
pub(super) const COMPOSE_SERVICE: &str = "com.docker.compose.service";
const HASH: &str = "com.docker.compose.config-hash";
const NUMBER: &str = "com.docker.compose.container-number";
const ONE_OFF: &str = "com.docker.compose.oneoff";
const DEPENDS_ON: &str = "com.docker.compose.depends_on";

/// How many containers are asked about at once.
const AT_ONCE: usize = 16;

/// A container of a service of a project.
#[derive(Debug, Clone)]
pub(super) struct Container {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) service: String,
    pub(super) number: u32,
    pub(super) labels: HashMap<String, String>,
    /// The image that it runs, by the engine's id.
    pub(super) image: String,
    /// The image that it was made from, by name.
    pub(super) image_name: String,
    pub(super) doing: Doing,
    pub(super) started: Option<Timestamp>,
    /// How long it has been running without a health check to say more; `None` where it has one.
    pub(super) unchecked_for: Option<Duration>,
    pub(super) restarts: u32,
    /// Services that this one waits for to run to their end.
    pub(super) waits_for: Vec<String>,
}

/// What a container is doing, as far as it matters to its project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Doing {
    /// It runs, and is healthy where it has a check.
    Well,
    /// It runs, and its check has not come to an answer.
    Starting,
    /// It runs, and its check fails; what that said last.
    Unhealthy(String),
    /// It is down for a moment.
    Restarting,
    /// It goes down again and again.
    CrashLoop(Exit),
    /// It ran to its end with success. Whether that is what it is for is not said by that.
    Succeeded {
        /// Whether the engine would have started it again, or it serves: then somebody stopped it.
        stopped: bool,
    },
    /// It ended otherwise.
    Failed(Exit),
    /// It was made and never started.
    Unstarted,
}

impl Container {
    /// Takes what the engine says; `None` for what is no container of a project, is one of `docker compose run`,
    /// or is being removed.
    pub(super) fn of(found: &ContainerInspectResponse, now: Timestamp) -> Option<(String, Self)> {
        let config = found.config.as_ref()?;
        let labels = config.labels.clone()?;
        let project = labels.get(COMPOSE_PROJECT)?.clone();
        if labels.get(ONE_OFF).is_some_and(|one_off| one_off.eq_ignore_ascii_case("true")) {
            return None;
        }
        let state = found.state.as_ref()?;
        let restarts = found.restart_count.unwrap_or(0);
        let doing = match state_of(state, restarts, now) {
            _ if matches!(state.status, Some(Status::REMOVING | Status::DEAD)) => return None,
            ObjectState::Running | ObjectState::Starting => {
                let health = state.health.as_ref();
                let said = || {
                    let last = health.and_then(|health| health.log.as_ref()?.last()?.output.as_deref());
                    last.and_then(|output| output.lines().rev().find(|line| !line.trim().is_empty()))
                        .map(|line| line.trim().to_owned())
                        .unwrap_or_default()
                };
                match health.and_then(|health| health.status) {
                    Some(HealthStatusEnum::STARTING) => Doing::Starting,
                    Some(HealthStatusEnum::UNHEALTHY) => Doing::Unhealthy(said()),
                    _ => Doing::Well,
                }
            }
            ObjectState::Restarting => Doing::Restarting,
            ObjectState::CrashLoop(exit) => Doing::CrashLoop(exit),
            ObjectState::Exited(exit) if exit.is_success() => Doing::Succeeded { stopped: serves(found) },
            ObjectState::Exited(exit) => Doing::Failed(exit),
            ObjectState::Stopped => Doing::Unstarted,
            ObjectState::Lost => Doing::Failed(exit_of(state)),
        };
        let started = time_of(state.started_at.as_ref());
        let depends = labels.get(DEPENDS_ON).map(String::as_str).unwrap_or_default().split(',');
        let waits = depends.filter_map(|depends| {
            let (service, how) = depends.split_once(':')?;
            how.starts_with("service_completed_successfully").then(|| service.to_owned())
        });
        let container = Self {
            id: found.id.clone()?,
            name: found.name.as_deref().unwrap_or_default().trim_start_matches('/').to_owned(),
            service: labels.get(COMPOSE_SERVICE)?.clone(),
            number: labels.get(NUMBER).and_then(|number| number.parse().ok()).unwrap_or(1),
            image: found.image.clone().unwrap_or_default(),
            image_name: config.image.clone().unwrap_or_default(),
            doing,
            unchecked_for: started.filter(|_| !has_check(found)).map(|at| {
                // The engine's clock may be ahead: then it is not known, and it counts as long.
                Duration::try_from(now.duration_since(at)).unwrap_or(Duration::MAX)
            }),
            started,
            restarts: u32::try_from(restarts).unwrap_or(0),
            waits_for: waits.collect(),
            labels,
        };
        Some((project, container))
    }

    /// The digest that Compose made of its definition.
    pub(super) fn hash(&self) -> Option<&str> {
        self.labels.get(HASH).map(String::as_str)
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(self.doing, Doing::Well | Doing::Starting | Doing::Unhealthy(_) | Doing::Restarting)
    }
}

/// Whether a container is meant to go on: the engine would start it again, it has a health check, or it
/// publishes a port.
fn serves(found: &ContainerInspectResponse) -> bool {
    let host = found.host_config.as_ref();
    let policy = host.and_then(|host| host.restart_policy.as_ref()).and_then(|policy| policy.name);
    let goes_on = matches!(policy, Some(RestartPolicyNameEnum::ALWAYS | RestartPolicyNameEnum::UNLESS_STOPPED));
    let publishes = host.and_then(|host| host.port_bindings.as_ref()).is_some_and(|ports| !ports.is_empty());
    goes_on || publishes || has_check(found)
}

fn has_check(found: &ContainerInspectResponse) -> bool {
    let health = found.state.as_ref().and_then(|state| state.health.as_ref());
    !matches!(health.and_then(|health| health.status), None | Some(HealthStatusEnum::NONE | HealthStatusEnum::EMPTY))
}

/// Every container of an engine, up or not; with a label only those that have it.
pub(super) async fn summaries(engine: &Engine, label: Option<&str>) -> Result<Vec<ContainerSummary>, BackendError> {
    let mut options = ListContainersOptionsBuilder::default().all(true);
    if let Some(label) = label {
        options = options.filters(&HashMap::from([("label", vec![label])]));
    }
    engine.list_containers(Some(options.build())).await.map_err(|error| failed("list the containers", &error))
}

/// The containers of those projects that are wanted, by project, each in the order of services and numbers.
pub(super) async fn projects(
    engine: &Engine,
    is_wanted: impl Fn(&str, &HashMap<String, String>) -> bool,
) -> Result<BTreeMap<String, Vec<Container>>, BackendError> {
    let all = summaries(engine, Some(COMPOSE_PROJECT)).await?;
    let wanted = all.into_iter().filter(|summary| {
        let labels = summary.labels.as_ref();
        labels.is_some_and(|labels| labels.get(COMPOSE_PROJECT).is_some_and(|project| is_wanted(project, labels)))
    });
    inspected(engine, wanted.collect()).await
}

/// The containers of one project.
pub(super) async fn of_project(engine: &Engine, project: &str) -> Result<Vec<Container>, BackendError> {
    let all = summaries(engine, Some(&format!("{COMPOSE_PROJECT}={project}"))).await?;
    Ok(inspected(engine, all).await?.remove(project).unwrap_or_default())
}

async fn inspected(
    engine: &Engine,
    all: Vec<ContainerSummary>,
) -> Result<BTreeMap<String, Vec<Container>>, BackendError> {
    let now = crate::sys::now();
    let ids = all.into_iter().filter_map(|summary| summary.id);
    let asked = futures_util::stream::iter(ids).map(|id| async move {
        match engine.inspect_container(&id, None::<InspectContainerOptions>).await {
            Ok(found) => Ok(Container::of(&found, now)),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(failed("look at a container", &error)),
        }
    });
    let found: Vec<Option<(String, Container)>> = asked.buffer_unordered(AT_ONCE).try_collect().await?;
    let mut projects: BTreeMap<String, Vec<Container>> = BTreeMap::new();
    for (project, container) in found.into_iter().flatten() {
        projects.entry(project).or_default().push(container);
    }
    for containers in projects.values_mut() {
        containers.sort_by(|a, b| (&a.service, a.number, &a.id).cmp(&(&b.service, b.number, &b.id)));
    }
    Ok(projects)
}
