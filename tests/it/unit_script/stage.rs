//! Weights that are copied to the machine's own disk before their server loads them.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use super::lab::Lab;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const REPO: &str = "hub/models--org--name";

/// The cache of Hugging Face with one repository, and beside it another.
fn cache(lab: &Lab) -> PathBuf {
    let home = lab.path().join("hf");
    let repo = home.join(REPO);
    for (blob, text) in [("aa", "config"), ("bb", "weights")] {
        write(&repo.join("blobs").join(blob), text);
    }
    let snapshot = repo.join("snapshots").join(COMMIT);
    fs::create_dir_all(snapshot.join("sub")).unwrap();
    symlink("../../blobs/aa", snapshot.join("config.json")).unwrap();
    symlink("../../../blobs/bb", snapshot.join("sub/model.safetensors")).unwrap();
    write(&repo.join("refs/main"), COMMIT);
    write(&home.join("hub/models--other--draft/refs/main"), COMMIT);
    home
}

fn write(file: &Path, text: &str) {
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, text).unwrap();
}

fn lab(revision: &str) -> Lab {
    let look = "cd $HF_HUB_CACHE && cat models--org--name/snapshots/*/config.json \
        models--org--name/snapshots/*/sub/model.safetensors models--other--draft/refs/main; pwd";
    let lab = Lab::with(&["bash", "-c", look], |unit| {
        unit.stage = vec![
            "~/fast".to_owned(),
            "org/name".to_owned(),
            revision.to_owned(),
        ];
    });
    cache(&lab);
    lab
}

fn run(lab: &Lab) -> Option<i32> {
    let mut run = lab.command("run");
    run.env("HF_HOME", lab.path().join("hf"));
    run.output().unwrap().status.code()
}

fn node_of(lab: &Lab, blob: &str) -> u64 {
    let blob = lab.path().join("fast").join(REPO).join("blobs").join(blob);
    fs::metadata(blob).unwrap().ino()
}

#[test]
fn weights_are_copied_once_and_what_was_cut_short_is_copied_again() {
    let lab = lab("main");
    let blobs = lab.path().join("fast").join(REPO).join("blobs");
    write(&blobs.join(".new.77"), "wei");
    write(&blobs.join("aa"), "config");
    let before = node_of(&lab, "aa");
    assert_eq!(run(&lab), Some(0), "{}", lab.read("log"));
    let log = lab.read("log");
    let seen = format!(
        "configweights{COMMIT}{}\n",
        lab.path().join("fast/hub").display()
    );
    assert!(log.contains(&seen), "{log}");
    assert_eq!(node_of(&lab, "aa"), before, "it was there");
    assert!(!blobs.join(".new.77").exists());
    let copied = node_of(&lab, "bb");
    assert_eq!(run(&lab), Some(0));
    assert_eq!(node_of(&lab, "bb"), copied, "not copied again");

    // A power cut may leave a name and nothing in it.
    write(&blobs.join("bb"), "");
    assert_eq!(run(&lab), Some(0));
    assert_eq!(fs::read_to_string(blobs.join("bb")).unwrap(), "weights");
}

#[test]
fn what_another_server_only_reads_is_copied_when_it_is_its_turn() {
    let mut lab = lab("main");
    let draft = lab.path().join("hf/hub/models--other--draft");
    write(&draft.join("blobs/cc"), "draft");
    let snapshot = draft.join("snapshots").join(COMMIT);
    fs::create_dir_all(&snapshot).unwrap();
    symlink("../../blobs/cc", snapshot.join("config.json")).unwrap();
    assert_eq!(run(&lab), Some(0), "{}", lab.read("log"));
    let there = lab.path().join("fast/hub/models--other--draft");
    assert!(there.is_symlink(), "it is read where it is");
    lab.unit.stage[1] = "other/draft".to_owned();
    lab.render();
    assert_eq!(run(&lab), Some(0), "{}", lab.read("log"));
    assert!(!there.is_symlink(), "it is here");
    assert_eq!(fs::read_to_string(there.join("blobs/cc")).unwrap(), "draft");
}

#[test]
fn what_is_not_there_is_refused() {
    let lab = lab("v2");
    assert_eq!(run(&lab), Some(78));
    let reason = lab.state("reason").unwrap();
    let words = "`org/name` (v2) is not in `";
    assert!(
        reason.starts_with(words) && reason.ends_with("bring it there first (toolorch fetch)"),
        "{reason}"
    );
}

#[test]
fn a_disk_that_is_too_small_is_named() {
    let lab = lab("main");
    let blob = lab.path().join("hf").join(REPO).join("blobs/bb");
    fs::write(&blob, vec![7; 3 << 20]).unwrap();
    let fast = lab.path().join("fast");
    fs::create_dir(&fast).unwrap();
    let inner = lab.command("run");
    let words = inner
        .get_args()
        .map(|word| word.to_str().unwrap().to_owned());
    let words: Vec<String> = words.collect();
    let mut run = std::process::Command::new("unshare");
    run.env_clear().envs(
        inner
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    run.env("HF_HOME", lab.path().join("hf")).env("FAST", &fast);
    let mount = "mount -t tmpfs -o size=2m tmpfs \"$FAST\" && exec bash \"$@\"";
    run.args(["-m", "bash", "-c", mount, "bash"]).args(&words);
    assert_eq!(run.output().unwrap().status.code(), Some(78));
    let reason = lab.state("reason").unwrap();
    assert!(
        reason.contains("`~/fast` has 2 MiB free, and 3 MiB of `org/name` are to be copied there"),
        "{reason}"
    );
}
