//! The files of an evaluation that are read or written as a whole: datasets, the identity stamp.

use std::fs;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::result_lines::read_line;
use crate::eval::{DatasetReader, Stamp};
use crate::facts::{DatasetProblem, DatasetSummary};
use crate::plan::ResultsPlan;
use crate::run::store::{
    Mode, StoreError, make_dir, open_regular, read_regular_text, write_atomically,
};

const IDENTITY: &str = "identity.json";

/// What went wrong with a file of an evaluation.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Our own file says something that cannot be.
    #[error("`{path}` cannot be read: {why}; move it away to go on with the results as they are")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A file operation failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl FileError {
    /// For `map_err`: what was tried, where.
    pub(super) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let failed = StoreError::io(doing, path);
        move |error| Self::Store(failed(error))
    }
}

/// Reads a dataset line by line; whatever is wrong is in the summary.
pub fn read_dataset(path: &Path, id_fields: &[String]) -> DatasetSummary {
    let shown = path.to_string_lossy();
    let failed = |error: &io::Error| DatasetSummary {
        path: shown.to_string(),
        problems: vec![match error.kind() {
            io::ErrorKind::NotFound => DatasetProblem::Missing,
            _ => DatasetProblem::Unreadable(error.to_string()),
        }],
        ..DatasetSummary::default()
    };
    let mut file = match open_regular(path) {
        Ok(file) => BufReader::with_capacity(1 << 16, file),
        Err(error) => return failed(&error),
    };
    let mut reader = DatasetReader::new(id_fields);
    let mut line = Vec::new();
    loop {
        line.clear();
        match read_line(&mut file, &mut line) {
            Ok(0) => return reader.finish(&shown),
            Ok(_) => reader.line(&line),
            Err(error) => return failed(&error),
        }
    }
}

/// Where our books about results are kept: beside them, where no client's `*.json` matches.
pub fn books(results: &ResultsPlan) -> PathBuf {
    match results {
        ResultsPlan::Dir { dir, .. } => Path::new(dir).join(".toolorch"),
        ResultsPlan::Jsonl { file } => {
            let file = Path::new(file);
            let name = file.file_name().unwrap_or(file.as_os_str());
            file.with_file_name(".toolorch").join(name)
        }
    }
}

/// Reads one of our own files about results; none if it is not there. `format` says of what was read which version it has, and
/// which one is known.
pub(super) fn read_book<T: DeserializeOwned>(
    results: &ResultsPlan,
    name: &str,
    format: impl Fn(&T) -> (u32, u32),
) -> Result<Option<T>, FileError> {
    let path = books(results).join(name);
    let text = match read_regular_text(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(FileError::io("read", &path)(error)),
    };
    let damaged = |why| FileError::Damaged {
        path: path.clone(),
        why,
    };
    let book: T = serde_json::from_str(&text).map_err(|error| damaged(error.to_string()))?;
    let (is, known) = format(&book);
    if is > known {
        return Err(damaged(format!(
            "it has format {is}, this toolorch knows {known}"
        )));
    }
    Ok(Some(book))
}

/// Writes one of our own files about results, and makes their directory if need be.
pub(super) fn write_book(
    results: &ResultsPlan,
    name: &str,
    book: &impl Serialize,
) -> Result<(), FileError> {
    let path = make_books(results)?.join(name);
    let mut text = serde_json::to_string_pretty(book)
        .map_err(|error| FileError::io("write", &path)(error.into()))?;
    text.push('\n');
    write_atomically(&path, text.as_bytes(), Mode::Shared)?;
    Ok(())
}

/// Reads the stamp of results; none if they have none.
///
/// # Errors
/// It cannot be read, or says what no toolorch wrote, or a newer one did.
pub fn read_identity(results: &ResultsPlan) -> Result<Option<Stamp>, FileError> {
    read_book(results, IDENTITY, |stamp: &Stamp| (stamp.v, Stamp::FORMAT))
}

/// Writes the stamp of results, and makes their directory if need be.
///
/// # Errors
/// Names the file.
pub fn write_identity(results: &ResultsPlan, stamp: &Stamp) -> Result<(), FileError> {
    write_book(results, IDENTITY, stamp)
}

/// Makes the books' directory, which a client's git must not see; the results' own directory gets
/// the user's umask.
pub(super) fn make_books(results: &ResultsPlan) -> Result<PathBuf, FileError> {
    let books = books(results);
    let parent = match results {
        ResultsPlan::Dir { dir, .. } => Path::new(dir),
        ResultsPlan::Jsonl { file } => Path::new(file).parent().unwrap_or(Path::new(".")),
    };
    fs::create_dir_all(parent).map_err(FileError::io("create", parent))?;
    if !books.is_dir() {
        make_dir(&books)?;
        write_atomically(&books.join(".gitignore"), b"*\n", Mode::Shared)?;
    }
    Ok(books)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dataset_that_cannot_be_read_says_why() {
        let dir = tempfile::tempdir().unwrap();
        let problems = |path: &Path| read_dataset(path, &["id".to_owned()]).problems;
        assert_eq!(problems(&dir.path().join("x")), [DatasetProblem::Missing]);
        assert!(matches!(
            problems(dir.path())[..],
            [DatasetProblem::Unreadable(_)]
        ));
        // A pipe without a writer would never be opened.
        let pipe = dir.path().join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .unwrap();
        assert_eq!(
            problems(&pipe),
            [DatasetProblem::Unreadable(
                "it is a pipe, not a regular file".to_owned()
            )]
        );
        let file = dir.path().join("d.jsonl");
        fs::write(&file, "{\"id\": 1}\n{\"id\": 2}").unwrap();
        let summary = read_dataset(&file, &["id".to_owned()]);
        assert_eq!(summary.ids, ["1", "2"]);
        assert_eq!(summary.path, file.to_string_lossy());
    }

    #[test]
    fn a_stamp_comes_back_and_a_broken_one_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let results = ResultsPlan::Dir {
            dir: dir.path().join("out").to_string_lossy().into_owned(),
            pattern: "{id}.json".to_owned(),
            valid: Vec::new(),
        };
        assert_eq!(read_identity(&results).unwrap(), None);
        let stamp = Stamp {
            v: Stamp::FORMAT,
            since: crate::base::Timestamp(1),
            adopted: 0,
            identity: [("max_rounds".to_owned(), 50.into())].into(),
            operational: indexmap::IndexMap::new(),
            changes: Vec::new(),
        };
        write_identity(&results, &stamp).unwrap();
        assert_eq!(read_identity(&results).unwrap(), Some(stamp.clone()));
        let newer = Stamp { v: 9, ..stamp };
        write_identity(&results, &newer).unwrap();
        let error = read_identity(&results).unwrap_err().to_string();
        assert!(
            error.contains("it has format 9, this toolorch knows 1"),
            "{error}"
        );
        fs::write(books(&results).join("identity.json"), "{").unwrap();
        assert!(read_identity(&results).is_err());
    }

    #[test]
    fn the_books_of_a_jsonl_stand_beside_it() {
        let results = ResultsPlan::Jsonl {
            file: "/out/r.jsonl".to_owned(),
        };
        assert_eq!(books(&results), Path::new("/out/.toolorch/r.jsonl"));
    }
}
