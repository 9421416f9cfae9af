//! Fills in a user's templates in a process of its own: a loop without end ends with that process.

use std::io::{Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};

use rustix::process::{Resource, Rlimit, Signal, setrlimit};

use super::clock::lasts;
use crate::base::Millis;
use crate::render::{FillAnswer, FillRequest, Filled};

/// The command of this program that answers a request on its standard input.
pub const FILL_IN: &str = "fill-in";

/// What filling in may take: templates of ten thousand units need some seconds and a tenth of the memory.
const TIME: Millis = Millis::from_secs(10);
const MEMORY: u64 = 1 << 30;
/// More than this is no set of scripts.
const MOST_OUTPUT: u64 = 256 << 20;

/// Has a request answered, within limits of time and memory and without this process's environment.
///
/// # Errors
/// What the template engine refused, or which limit was reached.
pub fn fill_in(request: &FillRequest) -> FillAnswer {
    let failed = |error: std::io::Error| format!("cannot fill in the templates: {error}");
    let bytes = serde_json::to_vec(request).map_err(|error| failed(error.into()))?;
    let seconds = lasts(TIME).as_secs().max(1);
    // This very program, even if its file was replaced meanwhile.
    let mut child = Command::new("/proc/self/exe")
        .args([FILL_IN, &seconds.to_string()])
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        // It reads all before it writes; one that ended early says why by its exit.
        let _ = stdin.write_all(&bytes);
    }
    let mut answer = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        let mut stdout = stdout.take(MOST_OUTPUT + 1);
        stdout.read_to_end(&mut answer).map_err(failed)?;
    }
    let status = child.wait().map_err(failed)?;
    if answer.len() as u64 > MOST_OUTPUT {
        return Err("the template makes more than 256 MiB".to_owned());
    }
    let limit = |signal: Signal| status.signal() == Some(signal.as_raw());
    if limit(Signal::XCPU) || limit(Signal::KILL) {
        return Err(format!(
            "the template is not filled in after {seconds} s of processor time: is a loop in a loop too much?"
        ));
    }
    if limit(Signal::ABORT) || limit(Signal::SEGV) {
        return Err("the template takes more than 1 GiB of memory, or includes itself".to_owned());
    }
    serde_json::from_slice::<Result<Vec<Filled>, String>>(&answer)
        .map_err(|error| failed(error.into()))?
}

/// Answers one request from standard input on standard output, under the limits.
///
/// # Errors
/// Input that is no request, or output that nobody takes.
pub fn answer_fill_in(seconds: u64) -> std::io::Result<()> {
    let limits = [
        (Resource::Cpu, seconds),
        (Resource::As, MEMORY),
        (Resource::Core, 0),
    ];
    for (resource, most) in limits {
        let most = Some(most);
        setrlimit(
            resource,
            Rlimit {
                current: most,
                maximum: most,
            },
        )?;
    }
    let mut bytes = Vec::new();
    std::io::stdin().read_to_end(&mut bytes)?;
    let request: FillRequest = serde_json::from_slice(&bytes)?;
    let answer = serde_json::to_vec(&request.answer())?;
    std::io::stdout().write_all(&answer)
}
