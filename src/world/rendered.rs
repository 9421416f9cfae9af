//! Writes what was rendered, and reads a user's templates.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::render::{FileSet, MANIFEST};
use crate::run::store::{Mode, read_regular, read_regular_text};

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// A file stands there that no earlier call wrote.
    #[error("`{0}` is there and no earlier `render` wrote it: choose another folder, or move it")]
    Foreign(PathBuf),
    /// The system refused.
    #[error("cannot write `{path}`: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's word.
        source: std::io::Error,
    },
}

/// Writes the files below a folder and removes those that an earlier call wrote and this one does
/// not; touches nothing else, and nothing at all if a foreign file is in the way. With
/// [`Mode::Shared`] others may read them, else the owner alone. Answers with the number of files.
///
/// # Errors
/// [`WriteError`].
pub fn write_rendered(folder: &Path, files: &FileSet, mode: Mode) -> Result<usize, WriteError> {
    let (of_folders, of_files) = match mode {
        Mode::Shared => (0o777, 0o777),
        Mode::Private | Mode::Script => (0o700, 0o700),
    };
    let manifest = read_regular_text(&folder.join(MANIFEST)).unwrap_or_default();
    let mut earlier: BTreeSet<&str> = FileSet::listed(&manifest).into_iter().collect();
    // Somebody else's file may have that name, too, and may list files of theirs: ours has nothing but entries, and
    // always that of the plan.
    if earlier.contains("plan.json") && earlier.len() == manifest.lines().count() {
        earlier.insert(MANIFEST);
    } else {
        earlier.clear();
    }
    let foreign = files
        .iter()
        .find(|(path, _)| !earlier.contains(path) && folder.join(path).exists());
    if let Some((path, _)) = foreign {
        return Err(WriteError::Foreign(folder.join(path)));
    }
    for (path, file) in files.iter() {
        let target = folder.join(path);
        let failed = |source| WriteError::Io {
            path: target.clone(),
            source,
        };
        // A running bash reads its script as it goes: an unchanged file is left as it is, a
        // changed one is replaced and not written over.
        if read_regular(&target).is_ok_and(|there| there == file.bytes) {
            continue;
        }
        let parent = target.parent().unwrap_or(folder);
        fs::DirBuilder::new()
            .recursive(true)
            .mode(of_folders)
            .create(parent)
            .map_err(failed)?;
        let mut fresh =
            tempfile::NamedTempFile::new_in(parent).map_err(|error| failed(error.kind().into()))?;
        std::io::Write::write_all(fresh.as_file_mut(), &file.bytes).map_err(failed)?;
        let mode = fs::Permissions::from_mode(file.mode & of_files);
        fresh.as_file().set_permissions(mode).map_err(failed)?;
        fresh
            .persist(&target)
            .map_err(|error| failed(error.error))?;
    }
    for gone in earlier {
        let safe = !gone.starts_with('/') && !gone.split('/').any(|part| part == "..");
        if files.get(gone).is_none() && safe {
            let _ = fs::remove_file(folder.join(gone));
        }
    }
    Ok(files.len())
}

/// What a user's folder has to replace: templates (`NAME.tera`) and the library (`lib/NAME.sh`), by their paths in it.
///
/// # Errors
/// The folder or a file cannot be read.
pub fn read_templates(folder: &Path) -> Result<BTreeMap<String, String>, String> {
    let mut found = BTreeMap::new();
    read_texts(folder, "", ".tera", &mut found)?;
    if folder.join("lib").is_dir() {
        read_texts(&folder.join("lib"), "lib/", ".sh", &mut found)?;
    }
    Ok(found)
}

fn read_texts(
    folder: &Path,
    prefix: &str,
    ending: &str,
    found: &mut BTreeMap<String, String>,
) -> Result<(), String> {
    let failed = |error| format!("cannot read templates from `{}`: {error}", folder.display());
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_file() && name.ends_with(ending) {
            let text = fs::read_to_string(&path).map_err(failed)?;
            found.insert(format!("{prefix}{name}"), text);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_of_somebody_else_is_neither_overwritten_nor_followed() {
        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        let mut files = FileSet::new();
        files.add("plan.json", b"{}\n".to_vec(), 0o644);
        let files = files.with_manifest();
        let hash = "0".repeat(64);
        for foreign in ["precious\n".to_owned(), format!("{hash}  theirs\n")] {
            put(MANIFEST, &foreign);
            put("theirs", "kept");
            let refused = write_rendered(dir.path(), &files, Mode::Shared);
            assert!(matches!(refused, Err(WriteError::Foreign(_))), "{foreign}");
            let there = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
            assert_eq!(
                (there(MANIFEST), there("theirs")),
                (foreign, "kept".to_owned())
            );
        }
        fs::remove_file(dir.path().join(MANIFEST)).unwrap();
        write_rendered(dir.path(), &files, Mode::Shared).unwrap();
        assert_eq!(
            write_rendered(dir.path(), &files, Mode::Shared).unwrap(),
            2,
            "again"
        );
    }
}
