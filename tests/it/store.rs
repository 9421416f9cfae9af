//! The durable side of a run, as another process and another version find it.
#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test fails as the test does"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use proptest::prelude::*;
use toolorch::base::{ClusterName, Epoch, RunId, Timestamp, UnitId};
use toolorch::run::store::{
    Durability, Journal, Owner, StoreError, Watch, read_journal, read_segment, salvage,
};
use toolorch::run::{Event, Record, RunState};

const NOW: Timestamp = Timestamp(1_767_139_200_000);

fn open(dir: &Path) -> Journal {
    Journal::open(Owner::take(dir, NOW).unwrap()).unwrap().0
}

fn alarm(text: &str) -> Event {
    Event::Alarm {
        alarm: "test".to_owned(),
        unit: Some(UnitId::new("a-0")),
        text: text.to_owned(),
    }
}

fn started() -> Event {
    Event::RunStarted {
        run: RunId::new("quick-1-abcd"),
        cluster: ClusterName::new("quick"),
        plan_sha256: String::new(),
        version: "0.1.0".to_owned(),
        rebuilt: false,
    }
}

/// A journal of five lines; the bytes of its one segment.
fn five_lines() -> Vec<u8> {
    static BYTES: LazyLock<Vec<u8>> = LazyLock::new(write_five_lines);
    BYTES.clone()
}

fn write_five_lines() -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(dir.path());
    journal.append(NOW, started(), Durability::Synced).unwrap();
    for text in ["one", "two \"quoted\"", "drei äöü", "four\nlines"] {
        journal
            .append(NOW, alarm(text), Durability::Buffered)
            .unwrap();
    }
    fs::read(dir.path().join("journal.1.jsonl")).unwrap()
}

#[test]
fn what_was_appended_is_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(dir.path());
    let mut written = vec![journal.append(NOW, started(), Durability::Synced).unwrap()];
    written.push(
        journal
            .append(NOW, alarm("x"), Durability::Buffered)
            .unwrap(),
    );
    journal.leave(NOW).unwrap();
    let (mut journal, before) = Journal::open(Owner::take(dir.path(), NOW).unwrap()).unwrap();
    assert_eq!(before, written);
    written.push(
        journal
            .append(NOW, alarm("y"), Durability::Buffered)
            .unwrap(),
    );
    let records = read_journal(dir.path()).unwrap();
    assert_eq!(records, written);
    let seqs: Vec<(u64, u64)> = records.iter().map(|r| (r.epoch.0, r.seq)).collect();
    assert_eq!(seqs, [(1, 1), (1, 2), (2, 3)]);
}

#[test]
fn a_cut_at_any_byte_leaves_a_prefix() {
    let bytes = five_lines();
    let whole = read_segment(Path::new("j"), &bytes).unwrap().records;
    assert_eq!(whole.len(), 5);
    for cut in 0..=bytes.len() {
        let lines = bytes[..cut].split(|byte| *byte == b'\n').count() - 1;
        let read = read_segment(Path::new("j"), &bytes[..cut]).unwrap();
        assert_eq!(read.records, whole[..lines], "cut at {cut}");
        assert_eq!(read.whole + read.torn, cut);
    }
}

