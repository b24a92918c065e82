//! Dependency graph: cycles, order, waves, critical path.
//!
//! One graph serves both sides of a plan: the services that the file wants, and those that are
//! recorded and whose dependencies only the records still know. Nodes are laid out in the order of
//! their names, so an index compares as its name does and every answer is the same whatever order
//! the services came in. Nothing here recurses: a chain of 100,000 services needs no deep stack.

mod cycle;
mod walk;

pub use cycle::{Cycle, cycles};

use std::collections::{BTreeMap, HashMap};

use petgraph::Direction;
use petgraph::graph::{DiGraph, NodeIndex};

use crate::model::ServiceName;

/// Services and what they need; free of cycles.
#[derive(Debug, Clone)]
pub struct Graph {
    /// An edge leads from a service to one that it needs. Indices are in the order of the names.
    nodes: DiGraph<ServiceName, ()>,
    /// The wave of each node, by index, from 1.
    waves: Vec<u32>,
    /// Every node, dependencies first: by wave, then by name.
    order: Vec<NodeIndex>,
}

impl Graph {
    /// Lays out services and what each of them needs.
    ///
    /// A dependency that is no service of the graph is left out (the loader of the file reports it,
    /// and a record may name a service that is long gone). A name that comes twice has the
    /// dependencies of both.
    ///
    /// # Errors
    /// When services need each other in a circle: the first of [`cycles`].
    pub fn build<'a, D>(services: impl IntoIterator<Item = (&'a ServiceName, D)>) -> Result<Self, Cycle>
    where
        D: IntoIterator<Item = &'a ServiceName>,
    {
        let nodes = layout(services);
        let waves = waves(&nodes);
        // Whatever has no wave is on a circle, or needs something that is.
        if waves.contains(&0)
            && let Some(cycle) = cycle::find(&nodes).into_iter().next()
        {
            return Err(cycle);
        }
        let mut order: Vec<NodeIndex> = nodes.node_indices().collect();
        // A stable sort keeps the names of a wave in order.
        order.sort_by_key(|node| waves[node.index()]);
        Ok(Self { nodes, waves, order })
    }

    /// How many services there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Whether a service is in the graph.
    #[must_use]
    pub fn contains(&self, name: &ServiceName) -> bool {
        self.find(name).is_some()
    }

    /// Every service, each after all that it needs: by wave, then by name.
    pub fn order(&self) -> impl DoubleEndedIterator<Item = &ServiceName> + ExactSizeIterator {
        self.order.iter().map(|node| &self.nodes[*node])
    }

    /// The services by wave, from 1; those of a wave by name. A service is in the first wave that
    /// comes after all that it needs.
    #[must_use]
    pub fn waves(&self) -> BTreeMap<u32, Vec<&ServiceName>> {
        let mut waves: BTreeMap<u32, Vec<&ServiceName>> = BTreeMap::new();
        for node in &self.order {
            waves.entry(self.waves[node.index()]).or_default().push(&self.nodes[*node]);
        }
        waves
    }

    /// The wave of a service, from 1; `None` when it is not in the graph.
    #[must_use]
    pub fn wave(&self, name: &ServiceName) -> Option<u32> {
        self.find(name).map(|node| self.waves[node.index()])
    }

    /// The node of a name. Nodes are sorted by name, so no map is kept beside them.
    fn find(&self, name: &ServiceName) -> Option<NodeIndex> {
        let found = self.nodes.raw_nodes().binary_search_by(|node| node.weight.cmp(name));
        found.ok().map(NodeIndex::new)
    }
}

/// The graph with its nodes in the order of their names and no edge twice.
fn layout<'a, D>(services: impl IntoIterator<Item = (&'a ServiceName, D)>) -> DiGraph<ServiceName, ()>
where
    D: IntoIterator<Item = &'a ServiceName>,
{
    let mut list: Vec<(&ServiceName, Vec<&ServiceName>)> =
        services.into_iter().map(|(name, needs)| (name, needs.into_iter().collect())).collect();
    list.sort_by(|a, b| a.0.cmp(b.0));
    list.dedup_by(|later, kept| {
        let twice = later.0 == kept.0;
        if twice {
            kept.1.append(&mut later.1);
        }
        twice
    });

    let edges = list.iter().map(|(_, needs)| needs.len()).sum();
    let mut nodes = DiGraph::with_capacity(list.len(), edges);
    let index: HashMap<&ServiceName, NodeIndex> =
        list.iter().map(|(name, _)| (*name, nodes.add_node((*name).clone()))).collect();
    for (from, (_, needs)) in list.into_iter().enumerate() {
        let mut needs: Vec<NodeIndex> = needs.into_iter().filter_map(|name| index.get(name).copied()).collect();
        needs.sort_unstable();
        needs.dedup();
        // petgraph walks the newest edge first: added from the last name, they are walked by name.
        for to in needs.into_iter().rev() {
            nodes.add_edge(NodeIndex::new(from), to, ());
        }
    }
    nodes
}

/// The wave of each node, from 1; 0 for what is on a circle or needs something that is.
fn waves(nodes: &DiGraph<ServiceName, ()>) -> Vec<u32> {
    let mut waves = vec![0; nodes.node_count()];
    let mut missing: Vec<usize> = nodes.node_indices().map(|node| nodes.neighbors(node).count()).collect();
    let mut ready: Vec<NodeIndex> = nodes.node_indices().filter(|node| missing[node.index()] == 0).collect();
    let mut wave = 0;
    while !ready.is_empty() {
        wave += 1;
        let mut next = Vec::new();
        for node in ready {
            waves[node.index()] = wave;
            for dependent in nodes.neighbors_directed(node, Direction::Incoming) {
                missing[dependent.index()] -= 1;
                if missing[dependent.index()] == 0 {
                    next.push(dependent);
                }
            }
        }
        ready = next;
    }
    waves
}

#[cfg(test)]
mod tests;
