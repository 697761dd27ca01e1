//! What was added to a graph since it was last looked at.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::event::ProcessId;
use crate::export::graph::{Graph, Weighed};
use crate::python::Stack;

/// A stack of a process. Stacks are told apart by where they lie: each is held as long as it is a
/// key, so that no other one can come to lie there.
type Key = (ProcessId, Option<usize>);

/// The weight of each stack.
type Sums = HashMap<Key, (Option<Arc<Stack>>, u64)>;

/// The graphs as they were last time. Holds no more than the ledger does: what the ledger forgets is
/// forgotten here with the next look.
#[derive(Debug, Default)]
pub(super) struct Differences {
    graphs: Vec<(Graph, Sums)>,
}

impl Differences {
    /// What was added, by process; for what comes and goes again, what there is. Where nothing was
    /// added there is nothing.
    ///
    /// What a stack did before its frames came is told under no stack, and again once it has a name.
    pub(super) fn take(
        &mut self,
        graph: Graph,
        weights: Vec<Weighed>,
    ) -> BTreeMap<ProcessId, Vec<Weighed>> {
        let mut sums: Sums = HashMap::new();
        for Weighed { process, stack, weight } in weights {
            let key = (process, stack.as_ref().map(|stack| Arc::as_ptr(stack) as usize));
            let sum = &mut sums.entry(key).or_insert((stack, 0)).1;
            *sum = sum.saturating_add(weight);
        }
        let standing = matches!(graph, Graph::Alive | Graph::MappedAlive);
        let before = self.of(graph);
        let mut added: BTreeMap<ProcessId, Vec<Weighed>> = BTreeMap::new();
        let mut moved: BTreeMap<ProcessId, u64> = BTreeMap::new();
        if graph.forgets_stacks() {
            for (key, (stack, sum)) in before.iter() {
                if stack.is_some() && !sums.contains_key(key) {
                    *moved.entry(key.0).or_default() += sum;
                }
            }
        }
        for (key, (stack, sum)) in &sums {
            let base = before.get(key).filter(|_| !standing).map_or(0, |(_, sum)| *sum);
            let moved = moved.get(&key.0).filter(|_| stack.is_none()).copied().unwrap_or(0);
            let weight = sum.saturating_sub(base).saturating_sub(moved);
            if weight > 0 {
                let weighed = Weighed { process: key.0, stack: stack.clone(), weight };
                added.entry(key.0).or_default().push(weighed);
            }
        }
        *before = sums;
        added
    }

    fn of(&mut self, graph: Graph) -> &mut Sums {
        let at = self.graphs.iter().position(|(known, _)| *known == graph);
        let at = at.unwrap_or_else(|| {
            self.graphs.push((graph, HashMap::new()));
            self.graphs.len() - 1
        });
        &mut self.graphs[at].1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weighed(process: u32, stack: Option<&Arc<Stack>>, weight: u64) -> Weighed {
        Weighed { process: ProcessId(process), stack: stack.cloned(), weight }
    }

    fn sums(added: &BTreeMap<ProcessId, Vec<Weighed>>) -> Vec<(u32, u64)> {
        added.iter().map(|(id, all)| (id.0, all.iter().map(|one| one.weight).sum())).collect()
    }

    /// Exercise growth, rest, a process that is forgotten, and one stack in several parts.
    #[test]
    fn only_what_was_added_is_told() {
        let stacks = [Arc::<Stack>::default(), Arc::<Stack>::default()];
        let [one, other] = [Some(&stacks[0]), Some(&stacks[1])];
        let mut differences = Differences::default();
        let mut take = |weights| sums(&differences.take(Graph::Spawns, weights));
        let first = vec![weighed(1, one, 3), weighed(1, one, 4), weighed(2, other, 5)];
        assert_eq!(take(first.clone()), [(1, 7), (2, 5)]);
        assert_eq!(take(first), []);
        let more = vec![weighed(1, one, 9), weighed(1, other, 1), weighed(1, None, 2)];
        assert_eq!(take(more), [(1, 5)]);
        assert_eq!(take(vec![weighed(2, other, 5)]), [(2, 5)], "it came again");
        assert_eq!(take(vec![weighed(2, other, 4)]), [], "it became less");
    }

    /// Exercise samples whose stack the source has forgotten: they are nobody's now, and no news.
    #[test]
    fn what_moves_is_not_added() {
        let stack = Arc::<Stack>::default();
        let mut differences = Differences::default();
        let mut take = |weights| sums(&differences.take(Graph::OnCpu, weights));
        assert_eq!(take(vec![weighed(1, Some(&stack), 30), weighed(1, None, 1)]), [(1, 31)]);
        assert_eq!(take(vec![weighed(1, None, 31)]), []);
        assert_eq!(take(vec![weighed(1, None, 33)]), [(1, 2)]);
    }

    /// Exercise what comes and goes: it is told as it stands. Graphs do not touch each other.
    #[test]
    fn what_stands_is_told_whole() {
        let mut differences = Differences::default();
        for weight in [5, 5, 3] {
            let added = differences.take(Graph::Alive, vec![weighed(1, None, weight)]);
            assert_eq!(sums(&added), [(1, weight)]);
        }
        assert_eq!(sums(&differences.take(Graph::Opened, vec![weighed(1, None, 4)])), [(1, 4)]);
    }
}
