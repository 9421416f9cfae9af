//! What is sampled while a run goes on: servers, nodes, evaluations. Pure; `run::store` keeps it on the disk.
//!
//! `page` reads a server's `/metrics`, `node` what a machine says of itself. `encoder` turns what was seen into lines: what
//! came since the line before. `read` reads them again, `bounds` takes out what cannot be, `all` puts them together, `doubts` is
//! what that had to leave out, `server` is a server's series, `work` a sum of it.

mod all;
mod bounds;
#[cfg(test)]
pub(crate) mod busy;
mod doubts;
mod encoder;
mod line;
mod node;
mod page;
mod point;
mod read;
mod server;
#[cfg(test)]
mod tests;
mod work;

pub use all::{MOST_POINTS, Samples};
pub use doubts::Doubts;
pub use encoder::Encoder;
pub use line::{Amount, EvalLine, GpuLoad, Head, Line, NodeLine, ServerLine, Spread};
pub use node::NodeSample;
pub use page::ServerSample;
pub use point::Point;
pub use server::ServerSeries;
pub use work::Work;
