//! E05, W05, N05: evaluations and datasets.

use super::table::CodeInfo;

pub(super) const ROWS: &[CodeInfo] = &[];
