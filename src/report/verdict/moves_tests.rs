//! Moves that cannot be, and what the others mean in the YAML.

use insta::assert_snapshot;

use super::moves::moved;
use super::patch::patch;
use super::*;

fn class(name: &str, replicas: usize, gpus: usize, node: &str) -> Class {
    Class {
        name: name.to_owned(),
        replicas,
        gpus_per_replica: gpus,
        nodes: vec![node.to_owned()],
        ..Class::default()
    }
}

fn node(name: &str, gpus: usize) -> Node {
    Node {
        name: name.to_owned(),
        gpus,
        ..Node::default()
    }
}

fn cluster() -> Evidence {
    Evidence {
        classes: vec![
            class("orchestrator", 4, 1, "n5"),
            class("coder", 8, 1, "n11"),
            class("answer", 2, 4, "n12"),
            class("judge", 1, 0, "n5"),
        ],
        nodes: vec![
            node("n5", 4),
            node("n11", 8),
            node("n12", 8),
            node("n13", 1),
        ],
        ..Evidence::default()
    }
}

fn said_of(evidence: &Evidence, moves: &[&str]) -> String {
    let moves: Vec<Move> = moves.iter().map(|text| text.parse().unwrap()).collect();
    match moved(evidence, &moves) {
        Err(why) => why,
        Ok(replicas) => {
            let patch = patch(evidence, &replicas);
            let mut lines: Vec<String> = patch
                .changes
                .iter()
                .map(|change| format!("{}: {} → {}", change.path, change.from, change.to))
                .collect();
            lines.extend(patch.by_hand);
            lines.join("\n")
        }
    }
}

#[test]
fn impossible_moves_are_refused_with_words() {
    let said = |moves: &[&str]| said_of(&cluster(), moves);
    assert_snapshot!(said(&["2 codr:orchestrator"]), @"`codr` is not known: GPUs are with orchestrator, coder, answer");
    assert_snapshot!(said(&["2 coder:coder"]), @"`coder` cannot give GPUs to itself: name two models");
    assert_snapshot!(said(&["2 coder:judge"]), @"`judge` has no GPUs of its own");
    assert_snapshot!(said(&["2 coder:answer"]), @"a replica of `answer` takes 4 GPUs, and 2 are no multiple of that: a replica is moved whole, or `tensor_parallel` changed first");
    assert_snapshot!(said(&["1 answer:orchestrator"]), @"a replica of `answer` takes 4 GPUs, and 1 is no multiple of that: a replica is moved whole, or `tensor_parallel` changed first");
    assert_snapshot!(said(&["8 coder:orchestrator"]), @"`coder` has 8 replicas: without 8 GPUs none is left, and questions that need it fail; its GPUs above that are 7");
    assert_snapshot!(said(&["4 coder:orchestrator", "4 coder:answer"]), @"`coder` has 4 replicas: without 4 GPUs none is left, and questions that need it fail; its GPUs above that are 3");
    assert_snapshot!(said(&["2 unused:orchestrator"]), @"1 GPU of the cluster is unused, fewer than 2");
}

