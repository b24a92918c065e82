//! The plan for a person at a terminal, or for whoever reads the log of a pipeline.

use std::fmt::Write as _;

use super::plan_change::{Shown, cut_around, first_difference};
use super::plan_facts::{self, Expected, disruption_sentence, drift_sentence, plan_sentence, roll_sentence, waves};
use super::text::{escape, width};
use super::{Look, Paint};
use crate::model::{FieldValue, InstanceKey};
use crate::plan::{Action, Change, Plan, ReplaceOrder, Step};

/// Columns before a field.
const FIELD_INDENT: usize = 6;
/// Columns before a line of a diff, and before a value with a line of its own.
const VALUE_INDENT: usize = 10;
/// How long a line may get where nothing needs to fit.
const UNBOUNDED_WIDTH: usize = 160;
/// A value is never cut below this many characters.
const SHORTEST_VALUE: usize = 24;

/// The whole plan: drift, steps by wave, what it disrupts, warnings, and the summary at the end.
#[must_use]
pub fn plan_human(plan: &Plan, look: Look) -> String {
    // About what a create of one service takes, so that a large plan does not grow by copying.
    let mut view = View { text: String::with_capacity(256 * plan.steps.len() + 256), look, told: None };
    view.notes("Drift", Paint::Yellow, plan.drift.iter().map(drift_sentence));
    for (wave, steps) in waves(plan) {
        let _ = writeln!(view.text, "{}", look.paint(Paint::Bold, format_args!("Wave {wave}")));
        steps.into_iter().for_each(|step| view.step(step));
        view.text.push('\n');
    }
    view.notes("Roll", Paint::Bold, plan.rolls.iter().map(roll_sentence));
    view.notes("Disruption", Paint::Yellow, plan.disruptions.iter().map(disruption_sentence));
    view.notes(
        "Warning",
        Paint::Yellow,
        plan.warnings.iter().map(|warning| match &warning.address {
            Some(address) => format!("{}: {}", escape(&address.to_string()), escape(&warning.message)),
            None => escape(&warning.message).into_owned(),
        }),
    );
    let _ = writeln!(view.text, "{}", look.paint(Paint::Bold, plan_sentence(plan)));
    if let Some(expected) = Expected::of(plan) {
        let _ = writeln!(view.text, "{}", expected.sentence());
    }
    view.text
}

/// Fields that change, as a plan has them below a step.
pub(super) fn field_changes(changes: &[Change], look: Look) -> String {
    let mut view = View { text: String::new(), look, told: None };
    for change in changes {
        view.change(Action::Replace { order: ReplaceOrder::DestroyBeforeCreate }, change);
    }
    view.text
}

struct View<'p> {
    text: String,
    look: Look,
    /// The last step whose changes were written out.
    told: Option<&'p Step>,
}

/// Whether a step does the same to another copy of the same service, but for the name of its host.
fn is_alike(told: &Step, step: &Step) -> bool {
    let same = told.address.service == step.address.service && told.action == step.action;
    let alike = |(a, b): (&Change, &Change)| {
        let is_alike = |a: &Option<FieldValue>, b: &Option<FieldValue>| match (a, b) {
            (Some(FieldValue::Plain(a)), Some(FieldValue::Plain(b))) => {
                a == b || without_host(told, a) == without_host(step, b)
            }
            (a, b) => a == b,
        };
        a.path == b.path && is_alike(&a.old, &b.old) && is_alike(&a.new, &b.new)
    };
    same && !step.changes.is_empty()
        && told.changes.len() == step.changes.len()
        && told.changes.iter().zip(&step.changes).all(alike)
}

/// A value with the host of a step taken out of it.
fn without_host(step: &Step, value: &str) -> String {
    match &step.address.key {
        InstanceKey::Host(host) => value.replace(&**host, "\0"),
        InstanceKey::Only | InstanceKey::Replica(_) => value.to_owned(),
    }
}

impl<'p> View<'p> {
    /// A paragraph of lines that start with the same word.
    fn notes(&mut self, word: &str, paint: Paint, sentences: impl Iterator<Item = String>) {
        let before = self.text.len();
        for sentence in sentences {
            let _ = writeln!(self.text, "{}: {sentence}", self.look.paint(paint, word));
        }
        if self.text.len() > before {
            self.text.push('\n');
        }
    }

