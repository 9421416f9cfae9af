//! Looks at results again and again, and reads each of them once per change.

use std::collections::{BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::asked_again::AskedAgain;
use super::files::{FileError, books, make_books};
use super::result_lines::ResultLines;
use crate::base::sha256;
use crate::eval::{Call, Listing, Parsed, Pattern, calls_of, parse_result};
use crate::plan::{EvalPlan, ResultsPlan};
use crate::run::store::read_at_most;
use crate::spec::model::Finished;

/// What tells one state of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Version {
    inode: u64,
    size: u64,
    seconds: i64,
    nanoseconds: i64,
}

impl Version {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            inode: metadata.ino(),
            size: metadata.size(),
            seconds: metadata.mtime(),
            nanoseconds: metadata.mtime_nsec(),
        }
    }

    /// When, in nanoseconds of the file system's clock.
    fn written(self) -> u64 {
        let nanoseconds = i128::from(self.seconds) * 1_000_000_000 + i128::from(self.nanoseconds);
        u64::try_from(nanoseconds).unwrap_or_default()
    }

    pub(super) fn inode(self) -> u64 {
        self.inode
    }

    pub(super) fn size(self) -> u64 {
        self.size
    }

    /// Whether it was written then, or later.
    fn is_since(self, since: SystemTime) -> bool {
        let since = since.duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
        (self.seconds, self.nanoseconds) >= (seconds, since.subsec_nanos().into())
    }
}

/// Watches the results of one evaluation.
#[derive(Debug)]
pub struct ResultScanner {
    results: ResultsPlan,
    finished: Finished,
    source: Source,
    asked_again: AskedAgain,
    listing: Listing,
}

#[derive(Debug)]
enum Source {
    Dir(ResultFiles),
    Lines(ResultLines),
}

impl ResultScanner {
    /// A scanner of this evaluation's results.
    ///
    /// # Errors
    /// As [`ResultScanner::new`].
    pub fn of(eval: &EvalPlan) -> Result<Self, String> {
        Self::new(&eval.results, &eval.id_fields, &eval.finished)
    }

    /// A scanner that has seen nothing yet.
    ///
    /// # Errors
    /// The pattern of the results cannot be read backwards, from a file name to an id.
    pub fn new(
        results: &ResultsPlan,
        id_fields: &[String],
        finished: &Finished,
    ) -> Result<Self, String> {
        let source = match results {
            ResultsPlan::Dir {
                dir,
                pattern,
                valid,
            } => Source::Dir(ResultFiles {
                dir: dir.into(),
                pattern: Pattern::parse(pattern).ok_or_else(|| {
                    format!("`pattern: {pattern}` must be a file name with `{{id}}` in it")
                })?,
                valid: valid.clone(),
                seen: HashMap::new(),
                round: 0,
            }),
            ResultsPlan::Jsonl { file } => {
                Source::Lines(ResultLines::new(file.into(), id_fields.to_vec()))
            }
        };
        let asked_again = AskedAgain::of(results);
        Ok(Self {
            results: results.clone(),
            finished: finished.clone(),
            source,
            listing: Listing {
                set_aside: files_in(&books(results).join("set-aside")),
                waiting: asked_again.waiting(),
                ..Listing::default()
            },
            asked_again,
        })
    }

    /// Looks again; reads only what changed. Results that do not exist yet are no error.
    ///
    /// # Errors
    /// The directory or file cannot be read. A single result that cannot be is torn.
    pub fn scan(&mut self) -> Result<&Listing, FileError> {
        match &mut self.source {
            Source::Dir(files) => files.scan(&mut self.listing)?,
            Source::Lines(lines) => lines.scan(&mut self.listing)?,
        }
        if let Finished::File(file) = &self.finished {
            self.listing.finished_file =
                fs::metadata(file).is_ok_and(|metadata| metadata.is_file() && metadata.len() > 0);
        }
        Ok(&self.listing)
    }

