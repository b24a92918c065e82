//! Dependency cycles, found without recursion: a chain may be as long as the file.

/// How far the search has come with a node.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    New,
    /// On the path from the root of the search, at this depth.
    Open(usize),
    Done,
}

/// Finds cycles in a graph given as lists of targets. Each cycle is a list of (node, which of its
/// targets leads on); cycles that share nodes with one already found are left out, so what is found is
/// never more than the graph.
pub(crate) fn find(targets: &[Vec<usize>]) -> Vec<Vec<(usize, usize)>> {
    let mut marks = vec![Mark::New; targets.len()];
    let mut in_cycle = vec![false; targets.len()];
    let mut cycles = Vec::new();
    // Each entry is a node and how many of its targets were followed.
    let mut path: Vec<(usize, usize)> = Vec::new();
    for root in 0..targets.len() {
        if marks[root] != Mark::New {
            continue;
        }
        marks[root] = Mark::Open(0);
        path.push((root, 0));
        while let Some((node, followed)) = path.last_mut() {
            let node = *node;
            let Some(target) = targets[node].get(*followed).copied() else {
                marks[node] = Mark::Done;
                path.pop();
                continue;
            };
            *followed += 1;
            match marks[target] {
                Mark::New => {
                    marks[target] = Mark::Open(path.len());
                    path.push((target, 0));
                }
                Mark::Open(depth) if !in_cycle[target] && !in_cycle[node] => {
                    let cycle: Vec<(usize, usize)> =
                        path[depth..].iter().map(|(node, followed)| (*node, followed - 1)).collect();
                    cycle.iter().for_each(|(node, _)| in_cycle[*node] = true);
                    cycles.push(cycle);
                }
                Mark::Open(_) | Mark::Done => {}
            }
        }
    }
    cycles
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cycles_are_found_and_chains_are_not() {
        assert!(find(&[vec![1, 2], vec![2], vec![]]).is_empty());
        assert_eq!(find(&[vec![1], vec![2], vec![1]]), [[(1, 0), (2, 0)]]);
        assert_eq!(find(&[vec![1], vec![0], vec![3], vec![2]]).len(), 2);
    }

    #[test]
    fn a_long_chain_does_not_overflow_the_stack() {
        let count = 200_000;
        let mut chain: Vec<Vec<usize>> = (1..=count).map(|next| vec![next]).collect();
        chain.push(vec![]);
        assert!(find(&chain).is_empty());
        chain[count] = vec![0];
        assert_eq!(find(&chain)[0].len(), count + 1);
    }
}
