//! The faults, by the letters of their catalogue.

mod clients;
mod controller;
mod kills;
mod launch;
mod outages;
mod owner;
mod servers;
mod store;

use super::tally::Fault;

/// All of them, in the table's order.
pub(crate) fn all() -> impl Iterator<Item = &'static Fault> {
    let tables: [&'static [Fault]; 8] = [
        kills::FAULTS,
        controller::FAULTS,
        owner::FAULTS,
        store::FAULTS,
        launch::FAULTS,
        servers::FAULTS,
        clients::FAULTS,
        outages::FAULTS,
    ];
    tables.into_iter().flatten()
}
