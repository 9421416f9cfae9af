//! Files that a rehearsal needs.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::Path;

use crate::plan::rehearsal::Prop;
use crate::run::store::{Mode, write_atomically};

/// Puts everything in its place; what is there already is replaced.
///
/// # Errors
/// The path, and why nothing can be written there.
pub fn write_props(props: &[Prop]) -> Result<(), String> {
    let said = |prop: &Prop, error: &dyn std::fmt::Display| {
        format!("cannot write `{}`: {error}", prop.path())
    };
    for prop in props {
        let path = Path::new(prop.path());
        let folder = match prop {
            Prop::Folder { .. } => Some(path),
            Prop::Text { .. } | Prop::Head { .. } => path.parent(),
        };
        if let Some(folder) = folder {
            fs::create_dir_all(folder).map_err(|error| said(prop, &error))?;
        }
        let bytes = match prop {
            Prop::Folder { .. } => continue,
            Prop::Text { text, .. } => text.clone().into_bytes(),
            Prop::Head { of, lines, .. } => {
                head(Path::new(of), *lines).map_err(|error| said(prop, &error))?
            }
        };
        write_atomically(path, &bytes, Mode::Shared).map_err(|error| said(prop, &error))?;
    }
    Ok(())
}

/// The first lines that are not blank.
fn head(path: &Path, lines: u64) -> io::Result<Vec<u8>> {
    let mut kept = Vec::new();
    let mut left = lines;
    for line in BufReader::new(File::open(path)?).split(b'\n') {
        let line = line?;
        if left == 0 {
            break;
        }
        if line.iter().any(|byte| !byte.is_ascii_whitespace()) {
            kept.write_all(&line)?;
            kept.push(b'\n');
            left -= 1;
        }
    }
    Ok(kept)
}
