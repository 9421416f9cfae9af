//! Results of another evaluation are told by `check`, before anything runs.

use std::fs;
use std::process::Command;

#[test]
fn results_of_another_evaluation() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let check = |rounds: u32| {
        let yaml = format!(
            "version: 1\nname: earlier\nevals:\n  e:\n    command: [sh, -c, \"echo {{max_rounds}}\"]\n    finished: {{ count: 2 }}\n    results: out\n    max_rounds: {rounds}\n"
        );
        fs::write(at.join("earlier.yaml"), yaml).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_toolorch"))
            .args(["check", "earlier.yaml"])
            .current_dir(at)
            .env("TOOLORCH_HOME", at.join("home"))
            .output()
            .unwrap();
        let said =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        said.replace(&at.to_string_lossy().into_owned(), "FOLDER")
    };
    let books = at.join("out/.toolorch");
    fs::create_dir_all(&books).unwrap();
    let stamp = r#"{"v": 1, "since": 1, "adopted": 0, "identity": {"max_rounds": 50}, "operational": {}, "changes": []}"#;
    fs::write(books.join("identity.json"), stamp).unwrap();
    assert!(
        !check(30).contains("E0537"),
        "nothing was made under it yet"
    );
    fs::write(at.join("out/1.json"), "{}").unwrap();
    let said = check(30);
    assert!(
        said.contains("error[E0537]: the results of `e` belong to another evaluation"),
        "{said}"
    );
    assert!(
        said.contains("`max_rounds` is `50` in the results and `30` in this run"),
        "{said}"
    );
    assert!(said.contains("`FOLDER/out`"), "{said}");
}
