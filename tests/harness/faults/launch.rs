//! tmux: an old server's environment, other sessions, a server or a window that goes.

use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::scene::until;
use crate::single::Single;
use crate::small::YAML;
use crate::tally::{Fault, Tally};

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        id: "C1",
        what: "a tmux server with an old environment and few open files: units get neither",
        how: "a server of the run's own, started before with a stale key and `ulimit -Sn 99`",
        tries: 2,
        quick: 1,
        run: old_server,
    },
    Fault {
        id: "C2",
        what: "other tmux sessions whose names begin alike: left alone",
        how: "sessions named as ours and one letter more",
        tries: 2,
        quick: 1,
        run: names_alike,
    },
    Fault {
        id: "C3",
        what: "the tmux server is killed: units go on",
        how: "`tmux kill-server`",
        tries: 3,
        quick: 1,
        run: |tries, tally| ended(&["kill-server"], tries, tally),
    },
    Fault {
        id: "C4",
        what: "somebody closes a tmux window: its unit goes on",
        how: "`tmux kill-window`",
        tries: 3,
        quick: 1,
        run: |tries, tally| ended(&["kill-window"], tries, tally),
    },
];

fn in_tmux(questions: usize) -> Single {
    let single = Single::new("slow", questions);
    single.change("version: 1\n", "version: 1\nlauncher: tmux\n");
    single
}

/// tmux with the run's own server.
fn tmux(single: &Single, words: &[&str]) -> Command {
    let mut command = Command::new("tmux");
    let server = format!("toolorch-{}", single.run());
    command
        .args(["-L", &server])
        .args(words)
        .env("TMUX_TMPDIR", single.scene.path("tmux"));
    command
}

fn says(mut command: Command) -> String {
    String::from_utf8(command.output().unwrap().stdout).unwrap()
}

/// A run with a name, of which nothing is left running.
fn named(single: &Single) {
    let up = single.scene.go(single.command(&["up", YAML, "--no-eval"]));
    let said = up.end();
    assert_eq!(said.code, 0, "{}", said.err);
}

/// Ends the only server, so that the next `up` launches it anew in whatever tmux server is there.
fn server_again(single: &mut Single) {
    single.kill("chat-0");
    until("the server's end", || {
        single.leader("chat-0").is_none().then_some(())
    });
    let gone = || {
        single
            .scene
            .processes()
            .iter()
            .all(|(_, line)| !line.contains("chat-0.sh"))
    };
    until("its script's end", || gone().then_some(()));
}

fn old_server(tries: usize, tally: &mut Tally) {
    for _ in 0..tries {
        let mut single = in_tmux(10);
        named(&single);
        server_again(&mut single);
        let _ = tmux(&single, &["kill-server"]).output();
        let shell = "ulimit -Sn 99; export NEBIUS_API_KEY=stale-key; exec tmux -L \"$0\" new-session -d -s old sleep 600";
        let server = format!("toolorch-{}", single.run());
        let started = Command::new("bash")
            .args(["-c", shell, &server])
            .env("TMUX_TMPDIR", single.scene.path("tmux"))
            .status();
        assert!(started.unwrap().success());
        let up = single.up();
        single.progress();
        for unit in ["chat-0", "eval-sums"] {
            let pid = single.leader(unit).unwrap();
            let environ = std::fs::read(format!("/proc/{pid}/environ")).unwrap();
            let environ = String::from_utf8_lossy(&environ).into_owned();
            assert!(!environ.contains("stale-key"), "{unit}");
            let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
            let files = limits
                .lines()
                .find(|line| line.starts_with("Max open files"))
                .unwrap();
            assert!(!files.contains(" 99 "), "{unit}: {files}");
        }
        tally.tried();
        single.finish(up, tally);
    }
}

fn names_alike(tries: usize, tally: &mut Tally) {
    for _ in 0..tries {
        let mut single = in_tmux(10);
        named(&single);
        let session = says(tmux(&single, &["list-sessions", "-F", "#{session_name}"]));
        let session = session.lines().next().unwrap().to_owned();
        let alike = format!("{session}2");
        let made = tmux(&single, &["new-session", "-d", "-s", &alike, "sleep 600"]).status();
        assert!(made.unwrap().success());
        server_again(&mut single);
        let windows = || {
            says(tmux(
                &single,
                &["list-windows", "-t", &format!("={alike}:")],
            ))
        };
        let before = windows().lines().count();
        let up = single.up();
        until("a result", || {
            (single.scene.results("out") > 0).then_some(())
        });
        assert_eq!(
            windows().lines().count(),
            before,
            "a window in the wrong session"
        );
        tally.tried();
        single.finish(up, tally);
    }
}

fn ended(words: &[&str], tries: usize, tally: &mut Tally) {
    for _ in 0..tries {
        let mut single = in_tmux(40);
        let up = single.up();
        single.progress();
        let before = single.leaders();
        let since = Instant::now();
        let target = says(tmux(&single, &["list-windows", "-a", "-F", "#{window_id}"]));
        let mut words = words.to_vec();
        if words == ["kill-window"] {
            words.extend(["-t", target.lines().next().unwrap()]);
        }
        assert!(tmux(&single, &words).status().unwrap().success());
        Single::quiet(Duration::from_secs(2));
        assert_eq!(single.leaders(), before, "what runs was touched");
        // Its end is noticed all the same, though its window is gone.
        single.kill("chat-0");
        until("another server", || single.leader("chat-0"));
        tally.recovered(since + Duration::from_secs(2));
        up.signal(Signal::KILL);
        up.end();
        tally.tried();
        let up = single.up();
        single.finish(up, tally);
    }
}
