//! A1: the controller is killed, at every failpoint and at random, while 24 replicas come up and 300 questions are asked.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use toolorch::run::store::FAILPOINTS;

use crate::fleet::{Ended, Fleet, shipped};
use crate::log_cluster::YAML;
use crate::scene::{kill, until};
use crate::tally::{Fault, Tally};

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        id: "A1 launch",
        what: "kill -9 of the controller while servers are started",
        how: "failpoints before and after each start",
        tries: 25,
        quick: 3,
        run: |tries, tally| group(&LAUNCH, tries, tally),
    },
    Fault {
        id: "A1 ladder",
        what: "kill -9 of the controller while servers are probed",
        how: "failpoints before and after each probe",
        tries: 25,
        quick: 3,
        run: |tries, tally| group(&LADDER, tries, tally),
    },
    Fault {
        id: "A1 config",
        what: "kill -9 of the controller while it writes the client's configuration",
        how: "failpoints before the file, before and after its rename",
        tries: 25,
        quick: 3,
        run: |tries, tally| group(&CONFIG, tries, tally),
    },
    Fault {
        id: "A1 client",
        what: "kill -9 of the controller while it starts the evaluation",
        how: "failpoints from the results' stamp to the client's start",
        tries: 25,
        quick: 3,
        run: |tries, tally| group(&CLIENT, tries, tally),
    },
    Fault {
        id: "A1 evaluation",
        what: "kill -9 of the controller while the evaluation runs",
        how: "failpoints at counts and at lines of the journal",
        tries: 25,
        quick: 3,
        run: |tries, tally| group(&EVALUATION, tries, tally),
    },
    Fault {
        id: "A1 restart",
        what: "kill -9 of the controller while it starts a dead replica again",
        how: "kill -9 of the replica; failpoints before and after the start",
        tries: 25,
        quick: 3,
        run: restart,
    },
    Fault {
        id: "A1 down",
        what: "kill -9 of `down`",
        how: "failpoints from its take-over to its last line",
        tries: 25,
        quick: 3,
        run: down,
    },
    Fault {
        id: "A1 elsewhere",
        what: "kill -9 of the controller at every other failpoint",
        how: "each once",
        tries: 99,
        quick: 6,
        run: elsewhere,
    },
    Fault {
        id: "A1 random",
        what: "kill -9 of the shipped program at random times",
        how: "0.1 to 4 s after its start",
        tries: 30,
        quick: 4,
        run: random,
    },
];

/// A part of a run, and where it is struck.
struct Group {
    args: &'static [&'static str],
    points: &'static [&'static str],
    /// A point strikes at its first to so manieth passage.
    passages: u64,
    concurrency: usize,
    before: fn(&mut Fleet, usize),
}

const LAUNCH: Group = Group {
    args: &["up", YAML, "--no-eval"],
    points: &["launch-before-spawn", "launch-after-spawn"],
    passages: 3,
    concurrency: 64,
    before: |_, _| (),
};

const LADDER: Group = Group {
    args: &["up", YAML, "--no-eval"],
    points: &["probe-before", "probe-after"],
    passages: 60,
    concurrency: 64,
    before: |_, _| (),
};

const CONFIG: Group = Group {
    args: &["up", YAML],
    points: &[
        "config-before-write",
        "config-before-rename",
        "config-after-rename",
    ],
    passages: 1,
    concurrency: 64,
    // One that says the same is not written again.
    before: |fleet, _| {
        drop(std::fs::remove_file(
            fleet.scene.path("client/model_config_oss_new.json"),
        ))
    },
};

const CLIENT: Group = Group {
    args: &["up", YAML],
    points: &[
        "results-before-prepare",
        "results-after-stamp",
        "eval-before-spawn",
        "results-after-set-aside",
        "results-before-prepare",
        "eval-before-spawn",
        "results-after-stamp",
        "results-after-set-aside",
        "eval-before-spawn",
        "eval-after-spawn",
    ],
    passages: 1,
    concurrency: 64,
    before: |_, _| (),
};

const EVALUATION: Group = Group {
    args: &["up", YAML],
    points: &[
        "count-before",
        "journal-before-write",
        "count-after",
        "journal-after-write",
    ],
    passages: 4,
    concurrency: 4,
    before: |_, _| (),
};

const RESTART: [&str; 2] = ["restart-before-spawn", "restart-after-spawn"];

/// A replica is killed while the client runs, and the controller when it starts it again.
fn restart(tries: usize, tally: &mut Tally) {
    let mut round = 0;
    while tally.tries < tries {
        let mut fleet = Fleet::new(2);
        let before = tally.tries;
        while tally.tries < tries {
            let unit = format!("answer-{}", round % 8);
            let fail = format!("{}:1:kill", RESTART[round % 2]);
            round += 1;
            let mut killed = false;
            let ended = fleet.call(&["up", YAML], Some(&fail), |fleet, _, _| {
                if killed {
                    return;
                }
                let leaders = fleet.leaders();
                if let (Some(pid), true) = (leaders.get(&unit), leaders.contains_key("eval-hle")) {
                    kill(*pid, Signal::KILL);
                    killed = true;
                }
            });
            if killed {
                *fleet.due.entry(unit).or_insert(1) += 1;
            }
            if !count(&ended, &fail, tally) {
                break;
            }
        }
        fleet.finish(tally);
        assert!(tally.tries > before, "nothing was started again");
    }
}

