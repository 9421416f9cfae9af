//! Ends: stops, sweeps, what is ours and what is not.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::lab::{Lab, eventually, kill, lives, python, wait_for};

/// A leader with one worker of each kind that gets away: it writes their process ids, then waits for `go`, then ends.
const ESCAPES: &str = r"
import os, subprocess, sys, time
def fork(work):
    pid = os.fork()
    if pid == 0:
        work()
        os._exit(0)
    return pid
def own_session():
    os.setsid(); time.sleep(60)
def blank_environment():
    os.setsid()
    stat = open('/proc/self/stat').read().rsplit(') ', 1)[1].split()
    start, end = int(stat[47]), int(stat[48])   # env_start, env_end: fields 50 and 51
    with open('/proc/self/mem', 'r+b', buffering=0) as mem:
        mem.seek(start); mem.write(b'\0' * (end - start))
    assert b'TOOLORCH' not in open('/proc/self/environ', 'rb').read()
    time.sleep(60)
def without_marker():
    os.setsid(); os.execvpe('sleep', ['sleep', '60'], {'PATH': os.environ['PATH']})
def deaf():
    import signal
    signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)
pids = [fork(w) for w in (own_session, blank_environment, without_marker, deaf)]
open('pids.tmp', 'w').write(' '.join(map(str, pids))); os.rename('pids.tmp', 'pids')
while not os.path.exists('go'): time.sleep(0.01)
sys.exit(5)
";

fn escapes(lab: &Lab) -> Vec<u32> {
    let text = wait_for("the workers", || {
        fs::read_to_string(lab.path().join("pids")).ok()
    });
    let pids: Vec<u32> = text.split(' ').map(|pid| pid.parse().unwrap()).collect();
    wait_for("the recorder", || {
        let tree = lab.read("tree");
        let known = |pid: &u32| {
            tree.lines()
                .any(|line| line.starts_with(&format!("{pid} ")))
        };
        pids.iter().all(known).then_some(())
    });
    pids
}

#[test]
fn whatever_outlives_the_leader_is_ended() {
    let lab = Lab::new(&[python(), "-c", ESCAPES]);
    let running = lab.start("--grace 1");
    let pids = escapes(&lab);
    fs::write(lab.path().join("go"), "").unwrap();
    assert_eq!(running.wait().code, Some(5));
    assert_eq!(pids.iter().filter(|pid| lives(**pid)).count(), 0);
    assert_eq!(
        lab.states("phase exit_code requested reason"),
        "phase=exited exit_code=5 requested=0 reason=4 of its processes outlived it and were ended"
    );
}

#[test]
fn a_stop_ends_all_of_them_with_and_without_a_supervisor() {
    for kill_supervisor in [false, true] {
        let lab = Lab::new(&[python(), "-c", ESCAPES]);
        let running = lab.start("");
        let pids = escapes(&lab);
        if kill_supervisor {
            kill("KILL", running.pid());
        }
        let said = lab.say("stop --grace 0.5");
        assert_eq!(said.code, Some(0), "{said:?}");
        assert_eq!(pids.iter().filter(|pid| lives(**pid)).count(), 0);
        assert_eq!(lab.states("phase requested"), "phase=exited requested=1");
        running.wait();
    }
}

#[test]
fn a_stop_waits_for_the_grace_and_no_longer() {
    let deaf = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nopen('ready', 'w')\ntime.sleep(60)";
    let lab = Lab::new(&[python(), "-c", deaf]);
    let running = lab.start("");
    wait_for("the program", || {
        lab.path().join("ready").exists().then_some(())
    });
    let begin = Instant::now();
    assert_eq!(lab.say("stop --grace 0.7").code, Some(0));
    assert!(begin.elapsed() >= Duration::from_millis(700));
    assert_eq!(running.wait().code, Some(0));
    assert_eq!(
        lab.states("exit_code signal requested"),
        "exit_code=137 signal=SIGKILL requested=1"
    );
}

