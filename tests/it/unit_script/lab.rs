//! A folder with one unit's script and state; whatever still runs is ended when it goes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::Value;
use toolorch::render::context::{EnvContext, UnitContext, Variable};
use toolorch::render::{LIBRARY, Renderer};

/// One unit with its own state directory.
pub(crate) struct Lab {
    dir: tempfile::TempDir,
    pub(crate) unit: UnitContext,
}

/// Writes the script of a unit, and what it sources, as a rendered folder has them.
pub(crate) fn write_unit(folder: &Path, unit: &UnitContext) -> PathBuf {
    let renderer = Renderer::new(&BTreeMap::new()).unwrap();
    let script = folder.join("units").join(format!("{}.sh", unit.name));
    for (file, text) in [
        (folder.join(LIBRARY), renderer.library()),
        (script.clone(), &renderer.unit(unit).unwrap()),
    ] {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    script
}

/// What a verb printed, and how it ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Lab {
    /// A unit named `u` that runs this command.
    pub(crate) fn new(argv: &[&str]) -> Self {
        Self::with(argv, |_| ())
    }

    /// The same, changed before it is rendered.
    pub(crate) fn with(argv: &[&str], change: impl FnOnce(&mut UnitContext)) -> Self {
        let dir = tempfile::Builder::new().prefix("unit-").tempdir().unwrap();
        let mut unit = UnitContext {
            name: "u".to_owned(),
            cluster: "c".to_owned(),
            kind: "service".to_owned(),
            argv: argv.iter().map(|&word| word.to_owned()).collect(),
            env: EnvContext::default(),
            cwd: Some(dir.path().to_string_lossy().into_owned()),
            open_files: Some(256),
            grace_s: 5,
            ..UnitContext::default()
        };
        change(&mut unit);
        let lab = Self { dir, unit };
        lab.render();
        lab
    }

    /// Writes the script again, after `unit` changed.
    pub(crate) fn render(&self) {
        write_unit(self.path(), &self.unit);
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn script(&self) -> PathBuf {
        self.dir.path().join("units/u.sh")
    }

    /// The run's name, another for each lab: processes are found by it.
    pub(crate) fn run(&self) -> String {
        let name = self.path().file_name().unwrap().to_string_lossy();
        name.trim_start_matches('.').to_owned()
    }

    /// A file of the unit's state directory.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path()
            .join("state")
            .join(self.run())
            .join("u")
            .join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).unwrap_or_default()
    }

    /// The verb with its arguments, in an environment that holds only what a test gives it.
    pub(crate) fn command(&self, words: &str) -> Command {
        let mut command = Command::new("bash");
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.path())
            .env("TOOLORCH_STATE", self.path().join("state"))
            .env("TOOLORCH_CLAIMS", self.path().join("claims"))
            .arg(self.script())
            .args(words.split_whitespace())
            .args(["--run", &self.run()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs a verb to its end.
    pub(crate) fn say(&self, words: &str) -> Said {
        self.command(words).output().unwrap().into()
    }

    /// Starts `run` in the background and waits until the program was started.
    pub(crate) fn start(&self, words: &str) -> Running<'_> {
        let child = self.command(&format!("run {words}")).spawn().unwrap();
        let running = Running {
            lab: self,
            child: Some(child),
        };
        let pid = wait_for("the program's start", || {
            let pid = self.state("pid").filter(|pid| !pid.is_empty())?;
            let environ = fs::read(format!("/proc/{pid}/environ")).ok()?;
            // `setsid` has the same environment as what it starts.
            let comm = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
            (has(&environ, b"TOOLORCH_UNIT=") && comm.trim() != "setsid").then_some(pid)
        });
        assert!(!pid.is_empty());
        running
    }

    /// A value of the state file.
    pub(crate) fn state(&self, key: &str) -> Option<String> {
        let text = fs::read_to_string(self.file("state")).ok()?;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{key}=")))?;
        Some(line.to_owned())
    }

    /// The values of these keys, `key=value` and blanks between.
    pub(crate) fn states(&self, keys: &str) -> String {
        let values = keys.split_whitespace().map(|key| {
            format!(
                "{key}={}",
                self.state(key).unwrap_or_else(|| "?".to_owned())
            )
        });
        values.collect::<Vec<_>>().join(" ")
    }

    pub(crate) fn observe(&self) -> Value {
        let said = self.say("observe");
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said:?}");
        serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {}", said.out))
    }

    /// Processes that work in this lab's folder: the program, its children, and supervisors.
    pub(crate) fn left(&self) -> Vec<String> {
        let folder = self.path().as_os_str().as_encoded_bytes();
        let mut left = Vec::new();
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let proc = entry.path();
            let state = fs::read_to_string(proc.join("stat")).unwrap_or_default();
            let dead = state
                .rsplit_once(") ")
                .is_none_or(|(_, rest)| rest.starts_with(['Z', 'X']));
            if dead {
                continue;
            }
            let cwd = fs::read_link(proc.join("cwd")).unwrap_or_default();
            let environ = fs::read(proc.join("environ")).unwrap_or_default();
            if cwd.starts_with(self.path()) || has(&environ, folder) {
                let cmdline = fs::read(proc.join("cmdline")).unwrap_or_default();
                let cmdline = String::from_utf8_lossy(&cmdline).replace('\0', " ");
                left.push(format!("{} {cmdline}", entry.file_name().to_string_lossy()));
            }
        }
        left
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let said = self.say("stop --grace 0.2");
        if !std::thread::panicking() {
            assert_eq!(said.code, Some(0), "{said:?}");
            let left = eventually(|| self.left().is_empty());
            assert!(left, "left over: {:?}", self.left());
        }
    }
}

/// A supervisor in the background.
pub(crate) struct Running<'a> {
    lab: &'a Lab,
    child: Option<Child>,
}

impl Running<'_> {
    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// The program's own process id.
    pub(crate) fn program(&self) -> u32 {
        self.lab.state("pid").unwrap().parse().unwrap()
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> Said {
        self.child
            .take()
            .unwrap()
            .wait_with_output()
            .unwrap()
            .into()
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            self.lab.say("stop --grace 0.2");
            let _ = child.wait();
        }
    }
}

/// Sends a signal by name to one process.
pub(crate) fn kill(signal: &str, pid: u32) {
    let status = Command::new("kill")
        .args([format!("-{signal}"), pid.to_string()])
        .status();
    assert!(status.unwrap().success(), "kill -{signal} {pid}");
}

/// Is there a process of this number that is not a zombie?
pub(crate) fn lives(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ")
        .is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// Looks until there is a value; 20 s on a loaded machine.
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Does it come true within 5 s?
pub(crate) fn eventually(mut look: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + Duration::from_secs(5);
    while !look() {
        if Instant::now() > end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    true
}

pub(crate) fn variable(name: &str, value: &str) -> Variable {
    Variable {
        name: name.to_owned(),
        value: value.to_owned(),
    }
}

fn has(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// The interpreter itself: `python3` on PATH may be a shell script that changes the environment.
pub(crate) fn python() -> &'static str {
    static PYTHON: OnceLock<String> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let output = Command::new("python3")
            .args(["-c", "import sys; print(sys.executable, end='')"])
            .output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    })
}
