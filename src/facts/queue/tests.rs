//! Looks as `lib/slurm.sh` writes them.

use super::read;
use crate::base::UnitId;
use crate::facts::Observation;

const HEAD: &str = "format 1\nhost login01\n";
const WANT: &str = "want g m-0 run 2 l-2 3 - /logs/m-0 with a blank.log\n";

/// A unit as its job's node shows it.
fn shown(phase: &str, more: &str) -> String {
    format!(
        "seen g 2 7 0 0\n{{\"format\":1,\"host\":\"gpu-31-10\",\"boot\":\"b\",\"at\":5}}\n{{\"unit\":\"m-0\",\"phase\":\"{phase}\",\"generation\":2,\"launch\":\"l-2\",\"supervised\":true,\"supervisor\":8,\"pid\":9,\"start\":10,\"processes\":[{{\"pid\":9,\"start\":10,\"state\":\"S\"}}],\"listening\":[1800]{more}}}\n"
    )
}

/// What a look says of the unit, in one line.
fn seen(text: &str) -> String {
    let seen = read(&format!("{HEAD}{text}")).unwrap();
    match &seen.units[&UnitId::new("m-0")].observation {
        Observation::Running(running) => format!("running {:?}", running.listening),
        Observation::Exited(exit) => {
            let asked = if exit.requested { " as asked" } else { "" };
            let with = exit.cancelled.map(|job| format!(", with job {job}"));
            format!(
                "ended {:?}{asked}{}: {}",
                exit.code,
                with.unwrap_or_default(),
                exit.reason.as_deref().unwrap_or("-")
            )
        }
        Observation::Queued(queued) => {
            format!("{} {:?} {}", queued.why, queued.starts, queued.never)
        }
        Observation::Unknown { why } => format!("unknown: {why}"),
        other => format!("{other:?}"),
    }
}

fn job(state: &str, reason: &str) -> String {
    format!("queue 0 \njob 7|r.g|{state}|{reason}|gpu-31-10|2026-01-05T14:00:00|1:00\nid g 7\n")
}

