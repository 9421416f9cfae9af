//! One download at a time per repository and cache, also over network file systems: whose turn it is.
//!
//! A turn is taken by creating a file with the next number, which only one process can do, on NFS too. Whoever has it says every
//! 20 s that it lives.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::HubError;
use crate::base::{Clock as _, Timestamp};
use crate::run::store::{
    Life, Mode, ProcessId, TIME_TO_LIVE, own_process, read_regular_text, write_atomically,
};
use crate::world::{SystemClock, lasts};

/// Who downloads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Holder {
    v: u32,
    /// Its process.
    pub(super) process: ProcessId,
    /// When it began.
    pub(super) since: Timestamp,
    heartbeat: Timestamp,
    /// It ended of its own accord.
    left: bool,
}

/// Which turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TurnNumber {
    /// From 1.
    pub(super) number: u64,
    /// Whoever had the turn before is known to have ended, and was not only silent.
    follows: bool,
}

impl TurnNumber {
    /// Whether nobody of an earlier turn can write any more.
    pub(super) fn has_ended(self, earlier: u64) -> bool {
        self.follows && earlier + 1 == self.number
    }
}

/// The right to download; it ends when it is dropped, with the process, or a minute after it was last heard of elsewhere.
#[derive(Debug)]
pub(super) struct Turn {
    books: PathBuf,
    number: TurnNumber,
    holder: Holder,
}

/// Somebody has the turn whom nobody here can look at: believed for as long as it is heard of.
#[derive(Debug, Default)]
pub(super) struct Patience {
    last: Option<(u64, Option<Timestamp>)>,
    since: Option<Instant>,
}

impl Patience {
    /// Whether nothing was heard for the time to live, by the clock of whoever waits: clocks of two machines may differ.
    fn ends(&mut self, number: u64, heartbeat: Option<Timestamp>) -> bool {
        let seen = Some((number, heartbeat));
        if self.last != seen {
            self.last = seen;
            self.since = Some(Instant::now());
        }
        self.since
            .is_some_and(|since| since.elapsed() >= lasts(TIME_TO_LIVE))
    }
}

impl Turn {
    /// Takes the turn, or says who has it; none where that cannot be read yet.
    pub(super) fn take(
        books: &Path,
        patience: &mut Patience,
    ) -> Result<Result<Self, Option<Holder>>, HubError> {
        let newest = newest(books)?;
        let mut follows = false;
        if newest > 0 {
            let holder = read(books, newest);
            let life = holder
                .as_ref()
                .map(|holder| holder.process.life(&own_process()));
            follows = life == Some(Life::Dead) || holder.as_ref().is_some_and(|holder| holder.left);
            let heartbeat = holder.as_ref().map(|holder| holder.heartbeat);
            let over = follows || (life != Some(Life::Alive) && patience.ends(newest, heartbeat));
            if !over {
                return Ok(Err(holder));
            }
        }
        let now = SystemClock.now();
        let turn = Self {
            books: books.to_owned(),
            number: TurnNumber {
                number: newest + 1,
                follows,
            },
            holder: Holder {
                v: 1,
                process: own_process(),
                since: now,
                heartbeat: now,
                left: false,
            },
        };
        let path = path(books, turn.number.number);
        match File::options().create_new(true).write(true).open(&path) {
            Ok(_) => {}
            // Another was quicker.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(Err(None)),
            Err(error) => return Err(HubError::io("create", &path)(error)),
        }
        turn.write()?;
        for older in numbers(books)?
            .into_iter()
            .filter(|older| *older < turn.number.number)
        {
            // Whoever comes next tries again.
            let _ = fs::remove_file(self::path(books, older));
        }
        Ok(Ok(turn))
    }

    /// Which it is.
    pub(super) fn number(&self) -> TurnNumber {
        self.number
    }

    /// Whether nobody has taken this process for dead.
    pub(super) fn is_ours(&self) -> Result<(), HubError> {
        if newest(&self.books)? == self.number.number {
            Ok(())
        } else {
            Err(HubError::Superseded)
        }
    }

