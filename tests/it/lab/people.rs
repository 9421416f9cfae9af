//! Who is on the cluster, what they see of each other, and which nodes see the shared home.

use std::fs;

use super::{Lab, Shape};

#[test]
fn two_people_share_a_project_and_a_node_has_a_home_of_its_own() {
    let lab = Lab::shaped(&Shape {
        private_home: vec!["apart".to_owned()],
        ..Shape::plain(&["apart", "beside"])
    });
    lab.exec([
        "bash",
        "-c",
        "umask 077; echo mine >mine; echo ours >ours; chgrp project ours; chmod 640 ours",
    ]);
    let read = |name| lab.run_as("other", ["cat".into(), lab.home().join(name)]);
    let refused = read("mine");
    assert!(refused.err.contains("Permission denied"), "{}", refused.err);
    assert_eq!(read("ours").out, "ours\n");
    assert_eq!(
        lab.run_as("other", ["ssh", "beside", "id -un"]).out,
        "other\n"
    );

    assert_eq!(lab.exec(["ssh", "beside", "cat mine"]), "mine");
    assert_eq!(
        lab.exec(["ssh", "apart", "ls; echo local >local; pwd"]),
        lab.home().to_str().unwrap()
    );
    assert!(!lab.home().join("local").exists());
    // Its disk survives what its memory does not.
    lab.crash("apart");
    lab.boot("apart");
    assert_eq!(lab.exec(["ssh", "apart", "cat local"]), "local");
}

#[test]
fn a_node_asks_for_the_password_after_the_key() {
    let lab = Lab::shaped(&Shape {
        asking: vec!["asking".to_owned()],
        ..Shape::plain(&["asking"])
    });
    let refused = lab.run(["ssh", "-oBatchMode=yes", "asking", "true"]);
    assert!(
        refused
            .err
            .contains("Permission denied (keyboard-interactive)"),
        "{}",
        refused.err
    );
    let typing = |password: &str| {
        let typist = lab.home().join("typist");
        fs::write(&typist, format!("#!/bin/sh\necho {password}\n")).unwrap();
        lab.root(["chmod".into(), "755".into(), typist.clone()]);
        let asked = format!("SSH_ASKPASS={}", typist.display());
        lab.run([
            "env",
            "SSH_ASKPASS_REQUIRE=force",
            &asked,
            "ssh",
            "-oNumberOfPasswordPrompts=1",
            "asking",
            "hostname",
        ])
    };
    assert_eq!(typing("lab-secret").out, "asking\n");
    assert_eq!(typing("wrong").code, 255);
}
