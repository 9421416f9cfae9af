//! What a stand-in for a search finds: documents made of the words of the query, the same for the same query. Pure.

use serde_json::{Value, json};

use super::super::answers::{self, Message};
use super::super::{arithmetic, tokens};
use crate::base::float;

/// Documents for one query at most.
const MOST: usize = 100;
/// Words of a query that its documents use, and letters of one.
const MOST_WORDS: usize = 48;
const LONGEST_WORD: usize = 40;

/// Sentences around a word of the query. Without numbers: a reader that computes must not find a sum here.
const SENTENCES: [&str; 16] = [
    "The oldest account of {} was kept by the parish and copied twice before the archive burned.",
    "What is known about {} rests on letters, on two surveys, and on a report that nobody signed.",
    "Later writers took {} for a matter of custom, and only a few went to look for themselves.",
    "In the second edition the chapter on {} was shortened, and its tables moved to the appendix.",
    "Visitors who ask for {} are shown the north wing first, where the light is better.",
    "A commission compared {} with its neighbours and found the differences smaller than expected.",
    "The name {} appears on maps of that century in several spellings, none of them official.",
    "Most handbooks mention {} in passing; the details are left to the notes at the end.",
    "Repairs changed {} more than the years did, which is why old drawings are still consulted.",
    "There is no agreement on how {} began, though the accounts agree on how it went on.",
    "Students are often sent to {} because it is close, well described, and cheap to reach.",
    "The museum keeps a model of {} beside the stairs, together with the tools that made it.",
    "Whoever wrote about {} after the war had to rely on memory, since the papers were lost.",
    "Prices for {} rose slowly at first, then at once, and came back to where they had been.",
    "The lecture on {} was given every spring until the society ran out of members.",
    "An index of {} was begun three times and never finished, as each editor chose another order.",
];
/// What a query without words is about.
const SUBJECTS: [&str; 4] = ["harbour", "orchard", "lantern", "meadow"];

/// The documents for `query`, the best first, each of about `tokens` tokens, in the form of ToolOrchestra's retrieval.
///
/// The first one holds the result of a sum in the query, for a reader that follows its sources.
pub(super) fn documents(query: &str, topk: usize, tokens: usize) -> Vec<Value> {
    let words = words(query);
    let seed = answers::hash(&[Message {
        role: "query".to_owned(),
        text: query.to_owned(),
        calls: Vec::new(),
    }]);
    let best = 0.80 + float(seed % 16) / 100.0;
    let ranks = 0..u32::try_from(topk.clamp(1, MOST)).unwrap_or(1);
    ranks
        .map(|rank| {
            let text = document(query, &words, seed, rank, tokens);
            let score = (best / (1.0 + 0.06 * f64::from(rank)) * 10_000.0).round() / 10_000.0;
            // Clients read one key or the other.
            json!({"document": {"contents": text, "content": text}, "score": score})
        })
        .collect()
}

fn document(query: &str, words: &[&str], seed: u64, rank: u32, tokens: usize) -> String {
    let mut draw = Draw(seed ^ (u64::from(rank) << 32));
    let start = draw.below(words.len());
    let about = words.iter().cycle().skip(start);
    let title: Vec<&str> = about.take(words.len().min(4)).copied().collect();
    let result = arithmetic::first_sum(query).filter(|_| rank == 0);
    let result = result.map(|(sum, value)| format!(" The result of {sum} is {value}."));
    let mut text = format!("{}.{}", title.join(" "), result.unwrap_or_default());
    let mut length = tokens::count(&text);
    while length < tokens {
        let sentence = SENTENCES[draw.below(SENTENCES.len())];
        let sentence = sentence.replacen("{}", words[draw.below(words.len())], 1);
        let sentence = format!(" {sentence}");
        length += tokens::count(&sentence);
        text.push_str(&sentence);
    }
    text
}

/// The words of a query that say what it is about; never none.
fn words(query: &str) -> Vec<&str> {
    let all = query.split(|c: char| !c.is_alphabetic());
    let lengths = 3..=LONGEST_WORD;
    let found: Vec<&str> = all
        .filter(|word| lengths.contains(&word.chars().take(LONGEST_WORD + 1).count()))
        .take(MOST_WORDS)
        .collect();
    if found.is_empty() {
        SUBJECTS.to_vec()
    } else {
        found
    }
}

/// Choices that look random and repeat: `SplitMix64`.
struct Draw(u64);

impl Draw {
    /// A number below `count`, which is above 0.
    fn below(&mut self, count: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let count = u64::try_from(count).unwrap_or(u64::MAX).max(1);
        usize::try_from(mixed % count).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(query: &str, topk: usize, tokens: usize) -> Vec<String> {
        let found = documents(query, topk, tokens);
        let text = |found: &Value| found["document"]["contents"].as_str().unwrap().to_owned();
        found.iter().map(text).collect()
    }

    #[test]
    fn a_query_finds_the_same_documents_each_time() {
        let query = "How many steps has the Brindle Point lighthouse?";
        let found = documents(query, 2, 30);
        assert_eq!(found, documents(query, 2, 30));
        insta::assert_snapshot!(json!(found), @r#"
        [{"document":{"contents":"How many steps has. Most handbooks mention steps in passing; the details are left to the notes at the end. Whoever wrote about steps after the war had to rely on memory, since the papers were lost.","content":"How many steps has. Most handbooks mention steps in passing; the details are left to the notes at the end. Whoever wrote about steps after the war had to rely on memory, since the papers were lost."},"score":0.83},{"document":{"contents":"Point lighthouse How many. The oldest account of Point was kept by the parish and copied twice before the archive burned. Prices for many rose slowly at first, then at once, and came back to where they had been.","content":"Point lighthouse How many. The oldest account of Point was kept by the parish and copied twice before the archive burned. Prices for many rose slowly at first, then at once, and came back to where they had been."},"score":0.783}]
        "#);
    }

    #[test]
    fn the_first_document_answers_a_sum() {
        let found = texts("What is 12 + 30, in Brindle?", 3, 20);
        assert!(
            found[0].contains("The result of 12 + 30 is 42."),
            "{found:?}"
        );
        assert!(found[1..].iter().all(|text| !text.contains("42")));
    }

    #[test]
    fn requests_without_measure_are_cut_to_one() {
        assert_eq!(documents("x", 0, 1).len(), 1);
        assert_eq!(documents("x", usize::MAX, 1).len(), MOST);
        let long = "w".repeat(100_000) + &" word".repeat(100_000);
        assert!(texts(&long, 1, 600)[0].len() < 6000);
    }

    proptest::proptest! {
        #[test]
        fn documents_have_about_the_tokens_that_are_asked_for(query in ".{0,80}", tokens in 40_usize..900) {
            for text in texts(&query, 3, tokens) {
                let count = tokens::count(&text);
                proptest::prop_assert!((tokens..tokens + 80).contains(&count), "{count} {text}");
            }
        }

        #[test]
        fn scores_fall(query in ".{0,80}") {
            let found = documents(&query, 10, 1);
            let scores: Vec<f64> = found.iter().map(|found| found["score"].as_f64().unwrap()).collect();
            proptest::prop_assert!(scores.windows(2).all(|pair| pair[0] > pair[1]) && scores[0] < 1.0);
        }
    }
}
