//! `toolorch render`.

use std::collections::BTreeMap;
use std::path::Path;

use crate::base::ExitStatus;
use crate::cli::args::RenderArgs;
use crate::cli::load::load;
use crate::cli::printer::Printer;
use crate::plan::Plan;
use crate::render::{FileSet, FillRequest, Renderer, render_plan};
use crate::run::store::Mode;
use crate::world;

pub(in crate::cli) fn run(args: &RenderArgs, printer: Printer) -> Result<ExitStatus, ExitStatus> {
    let (_, cluster) = load(&args.cluster, printer)?.ready(printer, false)?;
    let files = files_of(&cluster.plan, args.templates.as_deref(), printer)?;
    let written = world::write_rendered(&args.out, &files, Mode::Shared).map_err(|error| {
        printer.complain(&format!("error: {error}"));
        ExitStatus::Usage
    })?;
    printer.say(&format!(
        "wrote {written} files to `{}`; the head of each script says how to run it by hand",
        args.out.display()
    ));
    Ok(ExitStatus::Done)
}

/// Renders a plan with the user's templates over the built-in ones.
pub(in crate::cli) fn files_of(
    plan: &Plan,
    templates: Option<&Path>,
    printer: Printer,
) -> Result<FileSet, ExitStatus> {
    let files = match templates {
        Some(folder) => world::read_templates(folder)
            .and_then(|overrides| {
                world::fill_in(&FillRequest::Scripts {
                    plan: plan.clone(),
                    overrides,
                })
            })
            .map(FileSet::filled),
        None => Renderer::new(&BTreeMap::new())
            .and_then(|renderer| render_plan(plan, &renderer))
            .map_err(|error| error.to_string()),
    };
    files.map_err(|words| {
        printer.complain(&format!("error: {words}"));
        ExitStatus::Usage
    })
}
