//! One process as `vllm serve`: its checks in vLLM's order, its log, its signals.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::net::TcpSocket;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::argparse::{self, Parsed};
use super::config::{Logging, SimConfig};
use super::dying;
use super::endpoint::{Endpoint, Home};
use super::faults::Kind;
use super::freezing::freezing;
use super::host::{self, EndpointListener, SAYS_503};
use super::http;
use super::log::{Log, Writer};
use super::noise::noise;
use super::parts::EngineProcess;
use super::refusal::Refusal;
use super::settings::{self, ModelOnDisk, Surroundings};
use super::{next_start, startup_log, text};
use crate::base::float;
use crate::knowledge::release::Release;

/// How often the statistics line is written, as in vLLM.
const STATISTICS_EVERY: Duration = Duration::from_secs(10);

/// Runs `vllm serve ARGS` until a signal ends it.
pub(super) async fn serve(args: &[String], around: &Surroundings, startup: Duration) -> ExitCode {
    match start(args, around).await {
        Ok((socket, config)) => run(socket, config, startup, around.tree).await,
        Err(refusal) => {
            let text = format!("{}\n", refusal.stderr);
            std::io::stderr()
                .lock()
                .write_all(text.as_bytes())
                .unwrap_or_default();
            ExitCode::from(refusal.code)
        }
    }
}

/// Everything that vLLM does before it loads a model. The port is bound before the model is looked at.
async fn start(args: &[String], around: &Surroundings) -> Result<(TcpSocket, SimConfig), Refusal> {
    let parsed = read(args, around.release)?;
    let model = parsed.model.clone().unwrap_or_default();
    let mut early = SimConfig::new(&model, parsed.value("--host").unwrap_or_default(), 8000);
    early.release = around.release;
    early.log.lines = true;
    if let Some(port) = parsed.value("--port").and_then(|port| port.parse().ok()) {
        early.port = port;
    }
    settings::check_at_once(&parsed, around.release, |path| Path::new(path).exists())?;
    announce(&early, &parsed);
    settings::check_before_bind(&parsed, around.release)?;
    let socket = host::bind(&early)
        .await
        .map_err(|error| bind_refusal(&error))?;
    let config = settings::configure(&parsed, &look_at(&model), around)?;
    Ok((socket, config))
}

fn read(args: &[String], release: Release) -> Result<Parsed, Refusal> {
    let load = |path: &str| {
        let text = std::fs::read(path).ok()?;
        serde_yaml::from_slice(&text).ok()
    };
    argparse::parse(&argparse::with_config(args, load)?, release)
}

/// Hosts `count` silent copies of one server on consecutive ports until a signal ends them.
pub(super) async fn replicate(
    count: u16,
    args: &[String],
    around: &Surroundings,
) -> Result<ExitCode, Refusal> {
    let parsed = read(args, around.release)?;
    settings::check_at_once(&parsed, around.release, |path| Path::new(path).exists())?;
    settings::check_before_bind(&parsed, around.release)?;
    let model = look_at(parsed.model.as_deref().unwrap_or_default());
    let config = SimConfig {
        log: Logging::default(),
        ..settings::configure(&parsed, &model, around)?
    };
    let copy = |offset: u16| {
        let port = config.port.checked_add(offset);
        let port = port.ok_or_else(|| Refusal {
            stderr: "toolorch sim host: no ports left".to_owned(),
            code: 2,
        })?;
        Ok(SimConfig {
            port,
            ..config.clone()
        })
    };
    let copies: Vec<SimConfig> = (0..count).map(copy).collect::<Result<_, Refusal>>()?;
    let hosted = host::host(copies)
        .await
        .map_err(|error| bind_refusal(&error))?;
    let log = Log::new(&SimConfig {
        log: Logging {
            lines: true,
            ..Logging::default()
        },
        ..config
    });
    log.uvicorn(&format!("{} servers listen", hosted.addresses.len()));
    let (Ok(mut term), Ok(mut interrupt)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) else {
        return Ok(ExitCode::FAILURE);
    };
    tokio::select! {
        () = hosted.forever() => {}
        () = either(&mut term, &mut interrupt) => {}
    }
    Ok(ExitCode::SUCCESS)
}

fn announce(server: &SimConfig, parsed: &Parsed) {
    let log = Log::new(server);
    let (place, greeting) = startup_log::greeting(server);
    log.line(Writer::Api, "INFO", place, &greeting);
    let mut given: Vec<String> = vec![format!("'model_tag': {}", text::python_repr(&server.model))];
    for (name, values) in &parsed.values {
        let key = name.trim_start_matches('-').replace('-', "_");
        let shown: Vec<String> = values.iter().map(|value| python_value(value)).collect();
        let shown = if values.len() == 1 {
            shown.concat()
        } else {
            format!("[{}]", shown.join(", "))
        };
        given.push(format!("'{key}': {shown}"));
    }
    log.line(
        Writer::Api,
        "INFO",
        "utils.py:253",
        &format!("non-default args: {{{}}}", given.join(", ")),
    );
}

fn python_value(text: &str) -> String {
    let plain = text.parse::<f64>().is_ok() || ["True", "False"].contains(&text);
    if plain {
        text.to_owned()
    } else {
        text::python_repr(text)
    }
}

/// What Python says when the bind fails.
fn bind_refusal(error: &std::io::Error) -> Refusal {
    let words = match error.raw_os_error() {
        Some(98) => "OSError: [Errno 98] Address already in use".to_owned(),
        Some(99) => "OSError: [Errno 99] Cannot assign requested address".to_owned(),
        Some(13) => "PermissionError: [Errno 13] Permission denied".to_owned(),
        Some(code) => format!("OSError: [Errno {code}] {error}"),
        None => "socket.gaierror: [Errno -2] Name or service not known".to_owned(),
    };
    Refusal::exception(&words)
}