    fn step(&mut self, step: &'p Step) {
        let Self { text, look, .. } = self;
        let paint = Paint::of_action(step.action);
        let address = step.address.to_string();
        let address = escape(&address);
        let (sign, word) = (step.action.sign(), step.action.word());
        let mut what = format!(" ({})", step.backend);
        if let Some(manner) = plan_facts::manner(step) {
            let _ = write!(what, ", {manner}");
        }
        let reason = step.reason.to_string();
        let reason = escape(&reason);
        let dash = look.dash();
        let _ = write!(
            text,
            "{} {word} {}{what}",
            look.paint(paint, format_args!("{sign:>3}")),
            look.paint(Paint::Bold, &address)
        );
        let used = 3 + 1 + word.len() + 1 + width(&address) + what.len() + 2 + width(dash) + 1;
        let break_line = look.width.is_some_and(|most| used + width(&reason) > most);
        let lead = if break_line { format!("\n{:FIELD_INDENT$}", "") } else { "  ".to_owned() };
        let _ = writeln!(text, "{lead}{}", look.paint(Paint::Dim, format_args!("{dash} {reason}")));
        if let Some(first) = self.told.filter(|told| is_alike(told, step)) {
            let same = format!("the same changes as {}", escape(&first.address.to_string()));
            let _ = writeln!(self.text, "{:FIELD_INDENT$}{}", "", look.paint(Paint::Dim, same));
            return;
        }
        for change in &step.changes {
            self.change(step.action, change);
        }
        for part in &step.parts {
            let why = if part.why.is_empty() { String::new() } else { format!(": {}", part.why) };
            let (name, why, sign) = (escape(&part.name), escape(&why), part.action.sign());
            let _ = writeln!(self.text, "{:FIELD_INDENT$}{sign} {name}  {}{why}", "", part.action);
        }
        self.told = Some(step);
    }

    fn change(&mut self, action: Action, change: &Change) {
        let look = self.look;
        let path = escape(&change.path);
        let force = if change.forces {
            format!("  {}", look.paint(Paint::Red, format_args!("# {}", plan_facts::forces(action))))
        } else {
            String::new()
        };
        let room = look.width.unwrap_or(UNBOUNDED_WIDTH);
        let beside = room.saturating_sub(FIELD_INDENT + 4 + width(&path)).max(SHORTEST_VALUE);
        let below = room.saturating_sub(VALUE_INDENT + 2).max(SHORTEST_VALUE);
        match Shown::of(change) {
            Shown::Secret => self.field('~', &path, "(sensitive, changed)", &force),
            Shown::One { sign, value } => {
                self.field(sign, &path, &cut_around(&value, 0, beside, look.ellipsis()), &force);
            }
            Shown::Pair { old, new } if width(&old) + width(&new) + 4 <= beside => {
                self.field('~', &path, &format!("{old} -> {new}"), &force);
            }
            Shown::Pair { old, new } => {
                let at = first_difference(&old, &new);
                self.field('~', &path, "", &force);
                for (sign, value) in [('-', old), ('+', new)] {
                    // The length after a cut value has columns of its own.
                    let value = cut_around(&value, at, below.saturating_sub(20).max(SHORTEST_VALUE), look.ellipsis());
                    self.diff_line(&format!("{sign} {value}"));
                }
            }
            Shown::Lines { sign, lines } => {
                self.field(sign, &path, "", &force);
                lines.iter().for_each(|line| self.diff_line(&cut_around(line, 0, below, look.ellipsis())));
            }
        }
    }

    fn field(&mut self, sign: char, path: &str, value: &str, force: &str) {
        let space = if value.is_empty() { "" } else { " " };
        let sign = self.look.paint(sign_paint(sign), sign);
        let _ = writeln!(self.text, "{:FIELD_INDENT$}{sign} {path}:{space}{value}{force}", "");
    }

    fn diff_line(&mut self, line: &str) {
        let line = line.trim_end();
        let paint = sign_paint(line.chars().next().unwrap_or(' '));
        let _ = match line.starts_with(['+', '-', '@']) {
            true => writeln!(self.text, "{:VALUE_INDENT$}{}", "", self.look.paint(paint, line)),
            false => writeln!(self.text, "{:VALUE_INDENT$}{line}", ""),
        };
    }
}

