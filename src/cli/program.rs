//! The program: arguments in, exit code out.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use crate::sim;

/// Runs the program for the arguments of this process.
pub fn main() -> ExitCode {
    if let Some(args) = for_the_simulator(std::env::args_os()) {
        return sim::main(args);
    }
    ExitCode::SUCCESS
}

/// What the simulator is given: everything when this program is called `vllm`, what follows `sim` otherwise. Its command
/// line is vLLM's and is passed on untouched.
fn for_the_simulator(mut args: impl Iterator<Item = OsString>) -> Option<Vec<OsString>> {
    let program = args.next()?;
    if Path::new(&program)
        .file_name()
        .is_some_and(|name| name == "vllm")
    {
        return Some(std::iter::once("vllm".into()).chain(args).collect());
    }
    (args.next()? == "sim").then(|| args.collect())
}
