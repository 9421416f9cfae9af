//! The states of SLURM jobs, and the reasons for which they wait.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::Millis;

/// What a state means for the units of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobStage {
    /// It has no node yet, or gives its node back and waits again.
    Waiting,
    /// Its script runs, or did and is to go on.
    Running,
    /// Its processes stand still: they were stopped, and are to go on.
    Suspended,
    /// Its processes are being ended.
    Ending,
    /// Nothing of it runs, as far as SLURM knows. A node that does not answer may still have its processes.
    Over,
}

/// What becomes of a job in this state, as `squeue` writes it: JOB STATE CODES of squeue(1), SLURM 22.05 to 25.05. A state that
/// nobody knows is taken for one of a job that runs: then its node decides.
pub fn stage(state: &str) -> JobStage {
    match state {
        "PENDING" | "REQUEUED" | "REQUEUE_HOLD" | "REQUEUE_FED" | "SPECIAL_EXIT"
        | "RESV_DEL_HOLD" => JobStage::Waiting,
        "SUSPENDED" | "STOPPED" => JobStage::Suspended,
        "COMPLETING" | "STAGE_OUT" => JobStage::Ending,
        "BOOT_FAIL" | "CANCELLED" | "COMPLETED" | "DEADLINE" | "FAILED" | "LAUNCH_FAILED"
        | "NODE_FAIL" | "OUT_OF_MEMORY" | "PREEMPTED" | "RECONFIG_FAIL" | "REVOKED" | "TIMEOUT" => {
            JobStage::Over
        }
        _ => JobStage::Running,
    }
}

/// How a job came to its end, for people.
pub fn end(state: &str) -> &'static str {
    match state {
        "BOOT_FAIL" => "its node did not boot",
        "CANCELLED" => "it was cancelled",
        "COMPLETED" => "its script ended",
        "DEADLINE" => "its deadline passed",
        "NODE_FAIL" => "its node does not answer SLURM",
        "OUT_OF_MEMORY" => "it used more memory than it was given",
        "PREEMPTED" => "another job took its node",
        "REVOKED" => "another cluster took it over",
        "TIMEOUT" => "its time was over",
        _ => "it failed",
    }
}

/// What a job waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reason {
    /// For people.
    pub words: &'static str,
    /// It will never start as it is; SLURM leaves it in the queue all the same.
    pub never: bool,
}

/// What a pending job waits for, by the word of `squeue -o %r`: JOB REASON CODES of the resource limits page of SLURM 22.05 to
/// 25.05. That SLURM keeps such jobs as PENDING for ever was measured with 22.05.8.
pub fn reason(word: &str) -> Reason {
    let waits = |words| Reason {
        words,
        never: false,
    };
    let never = |words| Reason { words, never: true };
    match word.split([',', ' ']).next().unwrap_or_default() {
        "Resources" => waits("the nodes are busy"),
        "Priority" => waits("others come first"),
        "Dependency" => waits("another job comes first"),
        "BeginTime" => waits("its begin time, or the pause after it was requeued"),
        "JobHeldUser" => waits("it is held: scontrol release lets it go"),
        "JobHeldAdmin" => waits("an administrator holds it"),
        "Licenses" => waits("licenses are in use"),
        "Reservation" => waits("its reservation has not begun"),
        "Cleaning" | "NodeDown" | "ReqNodeNotAvail" => waits("nodes that it may use are not there"),
        "PartitionDown" | "PartitionInactive" => waits("the partition is closed"),
        "JobArrayTaskLimit" => waits("others of its array run"),
        "None" | "" | "Prolog" | "WaitingForScheduling" => waits("SLURM has not looked at it yet"),
        "DependencyNeverSatisfied" => never("what it depends on will never be there"),
        "PartitionNodeLimit" => never("the partition has no such nodes, or not so many"),
        "PartitionTimeLimit" => never("the partition allows no such time limit"),
        "PartitionConfig" => never("it does not fit the partition"),
        "BadConstraints" => never("no node has what it asks for"),
        "InvalidAccount" | "AccountNotAllowed" => never("its account may not use the partition"),
        "InvalidQOS" | "QOSNotAllowed" => never("its quality of service may not be used"),
        "AccountingPolicy" | "AssocMaxJobsLimit" | "QOSMaxJobsPerUserLimit" => {
            waits("a limit of the account or quality of service")
        }
        // Limits of one job; those of a group of jobs pass.
        word if word.ends_with("PerJob")
            || word.ends_with("PerJobLimit")
            || word.ends_with("WallDurationPerJobLimit") =>
        {
            never("one job may not ask for so much")
        }
        word if word.starts_with("QOS") || word.starts_with("Assoc") => {
            waits("a limit of the account or quality of service")
        }
        _ => waits("SLURM's own reasons"),
    }
}

