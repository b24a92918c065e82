//! What runs now: `orch status`.

use jiff::Timestamp;
use serde::Serialize;

use super::time::age;
use super::{Cell, Look, Paint, Table};
use crate::model::{Address, BackendKind, Exit, Kind, NETWORK_PREFIX, ObjectState, Observation};
use crate::state::{Record, RecordStatus};

/// One instance as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct StatusRow {
    /// The instance.
    pub service: Address,
    /// How long it is meant to run; `None` when it was never applied.
    pub kind: Option<Kind>,
    /// The backend that has it; `None` when it was never applied.
    pub backend: Option<BackendKind>,
    /// What it is doing.
    pub state: RowState,
    /// How it ended, where it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit: Option<Exit>,
    /// Whether its checks pass; `None` where there are none, or it is down.
    pub healthy: Option<bool>,
    /// Since when it is in this state.
    pub since: Option<Timestamp>,
    /// Its process id.
    pub pid: Option<u32>,
    /// How often it was restarted without being asked.
    pub restarts: u32,
    /// What the last probe said.
    pub last_probe: Option<String>,
}

/// What an instance is doing, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RowState {
    /// Being started.
    Starting,
    /// Running.
    Running,
    /// Down for a moment, between two restarts.
    Restarting,
    /// Stopped because it was asked to.
    Stopped,
    /// A job that ran to its end and exited 0.
    Completed,
    /// Ended, although it should run, or a job that failed.
    Exited,
    /// Given up after too many restarts in a row.
    CrashLoop,
    /// Its keeper is gone; it may still run.
    Lost,
    /// Recorded, but not there.
    Missing,
    /// Not run by orch.
    External,
    /// In the file, but never applied.
    NotApplied,
    /// Its machine cannot be asked.
    Unreachable,
}

impl RowState {
    fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Restarting => "restarting",
            Self::Stopped => "stopped",
            Self::Completed => "completed",
            Self::Exited => "exited",
            Self::CrashLoop => "crash loop",
            Self::Lost => "lost",
            Self::Missing => "missing",
            Self::External => "external",
            Self::NotApplied => "not applied",
            Self::Unreachable => "unreachable",
        }
    }

    fn paint(self) -> Paint {
        match self {
            Self::Running | Self::Completed | Self::External => Paint::Green,
            Self::Starting | Self::Restarting => Paint::Yellow,
            Self::Stopped | Self::NotApplied => Paint::Dim,
            Self::Exited | Self::CrashLoop | Self::Lost | Self::Missing | Self::Unreachable => Paint::Red,
        }
    }
}

impl StatusRow {
    /// Joins what is recorded of an instance with what is observed of it.
    #[must_use]
    pub fn new(service: Address, record: Option<&Record>, observed: &Observation) -> Self {
        // The recorded object is the instance; without it, the newest is what an interrupted run made.
        let recorded = record.and_then(|record| record.object.as_ref());
        let object =
            observed.objects.iter().find(|object| Some(&object.id) == recorded).or_else(|| observed.objects.last());
        let kind = record.map(|record| record.kind);
        let (state, exit) = match (object, record) {
            _ if observed.unreachable.is_some() => (RowState::Unreachable, None),
            (Some(object), _) => of_object(&object.state, kind),
            (None, None) => (RowState::NotApplied, None),
            (None, Some(record)) => match (record.backend, record.status) {
                (BackendKind::External, _) => (RowState::External, None),
                (_, RecordStatus::Completed) => (RowState::Completed, None),
                (_, RecordStatus::Stopped) => (RowState::Stopped, None),
                (_, _) => (RowState::Missing, None),
            },
        };
        Self {
            service,
            kind,
            backend: object.map(|object| object.backend).or(record.map(|record| record.backend)),
            state,
            exit: exit.or_else(|| object.and_then(|object| object.last_exit.clone())),
            healthy: observed.health.as_ref().map(|health| health.healthy),
            since: object.and_then(|object| object.since),
            pid: object.filter(|object| object.is_up()).and_then(|object| object.pid),
            restarts: object.map_or(0, |object| object.restarts),
            last_probe: observed.health.as_ref().map(|health| health.detail.clone()).or(observed.unreachable.clone()),
        }
    }

    /// Whether it is as it should be: it runs and nothing says that it is not well, or has done its work.
    #[must_use]
    pub fn is_well(&self) -> bool {
        let up = matches!(self.state, RowState::Running | RowState::Completed | RowState::External);
        up && self.healthy != Some(false)
    }

    /// Whether there is something of it that may have logged.
    #[must_use]
    pub fn has_log(&self) -> bool {
        let none =
            matches!(self.state, RowState::Missing | RowState::External | RowState::NotApplied | RowState::Unreachable);
        !none && self.backend.is_some() && !self.service.service.as_str().starts_with(NETWORK_PREFIX)
    }

    fn state_text(&self) -> String {
        match (&self.exit, self.state) {
            (Some(exit), RowState::Exited | RowState::CrashLoop | RowState::Restarting) => {
                format!("{} ({exit})", self.state.word())
            }
            _ => self.state.word().to_owned(),
        }
    }
}

