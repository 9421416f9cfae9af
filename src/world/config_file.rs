//! Puts a client configuration at its final path, and a foreign file there out of the way.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::files::FileError;
use crate::base::sha256;
use crate::render::WRITTEN_BY;
use crate::run::store::{Mode, Staged, failpoint, read_regular};

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigWritten {
    /// SHA-256 of the text, in hexadecimal.
    pub sha256: String,
    /// Where a file that was not ours stands now; to be said aloud.
    pub moved: Option<PathBuf>,
    /// The file said the same already, and was left alone.
    pub unchanged: bool,
}

/// Writes a client configuration by rename, so that a client that reads it just now gets all of the
/// old one or all of the new one.
///
/// A file at `path` is ours if it says so, or if its digest is one of `ours` (of formats that have no
/// comment). Any other is moved to `PATH.before-toolorch`.
///
/// # Errors
/// Names the file and the step.
pub fn write_config(path: &Path, text: &str, ours: &[String]) -> Result<ConfigWritten, FileError> {
    let mut written = ConfigWritten {
        sha256: sha256(text.as_bytes()),
        moved: None,
        unchanged: false,
    };
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(FileError::io("create", folder))?;
    match read_regular(path) {
        Ok(old) if old == text.as_bytes() => {
            written.unchanged = true;
            return Ok(written);
        }
        Ok(old) if is_ours(&old, ours) => {}
        Ok(_) => written.moved = Some(move_away(path)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(FileError::io("read", path)(error)),
    }
    failpoint("config-before-write");
    let staged = Staged::new(path, text.as_bytes(), Mode::Shared)?;
    failpoint("config-before-rename");
    staged.put()?;
    failpoint("config-after-rename");
    Ok(written)
}

fn is_ours(bytes: &[u8], ours: &[String]) -> bool {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]);
    head.contains(WRITTEN_BY) || ours.contains(&sha256(bytes))
}

/// A copy stays behind under the final name until ours replaces it: a client that reads it in
/// between finds what was always there.
fn move_away(path: &Path) -> Result<PathBuf, FileError> {
    let mut place = with_ending(path, ".before-toolorch");
    let mut number = 1;
    while place.symlink_metadata().is_ok() {
        number += 1;
        place = with_ending(path, &format!(".before-toolorch.{number}"));
    }
    fs::hard_link(path, &place)
        .or_else(|_| fs::copy(path, &place).map(drop))
        .map_err(FileError::io("move away", path))?;
    Ok(place)
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_file_is_moved_and_ours_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/config.json");
        let ours = |run: &str| format!("{{\"_comment\": \"{WRITTEN_BY}{run}\"}}");
        let write = |text: &str| write_config(&path, text, &[]).unwrap();
        assert_eq!(write(&ours("a")).moved, None);
        assert!(write(&ours("a")).unchanged);
        let again = write(&ours("b"));
        assert_eq!((again.moved, again.unchanged), (None, false));
        fs::write(&path, "mine").unwrap();
        let aside = with_ending(&path, ".before-toolorch");
        assert_eq!(write(&ours("c")).moved.as_deref(), Some(&*aside));
        assert_eq!(fs::read_to_string(&aside).unwrap(), "mine");
        assert_eq!(fs::read_to_string(&path).unwrap(), ours("c"));
        // An earlier one is never overwritten.
        fs::write(&path, "mine too").unwrap();
        let second = write(&ours("d")).moved.unwrap();
        assert_eq!(second, with_ending(&path, ".before-toolorch.2"));
        assert_eq!(fs::read_to_string(&aside).unwrap(), "mine");
    }

    #[test]
    fn a_format_without_comments_is_known_by_its_digest() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config");
        let first = write_config(&path, "one", &[]).unwrap();
        let second = write_config(&path, "two", &[first.sha256]).unwrap();
        assert_eq!(second.moved, None);
        assert!(write_config(&path, "three", &[]).unwrap().moved.is_some());
    }

    #[test]
    fn a_pipe_at_the_path_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RWXU).unwrap();
        let error = write_config(&path, "x", &[]).unwrap_err().to_string();
        assert!(
            error.ends_with("it is a pipe, not a regular file"),
            "{error}"
        );
    }

    #[test]
    fn a_folder_at_the_path_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let error = write_config(dir.path(), "x", &[]).unwrap_err().to_string();
        assert!(error.starts_with("cannot read `"), "{error}");
    }
}
