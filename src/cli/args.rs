//! The command line as clap sees it; each doc comment is the help that people read.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::args_what_if::WhatIfArgs;

/// From one cluster YAML to a finished, trustworthy evaluation of LLM agents.
#[derive(Debug, Parser)]
#[command(name = "toolorch", version, max_term_width = 100)]
pub(super) struct Cli {
    /// Colour in what is shown.
    #[arg(
        long,
        global = true,
        value_enum,
        default_value = "auto",
        value_name = "WHEN"
    )]
    pub(super) color: Colour,
    /// Say less: errors and warnings alone.
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub(super) quiet: bool,
    /// Say more: each step.
    #[arg(long, short, global = true)]
    pub(super) verbose: bool,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// When colour is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Colour {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Write a commented starter YAML.
    Init(InitArgs),
    /// Check everything that can be known before a GPU is taken.
    Check {
        #[command(flatten)]
        args: CheckArgs,
        /// Look at each node as well, once: what `doctor` finds.
        #[arg(long)]
        nodes: bool,
    },
    /// Look at each node once: vLLM and its flags, GPUs and who uses them, paths, disks, ports, limits, clock.
    Doctor(CheckArgs),
    /// Show units, nodes, GPUs, ports, flags and where each value came from.
    Plan(PlanArgs),
    /// Write the scripts that `up` would run.
    Render(RenderArgs),
    /// Download the weights that the servers load, before any GPU is held.
    Fetch(FetchArgs),
    /// Check, launch, probe, configure, evaluate and supervise: all of it. Again: adopt and go on.
    Up(UpArgs),
    /// Play the whole of it on this machine without GPUs: real client, simulated servers.
    Rehearse(RehearseArgs),
    /// Run or resume evaluations on what is up.
    Eval(EvalArgs),
    /// Stop everything of the cluster, and prove it.
    Down(DownArgs),
    /// Stop servers and start them no more: a node before its maintenance, or one unit.
    Drain(DrainArgs),
    /// What runs, since when, how far, and who watches.
    Status(StatusArgs),
    /// The same as a live page for browsers of this machine.
    Serve(ServeArgs),
    /// The log of a unit.
    Logs(LogsArgs),
    /// The journal of a run, for people.
    Events(EventsArgs),
    /// What came out, and how long everything took: of a run, or of results that anybody made.
    Report(ReportArgs),
    /// What a move of GPUs between models would bring, by what was seen of a run.
    WhatIf(WhatIfArgs),
    /// YAML, plan, versions, report and ids of a run in one archive for colleagues, without secrets.
    Bundle(BundleArgs),
    /// List runs.
    Runs,
    /// Look at every endpoint once.
    Probe(ClusterArgs),
    /// Write the client's model configuration from what is ready.
    Config(ConfigArgs),
    /// Explain a diagnostic's code, an alarm or an exit code.
    Explain {
        /// Such as E0102, `held` or 75; none lists all.
        code: Option<String>,
    },
    /// Fill in templates, for another toolorch: `world/fill.rs`.
    #[command(hide = true)]
    FillIn {
        /// Of processor time, at most.
        seconds: u64,
    },
    /// Print a JSON Schema: of the YAML, for editors, of a line of `check --format json`, or of `report.json`.
    Schema {
        /// Of what.
        #[arg(value_enum, default_value = "cluster")]
        of: SchemaOf,
    },
    /// Print shell completions.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Run lm-eval or Inspect so that each question has a result file: what their adapters start.
    #[command(disable_help_flag = true)]
    Client(ClientArgs),
    /// The proxy of an evaluation with `egress: proxy`: started by `up`, as a unit of its own.
    #[command(hide = true)]
    EgressProxy(EgressProxyArgs),
    /// What tells the `ssh` of a tunnel whether a host's key is the pinned one: its `KnownHostsCommand`.
    #[command(hide = true)]
    KnownHost(KnownHostArgs),
    /// The simulated vLLM: `toolorch sim vllm serve MODEL …`, and its parameters.
    #[command(subcommand, after_help = super::args_sim::VLLM)]
    Sim(super::args_sim::SimCommand),
    /// For tests of this program.
    #[cfg(feature = "failpoints")]
    #[command(subcommand)]
    Debug(DebugCommand),
}

#[cfg(feature = "failpoints")]
#[derive(Debug, Clone, Copy, Subcommand)]
pub(super) enum DebugCommand {
    /// List the points where `TOOLORCH_FAIL=NAME:N:ACTION` can strike.
    Failpoints,
}

