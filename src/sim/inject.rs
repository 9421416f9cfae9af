//! Does something to a unit of a run, by hand or by a timeline.

use std::fmt;
use std::io::Write as _;
use std::time::Duration;

use rustix::process::Signal;

use super::act::{Act, Blow, may_be_simulated};
use super::control::{self, Reply, Wish};
use super::tearing::tear;
use super::timed::{Happens as _, Length, Timed, written};
use crate::base::{Millis, UnitId, bracketed};
use crate::facts::Observation;
use crate::plan::rehearsal::CONTROL;
use crate::plan::{Plan, Unit};
use crate::world::{UnitDirs, send_signal};

/// How long a simulated server may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// A run to whose units something is done.
#[derive(Debug, Clone)]
pub struct Stage {
    plan: Plan,
    dirs: UnitDirs,
}

/// What was done.
#[derive(Debug)]
pub struct Injected {
    /// In words, without the unit's name.
    pub text: String,
    /// What is to be undone in time.
    pub held: Option<Held>,
}

/// Why nothing was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotDone {
    /// It cannot be done to this unit.
    Unfit {
        /// What is wrong.
        why: String,
        /// What could be done instead.
        help: String,
    },
    /// It could, but went wrong.
    Failed(String),
}

impl fmt::Display for NotDone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unfit { why, help } => write!(f, "{why}; {help}"),
            Self::Failed(why) => f.write_str(why),
        }
    }
}

/// A process by its id and start.
#[derive(Debug, Clone, Copy)]
struct Leader {
    pid: u32,
    start: u64,
}

/// A stopped process: it goes on when its time is over, or this is dropped.
#[derive(Debug)]
pub struct Held {
    leader: Leader,
    lasts: Duration,
}

impl Held {
    /// Waits until its time is over.
    pub async fn over(self) {
        tokio::time::sleep(self.lasts).await;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        send_signal(self.leader.pid, self.leader.start, Signal::CONT);
    }
}