proptest! {
    #[test]
    fn any_change_before_the_last_line_is_refused(at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let mut bytes = five_lines();
        let last = bytes[..bytes.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap();
        let at = at.index(last);
        bytes[at] ^= 1 << bit;
        let error = read_segment(Path::new("/runs/j"), &bytes).unwrap_err();
        let damaged = matches!(error, StoreError::Damaged { .. });
        prop_assert!(damaged, "{error}");
        prop_assert_eq!(error.exit_status().code(), 65);
    }
}

/// A run of four owners, the third of which died before its first line; the folder, and the lines of each segment.
fn four_owners() -> (tempfile::TempDir, Vec<Vec<String>>) {
    let dir = tempfile::tempdir().unwrap();
    let mut owners = Vec::new();
    for lines in [3, 2, 0, 2] {
        let mut journal = open(dir.path());
        for line in 0..lines {
            let event = if owners.is_empty() && line == 0 {
                started()
            } else {
                alarm("x")
            };
            journal.append(NOW, event, Durability::Buffered).unwrap();
        }
        journal.leave(NOW).unwrap();
        let text = fs::read_to_string(segment(dir.path(), owners.len())).unwrap();
        owners.push(text.split_inclusive('\n').map(str::to_owned).collect());
    }
    (dir, owners)
}

fn segment(dir: &Path, index: usize) -> PathBuf {
    dir.join(format!("journal.{}.jsonl", index + 1))
}

/// Nobody reads it, no owner goes on with it, nothing of it is touched, and `--rebuild` helps.
fn assert_refused(dir: &Path, what: &str) {
    let files = || -> Vec<Option<Vec<u8>>> {
        let all = (0..4).map(|index| fs::read(segment(dir, index)).ok());
        all.collect()
    };
    let before = files();
    let error = read_journal(dir).expect_err(what);
    assert_eq!(error.exit_status().code(), 65, "{what}: {error}");
    let error = Journal::open(Owner::take(dir, NOW).unwrap()).expect_err(what);
    assert_eq!(error.exit_status().code(), 65, "{what}: {error}");
    assert_eq!(files(), before, "{what}");
    let owner = Owner::take(dir, NOW).unwrap();
    let (mut journal, records) =
        Journal::rebuild(owner, NOW, vec![started(), alarm("anew")]).unwrap();
    assert_eq!(read_journal(dir).unwrap(), records, "{what}");
    journal.append(NOW, alarm("y"), Durability::Synced).unwrap();
    journal.leave(NOW).unwrap();
    let (_, records) = Journal::open(Owner::take(dir, NOW).unwrap()).unwrap();
    let seqs: Vec<u64> = records.iter().map(|record| record.seq).collect();
    assert_eq!(seqs, [1, 2, 3], "{what}");
    assert_eq!(files(), before, "{what}: kept for whoever looks into it");
}

#[test]
fn a_missing_segment_or_line_is_damage_wherever_it_stood() {
    let (_, owners) = four_owners();
    for (index, lines) in owners.iter().enumerate() {
        let (dir, _) = four_owners();
        fs::remove_file(segment(dir.path(), index)).unwrap();
        assert_refused(dir.path(), &format!("segment {} is gone", index + 1));
        let last = index + 1 == owners.len();
        // What follows the last line of all is nobody's knowledge.
        let known = if last { lines.len() - 1 } else { lines.len() };
        for line in 0..known {
            let (dir, _) = four_owners();
            let mut rest = lines.clone();
            rest.remove(line);
            fs::write(segment(dir.path(), index), rest.concat()).unwrap();
            let what = format!("line {} of segment {}", line + 1, index + 1);
            assert_refused(dir.path(), &what);
        }
    }
}

#[test]
fn where_an_earlier_owner_left_nothing_nobody_looks_for_lines() {
    let (dir, owners) = four_owners();
    let records = read_journal(dir.path()).unwrap();
    let seqs: Vec<(u64, u64)> = records.iter().map(|r| (r.epoch.0, r.seq)).collect();
    let epochs = [1, 1, 1, 2, 2, 4, 4];
    assert_eq!(seqs, epochs.into_iter().zip(1..).collect::<Vec<_>>());
    assert_eq!(owners[2], [] as [String; 0]);
}

#[test]
fn segments_that_changed_places_are_refused() {
    let (dir, owners) = four_owners();
    fs::write(segment(dir.path(), 2), owners[1].concat()).unwrap();
    assert_refused(dir.path(), "a copy of another segment");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_cut_is_a_torn_tail_in_the_last_segment_and_damage_before(at in any::<prop::sample::Index>(), index in 0..4_usize) {
        let (dir, owners) = four_owners();
        let whole = owners[index].concat();
        let cut = at.index(whole.len() + 1);
        fs::write(segment(dir.path(), index), &whole[..cut]).unwrap();
        if index == 3 {
            let lines = whole[..cut].matches('\n').count();
            prop_assert_eq!(read_journal(dir.path()).unwrap().len(), 5 + lines);
            let (_, records) = Journal::open(Owner::take(dir.path(), NOW).unwrap()).unwrap();
            prop_assert_eq!(records.len(), 5 + lines);
        } else if cut < whole.len() {
            assert_refused(dir.path(), &format!("segment {} is cut at {cut}", index + 1));
        } else {
            prop_assert_eq!(read_journal(dir.path()).unwrap().len(), 7);
        }
    }
}

#[test]
fn each_line_with_its_own_checksum_is_evidence() {
    let seqs = |edit: &dyn Fn(&Path, &[Vec<String>])| {
        let (dir, owners) = four_owners();
        edit(dir.path(), &owners);
        let found = salvage(dir.path()).unwrap();
        let seqs: Vec<u64> = found.records.iter().map(|record| record.seq).collect();
        (seqs, found.lost)
    };
    assert_eq!(seqs(&|_, _| {}), (vec![1, 2, 3, 4, 5, 6, 7], 0));
    let gone = |dir: &Path, _: &[Vec<String>]| fs::remove_file(segment(dir, 1)).unwrap();
    assert_eq!(seqs(&gone), (vec![1, 2, 3, 6, 7], 2));
    let first = |dir: &Path, _: &[Vec<String>]| fs::remove_file(segment(dir, 0)).unwrap();
    assert_eq!(seqs(&first), (vec![4, 5, 6, 7], 3));
    let bit = |dir: &Path, owners: &[Vec<String>]| {
        let text = owners[0].concat().replacen("alarm", "alarn", 1);
        fs::write(segment(dir, 0), text).unwrap();
    };
    assert_eq!(seqs(&bit), (vec![1, 3, 4, 5, 6, 7], 1));
    let late = |dir: &Path, owners: &[Vec<String>]| {
        let text = format!("{}{}", owners[0].concat(), owners[0][2].replace('x', "y"));
        fs::write(segment(dir, 0), text).unwrap();
    };
    assert_eq!(seqs(&late), (vec![1, 2, 3, 4, 5, 6, 7], 0));
    // What was rebuilt before is as good as the first segment.
    let rebuilt = |dir: &Path, _: &[Vec<String>]| {
        let owner = Owner::take(dir, NOW).unwrap();
        Journal::rebuild(owner, NOW, vec![started(), alarm("anew")]).unwrap();
    };
    assert_eq!(seqs(&rebuilt), (vec![1, 2], 0));
    let garbage = |dir: &Path, _: &[Vec<String>]| {
        for index in 0..4 {
            fs::write(segment(dir, index), "\0\n\u{fffd}").unwrap();
        }
    };
    assert_eq!(seqs(&garbage), (vec![], 0));
}

#[test]
fn what_is_missing_between_segments_is_named() {
    let say = |edit: &dyn Fn(&Path, &[Vec<String>])| {
        let (dir, owners) = four_owners();
        edit(dir.path(), &owners);
        let error = read_journal(dir.path()).unwrap_err().to_string();
        error.replace(&dir.path().display().to_string(), "/run")
    };
    let seen = [
        say(&|dir, _| fs::remove_file(segment(dir, 1)).unwrap()),
        say(&|dir, owners| fs::write(segment(dir, 0), owners[0][..1].concat()).unwrap()),
        say(&|dir, _| fs::write(segment(dir, 0), "").unwrap()),
        say(&|dir, owners| fs::write(segment(dir, 2), owners[1].concat()).unwrap()),
    ];
    insta::assert_snapshot!(seen.join("\n"), @r"
    the journal is damaged: `/run/journal.2.jsonl` line 1: the file is missing
    the journal is damaged: `/run/journal.1.jsonl` line 2: records 2 to 3 are missing
    the journal is damaged: `/run/journal.1.jsonl` line 1: records 1 to 3 are missing
    the journal is damaged: `/run/journal.3.jsonl` line 1: it is of epoch 2
    ");
}

#[test]
fn damage_is_named_with_file_and_line() {
    let say = |edit: &dyn Fn(&str) -> String| {
        let text = String::from_utf8(five_lines()).unwrap();
        let error = read_segment(Path::new("/runs/j"), edit(&text).as_bytes()).unwrap_err();
        error.to_string()
    };
    let without_third = |text: &str| {
        let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
        lines.remove(2);
        lines.concat()
    };
    let seen = [
        say(&|text| text.replace("\"one\"", "\"eno\"")),
        say(&|text| format!("hello\n{text}")),
        say(&without_third),
    ];
    insta::assert_snapshot!(seen.join("\n"), @r"
    the journal is damaged: `/runs/j` line 2: the checksum does not fit
    the journal is damaged: `/runs/j` line 1: not a line of a journal
    the journal is damaged: `/runs/j` line 3: record 4 follows record 2
    ");
}

#[test]
fn a_torn_tail_is_kept_aside_and_the_run_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = five_lines();
    let segment = dir.path().join("journal.1.jsonl");
    fs::write(&segment, &bytes[..bytes.len() - 20]).unwrap();
    let torn = read_segment(&segment, &bytes[..bytes.len() - 20]).unwrap();
    // A bystander reads the prefix and changes nothing.
    assert_eq!(read_journal(dir.path()).unwrap().len(), 4);
    assert_eq!(fs::read(&segment).unwrap().len(), bytes.len() - 20);

    let (mut journal, records) = Journal::open(Owner::take(dir.path(), NOW).unwrap()).unwrap();
    assert_eq!(journal.owner().epoch(), Epoch(2));
    assert_eq!(records.len(), 4);
    assert_eq!(fs::read(&segment).unwrap(), bytes[..torn.whole]);
    let aside = fs::read(dir.path().join("journal.1.jsonl.torn")).unwrap();
    assert_eq!(aside, bytes[torn.whole..bytes.len() - 20]);
    journal
        .append(NOW, alarm("next"), Durability::Synced)
        .unwrap();
    assert_eq!(read_journal(dir.path()).unwrap().last().unwrap().seq, 5);
}

#[test]
fn lines_of_an_owner_who_lost_the_run_are_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = five_lines();
    let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    let segment = dir.path().join("journal.1.jsonl");
    fs::write(&segment, lines[..2].concat()).unwrap();
    let mut second = open(dir.path());
    second
        .append(NOW, alarm("by the second owner"), Durability::Synced)
        .unwrap();
    // The first owner wakes up and writes on.
    fs::write(&segment, lines.concat()).unwrap();
    let epochs: Vec<(u64, u64)> = read_journal(dir.path())
        .unwrap()
        .iter()
        .map(|record| (record.epoch.0, record.seq))
        .collect();
    assert_eq!(epochs, [(1, 1), (1, 2), (2, 3)]);
}

#[test]
fn an_owner_who_lost_the_run_cannot_append() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(dir.path());
    journal.append(NOW, started(), Durability::Synced).unwrap();
    fs::write(dir.path().join("journal.2.jsonl"), "").unwrap();
    let error = journal
        .append(NOW, alarm("x"), Durability::Synced)
        .unwrap_err();
    insta::assert_snapshot!(error, @"this toolorch no longer owns the run: epoch 1 was superseded by 2");
    assert_eq!(error.exit_status().code(), 75);
    assert_eq!(read_journal(dir.path()).unwrap().len(), 1);
}

