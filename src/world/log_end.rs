//! The end of a unit's log: what people see of it, and what it says of a death. Secrets of the unit are in none of it.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use crate::base::{Secrets, clean, mask_keys};
use crate::facts::LogCause;
use crate::run::store::open_regular;

/// How many lines are kept with the record of a death.
const LINES: usize = 40;

/// The end of a log.
#[derive(Debug, Clone)]
pub(super) struct LogEnd {
    text: String,
    secrets: Secrets,
}

impl LogEnd {
    /// The last bytes of a file; none where it cannot be read.
    pub(super) fn read(path: &Path, bytes: u64, secrets: Secrets) -> Option<Self> {
        let mut file = open_regular(path).ok()?;
        let length = file.metadata().ok()?.len();
        let wanted = Self::wanted(bytes, &secrets);
        let start = length.saturating_sub(wanted);
        file.seek(SeekFrom::Start(start)).ok()?;
        let mut end = Vec::new();
        file.take(wanted).read_to_end(&mut end).ok()?;
        Some(Self::of(&end, start == 0, secrets))
    }

    /// How many bytes are to be read for so many to be shown: the cut may run through a secret.
    pub(super) fn wanted(bytes: u64, secrets: &Secrets) -> u64 {
        bytes + u64::try_from(secrets.longest()).unwrap_or_default()
    }

    /// The end that was read; `whole` if nothing stands before it.
    pub(super) fn of(end: &[u8], whole: bool, secrets: Secrets) -> Self {
        let from = if whole { 0 } else { secrets.longest() };
        let text = String::from_utf8_lossy(&secrets.mask_from(end, from)).into_owned();
        Self { text, secrets }
    }

    /// All of it.
    pub(super) fn into_text(self) -> String {
        self.text
    }

    /// The last lines that say anything.
    pub(super) fn lines(&self) -> Vec<String> {
        let lines = self.text.split(['\n', '\r']).map(|line| self.shown(line));
        let lines: Vec<String> = lines.filter(|line| !line.trim().is_empty()).collect();
        lines[lines.len().saturating_sub(LINES)..].to_vec()
    }

    /// The last line that says anything.
    pub(super) fn last_line(&self) -> Option<String> {
        let mut lines = self.text.split(['\n', '\r']).rev();
        let last = lines.find(|line| !line.trim().is_empty())?;
        Some(self.shown(last))
    }

    /// What it says of a death.
    pub(super) fn cause(&self) -> Option<LogCause> {
        let mut cause = LogCause::read(mask_keys(&self.text).split(['\n', '\r']))?;
        cause.line = self.shown(&cause.line);
        Some(cause)
    }

    /// A line, harmless to a terminal and without what looks like a key. An escape sequence may run through a secret, which is
    /// whole only when that is gone.
    fn shown(&self, line: &str) -> String {
        mask_keys(&self.secrets.mask_text(&clean(line))).into_owned()
    }
}
