//! What can go wrong with the files of a run, and with which exit code it ends.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::NotRegular;
use crate::base::{Epoch, ExitStatus};

/// What went wrong with the files of a run.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file operation failed.
    #[error("cannot {doing} `{path}`: {source}")]
    Io {
        /// What was tried: `write`, `create`.
        doing: &'static str,
        /// Where.
        path: PathBuf,
        /// The system's words.
        #[source]
        source: io::Error,
    },
    /// The run's directory was removed or replaced while its owner lived.
    #[error("the run's directory `{path}` is gone")]
    Gone {
        /// It.
        path: PathBuf,
    },
    /// Others could have put into a directory what we would read and run.
    #[error("`{path}` is not used: {why}; or set TOOLORCH_HOME to a directory of yours")]
    NotOurs {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A file of the run is not what was written: a line in the middle of its journal, its plan, its owner's file.
    #[error("{} is damaged: `{path}` line {line}: {why}", what(path))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
    /// A file was written by a program that knows more than this one.
    #[error(
        "`{path}` has format {found}, this toolorch reads up to {known}: use the newer toolorch"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format that is known here.
        known: u32,
    },
    /// Another toolorch owns the run.
    #[error(
        "another toolorch owns this run: {who}; `toolorch status` shows it, `toolorch down` ends the run"
    )]
    Owned {
        /// Its process, host and since when.
        who: String,
    },
    /// This toolorch owned the run until another one took it.
    #[error(
        "this toolorch no longer owns the run: epoch {ours} was superseded by {theirs}{}",
        words(who.as_deref())
    )]
    Superseded {
        /// Our epoch.
        ours: Epoch,
        /// The epoch that the owner's file names now.
        theirs: Epoch,
        /// Its process, host and since when; none where the file does not name it yet.
        who: Option<String>,
    },
}

fn words(who: Option<&str>) -> String {
    who.map_or_else(String::new, |who| format!(": {who}"))
}

/// The file in words.
fn what(path: &Path) -> &'static str {
    match path.file_name().and_then(|name| name.to_str()) {
        Some("owner.json") => "the file that names the run's owner",
        Some("plan.json") => "the run's plan",
        Some("results.json.gz") => "what the run kept of its results",
        Some("former.json") => "the list of machines that earlier plans of the run had",
        _ => "the journal",
    }
}

impl StoreError {
    /// How a command ends on it.
    pub fn exit_status(&self) -> ExitStatus {
        match self {
            Self::Damaged { .. } | Self::Newer { .. } => ExitStatus::JournalDamaged,
            Self::Owned { .. } | Self::Superseded { .. } => ExitStatus::OwnedElsewhere,
            Self::NotOurs { .. } => ExitStatus::Refused,
            Self::Io { .. } if self.help().is_some() => ExitStatus::Refused,
            Self::Io { .. } | Self::Gone { .. } => ExitStatus::Internal,
        }
    }

