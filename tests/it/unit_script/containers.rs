//! Programs in containers. The runtime is a stand-in that notes its words and runs the program outside: what counts here is
//! what it is asked for, and that its program is ours like any other.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::lab::{Lab, variable};

const RUNTIME: &str = r#"#!/bin/bash
printf '%s\n' "${0##*/}" "$@" >asked
env | grep -aE '^APPTAINERENV_' | sort >given
until [[ $1 == env || $1 == /images/* ]]; do shift; done
[[ $1 == env ]] || shift
exec "$@"
"#;

/// A unit in a container of this runtime; the words that its program was started with.
fn asked(runtime: &str, words: &[&str]) -> (Lab, String) {
    let program = ["bash", "-c", "echo GPUS=$CUDA_VISIBLE_DEVICES; sleep 0.1"];
    let lab = Lab::with(&program, |unit| {
        let words = std::iter::once(&runtime).chain(words);
        unit.env.container = words.map(|word| (*word).to_owned()).collect();
        unit.setup = vec!["PATH=$PWD/bin:$PATH".to_owned()];
        unit.set = vec![
            variable("COLOUR", "it's blue"),
            variable("HF_HOME", "/nowhere"),
        ];
        unit.gpus = vec![4, 5];
    });
    let bin = lab.path().join("bin");
    fs::create_dir(&bin).unwrap();
    for name in ["apptainer", "srun"] {
        fs::write(bin.join(name), RUNTIME).unwrap();
        fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let run = lab.command("run").output().unwrap();
    assert_eq!(run.status.code(), Some(0), "{}", lab.read("log"));
    assert!(
        lab.read("log").contains("GPUS=4,5\n"),
        "{}",
        lab.read("log")
    );
    let here = lab.path().to_string_lossy().into_owned();
    let said = fs::read_to_string(lab.path().join("asked")).unwrap();
    (lab, said.replace(&here, "HERE"))
}

#[test]
fn apptainer_gets_mounts_gpus_and_variables() {
    let (lab, said) = asked("apptainer", &["/images/my image.sif", "~/data:/data:ro"]);
    insta::assert_snapshot!(said, @r"
    apptainer
    exec
    --pwd
    HERE
    --nv
    --bind
    HERE:HERE
    --bind
    HERE/data:/data:ro
    /images/my image.sif
    bash
    -c
    echo GPUS=$CUDA_VISIBLE_DEVICES; sleep 0.1
    ");
    let given = fs::read_to_string(lab.path().join("given")).unwrap();
    assert!(given.contains("APPTAINERENV_COLOUR=it's blue\n"), "{given}");
    assert!(
        given.contains("APPTAINERENV_CUDA_VISIBLE_DEVICES=4,5\n"),
        "{given}"
    );
    assert!(given.contains("APPTAINERENV_TOOLORCH_UNIT="), "{given}");
}

#[test]
fn pyxis_is_a_step_of_the_job() {
    let (_, said) = asked("pyxis", &["registry#my image:1", "/data:/data"]);
    insta::assert_snapshot!(said, @r"
    srun
    --export=ALL
    --overlap
    --ntasks=1
    --nodes=1
    --container-image=registry#my image:1
    --container-workdir=HERE
    --container-mounts=HERE:HERE,/data:/data
    --container-env=TOOLORCH_UNIT,CUDA_VISIBLE_DEVICES,PYTHONUNBUFFERED,COLOUR,HF_HOME
    env
    CUDA_VISIBLE_DEVICES=4,5
    bash
    -c
    echo GPUS=$CUDA_VISIBLE_DEVICES; sleep 0.1
    ");
}

#[test]
fn a_runtime_that_is_not_there_is_a_refusal() {
    let lab = Lab::with(&["bash", "-c", "true"], |unit| {
        unit.env.container = vec!["singularity".to_owned(), "x.sif".to_owned()];
    });
    assert_eq!(lab.command("run").output().unwrap().status.code(), Some(78));
    let reason = lab.state("reason").unwrap();
    assert!(
        reason.starts_with("command `singularity` not found"),
        "{reason}"
    );
}
