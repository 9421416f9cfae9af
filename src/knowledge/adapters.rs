//! Data of the evaluation clients that are known by name.
