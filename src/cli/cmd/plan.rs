//! `toolorch plan`.

use serde_json::{Value, json};

use crate::base::{EvalName, ExitStatus};
use crate::cli::args::{PlanArgs, PlanFormat};
use crate::cli::cmd::render::files_of;
use crate::cli::forecast::{self, Next, UP};
use crate::cli::load::{Cluster, Loaded, load};
use crate::cli::owners::{self, Obstacle};
use crate::cli::past_calls::{self, Undeclared};
use crate::cli::printer::Printer;
use crate::cli::runs::{self, Found};
use crate::cli::{obstacles, origin, weights};
use crate::plan::{origins, table};
use crate::run::Forecast;
use crate::spec::Document;
use crate::supervise::EvalDesk;
use crate::world;

/// With errors it prints what it can, and exits 2.
pub(in crate::cli) fn run(args: &PlanArgs, printer: Printer) -> Result<ExitStatus, ExitStatus> {
    let mut loaded = load(&args.cluster, printer)?;
    loaded.complain(printer);
    let shown = shown(&loaded, args)?;
    let refused = loaded.refused(false);
    let foreseen = match &mut loaded.cluster {
        Some(cluster) if !refused => Some(foresee(cluster, &loaded.document, args, printer)),
        _ => None,
    };
    if let Some(shown) = shown {
        let known = foreseen.as_ref().and_then(|known| known.as_ref().ok());
        let text = shown.text(known)?;
        printer.data(&text).map_err(|_| ExitStatus::Internal)?;
    }
    if let Some(foreseen) = foreseen {
        let foreseen = foreseen?;
        foreseen.say(args, printer);
        // What runs has its weights.
        if let (Some(cluster), None) = (&loaded.cluster, &foreseen.run) {
            weights::foresee(cluster, printer);
        }
    }
    Ok(if refused {
        ExitStatus::Usage
    } else {
        ExitStatus::Done
    })
}

/// The plan, for a reader.
enum Shown {
    Text(String),
    Json(Value),
}

fn shown(loaded: &Loaded, args: &PlanArgs) -> Result<Option<Shown>, ExitStatus> {
    let Some(cluster) = &loaded.cluster else {
        return Ok(None);
    };
    Ok(Some(match args.format {
        PlanFormat::Table if args.origins => {
            Shown::Text(origins(&loaded.document, &cluster.spec, &cluster.facts))
        }
        PlanFormat::Table => Shown::Text(table(&cluster.plan)),
        PlanFormat::Json => {
            let plan = serde_json::to_value(&cluster.plan);
            Shown::Json(plan.map_err(|_| ExitStatus::Internal)?)
        }
    }))
}

impl Shown {
    /// What is printed; JSON has what would change as well, where a run goes on.
    fn text(self, known: Option<&Foreseen>) -> Result<String, ExitStatus> {
        let mut value = match self {
            Self::Text(text) => return Ok(text),
            Self::Json(value) => value,
        };
        let going_on =
            known.and_then(|known| Some((known.run.as_ref()?, known.forecast.as_ref()?)));
        if let Some((run, forecast)) = going_on {
            value["beside"] = json!({ "run": run.dir.id(), "forecast": forecast });
        }
        let text = serde_json::to_string_pretty(&value).map_err(|_| ExitStatus::Internal)?;
        Ok(text + "\n")
    }
}

/// What `up` is about to do.
struct Foreseen {
    /// The run that goes on.
    run: Option<Found>,
    /// Nothing where nobody can see from here what runs.
    forecast: Option<Forecast>,
    /// Nothing of what runs would change.
    quiet: bool,
    /// Why it would not start anything.
    obstacles: Vec<String>,
    /// Calls that are held against results.
    held: Undeclared,
    desks: Vec<EvalDesk>,
}

fn foresee(
    cluster: &mut Cluster,
    document: &Document,
    args: &PlanArgs,
    printer: Printer,
) -> Result<Foreseen, ExitStatus> {
    let failed = |error| runs::store(&error, printer);
    world::add_git_facts(&mut cluster.facts, &cluster.asked);
    (cluster.plan, _) = crate::plan::plan(&cluster.spec, &cluster.facts);
    let evals = cluster.plan.evals.iter();
    let all: Vec<EvalName> = evals.map(|eval| eval.name.clone()).collect();
    let mut desks = obstacles::desks(cluster, &all, printer)?;
    let mut obstacles = obstacles::foreseen(cluster, document, &mut desks, printer)?;
    let plan = &cluster.plan;
    let run = runs::going_on(&plan.cluster).map_err(failed)?;
    let held = past_calls::find(plan, &mut desks, printer)?;
    let results = forecast::results(&mut desks, &held, printer)?;
    let obstacle = owners::obstacle(&plan.cluster, false).map_err(failed)?;
    let forecast = match (&run, &obstacle) {
        (_, Some(Obstacle::Elsewhere(_))) => None,
        (None, _) => Some(forecast::of_new_run(plan, &results)),
        (Some(run), _) => {
            let next = Next {
                dir: &run.dir,
                plan,
                files: &files_of(plan, args.templates.as_deref(), printer)?,
                state: &run.state,
                asked: UP,
            };
            Some(next.foresee_or_say(&results, printer)?.1)
        }
    };
    let changes_nothing = forecast.as_ref().is_some_and(Forecast::changes_nothing);
    let quiet = run.is_some() && changes_nothing && obstacles.is_empty();
    let complete = forecast.as_ref().is_some_and(|known| known.complete);
    // Complete results are looked at before anybody is asked for the run.
    obstacles.extend(obstacle.filter(|_| !complete).map(Obstacle::into_words));
    Ok(Foreseen {
        run,
        forecast,
        quiet,
        obstacles,
        held,
        desks,
    })
}

impl Foreseen {
    fn say(&self, args: &PlanArgs, printer: Printer) {
        let yaml = &args.cluster.file;
        let known = self.forecast.as_ref();
        let lines = known.map(|known| known.lines(&yaml.display().to_string()));
        let nothing = self.quiet.then(|| "nothing would change".to_owned());
        let place = match &self.run {
            Some(run) => {
                origin::warn(run.dir.id(), &run.state, yaml, printer);
                format!("beside `{}`", run.dir.id())
            }
            None => "`toolorch up`".to_owned(),
        };
        past_calls::say(&self.desks, &self.held, printer);
        for line in lines.into_iter().flatten().chain(nothing) {
            printer.say(&format!("{place}: {line}"));
        }
        for why in &self.obstacles {
            let gap = if why.contains('\n') { '\n' } else { ' ' };
            printer.complain(&format!("`toolorch up` would refuse:{gap}{why}"));
        }
    }
}
