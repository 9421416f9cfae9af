//! What `lib/slurm.sh look` writes, read.

use std::collections::BTreeMap;

use crate::base::{Generation, LaunchId, Place, UnitId, clean};
use crate::knowledge::slurm;

/// One beginning of a job's script: a job that is requeued keeps its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Incarnation {
    pub(super) id: u64,
    pub(super) restart: u64,
}

/// What SLURM says of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) state: String,
    pub(super) reason: String,
    /// When it may start, by SLURM's estimate.
    pub(super) start: Option<String>,
    /// It asks for more time than its partition allows: both, and the partition's name.
    pub(super) too_long: Option<(String, String, String)>,
}

/// What a unit's file says is to run.
#[derive(Debug, Clone)]
pub(super) struct Want {
    /// It is to end.
    pub(super) stop: bool,
    pub(super) generation: Generation,
    pub(super) launch: LaunchId,
    pub(super) log: String,
    /// The code with which its script ended.
    pub(super) ran: Option<i32>,
    /// It was stopped, and nothing of it was left.
    pub(super) gone: bool,
    /// The job that was there, or submitted, for this start.
    pub(super) given: Option<u64>,
    pub(super) taken: Option<Incarnation>,
}

/// By whom a job was told to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// By somebody; SLURM may say why.
    Plainly,
    /// By SLURM, so many seconds before its time was over.
    BeforeLimit(u64),
    /// By the job that takes its place.
    ByNext,
}

/// What a job's node showed last.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) age_s: u64,
    pub(super) by: Incarnation,
    /// The job was told to end, and why.
    pub(super) told: Option<Told>,
    pub(super) text: String,
}

/// What a job's node did at a moment.
#[derive(Debug)]
pub(super) struct Does {
    pub(super) by: Incarnation,
    /// By the node's clock, in seconds since 1970.
    pub(super) at_s: u64,
    /// What `lib/sample.sh` said.
    pub(super) text: String,
}

#[derive(Debug, Default)]
pub(super) struct Job {
    pub(super) id: Option<u64>,
    /// By whom, and where each unit was told to listen.
    pub(super) ends: Option<(Incarnation, BTreeMap<UnitId, Place>)>,
    pub(super) wants: BTreeMap<UnitId, Want>,
    /// What began last, and when SLURM ends it, in seconds since 1970.
    pub(super) now: Option<(Incarnation, u64)>,
    pub(super) shown: Vec<Shown>,
    pub(super) does: Vec<Does>,
}

/// Whether SLURM was asked, and how that went.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Asked {
    /// All nodes speak.
    #[default]
    NeedNot,
    Answered,
    Failed(String),
}

/// What was seen of the jobs of a run.
#[derive(Debug, Default)]
pub(super) struct QueueSeen {
    pub(super) host: String,
    /// The folder that its nodes must see.
    pub(super) base: String,
    pub(super) asked: Asked,
    pub(super) records: Vec<Record>,
    pub(super) jobs: BTreeMap<String, Job>,
}

impl QueueSeen {
    /// The form of the lines that this program reads.
    const FORMAT: &'static str = "1";

    pub(super) fn read(text: &str) -> Result<Self, String> {
        let mut seen = Self::default();
        let mut lines = text.lines();
        let first = lines.next().unwrap_or_default();
        match first.strip_prefix("format ") {
            Some(Self::FORMAT) => {}
            Some(is) => {
                return Err(format!(
                    "its look has the format {is}, not {}",
                    Self::FORMAT
                ));
            }
            None => return Err(bad(first)),
        }
        let mut showing = None;
        for line in lines {
            if line.starts_with('{') || line.starts_with("toolorch") {
                let job = showing.and_then(|name: &str| seen.jobs.get_mut(name));
                if let Some(shown) = job.and_then(|job| job.shown.last_mut()) {
                    shown.text.push_str(line);
                    shown.text.push('\n');
                }
                continue;
            }
            seen.line(line).ok_or_else(|| bad(line))?;
            // What follows is what this job's node showed.
            let shows = line.strip_prefix("seen ");
            showing = shows.and_then(|rest| rest.split(' ').next());
        }
        Ok(seen)
    }

    /// Takes one line; none where it cannot be read.
    fn line(&mut self, line: &str) -> Option<()> {
        let (kind, rest) = line.split_once(' ').unwrap_or((line, ""));
        match kind {
            "host" => rest.clone_into(&mut self.host),
            "base" => self.base = clean(rest),
            "queue" => {
                let (code, words) = rest.split_once(' ').unwrap_or((rest, ""));
                self.asked = match code {
                    "-" => Asked::NeedNot,
                    "0" => Asked::Answered,
                    _ => Asked::Failed(clean(words)),
                };
            }
            "job" => self.records.push(Record::read(rest)?),
            _ => {
                let (job, rest) = rest.split_once(' ').unwrap_or((rest, ""));
                return self.line_of(kind, job, rest);
            }
        }
        Some(())
    }

