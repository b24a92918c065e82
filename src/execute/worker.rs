//! One worker obeys one step: intent, operations, gate, and the way back when one of them fails.
//!
//! The intent is durable before the first operation and the end before the dispatcher hears of it.
//! A worker that is killed, or cancelled, anywhere in between leaves an intent without an end: the
//! next plan looks at what carries its op-id and goes on from there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};

use super::dispatcher::Happening;
use super::evidence::{self, Evidence};
use super::work::Work;
use crate::backend::{self, BackendError, Observer, OpContext, Operator, ProgressSink};
use crate::event::{StepOutcome, What};
use crate::health;
use crate::model::{BackendKind, Instance, Kind, ObjectId, OnFailure, OpId, Reference};
use crate::plan::{Action, GateBy, Mode, ObjectRef, Operation, Step};
use crate::state::{End, Pending, Record, RecordChange, RecordStatus};

/// Why a step failed, as the user reads it.
pub(super) struct Failure {
    pub(super) message: String,
    /// The object that failed, whose log is evidence.
    object: Option<(BackendKind, ObjectId)>,
    /// The last answers of its checks.
    probes: Vec<String>,
    /// Whether nothing was touched yet, so that there is nothing to go back from.
    untouched: bool,
}

impl Failure {
    fn new(message: impl Into<String>, object: Option<(BackendKind, ObjectId)>) -> Self {
        Self { message: message.into(), object, probes: Vec::new(), untouched: false }
    }
}

/// Does one step and reports it; returns when its end is durable, or when it is cancelled.
pub(super) async fn work(
    work: Arc<Work>,
    index: usize,
    happenings: mpsc::UnboundedSender<Happening>,
    mut cancelled: watch::Receiver<bool>,
) {
    let step = &work.plan.steps[index];
    let worker = Worker::new(&work, step, happenings.clone());
    let began = Instant::now();
    let ended = tokio::select! {
        biased;
        ended = worker.run(began) => ended,
        // Nothing is written: what is half done is for the next plan to look at.
        _ = cancelled.wait_for(|cancelled| *cancelled) => Ok(StepOutcome::Cancelled),
    };
    let (outcome, happening) = match ended {
        Ok(outcome) => (outcome.clone(), Happening::Ended(step.id, outcome)),
        Err(error) => (StepOutcome::Failed { error: error.clone() }, Happening::Unwritable(step.id, error)),
    };
    work.events.emit(What::StepFinished {
        step: step.id,
        address: step.address.clone(),
        action: step.action,
        outcome,
        took_ms: millis(began.elapsed()),
    });
    // The loop outlives its workers; when it is gone there is nobody left to tell.
    let _ = happenings.send(happening);
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

pub(super) struct Worker<'a> {
    pub(super) work: &'a Work,
    pub(super) step: &'a Step,
    pub(super) op_id: OpId,
    pub(super) happenings: mpsc::UnboundedSender<Happening>,
    /// The old record, from which a rollback and the new record start.
    pub(super) before: Option<&'a Record>,
}

impl<'a> Worker<'a> {
    pub(super) fn new(work: &'a Work, step: &'a Step, happenings: mpsc::UnboundedSender<Happening>) -> Self {
        let before = work.records.get(step.renamed_from.as_ref().unwrap_or(&step.address));
        Self { work, step, op_id: work.run.op(step.id.0), happenings, before }
    }

    /// Does the step. `Err` means that the state can no longer be written.
    async fn run(&self, began: Instant) -> Result<StepOutcome, String> {
        let Step { id, address, action, reason, .. } = self.step;
        let pending = Pending {
            run: self.work.run.clone(),
            op_id: self.op_id.clone(),
            action: action.to_string(),
            backend: self.step.backend,
            begun_at: (self.work.clock)(),
        };
        self.work.intents.begin(id.0, address, pending).await.map_err(|error| error.to_string())?;
        self.work.events.emit(What::StepStarted {
            step: *id,
            address: address.clone(),
            op_id: self.op_id.clone(),
            action: *action,
            reason: reason.clone(),
        });
        let mut created = None;
        let obeyed = self.obey(&self.step.operations, &mut created, false).await;
        let (outcome, end) = match obeyed {
            Ok(()) => {
                // The loop outlives its workers; when it is gone there is nobody left to tell.
                let _ = self.happenings.send(Happening::Ending(self.step.id));
                if let Some(id) = created.clone().filter(|_| !self.step.undo.is_empty()) {
                    self.work.made.lock().unwrap_or_else(PoisonError::into_inner).insert(self.step.id, id);
                }
                (StepOutcome::Done, self.end_done(created, began))
            }
            Err(failure) => self.fail(failure, created).await,
        };
        crate::crash_point!("step.end.before");
        self.work.intents.end(end).await.map_err(|error| error.to_string())?;
        crate::crash_point!("step.end.after");
        Ok(outcome)
    }

