//! `orch plan`: looks, plans and, when asked, saves. Changes nothing that runs.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use super::observe::{Probing, as_recorded, observe};
use super::project::instances;
use super::{OpError, Project, adopt, lan, pins, render};
use crate::model::{
    Address, DigestKey, ExternalSpec, Instance, Observation, OnFailure, Pins, Service, ServiceName, Spec,
};
use crate::plan::{Mode, Plan, PlanFile, PlanInput, Request, Verb, plan, plan_verb};
use crate::state::{Record, State};
use crate::sys::{self, Durability};

/// A plan and what it was made from.
pub struct Planned {
    /// The plan.
    pub plan: Plan,
    /// What the file wants, by address.
    pub instances: BTreeMap<Address, Instance>,
    /// What is recorded.
    pub state: State,
}

/// How a plan is to be made.
#[derive(Debug, Clone, Default)]
pub struct PlanOptions {
    /// What to plan.
    pub request: Request,
    /// Plan from what is recorded, without looking.
    pub no_refresh: bool,
    /// What happens when a step fails, where the file's word is not to be taken.
    pub on_failure: Option<OnFailure>,
    /// What images stood for when the plan was reviewed, in the place of asking.
    pub pins: Option<Pins>,
    /// A verb in the place of a comparison.
    pub verb: Option<Verb>,
    /// Services that stay as they are recorded, whatever the file says.
    pub leave: BTreeSet<ServiceName>,
}

/// Makes a plan.
///
/// # Errors
/// When the state cannot be read, a backend cannot be asked, or there is no plan.
pub async fn make_plan(project: &Project, options: &PlanOptions) -> Result<Planned, OpError> {
    let state = project.store.read()?;
    let key = project.key()?;
    check_key(project, &state)?;
    plan_from(project, options, state, &key).await
}

pub(super) async fn plan_from(
    project: &Project,
    options: &PlanOptions,
    state: State,
    key: &DigestKey,
) -> Result<Planned, OpError> {
    check_project(project, &state)?;
    let observers = project.observers(key, &state);
    // What goes down, or is only recorded anew, needs no image.
    let (pins, notes) = match (&options.pins, options.verb, options.request.mode) {
        (Some(reviewed), ..) => (reviewed.clone(), Vec::new()),
        (None, None, Mode::Apply) => pins::resolve(project, &observers, &state).await?,
        _ => (pins::recorded(&state), Vec::new()),
    };
    let asks = options.verb.is_none() && options.request.mode == Mode::Apply && !options.no_refresh;
    let off_lan = if asks { lan::check(&project.loaded.desired.lan_hosts).await? } else { Vec::new() };
    // What goes down, or is only recorded anew, need not be known in full.
    let desired = match (options.verb, options.request.mode) {
        (None, Mode::Apply) => render::resolve(project, &observers).await?,
        _ => Cow::Borrowed(&project.loaded.desired),
    };
    let mut instances = instances(&desired, key, &state, &pins);
    for (address, record) in state.records.iter().filter(|(address, _)| options.leave.contains(&address.service)) {
        if let Some(instance) = instances.get_mut(address) {
            *instance = instance.clone().as_recorded(&record.fields, record.revision);
        }
    }
    let observed = match options.no_refresh {
        true => as_recorded(&state),
        false => {
            let probing = if options.request.mode == Mode::Apply { Probing::Settled } else { Probing::Skip };
            observe(&observers, &instances, &state, &project.probe_env(), probing).await?
        }
    };
    let mut plan = decide(project, options, &state, &instances, &observed, &pins, key)?;
    plan.warnings.extend(notes.into_iter().chain(off_lan));
    if asks {
        plan.warnings.extend(adopt::proposals(&plan, &observers, &instances, key).await);
    }
    let instances = if options.verb.is_some() { as_applied(instances, &state) } else { instances };
    Ok(Planned { plan, instances, state })
}

