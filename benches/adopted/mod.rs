//! Many simulated servers in few processes, which a controller takes for replicas that an earlier one started.
//!
//! The unit scripts of real servers are processes of their own; there are none here.

use std::fs;
use std::ops::Range;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Stdio};

use toolorch::base::{Clock as _, ClusterName, Generation, LaunchId, Port, UnitId};
use toolorch::run::store::{Durability, Journal, Owner, RunDir, boot_id, host_name};
use toolorch::run::{Event, Handle};
use toolorch::spec::model::LauncherKind;
use toolorch::world::SystemClock;

use crate::processes::start_time;
use crate::scene::Scene;

/// Processes that end with the bench, however it ends.
pub(crate) struct Children(pub(crate) Vec<Child>);

impl Drop for Children {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // It may have ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The replicas of the model `expert`, on consecutive ports of loopback.
pub(crate) struct Fleet {
    /// What each serves.
    pub(crate) model: &'static str,
    /// Processes.
    pub(crate) hosts: u16,
    /// Servers in each of them.
    pub(crate) each: u16,
    /// The port of the first.
    pub(crate) first_port: u16,
}

impl Fleet {
    /// How many servers there are.
    pub(crate) fn count(&self) -> u16 {
        self.hosts * self.each
    }

    /// Their ports.
    pub(crate) fn ports(&self) -> Range<u16> {
        self.first_port..self.first_port + self.count()
    }

    /// Starts the processes, with these variables.
    pub(crate) fn start(&self, scene: &Scene, run: &RunDir, env: &[(&str, &str)]) -> Children {
        let hosts = (0..self.hosts).map(|host| {
            let first = (self.first_port + host * self.each).to_string();
            let count = self.each.to_string();
            let mut command = scene.toolorch(&["sim", "host", &count, "vllm", "serve", self.model]);
            command
                .args(["--port", &first, "--host", "127.0.0.1"])
                .envs(env.iter().copied())
                .env(
                    "TOOLORCH_UNIT",
                    format!("{}/expert-{}/1/bench", run.id(), host * self.each),
                )
                .stdout(Stdio::null());
            command.spawn().unwrap()
        });
        Children(hosts.collect())
    }

    /// What a controller that was killed has left: journal and state directories.
    pub(crate) fn write_past(&self, scene: &Scene, run: &RunDir, cluster: &str, hosts: &Children) {
        let scripts = run.scripts();
        scene.run(&[
            "render",
            "cluster.yaml",
            "--out",
            &scripts.to_string_lossy(),
        ]);
        let now = SystemClock.now();
        let owner = Owner::take(run.path(), now).unwrap();
        let (mut journal, _) = Journal::open(owner).unwrap();
        let mut note = |event| journal.append(now, event, Durability::Buffered).unwrap();
        note(Event::RunStarted {
            run: run.id().clone(),
            cluster: ClusterName::new(cluster),
            plan_sha256: String::new(),
            version: String::new(),
            rebuilt: false,
        });
        for (number, port) in (0..self.count()).zip(self.ports()) {
            let pid = hosts.0[usize::from(number / self.each)].id();
            let unit = UnitId::new(format!("expert-{number}"));
            let log = run.logs().join(format!("{unit}.1.log"));
            let log = log.to_string_lossy().into_owned();
            write_state(scene, run, &unit, Port(port), pid, &log);
            note(Event::LaunchIntended {
                unit: unit.clone(),
                generation: Generation(1),
                launch: LaunchId::new("bench"),
                script: None,
            });
            note(Event::Launched {
                unit,
                generation: Generation(1),
                handle: Handle {
                    submitted: None,
                    launcher: LauncherKind::Process,
                    native: pid.to_string(),
                    address: None,
                    port: Some(Port(port)),
                    log,
                },
            });
        }
        journal.leave(now).unwrap();
    }
}

fn write_state(scene: &Scene, run: &RunDir, unit: &UnitId, port: Port, pid: u32, log: &str) {
    let root = scene.path("state").join(run.id().as_str());
    let dir = root.join(unit.as_str());
    fs::create_dir_all(&dir).unwrap();
    for dir in [&root, &dir] {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).unwrap();
    }
    let start = start_time(pid);
    let text = format!(
        "format=1\nunit={unit}\nrun={}\ngeneration=1\nepoch=1\nlaunch=bench\nhost={}\nboot={}\nsuper={pid}\n\
         super_start={start}\npid={pid}\nstart={start}\nport={port}\nlog={log}\nphase=running\n",
        run.id(),
        host_name(),
        boot_id()
    );
    fs::write(dir.join("state"), text).unwrap();
}
