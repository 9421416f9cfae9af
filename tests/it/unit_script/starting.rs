//! Starts: exit codes, refusals, fences, double starts.

use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Child, Command, Stdio};

use toolorch::render::context::SlowerContext;

use super::lab::{Lab, Said, kill, lives, python, variable, wait_for};

#[test]
fn the_programs_own_end_is_reported() {
    for (line, code, state) in [
        ("exit 0", 0, "phase=exited exit_code=0 signal= requested=0"),
        (
            "exit 17",
            17,
            "phase=exited exit_code=17 signal= requested=0",
        ),
        (
            "kill -SEGV $$",
            139,
            "phase=exited exit_code=139 signal=SIGSEGV requested=0",
        ),
        (
            "kill -9 $$",
            137,
            "phase=exited exit_code=137 signal=SIGKILL requested=0",
        ),
        (
            "kill -TERM $$",
            143,
            "phase=exited exit_code=143 signal=SIGTERM requested=0",
        ),
        (
            "exit 78",
            78,
            "phase=exited exit_code=78 signal= requested=0",
        ),
    ] {
        let lab = Lab::new(&["sh", "-c", line]);
        let said = lab.say("run");
        assert_eq!(said.code, Some(code), "{line}: {said:?}");
        assert_eq!(lab.states("phase exit_code signal requested"), state);
    }
}

#[test]
fn status_tells_running_exited_and_never() {
    let lab = Lab::new(&["sleep", "60"]);
    let never = lab.say("status");
    assert_eq!(
        (never.code, never.out.as_str()),
        (
            Some(3),
            format!("u: never started in run {}\n", lab.run()).as_str()
        )
    );
    let running = lab.start("--launch L1");
    let status = lab.say("status");
    let pid = running.program();
    let log = lab.file("log");
    assert_eq!(status.code, Some(0));
    assert_eq!(
        status.out,
        format!(
            "u: running generation=1 pid={pid} port= gpus= launch=L1 supervised=yes log={}\n",
            log.display()
        )
    );
    assert_eq!(lab.say("stop").code, Some(0));
    assert_eq!(running.wait().code, Some(0));
    assert_eq!(lab.say("status").code, Some(1));
    assert_eq!(
        lab.states("phase exit_code signal requested"),
        "phase=exited exit_code=143 signal=SIGTERM requested=1"
    );
}

#[test]
fn a_second_supervisor_is_refused_and_changes_nothing() {
    let lab = Lab::new(&["sleep", "60"]);
    let running = lab.start("--generation 4 --epoch 2");
    let before = lab.read("state");
    let said = lab.say("run --generation 5");
    assert_eq!(said.code, Some(75));
    assert!(said.err.contains("already supervised"), "{said:?}");
    assert_eq!(lab.read("state"), before);
    assert!(lives(running.program()));
}

/// The lock of the unit, as a `stop` holds it while it looks whether anything is left.
fn hold_lock(lab: &Lab) -> File {
    fs::create_dir_all(lab.file("")).unwrap();
    for dir in [lab.file(""), lab.file("../"), lab.file("../../")] {
        fs::set_permissions(dir, PermissionsExt::from_mode(0o700)).unwrap();
    }
    let path = lab.file("lock");
    let file = File::options().create(true).append(true).open(path);
    let file = file.unwrap();
    file.lock().unwrap();
    file
}

/// Until the verb waits for the lock, or ended.
fn waits(child: &mut Child) {
    wait_for("its wait for the lock", || {
        if child.try_wait().unwrap().is_some() {
            return Some(());
        }
        let pid = child.id();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
        let flock = |pid: &str| {
            let comm = fs::read_to_string(format!("/proc/{pid}/comm"));
            comm.is_ok_and(|comm| comm == "flock\n")
        };
        children.split_whitespace().any(flock).then_some(())
    });
}

#[test]
fn a_start_waits_for_a_stop_that_comes_to_its_end() {
    let lab = Lab::new(&["true"]);
    let lock = hold_lock(&lab);
    let mut start = lab.command("run").spawn().unwrap();
    waits(&mut start);
    drop(lock);
    let said: Said = start.wait_with_output().unwrap().into();
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(lab.states("generation phase"), "generation=1 phase=exited");
}