    fn line_of(&mut self, kind: &str, name: &str, rest: &str) -> Option<()> {
        let job = self.jobs.entry(name.to_owned()).or_default();
        if kind == "id" {
            job.id = rest.parse().ok();
        }
        if kind == "now" {
            let mut words = rest.splitn(3, ' ');
            let by = Incarnation {
                id: words.next()?.parse().ok()?,
                restart: words.next()?.parse().ok()?,
            };
            let end = words.next()?.rsplit(' ').next()?;
            job.now = Some((by, end.parse().unwrap_or_default()));
        }
        if kind == "ends" {
            job.ends = Some(ends(rest)?);
        }
        if kind == "seen" {
            job.shown.push(Shown::read(rest)?);
        }
        if kind == "does" {
            // What is there for reports alone keeps nobody from seeing the rest.
            let _ = job.does(rest);
        }
        // Other lines are for people, and for later releases.
        if !matches!(kind, "want" | "given" | "ran" | "done" | "taken") {
            return Some(());
        }
        let (unit, rest) = rest.split_once(' ')?;
        let unit = UnitId::new(unit);
        if kind == "want" {
            job.wants.insert(unit, Want::read(rest)?);
            return Some(());
        }
        let want = job.wants.get_mut(&unit)?;
        if kind == "taken" {
            want.taken = Some(Incarnation::read(rest)?);
            return Some(());
        }
        let (generation, number) = rest.split_once(' ')?;
        if generation == want.generation.to_string() && kind == "given" {
            want.given = number.parse().ok();
        } else if generation == want.generation.to_string() && kind == "ran" {
            want.ran = number.parse().ok();
        } else if generation == want.generation.to_string() {
            want.gone = number == "0";
        }
        Some(())
    }
}

impl Job {
    /// `ID RESTART at SECONDS`, and then `ID RESTART` with each line that the sample has.
    fn does(&mut self, line: &str) -> Option<()> {
        let mut words = line.splitn(3, ' ');
        let by = Incarnation {
            id: words.next()?.parse().ok()?,
            restart: words.next()?.parse().ok()?,
        };
        let text = words.next().unwrap_or_default();
        if let Some(at) = text.strip_prefix("at ") {
            self.does.push(Does {
                by,
                at_s: at.parse().ok()?,
                text: String::new(),
            });
        } else if let Some(does) = self.does.last_mut().filter(|does| does.by == by) {
            does.text.push_str(text);
            does.text.push('\n');
        }
        Some(())
    }
}

impl Want {
    fn read(text: &str) -> Option<Self> {
        let mut words = text.splitn(6, ' ');
        let stop = match words.next()? {
            "run" => false,
            "stop" => true,
            _ => return None,
        };
        let generation = Generation(words.next()?.parse().ok()?);
        let launch = LaunchId::new(words.next()?);
        let log = words.nth(2).unwrap_or_default().to_owned();
        Some(Self {
            stop,
            generation,
            launch,
            log,
            ran: None,
            gone: false,
            given: None,
            taken: None,
        })
    }
}

impl Shown {
    fn read(text: &str) -> Option<Self> {
        let mut words = text.splitn(4, ' ');
        let age_s = words.next()?.parse().ok()?;
        let by = Incarnation {
            id: words.next()?.parse().ok()?,
            restart: words.next()?.parse().ok()?,
        };
        let told = match words.next()? {
            "0" => None,
            "next" => Some(Told::ByNext),
            told => {
                let seconds = told.strip_prefix("limit-");
                let seconds = seconds.and_then(|seconds| seconds.parse().ok());
                Some(seconds.map_or(Told::Plainly, Told::BeforeLimit))
            }
        };
        Some(Self {
            age_s,
            by,
            told,
            text: String::new(),
        })
    }
}

impl Incarnation {
    fn read(text: &str) -> Option<Self> {
        let (id, restart) = text.split_once(' ')?;
        Some(Self {
            id: id.parse().ok()?,
            restart: restart.parse().ok()?,
        })
    }
}

impl Record {
    /// `ID|NAME|STATE|REASON|NODES|START|LEFT|LIMIT|PARTITION`, and what that partition allows where it is asked.
    fn read(text: &str) -> Option<Self> {
        let words: Vec<&str> = text.split('|').collect();
        let [id, name, state, reason, _, start, ..] = words.as_slice() else {
            return None;
        };
        let too_long = match words.get(7..) {
            Some(&[limit, partition, most, ..]) => {
                let limits = slurm::time_limit(limit).zip(slurm::time_limit(most));
                limits
                    .filter(|(limit, most)| limit > most)
                    .map(|_| (clean(limit), clean(most), clean(partition)))
            }
            _ => None,
        };
        let estimate = Some(clean(start)).filter(|start| !matches!(start.as_str(), "" | "N/A"));
        Some(Self {
            // A part of an array is `12_3`; ours are none.
            id: id.parse().ok()?,
            name: (*name).to_owned(),
            state: clean(state),
            reason: clean(reason),
            start: estimate,
            too_long,
        })
    }
}

/// `ID RESTART HOST UNIT:PORT,…`
fn ends(text: &str) -> Option<(Incarnation, BTreeMap<UnitId, Place>)> {
    let words: Vec<&str> = text.split(' ').collect();
    let [id, restart, host, all] = words.as_slice() else {
        return None;
    };
    let one = |end: &str| {
        let (unit, port) = end.split_once(':')?;
        // A unit without a port is nowhere.
        let port = port.parse().ok()?;
        Some((UnitId::new(unit), Place::new(host, port)))
    };
    let by = Incarnation::read(&format!("{id} {restart}"))?;
    Some((by, all.split(',').filter_map(one).collect()))
}

fn bad(line: &str) -> String {
    let head: String = clean(line).chars().take(120).collect();
    format!("its look cannot be read: {head}")
}
