//! The entry of `toolorch sim …`, and of this program when it is called `vllm`.
//!
//! `main` is given what follows `sim`: `vllm serve MODEL --flags…`, `vllm --version`, or `host COUNT vllm serve …` for many
//! silent copies in one process, on consecutive ports from `--port`; `squat HOST PORT 20s` only holds a port. The environment
//! says the rest:
//! `TOOLORCH_SIM_RELEASE` (default 0.12.0), `TOOLORCH_SIM_STARTUP_MS` (200), `TOOLORCH_SIM_LATENCY_MS` (20) or, for
//! continuous batching, `TOOLORCH_SIM_PREFILL_RATE`, `TOOLORCH_SIM_DECODE_RATE`, `TOOLORCH_SIM_BATCH_SLOWDOWN`,
//! `TOOLORCH_SIM_CACHE_TOKENS` and `TOOLORCH_SIM_SPEED`; `TOOLORCH_SIM_ANSWER_TOKENS`, `TOOLORCH_SIM_ANSWER_SPREAD`,
//! `TOOLORCH_SIM_SEED`, `TOOLORCH_SIM_TREE` (1: engine and worker are processes),
//! `TOOLORCH_SIM_FAULTS` (such as `90s hang 30s, 2m crash`, counted from ready; `start oom` at each start),
//! `TOOLORCH_SIM_NEXT_START` (a file by which the next start alone is told to run out of memory); `TOOLORCH_SIM_DATASET` (a
//! JSONL file of questions and answers), `TOOLORCH_SIM_ACCURACY`, `TOOLORCH_SIM_REFUSE` and `TOOLORCH_SIM_RUN_LONG` (shares
//! from 0 to 1); and vLLM's own `VLLM_API_KEY` and `VLLM_ALLOW_LONG_MAX_MODEL_LEN`.
//!
//! `service --host H --port P …` stands in for a service or an external API, at `TOOLORCH_SIM_SPEED`, and
//! `proxy --host H --port P [--log FILE]` is an HTTP proxy that refuses and reports whatever would leave this machine.

use std::ffi::OsString;
use std::ops::RangeInclusive;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use super::conduct::Conduct;
use super::config::{
    ANSWER_SPREAD, BATCH_SLOWDOWN, DECODE_RATE, DEFAULT_RELEASE, PREFILL_RATE, Timing,
};
use super::dataset::Dataset;
use super::faults::Fault;
use super::refusal::Refusal;
use super::settings::Surroundings;
use super::{parts, proxy, server, service, squat, timed};
use crate::knowledge::release::Release;

const USAGE: &str = "usage: toolorch sim vllm serve MODEL [flags of vLLM]\n       \
                     toolorch sim host COUNT vllm serve MODEL [flags of vLLM]\n       \
                     toolorch sim service --port PORT [--name NAME] [--model ID]\n       \
                     toolorch sim proxy --port PORT [--log FILE]\n       \
                     toolorch sim squat HOST PORT 20s\n       \
                     toolorch sim fault UNIT KIND\n       \
                     toolorch sim capture CLUSTER.yaml|URL… --out DIR\n       \
                     toolorch sim fit CAPTURE|RESULTS";

/// Runs what the arguments after `sim` name: `vllm`, `host`, `service` or `proxy`.
pub fn main(args: Vec<OsString>) -> ExitCode {
    let args: Vec<String> = args
        .into_iter()
        .map(|arg| arg.to_string_lossy().into_owned())
        .collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["vllm", ..] => vllm(&args[1..]),
        ["part", role] => Ok(parts::main(role)),
        ["squat", host, port, lasts] => {
            runtime().and_then(|runtime| runtime.block_on(squat::squat(host, port, lasts)))
        }
        ["host", count, "vllm", "serve", ..] => replicate(count, &args[4..]),
        ["service", ..] => stand_in(&args[1..]),
        ["proxy", ..] => runtime().and_then(|runtime| runtime.block_on(proxy::main(&args[1..]))),
        _ => Err(Refusal {
            stderr: USAGE.to_owned(),
            code: 2,
        }),
    };
    outcome.unwrap_or_else(|refusal| {
        if refusal.code == 0 {
            // Help that was asked for.
            say(&mut std::io::stdout(), &refusal.stderr);
        } else {
            say(&mut std::io::stderr(), &refusal.stderr);
        }
        ExitCode::from(refusal.code)
    })
}

