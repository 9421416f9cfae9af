//! One cache and many who want it: one download, told to the others; and caches that are not seen from here.

use rustix::process::Signal;

use super::hub::{Hub, Repo};
use super::{YAML, cache, command, scene, shown};
use crate::up::scene::until;

const SHARD: &str = "model-00002-of-00002.safetensors";

#[test]
fn two_at_once_download_once() {
    let scene = scene();
    let hub = Hub::with(Repo::tiny(100_000));
    hub.hold(10_000);
    let first = scene.go(command(&scene, &hub, &["fetch", YAML]));
    until("the first download", || {
        (!hub.stored(SHARD).is_empty()).then_some(())
    });
    let second = scene.go(command(&scene, &hub, &["fetch", YAML]));
    let words = format!(
        "`org/tiny`: process {} downloads it into the same cache since ",
        first.child.id()
    );
    until("the second to wait", || {
        second.err().contains(&words).then_some(())
    });
    hub.go_on();
    assert_eq!(first.end().code, 0);
    let said = second.end();
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(
        said.err.contains("nothing was left to download"),
        "{}",
        said.err
    );
    assert_eq!(hub.stored(SHARD).len(), 1);
}

#[test]
fn who_waits_goes_on_where_the_other_was_killed() {
    let scene = scene();
    let hub = Hub::with(Repo::tiny(100_000));
    hub.hold(10_000);
    let first = scene.go(command(&scene, &hub, &["fetch", YAML]));
    let part = cache(&scene).join("blobs");
    until("two parts", || {
        let names = std::fs::read_dir(&part).into_iter().flatten().flatten();
        let begun = names.filter(|entry| {
            entry.file_name().to_string_lossy().ends_with(".incomplete")
                && entry.metadata().is_ok_and(|found| found.len() == 10_000)
        });
        (begun.count() == 2).then_some(())
    });
    let second = scene.go(command(&scene, &hub, &["fetch", YAML]));
    until("the second to wait", || {
        second.err().contains("waiting for it").then_some(())
    });
    first.signal(Signal::KILL);
    first.end();
    hub.go_on();
    let said = second.end();
    assert_eq!(said.code, 0, "{}", said.err);
    let ranges: Vec<_> = hub
        .stored(SHARD)
        .into_iter()
        .map(|asked| asked.range)
        .collect();
    assert_eq!(ranges, [None, Some("bytes=10000-".to_owned())]);
}

#[test]
fn who_was_stopped_is_replaced_and_notices_it() {
    let scene = scene();
    let hub = Hub::with(Repo::tiny(100_000));
    hub.hold(10_000);
    // A minute lasts 0.6 s.
    let fetch = || {
        let mut command = command(&scene, &hub, &["fetch", YAML]);
        command.env("TOOLORCH_TIME_SCALE", "100");
        scene.go(command)
    };
    let first = fetch();
    until("the first download", || {
        (!hub.stored(SHARD).is_empty()).then_some(())
    });
    first.signal(Signal::STOP);
    let second = fetch();
    until("the second download", || {
        (hub.stored(SHARD).len() == 2).then_some(())
    });
    hub.go_on();
    let said = second.end();
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.err.contains("waiting for it"), "{}", said.err);
    first.signal(Signal::CONT);
    let said = first.end();
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(
        said.err.contains("nothing was left to download"),
        "{}",
        said.err
    );
    let snapshot = cache(&scene).join("snapshots/0123456789abcdef0123456789abcdef01234567");
    assert_eq!(
        std::fs::read(snapshot.join(SHARD)).unwrap(),
        hub.file(SHARD),
        "neither wrote into the other's file"
    );
}

#[test]
fn models_that_share_weights_share_a_download_and_other_machines_are_named() {
    let scene = scene();
    let hub = Hub::with(Repo::tiny(1_000));
    let yaml = r#"version: 1
name: w
vllm: { version: "0.32.0" }
nodes:
  box: { gpus: 2, transport: local, address: 127.0.1.1 }
  far: { gpus: 4 }
pools: { p: { nodes: 1, gpus: 8, launcher: slurm, slurm: { time: "01:00:00" } } }
models:
  one: { model: org/tiny, node: box, port: 8000 }
  two: { model: org/tiny, node: [box, far], replicas: 2, port: 8010 }
  three: { model: org/tiny, node: p, port: 8020 }
  kept: { model: /ckpt/kept, node: far, port: 8030 }
  moved: { model: org/other, node: far, port: 8040, env: { setup: [source env.sh] } }
  played: { engine: sim, model: org/played, node: box, port: 8050, gpus: [] }
"#;
    scene.write(YAML, &scene.here(yaml));
    let said = super::fetch(&scene, &hub);
    insta::assert_snapshot!(shown(&scene, &hub, &said), @"
    0
    `org/tiny`: 6 files, 2.1 kB, into `[scene]/hf/hub`
    `org/tiny`: 2.1 kB in [time], `main` is 0123456789abcdef0123456789abcdef01234567
    not looked at: the weights of model `moved`: its setup lines or modules may move its cache; `hf: { home: … }` says where it is
    not looked at: `/ckpt/kept` (model `kept`) is a folder of another machine
    not looked at: `far`, `p-0`: there `org/tiny` is found only if `[scene]/hf/hub` is the same folder as here
    ");
    assert_eq!(hub.stored(SHARD).len(), 1);
}
