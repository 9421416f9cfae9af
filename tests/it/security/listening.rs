//! Servers listen where their clients reach them, and nowhere else.

use crate::up::scene::until;
use crate::up::small::{self, YAML, change};

#[test]
fn a_server_listens_at_its_node_s_address_alone() {
    let scene = small::scene("plain", 1);
    scene.expect(0, &["up", YAML, "--no-eval"]);
    assert_eq!(scene.listeners(), [format!("{}1.1:8000", scene.network())]);
    let everywhere = std::process::Command::new("ss")
        .args(["-Hltn", "sport = :8000"])
        .output()
        .unwrap();
    let everywhere = String::from_utf8(everywhere.stdout).unwrap();
    let pattern = |local: &str| {
        local.starts_with("0.0.0.0:") || local.starts_with("*:") || local.starts_with("[::]:")
    };
    let open = everywhere
        .lines()
        .filter(|line| line.split_whitespace().any(pattern));
    // The peer's column is a pattern for each listener; its own address must not be.
    let open: Vec<&str> = open
        .filter(|line| pattern(line.split_whitespace().nth(3).unwrap()))
        .collect();
    assert_eq!(open, [] as [&str; 0]);
    scene.expect(0, &["down", YAML]);
    until("the port to be free", || {
        scene.listeners().is_empty().then_some(())
    });
    scene.assert_nothing_left();
}

#[test]
fn check_says_where_a_server_is_open_and_refuses_a_key_that_no_client_would_name() {
    let scene = small::scene("plain", 1);
    let good = scene.read(YAML);
    change(&scene, "port: 8000", "port: 8000, args: { host: 0.0.0.0 }");
    let said = scene.expect(0, &["check", YAML]);
    insta::assert_snapshot!(said.err.replace(&scene.network(), "127.0."), @"");
    scene.expect(2, &["check", YAML, "--strict"]);

    scene.write(
        YAML,
        &good.replace("port: 8000", "port: 8000, args: { api-key: secret }"),
    );
    let said = scene.expect(2, &["check", YAML]);
    insta::assert_snapshot!(said.err.replace(&scene.network(), "127.0."), @"");
    scene.write(
        YAML,
        &good.replace("port: 8000", "port: 8000, env: { pass: [VLLM_API_KEY] }"),
    );
    let said = scene.expect(2, &["up", YAML]);
    assert!(said.err.contains("E0602"), "{}", said.err);
    scene.assert_nothing_left();
}
