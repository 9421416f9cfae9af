//! The one place that reads the clock.

use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

use crate::base::{Clock, Millis, Timestamp};

/// How many times as fast toolorch's own time passes, for tests: 1 to 100.
pub const TIME_SCALE: &str = "TOOLORCH_TIME_SCALE";

/// Midnight of 2026-01-01, UTC, in milliseconds: scaled time counts from here, so that all processes of a run agree.
const ORIGIN: u64 = 1_767_225_600_000;

/// The machine's clock: the wall clock once, and from then on what passed, time in which the machine slept included. A
/// step of the wall clock moves nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let anchor = anchor();
        let wall = anchor.wall + since_boot().saturating_sub(anchor.boot);
        scaled(Millis::from(wall).0, scale())
    }
}

/// How long `length` of our own time lasts.
pub fn lasts(length: Millis) -> Duration {
    Duration::from(length) / scale()
}

/// What the machine's own clock says at a moment of ours: files bear its times.
pub fn wall(at: Timestamp) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(unscaled(at, scale()))
}

/// What the environment says of the time scale.
///
/// # Errors
/// It says something that is no scale, in words.
pub fn time_scale() -> Result<u32, String> {
    let Some(text) = std::env::var_os(TIME_SCALE) else {
        return Ok(1);
    };
    let scale = text.to_str().and_then(|text| text.parse().ok());
    let scale = scale.filter(|scale| (1..=100).contains(scale));
    scale.ok_or_else(|| {
        let text = text.display();
        format!("{TIME_SCALE} is `{text}`: write a whole number from 1 to 100")
    })
}

struct Anchor {
    wall: Duration,
    boot: Duration,
}

fn anchor() -> &'static Anchor {
    static ANCHOR: OnceLock<Anchor> = OnceLock::new();
    ANCHOR.get_or_init(|| Anchor {
        wall: SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default(),
        boot: since_boot(),
    })
}

/// A wrong scale was refused at the start of the program.
fn scale() -> u32 {
    static SCALE: OnceLock<u32> = OnceLock::new();
    *SCALE.get_or_init(|| time_scale().unwrap_or(1))
}

fn since_boot() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}

fn scaled(wall: u64, scale: u32) -> Timestamp {
    if scale == 1 {
        return Timestamp(wall);
    }
    let since = wall.saturating_sub(ORIGIN);
    Timestamp(ORIGIN.saturating_add(since.saturating_mul(scale.into())))
}

fn unscaled(at: Timestamp, scale: u32) -> u64 {
    if scale == 1 {
        return at.0;
    }
    ORIGIN + at.0.saturating_sub(ORIGIN) / u64::from(scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scaled_time_passes_faster_and_is_the_same_for_all() {
        let at = |seconds: u64, scale| scaled(ORIGIN + seconds * 1000, scale);
        assert_eq!(at(5, 1), Timestamp(ORIGIN + 5_000));
        assert_eq!(at(7, 20).since(at(5, 20)), Millis::from_secs(40));
        assert_eq!(scaled(0, 20), Timestamp(ORIGIN));
        assert_eq!(unscaled(at(7, 20), 20), ORIGIN + 7_000);
        assert_eq!(unscaled(at(7, 1), 1), ORIGIN + 7_000);
    }

    #[test]
    fn the_clock_is_that_of_the_machine() {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let apart = SystemClock.now().0.abs_diff(Millis::from(wall).0);
        assert!(apart < 60_000, "{apart} ms");
        assert_eq!(lasts(Millis(250)), Duration::from_millis(250));
    }
}
