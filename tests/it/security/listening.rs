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
    let said = scene.expect(0, &["-q", "check", YAML]);
    insta::assert_snapshot!(said.err.replace(&scene.network(), "127.0."), @r"
    warning[W0323]: `chat` listens at every address of its node
     --> small.yaml:6:83
      |
    6 |   chat: { engine: sim, model: Qwen/Qwen3-8B, node: box, port: 8000, args: { host: 0.0.0.0 } }
      |                                                                                   ^^^^^^^ whoever reaches the port can use the model
      |
      = help: leave `host` out: then it listens at the node's address alone

    warning: 1 warning in small.yaml
    ");
    scene.expect(2, &["check", YAML, "--strict"]);

    scene.write(
        YAML,
        &good.replace("port: 8000", "port: 8000, args: { api-key: secret }"),
    );
    let said = scene.expect(2, &["check", YAML]);
    insta::assert_snapshot!(said.err.replace(&scene.network(), "127.0."), @r"
    error[E0602]: servers of `chat` would ask for a key that nobody tells their clients
     --> small.yaml:6:77
      |
    6 |   chat: { engine: sim, model: Qwen/Qwen3-8B, node: box, port: 8000, args: { api-key: secret } }
      |                                                                             ^^^^^^^ the probes and the client's configuration name none
      |
      = help: leave `api-key` and `VLLM_API_KEY` out; a server listens at its node's address alone, so keep that network closed

    error: 1 error in small.yaml
    ");
    scene.write(
        YAML,
        &good.replace("port: 8000", "port: 8000, env: { pass: [VLLM_API_KEY] }"),
    );
    let said = scene.expect(2, &["up", YAML]);
    assert!(said.err.contains("E0602"), "{}", said.err);
    scene.assert_nothing_left();
}
