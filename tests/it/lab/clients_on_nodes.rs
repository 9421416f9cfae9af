//! Evaluations whose client runs on a node, beside its servers: on files that both machines share, or refused.

use rustix::process::Signal;

use super::site::{ASKING, Site};
use super::{Lab, Link, Shape};
use crate::up::scene::until;

/// The home is shared with this one, and not with the other.
const SHARED: &str = "research-secure-05";
const APART: &str = "research-secure-11";
const QUESTIONS: usize = 60;

const YAML: &str = "version: 1
name: there
launcher: tmux
nodes:
  research-secure-05: { gpus: 2 }
  research-secure-11: { gpus: 2 }
models:
  m:
    model: Qwen/Qwen3-8B
    engine: sim
    node: [research-secure-05, research-secure-11]
    replicas: 4
    port: 1800
    sim: { latency: 400ms }
    restart: { backoff: 1s }
";

fn site(node: &str) -> Site {
    let shape = Shape {
        private_home: vec![APART.to_owned()],
        ..Shape::plain(&[SHARED, APART])
    };
    let there = format!("  asking:\n    node: {node}");
    let yaml = format!("{YAML}{}", ASKING.replace("  asking:", &there));
    Site::new(&shape, &yaml).with_questions(QUESTIONS)
}

fn clients(site: &Site, node: &str) -> Vec<String> {
    let look = "pgrep -u tester -f '^python3 client.py' || true";
    let pids = site.on(node, ["bash", "-c", look]);
    pids.split_whitespace().map(str::to_owned).collect()
}

/// What a look at a running unit leaves beside its state; none before the first one.
fn last_look(site: &Site, node: &str) -> Option<String> {
    let look = "cat /tmp/toolorch-*/*/eval-asking/seen || true";
    let seen = site.on(node, ["bash", "-c", look]).trim().to_owned();
    (!seen.is_empty()).then_some(seen)
}

#[test]
fn a_client_works_on_its_node_is_started_again_there_and_outlives_the_controller() {
    let site = site(SHARED);
    site.write("hold", "");
    let first = site.up();
    until("the evaluation", || (site.answered() >= 8).then_some(()));
    let mut earlier = None;
    until("two looks at it, so that the first one is over", || {
        let look = last_look(&site, SHARED)?;
        (earlier.get_or_insert_with(|| look.clone()) != &look).then_some(())
    });
    let client = clients(&site, SHARED);
    assert_eq!(client.len(), 1, "{client:?}");
    assert_ne!(site.run(["pgrep", "-f", "^python3 client.py"]).code, 0);

    site.on(SHARED, ["kill", "-KILL", &client[0]]);
    Site::says(&first, 1, "eval-asking ended with code 137");
    until("its next start", || {
        let now = clients(&site, SHARED);
        (now.len() == 1 && now != client).then_some(())
    });

    Lab::signal(&first, Signal::KILL);
    first.end();
    let (client, answered) = (clients(&site, SHARED), site.answered());
    until("an answer without the controller", || {
        (site.answered() > answered + 4).then_some(())
    });
    let status = site.toolorch(0, "status").out;
    let words = "nobody looks at `research-secure-05`, `research-secure-11`: of servers there only what was recorded last can be told";
    assert!(status.contains(words), "{status}");
    let second = site.up();
    until("all found", || {
        (second.err().matches("found running").count() == 5).then_some(())
    });
    for unit in ["m-0", "m-1"] {
        Site::says(&second, 1, &format!("{unit} ready after"));
    }
    // A node that is silent for a moment has no dead client.
    site.link(SHARED, Link::Drop);
    Site::says(&second, 1, "out-of-reach");
    site.link(SHARED, Link::Carry);
    assert_eq!(clients(&site, SHARED), client);
    std::fs::remove_file(site.home().join("c/hold")).unwrap();
    let said = second.end();
    assert_eq!(said.code, 0, "{}", said.err);
    site.assert_answered(QUESTIONS);
    let routing = "calls of `asking` were sampled: ";
    assert!(said.out.contains(routing), "{}", said.out);
    site.goes_down();
}

#[test]
fn a_node_that_does_not_see_the_same_files_is_refused() {
    let site = site(APART);
    let words = "node `research-secure-11` does not see the results `";
    let refused = || {
        let said = site.toolorch(3, "up --events plain");
        assert!(said.err.contains(words), "{}", said.err);
        assert!(said.err.contains("as it is here"), "{}", said.err);
        said
    };
    // Before any server is started, and again where servers are up.
    let said = refused();
    assert!(said.err.ends_with("nothing was started\n"), "{}", said.err);
    site.toolorch(0, "up --no-eval --events plain");
    refused();
    assert_eq!(site.answered(), 0);
    site.goes_down();
}
