//! What colleagues get of a run.

use std::fs;
use std::process::Command;

use toolorch::base::sha256;

use super::Scene;

const SECRET: &str = "0a1b2c3d4e5f-very-secret";

/// The names of its files, and the folder with all of them.
fn unpacked(scene: &Scene, archive: &str, into: &str) -> Vec<String> {
    let folder = scene.path(into);
    fs::create_dir(&folder).unwrap();
    let mut tar = Command::new("tar");
    let said = tar
        .arg("xvzf")
        .arg(scene.path(archive))
        .current_dir(&folder)
        .output()
        .unwrap();
    assert!(said.status.success(), "{said:?}");
    let names = String::from_utf8(said.stdout).unwrap();
    names.lines().map(str::to_owned).collect()
}

#[test]
fn an_archive_has_all_of_a_run_but_its_secrets() {
    let scene = Scene::quickstart(20);
    let yaml = scene.read("quickstart.yaml");
    scene.write(
        "quickstart.yaml",
        &format!("# the judge was asked with {SECRET}\n{yaml}"),
    );
    scene.expect(0, &["up", "quickstart.yaml"]);
    fs::remove_file(scene.path("quickstart/out/results/q-003.json")).unwrap();
    let run = scene.runs().remove(0);
    let archive = format!("{run}.tar.gz");
    let bundle = |args: &[&str]| {
        let mut command = scene.toolorch(&[&["bundle"], args].concat());
        command.env("JUDGE_API_KEY", SECRET);
        scene.go(command).end()
    };
    let said = bundle(&["quickstart.yaml"]);
    assert_eq!(said.code, 0, "{}", said.err);
    insta::assert_snapshot!(said.err.replace(&run, "RUN"), @r"
    warning: masked in `cluster.yaml`: the value of JUDGE_API_KEY
    wrote `RUN.tar.gz`
    ");
    let listed: Vec<&str> = said.out.lines().map(|line| &line[11..]).collect();
    assert_eq!(
        listed,
        [
            "README.md",
            "cluster.yaml",
            "plan.json",
            "versions.json",
            "ids/arithmetic.jsonl",
            "report.md",
            "report.json",
            "report.html"
        ]
    );
    let names = unpacked(&scene, &archive, "there");
    let there: Vec<String> = listed.iter().map(|name| format!("{run}/{name}")).collect();
    assert_eq!(names, there);
    let read = |name: &str| scene.read(&format!("there/{run}/{name}"));
    let readme = read("README.md");
    for name in &listed[1..] {
        let text = read(name);
        assert!(!text.contains(SECRET), "{name}");
        assert!(
            readme.contains(&sha256(text.as_bytes())),
            "{name}: {readme}"
        );
    }
    assert!(read("cluster.yaml").starts_with("# the judge was asked with [JUDGE_API_KEY]\n"));
    // As they were when the run ended.
    let ids = read("ids/arithmetic.jsonl");
    assert_eq!(ids.lines().count(), 20);
    assert!(
        ids.lines()
            .nth(2)
            .unwrap()
            .contains(r#""id":"q-003","outcome":"right""#)
    );
    let versions: serde_json::Value = serde_json::from_str(&read("versions.json")).unwrap();
    assert_eq!(versions["servers"][0]["releases"][0]["release"], "0.12.0");
    let report = scene.expect(0, &["report", &run, "--format", "md"]);
    assert_eq!(read("report.md"), report.out);

    // The same again is the same bytes; what is no archive stays.
    let before = fs::read(scene.path(&archive)).unwrap();
    scene.write("notes.txt", "mine");
    let said = bundle(&[&run, "--out", "notes.txt"]);
    assert_eq!((said.code, scene.read("notes.txt").as_str()), (2, "mine"));
    insta::assert_snapshot!(said.err, @r"
    error: `notes.txt` is there and no gzipped archive: it was left as it is
    help: name another file: --out FILE.tar.gz
    ");
    assert_eq!(bundle(&[&run]).code, 0);
    assert!(fs::read(scene.path(&archive)).unwrap() == before);
    assert_eq!(bundle(&[&run, "--out", "new/folder/x.tar.gz"]).code, 0);
    assert!(fs::read(scene.path("new/folder/x.tar.gz")).unwrap() == before);
    let said = bundle(&["quickstart/out/results"]);
    assert_eq!(said.code, 2);
    insta::assert_snapshot!(said.err, @r"
    error: `quickstart/out/results` holds results, and no plan or journal of how they were made
    help: name a run (toolorch runs) or its cluster; a report of results alone is written by: toolorch report quickstart/out/results --out report
    ");
    scene.assert_nothing_left();
}
