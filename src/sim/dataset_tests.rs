//! Tests of the dataset; apart from it because they write files.

use super::*;

fn dataset(lines: &[Value]) -> (tempfile::TempDir, Dataset) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("questions.jsonl");
    let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
    std::fs::write(&path, lines.join("\n")).unwrap();
    let dataset = Dataset::open(&path).unwrap();
    (folder, dataset)
}

fn pair(question: &str, answer: &str) -> Value {
    serde_json::json!({"id": question.len(), "image": null, "question": question, "answer": answer})
}

async fn read(lines: &[Value]) -> (Dataset, Option<String>) {
    let (_folder, dataset) = dataset(lines);
    let wrong = dataset.ready().await;
    (dataset, wrong)
}

const LONG: &str = "A train leaves the station at noon.\n\nIt carries 30 passengers, of whom none knows the way; \
                    how many of them will be late if (a) it rains or (b) it does not?";

#[tokio::test]
async fn a_question_is_found_inside_a_prompt() {
    let same_start = LONG.replace("does not", "snows");
    let lines = [pair(LONG, "7"), pair(&same_start, "8"), pair("Why?", "so")];
    let (dataset, wrong) = read(&lines).await;
    assert_eq!(wrong, None);
    let answer = |text: &str| dataset.find(text).map(|known| known.answer);
    assert_eq!(
        answer(&format!("Problem: {LONG}\n\nChoose a tool.")),
        Some("7")
    );
    assert_eq!(answer(&same_start.replace('\n', " ")), Some("8"));
    assert_eq!(answer("why"), Some("so"));
    assert_eq!(answer("Whyever?"), None);
    // The longer one is meant.
    assert_eq!(answer(&format!("Why? {LONG} Why?")), Some("7"));
    // Cut short it could be either.
    assert_eq!(answer(&LONG[..100]), None);
    let other = dataset
        .find("why")
        .and_then(|known| known.another_answer(4));
    assert_eq!(other, Some("8"));
}

#[tokio::test]
async fn a_question_that_was_cut_is_known_by_its_start() {
    let (dataset, _) = read(&[pair(LONG, "7"), pair("Why?", "so")]).await;
    assert_eq!(
        dataset.find(&LONG[..110]).map(|known| known.answer),
        Some("7")
    );
    assert!(dataset.find(&LONG[..40]).is_none());
}

#[tokio::test]
async fn answers_of_any_kind_are_texts_and_other_lines_are_told() {
    let lines = [
        serde_json::json!({"question": "How many?", "answer": 12}),
        serde_json::json!({"question": "Which?"}),
        serde_json::json!({"question": "?!", "answer": "nothing"}),
    ];
    let (dataset, wrong) = read(&lines).await;
    let wrong = wrong.unwrap();
    assert!(
        wrong.ends_with("questions.jsonl: 1 lines without question and answer"),
        "{wrong}"
    );
    assert_eq!(dataset.ready().await, None, "it is told once");
    assert_eq!(
        dataset.find("how many").map(|known| known.answer),
        Some("12")
    );
}

#[test]
fn a_file_that_is_no_dataset_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let said = |name: &str, text: Option<&str>| {
        let path = folder.path().join(name);
        if let Some(text) = text {
            std::fs::write(&path, text).unwrap();
        }
        let said = Dataset::open(&path).unwrap_err();
        said.replace(folder.path().to_str().unwrap(), "DIR")
    };
    let all = [
        said("gone.jsonl", None),
        said("empty.jsonl", Some("\n\n")),
        said("number.jsonl", Some("12\n")),
        said("other.jsonl", Some("{\"prompt\": \"Why?\"}\n")),
    ];
    insta::assert_snapshot!(all.join("\n"), @r"
    `DIR/gone.jsonl`: No such file or directory (os error 2)
    `DIR/empty.jsonl` has no questions
    `DIR/number.jsonl`: the first line is no JSON object with `question` and `answer`
    `DIR/other.jsonl`: the first line is no JSON object with `question` and `answer`
    ");
}
