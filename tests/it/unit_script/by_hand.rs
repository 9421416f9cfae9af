//! A unit that is run by hand beside a run of the same cluster.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::lab::{Lab, Said, eventually, wait_for};

/// A unit of a cluster of its own that writes results.
fn lab() -> Lab {
    let mut lab = Lab::with(&["sleep", "60"], |unit| {
        unit.results_dir = Some("out".to_owned());
    });
    lab.unit.cluster = lab.run().to_lowercase();
    lab.render();
    lab
}

/// The run of a controller.
fn run(lab: &Lab) -> String {
    format!("{}-1-abcd", lab.unit.cluster)
}

/// The verb with just these arguments.
fn plain(lab: &Lab, words: &str) -> Command {
    let mut command = Command::new("bash");
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", lab.path())
        .env("TOOLORCH_STATE", lab.path().join("state"))
        .arg(lab.script())
        .args(words.split_whitespace())
        .stdin(Stdio::null());
    command
}

fn say(lab: &Lab, words: &str) -> Said {
    plain(lab, words).output().unwrap().into()
}

/// Starts it as a controller does.
fn controlled(lab: &Lab) -> Child {
    let started = format!("run --epoch 1 --run {}", run(lab));
    let child = plain(lab, &started).stderr(Stdio::null()).spawn().unwrap();
    let status = format!("status --run {}", run(lab));
    wait_for("it", || (say(lab, &status).code == Some(0)).then_some(()));
    child
}

fn stop(lab: &Lab, mut child: Child) {
    let said = say(lab, &format!("stop --epoch 1 --run {}", run(lab)));
    assert_eq!(said.code, Some(0), "{said:?}");
    child.wait().unwrap();
}

fn books(lab: &Lab) -> PathBuf {
    lab.path().join("out/.toolorch")
}

/// The books of results say that the controller's run has them.
fn belongs_to_run(lab: &Lab) -> String {
    fs::create_dir_all(books(lab)).unwrap();
    let run = run(lab);
    let text = format!(r#"{{"run":"{run}","unit":"u","kept":"/runs/c/1"}}"#);
    fs::write(books(lab).join("writer.json"), &text).unwrap();
    text
}

#[test]
fn it_takes_the_results_for_as_long_as_it_runs() {
    let lab = lab();
    let running = lab.start("");
    let free = || {
        let file = File::open(books(&lab).join("writer.lock")).unwrap();
        file.try_lock().is_ok()
    };
    assert!(!free(), "nobody else may write");
    let writer = fs::read_to_string(books(&lab).join("writer.json")).unwrap();
    let writer: serde_json::Value = serde_json::from_str(&writer).unwrap();
    assert_eq!(writer["run"], lab.run());
    assert_eq!(writer["unit"], "u");
    assert_eq!(lab.say("stop").code, Some(0));
    drop(running);
    assert!(eventually(free));
}

#[test]
fn it_starts_no_second_client_beside_a_controller() {
    let lab = lab();
    let text = belongs_to_run(&lab);
    let lock = File::create(books(&lab).join("writer.lock")).unwrap();
    lock.lock().unwrap();
    let said = say(&lab, "run");
    assert_eq!(said.code, Some(75), "{said:?}");
    let why = format!("`u` of the run `{}` writes to `", run(&lab));
    assert!(said.err.contains(&why), "{said:?}");
    assert!(said.err.contains("and is watched"), "{said:?}");
    // What a controller starts is its own client.
    let child = controlled(&lab);
    stop(&lab, child);
    let left = fs::read_to_string(books(&lab).join("writer.json")).unwrap();
    assert_eq!(left, text);
}

#[test]
fn a_client_that_nobody_watches_keeps_its_results() {
    let lab = lab();
    let child = controlled(&lab);
    belongs_to_run(&lab);
    let said = say(&lab, "run");
    assert_eq!(said.code, Some(75), "{said:?}");
    assert!(said.err.contains("and runs as pid "), "{said:?}");
    stop(&lab, child);
}

#[test]
fn stop_and_status_name_the_runs_in_which_it_lives() {
    let lab = lab();
    let child = controlled(&lab);
    for (verb, code) in [("status", 3), ("stop", 0)] {
        let said = say(&lab, verb);
        assert_eq!(said.code, Some(code), "{said:?}");
        let run = run(&lab);
        let told = format!(
            "u: it runs in run {run} (pid {}): add `--run {run}`",
            child.id()
        );
        assert!(said.err.contains(&told), "{said:?}");
    }
    stop(&lab, child);
    assert!(!say(&lab, "stop").err.contains("it runs in"));
}

#[test]
fn a_client_whose_state_is_out_of_sight_is_found_by_its_mark() {
    let lab = lab();
    let child = controlled(&lab);
    belongs_to_run(&lab);
    // As when /tmp was tidied, or TOOLORCH_STATE is another.
    let state = lab.path().join("state").join(run(&lab));
    let aside = lab.path().join("aside");
    fs::rename(&state, &aside).unwrap();
    let said = say(&lab, "run");
    assert_eq!(said.code, Some(75), "{said:?}");
    assert!(said.err.contains("runs as pid"), "{said:?}");
    // Its recorder may have made the folder anew between the two.
    assert!(eventually(|| {
        let _ = fs::remove_dir_all(&state);
        fs::rename(&aside, &state).is_ok()
    }));
    stop(&lab, child);
}