/// Which client, and what it is told.
#[derive(Debug, Clone, Args)]
pub(super) struct ClientArgs {
    /// The client.
    #[arg(allow_hyphen_values = true)]
    pub(super) name: String,
    /// `--print` shows the Python program that does it; `--help` shows its options.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(super) args: Vec<String>,
}

/// A pin, and what ssh says of a host's key.
#[derive(Debug, Clone, Args)]
pub(super) struct KnownHostArgs {
    /// The fingerprint that the YAML pins.
    pub(super) pin: String,
    /// `%f`: the fingerprint of the host's key.
    pub(super) fingerprint: String,
    /// `%H`: the host's name.
    pub(super) host: String,
    /// `%t`: the type of its key.
    pub(super) key_type: String,
    /// `%K`: its key.
    pub(super) key: String,
}

/// Where the proxy listens, and whereto it lets anybody go.
#[derive(Debug, Clone, Args)]
pub(super) struct EgressProxyArgs {
    /// The address to listen on.
    #[arg(long, value_name = "HOST", default_value = "127.0.0.1")]
    pub(super) host: String,
    /// The port to listen on.
    #[arg(long, value_name = "PORT")]
    pub(super) port: u16,
    /// A place to which requests may go, `host:port` or `host:first-last`; again for more.
    #[arg(long, value_name = "PLACE")]
    pub(super) allow: Vec<String>,
    /// A file to which a line is appended for each request that was refused, beside stdout.
    #[arg(long, value_name = "FILE")]
    pub(super) log: Option<PathBuf>,
}

/// A cluster YAML, with changes.
#[derive(Debug, Clone, Args)]
pub(super) struct ClusterArgs {
    /// The cluster's YAML.
    #[arg(value_name = "CLUSTER.yaml")]
    pub(super) file: PathBuf,
    /// Set a value for this call: `--set models.answer.replicas=2`; again for more.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub(super) set: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// The file to write.
    #[arg(default_value = "cluster.yaml")]
    pub(super) file: PathBuf,
    /// Overwrite it.
    #[arg(long)]
    pub(super) force: bool,
}

/// What a schema is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum SchemaOf {
    /// The YAML.
    Cluster,
    /// A line of `check --format json`.
    Diagnostic,
    /// `report.json`.
    Report,
}

/// How diagnostics are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people, as rustc would.
    Human,
    /// One JSON object a line; `toolorch schema diagnostic` describes it.
    Json,
    /// SARIF 2.1.0.
    Sarif,
    /// GitHub workflow commands.
    Github,
}

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    pub(super) cluster: ClusterArgs,
    /// How diagnostics are shown.
    #[arg(long, value_enum, default_value = "human")]
    pub(super) format: Format,
    /// Warnings count as errors.
    #[arg(long)]
    pub(super) strict: bool,
}

/// How a plan is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum PlanFormat {
    /// A table for people.
    Table,
    /// Versioned JSON.
    Json,
}

#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    #[command(flatten)]
    pub(super) cluster: ClusterArgs,
    /// How the plan is shown.
    #[arg(long, value_enum, default_value = "table")]
    pub(super) format: PlanFormat,
    /// Show where each value comes from instead: a key of the YAML, --set, or a default.
    #[arg(long, conflicts_with = "format")]
    pub(super) origins: bool,
    /// Templates that replace the built-in ones, for what would change beside a run.
    #[arg(long, value_name = "DIR")]
    pub(super) templates: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct RenderArgs {
    #[command(flatten)]
    pub(super) cluster: ClusterArgs,
    /// The folder to write to; only what an earlier MANIFEST lists is overwritten.
    #[arg(long, value_name = "DIR")]
    pub(super) out: PathBuf,
    /// Templates that replace the built-in ones of the same name.
    #[arg(long, value_name = "DIR")]
    pub(super) templates: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct FetchArgs {
    #[command(flatten)]
    pub(super) cluster: ClusterArgs,
    /// Ask the hub also for what the cache has: a branch may have moved.
    #[arg(long)]
    pub(super) refresh: bool,
}

/// How events are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum EventFormat {
    /// A live display on a terminal, plain lines elsewhere.
    Auto,
    /// Plain lines.
    Plain,
    /// One JSON object a line, on standard output.
    Json,
}

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option")]
pub(super) struct UpArgs {
    #[command(flatten)]
    pub(super) cluster: ClusterArgs,
    /// Go on in the background once a controller has the run.
    #[arg(long)]
    pub(super) detach: bool,
    /// Only bring the servers up.
    #[arg(long)]
    pub(super) no_eval: bool,
    /// Start a running client again once there are servers that it does not know.
    #[arg(long)]
    pub(super) restart_eval: bool,
    /// Only these models, services and evaluations, and what runs already.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(super) only: Vec<String>,
    /// Warnings count as errors.
    #[arg(long)]
    pub(super) strict: bool,
    /// How events are shown.
    #[arg(long, value_enum, default_value = "auto")]
    pub(super) events: EventFormat,
    /// Templates that replace the built-in ones of the same name.
    #[arg(long, value_name = "DIR")]
    pub(super) templates: Option<PathBuf>,
    /// Where the journal is damaged: begin it anew from what runs and what results say.
    #[arg(long, conflicts_with = "detach")]
    pub(super) rebuild: bool,
}

