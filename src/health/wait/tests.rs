use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;

use super::*;
use crate::backend::{BackendError, Listing, Observer};
use crate::health::gate::GateCheck;
use crate::health::probe::fakes::Scripted;
use crate::model::{
    Address, BackendKind, CheckPolicy, Conflict, Digest, Exit, Kind, ObjectId, ObjectState, OpId, ServiceName,
};

/// What an object does from some time on.
type Scene = (u64, ObjectState);

/// An object whose states are scripted by the time since it was made.
struct Stage {
    made: Instant,
    scenes: Vec<Scene>,
    looks: AtomicUsize,
}

impl Stage {
    fn new(scenes: &[Scene]) -> Self {
        Self { made: Instant::now(), scenes: scenes.to_vec(), looks: AtomicUsize::new(0) }
    }
}

#[async_trait]
impl Observer for Stage {
    async fn list(&self) -> Result<Listing, BackendError> {
        Ok(Listing::default())
    }

    async fn conflicts(&self, _: &[&Instance]) -> Result<BTreeMap<Address, Vec<Conflict>>, BackendError> {
        Ok(BTreeMap::new())
    }

    async fn inspect(&self, object: &ObjectId) -> Result<Option<ObservedObject>, BackendError> {
        self.looks.fetch_add(1, Ordering::Relaxed);
        let now = self.made.elapsed().as_millis();
        let scene = self.scenes.iter().rev().find(|(from, _)| u128::from(*from) <= now);
        let Some((_, state)) = scene else { return Err(BackendError::new("not yet")) };
        Ok(Some(ObservedObject {
            incarnation: Some("first".to_owned()),
            ..ObservedObject::new(
                BackendKind::Process,
                object.clone(),
                OpId::new("run.1"),
                Address::only(ServiceName::new("web").unwrap()),
                Digest::of(b"new"),
                state.clone(),
            )
        }))
    }

    async fn tail(&self, _: &ObjectId, _: usize) -> Result<Vec<String>, BackendError> {
        Ok(Vec::new())
    }

    async fn log_files(&self, _: &ObjectId) -> Result<Vec<PathBuf>, BackendError> {
        Ok(Vec::new())
    }
}

fn machine(checks: usize, kind: Kind, watched: bool) -> Gate {
    let policy = CheckPolicy { interval: Duration::from_secs(1), retries: 2, ..CheckPolicy::default() };
    Gate::new(GatePolicy {
        checks: vec![GateCheck { policy, native: false }; checks],
        kind,
        settle: Duration::from_millis(300),
        timeout: Duration::from_secs(10),
        revision: watched.then(|| Digest::of(b"new")),
    })
}

async fn run(stage: &Stage, kind: Kind, checks: &[&[&str]]) -> (Result<GatePassed, GateMissed>, Vec<ProbeReport>) {
    let id = ObjectId::new("web-1");
    let mut reports = Vec::new();
    let prober = Scripted::new(checks);
    let gate = machine(checks.len(), kind, true);
    let ended = drive(gate, Some((stage, &id)), &prober, &mut |report| reports.push(report)).await;
    (ended, reports)
}

fn exited(code: i32) -> ObjectState {
    ObjectState::Exited(Exit { code: Some(code), signal: None, out_of_memory: false })
}

#[tokio::test(start_paused = true)]
async fn it_passes_as_soon_as_a_probe_does() {
    let stage = Stage::new(&[(0, ObjectState::Running)]);
    let (ended, reports) = run(&stage, Kind::Permanent, &[&["-refused", "-refused", "+200"]]).await;
    let passed = ended.unwrap();
    assert_eq!(passed.probes, 3);
    assert!(passed.took < Duration::from_millis(200), "{:?}", passed.took);
    let told: Vec<_> = reports.iter().map(|r| (r.check, r.attempt, r.healthy, r.detail.as_str())).collect();
    assert_eq!(told, [(0, 1, false, "refused"), (0, 2, false, "refused"), (0, 3, true, "200")]);
}

#[tokio::test(start_paused = true)]
async fn checks_are_probed_side_by_side() {
    let stage = Stage::new(&[(0, ObjectState::Running)]);
    let (ended, reports) = run(&stage, Kind::Permanent, &[&["~"], &["-no", "+yes"]]).await;
    let missed = ended.unwrap_err();
    assert_eq!(missed.to_string(), "not healthy within 10s: no answer yet");
    assert_eq!(missed.took, Duration::from_secs(10));
    // The second check is probed on although the first never answers.
    assert!(reports.len() > 8 && reports.iter().all(|report| report.check == 1));
    assert_eq!(missed.probes.iter().map(|report| report.detail.as_str()).collect::<Vec<_>>(), ["yes"]);
}

#[tokio::test(start_paused = true)]
async fn an_exit_ends_it_at_once_even_while_a_probe_hangs() {
    let stage = Stage::new(&[(0, ObjectState::Running), (1200, exited(1))]);
    let (ended, _) = run(&stage, Kind::Permanent, &[&["~"]]).await;
    let missed = ended.unwrap_err();
    assert!(missed.reason.starts_with("exited with code 1 after 1."), "{}", missed.reason);
    assert!(missed.took <= Duration::from_millis(1450), "{:?}", missed.took);
}

#[tokio::test(start_paused = true)]
async fn an_answer_from_someone_else_does_not_pass_for_a_dead_object() {
    let stage = Stage::new(&[(0, ObjectState::Starting), (70, exited(98))]);
    let (ended, _) = run(&stage, Kind::Permanent, &[&["+200"]]).await;
    assert_eq!(ended.unwrap_err().reason, "exited with code 98 after 0.1 s");
}

#[tokio::test(start_paused = true)]
async fn retries_that_are_used_up_tell_the_last_answer() {
    let stage = Stage::new(&[(0, ObjectState::Running)]);
    let (ended, reports) = run(&stage, Kind::Permanent, &[&["-503"]]).await;
    let missed = ended.unwrap_err();
    assert_eq!(missed.reason, "unhealthy for 2.0 s: 503");
    assert_eq!(missed.probes, reports[reports.len() - 1..]);
    assert!(stage.looks.load(Ordering::Relaxed) < 20);
}

#[tokio::test(start_paused = true)]
async fn without_a_check_it_settles_and_a_job_ends() {
    let stage = Stage::new(&[(0, ObjectState::Running)]);
    assert_eq!(run(&stage, Kind::Permanent, &[]).await.0.unwrap().took, Duration::from_millis(300));
    let stage = Stage::new(&[(40, ObjectState::Running), (3000, exited(0))]);
    let took = run(&stage, Kind::Job, &[]).await.0.unwrap().took;
    assert!(took >= Duration::from_secs(3) && took <= Duration::from_millis(3250), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn what_orch_does_not_run_is_only_probed() {
    let prober = Scripted::new(&[&["-no", "+yes"]]);
    let passed = drive(machine(1, Kind::Permanent, false), None, &prober, &mut |_| ()).await.unwrap();
    assert_eq!(passed.probes, 2);
    let nothing = drive(machine(0, Kind::Permanent, false), None, &prober, &mut |_| ()).await.unwrap();
    assert_eq!(nothing, GatePassed { probes: 0, took: Duration::ZERO });
}