/// What in the YAML to change where sbatch refuses a job for good; none where it may accept it later. The words are those of
/// `slurm_strerror` and of sbatch's own options: `slurm_errno.c` and `slurm_opt.c` of SLURM 22.05 to 25.05.
pub fn submission(words: &str) -> Option<&'static str> {
    const KEYS: [(&str, &str); 16] = [
        ("Invalid partition name", "`slurm.partition`"),
        ("not permitted to use this partition", "`slurm.partition`"),
        ("Invalid node name", "the node's name, or its `slurm_name`"),
        ("Invalid feature specification", "`slurm.constraint`"),
        (
            "Invalid generic resource",
            "the node's `gpus`, or `slurm.gres`",
        ),
        ("Invalid account", "`slurm.account`"),
        ("Invalid qos", "`slurm.qos`"),
        ("Requested time limit is invalid", "`slurm.time`"),
        ("Invalid --time", "`slurm.time`"),
        ("Invalid time limit", "`slurm.time`"),
        (
            "Memory specification can not be satisfied",
            "what it asks for of memory",
        ),
        ("Requested reservation is invalid", "its reservation"),
        ("unrecognized option", "`slurm.extra`"),
        ("is ambiguous", "`slurm.extra`"),
        (
            "Requested node configuration is not available",
            "the node's `gpus`, `slurm.constraint` or `slurm.extra`: no node has all that it asks for",
        ),
        ("Invalid --", "`slurm.extra`"),
    ];
    let found = KEYS.iter().find(|(part, _)| words.contains(part));
    found.map(|(_, key)| *key)
}

/// A time limit as `sbatch --time` reads it: `minutes`, `minutes:seconds`, `hours:minutes:seconds`, `days-hours`,
/// `days-hours:minutes` and `days-hours:minutes:seconds` (sbatch(1), SLURM 22.05 to 25.05). None for anything else, and for a
/// limit of nothing, which means none at all.
pub fn time_limit(text: &str) -> Option<Millis> {
    let number = |part: &str| {
        let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| part.parse::<u64>().ok())?
    };
    let (days, rest) = match text.split_once('-') {
        Some((days, rest)) => (Some(number(days)?), rest),
        None => (None, text),
    };
    let parts: Option<Vec<u64>> = rest.split(':').map(number).collect();
    let (hours, minutes, seconds) = match (days, parts?.as_slice()) {
        (None, &[minutes]) => (0, minutes, 0),
        (None, &[minutes, seconds]) => (0, minutes, seconds),
        (_, &[hours, minutes, seconds]) => (hours, minutes, seconds),
        (Some(_), &[hours]) => (hours, 0, 0),
        (Some(_), &[hours, minutes]) => (hours, minutes, 0),
        _ => return None,
    };
    let hours = days.unwrap_or(0).checked_mul(24)?.checked_add(hours)?;
    let minutes = hours.checked_mul(60)?.checked_add(minutes)?;
    let seconds = minutes.checked_mul(60)?.checked_add(seconds)?;
    (seconds > 0 && seconds < u64::MAX / 1000).then(|| Millis::from_secs(seconds))
}

/// What a job's script asks SLURM for, an option a line, as `lib/slurm.sh` keeps it of each job that was submitted. When SLURM tells it to
/// end follows from its units, and is none of it.
pub fn asked_by(script: &[u8]) -> String {
    let script = String::from_utf8_lossy(script);
    let options = script
        .lines()
        .filter_map(|line| line.strip_prefix("#SBATCH "));
    let options = options.filter(|option| !option.starts_with("--signal="));
    options.collect::<Vec<_>>().join("\n")
}

