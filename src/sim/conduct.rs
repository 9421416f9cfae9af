//! How a simulated model behaves where that is for its user to say: how often it is right, refuses, and finds no end. Pure.
//!
//! Every draw depends on the question and the seed alone: whichever replica is asked, and however the talk went on, the
//! same question meets the same fate, and what a better model gets right a worse one may get wrong, not the other way.

use std::sync::Arc;

use super::answers::Message;
use super::dataset::{Dataset, Known};
use super::words::Words;
use crate::base::Chance;

/// What a simulated model is told about its behaviour; by default nothing.
#[derive(Debug, Clone, Default)]
pub struct Conduct {
    /// The share of its answers that are right, 0 to 1, where it can know the right one.
    pub accuracy: Option<f64>,
    /// The share of questions that it refuses, 0 to 1.
    pub refuse: f64,
    /// The share of questions at which it goes on until nothing is left of its tokens, 0 to 1.
    pub run_long: f64,
    /// The questions whose answers it knows.
    pub dataset: Option<Arc<Dataset>>,
}

/// What a model makes of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    /// It answers, or calls a tool.
    Answers,
    /// It will not have it.
    Refuses,
    /// It does not stop.
    RunsLong,
}

/// A question that was asked, and all that is decided about it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    conduct: &'a Conduct,
    /// What stands for the question and the seed.
    key: u64,
    known: Option<Known<'a>>,
}

/// Each decision has a row of chance of its own.
#[derive(Clone, Copy)]
enum Row {
    Refuse = 1,
    RunLong = 2,
    Right = 3,
    Wrong = 4,
}

impl Conduct {
    /// What these messages ask, the last of which is `prompt`; none where nothing was said about the behaviour.
    pub(super) fn asked<'a>(
        &'a self,
        messages: &[Message],
        prompt: &str,
        seed: u64,
    ) -> Option<Asked<'a>> {
        let dataset = self.dataset.as_deref();
        if dataset.is_none() && self.accuracy.is_none() && self.refuse + self.run_long == 0.0 {
            return None;
        }
        let users = messages
            .iter()
            .rev()
            .filter(|message| message.role == "user");
        let texts = users.map(|message| message.text.as_str());
        let known =
            dataset.and_then(|dataset| texts.chain([prompt]).find_map(|text| dataset.find(text)));
        let question = known.map_or_else(|| Words::of(prompt).whole(), |known| known.key);
        Some(Asked {
            conduct: self,
            key: Chance::new(question ^ Chance::new(seed).next()).next(),
            known,
        })
    }
}

impl Asked<'_> {
    /// What the model makes of it.
    pub(super) fn mood(self) -> Mood {
        if self.happens(Row::Refuse, self.conduct.refuse) {
            Mood::Refuses
        } else if self.happens(Row::RunLong, self.conduct.run_long) {
            Mood::RunsLong
        } else {
            Mood::Answers
        }
    }

    /// The answer of the dataset, or a wrong one; none where the dataset lacks the question.
    pub(super) fn answer(self) -> Option<String> {
        Some(self.of(self.known?.answer))
    }

    /// This right answer, or a wrong one.
    pub(super) fn of(self, right: &str) -> String {
        if self.happens(Row::Right, self.conduct.accuracy.unwrap_or(1.0)) {
            right.trim().to_owned()
        } else {
            wrong(right.trim(), self.chance(Row::Wrong).next(), self.known)
        }
    }

    fn chance(self, row: Row) -> Chance {
        Chance::new(self.key.wrapping_add(row as u64))
    }

    fn happens(self, row: Row, share: f64) -> bool {
        self.chance(row).uniform() < share
    }
}

const OPPOSITES: [(&str, &str); 4] = [
    ("yes", "No"),
    ("no", "Yes"),
    ("true", "False"),
    ("false", "True"),
];
const CHOICES: [&str; 5] = ["A", "B", "C", "D", "E"];

/// An answer of the same kind that is not the right one: the opposite, another choice, another number, or the answer to
/// another question.
fn wrong(right: &str, number: u64, known: Option<Known<'_>>) -> String {
    let other = |end: usize| usize::try_from(number % 1000).unwrap_or_default() % end;
    if let Some((_, opposite)) = OPPOSITES
        .iter()
        .find(|(one, _)| right.eq_ignore_ascii_case(one))
    {
        return (*opposite).to_owned();
    }
    if let Some(place) = CHOICES.iter().position(|choice| *choice == right) {
        return CHOICES[(place + 1 + other(CHOICES.len() - 1)) % CHOICES.len()].to_owned();
    }
    if let Ok(whole) = right.parse::<i64>() {
        return whole
            .wrapping_add(1 + i64::try_from(other(9)).unwrap_or_default())
            .to_string();
    }
    let meant = Words::of(right).whole();
    let others = (0..8).filter_map(|more| known?.another_answer(number.wrapping_add(more)));
    let mut others = others.filter(|answer| Words::of(answer).whole() != meant);
    others.next().unwrap_or("none of these").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(text: &str) -> Message {
        Message {
            role: "user".to_owned(),
            text: text.to_owned(),
            calls: Vec::new(),
        }
    }

    fn moods(conduct: &Conduct, seed: u64) -> Vec<Mood> {
        let asked = |number: usize| {
            let text = format!("Question number {number}?");
            conduct.asked(&[user(&text)], &text, seed).unwrap().mood()
        };
        (0..2000).map(asked).collect()
    }

    #[test]
    fn shares_are_kept_and_repeat() {
        let conduct = Conduct {
            refuse: 0.1,
            run_long: 0.2,
            ..Conduct::default()
        };
        let all = moods(&conduct, 7);
        let count = |mood| all.iter().filter(|found| **found == mood).count();
        assert!(
            (150..250).contains(&count(Mood::Refuses)),
            "{}",
            count(Mood::Refuses)
        );
        // Of those that were not refused.
        assert!(
            (300..420).contains(&count(Mood::RunsLong)),
            "{}",
            count(Mood::RunsLong)
        );
        assert_eq!(all, moods(&conduct, 7));
        assert_ne!(all, moods(&conduct, 8));
    }

    #[test]
    fn a_better_model_is_right_wherever_a_worse_one_is() {
        let right = |accuracy: f64, number: usize| {
            let conduct = Conduct {
                accuracy: Some(accuracy),
                ..Conduct::default()
            };
            let text = format!("Question number {number}?");
            conduct.asked(&[user(&text)], &text, 3).unwrap().of("42") == "42"
        };
        let share = |accuracy: f64| (0..2000).filter(|number| right(accuracy, *number)).count();
        assert!((1500..1700).contains(&share(0.8)), "{}", share(0.8));
        assert_eq!((share(0.0), share(1.0)), (0, 2000));
        assert!((0..2000).all(|number| right(0.8, number) || !right(0.5, number)));
    }

    #[test]
    fn wrong_answers_are_of_the_same_kind_and_never_right() {
        for number in 0..50 {
            let other = wrong("C", number, None);
            assert!(CHOICES.contains(&other.as_str()) && other != "C", "{other}");
            let other: i64 = wrong("42", number, None).parse().unwrap();
            assert!((43..52).contains(&other), "{other}");
        }
        assert_eq!(wrong("Yes", 1, None), "No");
        assert_eq!(wrong("FALSE", 1, None), "True");
        assert_eq!(wrong("the Danube", 1, None), "none of these");
    }

    #[test]
    fn nothing_is_asked_of_a_model_about_which_nothing_was_said() {
        assert!(
            Conduct::default()
                .asked(&[user("Why?")], "Why?", 0)
                .is_none()
        );
    }
}
