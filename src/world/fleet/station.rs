//! One node that is reached through a transport, as far as a run is concerned.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OnceCell;

use super::greeting::{self, Greeting};
use crate::base::{Epoch, Millis, NodeName, Port, RunId, Secrets, UnitId, clean};
use crate::facts::{Listener, NodeSeen, Observation, queue};
use crate::render::{FileSet, MANIFEST, NODE, SLURM};
use crate::world::log_end::LogEnd;
use crate::world::transport::{Command, NodeFile, Output, Transport, TransportError};

/// A look at all units of a node, with bash there as slow as it may be.
const LOOK: Duration = Duration::from_secs(20);
/// Scripts are some hundred kilobytes.
const UPLOAD: Duration = Duration::from_mins(1);
/// The end of a log.
const TAIL: Duration = Duration::from_secs(20);
/// `squeue` and `sbatch`, each with a time of its own, and a look for what came of them.
const SUBMIT: Duration = Duration::from_mins(3);
/// What `lib/slurm.sh stop` takes beside the time between TERM and KILL.
const STOP: Duration = Duration::from_mins(1);
/// Jobs have `KillWait`, 30 s unless the site says otherwise.
const CANCEL: Duration = Duration::from_secs(90);

/// The exit code of scripts for what will never be done as it is asked for.
const NEVER: i32 = 78;
/// That of what may be asked again as it is, later.
const LATER: i32 = 75;

/// Why a node did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StationError {
    /// It could not be asked, or nobody knows what came of it.
    #[error("{place}: {source}")]
    Transport {
        /// Which, in words.
        place: String,
        /// What went wrong.
        source: TransportError,
    },
    /// It said no.
    #[error("{place}: {words}")]
    Refused {
        /// Which, in words.
        place: String,
        /// What it said.
        words: String,
        /// What becomes of it when it is asked again.
        again: Again,
    },
}

/// What becomes of a request that was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// Another one may go well.
    Maybe,
    /// Nothing was done, and the very same may be asked later.
    Later,
    /// It would be refused again.
    Never,
}

/// A process of a run on a node, and the unit that it is of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Marked {
    /// Its process id there.
    pub pid: u32,
    /// Whose it is.
    pub unit: UnitId,
}

/// What a station is.
#[derive(Debug)]
enum Post {
    /// A node on which units are started.
    Node,
    /// A machine from which the jobs of these units are submitted.
    Queue(BTreeMap<UnitId, String>),
}

/// A machine that is asked through a transport.
pub struct Station {
    node: NodeName,
    post: Post,
    run: RunId,
    transport: Arc<dyn Transport>,
    /// A file of the run's folder and its hash: who sees the same there shares that folder.
    mark: (PathBuf, String),
    greeting: OnceCell<Greeting>,
}

impl std::fmt::Debug for Station {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Station")
            .field("node", &self.node)
            .finish_non_exhaustive()
    }
}

impl Station {
    /// The node of a run. Nothing is asked yet.
    pub fn new(
        node: NodeName,
        run: RunId,
        transport: Arc<dyn Transport>,
        mark: (PathBuf, String),
    ) -> Self {
        Self {
            node,
            post: Post::Node,
            run,
            transport,
            mark,
            greeting: OnceCell::new(),
        }
    }

    /// It is where the jobs of these units are submitted.
    #[must_use]
    pub fn with_jobs(self, jobs: BTreeMap<UnitId, String>) -> Self {
        let post = Post::Queue(jobs);
        Self { post, ..self }
    }

    /// Its name in the YAML, or one of its own.
    pub fn node(&self) -> &NodeName {
        &self.node
    }

    /// The same for people.
    pub fn place(&self) -> String {
        match self.post {
            Post::Node => format!("node `{}`", self.node),
            Post::Queue(_) => self.node.to_string(),
        }
    }

    /// The job of a unit, where its units are in jobs.
    pub fn job_of(&self, unit: &UnitId) -> Option<&str> {
        match &self.post {
            Post::Node => None,
            Post::Queue(jobs) => jobs.get(unit).map(String::as_str),
        }
    }

    /// What is submitted there, where it is such a place.
    pub fn jobs(&self) -> Option<&BTreeMap<UnitId, String>> {
        match &self.post {
            Post::Node => None,
            Post::Queue(jobs) => Some(jobs),
        }
    }

    /// How commands reach it.
    pub fn transport(&self) -> &dyn Transport {
        &*self.transport
    }

