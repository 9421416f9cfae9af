//! A cluster on loopback in a folder of its own, and `toolorch` run there.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use toolorch::base::ClusterName;
use toolorch::run::store::{Home, RunDir, read_journal};
use toolorch::run::{Event, Record};

/// A folder with everything that belongs to one measurement.
pub(crate) struct Scene {
    dir: tempfile::TempDir,
}

impl Scene {
    /// A folder with this YAML as `cluster.yaml`.
    pub(crate) fn new(yaml: &str) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("toolorch-bench-")
            .tempdir_in("/var/tmp")
            .unwrap();
        let scene = Self { dir };
        for sub in ["bin", "home", "state", "tmux"] {
            fs::create_dir(scene.path(sub)).unwrap();
        }
        // The name under which the program is vLLM.
        symlink(env!("CARGO_BIN_EXE_toolorch"), scene.path("vllm")).unwrap();
        fs::write(scene.path("cluster.yaml"), yaml).unwrap();
        scene
    }

    pub(crate) fn path(&self, inside: &str) -> PathBuf {
        self.dir.path().join(inside)
    }

    /// The program with this folder's environment; its words go to the file `said`.
    pub(crate) fn toolorch(&self, arguments: &[&str]) -> Command {
        let said = fs::File::options()
            .create(true)
            .append(true)
            .open(self.path("said"))
            .unwrap();
        let path = std::env::var("PATH").unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_toolorch"));
        command
            .args(arguments)
            .current_dir(self.dir.path())
            .env("PATH", format!("{}:{path}", self.path("bin").display()))
            .env("TOOLORCH_HOME", self.path("home"))
            .env("TOOLORCH_STATE", self.path("state"))
            .env("TMUX_TMPDIR", self.path("tmux"))
            .stdin(Stdio::null())
            .stdout(said.try_clone().unwrap())
            .stderr(said);
        command
    }

    /// Runs it to its end, which must be a success.
    pub(crate) fn run(&self, arguments: &[&str]) {
        let status = self.toolorch(arguments).status().unwrap();
        assert!(status.success(), "{arguments:?}: {status}\n{}", self.said());
    }

    pub(crate) fn said(&self) -> String {
        fs::read_to_string(self.path("said")).unwrap_or_default()
    }

    /// The run of this cluster, made if it is not there.
    pub(crate) fn run_dir(&self, cluster: &str) -> RunDir {
        let home = Home::find(Path::new("/"), Some(&self.path("home")));
        home.current(&ClusterName::new(cluster), |_| false).unwrap()
    }

    /// The journal so far.
    pub(crate) fn journal(&self, cluster: &str) -> Vec<Record> {
        read_journal(self.run_dir(cluster).path()).unwrap()
    }

    /// Waits until so many units are ready.
    pub(crate) fn await_ready(&self, cluster: &str, count: usize, child: &mut Child) {
        let began = Instant::now();
        let ready = |records: &[Record]| {
            let events = records.iter().map(|record| &record.event);
            events
                .filter(|event| matches!(event, Event::Ready { .. }))
                .count()
        };
        while ready(&self.journal(cluster)) < count {
            let ended = child.try_wait().unwrap();
            assert!(ended.is_none(), "it ended: {ended:?}\n{}", self.said());
            assert!(
                began.elapsed() < Duration::from_mins(2),
                "not ready\n{}",
                self.said()
            );
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

/// Milliseconds since 1970.
pub(crate) fn wall_ms() -> f64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap().as_secs_f64() * 1000.0
}
