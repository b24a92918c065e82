//! The plan as Markdown, fit for a comment on a pull request.
//!
//! Text of unknown origin stands in code spans, code blocks or escaped HTML only: there a forge neither
//! notifies a mentioned team nor follows a link, and Markdown inside has no effect.

use std::fmt::Write as _;

use super::plan_change::{Shown, cut_around, first_difference};
use super::plan_facts::{self, Expected, disruption_sentence, drift_sentence, plan_sentence, roll_sentence, waves};
use super::text::{count, escape};
use crate::plan::{Action, Change, Plan, Step};

/// GitHub refuses a comment of more than 65,536 characters; what comes after the steps needs some of them.
const MOST_BYTES: usize = 60_000;
/// How much of that the table of steps may take, so that some details are always there.
const MOST_TABLE_BYTES: usize = 24_000;
/// How long a value may get in a diff block.
const LONGEST_VALUE: usize = 400;
/// Notes of one kind that are written out; with three kinds they leave room for the table.
const MOST_NOTES: usize = 20;

/// The whole plan: headline, what to look at, a table by wave, and the details folded away.
#[must_use]
pub fn plan_markdown(plan: &Plan) -> String {
    let mut text = String::new();
    let sign = if plan.is_empty() { "✅" } else { "📋" };
    let _ = writeln!(text, "### {sign} orch: {}\n\n**{}**", span(plan.project.as_str(), false), plan_sentence(plan));
    if let Some(expected) = Expected::of(plan) {
        let _ = writeln!(text, "{}", expected.sentence());
    }
    notes(&mut text, "🚚 Rolls", plan.rolls.iter().map(roll_sentence));
    notes(&mut text, "⚠️ Disruption", plan.disruptions.iter().map(disruption_sentence));
    notes(&mut text, "🔀 Drift", plan.drift.iter().map(drift_sentence));
    notes(
        &mut text,
        "❗ Warnings",
        plan.warnings.iter().map(|warning| match &warning.address {
            Some(address) => format!("{address}: {}", warning.message),
            None => warning.message.clone(),
        }),
    );
    if !plan.is_empty() {
        table(&mut text, plan);
        details(&mut text, plan);
    }
    text
}

fn notes(text: &mut String, title: &str, sentences: impl ExactSizeIterator<Item = String>) {
    let total = sentences.len();
    if total == 0 {
        return;
    }
    let _ = writeln!(text, "\n**{title}**\n");
    for sentence in sentences.take(MOST_NOTES) {
        let _ = writeln!(text, "- {}", prose(&cut_around(&escape(&sentence), 0, LONGEST_VALUE, "…"), false));
    }
    if total > MOST_NOTES {
        let _ = writeln!(text, "- and {} more", total - MOST_NOTES);
    }
}

fn table(text: &mut String, plan: &Plan) {
    text.push_str("\n| Wave | Action | Service | Backend | Why |\n|---:|---|---|---|---|\n");
    let (limit, mut shown) = (text.len() + MOST_TABLE_BYTES, 0);
    for (wave, steps) in waves(plan) {
        for step in steps {
            if text.len() > limit {
                continue;
            }
            shown += 1;
            let reason = step.reason.to_string();
            let reason = cut_around(&escape(&reason), 0, LONGEST_VALUE, "…");
            let _ = writeln!(
                text,
                "| {wave} | {} {} | {} | {} | {} |",
                span(step.action.sign(), true),
                prose(&action(step), true),
                span(&step.address.to_string(), true),
                step.backend,
                prose(&reason, true)
            );
        }
    }
    if shown < plan.steps.len() {
        let _ = writeln!(text, "\nand {}.", count(plan.steps.len() - shown, "more step"));
    }
}

fn details(text: &mut String, plan: &Plan) {
    let mut left_out = 0;
    for step in plan.steps.iter().filter(|step| !step.changes.is_empty() || !step.parts.is_empty()) {
        let block = step_details(step);
        if text.len() + block.len() > MOST_BYTES {
            left_out += 1;
        } else {
            text.push_str(&block);
        }
    }
    if left_out > 0 {
        let left_out = count(left_out, "step");
        let _ = writeln!(text, "\nThe details of {left_out} do not fit a comment; `orch show PLAN` prints them all.");
    }
}

