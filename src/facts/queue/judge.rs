//! What is known of each unit, by what SLURM says of its job and by what the job's node shows.

use std::fmt;

use super::look::{Asked, Incarnation, Job, QueueSeen, Record, Shown, Told, Want};
use crate::base::{Timestamp, UnitId};
use crate::facts::{Exit, NodeSeen, Observation, Queued};
use crate::knowledge::slurm::{self, JobStage};

/// A node that has shown nothing for so long, in seconds, is silent: it does so every five, and files of other machines may come
/// late.
const SILENT_S: u64 = 30;

/// How a job stands.
#[derive(Debug, Clone)]
enum Standing {
    /// SLURM was not asked, or did not answer, or does not say.
    Unknown(String),
    /// Nothing was submitted yet, as far as anybody knows.
    Absent,
    Waiting(Record),
    Running,
    Suspended(u64),
    Ending,
    Over {
        id: u64,
        state: String,
    },
}

impl QueueSeen {
    /// How the job stands in which a unit is to begin: of several of its name the one that was submitted last by us, else the
    /// first that lives.
    fn standing(&self, name: &str, job: &Job) -> Standing {
        let ours = |record: &&Record| record.name.ends_with(&format!(".{name}"));
        let mut ours: Vec<&Record> = self.records.iter().filter(ours).collect();
        ours.sort_by_key(|record| record.id);
        let known = ours.iter().find(|record| Some(record.id) == job.id);
        let lives = |record: &&&Record| slurm::stage(&record.state) != JobStage::Over;
        let record = match known.filter(lives) {
            Some(record) => Some(record),
            None => ours.iter().find(lives).or(known),
        };
        let id = record.map_or(job.id, |record| Some(record.id));
        id.map_or_else(
            || self.not_asked().unwrap_or(Standing::Absent),
            |id| self.standing_of(id),
        )
    }

    /// How this job stands.
    fn standing_of(&self, id: u64) -> Standing {
        if let Some(unknown) = self.not_asked() {
            return unknown;
        }
        let state = String::new();
        let Some(record) = self.records.iter().find(|record| record.id == id) else {
            return Standing::Over { id, state };
        };
        match slurm::stage(&record.state) {
            JobStage::Waiting => Standing::Waiting(record.clone()),
            JobStage::Running => Standing::Running,
            JobStage::Suspended => Standing::Suspended(id),
            JobStage::Ending => Standing::Ending,
            JobStage::Over => {
                let state = record.state.clone();
                Standing::Over { id, state }
            }
        }
    }

    /// Why nothing is known of any job; none if SLURM answered.
    fn not_asked(&self) -> Option<Standing> {
        let why = match &self.asked {
            Asked::Answered => return None,
            Asked::NeedNot => "its job runs, and has not begun with it yet".to_owned(),
            Asked::Failed(why) => format!("SLURM does not answer: {why}"),
        };
        Some(Standing::Unknown(why))
    }

    /// What is known of a unit, and how long its log is.
    pub(super) fn judge(
        &self,
        name: &str,
        unit: &UnitId,
        want: &Want,
    ) -> (Observation, Option<u64>) {
        let Some(job) = self.jobs.get(name) else {
            return (Observation::Never, None);
        };
        let Some(taken) = want.taken else {
            return (self.untaken(name, job, want), None);
        };
        if want.stop && want.gone {
            return (want.ended(true, None), None);
        }
        let again =
            |(now, _): &(Incarnation, u64)| now.id == taken.id && now.restart > taken.restart;
        if job.now.as_ref().is_some_and(again) {
            let why = format!("its SLURM job {} began anew", taken.id);
            return (want.ended(false, Some(why)), None);
        }
        let standing = self.standing_of(taken.id);
        let shown = job.shown.iter().find(|shown| shown.by == taken);
        let node = shown.and_then(|shown| NodeSeen::read(&shown.text).ok());
        let seen = node.and_then(|mut node| node.units.remove(unit));
        let log_bytes = seen.as_ref().and_then(|seen| seen.log_bytes);
        let seen = seen.map(|seen| seen.observation);
        let mut seen = seen.filter(|seen| seen.launch() == Some(&want.launch));
        if let Some(Observation::Running(running)) = &mut seen {
            let ends = job.ends.as_ref().filter(|(by, _)| *by == taken);
            running.place = ends.and_then(|(_, ends)| ends.get(unit).cloned());
            let now = job.now.filter(|(by, end)| *by == taken && *end > 0);
            running.until = now.map(|(_, end)| Timestamp(end * 1000));
        }
        let observation = match (shown, seen) {
            (Some(shown), None) if shown.age_s <= SILENT_S && want.ran.is_some() => {
                want.refused_itself(&format!("{}/jobs/{name}/{}.log", self.base, taken.id))
            }
            (Some(shown), Some(Observation::Exited(exit))) => Want::exited(shown, exit, &standing),
            (Some(shown), seen) => want.living(shown, seen, &standing),
            (None, _) => want.unshown(&standing),
        };
        (observation, log_bytes)
    }

    /// No job has begun with it.
    fn untaken(&self, name: &str, job: &Job, want: &Want) -> Observation {
        if want.stop {
            return want.ended(true, None);
        }
        let standing = self.standing(name, job);
        match &standing {
            Standing::Waiting(record) => want.queued(record),
            Standing::Over { id, state } if want.given == Some(*id) => {
                let began = job.now.is_some_and(|(now, _)| now.id == *id);
                match state.as_str() {
                    "CANCELLED" if !began => want.cancelled(*id),
                    _ if !began => want.ended(false, Some(self.in_vain(&standing))),
                    _ => want.ended(false, Some(standing.to_string())),
                }
            }
            // A job is on its way.
            Standing::Over { .. } | Standing::Absent => Observation::Never,
            Standing::Unknown(why) => Observation::Unknown { why: why.clone() },
            Standing::Suspended(_) => Observation::Unknown {
                why: standing.to_string(),
            },
            Standing::Running | Standing::Ending => Observation::Unknown {
                why: "its job begins, or makes room for another".to_owned(),
            },
        }
    }

