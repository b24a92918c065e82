//! The dependency graph as a text tree, Graphviz or Mermaid.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::text::escape;
use super::{Look, Paint};
use crate::model::{BackendKind, ServiceName};
use crate::plan::Action;

/// A service in the graph.
#[derive(Debug, Clone)]
pub struct GraphNode {
    /// Its name.
    pub name: ServiceName,
    /// What it needs.
    pub deps: Vec<ServiceName>,
    /// What a plan does to it, if one was made and does something.
    pub action: Option<Action>,
    /// What runs it.
    pub backend: BackendKind,
}

/// A place in the tree that is still to be written.
struct Todo<'a> {
    name: &'a ServiceName,
    /// What stands before the children's branches.
    prefix: String,
    /// The branch to this one.
    branch: &'static str,
}

/// The graph as a tree: what nothing needs at the left, what each service needs below it. A service
/// that several need is written out once and pointed to after that.
#[must_use]
pub fn graph_text(nodes: &[GraphNode], look: Look) -> String {
    let by_name: BTreeMap<&ServiceName, &GraphNode> = nodes.iter().map(|node| (&node.name, node)).collect();
    let needed: BTreeSet<&ServiceName> = nodes.iter().flat_map(|node| &node.deps).collect();
    let (tee, corner, pipe) = if look.unicode { ("├─ ", "└─ ", "│  ") } else { ("|- ", "`- ", "|  ") };
    let mut text = String::new();
    let mut written = BTreeSet::new();
    // What nothing needs comes first; what is left after that stands in a cycle, and is shown all the same.
    let tops =
        by_name.keys().filter(|name| !needed.contains(*name)).chain(by_name.keys().filter(|n| needed.contains(*n)));
    for top in tops {
        if written.contains(top) {
            continue;
        }
        // A stack of its own: a chain of ten thousand services must not exhaust the thread's.
        let mut todo = vec![Todo { name: top, prefix: String::new(), branch: "" }];
        while let Some(Todo { name, prefix, branch }) = todo.pop() {
            let node = by_name.get(name);
            let again = !written.insert(name);
            let children = node.map_or(&[][..], |node| &node.deps);
            let note = if again && !children.is_empty() { " (see above)" } else { "" };
            let _ = writeln!(text, "{prefix}{branch}{}{note}", label(name, node.copied(), look));
            if again {
                continue;
            }
            let below = match branch {
                "" => String::new(),
                branch if branch == corner => format!("{prefix}   "),
                _ => format!("{prefix}{pipe}"),
            };
            let last = children.len().saturating_sub(1);
            todo.extend(children.iter().enumerate().rev().map(|(index, name)| Todo {
                name,
                prefix: below.clone(),
                branch: if index == last { corner } else { tee },
            }));
        }
    }
    text
}

fn label(name: &ServiceName, node: Option<&GraphNode>, look: Look) -> String {
    let name = escape(name.as_str());
    let Some(node) = node else { return name.into_owned() };
    match node.action {
        None => format!("{name} ({})", node.backend),
        Some(action) => {
            let text = format!("{} {name} ({}): {action}", action.sign(), node.backend);
            look.paint(Paint::of_action(action), text).to_string()
        }
    }
}

/// The fill of a node in both drawing languages.
fn fill(action: Action) -> &'static str {
    match Paint::of_action(action) {
        Paint::Green => "#c8e6c9",
        Paint::Yellow => "#fff3c4",
        Paint::Magenta => "#e1bee7",
        Paint::Red => "#ffcdd2",
        _ => "#b3e5fc",
    }
}

/// The graph for Graphviz: an arrow points at what is needed.
#[must_use]
pub fn graph_dot(nodes: &[GraphNode]) -> String {
    let mut text =
        String::from("digraph orch {\n  rankdir=LR;\n  node [shape=box, style=\"rounded,filled\", fillcolor=white];\n");
    // Names have neither quotes nor backslashes, by their type.
    for node in nodes {
        let _ = match node.action {
            None => writeln!(text, "  \"{0}\" [label=\"{0}\\n{1}\"];", node.name, node.backend),
            Some(action) => {
                let color = fill(action);
                writeln!(
                    text,
                    "  \"{0}\" [label=\"{0}\\n{1}: {action}\", fillcolor=\"{color}\"];",
                    node.name, node.backend
                )
            }
        };
    }
    for node in nodes {
        for need in &node.deps {
            let _ = writeln!(text, "  \"{}\" -> \"{need}\";", node.name);
        }
    }
    text.push_str("}\n");
    text
}