#[test]
fn a_stop_that_waits_is_superseded_by_a_later_owner() {
    let lab = Lab::new(&["true"]);
    assert_eq!(lab.say("run --epoch 1").code, Some(0));
    let lock = hold_lock(&lab);
    let mut stop = lab.command("stop --epoch 1").spawn().unwrap();
    waits(&mut stop);
    fs::write(lab.path().join(".epoch-2"), "").unwrap();
    let said: Said = stop.wait_with_output().unwrap().into();
    assert_eq!(said.code, Some(73), "{said:?}");
    drop(lock);
}

#[test]
fn a_stop_that_is_superseded_on_its_way_ends_nothing_more() {
    let deaf = "import signal, time\nsignal.signal(signal.SIGTERM, lambda *_: open('told', 'w'))\nopen('ready', 'w')\nwhile True: time.sleep(60)";
    let lab = Lab::new(&[python(), "-c", deaf]);
    let running = lab.start("--epoch 1");
    let there = |name: &str| lab.path().join(name).exists().then_some(());
    wait_for("the program", || there("ready"));
    kill("KILL", running.pid());
    let stop = lab.command("stop --epoch 1 --grace 1").spawn().unwrap();
    wait_for("the word to end", || there("told"));
    fs::write(lab.path().join(".epoch-2"), "").unwrap();
    let said: Said = stop.wait_with_output().unwrap().into();
    assert_eq!(said.code, Some(73), "{said:?}");
    assert!(lives(running.program()));
    assert_eq!(lab.say("stop --epoch 2 --grace 0.1").code, Some(0));
}

#[test]
fn older_generations_and_epochs_are_refused() {
    let lab = Lab::new(&["true"]);
    assert_eq!(lab.say("run --generation 3 --epoch 5").code, Some(0));
    let before = lab.read("state");
    for (words, why) in [
        (
            "--generation 3 --epoch 5",
            "superseded: generation 3, but 3 was started already",
        ),
        (
            "--generation 2 --epoch 6",
            "superseded: generation 2, but 3 was started already",
        ),
        (
            "--generation 4 --epoch 4",
            "superseded: epoch 4, but epoch 5 owns this run",
        ),
    ] {
        let said = lab.say(&format!("run {words}"));
        assert_eq!(
            (said.code, said.err),
            (Some(73), format!("toolorch: u: {why}\n"))
        );
    }
    assert_eq!(lab.read("state"), before);
    assert_eq!(lab.say("run").code, Some(0), "by hand it takes the next");
    assert_eq!(lab.states("generation epoch"), "generation=4 epoch=5");
}

#[test]
fn a_superseded_owner_neither_starts_nor_stops() {
    let lab = Lab::new(&["sleep", "60"]);
    let running = lab.start("--generation 1 --epoch 2");
    // The third owner took the run and left its mark; the second one does not know.
    std::fs::write(lab.path().join(".epoch-3"), "").unwrap();
    let said = lab.say("stop --epoch 2");
    assert_eq!(
        (said.code, said.err.as_str()),
        (
            Some(73),
            "toolorch: u: superseded: epoch 2, but epoch 3 owns this run\n"
        )
    );
    assert!(lives(running.program()));
    assert_eq!(lab.say("stop --epoch 3").code, Some(0));
    assert_eq!(running.wait().code, Some(0));
    assert_eq!(lab.say("run --generation 2 --epoch 2").code, Some(73));
    assert_eq!(lab.say("run --generation 1 --epoch 3").code, Some(73));
    // Whoever stops by hand is asked for nothing.
    let running = lab.start("--generation 2 --epoch 3");
    assert_eq!(lab.say("stop").code, Some(0));
    running.wait();
}

#[test]
fn a_start_that_comes_after_the_end_leaves_no_trace() {
    let lab = Lab::new(&["sleep", "60"]);
    std::fs::write(lab.path().join(".epoch-2"), "").unwrap();
    assert_eq!(lab.say("run --generation 7 --epoch 1").code, Some(73));
    assert!(!lab.path().join("state").exists(), "and nothing was made");
}

