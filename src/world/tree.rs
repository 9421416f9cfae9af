//! A process and all that is of it. Reads `/proc`.

use std::collections::HashSet;

use super::procfs::{Process, process, processes};

/// A process and all that descends from it or shares its session; none where it is gone.
pub(super) fn tree_of(root: u32) -> Option<HashSet<u32>> {
    Some(tree_among(process(root)?, &processes()))
}

/// Of all processes a leader, and what descends from it or shares its session.
pub(super) fn tree_among(leader: Process, all: &[Process]) -> HashSet<u32> {
    let mut tree: HashSet<u32> = HashSet::from([leader.pid]);
    let in_session = all.iter().filter(|one| one.session == leader.session);
    // A leader of no session of its own shares it with strangers.
    if leader.session == leader.pid {
        tree.extend(in_session.map(|one| one.pid));
    }
    loop {
        let before = tree.len();
        for one in all {
            if tree.contains(&one.parent) {
                tree.insert(one.pid);
            }
        }
        if tree.len() == before {
            return tree;
        }
    }
}