    /// Obeys a list of operations, forward or back.
    pub(super) async fn obey(
        &self,
        operations: &[Operation],
        created: &mut Option<ObjectId>,
        back: bool,
    ) -> Result<(), Failure> {
        let mut told = back;
        for operation in operations {
            if !told && matches!(operation, Operation::Gate { .. }) {
                told = true;
                self.tell_started();
            }
            self.note(operation);
            crate::crash_point!("step.operation.before");
            match operation {
                // A gate keeps to its own deadline, and says what it waited for.
                Operation::Gate { object, by } => {
                    let object = object.as_ref().and_then(|object| self.resolve(object, created));
                    self.gate(object, *by, back).await?;
                }
                // It comes first, and what runs goes on running.
                Operation::Prepare => {
                    self.prepare().await.map_err(|failure| Failure { untouched: true, ..failure })?;
                }
                _ => self.operate_in_time(operation, created).await?,
            }
            crate::crash_point!("step.operation.after");
        }
        Ok(())
    }

    fn tell_started(&self) {
        // The loop outlives its workers; when it is gone there is nobody left to tell.
        let _ = self.happenings.send(Happening::Started(self.step.id));
    }

    fn note(&self, operation: &Operation) {
        let new = |object: &ObjectRef| if *object == ObjectRef::New { "the new one" } else { "it" };
        let old = |object: &ObjectRef| {
            let replaces = matches!(self.step.action, Action::Replace { .. } | Action::Adopt);
            if *object == ObjectRef::New {
                "the new one"
            } else if replaces {
                "the old one"
            } else {
                "it"
            }
        };
        let detail = match operation {
            Operation::Prepare => "getting what it needs".to_owned(),
            Operation::Create => "starting the new one".to_owned(),
            Operation::Update { object } => format!("updating {}", new(object)),
            Operation::Switch { object } => format!("switching {}", new(object)),
            Operation::Revert { object } => format!("bringing back what {} was before", new(object)),
            Operation::Confirm { .. } => "confirming that its host can be reached".to_owned(),
            Operation::Start { object } => format!("starting {}", old(object)),
            Operation::Stop { object } => format!("stopping {}", old(object)),
            Operation::Restart { object } => format!("restarting {}", new(object)),
            Operation::Remove { object, .. } => format!("removing {}", old(object)),
            Operation::Gate { .. } => "waiting for its gate".to_owned(),
        };
        self.work.events.emit(What::Operation { step: self.step.id, address: self.step.address.clone(), detail });
    }

    fn context(&self) -> OpContext {
        self.context_with(ProgressSink::default())
    }

    fn context_with(&self, progress: ProgressSink) -> OpContext {
        OpContext {
            address: self.step.address.clone(),
            op_id: self.op_id.clone(),
            progress,
            confirm: self.step.confirm_ms.map(Duration::from_millis),
        }
    }

    fn operator(&self, backend: BackendKind) -> Result<&Arc<dyn Operator>, Failure> {
        let missing = || Failure::new(format!("there is no backend `{backend}`"), None);
        self.work.operators.get(backend).ok_or_else(missing)
    }

    /// The backend and the object that a reference means; `None` for a new one that never was made.
    fn resolve(&self, object: &ObjectRef, created: &Option<ObjectId>) -> Option<(BackendKind, ObjectId)> {
        match object {
            ObjectRef::New => created.clone().map(|id| (self.step.backend, id)),
            ObjectRef::Existing { backend, id } => Some((*backend, id.clone())),
        }
    }

