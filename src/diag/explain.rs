//! `toolorch explain CODE`.

use super::codes;

/// The page of a code as plain text; the codes that resemble it if there is none.
///
/// # Errors
/// Up to three codes that differ from `code` by little, best first; may be empty.
pub fn explain(code: &str) -> Result<String, Vec<&'static str>> {
    match codes::find(code) {
        Some(row) => Ok(format!("{}: {}\n\n{}\n", row.code, row.title, row.text)),
        None => Err(similar(code)),
    }
}

fn similar(code: &str) -> Vec<&'static str> {
    let wanted = code.to_ascii_uppercase();
    let mut near: Vec<(usize, &str)> = codes::all()
        .map(|row| (strsim::damerau_levenshtein(&wanted, row.code), row.code))
        .filter(|(distance, _)| *distance <= 2)
        .collect();
    near.sort_unstable();
    near.into_iter().take(3).map(|(_, code)| code).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_explained_whatever_its_case() {
        assert!(explain("e0120").is_ok_and(|page| page.starts_with("E0120: ")));
    }

    #[test]
    fn a_slip_is_answered_with_what_resembles_it() {
        assert!(explain("E012O").is_err_and(|near| near.contains(&"E0120")));
        assert_eq!(explain("nonsense"), Err(Vec::new()));
    }
}