/// The graph for Mermaid, which forges draw in Markdown.
#[must_use]
pub fn graph_mermaid(nodes: &[GraphNode]) -> String {
    // A name such as `end` or `x-1` means something to Mermaid: nodes get numbers, names are labels.
    let mut ids: BTreeMap<&ServiceName, usize> = BTreeMap::new();
    for name in nodes.iter().map(|node| &node.name).chain(nodes.iter().flat_map(|node| &node.deps)) {
        let next = ids.len();
        ids.entry(name).or_insert(next);
    }
    let mut text = String::from("graph LR\n");
    for node in nodes {
        let id = ids[&node.name];
        let _ = match node.action {
            None => writeln!(text, "  n{id}[\"{}<br/>{}\"]", node.name, node.backend),
            Some(action) => writeln!(
                text,
                "  n{id}[\"{}<br/>{}: {action}\"]\n  style n{id} fill:{},color:#000",
                node.name,
                node.backend,
                fill(action)
            ),
        };
    }
    for node in nodes {
        for need in &node.deps {
            let _ = writeln!(text, "  n{} --> n{}", ids[&node.name], ids[need]);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::testing::name;
    use super::*;

    fn node(name: &str, deps: &[&str], action: Option<Action>) -> GraphNode {
        let deps = deps.iter().map(|dep| self::name(dep)).collect();
        GraphNode { name: self::name(name), deps, action, backend: BackendKind::Process }
    }

    fn shop() -> Vec<GraphNode> {
        vec![
            node("api", &["migrate", "postgres"], Some(Action::Create)),
            node("end", &[], None),
            node("migrate", &["postgres"], None),
            node("postgres", &["disk"], None),
            node("disk", &[], None),
            node("web", &["api", "end"], None),
        ]
    }

    #[test]
    fn shared_services_are_written_out_once() {
        insta::assert_snapshot!(graph_text(&shop(), Look::plain()), @r#"
        web (process)
        ├─ + api (process): create
        │  ├─ migrate (process)
        │  │  └─ postgres (process)
        │  │     └─ disk (process)
        │  └─ postgres (process) (see above)
        └─ end (process)
        "#);
        let ascii = Look { unicode: false, color: true, width: None };
        assert!(graph_text(&shop(), ascii).contains("|- \x1b[32m+ api (process): create\x1b[0m"));
    }

    #[test]
    fn a_cycle_and_a_long_chain_end() {
        let cycle = [node("a", &["b"], None), node("b", &["a"], None)];
        insta::assert_snapshot!(graph_text(&cycle, Look::plain()), @r#"
        a (process)
        └─ b (process)
           └─ a (process) (see above)
        "#);
        let chain: Vec<GraphNode> =
            (0..2000).map(|n| node(&format!("s{n}"), &[format!("s{}", n + 1).as_str()], None)).collect();
        assert_eq!(graph_text(&chain, Look::plain()).lines().count(), 2001);
    }

    #[test]
    fn drawings_show_the_same_graph() {
        let nodes = [node("web", &["end"], Some(Action::Delete)), node("end", &[], None)];
        insta::assert_snapshot!(graph_dot(&nodes), @r##"
        digraph orch {
          rankdir=LR;
          node [shape=box, style="rounded,filled", fillcolor=white];
          "web" [label="web\nprocess: delete", fillcolor="#ffcdd2"];
          "end" [label="end\nprocess"];
          "web" -> "end";
        }
        "##);
        insta::assert_snapshot!(graph_mermaid(&nodes), @r#"
        graph LR
          n0["web<br/>process: delete"]
          style n0 fill:#ffcdd2,color:#000
          n1["end<br/>process"]
          n0 --> n1
        "#);
    }
}
