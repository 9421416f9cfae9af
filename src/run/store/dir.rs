//! Where runs live: `$TOOLORCH_HOME/runs/NAME/N/`, and what a run is called.

use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::atomic::{Mode, make_dir, sync_dir, write_atomically};
use super::owner::{OWNER, OWNER_LOCK};
use super::recorded::Recorded;
use super::regular::{NotRegular, open_regular, read_regular_text};
use super::{StoreError, host_name, read_journal};
use crate::base::{ClusterName, ConfigName, RunId, sha256};
use crate::run::{Phase, RunState};

/// The file of a run that names the place of its units' state.
const STATE_ROOT: &str = "state-root";
const PLAN: &str = "plan.json";
const FORMER: &str = "former.json";
const DOWN_LOCK: &str = "down.lock";
const SCRIPTS: &str = "scripts";
const LOGS: &str = "logs";
const REPORT: &str = "report";
const RESULTS: &str = "results.json.gz";

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

    /// The last run of a cluster; one that was copied here is that of another home.
    ///
    /// # Errors
    /// A directory cannot be listed.
    pub fn latest(&self, cluster: &ClusterName) -> Result<Option<RunDir>, StoreError> {
        let mut runs = self.runs_of(cluster)?;
        runs.retain(|run| run.copy_of().is_none());
        Ok(runs.pop())
    }

    /// The run that an `up` goes on with: the last one, or a new one if that is over or there is
    /// none. Two callers at once get the same. A name that is `taken`, as by a run that was moved away from here, is not
    /// given again.
    ///
    /// # Errors
    /// A directory cannot be made, or the last run's journal is damaged.
    pub fn current(
        &self,
        cluster: &ClusterName,
        taken: impl Fn(&RunId) -> bool,
    ) -> Result<RunDir, StoreError> {
        loop {
            if let Some(run) = self.latest(cluster)?
                && !run.is_over()?
            {
                return Ok(run);
            }
            let last = self.runs_of(cluster)?.pop();
            let mut number = last.map_or(0, |last| last.number()) + 1;
            while taken(self.run_dir(cluster, number).id()) {
                number += 1;
            }
            if let Some(run) = self.create(cluster, number)? {
                return Ok(run);
            }
        }
    }

    /// Makes a run's directory, which appears with its name in it; none if another made it first.
    fn create(&self, cluster: &ClusterName, number: u64) -> Result<Option<RunDir>, StoreError> {
        let parent = self.cluster_dir(cluster);
        make_dir(&parent)?;
        self.hide_from_git()?;
        let run = self.run_dir(cluster, number);
        let staged = tempfile::Builder::new()
            .prefix(".toolorch-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(&parent)
            // Of the system's error only the kind: its text names a directory of the moment.
            .map_err(|error| {
                StoreError::io("create a directory in", &parent)(error.kind().into())
            })?;
        for name in [SCRIPTS, LOGS, REPORT] {
            make_dir(&staged.path().join(name))?;
        }
        Recorded::new(run.id.clone(), &run.path, staged.path()).write(staged.path())?;
        match fs::rename(staged.path(), run.path()) {
            Err(_) if run.path().exists() => return Ok(None),
            other => other.map_err(StoreError::io("create", run.path()))?,
        }
        let _ = staged.keep();
        point(&parent.join("latest"), number)?;
        sync_dir(&parent)?;
        Ok(Some(self.run_dir(cluster, number)))
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
        let path = home
            .join("runs")
            .join(cluster.as_str())
            .join(number.to_string());
        let recorded = Recorded::of(&path);
        let copy_of = recorded.as_ref().and_then(|it| it.original(&path));
        let (id, host) = match recorded {
            Some(it) => (it.run, Some(it.host)),
            None => (run_id(cluster, number, &host_name(), &home), None),
        };
        RunDir {
            path,
            id,
            host,
            copy_of,
            cluster: cluster.clone(),
            number,
        }
    }
}

/// The name of a new run, `NAME-N-xxxx`: two clones, or two hosts without a shared disk, never have the same.
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
    host: Option<String>,
    copy_of: Option<PathBuf>,
    cluster: ClusterName,
    number: u64,
}

impl RunDir {
    /// The file that says which run this is. No other directory has the same, so whoever sees it sees this one.
    pub fn record(&self) -> PathBuf {
        self.path.join(Recorded::FILE)
    }

    /// Its absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The directory that holds it and its likes.
    pub fn home(&self) -> Home {
        // HOME/runs/CLUSTER/N
        let path = self.path.ancestors().nth(3).unwrap_or(&self.path);
        Home {
            path: path.to_owned(),
        }
    }

