//! The file that an import writes: its head, its sections, and what is said where.

use super::yaml::{self, Entry, Yaml, wrap};
use super::{Finding, FindingKind, Imported};

/// How long a line of a comment may get.
const COMMENT: usize = 100;

/// The parts of a file.
#[derive(Debug, Default)]
pub(super) struct Document {
    /// Where it came from: `compose.yaml`.
    pub(super) from: String,
    /// The project.
    pub(super) project: Option<String>,
    /// What services share.
    pub(super) shared: Option<Entry>,
    /// The networks.
    pub(super) networks: Vec<Entry>,
    /// The services.
    pub(super) services: Vec<Entry>,
}

impl Document {
    /// The file. What is about a service stands above it, the rest in the head.
    pub(super) fn imported(mut self, mut findings: Vec<Finding>) -> Imported {
        findings.dedup();
        let mut head = wrap(&format!("Written by `orch import` from {}.", self.from), COMMENT);
        let is_above = |finding: &&Finding, services: &[Entry]| {
            finding.service.as_ref().is_some_and(|service| services.iter().any(|entry| entry.key == *service))
        };
        let general: Vec<&Finding> = findings.iter().filter(|finding| !is_above(finding, &self.services)).collect();
        head.extend(told(&general, COMMENT));
        for entry in &mut self.services {
            let own: Vec<&Finding> =
                findings.iter().filter(|finding| finding.service.as_deref() == Some(entry.key.as_str())).collect();
            entry.comment.extend(told(&own, COMMENT - 2));
            entry.apart = true;
        }
        if let Some(first) = self.services.first_mut() {
            first.apart = false;
        }
        let services = self.services.len();
        let mut entries = Vec::new();
        entries.extend(self.project.map(|project| Entry::new("project", Yaml::text(project))));
        entries.extend(self.shared.map(|shared| Entry { apart: true, ..shared }));
        for (key, list) in [("networks", self.networks), ("services", self.services)] {
            if !list.is_empty() || key == "services" {
                entries.push(Entry { apart: true, ..Entry::new(key, Yaml::Map(list)) });
            }
        }
        Imported { text: yaml::file(&head, &entries), services, findings }
    }
}

/// Findings as lines of a comment.
fn told(findings: &[&Finding], width: usize) -> Vec<String> {
    let kinds =
        [(FindingKind::Lost, "Not carried over"), (FindingKind::ToSet, "To be set"), (FindingKind::Note, "Note")];
    let mut lines = Vec::new();
    for (kind, title) in kinds {
        for finding in findings.iter().filter(|finding| finding.kind == kind) {
            let place = finding.place.as_ref().map(|place| format!(" ({place})")).unwrap_or_default();
            let mut wrapped = wrap(&format!("{title}: {}{place}", finding.message), width).into_iter();
            lines.extend(wrapped.next());
            lines.extend(wrapped.map(|line| format!("  {line}")));
        }
    }
    lines
}