    /// The disk has no room left, or none for this user.
    pub fn is_full(&self) -> bool {
        matches!(
            self.kind(),
            Some(ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
        )
    }

    /// What whoever started the command can do about it, where that is known.
    pub fn help(&self) -> Option<&'static str> {
        match self.kind() {
            Some(ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => {
                Some("make room there; TOOLORCH_HOME says where runs are kept")
            }
            Some(ErrorKind::PermissionDenied) if self.is_reading() => Some(
                "a run is for the eyes of the user who started it, and of root; TOOLORCH_HOME says where runs are kept",
            ),
            Some(ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied) => {
                Some("make it writable for this user; TOOLORCH_HOME says where runs are kept")
            }
            Some(ErrorKind::FileTooLarge) => Some("let files grow: `ulimit -f unlimited`"),
            _ if matches!(self, Self::Damaged { path, .. } if path.ends_with("plan.json")) => {
                Some("`toolorch up` with the YAML writes it anew and goes on with what runs")
            }
            _ if matches!(self, Self::Damaged { path, .. } if path.ends_with("results.json.gz")) => {
                Some(
                    "the report is of the results that are there now, as far as they are the run's; remove the file, and the next report keeps them, if all are there",
                )
            }
            _ if matches!(self, Self::Damaged { path, .. } if path.ends_with("former.json")) => {
                Some("move it away: then nobody asks those machines what of the run lives there")
            }
            _ if self.is_in_the_way() => Some("move it away"),
            _ if matches!(self, Self::Damaged { .. }) => Some(
                "`toolorch up --rebuild` with the YAML goes on with what runs and with all results; `toolorch down` stops what runs",
            ),
            _ => None,
        }
    }

    /// Something else stands in the place of a file of ours.
    fn is_in_the_way(&self) -> bool {
        match self {
            Self::Io { source, .. } => {
                let kinds = [ErrorKind::IsADirectory, ErrorKind::NotADirectory];
                NotRegular::is(source) || kinds.contains(&source.kind())
            }
            _ => false,
        }
    }

    fn is_reading(&self) -> bool {
        matches!(
            self,
            Self::Io {
                doing: "read" | "list" | "look at",
                ..
            }
        )
    }

    fn kind(&self) -> Option<ErrorKind> {
        match self {
            Self::Io { source, .. } => Some(source.kind()),
            _ => None,
        }
    }

    /// For `map_err`: what was tried, where.
    pub fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io {
            doing,
            path,
            source,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_file_is_called_what_it_is() {
        let said = |file: &str| {
            let error = StoreError::Damaged {
                path: PathBuf::from(file),
                line: 1,
                why: "expected value".to_owned(),
            };
            format!("{error}; {}", error.help().unwrap())
        };
        insta::assert_snapshot!(said("/r/journal.2.jsonl"), @"the journal is damaged: `/r/journal.2.jsonl` line 1: expected value; `toolorch up --rebuild` with the YAML goes on with what runs and with all results; `toolorch down` stops what runs");
        insta::assert_snapshot!(said("/r/owner.json"), @"the file that names the run's owner is damaged: `/r/owner.json` line 1: expected value; `toolorch up --rebuild` with the YAML goes on with what runs and with all results; `toolorch down` stops what runs");
        insta::assert_snapshot!(said("/r/results.json.gz"), @"what the run kept of its results is damaged: `/r/results.json.gz` line 1: expected value; the report is of the results that are there now, as far as they are the run's; remove the file, and the next report keeps them, if all are there");
        insta::assert_snapshot!(said("/r/plan.json"), @"the run's plan is damaged: `/r/plan.json` line 1: expected value; `toolorch up` with the YAML writes it anew and goes on with what runs");
        insta::assert_snapshot!(said("/r/former.json"), @"the list of machines that earlier plans of the run had is damaged: `/r/former.json` line 1: expected value; move it away: then nobody asks those machines what of the run lives there");
    }

    #[test]
    fn what_people_can_mend_is_refused_with_help() {
        let of = |code: i32| {
            let source = io::Error::from_raw_os_error(code);
            StoreError::io("write", Path::new("/runs/owner.json"))(source)
        };
        for (code, word) in [
            (28, "room"),
            (122, "room"),
            (30, "writable"),
            (13, "writable"),
        ] {
            let error = of(code);
            assert_eq!(error.exit_status(), ExitStatus::Refused, "{error}");
            assert!(error.help().unwrap().contains(word), "{error}");
        }
        let source = io::Error::from_raw_os_error(13);
        let error = StoreError::io("read", Path::new("/runs/owner.json"))(source);
        insta::assert_snapshot!(format!("{error}; {}", error.help().unwrap()), @"cannot read `/runs/owner.json`: Permission denied (os error 13); a run is for the eyes of the user who started it, and of root; TOOLORCH_HOME says where runs are kept");
        assert!(of(28).is_full() && !of(30).is_full());
        assert_eq!(
            (of(5).exit_status(), of(5).help()),
            (ExitStatus::Internal, None)
        );
    }
}
