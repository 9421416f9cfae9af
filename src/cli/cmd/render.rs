//! `toolorch render`.

use std::path::Path;

use crate::base::ExitStatus;
use crate::cli::args::RenderArgs;
use crate::cli::load::load;
use crate::cli::printer::Printer;
use crate::plan::Plan;
use crate::render::{FileSet, Renderer, render_plan};
use crate::world;

pub(in crate::cli) fn run(args: &RenderArgs, printer: Printer) -> Result<ExitStatus, ExitStatus> {
    let (_, cluster) = load(&args.cluster, printer)?.ready(printer, false)?;
    let files = files_of(&cluster.plan, args.templates.as_deref(), printer)?;
    let written = world::write_rendered(&args.out, &files).map_err(|error| {
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
    let refused = |words: String| {
        printer.complain(&format!("error: {words}"));
        ExitStatus::Usage
    };
    let overrides = match templates {
        Some(folder) => world::read_templates(folder).map_err(refused)?,
        None => std::collections::BTreeMap::new(),
    };
    let renderer = Renderer::new(&overrides).map_err(|error| refused(error.to_string()))?;
    render_plan(plan, &renderer).map_err(|error| refused(error.to_string()))
}
