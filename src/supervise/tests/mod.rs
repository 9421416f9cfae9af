//! The brain told stories with invented time: what it writes down, and what it asks for.

mod story;
mod waiting;
mod world;

mod adoption;
mod away;
mod chance;
mod clients;
mod evals;
mod leaving;
mod servers;