    /// The run's name: the one that it was given when it was made, wherever its directory is now.
    pub fn id(&self) -> &RunId {
        &self.id
    }

    /// The host on which it was made, as far as that is recorded.
    pub fn made_on(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// The run's own directory, where this is a copy of it: nothing that lives is of the copy.
    pub fn copy_of(&self) -> Option<&Path> {
        self.copy_of.as_deref()
    }

    /// Whether this is the directory in which the run was made or last taken, be it seen from another machine: a copy of it
    /// is another one.
    pub fn is_its_own(&self) -> bool {
        Recorded::of(&self.path).is_some_and(|it| it.is_in(&self.path))
    }

    /// Records where the run is now, so that a copy of it can be told.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn keep_record(&self) -> Result<(), StoreError> {
        if Recorded::of(&self.path).is_some_and(|it| it.is_of(&self.path)) {
            return Ok(());
        }
        Recorded::new(self.id.clone(), &self.path, &self.path).write(&self.path)
    }

    /// Refuses where something else stands in the place of a file of the run: it would be taken for one that is not there.
    ///
    /// # Errors
    /// Names it.
    pub fn check_files(&self) -> Result<(), StoreError> {
        for name in [STATE_ROOT, OWNER, OWNER_LOCK, PLAN, DOWN_LOCK] {
            let path = self.path.join(name);
            match open_regular(&path) {
                Err(error) if NotRegular::is(&error) => {
                    return Err(StoreError::io("read", &path)(error));
                }
                _ => {}
            }
        }
        Ok(())
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
        self.path.join(PLAN)
    }

    /// The machines that earlier plans had and the last has not.
    pub fn former(&self) -> PathBuf {
        self.path.join(FORMER)
    }

    /// The scripts that were rendered for it.
    pub fn scripts(&self) -> PathBuf {
        self.path.join(SCRIPTS)
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
        self.path.join(LOGS)
    }

    /// Where a log is now that was begun at this path: the run's directory may have been moved since.
    pub fn log_now(&self, log: &Path) -> PathBuf {
        match log.file_name() {
            Some(name) if !log.exists() => self.logs().join(name),
            _ => log.to_owned(),
        }
    }

    /// Reports.
    pub fn report(&self) -> PathBuf {
        self.path.join(REPORT)
    }

    /// What is kept of its results once it is over.
    pub fn results(&self) -> PathBuf {
        self.path.join(RESULTS)
    }

    /// What is asked of its owner.
    pub fn requests(&self) -> PathBuf {
        self.path.join("requests")
    }