#[test]
fn what_waits_is_told_with_its_reason() {
    let given = "given g m-0 2 7\n";
    let waits = format!("{}{WANT}{given}", job("PENDING", "Resources"));
    insta::assert_snapshot!(seen(&waits), @r#"job 7: the nodes are busy (Resources) Some("2026-01-05T14:00:00") false"#);
    let never = waits.replace("Resources", "PartitionTimeLimit");
    insta::assert_snapshot!(seen(&never), @r#"job 7: the partition allows no such time limit (PartitionTimeLimit) Some("2026-01-05T14:00:00") true"#);
    // It was cancelled before it began; or it was of an earlier start, and the next job is on its way.
    let over = format!("{}{WANT}", job("CANCELLED", "None"));
    insta::assert_snapshot!(seen(&over), @"Never");
    insta::assert_snapshot!(seen(&format!("{over}{given}")), @"ended None as asked, with job 7: -");
    let failed = format!(
        "base /home/u/.toolorch/slurm/r\n{}{WANT}{given}",
        job("FAILED", "NonZeroExitCode")
    );
    insta::assert_snapshot!(seen(&failed), @"ended None: its SLURM job 7 is over: it failed (FAILED), and nothing of it was seen on its node: does it see `/home/u/.toolorch/slurm/r`?");
    insta::assert_snapshot!(seen(&format!("now g 7 0 gpu-31-10 0\n{failed}")), @"ended None: its SLURM job 7 is over: it failed (FAILED)");
    insta::assert_snapshot!(seen(&format!("queue 0 \n{WANT}")), @"Never");
    insta::assert_snapshot!(seen(&format!("queue 1 Unable to contact slurm controller\nid g 7\n{WANT}")), @"unknown: SLURM does not answer: Unable to contact slurm controller");
    let stop = format!(
        "{}want g m-0 stop 2 l-2 3 10 /l\n",
        job("PENDING", "Resources")
    );
    insta::assert_snapshot!(seen(&stop), @"ended None as asked: -");
}

#[test]
fn a_node_that_speaks_is_believed() {
    let taken = "taken g m-0 7 0\n";
    let runs = shown("running", "");
    for queue in [
        "queue - \nid g 7\n".to_owned(),
        "queue 1 away\nid g 7\n".to_owned(),
        job("RUNNING", "None"),
    ] {
        assert_eq!(
            seen(&format!("{queue}{WANT}{taken}{runs}")),
            "running [Port(1800)]"
        );
    }
    let died = shown("exited", ",\"exit_code\":137");
    assert_eq!(
        seen(&format!("queue - \n{WANT}{taken}{died}")),
        "ended Some(137): -"
    );
    let silent = runs.replace("seen g 2", "seen g 31");
    insta::assert_snapshot!(seen(&format!("{}{WANT}{taken}{silent}", job("RUNNING", "None"))), @"unknown: its node has shown nothing for 31 s; SLURM says that its job runs");
    insta::assert_snapshot!(seen(&format!("queue 1 away\n{WANT}{taken}{silent}")), @"unknown: its node has shown nothing for 31 s; SLURM does not answer: away");
    insta::assert_snapshot!(seen(&format!("{}{WANT}{taken}{silent}", job("NODE_FAIL", "None"))), @"ended None: its SLURM job 7 is over: its node does not answer SLURM (NODE_FAIL)");
    insta::assert_snapshot!(seen(&format!("queue 0 \nid g 7\n{WANT}{taken}{silent}")), @"ended None: its SLURM job 7 is over, and SLURM has forgotten how");
    insta::assert_snapshot!(seen(&format!("{}{WANT}{taken}", job("RUNNING", "None"))), @"unknown: its job has not shown it yet");
}

#[test]
fn a_start_that_left_no_trace_has_ended_with_its_script() {
    let taken = "taken g m-0 7 0\n";
    let other = shown("exited", "").replace("l-2", "l-1");
    let at_work = format!("queue - \n{WANT}{taken}{other}");
    insta::assert_snapshot!(seen(&at_work), @"unknown: the unit script is at work");
    let before = at_work.replace(taken, &format!("ran g m-0 1 0\n{taken}"));
    insta::assert_snapshot!(seen(&before), @"unknown: the unit script is at work");
    let ended = at_work.replace(taken, &format!("ran g m-0 2 73\n{taken}"));
    let ended = format!("base /runs/r/slurm\n{ended}");
    insta::assert_snapshot!(seen(&ended), @"ended Some(73): its script ended with 73 before it began; its job's log may say why: /runs/r/slurm/jobs/g/7.log");
}

#[test]
fn a_job_that_stands_still_ends_nothing() {
    let taken = "taken g m-0 7 0\n";
    let suspended = job("SUSPENDED", "None");
    let runs = shown("running", "").replace("seen g 2", "seen g 12");
    insta::assert_snapshot!(seen(&format!("{suspended}{WANT}{taken}{runs}")), @"unknown: its SLURM job 7 is suspended");
    insta::assert_snapshot!(seen(&format!("{suspended}{WANT}")), @"unknown: its SLURM job 7 is suspended");
}

#[test]
fn another_beginning_of_the_job_is_not_the_one_that_took_it() {
    let taken = "taken g m-0 7 0\n";
    let again = "now g 7 1 gpu-31-12 0\n";
    insta::assert_snapshot!(
        seen(&format!("{}{again}{WANT}{taken}{}", job("RUNNING", "None"), shown("running", ""))),
        @"ended None: its SLURM job 7 began anew"
    );
    let before = shown("running", "");
    insta::assert_snapshot!(seen(&format!("{}{WANT}{taken}{before}", job("PENDING", "BeginTime"))), @"ended None: its SLURM job 7 was requeued");
}

#[test]
fn a_job_that_was_told_to_end_says_why_when_it_is_over() {
    let taken = "taken g m-0 7 0\n";
    let told = shown(
        "exited",
        ",\"exit_code\":0,\"requested\":true,\"reason\":\"its SLURM job was told to end\"",
    )
    .replace("seen g 2 7 0 0", "seen g 2 7 0 1");
    let seen_in = |state| seen(&format!("{}{WANT}{taken}{told}", job(state, "None")));
    insta::assert_snapshot!(seen_in("COMPLETING"), @"unknown: its job was told to end");
    // A person meant its units, too; SLURM did not.
    insta::assert_snapshot!(seen_in("CANCELLED"), @"ended Some(0) as asked, with job 7: -");
    insta::assert_snapshot!(seen_in("PENDING"), @"ended Some(0) as asked: its SLURM job 7 was requeued");
    insta::assert_snapshot!(seen_in("PREEMPTED"), @"ended Some(0) as asked: its SLURM job 7 is over: another job took its node (PREEMPTED)");
}

#[test]
fn a_job_that_comes_to_its_time_limit_did_not_fail() {
    let taken = "taken g m-0 7 0\n";
    let told = shown(
        "exited",
        ",\"exit_code\":0,\"requested\":true,\"reason\":\"its SLURM job was told to end\"",
    )
    .replace("seen g 2 7 0 0", "seen g 2 7 0 limit-76");
    let seen_in = |state| seen(&format!("{}{WANT}{taken}{told}", job(state, "None")));
    insta::assert_snapshot!(seen_in("FAILED"), @"ended Some(0) as asked: its SLURM job 7 came to its time limit, 76 s before which it was told to end");
    insta::assert_snapshot!(seen_in("PREEMPTED"), @"ended Some(0) as asked: its SLURM job 7 is over: another job took its node (PREEMPTED)");
    let next = told.replace("limit-76", "next");
    let next = seen(&format!("{}{WANT}{taken}{next}", job("FAILED", "None")));
    insta::assert_snapshot!(next, @"ended Some(0) as asked: the job that follows its SLURM job 7 has begun (`renew`)");
}

#[test]
fn what_was_stopped_stays_so_when_its_job_is_no_longer_asked_for() {
    let stop = "want g m-0 stop 2 l-2 3 10 /l\ntaken g m-0 7 0\n";
    let old = shown("stopping", "").replace("seen g 2", "seen g 99");
    insta::assert_snapshot!(seen(&format!("queue - \n{stop}{old}")), @"unknown: its node has shown nothing for 99 s; its job runs, and has not begun with it yet");
    let done = stop.replace("taken", "done g m-0 2 0\ntaken");
    insta::assert_snapshot!(seen(&format!("queue - \n{done}{old}")), @"ended None as asked: -");
    let before = stop.replace("taken", "done g m-0 1 0\ntaken");
    assert!(seen(&format!("queue - \n{before}{old}")).contains("unknown"));
}

#[test]
fn a_time_limit_that_its_partition_does_not_allow_is_named() {
    let asks = "queue 0 \njob 7|r.g|PENDING|PartitionConfig||N/A|5:00|5:00|short";
    let of = |most: &str| seen(&format!("{asks}{most}\nid g 7\n{WANT}"));
    insta::assert_snapshot!(of("|1:00"), @"job 7: `slurm.time` is 5:00, and its partition `short` allows 1:00 (PartitionConfig) None true");
    insta::assert_snapshot!(of("|infinite"), @"job 7: it does not fit the partition (PartitionConfig) None true");
    insta::assert_snapshot!(of(""), @"job 7: it does not fit the partition (PartitionConfig) None true");
}

#[test]
fn what_cannot_be_read_is_said() {
    let said = |text: &str| read(text).unwrap_err();
    insta::assert_snapshot!(said("format 9\n"), @"its look has the format 9, not 1");
    insta::assert_snapshot!(said("bash: nothing\n"), @"its look cannot be read: bash: nothing");
    insta::assert_snapshot!(said("format 1\nwant g m-0 walk\n"), @"its look cannot be read: want g m-0 walk");
}

#[test]
fn what_a_job_s_node_does_is_told_as_long_as_it_is_not_old() {
    let now = "now g 7 1 gpu-31-10 0\n";
    // Of the job's earlier beginning; then of this one, 4 s before it showed its units, which was 2 s ago.
    let does = "does g 7 0 at 90\ndoes g 7 0 load 9.00\ndoes g 7 1 at 100\ndoes g 7 1 load 0.50\ndoes g 7 1 gpu 2, 97, 70123, 81559\n";
    let shown =
        "seen g 2 7 1 0\n{\"format\":1,\"host\":\"gpu-31-10\",\"boot\":\"b\",\"at\":104000}\n";
    let loads = |text: &str| {
        let seen = read(&format!("{HEAD}{text}")).unwrap();
        let told = seen.loads.iter().map(|(job, load)| {
            let sample = &load.sample;
            format!(
                "{job} {} {} {:?} {}",
                load.at,
                load.age,
                sample.load,
                sample.gpus.len()
            )
        });
        told.collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(loads(&format!("{now}{does}{shown}")), @"g 1970-01-01T00:01:40.000Z 6.0s Some(0.5) 1");
    insta::assert_snapshot!(loads(&format!("{now}{does}{}", shown.replace("seen g 2", "seen g 27"))), @"");
    insta::assert_snapshot!(loads(&format!("{now}{does}")), @"");
    insta::assert_snapshot!(loads(&format!("{does}{shown}")), @"");
    // What is being written, or what a later release writes.
    insta::assert_snapshot!(loads(&format!("{now}does g 7 1 at 100\ndoes g 7 1\ndoes g 7 1 fans 3\n{shown}")), @"");
}
