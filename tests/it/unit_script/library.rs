//! The file that unit scripts share: missing, cut, replaced while a unit runs, reached through a link.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use toolorch::render::LIBRARY;

use super::lab::{Lab, Said, lives};

fn replace(lab: &Lab, text: &str) {
    let fresh = lab.path().join("fresh");
    fs::write(&fresh, text).unwrap();
    fs::rename(fresh, lab.path().join(LIBRARY)).unwrap();
}

fn library(lab: &Lab) -> String {
    fs::read_to_string(lab.path().join(LIBRARY)).unwrap()
}

#[test]
fn a_library_that_is_missing_or_cut_refuses_by_its_path() {
    let lab = Lab::new(&["true"]);
    let whole = library(&lab);
    let refused = |what: &str| {
        for verb in ["run", "status", "stop"] {
            let said = lab.say(verb);
            assert_eq!(said.code, Some(78), "{what}: {said:?}");
            assert!(
                said.err.contains("/lib/unit.sh` is missing or not whole:"),
                "{what}: {said:?}"
            );
        }
        assert!(!lab.path().join("state").exists(), "{what}");
    };
    for part in [1, 2, 3, 4, 5, 6, 7] {
        let cut = whole.floor_char_boundary(whole.len() * part / 8);
        replace(&lab, &whole[..cut]);
        refused(&format!("cut after {cut} bytes"));
    }
    fs::remove_file(lab.path().join(LIBRARY)).unwrap();
    refused("missing");
    fs::create_dir(lab.path().join(LIBRARY)).unwrap();
    refused("a directory");
    fs::remove_dir(lab.path().join(LIBRARY)).unwrap();
    replace(&lab, &whole);
}

#[test]
fn a_library_that_is_replaced_hurts_no_unit_that_runs() {
    let lab = Lab::new(&["sleep", "60"]);
    let whole = library(&lab);
    let running = lab.start("");
    // Whatever the supervisor read from it now would end it, or be missed.
    replace(&lab, "exit 99\n");
    assert_eq!(lab.say("status").code, Some(99));
    replace(
        &lab,
        &whole.replacen("U_FORMAT=1\n", "\n# A later one.\n\nU_FORMAT=1\n", 1),
    );
    let said = lab.say("status");
    assert!(said.out.contains("supervised=yes"), "{said:?}");
    assert_eq!(lab.observe()["phase"], "running");
    let program = running.program();
    assert_eq!(lab.say("stop").code, Some(0));
    assert!(!lives(program));
    assert_eq!(running.wait().code, Some(0));
    assert_eq!(
        lab.states("phase signal requested"),
        "phase=exited signal=SIGTERM requested=1"
    );
}

#[test]
fn the_library_is_found_from_links_and_from_the_script_s_own_folder() {
    let lab = Lab::new(&["true"]);
    let link = lab.path().join("link.sh");
    symlink(lab.script(), &link).unwrap();
    symlink("link.sh", lab.path().join("again.sh")).unwrap();
    symlink("units", lab.path().join("by-folder")).unwrap();
    for (folder, script) in [
        ("", "link.sh"),
        ("", "again.sh"),
        ("", "by-folder/u.sh"),
        ("", "units/u.sh"),
        ("units", "u.sh"),
        ("lib", "../units/u.sh"),
    ] {
        let said: Said = Command::new("bash")
            .args([script, "status", "--run", "r"])
            .current_dir(lab.path().join(folder))
            .env("TOOLORCH_STATE", lab.path().join("state"))
            .output()
            .unwrap()
            .into();
        assert_eq!(
            (said.code, said.out.as_str()),
            (Some(3), "u: never started in run r\n"),
            "{folder} {script}: {said:?}"
        );
    }
}