#[derive(Debug, Args)]
pub(super) struct RehearseArgs {
    #[command(flatten)]
    pub(super) cluster: ClusterArgs,
    /// Hours of the cluster in an hour here.
    #[arg(long, value_name = "N", default_value = "60x", value_parser = speed)]
    pub(super) speed: f64,
    /// Only the first N questions of each dataset.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) head: Option<u64>,
    /// Do not kill and resume a client in the middle.
    #[arg(long)]
    pub(super) no_kill: bool,
    /// Faults at random; the same seed draws the same.
    #[arg(long, value_name = "SEED")]
    pub(super) chaos: Option<u64>,
    /// Warnings count as errors.
    #[arg(long)]
    pub(super) strict: bool,
    /// How events are shown.
    #[arg(long, value_enum, default_value = "auto")]
    pub(super) events: EventFormat,
}

/// `20x` or `20`.
fn speed(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('x').unwrap_or(text).parse::<f64>();
    match number {
        Ok(speed) if (0.01..=10_000.0).contains(&speed) => Ok(speed),
        _ => Err("a number from 0.01 to 10000, such as `20x`".to_owned()),
    }
}

#[derive(Debug, Args)]
pub(super) struct EvalArgs {
    #[command(flatten)]
    pub(super) cluster: ClusterArgs,
    /// The evaluation; all of them if none is named.
    pub(super) name: Option<String>,
    /// How events are shown.
    #[arg(long, value_enum, default_value = "auto")]
    pub(super) events: EventFormat,
}

#[derive(Debug, Args)]
pub(super) struct DownArgs {
    /// The cluster's YAML, its name, or a run's; without it the only live run, else the last one of the only cluster.
    #[arg(value_name = "CLUSTER.yaml|NAME")]
    pub(super) file: Option<PathBuf>,
    /// This machine is gone for good, and all that ran there with it: a node, or the host on which the run was started. All
    /// else is ended as ever. Can be given several times.
    #[arg(long, value_name = "HOST|NODE")]
    pub(super) gone: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct DrainArgs {
    /// A node, a model or a service of the YAML, with all its servers, or one server, such as `answer-3`.
    #[arg(value_name = "NODE|MODEL|UNIT")]
    pub(super) target: String,
    /// The cluster's YAML, its name, or a run's; without it the only live run, else the last one of the only cluster.
    #[arg(value_name = "CLUSTER.yaml|NAME")]
    pub(super) file: Option<PathBuf>,
    /// Let them start again.
    #[arg(long)]
    pub(super) undo: bool,
    /// Also where an evaluation is left without a server that it requires, and waits until one is back.
    #[arg(long, short, conflicts_with = "undo")]
    pub(super) yes: bool,
}

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// The cluster's YAML, its name, or a run's; without it the only live run, else the last one of the only cluster.
    #[arg(value_name = "CLUSTER.yaml|NAME")]
    pub(super) file: Option<PathBuf>,
    /// Show it again whenever it changes.
    #[arg(long, conflicts_with = "json")]
    pub(super) watch: bool,
    /// Versioned JSON.
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// The cluster's YAML, its name, or a run's; without it the only live run, else the last one of the only cluster.
    #[arg(value_name = "CLUSTER.yaml|NAME")]
    pub(super) file: Option<PathBuf>,
    /// Of 127.0.0.1, where nobody else can look; 0 takes a free one.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(super) port: u16,
}

