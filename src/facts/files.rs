//! Open files of a process, as seen from outside.

/// Open files of one process, and how many may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FilesSeen {
    /// The process.
    pub pid: u32,
    /// Its start in clock ticks since boot: with the pid it names one process.
    pub start: u64,
    /// How many are open.
    pub open: u64,
    /// How many may be: the soft limit.
    pub soft: u64,
    /// Up to where the soft limit may be raised; none if there is no such limit.
    pub hard: Option<u64>,
}

impl FilesSeen {
    /// More than this share of the limit is taken, in percent.
    pub fn is_above(&self, percent: u64) -> bool {
        u128::from(self.open) * 100 >= u128::from(self.soft) * u128::from(percent)
    }

    /// The one that is closer to its limit.
    #[must_use]
    pub fn closer(self, other: Self) -> Self {
        // Compared as fractions without dividing.
        let own = u128::from(self.open) * u128::from(other.soft.max(1));
        let others = u128::from(other.open) * u128::from(self.soft.max(1));
        if others > own { other } else { self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_closer_to_its_limit_counts() {
        let seen = |pid, open, soft| FilesSeen {
            pid,
            start: 1,
            open,
            soft,
            hard: None,
        };
        let (one, other) = (seen(1, 90, 100), seen(2, 500, 65_536));
        assert_eq!(one.closer(other), one);
        assert_eq!(other.closer(one), one);
        assert!(one.is_above(90) && !one.is_above(91));
    }
}
