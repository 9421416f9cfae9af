//! The body of the SLURM job, with stand-ins for `srun` and `scontrol`.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use toolorch::render::context::{GroupContext, UnitContext};

use super::bytes::{dumping, expected, read, text};
use super::templates::{group, member, renderer};
use crate::unit_script::lab::{kill, python, wait_for, write_unit};

/// `srun` starts its command and hands TERM on, as the real one does.
const SRUN: &str = r#"#!/bin/bash
[[ -z ${SLURM_EXPORT_ENV-} ]] || { echo "SLURM_EXPORT_ENV is still set" >&2; exit 9; }
printf '%s\n' "$*" >>"$SHARE/srun.args"
while [[ $1 == --* ]]; do shift; done
"$@" & child=$!
trap 'kill -TERM $child' TERM
while :; do wait $child; code=$?; kill -0 $child 2>/dev/null || break; done
exit $code
"#;
const SCONTROL: &str = "#!/bin/bash\n[[ $1 != ping ]] || { echo slurmctld is UP; exit; }\nprintf '%s\\n' \"$@\" >\"$SHARE/scontrol.args\"\n";

struct Job {
    dir: tempfile::TempDir,
    run: String,
}

impl Job {
    fn new(context: &GroupContext, units: &[UnitContext]) -> Self {
        let dir = tempfile::Builder::new().prefix("job-").tempdir().unwrap();
        let run = dir
            .path()
            .file_name()
            .unwrap()
            .to_string_lossy()
            .into_owned();
        fs::create_dir_all(dir.path().join("bin")).unwrap();
        for (name, text) in [("srun", SRUN), ("scontrol", SCONTROL)] {
            let path = dir.path().join("bin").join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        for unit in units {
            write_unit(dir.path(), unit);
        }
        fs::write(
            dir.path().join("job.sbatch"),
            renderer().sbatch(context).unwrap(),
        )
        .unwrap();
        Self { dir, run }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self, given: &str) -> Command {
        let mut command = Command::new("bash");
        let path = format!(
            "{}:{}",
            self.path("bin").display(),
            std::env::var("PATH").unwrap()
        );
        command
            .arg(self.path("job.sbatch"))
            .args(["--run", &self.run, "--epoch", "3", "--share"])
            .arg(self.path("share"))
            .env_clear()
            .envs([
                ("PATH", path.as_str()),
                ("SLURM_JOB_ID", "77"),
                ("SLURM_EXPORT_ENV", "NIL"),
                ("CUDA_VISIBLE_DEVICES", given),
            ])
            .env("SLURM_SUBMIT_DIR", self.dir.path())
            .env("SHARE", self.path("share"))
            .env("TOOLORCH_STATE", self.path("state"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        fs::create_dir_all(self.path("share")).unwrap();
        command
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    fn state(&self, unit: &str) -> BTreeMap<String, String> {
        let text = self.read(&format!("state/{}/{unit}/state", self.run));
        text.lines()
            .filter_map(|line| line.split_once('='))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect()
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        for entry in fs::read_dir(self.path("units")).unwrap().flatten() {
            let stop = Command::new("bash")
                .arg(entry.path())
                .args(["stop", "--grace", "0.2", "--run", &self.run])
                .env("TOOLORCH_STATE", self.path("state"))
                .status();
            assert!(stop.unwrap().success());
        }
    }
}

#[test]
fn any_word_and_value_passes_through_the_job() {
    let mut runner = TestRunner::deterministic();
    let mut draw = |least| {
        let texts = proptest::collection::vec(text(), least..8);
        texts.new_tree(&mut runner).unwrap().current()
    };
    let cases: Vec<_> = (0..6)
        .map(|n| (format!("u-{n}"), draw(1), draw(0)))
        .collect();
    let dumps = tempfile::tempdir().unwrap();
    let units: Vec<_> = cases
        .iter()
        .map(|(name, words, values)| dumping(name, &dumps.path().join(name), words, values))
        .collect();
    let context = GroupContext {
        gpus: 0,
        units: cases
            .iter()
            .map(|(name, ..)| member(name, &[], None))
            .collect(),
        ..group()
    };
    let job = Job::new(&context, &units);
    let output = job.command("").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    for (name, words, values) in &cases {
        assert_eq!(read(&dumps.path().join(name)), expected(words, values));
    }
}

#[test]
fn gpus_are_those_that_slurm_gave_and_ports_those_that_are_free() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let line = "import os, sys\nprint(os.environ['CUDA_VISIBLE_DEVICES'], *sys.argv[1:])";
    let unit = |name: &str, port: u16| UnitContext {
        name: name.to_owned(),
        cluster: "c".to_owned(),
        kind: "replica".to_owned(),
        argv: [
            python(),
            "-c",
            line,
            "--port",
            &port.to_string(),
            "--api-port=1",
            "--n",
            &port.to_string(),
        ]
        .map(str::to_owned)
        .to_vec(),
        port: Some(port),
        grace_s: 5,
        ..UnitContext::default()
    };
    let mut members = vec![
        member("a-0", &[0], Some(port)),
        member("a-1", &[2, 0], Some(port + 1)),
    ];
    for member in &mut members {
        member.port_auto = true;
    }
    let context = GroupContext {
        gpus: 3,
        units: members,
        ..group()
    };
    let job = Job::new(&context, &[unit("a-0", port), unit("a-1", port + 1)]);
    let few = job.command("4,5").output().unwrap();
    assert_eq!(few.status.code(), Some(78));
    let output = job.command("4,5,7").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let moved = job.state("a-0")["port"].parse::<u16>().unwrap();
    assert_ne!(moved, port);
    assert_eq!(
        job.read("share/logs/a-0.log"),
        format!("4 --port {moved} --api-port=1 --n {port}\n")
    );
    assert!(job.read("share/logs/a-1.log").starts_with("7,4 --port "));
    let ends = job.read("share/endpoints.j77-0");
    assert!(ends.starts_with("launch=j77-0 host="), "{ends}");
    assert!(
        ends.contains(&format!(" job=77 units=a-0:{moved},a-1:")),
        "{ends}"
    );
    let comment = job.read("share/scontrol.args");
    assert!(
        comment.starts_with("update\nJobId=77\nComment=launch=j77-0 host="),
        "{comment}"
    );
    for line in job.read("share/srun.args").lines() {
        assert!(
            line.starts_with("--export=ALL --overlap --ntasks=1 --nodes=1 bash "),
            "{line}"
        );
    }
    assert_eq!(job.state("a-1")["epoch"], "3");
}

#[test]
fn the_worst_code_is_the_jobs_and_a_signal_stops_all() {
    let unit = |name: &str, line: &str| UnitContext {
        name: name.to_owned(),
        cluster: "c".to_owned(),
        kind: "replica".to_owned(),
        argv: ["sh", "-c", line].map(str::to_owned).to_vec(),
        grace_s: 5,
        ..UnitContext::default()
    };
    let context = GroupContext {
        gpus: 0,
        units: vec![member("a", &[], None), member("b", &[], None)],
        ..group()
    };
    let job = Job::new(&context, &[unit("a", "exit 3"), unit("b", "exit 0")]);
    assert_eq!(job.command("").output().unwrap().status.code(), Some(3));
    let job = Job::new(
        &context,
        &[unit("a", "exec sleep 60"), unit("b", "exec sleep 61")],
    );
    let running = job.command("").spawn().unwrap();
    wait_for("both", || {
        ["a", "b"]
            .iter()
            .all(|name| {
                job.state(name)
                    .get("phase")
                    .is_some_and(|phase| phase == "running")
            })
            .then_some(())
    });
    for _ in 0..2 {
        kill("TERM", running.id());
    }
    let output = running.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(143), "{output:?}");
    for name in ["a", "b"] {
        let state = job.state(name);
        assert_eq!(
            (state["phase"].as_str(), state["requested"].as_str()),
            ("exited", "1")
        );
    }
}
