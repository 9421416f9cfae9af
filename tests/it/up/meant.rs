//! Which run a word means, also where the YAML or the journal cannot be read.

use std::fs;

use super::Scene;
use super::scene::until;
use super::small::{self, YAML};

/// Two clusters at once, without evaluations.
fn two() -> Scene {
    let scene = small::scene("plain", 1);
    let yaml = scene.read(YAML);
    let other = yaml.replace("name: small", "name: other");
    scene.write("other.yaml", &other.replace("port: 8000", "port: 8001"));
    for yaml in [YAML, "other.yaml"] {
        scene.expect(0, &["up", "--no-eval", yaml]);
    }
    scene
}

fn is_down(text: &str, cluster: &str) -> bool {
    text.contains(&format!("`{cluster}-1-")) && text.contains("is down: no process")
}

#[test]
fn a_broken_yaml_does_not_keep_the_cluster_up() {
    let scene = two();
    let unnamed = scene.expect(2, &["down"]);
    assert!(
        unnamed.err.contains("several runs are live: other-1-")
            && unnamed.err.contains("help: name one of them, or the"),
        "{}",
        unnamed.err
    );
    let run = scene.runs().remove(0);
    assert!(run.starts_with("other-1-"), "{run}");
    for word in ["other", run.as_str()] {
        assert!(scene.expect(0, &["status", word]).out.contains(&run));
        assert!(
            scene
                .expect(0, &["logs", "chat-0", word])
                .out
                .contains("Application startup complete")
        );
    }

    // Wrong values, then no YAML at all, then not even a name.
    let yaml = scene.read(YAML);
    scene.write(YAML, &yaml.replace("engine: sim", "engine: simm"));
    let said = scene.expect(0, &["status", YAML]);
    assert!(said.out.contains("small-1-"), "{}", said.out);
    assert!(
        said.err.contains(
            "warning: `small.yaml` has errors (toolorch check small.yaml): \
             what is known of `small` comes from its run"
        ),
        "{}",
        said.err
    );
    scene.write(YAML, &yaml.replace("nodes:", "nodes: [}"));
    assert!(scene.expect(0, &["status", YAML]).out.contains("small-1-"));
    scene.write(YAML, &yaml.replace("name: small", "name: [small"));
    let said = scene.expect(0, &["down", YAML]);
    assert!(is_down(&said.err, "small"), "{}", said.err);
    let said = scene.expect(0, &["down", &run]);
    assert!(is_down(&said.err, "other"), "{}", said.err);
    let unknown = scene.expect(2, &["down", "nobody"]);
    assert!(
        unknown
            .err
            .contains("`nobody` is no run, no cluster that ever ran here, and no file")
            && unknown.err.contains(&run),
        "{}",
        unknown.err
    );
    scene.assert_nothing_left();
}

#[test]
fn what_a_copy_of_the_yaml_takes_over_is_said() {
    let scene = small::scene("plain", 1);
    scene.expect(0, &["up", "--no-eval", YAML]);
    let plain = scene.expect(0, &["plan", YAML]);
    assert!(!plain.err.contains("was started from"), "{}", plain.err);
    scene.write("copy/small.yaml", &scene.read(YAML));
    for file in ["client.sh", "data.jsonl"] {
        fs::copy(scene.path(file), scene.path("copy").join(file)).unwrap();
    }
    let (was, is) = (scene.path(YAML), scene.path("copy/small.yaml"));
    let warning = format!(
        "was started from `{}`, and `up` goes on with it by `{}`",
        was.display(),
        is.display()
    );
    for args in [
        &["plan", "copy/small.yaml"][..],
        &["up", "--no-eval", "copy/small.yaml"],
    ] {
        let said = scene.expect(0, args);
        assert!(said.err.contains(&warning), "{args:?} {}", said.err);
    }

    // Its log can be read without the journal.
    let segment = "home/runs/small/1/journal.1.jsonl";
    let text = scene
        .read(segment)
        .replacen("run-started", "run-stopped", 1);
    scene.write(segment, &text);
    let said = scene.expect(0, &["logs", "chat-0", YAML]);
    assert!(said.out.contains("startup complete"), "{}", said.err);
    assert!(
        said.err.contains("the checksum does not fit"),
        "{}",
        said.err
    );
    assert_eq!(scene.run(&["down", YAML]).code, 65);
    scene.assert_nothing_left();
}

#[test]
fn a_drain_is_of_its_run_and_the_next_one_says_so() {
    let scene = small::scene("slow", 40);
    small::change(&scene, "port: 8000", "port: 8000, replicas: 2");
    scene.expect(0, &["up", "--no-eval", YAML]);
    let said = scene.expect(0, &["drain", "chat", YAML, "--yes"]);
    assert!(
        said.err.contains("drained: `chat-0`, `chat-1`"),
        "{}",
        said.err
    );
    let said = scene.expect(0, &["drain", "--undo", "chat-0", YAML]);
    assert!(
        said.err
            .contains("nobody watches: `toolorch up` with the YAML starts what is wanted"),
        "{}",
        said.err
    );
    let said = scene.expect(0, &["down", YAML]);
    assert!(
        !said.err.contains("stopping"),
        "nothing lives: {}",
        said.err
    );

    let up = scene.go(scene.toolorch(&["up", YAML]));
    until("a result", || (scene.results("out") > 0).then_some(()));
    scene.expect(0, &["down", YAML]);
    let said = up.end();
    assert!(
        said.err.contains("drained in `small-1-")
            && said.err.contains("and started again in this run: `chat-1`"),
        "{}",
        said.err
    );
    assert!(
        said.err
            .contains("no longer watched (`toolorch down` ends the run)\n"),
        "{}",
        said.err
    );
    scene.assert_nothing_left();
}
