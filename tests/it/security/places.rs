//! What stands in a folder, and calls of the program from a shell of one's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Everything below a folder, itself too; links are named, never followed.
pub(super) fn below(folder: &Path) -> Vec<PathBuf> {
    let mut all = vec![folder.to_owned()];
    let mut next = 0;
    while let Some(path) = all.get(next).cloned() {
        next += 1;
        let is_folder = path.symlink_metadata().is_ok_and(|found| found.is_dir());
        let inside = is_folder.then(|| fs::read_dir(path).ok()).flatten();
        all.extend(
            inside
                .into_iter()
                .flatten()
                .map(|entry| entry.unwrap().path()),
        );
    }
    all
}

/// The same call after a line of shell, as in `umask 000`.
pub(super) fn after(line: &str, call: &Command) -> Command {
    let mut command = Command::new("bash");
    command
        .arg("-c")
        .arg(format!("{line}\nexec \"$@\""))
        .arg("bash")
        .arg(call.get_program())
        .args(call.get_args())
        .stdin(std::process::Stdio::null());
    for (name, value) in call.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    if let Some(folder) = call.get_current_dir() {
        command.current_dir(folder);
    }
    command
}
