//! The one integration-test binary: a module per area.

mod clients;
mod codes;
mod docs;
mod knowledge;
mod pages;
mod render;
mod sim;
mod spec;
mod store;
mod unit_script;
mod up;
