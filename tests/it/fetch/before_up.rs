//! `up` brings weights before it starts anything.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use rustix::process::Signal;

use super::hub::{Hub, Repo};
use super::{YAML, command, fetch, scene};
use crate::up::Scene;
use crate::up::scene::{Said, until};

/// A vLLM that, as the real one without a network, ends where its weights are not in the cache.
fn install(scene: &Scene) {
    let program = format!(
        "#!/bin/bash\nset -e\ncat \"$HF_HOME\"/hub/models--org--tiny/snapshots/*/model-0000[12]-of-00002.safetensors >/dev/null\nexec {} sim vllm \"$@\"\n",
        env!("CARGO_BIN_EXE_toolorch")
    );
    scene.write("bin/vllm", &program);
    fs::set_permissions(scene.path("bin/vllm"), fs::Permissions::from_mode(0o755)).unwrap();
}

fn up(scene: &Scene, hub: &Hub, more: &[&str]) -> Said {
    let mut args = vec!["up", YAML];
    args.extend(more);
    let mut command = command(scene, hub, &args);
    command.env("TOOLORCH_SIM_RELEASE", "0.32.0");
    scene.go(command).end()
}

#[test]
fn up_downloads_first_and_only_what_is_missing() {
    let scene = scene();
    install(&scene);
    let yaml = scene.read(YAML).replace(
        "port: 8000",
        "port: 8000, env: { pass: [TOOLORCH_SIM_RELEASE] }",
    );
    scene.write(YAML, &yaml);
    let hub = Hub::with(Repo::tiny(1_000));
    let plan = || scene.go(command(&scene, &hub, &["plan", YAML])).end();
    let foreseen = plan();
    let words = "it knows no `main`; `up` downloads it before it starts anything\n";
    assert!(foreseen.err.contains(words), "{}", foreseen.err);
    assert_eq!(hub.asked(), []);
    let said = up(&scene, &hub, &[]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(!plan().err.contains("org/tiny"));
    let words = "`org/tiny`: 6 files";
    assert!(said.err.contains(words), "{}", said.err);
    // Beside what runs nothing is asked for, whatever became of the cache.
    hub.forget();
    fs::remove_dir_all(scene.path("hf")).unwrap();
    let again = up(&scene, &hub, &[]);
    assert_eq!((again.code, hub.asked()), (0, vec![]), "{}", again.err);
    assert_eq!(scene.run(&["down", YAML]).code, 0);
    // A cache that has all of it is not even mentioned.
    assert_eq!(fetch(&scene, &hub).code, 0);
    hub.forget();
    let said = up(&scene, &hub, &["--detach"]);
    assert_eq!((said.code, hub.asked()), (0, vec![]), "{}", said.err);
    assert!(!said.err.contains("org/tiny"), "{}", said.err);
    assert_eq!(scene.run(&["down", YAML]).code, 0);
    scene.assert_nothing_left();
}

#[test]
fn up_can_be_interrupted_while_it_downloads() {
    let scene = scene();
    install(&scene);
    let hub = Hub::with(Repo::tiny(100_000));
    hub.hold(10_000);
    let going = scene.go(command(&scene, &hub, &["up", YAML]));
    until("a download", || {
        going.err().contains("`org/tiny`: 6 files").then_some(())
    });
    going.signal(Signal::INT);
    assert_eq!(going.end().code, 130);
    assert_eq!(scene.names("state"), [] as [String; 0]);
    hub.go_on();
    assert_eq!(fetch(&scene, &hub).code, 0, "nobody is waited for");
    scene.assert_nothing_left();
}

#[test]
fn up_asks_nobody_where_the_yaml_forbids_it() {
    let scene = scene();
    install(&scene);
    let hub = Hub::with(Repo::tiny(1_000));
    let yaml = scene
        .read(YAML)
        .replace("models:", "hf: { offline: true }\nmodels:");
    let yaml = yaml.replace("port: 8000", "port: 8000, restart: { attempts: 0 }");
    scene.write(YAML, &yaml);
    let said = up(&scene, &hub, &[]);
    let warning = "warning: `org/tiny` (model `chat`) is not in the cache `";
    assert!(said.err.contains(warning), "{}", said.err);
    assert_eq!(hub.asked(), []);
    // It was started all the same: only the server knows what it can do without.
    assert_eq!(said.code, 4, "{}", said.err);
    assert_eq!(scene.run(&["down", YAML]).code, 0);
    scene.assert_nothing_left();
}

#[test]
fn up_starts_nothing_where_a_hub_refuses() {
    let scene = scene();
    install(&scene);
    let mut repo = Repo::tiny(1_000);
    (repo.gated, repo.token) = (true, Some("hf_somebody".to_owned()));
    let hub = Hub::with(repo);
    for more in [&[][..], &["--detach"]] {
        let said = up(&scene, &hub, more);
        assert_eq!(said.code, 3, "{}", said.err);
        assert!(
            said.err.contains("is gated: 401, no token was sent"),
            "{}",
            said.err
        );
        assert!(said.err.ends_with("nothing was started\n"), "{}", said.err);
    }
    assert_eq!(scene.names("state"), [] as [String; 0]);
    scene.assert_nothing_left();
}
