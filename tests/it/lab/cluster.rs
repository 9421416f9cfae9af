//! A lab that is up for as long as the value lives.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use rustix::process::Signal;

use super::Shape;
use crate::up::scene::{Going, Said, code, kill, until};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab/lab.sh");
const PROGRAM: &str = env!("CARGO_BIN_EXE_toolorch");
/// No call but [`Lab::go`] may take longer, in seconds.
const LONGEST: &str = "100";

/// The cluster; `tests/lab/README.md` describes it.
pub(crate) struct Lab {
    dir: tempfile::TempDir,
}

/// What becomes of a node's cable.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Link {
    /// In again.
    Up,
    /// Out: the node is not there.
    Down,
    /// Everything vanishes, and nobody says so.
    Drop,
    /// Each packet to the node vanishes with this probability.
    Loss(f64),
    /// Nothing vanishes any more.
    Carry,
}

/// What becomes of slurmd or slurmctld.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Service {
    Kill,
    Start,
}

/// What becomes of a node's sshd.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Sshd {
    /// The listener alone: connections stay.
    Kill,
    Start,
    /// The connections alone; what they started lives on.
    Cut,
    /// Another host key than the one that everybody knows.
    NewKey,
}

impl Lab {
    /// The cluster of the log.
    pub(crate) fn up() -> Self {
        Self::shaped(&Shape::default())
    }

    /// A cluster of this shape.
    pub(crate) fn shaped(shape: &Shape) -> Self {
        let uid = rustix::process::getuid();
        assert!(uid.is_root(), "a lab of namespaces needs root");
        let dir = tempfile::Builder::new()
            .prefix("toolorch-lab-")
            .tempdir_in("/var/tmp")
            .unwrap();
        let lab = Self { dir };
        lab.install(&shape.program);
        let said = ended(lab.bounded("up").envs(shape.environment()));
        assert_eq!(said.code, 0, "{}{}", said.out, said.err);
        lab
    }

    /// A place in the lab's folder, which is the same inside.
    pub(crate) fn path(&self, inside: &str) -> PathBuf {
        self.dir.path().join(inside)
    }

    /// The home of `tester`.
    pub(crate) fn home(&self) -> PathBuf {
        self.path("home/tester")
    }

    /// What `tester` gets out of a command on login01, without the last newline. It must succeed.
    #[track_caller]
    pub(crate) fn exec<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> String {
        self.must("exec", &[], words)
    }

    /// The same, however it ends.
    pub(crate) fn run<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Said {
        ended(self.bounded("exec").args(here(self, words)))
    }

    /// The same as `tester` or `other`.
    pub(crate) fn run_as<S: AsRef<OsStr>>(
        &self,
        user: &str,
        words: impl IntoIterator<Item = S>,
    ) -> Said {
        ended(self.bounded("as").arg(user).args(here(self, words)))
    }

    /// What root gets out of a command on login01. It must succeed.
    #[track_caller]
    pub(crate) fn root<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> String {
        self.must("root", &[], words)
    }

    /// What root gets out of a command in a node. It must succeed.
    #[track_caller]
    pub(crate) fn on<S: AsRef<OsStr>>(
        &self,
        node: &str,
        words: impl IntoIterator<Item = S>,
    ) -> String {
        self.must("on", &[node], words)
    }

    /// Starts a command as `tester` on login01.
    pub(crate) fn go<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Going {
        let mut command = plain(SCRIPT);
        command.args(call(self, "exec")).args(here(self, words));
        Going::start(command, &self.path("log"))
    }

    /// Sends a signal to what [`Lab::go`] started, which the child itself only waits for.
    pub(crate) fn signal(going: &Going, signal: Signal) {
        let mut program = going.child.id();
        let began = Instant::now();
        // Each `nsenter` on the way waits for the next one.
        let waits = |pid: u32| {
            let comm = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            comm == "nsenter\n"
        };
        loop {
            let children = format!("/proc/{program}/task/{program}/children");
            let child = || fs::read_to_string(&children).ok()?.trim().parse().ok();
            match until("the program", || Some(waits(program).then(child))) {
                Some(Some(next)) => program = next,
                Some(None) => {
                    assert!(
                        began.elapsed().as_secs() < 60,
                        "it has ended\n{}",
                        going.err()
                    );
                    std::thread::yield_now();
                }
                None => break,
            }
        }
        kill(program, signal);
    }

    /// A power cut.
    #[track_caller]
    pub(crate) fn crash(&self, node: &str) {
        self.must("crash", &[node], NONE);
    }

    /// Starts a node again that crashed.
    #[track_caller]
    pub(crate) fn boot(&self, node: &str) {
        self.must("boot", &[node], NONE);
    }

    #[track_caller]
    pub(crate) fn link(&self, node: &str, link: Link) {
        let words: &[&str] = match link {
            Link::Up => &["up"],
            Link::Down => &["down"],
            Link::Drop => &["drop"],
            Link::Carry => &["nodrop"],
            Link::Loss(probability) => &["loss", &probability.to_string()],
        };
        self.must("link", &[node], words);
    }

