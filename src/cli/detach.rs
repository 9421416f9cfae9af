//! `up --detach`: the controller goes on in the background, as a unit like any other.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::path::Path;
use std::time::{Duration, Instant};

use super::args::UpArgs;
use super::printer::Printer;
use super::runs;
use super::runtime;
use super::unit_scripts::write_scripts;
use crate::base::{Clock, ExitStatus, Generation, LaunchId, UnitId};
use crate::facts::Observation;
use crate::plan::Plan;
use crate::render::context::{UnitContext, Variable};
use crate::run::store::{RunDir, Watch, failpoint, make_dir, read_journal};
use crate::run::{Event, Phase, Record, RunState};
use crate::spec::model::LauncherKind;
use crate::world::{self, LaunchJob, Launchers, SystemClock, TIME_SCALE, UnitDirs};

/// The unit in which a detached controller runs.
pub(super) const CONTROLLER: &str = "toolorch-controller";

/// A start that takes longer than this has gone wrong.
const PATIENCE: Duration = Duration::from_secs(30);

/// Starts the controller as a unit, and returns once it owns the run.
pub(super) fn detach(
    args: &UpArgs,
    plan: &Plan,
    printer: Printer,
) -> Result<ExitStatus, ExitStatus> {
    let dir = runs::current(&plan.cluster).map_err(|error| runs::store(&error, printer))?;
    if let Ok(Watch::Alive(owner)) = Watch::look(dir.path(), SystemClock.now()) {
        return Err(runs::store(&owner.owned(), printer));
    }
    UnitDirs::of_run(&dir).make_root().map_err(|why| {
        printer.complain(&format!("error: {why}\nnothing was started"));
        ExitStatus::Refused
    })?;
    let file = args.cluster.file.display();
    start(args, plan, &dir)
        .and_then(|(job, script)| follow(&dir, &job, script, &file, printer))
        .map_err(|why| printer.internal(format_args!("cannot start the controller: {why}")))?
}

/// Writes the controller's script and runs it.
fn start(args: &UpArgs, plan: &Plan, dir: &RunDir) -> Result<(LaunchJob, u32), String> {
    let unit = UnitId::new(CONTROLLER);
    let context = context(args, plan)?;
    // Apart from the units' scripts, which are one rendered set.
    let scripts = dir.path().join("controller");
    write_scripts(&scripts, &[context])?;
    make_dir(&dir.logs()).map_err(|error| error.to_string())?;
    let dirs = UnitDirs::of_run(dir);
    let generation = match dirs.observe(&unit) {
        Observation::Running(running) => running.generation,
        Observation::Exited(exit) => exit.generation,
        Observation::Lost { generation, .. } => generation,
        Observation::Never | Observation::Queued(_) | Observation::Unknown { .. } => Generation(0),
    };
    let job = LaunchJob {
        run: dir.id().clone(),
        // Two may come within a millisecond.
        concurrency: None,
        passed: Vec::new(),
        launch: LaunchId::new(format!(
            "detached-{:x}-{}",
            SystemClock.now().0,
            std::process::id()
        )),
        log: dir.logs().join(format!("{unit}.log")),
        unit,
        session: None,
        launcher: LauncherKind::Process,
        generation: generation.next(),
        epoch: None,
        scripts,
    };
    let runtime = runtime::single().map_err(|error| error.to_string())?;
    failpoint("detach-before-spawn");
    let launched = runtime
        .block_on(Launchers::default().launch(&job))
        .map_err(|error| error.to_string())?;
    failpoint("detach-after-spawn");
    Ok((job, launched.pid))
}

