//! Gathers what a bundle of a run holds.

use std::path::Path;

use jiff::tz::TimeZone;

use super::patches;
use super::report_of::{self, Made};
use super::results_of;
use super::runs::Found;
use crate::base::Secrets;
use crate::knowledge::credentials::is_secret;
use crate::plan::Plan;
use crate::report::bundle::{About, Bundle, BundleFile, ids_text, readme_text, versions_json};
use crate::report::charts::BINS;
use crate::report::{Kept, report_html, report_json, report_markdown};
use crate::run::Phase;
use crate::run::store::{StoreError, read_regular_text};
use crate::world::UnitDirs;

/// A bundle with its `README.md` in front.
///
/// # Errors
/// The plan cannot be read.
pub(super) fn of(run: &Found, kept: Kept) -> Result<(Bundle, Vec<String>), StoreError> {
    let secrets = secrets(run);
    let mut doubts = Vec::new();
    let mut files = vec![
        file("plan.json", plan(&run.dir.plan())?),
        file(
            "versions.json",
            versions_json(&run.plan, &run.records, env!("CARGO_PKG_VERSION")),
        ),
    ];
    match &kept.yaml {
        Some(yaml) => files.insert(0, file("cluster.yaml", yaml.text.clone())),
        None => doubts.push(format!(
            "`cluster.yaml` is missing: {}",
            match &run.state.yaml {
                Some(path) => format!("`{path}` could not be read"),
                None => "nobody recorded which file the run followed".to_owned(),
            }
        )),
    }
    files.extend(ids(&run.plan, &kept));
    let made = report_of::of_run(run, kept, BINS, None);
    if made.is_worse {
        doubts.push("results changed after this run ended, and what they were was not kept: the report and `ids` tell of what is there now".to_owned());
    }
    files.extend(report(&made));
    let bundle = Bundle::of(files, &secrets);
    let readme = readme_text(&about(run, doubts.clone()), &bundle);
    let readme = Bundle::of(vec![file("README.md", readme)], &secrets);
    let files = readme.files.into_iter().chain(bundle.files).collect();
    let masked = readme.masked.into_iter().chain(bundle.masked).collect();
    Ok((Bundle { files, masked }, doubts))
}

fn file(name: impl Into<String>, text: String) -> BundleFile {
    BundleFile {
        name: name.into(),
        text,
    }
}

fn plan(path: &Path) -> Result<String, StoreError> {
    read_regular_text(path).map_err(StoreError::io("read", path))
}

fn ids(plan: &Plan, kept: &Kept) -> Vec<BundleFile> {
    let evals = kept.evals.iter().filter_map(|eval| {
        let expected = results_of::expected(plan.eval(&eval.name)?, &eval.ids);
        let text = ids_text(expected.as_ref(), &eval.written);
        Some(file(format!("ids/{}.jsonl", eval.name), text))
    });
    evals.collect()
}

fn report(made: &Made) -> Vec<BundleFile> {
    let report = &made.report;
    // Whoever reads it may be anywhere.
    let page = report_html(report, &made.charts, &TimeZone::UTC);
    let mut files = vec![
        file("report.md", report_markdown(report)),
        file("report.json", report_json(report)),
        file("report.html", page),
    ];
    let patches = patches::files(report).into_iter();
    files.extend(patches.map(|(name, text)| file(name, text)));
    files
}

fn about(run: &Found, doubts: Vec<String>) -> About {
    About {
        run: run.dir.id().to_string(),
        cluster: run.plan.cluster.to_string(),
        state: match run.state.phase {
            Phase::Ended(code) => format!("ended with exit code {code}"),
            Phase::New | Phase::Running => "had not ended when this was made".to_owned(),
        },
        until: run.records.last().map(|record| record.at.to_string()),
        doubts,
    }
}

/// What units were passed, as long as that is kept, and what this process's environment holds of the kind.
fn secrets(run: &Found) -> Secrets {
    let dirs = UnitDirs::of_run(&run.dir);
    let units = run.plan.units.iter().map(|unit| dirs.secrets(&unit.id));
    let of_units = units.fold(Secrets::default(), Secrets::and);
    let passed = run.plan.units.iter().flat_map(|unit| &unit.env.pass);
    let keys = run.plan.externals.iter();
    let keys = keys.filter_map(|external| external.api_key_env.as_ref());
    let named: Vec<&String> = passed.chain(keys).collect();
    let variables = std::env::vars_os().filter_map(|(name, value)| {
        let name = name.into_string().ok()?;
        let is_one = is_secret(&name) || named.contains(&&name);
        let pair = [name.as_bytes(), b"=", value.as_encoded_bytes(), b"\0"];
        is_one.then(|| pair.concat())
    });
    of_units.and(Secrets::parse(&variables.collect::<Vec<_>>().concat()))
}