#[test]
fn a_patch_says_where_replicas_go() {
    let said = |moves: &[&str]| said_of(&cluster(), moves);
    // Spread evenly over both nodes there would be three on n11, and two are free.
    assert_snapshot!(said(&["2 coder:orchestrator"]), @r"
    models.orchestrator.replicas: 4 → 6
    models.coder.replicas: 8 → 6
    6 replicas of orchestrator do not fit where they are spread evenly over nodes: write `replicas: 5` with `node: [n5, n11]`
    ");
    assert_snapshot!(said(&["4 coder:orchestrator"]), @r#"
    models.orchestrator.replicas: 4 → 8
    models.orchestrator.node: n5 → [n5, n11]
    models.coder.replicas: 8 → 4
    "#);
    assert_snapshot!(said(&["4 coder:answer"]), @r#"
    models.coder.replicas: 8 → 4
    models.answer.replicas: 2 → 3
    models.answer.node: n12 → [n12, n11]
    "#);
    assert_snapshot!(said(&["1 unused:orchestrator"]), @r"
    models.orchestrator.replicas: 4 → 5
    5 replicas of orchestrator do not fit where they are spread evenly over nodes: no other number does either
    ");
    let mut roomy = cluster();
    roomy.nodes[0].gpus = 8;
    assert_snapshot!(said_of(&roomy, &["3 unused:orchestrator"]), @"models.orchestrator.replicas: 4 → 7");
    roomy.classes[0].pinned = true;
    assert_snapshot!(said_of(&roomy, &["3 unused:orchestrator"]), @r#"
    models.orchestrator.replicas: 4 → 7
    write into `gpus` of orchestrator those of 7 servers (4 now), which no other model or service may name
    "#);
    // Where the numbers are known they are written.
    roomy.nodes[0].numbers = (0..8).collect();
    roomy.classes[0].groups = [0, 1, 2, 5].map(|gpu| vec![gpu]).into();
    assert_snapshot!(said_of(&roomy, &["3 unused:orchestrator"]), @r"
    models.orchestrator.replicas: 4 → 7
    models.orchestrator.gpus: [0, 1, 2, 5] → [0, 1, 2, 5, 3, 4, 6]
    ");
}

#[test]
fn a_move_is_read_as_it_is_written() {
    let step: Move = "2 coder:orchestrator".parse().unwrap();
    assert_eq!(step.to_string().parse(), Ok(step));
    for text in [
        "",
        "2",
        "coder:orchestrator",
        "0 a:b",
        "-1 a:b",
        "2 a",
        "2 :b",
        "2 a:",
        "2 a:b:c",
        "x a:b",
    ] {
        assert!(text.parse::<Move>().is_err(), "{text}");
    }
    assert_snapshot!("2 coder".parse::<Move>().unwrap_err(), @"`2 coder` is not a move of GPUs: write how many, from where and to where, such as `2 coder:orchestrator`; GPUs that no model has are `unused`");
}

#[test]
fn a_pool_is_as_many_nodes_as_it_has() {
    // Sixteen GPUs on two nodes: five servers of two and six of one would need nine on the first.
    let evidence = Evidence {
        classes: vec![class("small", 8, 1, "pool"), class("big", 4, 2, "pool")],
        nodes: vec![Node {
            pool: 2,
            ..node("pool", 16)
        }],
        ..Evidence::default()
    };
    assert_snapshot!(said_of(&evidence, &["2 small:big"]), @r"
    models.small.replicas: 8 → 6
    models.big.replicas: 4 → 5
    5 replicas of big do not fit where they are spread evenly over nodes: no other number does either
    ");
}

#[test]
fn ports_of_others_are_left_to_them() {
    let mut evidence = Evidence {
        classes: vec![class("one", 2, 1, "n"), class("two", 3, 1, "n")],
        nodes: vec![node("n", 8)],
        ..Evidence::default()
    };
    (evidence.classes[0].port, evidence.classes[1].port) = (Some(1800), Some(1803));
    // The next port is free, the one behind it is not.
    assert_snapshot!(said_of(&evidence, &["1 two:one"]), @r"
    models.one.replicas: 2 → 3
    models.two.replicas: 3 → 2
    ");
    assert_snapshot!(said_of(&evidence, &["2 unused:one"]), @r"
    models.one.replicas: 2 → 4
    models.one.port: 1800 → auto
    ");
    evidence.nodes[0].ports = vec![1802];
    assert_snapshot!(said_of(&evidence, &["1 unused:one"]), @r"
    models.one.replicas: 2 → 3
    models.one.port: 1800 → auto
    ");
}

#[test]
fn what_has_no_replicas_gives_and_gets_none() {
    let mut evidence = cluster();
    evidence.classes[1].fixed = true;
    assert_snapshot!(said_of(&evidence, &["2 coder:orchestrator"]), @"`coder` is not made of independent replicas, of which there could be more or fewer");
}
