//! Results in error whose questions are asked again: out of the client's sight, and never lost.
//!
//! They wait in `set-aside/asked-again` for a newer result. One that is answered moves on to
//! `set-aside/errors`; one that is not comes back. What waits is known from these folders alone,
//! so that nothing is forgotten however a run ends.

use std::collections::{BTreeSet, HashSet};
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use super::files::{FileError, books, make_books};
use super::result_lines::read_line;
use crate::eval::{Listing, Parsed, Pattern, parse_result_line};
use crate::plan::ResultsPlan;
use crate::run::store::open_regular;

/// The two folders of one evaluation's results.
#[derive(Debug)]
pub(super) struct AskedAgain {
    results: ResultsPlan,
    waiting: PathBuf,
    answered: PathBuf,
}

impl AskedAgain {
    pub(super) fn of(results: &ResultsPlan) -> Self {
        let aside = books(results).join("set-aside");
        Self {
            results: results.clone(),
            waiting: aside.join("asked-again"),
            answered: aside.join("errors"),
        }
    }

    /// Older results that wait for a newer one.
    pub(super) fn waiting(&self) -> usize {
        match &self.results {
            ResultsPlan::Dir { .. } => names(&self.waiting).len(),
            ResultsPlan::Jsonl { file } => {
                let kept = self.waiting.join(name_of(file.as_ref()));
                open_regular(&kept).map_or(0, |file| BufReader::new(file).split(b'\n').count())
            }
        }
    }

    fn make(&self) -> Result<(), FileError> {
        make_books(&self.results)?;
        for folder in [&self.waiting, &self.answered] {
            fs::create_dir_all(folder).map_err(FileError::io("create", folder))?;
        }
        Ok(())
    }

    /// Takes the results of these ids out of a directory. Only while no client runs.
    pub(super) fn take_files(
        &self,
        dir: &Path,
        pattern: &Pattern,
        ids: &BTreeSet<String>,
    ) -> Result<(), FileError> {
        self.make()?;
        for id in ids {
            let name = pattern.file(id);
            let (from, to) = (dir.join(&name), self.waiting.join(&name));
            // One of an earlier time, to which nobody came back: the newer counts.
            if to.symlink_metadata().is_ok() {
                self.archive(&to)?;
            }
            fs::rename(&from, &to).map_err(FileError::io("set aside", &from))?;
        }
        Ok(())
    }

    /// Puts results that were not answered back into a directory, and says how many they were.
    pub(super) fn return_files(
        &self,
        dir: &Path,
        pattern: &Pattern,
        listing: &Listing,
    ) -> Result<usize, FileError> {
        let mut returned = 0;
        for name in names(&self.waiting) {
            let (from, to) = (self.waiting.join(&name), dir.join(&name));
            let answered = pattern.id(&name).is_some_and(|id| is_whole(listing, id));
            if answered || to.symlink_metadata().is_ok() {
                self.archive(&from)?;
            } else {
                fs::rename(&from, &to).map_err(FileError::io("bring back", &from))?;
                returned += 1;
            }
        }
        Ok(returned)
    }

    fn archive(&self, from: &Path) -> Result<(), FileError> {
        let name = name_of(from);
        let places = (1..).map(|number| self.answered.join(format!("{name}.{number}")));
        let mut free = places.filter(|place| place.symlink_metadata().is_err());
        let to = free.next().unwrap_or_default();
        fs::rename(from, to).map_err(FileError::io("set aside", from))
    }

    /// Takes the lines of these ids out of a file of lines. Only while no client runs.
    ///
    /// Killed half-way, they stand in both places, and the file's own count.
    pub(super) fn take_lines(
        &self,
        file: &Path,
        id_fields: &[String],
        ids: &BTreeSet<String>,
    ) -> Result<(), FileError> {
        self.make()?;
        let failed = FileError::io("set aside results of", file);
        self.split(file, id_fields, ids).map_err(failed)
    }

