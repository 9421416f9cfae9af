//! Statistics and reports over what was recorded. Pure.
