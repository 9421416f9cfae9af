//! The driver's desk for one evaluation: its results counted, its identity stamped, its log read.

use std::collections::BTreeSet;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::{Again, Configured, Counts, Signs};
use crate::base::{Clock, ConfigName, EvalName, Name, NodeName, RunId, Timestamp, UnitId};
use crate::eval::{Call, ClientLog, Expected, Judgement, MarkerReader, Progress, Stamp, refusal};
use crate::knowledge::adapters;
use crate::plan::{ClientConfigPlan, EvalPlan, Plan, ResultsPlan};
use crate::render::{FillRequest, Filled, client_config, count_endpoints};
use crate::run::places;
use crate::run::store::{failpoint, open_regular, read_regular_text};
use crate::spec::model::Finished;
use crate::world::{
    ResultScanner, ResultsClaim, SystemClock, claim_results, fill_in, read_identity, wall,
    write_identity,
};

/// So few missing ids are named.
const FEW: usize = 3;

/// One evaluation's results and log.
#[derive(Debug)]
pub struct EvalDesk {
    plan: EvalPlan,
    stamp: Stamp,
    expected: Expected,
    scanner: ResultScanner,
    markers: Option<MarkerReader>,
    calls: Option<ClientLog>,
    /// Models that the YAML declares, here or elsewhere; none if an external may have any.
    declared: Option<Vec<String>>,
    /// The log that is read, and how far.
    log: Option<(PathBuf, u64)>,
    /// What people should hear of.
    said: Vec<String>,
    /// Where the client runs, if that is another machine.
    node: Option<NodeName>,
    /// Ours alone as long as we live.
    claim: Option<ResultsClaim>,
}

impl EvalDesk {
    /// A desk for an evaluation of this plan; `dataset_ids` is empty without a dataset.
    ///
    /// # Errors
    /// The evaluation's pattern or marker cannot be read.
    pub fn new(plan: &Plan, eval: &EvalPlan, dataset_ids: &[String]) -> Result<Self, String> {
        Ok(Self {
            stamp: Stamp::new(plan, eval, SystemClock.now()),
            expected: Expected::of(eval, dataset_ids),
            scanner: ResultScanner::of(eval)?,
            markers: eval.marker.as_deref().map(MarkerReader::new).transpose()?,
            calls: None,
            declared: declared(plan),
            log: None,
            said: Vec::new(),
            claim: None,
            node: plan.elsewhere(&eval.unit).map(|node| node.name.clone()),
            plan: eval.clone(),
        })
    }

    pub(super) fn results(&self) -> &ResultsPlan {
        &self.plan.results
    }

    /// The evaluation's name.
    pub fn name(&self) -> &EvalName {
        &self.plan.name
    }

    /// What should be said to people since the last call.
    pub fn take_said(&mut self) -> Vec<String> {
        std::mem::take(&mut self.said)
    }

