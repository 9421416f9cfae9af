//! A folder with a cluster, and the program run in it; whatever still runs is ended when it goes.

use std::fs::{self, File};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::Value;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A place of its own: folder, `TOOLORCH_HOME`, `TOOLORCH_STATE`, tmux sockets, and a network `127.N.0.0/16`.
pub(crate) struct Scene {
    dir: tempfile::TempDir,
    /// The `toolorch` that is run.
    pub(crate) program: PathBuf,
    net: u8,
    /// Held while the network is ours.
    _claim: File,
}

/// How a call of the program ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) took: Duration,
}

/// A call of the program that is under way.
pub(crate) struct Going {
    pub(crate) child: Child,
    out: PathBuf,
    err: PathBuf,
    began: Instant,
}

impl Scene {
    /// An empty folder.
    pub(crate) fn new() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("toolorch-e2e-")
            .tempdir_in("/var/tmp")
            .unwrap();
        for sub in ["bin", "home", "state", "tmux"] {
            fs::create_dir(dir.path().join(sub)).unwrap();
        }
        let (net, claim) = claim_network();
        Self {
            dir,
            program: PathBuf::from(env!("CARGO_BIN_EXE_toolorch")),
            net,
            _claim: claim,
        }
    }

    /// A folder with the quickstart and its first `questions` questions.
    pub(crate) fn quickstart(questions: usize) -> Self {
        let scene = Self::new();
        scene.copy("clusters/quickstart", "quickstart");
        let yaml = fs::read_to_string(Path::new(ROOT).join("clusters/quickstart.yaml")).unwrap();
        scene.write("quickstart.yaml", &scene.here(&yaml));
        let all = scene.read("quickstart/questions.jsonl");
        let some: Vec<&str> = all.lines().take(questions).collect();
        scene.write(
            "quickstart/questions.jsonl",
            &format!("{}\n", some.join("\n")),
        );
        scene
    }

    pub(crate) fn path(&self, inside: &str) -> PathBuf {
        self.dir.path().join(inside)
    }

    /// The text with `127.0.` turned into this scene's network.
    pub(crate) fn here(&self, text: &str) -> String {
        text.replace("127.0.", &self.network())
    }

    /// `127.N.`.
    pub(crate) fn network(&self) -> String {
        format!("127.{}.", self.net)
    }

    pub(crate) fn read(&self, inside: &str) -> String {
        fs::read_to_string(self.path(inside)).unwrap_or_else(|error| panic!("{inside}: {error}"))
    }

    pub(crate) fn write(&self, inside: &str, text: &str) {
        let path = self.path(inside);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Copies the files of a folder of the repository.
    pub(crate) fn copy(&self, from: &str, to: &str) {
        fs::create_dir_all(self.path(to)).unwrap();
        for entry in fs::read_dir(Path::new(ROOT).join(from)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                fs::copy(&path, self.path(to).join(path.file_name().unwrap())).unwrap();
            }
        }
    }

    /// The names in a folder, sorted; none if it is not there.
    pub(crate) fn names(&self, inside: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(inside)).into_iter().flatten();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// Names of result files in a folder.
    pub(crate) fn result_names(&self, inside: &str) -> Vec<String> {
        let mut names = self.names(inside);
        names.retain(|name| Path::new(name).extension().is_some_and(|end| end == "json"));
        names
    }

    /// How many result files a folder has.
    pub(crate) fn results(&self, inside: &str) -> usize {
        self.result_names(inside).len()
    }

    /// The program with this scene's environment, in its folder.
    pub(crate) fn toolorch(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        let path = std::env::var("PATH").unwrap();
        command
            .args(args)
            .current_dir(self.dir.path())
            .env_remove("PYTHONUNBUFFERED")
            .env_remove("PYTHONDONTWRITEBYTECODE")
            .env("PATH", format!("{}:{path}", self.path("bin").display()))
            .env("TOOLORCH_HOME", self.path("home"))
            .env("TOOLORCH_STATE", self.path("state"))
            .env("TMUX_TMPDIR", self.path("tmux"))
            .env("TZ", "UTC")
            .stdin(Stdio::null());
        command
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Said {
        self.go(self.toolorch(args)).end()
    }

    /// Runs the program to its end, which must have this exit code.
    pub(crate) fn expect(&self, code: i32, args: &[&str]) -> Said {
        let said = self.run(args);
        assert_eq!(said.code, code, "{args:?}\n{}{}", said.out, said.err);
        said
    }

    /// Starts a command; its output goes to files, so that nobody need read it meanwhile.
    pub(crate) fn go(&self, command: Command) -> Going {
        Going::start(command, self.dir.path())
    }

    /// The names of all runs, such as `quickstart-1-3f2a`.
    pub(crate) fn runs(&self) -> Vec<String> {
        let mut runs = Vec::new();
        for cluster in self.names("home/runs") {
            for number in self.names(&format!("home/runs/{cluster}")) {
                let records = self.records(&format!("home/runs/{cluster}/{number}"));
                let named = records.iter().find_map(|r| r["event"]["run"].as_str());
                runs.extend(named.map(str::to_owned));
            }
        }
        runs.sort();
        runs.dedup();
        runs
    }

    /// The records of the last run's journal, all epochs.
    pub(crate) fn journal(&self, cluster: &str) -> Vec<Value> {
        self.records(&format!("home/runs/{cluster}/latest"))
    }

    fn records(&self, run: &str) -> Vec<Value> {
        let mut records = Vec::new();
        for name in self.names(run) {
            if name.starts_with("journal.") {
                let text = self.read(&format!("{run}/{name}"));
                let lines = text.lines().filter_map(|l| serde_json::from_str(l).ok());
                records.extend(lines.map(|line: Value| line["record"].clone()));
            }
        }
        records
    }

    /// Live processes of this scene, with their command lines: found by marker, environment, command line, folder.
    pub(crate) fn processes(&self) -> Vec<(u32, String)> {
        let own = std::process::id();
        let place = self.dir.path().to_string_lossy().into_owned();
        let marks: Vec<String> = self
            .runs()
            .iter()
            .map(|run| format!("TOOLORCH_UNIT={run}/"))
            .collect();
        let pids = fs::read_dir("/proc").unwrap();
        pids.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter(|pid| *pid != own)
            .filter_map(|pid: u32| {
                let text = |name| {
                    let bytes = fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
                    String::from_utf8_lossy(&bytes).replace('\0', " ")
                };
                let (environ, line) = (text("environ"), text("cmdline"));
                let folder = fs::read_link(format!("/proc/{pid}/cwd")).unwrap_or_default();
                let ours = environ.contains(&place)
                    || line.contains(&place)
                    || folder.starts_with(&place)
                    || marks.iter().any(|mark| environ.contains(mark));
                let zombie = text("stat").contains(") Z ");
                (ours && !zombie).then_some((pid, line))
            })
            .collect()
    }

    /// Listening sockets in this scene's network, by `ss`.
    pub(crate) fn listeners(&self) -> Vec<String> {
        let said = Command::new("ss").args(["-Hltn"]).output().unwrap();
        assert!(said.status.success());
        let text = String::from_utf8(said.stdout).unwrap();
        let local = |line: &str| line.split_whitespace().nth(3).unwrap().to_owned();
        let all = text.lines().map(local);
        all.filter(|local| local.starts_with(&self.network()))
            .collect()
    }

    /// Shows that no process, port or tmux session of this scene is left.
    pub(crate) fn assert_nothing_left(&self) {
        assert_eq!(self.processes(), [], "processes");
        assert_eq!(self.listeners(), [] as [String; 0], "ports");
        let sockets = self.names(&format!("tmux/tmux-{}", rustix::process::getuid()));
        assert_eq!(sockets, [] as [String; 0], "tmux servers");
    }
}

