//! The command line of `toolorch sim`; each doc comment is the help that people read.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::base::Millis;

/// Clap does not list what it does not read itself.
pub(super) const VLLM: &str = "\
And the simulated vLLM, whose command line is vLLM's:
  vllm serve MODEL …  `toolorch sim vllm serve --help` lists its options";

#[derive(Debug, Subcommand)]
pub(super) enum SimCommand {
    /// Let something go wrong with a unit of a run.
    Fault(FaultArgs),
    /// Keep what `/metrics` of real servers says over time, for `fit`.
    Capture(CaptureArgs),
    /// Find the simulator's parameters in a capture, a client's call log or results.
    Fit(FitArgs),
    /// The simulated vLLM: `toolorch sim vllm serve MODEL …`; its command line is vLLM's.
    #[command(external_subcommand)]
    Other(Vec<String>),
}

/// What each kind does.
const KINDS: &str = "\
Kinds for simulated servers, while they last or until `end`:
  crash        the process ends with 1
  engine       the engine dies, and its server with it
  hang         the engine stands still: completions are never answered, counters stay,
               /health says 200
  slow         each request takes five seconds more
  error, busy  requests get 500, or 429
  reset        connections break in the middle of an answer
  wrong-model  it serves another model
  half-open    connections are taken, nothing is ever answered, /health neither
  escapes      terminal escape sequences in the log
  flood        50 MB/s in the log, for 2s unless --for says more
  oom          the next start runs out of GPU memory
  port-taken   it crashes, and an outsider takes its port, for 20s unless --for says else
Kinds for every unit whose process is on this machine:
  kill, term   SIGKILL or SIGTERM to its first process
  stop         SIGSTOP, and SIGCONT after --for or by `end`
Kinds for evaluations:
  torn         its newest result is cut in two, and its client killed
  leak, exit, outside, stall, die
               a line for a client that reads the file `TOOLORCH_CLIENT_CONTROL`
For all:
  end          ends what lasts

A real server takes kill, stop, term and end. In a run that has real servers nothing is
done without --real: what is lost there took hours.";

/// What goes wrong with which unit.
#[derive(Debug, Args)]
#[command(after_help = KINDS)]
pub(super) struct FaultArgs {
    /// The unit, such as `orchestrator-0` or `eval-hle`.
    pub(super) unit: String,
    /// What goes wrong.
    pub(super) kind: String,
    /// For how long, such as `30s`.
    #[arg(long = "for", value_name = "TIME")]
    pub(super) lasts: Option<String>,
    /// The cluster's YAML, its name, or a run's; without it the only live run, else the last one of the only cluster.
    #[arg(long, short, value_name = "CLUSTER.yaml|NAME")]
    pub(super) file: Option<PathBuf>,
    /// Yes, also in a run with servers that are not simulated.
    #[arg(long)]
    pub(super) real: bool,
}

#[derive(Debug, Args)]
pub(super) struct CaptureArgs {
    /// Servers by URL, such as `node1:8000`; or a cluster's YAML for those of its last run.
    #[arg(required = true, value_name = "CLUSTER.yaml|URL")]
    pub(super) servers: Vec<String>,
    /// The folder to write to: `UNIT/MILLISECONDS.prom`.
    #[arg(long, value_name = "DIR")]
    pub(super) out: PathBuf,
    /// Time between two looks.
    #[arg(long, default_value = "10s", value_parser = duration, value_name = "TIME")]
    pub(super) every: Millis,
    /// Stop after this time; without it at Ctrl-C.
    #[arg(long = "for", value_parser = duration, value_name = "TIME")]
    pub(super) length: Option<Millis>,
}

fn duration(text: &str) -> Result<Millis, String> {
    match Millis::parse(text) {
        Ok(Millis(0)) => Err("must be more than 0".to_owned()),
        Ok(length) => Ok(length),
        Err(error) => Err(error.to_string()),
    }
}

/// How parameters are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum FitFormat {
    /// A `sim:` block for each model, ready to paste.
    Yaml,
    /// Versioned JSON.
    Json,
}

#[derive(Debug, Args)]
pub(super) struct FitArgs {
    /// A capture's folder, a client's call log, or a folder of results.
    #[arg(value_name = "CAPTURE|RESULTS")]
    pub(super) path: PathBuf,
    /// Only this model, by the name that its server has for it.
    #[arg(long)]
    pub(super) model: Option<String>,
    /// How parameters are shown.
    #[arg(long, value_enum, default_value = "yaml")]
    pub(super) format: FitFormat,
    /// Requests under way at once, where results do not tell it.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) concurrency: Option<u32>,
    /// Servers of the model, where results do not tell it.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) replicas: Option<u32>,
    /// What to assume where nothing was seen: `--prior answer_tokens=600`; again for more.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(super) prior: Vec<String>,
    /// The capture is of simulators that ran at this `speed`.
    #[arg(long, value_name = "SPEED", default_value_t = 1.0, value_parser = speed)]
    pub(super) speed: f64,
}

fn speed(text: &str) -> Result<f64, String> {
    let number = text.parse().ok();
    number
        .filter(|speed: &f64| *speed > 0.0 && speed.is_finite())
        .ok_or_else(|| "must be a number above 0".to_owned())
}
