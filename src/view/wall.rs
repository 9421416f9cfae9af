//! Points in time as people read them on the wall.

use jiff::tz::TimeZone;

use crate::base::Timestamp;

/// `08:12:03` in this zone.
pub fn time(at: Timestamp, zone: &TimeZone) -> String {
    zoned(at, zone).map_or_else(|| at.to_string(), |t| t.strftime("%H:%M:%S").to_string())
}

/// `08:12:03` on the day of `now`, else `Nov 22 08:12`.
pub fn moment(at: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    match (zoned(at, zone), zoned(now, zone)) {
        (Some(then), Some(today)) if then.date() != today.date() => {
            then.strftime("%b %d %H:%M").to_string()
        }
        _ => time(at, zone),
    }
}

/// `Nov 22` in this zone.
pub(super) fn day(at: Timestamp, zone: &TimeZone) -> String {
    zoned(at, zone).map_or_else(String::new, |t| t.strftime("%b %d").to_string())
}

fn zoned(at: Timestamp, zone: &TimeZone) -> Option<jiff::Zoned> {
    let millis = i64::try_from(at.0).ok()?;
    let stamp = jiff::Timestamp::from_millisecond(millis).ok()?;
    Some(stamp.to_zoned(zone.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_day_is_named() {
        let at = Timestamp(1_767_139_200_123);
        let later = Timestamp(at.0 + 86_400_000);
        let zone = TimeZone::fixed(jiff::tz::offset(-3));
        assert_eq!(time(at, &zone), "21:00:00");
        assert_eq!(moment(at, at, &zone), "21:00:00");
        assert_eq!(moment(at, later, &zone), "Dec 30 21:00");
    }
}