#[test]
fn a_stop_ends_a_start_that_hangs() {
    let lab = Lab::new(&["sleep", "60"]);
    // It waits for a word of ours before it becomes the script.
    let hanging = |run: &str| {
        let mut shell = Command::new("sh");
        shell.args(["-c", "read x; exec \"$@\"", "sh", "bash"]);
        shell.arg(lab.script()).args(["run", "--run", run]);
        shell.stdin(Stdio::piped()).spawn().unwrap()
    };
    let mut ours = hanging(&lab.run());
    let mut of_another_run = hanging("another");
    assert_eq!(lab.say("stop").code, Some(0));
    wait_for("its end", || ours.try_wait().unwrap());
    assert_eq!(of_another_run.try_wait().unwrap(), None);
    of_another_run.kill().unwrap();
    of_another_run.wait().unwrap();
}

#[test]
fn many_starts_at_once_give_one_program() {
    let lab = Lab::new(&["sleep", "60"]);
    let mut starts: Vec<_> = (0..8)
        .map(|_| lab.command("run").spawn().unwrap())
        .collect();
    let ended = wait_for("seven refusals", || {
        let codes: Vec<_> = starts
            .iter_mut()
            .filter_map(|start| start.try_wait().unwrap())
            .map(|status| status.code())
            .collect();
        (codes.len() == 7).then_some(codes)
    });
    assert_eq!(ended, [Some(75); 7]);
    assert_eq!(lab.say("stop").code, Some(0));
    for start in &mut starts {
        start.wait().unwrap();
    }
    assert_eq!(lab.states("generation phase"), "generation=1 phase=exited");
}

#[test]
fn a_program_without_its_supervisor_is_not_started_twice() {
    let lab = Lab::new(&["sleep", "60"]);
    let running = lab.start("");
    let program = running.program();
    kill("KILL", running.pid());
    assert_eq!(running.wait().code, None);
    let status = lab.say("status");
    assert_eq!(status.code, Some(0));
    assert!(status.out.contains("supervised=no"), "{status:?}");
    assert_eq!(lab.observe()["supervised"], false);
    let said = lab.say("run");
    assert_eq!(said.code, Some(75));
    assert!(
        said.err.contains(&format!(
            "already runs, without a supervisor (pid {program})"
        )),
        "{said:?}"
    );
    assert_eq!(lab.say("stop").code, Some(0));
    assert!(!lives(program));
    assert_eq!(
        lab.states("phase exit_code requested"),
        "phase=exited exit_code= requested=1"
    );
    assert_eq!(lab.say("status").code, Some(1));
}

#[test]
fn a_taken_port_is_refused_with_its_owner() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let lab = Lab::with(&["sleep", "60"], |unit| unit.port = Some(port));
    let said = lab.say("run");
    assert_eq!(said.code, Some(69));
    let me = std::process::id();
    assert!(
        said.err
            .contains(&format!("port {port} is in use by pid {me} (")),
        "{said:?}"
    );
    assert_eq!(
        lab.states("phase exit_code requested"),
        "phase=refused exit_code=69 requested=0"
    );
    assert!(lab.state("reason").unwrap().contains(&me.to_string()));
    assert_eq!(lab.say("status").code, Some(1));
}

#[test]
fn the_same_port_at_another_address_is_free() {
    let listener = TcpListener::bind("127.0.5.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let lab = Lab::with(&["true"], |unit| {
        unit.port = Some(port);
        unit.host = Some("127.0.5.2".to_owned());
    });
    assert_eq!(lab.say("run").code, Some(0));
    let lab = Lab::with(&["true"], |unit| {
        unit.port = Some(port);
        unit.host = Some("127.0.5.1".to_owned());
    });
    assert_eq!(lab.say("run").code, Some(69));
}

