//! One owner per run: who it is, how long it is believed, how another takes over.
//!
//! An epoch is claimed by creating its journal segment, which only one process can do, on NFS too;
//! the lock on `owner.lock` and `owner.json` keep a second `up` from trying.

use std::fs::{self, File, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::StoreError;
use super::atomic::{Mode, read_if_there, sync_dir, write_atomically};
use super::failpoint::failpoint;
use super::journal::{highest_epoch, segment_path};
use super::process::{Life, ProcessId, own_process};
use super::regular::{open_lock, open_regular};
use crate::base::{Epoch, Millis, Timestamp};

/// How long an owner that cannot be looked at is believed after its last heartbeat.
pub const TIME_TO_LIVE: Millis = Millis::from_secs(60);
/// Who owns the run.
pub(super) const OWNER: &str = "owner.json";
/// Held by the owner.
pub(super) const OWNER_LOCK: &str = "owner.lock";
/// The version of `owner.json`.
const FORMAT: u32 = 1;

/// What `owner.json` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerRecord {
    /// The version of this form.
    pub v: u32,
    /// The n-th owner of the run.
    pub epoch: Epoch,
    /// The controller's process.
    pub process: ProcessId,
    /// When it took the run.
    pub since: Timestamp,
    /// When it last said that it lives.
    pub heartbeat: Timestamp,
    /// When it left of its own accord.
    pub left: Option<Timestamp>,
}

impl OwnerRecord {
    /// Whether it must be taken for alive: seen at work on this machine, else by its heartbeat.
    pub fn lives(&self, here: &ProcessId, now: Timestamp) -> bool {
        self.left.is_none()
            && match self.process.life(here) {
                Life::Alive => true,
                Life::Dead => false,
                Life::Stopped | Life::Unknown => now.since(self.heartbeat) < TIME_TO_LIVE,
            }
    }

    /// Its process is here and stopped: whoever continues it has an owner again.
    pub fn is_stopped(&self) -> bool {
        self.process.life(&own_process()) == Life::Stopped
    }

    /// Its process, host and since when.
    fn who(&self) -> String {
        let ProcessId { pid, host, .. } = &self.process;
        format!("process {pid} on `{host}`, since {}", self.since)
    }

    /// The refusal of whoever else wants the run.
    pub fn owned(&self) -> StoreError {
        let pid = self.process.pid;
        let mut who = self.who();
        if self.is_stopped() {
            let patience = TIME_TO_LIVE.as_secs();
            who = format!(
                "{who}, and is stopped: let it go on (kill -CONT {pid}), or try again when it was silent for {patience} s"
            );
        }
        StoreError::Owned { who }
    }

    /// It may hold the run's lock, and has not said for its time to live that it lives: it is stopped, or elsewhere.
    fn is_silent(&self, here: &ProcessId, now: Timestamp) -> bool {
        let unseen = matches!(self.process.life(here), Life::Stopped | Life::Unknown);
        unseen && !self.lives(here, now)
    }
}

/// Who watches a run, as a bystander sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Watch {
    /// Nobody ever did.
    Nobody,
    /// This controller does.
    Alive(OwnerRecord),
    /// This one did, and left or died.
    Gone(OwnerRecord),
}

impl Watch {
    /// Who watches the run in this directory.
    ///
    /// # Errors
    /// `owner.json` cannot be read.
    pub fn look(run_dir: &Path, now: Timestamp) -> Result<Self, StoreError> {
        Ok(match read(run_dir)? {
            None => Self::Nobody,
            Some(record) if record.lives(&own_process(), now) => Self::Alive(record),
            Some(record) => Self::Gone(record),
        })
    }
}

/// The right to change a run; it ends with [`Owner::leave`], with the process, or by a take-over.
#[derive(Debug)]
pub struct Owner {
    dir: PathBuf,
    record: OwnerRecord,
    /// Held for as long as this lives; none where the file system has no locks.
    lock: Option<File>,
}

