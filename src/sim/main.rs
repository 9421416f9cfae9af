//! The entry of `toolorch sim …`, and of this program when it is called `vllm`.
//!
//! `main` is given what follows `sim`: `vllm serve MODEL --flags…` or `vllm --version`. The environment says the rest:
//! `TOOLORCH_SIM_RELEASE` (default 0.12.0), `TOOLORCH_SIM_STARTUP_MS` (200), `TOOLORCH_SIM_LATENCY_MS` (20), and vLLM's
//! own `VLLM_API_KEY` and `VLLM_ALLOW_LONG_MAX_MODEL_LEN`.

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use super::config::DEFAULT_RELEASE;
use super::refusal::Refusal;
use super::server;
use super::settings::Surroundings;
use crate::knowledge::release::Release;

/// Runs a simulated vLLM for the arguments after `sim`; the first is `vllm`.
pub fn main(args: Vec<OsString>) -> ExitCode {
    let args: Vec<String> = args
        .into_iter()
        .map(|arg| arg.to_string_lossy().into_owned())
        .collect();
    let outcome = match args.split_first() {
        Some((program, rest)) if program == "vllm" => vllm(rest),
        _ => Err(Refusal {
            stderr: "usage: toolorch sim vllm serve MODEL [flags of vLLM]".to_owned(),
            code: 2,
        }),
    };
    outcome.unwrap_or_else(|refusal| {
        say(&mut std::io::stderr(), &refusal.stderr);
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
        Some(("serve", rest)) => serve(rest, release),
        Some((other, _)) if !other.starts_with('-') => {
            let commands =
                "'chat', 'complete', 'serve', 'launch', 'bench', 'collect-env', 'run-batch'";
            Err(Refusal::usage(&format!(
                "argument subparser: invalid choice: '{other}' (choose from {commands})"
            )))
        }
        Some((other, _)) if other != "-h" && other != "--help" => {
            Err(Refusal::usage(&format!("unrecognized arguments: {other}")))
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
    let around = Surroundings {
        release,
        latency: millis("TOOLORCH_SIM_LATENCY_MS", 20)?,
        allow_long: variable("VLLM_ALLOW_LONG_MAX_MODEL_LEN").as_deref() == Some("1"),
        api_key: variable("VLLM_API_KEY").filter(|key| !key.is_empty()),
    };
    let startup = millis("TOOLORCH_SIM_STARTUP_MS", 200)?;
    // One thread: a machine may run thirty of these.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| Refusal {
        stderr: format!("toolorch sim: no runtime: {error}"),
        code: 1,
    })?;
    Ok(runtime.block_on(server::serve(args, &around, startup)))
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
