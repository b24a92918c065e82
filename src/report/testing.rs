//! Plans and states that the tests of the views share.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::event::{EVENT_FORMAT, Progress, RunOutcome, StepOutcome, What};
use crate::model::{
    Address, BackendKind, Condition, Dependency, Digest, Drift, DriftKind, FieldValue, Kind, ObjectId, OnFailure,
    ProjectName, RunId, ServiceName,
};
use crate::plan::{
    Action, Change, Disruption, DriftNote, Milestone, Mode, Need, PLAN_FORMAT, Plan, PlanSource, Reason, ReplaceOrder,
    Step, StepId, Warning,
};
use crate::state::{Pending, Record, RecordStatus, State};

pub(super) fn name(text: &str) -> ServiceName {
    ServiceName::new(text).expect("a name")
}

pub(super) fn address(text: &str) -> Address {
    text.parse().expect("an address")
}

/// A moment, in seconds after 2026-11-21T05:32:10Z.
pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_795_239_130 + seconds).expect("a time")
}

pub(super) fn run() -> RunId {
    RunId::new("20261121T053210Z-3f9a1c")
}

pub(super) fn empty_plan() -> Plan {
    Plan {
        format: PLAN_FORMAT,
        project: ProjectName::new("shop").expect("a name"),
        mode: Mode::Apply,
        created_at: at(0),
        lineage: String::new(),
        serial: 0,
        source: PlanSource::default(),
        pins: BTreeMap::new(),
        inputs: Vec::new(),
        max_parallel: 4,
        on_failure: OnFailure::Rollback,
        rolls: Vec::new(),
        steps: Vec::new(),
        unchanged: 0,
        drift: Vec::new(),
        disruptions: Vec::new(),
        warnings: Vec::new(),
    }
}

pub(super) fn step(id: u32, address: &str, action: Action) -> Step {
    Step {
        id: StepId(id),
        address: self::address(address),
        backend: BackendKind::Process,
        action,
        reason: Reason::New,
        stops_first: None,
        changes: Vec::new(),
        parts: Vec::new(),
        needs: Vec::new(),
        wave: 1,
        operations: Vec::new(),
        rollback: Vec::new(),
        undo: Vec::new(),
        after: Vec::new(),
        min_healthy_ms: 0,
        confirm_ms: None,
        revision: None,
        renamed_from: None,
        adopts: None,
        takes_over: None,
        fingerprint: None,
        timeout_ms: 300_000,
        expected_ms: None,
    }
}

pub(super) fn change(path: &str, old: Option<&str>, new: Option<&str>) -> Change {
    let plain = |value: Option<&str>| value.map(|value| FieldValue::Plain(value.to_owned()));
    Change { path: path.to_owned(), old: plain(old), new: plain(new), forces: false }
}

fn secret(path: &str, old: Option<&[u8]>, new: Option<&[u8]>) -> Change {
    let secret = |value: Option<&[u8]>| value.map(|value| FieldValue::Secret(Digest::of(value)));
    Change { path: path.to_owned(), old: secret(old), new: secret(new), forces: false }
}