    /// Who and where we are there; asked once, and again after a failure. Directories are made with [`Station::equip`].
    ///
    /// # Errors
    /// [`StationError`].
    pub async fn greeting(&self) -> Result<&Greeting, StationError> {
        self.greeting.get_or_try_init(|| self.greet(false)).await
    }

    async fn greet(&self, make: bool) -> Result<Greeting, StationError> {
        let mark = self.mark.0.to_string_lossy();
        let make = if make { "make" } else { "" };
        let digest = match self.post {
            Post::Node => "",
            // No file has this one.
            Post::Queue(_) if self.mark.1.is_empty() => "none",
            Post::Queue(_) => self.mark.1.as_str(),
        };
        let words = [
            "bash",
            "-c",
            greeting::SCRIPT,
            "bash",
            self.run.as_str(),
            &mark,
            make,
            digest,
        ];
        let answer = self.ask(&words, Vec::new(), LOOK).await?;
        Greeting::read(&answer)
            .ok_or_else(|| self.refused(format!("it answered `{}`", answer.trim())))
    }

    /// Puts the scripts of its units there, unless they are there already, and raises the fence: from then on no earlier
    /// owner starts or stops anything there.
    ///
    /// # Errors
    /// [`StationError`].
    pub async fn equip(&self, files: &FileSet, epoch: Epoch) -> Result<(), StationError> {
        let there = self.greet(true).await?;
        let scripts = there.scripts(self.run.as_str());
        let scripts = scripts.to_string_lossy();
        let list = files.get(MANIFEST).map_or(&[][..], |file| &file.bytes);
        if there.manifest != crate::base::sha256(list) {
            // The list comes last: a set that was cut short never looks whole.
            let (list, scripts): (Vec<NodeFile>, Vec<NodeFile>) = files
                .iter()
                .map(|(path, file)| NodeFile {
                    path: format!("{scripts}/{path}"),
                    bytes: file.bytes.clone(),
                    mode: file.mode & 0o700,
                })
                .partition(|file| file.path.ends_with(MANIFEST));
            let sent = self
                .transport
                .put_all(&[scripts, list].concat(), UPLOAD)
                .await;
            sent.map_err(|source| self.failed(source))?;
        }
        let fence = format!("{scripts}/.epoch-{epoch}");
        self.ask(&["touch", "--", &fence], Vec::new(), LOOK).await?;
        Ok(())
    }

    /// From now on no earlier owner starts or stops anything there; nothing is made where nothing is.
    ///
    /// # Errors
    /// [`StationError`].
    pub async fn raise_fence(&self, epoch: Epoch) -> Result<(), StationError> {
        const RAISE: &str = r#"[[ ! -d $1 ]] || touch -- "$1/.epoch-$2""#;
        let scripts = self.scripts().await?;
        let words = [
            "bash",
            "-c",
            RAISE,
            "bash",
            &scripts.to_string_lossy(),
            &epoch.to_string(),
        ];
        self.ask(&words, Vec::new(), LOOK).await.map(drop)
    }

    /// The folder of its scripts there.
    ///
    /// # Errors
    /// [`StationError`].
    pub async fn scripts(&self) -> Result<PathBuf, StationError> {
        Ok(self.greeting().await?.scripts(self.run.as_str()))
    }

    /// The log of a start, where the controller would put it at `here`.
    ///
    /// # Errors
    /// [`StationError`].
    pub async fn log(&self, here: &std::path::Path) -> Result<PathBuf, StationError> {
        let greeting = self.greeting().await?;
        Ok(greeting.log(self.run.as_str(), here, &self.mark.1))
    }

    /// Looks at these units; at all that ever had a state there where none is named. None where nothing of the run was
    /// ever put.
    ///
    /// # Errors
    /// [`StationError`]: then nothing is known of any of them.
    pub async fn look(&self, units: &[UnitId]) -> Result<Option<NodeSeen>, StationError> {
        let mut words = vec!["look", self.run.as_str()];
        words.extend(units.iter().map(UnitId::as_str));
        let said = self.node_script(&words, Vec::new(), LOOK).await?;
        let read = match self.post {
            Post::Node => NodeSeen::read,
            Post::Queue(_) => queue::read,
        };
        let seen = said.map(|text| read(&text)).transpose();
        seen.map_err(|why| self.refused(why))
    }