#[derive(Debug, Args)]
pub(super) struct LogsArgs {
    /// The unit, such as `orchestrator-0` or `eval-hle`.
    pub(super) unit: String,
    /// The cluster's YAML, its name, or a run's; without it the only live run, else the last one of the only cluster.
    #[arg(value_name = "CLUSTER.yaml|NAME")]
    pub(super) file: Option<PathBuf>,
    /// Go on as the log grows.
    #[arg(long, short)]
    pub(super) follow: bool,
    /// Start with this many last lines.
    #[arg(long, short = 'n', default_value_t = 100, value_name = "N")]
    pub(super) lines: usize,
    /// Control characters as they are.
    #[arg(long)]
    pub(super) raw: bool,
}

#[derive(Debug, Args)]
pub(super) struct EventsArgs {
    /// The cluster's YAML, its name, or a run's; without it the only live run, else the last one of the only cluster.
    #[arg(value_name = "CLUSTER.yaml|NAME")]
    pub(super) file: Option<PathBuf>,
    /// One JSON object a line.
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct ConfigArgs {
    #[command(flatten)]
    pub(super) cluster: ClusterArgs,
    /// Print it instead of writing it.
    #[arg(long)]
    pub(super) stdout: bool,
}

/// How a report is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ReportFormat {
    /// Aligned columns.
    Text,
    /// Versioned JSON; `toolorch schema report` describes it.
    Json,
    /// Markdown.
    Md,
    /// One page of HTML.
    Html,
}

#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    /// The cluster's YAML, its name, or a run's; or a folder of results, or a `.jsonl` of them, made with or without toolorch.
    /// Without it the only live run, else the last one of the only cluster.
    #[arg(value_name = "CLUSTER.yaml|NAME|RESULTS")]
    pub(super) target: Option<PathBuf>,
    /// How it is shown.
    #[arg(long, value_enum, default_value = "text")]
    pub(super) format: ReportFormat,
    /// How many bars the histograms of report.html have: 20, and with `--check` as many as those of the page that is there.
    #[arg(long, value_name = "N", value_parser = bins)]
    pub(super) bins: Option<usize>,
    /// Write report.json, report.md and report.html there; those of a run are otherwise kept in its folder.
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// Write nothing: say whether the files that are there are what would be written now.
    #[arg(long, conflicts_with = "format")]
    pub(super) check: bool,
    #[command(flatten)]
    pub(super) told: ToldArgs,
}

#[derive(Debug, Args)]
pub(super) struct BundleArgs {
    /// The cluster's YAML, its name, or a run's. Without it the only live run, else the last one of the only cluster.
    #[arg(value_name = "CLUSTER.yaml|NAME")]
    pub(super) target: Option<PathBuf>,
    /// The archive, or the folder for it; RUN.tar.gz here without it.
    #[arg(long, value_name = "FILE|DIR")]
    pub(super) out: Option<PathBuf>,
}

/// A number of bars that fits a page.
fn bins(text: &str) -> Result<usize, String> {
    let bins = text.parse().ok().filter(|bins| (1..=200).contains(bins));
    bins.ok_or_else(|| "a histogram has 1 to 200 bars".to_owned())
}

/// GPUs of a model, whose name may have any sign in it.
fn gpus(text: &str) -> Result<(String, usize), String> {
    let found = text.rsplit_once('=').and_then(|(model, count)| {
        let count = count.parse().ok().filter(|count| *count > 0)?;
        (!model.is_empty()).then(|| (model.to_owned(), count))
    });
    found.ok_or_else(|| "write the model and how many GPUs serve it: MODEL=N".to_owned())
}

/// What results alone do not tell.
#[derive(Debug, Args)]
pub(super) struct ToldArgs {
    /// For results: the questions, one JSON object a line, so that missing ones are counted.
    #[arg(long, value_name = "FILE")]
    pub(super) dataset: Option<PathBuf>,
    /// For results: the client's log of its calls (`TOOL_ORCH_LLM_LOG_PATH`).
    #[arg(long, value_name = "FILE")]
    pub(super) call_log: Option<PathBuf>,
    /// For results: what the client wrote to standard output.
    #[arg(long, value_name = "FILE", conflicts_with = "call_log")]
    pub(super) client_log: Option<PathBuf>,
    /// For results: how many questions were under way at once, so that calls under way can be told.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) concurrency: Option<u32>,
    /// For results: how many GPUs served a model, as its calls name it; once for each model.
    #[arg(long, value_name = "MODEL=N", value_parser = gpus)]
    pub(super) gpus: Vec<(String, usize)>,
    /// For results: the model that drives the tools.
    #[arg(long, value_name = "MODEL")]
    pub(super) orchestrator: Option<String>,
}
