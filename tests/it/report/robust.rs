//! What others put into results, and where they put it: nothing of it hangs, leaks, or is taken for markup.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;

use serde_json::Value;

use super::Place;

/// The report must keep to its schema.
#[track_caller]
fn assert_fits(report: &Value) {
    let schema = serde_json::from_str(&toolorch::report::report_schema()).unwrap();
    assert_eq!(crate::formats::refused(&schema, report), None);
}

#[test]
fn numbers_that_cannot_be_count_as_no_time_in_every_form() {
    let place = Place::new();
    place.write("out/a.json", r#"{"id":"a","correct":true,"all_tool_responses":{"t":[{"tool":"search","model":"m","_query_llm_ms":1e308,"_retrieval_ms":1}, {"tool":"search","model":"m","_query_llm_ms":1000,"_retrieval_ms":1}]}}"#);
    place.write("out/b.json", r#"{"id":"b","status":"ok","correct":true,"rounds":1e300,"calls":[{"tool":"q","model":"m","endpoint":"http://user:pa55w0rd@h:1/v1?key=sk-secret","ms":1e308}]}"#);
    let report = place.json(&["out"]);
    assert_fits(&report);
    let row = &report["evaluations"][0]["tools"][0];
    assert_eq!(row["coverage"]["odd"], 1, "{row}");
    assert_eq!(row["seconds"]["count"], 1, "{row}");
    assert_eq!(report["evaluations"][0]["servers"][1]["replica"], "h:1");
    let said = place.report(&["out", "--out", "kept"]);
    assert_eq!(said.code, 0, "{}", said.err);
    for form in ["report.json", "report.md", "report.html"] {
        let text = fs::read_to_string(place.path("kept").join(form)).unwrap();
        for wild in ["pa55w0rd", "sk-secret", "NaN", "inf ", "00000000000000"] {
            assert!(!text.contains(wild), "{form}: {wild}");
        }
    }
}

#[test]
fn nothing_in_the_place_of_a_file_is_waited_for() {
    let place = Place::new();
    place.write("out/a.json", r#"{"id":"a","correct":true}"#);
    for (name, to) in [
        ("kmsg", "/proc/kmsg"),
        ("zero", "/dev/zero"),
        ("mem", "/proc/self/mem"),
    ] {
        symlink(to, place.path(&format!("out/{name}.json"))).unwrap();
    }
    let pipe = place.path("pipe.jsonl");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).unwrap();
    let report = place.json(&["out"]);
    let torn = report["evaluations"][0]["accuracy"]["torn"]
        .as_array()
        .unwrap();
    assert_eq!(torn.len(), 3, "{torn:?}");
    insta::assert_snapshot!(place.report(&["pipe.jsonl"]).err, @"
    error: cannot read `pipe.jsonl`: it is a pipe, not a regular file
    help: a cluster's name, or a run's, does as well: toolorch runs
    ");
    insta::assert_snapshot!(place.report(&["/dev/zero"]).err, @"
    error: cannot read `/dev/zero`: it is a device, not a regular file
    help: a cluster's name, or a run's, does as well: toolorch runs
    ");
    fs::File::create(place.path("huge.yaml"))
        .unwrap()
        .set_len(1 << 40)
        .unwrap();
    insta::assert_snapshot!(place.report(&["huge.yaml"]).err, @"
    error: cannot read `huge.yaml`: it has more than 1048576 bytes
    help: a cluster's name, or a run's, does as well: toolorch runs
    ");
}

#[test]
fn markup_and_escapes_in_names_mean_nothing_in_any_form() {
    let place = Place::new();
    place.write("out/ok.json", r#"{"id":"ok","correct":true}"#);
    for name in [
        "'``<img src=x onerror=alert(1)>.json",
        "'``![x](http:evil?leak).json",
        "a\u{9b}31m\u{202e}b.json",
    ] {
        place.write(&format!("out/{name}"), "{");
    }
    let said = place.report(&["out", "--format", "md"]);
    assert!(
        !said.out.contains("<img") && !said.out.contains("![x]("),
        "{}",
        said.out
    );
    for form in ["text", "md", "json"] {
        let said = place.report(&["out", "--format", form]).out;
        assert!(!said.contains(['\u{9b}', '\u{202e}']), "{said:?}");
    }
    let torn = place.json(&["out"])["evaluations"][0]["accuracy"]["torn"].clone();
    assert_eq!(torn[2]["id"], "a\u{9b}31m\u{202e}b");
}

#[test]
fn a_folder_may_have_any_name() {
    let place = Place::new();
    let folder = place.path("").join(std::ffi::OsStr::from_bytes(b"out\xff"));
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("a.json"), r#"{"id":"a","correct":true}"#).unwrap();
    let output = assert_cmd::Command::cargo_bin("toolorch")
        .unwrap()
        .current_dir(place.path(""))
        .env("TOOLORCH_HOME", place.path("home"))
        .arg("report")
        .arg(folder.file_name().unwrap())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        said.contains("1 right: 100.0 % of the 1 answered"),
        "{said}"
    );
}

#[test]
fn a_table_has_an_end_however_many_names_there_are() {
    let place = Place::new();
    for file in 0..40 {
        let calls: Vec<String> = (0..10)
            .map(|n| {
                let n = file * 10 + n;
                format!(
                    r#"{{"tool":"t{n}","model":"m{n}","endpoint":"h{n}:1","ms":{}}}"#,
                    1000 + n
                )
            })
            .collect();
        let text = format!(
            r#"{{"id":"{file}","status":"ok","correct":true,"calls":[{}]}}"#,
            calls.join(",")
        );
        place.write(&format!("out/{file}.json"), &text);
    }
    let report = place.json(&["out"]);
    assert_fits(&report);
    let found = &report["evaluations"][0];
    for table in ["tools", "experts"] {
        let rows = found[table].as_array().unwrap();
        assert_eq!(rows.len(), 51, "{table}");
        assert_eq!(
            (&rows[50]["others"], &rows[50]["coverage"]["calls"]),
            (&350.into(), &350.into())
        );
        let kept = rows[..50]
            .iter()
            .all(|row| row["seconds"]["mean"].as_f64() >= Some(1.35));
        assert!(kept, "{table}");
    }
    let servers = found["servers"].as_array().unwrap();
    assert_eq!(servers.len(), 101);
    let said = place.report(&["out"]).out;
    assert!(said.contains("\nothers (350) "), "{said}");
}

#[test]
fn a_name_of_any_length_leaves_a_table_a_table() {
    let place = Place::new();
    let name = "x".repeat(5000);
    place.write("out/a.json", &format!(r#"{{"id":"a","status":"ok","correct":true,"calls":[{{"tool":"{name}","model":"{name}","endpoint":"h:1","ms":5}}]}}"#));
    for form in ["text", "md"] {
        let said = place.report(&["out", "--format", form]).out;
        let longest = said.lines().map(|line| line.chars().count()).max();
        assert!(longest < Some(400), "{said}");
    }
    assert_eq!(
        place.json(&["out"])["evaluations"][0]["tools"][0]["tool"],
        name
    );
}