fn of_object(state: &ObjectState, kind: Option<Kind>) -> (RowState, Option<Exit>) {
    match state {
        ObjectState::Starting => (RowState::Starting, None),
        ObjectState::Running => (RowState::Running, None),
        ObjectState::Restarting => (RowState::Restarting, None),
        ObjectState::Stopped => (RowState::Stopped, None),
        ObjectState::Exited(exit) if exit.is_success() && kind == Some(Kind::Job) => {
            (RowState::Completed, Some(exit.clone()))
        }
        ObjectState::Exited(exit) => (RowState::Exited, Some(exit.clone())),
        ObjectState::CrashLoop(exit) => (RowState::CrashLoop, Some(exit.clone())),
        ObjectState::Lost => (RowState::Lost, None),
    }
}

/// The table of `orch status`.
#[must_use]
pub fn status(rows: &[StatusRow], now: Timestamp, look: Look) -> String {
    if rows.is_empty() {
        return "No services. The file has none and none are recorded.\n".to_owned();
    }
    let mut table = Table::new(&["SERVICE", "STATE", "HEALTH", "SINCE", "PID", "RESTARTS", "LAST PROBE"]);
    for row in rows {
        let health = match row.healthy {
            Some(true) => Cell::new("healthy").paint(Paint::Green),
            Some(false) => Cell::new("unhealthy").paint(Paint::Red),
            None => Cell::new("-"),
        };
        let restarts = Cell::new(row.restarts.to_string()).right();
        table.row(vec![
            Cell::new(row.service.to_string()),
            Cell::new(row.state_text()).paint(row.state.paint()),
            health,
            Cell::maybe(row.since.map(|since| age(now, since))),
            Cell::maybe(row.pid).right(),
            if row.restarts > 0 { restarts.paint(Paint::Yellow) } else { restarts },
            Cell::maybe(row.last_probe.as_deref()),
        ]);
    }
    table.render(look)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{address, at, record};
    use super::*;
    use crate::model::{Digest, Health, ObjectId, ObservedObject, OpId};

    fn object(state: ObjectState) -> ObservedObject {
        ObservedObject {
            pid: Some(412),
            since: Some(at(0)),
            restarts: 2,
            ..ObservedObject::new(
                BackendKind::Process,
                ObjectId::new("web-1"),
                OpId::new("r.1"),
                address("web"),
                Digest::of(b""),
                state,
            )
        }
    }

    fn rows() -> Vec<StatusRow> {
        let exit = |code| Exit { code: Some(code), signal: None, out_of_memory: false };
        let health = |healthy, detail: &str| Some(Health { healthy, detail: detail.into() });
        let with = |state, health| Observation {
            objects: vec![object(state)],
            conflicts: Vec::new(),
            health,
            unreachable: None,
        };
        let (mut job, mut external) = (record(), record());
        job.kind = Kind::Job;
        (external.backend, external.object) = (BackendKind::External, None);
        let ok = health(true, "GET http://localhost:8080/health: 200");
        vec![
            StatusRow::new(address("api"), Some(&record()), &with(ObjectState::Running, ok)),
            StatusRow::new(
                address("db"),
                Some(&external),
                &Observation {
                    health: health(false, "connect\x1b[31m: refused\nfake  running"),
                    ..Observation::default()
                },
            ),
            StatusRow::new(address("migrate"), Some(&job), &with(ObjectState::Exited(exit(0)), None)),
            StatusRow::new(address("new"), None, &Observation::default()),
            StatusRow::new(address("old"), Some(&record()), &Observation::default()),
            StatusRow::new(address("web[1]"), Some(&record()), &with(ObjectState::CrashLoop(exit(1)), None)),
        ]
    }

    #[test]
    fn the_table_says_what_runs() {
        insta::assert_snapshot!(status(&rows(), at(150), Look::plain()), @r#"
        SERVICE  STATE                     HEALTH     SINCE      PID  RESTARTS  LAST PROBE
        api      running                   healthy    2 min ago  412         2  GET http://localhost:8080/health: 200
        db       external                  unhealthy  -            -         0  connect\u{1b}[31m: refused\nfake  running
        migrate  completed                 -          2 min ago    -         2  -
        new      not applied               -          -            -         0  -
        old      missing                   -          -            -         0  -
        web[1]   crash loop (exit code 1)  -          2 min ago    -         2  -
        "#);
    }

    #[test]
    fn a_narrow_table_fits() {
        let text = status(&rows(), at(150), Look { width: Some(80), ..Look::plain() });
        assert!(text.lines().all(|line| super::super::text::width(line) <= 80), "{text}");
    }

    #[test]
    fn rows_are_data_too() {
        insta::assert_snapshot!(serde_json::to_string(&rows()[0]).expect("JSON"), @r#"{"service":"api","kind":"permanent","backend":"process","state":"running","healthy":true,"since":"2026-11-21T05:32:10Z","pid":412,"restarts":2,"last_probe":"GET http://localhost:8080/health: 200"}"#);
        assert_eq!(status(&[], at(0), Look::plain()), "No services. The file has none and none are recorded.\n");
    }
}
