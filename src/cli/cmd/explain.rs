//! `toolorch explain`.

use crate::base::ExitStatus;
use crate::cli::printer::Printer;
use crate::diag::{explain, list};

pub(in crate::cli) fn run(code: Option<&str>, printer: Printer) -> Result<ExitStatus, ExitStatus> {
    let text = match code {
        None => list(),
        Some(code) => match explain(code) {
            Ok(text) => text,
            Err(near) => {
                let hint = if near.is_empty() {
                    "`toolorch explain` lists all".to_owned()
                } else {
                    format!("did you mean `{}`?", near.join("`, `"))
                };
                printer.complain(&format!(
                    "error: there is no code, no alarm and no exit code `{code}`\nhelp: {hint}"
                ));
                return Err(ExitStatus::Usage);
            }
        },
    };
    printer.data(&text).map_err(|_| ExitStatus::Internal)?;
    Ok(ExitStatus::Done)
}
