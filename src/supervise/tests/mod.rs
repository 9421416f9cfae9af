//! The brain told stories with invented time: what it writes down, and what it asks for.

mod story;
mod world;

mod adoption;
mod away;
mod chance;
mod clients;
mod engine;
mod drain;
mod evals;
mod held;
mod leaving;
mod liveness;
mod open_files;
mod retries;
mod servers;
mod signs;
mod wishes;
