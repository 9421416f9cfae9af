//! Files that are there completely or not at all, even after a power cut.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::StoreError;
use super::regular::read_regular_text;

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// What the caller's umask allows: files that clients read.
    Shared,
    /// The owner alone: our own state.
    Private,
    /// The owner alone, and it can be run.
    Script,
}

impl Mode {
    fn bits(self) -> u32 {
        match self {
            Self::Shared => 0o666,
            Self::Private => 0o600,
            Self::Script => 0o700,
        }
    }
}

/// A file that stands whole and synced beside its place; gone again if it is dropped.
#[derive(Debug)]
pub struct Staged {
    file: tempfile::NamedTempFile,
    path: PathBuf,
}

impl Staged {
    /// Writes the bytes beside `path`.
    ///
    /// # Errors
    /// Names the file and the step.
    pub fn new(path: &Path, bytes: &[u8], mode: Mode) -> Result<Self, StoreError> {
        let parent = parent(path);
        let mut file = tempfile::Builder::new()
            .prefix(".toolorch-")
            .permissions(Permissions::from_mode(mode.bits()))
            .tempfile_in(parent)
            // Of the system's error only the kind: its text names a file of the moment.
            .map_err(|error| StoreError::io("create a file in", parent)(error.kind().into()))?;
        file.as_file_mut()
            .write_all(bytes)
            .and_then(|()| file.as_file().sync_all())
            .map_err(StoreError::io("write", path))?;
        let path = path.to_owned();
        Ok(Self { file, path })
    }

    /// Puts it in its place, over what stands there.
    ///
    /// # Errors
    /// Names the file and the step. Whatever stood at its place is still there then.
    pub fn put(self) -> Result<(), StoreError> {
        self.file
            .persist(&self.path)
            .map_err(|error| StoreError::io("replace", &self.path)(error.error))?;
        sync_dir(parent(&self.path))
    }
}

/// Writes a file by way of a temporary one beside it: sync, rename, sync of the directory.
///
/// # Errors
/// Names the file and the step. Whatever stood at `path` is still there then.
pub fn write_atomically(path: &Path, bytes: &[u8], mode: Mode) -> Result<(), StoreError> {
    Staged::new(path, bytes, mode)?.put()
}

/// Makes a directory of ours, and those above it: 0700.
///
/// # Errors
/// Names the directory.
pub fn make_dir(path: &Path) -> Result<(), StoreError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(StoreError::io("create", path))
}

/// The same for one that must be ours itself: through a link others' files would be written over.
///
/// # Errors
/// As [`make_dir`], or it is a link.
pub fn make_own_dir(path: &Path) -> Result<(), StoreError> {
    let found = fs::symlink_metadata(path);
    if found.is_ok_and(|found| found.is_symlink()) {
        let why = "it is a link, not a folder of the run";
        let error = io::Error::new(ErrorKind::NotADirectory, why);
        return Err(StoreError::io("write to", path)(error));
    }
    make_dir(path)
}

/// Makes renames and new files in a directory durable.
pub(super) fn sync_dir(path: &Path) -> Result<(), StoreError> {
    File::open(path)
        .and_then(|dir| dir.sync_all())
        .map_err(StoreError::io("sync", path))
}

/// The text of a file; none if there is no such file.
pub(super) fn read_if_there(path: &Path) -> Result<Option<String>, StoreError> {
    match read_regular_text(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::io("read", path)(error)),
    }
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_file_is_replaced_whole_and_has_its_mode() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        write_atomically(&path, b"one", Mode::Private).unwrap();
        assert_eq!(mode(&path), 0o600);
        write_atomically(&path, b"two", Mode::Script).unwrap();
        assert_eq!(mode(&path), 0o700);
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_failure_names_the_file_and_leaves_the_old_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("taken");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("inside"), "kept").unwrap();
        let error = write_atomically(&path, b"x", Mode::Private).unwrap_err();
        assert!(error.to_string().starts_with("cannot replace `"), "{error}");
        assert_eq!(fs::read_to_string(path.join("inside")).unwrap(), "kept");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_failure_names_no_file_of_the_moment() {
        let error = write_atomically(Path::new("/nowhere/x"), b"x", Mode::Private).unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with("cannot create a file in `/nowhere`: "),
            "{text}"
        );
        assert!(!text.contains(".toolorch-"), "{text}");
    }

    #[test]
    fn nothing_is_written_through_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("report");
        std::os::unix::fs::symlink(dir.path(), &path).unwrap();
        let error = make_own_dir(&path).unwrap_err();
        let said = format!("{error}; {}", error.help().unwrap());
        let said = said.replace(dir.path().to_str().unwrap(), "RUN");
        insta::assert_snapshot!(said, @"cannot write to `RUN/report`: it is a link, not a folder of the run; move it away");
        make_own_dir(&dir.path().join("other")).unwrap();
        make_own_dir(&dir.path().join("other")).unwrap();
    }

    #[test]
    fn our_directories_are_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        make_dir(&path).unwrap();
        assert_eq!(mode(&path), 0o700);
        assert_eq!(mode(&dir.path().join("a")), 0o700);
    }
}
