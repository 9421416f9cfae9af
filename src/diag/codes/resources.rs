//! E03, W03, N03: ports, GPUs and nodes.

use super::table::CodeInfo;

pub(super) const ROWS: &[CodeInfo] = &[];
