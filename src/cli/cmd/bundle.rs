//! `toolorch bundle`.

use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use crate::base::{ExitStatus, Timestamp, bytes};
use crate::cli::args::BundleArgs;
use crate::cli::printer::Printer;
use crate::cli::runs::{self, Found};
use crate::cli::target::{Target, target};
use crate::cli::{bundle_of, results_of};
use crate::report::bundle::Bundle;
use crate::run::store::{Mode, StoreError, open_regular, tar_gz, write_atomically};

pub(in crate::cli) fn run(args: &BundleArgs, printer: Printer) -> Result<ExitStatus, ExitStatus> {
    let found = match target(args.target.as_deref(), printer)? {
        Target::Run(found) => found,
        Target::Results(place) => {
            printer.complain(&format!(
                "error: `{0}` holds results, and no plan or journal of how they were made\nhelp: name a run (toolorch runs) or its cluster; a report of results alone is written by: toolorch report {0} --out report",
                place.display()
            ));
            return Err(ExitStatus::Usage);
        }
    };
    let path = place(&found, args.out.as_deref());
    be_ours(&path).map_err(|words| {
        printer.complain(&words);
        ExitStatus::Usage
    })?;
    let kept = results_of::of_and_keep(&found, printer).map_err(|error| {
        printer.complain(&format!("error: {error}"));
        ExitStatus::Refused
    })?;
    let failed = |error| runs::store(&error, printer);
    let (bundle, doubts) = bundle_of::of(&found, kept).map_err(failed)?;
    write(&found, &bundle, &path).map_err(failed)?;
    for doubt in doubts {
        printer.complain(&format!("warning: {doubt}"));
    }
    for masked in &bundle.masked {
        let what: Vec<&str> = masked.what.iter().map(String::as_str).collect();
        printer.complain(&format!(
            "warning: masked in `{}`: {}",
            masked.file,
            what.join(", ")
        ));
    }
    let list = bundle.files.iter().map(|file| {
        let size = bytes(file.text.len() as u64);
        format!("{size:>9}  {}\n", file.name)
    });
    printer
        .data(&list.collect::<String>())
        .map_err(|_| ExitStatus::Internal)?;
    printer.say(&format!("wrote `{}`", path.display()));
    Ok(ExitStatus::Done)
}

fn place(found: &Found, out: Option<&Path>) -> PathBuf {
    let name = format!("{}.tar.gz", found.dir.id());
    match out {
        None => PathBuf::from(name),
        Some(folder) if folder.is_dir() => folder.join(name),
        Some(file) => file.to_owned(),
    }
}

/// An archive may be replaced, and nothing else.
fn be_ours(path: &Path) -> Result<(), String> {
    let shown = path.display();
    let file = match open_regular(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(format!("error: `{shown}` cannot be replaced: {error}")),
    };
    let mut start = Vec::new();
    let read = file.take(2).read_to_end(&mut start);
    if read.is_ok() && (start.is_empty() || start == [0x1f, 0x8b]) {
        return Ok(());
    }
    Err(format!(
        "error: `{shown}` is there and no gzipped archive: it was left as it is\nhelp: name another file: --out FILE.tar.gz"
    ))
}

fn write(found: &Found, bundle: &Bundle, path: &Path) -> Result<(), StoreError> {
    let files = bundle.files.iter();
    let files = files.map(|file| (file.name.clone(), file.text.clone().into_bytes()));
    let last = found.records.last();
    let at = last.map_or(Timestamp::default(), |record| record.at);
    // As for a report: where it is to be is made.
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(StoreError::io("create", folder))?;
    }
    let bytes =
        tar_gz(found.dir.id().as_str(), files, at).map_err(StoreError::io("write", path))?;
    write_atomically(path, &bytes, Mode::Shared)
}
