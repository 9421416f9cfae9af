//! Servers that listen at their node's loopback address alone, one of the nodes behind the bastion: clients reach them through
//! tunnels, which are killed, and outlive the controller.

use rustix::process::Signal;

use super::site::{ASKING, Site};
use super::{Lab, Link, Shape};
use crate::up::scene::until;

const PINNED: &str = "research-secure-05";
const INNER: &str = "inner01";
const QUESTIONS: usize = 60;

const YAML: &str = "version: 1
name: ways
launcher: tmux
nodes:
  research-secure-05: { gpus: 2, reach: tunnel, ssh: { host_key_sha256: 'PIN' } }
  inner01: { gpus: 2, reach: tunnel, launcher: process }
SLURMmodels:
  m:
    model: Qwen/Qwen3-8B
    engine: sim
    node: [research-secure-05, inner01MORE]
    replicas: REPLICAS
    port: 1800
    sim: { latency: 400ms }
    restart: { backoff: 1s }
";

/// A node that SLURM gives out, reached by ssh to itself.
const GIVEN: &str = "gpu-31-10";
const OF_SLURM: &str = "  gpu-31-10: { gpus: 2, reach: tunnel, launcher: slurm }
slurm: { partition: main, time: '01:00:00' }
";

fn yaml(given: bool) -> String {
    let (slurm, more, replicas) = if given {
        (OF_SLURM, ", gpu-31-10", "6")
    } else {
        ("", "", "4")
    };
    let yaml = YAML.replace("SLURM", slurm).replace("MORE", more);
    format!("{}{ASKING}", yaml.replace("REPLICAS", replicas))
}

fn site(given: bool) -> Site {
    let slurm = given.then(|| GIVEN.to_owned());
    let shape = Shape {
        inner: vec![INNER.to_owned()],
        slurm: slurm.into_iter().collect(),
        ..Shape::plain(&[PINNED])
    };
    let site = Site::new(&shape, "").with_questions(QUESTIONS);
    let pin = site.exec([
        "bash",
        "-c",
        "ssh-keyscan -t ed25519 research-secure-05 2>/dev/null | ssh-keygen -lf - | cut -d' ' -f2",
    ]);
    assert!(pin.starts_with("SHA256:"), "{pin}");
    site.write("cluster.yaml", &yaml(given).replace("PIN", &pin));
    site
}

/// The `ssh` of a tunnel.
fn tunnel(site: &Site, node: &str) -> Option<String> {
    let said = site.run(["pgrep", "-fu", "tester", &format!("^ssh -N .*-- {node}$")]);
    let pids: Vec<&str> = said.out.split_whitespace().collect();
    assert!(pids.len() < 2, "{pids:?}");
    pids.first().map(|pid| (*pid).to_owned())
}

#[test]
fn servers_of_loopback_addresses_are_asked_through_tunnels_that_come_back_and_outlive_the_controller()
 {
    let site = site(true);
    site.write("hold", "");
    let first = site.up();
    until("the evaluation", || (site.answered() >= 8).then_some(()));
    for (node, port) in [(PINNED, 1800), ("172.27.32.10", 1802)] {
        let direct = format!(": </dev/tcp/{node}/{port}");
        assert_ne!(
            site.run(["timeout", "2", "bash", "-c", &direct]).code,
            0,
            "{node}"
        );
    }
    let servers = [PINNED, INNER, GIVEN].map(|node| site.servers(node));
    let status = site.toolorch(0, "status");
    for words in ["tunnel-research-secure-05", "tunnel-inner01"] {
        assert!(status.out.contains(words), "{}", status.out);
    }

    // A tunnel dies.
    let before = tunnel(&site, PINNED).unwrap();
    site.exec(["kill", "-KILL", &before]);
    Site::says(&first, 2, "tunnel-research-secure-05 ready after");
    let after = tunnel(&site, PINNED);
    assert!(
        after.as_ref().is_some_and(|pid| *pid != before),
        "{after:?}"
    );
    assert!(!first.err().contains("m-0 ended"), "{}", first.err());

    // The controller dies, and the next one finds all that runs.
    Lab::signal(&first, Signal::KILL);
    first.end();
    let answered = site.answered();
    until("an answer without the controller", || {
        (site.answered() > answered + 4).then_some(())
    });
    let second = site.up();
    until("all found", || {
        (second.err().matches("found running").count() == 10).then_some(())
    });
    assert_eq!(tunnel(&site, PINNED), after);

    std::fs::remove_file(site.home().join("c/hold")).unwrap();
    let said = second.end();
    assert_eq!(said.code, 0, "{}", said.err);
    site.assert_answered(QUESTIONS);
    assert_eq!(
        [PINNED, INNER, GIVEN].map(|node| site.servers(node)),
        servers
    );
    site.goes_down();
    assert_eq!((tunnel(&site, PINNED), tunnel(&site, INNER)), (None, None));
}