#[test]
fn a_graceful_program_says_its_last_words() {
    let line = "trap 'echo bye; exit 4' TERM; touch ready; while :; do sleep 0.05; done";
    let lab = Lab::new(&["bash", "-c", line]);
    let running = lab.start("");
    wait_for("the program", || {
        lab.path().join("ready").exists().then_some(())
    });
    // SLURM and a user may both send it, more than once.
    for _ in 0..3 {
        kill("TERM", running.pid());
    }
    assert_eq!(running.wait().code, Some(0));
    assert_eq!(
        lab.states("exit_code signal requested"),
        "exit_code=4 signal= requested=1"
    );
    assert!(lab.read("log").ends_with("bye\n"), "{}", lab.read("log"));
}

#[test]
fn a_terminal_that_goes_away_is_no_reason_to_stop() {
    let lab = Lab::new(&["sleep", "60"]);
    let running = lab.start("");
    for signal in ["HUP", "USR1", "HUP", "PIPE"] {
        kill(signal, running.pid());
    }
    std::thread::sleep(Duration::from_millis(100));
    assert!(lives(running.program()));
    assert!(lab.say("status").out.contains("supervised=yes"));
}

#[test]
fn a_stop_reaches_a_start_that_is_still_preparing() {
    let lab = Lab::with(&["sleep", "60"], |unit| {
        unit.setup = vec!["touch preparing; sleep 50 & sleep 51".to_owned()];
    });
    let run = lab.command("run").spawn().unwrap();
    wait_for("the setup line", || {
        lab.path().join("preparing").exists().then_some(())
    });
    assert_eq!(lab.say("stop --grace 1").code, Some(0));
    assert_eq!(run.wait_with_output().unwrap().status.code(), Some(0));
    assert!(eventually(|| lab.left().is_empty()), "{:?}", lab.left());
}

#[test]
fn stops_are_idempotent() {
    let lab = Lab::new(&["true"]);
    assert_eq!(lab.say("stop").code, Some(0), "never started");
    assert!(!lab.path().join("state").exists(), "and nothing was made");
    assert_eq!(lab.say("run").code, Some(0));
    let before = lab.read("state");
    for _ in 0..2 {
        assert_eq!(lab.say("stop").code, Some(0));
    }
    assert_eq!(lab.read("state"), before);
}

