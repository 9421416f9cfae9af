//! What a report tells of a run stays what it was, whatever later runs do with the results.

use serde_json::Value;

use super::Scene;

fn report(scene: &Scene, run: &str) -> Value {
    let said = scene.expect(0, &["report", run, "--format", "json"]);
    serde_json::from_str(&said.out).unwrap()
}

#[test]
fn a_run_that_is_over_keeps_what_belongs_to_it() {
    let scene = Scene::quickstart(20);
    let first = scene.expect(0, &["up", "quickstart.yaml"]);
    let run = scene.runs().remove(0);
    for n in 0..12 {
        let name = scene.result_names("quickstart/out/results").remove(n / 2);
        std::fs::remove_file(scene.path("quickstart/out/results").join(name)).unwrap();
    }
    // Nobody asked for a report before they went.
    let alone = report(&scene, &run);
    let found = &alone["evaluations"][0];
    assert_eq!(found["accuracy"]["done"], 20);
    assert_eq!(found["earlier"], Value::Null);
    assert_eq!(found["tools"][0]["coverage"]["calls"], 20);
    assert_eq!(
        found["changed_since"],
        serde_json::json!({"later": 0, "gone": 12, "kept": true})
    );

    let second = scene.expect(0, &["up", "quickstart.yaml"]);
    // Only the calls of twelve questions are its own.
    let line = |out: &str| {
        let mut lines = out.lines();
        lines
            .find(|line| line.contains("before this run"))
            .unwrap_or(out)
            .to_owned()
    };
    insta::assert_snapshot!(line(&second.out), @"calls of `arithmetic`, 48 of them in results that were there before this run");
    let last = scene.expect(0, &["report", "quickstart.yaml"]);
    insta::assert_snapshot!(line(&last.out), @"  8 of the 20 results were there before this run: tables made of results have their calls as well, the servers' own counters and the books do not");
    assert!(!first.out.contains("before this run"), "{}", first.out);
    // Its files are still what they were, although results are not.
    scene.expect(0, &["report", &run, "--check"]);
    let said = scene.expect(0, &["report", &run]);
    let words = "results changed since this run ended: 12 were written later; this report is of what they were then";
    assert!(said.out.contains(words), "{}", said.out);
    let later = report(&scene, &run);
    assert_eq!(later["evaluations"][0]["accuracy"], found["accuracy"]);
    assert_eq!(later["evaluations"][0]["tools"], found["tools"]);
    assert_eq!(later["judgements"], alone["judgements"]);
    scene.expect(0, &["report", &run, "--check"]);

    // The books are those that `up` printed.
    let books: Vec<&str> = first
        .out
        .lines()
        .filter(|line| line.ends_with("  balanced"))
        .collect();
    assert_eq!(books.len(), 2, "{}", first.err);
    let page = scene.read("home/runs/quickstart/1/report/report.html");
    let (_, section) = page.split_once("<section id=\"routing\">").unwrap();
    let (section, _) = section.split_once("</section>").unwrap();
    for line in books {
        let model = line.split(' ').next().unwrap();
        assert!(section.contains(model), "{model}: {section}");
    }
    assert_eq!(section.matches(">balanced<").count(), 2, "{section}");
    let told = later["happened"]["books"].as_array().unwrap().iter();
    let told: Vec<&Value> = told.map(|book| &book["balanced"]).collect();
    assert_eq!(told, [true, true]);
    assert!(
        said.out
            .contains("\nwhere calls went\n  calls of `arithmetic` were sampled: ")
    );
    assert!(!said.out.contains("went wrong"), "{}", said.out);
    scene.assert_nothing_left();
}

#[test]
fn without_what_was_kept_a_report_says_that_results_changed_and_replaces_nothing() {
    let scene = Scene::quickstart(20);
    scene.expect(0, &["up", "quickstart.yaml"]);
    let run = scene.runs().remove(0);
    let good = report(&scene, &run);
    let file = scene.path("home/runs/quickstart/1/report/report.json");
    let kept = std::fs::read_to_string(&file).unwrap();
    let packed = scene.path("home/runs/quickstart/1/results.json.gz");
    let bytes = std::fs::read(&packed).unwrap();
    std::fs::write(&packed, &bytes[..bytes.len() / 2]).unwrap();
    for name in scene.result_names("quickstart/out/results").iter().take(12) {
        std::fs::remove_file(scene.path("quickstart/out/results").join(name)).unwrap();
    }
    scene.expect(0, &["up", "quickstart.yaml"]);
    let said = scene.expect(0, &["report", &run]);
    let words = "results changed since this run ended, and what they were is not kept: 12 were written later, 12 are gone; what was written later is left out as far as that is known";
    assert!(said.out.contains(words), "{}", said.out);
    assert!(said.err.contains("was left as it was"), "{}", said.err);
    // The journal says that all questions were finished.
    assert!(!said.out.contains("time left"), "{}", said.out);
    let (warning, _) = said.err.split_once("\nwarning: `").unwrap();
    let (before, rest) = warning.split_once(&packed.display().to_string()).unwrap();
    let (_, help) = rest.split_once("\nhelp: ").unwrap();
    insta::assert_snapshot!(format!("{before}\n{help}"), @r"
    warning: what the run kept of its results is damaged: `
    the report is of the results that are there now, as far as they are the run's; remove the file, and the next report keeps them, if all are there
    ");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), kept);
    assert_eq!(good["evaluations"][0]["accuracy"]["done"], 20);
    scene.assert_nothing_left();
}
