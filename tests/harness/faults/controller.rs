//! The controller's own troubles: signals, a closed terminal, a long sleep, few open files.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::fleet::{Fleet, shipped, with_failpoints};
use crate::log_cluster::YAML;
use crate::scene::until;
use crate::single::Single;
use crate::small;
use crate::tally::{Fault, Tally};

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        id: "A2",
        what: "Ctrl-C: all goes on, the next `up` takes over",
        how: "SIGINT to the whole foreground group",
        tries: 10,
        quick: 1,
        run: |tries, tally| signalled(Signal::INT, 130, tries, tally),
    },
    Fault {
        id: "A3",
        what: "a polite kill: all goes on, the next `up` takes over",
        how: "SIGTERM",
        tries: 10,
        quick: 1,
        run: |tries, tally| signalled(Signal::TERM, 143, tries, tally),
    },
    Fault {
        id: "A4",
        what: "the terminal closes: the controller goes on",
        how: "the pseudo-terminal's master is killed; `up | head -1`",
        tries: 4,
        quick: 2,
        run: closed_terminal,
    },
    Fault {
        id: "A5",
        what: "the controller stands still: nothing is taken for dead",
        how: "SIGSTOP for 40 s of its time, SIGCONT",
        tries: 5,
        quick: 1,
        run: stopped,
    },
    Fault {
        id: "A7",
        what: "few open files for the controller of 24 replicas",
        how: "`ulimit -Sn 64`",
        tries: 2,
        quick: 1,
        run: few_files,
    },
    Fault {
        id: "A8",
        what: "the controller panics: all goes on, the next `up` takes over",
        how: "failpoint `count-after` with `panic`",
        tries: 3,
        quick: 1,
        run: panics,
    },
    Fault {
        id: "A9",
        what: "a terminal that takes nothing more: the run is watched to its end",
        how: "a pipe whose reader sleeps",
        tries: 2,
        quick: 1,
        run: slow_reader,
    },
    Fault {
        id: "B14",
        what: "the run's folder is removed: said, and `down` ends all",
        how: "rm -r while the client writes",
        tries: 2,
        quick: 1,
        run: removed,
    },
];

fn signalled(signal: Signal, code: i32, tries: usize, tally: &mut Tally) {
    let mut single = Single::new("slow", 20 * tries.max(2));
    for _ in 0..tries {
        let up = single.up();
        single.progress();
        let before = single.leaders();
        let since = Instant::now();
        up.signal_group(signal);
        let said = up.end();
        tally.detected(since);
        assert_eq!(said.code, code, "{}", said.err);
        assert_eq!(single.leaders(), before, "what runs was touched");
        tally.tried();
    }
    let since = Instant::now();
    let up = single.up();
    single.progress();
    tally.recovered(since);
    single.finish(up, tally);
}

fn closed_terminal(tries: usize, tally: &mut Tally) {
    for round in 0..tries {
        let mut single = Single::new("slow", 40);
        let (shell, closes) = if round % 2 == 0 {
            ("exec script -qec \"$*\" /dev/null", true)
        } else {
            ("\"$@\" 2>&1 | head -1", false)
        };
        let terminal = single.up_through(shell);
        single.progress();
        let since = Instant::now();
        if closes {
            terminal.signal(Signal::KILL);
        }
        terminal.end();
        // Nobody but the controller ends a run.
        until("the run's end", || {
            (!single.events("run-ended").is_empty()).then_some(())
        });
        tally.recovered(since);
        tally.tried();
        let again = single.up();
        single.finish(again, tally);
    }
}

fn stopped(tries: usize, tally: &mut Tally) {
    let mut single = Single::new("slow", 30 + 20 * tries);
    single.scale = 20;
    let up = single.up();
    for round in 0..tries {
        single.progress();
        up.signal(Signal::STOP);
        Single::quiet(Duration::from_secs(2));
        up.signal(Signal::CONT);
        let since = Instant::now();
        until("a word of the gap", || {
            (single.events("owner-away").len() > round).then_some(())
        });
        tally.detected(since);
        tally.tried();
    }
    single.finish(up, tally);
}

fn few_files(tries: usize, tally: &mut Tally) {
    for _ in 0..tries {
        let mut fleet = Fleet::new(64);
        let limited = fleet.scene.path("bin/limited");
        let text = format!(
            "#!/bin/bash\nulimit -Sn 64\nexec {} \"$@\"\n",
            shipped().display()
        );
        fs::write(&limited, text).unwrap();
        fs::set_permissions(&limited, fs::Permissions::from_mode(0o755)).unwrap();
        fleet.scene.program = limited;
        let up = fleet.call(&["up", YAML], None, |_, _, _| ());
        assert_eq!(up.said.code, 0, "{}", up.said.err);
        fleet.scene.program = shipped();
        tally.tried();
        fleet.settle(tally);
    }
}

fn panics(tries: usize, tally: &mut Tally) {
    let mut single = Single::new("slow", 20 * tries + 10);
    single.scene.program = with_failpoints();
    for _ in 0..tries {
        let mut command = single.command(&["up", small::YAML]);
        command.env("TOOLORCH_FAIL", "count-after:2:panic");
        let said = single.scene.go(command).end();
        assert_eq!(said.code, 134, "{}", said.err);
        let before = single.leaders();
        assert_eq!(before.len(), 2, "{before:?}");
        let since = Instant::now();
        let up = single.up();
        single.watched(&up);
        tally.recovered(since);
        assert_eq!(single.leaders(), before, "what runs was touched");
        up.signal(Signal::KILL);
        up.end();
        tally.tried();
    }
    let up = single.up();
    single.finish(up, tally);
}

fn slow_reader(tries: usize, tally: &mut Tally) {
    for _ in 0..tries {
        let single = Single::new("slow", 30);
        // Some 64 KiB fit into the pipe; each line of these events is told twice as long as it needs to be.
        let reader = single.up_through("\"$@\" --events json 2>&1 | sleep 600");
        until("the run's end", || {
            (!single.events("run-ended").is_empty()).then_some(())
        });
        reader.signal_group(Signal::KILL);
        reader.end();
        tally.tried();
        let again = single.up();
        single.finish(again, tally);
    }
}

fn removed(tries: usize, tally: &mut Tally) {
    for _ in 0..tries {
        let mut single = Single::new("slow", 400);
        let up = single.up();
        single.progress();
        fs::remove_dir_all(single.scene.path("home/runs")).unwrap();
        let since = Instant::now();
        let said = up.end();
        tally.detected(since);
        assert_eq!(said.code, 1, "{}", said.err);
        let down = single.scene.run(&["down", small::YAML]);
        tally.recovered(since);
        assert_eq!(down.code, 0, "{}", down.err);
        single.scene.assert_nothing_left();
        tally.tried();
    }
}
