//! The stand-in for a service or an API that cannot be reached here: it answers what a client asks, without doing it.
//!
//! `pace` says how long an answer takes, `pages` what a search finds, `request` what a model is asked, `reply` and
//! `vectors` what an API of OpenAI's form answers, `books` what was asked; those are pure. `routes` serves it, `run` is
//! the program.

mod args;
mod books;
mod http;
mod pace;
mod pages;
mod reply;
mod request;
mod run;
mod vectors;

pub(super) use run::main;