/// The owner's file with another process in it.
fn hand_over(dir: &Path, pid: u32, start: u64) {
    let path = dir.join("owner.json");
    let mut owner: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    owner["process"]["pid"] = pid.into();
    owner["process"]["start"] = start.into();
    fs::write(&path, owner.to_string()).unwrap();
}

#[test]
fn a_run_is_taken_over_as_soon_as_its_owner_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    drop(Owner::take(dir.path(), NOW).unwrap());
    let mut other = Command::new("sleep").arg("600").spawn().unwrap();
    let line = fs::read_to_string(format!("/proc/{}/stat", other.id())).unwrap();
    let start = line
        .rsplit_once(')')
        .unwrap()
        .1
        .split_whitespace()
        .nth(19)
        .unwrap();
    hand_over(dir.path(), other.id(), start.parse().unwrap());
    let error = Owner::take(dir.path(), NOW).unwrap_err();
    assert_eq!(error.exit_status().code(), 75);
    assert!(
        error
            .to_string()
            .contains(&format!("process {} on `", other.id())),
        "{error}"
    );
    assert!(matches!(Watch::look(dir.path(), NOW), Ok(Watch::Alive(_))));
    // Killed and not yet waited for: a zombie owns nothing.
    other.kill().unwrap();
    let zombie = || {
        let line = fs::read_to_string(format!("/proc/{}/stat", other.id())).unwrap();
        line.rsplit_once(')')
            .unwrap()
            .1
            .trim_start()
            .starts_with('Z')
    };
    while !zombie() {
        std::thread::yield_now();
    }
    assert_eq!(Owner::take(dir.path(), NOW).unwrap().epoch(), Epoch(2));
    other.wait().unwrap();
}

