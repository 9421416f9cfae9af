//! The program: arguments in, exit code out.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use anstream::ColorChoice;
use clap::{CommandFactory, Parser};

use super::args::{Cli, Colour, Command, SchemaOf};
use super::args_sim::SimCommand;
use super::cmd;
use super::printer::{Printer, Verbosity};
use super::steps::Steps;
use crate::base::ExitStatus;
use crate::view::Background;
use crate::{sim, world};

/// Runs the program for the arguments of this process.
pub fn main() -> ExitCode {
    if let Some(args) = for_the_simulator(std::env::args_os()) {
        return sim::main(args);
    }
    let cli = Cli::parse();
    let colour = match cli.color {
        Colour::Auto => ColorChoice::Auto,
        Colour::Always => ColorChoice::Always,
        Colour::Never => ColorChoice::Never,
    };
    let verbosity = match (cli.quiet, cli.verbose) {
        (true, _) => Verbosity::Quiet,
        (_, true) => Verbosity::Verbose,
        _ => Verbosity::Normal,
    };
    let _steps = (verbosity == Verbosity::Verbose).then(|| Steps::show(colour));
    let printer = Printer::new(verbosity, colour);
    end_at_a_fault(printer);
    if let Err(why) = world::time_scale() {
        printer.complain(&format!("error: {why}"));
        return ExitStatus::Usage.into();
    }
    run(cli.command, printer)
        .unwrap_or_else(|status| status)
        .into()
}

/// A fault of this program ends all of it at once: half a controller would be worse than none. What was recorded is in
/// the journal, and what was started goes on. A display that fails is only a display.
fn end_at_a_fault(printer: Printer) {
    let say = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |fault| {
        say(fault);
        if std::thread::current().name() == Some(Background::THREAD) {
            return;
        }
        printer.complain(
            "error: this is a fault of toolorch; what was started goes on\nhelp: watch it again with the same `toolorch up`",
        );
        std::process::abort();
    }));
}

/// Runs one command; what went wrong was said by it.
fn run(command: Command, printer: Printer) -> Result<ExitStatus, ExitStatus> {
    match command {
        Command::Init(args) => cmd::init::run(&args, printer),
        Command::Check { args, nodes } => cmd::check::run(&args, nodes, printer),
        Command::Doctor(args) => cmd::doctor::run(&args, printer),
        Command::Plan(args) => cmd::plan::run(&args, printer),
        Command::Render(args) => cmd::render::run(&args, printer),
        Command::Fetch(args) => cmd::fetch::run(&args, printer),
        Command::Up(args) => cmd::up::run(args, printer),
        Command::Rehearse(args) => cmd::rehearse::run(args, printer),
        Command::Eval(args) => cmd::eval::run(args, printer),
        Command::Down(args) => cmd::down::run(&args, printer),
        Command::Drain(args) => cmd::drain::run(&args, printer),
        Command::Status(args) => cmd::status::run(&args, printer),
        Command::Serve(args) => cmd::serve::run(&args, printer),
        Command::Logs(args) => cmd::logs::run(&args, printer),
        Command::Events(args) => cmd::events::run(&args, printer),
        Command::Report(args) => cmd::report::run(&args, printer),
        Command::WhatIf(args) => cmd::what_if::run(&args, printer),
        Command::Bundle(args) => cmd::bundle::run(&args, printer),
        Command::Runs => cmd::runs::run(printer),
        Command::Probe(args) => cmd::probe::run(&args, printer),
        Command::Config(args) => cmd::config::run(&args, printer),
        Command::Explain { code } => cmd::explain::run(code.as_deref(), printer),
        Command::Client(args) => cmd::client::run(&args, printer),
        Command::EgressProxy(args) => cmd::egress_proxy::run(&args, printer),
        Command::KnownHost(args) => cmd::known_host::run(&args, printer),
        Command::FillIn { seconds } => world::answer_fill_in(seconds)
            .map(|()| ExitStatus::Done)
            .map_err(|_| ExitStatus::Internal),
        Command::Schema { of } => print(
            printer,
            &match of {
                SchemaOf::Cluster => crate::spec::schema(),
                SchemaOf::Diagnostic => crate::diag::json_schema(),
                SchemaOf::Report => crate::report::report_schema(),
            },
        ),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "toolorch", &mut script);
            print(printer, &String::from_utf8_lossy(&script))
        }
        Command::Sim(SimCommand::Fault(args)) => cmd::sim_fault::run(&args, printer),
        Command::Sim(SimCommand::Capture(args)) => cmd::sim_capture::run(&args, printer),
        Command::Sim(SimCommand::Fit(args)) => cmd::sim_fit::run(args, printer),
        #[cfg(feature = "failpoints")]
        Command::Debug(super::args::DebugCommand::Failpoints) => {
            let line = |(name, what): &(&str, &str)| format!("{name}\t{what}\n");
            let lines: String = crate::run::store::FAILPOINTS.iter().map(line).collect();
            print(printer, &lines)
        }
        // The simulator's command line comes this far only behind flags of ours, and takes none of them.
        Command::Sim(SimCommand::Other(words)) => {
            let line = words.join(" ");
            printer.complain(&format!(
                "error: flags of ours mean nothing here\nhelp: toolorch sim {line}"
            ));
            Err(ExitStatus::Usage)
        }
    }
}

fn print(printer: Printer, text: &str) -> Result<ExitStatus, ExitStatus> {
    printer.data(text).map_err(|_| ExitStatus::Internal)?;
    Ok(ExitStatus::Done)
}

/// What may follow `sim` and is not for the simulator.
const OURS: [&str; 6] = ["fault", "fit", "capture", "help", "--help", "-h"];

/// What the simulator is given: everything when this program is called `vllm`, what follows `sim` otherwise, unless
/// that is ours. Its command line is vLLM's and is passed on untouched.
fn for_the_simulator(mut args: impl Iterator<Item = OsString>) -> Option<Vec<OsString>> {
    let program = args.next()?;
    if Path::new(&program)
        .file_name()
        .is_some_and(|name| name == "vllm")
    {
        return Some(std::iter::once("vllm".into()).chain(args).collect());
    }
    let rest: Vec<OsString> = (args.next()? == "sim").then(|| args.collect())?;
    let ours = rest
        .first()
        .is_some_and(|word| OURS.iter().any(|own| word == own));
    (!ours).then_some(rest)
}
