//! From [`ExitStatus`] to the process's own exit code.

use std::process::ExitCode;

use crate::base::ExitStatus;

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status.code())
    }
}
