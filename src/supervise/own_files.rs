//! The controller's own open files: without any it could neither look nor write.

use super::brain::Brain;
use crate::base::Timestamp;

impl Brain {
    /// Says once that few are left: from seventy of a hundred on.
    pub(super) fn own_files(&mut self, open: u64, limit: u64, now: Timestamp) {
        let few = open.saturating_mul(10) > limit.saturating_mul(7);
        if few && !self.few_files_said {
            self.few_files_said = true;
            let text = format!(
                "the controller has {open} of the {limit} files open that it may: raise the limit (`ulimit -Hn`) and start \
                 it again; what runs goes on"
            );
            self.alarm("own-files", None, text, now);
        }
    }
}