    fn split(&self, file: &Path, id_fields: &[String], ids: &BTreeSet<String>) -> io::Result<()> {
        let open = open_regular(file)?;
        let rights = open.metadata()?.permissions();
        let kept_in = file.with_file_name(format!(".{}.toolorch", name_of(file)));
        let mut kept = io::BufWriter::new(File::create(&kept_in)?);
        let taken_to = self.waiting.join(name_of(file));
        let taken_to = File::options().create(true).append(true).open(taken_to)?;
        let mut taken = io::BufWriter::new(taken_to);
        let mut reader = BufReader::new(open);
        let (mut line, mut offset) = (Vec::new(), 0);
        loop {
            line.clear();
            let length = read_line(&mut reader, &mut line)?;
            if length == 0 {
                break;
            }
            let (id, _) = parse_result_line(&line, id_fields, &[]);
            if id.is_some_and(|id| ids.contains(&id)) {
                taken.write_all(&line)?;
            } else if length == line.len() as u64 {
                kept.write_all(&line)?;
            } else {
                // One that was too long to be read whole.
                let mut whole = open_regular(file)?;
                whole.seek(SeekFrom::Start(offset))?;
                io::copy(&mut whole.take(length), &mut kept)?;
            }
            offset += length;
        }
        taken.into_inner()?.sync_all()?;
        let kept = kept.into_inner()?;
        kept.set_permissions(rights)?;
        kept.sync_all()?;
        fs::rename(kept_in, file)
    }

    /// Appends the lines that were not answered, and says how many they were.
    pub(super) fn return_lines(
        &self,
        file: &Path,
        id_fields: &[String],
        listing: &Listing,
    ) -> Result<usize, FileError> {
        let kept = self.waiting.join(name_of(file));
        if kept.symlink_metadata().is_err() {
            return Ok(0);
        }
        let returned = append_unanswered(&kept, file, id_fields, listing)
            .map_err(FileError::io("bring back results of", file))?;
        self.archive(&kept)?;
        Ok(returned)
    }
}

fn append_unanswered(
    kept: &Path,
    file: &Path,
    id_fields: &[String],
    listing: &Listing,
) -> io::Result<usize> {
    // The last line of an id is its newest.
    let mut newest: Vec<(String, Vec<u8>)> = Vec::new();
    let mut seen = HashSet::new();
    let lines: Vec<Vec<u8>> = BufReader::new(open_regular(kept)?)
        .split(b'\n')
        .collect::<Result<_, _>>()?;
    for mut line in lines.into_iter().rev() {
        let (id, parsed) = parse_result_line(&line, id_fields, &[]);
        if let (Some(id), Parsed::Whole(_)) = (id, parsed)
            && !is_whole(listing, &id)
            && seen.insert(id.clone())
        {
            line.push(b'\n');
            newest.push((id, line));
        }
    }
    if !newest.is_empty() {
        let mut file = File::options().create(true).append(true).open(file)?;
        for (_, line) in newest.iter().rev() {
            file.write_all(line)?;
        }
        file.sync_all()?;
    }
    Ok(newest.len())
}

fn is_whole(listing: &Listing, id: &str) -> bool {
    matches!(listing.results.get(id), Some(Parsed::Whole(_)))
}

fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::super::ResultScanner;
    use super::*;
    use crate::spec::model::Finished;

    fn set(ids: &[&str]) -> BTreeSet<String> {
        ids.iter().map(ToString::to_string).collect()
    }

    fn scanner(results: &ResultsPlan) -> ResultScanner {
        ResultScanner::new(results, &["id".to_owned()], &Finished::Ids).unwrap()
    }

    /// Ids with what their results say, and how many older ones wait.
    fn told(scanner: &mut ResultScanner) -> (String, usize) {
        let listing = scanner.scan().unwrap();
        let results = listing.results.iter();
        let said = results.map(|(id, parsed)| match parsed {
            Parsed::Whole(whole) if whole.failed => format!("{id} error"),
            Parsed::Whole(_) => format!("{id} done"),
            Parsed::Torn(_) => format!("{id} torn"),
        });
        (said.collect::<Vec<_>>().join(", "), listing.waiting)
    }

    const ERROR: &str = r#"{"status": "error"}"#;
    const DONE: &str = r#"{"status": "done"}"#;

    #[test]
    fn what_brings_no_newer_result_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let results = ResultsPlan::Dir {
            dir: dir.path().to_string_lossy().into_owned(),
            pattern: "{id}.json".to_owned(),
            valid: Vec::new(),
        };
        let put = |id: &str, text: &str| fs::write(dir.path().join(format!("{id}.json")), text);
        for id in ["a", "b", "c"] {
            put(id, ERROR).unwrap();
        }
        put("d", DONE).unwrap();
        let mut first = scanner(&results);
        first.set_aside_errors(&set(&["a", "b", "c"])).unwrap();
        assert_eq!(told(&mut first), ("d done".to_owned(), 3));
        // Another controller finds the same.
        let mut second = scanner(&results);
        put("a", DONE).unwrap();
        put("b", "{\"sta").unwrap();
        assert_eq!(told(&mut second), ("a done, b torn, d done".to_owned(), 3));
        assert_eq!(second.bring_back().unwrap(), 2);
        let end = "a done, b error, c error, d done";
        assert_eq!(told(&mut second), (end.to_owned(), 0));
        let aside = dir.path().join(".toolorch/set-aside");
        assert_eq!(names(&aside.join("errors")), ["a.json.1"]);
        // Only the torn one counts as torn.
        assert_eq!(second.scan().unwrap().set_aside, 1);
        assert_eq!(scanner(&results).scan().unwrap().set_aside, 1);
        assert_eq!(second.bring_back().unwrap(), 0);
    }

    #[test]
    fn lines_in_error_leave_the_file_and_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("r.jsonl");
        let results = ResultsPlan::Jsonl {
            file: file.to_string_lossy().into_owned(),
        };
        let line =
            |id: &str, status: &str| format!("{{\"id\": \"{id}\", \"status\": \"{status}\"}}\n");
        let before = [
            ("a", "error"),
            ("b", "done"),
            ("a", "error"),
            ("c", "error"),
        ];
        let text: String = before.iter().map(|(id, status)| line(id, status)).collect();
        // The last line has no end yet: it must not be glued to what a client appends.
        fs::write(&file, text.trim_end()).unwrap();
        let mut first = scanner(&results);
        first.set_aside_errors(&set(&["a", "c"])).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), line("b", "done"));
        assert_eq!(told(&mut first), ("b done".to_owned(), 3));
        let answer = format!("{}{}", line("b", "done"), line("a", "done"));
        fs::write(&file, answer).unwrap();
        let mut second = scanner(&results);
        assert_eq!(second.bring_back().unwrap(), 1);
        assert_eq!(told(&mut second), ("a done, b done, c error".to_owned(), 0));
        assert_eq!(second.bring_back().unwrap(), 0);
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.ends_with(&line("c", "error")), "{text}");
    }

    #[test]
    fn a_kill_between_the_copies_loses_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("r.jsonl");
        let results = ResultsPlan::Jsonl {
            file: file.to_string_lossy().into_owned(),
        };
        let error = "{\"id\": \"a\", \"status\": \"error\"}\n";
        fs::write(&file, error).unwrap();
        let mut first = scanner(&results);
        first.set_aside_errors(&set(&["a"])).unwrap();
        // As if it had been killed before the file was replaced.
        fs::write(&file, error).unwrap();
        let mut second = scanner(&results);
        second.set_aside_errors(&set(&["a"])).unwrap();
        assert_eq!(second.bring_back().unwrap(), 1);
        assert_eq!(fs::read_to_string(&file).unwrap(), error);
    }
}