/// Waits until something is so; fails with these words after a minute.
#[track_caller]
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(
            began.elapsed() < Duration::from_mins(1),
            "waited for {what}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        // After a failure only: a test that passes has shown that nothing is left.
        for (pid, _) in self.processes() {
            kill(pid, Signal::KILL);
        }
        if std::thread::panicking() && std::env::var_os("TOOLORCH_E2E_KEEP").is_some() {
            self.dir.disable_cleanup(true);
        }
    }
}

impl Going {
    /// Starts a command whose output goes to files in this folder.
    pub(crate) fn start(mut command: Command, folder: &Path) -> Self {
        let (_, out) = tempfile::NamedTempFile::new_in(folder)
            .unwrap()
            .keep()
            .unwrap();
        let err = out.with_extension("err");
        let child = command
            .stdout(File::create(&out).unwrap())
            .stderr(File::create(&err).unwrap())
            .process_group(0)
            .spawn()
            .unwrap();
        Self {
            child,
            out,
            err,
            began: Instant::now(),
        }
    }

    /// Sends a signal to the program alone.
    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.child.id(), signal);
    }

    /// Sends a signal to the program and to all that it keeps in the foreground, as a terminal does.
    pub(crate) fn signal_group(&self, signal: Signal) {
        let group = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process_group(group, signal).unwrap();
    }

    /// What it said so far on standard error.
    pub(crate) fn err(&self) -> String {
        fs::read_to_string(&self.err).unwrap()
    }

    /// What it said so far on standard output.
    pub(crate) fn out(&self) -> String {
        fs::read_to_string(&self.out).unwrap()
    }

    /// Waits for its end; one that does not come within two minutes fails the test.
    pub(crate) fn end(mut self) -> Said {
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if self.began.elapsed() > Duration::from_mins(2) {
                self.signal(Signal::KILL);
                panic!("it does not end\n{}{}", self.out(), self.err());
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        Said {
            code: code(status),
            out: self.out(),
            err: self.err(),
            took: self.began.elapsed(),
        }
    }
}

/// As a shell would say it: 128 and the signal's number for what a signal ended.
pub(crate) fn code(status: ExitStatus) -> i32 {
    let signal = status.signal().map(|signal| 128 + signal);
    status.code().or(signal).unwrap()
}

/// Sends a signal to a process, which may be gone.
pub(crate) fn kill(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    // It may be gone.
    let _ = kill_process(pid, signal);
}

/// A second octet that no other scene of this machine uses now.
fn claim_network() -> (u8, File) {
    let folder = Path::new("/var/tmp/toolorch-e2e-networks");
    fs::create_dir_all(folder).unwrap();
    for net in 64..=250_u8 {
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(folder.join(net.to_string()))
            .unwrap();
        // A test that was killed may have left servers there.
        let free = flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok();
        if free && !listens(net) {
            return (net, file);
        }
    }
    panic!("no network is free");
}

/// Whether anybody listens in `127.NET.0.0/16`.
fn listens(net: u8) -> bool {
    let sockets = fs::read_to_string("/proc/net/tcp").unwrap();
    // Addresses are written in hex, their last byte first.
    let place = format!("{net:02X}7F:");
    sockets.lines().skip(1).any(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words[1].contains(&place) && words[3] == "0A"
    })
}