/// The same call without `--detach`, with what its units take from this shell.
fn context(args: &UpArgs, plan: &Plan) -> Result<UnitContext, String> {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let here = std::env::current_dir().map_err(|error| error.to_string())?;
    let exe = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut argv = vec![text(&exe), "up".to_owned(), text(&args.cluster.file)];
    let mut option = |name: &str, values: &[String]| {
        for value in values {
            argv.extend([name.to_owned(), value.clone()]);
        }
    };
    option("--set", &args.cluster.set);
    option("--only", &args.only);
    if let Some(templates) = &args.templates {
        option("--templates", &[text(templates)]);
    }
    option("--events", &["plain".to_owned()]);
    let given = [
        (args.no_eval, "--no-eval"),
        (args.restart_eval, "--restart-eval"),
        (args.strict, "--strict"),
    ];
    for (given, name) in given {
        argv.extend(given.then(|| name.to_owned()));
    }
    let passed: BTreeSet<String> = plan
        .units
        .iter()
        .flat_map(|unit| unit.env.pass.iter().chain(&unit.env.may_pass).cloned())
        .filter(|name| std::env::var_os(name).is_some())
        .collect();
    // Where tmux has its sockets must be the same for `down`, later, from this shell.
    let kept = ["TOOLORCH_HOME", "TOOLORCH_STATE", "TMUX_TMPDIR", TIME_SCALE].into_iter();
    let set = kept.filter_map(|name| {
        Some(Variable {
            name: name.to_owned(),
            value: std::env::var(name).ok()?,
        })
    });
    Ok(UnitContext {
        name: CONTROLLER.to_owned(),
        cluster: plan.cluster.to_string(),
        kind: "controller".to_owned(),
        argv,
        set: set.collect(),
        pass: passed.into_iter().collect(),
        cwd: Some(text(&here)),
        open_files: Some(65_536),
        grace_s: 30,
        ..UnitContext::default()
    })
}

/// Waits until the controller owns the run, or has ended: then its own words and code are ours.
fn follow(
    dir: &RunDir,
    job: &LaunchJob,
    script: u32,
    file: &dyn Display,
    printer: Printer,
) -> Result<Result<ExitStatus, ExitStatus>, String> {
    let dirs = UnitDirs::of_run(dir);
    let since = Instant::now();
    while since.elapsed() < PATIENCE {
        match dirs.observe(&job.unit) {
            Observation::Running(running)
                if running.launch == job.launch && owns(dir, running.pid) =>
            {
                printer.say(&format!(
                    "the controller runs as pid {}; its log is `{}`\nlook: toolorch status {file}    stop: toolorch down {file}",
                    running.pid,
                    job.log.display()
                ));
                return Ok(Ok(ExitStatus::Done));
            }
            Observation::Exited(exit) if exit.launch == job.launch => {
                let said = exit
                    .reason
                    .unwrap_or_else(|| dirs.tail(&job.unit, &job.log).join("\n"));
                printer.complain(&said);
                let code = exit.code.and_then(|code| u8::try_from(code).ok());
                let status = code.and_then(ExitStatus::from_code);
                return Ok(status.ok_or(ExitStatus::Internal));
            }
            // Another was first: our script found its lock held, and went. Or all is over already, and it went with that.
            _ if world::process(script).is_none() => {
                if let Some(status) = ended(dir) {
                    printer.say(&format!(
                        "its work is over; its log is `{}`",
                        job.log.display()
                    ));
                    return Ok(Ok(status));
                }
                if let Ok(Watch::Alive(owner)) = Watch::look(dir.path(), SystemClock.now()) {
                    return Ok(Err(runs::store(&owner.owned(), printer)));
                }
            }
            _ => {}
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Err(format!(
        "it does not own the run after {}s, see `{}`",
        PATIENCE.as_secs(),
        job.log.display()
    ))
}

/// How the run ended, if it is over.
fn ended(dir: &RunDir) -> Option<ExitStatus> {
    match RunState::fold(&read_journal(dir.path()).ok()?).phase {
        Phase::Ended(code) => ExitStatus::from_code(code),
        _ => None,
    }
}

/// Whether the journal says that this process took the run: it comes after every refusal.
fn owns(dir: &RunDir, pid: u32) -> bool {
    read_journal(dir.path()).is_ok_and(|records| {
        let took = |record: &Record| match record.event {
            Event::OwnerTook { pid, .. } => Some(pid),
            _ => None,
        };
        records.iter().rev().find_map(took) == Some(pid)
    })
}
