//! Calls the command that hears of alarms.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::procfs::{marked_by, send_signal};
use crate::base::RunId;
use crate::knowledge::kept::is_kept;
use crate::run::store::open_lock;

/// What a call does: limited in time, with a mark on all that it starts; what is left of that when its time is over is ended,
/// also where nobody waits for it any more. Of what it says the beginning is kept.
const CALL: &str = r#"
mark=$1 log=$2 said=$3 limit=$4 began=$SECONDS; shift 4
(
  TOOLORCH_NOTIFY=$mark timeout --kill-after=5 "$limit" "$@"; code=$?
  while mapfile -t left < <(grep -slzxF -- "TOOLORCH_NOTIFY=$mark" /proc/[0-9]*/environ) && ((${#left[@]})); do
    ((SECONDS - began < limit)) || { left=("${left[@]#/proc/}"); kill -KILL "${left[@]%/environ}" 2>/dev/null; }
    sleep 0.2
  done
  exit "$code"
) 2>&1 | { head -c "$said"; more=$(wc -c); ((more == 0)) || echo "[$more more bytes of this call are not kept]"; } >>"$log"
exit "${PIPESTATUS[0]}"
"#;
/// Seconds that a call may take.
const LIMIT_S: u32 = 30;
/// Bytes of what one call says that are kept, and after which the log is begun anew.
const SAID: u64 = 1 << 20;
/// What `down` gives calls under way.
const HASTE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(20);

/// How it is called.
#[derive(Debug, Clone)]
pub struct NotifyCall {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// Where it runs, if that is there.
    pub dir: PathBuf,
    /// What it says is appended here.
    pub log: PathBuf,
    /// The run that it hears of: part of the mark on its processes.
    pub run: RunId,
}

impl NotifyCall {
    /// Calls the command with this text on its standard input, and waits for its end and that of all that it started: 36 s at
    /// most. It may outlive us, and ends in that time all the same. Of our environment it sees what a unit would see that is
    /// passed nothing.
    ///
    /// # Errors
    /// What went wrong.
    pub fn call(&self, text: &str) -> Result<(), String> {
        self.make_room()?;
        let dir = if self.dir.is_dir() {
            self.dir.as_path()
        } else {
            Path::new("/")
        };
        let environment =
            std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(is_kept));
        let nonce = format!("{}-{:?}", std::process::id(), std::thread::current().id());
        let mut child = Command::new("bash")
            .args(["-c", CALL, "notify", &format!("{}/{nonce}", self.run)])
            .arg(&self.log)
            .args([SAID.to_string(), LIMIT_S.to_string()])
            .args(&self.argv)
            .current_dir(dir)
            .env_clear()
            .envs(environment)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("cannot run `bash`: {error}"))?;
        if let Some(mut stdin) = child.stdin.take() {
            // One that reads nothing is none the worse for it.
            let _ = stdin.write_all(text.as_bytes());
        }
        let status = child.wait().map_err(|error| error.to_string())?;
        match status.code() {
            Some(0) => Ok(()),
            Some(124 | 137) | None => Err(format!("it did not end within {LIMIT_S} s")),
            Some(126 | 127) => Err("it cannot be run".to_owned()),
            Some(code) => Err(format!("it ended with exit code {code}")),
        }
    }

    /// Makes the log, for its owner alone; one that is full is set aside.
    fn make_room(&self) -> Result<(), String> {
        let failed = |error| format!("cannot open `{}`: {error}", self.log.display());
        if std::fs::metadata(&self.log).is_ok_and(|found| found.len() >= SAID) {
            std::fs::rename(&self.log, self.log.with_extension("log.1")).map_err(failed)?;
        }
        open_lock(&self.log, 0o600).map(drop).map_err(failed)
    }
}

/// Ends what calls for this run have started and left behind; those under way have two seconds.
pub fn end_notified(run: &RunId) {
    let began = Instant::now();
    let mark = format!("{run}/");
    while !marked_by("TOOLORCH_NOTIFY", &mark).is_empty() && began.elapsed() < HASTE {
        std::thread::sleep(PAUSE);
    }
    for found in marked_by("TOOLORCH_NOTIFY", &mark) {
        send_signal(found.pid, found.start, Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(place: &Path, script: &str) -> NotifyCall {
        let argv = ["bash", "-c", script].map(str::to_owned).to_vec();
        let name = place.file_name().unwrap_or_default().to_string_lossy();
        NotifyCall {
            argv,
            dir: place.to_owned(),
            log: place.join("notify.log"),
            run: RunId::new(name.trim_start_matches('.')),
        }
    }

    #[test]
    fn what_it_says_is_kept_up_to_a_limit() {
        let place = tempfile::tempdir().unwrap();
        let said = || std::fs::read_to_string(place.path().join("notify.log")).unwrap();
        call(place.path(), "cat; exit 0").call("{}\n").unwrap();
        assert_eq!(said(), "{}\n");
        let much = call(
            place.path(),
            "head -c 3000000 /dev/zero | tr '\\0' x; exit 3",
        );
        let error = much.call("").unwrap_err();
        assert_eq!(error, "it ended with exit code 3");
        let tail = "x[1951424 more bytes of this call are not kept]\n";
        assert!(said().ends_with(tail), "{}", &said()[said().len() - 80..]);
        call(place.path(), "echo anew").call("").unwrap();
        assert_eq!(said(), "anew\n");
        assert!(place.path().join("notify.log.1").is_file());
    }

    #[test]
    fn what_it_leaves_behind_can_be_ended() {
        let place = tempfile::tempdir().unwrap();
        let left = call(
            place.path(),
            "trap '' TERM; (setsid sleep 98765 &) ; echo begun; sleep 98765",
        );
        let run = left.run.clone();
        let waits = std::thread::spawn(move || left.call(""));
        let mark = format!("{run}/");
        while marked_by("TOOLORCH_NOTIFY", &mark).len() < 3 {
            std::thread::sleep(PAUSE);
        }
        end_notified(&run);
        assert!(waits.join().unwrap().is_err());
        assert_eq!(marked_by("TOOLORCH_NOTIFY", &mark).len(), 0);
    }
}