/// What the model argument is on this machine. A directory without `config.json` is taken for a stub and accepted,
/// where vLLM would refuse it: rehearsals make such directories.
fn look_at(model: &str) -> ModelOnDisk {
    let path = Path::new(model);
    if model.is_empty() || !path.is_dir() {
        return ModelOnDisk::Absent;
    }
    let text = std::fs::read(path.join("config.json")).ok();
    ModelOnDisk::Directory(text.and_then(|text| serde_json::from_slice::<Value>(&text).ok()))
}

/// Writes what vLLM writes while it loads, and takes its time; an exit code where that is the end.
async fn load(
    config: &SimConfig,
    log: Log,
    startup: Duration,
    [term, interrupt]: [&mut Signal; 2],
) -> Option<ExitCode> {
    let is_due = config.faults.iter().any(|fault| fault.kind == Kind::Oom);
    // Taken in any case: it was meant for this start.
    let too_large = next_start::take() || is_due;
    let lines = startup_log::lines(config);
    let step = startup
        .checked_div(u32::try_from(lines.len()).unwrap_or(1))
        .unwrap_or_default();
    for line in lines {
        log.line(line.writer, "INFO", line.place, &line.text);
        tokio::select! {
            () = tokio::time::sleep(step), if !step.is_zero() => {}
            () = std::future::ready(()), if step.is_zero() => {}
            () = either(term, interrupt) => return Some(ExitCode::SUCCESS),
        }
        if too_large && line.text.starts_with("Starting to load model") {
            return Some(dying::out_of_memory(log));
        }
    }
    None
}

async fn run(socket: TcpSocket, config: SimConfig, startup: Duration, tree: bool) -> ExitCode {
    let (Ok(mut term), Ok(mut interrupt)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) else {
        return ExitCode::FAILURE;
    };
    let log = Log::new(&config);
    let engine = tree.then(EngineProcess::start).transpose();
    let Ok(mut engine) = engine else {
        return ExitCode::FAILURE;
    };
    if let Some(code) = load(&config, log, startup, [&mut term, &mut interrupt]).await {
        return code;
    }
    let Ok(listener) = socket.listen(2048) else {
        let refusal = Refusal::exception("OSError: [Errno 98] Address already in use");
        std::io::stderr()
            .lock()
            .write_all(refusal.stderr.as_bytes())
            .unwrap_or_default();
        return ExitCode::from(refusal.code);
    };
    let endpoint = Arc::new(Endpoint::new(config, Home::Own));
    let serving = host::serve(
        EndpointListener {
            listener,
            endpoint: Arc::clone(&endpoint),
        },
        http::router(),
    );
    log.uvicorn(&format!("Started server process [{}]", std::process::id()));
    log.uvicorn("Waiting for application startup.");
    log.uvicorn("Application startup complete.");
    let mut serving = Box::pin(serving);
    let engine_pid = engine.as_ref().and_then(EngineProcess::pid);
    let died = tokio::select! {
        () = &mut serving => false,
        () = statistics(&endpoint) => false,
        () = noise(&endpoint) => false,
        () = freezing(&endpoint, engine_pid) => false,
        () = either(&mut term, &mut interrupt) => false,
        () = gone(engine.as_mut()) => true,
        _ = endpoint.until_it_suffers(Kind::Engine) => true,
        _ = endpoint.until_it_suffers(Kind::Crash) => return dying::crash(),
        fault = endpoint.until_it_suffers(Kind::PortTaken) => {
            drop(serving);
            dying::give_port_away(&endpoint.config, fault.lasts.unwrap_or_default()).await;
            return dying::crash();
        }
    };
    if died {
        endpoint.declare_dead();
        dying::tell_of_death(log);
        tokio::select! {
            () = &mut serving => {}
            () = tokio::time::sleep(SAYS_503) => {}
        }
    } else if let Some(engine) = &mut engine {
        engine.stop().await;
    }
    say_goodbye(log);
    ExitCode::SUCCESS
}

/// What uvicorn says at the end.
fn say_goodbye(log: Log) {
    log.uvicorn("Shutting down");
    log.uvicorn("Waiting for application shutdown.");
    log.uvicorn("Application shutdown complete.");
    log.uvicorn(&format!("Finished server process [{}]", std::process::id()));
}

/// Waits until the engine is gone; for ever where there is none.
async fn gone(engine: Option<&mut EngineProcess>) {
    match engine {
        Some(engine) => engine.gone().await,
        None => std::future::pending().await,
    }
}

async fn either(term: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = term.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// The line that vLLM writes every ten seconds while something moves.
async fn statistics(endpoint: &Endpoint) {
    let mut before = [0, 0];
    loop {
        tokio::time::sleep(STATISTICS_EVERY).await;
        let [prompt, generated, running, waiting] = endpoint.metrics.totals();
        let rate = |now: u64, then: u64| float(now - then) / STATISTICS_EVERY.as_secs_f64();
        let [read, written] = [rate(prompt, before[0]), rate(generated, before[1])];
        if endpoint.config.log.statistics && (read + written > 0.0 || running + waiting > 0) {
            let text = format!(
                "Engine 000: Avg prompt throughput: {read:.1} tokens/s, Avg generation throughput: {written:.1} tokens/s, \
                 Running: {running} reqs, Waiting: {waiting} reqs, GPU KV cache usage: 0.0%, Prefix cache hit rate: 0.0%"
            );
            endpoint
                .log
                .line(Writer::Api, "INFO", "loggers.py:248", &text);
        }
        before = [prompt, generated];
    }
}
