//! What comes into the cache, and what becomes of what comes badly.

use std::fs;
use std::path::Path;

use rustix::process::Signal;

use super::hub::{Hub, Repo, blob};
use super::{YAML, cache, command, fetch, scene, shown};
use crate::up::scene::until;

const SHARD: &str = "model-00001-of-00002.safetensors";

/// Every file in the cache is what the hub has, under its digest, and by its name a relative link to it.
fn assert_whole(hub: &Hub, cache: &Path, commit: &str) {
    for path in [
        "config.json",
        "tokenizer.json",
        "added_tokens.json",
        "templates/extra.jinja",
        "model.safetensors.index.json",
        SHARD,
        "model-00002-of-00002.safetensors",
    ] {
        let link = cache.join("snapshots").join(commit).join(path);
        let bytes = hub.file(path);
        assert_eq!(fs::read(&link).unwrap(), bytes, "{path}");
        let up = "../".repeat(2 + path.matches('/').count());
        let target = format!("{up}blobs/{}", blob(path, &bytes));
        assert_eq!(fs::read_link(&link).unwrap(), Path::new(&target));
    }
    let blobs = fs::read_dir(cache.join("blobs")).unwrap().count();
    assert_eq!(
        blobs, 6,
        "nothing else was downloaded, and nothing is left half"
    );
}

#[test]
fn the_first_fetch_downloads_what_a_server_loads_and_the_second_asks_nothing() {
    let scene = scene();
    let hub = Hub::with(Repo::tiny(100_000));
    let said = fetch(&scene, &hub);
    insta::assert_snapshot!(shown(&scene, &hub, &said), @"
    0
    `org/tiny`: 6 files, 200.1 kB, into `[scene]/hf/hub`
    `org/tiny`: 200.1 kB in [time], `main` is 0123456789abcdef0123456789abcdef01234567
    ");
    let cache = cache(&scene);
    assert_whole(&hub, &cache, "0123456789abcdef0123456789abcdef01234567");
    let main = fs::read_to_string(cache.join("refs/main")).unwrap();
    assert_eq!(main, "0123456789abcdef0123456789abcdef01234567");

    hub.forget();
    let said = fetch(&scene, &hub);
    insta::assert_snapshot!(shown(&scene, &hub, &said), @"
    0
    `org/tiny` is in the cache `[scene]/hf/hub` (200.1 kB), `main` is 0123456789abcdef0123456789abcdef01234567
    ");
    assert_eq!(hub.asked(), []);

    // A branch that moved is noticed when it is asked for.
    let moved = "f".repeat(40);
    hub.change(|repo| {
        repo.commit.clone_from(&moved);
        repo.files.insert("config.json".to_owned(), b"{}".to_vec());
    });
    let said = scene
        .go(command(&scene, &hub, &["fetch", YAML, "--refresh"]))
        .end();
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(fs::read_to_string(cache.join("refs/main")).unwrap(), moved);
    assert_eq!(hub.stored(SHARD).len(), 0, "what did not change is linked");
    assert_eq!(
        fs::read(cache.join(format!("snapshots/{moved}/config.json"))).unwrap(),
        b"{}"
    );
}

#[test]
fn a_download_that_was_killed_goes_on_where_it_was() {
    let scene = scene();
    let hub = Hub::with(Repo::tiny(1_000_000));
    hub.hold(400_000);
    let going = scene.go(command(&scene, &hub, &["fetch", YAML]));
    let digest = blob(SHARD, &hub.file(SHARD));
    let part = cache(&scene).join(format!("blobs/{digest}.1.toolorch.incomplete"));
    until("the first part", || {
        let there = fs::metadata(&part).is_ok_and(|found| found.len() == 400_000);
        there.then_some(())
    });
    going.signal(Signal::KILL);
    going.end();
    assert!(
        !cache(&scene).join("refs/main").exists(),
        "no branch names half a snapshot"
    );
    hub.forget();
    hub.go_on();
    let said = fetch(&scene, &hub);
    assert_eq!(said.code, 0, "{}", said.err);
    let asked = hub.stored(SHARD);
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].range.as_deref(), Some("bytes=400000-"));
    assert_whole(
        &hub,
        &cache(&scene),
        "0123456789abcdef0123456789abcdef01234567",
    );
}