const CUT: &str = "research-secure-05";
const HUNG: &str = "research-secure-11";

#[test]
fn a_link_that_is_cut_and_an_ssh_that_hangs_are_no_death_of_a_server() {
    let yaml = yaml(false).replace(", ssh: { host_key_sha256: 'PIN' }", "");
    let site = Site::new(&Shape::plain(&[CUT, HUNG]), &yaml.replace(INNER, HUNG));
    let site = site.with_questions(QUESTIONS);
    site.write("hold", "");
    let going = site.up();
    until("the evaluation", || (site.answered() >= 8).then_some(()));
    let servers = [CUT, HUNG].map(|node| site.servers(node));
    site.link(CUT, Link::Drop);
    let hung = tunnel(&site, HUNG).unwrap();
    site.exec(["kill", "-STOP", &hung]);
    Site::says(&going, 1, "alarm m-0 out-of-reach");
    Site::says(&going, 1, "alarm tunnel-research-secure-11 tunnel-silent");
    Site::says(&going, 2, "tunnel-research-secure-11 ready after");
    // The end of its tunnel is no answer of a server.
    Site::says(&going, 1, "tunnel-research-secure-05 ended");
    assert!(!going.err().contains("m-0 well"), "{}", going.err());
    site.link(CUT, Link::Carry);
    Site::says(&going, 2, "tunnel-research-secure-05 ready after");
    std::fs::remove_file(site.home().join("c/hold")).unwrap();
    let said = going.end();
    assert_eq!(said.code, 0, "{}", said.err);
    for words in [
        "stalled-server",
        "port-closed",
        "given up",
        "m-0 stopped",
        "m-2 stopped",
    ] {
        assert!(!said.err.contains(words), "{words}\n{}", said.err);
    }
    site.assert_answered(QUESTIONS);
    assert_eq!([CUT, HUNG].map(|node| site.servers(node)), servers);
    site.goes_down();
}

#[test]
fn a_tunnel_trusts_no_other_key_than_the_pinned_or_the_known_one() {
    let site = site(false);
    let by_hand = || {
        site.exec([
            "bash",
            "-c",
            "cd c && rm -rf r && toolorch render cluster.yaml --out r",
        ]);
        let script = "cd c/r/units && timeout 20 bash tunnel-research-secure-05.sh run; code=$?; cat /tmp/toolorch-*/hand-ways/tunnel-research-secure-05/log; exit $code";
        site.run(["bash", "-c", script])
    };
    let file = site.home().join("c/cluster.yaml");
    let yaml = std::fs::read_to_string(&file).unwrap();
    let (head, rest) = yaml.split_once("SHA256:").unwrap();
    let (_, tail) = rest.split_once('\'').unwrap();
    site.write(
        "cluster.yaml",
        &format!("{head}SHA256:{}'{tail}", "A".repeat(43)),
    );
    let said = by_hand();
    assert_eq!(said.code, 255, "{}{}", said.out, said.err);
    assert!(
        said.out.contains("Host key verification failed."),
        "{}",
        said.out
    );
    // Without a pin, a key that is not the known one.
    let (head, _) = head.rsplit_once(", ssh: {").unwrap();
    let (_, tail) = tail.split_once(" }").unwrap();
    site.write("cluster.yaml", &format!("{head}{tail}"));
    site.sshd(PINNED, super::Sshd::NewKey);
    let said = by_hand();
    assert_eq!(said.code, 255, "{}{}", said.out, said.err);
    assert!(
        said.out.contains("REMOTE HOST IDENTIFICATION HAS CHANGED"),
        "{}",
        said.out
    );
}