    /// Where its units keep their state, once an owner has said so.
    pub fn state_root(&self) -> Option<PathBuf> {
        let text = read_regular_text(&self.path.join(STATE_ROOT)).ok()?;
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
    run_dir.join(DOWN_LOCK)
}

/// Whether `toolorch down` is at work on the run in this directory.
pub fn is_going_down(run_dir: &Path) -> bool {
    let file = open_regular(&down_lock(run_dir));
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

    fn current(home: &Home) -> RunDir {
        home.current(&cluster(), |_| false).unwrap()
    }

    fn home(path: &Path) -> Home {
        Home::find(Path::new("/"), Some(path))
    }

    fn latest(path: &Path) -> Option<RunDir> {
        home(path).latest(&cluster()).unwrap()
    }

    fn copy(from: &Path, to: &Path) {
        let mut cp = std::process::Command::new("cp");
        let copied = cp.arg("-r").args([from, to]).status();
        assert!(copied.unwrap().success());
    }

    #[test]
    fn a_run_keeps_its_name_where_its_folder_is_moved() {
        let root = tempfile::tempdir().unwrap();
        let (before, after) = (root.path().join("a"), root.path().join("b"));
        let id = current(&home(&before)).id().clone();
        fs::rename(&before, &after).unwrap();
        let moved = latest(&after).unwrap();
        assert_eq!((moved.id(), moved.copy_of()), (&id, None));
        assert_eq!(current(&home(&after)), moved);
        assert_eq!(home(&after).run_named(&id), Some(moved));
        // It is not given again where it was.
        let other = home(&before).current(&cluster(), |name| *name == id);
        let other = other.unwrap();
        assert_eq!(other.number(), 2);
        assert_ne!(*other.id(), id);
        assert_eq!(latest(&after).unwrap().copy_of(), None);
    }

    #[test]
    fn a_copy_is_a_run_of_another_home() {
        let root = tempfile::tempdir().unwrap();
        let (first, moved, copied) = (
            root.path().join("a"),
            root.path().join("b"),
            root.path().join("c"),
        );
        let run = current(&home(&first));
        copy(&first, &copied);
        let seen = home(&copied).runs().unwrap();
        assert_eq!(seen[0].copy_of(), Some(run.path()));
        assert!(run.is_its_own() && !seen[0].is_its_own());
        assert_eq!(seen[0].id(), run.id());
        assert_eq!(latest(&copied), None);
        let own = current(&home(&copied));
        assert_eq!((own.number(), own.copy_of()), (2, None));
        assert_eq!(current(&home(&copied)), own);
        assert_eq!(latest(&first).unwrap(), run, "the original stays one");
        // Whoever takes it after a move says where it is.
        fs::rename(&first, &moved).unwrap();
        latest(&moved).unwrap().keep_record().unwrap();
        copy(&moved, &root.path().join("d"));
        assert_eq!(latest(&root.path().join("d")), None);
    }

    #[test]
    fn a_run_without_a_record_is_named_by_its_journal() {
        let root = tempfile::tempdir().unwrap();
        let run = current(&home(&root.path().join("a")));
        let path = run.path().to_owned();
        fs::remove_file(path.join("run.json")).unwrap();
        assert_eq!(latest(&root.path().join("a")).unwrap().id(), run.id());
        let write = |name: &str| {
            let events = [
                format!(
                    r#"{{"kind":"run-started","run":"{name}","cluster":"hle-oss","plan_sha256":"","version":"0"}}"#
                ),
                r#"{"kind":"owner-took","host":"login","pid":1}"#.to_owned(),
                format!(
                    r#"{{"kind":"launched","unit":"a","generation":1,"handle":{{"launcher":"process","native":"1","address":null,"port":null,"log":"{}/logs/a.log"}}}}"#,
                    path.display()
                ),
            ];
            let lines = (1..).zip(events).map(|(seq, event)| {
                let record = format!(r#"{{"v":1,"seq":{seq},"at":1,"epoch":1,"event":{event}}}"#);
                let crc = crc32fast::hash(record.as_bytes());
                format!("{{\"crc\":\"{crc:08x}\",\"record\":{record}}}\n")
            });
            let lines: String = lines.collect();
            fs::write(path.join("journal.1.jsonl"), lines).unwrap();
        };
        write("hle-oss-1-abcd");
        let named = latest(&root.path().join("a")).unwrap();
        assert_eq!(named.id().as_str(), "hle-oss-1-abcd");
        assert_eq!(named.made_on(), Some("login"));
        copy(&root.path().join("a"), &root.path().join("b"));
        assert_eq!(latest(&root.path().join("b")), None, "a copy");
        fs::rename(root.path().join("a"), root.path().join("c")).unwrap();
        let moved = latest(&root.path().join("c")).unwrap();
        assert_eq!(moved.id().as_str(), "hle-oss-1-abcd");
        fs::rename(root.path().join("c"), root.path().join("a")).unwrap();
        // Directories are called by it.
        write("../../x");
        assert_eq!(latest(&root.path().join("a")).unwrap().id(), run.id());
    }

    #[test]
    fn what_stands_in_the_place_of_a_file_is_named() {
        let root = tempfile::tempdir().unwrap();
        let run = current(&home(root.path()));
        run.check_files().unwrap();
        for name in ["state-root", "owner.json", "owner.lock", "plan.json"] {
            let path = run.path().join(name);
            rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RWXU).unwrap();
            let error = run.check_files().unwrap_err();
            assert_eq!(error.exit_status(), crate::base::ExitStatus::Refused);
            assert_eq!(
                error.to_string(),
                format!(
                    "cannot read `{}`: it is a pipe, not a regular file",
                    path.display()
                )
            );
            fs::remove_file(path).unwrap();
        }
        rustix::fs::mkfifoat(
            rustix::fs::CWD,
            run.path().join("state-root"),
            rustix::fs::Mode::RWXU,
        )
        .unwrap();
        assert_eq!(run.state_root(), None);
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
        let first = current(&home);
        assert_eq!(first.number(), 1);
        assert_eq!(current(&home), first);
        let ended = r#"{"v":1,"seq":1,"at":1,"epoch":1,"event":{"kind":"run-ended","code":0,"summary":""}}"#;
        let crc = crc32fast::hash(ended.as_bytes());
        let line = format!("{{\"crc\":\"{crc:08x}\",\"record\":{ended}}}\n");
        fs::write(first.path().join("journal.1.jsonl"), line).unwrap();
        let second = current(&home);
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