fn sign_paint(sign: char) -> Paint {
    match sign {
        '+' => Paint::Green,
        '-' => Paint::Red,
        '@' => Paint::Cyan,
        _ => Paint::Yellow,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{busy_plan, change, empty_plan, hostile_plan, many, step};
    use super::*;

    #[test]
    fn a_plan_with_a_bit_of_everything() {
        insta::assert_snapshot!(plan_human(&busy_plan(), Look::plain()), @r#"
        Drift: postgres was changed outside of orch: killed by signal 9

        Wave 1
        -/+ replace postgres (process), stop first  — env.PORT, env.PASSWORD changed
              ~ env.PASSWORD: (sensitive, changed)
              ~ env.PORT: "8080" -> "8081"  # forces replacement
              ~ config:
                  @@ -1,3 +1,3 @@
                   a: 1
                  -b: 2
                  +b: 5
                   c: 3
              - user: "pg"

        Wave 2
          + create web (process)  — new in the file
              + args: ["--port", "80"]
              + env.TOKEN: (sensitive)
              + binary: "./bin/web"
          - delete old@host1 (process)  — no longer in the file

        Disruption: postgres is replaced (stop first): api, web lose it meanwhile.
        Disruption: old is taken down; nothing that stays up depends on it.

        Warning: web: ./bin/web does not exist yet
        Warning: the state folder is readable by others

        Plan: 1 to create, 1 to replace, 1 to delete, 3 unchanged.
        It should take at least 9 s, from earlier runs; 2 steps have not been timed yet.
        "#);
    }

    #[test]
    fn a_narrow_terminal_breaks_lines_and_cuts_values() {
        let look = Look { width: Some(44), ..Look::plain() };
        let mut plan = empty_plan();
        let mut long = step(1, "web", Action::Update);
        long.changes = vec![
            change("env.OPTS", Some(&"-a ".repeat(40)), Some(&format!("{}-b", "-a ".repeat(40)))),
            change("binary", None, Some(&"/opt/very/long".repeat(20))),
        ];
        plan.steps = vec![long];
        insta::assert_snapshot!(plan_human(&plan, look), @r#"
        Wave 1
          ~ update web (process)  — new in the file
              ~ env.OPTS:
                  - …a -a -a -a -a -a -a -a " (122 characters)
                  + …-a -a -a -a -a -a -a -b" (124 characters)
              + binary: "/opt/very/long/opt/very/lon… (282 characters)

        Plan: 1 to update.
        "#);
    }

    #[test]
    fn hostile_text_stays_text() {
        let text = plan_human(&hostile_plan(), Look::plain());
        assert!(!text.contains('\x1b'), "{text:?}");
        insta::assert_snapshot!(text, @r#"
        Drift: web was changed outside of orch: x\r\u{1b}[1A<script>

        Wave 1
          ~ update web (process)  — drift: gone\u{1b}[2J\nPlan: 0 to delete. @everyone <img src=x> | `code`
              ~ env.A|B`C:
                  @@ -1 +1,4 @@
                  -\u{202e}evil
                  \ no line break at the end
                  +```
                  +</details>
                  +@team
                  +\u{1b}]0;title\u{7}
              ~ env.X: "a\\\"b" -> "a|b`c``d"

        Warning: see https://evil.example/ #1\n# Approved

        Plan: 1 to update.
        "#);
    }

    #[test]
    fn colours_follow_the_actions() {
        let look = Look { color: true, ..Look::plain() };
        let plan = Plan { steps: vec![step(1, "web", Action::Create)], ..empty_plan() };
        insta::assert_snapshot!(plan_human(&plan, look).replace('\x1b', "<ESC>"), @r#"
        <ESC>[1mWave 1<ESC>[0m
        <ESC>[32m  +<ESC>[0m create <ESC>[1mweb<ESC>[0m (process)  <ESC>[2m— new in the file<ESC>[0m

        <ESC>[1mPlan: 1 to create.<ESC>[0m
        "#);
    }

    #[test]
    fn an_empty_plan_is_one_line() {
        assert_eq!(
            plan_human(&Plan { unchanged: 3, ..empty_plan() }, Look::plain()),
            "No changes. 3 services are as the file says.\n"
        );
    }

    #[test]
    fn ten_thousand_steps_are_shown_in_linear_time() {
        let started = std::time::Instant::now();
        let text = plan_human(&many(10_000), Look::plain());
        println!("10,000 steps in {:?}, {} bytes", started.elapsed(), text.len());
        assert_eq!(text.lines().filter(|line| line.contains(" create ")).count(), 10_000);
    }
}