fn vllm(args: &[String]) -> Result<ExitCode, Refusal> {
    let release = release()?;
    match args
        .split_first()
        .map(|(command, rest)| (command.as_str(), rest))
    {
        Some(("--version" | "-v", _)) => {
            say(&mut std::io::stdout(), &release.to_string());
            Ok(ExitCode::SUCCESS)
        }
        Some(("serve", rest))
            if rest
                .iter()
                .any(|arg| arg == "-h" || arg.starts_with("--help")) =>
        {
            say(
                &mut std::io::stdout(),
                "usage: vllm serve [model_tag] [options]",
            );
            Ok(ExitCode::SUCCESS)
        }
        Some(("serve", rest)) => serve(rest, release),
        Some((other, _)) if !other.starts_with('-') => {
            Err(Refusal::no_such_command(release, other))
        }
        Some((other, _)) if other != "-h" && other != "--help" => {
            let message = format!("unrecognized arguments: {other}");
            Err(Refusal::usage(release, &message))
        }
        _ => {
            say(
                &mut std::io::stdout(),
                "vLLM CLI, simulated by toolorch: serve MODEL [flags], --version",
            );
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn serve(args: &[String], release: Release) -> Result<ExitCode, Refusal> {
    let around = surroundings(release)?;
    let startup = millis("TOOLORCH_SIM_STARTUP_MS", 200)?;
    // A start passes as fast as everything else.
    let startup = match around.timing {
        Timing::Fixed(_) => startup,
        Timing::Batching { speed, .. } => startup.div_f64(speed),
    };
    Ok(runtime()?.block_on(server::serve(args, &around, startup)))
}

fn replicate(count: &str, args: &[String]) -> Result<ExitCode, Refusal> {
    let refuse = |_| Refusal {
        stderr: format!("toolorch sim host: `{count}` is not a number of servers"),
        code: 2,
    };
    let count = count.parse().map_err(refuse)?;
    let around = surroundings(release()?)?;
    runtime()?.block_on(server::replicate(count, args, &around))
}

fn stand_in(args: &[String]) -> Result<ExitCode, Refusal> {
    let speed = rate("TOOLORCH_SIM_SPEED")?.unwrap_or(1.0);
    runtime()?.block_on(service::main(args, speed))
}

fn surroundings(release: Release) -> Result<Surroundings, Refusal> {
    Ok(Surroundings {
        release,
        timing: timing()?,
        answer_tokens: count("TOOLORCH_SIM_ANSWER_TOKENS")?,
        answer_spread: number("TOOLORCH_SIM_ANSWER_SPREAD", 0.0..=3.0)?.unwrap_or(ANSWER_SPREAD),
        seed: count("TOOLORCH_SIM_SEED")?.unwrap_or(0),
        faults: faults()?,
        tree: variable("TOOLORCH_SIM_TREE").as_deref() == Some("1"),
        allow_long: variable("VLLM_ALLOW_LONG_MAX_MODEL_LEN").as_deref() == Some("1"),
        api_key: variable("VLLM_API_KEY").filter(|key| !key.is_empty()),
        conduct: conduct()?,
    })
}

fn conduct() -> Result<Conduct, Refusal> {
    let refuse = |why: String| Refusal {
        stderr: format!("toolorch sim: `TOOLORCH_SIM_DATASET`: {why}"),
        code: 2,
    };
    let open = |path: String| Dataset::open(Path::new(&path)).map_err(refuse);
    let dataset = variable("TOOLORCH_SIM_DATASET").map(open).transpose()?;
    Ok(Conduct {
        accuracy: share("TOOLORCH_SIM_ACCURACY")?,
        refuse: share("TOOLORCH_SIM_REFUSE")?.unwrap_or(0.0),
        run_long: share("TOOLORCH_SIM_RUN_LONG")?.unwrap_or(0.0),
        dataset: dataset.map(Arc::new),
    })
}

fn faults() -> Result<Vec<Fault>, Refusal> {
    let text = variable("TOOLORCH_SIM_FAULTS").unwrap_or_default();
    timed::parse(&text).map_err(|why| Refusal {
        stderr: format!("toolorch sim: `TOOLORCH_SIM_FAULTS`: {why}"),
        code: 2,
    })
}

fn timing() -> Result<Timing, Refusal> {
    let fixed = Timing::Fixed(millis("TOOLORCH_SIM_LATENCY_MS", 20)?);
    let slowdown = number("TOOLORCH_SIM_BATCH_SLOWDOWN", 0.0..=1.0)?;
    let [prefill, decode, speed] = [
        "TOOLORCH_SIM_PREFILL_RATE",
        "TOOLORCH_SIM_DECODE_RATE",
        "TOOLORCH_SIM_SPEED",
    ]
    .map(rate);
    let (prefill, decode, speed) = (prefill?, decode?, speed?);
    let cache_tokens = count("TOOLORCH_SIM_CACHE_TOKENS")?;
    // Each of them speaks of an engine that batches.
    if prefill.or(decode).or(speed).or(slowdown).is_none() && cache_tokens.is_none() {
        return Ok(fixed);
    }
    Ok(Timing::Batching {
        prefill_rate: prefill.unwrap_or(PREFILL_RATE),
        decode_rate: decode.unwrap_or(DECODE_RATE),
        batch_slowdown: slowdown.unwrap_or(BATCH_SLOWDOWN),
        cache_tokens,
        speed: speed.unwrap_or(1.0),
    })
}

fn count(name: &str) -> Result<Option<u64>, Refusal> {
    let refuse = |text: &str| Refusal {
        stderr: format!("toolorch sim: `{name}`: `{text}` is not a whole number"),
        code: 2,
    };
    let text = variable(name);
    let number = text.map(|text| text.parse().map_err(|_| refuse(&text)));
    number.transpose()
}

fn number(name: &str, range: RangeInclusive<f64>) -> Result<Option<f64>, Refusal> {
    let Some(text) = variable(name) else {
        return Ok(None);
    };
    match text.parse::<f64>() {
        Ok(number) if range.contains(&number) => Ok(Some(number)),
        _ => Err(Refusal {
            stderr: format!(
                "toolorch sim: `{name}`: `{text}` is not a number from {} to {}",
                range.start(),
                range.end()
            ),
            code: 2,
        }),
    }
}

fn rate(name: &str) -> Result<Option<f64>, Refusal> {
    let Some(text) = variable(name) else {
        return Ok(None);
    };
    match text.parse::<f64>() {
        Ok(rate) if rate > 0.0 && rate.is_finite() => Ok(Some(rate)),
        _ => Err(Refusal {
            stderr: format!("toolorch sim: `{name}`: `{text}` is not a number above 0"),
            code: 2,
        }),
    }
}

fn share(name: &str) -> Result<Option<f64>, Refusal> {
    let Some(text) = variable(name) else {
        return Ok(None);
    };
    match text.parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(Some(share)),
        _ => Err(Refusal {
            stderr: format!("toolorch sim: `{name}`: `{text}` is not a number from 0 to 1"),
            code: 2,
        }),
    }
}

fn runtime() -> Result<Runtime, Refusal> {
    // One thread: a machine may run thirty of these.
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Refusal {
        stderr: format!("toolorch sim: no runtime: {error}"),
        code: 1,
    })
}

fn release() -> Result<Release, Refusal> {
    match variable("TOOLORCH_SIM_RELEASE") {
        None => Ok(DEFAULT_RELEASE),
        Some(text) => {
            let refuse = |error| Refusal {
                stderr: format!("toolorch sim: `TOOLORCH_SIM_RELEASE`: {error}"),
                code: 2,
            };
            text.parse().map_err(refuse)
        }
    }
}

fn millis(name: &str, default: u64) -> Result<Duration, Refusal> {
    let Some(text) = variable(name) else {
        return Ok(Duration::from_millis(default));
    };
    let refuse = |_| Refusal {
        stderr: format!("toolorch sim: `{name}`: `{text}` is not a number of milliseconds"),
        code: 2,
    };
    text.parse().map(Duration::from_millis).map_err(refuse)
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn say(stream: &mut impl std::io::Write, text: &str) {
    // Nobody is left to be told when the stream is closed.
    writeln!(stream, "{text}")
        .and_then(|()| stream.flush())
        .unwrap_or_default();
}