    /// What the results say now.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn progress(&mut self) -> Result<Progress, String> {
        let listing = self.scanner.scan().map_err(|error| error.to_string())?;
        Ok(Progress::count(&self.expected, listing))
    }

    /// The calls that complete results report; reads all of them once more.
    pub fn calls(&self) -> Vec<Call> {
        self.scanner.calls()
    }

    /// The calls that complete results report, of those that came after a mark.
    pub fn calls_after(&self, mark: u64) -> Vec<Call> {
        self.scanner.calls_after(mark)
    }

    /// What is there of results; those of later clients come after it.
    pub fn mark(&self) -> u64 {
        self.scanner.mark()
    }

    /// Whether the results may take this evaluation's, as a dry look.
    ///
    /// # Errors
    /// They belong to another evaluation, or the stamp cannot be read.
    pub fn identity(&mut self) -> Result<Judgement, String> {
        let progress = self.progress()?;
        let found = read_identity(&self.plan.results).map_err(|error| error.to_string())?;
        // Results of other questions count, too: they were made under the stamp that is there.
        let others = if found.is_some() {
            progress.strangers.len()
        } else {
            0
        };
        let judgement = self
            .stamp
            .clone()
            .judge(found, progress.done.len() + others);
        match &judgement {
            Judgement::Other { differences } => {
                Err(refusal(results_place(&self.plan.results), differences))
            }
            _ => Ok(judgement),
        }
    }

    /// Takes the results for this run; `kept` is its directory.
    ///
    /// # Errors
    /// Another run writes there, or the results' folder cannot be written.
    pub fn claim(&mut self, run: &RunId, kept: &Path) -> Result<(), String> {
        failpoint("results-before-claim");
        let claim = claim_results(
            &self.plan.results,
            run,
            (&self.plan.unit, self.node.as_ref()),
            kept,
        );
        let place = results_place(&self.plan.results);
        self.claim = Some(claim.map_err(|error| format!("results `{place}`: {error}"))?);
        failpoint("results-after-claim");
        self.forget_past_calls(run)
    }

    /// Makes the results ready for a start of the client: identity first, torn ones set aside, and those in error
    /// that are asked again.
    ///
    /// # Errors
    /// The results belong to another evaluation, or cannot be read or written.
    pub fn prepare(&mut self, again: Again) -> Result<Counts, String> {
        failpoint("results-before-prepare");
        let stamp = match self.identity()? {
            Judgement::Fits { write } => write,
            Judgement::Changed { write, differences } => {
                let changes: Vec<String> = differences.iter().map(ToString::to_string).collect();
                self.said
                    .push(format!("{}: {}", self.plan.name, changes.join(", ")));
                Some(write)
            }
            Judgement::Adopted { write } => {
                let count = write.adopted;
                let name = &self.plan.name;
                self.said.push(format!(
                    "{name}: took over {count} results that were there before, of unknown origin"
                ));
                Some(write)
            }
            // `identity` has refused it.
            Judgement::Other { .. } => None,
        };
        if let Some(stamp) = stamp {
            write_identity(&self.plan.results, &stamp).map_err(|error| error.to_string())?;
        }
        failpoint("results-after-stamp");
        let torn = self
            .scanner
            .set_aside_torn()
            .map_err(|error| error.to_string())?;
        failpoint("results-after-set-aside");
        if torn > 0 {
            self.said
                .push(format!("{}: set {torn} torn results aside", self.plan.name));
        }
        if again == Again::Errors {
            self.set_aside_errors()?;
        }
        self.counts()
    }

    fn set_aside_errors(&mut self) -> Result<(), String> {
        let rule = self.plan.retry_errors;
        let progress = self.progress()?;
        let due = progress.due(rule).map(str::to_owned).collect();
        self.scanner
            .set_aside_errors(&due)
            .map_err(|error| error.to_string())
    }

    /// Brings back what was asked again and not answered.
    ///
    /// # Errors
    /// The results cannot be read or written.
    pub fn bring_back(&mut self) -> Result<Counts, String> {
        let returned = self
            .scanner
            .bring_back()
            .map_err(|error| error.to_string())?;
        if returned > 0 {
            let name = &self.plan.name;
            self.said.push(format!(
                "{name}: asked again and not answered: {returned} results in error are what they were"
            ));
        }
        self.counts()
    }

    /// What the results say now, in numbers.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn counts(&mut self) -> Result<Counts, String> {
        let progress = self.progress()?;
        Ok(self.in_numbers(&progress))
    }

    fn in_numbers(&self, progress: &Progress) -> Counts {
        // Where only a file tells the end, it tells so although questions are asked again.
        let can_wait = !matches!(self.plan.finished, Finished::File(_));
        let due = progress.due(self.plan.retry_errors).filter(|_| can_wait);
        Counts {
            done: progress.done.len(),
            errors: progress.errors.len(),
            correct: progress.correct,
            null_contents: progress.null_contents,
            toolless: progress.toolless,
            torn: progress.set_aside,
            due: due.count(),
            waiting: progress.waiting,
            total: progress.total,
            finished: progress.finished,
        }
    }

    /// Sets results in error aside that were written since an outage began.
    ///
    /// # Errors
    /// A result cannot be moved.
    pub fn requeue(&mut self, since: Timestamp) -> Result<usize, String> {
        let moved = self.scanner.requeue_errors(wall(since));
        moved.map_err(|error| error.to_string())
    }

    /// What the results say, or why they cannot be read, and what the client's log says.
    pub fn count(&mut self, log: Option<&Path>) -> (Result<Counts, String>, Signs) {
        let mut signs = self.read_log(log);
        let counts = self.progress().map(|progress| {
            if progress.missing.len() <= FEW {
                signs.left.clone_from(&progress.missing);
            }
            self.in_numbers(&progress)
        });
        (counts, signs)
    }

    fn read_log(&mut self, log: Option<&Path>) -> Signs {
        let Some(path) = log else {
            return Signs::default();
        };
        if self.log.as_ref().is_none_or(|(known, _)| known != path) {
            self.log = Some((path.to_owned(), 0));
            let marker = self.plan.marker.as_deref();
            self.markers = marker.and_then(|marker| MarkerReader::new(marker).ok());
            let known = adapters::adapter(&self.plan.adapter).and_then(|adapter| adapter.calls);
            self.calls = known.map(|words| ClientLog::new(words, self.declared.clone()));
        }
        let Some((_, read)) = &mut self.log else {
            return Signs::default();
        };
        if let Some(fresh) = read_from(path, *read) {
            *read += fresh.len() as u64;
            if let Some(markers) = &mut self.markers {
                markers.feed(&fresh);
            }
            if let Some(calls) = &mut self.calls {
                calls.feed(&fresh, SystemClock.now());
            }
        }
        let calls = self.calls.as_ref();
        Signs {
            markers: self
                .markers
                .as_ref()
                .map_or(0, |markers| markers.marks().all()),
            log_bytes: *read,
            open_calls: calls.map_or(0, ClientLog::open_calls),
            long_calls: calls.and_then(|calls| calls.long_calls(SystemClock.now())),
            left: Vec::new(),
            degraded: calls.map_or_else(Default::default, |calls| calls.degraded().clone()),
        }
    }
}

