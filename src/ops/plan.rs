//! `orch plan`: looks, plans and, when asked, saves. Changes nothing that runs.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use super::observe::{Probing, as_recorded, ask_beside, observe};
use super::project::instances;
use super::takeover::Takeover;
use super::{OpError, Project, lan, pins, render};
use crate::backend::Observers;
use crate::model::{
    Address, Desired, DigestKey, ExternalSpec, Instance, Observation, OnFailure, Pins, RunId, Service, ServiceName,
    Spec,
};
use crate::plan::{Mode, Plan, PlanFile, PlanInput, Request, Verb, Warning, add_adoptions, plan, plan_verb};
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
    /// What is taken over that was not made by orch.
    pub(super) taken: Option<Takeover>,
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
    /// Whether what runs without being orch's is left to whoever runs it: what this plan makes goes down again.
    pub own_only: bool,
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
    let asks = options.verb.is_none() && options.request.mode == Mode::Apply && !options.no_refresh;
    let wanted = want(project, options, &observers, &state, asks);
    let (listings, Wanted { desired, pins, notes }) = match options.no_refresh {
        true => (None, wanted.await?),
        false => ask_beside(&observers, wanted).await.map(|(listings, wanted)| (Some(listings), wanted))?,
    };
    let mut instances = instances(&desired, key, &state, &pins);
    for (address, record) in state.records.iter().filter(|(address, _)| options.leave.contains(&address.service)) {
        if let Some(instance) = instances.get_mut(address) {
            *instance = instance.clone().as_recorded(&record.fields, record.revision);
        }
    }
    let observed = match listings {
        None => as_recorded(&state),
        Some(listings) => {
            let probing = if options.request.mode == Mode::Apply { Probing::Settled } else { Probing::Skip };
            observe(&observers, listings, &instances, &state, &project.probe_env(), probing).await?
        }
    };
    let plan = decide(project, options, &state, &instances, &observed, &pins, key)?;
    let planned = Planned { plan, instances, state, taken: None };
    let mut planned = match asks {
        true => take_over(project, options, planned, observed, &observers, key).await?,
        false => planned,
    };
    planned.plan.warnings.extend(notes);
    if options.verb.is_some() {
        planned.instances = as_applied(planned.instances, &planned.state);
    }
    Ok(planned)
}

/// What is wanted, as far as it takes a backend or a machine to say so.
struct Wanted<'p> {
    desired: Cow<'p, Desired>,
    pins: Pins,
    /// What to tell about it.
    notes: Vec<Warning>,
}

async fn want<'p>(
    project: &'p Project,
    options: &PlanOptions,
    observers: &Observers,
    state: &State,
    asks: bool,
) -> Result<Wanted<'p>, OpError> {
    // What goes down, or is only recorded anew, needs no image.
    let (pins, mut notes) = match (&options.pins, options.verb, options.request.mode) {
        (Some(reviewed), ..) => (reviewed.clone(), Vec::new()),
        (None, None, Mode::Apply) => pins::resolve(project, observers, state).await?,
        _ => (pins::recorded(state), Vec::new()),
    };
    if asks {
        notes.extend(lan::check(&project.loaded.desired.lan_hosts).await?);
    }
    // Nor need it be known in full.
    let desired = match (options.verb, options.request.mode) {
        (None, Mode::Apply) => render::resolve(project, observers).await?,
        _ => Cow::Borrowed(&project.loaded.desired),
    };
    Ok(Wanted { desired, pins, notes })
}

/// Plans anew around what runs already and says itself that it is what the plan would make, as if it were recorded:
/// steps of their own record it.
async fn take_over(
    project: &Project,
    options: &PlanOptions,
    planned: Planned,
    mut observed: BTreeMap<Address, Observation>,
    observers: &Observers,
    key: &DigestKey,
) -> Result<Planned, OpError> {
    let Some((taken, warnings)) = Takeover::of_plan(&planned.plan, observers, &planned.instances, key).await else {
        return Ok(planned);
    };
    let Planned { mut plan, state, .. } = planned;
    if options.own_only {
        plan.warnings.extend(taken.proposals());
        return Ok(Planned { plan, state, ..planned });
    }
    let mut instances = planned.instances.clone();
    let op_id = RunId::generate(project.now())?.op(0);
    let mut as_if = state.clone();
    as_if.records.extend(taken.as_if(&op_id, &state, project.now()));
    observed.extend(taken.observed(&op_id));
    instances.extend(taken.instances());
    let mut around = decide(project, options, &as_if, &instances, &observed, &plan.pins, key)?;
    if around.steps.iter().any(|step| taken.has(&step.address)) {
        // What is to be changed at once, say because it follows another service, is better recorded before.
        plan.warnings.extend(taken.proposals());
        return Ok(Planned { plan, state, ..planned });
    }
    add_adoptions(&mut around, &taken.found);
    around.warnings.extend(warnings);
    Ok(Planned { plan: around, instances, state, taken: Some(taken) })
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