#[test]
fn what_is_missing_is_named() {
    let refused = |lab: &Lab, why: &str| {
        let said = lab.say("run");
        assert_eq!(said.code, Some(78), "{said:?}");
        assert_eq!(lab.state("phase").as_deref(), Some("refused"));
        let reason = lab.state("reason").unwrap();
        assert!(reason.starts_with(why), "{reason}");
    };
    let lab = Lab::with(&["true"], |unit| {
        unit.pass = vec!["K_ONE".to_owned(), "K_TWO".to_owned()];
    });
    refused(&lab, "no value for `K_ONE`, `K_TWO`: `pass` names it");
    let lab = Lab::with(&["true"], |unit| {
        unit.cwd = Some("/no/such/place".to_owned());
    });
    refused(&lab, "working directory `/no/such/place` does not exist");
    let lab = Lab::new(&["no-such-program-here"]);
    refused(
        &lab,
        "command `no-such-program-here` not found or not executable (PATH=",
    );
    let lab = Lab::new(&["./units/u.sh"]);
    refused(&lab, "command `./units/u.sh` not found or not executable");
    let lab = Lab::with(&["true"], |unit| unit.env.conda = Some("nope".to_owned()));
    refused(
        &lab,
        "conda env `nope` is asked for, but no conda was found",
    );
    let lab = Lab::with(&["true"], |unit| unit.env.venv = Some("~/venv".to_owned()));
    let place = lab.path().join("venv");
    refused(
        &lab,
        &format!("venv `{}` has no bin/activate", place.display()),
    );
    let lab = Lab::with(&["true"], |unit| unit.setup = vec!["exit 3".to_owned()]);
    refused(&lab, "a setup line ended the shell");
    let lab = Lab::with(&["true"], |unit| {
        unit.setup = vec!["set -u; echo $NOBODY_SET_THIS".to_owned()];
    });
    refused(&lab, "a setup line ended the shell");
}

#[test]
fn a_state_directory_of_somebody_else_is_refused() {
    let lab = Lab::new(&["true"]);
    let elsewhere = lab.path().join("elsewhere");
    std::fs::create_dir_all(&elsewhere).unwrap();
    symlink(&elsewhere, lab.path().join("state")).unwrap();
    for verb in ["run", "stop", "status", "observe"] {
        let said = lab.say(verb);
        assert_eq!(said.code, Some(78), "{verb}: {said:?}");
        assert!(said.err.contains("is a symbolic link"), "{said:?}");
    }
    assert_eq!(std::fs::read_dir(&elsewhere).unwrap().count(), 0);
    std::fs::remove_file(lab.path().join("state")).unwrap();
    std::fs::create_dir(lab.path().join("state")).unwrap();
    let open = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(lab.path().join("state"), open).unwrap();
    let said = lab.say("run");
    assert_eq!(said.code, Some(78));
    assert!(said.err.contains("others can write in"), "{said:?}");
}

#[test]
fn fewer_questions_have_words_of_their_own() {
    let script = "echo \"$1 $N $KEPT\"";
    let argv = |n: &str| ["bash", "-c", script, "x", n].map(str::to_owned).to_vec();
    let lab = Lab::with(&[], |unit| {
        unit.argv = argv("it's 64");
        unit.set = vec![variable("N", "64"), variable("KEPT", "yes")];
        unit.slower = vec![
            SlowerContext {
                concurrency: 32,
                argv: argv("it's 32"),
                set: vec![variable("N", "32")],
            },
            SlowerContext {
                concurrency: 1,
                argv: argv("1"),
                set: Vec::new(),
            },
        ];
    });
    for (verb, printed) in [
        ("run", "it's 64 64 yes\n"),
        ("run --concurrency 32", "it's 32 32 yes\n"),
        ("run --concurrency 1", "1 64 yes\n"),
    ] {
        assert_eq!(lab.say(verb).code, Some(0), "{verb}");
        assert!(lab.read("log").ends_with(printed), "{}", lab.read("log"));
    }
    let said = lab.say("run --concurrency 7");
    assert_eq!(said.code, Some(64));
    assert!(
        said.err.contains("`u` has no words for `7` questions"),
        "{said:?}"
    );
}

#[test]
fn usage_errors_are_64() {
    let lab = Lab::new(&["true"]);
    for words in [
        "",
        "fly",
        "run --generation 0",
        "run --epoch x",
        "run --port 65536",
        "run --what 1",
        "run --grace soon",
    ] {
        assert_eq!(lab.say(words).code, Some(64), "{words}");
    }
    let bad = lab
        .command("run")
        .args(["--run", "../up"])
        .output()
        .unwrap();
    assert_eq!(bad.status.code(), Some(64));
    let bad = lab.command("run").args(["--launch"]).output().unwrap();
    assert_eq!(bad.status.code(), Some(64));
}