impl Owner {
    /// Takes the run in this directory, if nobody alive has it.
    ///
    /// # Errors
    /// [`StoreError::Owned`] with who has it, or a file cannot be written.
    pub fn take(run_dir: &Path, now: Timestamp) -> Result<Self, StoreError> {
        let process = own_process();
        let lock = match lock(run_dir)? {
            Lock::Ours(lock) => Some(lock),
            Lock::Absent => None,
            Lock::Busy if held_in_silence(run_dir, &process, now)? => None,
            Lock::Busy => return Err(busy(run_dir, now)?),
        };
        let last = read(run_dir)?;
        // An earlier ownership of this very process ended with its lock.
        let another = |last: &&OwnerRecord| last.process != process && last.lives(&process, now);
        if let Some(last) = last.as_ref().filter(another) {
            return Err(last.owned());
        }
        let seen = last.map_or(Epoch(0), |last| last.epoch);
        let epoch = Epoch(seen.max(highest_epoch(run_dir)?).0 + 1);
        failpoint("owner-before-claim");
        claim(run_dir, epoch, now)?;
        failpoint("owner-after-claim");
        let record = OwnerRecord {
            v: FORMAT,
            epoch,
            process,
            since: now,
            heartbeat: now,
            left: None,
        };
        let owner = Self {
            dir: run_dir.to_owned(),
            record,
            lock,
        };
        owner.write()?;
        failpoint("owner-taken");
        Ok(owner)
    }

    /// Whether an owner holds the run's lock at this moment.
    pub fn is_locked(run_dir: &Path) -> bool {
        let file = open_regular(&run_dir.join(OWNER_LOCK));
        file.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }

    /// Which owner this is.
    pub fn epoch(&self) -> Epoch {
        self.record.epoch
    }

    /// The process that has it: this one.
    pub fn process(&self) -> &ProcessId {
        &self.record.process
    }

    /// The run's directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Looks whether the run is still ours: one small read and one look for a later segment.
    ///
    /// # Errors
    /// [`StoreError::Superseded`] if it is not; the run's directory is gone.
    pub fn still_owner(&self) -> Result<(), StoreError> {
        let ours = self.epoch();
        let record = read(&self.dir)?.ok_or_else(|| StoreError::Gone {
            path: self.dir.clone(),
        })?;
        let next = Epoch(ours.0 + 1);
        // A late heartbeat of an earlier owner can hide a later one's file, never its segment.
        let (theirs, who) = if record.epoch > ours {
            (record.epoch, Some(record.who()))
        } else if segment_path(&self.dir, next).exists() {
            (next, None)
        } else {
            return Ok(());
        };
        Err(StoreError::Superseded { ours, theirs, who })
    }

    /// Says that this owner lives, if it has not said so for a third of [`TIME_TO_LIVE`].
    ///
    /// # Errors
    /// As [`Owner::still_owner`], or the file cannot be written.
    pub fn renew(&mut self, now: Timestamp) -> Result<(), StoreError> {
        if now.since(self.record.heartbeat).0 * 3 < TIME_TO_LIVE.0 {
            return Ok(());
        }
        self.still_owner()?;
        failpoint("owner-before-renew");
        self.record.heartbeat = now;
        self.write()?;
        failpoint("owner-after-renew");
        Ok(())
    }

    /// Gives the run up, so that another can have it at once.
    ///
    /// # Errors
    /// As [`Owner::renew`].
    pub fn leave(mut self, now: Timestamp) -> Result<(), StoreError> {
        self.still_owner()?;
        failpoint("owner-before-leave");
        self.record.left = Some(now);
        self.write()?;
        failpoint("owner-after-leave");
        // Only now: whoever gets the lock must find the file that says that we left.
        drop(self.lock.take());
        Ok(())
    }

    fn write(&self) -> Result<(), StoreError> {
        let text = serde_json::to_string(&self.record)
            .map_err(|error| StoreError::io("write", &owner_path(&self.dir))(error.into()))?;
        write_atomically(&owner_path(&self.dir), text.as_bytes(), Mode::Private)
    }
}

