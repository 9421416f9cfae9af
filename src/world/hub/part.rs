//! A file that is being downloaded: what of it is there, and whether it is what the hub says.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::HubError;
use super::turn::TurnNumber;
use crate::base::hex;
use crate::facts::RepoFile;
use crate::plan::weights::Cache;
use crate::run::store::open_own;

/// The bytes of a file that have come so far.
pub(super) struct Part {
    file: File,
    path: PathBuf,
    len: u64,
    digest: Sha256,
}

impl Part {
    /// Goes on where an earlier download ended.
    pub(super) fn open(cache: &Cache, of: &RepoFile, turn: TurnNumber) -> Result<Self, HubError> {
        let path = cache.incomplete(of, turn.number);
        take_over(cache, of, turn, &path)?;
        let mut options = File::options();
        options.create(true).read(true).append(true);
        let file = open_own(&path, &mut options).map_err(HubError::io("open", &path))?;
        let mut part = Self {
            file,
            path,
            len: 0,
            digest: Sha256::new(),
        };
        part.read_again()
            .map_err(HubError::io("read", &part.path))?;
        if part.len > of.size {
            part.empty()?;
        }
        Ok(part)
    }

    fn read_again(&mut self) -> std::io::Result<()> {
        self.file.seek(SeekFrom::Start(0))?;
        let mut buffer = vec![0; 1 << 20];
        loop {
            let read = self.file.read(&mut buffer)?;
            let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else {
                return Ok(());
            };
            self.digest.update(bytes);
            self.len += bytes.len() as u64;
        }
    }

    /// So many bytes are there.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Begins anew.
    pub(super) fn empty(&mut self) -> Result<(), HubError> {
        self.file
            .set_len(0)
            .map_err(HubError::io("empty", &self.path))?;
        self.len = 0;
        self.digest = Sha256::new();
        Ok(())
    }

    /// Adds what came.
    pub(super) fn add(&mut self, bytes: &[u8]) -> Result<(), HubError> {
        self.file
            .write_all(bytes)
            .map_err(HubError::io("write", &self.path))?;
        self.digest.update(bytes);
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Puts the whole file among the blobs; what is not as the hub says is emptied.
    pub(super) fn finish(&mut self, cache: &Cache, of: &RepoFile) -> Result<(), HubError> {
        let found = hex(&self.digest.clone().finalize());
        let why = match of.sha256() {
            _ if self.len != of.size => format!("it has {} bytes, not {}", self.len, of.size),
            Some(said) if said != found => format!("its SHA-256 is {found}, not {said}"),
            _ => {
                self.file
                    .sync_all()
                    .map_err(HubError::io("write", &self.path))?;
                let blob = cache.blob(of);
                return fs::rename(&self.path, &blob).map_err(HubError::io("rename", &self.path));
            }
        };
        self.empty()?;
        Err(HubError::Damaged {
            file: of.path.clone(),
            why,
        })
    }
}

/// Makes what others left of a file ours. Whoever may still write into it keeps its own.
fn take_over(cache: &Cache, of: &RepoFile, turn: TurnNumber, path: &Path) -> Result<(), HubError> {
    let mut others = begun(cache, of);
    others.retain(|part| part.turn != turn.number);
    let Some(most) = others.iter().max_by_key(|part| part.bytes) else {
        return Ok(());
    };
    if turn.has_ended(most.turn) {
        return fs::rename(&most.path, path).map_err(HubError::io("rename", &most.path));
    }
    fs::copy(&most.path, path).map_err(HubError::io("copy", &most.path))?;
    for part in others {
        fs::remove_file(&part.path).map_err(HubError::io("remove", &part.path))?;
    }
    Ok(())
}

/// What came of a file in one turn.
pub(super) struct Begun {
    path: PathBuf,
    turn: u64,
    pub(super) bytes: u64,
}

/// What came of a file so far, in each turn that left some.
pub(super) fn begun(cache: &Cache, of: &RepoFile) -> Vec<Begun> {
    let blobs = cache.blob(of);
    let blobs = blobs.parent().map(fs::read_dir);
    let entries = blobs.and_then(Result::ok).into_iter().flatten().flatten();
    let part = |entry: fs::DirEntry| {
        Some(Begun {
            turn: Cache::turn_of(of, entry.file_name().to_str()?)?,
            path: entry.path(),
            bytes: entry.metadata().ok()?.len(),
        })
    };
    entries.filter_map(part).collect()
}
