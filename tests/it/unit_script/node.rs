//! `lib/node.sh`: what a controller asks a node that it reaches from elsewhere.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::thread;

use toolorch::base::{LaunchId, Port, UnitId};
use toolorch::facts::{NodeSeen, Observation};
use toolorch::render::context::UnitContext;
use toolorch::render::{NODE, NODE_TEXT};

use super::lab::{Lab, Said, kill, lives, python, wait_for, write_unit};

/// Asks the node; `stdin` is what it reads.
fn node_with(lab: &Lab, words: &str, stdin: &[u8]) -> Said {
    node_in(lab, std::env::var_os("PATH").unwrap(), words, stdin)
}

/// The same with another PATH.
fn node_in(lab: &Lab, path: impl AsRef<OsStr>, words: &str, stdin: &[u8]) -> Said {
    let script = lab.path().join(NODE);
    fs::write(&script, NODE_TEXT).unwrap();
    let mut child = Command::new("bash")
        .env_clear()
        .env("PATH", path)
        .env("TOOLORCH_STATE", lab.path().join("state"))
        .arg(script)
        .args(words.split_whitespace())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(stdin).unwrap();
    child.wait_with_output().unwrap().into()
}

fn node(lab: &Lab, words: &str) -> Said {
    node_with(lab, words, b"")
}

fn look(lab: &Lab, units: &str) -> NodeSeen {
    let said = node(lab, &format!("look {} {units}", lab.run()));
    assert_eq!(said.code, Some(0), "{said:?}");
    NodeSeen::read(&said.out).unwrap_or_else(|why| panic!("{why}\n{said:?}"))
}

/// A second unit of the same run, which ended.
fn ended(lab: &Lab) {
    let unit = UnitContext {
        name: "ended".to_owned(),
        argv: vec![
            "sh".to_owned(),
            "-c".to_owned(),
            "echo a last word; exit 3".to_owned(),
        ],
        ..lab.unit.clone()
    };
    let script = write_unit(lab.path(), &unit);
    let mut run = lab.command("run --generation 4 --launch L4");
    let args: Vec<_> = run.get_args().skip(1).map(ToOwned::to_owned).collect();
    run = Command::new("bash");
    run.env("TOOLORCH_STATE", lab.path().join("state"))
        .arg(script)
        .args(args);
    assert_eq!(run.output().unwrap().status.code(), Some(3));
}

const SERVER: &str = r"
import os, socket, time
server = socket.create_server(('127.0.0.1', 0))
open('port.tmp', 'w').write(str(server.getsockname()[1])); os.rename('port.tmp', 'port')
time.sleep(60)
";

fn port(lab: &Lab) -> u16 {
    let file = lab.path().join("port");
    wait_for("the port", || fs::read_to_string(&file).ok())
        .parse()
        .unwrap()
}

