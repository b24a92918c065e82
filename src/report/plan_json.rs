//! The plan for a program: the plan itself, and its counts.

use std::collections::BTreeMap;

use serde::Serialize;

use super::plan_facts::Expected;
use crate::plan::Plan;

#[derive(Serialize)]
struct View<'a> {
    #[serde(flatten)]
    plan: &'a Plan,
    summary: Counts,
}

/// What a gate in a pipeline asks, without it having to walk the steps.
#[derive(Serialize)]
struct Counts {
    /// Whether there is anything to do.
    changes: bool,
    steps: usize,
    unchanged: usize,
    drifted: usize,
    /// How many steps of each action there are.
    actions: BTreeMap<&'static str, usize>,
    /// How long it should take; a lower bound while `untimed` is not 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    expected_ms: Option<u64>,
    /// Steps that never ran before.
    untimed: usize,
}

/// The plan as JSON, with a `summary` beside its own fields; it ends with a line break.
///
/// # Errors
/// None in practice: every part of a plan has a JSON form.
pub fn plan_json(plan: &Plan, pretty: bool) -> serde_json::Result<String> {
    let expected = Expected::of(plan);
    let summary = Counts {
        changes: !plan.is_empty(),
        steps: plan.steps.len(),
        unchanged: plan.unchanged,
        drifted: plan.drift.len(),
        actions: plan.summary().counts,
        expected_ms: expected.map(|expected| expected.ms),
        untimed: plan.steps.iter().filter(|step| step.expected_ms.is_none()).count(),
    };
    let view = View { plan, summary };
    let mut text = if pretty { serde_json::to_string_pretty(&view)? } else { serde_json::to_string(&view)? };
    text.push('\n');
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::super::testing::busy_plan;
    use super::*;

    #[test]
    fn the_plan_survives_and_the_summary_counts() {
        let plan = busy_plan();
        let text = plan_json(&plan, false).expect("JSON");
        assert_eq!(text.lines().count(), 1);
        assert_eq!(serde_json::from_str::<Plan>(&text).expect("a plan"), plan);
        let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        insta::assert_json_snapshot!(value["summary"], @r#"
        {
          "actions": {
            "create": 1,
            "delete": 1,
            "replace": 1
          },
          "changes": true,
          "drifted": 1,
          "expected_ms": 9000,
          "steps": 3,
          "unchanged": 3,
          "untimed": 2
        }
        "#);
        assert!(plan_json(&plan, true).expect("JSON").lines().count() > 20);
    }
}
