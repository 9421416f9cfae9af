//! Two controllers at once, and locks whose owner is gone.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::scene::{Going, until};
use crate::single::Single;
use crate::small::YAML;
use crate::tally::{Fault, Tally};

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        id: "B1",
        what: "two `up` on one run: one has it, the other ends with 75",
        how: "both started at once",
        tries: 50,
        quick: 4,
        run: two_at_once,
    },
    Fault {
        id: "B1 stopped",
        what: "a stopped owner is replaced, and does nothing when it wakes up",
        how: "SIGSTOP for twice its time to live, its server killed, take-over, SIGCONT",
        tries: 5,
        quick: 1,
        run: stopped_owner,
    },
    Fault {
        id: "B3",
        what: "another login node: `up` ends with 75 while the owner lives, and with it `down`, `drain` and `eval` with 3 while units may",
        how: "another host name that sees other processes (`unshare --uts --pid`)",
        tries: 3,
        quick: 1,
        run: elsewhere,
    },
    Fault {
        id: "B4",
        what: "a lock that a power cut left: taken over at once",
        how: "`owner.json` with another boot id, or a process id given out again",
        tries: 6,
        quick: 2,
        run: stale_lock,
    },
];

/// The first of two to end, and the other.
fn first_to_end(mut both: [Going; 2]) -> (Going, Going) {
    let first = until("one to end", || {
        (0..2).find(|n| both[*n].child.try_wait().unwrap().is_some())
    });
    if first == 1 {
        both.swap(0, 1);
    }
    both.into()
}

fn two_at_once(tries: usize, tally: &mut Tally) {
    let mut single = Single::new("slow", 100 + 3 * tries);
    for _ in 0..tries {
        let since = Instant::now();
        let (loser, winner) = first_to_end([single.up(), single.up()]);
        tally.detected(since);
        let said = loser.end();
        assert_eq!(said.code, 75, "{}", said.err);
        let who = format!("process {} on `", winner.child.id());
        let new = "it has just begun";
        let told = said.err.contains(&who) || said.err.contains(new);
        assert!(told || said.err.contains("taken them"), "{}", said.err);
        winner.signal(Signal::KILL);
        winner.end();
        tally.tried();
    }
    let up = single.up();
    single.progress();
    single.finish(up, tally);
}

fn stopped_owner(tries: usize, tally: &mut Tally) {
    for _ in 0..tries {
        let mut single = Single::new("slow", 80);
        single.scale = 20;
        let first = single.up();
        single.progress();
        first.signal(Signal::STOP);
        let written = single.scene.read("home/runs/small/1/journal.1.jsonl");
        // Twice its time to live, which is 60 s of its time.
        Single::quiet(Duration::from_secs(6));
        single.kill("chat-0");
        let since = Instant::now();
        let second = single.up();
        let segment = single.scene.path("home/runs/small/1/journal.2.jsonl");
        until("the take-over", || segment.exists().then_some(()));
        tally.detected(since);
        until("another server", || single.leader("chat-0"));
        tally.recovered(since);
        first.signal(Signal::CONT);
        let said = first.end();
        assert_eq!(said.code, 75, "{}", said.err);
        assert_eq!(
            single.scene.read("home/runs/small/1/journal.1.jsonl"),
            written
        );
        tally.tried();
        single.finish(second, tally);
    }
}

/// On a machine of another name, which does not see the processes of this one.
const OTHER: &str = "exec unshare --uts --pid --fork --kill-child --mount-proc bash -c 'echo login2 >/proc/sys/kernel/hostname && exec \"$@\"' bash \"$@\"";

fn elsewhere(tries: usize, tally: &mut Tally) {
    if !rustix::process::getuid().is_root() {
        tally.skipped = Some("it takes root");
        return;
    }
    let here = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    let mut single = Single::new("slow", 20 * tries + 20);
    let first = single.up();
    for _ in 0..tries {
        single.progress();
        let since = Instant::now();
        let said = single.up_through(OTHER).end();
        tally.detected(since);
        assert_eq!(said.code, 75, "{}", said.err);
        let who = format!("process {} on `{here}`, since ", first.child.id());
        assert!(said.err.contains(&who), "{}", said.err);
        tally.tried();
    }
    // Dead or not, who could tell from there: its units are not seen, and not started again.
    first.signal(Signal::KILL);
    first.end();
    let before = single.leaders();
    let said = single.up_through(OTHER).end();
    assert_eq!(said.code, 75, "{}", said.err);
    single.scale = 100;
    let refused = until("its time to live", || {
        let said = single.up_through(OTHER).end();
        (said.code != 75).then_some(said)
    });
    assert_eq!(refused.code, 3, "{}", refused.err);
    assert!(
        refused.err.contains("units of it may live there"),
        "{}",
        refused.err
    );
    // Nor can anybody there end them, or say that they are gone.
    for words in [
        &["eval", YAML][..],
        &["down", YAML],
        &["drain", "chat", YAML, "--yes"],
    ] {
        let said = single.through(OTHER, words).end();
        assert_eq!(said.code, 3, "{words:?}: {}", said.err);
    }
    assert_eq!(single.leaders(), before);
    single.scale = 1;
    let up = single.up();
    single.finish(up, tally);
}

fn stale_lock(tries: usize, tally: &mut Tally) {
    let mut single = Single::new("slow", 60 * tries);
    for round in 0..tries {
        let up = single.up();
        single.progress();
        up.signal(Signal::KILL);
        up.end();
        let path = "home/runs/small/1/owner.json";
        let mut owner: Value = serde_json::from_str(&single.scene.read(path)).unwrap();
        if round % 2 == 0 {
            owner["process"]["boot_id"] = "before-the-power-cut".into();
        } else {
            // This very process has that number now, and began at another time.
            owner["process"]["pid"] = std::process::id().into();
        }
        single.scene.write(path, &owner.to_string());
        let before = single.leaders();
        let since = Instant::now();
        let up = single.up();
        single.watched(&up);
        tally.recovered(since);
        single.progress();
        assert_eq!(single.leaders(), before, "what runs was touched");
        up.signal(Signal::KILL);
        up.end();
        tally.tried();
    }
    let up = single.up();
    single.finish(up, tally);
}