fn owner_path(run_dir: &Path) -> PathBuf {
    run_dir.join(OWNER)
}

fn read(run_dir: &Path) -> Result<Option<OwnerRecord>, StoreError> {
    let path = owner_path(run_dir);
    let Some(text) = read_if_there(&path)? else {
        return Ok(None);
    };
    serde_json::from_str(&text)
        .map(Some)
        .map_err(|error| StoreError::Damaged {
            path,
            line: error.line(),
            why: error.to_string(),
        })
}

/// The epoch that the owner's file names; 0 where it names none.
pub(super) fn claimed_epoch(run_dir: &Path) -> Epoch {
    let record = read(run_dir).ok().flatten();
    record.map_or(Epoch(0), |record| record.epoch)
}

enum Lock {
    Ours(File),
    /// Another process holds it.
    Busy,
    /// The file system has none: the claim of the epoch decides alone.
    Absent,
}

fn lock(run_dir: &Path) -> Result<Lock, StoreError> {
    let path = run_dir.join(OWNER_LOCK);
    let file = open_lock(&path, 0o600).map_err(StoreError::io("open", &path))?;
    Ok(match file.try_lock() {
        Ok(()) => Lock::Ours(file),
        Err(TryLockError::WouldBlock) => Lock::Busy,
        Err(TryLockError::Error(_)) => Lock::Absent,
    })
}

/// Whether the lock is held by the last owner, which is silent, and nobody else has claimed the run since.
fn held_in_silence(run_dir: &Path, here: &ProcessId, now: Timestamp) -> Result<bool, StoreError> {
    let newest = highest_epoch(run_dir)?;
    let last = read(run_dir)?.filter(|last| last.epoch == newest);
    Ok(last.is_some_and(|last| last.is_silent(here, now)))
}

/// Moves an owner's file aside that says nothing, for a run that is to be rebuilt.
///
/// # Errors
/// Somebody holds the run's lock, or the file cannot be moved.
pub fn set_damaged_owner_aside(run_dir: &Path) -> Result<(), StoreError> {
    if !matches!(read(run_dir), Err(StoreError::Damaged { .. })) {
        return Ok(());
    }
    if matches!(lock(run_dir)?, Lock::Busy) {
        let who = "its owner's file is damaged, and its lock is held".to_owned();
        return Err(StoreError::Owned { who });
    }
    let path = owner_path(run_dir);
    fs::rename(&path, path.with_extension("json.damaged"))
        .map_err(StoreError::io("set aside", &path))
}

/// A file of an earlier owner stands there until the new one has written its own: so often it is read again, after a pause.
const LOOKS: usize = 50;
const PAUSE: Duration = Duration::from_millis(20);

/// The error for a run that is taken, or is being taken just now.
fn busy(run_dir: &Path, now: Timestamp) -> Result<StoreError, StoreError> {
    for _ in 0..LOOKS {
        match read(run_dir)? {
            Some(record) if record.lives(&own_process(), now) => return Ok(record.owned()),
            _ if !Owner::is_locked(run_dir) => break,
            _ => std::thread::sleep(PAUSE),
        }
    }
    let who = "it has just begun".to_owned();
    Ok(StoreError::Owned { who })
}