    /// What is seen of each of these units. One that has no state there although it may live, as when its /tmp was tidied, is
    /// unknown while a process carries its mark.
    pub async fn sight(
        &self,
        units: &[UnitId],
        may_live: impl Fn(&UnitId) -> bool,
    ) -> Vec<(UnitId, Observation)> {
        let mut seen = match self.look(units).await {
            Err(error) => return unseen(units, &error),
            Ok(seen) => seen.map(|seen| seen.units).unwrap_or_default(),
        };
        let observed = |unit: &UnitId| {
            let seen = seen.remove(unit).map(|seen| seen.observation);
            (unit.clone(), seen.unwrap_or(Observation::Never))
        };
        let mut seen: Vec<_> = units.iter().map(observed).collect();
        let missing =
            |(unit, seen): &(UnitId, Observation)| *seen == Observation::Never && may_live(unit);
        if !seen.iter().any(missing) {
            return seen;
        }
        let marked = match self.marks().await {
            Err(error) => return unseen(units, &error),
            Ok(marked) => marked,
        };
        for entry in seen.iter_mut().filter(|entry| missing(entry)) {
            if let Some(Marked { pid, .. }) = marked.iter().find(|marked| marked.unit == entry.0) {
                let (place, what) = (self.place(), self.marks_are());
                let why =
                    format!("its state on {place} is gone, and {what} {pid} of it lives there");
                entry.1 = Observation::Unknown { why };
            }
        }
        seen
    }

    /// Processes of the run, and starts that are under way.
    ///
    /// # Errors
    /// [`StationError`].
    pub async fn marks(&self) -> Result<Vec<Marked>, StationError> {
        let words = ["marks", self.run.as_str()];
        let said = match (
            self.node_script(&words, Vec::new(), LOOK).await?,
            &self.post,
        ) {
            (Some(said), _) => said,
            (None, Post::Node) => self.marks_without_scripts().await?,
            (None, Post::Queue(_)) => String::new(),
        };
        let mut marked: Vec<Marked> = said.lines().filter_map(marked).collect();
        marked.sort_unstable();
        marked.dedup();
        Ok(marked)
    }