fn step_details(step: &Step) -> String {
    let mut lines = Vec::new();
    for change in &step.changes {
        change_lines(&mut lines, step.action, change);
    }
    lines.extend(step.parts.iter().map(|part| {
        let why = if part.why.is_empty() { String::new() } else { format!(": {}", part.why) };
        format!("{} {} {}{}", part.action.sign(), escape(&part.name), part.action, escape(&why))
    }));
    // A fence ends at a run of as many backticks as it began with.
    let fence = "`".repeat(lines.iter().map(|line| longest_backticks(line)).max().unwrap_or(0).max(2) + 1);
    format!(
        "\n<details><summary><code>{}</code> {} <code>{}</code></summary>\n\n{fence}diff\n{}\n{fence}\n\n</details>\n",
        html(step.action.sign()),
        html(&action(step)),
        html(&step.address.to_string()),
        lines.join("\n")
    )
}

fn change_lines(lines: &mut Vec<String>, action: Action, change: &Change) {
    let path = escape(&change.path);
    let force = if change.forces { format!("  # {}", plan_facts::forces(action)) } else { String::new() };
    match Shown::of(change) {
        Shown::Secret => lines.push(format!("! {path}: (sensitive, changed){force}")),
        Shown::One { sign, value } => {
            lines.push(format!("{sign} {path}: {}{force}", cut_around(&value, 0, LONGEST_VALUE, "…")));
        }
        Shown::Pair { old, new } => {
            let at = first_difference(&old, &new);
            let cut = |value: &str| cut_around(value, at, LONGEST_VALUE, "…");
            lines.push(format!("- {path}: {}", cut(&old)));
            lines.push(format!("+ {path}: {}{force}", cut(&new)));
        }
        Shown::Lines { sign, lines: diff } => {
            lines.push(format!("{} {path}:{force}", if sign == '~' { '!' } else { sign }));
            lines.extend(diff.iter().map(|line| cut_around(line, 0, LONGEST_VALUE, "…")));
        }
    }
}

fn action(step: &Step) -> String {
    match plan_facts::manner(step) {
        Some(manner) => format!("{} ({manner})", step.action.word()),
        None => step.action.word().to_owned(),
    }
}

