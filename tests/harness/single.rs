//! The cluster with one server and a client of twenty lines, and what was seen of it.

use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use super::Scene;
use super::fleet::shipped;
use super::judge::{Ledger, Sentry, finished_twice, living, server_starts};
use super::scene::{Going, Said, kill, until};
use super::small::{self, YAML};
use super::tally::Tally;

const RESULTS: &str = "out";
const LOGS: &str = "home/runs/small/1/logs";

/// A scene, what was done to it, and what it owes.
pub(crate) struct Single {
    pub(crate) scene: Scene,
    questions: usize,
    ledger: Ledger,
    /// Some results were damaged on purpose.
    damaged: bool,
    sentry: Option<Sentry>,
    /// Starts of the server that are due.
    pub(crate) due: usize,
    /// Long periods pass so many times as fast.
    pub(crate) scale: u32,
}

impl Single {
    /// A cluster whose client does what MODE says.
    pub(crate) fn new(mode: &str, questions: usize) -> Self {
        let mut scene = small::scene(mode, questions);
        scene.program = shipped();
        let single = Self {
            scene,
            questions,
            ledger: Ledger::new(RESULTS),
            damaged: false,
            sentry: None,
            due: 1,
            scale: 1,
        };
        single.change(
            "port: 8000 }",
            "port: 8000, restart: { attempts: 20, backoff: 200ms } }",
        );
        single.change("restart: { attempts: 3,", "restart: { attempts: 20,");
        single.change("first_result: 2s", "first_result: 10m");
        single
    }

    /// Changes its YAML.
    pub(crate) fn change(&self, from: &str, to: &str) {
        small::change(&self.scene, from, to);
    }

    /// `up` with these words.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = self.scene.toolorch(words);
        command.env("TOOLORCH_TIME_SCALE", self.scale.to_string());
        command
    }

    /// `up`, under way.
    pub(crate) fn up(&self) -> Going {
        self.scene.go(self.command(&["up", YAML]))
    }

    /// `up` by way of a line of shell, in which it is called `"$@"`.
    pub(crate) fn up_through(&self, shell: &str) -> Going {
        self.through(shell, &["up", YAML])
    }

    /// A command by way of a line of shell, in which it is called `"$@"`.
    pub(crate) fn through(&self, shell: &str, words: &[&str]) -> Going {
        let plain = self.command(words);
        let mut command = Command::new("bash");
        command
            .args(["-c", shell, "bash"])
            .arg(plain.get_program())
            .args(plain.get_args());
        command.current_dir(self.scene.path(""));
        for (name, value) in plain.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.stdin(std::process::Stdio::null());
        self.scene.go(command)
    }

    /// Waits until the client has finished something more.
    pub(crate) fn progress(&mut self) {
        let before = self.scene.results(RESULTS);
        until("a result", || {
            (self.scene.results(RESULTS) > before).then_some(())
        });
        self.ledger.look(&self.scene);
        if self.sentry.is_none() {
            self.sentry = Some(Sentry::new(self.run()));
        }
    }

    /// What was seen of results so far counts no more: some are about to be damaged, and made again.
    pub(crate) fn forget(&mut self) {
        self.ledger = Ledger::new(RESULTS);
        self.damaged = true;
    }

    /// The run's name.
    pub(crate) fn run(&self) -> String {
        self.scene.runs().pop().unwrap()
    }

    /// A process of this unit that lives.
    pub(crate) fn leader(&self, unit: &str) -> Option<u32> {
        living(&self.run()).get(unit)?.values().min().copied()
    }

    /// Each unit with a process of it.
    pub(crate) fn leaders(&self) -> Vec<(String, u32)> {
        let all = living(&self.run()).into_iter();
        all.map(|(unit, launches)| (unit, *launches.values().min().unwrap()))
            .collect()
    }

    /// Waits until this call has the run and has seen all that lives.
    pub(crate) fn watched(&self, up: &Going) {
        let living = self.leaders();
        let pid = up.child.id();
        until("the take-over", || {
            let journal = self.scene.journal("small");
            let took = journal.iter().rposition(|record| {
                record["event"]["kind"] == "owner-took" && record["event"]["pid"] == pid
            })?;
            let seen = |unit: &String| {
                journal[took..].iter().any(|record| {
                    let event = &record["event"];
                    event["kind"] == "started" && event["unit"] == unit.as_str()
                })
            };
            living.iter().all(|(unit, _)| seen(unit)).then_some(())
        });
    }

    /// Ends a unit's first process; a server is due to start once more.
    pub(crate) fn kill(&mut self, unit: &str) -> Instant {
        if unit == "chat-0" {
            self.due += 1;
        }
        let pid = until("a process", || self.leader(unit));
        kill(pid, Signal::KILL);
        Instant::now()
    }

    /// How often the journal has this kind for this unit.
    pub(crate) fn count(&self, kind: &str, unit: &str) -> usize {
        self.events(kind)
            .iter()
            .filter(|event| event["unit"] == unit)
            .count()
    }

    /// The events of this kind.
    pub(crate) fn events(&self, kind: &str) -> Vec<Value> {
        let records = self.scene.journal("small").into_iter();
        let events = records.map(|record| record["event"].clone());
        events.filter(|event| event["kind"] == kind).collect()
    }

    /// Waits until there are more of this kind for this unit than before.
    pub(crate) fn another(&self, kind: &str, unit: &str, before: usize) {
        until(kind, || (self.count(kind, unit) > before).then_some(()));
    }

    /// What `sim fault` does.
    pub(crate) fn fault(&self, words: &[&str]) -> Instant {
        self.scene.expect(0, &[&["sim", "fault"], words].concat());
        Instant::now()
    }

    /// Waits for the end of a call that completes everything, and judges.
    pub(crate) fn finish(self, up: Going, tally: &mut Tally) {
        let said = up.end();
        self.judge(&said, tally);
    }

    /// Judges what a call has left that was to complete everything.
    pub(crate) fn judge(mut self, said: &Said, tally: &mut Tally) {
        if said.code != 0 {
            tally
                .failures
                .push(format!("up ended with {}: {}", said.code, said.err));
        }
        let doubles = self.sentry.take().map(Sentry::end).unwrap_or_default();
        tally.double_starts += doubles.len();
        tally.failures.extend(doubles);
        let starts = server_starts(&self.scene, LOGS)
            .get("chat-0")
            .copied()
            .unwrap_or(0);
        if starts > self.due {
            tally.double_starts += starts - self.due;
            tally
                .failures
                .push(format!("{starts} starts, {} were due", self.due));
        }
        let twice = finished_twice(&self.scene, LOGS, "eval-sums", "SUM_DONE id=");
        if !self.damaged {
            tally.lost += twice.len();
            tally.failures.extend(twice);
        }
        self.ledger.close(&self.scene, self.questions, tally);
        let left = || self.scene.processes();
        if !left().is_empty() {
            self.scene.run(&["down", YAML]);
        }
        until("nothing to be left", || left().is_empty().then_some(()));
        self.scene.assert_nothing_left();
    }

    /// Waits a little longer than anything that must not happen would take.
    pub(crate) fn quiet(time: Duration) {
        std::thread::sleep(time);
    }
}