fn group(group: &Group, tries: usize, tally: &mut Tally) {
    let mut round = 0;
    while tally.tries < tries {
        let mut fleet = Fleet::new(group.concurrency);
        let (before, limit) = (tally.tries, round + 3 * tries);
        while tally.tries < tries && round < limit {
            let point = group.points[round % group.points.len()];
            let passage = 1 + draw(round) % group.passages;
            (group.before)(&mut fleet, round);
            round += 1;
            let fail = format!("{point}:{passage}:kill");
            if !struck(&mut fleet, group.args, &fail, tally) {
                break;
            }
        }
        fleet.finish(tally);
        assert!(
            tally.tries > before,
            "no point of {:?} was passed",
            group.points
        );
    }
}

/// Calls the program, which is to be killed at this point; whether it was.
fn struck(fleet: &mut Fleet, args: &[&str], fail: &str, tally: &mut Tally) -> bool {
    let ended = fleet.call(args, Some(fail), |_, _, _| ());
    count(&ended, fail, tally)
}

/// Counts a call that was to be killed; whether it was.
fn count(ended: &Ended, fail: &str, tally: &mut Tally) -> bool {
    tally.recovered.extend(ended.adopted);
    match ended.said.code {
        137 => {
            tally.tried();
            true
        }
        0 => false,
        code => {
            let text = format!("with {fail} it ended with {code}: {}", ended.said.err);
            tally.failures.push(text);
            false
        }
    }
}

fn down(tries: usize, tally: &mut Tally) {
    const POINTS: [&str; 6] = [
        "down-taken",
        "down-before-stop",
        "owner-after-claim",
        "journal-after-write",
        "down-after-stop",
        "down-before-end",
    ];
    let mut fleet = Fleet::new(64);
    let up = fleet.call(&["up", YAML], None, |_, _, _| ());
    assert_eq!(up.said.code, 0, "{}", up.said.err);
    let each = tries.div_ceil(POINTS.len());
    for point in POINTS {
        for round in 0..each {
            let passage = if point.starts_with("journal") {
                1 + draw(round) % 20
            } else {
                1
            };
            let fail = format!("{point}:{passage}:kill");
            if !struck(&mut fleet, &["down", YAML], &fail, tally) {
                break;
            }
        }
    }
    fleet.settle(tally);
}

/// Points that no group has, each once.
fn elsewhere(tries: usize, tally: &mut Tally) {
    let groups = [&LAUNCH, &LADDER, &CONFIG, &CLIENT, &EVALUATION];
    let taken = |name: &str| {
        let other = name.starts_with("down") || RESTART.contains(&name);
        other || groups.iter().any(|group| group.points.contains(&name))
    };
    let mut points: Vec<&str> = FAILPOINTS.iter().map(|(name, _)| *name).collect();
    points.retain(|name| !taken(name));
    // Those that an evaluation must reach come last: it would be over before the others.
    let late = |name: &str| name.starts_with("results") || name.ends_with("renew");
    // A heartbeat comes after ten seconds, and must find an evaluation.
    points.sort_by_key(|name| (late(name), !name.ends_with("renew")));
    points.truncate(tries);
    let mut fleet = Fleet::new(4);
    for point in points {
        let args: &[&str] = match point {
            _ if late(point) => &["up", YAML],
            "detach-before-spawn" | "detach-after-spawn" => &["up", YAML, "--no-eval", "--detach"],
            _ => &["up", YAML, "--no-eval"],
        };
        if let Some(unit) = [("stop-before", "coder-0"), ("stop-after", "coder-1")]
            .iter()
            .find_map(|(name, unit)| (*name == point).then_some(unit))
        {
            lose(&mut fleet, unit);
        }
        let owners = fleet.epoch();
        if !struck(&mut fleet, args, &format!("{point}:1:kill"), tally) {
            tally.failures.push(format!("{point} was not passed"));
        }
        if point == "detach-after-spawn" {
            // It is on its way, whoever started it.
            until("the controller in the background", || {
                (fleet.epoch() > owners).then_some(())
            });
        }
        // A controller in the background that was started goes when all is ready.
        until("no other controller", || {
            (!fleet.leaders().contains_key("toolorch-controller")).then_some(())
        });
    }
    fleet.finish(tally);
}

/// A replica and the script that watches it are killed: what is left of it must be stopped before it starts again.
fn lose(fleet: &mut Fleet, unit: &str) {
    let run = fleet.run().unwrap();
    let state = fleet.scene.read(&format!("state/{run}/{unit}/state"));
    let script = state
        .lines()
        .find_map(|line| line.strip_prefix("super="))
        .unwrap();
    kill(script.parse().unwrap(), Signal::KILL);
    fleet.kill_replica(unit);
}

fn random(tries: usize, tally: &mut Tally) {
    let mut round = 0;
    while tally.tries < tries {
        let mut fleet = Fleet::new(8);
        fleet.scene.program = shipped();
        while tally.tries < tries {
            round += 1;
            let patience = Duration::from_millis(100 + draw(round) % 3900);
            let began = Instant::now();
            let ended = fleet.call(&["up", YAML], None, |_, going, _| {
                if began.elapsed() >= patience {
                    going.signal(Signal::KILL);
                }
            });
            tally.recovered.extend(ended.adopted);
            if ended.said.code != 137 {
                break;
            }
            tally.tried();
        }
        fleet.finish(tally);
    }
}

/// Numbers that look drawn and are the same each time (the last step of `SplitMix64`).
fn draw(round: usize) -> u64 {
    let mut number = (round as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
