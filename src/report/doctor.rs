//! How the hosts are: `orch doctor`.

use serde::Serialize;

use super::{Cell, Look, Paint, Table};

/// What was found out about one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct HostReport {
    /// Its name in the file.
    pub host: String,
    /// Where it is: `deploy@10.0.0.1`.
    pub address: String,
    /// What was looked at, in order; one that cannot be reached has the first only.
    pub checks: Vec<HostCheck>,
}

/// One thing that was looked at on a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct HostCheck {
    /// What: `reachable`, `root`, `systemd`, `disk`, `inodes`, `clock`, `sessions`, `tools`.
    pub check: &'static str,
    /// How it is.
    pub level: Level,
    /// What was found, as a fragment.
    pub found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// How well something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// As it should be.
    Ok,
    /// Worth a look before it becomes a problem.
    Warning,
    /// Something will fail.
    Error,
}

impl HostReport {
    /// The worst of its checks.
    #[must_use]
    pub fn level(&self) -> Level {
        self.checks.iter().map(|check| check.level).max().unwrap_or(Level::Ok)
    }
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }

    fn paint(self) -> Paint {
        match self {
            Self::Ok => Paint::Green,
            Self::Warning => Paint::Yellow,
            Self::Error => Paint::Red,
        }
    }
}

/// A table of what was looked at, and below it what to do.
#[must_use]
pub fn doctor(hosts: &[HostReport], look: Look) -> String {
    if hosts.is_empty() {
        return "The file names no hosts.\n".to_owned();
    }
    let mut table = Table::new(&["HOST", "CHECK", "RESULT", "FOUND"]);
    for host in hosts {
        for (index, check) in host.checks.iter().enumerate() {
            let name = if index == 0 { host.host.as_str() } else { "" };
            let level = Cell::new(check.level.word()).paint(check.level.paint());
            table.row(vec![Cell::new(name), Cell::new(check.check), level, Cell::new(&check.found)]);
        }
    }
    let mut text = table.render(look);
    let findings: Vec<_> = hosts
        .iter()
        .flat_map(|host| host.checks.iter().filter(|check| check.level > Level::Ok).map(move |check| (host, check)))
        .collect();
    text.push('\n');
    for (host, check) in &findings {
        let line = super::escape(&format!("{}, {}: {}", host.host, check.check, check.found)).into_owned();
        text.push_str(&format!("{}: {line}\n", look.paint(check.level.paint(), check.level.word())));
        if let Some(hint) = &check.hint {
            text.push_str(&format!("  help: {}\n", super::escape(hint)));
        }
    }
    let well = hosts.iter().filter(|host| host.level() == Level::Ok).count();
    let plural = if hosts.len() == 1 { "" } else { "s" };
    text.push_str(&match (well == hosts.len(), findings.len()) {
        (true, _) => format!("All is well on {well} host{plural}.\n"),
        (false, count) => {
            let things = if count == 1 { "finding" } else { "findings" };
            format!("{count} {things} on {} of {} host{plural}.\n", hosts.len() - well, hosts.len())
        }
    });
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_every_check_and_the_ways_out_stand_below() {
        let check = |check, level, found: &str, hint: Option<&str>| HostCheck {
            check,
            level,
            found: found.into(),
            hint: hint.map(Into::into),
        };
        let host = |name: &str, checks| HostReport { host: name.into(), address: name.into(), checks };
        let well = host("a", vec![check("reachable", Level::Ok, "as root", None)]);
        let ill = host(
            "b",
            vec![
                check("reachable", Level::Ok, "as deploy", None),
                check("clock", Level::Error, "3600 s ahead", Some("set it")),
            ],
        );
        insta::assert_snapshot!(doctor(&[well.clone(), ill], Look::plain()), @r"
        HOST  CHECK      RESULT  FOUND
        a     reachable  ok      as root
        b     reachable  ok      as deploy
              clock      error   3600 s ahead

        error: b, clock: 3600 s ahead
          help: set it
        1 finding on 1 of 2 hosts.
        ");
        assert!(doctor(&[well], Look::plain()).ends_with("All is well on 1 host.\n"));
    }
}
