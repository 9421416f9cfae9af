//! What is known of each unit, by what SLURM says of its job and by what the job's node shows.

use std::fmt;

use super::look::{Asked, Incarnation, Job, QueueSeen, Record, Shown, Want};
use crate::base::UnitId;
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
    Ending,
    Over {
        id: u64,
        state: String,
    },
}

impl QueueSeen {
    /// How a job stands: of several of its name the one that was submitted last by us, else the first that lives.
    fn standing(&self, name: &str, job: &Job) -> Standing {
        match &self.asked {
            Asked::NeedNot => return Standing::Unknown("SLURM was not asked".to_owned()),
            Asked::Failed(why) => {
                return Standing::Unknown(format!("SLURM does not answer: {why}"));
            }
            Asked::Answered => {}
        }
        let ours = |record: &&Record| record.name.ends_with(&format!(".{name}"));
        let mut ours: Vec<&Record> = self.records.iter().filter(ours).collect();
        ours.sort_by_key(|record| record.id);
        let known = ours.iter().find(|record| Some(record.id) == job.id);
        let lives = |record: &&&Record| slurm::stage(&record.state) != JobStage::Over;
        let record = match known.filter(lives) {
            Some(record) => Some(record),
            None => ours.iter().find(lives).or(known),
        };
        match (record, job.id) {
            (Some(record), _) => match slurm::stage(&record.state) {
                JobStage::Waiting => Standing::Waiting((*record).clone()),
                JobStage::Running => Standing::Running,
                JobStage::Ending => Standing::Ending,
                JobStage::Over => Standing::Over {
                    id: record.id,
                    state: record.state.clone(),
                },
            },
            (None, Some(id)) => Standing::Over {
                id,
                state: String::new(),
            },
            (None, None) => Standing::Absent,
        }
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
        let standing = self.standing(name, job);
        let Some(taken) = want.taken else {
            return (want.untaken(&standing), None);
        };
        let shown = job.shown.as_ref().filter(|shown| shown.by == taken);
        let node = shown.and_then(|shown| NodeSeen::read(&shown.text).ok());
        let seen = node.and_then(|mut node| node.units.remove(unit));
        let log_bytes = seen.as_ref().and_then(|seen| seen.log_bytes);
        let seen = seen.map(|seen| seen.observation);
        let mut seen = seen.filter(|seen| seen.launch() == Some(&want.launch));
        if let (Some(Observation::Running(running)), Some((by, ends))) = (&mut seen, &job.ends)
            && *by == taken
        {
            running.place = ends.get(unit).cloned();
        }
        let observation = match (shown, seen) {
            (Some(shown), Some(Observation::Exited(exit))) => Want::exited(shown, exit, &standing),
            (Some(shown), seen) => want.living(shown, seen, &standing),
            (None, _) => want.unshown(taken, job, &standing),
        };
        (observation, log_bytes)
    }
}

impl Want {
    /// No job has begun with it.
    fn untaken(&self, standing: &Standing) -> Observation {
        if self.stop {
            return self.ended(true, None);
        }
        match standing {
            Standing::Waiting(record) => self.queued(record),
            Standing::Over { id, .. } if self.given == Some(*id) => {
                self.ended(false, Some(standing.to_string()))
            }
            // A job is on its way.
            Standing::Over { .. } | Standing::Absent => Observation::Never,
            Standing::Unknown(why) => Observation::Unknown { why: why.clone() },
            Standing::Running | Standing::Ending => Observation::Unknown {
                why: "its job begins, or makes room for another".to_owned(),
            },
        }
    }

    fn queued(&self, record: &Record) -> Observation {
        let reason = slurm::reason(&record.reason);
        Observation::Queued(Queued {
            generation: self.generation,
            launch: self.launch.clone(),
            why: format!("job {}: {} ({})", record.id, reason.words, record.reason),
            starts: record.start.clone(),
            never: reason.never,
        })
    }

    /// Its node showed its end.
    fn exited(shown: &Shown, exit: Exit, standing: &Standing) -> Observation {
        match standing {
            // Who cancels a job means its units.
            Standing::Over { state, .. } if shown.told && state == "CANCELLED" => {
                let reason = None;
                Observation::Exited(Exit { reason, ..exit })
            }
            Standing::Over { .. } | Standing::Waiting(_) if shown.told => {
                let reason = Some(standing.to_string());
                Observation::Exited(Exit { reason, ..exit })
            }
            // Only its job's own end says why.
            _ if shown.told && exit.requested => Observation::Unknown {
                why: "its job was told to end".to_owned(),
            },
            _ => Observation::Exited(exit),
        }
    }

    /// Its node showed no end of it.
    fn living(&self, shown: &Shown, seen: Option<Observation>, standing: &Standing) -> Observation {
        match standing {
            Standing::Over { .. } | Standing::Waiting(_) => {
                self.ended(false, Some(standing.to_string()))
            }
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
    fn unshown(&self, taken: Incarnation, job: &Job, standing: &Standing) -> Observation {
        let another = job.shown.as_ref().is_some_and(|shown| shown.by != taken);
        match standing {
            Standing::Over { .. } | Standing::Waiting(_) => {
                self.ended(false, Some(standing.to_string()))
            }
            Standing::Running | Standing::Ending if another => self.ended(
                false,
                Some("another job took the place of its own".to_owned()),
            ),
            Standing::Unknown(why) => Observation::Unknown { why: why.clone() },
            _ => Observation::Unknown {
                why: "its job has not shown it yet".to_owned(),
            },
        }
    }

    fn ended(&self, requested: bool, reason: Option<String>) -> Observation {
        Observation::Exited(Exit {
            generation: self.generation,
            launch: self.launch.clone(),
            code: None,
            signal: None,
            requested,
            reason,
            tail: Vec::new(),
            cause: None,
        })
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
            Self::Ending => f.write_str("its SLURM job is ending"),
        }
    }
}
