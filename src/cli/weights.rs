//! Weights into caches, before any server is started: for `fetch` and for `up`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::fetching::{self, Interrupts};
use super::load::Cluster;
use super::printer::Printer;
use crate::base::{ExitStatus, UnitId, bytes};
use crate::plan::weights::{TokenFrom, Wanted, Weights, is_revision, refused, wanted};
use crate::world::hub::{self, CacheLook, Disk, FetchJob, Hub, HubError};

/// So much of a disk stays free: a cache that fills it stops more than servers.
const KEPT: u64 = 1_000_000_000;

/// The weights of a cluster's servers, but for those that run.
pub(super) fn of(cluster: &Cluster, running: &BTreeSet<UnitId>) -> Weights {
    let home = cluster.facts.home.get().map(String::as_str);
    let variables = super::cmd::up::environment();
    wanted(&cluster.spec, &cluster.plan, home, &variables, running)
}

/// What a cache lacks, for people.
pub(super) fn lacks(wanted: &Wanted, look: &CacheLook) -> Option<String> {
    let Wanted {
        repo,
        revision,
        hub,
        ..
    } = wanted;
    let whose = wanted.whose();
    match look {
        CacheLook::Whole { .. } => None,
        CacheLook::Lacks { commit: None, .. } => Some(format!(
            "`{repo}` ({whose}) is not in the cache `{}`: it knows no `{revision}`",
            hub.display()
        )),
        CacheLook::Lacks {
            commit: Some(_),
            missing,
        } => {
            let named: Vec<&str> = missing.iter().take(3).map(String::as_str).collect();
            let more = match missing.len().saturating_sub(named.len()) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            Some(format!(
                "`{repo}` ({whose}) is not whole in the cache `{}`: {}{more} missing",
                hub.display(),
                named.join(", ")
            ))
        }
    }
}

/// What servers of this machine would not find, in words.
fn lacking(cluster: &Cluster, running: &BTreeSet<UnitId>) -> Vec<(String, Wanted)> {
    let here = (of(cluster, running).wanted.into_iter()).filter(|wanted| wanted.here);
    let looked = here.map(|wanted| (hub::look(&wanted), wanted));
    let lacking = looked.filter_map(|(look, wanted)| Some((lacks(&wanted, &look)?, wanted)));
    lacking.collect()
}

/// Says what `up` would download, as far as caches tell.
pub(super) fn foresee(cluster: &Cluster, printer: Printer) {
    for (why, wanted) in lacking(cluster, &BTreeSet::new()) {
        let then = if wanted.offline {
            "its server is told to ask no hub"
        } else {
            "`up` downloads it before it starts anything"
        };
        printer.say(&format!("{why}; {then}"));
    }
}

/// What `up` makes sure of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Brought {
    /// It was there.
    Nothing,
    /// It came just now, which may have taken hours.
    Something,
}

/// Sees to it that servers of this machine find their weights. Where all is there this takes a look at files.
///
/// # Errors
/// A hub refuses or cannot be reached, or there is no room: said, and nothing was downloaded.
pub(super) fn before_start(
    cluster: &Cluster,
    running: impl Fn() -> Result<BTreeSet<UnitId>, ExitStatus>,
    printer: Printer,
) -> Result<Brought, ExitStatus> {
    if lacking(cluster, &BTreeSet::new()).is_empty() {
        return Ok(Brought::Nothing);
    }
    // What runs has read its weights.
    let lacking = lacking(cluster, &running()?);
    let (offline, online): (Vec<_>, Vec<_>) =
        (lacking.into_iter()).partition(|(_, wanted)| wanted.offline);
    for (why, _) in offline {
        printer.complain(&format!("warning: {why}; its server is told to ask no hub"));
    }
    if online.is_empty() {
        return Ok(Brought::Nothing);
    }
    let wanted: Vec<Wanted> = online.into_iter().map(|(_, wanted)| wanted).collect();
    bring(&wanted, Interrupts::End, printer)
        .inspect_err(|_| printer.complain("nothing was started"))
        .map(|()| Brought::Something)
}