#[test]
fn of_many_who_want_a_run_one_gets_it() {
    let dir = tempfile::tempdir().unwrap();
    let take = || Owner::take(dir.path(), NOW);
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..16).map(|_| scope.spawn(take)).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    for error in outcomes.into_iter().filter_map(Result::err) {
        assert_eq!(error.exit_status().code(), 75, "{error}");
    }
}

#[test]
fn a_journal_of_a_newer_toolorch_says_so() {
    let record = r#"{"v":2,"seq":1,"what":"is this"}"#;
    let crc = crc32fast::hash(record.as_bytes());
    let line = format!("{{\"crc\":\"{crc:08x}\",\"record\":{record}}}\n");
    let error = read_segment(Path::new("/runs/j"), line.as_bytes()).unwrap_err();
    insta::assert_snapshot!(error, @"`/runs/j` has format 2, this toolorch reads up to 1: use the newer toolorch");
}

/// The journals in `tests/golden/journal*` must be read for ever: where these tests fail, the reader is wrong, never a file.
fn golden(name: &str) -> Vec<Record> {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    read_journal(&place.join(name)).unwrap()
}

/// Whoever adds a kind of event adds a journal with a line of it, as a run wrote it: `tests/golden/journal-NAME`.
#[test]
fn every_kind_of_event_has_a_golden_line() {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let folders = fs::read_dir(place).unwrap();
    let names = folders.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let journals = names.filter(|name| name.starts_with("journal"));
    let found: BTreeSet<String> = journals
        .flat_map(|name| golden(&name))
        .map(|record| {
            let event = serde_json::to_value(&record.event).unwrap();
            event["kind"].as_str().unwrap().to_owned()
        })
        .collect();
    let unknown = serde_json::json!({ "kind": "?" });
    let list = serde_json::from_value::<Event>(unknown)
        .unwrap_err()
        .to_string();
    let known: BTreeSet<String> = list
        .split('`')
        .skip(3)
        .step_by(2)
        .map(str::to_owned)
        .collect();
    assert!(known.contains("run-ended") && known.len() > 20, "{list}");
    assert_eq!(found, known);
}

