//! Ids and names of results are compared, never followed.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;

use super::places::below;
use crate::up::small::{self, YAML};

#[test]
fn ids_that_are_paths_are_refused_before_anything_is_made() {
    let scene = small::scene("plain", 1);
    let long = "x".repeat(300);
    for id in [
        "../../x",
        "a/b",
        "..",
        "a\\nb",
        "\\u001b[2J",
        "a\\u0000b",
        "",
        &long,
    ] {
        scene.write(
            "data.jsonl",
            &format!("{{\"id\":\"q-0\"}}\n{{\"id\":\"{id}\"}}\n"),
        );
        let said = scene.expect(2, &["up", YAML]);
        assert!(
            said.err.contains("E0506") && said.err.contains("cannot be a file name"),
            "{id}: {}",
            said.err
        );
        assert!(!said.err.contains('\u{1b}'), "{id}");
        assert!(
            !scene.path("out").exists() && !scene.path("config.json").exists(),
            "{id}"
        );
    }
    scene.write("data.jsonl", "{\"id\":\"ü 漢字 \u{202e}x\"}\n{\"id\":\"-rf\"}\n{\"id\":\"%2e%2e%2fx\"}\n{\"id\":\"$(touch PWNED)\"}\n");
    scene.expect(0, &["up", YAML]);
    assert_eq!(scene.results("out"), 4);
    assert!(
        !below(&scene.path(""))
            .iter()
            .any(|path| path.ends_with("PWNED"))
    );
    scene.assert_nothing_left();
}

#[test]
fn names_of_results_lead_nowhere() {
    let scene = small::scene("plain", 2);
    scene.write("precious", "{\"torn");
    fs::create_dir(scene.path("out")).unwrap();
    let odd: [&[u8]; 6] = [
        b"..%2f..%2fx.json",
        b"two\nlines.json",
        b"\x1b]0;OWNED\x07.json",
        b"\xff\xfe.json",
        "\u{202e}gnp.json".as_bytes(),
        &[b"y".repeat(250), b".json".to_vec()].concat(),
    ];
    for name in odd {
        fs::write(
            scene.path("out").join(std::ffi::OsStr::from_bytes(name)),
            "{\"torn",
        )
        .unwrap();
    }
    // A result that is a link: torn as seen through it, but only the link may be moved.
    symlink("../precious", scene.path("out/q-1.json")).unwrap();
    let before = below(&scene.path("")).len();
    let said = scene.expect(0, &["up", YAML]);
    assert!(
        !said.err.contains('\u{1b}') && !said.err.contains('\u{202e}'),
        "{:?}",
        said.err
    );
    assert_eq!(scene.read("precious"), "{\"torn");
    let result = scene.path("out/q-1.json");
    assert!(
        result.symlink_metadata().unwrap().is_file() && scene.read("out/q-1.json").contains("done")
    );
    // Nothing new stands outside the results, the run and the client's configuration.
    let places = ["out", "home", "state", "tmux", "config.json"].map(|name| scene.path(name));
    let new = below(&scene.path(""))
        .into_iter()
        .filter(|path| !places.iter().any(|place| path.starts_with(place)));
    let new: Vec<_> = new
        .filter(|path| path.extension().is_none_or(|end| end != "err"))
        .collect();
    assert!(new.len() <= before + 1, "{new:?}");
    scene.assert_nothing_left();
}
