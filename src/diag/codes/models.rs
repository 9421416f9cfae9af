//! E04, W04, N04: models, parsers and context.

use super::table::CodeInfo;

pub(super) const ROWS: &[CodeInfo] = &[];
