//! Where runs live: `$TOOLORCH_HOME/runs/NAME/N/`, and what a run is called.

use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use super::atomic::{Mode, make_dir, sync_dir, write_atomically};
use super::{StoreError, host_name, read_journal};
use crate::base::{ClusterName, ConfigName, RunId, sha256};
use crate::run::{Phase, RunState};

/// The file of a run that names the place of its units' state.
const STATE_ROOT: &str = "state-root";

/// The directory that holds every run; one per clone of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    path: PathBuf,
}

impl Home {
    /// `$TOOLORCH_HOME` as given in `variable`, else the nearest `.toolorch` in `folder` or above
    /// it, else `.toolorch` in `folder`. Makes nothing.
    pub fn find(folder: &Path, variable: Option<&Path>) -> Self {
        let path = match variable.filter(|path| !path.as_os_str().is_empty()) {
            Some(path) => folder.join(path),
            None => folder
                .ancestors()
                .map(|above| above.join(".toolorch"))
                .find(|path| path.join("runs").is_dir())
                .unwrap_or_else(|| folder.join(".toolorch")),
        };
        Self { path }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The runs of a cluster, oldest first.
    ///
    /// # Errors
    /// A directory cannot be listed, or others could have put there what we would run.
    pub fn runs_of(&self, cluster: &ClusterName) -> Result<Vec<RunDir>, StoreError> {
        let dir = self.cluster_dir(cluster);
        for place in [&self.path, &self.path.join("runs"), &dir] {
            must_be_ours(place)?;
        }
        let numbers = names(&dir)?
            .into_iter()
            .filter_map(|name| name.parse().ok());
        let mut runs: Vec<RunDir> = numbers
            .map(|number| self.run_dir(cluster, number))
            .collect();
        runs.sort_unstable_by_key(RunDir::number);
        Ok(runs)
    }

    /// All runs, by cluster, oldest first.
    ///
    /// # Errors
    /// A directory cannot be listed.
    pub fn runs(&self) -> Result<Vec<RunDir>, StoreError> {
        let mut clusters = names(&self.path.join("runs"))?;
        clusters.sort_unstable();
        let mut runs = Vec::new();
        for cluster in clusters {
            runs.extend(self.runs_of(&ClusterName::new(cluster))?);
        }
        Ok(runs)
    }

    /// A run's directory by its name, whether it exists or not; none if the name is no run's of this home.
    pub fn run_named(&self, id: &RunId) -> Option<RunDir> {
        let (rest, _) = id.as_str().rsplit_once('-')?;
        let (cluster, number) = rest.rsplit_once('-')?;
        let run = self.run_dir(&ClusterName::new(cluster), number.parse().ok()?);
        (run.id() == id).then_some(run)
    }

    /// The last run of a cluster.
    ///
    /// # Errors
    /// A directory cannot be listed.
    pub fn latest(&self, cluster: &ClusterName) -> Result<Option<RunDir>, StoreError> {
        Ok(self.runs_of(cluster)?.pop())
    }

    /// The run that an `up` goes on with: the last one, or a new one if that is over or there is
    /// none. Two callers at once get the same.
    ///
    /// # Errors
    /// A directory cannot be made, or the last run's journal is damaged.
    pub fn current(&self, cluster: &ClusterName) -> Result<RunDir, StoreError> {
        loop {
            let number = match self.latest(cluster)? {
                Some(run) if !run.is_over()? => return Ok(run),
                Some(run) => run.number() + 1,
                None => 1,
            };
            if let Some(run) = self.create(cluster, number)? {
                return Ok(run);
            }
        }
    }

    /// Makes a run's directory; none if another made it first.
    fn create(&self, cluster: &ClusterName, number: u64) -> Result<Option<RunDir>, StoreError> {
        let parent = self.cluster_dir(cluster);
        make_dir(&parent)?;
        self.hide_from_git()?;
        let run = self.run_dir(cluster, number);
        match DirBuilder::new().mode(0o700).create(run.path()) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(None),
            other => other.map_err(StoreError::io("create", run.path()))?,
        }
        for path in [run.scripts(), run.logs(), run.report()] {
            make_dir(&path)?;
        }
        point(&parent.join("latest"), number)?;
        sync_dir(&parent)?;
        Ok(Some(run))
    }