#[test]
fn ctrl_c_leaves_only_what_can_be_gone_on_with() {
    let scene = scene();
    let hub = Hub::with(Repo::tiny(100_000));
    hub.hold(40_000);
    let going = scene.go(command(&scene, &hub, &["fetch", YAML]));
    until("both shards", || {
        (hub.asked().iter().filter(|asked| asked.store).count() == 2).then_some(())
    });
    going.signal(Signal::INT);
    let said = going.end();
    assert_eq!(said.code, 130, "{}", said.err);
    assert!(said.err.contains("what came is kept"), "{}", said.err);
    let blobs = fs::read_dir(cache(&scene).join("blobs")).unwrap();
    let names: Vec<String> = blobs
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let half = names
        .iter()
        .filter(|name| name.ends_with(".incomplete"))
        .count();
    // Smaller files may have been under way, too.
    assert!(half >= 2, "{names:?}");
    for shard in [SHARD, "model-00002-of-00002.safetensors"] {
        assert!(!names.contains(&blob(shard, &hub.file(shard))), "{names:?}");
    }
    hub.go_on();
    assert_eq!(fetch(&scene, &hub).code, 0);
    assert_whole(
        &hub,
        &cache(&scene),
        "0123456789abcdef0123456789abcdef01234567",
    );
}

#[test]
fn connections_that_break_off_and_bytes_that_are_wrong_are_mended() {
    let scene = scene();
    let hub = Hub::with(Repo::tiny(100_000));
    hub.tire(2);
    hub.cut(SHARD, 10_000);
    hub.cut(SHARD, 0);
    let said = fetch(&scene, &hub);
    assert_eq!(said.code, 0, "{}", said.err);
    let ranges: Vec<_> = hub
        .stored(SHARD)
        .into_iter()
        .map(|asked| asked.range)
        .collect();
    let again = Some("bytes=10000-".to_owned());
    assert_eq!(ranges, [None, again.clone(), again]);
    assert_whole(
        &hub,
        &cache(&scene),
        "0123456789abcdef0123456789abcdef01234567",
    );

    // Once more for each shard, and no more.
    fs::remove_dir_all(cache(&scene)).unwrap();
    hub.spoil(1);
    let said = fetch(&scene, &hub);
    assert_eq!(said.code, 0, "{}", said.err);
    assert_whole(
        &hub,
        &cache(&scene),
        "0123456789abcdef0123456789abcdef01234567",
    );
    fs::remove_dir_all(cache(&scene)).unwrap();
    hub.spoil(usize::MAX);
    let said = fetch(&scene, &hub);
    assert_eq!(said.code, 3, "{}", said.err);
    assert!(
        said.err
            .contains("came otherwise than the hub says: its SHA-256 is"),
        "{}",
        said.err
    );
}

#[test]
fn what_others_put_into_the_cache_is_believed() {
    let scene = scene();
    let hub = Hub::with(Repo::tiny(1_000));
    assert_eq!(fetch(&scene, &hub).code, 0);
    hub.forget();
    // As `hf download` of an older release leaves it: no list of what the hub has.
    fs::remove_dir_all(cache(&scene).join(".toolorch")).unwrap();
    let said = fetch(&scene, &hub);
    assert_eq!((said.code, hub.asked()), (0, vec![]), "{}", said.err);
    // Its own index names a file that is not there.
    let link = cache(&scene).join(format!(
        "snapshots/0123456789abcdef0123456789abcdef01234567/{SHARD}"
    ));
    fs::remove_file(fs::canonicalize(link).unwrap()).unwrap();
    let said = fetch(&scene, &hub);
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(hub.stored(SHARD).len(), 1);
    assert_whole(
        &hub,
        &cache(&scene),
        "0123456789abcdef0123456789abcdef01234567",
    );
}
