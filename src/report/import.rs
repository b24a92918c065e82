//! What an import has to say.

use super::text::{count, escape};
use crate::import::{FindingKind, Imported};

/// What was lost, what is to be set and what is good to know, as lines.
#[must_use]
pub fn import_findings(imported: &Imported) -> Vec<String> {
    let kinds = [
        (FindingKind::Lost, "Not carried over:"),
        (FindingKind::ToSet, "To be set in the environment:"),
        (FindingKind::Note, "Good to know:"),
    ];
    let mut lines = Vec::new();
    for (kind, title) in kinds {
        let of_kind: Vec<_> = imported.findings.iter().filter(|finding| finding.kind == kind).collect();
        if !of_kind.is_empty() {
            lines.push(title.to_owned());
            lines.extend(of_kind.into_iter().map(|finding| format!("  {}", escape(&finding.to_string()))));
        }
    }
    let lost = imported.findings.iter().filter(|finding| finding.kind == FindingKind::Lost).count();
    let what =
        if lost == 0 { "nothing was lost".to_owned() } else { format!("{} not carried over", count(lost, "setting")) };
    lines.push(format!("Imported {}, {what}.", count(imported.services, "service")));
    lines
}
