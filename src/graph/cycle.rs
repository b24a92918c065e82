//! Services that need each other in a circle.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, NodeIndex};
use thiserror::Error;

use crate::model::ServiceName;

/// Services that need each other in a circle, so that none of them can be first.
///
/// It is shown as the path, which ends where it began: `a -> b -> a`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct Cycle {
    /// The services of the circle, each needing the next and the last one the first. It begins with
    /// the first name, and no service is in it twice.
    pub path: Vec<ServiceName>,
}

impl fmt::Display for Cycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.path.iter().chain(self.path.first()).enumerate() {
            write!(f, "{}{name}", if index == 0 { "" } else { " -> " })?;
        }
        Ok(())
    }
}

/// One cycle for each knot of services that need each other, by first name, so that all of them
/// can be reported at once; empty where there is none.
///
/// Of a knot it is the shortest cycle through the knot's first name (of several as short, the one
/// whose names come first): a person finds the error in a short path, and it is found in linear
/// time.
#[must_use]
pub fn cycles<'a, D>(services: impl IntoIterator<Item = (&'a ServiceName, D)>) -> Vec<Cycle>
where
    D: IntoIterator<Item = &'a ServiceName>,
{
    find(&super::layout(services))
}

pub(super) fn find(nodes: &DiGraph<ServiceName, ()>) -> Vec<Cycle> {
    // Kosaraju's algorithm, because petgraph's version of Tarjan's recurses.
    let knots = kosaraju_scc(nodes);
    let mut knot_of = vec![0; nodes.node_count()];
    for (number, knot) in knots.iter().enumerate() {
        for node in knot {
            knot_of[node.index()] = number;
        }
    }
    let mut starts: Vec<NodeIndex> = knots
        .iter()
        .filter_map(|knot| {
            let first = *knot.iter().min()?;
            (knot.len() > 1 || nodes.contains_edge(first, first)).then_some(first)
        })
        .collect();
    starts.sort_unstable();
    starts.into_iter().map(|start| Cycle { path: shortest(nodes, &knot_of, start) }).collect()
}

/// The shortest way from a node back to itself, breadth first inside its knot.
fn shortest(nodes: &DiGraph<ServiceName, ()>, knot_of: &[usize], start: NodeIndex) -> Vec<ServiceName> {
    let mut came_from: BTreeMap<NodeIndex, NodeIndex> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    'search: while let Some(node) = queue.pop_front() {
        for next in nodes.neighbors(node) {
            if knot_of[next.index()] != knot_of[start.index()] || came_from.contains_key(&next) {
                continue;
            }
            came_from.insert(next, node);
            if next == start {
                break 'search;
            }
            queue.push_back(next);
        }
    }
    let mut path = Vec::new();
    let mut node = start;
    while let Some(before) = came_from.get(&node) {
        path.push(nodes[*before].clone());
        node = *before;
        if node == start {
            break;
        }
    }
    path.reverse();
    path
}