    /// Where no scripts of the run are its servers may still be: somebody tidied `/tmp`.
    async fn marks_without_scripts(&self) -> Result<String, StationError> {
        const BY_ENVIRONMENT: &str = r#"
            for file in $(grep -lsz -- "^TOOLORCH_UNIT=$1/" /proc/[1-9]*/environ); do
              while IFS= read -r -d '' pair; do
                [[ $pair == "TOOLORCH_UNIT=$1/"* ]] || continue
                pid=${file#/proc/} pair=${pair#*"=$1/"}; echo "${pid%/*} ${pair%%/*}"
              done 2>/dev/null <"$file"
            done; true"#;
        let words = ["bash", "-c", BY_ENVIRONMENT, "bash", self.run.as_str()];
        self.ask(&words, Vec::new(), LOOK).await
    }

    /// Whether it does anything at all.
    ///
    /// # Errors
    /// It could not be asked, or did not answer in time.
    pub async fn answers(&self, limit: Duration) -> Result<(), StationError> {
        match self.ask(&["true"], Vec::new(), limit).await {
            // Whatever it says, it was there to say it.
            Ok(_) | Err(StationError::Refused { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// What bears its marks.
    pub fn marks_are(&self) -> &'static str {
        match self.post {
            Post::Node => "process",
            Post::Queue(_) => "job",
        }
    }

    /// Who listens on these ports there; of nodes that SLURM chooses nobody can tell.
    ///
    /// # Errors
    /// [`StationError`].
    pub async fn listeners(&self, ports: &[Port]) -> Result<Vec<Listener>, StationError> {
        if self.jobs().is_some() {
            return Ok(Vec::new());
        }
        let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
        let mut words = vec!["listeners"];
        words.extend(ports.iter().map(String::as_str));
        let said = self.node_script(&words, Vec::new(), LOOK).await?;
        Ok(said
            .iter()
            .flat_map(|text| text.lines())
            .filter_map(listener)
            .collect())
    }

    /// Keeps the values that a unit takes from the caller, for its eyes only.
    ///
    /// # Errors
    /// [`StationError`].
    pub async fn keep(
        &self,
        unit: &UnitId,
        values: &[(String, String)],
    ) -> Result<(), StationError> {
        if values.is_empty() && self.jobs().is_none() {
            return Ok(());
        }
        let pairs = values
            .iter()
            .flat_map(|(name, value)| [name, "=", value, "\0"].concat().into_bytes());
        let words = ["keep", self.run.as_str(), unit.as_str()];
        self.node_script(&words, pairs.collect(), LOOK)
            .await
            .map(drop)
    }

    /// The owner's sign of life.
    ///
    /// # Errors
    /// [`StationError`].
    pub async fn beat(&self, line: &str) -> Result<(), StationError> {
        let words = ["beat", self.run.as_str()];
        self.node_script(&words, line.as_bytes().to_vec(), LOOK)
            .await
            .map(drop)
    }

    /// The end of a unit's last log as it is, but for the unit's secrets.
    ///
    /// # Errors
    /// [`StationError`].
    pub async fn tail(&self, unit: &UnitId, bytes: u64) -> Result<String, StationError> {
        Ok(self.log_end(unit, bytes).await?.into_text())
    }

    /// The end of a unit's last log.
    ///
    /// # Errors
    /// [`StationError`].
    pub(in crate::world) async fn log_end(
        &self,
        unit: &UnitId,
        bytes: u64,
    ) -> Result<LogEnd, StationError> {
        let passed = ["passed", self.run.as_str(), unit.as_str()];
        let passed = self.node_script(&passed, Vec::new(), TAIL).await?;
        let secrets = Secrets::parse(passed.unwrap_or_default().as_bytes());
        let wanted = LogEnd::wanted(bytes, &secrets);
        let words = [
            "tail",
            self.run.as_str(),
            unit.as_str(),
            &wanted.to_string(),
        ];
        let text = self
            .node_script(&words, Vec::new(), TAIL)
            .await?
            .unwrap_or_default();
        let whole = (text.len() as u64) < wanted;
        Ok(LogEnd::of(text.as_bytes(), whole, secrets))
    }

    /// Names that were dropped from the environment of a unit's last start, and those in which it differed from what was meant.
    ///
    /// # Errors
    /// [`StationError`].
    pub(super) async fn names(
        &self,
        unit: &UnitId,
    ) -> Result<(Vec<String>, Vec<String>), StationError> {
        let words = ["names", self.run.as_str(), unit.as_str()];
        let said = self.node_script(&words, Vec::new(), TAIL).await?;
        let said = said.unwrap_or_default();
        let of = |kind: &str| {
            let lines = said.lines().filter_map(|line| line.strip_prefix(kind));
            lines.map(str::to_owned).collect()
        };
        Ok((of("dropped "), of("differs ")))
    }

    /// Removes what the run left there.
    ///
    /// # Errors
    /// Something of it lives there, or [`StationError`].
    pub async fn clear(&self) -> Result<(), StationError> {
        /// Scripts that never were there as a whole started nothing; units leave a state beside them.
        const UNUSED: &str = r#"[[ ! -d $1 || -e $1/$2 ]] || { rm -rf -- "$1" && { rmdir -- "${1%/*}" 2>/dev/null || :; }; }"#;
        let scripts = self.scripts().await?;
        let scripts = scripts.to_string_lossy();
        let words = ["bash", "-c", UNUSED, "bash", &*scripts, MANIFEST];
        self.ask(&words, Vec::new(), LOOK).await?;
        self.node_script(&["clear", self.run.as_str()], Vec::new(), LOOK)
            .await
            .map(drop)
    }

    /// Has a unit started in its job, which is submitted unless it is there; answers with the job's id, and with what it
    /// was submitted with where that is known.
    ///
    /// # Errors
    /// [`StationError`].
    pub(in crate::world) async fn start_in_job(
        &self,
        job: &str,
        unit: &UnitId,
        start: &[&str],
    ) -> Result<(u32, Option<String>), StationError> {
        let mut words = vec!["start", self.run.as_str(), job, unit.as_str()];
        words.extend(start);
        let said = self.node_script(&words, Vec::new(), SUBMIT).await?;
        let said = said.unwrap_or_default();
        let said = said.trim();
        let (id, submitted) = match said.split_once('\n') {
            Some((id, asked)) => (id, Some(asked.to_owned())),
            None => (said, None),
        };
        let id = id.parse();
        let id = id.map_err(|_| self.refused(format!("it answered `{}`", clean(said))))?;
        Ok((id, submitted))
    }

    /// Ends a unit in its job; done when nothing of it is left.
    ///
    /// # Errors
    /// [`StationError`].
    pub(in crate::world) async fn stop_in_job(
        &self,
        job: &str,
        unit: &UnitId,
        epoch: Option<Epoch>,
        grace: Millis,
    ) -> Result<(), StationError> {
        let epoch = epoch.map_or_else(|| "-".to_owned(), |epoch| epoch.to_string());
        let seconds = grace.0.div_ceil(1000).to_string();
        let run = self.run.as_str();
        let words = ["stop", run, job, unit.as_str(), &epoch, &seconds];
        let limit = Duration::from(grace) + STOP;
        self.node_script(&words, Vec::new(), limit).await.map(drop)
    }

    /// Cancels what is left of the run's jobs; done when none is.
    ///
    /// # Errors
    /// [`StationError`].
    pub(in crate::world) async fn end_jobs(&self) -> Result<(), StationError> {
        if self.jobs().is_none() {
            return Ok(());
        }
        let words = ["end", self.run.as_str()];
        self.node_script(&words, Vec::new(), CANCEL).await.map(drop)
    }

    /// Runs `lib/node.sh`, or `lib/slurm.sh` where jobs are submitted. Where it is not there nothing of the run is, and there
    /// is no answer.
    async fn node_script(
        &self,
        words: &[&str],
        stdin: Vec<u8>,
        limit: Duration,
    ) -> Result<Option<String>, StationError> {
        const IF_THERE: &str = r#"[[ -f $0 ]] || { echo absent; exit; }; exec bash "$0" "$@""#;
        let script = match self.post {
            Post::Node => NODE,
            Post::Queue(_) => SLURM,
        };
        let script = self.scripts().await?.join(script);
        let script = script.to_string_lossy();
        let mut argv = vec!["bash", "-c", IF_THERE, &*script];
        argv.extend(words);
        let said = self.ask(&argv, stdin, limit).await?;
        Ok(Some(said).filter(|said| said != "absent\n"))
    }

    pub(super) async fn ask(
        &self,
        words: &[&str],
        stdin: Vec<u8>,
        limit: Duration,
    ) -> Result<String, StationError> {
        let command = Command::new(words.iter().copied()).with_stdin(stdin);
        match self.transport.exec(&command, limit).await {
            Ok(Output {
                code: Some(0),
                stdout,
                ..
            }) => Ok(stdout),
            Ok(Output { code, stderr, .. }) => {
                let words = clean(stderr.trim());
                let words = words
                    .strip_prefix("toolorch: ")
                    .unwrap_or(&words)
                    .to_owned();
                let words = match code {
                    _ if !words.is_empty() => words,
                    Some(code) => format!("it ended with {code} and no word"),
                    None => "a signal ended it".to_owned(),
                };
                Err(StationError::Refused {
                    place: self.place(),
                    words,
                    again: match code {
                        Some(NEVER) => Again::Never,
                        Some(LATER) => Again::Later,
                        _ => Again::Maybe,
                    },
                })
            }
            Err(source) => Err(self.failed(source)),
        }
    }

    fn failed(&self, source: TransportError) -> StationError {
        let place = self.place();
        StationError::Transport { place, source }
    }

    fn refused(&self, words: String) -> StationError {
        StationError::Refused {
            place: self.place(),
            words,
            again: Again::Maybe,
        }
    }
}

/// A node that does not answer has units of which nothing is known.
pub(super) fn unseen(units: &[UnitId], error: &StationError) -> Vec<(UnitId, Observation)> {
    let why = error.to_string();
    let unseen = |unit: &UnitId| (unit.clone(), Observation::Unknown { why: why.clone() });
    units.iter().map(unseen).collect()
}

fn marked(line: &str) -> Option<Marked> {
    let (pid, unit) = line.split_once(' ')?;
    let pid = pid.parse().ok()?;
    Some(Marked {
        pid,
        unit: UnitId::new(unit),
    })
}

fn listener(line: &str) -> Option<Listener> {
    let mut words = line.splitn(5, ' ');
    let port = Port(words.next()?.parse().ok()?);
    let address = words.next()?.trim_matches(['[', ']']).to_owned();
    let user = words.next()?.to_owned();
    let pid = words.next()?.parse().ok();
    let command = words.next().filter(|text| !text.is_empty()).map(clean);
    Some(Listener {
        port,
        address,
        pid,
        command,
        user: Some(format!("user id {user}")),
    })
}
