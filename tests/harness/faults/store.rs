//! Books that are torn, damaged or cannot be written, results without room, logs that go away.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use rustix::process::Signal;

use crate::judge::living;
use crate::scene::until;
use crate::single::Single;
use crate::small::YAML;
use crate::tally::{Fault, Tally};

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        id: "B5",
        what: "the journal's last line is torn: cut, kept aside, the run goes on",
        how: "kill -9, the last segment cut by 1 to 200 bytes",
        tries: 10,
        quick: 1,
        run: torn,
    },
    Fault {
        id: "B6",
        what: "the journal is damaged in the middle: 65, and `up --rebuild` goes on with what runs",
        how: "kill -9, one bit turned",
        tries: 10,
        quick: 1,
        run: damaged,
    },
    Fault {
        id: "B7",
        what: "no room for the journal: nothing starts, all is watched, and it goes on when there is room",
        how: "the run's folder on a full tmpfs, the server killed",
        tries: 3,
        quick: 1,
        run: full_disk,
    },
    Fault {
        id: "B7 down",
        what: "no room for the journal: `down` ends all the same",
        how: "the run's folder on a full tmpfs",
        tries: 3,
        quick: 1,
        run: full_disk_down,
    },
    Fault {
        id: "B8",
        what: "no room for results: what is torn is set aside and made again",
        how: "results on a full tmpfs, room again after three torn ones",
        tries: 3,
        quick: 1,
        run: full_results,
    },
    Fault {
        id: "B9",
        what: "the disk fails for a moment: what is in doubt is written again",
        how: "`strace -e inject=fdatasync:error=EIO` on the shipped program",
        tries: 5,
        quick: 1,
        run: failing_sync,
    },
    Fault {
        id: "A1 rename",
        what: "kill -9 of the shipped program at the n-th file that it replaces",
        how: "`strace -e inject=rename:signal=KILL`, n from 1 to 10",
        tries: 10,
        quick: 3,
        run: killed_renames,
    },
    Fault {
        id: "B11",
        what: "the client's log is moved, cut or removed",
        how: "mv, truncate, rm while the client writes",
        tries: 6,
        quick: 3,
        run: logs,
    },
];

/// The newest segment of the journal.
fn segment(single: &Single) -> PathBuf {
    let names = single.scene.names("home/runs/small/1");
    let number = |name: &String| -> Option<u64> {
        name.strip_prefix("journal.")?
            .strip_suffix(".jsonl")?
            .parse()
            .ok()
    };
    let newest = names.iter().filter_map(number).max().unwrap();
    single
        .scene
        .path(&format!("home/runs/small/1/journal.{newest}.jsonl"))
}

/// `up`, killed when the client has finished something.
fn killed(single: &mut Single) {
    let up = single.up();
    single.progress();
    up.signal(Signal::KILL);
    up.end();
}

