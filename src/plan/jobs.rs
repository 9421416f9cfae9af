//! SLURM jobs: all units of one node in one job.

use std::collections::HashMap;

use crate::base::{FieldPath, NodeName};
use crate::diag::{Code, Diagnostic, Place, Report};
use crate::spec::ClusterSpec;
use crate::spec::model::LauncherKind;

use super::sites::{Site, Sites};
use super::{Access, JobPlan, Unit, inherit};

/// The jobs that hold the SLURM units, in the order of their first unit.
pub(crate) fn all(
    spec: &ClusterSpec,
    sites: &Sites<'_>,
    units: &[Unit],
    report: &mut Report,
) -> Vec<JobPlan> {
    let mut jobs: Vec<JobPlan> = Vec::new();
    let mut by_node: HashMap<&str, usize> = HashMap::new();
    let by_name: HashMap<&NodeName, &Site<'_>> = (sites.all().iter())
        .map(|site| (&site.name, site))
        .collect();
    for unit in units
        .iter()
        .filter(|unit| unit.launcher == LauncherKind::Slurm)
    {
        if let Some(&job) = by_node.get(unit.node.as_str()) {
            jobs[job].units.push(unit.id.clone());
            jobs[job].gpus.extend(&unit.gpus);
            continue;
        }
        let site = by_name.get(&unit.node).copied();
        let (pool, own) = site.map_or((None, None), |site| {
            (Some(site.key.clone()).filter(|_| site.in_pool), site.slurm)
        });
        let nodelist = match (site, &pool) {
            (Some(site), None) => Some(site.slurm_name.unwrap_or(site.name.as_str()).to_owned()),
            _ => None,
        };
        by_node.insert(unit.node.as_str(), jobs.len());
        jobs.push(JobPlan {
            name: format!("{}-{}", spec.name, unit.node),
            node: unit.node.clone(),
            pool,
            nodelist,
            units: vec![unit.id.clone()],
            gpus: unit.gpus.clone(),
            access: Access::Local,
            options: inherit::slurm(spec, own),
        });
    }
    for job in &mut jobs {
        job.gpus.sort_unstable();
        job.gpus.dedup();
        if let Some(login) = &job.options.login {
            job.access = sites.login(login);
        }
    }
    require_time(&jobs, report);
    jobs
}

/// A job without a time limit gets the partition's, which nobody here knows.
fn require_time(jobs: &[JobPlan], report: &mut Report) {
    let Some(job) = jobs.iter().find(|job| job.options.time.is_none()) else {
        return;
    };
    let root = FieldPath::root();
    let path = match &job.pool {
        Some(pool) => root.key("pools").key(pool.as_str()),
        None => root.key("nodes").key(job.node.as_str()),
    };
    report.push(
        Diagnostic::error(Code("E0316"), "SLURM jobs need a time limit")
            .at(Place::Key(path), "units here are started by SLURM")
            .help("write it at the top: `slurm: { time: \"04:00:00\" }`"),
    );
}
