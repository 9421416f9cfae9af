//! The one integration-test binary: a module per area.

mod clients;
mod knowledge;
