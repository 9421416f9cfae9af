//! The tables against a script with numpy, on results from a generator that knows nothing of this program.

use std::process::Command;

use serde_json::{Map, Value};

use super::{Place, root};

/// A Python with numpy; `tests/run` installs Debian's.
fn python() -> &'static str {
    let has_numpy = |python: &&str| {
        let import = Command::new(python).args(["-c", "import numpy"]).output();
        import.is_ok_and(|output| output.status.success())
    };
    let mut pythons = ["python3", "/usr/bin/python3"].into_iter();
    let found = pythons.find(has_numpy);
    found.expect("no Python with numpy: apt-get install python3-numpy")
}

fn run(script: &str, args: &[&str]) -> String {
    let output = Command::new(python())
        .arg(root().join("tests/report").join(script))
        .args(args)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// Five hundred results, and what numpy makes of them.
fn made() -> (Place, Value) {
    let place = Place::new();
    let path = |inside: &str| place.path(inside).to_str().unwrap().to_owned();
    run("make_results.py", &[&path(""), "500"]);
    let files = [path("results"), path("calls.jsonl"), path("client.log")];
    let tables = run("tables.py", &files.each_ref().map(String::as_str));
    let tables = serde_json::from_str(&tables).unwrap();
    (place, tables)
}

/// Each number of numpy's row is in ours, to two decimals. Answers how many were compared.
#[track_caller]
fn alike(what: &str, ours: &Value, numpys: &Map<String, Value>) -> usize {
    for (key, number) in numpys {
        let (our, their) = (ours[key].as_f64(), number.as_f64().unwrap());
        let near = our.is_some_and(|our| (our - their).abs() < 0.005);
        assert!(near, "{what}: {key} is {our:?}, by numpy {their}");
    }
    numpys.len()
}

fn row(rows: &Value, is: impl Fn(&Value) -> bool) -> &Value {
    let mut rows = rows.as_array().unwrap().iter();
    rows.find(|row| is(row)).expect("no such row")
}

fn object(value: &Value) -> &Map<String, Value> {
    value.as_object().unwrap()
}

/// What stands in a row of numpy's, and what in a coverage of ours.
fn parted(row: &Value) -> (Map<String, Value>, Map<String, Value>) {
    let counts = ["calls", "missing", "zero", "odd"];
    let is_count = |(key, _): &(String, Value)| counts.contains(&key.as_str());
    object(row).clone().into_iter().partition(is_count)
}

#[test]
fn every_table_is_numpys_to_two_decimals() {
    let (place, numpys) = made();
    let args = [
        "results",
        "--dataset",
        "dataset.jsonl",
        "--call-log",
        "calls.jsonl",
    ];
    let ours = place.json(&args);
    let ours = &ours["evaluations"][0];

    let mut compared = 0;
    for (tool, theirs) in object(&numpys["tools"]) {
        let found = row(&ours["tools"], |row| row["tool"] == **tool);
        let (counts, times) = parted(theirs);
        compared += alike(tool, &found["seconds"], &times);
        compared += alike(tool, &found["coverage"], &counts);
        assert_eq!(found["coverage"]["used"], theirs["count"]);
        let left_out = ["missing", "zero", "odd"].map(|why| counts[why].as_u64().unwrap());
        assert!(
            left_out.iter().all(|count| *count > 0),
            "{tool}: nothing was planted"
        );
    }
    for (key, theirs) in object(&numpys["experts"]) {
        let (tool, model) = key.split_once(' ').unwrap();
        let is = |row: &Value| row["tool"] == tool && row["model"] == model;
        let found = row(&ours["experts"], is);
        compared += alike(key, &found["seconds"], object(theirs));
    }
    for (key, theirs) in object(&numpys["parts"]) {
        let (tool, part) = key.split_once(' ').unwrap();
        let found = row(&ours["tools"], |row| row["tool"] == tool);
        let found = row(&found["splits"], |split| split["part"] == part);
        compared += alike(key, &found["seconds"], object(theirs));
    }
    for (key, theirs) in object(&numpys["call_log"]["times"]) {
        let (model, replica) = key.split_once(' ').unwrap_or((key, ""));
        let is = |row: &Value| {
            row["model"] == model && row["replica"].as_str().unwrap_or_default() == replica
        };
        let found = row(&ours["servers"], is);
        compared += alike(key, &found["seconds"], object(theirs));
        if replica.is_empty() {
            assert_eq!(
                found["coverage"]["failed"],
                numpys["call_log"]["failed"][model]
            );
        }
    }
    compared += alike("rounds", &ours["rounds"], object(&numpys["rounds"]));
    let own = &numpys["orchestrator"];
    let theirs = &numpys["call_log"]["times"][own.as_str().unwrap()];
    assert_eq!(ours["orchestrator"]["row"]["model"], *own);
    compared += alike(
        "orchestrator",
        &ours["orchestrator"]["row"]["seconds"],
        object(theirs),
    );
    assert!(compared > 300, "{compared}");
}

#[test]
fn what_its_client_printed_makes_the_orchestrators_table_too() {
    let (place, numpys) = made();
    let ours = place.json(&["results", "--client-log", "client.log"]);
    let own = &ours["evaluations"][0]["orchestrator"];
    assert_eq!(own["source"], "client-log");
    let model = numpys["orchestrator"].as_str().unwrap();
    let theirs = &numpys["client_log"];
    alike(
        "orchestrator",
        &own["row"]["seconds"],
        object(&theirs["times"][model]),
    );
    let coverage = &own["row"]["coverage"];
    assert_eq!(coverage["calls"], theirs["asks"][model]);
    let left_out = ["failed", "unanswered"].map(|why| coverage[why].as_u64().unwrap());
    assert!(left_out.iter().all(|count| *count > 0), "{left_out:?}");
}

#[test]
fn accuracy_is_over_all_questions_with_missing_and_torn_ones_apart() {
    let (place, numpys) = made();
    let ours = place.json(&["results", "--dataset", "dataset.jsonl"]);
    let found = &ours["evaluations"][0]["accuracy"];
    let count = |key: &str| found[key].as_u64().unwrap();
    let theirs = |key: &str| numpys["outcomes"][key].as_u64().unwrap();
    let torn = found["torn"].as_array().unwrap().len() as u64;
    assert_eq!(torn, numpys["torn"].as_u64().unwrap());
    assert_eq!((count("questions"), count("missing")), (517, 17));
    assert_eq!(
        (count("done"), count("errors")),
        (theirs("results"), theirs("errors"))
    );
    assert_eq!(count("correct"), theirs("correct"));
    assert_eq!(count("done") + count("missing") + torn, count("questions"));
    assert_eq!(count("strangers"), 0);
    assert_eq!(count("other_files"), 1, "the client's config is no result");
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let share = |part: u64, whole: u64| part as f64 / whole as f64;
    let of_all = found["of_all"].as_f64().unwrap();
    assert!((of_all - share(count("correct"), 517)).abs() < 1e-6);
    let of_answered = found["of_answered"].as_f64().unwrap();
    let answered = count("done") - count("errors");
    assert!((of_answered - share(count("correct"), answered)).abs() < 1e-6);
}

#[test]
fn searches_were_slow_at_first_and_the_other_tools_were_not() {
    let (place, _) = made();
    let ours = place.json(&["results"]);
    let cold =
        |tool: &str| &row(&ours["evaluations"][0]["tools"], |row| row["tool"] == tool)["cold"];
    let search = cold("search");
    assert_eq!(search["is"], "slow", "{search:#}");
    // The first 90 of 500 questions, one each 40 s; windows are of five minutes, or of 20 calls.
    let lasted = search["lasted"].as_f64().unwrap();
    assert!((3300.0..4500.0).contains(&lasted), "{lasted}");
    for tool in ["answer", "enhance_reasoning"] {
        assert_eq!(cold(tool)["is"], "not", "{tool}");
    }
}

#[test]
fn the_same_files_give_the_same_bytes_and_all_forms_have_the_numbers() {
    let (place, numpys) = made();
    let args = ["results", "--call-log", "calls.jsonl", "--out", "kept"];
    let first = place.report(&args);
    let bytes = |name: &str| std::fs::read(place.path("kept").join(name)).unwrap();
    let kept = ["report.json", "report.md"].map(bytes);
    let again = place.report(&args);
    assert_eq!((again.code, first.out.as_str()), (0, again.out.as_str()));
    assert_eq!(["report.json", "report.md"].map(bytes), kept);
    let check = [&args[..], &["--check"]].concat();
    assert_eq!(place.report(&check).code, 0);

    let answers = &numpys["tools"]["answer"];
    let cells = ["mean", "std", "min", "max", "p50", "p90", "p99"];
    let cells = cells.map(|key| format!("{:.2}", answers[key].as_f64().unwrap()));
    let markdown = String::from_utf8(kept[1].clone()).unwrap();
    let in_markdown = format!("| answer | 334 | {} |", cells.join(" | "));
    assert!(markdown.contains(&in_markdown), "{in_markdown}\n{markdown}");
    let line = first.out.lines().find(|line| line.starts_with("answer "));
    let words: Vec<&str> = line.unwrap().split_whitespace().collect();
    assert_eq!(words[2..9], cells.each_ref().map(String::as_str));
}