fn torn(tries: usize, tally: &mut Tally) {
    let mut single = Single::new("slow", 20 * tries + 10);
    for round in 0..tries {
        killed(&mut single);
        let before = single.leaders();
        let path = segment(&single);
        let bytes = fs::read(&path).unwrap();
        let cut = 1 + round * 21 % 200;
        fs::write(&path, &bytes[..bytes.len().saturating_sub(cut)]).unwrap();
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

fn damaged(tries: usize, tally: &mut Tally) {
    let mut single = Single::new("slow", 30 * tries + 10);
    for round in 0..tries {
        killed(&mut single);
        let before = single.leaders();
        let path = segment(&single);
        let mut bytes = fs::read(&path).unwrap();
        let place = bytes.len() / 2 * (round + 1) / (tries + 1);
        bytes[place] ^= 1 << (round % 7);
        fs::write(&path, bytes).unwrap();
        let since = Instant::now();
        single.scene.expect(65, &["up", YAML]);
        tally.detected(since);
        let since = Instant::now();
        let up = single.scene.go(single.command(&["up", "--rebuild", YAML]));
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

/// A file system of so many KiB; unmounted when it goes.
struct Disk(PathBuf);

impl Disk {
    fn new(place: PathBuf, kib: u32) -> Self {
        fs::create_dir_all(&place).unwrap();
        let done = Command::new("mount")
            .args([
                "-t",
                "tmpfs",
                "-o",
                &format!("size={kib}k,mode=0700"),
                "tmpfs",
            ])
            .arg(&place)
            .status();
        assert!(done.unwrap().success());
        Self(place)
    }

    /// Takes every byte that is left.
    fn fill(&self) {
        let path = self.0.join("fill");
        let mut file = fs::File::options()
            .create(true)
            .append(true)
            .open(path)
            .unwrap();
        for piece in [1 << 16, 1 << 10, 1] {
            while file.write_all(&vec![0; piece]).is_ok() {}
        }
    }

    fn free(&self) {
        fs::remove_file(self.0.join("fill")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

fn is_root(tally: &mut Tally) -> bool {
    let root = rustix::process::getuid().is_root();
    if !root {
        tally.skipped = Some("it takes root to mount a tmpfs");
    }
    root
}

const REFUSED: &str = "until it can be written nothing is started or stopped";

/// Launches that live and of which the journal does not say that they were intended.
fn unrecorded(single: &Single) -> Vec<String> {
    let intended = single.events("launch-intended");
    let known = |launch: &str| intended.iter().any(|event| event["launch"] == launch);
    let launches = living(&single.run()).into_values().flatten();
    let ids = launches.filter_map(|(launch, _)| Some(launch.split_once('/')?.1.to_owned()));
    ids.filter(|launch| !known(launch)).collect()
}

fn full_disk(tries: usize, tally: &mut Tally) {
    for _ in 0..if is_root(tally) { tries } else { 0 } {
        let mut single = Single::new("slow", 200);
        let disk = Disk::new(single.scene.path("home"), 8192);
        let up = single.up();
        single.progress();
        disk.fill();
        let since = Instant::now();
        until("the word of a full disk", || {
            // What is given up in the meantime, its reserve first, is taken, too.
            disk.fill();
            up.err().contains(REFUSED).then_some(())
        });
        tally.detected(since);
        single.kill("chat-0");
        for _ in 0..12 {
            disk.fill();
            single.progress();
            assert_eq!(
                unrecorded(&single),
                [] as [String; 0],
                "a start without its record"
            );
        }
        let since = Instant::now();
        disk.free();
        until("another server", || single.leader("chat-0"));
        tally.recovered(since);
        tally.tried();
        single.finish(up, tally);
        drop(disk);
    }
}

fn full_disk_down(tries: usize, tally: &mut Tally) {
    for _ in 0..if is_root(tally) { tries } else { 0 } {
        let mut single = Single::new("slow", 400);
        let disk = Disk::new(single.scene.path("home"), 8192);
        let up = single.up();
        single.progress();
        disk.fill();
        let since = Instant::now();
        let down = single.scene.run(&["down", YAML]);
        tally.recovered(since);
        assert_eq!(down.code, 0, "{}", down.err);
        up.end();
        until("nothing to be left", || {
            single.scene.processes().is_empty().then_some(())
        });
        single.scene.assert_nothing_left();
        tally.tried();
        drop(disk);
    }
}

fn full_results(tries: usize, tally: &mut Tally) {
    for _ in 0..if is_root(tally) { tries } else { 0 } {
        let mut single = Single::new("slow", 40);
        let disk = Disk::new(single.scene.path("out"), 256);
        let up = single.up();
        single.progress();
        single.forget();
        disk.fill();
        let torn = || {
            let names = single.scene.result_names("out");
            let empty = |name: &&String| single.scene.read(&format!("out/{name}")).is_empty();
            names.iter().filter(empty).count()
        };
        until("three torn results", || (torn() >= 3).then_some(()));
        disk.free();
        let since = Instant::now();
        until("all torn ones to be made again", || {
            (single.scene.results("out") == 40 && torn() == 0).then_some(())
        });
        tally.recovered(since);
        tally.tried();
        single.finish(up, tally);
        drop(disk);
    }
}

fn failing_sync(tries: usize, tally: &mut Tally) {
    if Command::new("strace").arg("-V").output().is_err() {
        tally.skipped = Some("it takes strace");
        return;
    }
    for round in 0..tries {
        let mut single = Single::new("slow", 40);
        // From the seventh on they belong to the run's end.
        let shell = format!(
            "exec strace -qq -o /dev/null -e trace=fdatasync -e inject=fdatasync:error=EIO:when={}..{} -- \"$@\"",
            3 + round % 4,
            4 + round % 4
        );
        let up = single.up_through(&shell);
        until("the word of it", || {
            up.err().contains(REFUSED).then_some(())
        });
        let since = Instant::now();
        until("the word that it is over", || {
            up.err()
                .contains("the journal is written again")
                .then_some(())
        });
        tally.recovered(since);
        single.progress();
        tally.tried();
        single.finish(up, tally);
    }
}

fn killed_renames(tries: usize, tally: &mut Tally) {
    if Command::new("strace").arg("-V").output().is_err() {
        tally.skipped = Some("it takes strace");
        return;
    }
    for round in 0..tries {
        let single = Single::new("slow", 12);
        let shell = format!(
            "exec strace -qq -o /dev/null -e trace=/rename -e inject=/rename:signal=KILL:when={} -- \"$@\"",
            1 + round
        );
        let said = single.up_through(&shell).end();
        assert!(matches!(said.code, 0 | 137), "{}: {}", said.code, said.err);
        let up = single.up();
        tally.tried();
        single.finish(up, tally);
    }
}

fn logs(tries: usize, tally: &mut Tally) {
    for round in 0..tries {
        let mut single = Single::new("slow", 30);
        let up = single.up();
        single.progress();
        let log = single.scene.path("home/runs/small/1/logs/eval-sums.log");
        match round % 3 {
            0 => fs::rename(&log, log.with_extension("old")).unwrap(),
            1 => fs::File::options()
                .write(true)
                .open(&log)
                .unwrap()
                .set_len(0)
                .unwrap(),
            _ => fs::remove_file(&log).unwrap(),
        }
        single.progress();
        tally.tried();
        single.finish(up, tally);
    }
}
