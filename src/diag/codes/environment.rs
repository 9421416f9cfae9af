//! E06, W06, N06: environment and paths.

use super::table::CodeInfo;

pub(super) const ROWS: &[CodeInfo] = &[];
