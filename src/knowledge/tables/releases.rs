//! Generated from `../data/vllm.yaml` by `UPDATE=1 cargo test --test it knowledge`; do not edit.

use super::super::release::Release;

const fn r(major: u16, minor: u16, patch: u16) -> Release {
    Release::new(major, minor, patch)
}

pub(in crate::knowledge) const FLAGS_SAMPLED: &[Release] = &[
    r(0, 8, 5),
    r(0, 9, 2),
    r(0, 10, 2),
    r(0, 11, 2),
    r(0, 12, 0),
    r(0, 14, 1),
    r(0, 16, 0),
    r(0, 20, 2),
    r(0, 24, 0),
    r(0, 28, 0),
    r(0, 32, 0),
    r(0, 33, 0),
];

pub(in crate::knowledge) const PARSERS_SAMPLED: &[Release] = &[
    r(0, 8, 5),
    r(0, 9, 2),
    r(0, 10, 2),
    r(0, 11, 2),
    r(0, 12, 0),
    r(0, 14, 1),
    r(0, 16, 0),
    r(0, 20, 2),
    r(0, 24, 0),
    r(0, 28, 0),
    r(0, 32, 0),
    r(0, 33, 0),
];
