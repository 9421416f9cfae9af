//! Generated from `../data/vllm.yaml` by `UPDATE=1 cargo test --test it knowledge`; do not edit.

#[rustfmt::skip]
pub(super) mod failures;
#[rustfmt::skip]
pub(super) mod families;
#[rustfmt::skip]
pub(super) mod flags;
#[rustfmt::skip]
pub(super) mod gpus;
#[rustfmt::skip]
pub(super) mod parsers;
#[rustfmt::skip]
pub(super) mod recipes;
#[rustfmt::skip]
pub(super) mod releases;
#[rustfmt::skip]
pub(super) mod shapes;
