//! The cluster of the log, in which the controller is killed: 24 replicas, 300 questions.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use super::Scene;
use super::judge::{Ledger, Sentry, count_starts, finished_twice, living};
use super::log_cluster::{self, HLE, Judge, YAML, call};
use super::scene::{Going, Said, kill};
use super::tally::Tally;

/// Long periods pass so many times as fast.
const SCALE: &str = "5";
/// The questions of the log's cluster.
const QUESTIONS: usize = 300;
const LOGS: &str = "home/runs/hle-local/latest/logs";

/// The program as it is shipped.
pub(crate) fn shipped() -> PathBuf {
    program("TOOLORCH_SHIPPED")
}

/// The program with failpoints.
pub(crate) fn with_failpoints() -> PathBuf {
    program("TOOLORCH_FAILPOINTS")
}

fn program(variable: &str) -> PathBuf {
    let named = std::env::var_os(variable).map(PathBuf::from);
    named.unwrap_or_else(|| env!("CARGO_BIN_EXE_toolorch").into())
}

/// The cluster of the log, and what was seen of it.
pub(crate) struct Fleet {
    pub(crate) scene: Scene,
    judge: Judge,
    ledger: Ledger,
    /// Starts that are due for each unit, where more than one is.
    pub(crate) due: BTreeMap<String, usize>,
    sentry: Option<Sentry>,
}

/// How a call of the program ended.
pub(crate) struct Ended {
    pub(crate) said: Said,
    /// How long it took until all that lived before was watched again.
    pub(crate) adopted: Option<Duration>,
}

impl Fleet {
    /// A new cluster whose client asks so many questions at once.
    pub(crate) fn new(concurrency: usize) -> Self {
        let (mut scene, judge) = log_cluster::scene(QUESTIONS, 1);
        scene.program = with_failpoints();
        let yaml = scene.read(YAML);
        let (head, _) = yaml.split_once("  frames:").unwrap();
        let yaml = format!("{head}when_done: keep\n")
            .replace("requests: 100", "requests: 1")
            .replace("concurrency: 64", &format!("concurrency: {concurrency}"));
        scene.write(YAML, &yaml);
        Self {
            scene,
            judge,
            ledger: Ledger::new(HLE),
            due: BTreeMap::new(),
            sentry: None,
        }
    }

    /// The run's name, once it has one.
    pub(crate) fn run(&self) -> Option<String> {
        self.scene.runs().pop()
    }

    /// A process of each unit that lives.
    pub(crate) fn leaders(&self) -> BTreeMap<String, u32> {
        let units = self.run().map(|run| living(&run)).unwrap_or_default();
        let first = |launches: BTreeMap<String, u32>| launches.into_values().min().unwrap();
        units
            .into_iter()
            .map(|(unit, all)| (unit, first(all)))
            .collect()
    }

    /// Calls the program, and does `meanwhile` over and over until it ends.
    pub(crate) fn call(
        &mut self,
        args: &[&str],
        fail: Option<&str>,
        mut meanwhile: impl FnMut(&Self, &Going, bool),
    ) -> Ended {
        let before: Vec<String> = self.leaders().into_keys().collect();
        let epoch = self.epoch() + 1;
        let mut command = call(&self.scene, args);
        command.env("TOOLORCH_TIME_SCALE", SCALE);
        if let Some(fail) = fail {
            command.env("TOOLORCH_FAIL", fail);
        }
        let began = Instant::now();
        let mut going = self.scene.go(command);
        let mut adopted = None;
        while going.child.try_wait().unwrap().is_none() {
            if adopted.is_none() && self.adopted(epoch, &before) {
                adopted = Some(began.elapsed());
            }
            if self.sentry.is_none() {
                self.sentry = self.run().map(Sentry::new);
            }
            meanwhile(self, &going, adopted.is_some());
            std::thread::sleep(Duration::from_millis(20));
        }
        let said = going.end();
        self.ledger.look(&self.scene);
        Ended {
            said,
            adopted: adopted.filter(|_| !before.is_empty()),
        }
    }

    /// How many owners its run has had.
    pub(crate) fn epoch(&self) -> u64 {
        let names = self.scene.names("home/runs/hle-local/latest");
        let number = |name: &String| {
            name.strip_prefix("journal.")?
                .strip_suffix(".jsonl")?
                .parse()
                .ok()
        };
        names.iter().filter_map(number).max().unwrap_or(0)
    }

    /// The owner of this epoch, or one after it, has seen all of these.
    fn adopted(&self, epoch: u64, units: &[String]) -> bool {
        let path = format!("home/runs/hle-local/latest/journal.{epoch}.jsonl");
        let text = std::fs::read_to_string(self.scene.path(&path)).unwrap_or_default();
        let records = text
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let events: Vec<Value> = records
            .map(|line| line["record"]["event"].clone())
            .collect();
        let seen = |unit: &String| {
            events
                .iter()
                .any(|event| event["kind"] == "started" && event["unit"] == unit.as_str())
        };
        let owned = events.iter().any(|event| event["kind"] == "owner-took");
        owned && units.iter().all(seen)
    }

    /// Kills one of the replicas, which is then due to start once more.
    pub(crate) fn kill_replica(&mut self, unit: &str) -> bool {
        let Some(pid) = self.leaders().remove(unit) else {
            return false;
        };
        *self.due.entry(unit.to_owned()).or_insert(1) += 1;
        kill(pid, Signal::KILL);
        true
    }

    /// Brings the run to its end, judges it, and shows that `down` leaves nothing.
    pub(crate) fn finish(mut self, tally: &mut Tally) {
        let ended = self.call(&["up", YAML], None, |_, _, _| ());
        let complete = ended.said.code == 0;
        if !complete {
            let said = &ended.said;
            tally
                .failures
                .push(format!("up ended with {}: {}", said.code, said.err));
        }
        self.settle(tally);
    }

    /// The same of a run that ended already.
    pub(crate) fn settle(mut self, tally: &mut Tally) {
        let doubles = self.sentry.take().map(Sentry::end).unwrap_or_default();
        tally.double_starts += doubles.len();
        tally.failures.extend(doubles);
        count_starts(&self.scene, LOGS, &self.due, tally);
        let servers = super::judge::server_starts(&self.scene, LOGS).len();
        if servers != 24 {
            tally
                .failures
                .push(format!("{servers} of 24 replicas started"));
        }
        let marker = "[HLE_TASK_COMPLETE] id=";
        let twice = finished_twice(&self.scene, LOGS, "eval-hle", marker);
        tally.lost += twice.len();
        tally.failures.extend(twice);
        drop(self.judge);
        let down = self.scene.run(&["down", YAML]);
        if down.code != 0 {
            tally
                .failures
                .push(format!("down ended with {}: {}", down.code, down.err));
        }
        self.ledger.close(&self.scene, QUESTIONS, tally);
        self.scene.assert_nothing_left();
    }
}
