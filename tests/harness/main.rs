//! `./tests/reliability`: faults brought into real runs, each judged by the world; one row of `docs/RELIABILITY.md` each.
//!
//! A fault is one function: it builds a scene, lets something go wrong, waits for what must follow, and leaves figures in
//! a [`tally::Tally`]. What counts is read from `/proc`, sockets, result files and the servers' own logs. The journal is
//! asked for moments only.
#![expect(
    clippy::unwrap_used,
    reason = "a try that cannot go on has failed, and says where"
)]

mod fleet;
mod judge;
mod single;
mod table;
mod tally;

#[path = "../it/up/log_cluster.rs"]
#[expect(dead_code, reason = "tests/it uses the rest of it")]
mod log_cluster;
#[path = "../it/up/scene.rs"]
#[expect(dead_code, reason = "tests/it uses the rest of it")]
mod scene;
#[path = "../it/up/small.rs"]
#[expect(dead_code, reason = "tests/it uses the rest of it")]
mod small;

mod faults;

use std::process::ExitCode;

use scene::Scene;
use tally::Fault;

/// What the command line asks for.
#[derive(Debug, Default)]
struct Wanted {
    /// Few tries of each.
    quick: bool,
    /// So many tries of each, whatever the table says.
    tries: Option<usize>,
    /// Only these faults, by id; all without any.
    only: Vec<String>,
}

fn wanted() -> Result<Wanted, String> {
    let mut wanted = Wanted::default();
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} needs a value"));
        match word.as_str() {
            "--quick" => wanted.quick = true,
            "--tries" => {
                let number = value()?;
                let tries = number
                    .parse()
                    .map_err(|_| format!("{number} is no number"))?;
                wanted.tries = Some(tries);
            }
            "--only" => wanted.only = value()?.split(',').map(str::to_owned).collect(),
            _ => return Err(format!("{word}: --quick, --tries N, --only A1,D6")),
        }
    }
    let known = |id: &&String| faults::all().any(|fault| fault.id == id.as_str());
    match wanted.only.iter().find(|id| !known(id)) {
        Some(unknown) => Err(format!("no fault is called {unknown}")),
        None => Ok(wanted),
    }
}

fn main() -> ExitCode {
    let wanted = match wanted() {
        Ok(wanted) => wanted,
        Err(why) => {
            eprintln!("tests/reliability: {why}");
            return ExitCode::from(2);
        }
    };
    let chosen =
        |fault: &&Fault| wanted.only.is_empty() || wanted.only.iter().any(|id| id == fault.id);
    let mut rows = Vec::new();
    for fault in faults::all().filter(chosen) {
        let planned = if wanted.quick {
            fault.quick
        } else {
            fault.tries
        };
        let tries = wanted.tries.unwrap_or(planned);
        if tries == 0 {
            continue;
        }
        let tally = tally::run(fault, tries);
        println!("{}", table::line(fault, &tally));
        for failure in &tally.failures {
            println!("    FAILED {failure}");
        }
        rows.push((fault, tally));
    }
    if !wanted.quick && wanted.tries.is_none() {
        table::write(&rows);
    }
    let bad = rows.iter().filter(|(_, tally)| !tally.is_clean()).count();
    println!("{} faults, {bad} with failures", rows.len());
    ExitCode::from(u8::from(bad > 0))
}
