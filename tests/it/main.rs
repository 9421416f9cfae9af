//! The one integration-test binary: a module per area.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that cannot go on has failed the test"
)]

mod all_keys;
mod browser;
mod clients;
mod codes;
mod docs;
mod doctor;
mod earlier_results;
mod failpoints;
mod faults;
mod fetch;
mod formats;
mod golden;
mod knowledge;
mod lab;
mod model_files;
mod pages;
mod recordings;
mod render;
mod report;
mod security;
mod serve;
mod sim;
mod sim_fit;
mod spec;
mod ssh;
mod stand_in;
mod store;
mod unit_script;
mod up;