fn declared(plan: &Plan) -> Option<Vec<String>> {
    if plan
        .externals
        .iter()
        .any(|external| external.models.is_empty())
    {
        return None;
    }
    let elsewhere = plan
        .externals
        .iter()
        .flat_map(|external| external.models.iter());
    let here = plan.groups.iter().map(|group| &group.key);
    Some(elsewhere.chain(here).cloned().collect())
}

/// What a log holds from `offset` on; a bounded piece, the rest comes with the next call.
fn read_from(path: &Path, offset: u64) -> Option<Vec<u8>> {
    const PIECE: u64 = 4 << 20;
    let mut file = open_regular(path).ok()?;
    file.seek(SeekFrom::Start(offset)).ok()?;
    let mut fresh = Vec::new();
    file.take(PIECE).read_to_end(&mut fresh).ok()?;
    Some(fresh)
}

fn results_place(results: &ResultsPlan) -> &str {
    match results {
        ResultsPlan::Dir { dir, .. } => dir,
        ResultsPlan::Jsonl { file } => file,
    }
}

/// A client configuration that stands at its final path.
#[derive(Debug)]
pub struct WrittenConfig {
    /// What stands there.
    pub file: Configured,
    /// What people should hear of.
    pub said: Vec<String>,
}

/// The models and services that evaluations with this client configuration require.
pub fn required(plan: &Plan, name: &ConfigName) -> BTreeSet<Name> {
    let evals = plan.evals.iter();
    evals
        .filter(|eval| eval.config.as_ref() == Some(name))
        .flat_map(|eval| eval.requires.iter().cloned())
        .collect()
}

/// The text of a client configuration with just the units that are ready; a user's template is filled in
/// within limits of time and memory.
///
/// # Errors
/// A model or service without an endpoint, or a template that cannot be read or filled in.
pub fn config_text(
    plan: &Plan,
    config: &ClientConfigPlan,
    run: &RunId,
    ready: &BTreeSet<UnitId>,
) -> Result<String, String> {
    let Some(path) = &config.template else {
        let text = client_config(plan, config, run, ready, None);
        return text.map_err(|error| error.to_string());
    };
    let template = read_regular_text(path.as_ref())
        .map_err(|error| format!("cannot read `{path}`: {error}"))?;
    let filled = fill_in(&FillRequest::Config {
        plan: plan.clone(),
        name: config.name.clone(),
        run: run.clone(),
        ready: ready.clone(),
        template,
    })?;
    let texts = filled.into_iter().map(Filled::into_text);
    Ok(texts.collect())
}

/// Writes a client configuration with just the units that are ready. A model or service without any
/// is left out, unless it is `needed`: where evaluations share a configuration, the first must not
/// wait for what only the second needs.
///
/// # Errors
/// Nothing is ready, something that is needed has no server, a template is wrong, or the file cannot be written.
pub fn write_config(
    plan: &Plan,
    name: &ConfigName,
    ready: &BTreeSet<UnitId>,
    needed: &BTreeSet<Name>,
    run: &RunId,
    ours: &[String],
) -> Result<WrittenConfig, String> {
    let config = plan
        .configs
        .iter()
        .find(|config| &config.name == name)
        .ok_or_else(|| format!("there is no client configuration `{name}`"))?;
    let mut served = plan.clone();
    served.groups.retain(|group| {
        let some = group.endpoints.iter().any(|end| ready.contains(&end.unit));
        !group.hidden && (needed.contains(&group.name) || some)
    });
    let endpoints = count_endpoints(&served, ready);
    // An empty one over a good one would send a client nowhere.
    if endpoints == 0 && !plan.groups.is_empty() {
        return Err(format!(
            "no endpoint is ready: `{}` is not written",
            config.path
        ));
    }
    let text = config_text(&served, config, run, ready)?;
    let written = crate::world::write_config(Path::new(&config.path), &text, ours)
        .map_err(|error| error.to_string())?;
    let said = written.moved.map(|moved| {
        format!(
            "`{}` was there and not ours: it is `{}` now",
            config.path,
            moved.display()
        )
    });
    let mut named = places(&served);
    named.retain(|unit, _| ready.contains(unit));
    Ok(WrittenConfig {
        file: Configured {
            path: config.path.clone(),
            sha256: written.sha256,
            endpoints,
            named,
        },
        said: said.into_iter().collect(),
    })
}