    /// Says for as long as it is asked that this process lives; returns only when another has the turn.
    pub(super) async fn keep(&mut self) -> HubError {
        loop {
            tokio::time::sleep(lasts(TIME_TO_LIVE) / 3).await;
            if let Err(error) = self.renew() {
                return error;
            }
        }
    }

    fn renew(&mut self) -> Result<(), HubError> {
        self.is_ours()?;
        self.holder.heartbeat = SystemClock.now();
        self.write()
    }

    fn write(&self) -> Result<(), HubError> {
        let path = path(&self.books, self.number.number);
        let text = serde_json::to_string(&self.holder)
            .map_err(|error| HubError::io("write", &path)(error.into()))?;
        write_atomically(&path, text.as_bytes(), Mode::Shared)?;
        Ok(())
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if newest(&self.books).is_ok_and(|newest| newest == self.number.number) {
            self.holder.left = true;
            // Who waits sees that this process is gone.
            let _ = self.write();
        }
    }
}

fn path(books: &Path, number: u64) -> PathBuf {
    books.join(format!("turn.{number}.json"))
}

fn read(books: &Path, number: u64) -> Option<Holder> {
    serde_json::from_str(&read_regular_text(&path(books, number)).ok()?).ok()
}

/// The number of the last turn; 0 before the first.
fn newest(books: &Path) -> Result<u64, HubError> {
    Ok(numbers(books)?.into_iter().max().unwrap_or_default())
}

fn numbers(books: &Path) -> Result<Vec<u64>, HubError> {
    let entries = fs::read_dir(books).map_err(HubError::io("read", books))?;
    let number = |name: &str| {
        name.strip_prefix("turn.")?
            .strip_suffix(".json")?
            .parse()
            .ok()
    };
    let numbers = entries
        .flatten()
        .filter_map(|entry| number(entry.file_name().to_str()?));
    Ok(numbers.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(books: &Path) -> Result<Turn, Option<Holder>> {
        Turn::take(books, &mut Patience::default()).unwrap()
    }

    fn edit(turn: Turn, change: impl Fn(&mut Holder)) {
        let mut turn = std::mem::ManuallyDrop::new(turn);
        change(&mut turn.holder);
        turn.write().unwrap();
    }

    #[test]
    fn one_at_a_time_and_the_next_when_it_ends() {
        let dir = tempfile::tempdir().unwrap();
        let first = take(dir.path()).unwrap();
        let holder = take(dir.path()).unwrap_err().unwrap();
        assert_eq!(holder.process, own_process());
        drop(first);
        let second = take(dir.path()).unwrap();
        assert_eq!(second.number.number, 2);
        assert!(second.number.has_ended(1));
        assert_eq!(numbers(dir.path()).unwrap(), [2], "older ones go");
    }

    #[test]
    fn a_dead_one_is_replaced_at_once_and_a_silent_one_elsewhere_after_a_minute() {
        let dir = tempfile::tempdir().unwrap();
        edit(take(dir.path()).unwrap(), |holder| {
            holder.process.start += 1;
        });
        let second = take(dir.path()).unwrap();
        edit(second, |holder| {
            "elsewhere".clone_into(&mut holder.process.host);
            "another".clone_into(&mut holder.process.boot_id);
        });
        let mut patience = Patience::default();
        let mut take = || Turn::take(dir.path(), &mut patience).unwrap();
        assert_eq!(take().unwrap_err().unwrap().process.host, "elsewhere");
        // A minute ago, by this machine's clock.
        patience.since = Instant::now().checked_sub(lasts(TIME_TO_LIVE));
        let third = Turn::take(dir.path(), &mut patience).unwrap().unwrap();
        assert!(!third.number.has_ended(2), "it may go on");
    }

    #[test]
    fn whoever_was_taken_for_dead_notices() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = take(dir.path()).unwrap();
        first.renew().unwrap();
        let path = path(dir.path(), 2);
        fs::write(&path, "").unwrap();
        assert!(matches!(first.renew(), Err(HubError::Superseded)));
        drop(first);
        assert_eq!(
            fs::read_to_string(path).unwrap(),
            "",
            "another's is left alone"
        );
    }
}
