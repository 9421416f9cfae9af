//! `toolorch report`.

use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;

use crate::base::{ExitStatus, clean, cut};
use crate::cli::args::{ReportArgs, ReportFormat, ToldArgs};
use crate::cli::printer::Printer;
use crate::cli::report_of::Made;
use crate::cli::runs::{self, Found};
use crate::cli::target::{Target, target};
use crate::cli::{patches, predictions, report_of, results_of};
use crate::report::charts::BINS;
use crate::report::{Report, bins_of, report_html, report_json, report_markdown, report_text};
use crate::run::store::{
    Mode, StoreError, make_own_dir, read_regular, read_regular_text, write_atomically,
};

/// Where its files are, if they are to be kept.
enum Place {
    /// In the run's folder.
    Run(PathBuf),
    /// Where the user said.
    Named(PathBuf),
    /// Nowhere.
    None,
}

impl Place {
    fn folder(&self) -> Option<&Path> {
        match self {
            Self::Run(folder) | Self::Named(folder) => Some(folder),
            Self::None => None,
        }
    }
}

pub(in crate::cli) fn run(args: &ReportArgs, printer: Printer) -> Result<ExitStatus, ExitStatus> {
    let complain = |words: String| {
        printer.complain(&words);
        ExitStatus::Usage
    };
    let target = target(args.target.as_deref(), printer)?;
    let place = place(&target, args.out.as_deref()).map_err(complain)?;
    let kept = args.check.then(|| kept_bins(&place)).flatten();
    let bins = args.bins.or(kept).unwrap_or(BINS);
    let made = match &target {
        Target::Results(place) => {
            report_of::of_results(place, &args.told, bins).map_err(complain)?
        }
        Target::Run(found) => {
            refuse_told(&args.told, found).map_err(complain)?;
            let kept = if args.check {
                results_of::of(found, printer)
            } else {
                results_of::of_and_keep(found, printer)
            };
            let kept = kept.map_err(|error| {
                printer.complain(&format!("error: {error}"));
                ExitStatus::Refused
            })?;
            report_of::of_run(found, kept, bins, place.folder())
        }
    };
    if args.check {
        return check(&made, &place, printer);
    }
    let report = &made.report;
    let shown = match args.format {
        ReportFormat::Text => report_text(report),
        ReportFormat::Json => report_json(report),
        ReportFormat::Md => report_markdown(report),
        ReportFormat::Html => report_html(report, &made.charts, &TimeZone::system()),
    };
    // What can be shown is shown, whatever becomes of the files.
    printer.data(&shown).map_err(|_| ExitStatus::Internal)?;
    if let Some(there) = better(&made, &place) {
        printer.complain(&format!(
            "warning: `{}` was left as it was: results changed since this run ended, and what was written before may know more\nhelp: `--out DIR` writes this report elsewhere",
            there.display()
        ));
        return Ok(ExitStatus::Done);
    }
    if let Some(folder) = write(&made, &place).map_err(|error| runs::store(&error, printer))? {
        printer.say(&format!(
            "wrote report.json, report.md and report.html to `{}`",
            folder.display()
        ));
        let commands = report.judgements.iter();
        for command in commands.filter_map(|one| one.patch_command.as_ref()) {
            printer.say(&format!("to do as advised: {command}"));
        }
    }
    Ok(ExitStatus::Done)
}

/// With how many bars the page that is there was made.
fn kept_bins(place: &Place) -> Option<usize> {
    bins_of(&read_regular_text(&place.folder()?.join("report.html")).ok()?)
}

/// A run's plan knows what belongs to its results.
fn refuse_told(told: &ToldArgs, found: &Found) -> Result<(), String> {
    let told = [
        ("--dataset", told.dataset.is_some()),
        ("--call-log", told.call_log.is_some()),
        ("--client-log", told.client_log.is_some()),
        ("--orchestrator", told.orchestrator.is_some()),
        ("--concurrency", told.concurrency.is_some()),
        ("--gpus", !told.gpus.is_empty()),
    ];
    match told.iter().find(|(_, given)| *given) {
        None => Ok(()),
        Some((option, _)) => Err(format!(
            "error: `{option}` means nothing for the run `{}`, whose plan says it\nhelp: name the folder of its results instead of the run to read them another way",
            found.dir.id()
        )),
    }
}

fn place(target: &Target, out: Option<&Path>) -> Result<Place, String> {
    let Some(out) = out else {
        return Ok(match target {
            Target::Run(found) => Place::Run(found.dir.report()),
            Target::Results(_) => Place::None,
        });
    };
    let same = |results: &Path| {
        let (a, b) = (results.canonicalize(), out.canonicalize());
        matches!((a, b), (Ok(a), Ok(b)) if a == b)
    };
    match target {
        Target::Results(results) if same(results) => Err(format!(
            "error: `{0}` holds the results: a report in it would stand among them\nhelp: name another folder: --out {1}",
            out.display(),
            out.join("report").display()
        )),
        _ => Ok(Place::Named(out.to_owned())),
    }
}

/// A report that was made before of more than is known now.
fn better(made: &Made, place: &Place) -> Option<PathBuf> {
    let Place::Run(folder) = place else {
        return None;
    };
    let there = folder.join("report.json");
    (made.is_worse && there.exists()).then_some(there)
}