/// `/proc` is read once for all units, then their states: what begins in between is in its state alone.
#[test]
fn a_unit_that_begins_during_a_look_is_seen_in_it() {
    let lab = Lab::new(&[python(), "-c", SERVER]);
    let shims = lab.path().join("shims");
    fs::create_dir(&shims).unwrap();
    // The first `grep` comes after the pass over /proc.
    let (asked, begun) = (lab.path().join("asked"), lab.path().join("begun"));
    let shim = format!(
        "#!/bin/bash\n: >{asked:?}; until [[ -e {begun:?} ]]; do sleep 0.02; done\nexec /usr/bin/grep \"$@\"\n"
    );
    let grep = shims.join("grep");
    fs::write(&grep, shim).unwrap();
    fs::set_permissions(&grep, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", shims.display(), std::env::var("PATH").unwrap());
    let words = format!("look {} u", lab.run());
    let (said, running, port) = thread::scope(|scope| {
        let look = scope.spawn(|| node_in(&lab, &path, &words, b""));
        wait_for("the look", || asked.exists().then_some(()));
        let running = lab.start("--generation 2 --launch L2");
        let port = port(&lab);
        fs::write(&begun, "").unwrap();
        (look.join().unwrap(), running, port)
    });
    let seen = NodeSeen::read(&said.out).unwrap_or_else(|why| panic!("{why}\n{said:?}"));
    let Observation::Running(seen) = &seen.units[&UnitId::new("u")].observation else {
        panic!("{said:?}");
    };
    assert_eq!(seen.pid, running.program());
    assert_eq!(seen.listening, [Port(port)]);
}

#[test]
fn all_units_are_seen_in_one_look() {
    let lab = Lab::new(&[python(), "-c", SERVER]);
    ended(&lab);
    let running = lab.start("--generation 2 --launch L2");
    let port = port(&lab);
    let seen = look(&lab, "u ended other");
    assert_eq!(
        seen.host,
        fs::read_to_string("/proc/sys/kernel/hostname")
            .unwrap()
            .trim()
    );
    let of = |name: &str| &seen.units[&UnitId::new(name)];
    let Observation::Running(unit) = &of("u").observation else {
        panic!("{seen:?}")
    };
    assert_eq!(
        (unit.pid, unit.supervisor),
        (running.program(), running.pid())
    );
    assert_eq!(
        (unit.generation.0, unit.launch.as_str(), unit.supervised),
        (2, "L2", true)
    );
    assert_eq!(
        unit.listening.iter().map(|port| port.0).collect::<Vec<_>>(),
        [port]
    );
    let files = of("u").files.unwrap();
    assert_eq!(files.pid, running.program());
    assert_eq!(lab.state("nofile"), Some(files.soft.to_string()));
    let Observation::Exited(exit) = &of("ended").observation else {
        panic!("{seen:?}")
    };
    assert_eq!((exit.code, exit.launch.as_str()), (Some(3), "L4"));
    assert_eq!(of("ended").log_bytes, Some(12));
    assert_eq!(of("other").observation, Observation::Never);
    assert_eq!(
        look(&lab, "").units.len(),
        2,
        "without names: those that are there"
    );
    let said = node(&lab, &format!("tail {} ended 10", lab.run()));
    assert_eq!(said.out, "last word\n");
}

#[test]
fn a_unit_whose_processes_are_gone_is_lost_and_a_bad_place_is_said() {
    let lab = Lab::new(&["sleep", "60"]);
    let running = lab.start("--launch L1");
    let program = running.program();
    kill("KILL", running.pid());
    kill("KILL", program);
    wait_for("its end", || (!lives(program)).then_some(()));
    let seen = look(&lab, "u");
    let lost = &seen.units[&UnitId::new("u")].observation;
    assert_eq!(lost.launch(), Some(&LaunchId::new("L1")), "{lost:?}");
    assert!(matches!(lost, Observation::Lost { .. }), "{lost:?}");

    let state = lab.path().join("state").join(lab.run());
    fs::remove_dir_all(state.join("u")).unwrap();
    std::os::unix::fs::symlink("/tmp", state.join("u")).unwrap();
    let seen = look(&lab, "u");
    let Observation::Unknown { why } = &seen.units[&UnitId::new("u")].observation else {
        panic!("{seen:?}")
    };
    assert!(why.contains("is a symbolic link"), "{why}");
    fs::remove_file(state.join("u")).unwrap();
}

#[test]
fn marks_name_processes_and_starts_under_way_of_this_run_alone() {
    let lab = Lab::new(&["sleep", "60"]);
    let run = lab.run();
    assert_eq!(node(&lab, &format!("marks {run}")).out, "");
    let running = lab.start("");
    let hanging = |run: &str| {
        let mut shell = Command::new("sh");
        shell.args(["-c", "read x", "sh", "bash"]);
        shell
            .arg(lab.path().join("units/late.sh"))
            .args(["run", "--run", run]);
        shell.stdin(Stdio::piped()).spawn().unwrap()
    };
    let mut late = hanging(&run);
    let mut other = hanging("another");
    let said = node(&lab, &format!("marks {run}"));
    for (pid, unit) in [
        (running.program(), "u"),
        (running.pid(), "u"),
        (late.id(), "late"),
    ] {
        assert!(said.out.contains(&format!("{pid} {unit}\n")), "{said:?}");
    }
    assert!(!said.out.contains(&format!("{} ", other.id())), "{said:?}");
    let refused = node(&lab, &format!("clear {run}"));
    assert_eq!(refused.code, Some(1), "{refused:?}");
    for child in [&mut late, &mut other] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert_eq!(lab.say("stop").code, Some(0));
    running.wait();
    assert_eq!(node(&lab, &format!("clear {run}")).code, Some(0));
    assert!(!lab.path().join("state").join(run).exists());
}

#[test]
fn secrets_come_by_standard_input_and_are_kept_together() {
    let lab = Lab::with(&["sh", "-c", "printf '%s|' \"$KEY\" \"$TWO\""], |unit| {
        unit.pass = vec!["KEY".to_owned(), "TWO".to_owned()];
    });
    let keep = |pairs: &[u8]| node_with(&lab, &format!("keep {} u", lab.run()), pairs);
    assert_eq!(keep(b"KEY=old\0TWO=it's\n\"2\"\0").code, Some(0));
    assert_eq!(keep(b"KEY=new `$x`\0").code, Some(0));
    let mode = fs::metadata(lab.file("secrets")).unwrap();
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&mode.permissions()) & 0o777,
        0o600
    );
    assert_eq!(lab.say("run").code, Some(0));
    assert_eq!(lab.read("log"), "new `$x`|it's\n\"2\"|");
}

#[test]
fn listeners_are_named_and_the_owner_s_sign_of_life_is_kept() {
    let lab = Lab::new(&["true"]);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let said = node(&lab, &format!("listeners {port} 1"));
    let words: Vec<&str> = said.out.split(' ').collect();
    let own = std::process::id().to_string();
    assert_eq!(
        words[..2],
        [port.to_string().as_str(), "127.0.0.1"],
        "{said:?}"
    );
    assert_eq!(words[3], own, "{said:?}");
    assert_eq!(said.out.lines().count(), 1);
    let beat = |line: &str| node_with(&lab, &format!("beat {}", lab.run()), line.as_bytes());
    for line in ["pid=1 then=keep\n", "pid=2 then=down\n"] {
        assert_eq!(beat(line).code, Some(0));
        let file = lab.path().join("state").join(lab.run()).join(".heartbeat");
        assert_eq!(fs::read_to_string(file).unwrap(), line);
    }
    assert_eq!(look(&lab, "").units.len(), 0);
    for bad in [
        "",
        "look",
        "look ../x",
        "tail r u x",
        "listeners a",
        "what r",
    ] {
        assert_eq!(node(&lab, bad).code, Some(64), "{bad}");
    }
}