    /// A client's git state must not change because we keep our books beside it.
    fn hide_from_git(&self) -> Result<(), StoreError> {
        let ignore = self.path.join(".gitignore");
        if ignore.exists() {
            return Ok(());
        }
        write_atomically(&ignore, b"*\n", Mode::Private)
    }

    fn cluster_dir(&self, cluster: &ClusterName) -> PathBuf {
        self.path.join("runs").join(cluster.as_str())
    }

    fn run_dir(&self, cluster: &ClusterName, number: u64) -> RunDir {
        // Symbolic links must not give one run two names.
        let home = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        RunDir {
            path: home
                .join("runs")
                .join(cluster.as_str())
                .join(number.to_string()),
            id: run_id(cluster, number, &host_name(), &home),
            cluster: cluster.clone(),
            number,
        }
    }
}

/// `NAME-N-xxxx`: two clones, or two hosts without a shared disk, never have the same.
fn run_id(cluster: &ClusterName, number: u64, host: &str, home: &Path) -> RunId {
    let mut whose = host.as_bytes().to_vec();
    whose.push(0);
    whose.extend_from_slice(home.as_os_str().as_encoded_bytes());
    RunId::new(format!("{cluster}-{number}-{}", &sha256(&whose)[..4]))
}

/// The directory of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunDir {
    path: PathBuf,
    id: RunId,
    cluster: ClusterName,
    number: u64,
}

impl RunDir {
    /// Its absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The run's name.
    pub fn id(&self) -> &RunId {
        &self.id
    }

    /// The cluster's name.
    pub fn cluster(&self) -> &ClusterName {
        &self.cluster
    }

    /// Counts the cluster's runs from 1.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The plan that it follows.
    pub fn plan(&self) -> PathBuf {
        self.path.join("plan.json")
    }

    /// The scripts that were rendered for it.
    pub fn scripts(&self) -> PathBuf {
        self.path.join("scripts")
    }

    /// The copy of a client configuration: `model_config.json`, or `model_config.NAME.json`.
    pub fn client_config(&self, name: &ConfigName) -> PathBuf {
        match name.as_str() {
            "default" => self.path.join("model_config.json"),
            name => self.path.join(format!("model_config.{name}.json")),
        }
    }

    /// The units' logs.
    pub fn logs(&self) -> PathBuf {
        self.path.join("logs")
    }

    /// Reports.
    pub fn report(&self) -> PathBuf {
        self.path.join("report")
    }

    /// What is asked of its owner.
    pub fn requests(&self) -> PathBuf {
        self.path.join("requests")
    }

    /// Where its units keep their state, once an owner has said so.
    pub fn state_root(&self) -> Option<PathBuf> {
        let text = fs::read_to_string(self.path.join(STATE_ROOT)).ok()?;
        Some(PathBuf::from(text.trim_end_matches('\n')))
    }

    /// Keeps where its units keep their state: a second place would have locks and fences of its own.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn keep_state_root(&self, root: &Path) -> Result<(), StoreError> {
        if self.state_root().as_deref() == Some(root) {
            return Ok(());
        }
        let text = format!("{}\n", root.display());
        write_atomically(&self.path.join(STATE_ROOT), text.as_bytes(), Mode::Private)
    }

    /// The file that `toolorch down` locks while it is at work.
    pub fn down_lock(&self) -> PathBuf {
        down_lock(&self.path)
    }

    /// Whether `toolorch down` is at work.
    pub fn is_going_down(&self) -> bool {
        is_going_down(&self.path)
    }

    /// Whether its journal says that it is over.
    ///
    /// # Errors
    /// The journal is damaged or cannot be read.
    pub fn is_over(&self) -> Result<bool, StoreError> {
        let state = RunState::fold(&read_journal(&self.path)?);
        Ok(matches!(state.phase, Phase::Ended(_)))
    }
}

fn down_lock(run_dir: &Path) -> PathBuf {
    run_dir.join("down.lock")
}

/// Whether `toolorch down` is at work on the run in this directory.
pub fn is_going_down(run_dir: &Path) -> bool {
    let file = fs::File::open(down_lock(run_dir));
    file.is_ok_and(|file| matches!(file.try_lock_shared(), Err(fs::TryLockError::WouldBlock)))
}

