use super::sshd::Sshd;
use super::{Kind, Node};
use std::time::Instant;

#[test]
#[ignore = "figures"]
fn figures() {
    let sshd = Sshd::start(&[]);
    for kind in [Kind::Ssh2, Kind::SystemSsh] {
        let node = Node::of(&sshd, kind);
        let began = Instant::now();
        node.says(&["true"]);
        eprintln!("{kind:?} first {:?}", began.elapsed());
        let mut all: Vec<_> = (0..50)
            .map(|_| {
                let b = Instant::now();
                node.says(&["true"]);
                b.elapsed()
            })
            .collect();
        all.sort();
        eprintln!(
            "{kind:?} exec p50 {:?} p90 {:?} min {:?}",
            all[25], all[45], all[0]
        );
    }
}