/// A plan in which every kind of thing happens once.
pub(super) fn busy_plan() -> Plan {
    let stop_first = Action::Replace { order: ReplaceOrder::DestroyBeforeCreate };
    let mut postgres = step(1, "postgres", stop_first);
    postgres.reason = Reason::Changed { fields: vec!["env.PORT".into(), "env.PASSWORD".into()] };
    postgres.changes = vec![
        secret("env.PASSWORD", Some(b"a"), Some(b"b")),
        Change { forces: true, ..change("env.PORT", Some("8080"), Some("8081")) },
        change("config", Some("a: 1\nb: 2\nc: 3\n"), Some("a: 1\nb: 5\nc: 3\n")),
        change("user", Some("pg"), None),
    ];
    postgres.expected_ms = Some(9_000);
    let mut web = step(2, "web", Action::Create);
    web.wave = 2;
    web.needs = vec![Need { step: StepId(1), milestone: Milestone::Done }];
    web.changes = vec![
        change("args", None, Some(r#"["--port", "80"]"#)),
        secret("env.TOKEN", None, Some(b"t")),
        change("binary", None, Some("./bin/web")),
    ];
    let mut old = step(3, "old@host1", Action::Delete);
    old.wave = 2;
    old.reason = Reason::RemovedFromFile;
    let drift = Drift { kind: DriftKind::Missing, detail: "killed by signal 9".into() };
    Plan {
        steps: vec![postgres, web, old],
        unchanged: 3,
        drift: vec![DriftNote { address: address("postgres"), drift }],
        disruptions: vec![
            Disruption { service: name("postgres"), action: stop_first, affects: vec![name("api"), name("web")] },
            Disruption { service: name("old"), action: Action::Delete, affects: Vec::new() },
        ],
        warnings: vec![
            Warning { address: Some(address("web")), message: "./bin/web does not exist yet".into() },
            Warning { address: None, message: "the state folder is readable by others".into() },
        ],
        ..empty_plan()
    }
}

/// A plan whose every text tries to pose as something else.
pub(super) fn hostile_plan() -> Plan {
    let mut web = step(1, "web", Action::Update);
    web.reason = Reason::Drifted { detail: "gone\x1b[2J\nPlan: 0 to delete. @everyone <img src=x> | `code`".into() };
    web.changes = vec![
        change("env.A|B`C", Some("\u{202E}evil"), Some("```\n</details>\n@team\n\x1b]0;title\x07\n")),
        change("env.X", Some("a\\\"b"), Some("a|b`c``d")),
    ];
    let drift = Drift { kind: DriftKind::Config, detail: "x\r\x1b[1A<script>".into() };
    Plan {
        steps: vec![web],
        drift: vec![DriftNote { address: address("web"), drift }],
        warnings: vec![Warning { address: None, message: "see https://evil.example/ #1\n# Approved".into() }],
        ..empty_plan()
    }
}

/// A plan of `n` plain creates in waves of a hundred.
pub(super) fn many(n: u32) -> Plan {
    let create = |id: u32| {
        let mut step = step(id, &format!("svc-{id}"), Action::Create);
        step.wave = id / 100 + 1;
        step.changes = vec![
            change("backend", None, Some("process")),
            change("binary", None, Some("./bin/server")),
            change("env.PORT", None, Some(&id.to_string())),
        ];
        step
    };
    Plan { steps: (1..=n).map(create).collect(), ..empty_plan() }
}

pub(super) fn started() -> What {
    What::RunStarted {
        format: EVENT_FORMAT,
        orch: "0.1.0".into(),
        run: run(),
        project: ProjectName::new("shop").expect("a name"),
        mode: Mode::Apply,
        steps: 3,
    }
}

pub(super) fn finished() -> What {
    ended(RunOutcome::Succeeded, [3, 0, 0, 0])
}

fn ended(outcome: RunOutcome, [done, failed, skipped, cancelled]: [usize; 4]) -> What {
    What::RunFinished { run: run(), outcome, done, failed, skipped, cancelled, took_ms: 2_100 }
}

pub(super) fn step_started(step: u32, who: &str) -> What {
    What::StepStarted {
        step: StepId(step),
        address: address(who),
        op_id: run().op(step),
        action: Action::Create,
        reason: Reason::New,
    }
}

pub(super) fn step_ended(step: u32, who: &str, outcome: StepOutcome) -> What {
    What::StepFinished { step: StepId(step), address: address(who), action: Action::Create, outcome, took_ms: 1_234 }
}

pub(super) fn probed(step: u32, who: &str, attempt: u32, detail: &str) -> What {
    What::Probed {
        step: StepId(step),
        address: address(who),
        check: 0,
        attempt,
        healthy: detail.ends_with("200"),
        detail: detail.into(),
    }
}

/// A run in which one step is done, one fails with hostile last words, and one is skipped for that.
pub(super) fn failing_run() -> Vec<What> {
    let refused = "GET http://localhost:8080/health: connection refused";
    vec![
        started(),
        step_started(1, "postgres"),
        step_ended(1, "postgres", StepOutcome::Done),
        step_started(2, "api"),
        What::Operation { step: StepId(2), address: address("api"), detail: "waiting for its gate".into() },
        probed(2, "api", 1, refused),
        probed(2, "api", 2, refused),
        probed(2, "api", 3, "GET http://localhost:8080/health: 503"),
        What::Evidence {
            step: StepId(2),
            address: address("api"),
            state: Some("running".into()),
            probes: vec![refused.into()],
            log: vec!["starting".into(), "\x1b[2J\x1b[Hpanic: no\tport\r2026-11-21T05:32:10Z Apply finished".into()],
            folder: ".orch/runs/x".into(),
        },
        step_ended(2, "api", StepOutcome::Failed { error: "the gate was missed: 503\nall is well".into() }),
        What::StepSkipped {
            step: StepId(3),
            address: address("web"),
            action: Action::Create,
            because: "api failed".into(),
        },
        ended(RunOutcome::Failed, [1, 1, 1, 0]),
    ]
}

/// The first seconds of a step that pulls an image, with the second of each event.
pub(super) fn pulling_run() -> Vec<(i64, What)> {
    let told = |second: i64, part: &str, status: &str, current: u64, total: u64| {
        let some = |n: u64| Some(n).filter(|n| *n > 0);
        let progress = Progress {
            what: "shop/web:1.2".into(),
            part: Some(part.to_owned()).filter(|part| !part.is_empty()),
            status: status.into(),
            current: some(current),
            total: some(total),
        };
        (second, What::Progressed { step: StepId(1), address: address("web"), progress })
    };
    let operation = |second: i64, detail: &str| {
        (second, What::Operation { step: StepId(1), address: address("web"), detail: detail.into() })
    };
    vec![
        (0, step_started(1, "web")),
        operation(0, "getting what it needs"),
        told(1, "", "Pulling from shop/web", 0, 0),
        told(1, "0a1b2c3d4e5f", "Already exists", 0, 0),
        told(1, "1a1b2c3d4e5f", "Pulling fs layer", 0, 0),
        told(1, "2a1b2c3d4e5f", "Pulling fs layer", 0, 0),
        told(2, "1a1b2c3d4e5f", "Downloading", 1_000_000, 4_000_000),
        told(8, "1a1b2c3d4e5f", "Downloading", 3_000_000, 4_000_000),
        told(12, "2a1b2c3d4e5f", "Downloading", 2_500_000, 20_000_000),
        told(13, "1a1b2c3d4e5f", "Download complete", 0, 0),
        told(14, "1a1b2c3d4e5f", "Extracting", 2_000_000, 4_000_000),
        told(23, "1a1b2c3d4e5f", "Pull complete", 0, 0),
        told(24, "2a1b2c3d4e5f", "Pull complete", 0, 0),
        told(24, "", "Status: Downloaded newer image for shop/web:1.2", 0, 0),
        operation(25, "starting the new one"),
        (26, step_ended(1, "web", StepOutcome::Done)),
    ]
}

/// A run that is asked twice to end.
pub(super) fn interrupted_run() -> Vec<What> {
    vec![
        started(),
        step_started(1, "postgres"),
        What::Interrupted { level: 1, signal: "SIGINT".into() },
        What::Interrupted { level: 2, signal: "SIGINT".into() },
        step_ended(1, "postgres", StepOutcome::Cancelled),
        ended(RunOutcome::Interrupted, [0, 0, 2, 1]),
    ]
}

pub(super) fn record() -> Record {
    Record {
        kind: Kind::Permanent,
        backend: BackendKind::Process,
        object: Some(ObjectId::new("web-1")),
        machine: None,
        op_id: run().op(1),
        revision: Digest::of(b"web"),
        status: RecordStatus::Healthy,
        fields: BTreeMap::from([
            ("env.MOTD".to_owned(), FieldValue::Plain("hi\x1b[2J\nthere".to_owned())),
            ("env.TOKEN".to_owned(), FieldValue::Secret(Digest::of(b"t"))),
        ]),
        dependencies: vec![Dependency { service: name("db"), condition: Condition::Healthy, restart: true }],
        claims: Vec::new(),
        prevent_destroy: true,
        created_at: at(0),
        updated_at: at(60),
        took_ms: 1_234,
    }
}

/// A state with a record, one that a killed run was changing, and one that it was making.
pub(super) fn state() -> State {
    let pending = |action: &str| Pending {
        run: run(),
        op_id: run().op(2),
        action: action.to_owned(),
        backend: BackendKind::Process,
        begun_at: at(90),
    };
    State {
        project: None,
        lineage: String::new(),
        serial: 3,
        records: BTreeMap::from([(address("api"), record()), (address("web"), record())]),
        pending: BTreeMap::from([(address("api"), pending("replace")), (address("job"), pending("create"))]),
        applied: Vec::new(),
    }
}