/// Downloads repositories into their caches.
///
/// # Errors
/// As [`before_start`].
pub(super) fn bring(
    wanted: &[Wanted],
    interrupts: Interrupts,
    printer: Printer,
) -> Result<(), ExitStatus> {
    let asked = fetching::drive(interrupts, printer, ask_all(wanted))?;
    let mut jobs = Vec::new();
    let mut refusals = Vec::new();
    for answer in asked {
        match answer {
            Ok(job) => jobs.push(job),
            Err(why) => refusals.push(why),
        }
    }
    let left = jobs.iter().map(|(_, job)| job.left());
    let places = jobs.iter().map(|(_, job)| hub::disk_of(&job.wanted.hub));
    let rows = jobs.iter().zip(left).zip(places);
    let rows: Vec<(&FetchJob, u64, Option<Disk>)> = rows
        .map(|(((_, job), left), disk)| (job, left, disk))
        .collect();
    if refusals.is_empty() {
        refusals = no_room(&rows);
    }
    if !refusals.is_empty() {
        for why in refusals {
            printer.complain(&format!("error: {why}"));
        }
        printer.complain("nothing was downloaded");
        return Err(ExitStatus::Refused);
    }
    for (asker, job) in &jobs {
        fetching::download(&asker.hub, job, interrupts, printer)?.map_err(|error| {
            let why = said(&job.wanted, &error, asker);
            printer.complain(&format!(
                "error: {why}\nwhat came is kept: the next time goes on with it"
            ));
            ExitStatus::Refused
        })?;
    }
    Ok(())
}

/// A hub, and as whom it is asked.
#[derive(Debug, Clone)]
struct Asker {
    hub: Hub,
    token: TokenFrom,
}

/// Asks for each repository; refusals in words.
async fn ask_all(all: &[Wanted]) -> Vec<Result<(Asker, FetchJob), String>> {
    let mut askers: BTreeMap<(Option<String>, PathBuf), Asker> = BTreeMap::new();
    let mut answers = Vec::new();
    for wanted in all {
        let key = (wanted.token.clone(), wanted.home.clone());
        let asker = match askers.get(&key) {
            Some(asker) => Ok(asker.clone()),
            None => asker_of(wanted),
        };
        let answer = match asker {
            Ok(asker) => {
                askers.insert(key, asker.clone());
                let asked = hub::ask(&asker.hub, wanted).await;
                asked
                    .map_err(|error| said(wanted, &error, &asker))
                    .map(|job| (asker, job))
            }
            Err(why) => Err(why),
        };
        answers.push(answer);
    }
    answers
}

fn asker_of(wanted: &Wanted) -> Result<Asker, String> {
    if !is_revision(&wanted.revision) {
        return Err(format!(
            "`{}` is no name of a revision ({})\nhelp: name a branch, a tag or a whole commit",
            crate::base::clean(&wanted.revision),
            wanted.whose()
        ));
    }
    let (from, token) = hub::token_of(wanted.token.as_deref(), &wanted.home);
    let hub = Hub::new(&hub::endpoint(), token.as_deref()).map_err(|error| error.to_string())?;
    Ok(Asker { hub, token: from })
}

fn said(wanted: &Wanted, error: &HubError, asker: &Asker) -> String {
    let whose = wanted.whose();
    match error {
        HubError::Refused(refusal) => refused(wanted, refusal, asker.hub.shown(), &asker.token),
        HubError::Silent { .. } => format!(
            "`{}` ({whose}) is not whole in the cache `{}`, and {error}\nhelp: fetch it where the hub can be reached (toolorch fetch), into a cache that is read here; `hf: {{ offline: true }}` starts from what is there",
            wanted.repo,
            wanted.hub.display()
        ),
        _ => format!("`{}` ({whose}): {error}", wanted.repo),
    }
}

/// What does not fit on its disk, for people.
fn no_room(rows: &[(&FetchJob, u64, Option<Disk>)]) -> Vec<String> {
    let mut disks: BTreeMap<u64, (&Disk, u64, Vec<&FetchJob>)> = BTreeMap::new();
    for (job, left, disk) in rows {
        if let Some(disk) = disk.as_ref().filter(|_| *left > 0) {
            let (_, sum, jobs) = disks.entry(disk.device).or_insert((disk, 0, Vec::new()));
            *sum = sum.saturating_add(*left);
            jobs.push(job);
        }
    }
    let short = disks
        .into_values()
        .filter(|(disk, sum, _)| disk.free < sum.saturating_add(KEPT));
    let words = short.map(|(disk, sum, jobs)| {
        let names: Vec<String> = jobs.iter().map(|job| format!("`{}` ({})", job.wanted.repo, job.wanted.whose())).collect();
        format!(
            "{} {} {} in `{}`, where {} are free, of which {} stay so\nhelp: make room, or name a cache on another disk: `hf: {{ home: … }}`",
            names.join(", "),
            if names.len() == 1 { "needs" } else { "need" },
            bytes(sum),
            disk.folder.display(),
            bytes(disk.free),
            bytes(KEPT)
        )
    });
    words.collect()
}