    /// Moves torn results to `.toolorch/set-aside/`, so that a client which skips what exists runs
    /// them again. Only while no client runs: a result being written looks torn.
    ///
    /// # Errors
    /// A file cannot be moved; those before it are.
    pub fn set_aside_torn(&mut self) -> Result<usize, FileError> {
        self.scan()?;
        let moved = match &mut self.source {
            Source::Dir(files) => files.set_aside_torn(&self.listing, &self.results)?,
            Source::Lines(lines) => lines.set_aside_torn(&self.results)?,
        };
        self.scan()?;
        self.listing.set_aside += moved;
        Ok(moved)
    }

    /// Moves the results of these ids, which are in error, to `.toolorch/set-aside/asked-again/`, so that a client which
    /// skips what exists asks them again. Only while no client runs.
    ///
    /// # Errors
    /// A result cannot be moved; those before it are.
    pub fn set_aside_errors(&mut self, ids: &BTreeSet<String>) -> Result<(), FileError> {
        self.set_aside_torn()?;
        let moved = match &self.source {
            Source::Dir(files) => self.asked_again.take_files(&files.dir, &files.pattern, ids),
            Source::Lines(lines) => {
                let (file, fields) = lines.place();
                self.asked_again.take_lines(file, fields, ids)
            }
        };
        self.listing.waiting = self.asked_again.waiting();
        self.scan()?;
        moved
    }

    /// Brings back what was set aside as in error and has no newer result; says how many they were. Only while no
    /// client runs.
    ///
    /// # Errors
    /// A result cannot be moved; those before it are.
    pub fn bring_back(&mut self) -> Result<usize, FileError> {
        self.set_aside_torn()?;
        let moved = match &self.source {
            Source::Dir(files) => {
                (self.asked_again).return_files(&files.dir, &files.pattern, &self.listing)
            }
            Source::Lines(lines) => {
                let (file, fields) = lines.place();
                self.asked_again.return_lines(file, fields, &self.listing)
            }
        };
        self.listing.waiting = self.asked_again.waiting();
        self.scan()?;
        moved
    }

    /// Has results in error asked again that were written since then; says how many. Only while no client runs.
    ///
    /// # Errors
    /// As [`ResultScanner::set_aside_errors`].
    pub fn requeue_errors(&mut self, since: SystemTime) -> Result<usize, FileError> {
        self.scan()?;
        let ids = match &self.source {
            Source::Dir(files) => files.errors_since(&self.listing, since),
            Source::Lines(lines) => lines.errors_since(since),
        };
        if !ids.is_empty() {
            self.set_aside_errors(&ids)?;
        }
        Ok(ids.len())
    }

    /// The calls that complete results report; reads all of them once more, so only at the end.
    pub fn calls(&self) -> Vec<Call> {
        match &self.source {
            Source::Dir(files) => files.calls(&self.listing, 0),
            Source::Lines(lines) => lines.calls(0),
        }
    }
}

impl ResultScanner {
    /// What is there: the newest file's time, or the length of the file.
    pub fn mark(&self) -> u64 {
        match &self.source {
            Source::Dir(files) => files.newest(),
            Source::Lines(lines) => lines.length(),
        }
    }

    /// The calls of complete results that came after a mark.
    pub fn calls_after(&self, mark: u64) -> Vec<Call> {
        match &self.source {
            Source::Dir(files) => files.calls(&self.listing, mark),
            Source::Lines(lines) => lines.calls(mark),
        }
    }
}

/// One file per id.
#[derive(Debug)]
struct ResultFiles {
    dir: PathBuf,
    pattern: Pattern,
    valid: Vec<String>,
    seen: HashMap<OsString, Seen>,
    round: u64,
}

#[derive(Debug)]
struct Seen {
    version: Version,
    /// The round in which it was last there.
    round: u64,
    /// Its bytes were read; else they are asked for at each look.
    read: bool,
}

