//! What is ours is for our eyes alone, whatever the caller's umask; what a client writes is as the caller wants it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::places::{after, below};
use crate::up::Scene;
use crate::up::scene::until;
use crate::up::small::{self, YAML, change};

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
}

/// What others could read or write, or enter.
fn open_to_others(folder: &Path) -> Vec<String> {
    let ours = below(folder).into_iter();
    let ours = ours.filter(|path| !path.is_symlink() && mode(path) & 0o077 != 0);
    ours.map(|path| format!("{:o} {}", mode(&path), path.display()))
        .collect()
}

fn look(scene: &Scene) {
    for place in ["fresh/home", "fresh-state"] {
        assert!(below(&scene.path(place)).len() > 5, "{place} is empty");
        assert_eq!(open_to_others(&scene.path(place)), [] as [String; 0]);
    }
}

#[test]
fn under_a_umask_of_000_all_of_ours_is_private() {
    let scene = small::scene("plain", 2);
    change(&scene, "name: small", "name: small\nlauncher: tmux");
    change(
        &scene,
        "port: 8000 }",
        "port: 8000, env: { pass: [HF_TOKEN] } }",
    );
    change(&scene, "when_done: down", "when_done: keep");
    let call = |args: &[&str]| {
        let mut command = scene.toolorch(args);
        command
            .env("TOOLORCH_HOME", scene.path("fresh/home"))
            .env("TOOLORCH_STATE", scene.path("fresh-state"))
            .env("HF_TOKEN", "one two three");
        let said = scene.go(after("umask 000", &command)).end();
        assert_eq!(said.code, 0, "{args:?} {}", said.err);
    };
    call(&["up", YAML, "--detach"]);
    until("the evaluation's end", || {
        let run = scene.path("fresh/home/runs/small/1");
        let mut journal = below(&run)
            .into_iter()
            .filter(|path| path.to_string_lossy().contains("journal."));
        journal
            .any(|path| fs::read_to_string(path).unwrap().contains("owner-left"))
            .then_some(())
    });
    look(&scene);
    for file in ["out/q-0.json", "config.json"] {
        assert_eq!(mode(&scene.path(file)), 0o666, "{file}");
    }
    call(&["status"]);
    call(&["probe", YAML]);
    look(&scene);
    call(&["down", YAML]);
    assert_eq!(open_to_others(&scene.path("fresh/home")), [] as [String; 0]);
    scene.assert_nothing_left();
}

#[test]
fn a_home_that_others_can_change_is_not_used() {
    let scene = small::scene("plain", 1);
    scene.expect(0, &["up", YAML]);
    fs::remove_dir_all(scene.path("out")).unwrap();
    for place in ["home", "home/runs", "home/runs/small"] {
        fs::set_permissions(scene.path(place), fs::Permissions::from_mode(0o775)).unwrap();
        for words in [
            &["up", YAML][..],
            &["down", YAML],
            &["status"],
            &["events", YAML],
        ] {
            let said = scene.expect(3, words);
            let words = format!("{place}` is not used: others can write in it (mode 775)");
            assert!(said.err.contains(&words), "{}", said.err);
        }
        fs::set_permissions(scene.path(place), fs::Permissions::from_mode(0o755)).unwrap();
    }
    if rustix::process::getuid().is_root() {
        std::os::unix::fs::chown(scene.path("home/runs"), Some(65_534), None).unwrap();
        let said = scene.expect(3, &["down", YAML]);
        assert!(
            said.err.contains("it belongs to another user (id 65534)"),
            "{}",
            said.err
        );
        std::os::unix::fs::chown(scene.path("home/runs"), Some(0), None).unwrap();
    }
    assert_eq!(scene.results("out"), 0);
    scene.assert_nothing_left();
}