fn longest_backticks(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

/// Text in a code span.
fn span(text: &str, in_table: bool) -> String {
    let text = escape(text);
    let fence = "`".repeat(longest_backticks(&text) + 1);
    // One space inside is dropped again; without it a backtick at an end would lengthen the fence.
    let pad = if text.starts_with('`') || text.ends_with('`') || text.is_empty() { " " } else { "" };
    // A table splits its cells before it looks for code.
    let text = if in_table { text.replace('|', "\\|") } else { text.into_owned() };
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// A sentence as it is where nothing in it has a meaning in Markdown or on a forge, else in a code span.
fn prose(text: &str, in_table: bool) -> String {
    let harmless = |c: char| c.is_alphanumeric() || matches!(c, ' ' | ',' | '.' | '(' | ')' | '-' | ';' | ':' | '…');
    // `www.` alone makes a link, and a list or a numbered line would begin at the start.
    let starts_well = text.starts_with(char::is_alphabetic);
    if starts_well && text.chars().all(harmless) && !text.contains("www.") {
        text.to_owned()
    } else {
        span(text, in_table)
    }
}

fn html(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in escape(text).chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::super::testing::{busy_plan, empty_plan, hostile_plan, many};
    use super::*;

    #[test]
    fn a_plan_with_a_bit_of_everything() {
        insta::assert_snapshot!(plan_markdown(&busy_plan()), @r#"
        ### 📋 orch: `shop`

        **Plan: 1 to create, 1 to replace, 1 to delete, 3 unchanged.**
        It should take at least 9 s, from earlier runs; 2 steps have not been timed yet.

        **⚠️ Disruption**

        - postgres is replaced (stop first): api, web lose it meanwhile.
        - old is taken down; nothing that stays up depends on it.

        **🔀 Drift**

        - postgres was changed outside of orch: killed by signal 9

        **❗ Warnings**

        - `web: ./bin/web does not exist yet`
        - the state folder is readable by others

        | Wave | Action | Service | Backend | Why |
        |---:|---|---|---|---|
        | 1 | `-/+` replace (stop first) | `postgres` | process | env.PORT, env.PASSWORD changed |
        | 2 | `+` create | `web` | process | new in the file |
        | 2 | `-` delete | `old@host1` | process | no longer in the file |

        <details><summary><code>-/+</code> replace (stop first) <code>postgres</code></summary>

        ```diff
        ! env.PASSWORD: (sensitive, changed)
        - env.PORT: "8080"
        + env.PORT: "8081"  # forces replacement
        ! config:
        @@ -1,3 +1,3 @@
         a: 1
        -b: 2
        +b: 5
         c: 3
        - user: "pg"
        ```

        </details>

        <details><summary><code>+</code> create <code>web</code></summary>

        ```diff
        + args: ["--port", "80"]
        + env.TOKEN: (sensitive)
        + binary: "./bin/web"
        ```

        </details>
        "#);
    }

    #[test]
    fn hostile_text_neither_mentions_nor_breaks_out() {
        insta::assert_snapshot!(plan_markdown(&hostile_plan()), @r#"
        ### 📋 orch: `shop`

        **Plan: 1 to update.**

        **🔀 Drift**

        - `web was changed outside of orch: x\r\u{1b}[1A<script>`

        **❗ Warnings**

        - `see https://evil.example/ #1\n# Approved`

        | Wave | Action | Service | Backend | Why |
        |---:|---|---|---|---|
        | 1 | `~` update | `web` | process | `` drift: gone\u{1b}[2J\nPlan: 0 to delete. @everyone <img src=x> \| `code` `` |

        <details><summary><code>~</code> update <code>web</code></summary>

        ````diff
        ! env.A|B`C:
        @@ -1 +1,4 @@
        -\u{202e}evil
        \ no line break at the end
        +```
        +</details>
        +@team
        +\u{1b}]0;title\u{7}
        - env.X: "a\\\"b"
        + env.X: "a|b`c``d"
        ````

        </details>
        "#);
    }

    #[test]
    fn code_spans_survive_backticks_and_pipes() {
        assert_eq!(span("a`b``c|d", true), "```a`b``c\\|d```");
        assert_eq!(span("`", false), "`` ` ``");
        assert_eq!(prose("PORT changed", true), "PORT changed");
        assert_eq!(prose("@team", true), "`@team`");
    }

    #[test]
    fn a_large_plan_still_fits_a_comment() {
        let text = plan_markdown(&many(5_000));
        assert!(text.chars().count() < 65_536, "{}", text.len());
        assert!(text.contains("more steps.") && text.contains("do not fit a comment"));
    }

    #[test]
    fn long_notes_leave_room_for_the_steps() {
        let mut plan = many(2_000);
        let Plan { drift, warnings, .. } = hostile_plan();
        plan.drift = vec![drift[0].clone(); 500];
        plan.drift.iter_mut().for_each(|note| note.drift.detail = "@x ".repeat(2_000));
        plan.warnings = vec![warnings[0].clone(); 500];
        plan.warnings.iter_mut().for_each(|warning| warning.message = "`".repeat(5_000));
        let text = plan_markdown(&plan);
        assert!(text.chars().count() < 65_536, "{}", text.len());
        assert!(text.contains("svc-100") && text.contains("and 480 more"));
    }

    #[test]
    fn an_empty_plan_is_a_headline() {
        insta::assert_snapshot!(plan_markdown(&Plan { unchanged: 2, ..empty_plan() }), @r#"
        ### ✅ orch: `shop`

        **No changes. 2 services are as the file says.**
        "#);
    }
}