/// What a job was submitted with and would be no more, in words: `time 01:00:00, not 00:10:00`.
pub fn kept(was: &str, now: &str) -> String {
    let read = |asked: &str| -> BTreeMap<String, String> {
        let options = asked.lines().map(|line| line.trim_start_matches("--"));
        let split = |option: &str| match option.split_once('=') {
            Some((name, value)) => (name.to_owned(), value.trim_matches('\'').to_owned()),
            None => (option.to_owned(), "yes".to_owned()),
        };
        options.map(split).collect()
    };
    let (was, now) = (read(was), read(now));
    let names: BTreeSet<&String> = was.keys().chain(now.keys()).collect();
    let value = |of: &BTreeMap<String, String>, name| {
        of.get(name).map_or("none", String::as_str).to_owned()
    };
    let differ = names
        .into_iter()
        .filter(|name| was.get(*name) != now.get(*name));
    let words =
        differ.map(|name| format!("{name} {}, not {}", value(&was, name), value(&now, name)));
    words.collect::<Vec<_>>().join("; ")
}

/// The time limit among what a job was submitted with.
pub fn limit_of(asked: &str) -> Option<Millis> {
    let mut lines = asked.lines();
    time_limit(
        lines
            .find_map(|line| line.strip_prefix("--time="))?
            .trim_matches('\''),
    )
}

/// Options of jobs that are written from the YAML and the plan; a second one would win or lose, nobody knows which.
pub const OURS: &[&str] = &[
    "array",
    "chdir",
    "error",
    "export",
    "gpus",
    "gpus-per-node",
    "gpus-per-task",
    "gres",
    "job-name",
    "no-requeue",
    "nodelist",
    "nodes",
    "ntasks",
    "open-mode",
    "output",
    "parsable",
    "requeue",
    "signal",
    "test-only",
    "time",
    "wait",
    "wrap",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_limits_as_sbatch_reads_them() {
        let seconds = |text| time_limit(text).map(|limit| limit.0 / 1000);
        let cases = [
            ("90", Some(5400)),
            ("90:30", Some(5430)),
            ("04:00:00", Some(14_400)),
            ("1-12", Some(129_600)),
            ("1-12:30", Some(131_400)),
            ("1-12:30:15", Some(131_415)),
            ("0", None),
            ("", None),
            ("4h", None),
            ("04:00:00:00", None),
            ("1-", None),
            ("-1", None),
            ("1-2-3", None),
            ("+5", None),
            ("99999999999999999999", None),
            ("unlimited", None),
        ];
        for (text, expected) in cases {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }

    #[test]
    fn what_a_job_keeps_is_told_by_option() {
        let was = asked_by(b"#!/bin/bash\n#SBATCH --time=01:00:00\n#SBATCH --signal=B:TERM@30\n#SBATCH --partition='a b'\nX=1\n");
        assert_eq!(was, "--time=01:00:00\n--partition='a b'");
        assert_eq!(limit_of(&was), Some(Millis::from_secs(3600)));
        let now =
            asked_by(b"#SBATCH --time=00:10:00\n#SBATCH --signal=B:TERM@70\n#SBATCH --exclusive\n");
        assert_eq!(
            kept(&was, &now),
            "exclusive none, not yes; partition a b, not none; time 01:00:00, not 00:10:00"
        );
        assert_eq!(kept(&was, &was), "");
    }

    #[test]
    fn what_never_starts_is_told_from_what_waits() {
        for word in [
            "PartitionTimeLimit",
            "DependencyNeverSatisfied",
            "QOSMaxWallDurationPerJobLimit",
            "AssocMaxGRESPerJob",
        ] {
            assert!(reason(word).never, "{word}");
        }
        for word in [
            "Resources",
            "ReqNodeNotAvail, UnavailableNodes:gpu-31-10",
            "QOSGrpGRES",
            "Whatever",
        ] {
            assert!(!reason(word).never, "{word}");
        }
    }

    #[test]
    fn what_sbatch_refuses_for_good_is_told_from_what_it_may_accept_later() {
        let refused = |words: &str| submission(&format!("sbatch: error: {words}"));
        let never = "Batch job submission failed: Invalid account or account/partition combination specified";
        assert_eq!(refused(never), Some("`slurm.account`"));
        for later in [
            "Batch job submission failed: Unable to contact slurm controller (connect failure)",
            "Batch job submission failed: Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)",
        ] {
            assert_eq!(refused(later), None, "{later}");
        }
    }

    #[test]
    fn a_state_that_nobody_knows_ends_nothing() {
        assert_eq!(stage("HIBERNATING"), JobStage::Running);
        assert_eq!(stage("NODE_FAIL"), JobStage::Over);
    }
}
