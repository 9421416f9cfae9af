//! The brain told stories with invented time: what it writes down, and what it asks for.

mod story;
mod world;

mod adoption;
mod books;
mod chance;
mod clients;
mod evals;
mod leaving;
mod routes;
mod servers;
