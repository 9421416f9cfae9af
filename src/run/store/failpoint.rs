//! Where a test can make this program die, fail or wait: one name before and after each effect.
//!
//! `TOOLORCH_FAIL=NAME:N:ACTION` acts at the N-th passage of a point, once; ACTION is `kill`, `panic`, `error` or `sleep-MS`.
//! Only the cargo feature `failpoints` has any of it: elsewhere a point is nothing.

use std::io;

/// The points, with what is about to happen or has just happened at each. A test holds the sources to this list.
pub const FAILPOINTS: &[(&str, &str)] = &[
    ("journal-before-write", "a line is about to be written"),
    (
        "journal-after-write",
        "a line was written and is not synced",
    ),
    ("journal-after-sync", "a line is on the disk"),
    ("owner-before-claim", "the run is about to be taken"),
    (
        "owner-after-claim",
        "the epoch is claimed, `owner.json` is not written",
    ),
    ("owner-taken", "the run was taken"),
    ("owner-before-renew", "a heartbeat is about to be written"),
    ("owner-after-renew", "a heartbeat was written"),
    ("owner-before-leave", "the run is about to be given up"),
    ("owner-after-leave", "the run was given up"),
    (
        "fence-before-raise",
        "units are about to refuse earlier owners",
    ),
    ("fence-after-raise", "units refuse earlier owners"),
    ("scripts-before-write", "scripts are about to be written"),
    (
        "scripts-after-write",
        "scripts are written, the plan is not",
    ),
    (
        "plan-after-write",
        "the plan is written, nothing is recorded",
    ),
    ("take-recorded", "the journal says who took the run"),
    ("adopt-after-look", "everything was looked at once"),
    (
        "launch-before-spawn",
        "the start of a server is recorded and about to be carried out",
    ),
    (
        "launch-after-spawn",
        "a server was started, where to find it is not recorded",
    ),
    (
        "restart-before-spawn",
        "another start of a server is about to be carried out",
    ),
    (
        "restart-after-spawn",
        "a server was started again, where to find it is not recorded",
    ),
    (
        "eval-before-spawn",
        "the start of a client is recorded and about to be carried out",
    ),
    (
        "eval-after-spawn",
        "a client was started, where to find it is not recorded",
    ),
    ("probe-before", "a rung is about to be tried"),
    ("probe-after", "a rung was tried, nothing is recorded"),
    (
        "config-before-write",
        "a client configuration is about to be written",
    ),
    (
        "config-before-rename",
        "a client configuration stands beside its place",
    ),
    (
        "config-after-rename",
        "a client configuration is written, nothing is recorded",
    ),
    ("results-before-claim", "results are about to be taken"),
    ("results-after-claim", "results were taken"),
    (
        "results-before-prepare",
        "results are about to be made ready",
    ),
    (
        "results-after-stamp",
        "results are stamped, torn ones are where they were",
    ),
    ("results-after-set-aside", "torn results were set aside"),
    ("count-before", "results are about to be counted"),
    ("count-after", "results were counted, nothing is recorded"),
    (
        "stop-before",
        "the stop of a unit is recorded and about to be carried out",
    ),
    ("stop-after", "a unit was stopped, nothing is recorded"),
    (
        "end-before-leave",
        "the last line is written, the run is still ours",
    ),
    ("down-taken", "`down` has the run"),
    ("down-before-stop", "`down` is about to stop units"),
    (
        "down-after-stop",
        "`down` has stopped all units, nothing is recorded",
    ),
    ("down-before-end", "`down` has proved that nothing is left"),
    (
        "detach-before-spawn",
        "a controller in the background is about to be started",
    ),
    (
        "detach-after-spawn",
        "a controller in the background was started",
    ),
];

/// Passes a point where nothing can be refused.
///
/// # Panics
/// A test asked for that, or for an error, which counts for the same here.
#[inline]
pub fn failpoint(name: &'static str) {
    if let Err(error) = failpoint_io(name) {
        panic!("{error}");
    }
}

/// Passes a point on the way to the disk.
///
/// # Errors
/// A test asked for one.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub fn failpoint_io(_: &'static str) -> io::Result<()> {
    Ok(())
}

/// Passes a point on the way to the disk.
///
/// # Errors
/// A test asked for one.
#[cfg(feature = "failpoints")]
pub fn failpoint_io(name: &'static str) -> io::Result<()> {
    armed::pass(name)
}

#[cfg(feature = "failpoints")]
mod armed {
    use std::io;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use rustix::process::{Signal, getpid, kill_process};

    use super::FAILPOINTS;

    #[derive(Debug, Clone, Copy)]
    enum Action {
        Kill,
        Panic,
        Error,
        Sleep(Duration),
    }

    #[derive(Debug)]
    struct Armed {
        name: String,
        at: u64,
        action: Action,
    }

    pub(super) fn pass(name: &str) -> io::Result<()> {
        static ARMED: OnceLock<Option<Armed>> = OnceLock::new();
        static PASSED: AtomicU64 = AtomicU64::new(0);
        let Some(armed) = ARMED.get_or_init(from_environment) else {
            return Ok(());
        };
        if armed.name != name || PASSED.fetch_add(1, Ordering::Relaxed) + 1 != armed.at {
            return Ok(());
        }
        match armed.action {
            Action::Kill => loop {
                // It cannot be refused, and does not come back.
                let _ = kill_process(getpid(), Signal::KILL);
            },
            Action::Panic => panic!("the failpoint `{name}`"),
            Action::Error => Err(io::Error::other(format!("the failpoint `{name}`"))),
            Action::Sleep(length) => {
                std::thread::sleep(length);
                Ok(())
            }
        }
    }

    /// A test that asks for what is not there must not go on as if it had been given.
    fn from_environment() -> Option<Armed> {
        let text = std::env::var("TOOLORCH_FAIL").ok()?;
        let armed = parse(&text);
        assert!(armed.is_some(), "TOOLORCH_FAIL is `{text}`: NAME:N:ACTION");
        armed
    }

    fn parse(text: &str) -> Option<Armed> {
        let mut words = text.split(':');
        let (name, at, action) = (words.next()?, words.next()?, words.next()?);
        let action = match action {
            "kill" => Action::Kill,
            "panic" => Action::Panic,
            "error" => Action::Error,
            other => Action::Sleep(Duration::from_millis(
                other.strip_prefix("sleep-")?.parse().ok()?,
            )),
        };
        let known = FAILPOINTS.iter().any(|(known, _)| *known == name);
        (known && words.next().is_none()).then_some(Armed {
            name: name.to_owned(),
            at: at.parse().ok()?,
            action,
        })
    }
}