/// The files of a report; what it predicts is kept with a run alone, whose next run it is for.
fn files(made: &Made, place: &Place) -> Vec<(String, String)> {
    let report = &lasting(&made.report);
    let page = report_html(report, &made.charts, &TimeZone::system());
    let mut files = vec![
        ("report.json".to_owned(), report_json(report)),
        ("report.md".to_owned(), report_markdown(report)),
        ("report.html".to_owned(), page),
    ];
    files.extend(patches::files(report));
    if matches!(place, Place::Run(_)) && !made.is_worse {
        files.extend(predictions::kept(report));
    }
    files
}

/// Without what became of the results since: that is true when it is said, and what is kept is to stay true.
fn lasting(report: &Report) -> Report {
    let mut report = report.clone();
    for found in &mut report.evaluations {
        found.changed_since.take_if(|changed| changed.kept);
    }
    report
}

fn write<'a>(made: &Made, place: &'a Place) -> Result<Option<&'a Path>, StoreError> {
    let (folder, mode) = match place {
        Place::None => return Ok(None),
        Place::Run(folder) => {
            make_own_dir(folder)?;
            (folder, Mode::Private)
        }
        Place::Named(folder) => {
            std::fs::create_dir_all(folder).map_err(StoreError::io("create", folder))?;
            (folder, Mode::Shared)
        }
    };
    let files = files(made, place);
    for (name, text) in &files {
        write_atomically(&folder.join(name), text.as_bytes(), mode)?;
    }
    if let Place::Run(_) = place {
        for path in predictions::stale(folder, &files) {
            std::fs::remove_file(&path).map_err(StoreError::io("remove", &path))?;
        }
        remove_old(folder, &files);
    }
    Ok(Some(folder))
}

/// Patches that were advised before and are not any more.
fn remove_old(folder: &Path, files: &[(String, String)]) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if patches::is_one(&name) && files.iter().all(|(new, _)| *new != *name) {
            // One that stays harms nobody who reads the report.
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Why files may not be what would be written.
const WHY_OTHERS: &str = "help: results, samples, logs, the options of this command or toolorch changed since, or somebody changed the files";

/// So many characters of a line say what differs.
const SHOWN: usize = 60;

/// The first line that differs, from a few characters before they part.
fn first_difference(there: &str, new: &str) -> String {
    let same = there.lines().zip(new.lines());
    let same = same.take_while(|(one, other)| one == other).count();
    let (there, new) = (there.lines().nth(same), new.lines().nth(same));
    let (one, other) = (there.unwrap_or_default(), new.unwrap_or_default());
    let letters = one.chars().zip(other.chars());
    let letters = letters.take_while(|(one, other)| one == other).count();
    let part = |line: &str| {
        let from = letters.saturating_sub(SHOWN / 3);
        let part: String = line.chars().skip(from).collect();
        format!("`{}`", cut(&clean(part.trim()), SHOWN))
    };
    let is = there.map_or_else(
        || "is missing".to_owned(),
        |line| format!("is {}", part(line)),
    );
    let would = new.map_or_else(
        || "would not be there".to_owned(),
        |line| format!("would be {}", part(line)),
    );
    format!("line {} {is}, and {would}", same + 1)
}

/// Compares the files that are there with what would be written now.
fn check(made: &Made, place: &Place, printer: Printer) -> Result<ExitStatus, ExitStatus> {
    let Some(folder) = place.folder() else {
        printer.complain(
            "error: reports on a folder of results are kept where `--out` says\nhelp: name the folder that has them: --check --out DIR",
        );
        return Err(ExitStatus::Usage);
    };
    let mut status = ExitStatus::Done;
    let mut differs = false;
    let files = files(made, place);
    if let Place::Run(_) = place {
        for path in predictions::stale(folder, &files) {
            printer.complain(&format!(
                "error: `{}` predicts what this report does not advise",
                path.display()
            ));
            (status, differs) = (ExitStatus::Refused, true);
        }
    }
    for (name, text) in files {
        let path = folder.join(name);
        let shown = path.display();
        let words = match read_regular(&path) {
            Ok(bytes) if bytes == text.as_bytes() => continue,
            Ok(bytes) => {
                differs = true;
                format!(
                    "error: `{shown}` is not what would be written now: {}",
                    first_difference(&String::from_utf8_lossy(&bytes), &text)
                )
            }
            Err(error) => format!("error: cannot read `{shown}`: {error}"),
        };
        printer.complain(&words);
        status = ExitStatus::Refused;
    }
    if differs {
        printer.complain(WHY_OTHERS);
    }
    if status == ExitStatus::Done {
        printer.say(&format!(
            "report.json, report.md and report.html in `{}` are what would be written now",
            folder.display()
        ));
    }
    Ok(status)
}

#[cfg(test)]
mod tests {
    use super::first_difference;

    #[test]
    fn what_differs_is_shown_in_few_words() {
        let long = format!("{}<b>12 calls</b>{}", "x".repeat(500), "y".repeat(500));
        let said = [
            first_difference("a\n  \"done\": 12,\nc", "a\n  \"done\": 13,\nc"),
            first_difference("a\n", "a\nb\n"),
            first_difference("a\nb\n", "a\n"),
            first_difference(&long, &long.replace("12", "13")),
        ];
        insta::assert_snapshot!(said.join("\n"), @r#"
        line 2 is `"done": 12,`, and would be `"done": 13,`
        line 2 is missing, and would be `b`
        line 2 is `b`, and would not be there
        line 1 is `xxxxxxxxxxxxxxxx<b>12 calls</b>yyyyyyyyyyyyyyyyyyyyyyyyyyyy…`, and would be `xxxxxxxxxxxxxxxx<b>13 calls</b>yyyyyyyyyyyyyyyyyyyyyyyyyyyy…`
        "#);
    }
}
