//! The live display of a terminal, and the thread that keeps a slow one from holding up the run.

mod background;
mod display;

pub use background::Background;
pub use display::Live;
