//! The brain told stories with invented time: what it writes down, and what it asks for.

mod story;
mod tunnels;
mod waiting;
mod world;

mod adoption;
mod away;
mod books;
mod chance;
mod clearing;
mod clients;
mod drain;
mod engine;
mod evals;
mod held;
mod jobs;
mod leaving;
mod liveness;
mod open_files;
mod retries;
mod routes;
mod servers;
mod signs;
mod wishes;
