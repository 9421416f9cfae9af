//! A run keeps its name: where its folder was moved or copied, and where the machine is another or is called otherwise.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;

use super::Scene;
use super::scene::{Said, kill, until};
use super::small::{self, YAML, change, server};

/// A run that nobody watches, with its server and its client at work; answers with its name.
fn unwatched(scene: &Scene) -> String {
    let up = scene.go(scene.toolorch(&["up", YAML]));
    until("a result", || (scene.results("out") > 0).then_some(()));
    up.signal(Signal::INT);
    assert_eq!(up.end().code, 130);
    scene.runs().remove(0)
}

/// Runs the program with this folder in place of the scene's home.
fn at_home(scene: &Scene, home: &str, code: i32, args: &[&str]) -> Said {
    let mut command = scene.toolorch(args);
    command.env("TOOLORCH_HOME", scene.path(home));
    let said = scene.go(command).end();
    assert_eq!(said.code, code, "{args:?}\n{}{}", said.out, said.err);
    said
}

fn copy(from: &Path, to: &Path) {
    let mut cp = Command::new("cp");
    assert!(cp.arg("-r").args([from, to]).status().unwrap().success());
}

/// All files of the run, with their bytes; what a command locks while it is at work aside.
fn books(scene: &Scene) -> BTreeMap<String, Vec<u8>> {
    let run = "home/runs/small/1";
    let names = scene.names(run).into_iter();
    let files = names.filter(|name| name != "down.lock");
    files
        .filter_map(|name| Some((name.clone(), fs::read(scene.path(run).join(&name)).ok()?)))
        .collect()
}

fn lives(pid: &Value) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

/// Its last owner was this process on that host, in another boot.
fn owned_on(scene: &Scene, host: &str, boot: Option<&str>) {
    let path = "home/runs/small/1/owner.json";
    let mut owner: Value = serde_json::from_str(&scene.read(path)).unwrap();
    owner["process"]["host"] = host.into();
    if let Some(boot) = boot {
        owner["process"]["boot_id"] = boot.into();
    }
    scene.write(path, &owner.to_string());
}

#[test]
fn a_run_goes_on_where_its_folder_was_moved() {
    let scene = small::scene("slow", 60);
    let run = unwatched(&scene);
    let before = server(&scene);
    fs::rename(scene.path("home"), scene.path("moved")).unwrap();

    let status = at_home(&scene, "moved", 0, &["status", YAML]).out;
    assert!(status.starts_with(&format!("{run}: running")), "{status}");
    assert!(status.contains("ready"), "{status}");
    let log = at_home(&scene, "moved", 0, &["logs", "chat-0", &run]).out;
    assert!(log.contains("Application startup complete"), "{log}");
    // Nor is it taken for one whose folder is gone.
    let there = at_home(&scene, "home", 2, &["down", YAML]);
    assert!(there.err.contains("has no run in"), "{}", there.err);
    assert!(lives(&before));

    // The same server and the same client, up to the last question.
    at_home(&scene, "moved", 0, &["drain", "chat", YAML, "--yes"]);
    until("the drained server's end", || {
        (!lives(&before)).then_some(())
    });
    at_home(&scene, "moved", 0, &["drain", "--undo", "chat", YAML]);
    at_home(&scene, "moved", 0, &["up", "--no-eval", YAML]);
    let down = at_home(&scene, "moved", 0, &["down", &run]);
    assert!(
        down.err.contains(&format!("`{run}` is down")),
        "{}",
        down.err
    );
    scene.assert_nothing_left();
    assert_eq!(
        scene.names("state"),
        [] as [String; 0],
        "one state directory"
    );
    assert_eq!(scene.names("moved/runs/small"), ["1", "latest"]);
}

#[test]
fn a_copied_folder_begins_a_run_of_its_own_and_leaves_the_original_alone() {
    let scene = small::scene("slow", 60);
    let run = unwatched(&scene);
    let before = server(&scene);
    fs::create_dir(scene.path("copy")).unwrap();
    for name in [YAML, "client.sh", "data.jsonl", "home", "out"] {
        copy(&scene.path(name), &scene.path("copy").join(name));
    }
    let yaml = scene.read(YAML).replace("port: 8000", "port: 8001");
    scene.write(
        "copy/small.yaml",
        &yaml.replace("MODE: slow", "MODE: plain"),
    );
    let in_copy = |code: i32, args: &[&str]| {
        let mut command = scene.toolorch(args);
        command
            .env("TOOLORCH_HOME", scene.path("copy/home"))
            .current_dir(scene.path("copy"));
        let said = scene.go(command).end();
        assert_eq!(said.code, code, "{args:?}\n{}{}", said.out, said.err);
        said
    };
    for args in [
        &["down", YAML][..],
        &["down", &run],
        &["drain", "chat", YAML, "--yes"],
        &["status"],
    ] {
        let said = in_copy(3, args);
        let original = scene.path("home/runs/small/1");
        let words = format!("is a copy of `{}`, and goes on there", original.display());
        assert!(said.err.contains(&words), "{}", said.err);
    }
    assert!(lives(&before));
    let listed = in_copy(0, &["runs"]).out;
    assert!(listed.contains("(a copy of /"), "{listed}");

    in_copy(0, &["up", YAML]);
    assert_eq!(scene.results("copy/out"), 60);
    assert!(scene.results("out") < 60, "results of its own");
    let own = in_copy(0, &["status", YAML]).out;
    assert!(own.starts_with("small-2-"), "{own}");
    in_copy(0, &["down", YAML]);
    assert!(lives(&before), "the original goes on");
    let status = scene.expect(0, &["status", YAML]).out;
    assert!(status.starts_with(&format!("{run}: running")), "{status}");
    scene.expect(0, &["down", YAML]);
    scene.assert_nothing_left();
}

