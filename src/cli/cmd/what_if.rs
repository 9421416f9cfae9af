//! `toolorch what-if`.

use crate::base::{ExitStatus, clean, plain_json};
use crate::cli::args_what_if::{WhatIfArgs, WhatIfFormat};
use crate::cli::printer::Printer;
use crate::cli::target::{Target, target};
use crate::cli::{patches, report_of, results_of};
use crate::report::KeptYaml;
use crate::report::verdict::{Evidence, Outcome, moves_text, what_if, what_if_text};
use crate::run::store::Home;

pub(in crate::cli) fn run(args: &WhatIfArgs, printer: Printer) -> Result<ExitStatus, ExitStatus> {
    let (word, moves) = args.asked().map_err(|why| {
        printer.complain(&why);
        ExitStatus::Usage
    })?;
    let found = match target(word, printer)? {
        Target::Run(found) => found,
        Target::Results(place) => {
            printer.complain(&format!(
                "error: nothing can be moved in `{0}`: results tell how long calls took, and nothing of the GPUs behind them\nhelp: name the run that made them, or its cluster; `toolorch report {0}` says what the results tell; what a cluster would do a rehearsal shows: toolorch rehearse CLUSTER.yaml",
                place.display()
            ));
            return Err(ExitStatus::Usage);
        }
    };
    let kept = results_of::of(&found, printer).map_err(|error| {
        printer.complain(&format!("error: {error}"));
        ExitStatus::Refused
    })?;
    let yaml = kept.yaml.clone();
    let judgeable = report_of::judgeable(&found, kept);
    let known = judgeable.into_iter().filter_map(|one| {
        let wanted = (args.eval.as_ref()).is_none_or(|name| *name == one.tables.name);
        Some((one.tables.name, one.evidence.filter(|_| wanted)?))
    });
    let known: Vec<(String, Evidence)> = known.collect();
    if known.is_empty() {
        let which = match &args.eval {
            Some(name) => format!("no client of an evaluation `{name}` has started"),
            None => "no client of its evaluations has started".to_owned(),
        };
        printer.complain(&format!(
            "error: nothing is known of run `{}` from which to predict: {which}\nhelp: predict from a run that has finished questions, or from a rehearsal: toolorch rehearse CLUSTER.yaml",
            found.dir.id()
        ));
        return Err(ExitStatus::Refused);
    }
    let mut status = ExitStatus::Done;
    let mut all = serde_json::Map::new();
    let many = known.len() > 1;
    let run = found.dir.id();
    let moves_said = moves_text(&moves);
    for (name, evidence) in known {
        let outcome = what_if(&evidence, &moves);
        let of = if many {
            format!(", evaluation `{name}`")
        } else {
            String::new()
        };
        let asked = format!("run `{run}`{of}: {moves_said}");
        if let Outcome::Refused { why } = &outcome {
            status = ExitStatus::Usage;
            printer.complain(&format!("error: {asked}: {why}"));
        } else if args.format == WhatIfFormat::Text {
            let patch = patch_text(&outcome, yaml.as_ref(), &found.dir.home());
            let text = format!("{asked}\n{}{patch}", what_if_text(&outcome));
            printer.data(&text).map_err(|_| ExitStatus::Internal)?;
        } else {
            printer.say(&asked);
        }
        // Numbers and names always have a JSON form.
        all.insert(name, serde_json::to_value(&outcome).unwrap_or_default());
    }
    if args.format == WhatIfFormat::Json {
        let text = plain_json(&format!("{:#}\n", serde_json::Value::Object(all)));
        printer.data(&text).map_err(|_| ExitStatus::Internal)?;
    }
    Ok(status)
}

/// The changes as a patch of the YAML, moved in as `patch` takes it; nothing where a person has to write some of them.
fn patch_text(outcome: &Outcome, yaml: Option<&KeptYaml>, home: &Home) -> String {
    let patch = match outcome {
        Outcome::Predicted { prediction, .. } => &prediction.patch,
        Outcome::Bounded { patch, .. } => patch,
        Outcome::Refused { .. } => return String::new(),
    };
    if patch.by_hand.is_some() {
        return String::new();
    }
    match patches::diff(patch, yaml, home) {
        Ok(diff) if diff.is_empty() => "  nothing changes in the YAML\n".to_owned(),
        Ok(diff) => {
            let lines = diff.lines().map(|line| format!("    {}\n", clean(line)));
            let command = yaml.and_then(patches::command);
            let command = command.unwrap_or_else(|| "patch -p0".to_owned());
            format!(
                "  as a patch, for `{}`:\n{}",
                clean(&command),
                lines.collect::<String>()
            )
        }
        Err(why) => format!("  not to be had as a patch: {}\n", clean(&why)),
    }
}
