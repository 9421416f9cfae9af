//! An `sshd` of the test's own: loopback, its own keys and configuration, the user who runs the test.

use std::fs::{self, File};
use std::io::Read as _;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::sim::free_port;

/// A running `sshd`, with a client's key, known hosts and configuration beside it.
pub(crate) struct Sshd {
    dir: tempfile::TempDir,
    pub(crate) port: u16,
    /// None after its end: another process may have its number then.
    child: Option<Child>,
}

impl Sshd {
    /// Starts one with these lines before all others.
    pub(crate) fn start(lines: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        keygen(&dir.path().join("host"), &[]);
        keygen(&dir.path().join("id"), &[]);
        fs::copy(
            dir.path().join("id.pub"),
            dir.path().join("authorized_keys"),
        )
        .unwrap();
        let port = free_port();
        write_server(dir.path(), port, lines);
        let child = Some(launch(dir.path(), port));
        let sshd = Self { dir, port, child };
        sshd.know(&sshd.known_line());
        sshd.configure("");
        sshd
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The client's configuration, as `ssh -F` takes it.
    pub(crate) fn config(&self) -> PathBuf {
        self.path("config")
    }

    /// Writes the client's configuration: more lines for `node`, before those that make tests independent of
    /// whoever runs them.
    pub(crate) fn configure(&self, more: &str) {
        let at = |name: &str| self.path(name).display().to_string();
        let text = format!(
            "Host node\n  HostName 127.0.0.1\n  Port {}\n{more}\nHost *\n  IdentityFile {}\n  \
             UserKnownHostsFile {}\n  GlobalKnownHostsFile /dev/null\n  IdentityAgent none\n",
            self.port,
            at("id"),
            at("known_hosts"),
        );
        fs::write(self.config(), text).unwrap();
    }

    /// Replaces the client's known hosts.
    pub(crate) fn know(&self, text: &str) {
        fs::write(self.path("known_hosts"), text).unwrap();
    }

    pub(crate) fn known_hosts(&self) -> String {
        fs::read_to_string(self.path("known_hosts")).unwrap()
    }

    /// `TYPE KEY` of its host key.
    pub(crate) fn host_key(&self) -> String {
        public_key(&self.path("host"))
    }

    pub(crate) fn known_line(&self) -> String {
        format!("[127.0.0.1]:{} {}\n", self.port, self.host_key())
    }

    /// What it says of itself so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap()
    }

    /// How many logins it has let in.
    pub(crate) fn logins(&self) -> usize {
        self.log().matches("Accepted publickey for ").count()
    }

    /// Itself and its connections, each time it is called.
    pub(crate) fn pids(&self) -> impl Fn() -> Vec<u32> + use<> {
        let listener = self.child.as_ref().map(Child::id);
        move || {
            let mut all = Vec::from_iter(listener);
            let mut next = 0;
            while next < all.len() {
                let children = children(all[next]);
                all.extend(children.filter(|pid| is_sshd(*pid)));
                next += 1;
            }
            all
        }
    }

    /// Ends it with all its connections, by KILL.
    pub(crate) fn kill(&mut self) {
        self.pids()().into_iter().for_each(end);
        if let Some(mut child) = self.child.take() {
            child.wait().unwrap();
        }
    }

    /// Starts it again where it was.
    pub(crate) fn restart(&mut self) {
        self.child = Some(launch(self.dir.path(), self.port));
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Makes a key pair: `path` and `path.pub`.
pub(crate) fn keygen(path: &Path, args: &[&str]) {
    let kind: &[&str] = if args.contains(&"-t") {
        &[]
    } else {
        &["-t", "ed25519"]
    };
    let secret: &[&str] = if args.contains(&"-N") {
        &[]
    } else {
        &["-N", ""]
    };
    let status = Command::new("ssh-keygen")
        .args(["-q", "-C", "test", "-f"])
        .arg(path)
        .args(kind)
        .args(secret)
        .args(args)
        .stdin(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
}

/// `TYPE KEY` of a pair.
pub(crate) fn public_key(path: &Path) -> String {
    let text = fs::read_to_string(path.with_extension("pub")).unwrap();
    let words: Vec<&str> = text.split_whitespace().take(2).collect();
    words.join(" ")
}

fn write_server(dir: &Path, port: u16, lines: &[&str]) {
    let at = |name: &str| dir.join(name).display().to_string();
    let text = format!(
        "{}\nListenAddress 127.0.0.1:{port}\nHostKey {}\nAuthorizedKeysFile {}\nSetEnv HOME={}\nPidFile none\nStrictModes no\n\
         UsePAM no\nPermitRootLogin yes\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nLogLevel VERBOSE\n",
        lines.join("\n"),
        at("host"),
        at("authorized_keys"),
        // bash reads `.bashrc` when sshd starts it, and that of whoever runs the tests may take its time.
        dir.display(),
    );
    fs::write(dir.join("sshd_config"), text).unwrap();
}

fn launch(dir: &Path, port: u16) -> Child {
    if rustix::process::getuid().is_root() {
        // sshd confines itself to this empty directory; a service file makes it at boot.
        fs::create_dir_all("/run/sshd").unwrap();
    }
    let log = File::options()
        .create(true)
        .append(true)
        .open(dir.join("log"))
        .unwrap();
    let mut child = Command::new("/usr/sbin/sshd")
        .args(["-D", "-e", "-f"])
        .arg(dir.join("sshd_config"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    let began = Instant::now();
    while !greets(port) {
        assert!(
            child.try_wait().unwrap().is_none(),
            "{}",
            fs::read_to_string(dir.join("log")).unwrap()
        );
        assert!(began.elapsed() < Duration::from_mins(1));
        std::thread::sleep(Duration::from_millis(5));
    }
    child
}

fn greets(port: u16) -> bool {
    let mut banner = [0; 4];
    let read = TcpStream::connect(("127.0.0.1", port))
        .and_then(|mut stream| stream.read_exact(&mut banner));
    read.is_ok() && &banner == b"SSH-"
}

fn children(pid: u32) -> impl Iterator<Item = u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    let pids: Vec<u32> = lists
        .flat_map(|list| {
            list.split_whitespace()
                .map(|pid| pid.parse().unwrap())
                .collect::<Vec<_>>()
        })
        .collect();
    pids.into_iter()
}

fn is_sshd(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.starts_with("sshd"))
}

pub(crate) fn end(pid: u32) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    let _ = kill_process(pid, Signal::KILL);
}
