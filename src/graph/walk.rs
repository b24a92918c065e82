//! What a service needs, who needs it, and which chain takes longest.

use std::collections::BTreeSet;

use petgraph::Direction;
use petgraph::graph::NodeIndex;

use super::Graph;
use crate::model::ServiceName;

impl Graph {
    /// What a service needs itself, by name; nothing when it is not in the graph.
    pub fn dependencies(&self, name: &ServiceName) -> impl Iterator<Item = &ServiceName> {
        self.neighbours(name, Direction::Outgoing)
    }

    /// Who needs a service itself, by name; nobody when it is not in the graph.
    pub fn dependents(&self, name: &ServiceName) -> impl Iterator<Item = &ServiceName> {
        self.neighbours(name, Direction::Incoming)
    }

    /// All that some services need, themselves or through others, by name. A service that is asked
    /// about is in the answer only when another of them needs it; one that is not in the graph
    /// needs nothing.
    #[must_use]
    pub fn dependencies_of<'a>(&self, names: impl IntoIterator<Item = &'a ServiceName>) -> BTreeSet<&ServiceName> {
        self.closure(names, Direction::Outgoing)
    }

    /// All that need one of some services, themselves or through others, by name. A service that is
    /// asked about is in the answer only when it needs another of them.
    #[must_use]
    pub fn dependents_of<'a>(&self, names: impl IntoIterator<Item = &'a ServiceName>) -> BTreeSet<&ServiceName> {
        self.closure(names, Direction::Incoming)
    }

    /// The chain of services, each needed by the next, whose costs add up to the most, and that
    /// sum: however many steps run at once, a run cannot take less. Of chains that cost the same it
    /// is the one whose last service comes first in [`order`](Self::order).
    #[must_use]
    pub fn critical_path(&self, cost: impl Fn(&ServiceName) -> u64) -> (u64, Vec<&ServiceName>) {
        let mut best: Vec<(u64, Option<NodeIndex>)> = vec![(0, None); self.nodes.node_count()];
        let mut end: Option<NodeIndex> = None;
        for &node in &self.order {
            // The first of equals, by name.
            let before = self.nodes.neighbors(node).min_by_key(|before| std::cmp::Reverse(best[before.index()].0));
            let so_far = before.map_or(0, |before| best[before.index()].0);
            let total = so_far.saturating_add(cost(&self.nodes[node]));
            best[node.index()] = (total, before);
            if end.is_none_or(|end| total > best[end.index()].0) {
                end = Some(node);
            }
        }
        let total = end.map_or(0, |end| best[end.index()].0);
        let mut path = Vec::new();
        while let Some(node) = end {
            path.push(&self.nodes[node]);
            end = best[node.index()].1;
        }
        path.reverse();
        (total, path)
    }

    fn neighbours(&self, name: &ServiceName, direction: Direction) -> impl Iterator<Item = &ServiceName> {
        let mut found: Vec<NodeIndex> =
            self.find(name).into_iter().flat_map(|node| self.nodes.neighbors_directed(node, direction)).collect();
        found.sort_unstable();
        found.into_iter().map(|node| &self.nodes[node])
    }

    /// What is reached from some services. The cost is that of what is reached, not of the whole
    /// graph, so asking it of every service in turn is fine.
    fn closure<'a>(
        &self,
        names: impl IntoIterator<Item = &'a ServiceName>,
        direction: Direction,
    ) -> BTreeSet<&ServiceName> {
        let mut reached: BTreeSet<NodeIndex> = BTreeSet::new();
        let mut open: Vec<NodeIndex> = names.into_iter().filter_map(|name| self.find(name)).collect();
        while let Some(node) = open.pop() {
            open.extend(self.nodes.neighbors_directed(node, direction).filter(|next| reached.insert(*next)));
        }
        reached.into_iter().map(|node| &self.nodes[node]).collect()
    }
}