impl ResultFiles {
    fn scan(&mut self, listing: &mut Listing) -> Result<(), FileError> {
        self.round += 1;
        match fs::read_dir(&self.dir) {
            Ok(entries) => {
                for entry in entries {
                    self.look(&entry.map_err(FileError::io("list", &self.dir))?, listing);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(FileError::io("list", &self.dir)(error)),
        }
        let (round, pattern) = (self.round, &self.pattern);
        self.seen.retain(|name, seen| {
            let there = seen.round == round;
            if let (false, Some(id)) = (there, id_in(pattern, name)) {
                listing.results.remove(id);
            }
            there
        });
        Ok(())
    }

    fn look(&mut self, entry: &fs::DirEntry, listing: &mut Listing) {
        let name = entry.file_name();
        let Some(id) = id_in(&self.pattern, &name) else {
            return;
        };
        // Looked at before it is read: a change in between shows at the next look.
        let Ok(itself) = entry.metadata() else {
            return;
        };
        let target = if itself.is_symlink() {
            fs::metadata(entry.path()).ok()
        } else {
            Some(itself.clone())
        };
        let is_file = target.as_ref().is_some_and(Metadata::is_file);
        // A client may keep folders of such names; what else is there would only stand in the way of a result.
        if target.as_ref().is_some_and(Metadata::is_dir) {
            return;
        }
        let version = Version::of(target.as_ref().unwrap_or(&itself));
        let round = self.round;
        if let Some(seen) = self.seen.get_mut(&name)
            && seen.version == version
            && seen.read
        {
            seen.round = round;
            return;
        }
        let read = if is_file {
            read_patiently(&entry.path())
        } else {
            Err(io::Error::other("it is no regular file"))
        };
        // Its disk or server may have had a bad moment: what could not be read is read again before it is set aside.
        let is_read = read.is_ok();
        let parsed = match read {
            Ok(bytes) => parse_result(&bytes, &self.valid),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => Parsed::Torn(format!("it cannot be read: {error}")),
        };
        listing.results.insert(id.to_owned(), parsed);
        let seen = Seen {
            version,
            round,
            read: is_read,
        };
        self.seen.insert(name, seen);
    }

    fn set_aside_torn(&self, listing: &Listing, results: &ResultsPlan) -> Result<usize, FileError> {
        let torn = listing.results.iter();
        let torn = torn.filter(|(_, parsed)| matches!(parsed, Parsed::Torn(_)));
        let mut moved = 0;
        for (id, _) in torn {
            let name = self.pattern.file(id);
            let from = self.dir.join(&name);
            let to = free_place(results, &name)?;
            fs::rename(&from, &to).map_err(FileError::io("set aside", &from))?;
            moved += 1;
        }
        Ok(moved)
    }

    fn errors_since(&self, listing: &Listing, since: SystemTime) -> BTreeSet<String> {
        let late = |id: &str| {
            let seen = self.seen.get(OsStr::new(&self.pattern.file(id)));
            seen.is_some_and(|seen| seen.version.is_since(since))
        };
        let failed = |parsed: &Parsed| matches!(parsed, Parsed::Whole(whole) if whole.failed);
        let results = listing.results.iter();
        let found = results.filter(|(id, parsed)| failed(parsed) && late(id));
        found.map(|(id, _)| id.clone()).collect()
    }

    fn newest(&self) -> u64 {
        let times = self.seen.values().map(|seen| seen.version.written());
        times.max().unwrap_or_default()
    }

    fn calls(&self, listing: &Listing, after: u64) -> Vec<Call> {
        let whole = listing.results.iter();
        let whole = whole.filter(|(_, parsed)| matches!(parsed, Parsed::Whole(_)));
        whole
            .map(|(id, _)| self.pattern.file(id))
            .filter(|name| {
                let seen = self.seen.get(OsStr::new(name));
                after == 0 || seen.is_some_and(|seen| seen.version.written() > after)
            })
            .filter_map(|name| read_at_most(&self.dir.join(name), LARGEST).ok())
            .flat_map(|text| std::str::from_utf8(&text).map_or_else(|_| Vec::new(), calls_of))
            .collect()
    }
}

fn files_in(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let is_file = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| !kind.is_dir());
    entries.filter(is_file).count()
}

/// More than this is no result of one question; read whole, a few of them would fill the memory.
const LARGEST: u64 = 256 * 1024 * 1024;

/// Reads a result; a network file system may fail once and not twice.
pub(super) fn read_patiently(path: &Path) -> io::Result<Vec<u8>> {
    let once = || read_at_most(path, LARGEST);
    once().or_else(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::FileTooLarge => Err(error),
        _ => once().or_else(|_| once()),
    })
}