    fn instance(&self) -> Result<&'a Instance, Failure> {
        let instance = self.work.instances.get(&self.step.address);
        let found = instance.filter(|instance| Some(instance.revision) == self.step.revision);
        found.ok_or_else(|| Failure::new("the file no longer has the revision that was planned", None))
    }

    /// The instance with what its program reads of where others are reached filled in, which is known now that they
    /// run. Its revision stays that of what the file says.
    async fn filled(&self) -> Result<Instance, Failure> {
        let instance = self.instance()?;
        let references = instance.service.references_of_program();
        if references.is_empty() {
            return Ok(instance.clone());
        }
        self.filled_with(&references).await.map_err(|error| self.refused(error, None))
    }

    /// The same with what its checks read. Where that cannot be found out, because it has ended already say, the gate
    /// says what became of it.
    async fn filled_for_gate(&self) -> Result<Instance, Failure> {
        let instance = self.instance()?;
        let references = instance.service.references();
        if references.is_empty() {
            return Ok(instance.clone());
        }
        let filled = self.filled_with(&references).await;
        Ok(filled.unwrap_or_else(|_| Instance { service: instance.service.as_written().into(), ..instance.clone() }))
    }

    async fn filled_with(&self, references: &BTreeSet<Reference>) -> Result<Instance, BackendError> {
        let observer = |kind| self.work.operators.get(kind).map(|operator| operator.as_ref() as &dyn Observer);
        let values = backend::resolve(references, &self.work.instances, observer).await?;
        let instance = self.instance().map_err(|failure| BackendError::new(failure.message))?;
        Ok(Instance { service: Arc::new(instance.service.filled(&values)), ..instance.clone() })
    }

    /// Gets what the new object needs. A large image may take longer than an operation may, so that
    /// only a standstill counts.
    async fn prepare(&self) -> Result<(), Failure> {
        let patience = Duration::from_millis(self.step.timeout_ms);
        let (moved, mut moves) = watch::channel(());
        let (events, step, address) = (self.work.events.clone(), self.step.id, self.step.address.clone());
        let progress = ProgressSink::new(move |progress| {
            moved.send_replace(());
            events.emit(What::Progressed { step, address: address.clone(), progress });
        });
        let context = self.context_with(progress);
        let operator = self.operator(self.step.backend)?;
        let prepared = operator.prepare(&context, self.instance()?);
        tokio::pin!(prepared);
        loop {
            tokio::select! {
                done = &mut prepared => return done.map_err(|error| self.refused(error, None)),
                Ok(()) = moves.changed() => {}
                () = tokio::time::sleep(patience) => {
                    return Err(Failure::new(format!("the backend made no progress for {patience:?}"), None));
                }
            }
        }
    }

    async fn operate_in_time(&self, operation: &Operation, created: &mut Option<ObjectId>) -> Result<(), Failure> {
        let timeout = Duration::from_millis(self.step.timeout_ms);
        match tokio::time::timeout(timeout, self.operate(operation, created)).await {
            Ok(done) => done,
            Err(_) => {
                let object = created.clone().map(|id| (self.step.backend, id));
                Err(Failure::new(format!("the backend did not answer within {timeout:?}"), object))
            }
        }
    }

    async fn operate(&self, operation: &Operation, created: &mut Option<ObjectId>) -> Result<(), Failure> {
        let context = self.context();
        if *operation == Operation::Create {
            let backend = self.step.backend;
            let made = self.operator(backend)?.create(&context, &self.filled().await?).await;
            let id = made.map_err(|error| {
                let object = error.object.clone().map(|id| (backend, id));
                self.refused(error, object)
            })?;
            *created = Some(id);
            return Ok(());
        }
        // A rollback may begin before the new object was made: then there is nothing to remove.
        let Some((backend, id)) = operation.object().and_then(|object| self.resolve(object, created)) else {
            return Ok(());
        };
        let operator = self.operator(backend)?;
        let done = match operation {
            Operation::Update { .. } => operator.update(&context, &id, &self.filled().await?).await,
            Operation::Switch { .. } => operator.switch(&context, &id, &self.filled().await?).await,
            // What it goes back from is what the step did, also where going back is an attempt of its own.
            Operation::Revert { .. } => {
                let context = OpContext { op_id: self.work.run.op(self.step.id.0), ..context };
                operator.revert(&context, &id).await
            }
            Operation::Confirm { .. } => operator.confirm(&context, &id).await,
            Operation::Start { .. } => operator.start(&context, &id).await,
            Operation::Stop { .. } => operator.stop(&context, &id).await,
            Operation::Restart { .. } => operator.restart(&context, &id, &self.filled().await?).await,
            Operation::Remove { volumes, .. } => operator.remove(&context, &id, *volumes).await,
            Operation::Prepare | Operation::Create | Operation::Gate { .. } => Ok(()),
        };
        done.map_err(|error| self.refused(error, Some((backend, id))))
    }

    fn refused(&self, error: BackendError, object: Option<(BackendKind, ObjectId)>) -> Failure {
        let hint = error.hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
        Failure::new(format!("{}{hint}", error.message), object)
    }

    async fn gate(&self, object: Option<(BackendKind, ObjectId)>, by: GateBy, back: bool) -> Result<(), Failure> {
        let wanted = &self.filled_for_gate().await?;
        let judged = match (by, back, self.before) {
            (GateBy::Checks, false, _) | (_, _, None) => wanted.clone(),
            (_, _, Some(before)) => before_instance(wanted, before, by),
        };
        let operator = match &object {
            Some((backend, id)) => Some((self.operator(*backend)?, id)),
            None => None,
        };
        let looked_at = operator.map(|(operator, id)| (operator.as_ref() as &dyn crate::backend::Observer, id));
        let mut on_probe = |probe: health::ProbeReport| {
            self.work.events.emit(What::Probed {
                step: self.step.id,
                address: self.step.address.clone(),
                check: probe.check,
                attempt: probe.attempt,
                healthy: probe.healthy,
                detail: probe.detail,
            });
        };
        let mut passed = health::gate(&judged, looked_at, &self.work.probe_env, &mut on_probe).await.map(drop);
        let hold = Duration::from_millis(self.step.min_healthy_ms);
        if passed.is_ok() && !back && !hold.is_zero() && judged.service.kind != Kind::Job {
            passed = health::hold(&judged, looked_at, &self.work.probe_env, hold, &mut on_probe).await;
        }
        passed.map_err(|missed| {
            let probes = missed.probes.iter().map(|probe| probe.detail.clone()).collect();
            Failure { probes, ..Failure::new(missed.to_string(), object) }
        })
    }

    /// What a failure leads to: the evidence is kept first, then the plan's way back is taken.
    async fn fail(&self, failure: Failure, mut created: Option<ObjectId>) -> (StepOutcome, End) {
        let error = failure.message;
        let object = failure.object.or_else(|| created.clone().map(|id| (self.step.backend, id)));
        let mut found = Evidence { error: &error, probes: failure.probes, ..Evidence::default() };
        if let Some((backend, id)) = &object
            && let Some(operator) = self.work.operators.get(*backend)
        {
            found.log = operator.tail(id, evidence::LOG_LINES).await.unwrap_or_default();
            found.state = operator.inspect(id).await.ok().flatten().map(|object| evidence::state(&object));
        }
        found.keep(&self.work.evidence, &self.work.events, self.step);
        if failure.untouched && self.before.is_some() {
            return (StepOutcome::Failed { error }, self.end("failed", RecordChange::Keep));
        }
        let goes_back = self.work.plan.on_failure == OnFailure::Rollback && !self.step.rollback.is_empty();
        let Some(before) = self.before.filter(|_| goes_back) else {
            return (StepOutcome::Failed { error }, self.end_failed(object));
        };
        self.work.events.emit(What::RollbackStarted {
            step: self.step.id,
            address: self.step.address.clone(),
            error: error.clone(),
        });
        crate::crash_point!("step.rollback.before");
        match self.obey(&self.step.rollback, &mut created, true).await {
            Ok(()) => (StepOutcome::RolledBack { error }, self.end("rolled_back", RecordChange::Keep)),
            Err(failure) => {
                let record = Record { status: RecordStatus::Failed, updated_at: (self.work.clock)(), ..before.clone() };
                let outcome = StepOutcome::RollbackFailed { error, rollback_error: failure.message };
                (outcome, self.end("rollback_failed", RecordChange::Put(record)))
            }
        }
    }

    pub(super) fn end(&self, outcome: &str, record: RecordChange) -> End {
        let done = outcome == "done";
        End {
            step: self.step.id.0,
            address: self.step.address.clone(),
            outcome: outcome.to_owned(),
            done,
            record,
            renamed_from: self.step.renamed_from.clone().filter(|_| done),
            at: (self.work.clock)(),
        }
    }

    fn end_done(&self, created: Option<ObjectId>, began: Instant) -> End {
        let record = match self.step.action {
            Action::Delete | Action::Forget => RecordChange::Remove,
            Action::Stop => self.before.map_or(RecordChange::Keep, |before| {
                let updated_at = (self.work.clock)();
                RecordChange::Put(Record { status: RecordStatus::Stopped, updated_at, ..before.clone() })
            }),
            _ => {
                let healthy = |kind| if kind == Kind::Job { RecordStatus::Completed } else { RecordStatus::Healthy };
                let object = created.or_else(|| self.kept_object());
                self.record(object, healthy, Some(millis(began.elapsed())))
            }
        };
        self.end("done", record)
    }

    /// A service that failed and has no way back is left as it is, to be looked at.
    fn end_failed(&self, object: Option<(BackendKind, ObjectId)>) -> End {
        let record = match self.step.action {
            Action::Delete | Action::Forget | Action::Stop => RecordChange::Keep,
            _ => self.record(object.map(|(_, id)| id).or_else(|| self.kept_object()), |_| RecordStatus::Failed, None),
        };
        self.end("failed", record)
    }

    /// The existing object that the step is about: the one that it gates, or else the recorded one.
    fn kept_object(&self) -> Option<ObjectId> {
        let gated = self.step.operations.iter().find_map(|operation| match operation {
            Operation::Gate { object: Some(ObjectRef::Existing { id, .. }), .. } => Some(id.clone()),
            _ => None,
        });
        let creates = self.step.operations.contains(&Operation::Create);
        gated.or_else(|| self.before.filter(|_| !creates && self.step.backend != BackendKind::External)?.object.clone())
    }

    fn record(
        &self,
        object: Option<ObjectId>,
        status: impl FnOnce(Kind) -> RecordStatus,
        took_ms: Option<u64>,
    ) -> RecordChange {
        let Some(instance) = self.work.instances.get(&self.step.address) else { return RecordChange::Keep };
        let now = (self.work.clock)();
        let took_ms = took_ms.or_else(|| self.before.map(|before| before.took_ms)).unwrap_or(0);
        if let (Mode::Verb, Some(before)) = (self.work.plan.mode, self.before) {
            // A verb acts on what was applied: what the file says now is not recorded by it.
            let (op_id, status) = (self.stamped_op_id(), status(before.kind));
            return RecordChange::Put(Record { object, op_id, status, updated_at: now, took_ms, ..before.clone() });
        }
        let fields: BTreeMap<_, _> = instance.fields.iter().map(|f| (f.path.to_string(), f.value.clone())).collect();
        let service = &instance.service;
        RecordChange::Put(Record {
            kind: service.kind,
            backend: service.spec.backend(),
            object,
            machine: service.spec.place().and_then(|place| place.machine()).cloned(),
            op_id: self.stamped_op_id(),
            revision: instance.revision,
            status: status(service.kind),
            fields,
            dependencies: service.dependencies.clone(),
            claims: service.spec.claims(),
            prevent_destroy: service.lifecycle.prevent_destroy,
            created_at: self.before.map_or(now, |before| before.created_at),
            updated_at: now,
            took_ms,
        })
    }

    /// The op-id that the object carries after this step: this attempt's where it made or restarted
    /// it, the one that was observed where it only took it over, else the one it had.
    fn stamped_op_id(&self) -> OpId {
        let stamps = |operation: &Operation| {
            matches!(operation, Operation::Create | Operation::Switch { .. } | Operation::Restart { .. })
        };
        if self.step.operations.iter().any(stamps) {
            return self.op_id.clone();
        }
        let observed = self.step.adopts.clone();
        observed.or_else(|| self.before.map(|before| before.op_id.clone())).unwrap_or_else(|| self.op_id.clone())
    }
}

/// The instance as it was recorded, for judging an old version that comes back.
fn before_instance(wanted: &Instance, before: &Record, by: GateBy) -> Instance {
    let mut service = (*wanted.service).clone();
    if by == GateBy::Running {
        service.checks.clear();
    }
    Instance { service: Arc::new(service), revision: before.revision, ..wanted.clone() }
}