#[test]
fn a_process_number_that_was_used_again_is_left_alone() {
    let lab = Lab::new(&["true"]);
    assert_eq!(lab.say("run").code, Some(0));
    let mut stranger = Command::new("setsid")
        .args(["sleep", "60"])
        .spawn()
        .unwrap();
    let pid = stranger.id();
    assert!(eventually(|| fs::read_to_string(format!(
        "/proc/{pid}/comm"
    ))
    .is_ok_and(|comm| comm == "sleep\n")));
    let text: String = lab
        .read("state")
        .lines()
        .map(|line| match line.split_once('=').unwrap().0 {
            "phase" => "phase=running\n".to_owned(),
            "pid" => format!("pid={pid}\n"),
            "super" => format!("super={pid}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    fs::write(lab.file("state"), text).unwrap();
    fs::write(lab.file("tree"), format!("{pid} 1\n")).unwrap();
    assert_eq!(lab.say("status").code, Some(2), "lost");
    assert_eq!(lab.observe()["phase"], "lost");
    assert_eq!(lab.say("stop").code, Some(0));
    assert!(lives(pid));
    assert_eq!(lab.states("phase requested"), "phase=exited requested=1");
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[test]
fn zombies_count_as_dead() {
    let line =
        "import os, time\nif os.fork() == 0: os._exit(0)\nopen('ready', 'w')\ntime.sleep(60)";
    let lab = Lab::new(&[python(), "-c", line]);
    let running = lab.start("");
    wait_for("the program", || {
        lab.path().join("ready").exists().then_some(())
    });
    let begin = Instant::now();
    assert_eq!(lab.say("stop --grace 30").code, Some(0));
    assert!(
        begin.elapsed() < Duration::from_secs(10),
        "it did not wait for the zombie"
    );
    running.wait();
}

#[test]
fn a_frozen_program_can_be_stopped() {
    let lab = Lab::new(&["sleep", "60"]);
    let running = lab.start("");
    kill("STOP", running.program());
    let begin = Instant::now();
    assert_eq!(lab.say("stop --grace 30").code, Some(0));
    assert!(begin.elapsed() < Duration::from_secs(10), "TERM reached it");
    assert_eq!(running.wait().code, Some(0));
}

#[test]
fn a_listener_on_our_port_without_a_sign_of_ours_is_left_alone() {
    // A daemon of the old school, gone within milliseconds without our mark: a stranger looks the same.
    let line = r"
import os, socket, sys, time
port = int(sys.argv[1])
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execvpe(sys.executable, [sys.executable, '-c', '''
import socket, time
s = socket.create_server(('127.0.0.1', %d)); open('listens', 'w').write('x'); time.sleep(60)''' % port], {'PATH': os.environ['PATH']})
    os._exit(0)
while not os.path.exists('listens'): time.sleep(0.01)
sys.exit(3)
";
    let port = free_port();
    let lab = Lab::with(&[python(), "-c", line, &port.to_string()], |unit| {
        unit.port = Some(port);
    });
    let left = || {
        let port = std::net::TcpListener::bind(("127.0.0.1", port));
        assert!(port.is_err(), "it may be anybody's");
    };
    assert_eq!(lab.say("run").code, Some(3));
    left();
    assert_eq!(lab.state("reason").as_deref(), Some(""));
    assert_eq!(lab.say("stop").code, Some(0));
    left();
    let said = lab.say("run");
    assert_eq!(said.code, Some(69), "{said:?}");
    let reason = lab.state("reason").unwrap();
    let owner = reason.split_once("in use by pid ").unwrap().1;
    let pid: u32 = owner.split(' ').next().unwrap().parse().unwrap();
    kill("KILL", pid);
}

#[test]
fn what_another_unit_started_is_not_ours() {
    // A controller is a unit that starts units: its end must not be theirs.
    let inner = Lab::new(&["sleep", "60"]);
    let words = [
        "bash",
        &inner.script().to_string_lossy(),
        "run",
        "--run",
        &inner.run(),
    ]
    .map(str::to_owned);
    let outer = Lab::with(&["sh", "-c", "\"$@\" & touch ready; wait", "sh"], |unit| {
        unit.argv.extend(words);
        let state = inner.path().join("state").to_string_lossy().into_owned();
        unit.set = vec![super::lab::variable("TOOLORCH_STATE", &state)];
    });
    let running = outer.start("");
    let program = wait_for("the inner unit", || {
        inner.state("phase").filter(|phase| phase == "running")?;
        inner
            .state("pid")?
            .parse::<u32>()
            .ok()
            .filter(|pid| lives(*pid))
    });
    assert_eq!(outer.say("stop").code, Some(0));
    running.wait();
    assert!(lives(program));
    let status = inner.say("status");
    assert!(status.out.contains("supervised=yes"), "{status:?}");
    assert_eq!(inner.say("stop").code, Some(0));
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

#[test]
fn a_lost_program_is_told_from_an_exited_one() {
    let lab = Lab::new(&["sleep", "60"]);
    let running = lab.start("");
    let program = running.program();
    kill("KILL", running.pid());
    kill("KILL", program);
    running.wait();
    assert!(eventually(|| !lives(program)));
    let status = lab.say("status");
    assert_eq!(status.code, Some(2));
    assert!(
        status.out.starts_with("u: lost generation=1 "),
        "{status:?}"
    );
    let again = lab.command("run").stderr(Stdio::null()).spawn().unwrap();
    wait_for("the next generation", || {
        (lab.states("generation phase") == "generation=2 phase=running").then_some(())
    });
    assert_eq!(lab.say("stop").code, Some(0));
    again.wait_with_output().unwrap();
}
