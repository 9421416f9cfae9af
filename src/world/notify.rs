//! Calls the command that hears of alarms.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::knowledge::kept::is_kept;

/// Seconds that a call may take, and to end after it was told to.
const LIMIT_S: &str = "30";
const GRACE_S: &str = "5";

/// How it is called.
#[derive(Debug, Clone)]
pub struct NotifyCall {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// Where it runs, if that is there.
    pub dir: PathBuf,
    /// What it says is appended here.
    pub log: PathBuf,
}

impl NotifyCall {
    /// Calls the command with this text on its standard input, and waits for its end: 35 s at most. It may outlive us, and
    /// ends in that time all the same. Of our environment it sees what a unit would see that is passed nothing.
    ///
    /// # Errors
    /// What went wrong.
    pub fn call(&self, text: &str) -> Result<(), String> {
        let log = open(&self.log)?;
        let also = log.try_clone().map_err(|error| error.to_string())?;
        let dir = if self.dir.is_dir() {
            self.dir.as_path()
        } else {
            Path::new("/")
        };
        let environment =
            std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(is_kept));
        let mut child = Command::new("timeout")
            .args(["--kill-after", GRACE_S, LIMIT_S])
            .args(&self.argv)
            .current_dir(dir)
            .env_clear()
            .envs(environment)
            .stdin(Stdio::piped())
            .stdout(log)
            .stderr(also)
            .spawn()
            .map_err(|error| format!("cannot run `timeout`: {error}"))?;
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
}

fn open(path: &Path) -> Result<File, String> {
    File::options()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| format!("cannot open `{}`: {error}", path.display()))
}
