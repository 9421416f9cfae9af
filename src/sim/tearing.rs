//! A result that is cut in the middle, as a client leaves it that dies while it writes.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::eval::Pattern;
use crate::plan::ResultsPlan;

/// Cuts the newest result in two and leaves its first half; answers with its file.
///
/// # Errors
/// There is no result yet, or it cannot be cut; in words.
pub(super) fn tear(results: &ResultsPlan) -> Result<PathBuf, String> {
    let (path, keep) = match results {
        ResultsPlan::Dir { dir, pattern, .. } => newest(Path::new(dir), pattern)?,
        ResultsPlan::Jsonl { file } => last_line(Path::new(file))?,
    };
    let cut = File::options()
        .write(true)
        .open(&path)
        .and_then(|file| file.set_len(keep));
    match cut {
        Ok(()) => Ok(path),
        Err(error) => Err(format!("cannot cut `{}`: {error}", path.display())),
    }
}

fn none(place: &Path) -> String {
    format!("there is no result in `{}` yet", place.display())
}

/// The result file that was written last, and half its length.
fn newest(dir: &Path, pattern: &str) -> Result<(PathBuf, u64), String> {
    let pattern = Pattern::parse(pattern);
    let is_result = |name: &str| pattern.as_ref().is_some_and(|p| p.id(name).is_some());
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(none(dir)),
        Err(error) => return Err(format!("cannot list `{}`: {error}", dir.display())),
    };
    let found = entries.filter_map(|entry| {
        let path = entry.ok()?.path();
        let metadata = fs::metadata(&path).ok()?;
        let counts =
            metadata.is_file() && metadata.len() > 1 && is_result(path.file_name()?.to_str()?);
        counts.then(|| Some((metadata.modified().ok()?, path, metadata.len() / 2)))?
    });
    let last = found.max_by(|(one, ..), (other, ..)| one.cmp(other));
    last.map(|(_, path, keep)| (path, keep))
        .ok_or_else(|| none(dir))
}

/// The file, and its length without the second half of its last line.
fn last_line(file: &Path) -> Result<(PathBuf, u64), String> {
    let mut text = Vec::new();
    match File::open(file).and_then(|mut open| open.read_to_end(&mut text)) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(none(file)),
        Err(error) => return Err(format!("cannot read `{}`: {error}", file.display())),
    }
    let whole = text.trim_ascii_end().len();
    let begin = text[..whole]
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |at| at + 1);
    if whole == 0 {
        return Err(none(file));
    }
    let keep = begin + (whole - begin) / 2;
    Ok((file.to_owned(), keep as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dir_of(dir: &Path) -> ResultsPlan {
        ResultsPlan::Dir {
            dir: dir.to_string_lossy().into_owned(),
            pattern: "{id}.json".to_owned(),
            valid: Vec::new(),
        }
    }

    #[test]
    fn the_newest_result_loses_its_second_half() {
        let folder = tempfile::tempdir().unwrap();
        let results = dir_of(folder.path());
        let none = tear(&results).unwrap_err();
        assert!(none.starts_with("there is no result in"), "{none}");
        for (name, at) in [("old.json", 1), ("new.json", 2), ("note.txt", 3)] {
            let file = File::create(folder.path().join(name)).unwrap();
            io::Write::write_all(&mut &file, b"{\"id\":\"a\"}").unwrap();
            let then = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(at);
            file.set_modified(then).unwrap();
        }
        let torn = tear(&results).unwrap();
        assert_eq!(torn, folder.path().join("new.json"));
        let lengths = ["old.json", "new.json", "note.txt"]
            .map(|name| fs::read(folder.path().join(name)).unwrap().len());
        assert_eq!(lengths, [10, 5, 10]);
    }

    #[test]
    fn a_file_of_lines_loses_half_of_its_last() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("results.jsonl");
        let results = ResultsPlan::Jsonl {
            file: file.to_string_lossy().into_owned(),
        };
        assert!(
            tear(&results)
                .unwrap_err()
                .starts_with("there is no result")
        );
        fs::write(&file, "{\"id\":1}\n{\"id\":2}\n").unwrap();
        tear(&results).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "{\"id\":1}\n{\"id");
    }
}