/// The machine was renamed: what lives is here.
#[test]
fn a_host_of_another_name_is_here_where_marks_of_the_run_are() {
    let scene = small::scene("slow", 60);
    let run = unwatched(&scene);
    let before = server(&scene);
    owned_on(&scene, "called-otherwise", Some("another-boot"));
    let status = scene.expect(0, &["status", YAML]).out;
    assert!(status.starts_with(&format!("{run}: running")), "{status}");
    assert!(!status.contains("units of it live on"), "{status}");
    scene.expect(0, &["drain", "chat", YAML, "--yes"]);
    assert!(!lives(&before));
    scene.expect(0, &["down", YAML]);
    scene.assert_nothing_left();
}

#[test]
fn what_may_live_on_another_host_is_neither_started_nor_said_to_be_gone() {
    let scene = small::scene("slow", 60);
    let run = unwatched(&scene);
    // What is not to be seen here stands for what is there.
    for (pid, _) in scene.processes() {
        kill(pid, Signal::KILL);
    }
    until("their ends", || scene.processes().is_empty().then_some(()));
    fs::remove_dir_all(scene.path("state").join(&run)).unwrap();
    owned_on(&scene, "login1", Some("another-boot"));
    let before = books(&scene);

    for (args, undone) in [
        (&["up", YAML][..], "nothing was started"),
        (&["up", "--detach", YAML], "nothing was started"),
        (&["eval", YAML], "nothing was started"),
        (&["down", YAML], "nothing was stopped"),
        (&["down", &run], "nothing was stopped"),
        (&["drain", "chat", YAML, "--yes"], "nothing was drained"),
    ] {
        let said = scene.expect(3, args);
        let words = format!(
            "error: `{run}` was started on `login1`, and 2 units of it may live there: chat-0, eval-sums\n\
             help: go on there, or end it there: toolorch down {run}\n      \
             if `login1` is gone for good, or this folder is a copy from there: toolorch down --gone login1 {run}\n\
             {undone}"
        );
        assert!(said.err.contains(&words), "{args:?}: {}", said.err);
        assert_eq!(books(&scene), before, "{args:?} recorded something");
    }
    let status = scene.expect(0, &["status", YAML]).out;
    assert!(
        status.contains(
            "units of it live on `login1`: from here only what was recorded last can be told"
        ) && status.contains("ready"),
        "{status}"
    );
    // A journal that cannot be read knows no less.
    let segment = "home/runs/small/1/journal.1.jsonl";
    let whole = scene.read(segment);
    scene.write(segment, &whole.replacen("run-started", "run-stopped", 1));
    for args in [&["up", "--rebuild", YAML][..], &["down", YAML]] {
        let said = scene.expect(3, args);
        assert!(
            said.err.contains("units of it may live there"),
            "{}",
            said.err
        );
    }
    scene.write(segment, &whole);

    let other = scene.expect(2, &["down", "--gone", "login2", YAML]);
    assert!(
        other
            .err
            .contains(&format!("nothing of `{run}` is known to live on `login2`")),
        "{}",
        other.err
    );
    assert_eq!(books(&scene), before);
    let down = scene.expect(0, &["down", "--gone", "login1", YAML]);
    assert!(
        down.err
            .contains("is over; without a look: what ran on `login1` is said to be gone: `chat-0`, `eval-sums`"),
        "{}",
        down.err
    );
    change(&scene, "MODE: slow", "MODE: plain");
    scene.expect(0, &["up", YAML]);
    assert_eq!(scene.results("out"), 60);
    let runs = scene.runs();
    assert!(runs[1].starts_with("small-2-"), "{runs:?}");
    scene.assert_nothing_left();
}

/// A pipe in the place of a file of ours would be waited for by every command.
#[test]
fn what_stands_in_the_place_of_a_file_of_ours_is_named() {
    let scene = small::scene("plain", 1);
    scene.expect(0, &["up", "--no-eval", YAML]);
    let pipe = |path: &str| {
        let path = scene.path(path);
        let kept = path.with_extension("kept");
        let there = fs::rename(&path, &kept).is_ok();
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RWXU).unwrap();
        (path, there.then_some(kept))
    };
    for name in ["owner.json", "owner.lock", "state-root", "plan.json"] {
        let (path, kept) = pipe(&format!("home/runs/small/1/{name}"));
        for args in [
            &["status", YAML][..],
            &["up", YAML],
            &["drain", "chat", YAML],
        ] {
            let said = scene.expect(3, args);
            let words = format!(
                "error: cannot read `{}`: it is a pipe, not a regular file\nhelp: move it away",
                path.display()
            );
            assert!(said.err.contains(&words), "{args:?}: {}", said.err);
        }
        fs::remove_file(&path).unwrap();
        if let Some(kept) = kept {
            fs::rename(kept, path).unwrap();
        }
    }
    for name in [
        "writer.json",
        "writer.lock",
        "outside-calls.json",
        "identity.json",
    ] {
        fs::create_dir_all(scene.path("out/.toolorch")).unwrap();
        let (path, kept) = pipe(&format!("out/.toolorch/{name}"));
        assert_eq!(kept, None);
        let said = scene.expect(3, &["up", YAML]);
        let words = format!("`{}`: it is a pipe, not a regular file", path.display());
        assert!(said.err.contains(&words), "{name}: {}", said.err);
        fs::remove_file(&path).unwrap();
    }
    let (path, _) = pipe("config.json");
    let said = scene.run(&["up", YAML]);
    let words = format!("`{}`: it is a pipe, not a regular file", path.display());
    assert!(said.err.contains(&words), "{}", said.err);
    assert_ne!(said.code, 0);
    scene.expect(0, &["down", YAML]);
    scene.assert_nothing_left();
}
