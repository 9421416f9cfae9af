//! What an unquoted scalar means: the core schema of YAML 1.2.

/// A plain scalar as YAML 1.2 reads it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Core {
    /// `null`, `~`, or nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number, decimal, `0x…` or `0o…`.
    Integer(i128),
    /// Another number, `.inf` and `.nan` among them.
    Float(f64),
    /// Anything else.
    Text,
}

/// Reads a plain scalar.
pub(super) fn core(text: &str) -> Core {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Core::Null,
        "true" | "True" | "TRUE" => return Core::Bool(true),
        "false" | "False" | "FALSE" => return Core::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Core::Float(f64::NAN),
        _ => {}
    }
    let (negative, digits) = match text.as_bytes()[0] {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if matches!(digits, ".inf" | ".Inf" | ".INF") {
        return Core::Float(if negative {
            f64::NEG_INFINITY
        } else {
            f64::INFINITY
        });
    }
    integer(text, digits, negative)
        .or_else(|| float(digits).map(|value| Core::Float(if negative { -value } else { value })))
        .unwrap_or(Core::Text)
}

fn integer(text: &str, digits: &str, negative: bool) -> Option<Core> {
    let value = if let Some(octal) = text.strip_prefix("0o") {
        unsigned(octal, 8)?
    } else if let Some(hexadecimal) = text.strip_prefix("0x") {
        unsigned(hexadecimal, 16)?
    } else {
        unsigned(digits, 10)?
    };
    Some(Core::Integer(if negative { -value } else { value }))
}

fn unsigned(digits: &str, radix: u32) -> Option<i128> {
    let all_digits = digits.chars().all(|c| c.is_digit(radix));
    if all_digits {
        i128::from_str_radix(digits, radix).ok()
    } else {
        None
    }
}

/// `digits[.digits][e[±]digits]` or `.digits[e[±]digits]`, without a sign.
fn float(text: &str) -> Option<f64> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mantissa_fits =
        digits(whole) && digits(fraction) && !(whole.is_empty() && fraction.is_empty());
    let exponent_fits = exponent.is_none_or(|exponent| {
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        !exponent.is_empty() && digits(exponent)
    });
    if mantissa_fits && exponent_fits {
        text.parse().ok()
    } else {
        None
    }
}

/// Whether a number begins with a zero that makes some readers take it for octal.
pub(super) fn has_leading_zero(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// The truth value that YAML 1.1 readers see in `yes`, `no`, `on` and `off`.
pub(super) fn yaml_1_1_bool(text: &str) -> Option<bool> {
    match text {
        "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some(true),
        "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_core_schema_of_yaml_1_2() {
        for (text, meaning) in [
            ("", Core::Null),
            ("~", Core::Null),
            ("true", Core::Bool(true)),
            ("yes", Core::Text),
            ("8", Core::Integer(8)),
            ("-8", Core::Integer(-8)),
            ("+8", Core::Integer(8)),
            ("0o17", Core::Integer(15)),
            ("0xff", Core::Integer(255)),
            ("010", Core::Integer(10)),
            ("0.10", Core::Float(0.1)),
            (".5", Core::Float(0.5)),
            ("1.", Core::Float(1.0)),
            ("-1e3", Core::Float(-1000.0)),
            ("-.inf", Core::Float(f64::NEG_INFINITY)),
            ("0.12.0", Core::Text),
            ("1_000", Core::Text),
            ("e5", Core::Text),
            ("1e", Core::Text),
            (".", Core::Text),
            ("-", Core::Text),
            ("--1", Core::Text),
            ("infinity", Core::Text),
            ("04:00:00", Core::Text),
        ] {
            assert_eq!(core(text), meaning, "{text}");
        }
    }
}