/// Refuses a directory in which others could put scripts that we would run; one that does not exist is none.
fn must_be_ours(dir: &Path) -> Result<(), StoreError> {
    let found = match fs::metadata(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        other => other.map_err(StoreError::io("look at", dir))?,
    };
    let why = if found.uid() != rustix::process::geteuid().as_raw() {
        format!("it belongs to another user (id {})", found.uid())
    } else if found.mode() & 0o022 != 0 {
        let mode = found.mode() & 0o777;
        format!("others can write in it (mode {mode:o}): `chmod go-w` it")
    } else {
        return Ok(());
    };
    let path = dir.to_owned();
    Err(StoreError::NotOurs { path, why })
}

/// The names in a directory; none if it does not exist.
fn names(dir: &Path) -> Result<Vec<String>, StoreError> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(StoreError::io("list", dir))?,
    };
    entries
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<std::io::Result<_>>()
        .map_err(StoreError::io("list", dir))
}

/// Points a symbolic link at a run, by rename, so that it always leads somewhere.
fn point(link: &Path, number: u64) -> Result<(), StoreError> {
    let fresh = link.with_extension(format!("{}", std::process::id()));
    std::os::unix::fs::symlink(number.to_string(), &fresh)
        .and_then(|()| fs::rename(&fresh, link))
        .map_err(StoreError::io("link", link))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster() -> ClusterName {
        ClusterName::new("hle-oss")
    }

    #[test]
    fn home_is_the_variable_else_the_nearest_above() {
        let root = tempfile::tempdir().unwrap();
        let deep = root.path().join("a/b");
        fs::create_dir_all(&deep).unwrap();
        let found = |variable: Option<&str>| {
            let home = Home::find(&deep, variable.map(Path::new));
            home.path().strip_prefix(root.path()).unwrap().to_owned()
        };
        assert_eq!(found(None), Path::new("a/b/.toolorch"));
        fs::create_dir_all(root.path().join("a/.toolorch/runs")).unwrap();
        assert_eq!(found(None), Path::new("a/.toolorch"));
        assert_eq!(found(Some("x")), Path::new("a/b/x"));
        assert_eq!(found(Some("")), Path::new("a/.toolorch"));
    }

    #[test]
    fn a_run_goes_on_until_it_is_over() {
        let root = tempfile::tempdir().unwrap();
        let home = Home::find(root.path(), None);
        assert_eq!(home.latest(&cluster()).unwrap(), None);
        let first = home.current(&cluster()).unwrap();
        assert_eq!(first.number(), 1);
        assert_eq!(home.current(&cluster()).unwrap(), first);
        let ended = r#"{"v":1,"seq":1,"at":1,"epoch":1,"event":{"kind":"run-ended","code":0,"summary":""}}"#;
        let crc = crc32fast::hash(ended.as_bytes());
        let line = format!("{{\"crc\":\"{crc:08x}\",\"record\":{ended}}}\n");
        fs::write(first.path().join("journal.1.jsonl"), line).unwrap();
        let second = home.current(&cluster()).unwrap();
        assert_eq!(second.number(), 2);
        assert_eq!(home.run_named(first.id()), Some(first.clone()));
        assert_eq!(home.run_named(&RunId::new("hle-oss-1-elsewhere")), None);
        assert_eq!(home.run_named(&RunId::new("by-hand")), None);
        assert_eq!(home.runs().unwrap(), [first, second]);
        let latest = fs::read_link(home.path().join("runs/hle-oss/latest")).unwrap();
        assert_eq!(latest, Path::new("2"));
    }

    #[test]
    fn two_clones_and_two_hosts_have_other_names() {
        let id = |host, home| run_id(&cluster(), 3, host, Path::new(home));
        assert_eq!(id("login", "/a/.toolorch"), id("login", "/a/.toolorch"));
        assert_ne!(id("login", "/a/.toolorch"), id("login", "/b/.toolorch"));
        assert_ne!(id("login", "/a/.toolorch"), id("other", "/a/.toolorch"));
        assert!(id("login", "/a").as_str().starts_with("hle-oss-3-"));
    }
}
