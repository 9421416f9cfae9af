//! `toolorch rehearse`: the whole evaluation on this machine, without GPUs.

use std::path::Path;

use crate::base::ExitStatus;
use crate::cli::args::{RehearseArgs, UpArgs};
use crate::cli::cmd::down;
use crate::cli::cmd::up::{self, Wanted};
use crate::cli::load::{Cluster, Loaded, gather, load};
use crate::cli::printer::Printer;
use crate::cli::rehearsal::{Ground, Played, Stage, planned, verdict};
use crate::cli::{closing, runs};
use crate::diag::{Severity, human};
use crate::plan::rehearsal::{self, Rehearsal, Wish};
use crate::plan::{Shares, ask};
use crate::spec::{Document, REHEARSE, later_keys, later_refusal};
use crate::world;

/// Servers that a laptop starts without trouble: 104 were ready in two minutes on two cores, 1,000 never.
const MANY: usize = 100;

pub(in crate::cli) fn run(args: RehearseArgs, printer: Printer) -> Result<ExitStatus, ExitStatus> {
    let (document, real, notes) = checked(&args, printer)?;
    let ground = Ground::of(&real, printer)?;
    let _turn = ground.lock(printer)?;
    ground.clear(&real, printer)?;
    let folder = ground.folder.clone();
    let wish = wish(&args, &real, &folder);
    let (rehearsal, cluster) = staged(&document, &real, &args, &wish, printer)?;
    announce(&rehearsal, &real, &wish, printer);
    let faults = planned(&rehearsal, &cluster.plan, args.chaos).map_err(|why| {
        printer.complain(&format!("error: {why}"));
        ExitStatus::Usage
    })?;
    for fault in &faults {
        printer.say(&format!("  {fault}"));
    }
    let mut stage = Stage::new(&rehearsal, &args, faults, ground.marker());
    let wanted = wanted(args);
    let status = up::proceed(&document, cluster, &wanted, &mut stage, printer);
    let run = stage.run();
    let watched = stage.end();
    // A rehearsal leaves nothing behind, however it ended.
    if let Some(dir) = run.clone().filter(|dir| !dir.is_over().unwrap_or(false)) {
        down::run_in(dir, printer)?;
    }
    let played = Played {
        real: &real,
        rehearsal: &rehearsal,
        wish: &wish,
        notes: &notes,
    };
    let status = verdict(&played, &watched, status?, printer)?;
    if let Some(found) = run.and_then(|dir| runs::read(dir).ok())
        && closing::reports(&found.plan, &found.state)
    {
        let command = closing::report_with(&found.dir);
        printer.say(&format!("what limited it, and all tables: {command}"));
    }
    Ok(status)
}

/// The cluster as it is meant for the site, checked as such, and the titles of the notes.
fn checked(
    args: &RehearseArgs,
    printer: Printer,
) -> Result<(Document, Cluster, Vec<String>), ExitStatus> {
    let mut loaded: Loaded = load(&args.cluster, printer)?;
    let later = later_keys(&loaded.document);
    loaded.diagnostics.extend(later_refusal(&later, REHEARSE));
    let notes = loaded
        .diagnostics
        .iter()
        .filter(|found| found.severity == Severity::Note);
    let notes = notes.map(|note| note.title.clone()).collect();
    let (document, cluster) = loaded.ready(printer, args.strict)?;
    Ok((document, cluster, notes))
}

fn wish(args: &RehearseArgs, real: &Cluster, folder: &Path) -> Wish {
    let own = real.spec.rehearse.as_ref();
    Wish {
        folder: folder.display().to_string(),
        speed: args.speed,
        head: args.head.or_else(|| own.and_then(|own| own.dataset_head)),
    }
}

/// Decides what stands for what, puts it in its place, and plans it.
fn staged(
    document: &Document,
    real: &Cluster,
    args: &RehearseArgs,
    wish: &Wish,
    printer: Printer,
) -> Result<(Rehearsal, Cluster), ExitStatus> {
    let home = real.facts.home.get().map(String::as_str);
    let spec = rehearsal::mapped(&real.spec, &real.facts.yaml_dir, home);
    let mut facts = real.facts.clone();
    let questions = ask::questions(&spec, &facts.yaml_dir, home);
    world::add_answers(&mut facts, &questions);
    let asked = rehearsal::questions(&spec, home);
    world::add_programs(&mut facts, &asked.programs);
    world::add_paths(&mut facts, asked.paths.into_iter());
    world::add_conda_envs(&mut facts);
    let rehearsal = rehearsal::rehearse(&spec, &facts, wish);
    let show = |found: &[_]| {
        printer.complain(human(found, document, printer.in_colour()).trim_end());
    };
    if !rehearsal.report.is_empty() {
        show(&rehearsal.report);
        return Err(ExitStatus::Usage);
    }
    world::write_props(&rehearsal.props).map_err(|why| {
        printer.complain(&format!("error: {why}"));
        ExitStatus::Refused
    })?;
    let (mut cluster, found) = gather(rehearsal.spec.clone(), &args.cluster.file);
    // What is said of GPUs is said of those of the cluster, in its time.
    cluster.plan.shares = Shares {
        speed: Some(wish.speed),
        ..real.plan.shares.clone()
    };
    let errors = found
        .into_iter()
        .filter(|one| one.severity == Severity::Error);
    let errors: Vec<_> = errors.collect();
    if !errors.is_empty() {
        show(&errors);
        printer.complain("as a rehearsal the cluster has these errors; for the site it has none");
        return Err(ExitStatus::Usage);
    }
    Ok((rehearsal, cluster))
}

/// Says what stands for what.
fn announce(rehearsal: &Rehearsal, real: &Cluster, wish: &Wish, printer: Printer) {
    let name = &real.spec.name;
    printer.say(&format!(
        "rehearsal of `{name}`: {}x as fast; keys stay here, and what wants to leave this machine is refused and told",
        wish.speed
    ));
    let widest = rehearsal
        .replaced
        .iter()
        .map(|row| row.what.chars().count());
    let width = widest.max().unwrap_or(0).min(40);
    let servers = real.plan.servers().count();
    if servers > MANY {
        printer.complain(&format!(
            "warning: {servers} servers are {servers} processes and as many scripts on this machine: more than some {MANY} are slow \
             to start\nhelp: fewer replicas say the same: --set models.NAME.replicas=2"
        ));
    }
    for row in &rehearsal.replaced {
        let why = row
            .why
            .as_ref()
            .map_or_else(String::new, |why| format!(" ({why})"));
        printer.say(&format!("  {:width$}  {}{why}", row.what, row.by));
    }
}

fn wanted(args: RehearseArgs) -> Wanted {
    Wanted {
        args: UpArgs {
            cluster: args.cluster,
            detach: false,
            no_eval: false,
            restart_eval: false,
            only: Vec::new(),
            strict: args.strict,
            events: args.events,
            templates: None,
            rebuild: false,
        },
        start_servers: true,
        eval: None,
        command: REHEARSE,
        caller_stops: true,
    }
}