impl Stage {
    /// The units of this plan, and where they keep their state on this machine.
    pub fn new(plan: Plan, dirs: UnitDirs) -> Self {
        Self { plan, dirs }
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Does this to a unit, for this long.
    ///
    /// Of processes only those of this machine can be reached; simulated servers by HTTP wherever they run.
    ///
    /// # Errors
    /// It does not fit the unit, or cannot be done.
    pub async fn inject(
        &self,
        unit: &UnitId,
        act: Act,
        lasts: Option<Duration>,
    ) -> Result<Injected, NotDone> {
        let unit = self.unit(unit)?;
        check(unit, act)?;
        let timed = Timed::new(Duration::ZERO, act, lasts).map_err(|why| NotDone::Unfit {
            why,
            help: "leave the length out".to_owned(),
        })?;
        let done = |text: String| Injected { text, held: None };
        match act {
            Act::Server(_) => by_http(unit, &timed).await.map(done),
            Act::Process(blow) => self.strike(unit, blow, timed.lasts),
            Act::Torn => self.torn(unit).map(done),
            Act::Client(_) => self.tell(unit, act.name()).map(done),
            Act::End => self.end(unit).await.map(done),
        }
    }

    fn unit(&self, id: &UnitId) -> Result<&Unit, NotDone> {
        self.plan.unit(id).ok_or_else(|| {
            let all: Vec<&str> = self.plan.units.iter().map(|u| u.id.as_str()).collect();
            NotDone::Unfit {
                why: format!("there is no unit `{id}`"),
                help: format!("there are: {}", all.join(", ")),
            }
        })
    }

    fn leader(&self, unit: &Unit) -> Result<Leader, NotDone> {
        let (id, node) = (&unit.id, &unit.node);
        if !self.plan.units_here().any(|here| &here.id == id) {
            let why = format!("`{id}` runs on `{node}`: its processes cannot be reached from here");
            return Err(NotDone::Failed(why));
        }
        match self.dirs.observe(id) {
            Observation::Running(running) => Ok(Leader {
                pid: running.pid,
                start: running.start,
            }),
            // Its state may have been removed; its mark is on it all the same.
            Observation::Never | Observation::Lost { .. } => {
                let marked = self.dirs.find_running().remove(id);
                let found = marked.map(|running| Leader {
                    pid: running.pid,
                    start: running.start,
                });
                found.ok_or_else(|| NotDone::Failed(format!("`{id}` does not run")))
            }
            Observation::Unknown { why } => Err(NotDone::Failed(format!(
                "nobody knows whether `{id}` runs: {why}"
            ))),
            Observation::Exited(_) | Observation::Queued(_) => {
                Err(NotDone::Failed(format!("`{id}` does not run")))
            }
        }
    }

    fn strike(
        &self,
        unit: &Unit,
        blow: Blow,
        lasts: Option<Duration>,
    ) -> Result<Injected, NotDone> {
        let leader = self.leader(unit)?;
        let pid = leader.pid;
        let (signal, text) = match (blow, lasts) {
            (Blow::Kill, _) => (Signal::KILL, format!("killed its process {pid}")),
            (Blow::Term, _) => (Signal::TERM, format!("asked its process {pid} to end")),
            (Blow::Stop, Some(lasts)) => {
                let text = format!("stopped its process {pid} for {}", written(lasts));
                (Signal::STOP, text)
            }
            (Blow::Stop, None) => {
                let text = format!("stopped its process {pid} until it is ended");
                (Signal::STOP, text)
            }
        };
        leader.send(unit, signal)?;
        let held = lasts.filter(|_| blow == Blow::Stop);
        let held = held.map(|lasts| Held { leader, lasts });
        Ok(Injected { text, held })
    }

    fn torn(&self, unit: &Unit) -> Result<String, NotDone> {
        let leader = self.leader(unit)?;
        let eval = self.plan.evals.iter().find(|eval| eval.unit == unit.id);
        let eval = eval.ok_or_else(|| NotDone::Failed("its plan has no results".to_owned()))?;
        // It stands still meanwhile, so that it neither writes the file anew nor ends on its own.
        leader.send(unit, Signal::STOP)?;
        let held = Held {
            leader,
            lasts: Duration::ZERO,
        };
        let file = tear(&eval.results).map_err(NotDone::Failed)?;
        leader.send(unit, Signal::KILL)?;
        drop(held);
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        Ok(format!(
            "cut its result `{name}` in two and killed its process {}",
            leader.pid
        ))
    }

    fn tell(&self, unit: &Unit, word: &str) -> Result<String, NotDone> {
        self.leader(unit)?;
        let path = unit.env.set.get(CONTROL).map_or("", String::as_str);
        let failed = |error| NotDone::Failed(format!("cannot write to `{path}`: {error}"));
        let file = std::fs::File::options()
            .append(true)
            .create(true)
            .open(path);
        file.and_then(|mut file| file.write_all(format!("{word}\n").as_bytes()))
            .map_err(failed)?;
        Ok(format!("told its client to {word}"))
    }

    async fn end(&self, unit: &Unit) -> Result<String, NotDone> {
        let here = self.leader(unit);
        if let Ok(leader) = &here {
            // A stopped server would not answer.
            leader.send(unit, Signal::CONT)?;
        }
        if may_be_simulated(unit) {
            return ask(unit, reqwest::Method::DELETE, None).await;
        }
        here.map(|leader| format!("its process {} goes on", leader.pid))
    }
}

impl Leader {
    fn send(self, unit: &Unit, signal: Signal) -> Result<(), NotDone> {
        if send_signal(self.pid, self.start, signal) {
            return Ok(());
        }
        let why = format!("`{}` has just ended, or is somebody else's", unit.id);
        Err(NotDone::Failed(why))
    }
}

/// Whether it can be done to this unit at all.
fn check(unit: &Unit, act: Act) -> Result<(), NotDone> {
    let asked = matches!(act, Act::Server(_)) && may_be_simulated(unit);
    if act.fits(unit) || asked {
        return Ok(());
    }
    let (name, id) = (act.name(), &unit.id);
    let why = match act {
        Act::Client(_) if Act::Torn.fits(unit) => {
            format!("`{id}` has no `{CONTROL}` in its environment, so nobody would hear `{name}`")
        }
        _ => format!("`{name}` does not fit `{id}`"),
    };
    Err(NotDone::Unfit {
        why,
        help: these_fit(unit),
    })
}

fn these_fit(unit: &Unit) -> String {
    let fit: Vec<&str> = Act::fitting(unit).into_iter().map(Act::name).collect();
    format!("these do: {}", fit.join(", "))
}

async fn by_http(unit: &Unit, timed: &Timed<Act>) -> Result<String, NotDone> {
    let for_ms = timed.lasts.map(|lasts| Millis::from(lasts).0);
    let wish = Wish {
        kind: timed.kind.name().to_owned(),
        for_ms: for_ms.filter(|_| timed.kind.length() != Length::Moment),
    };
    let text = ask(unit, reqwest::Method::POST, Some(&wish)).await?;
    Ok(text)
}

/// Says something to a simulated server.
async fn ask(unit: &Unit, method: reqwest::Method, wish: Option<&Wish>) -> Result<String, NotDone> {
    let id = &unit.id;
    let port = unit.port.map_or(0, |port| port.0);
    let url = format!(
        "http://{}:{port}{}",
        bracketed(&unit.address),
        control::PATH
    );
    let silent = |error: reqwest::Error| {
        let why = if error.is_connect() {
            "nobody listens there"
        } else {
            "it does not answer"
        };
        NotDone::Failed(format!("`{id}` cannot be told at `{url}`: {why}"))
    };
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(PATIENCE)
        .build()
        .map_err(silent)?;
    let mut request = client.request(method, &url);
    if let Some(wish) = wish {
        request = request.json(wish);
    }
    let response = request.send().await.map_err(silent)?;
    let status = response.status();
    let bytes = response.bytes().await.map_err(silent)?;
    match serde_json::from_slice::<Reply>(&bytes) {
        Ok(Reply::Done(text)) if status.is_success() => Ok(text),
        Ok(Reply::Refused(why)) => Err(NotDone::Failed(format!("`{id}` refused: {why}"))),
        _ => Err(NotDone::Unfit {
            why: format!("`{id}` is no simulated server"),
            help: these_fit(unit),
        }),
    }
}
