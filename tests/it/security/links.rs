//! Links and folders that others could have put where we write: refused in words, and nothing is written through them.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::places::below;
use crate::unit_script::lab::Lab;
use crate::up::small::{self, YAML};

#[test]
fn a_state_directory_that_is_not_ours_refuses_up() {
    let scene = small::scene("plain", 1);
    let victim = scene.path("victim");
    fs::create_dir(&victim).unwrap();
    let refused = |what: &str| {
        for words in [&["up", YAML][..], &["up", YAML, "--detach"]] {
            let said = scene.expect(3, words);
            let words = "/state` is not a directory of yours that only you can write";
            assert!(said.err.contains(words), "{what}: {}", said.err);
        }
        assert_eq!(scene.results("out"), 0, "{what}");
        assert_eq!(below(&victim).len(), 1, "{what}");
        scene.assert_nothing_left();
    };
    fs::remove_dir(scene.path("state")).unwrap();
    symlink(&victim, scene.path("state")).unwrap();
    refused("a link");
    fs::remove_file(scene.path("state")).unwrap();
    fs::create_dir(scene.path("state")).unwrap();
    fs::set_permissions(scene.path("state"), fs::Permissions::from_mode(0o777)).unwrap();
    refused("a folder for all");
    fs::set_permissions(scene.path("state"), fs::Permissions::from_mode(0o755)).unwrap();
    if rustix::process::getuid().is_root() {
        std::os::unix::fs::chown(scene.path("state"), Some(65_534), None).unwrap();
        refused("somebody else's");
        std::os::unix::fs::chown(scene.path("state"), Some(0), None).unwrap();
    }
    scene.expect(0, &["up", YAML]);
}

#[test]
fn a_unit_script_writes_through_no_link() {
    let lab = Lab::new(&["true"]);
    assert_eq!(lab.say("run").code, Some(0));
    let unit = lab.file("");
    let victim = lab.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    for name in ["log", "state", "lock", "supervisor.log", "dropped"] {
        fs::rename(unit.join(name), unit.join("kept")).unwrap();
        for target in [victim.clone(), lab.path().join("nothing")] {
            symlink(target, unit.join(name)).unwrap();
            for verb in ["run", "stop", "observe"] {
                let said = lab.say(verb);
                assert_eq!(said.code, Some(78), "{name} {verb}: {said:?}");
                assert!(
                    said.err.contains(&format!("/{name}` is a symbolic link")),
                    "{said:?}"
                );
            }
            fs::remove_file(unit.join(name)).unwrap();
        }
        fs::rename(unit.join("kept"), unit.join(name)).unwrap();
    }
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    assert!(!lab.path().join("nothing").exists());

    let elsewhere = lab.path().join("elsewhere");
    fs::rename(&unit, &elsewhere).unwrap();
    symlink(
        &elsewhere,
        lab.path().join("state").join(lab.run()).join("u"),
    )
    .unwrap();
    let before = below(&elsewhere).len();
    assert_eq!(lab.say("run").code, Some(78));
    assert_eq!(below(&elsewhere).len(), before);
    fs::remove_file(lab.path().join("state").join(lab.run()).join("u")).unwrap();

    let run = lab.path().join("state").join(lab.run());
    fs::set_permissions(&run, fs::Permissions::from_mode(0o777)).unwrap();
    let said = lab.say("run");
    assert_eq!(said.code, Some(78));
    assert!(said.err.contains("others can write in"), "{said:?}");
}
