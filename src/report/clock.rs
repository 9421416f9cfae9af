//! The cluster's time: in a rehearsal it passes faster than that of the machine.

use crate::base::{Millis, Timestamp, float, nearest};

/// Turns moments and lengths of this machine into those of the cluster.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::report) struct Clock {
    /// From when on its time passes otherwise; moments before count backwards from it.
    pub(in crate::report) from: Timestamp,
    /// Hours of the cluster in an hour here.
    pub(in crate::report) speed: f64,
}

impl Clock {
    /// A moment here as one of the cluster.
    pub(in crate::report) fn moment(self, at: Timestamp) -> Timestamp {
        if at >= self.from {
            Timestamp(
                self.from
                    .0
                    .saturating_add(self.length(at.since(self.from)).0),
            )
        } else {
            Timestamp(
                self.from
                    .0
                    .saturating_sub(self.length(self.from.since(at)).0),
            )
        }
    }

    /// A moment of the cluster as one here.
    pub(in crate::report) fn here(self, at: Timestamp) -> Timestamp {
        let back = Self {
            speed: 1.0 / self.speed,
            ..self
        };
        back.moment(at)
    }

    /// A length of time here as one of the cluster.
    pub(in crate::report) fn length(self, length: Millis) -> Millis {
        Millis(nearest(float(length.0) * self.speed))
    }
}