fn id_in<'a>(pattern: &Pattern, name: &'a OsStr) -> Option<&'a str> {
    pattern.id(name.to_str()?)
}

/// So much of a name is kept, and leaves room for a digest and a number in the 255 bytes of a file's name.
const LONGEST_NAME: usize = 220;

/// A path in `set-aside` that nothing has yet.
pub(super) fn free_place(results: &ResultsPlan, name: &str) -> Result<PathBuf, FileError> {
    let aside = make_books(results)?.join("set-aside");
    fs::create_dir_all(&aside).map_err(FileError::io("create", &aside))?;
    // A name may be as long as a file system bears; a digest tells cut ones apart.
    let name = match name
        .char_indices()
        .find(|(at, c)| at + c.len_utf8() > LONGEST_NAME)
    {
        Some((at, _)) => format!("{}-{}", &name[..at], &sha256(name.as_bytes())[..16]),
        None => name.to_owned(),
    };
    let mut number = 1;
    loop {
        let place = aside.join(format!("{name}.{number}"));
        if place.symlink_metadata().is_err() {
            return Ok(place);
        }
        number += 1;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::eval::{Expected, Progress};

    struct Place {
        dir: tempfile::TempDir,
        results: ResultsPlan,
    }

    impl Place {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let results = ResultsPlan::Dir {
                dir: dir.path().to_string_lossy().into_owned(),
                pattern: "{id}.json".to_owned(),
                valid: vec!["status".to_owned()],
            };
            Self { dir, results }
        }

        fn put(&self, name: &str, text: &str) {
            fs::write(self.dir.path().join(name), text).unwrap();
        }

        fn scanner(&self) -> ResultScanner {
            ResultScanner::new(&self.results, &[], &Finished::Ids).unwrap()
        }
    }

    fn said(listing: &Listing) -> Vec<(&str, bool)> {
        let results = listing.results.iter();
        results
            .map(|(id, parsed)| (id.as_str(), matches!(parsed, Parsed::Whole(_))))
            .collect()
    }

    const DONE: &str = r#"{"status": "done", "correct": true}"#;

    #[test]
    fn results_come_change_and_go() {
        let place = Place::new();
        let mut scanner = place.scanner();
        assert_eq!(said(scanner.scan().unwrap()), []);
        place.put("a.json", DONE);
        place.put("b.json", "{\"stat");
        place.put("c.json.part", DONE);
        fs::create_dir(place.dir.path().join("step_1.json")).unwrap();
        std::os::unix::fs::symlink("nowhere", place.dir.path().join("d.json")).unwrap();
        assert_eq!(
            said(scanner.scan().unwrap()),
            [("a", true), ("b", false), ("d", false)]
        );
        assert_eq!(scanner.set_aside_torn().unwrap(), 2);
        place.put("b.json", DONE);
        assert_eq!(said(scanner.scan().unwrap()), [("a", true), ("b", true)]);
        fs::remove_file(place.dir.path().join("a.json")).unwrap();
        assert_eq!(said(scanner.scan().unwrap()), [("b", true)]);
    }

    #[test]
    fn a_directory_that_is_not_there_has_no_results() {
        let place = Place::new();
        let mut scanner = place.scanner();
        place.put("a.json", DONE);
        scanner.scan().unwrap();
        fs::remove_dir_all(place.dir.path()).unwrap();
        assert_eq!(said(scanner.scan().unwrap()), []);
    }

    #[test]
    fn torn_results_are_moved_and_counted_across_restarts() {
        let place = Place::new();
        place.put("a.json", DONE);
        for _ in 0..2 {
            place.put("b.json", "");
            assert_eq!(place.scanner().set_aside_torn().unwrap(), 1);
        }
        let mut scanner = place.scanner();
        assert_eq!(said(scanner.scan().unwrap()), [("a", true)]);
        assert_eq!(scanner.scan().unwrap().set_aside, 2);
        assert_eq!(scanner.set_aside_torn().unwrap(), 0);
        let aside = place.dir.path().join(".toolorch/set-aside");
        assert!(aside.join("b.json.1").exists() && aside.join("b.json.2").exists());
    }

    fn failed(id: &str) -> String {
        format!("{{\"id\": \"{id}\", \"status\": \"error\"}}")
    }

    #[test]
    fn errors_of_an_outage_are_asked_again_and_earlier_ones_not() {
        let place = Place::new();
        let mut scanner = place.scanner();
        place.put("early.json", &failed("early"));
        let hour = std::time::Duration::from_hours(1);
        let early = fs::File::open(place.dir.path().join("early.json")).unwrap();
        early.set_modified(SystemTime::now() - hour).unwrap();
        place.put("late.json", &failed("late"));
        place.put("good.json", DONE);
        place.put("torn.json", "{");
        let since = SystemTime::now() - hour / 2;
        assert_eq!(scanner.requeue_errors(since).unwrap(), 1);
        let left = ["early", "good"];
        assert!(
            said(scanner.scan().unwrap())
                .iter()
                .map(|(id, _)| *id)
                .eq(left)
        );
        let aside = place
            .dir
            .path()
            .join(".toolorch/set-aside/asked-again/late.json");
        assert_eq!(fs::read_to_string(aside).unwrap(), failed("late"));
    }

    #[test]
    fn lines_of_an_outage_are_taken_out_of_a_results_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("r.jsonl");
        let results = ResultsPlan::Jsonl {
            file: file.to_string_lossy().into_owned(),
        };
        let ids = ["id".to_owned()];
        let good = "{\"id\": \"good\"}";
        fs::write(&file, format!("{good}\n{}\n", failed("early"))).unwrap();
        let mut scanner = ResultScanner::new(&results, &ids, &Finished::Ids).unwrap();
        scanner.scan().unwrap();
        let since = SystemTime::now();
        let mut open = fs::File::options().append(true).open(&file).unwrap();
        let more = format!("{}\n{{\"id\": \"more\"}}\n", failed("late"));
        std::io::Write::write_all(&mut open, more.as_bytes()).unwrap();
        assert_eq!(scanner.requeue_errors(since).unwrap(), 1);
        let left = format!("{good}\n{}\n{{\"id\": \"more\"}}\n", failed("early"));
        assert_eq!(fs::read_to_string(&file).unwrap(), left);
        assert_eq!(scanner.requeue_errors(since).unwrap(), 0);
        let aside = books(&results).join("set-aside/asked-again/r.jsonl");
        assert_eq!(
            fs::read_to_string(aside).unwrap(),
            format!("{}\n", failed("late"))
        );
        // Who came later does not know which lines are older: those that servers or the network caused go.
        let infra = "{\"id\": \"x\", \"status\": \"error\", \"error_type\": \"APITimeoutError\"}";
        fs::write(&file, format!("{left}{infra}\n")).unwrap();
        let mut other = ResultScanner::new(&results, &ids, &Finished::Ids).unwrap();
        assert_eq!(other.requeue_errors(since).unwrap(), 1);
        assert_eq!(fs::read_to_string(&file).unwrap(), left);
    }

    #[test]
    fn the_end_can_be_a_file() {
        let place = Place::new();
        let end = place.dir.path().join("end").to_string_lossy().into_owned();
        let finished = Finished::File(end);
        let mut scanner = ResultScanner::new(&place.results, &[], &finished).unwrap();
        assert!(!scanner.scan().unwrap().finished_file);
        place.put("end", "");
        assert!(!scanner.scan().unwrap().finished_file);
        place.put("end", "x");
        assert!(scanner.scan().unwrap().finished_file);
    }

    #[test]
    fn a_pattern_must_lead_back_to_the_id() {
        let results = ResultsPlan::Dir {
            dir: "/out".to_owned(),
            pattern: "{id}/x.json".to_owned(),
            valid: Vec::new(),
        };
        let error = ResultScanner::new(&results, &[], &Finished::Ids).unwrap_err();
        assert_eq!(
            error,
            "`pattern: {id}/x.json` must be a file name with `{id}` in it"
        );
    }

    #[test]
    fn two_thousand_results_are_looked_at_quickly() {
        let place = Place::new();
        for id in 0..2_000 {
            place.put(&format!("{id}.json"), DONE);
        }
        let ids: Vec<String> = (0..2_000).map(|id: u32| id.to_string()).collect();
        let expected = Expected::new(ids, Finished::Ids);
        let mut scanner = place.scanner();
        scanner.scan().unwrap();
        let started = Instant::now();
        for _ in 0..10 {
            assert_eq!(scanner.scan().unwrap().results.len(), 2_000);
        }
        let each = started.elapsed() / 10;
        assert!(Progress::count(&expected, scanner.scan().unwrap()).finished);
        // Unoptimized, on a busy machine; a release build needs a tenth of it.
        assert!(each.as_millis() < 200, "{each:?}");
    }

    #[test]
    fn a_line_that_never_ends_does_not_fill_the_memory() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("r.jsonl");
        let results = ResultsPlan::Jsonl {
            file: file.to_string_lossy().into_owned(),
        };
        fs::write(&file, "{\"id\": \"a\"}\n").unwrap();
        // A hole of 200 MB, then its end and one more result.
        let open = fs::File::options().write(true).open(&file).unwrap();
        open.set_len(200 << 20).unwrap();
        let mut more = fs::File::options().append(true).open(&file).unwrap();
        std::io::Write::write_all(&mut more, b"\n{\"id\": \"b\"}\n").unwrap();
        let mut scanner = ResultScanner::new(&results, &["id".to_owned()], &Finished::Ids).unwrap();
        let found = said(scanner.scan().unwrap())
            .iter()
            .map(|(id, whole)| format!("{id} {whole}"))
            .collect::<Vec<_>>();
        assert_eq!(found, ["a true", "b true", "line 2 false"]);
        assert_eq!(scanner.calls(), []);
    }

    #[test]
    fn lines_are_read_as_they_come_and_a_torn_end_is_cut() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("r.jsonl");
        let results = ResultsPlan::Jsonl {
            file: file.to_string_lossy().into_owned(),
        };
        let id = ["id".to_owned()];
        let mut scanner = ResultScanner::new(&results, &id, &Finished::Ids).unwrap();
        assert_eq!(said(scanner.scan().unwrap()), []);
        let a = "{\"id\": \"a\", \"calls\": [{\"model\": \"m\"}]}\n";
        fs::write(&file, format!("{a}nope\n{{\"id\": \"b\"}}")).unwrap();
        let seen = [("a", true), ("b", true), ("line 2", false)];
        assert_eq!(said(scanner.scan().unwrap()), seen);
        // A whole line gets its end, so that the next one does not stick to it.
        assert_eq!(scanner.set_aside_torn().unwrap(), 0);
        assert!(fs::read_to_string(&file).unwrap().ends_with("\"b\"}\n"));
        let before = fs::read_to_string(&file).unwrap();
        fs::write(&file, format!("{before}{{\"id\": \"c\", \"st")).unwrap();
        let torn = [
            ("a", true),
            ("b", true),
            ("line 2", false),
            ("line 3", false),
        ];
        assert_eq!(said(scanner.scan().unwrap()), torn);
        assert_eq!(scanner.set_aside_torn().unwrap(), 1);
        assert_eq!(fs::read_to_string(&file).unwrap(), before);
        assert_eq!(said(scanner.scan().unwrap()), seen);
        assert_eq!(scanner.calls().len(), 1);
        // Another file under the name is read from its beginning.
        fs::remove_file(&file).unwrap();
        fs::write(&file, a).unwrap();
        assert_eq!(said(scanner.scan().unwrap()), [("a", true)]);
    }
}
