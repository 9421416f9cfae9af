//! Reads on in a run's journal as it grows, without reading all of it again.

use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use super::StoreError;
use super::journal::{newest_segment, read_segment, read_with_end, segment_path};
use super::regular::open_regular;
use crate::base::Epoch;
use crate::run::Record;

/// A place in a run's journal, behind the last line that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Follow {
    run_dir: PathBuf,
    epoch: Epoch,
    /// Bytes of the newest segment that were read.
    read: u64,
    /// The number of the next line, once there was one.
    next: Option<u64>,
}

/// What a journal holds behind the last line that was read.
#[derive(Debug, Clone, PartialEq)]
pub enum More {
    /// These lines; mostly none.
    Lines(Vec<Record>),
    /// Something else than lines that follow: another owner, a journal begun anew, damage. All of it is to be read again.
    Anew,
}

impl Follow {
    /// Everything that a run's journal says, and the place behind it.
    ///
    /// # Errors
    /// As [`super::read_journal`].
    pub fn begin(run_dir: PathBuf) -> Result<(Self, Vec<Record>), StoreError> {
        // Before the lines: an owner that comes meanwhile is noticed by the next look.
        let epoch = newest_segment(&run_dir)?;
        let (records, read) = read_with_end(&run_dir)?;
        let next = records.last().map(|record| record.seq + 1);
        let follow = Self {
            run_dir,
            epoch,
            read,
            next,
        };
        Ok((follow, records))
    }

    /// What came since.
    ///
    /// # Errors
    /// The directory or the segment cannot be read.
    pub fn more(&mut self) -> Result<More, StoreError> {
        if newest_segment(&self.run_dir)? != self.epoch {
            return Ok(More::Anew);
        }
        let path = segment_path(&self.run_dir, self.epoch);
        let bytes = match self.grown(&path) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Ok(More::Anew),
            Err(error) => return Err(StoreError::io("read", &path)(error)),
        };
        let Ok(found) = read_segment(&path, &bytes) else {
            return Ok(More::Anew);
        };
        if let (Some(first), Some(next)) = (found.records.first(), self.next)
            && (first.seq != next || first.epoch != self.epoch)
        {
            return Ok(More::Anew);
        }
        self.read += found.whole as u64;
        self.next = (found.records.last()).map_or(self.next, |last| Some(last.seq + 1));
        Ok(More::Lines(found.records))
    }

    /// The bytes behind those that were read; none where there are fewer than that.
    fn grown(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        let mut file = open_regular(path)?;
        let length = file.metadata()?.len();
        if length < self.read {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        if length > self.read {
            file.seek(SeekFrom::Start(self.read))?;
            file.read_to_end(&mut bytes)?;
        }
        Ok(Some(bytes))
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::Write as _;

    use super::*;
    use crate::base::Timestamp;
    use crate::run::Event;
    use crate::run::store::{Durability, Journal, Owner};

    fn event(text: &str) -> Event {
        Event::Alarm {
            alarm: "a".to_owned(),
            unit: None,
            text: text.to_owned(),
        }
    }

    fn journal(dir: &Path) -> Journal {
        let owner = Owner::take(dir, Timestamp(1)).unwrap();
        Journal::open(owner).unwrap().0
    }

    fn add(journal: &mut Journal, text: &str) {
        let at = Timestamp(2);
        journal
            .append(at, event(text), Durability::Buffered)
            .unwrap();
    }

    fn seqs(more: More) -> Option<Vec<u64>> {
        match more {
            More::Lines(records) => Some(records.iter().map(|record| record.seq).collect()),
            More::Anew => None,
        }
    }

    #[test]
    fn what_is_appended_is_read_once() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = journal(dir.path());
        let (mut follow, none) = Follow::begin(dir.path().to_owned()).unwrap();
        assert_eq!(none, []);
        assert_eq!(seqs(follow.more().unwrap()), Some(vec![]));
        add(&mut journal, "one");
        add(&mut journal, "two");
        assert_eq!(seqs(follow.more().unwrap()), Some(vec![1, 2]));
        assert_eq!(seqs(follow.more().unwrap()), Some(vec![]));
        add(&mut journal, "three");
        assert_eq!(seqs(follow.more().unwrap()), Some(vec![3]));
        let (mut another, all) = Follow::begin(dir.path().to_owned()).unwrap();
        assert_eq!(all.len(), 3);
        assert_eq!(another, follow);
        assert_eq!(seqs(another.more().unwrap()), Some(vec![]));
    }

    #[test]
    fn a_line_is_read_when_it_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = journal(dir.path());
        add(&mut journal, "one");
        let (mut follow, _) = Follow::begin(dir.path().to_owned()).unwrap();
        add(&mut journal, "two");
        let path = segment_path(dir.path(), Epoch(1));
        let all = fs::read(&path).unwrap();
        let half = all.len() - 10;
        fs::write(&path, &all[..half]).unwrap();
        assert_eq!(seqs(follow.more().unwrap()), Some(vec![]));
        let mut file = File::options().append(true).open(&path).unwrap();
        file.write_all(&all[half..]).unwrap();
        assert_eq!(seqs(follow.more().unwrap()), Some(vec![2]));
    }

    #[test]
    fn another_owner_a_shorter_file_and_damage_are_read_anew() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = journal(dir.path());
        add(&mut first, "one");
        add(&mut first, "two");
        let path = segment_path(dir.path(), Epoch(1));
        let all = fs::read(&path).unwrap();
        let (follow, _) = Follow::begin(dir.path().to_owned()).unwrap();
        fs::write(&path, &all[..all.len() - 1]).unwrap();
        assert_eq!(seqs(follow.clone().more().unwrap()), None, "shorter");
        fs::write(&path, [&all[..], b"damage\n"].concat()).unwrap();
        assert_eq!(seqs(follow.clone().more().unwrap()), None, "damage");
        fs::write(&path, [&all[..], &all[..]].concat()).unwrap();
        assert_eq!(seqs(follow.clone().more().unwrap()), None, "lines again");
        fs::write(&path, &all).unwrap();
        first.leave(Timestamp(3)).unwrap();
        add(&mut journal(dir.path()), "three");
        assert_eq!(seqs(follow.clone().more().unwrap()), None, "another owner");
    }
}