fn decide(
    project: &Project,
    options: &PlanOptions,
    state: &State,
    instances: &BTreeMap<Address, Instance>,
    observed: &BTreeMap<Address, Observation>,
    pins: &Pins,
    key: &DigestKey,
) -> Result<Plan, OpError> {
    let desired = &project.loaded.desired;
    let input = PlanInput {
        project: &desired.project,
        desired: instances,
        inactive: &project.inactive(),
        recorded: state,
        observed,
        looked: !options.no_refresh,
        now: project.now(),
        request: &options.request,
        pins,
        max_parallel: project.max_parallel(),
        max_parallel_given: project.max_parallel_given(),
        on_failure: options.on_failure.unwrap_or(desired.settings.on_failure),
        source: project.source(),
        inputs: desired.inputs(key),
    };
    let planned = match options.verb {
        Some(verb) => plan_verb(&input, verb),
        None => plan(input),
    };
    planned.map_err(OpError::Plan)
}

/// The instances as they were applied, for the verbs: they act on that, whatever the file says now.
/// Of the file come only the checks, and nothing where it no longer has the service.
fn as_applied(mut wanted: BTreeMap<Address, Instance>, state: &State) -> BTreeMap<Address, Instance> {
    let applied = |(address, record): (&Address, &Record)| {
        let gone = || Service::new(address.service.clone(), Spec::External(ExternalSpec {}));
        let service = wanted.remove(address).map_or_else(|| Arc::new(gone()), |instance| instance.service);
        let service = Arc::new(Service { kind: record.kind, ..(*service).clone() });
        let instance =
            Instance { address: address.clone(), service, pin: None, fields: Vec::new(), revision: record.revision };
        (address.clone(), instance)
    };
    state.records.iter().map(applied).collect()
}

/// Without the key nothing that is recorded can be compared: everything would look changed.
pub(super) fn check_key(project: &Project, state: &State) -> Result<(), OpError> {
    if state.records.is_empty() || project.store.key()?.is_some() {
        return Ok(());
    }
    let dir = project.store.dir().display();
    Err(OpError::request(
        format!("{dir}/digest.key is gone, and the digests in the state mean nothing without it"),
        "put it back from where it was copied to; or forget the records with `orch state rm` and let `orch apply` take over what runs",
    ))
}

/// The state folder may be another project's: a file that was copied, a `--state-dir` that is wrong.
pub(super) fn check_project(project: &Project, state: &State) -> Result<(), OpError> {
    let own = &project.loaded.desired.project;
    match &state.project {
        Some(other) if other != own => Err(OpError::request(
            format!(
                "the state in {} is of project `{other}`, the file is of project `{own}`",
                project.store.dir().display()
            ),
            format!("name the project in the file (`project: {other}`), or give this one its own `settings.state_dir`"),
        )),
        _ => Ok(()),
    }
}

/// Makes a plan and saves it. The key is stored with it: without the key, the digests in the plan
/// could not be compared when it is applied.
///
/// # Errors
/// As [`make_plan`], and when the file cannot be written.
pub async fn save_plan(project: &Project, options: &PlanOptions, path: &Path) -> Result<Planned, OpError> {
    project.store.ensure_key()?;
    let planned = make_plan(project, options).await?;
    let file = PlanFile::seal(planned.plan.clone());
    sys::write_atomic(path, &file.to_bytes(), Durability::Durable).map_err(OpError::io("write", path))?;
    Ok(planned)
}

/// Reads a plan file and checks that it was not altered.
///
/// # Errors
/// When it cannot be read, or is not a sound plan.
pub fn read_plan(path: &Path) -> Result<PlanFile, OpError> {
    let bytes = std::fs::read(path).map_err(OpError::io("read", path))?;
    PlanFile::from_bytes(&bytes).map_err(|source| OpError::PlanFile { path: path.to_owned(), source })
}

impl PlanOptions {
    /// A plan of everything, as the file says.
    #[must_use]
    pub fn of(mode: Mode) -> Self {
        Self { request: Request { mode, ..Request::default() }, ..Self::default() }
    }
}