    #[track_caller]
    pub(crate) fn sshd(&self, node: &str, sshd: Sshd) {
        let word = match sshd {
            Sshd::Kill => "kill",
            Sshd::Start => "start",
            Sshd::Cut => "cut",
            Sshd::NewKey => "newkey",
        };
        self.must("sshd", &[node], [word]);
    }

    #[track_caller]
    pub(crate) fn slurmd(&self, node: &str, service: Service) {
        self.must("slurmd", &[node], [service.word()]);
    }

    /// Killed within five seconds of a change, it has forgotten the change: see [`Lab::written_down`].
    #[track_caller]
    pub(crate) fn slurmctld(&self, service: Service) {
        self.must("slurmctld", &[], [service.word()]);
    }

    /// Waits until slurmctld has written down what it knows of a job of `tester`, which it does every five seconds. One
    /// that is killed before takes a running job for pending: its node then ends it, and starts it anew under the same id.
    pub(crate) fn written_down(&self, job: &str) {
        let mark = format!("written-down-{job}");
        let comment = format!("Comment={mark}");
        self.exec(["scontrol", "update", &format!("JobId={job}"), &comment]);
        until("slurmctld's state", || {
            let state = fs::read(self.path("slurm/state/job_state")).unwrap_or_default();
            String::from_utf8_lossy(&state)
                .contains(&mark)
                .then_some(())
        });
    }

    /// Ends it, and says so if that fails. `Drop` does the same.
    #[track_caller]
    pub(crate) fn down(&self) {
        let said = ended(&mut self.bounded("down"));
        assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    }

    /// The ends of all logs.
    fn logs(&self) -> String {
        let mut text = String::new();
        for entry in fs::read_dir(self.path("log")).into_iter().flatten() {
            let path = entry.unwrap().path();
            let all = String::from_utf8_lossy(&fs::read(&path).unwrap_or_default()).into_owned();
            let lines: Vec<&str> = all.lines().collect();
            let end = lines[lines.len().saturating_sub(15)..].join("\n");
            writeln!(text, "--- {}\n{end}", path.display()).unwrap();
        }
        text
    }

    #[track_caller]
    fn must<S: AsRef<OsStr>>(
        &self,
        verb: &str,
        place: &[&str],
        words: impl IntoIterator<Item = S>,
    ) -> String {
        let words = here(self, words);
        let said = ended(self.bounded(verb).args(place).args(&words));
        let (code, out, err) = (said.code, &said.out, &said.err);
        assert_eq!(code, 0, "{verb} {place:?} {words:?}\n{out}{err}");
        said.out.trim_end_matches('\n').to_owned()
    }

    /// `lab.sh VERB DIR`, which does not take for ever.
    fn bounded(&self, verb: &str) -> Command {
        let mut command = plain("timeout");
        command.args(["--kill-after=5", LONGEST, SCRIPT]);
        command.args(call(self, verb));
        command
    }

    /// Puts a program where everybody in the lab may run it; its own folder may be root's alone.
    fn install(&self, program: &Path) {
        let place = self.path("bin");
        fs::create_dir(&place).unwrap();
        let place = place.join("toolorch");
        let mode = fs::metadata(program).unwrap().permissions().mode();
        if mode & 0o005 == 0o005 && fs::hard_link(program, &place).is_ok() {
            return;
        }
        fs::copy(program, &place).unwrap();
        fs::set_permissions(&place, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

const NONE: [&str; 0] = [];

impl Service {
    fn word(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Start => "start",
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let said = ended(&mut self.bounded("down"));
        if std::thread::panicking() {
            // Whatever failed, a command or a wait: this is what the daemons have to say about it.
            let _ = std::io::stderr().write_all(self.logs().as_bytes());
            if std::env::var_os("TOOLORCH_E2E_KEEP").is_some() {
                self.dir.disable_cleanup(true);
            }
        } else {
            assert_eq!(said.code, 0, "{}{}", said.out, said.err);
        }
    }
}

fn call(lab: &Lab, verb: &str) -> [OsString; 2] {
    [verb.into(), lab.dir.path().into()]
}

/// The words of a command, in which the program is the lab's own.
fn here<S: AsRef<OsStr>>(lab: &Lab, words: impl IntoIterator<Item = S>) -> Vec<OsString> {
    let own = |word: S| match word.as_ref() {
        word if word == PROGRAM => lab.path("bin/toolorch").into_os_string(),
        word => word.to_owned(),
    };
    words.into_iter().map(own).collect()
}

/// A command with nothing of the caller's environment but where programs are.
fn plain(program: &str) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .stdin(Stdio::null());
    command
}

fn ended(command: &mut Command) -> Said {
    let began = Instant::now();
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Said {
        code: code(output.status),
        out: text(&output.stdout),
        err: text(&output.stderr),
        took: began.elapsed(),
    }
}