#[test]
fn a_gap_of_the_owner_changes_nothing() {
    let away = golden("journal-away");
    let without = away
        .iter()
        .filter(|record| !matches!(record.event, Event::OwnerAway { .. }));
    let [with, without] = [RunState::fold(&away), RunState::fold(without)];
    assert_eq!(
        in_short(&with).replace("seq 4", "seq 3"),
        in_short(&without)
    );
}

#[test]
fn the_golden_journal_replays_for_ever() {
    let records = golden("journal");
    insta::assert_snapshot!(in_short(&RunState::fold(&records)), @r#"
    Ended(5) Some(RunId("hle-oss-1-3f2a")) since 2025-12-31T00:00:00.000Z seq 33 epoch 3
    eval-hle GaveUp(Permanent { why: "the client ended" }) starts 1 exit Some(Some(137))
    orchestrator-0 Stopped starts 2 exit Some(Some(143))
    search-0 GaveUp(Budget { starts: 3 }) starts 1 exit Some(None)
    hle 3/5 Some(Incomplete { missing: 2, why: "the client ended" })
    2025-12-31T00:00:26.000Z no result for 60m – „still“ waiting
    "#);
}

#[test]
fn what_supervision_wrote_replays_for_ever() {
    let state = RunState::fold(&golden("journal-supervised"));
    let evals = state.evals.iter().map(|(name, eval)| {
        format!(
            "{name} waits {:?} degraded {:?} retry {:?} held {:?} outside {:?} routing {:?}",
            eval.waits, eval.degraded, eval.retry, eval.held, eval.outside, eval.routing
        )
    });
    let evals: Vec<String> = evals.collect();
    let text = format!(
        "{}\n{}\n{:?}",
        in_short(&state),
        evals.join("\n"),
        state.books
    );
    insta::assert_snapshot!(text, @r#"
        Running Some(RunId("small-1-3f2a")) since 2025-12-31T00:00:01.010Z seq 18 epoch 1
        chat-1 Planned starts 0 exit None
        chat-4 Planned starts 0 exit None
        eval-sums Planned starts 0 exit None
        sums 0/0 None
        wait 0/0 None
        sums waits Some(Waits { since: Timestamp(3475242868140), server: Some("chat-0"), calls: 1, ids: ["q-3"] }) degraded {Generation(1): Degraded { retrieval_failed: 1, elsewhere: {} }} retry Intended(3) held None outside {("api.nobody.example:443", Refused): 2} routing Routing { clients: 1, unseen: 0, looks: 1, longest: Millis(1), unscrubbed: 0, dropped: {"NEBIUS_API_KEY"}, slipped: {} }
        wait waits None degraded {} retry None held None outside {} routing Routing { clients: 0, unseen: 0, looks: 0, longest: Millis(0), unscrubbed: 0, dropped: {}, slipped: {} }
        Books { evals: {EvalName("wait"): BooksMark { results: 0, call_log: 0 }}, servers: {UnitId("chat-1"): Sum { finished: 2, ours: 2, unsure: 0 }, UnitId("fair-0"): Sum { finished: 7, ours: 1, unsure: 0 }, UnitId("left-0"): Sum { finished: 8, ours: 1, unsure: 0 }, UnitId("right-0"): Sum { finished: 7, ours: 1, unsure: 0 }}, ended: {UnitId("chat-1")}, unread: {}, gap: false, open: None }
        "#);
}

/// What a reader of any later format must still find.
fn in_short(state: &RunState) -> String {
    let mut lines = vec![format!(
        "{:?} {:?} since {} seq {} epoch {}",
        state.phase, state.run, state.since, state.seq, state.epoch
    )];
    for (id, unit) in &state.units {
        let code = unit.exit.as_ref().map(|exit| exit.code);
        let starts = unit.starts.len();
        lines.push(format!(
            "{id} {:?} starts {starts} exit {code:?}",
            unit.phase
        ));
    }
    for (name, eval) in &state.evals {
        lines.push(format!(
            "{name} {}/{} {:?}",
            eval.done, eval.total, eval.verdict
        ));
    }
    lines.extend(
        state
            .alarms
            .iter()
            .map(|told| format!("{} {}", told.at, told.text)),
    );
    lines.join("\n")
}
