//! `toolorch explain WORD`: codes of diagnostics, words of alarms, and exit codes.

use super::{alarms, codes, exits};

/// The page of a code, an alarm or an exit code as plain text; what resembles it if there is none.
///
/// # Errors
/// Up to three codes or words that differ from `word` by little, best first; may be empty.
pub fn explain(word: &str) -> Result<String, Vec<&'static str>> {
    let page = |name: &str, title: &str, text: &str| format!("{name}: {title}\n\n{text}\n");
    if let Some(row) = codes::find(word) {
        return Ok(page(row.code, row.title, row.text));
    }
    match alarms::find(word) {
        Some(row) => Ok(page(row.word, row.title, row.text)),
        None => exits::explain(word).ok_or_else(|| similar(word)),
    }
}

/// All codes, alarms and exit codes, a line for each.
pub fn list() -> String {
    let (codes, alarms, exits) = (codes::list(), alarms::list(), exits::list());
    format!("{codes}\nalarms of a run\n{alarms}\nexit codes\n{exits}")
}

fn similar(word: &str) -> Vec<&'static str> {
    let wanted = word.to_ascii_lowercase();
    let known = codes::all()
        .map(|row| row.code)
        .chain(alarms::all().map(|row| row.word));
    let mut near: Vec<(usize, &str)> = known
        .map(|known| {
            (
                strsim::damerau_levenshtein(&wanted, &known.to_ascii_lowercase()),
                known,
            )
        })
        .filter(|(distance, _)| *distance <= 2)
        .collect();
    near.sort_unstable();
    near.into_iter().take(3).map(|(_, known)| known).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_explained_whatever_its_case() {
        assert!(explain("e0120").is_ok_and(|page| page.starts_with("E0120: ")));
    }

    #[test]
    fn an_alarm_is_explained_by_its_word() {
        assert!(explain("outside-call").is_ok_and(|page| page.starts_with("outside-call: ")));
        assert!(list().contains("outside-call "));
    }

    #[test]
    fn an_exit_code_is_explained_by_its_number() {
        insta::assert_snapshot!(explain("75").unwrap(), @r"
        exit code 75: another toolorch owns this run

        Another toolorch watches the run, and there is one at a time. `toolorch status` says which; `toolorch down` ends the run with it.
        ");
        assert!(explain("7").is_ok_and(|page| page.contains("`outside-call`")));
        assert!(explain("42").is_err());
    }

    #[test]
    fn a_slip_is_answered_with_what_resembles_it() {
        assert!(explain("E012O").is_err_and(|near| near.contains(&"E0120")));
        assert!(explain("outside-calls").is_err_and(|near| near == ["outside-call"]));
        assert_eq!(explain("nonsense"), Err(Vec::new()));
    }
}
