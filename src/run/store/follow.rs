//! Reads on in a run's journal as it grows, without reading all of it again.

use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;

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
    fn grown(&self, path: &std::path::Path) -> io::Result<Option<Vec<u8>>> {
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