    /// Its job was there and wrote nothing.
    fn in_vain(&self, standing: &Standing) -> String {
        let base = &self.base;
        format!("{standing}, and nothing of it was seen on its node: does it see `{base}`?")
    }
}

impl Want {
    fn queued(&self, record: &Record) -> Observation {
        let reason = slurm::reason(&record.reason);
        let words = match &record.too_long {
            Some((limit, most, partition)) => {
                format!("`slurm.time` is {limit}, and its partition `{partition}` allows {most}")
            }
            None => reason.words.to_owned(),
        };
        Observation::Queued(Queued {
            generation: self.generation,
            launch: self.launch.clone(),
            why: format!("job {}: {words} ({})", record.id, record.reason),
            starts: record.start.clone(),
            never: reason.never,
        })
    }

    /// Its node showed its end.
    fn exited(shown: &Shown, exit: Exit, standing: &Standing) -> Observation {
        match standing {
            // Who cancels a job means its units.
            Standing::Over { state, id } if shown.told.is_some() && state == "CANCELLED" => {
                let (reason, cancelled) = (None, Some(*id));
                Observation::Exited(Exit {
                    cancelled,
                    reason,
                    ..exit
                })
            }
            Standing::Over { .. } | Standing::Waiting(_) if shown.told.is_some() => {
                let reason = Some(standing.told(shown));
                Observation::Exited(Exit { reason, ..exit })
            }
            // Only its job's own end says why.
            _ if shown.told.is_some() && exit.requested => Observation::Unknown {
                why: "its job was told to end".to_owned(),
            },
            _ => Observation::Exited(exit),
        }
    }

    /// Its node showed no end of it.
    fn living(&self, shown: &Shown, seen: Option<Observation>, standing: &Standing) -> Observation {
        match standing {
            Standing::Over { .. } | Standing::Waiting(_) => {
                self.ended(false, Some(standing.told(shown)))
            }
            Standing::Suspended(_) => Observation::Unknown {
                why: standing.to_string(),
            },
            _ if shown.age_s > SILENT_S => {
                let says = match standing {
                    Standing::Unknown(why) => why.as_str(),
                    _ => "SLURM says that its job runs",
                };
                let silent = shown.age_s;
                let why = format!("its node has shown nothing for {silent} s; {says}");
                Observation::Unknown { why }
            }
            _ => seen.unwrap_or_else(|| Observation::Unknown {
                why: "the unit script is at work".to_owned(),
            }),
        }
    }

    /// The job that began with it shows nothing of it.
    fn unshown(&self, standing: &Standing) -> Observation {
        match standing {
            Standing::Over { .. } | Standing::Waiting(_) => {
                self.ended(false, Some(standing.to_string()))
            }
            Standing::Unknown(why) => Observation::Unknown { why: why.clone() },
            _ => Observation::Unknown {
                why: "its job has not shown it yet".to_owned(),
            },
        }
    }

    /// Its script ended, and the node has no trace of that start.
    fn refused_itself(&self, log: &str) -> Observation {
        let code = self.ran.unwrap_or_default();
        let reason = format!(
            "its script ended with {code} before it began; its job's log may say why: {log}"
        );
        Observation::Exited(Exit {
            code: Some(code),
            ..self.exit(false, Some(reason))
        })
    }

    /// Whoever cancels a job that waits means what it is for.
    fn cancelled(&self, id: u64) -> Observation {
        Observation::Exited(Exit {
            cancelled: Some(id),
            ..self.exit(true, None)
        })
    }

    fn ended(&self, requested: bool, reason: Option<String>) -> Observation {
        Observation::Exited(self.exit(requested, reason))
    }

    fn exit(&self, requested: bool, reason: Option<String>) -> Exit {
        Exit {
            requested,
            reason,
            ..Exit::of(self.generation, self.launch.clone())
        }
    }
}

impl Standing {
    /// Why its units ended, where its node showed that it was told to end: SLURM says of a script that ends before its time is over that
    /// it failed.
    fn told(&self, shown: &Shown) -> String {
        let (id, told) = match (self, shown.told) {
            (Self::Over { id, state }, Some(told))
                if matches!(state.as_str(), "FAILED" | "COMPLETED" | "TIMEOUT" | "") =>
            {
                (id, told)
            }
            _ => return self.to_string(),
        };
        match told {
            Told::BeforeLimit(seconds) => format!(
                "its SLURM job {id} came to its time limit, {seconds} s before which it was told to end"
            ),
            Told::ByNext => format!("the job that follows its SLURM job {id} has begun (`renew`)"),
            Told::Plainly => self.to_string(),
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Over { id, state } if state.is_empty() => {
                write!(f, "its SLURM job {id} is over, and SLURM has forgotten how")
            }
            Self::Over { id, state } => {
                write!(
                    f,
                    "its SLURM job {id} is over: {} ({state})",
                    slurm::end(state)
                )
            }
            Self::Unknown(why) => f.write_str(why),
            Self::Absent => f.write_str("its SLURM job is not there"),
            Self::Waiting(record) => write!(f, "its SLURM job {} was requeued", record.id),
            Self::Running => f.write_str("its SLURM job runs"),
            Self::Suspended(id) => write!(f, "its SLURM job {id} is suspended"),
            Self::Ending => f.write_str("its SLURM job is ending"),
        }
    }
}
