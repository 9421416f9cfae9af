//! The durable side of a run: its directory, its journal, its owner. The one effectful room of `run`.

mod archive;
mod atomic;
mod dir;
mod error;
mod failpoint;
mod fence;
mod follow;
mod journal;
mod owner;
mod packed;
mod probed;
mod process;
mod recorded;
mod regular;
mod requests;
mod reserve;
mod salvage;
mod samples;

pub use archive::tar_gz;
pub use atomic::{Mode, Staged, make_dir, make_own_dir, write_atomically};
pub use dir::{Home, RunDir, is_going_down};
pub use error::StoreError;
pub use failpoint::{FAILPOINTS, failpoint, failpoint_io};
pub use follow::{Follow, More};
pub use journal::{Durability, Journal, SegmentRead, read_journal, read_segment};
pub use owner::{Owner, OwnerRecord, TIME_TO_LIVE, Watch, set_damaged_owner_aside};
pub use packed::{read_packed, write_packed};
pub use probed::{Probed, take_probed};
pub use process::{Life, ProcessId, boot_id, host_name, own_process};
pub use recorded::is_another;
pub use regular::{
    NotRegular, open_lock, open_own, open_regular, read_at_most, read_regular, read_regular_text,
};
pub use requests::{Ask, Lying, Request, read_requests};
pub use reserve::{Reserve, free_bytes};
pub use salvage::{Salvage, salvage};
pub use samples::{MOST_SAMPLE_BYTES, NotKept, SampleFile, read_samples, sample_bytes};