fn claim(run_dir: &Path, epoch: Epoch, now: Timestamp) -> Result<(), StoreError> {
    let path = segment_path(run_dir, epoch);
    let created = fs::File::options()
        .create_new(true)
        .append(true)
        .mode(0o600)
        .open(&path);
    match created {
        Ok(_) => sync_dir(run_dir),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Err(busy(run_dir, now)?),
        Err(error) => Err(StoreError::io("create", &path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::process::start_time;
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn edit(dir: &Path, change: impl Fn(&mut OwnerRecord)) {
        let mut record = read(dir).unwrap().unwrap();
        change(&mut record);
        fs::write(owner_path(dir), serde_json::to_string(&record).unwrap()).unwrap();
    }

    #[test]
    fn a_second_one_is_told_who_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let first = Owner::take(dir.path(), NOW).unwrap();
        let error = Owner::take(dir.path(), NOW).unwrap_err();
        assert_eq!(error.exit_status().code(), 75);
        let who = format!("process {} on `", std::process::id());
        assert!(error.to_string().contains(&who), "{error}");
        first.still_owner().unwrap();
        first.leave(NOW).unwrap();
        assert_eq!(Owner::take(dir.path(), NOW).unwrap().epoch(), Epoch(2));
    }

    #[test]
    fn a_dead_owner_here_is_replaced_at_once() {
        let dir = tempfile::tempdir().unwrap();
        drop(Owner::take(dir.path(), NOW).unwrap());
        let parent = std::os::unix::process::parent_id();
        edit(dir.path(), |record| {
            record.process.pid = parent;
            record.process.start = start_time(parent).unwrap();
        });
        assert!(matches!(
            Owner::take(dir.path(), NOW),
            Err(StoreError::Owned { .. })
        ));
        edit(dir.path(), |record| record.process.start += 1);
        assert!(matches!(Watch::look(dir.path(), NOW), Ok(Watch::Gone(_))));
        assert_eq!(Owner::take(dir.path(), NOW).unwrap().epoch(), Epoch(2));
    }

    #[test]
    fn what_this_process_let_go_it_may_take_again() {
        let dir = tempfile::tempdir().unwrap();
        let first = Owner::take(dir.path(), NOW).unwrap();
        assert!(Owner::take(dir.path(), NOW).is_err(), "it is held");
        drop(first);
        assert_eq!(Owner::take(dir.path(), NOW).unwrap().epoch(), Epoch(2));
    }

    #[test]
    fn an_owner_elsewhere_is_believed_for_its_time_to_live() {
        let dir = tempfile::tempdir().unwrap();
        drop(Owner::take(dir.path(), NOW).unwrap());
        edit(dir.path(), |record| {
            "elsewhere".clone_into(&mut record.process.host);
            "another".clone_into(&mut record.process.boot_id);
        });
        let before = NOW + Millis(TIME_TO_LIVE.0 - 1);
        assert!(Owner::take(dir.path(), before).is_err());
        assert_eq!(
            Owner::take(dir.path(), NOW + TIME_TO_LIVE).unwrap().epoch(),
            Epoch(2)
        );
    }

    #[test]
    fn whoever_lost_the_run_notices_even_behind_a_late_heartbeat() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = Owner::take(dir.path(), NOW).unwrap();
        let ours = read(dir.path()).unwrap().unwrap();
        first.lock = None;
        edit(dir.path(), |record| record.process.start += 1);
        let second = Owner::take(dir.path(), NOW).unwrap();
        let lost = |owner: &Owner| {
            matches!(
                owner.still_owner(),
                Err(StoreError::Superseded {
                    theirs: Epoch(2),
                    ..
                })
            )
        };
        assert!(lost(&first));
        edit(dir.path(), |record| *record = ours.clone());
        assert!(lost(&first));
        second.still_owner().unwrap();
    }

    #[test]
    fn a_heartbeat_is_written_when_it_is_due() {
        let dir = tempfile::tempdir().unwrap();
        let mut owner = Owner::take(dir.path(), NOW).unwrap();
        let beat = || read(dir.path()).unwrap().unwrap().heartbeat;
        owner.renew(NOW + Millis::from_secs(19)).unwrap();
        assert_eq!(beat(), NOW);
        owner.renew(NOW + Millis::from_secs(20)).unwrap();
        assert_eq!(beat(), NOW + Millis::from_secs(20));
    }

    #[test]
    fn a_lost_race_for_the_epoch_is_lost() {
        let dir = tempfile::tempdir().unwrap();
        claim(dir.path(), Epoch(1), NOW).unwrap();
        let error = claim(dir.path(), Epoch(1), NOW).unwrap_err();
        assert_eq!(error.exit_status().code(), 75);
    }
}
