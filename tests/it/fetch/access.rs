//! Whom a hub lets in, and what is refused before the first byte.

use std::fs;

use super::hub::{Hub, Repo};
use super::{YAML, cache, command, fetch, scene, shown};
use crate::up::Scene;
use crate::up::scene::Said;

const TOKEN: &str = "hf_abcdefghijklmnopqrstuvwxyz0123456789";

/// The YAML with one text for another.
fn change(scene: &Scene, from: &str, to: &str) {
    let yaml = scene.read(YAML);
    assert!(yaml.contains(from), "{from}");
    scene.write(YAML, &yaml.replace(from, to));
}

fn fetch_with(scene: &Scene, hub: &Hub, token: &str) -> Said {
    let mut command = command(scene, hub, &["fetch", YAML]);
    command.env("HF_TOKEN", token);
    scene.go(command).end()
}

/// Nothing but questions came to the hub, and nothing to the disk.
fn assert_nothing_came(scene: &Scene, hub: &Hub) {
    for asked in hub.asked() {
        assert!(asked.path.starts_with("/api/"), "{asked:?}");
    }
    assert!(!cache(scene).exists());
}

#[test]
fn a_gated_repository_says_who_must_do_what() {
    let scene = scene();
    let mut repo = Repo::tiny(1_000);
    (repo.gated, repo.token) = (true, Some(TOKEN.to_owned()));
    let hub = Hub::with(repo);
    let said = fetch(&scene, &hub);
    insta::assert_snapshot!(shown(&scene, &hub, &said), @"
    3
    error: `org/tiny` (model `chat`) is gated: 401, no token was sent
    help: accept its licence at [hub]/org/tiny and name a token of that account: `hf: { token: { env: HF_TOKEN } }`
    nothing was downloaded
    ");
    change(
        &scene,
        "models:",
        "hf: { token: { env: HF_TOKEN } }\nmodels:",
    );
    let said = fetch(&scene, &hub);
    insta::assert_snapshot!(shown(&scene, &hub, &said), @"
    3
    error: `org/tiny` (model `chat`) is gated: 401, no token was sent, for `HF_TOKEN` is not set
    help: accept its licence at [hub]/org/tiny and set HF_TOKEN to a token of that account
    nothing was downloaded
    ");
    let said = fetch_with(&scene, &hub, "hf_of_somebody_else");
    insta::assert_snapshot!(shown(&scene, &hub, &said), @"
    3
    error: `org/tiny` (model `chat`) is gated: 403, the token of `HF_TOKEN` was sent
    help: accept its licence at [hub]/org/tiny with the account of that token, and wait until it is let in
    nothing was downloaded
    ");
    let said = fetch_with(&scene, &hub, "unknown");
    insta::assert_snapshot!(shown(&scene, &hub, &said), @"
    3
    error: [hub] does not know the token for `org/tiny` (model `chat`): the token of `HF_TOKEN` was sent
    help: make a new one at [hub]/settings/tokens
    nothing was downloaded
    ");
    assert_nothing_came(&scene, &hub);

    hub.forget();
    let said = fetch_with(&scene, &hub, TOKEN);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(!said.err.contains(TOKEN), "{}", said.err);
    let sent = format!("Bearer {TOKEN}");
    for asked in hub.asked() {
        let expected = (!asked.store).then_some(sent.as_str());
        assert_eq!(asked.authorization.as_deref(), expected, "{asked:?}");
    }
    assert!(hub.asked().iter().any(|asked| asked.store));
    for entry in fs::read_dir(cache(&scene).join(".toolorch")).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        assert!(!text.contains(TOKEN));
    }
}

#[test]
fn a_token_of_hf_auth_login_is_used_as_a_server_would() {
    let scene = scene();
    let mut repo = Repo::tiny(1_000);
    repo.token = Some(TOKEN.to_owned());
    let hub = Hub::with(repo);
    let said = fetch(&scene, &hub);
    insta::assert_snapshot!(shown(&scene, &hub, &said), @"
    3
    error: `org/tiny` (model `chat`) is private or not at [hub]: 401, no token was sent
    help: name it as the hub does; if it is private, name a token of that account: `hf: { token: { env: HF_TOKEN } }`
    nothing was downloaded
    ");
    scene.write("hf/token", &format!("{TOKEN}\n"));
    assert_eq!(fetch(&scene, &hub).code, 0);
}

#[test]
fn what_is_not_there_is_told_apart() {
    let scene = scene();
    let hub = Hub::with(Repo::tiny(1_000));
    change(&scene, "org/tiny,", "org/tiny, revision: v9,");
    let said = fetch(&scene, &hub);
    insta::assert_snapshot!(shown(&scene, &hub, &said), @"
    3
    error: `org/tiny` (model `chat`) has no revision `v9`
    help: name a branch, a tag or a whole commit of [hub]/org/tiny/tree/main
    nothing was downloaded
    ");
    change(&scene, "v9", "../v9");
    let said = fetch(&scene, &hub);
    insta::assert_snapshot!(shown(&scene, &hub, &said), @"
    3
    error: `../v9` is no name of a revision (model `chat`)
    help: name a branch, a tag or a whole commit
    nothing was downloaded
    ");
    change(&scene, "org/tiny, revision: ../v9,", "org/tinny,");
    let said = fetch(&scene, &hub);
    insta::assert_snapshot!(shown(&scene, &hub, &said), @"
    3
    error: there is no repository `org/tinny` (model `chat`) at [hub]; no token was sent
    help: name it as the hub does: [hub]/org/tinny would show it
    nothing was downloaded
    ");
    change(&scene, "org/tinny,", "/nowhere/tiny,");
    let said = fetch(&scene, &hub);
    insta::assert_snapshot!(shown(&scene, &hub, &said), @"
    3
    error: there is no folder `/nowhere/tiny` (model `chat`)
    ");
    assert_nothing_came(&scene, &hub);
}

#[test]
fn a_revision_is_resolved_and_said() {
    let scene = scene();
    let hub = Hub::with(Repo::tiny(1_000));
    hub.change(|repo| repo.branches.push("refs/pr/3".to_owned()));
    change(&scene, "org/tiny,", "org/tiny, revision: refs/pr/3,");
    let said = fetch(&scene, &hub);
    insta::assert_snapshot!(shown(&scene, &hub, &said), @"
    0
    `org/tiny`: 6 files, 2.1 kB, into `[scene]/hf/hub`
    `org/tiny`: 2.1 kB in [time], `refs/pr/3` is 0123456789abcdef0123456789abcdef01234567
    ");
    assert_eq!(
        fs::read_to_string(cache(&scene).join("refs/refs/pr/3")).unwrap(),
        "0123456789abcdef0123456789abcdef01234567"
    );
    // A commit needs no branch.
    change(
        &scene,
        "refs/pr/3",
        "0123456789abcdef0123456789abcdef01234567",
    );
    hub.forget();
    let said = fetch(&scene, &hub);
    assert_eq!((said.code, hub.asked()), (0, vec![]), "{}", said.err);
}

#[test]
fn too_little_room_is_refused_before_the_first_byte() {
    let scene = scene();
    let hub = Hub::with(Repo::tiny(1_000));
    hub.change(|repo| {
        let weights = "model-00002-of-00002.safetensors".to_owned();
        repo.sizes.insert(weights, 500_000_000_000_000);
    });
    let said = fetch(&scene, &hub);
    assert_eq!(said.code, 3, "{}", said.err);
    let words = "error: `org/tiny` (model `chat`) needs 500.0 TB in `";
    assert!(said.err.starts_with(words), "{}", said.err);
    assert!(
        said.err.ends_with("nothing was downloaded\n"),
        "{}",
        said.err
    );
    assert_nothing_came(&scene, &hub);
}

#[test]
fn offline_asks_nobody_and_says_what_is_missing() {
    let scene = scene();
    let hub = Hub::with(Repo::tiny(1_000));
    change(&scene, "models:", "hf: { offline: true }\nmodels:");
    let said = fetch(&scene, &hub);
    insta::assert_snapshot!(shown(&scene, &hub, &said), @"
    3
    error: `org/tiny` (model `chat`) is not in the cache `[scene]/hf/hub`: it knows no `main`
    help: `hf: { offline: true }` forbids to ask a hub: fetch without it (`--set hf.offline=false`)
    nothing was downloaded
    ");
    assert_eq!(hub.asked(), []);
    let online = ["fetch", YAML, "--set", "hf.offline=false"];
    assert_eq!(scene.go(command(&scene, &hub, &online)).end().code, 0);
    hub.forget();
    assert_eq!(fetch(&scene, &hub).code, 0);
    let snapshot = cache(&scene).join("snapshots/0123456789abcdef0123456789abcdef01234567");
    fs::remove_file(snapshot.join("tokenizer.json")).unwrap();
    let said = fetch(&scene, &hub);
    insta::assert_snapshot!(shown(&scene, &hub, &said), @"
    3
    error: `org/tiny` (model `chat`) is not whole in the cache `[scene]/hf/hub`: tokenizer.json missing
    help: `hf: { offline: true }` forbids to ask a hub: fetch without it (`--set hf.offline=false`)
    nothing was downloaded
    ");
    assert_eq!(hub.asked(), []);
}

#[test]
fn a_hub_that_lists_a_way_out_of_the_cache_is_not_followed() {
    let scene = scene();
    let hub = Hub::with(Repo::tiny(1_000));
    hub.change(|repo| {
        repo.files
            .insert("../../../out.json".to_owned(), b"{}".to_vec());
    });
    let said = fetch(&scene, &hub);
    insta::assert_snapshot!(shown(&scene, &hub, &said), @"
    3
    error: `org/tiny` (model `chat`): [hub] answers what is not understood: it lists a file `../../../out.json`
    nothing was downloaded
    ");
    assert_nothing_came(&scene, &hub);
}

#[test]
fn what_needs_a_later_release_is_refused() {
    let scene = scene();
    let hub = Hub::with(Repo::tiny(1_000));
    change(&scene, "models:", "hf: { token: { file: t } }\nmodels:");
    let said = fetch(&scene, &hub);
    assert_eq!(said.code, 2, "{}", said.err);
    assert!(
        said.err
            .contains("`fetch` needs what comes in a later release"),
        "{}",
        said.err
    );
    assert!(said.err.contains("secrets from files"), "{}", said.err);
    assert_eq!(hub.asked(), []);
}

#[test]
fn a_hub_that_cannot_be_reached_is_named() {
    let scene = scene();
    let hub = Hub::with(Repo::tiny(1_000));
    let mut command = command(&scene, &hub, &["fetch", YAML]);
    // Nobody listens on the discard port.
    command.env("HF_ENDPOINT", "http://127.0.0.1:9");
    let said = scene.go(command).end();
    insta::assert_snapshot!(shown(&scene, &hub, &said), @"
    3
    error: `org/tiny` (model `chat`) is not whole in the cache `[scene]/hf/hub`, and no answer from http://127.0.0.1:9: Connection refused (os error 111)
    help: fetch it where the hub can be reached (toolorch fetch), into a cache that is read here; `hf: { offline: true }` starts from what is there
    nothing was downloaded
    ");
}
