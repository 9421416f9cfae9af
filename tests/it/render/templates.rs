//! Templates: overrides, refusals, and scripts that other tools accept.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use toolorch::render::Renderer;
use toolorch::render::context::{
    GroupContext, MemberContext, NodeContext, NotifyContext, OptionContext, UnitContext, Variable,
};

/// A unit whose every value needs care.
pub(crate) fn awkward() -> UnitContext {
    UnitContext {
        name: "orchestrator-0".to_owned(),
        cluster: "hle-oss".to_owned(),
        kind: "replica".to_owned(),
        argv: [
            "vllm",
            "serve",
            "a b",
            "--x",
            "{\"a\": \"$(id)\"}",
            "it's",
            "`id`",
            "",
            "#",
            "{{ x }}",
            "\r\n",
            "ü",
        ]
        .map(str::to_owned)
        .to_vec(),
        set: vec![Variable {
            name: "A".to_owned(),
            value: "1\r\n2\t'$x".to_owned(),
        }],
        pass: vec!["KEY".to_owned()],
        unset: vec!["B".to_owned()],
        setup: vec![
            "source ~/a.sh # it's {% raw %}".to_owned(),
            "cat <<X\n\"\nX".to_owned(),
        ],
        cwd: Some("~/x y".to_owned()),
        gpus: vec![0, 1],
        port: Some(1800),
        host: Some("research-secure-05".to_owned()),
        open_files: Some(65536),
        grace_s: 30,
        umask: Some("027".to_owned()),
        idle_s: Some(60),
        notify: Some(NotifyContext {
            argv: ["tell", "the 'team' $(now)", "`x`\nline"]
                .map(str::to_owned)
                .to_vec(),
            dir: "/site/it's here".to_owned(),
            every_s: 600,
        }),
        ..UnitContext::default()
    }
}

pub(crate) fn node() -> NodeContext {
    NodeContext {
        cluster: "hle-oss".to_owned(),
        node: "172.27.31.10".to_owned(),
        session: "172_27_31_10".to_owned(),
        units: vec![
            member("a-0", &[0], Some(1840)),
            member("a-1", &[1], Some(1841)),
        ],
    }
}

pub(crate) fn group() -> GroupContext {
    GroupContext {
        renew: true,
        cluster: "hle-oss".to_owned(),
        job: "hle-oss-172_27_31_10".to_owned(),
        file: "slurm/x.sbatch".to_owned(),
        gpus: 2,
        numbers: vec![4, 6],
        gres: "gpu:h100".to_owned(),
        time: "04:00:00".to_owned(),
        signal_s: 90,
        options: vec![OptionContext {
            name: "comment".to_owned(),
            value: Some("two words".to_owned()),
        }],
        units: vec![
            member("a-0", &[0], Some(1840)),
            member("a-1", &[0, 1], None),
        ],
    }
}

pub(crate) fn member(name: &str, gpus: &[usize], port: Option<u16>) -> MemberContext {
    MemberContext {
        name: name.to_owned(),
        passes: true,
        gpus: gpus.to_vec(),
        port,
        port_auto: false,
    }
}

pub(crate) fn renderer() -> Renderer {
    Renderer::new(&BTreeMap::new()).unwrap()
}

fn overridden(name: &str, text: &str) -> Result<Renderer, String> {
    let overrides = BTreeMap::from([(name.to_owned(), text.to_owned())]);
    Renderer::new(&overrides).map_err(|error| error.to_string())
}

/// What a user's own template for units says when it is rendered.
fn unit_error(text: &str) -> String {
    overridden("unit.sh.tera", text)
        .unwrap()
        .unit(&awkward())
        .unwrap_err()
        .to_string()
}

#[test]
fn scripts_and_the_program_keep_the_same_names() {
    let kept = toolorch::knowledge::kept::PATTERNS.join("|");
    let line = format!("\nU_KEEP='{kept}'\n");
    assert!(renderer().library().contains(&line), "{line}");
}

#[test]
fn every_script_is_accepted_by_bash_and_shellcheck() {
    let dir = tempfile::tempdir().unwrap();
    let mut plain = awkward();
    plain.set.clear();
    plain.setup.clear();
    let plain = UnitContext {
        port: None,
        host: None,
        open_files: None,
        umask: None,
        idle_s: None,
        notify: None,
        pass: vec![],
        ..plain
    };
    let scripts = [
        ("unit.sh", renderer().unit(&awkward()).unwrap()),
        ("plain.sh", renderer().unit(&plain).unwrap()),
        ("library.sh", renderer().library().to_owned()),
        ("tmux.sh", renderer().tmux(&node()).unwrap()),
        ("group.sbatch", renderer().sbatch(&group()).unwrap()),
        (
            "doctor.sh",
            include_str!("../../../templates/doctor.sh").to_owned(),
        ),
        (
            "sample.sh",
            include_str!("../../../templates/sample.sh").to_owned(),
        ),
    ];
    for (name, text) in scripts {
        let path = dir.path().join(name);
        std::fs::write(&path, &text).unwrap();
        assert!(!text.contains('\r'), "{name} has a carriage return");
        accepts("bash", &["-n"], &path);
        // Not here? `apt-get install shellcheck`; `tests/run` does it.
        accepts("shellcheck", &["--shell=bash"], &path);
    }
}

fn accepts(program: &str, words: &[&str], path: &Path) {
    let output = Command::new(program)
        .args(words)
        .arg(path)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.is_empty(),
        "{program} {}: {said}",
        path.display()
    );
}

#[test]
fn a_user_may_replace_a_template() {
    let own = overridden(
        "unit.sh.tera",
        "\u{feff}exec {% for word in unit.argv %}{{ word }} {% endfor %}\r\n# end\r\n",
    )
    .unwrap();
    let text = own.unit(&awkward()).unwrap();
    insta::assert_snapshot!(text, @r#"
    exec vllm serve 'a b' --x '{"a": "$(id)"}' "it's" '`id`' '' '#' '{{ x }}' $'\r\n' 'ü' 
    # end
    "#);
}

#[test]
fn what_a_template_may_not_do_is_refused_with_its_line() {
    insta::assert_snapshot!(overridden("units.sh.tera", "").unwrap_err(), @"template `units.sh.tera` is not one of `unit.sh.tera`, `tmux.sh.tera`, `group.sbatch.tera`, `lib/unit.sh`");
    insta::assert_snapshot!(overridden("unit.sh.tera", "true\n{{ unit.name").unwrap_err(), @"
    error: Unexpected end of input
     --> unit.sh.tera:2:13
      |
    2 | {{ unit.name
      |             ^
    ");
    insta::assert_snapshot!(overridden("unit.sh.tera", "true\n{{ get_env(name=\"HOME\") }}").unwrap_err(), @r#"
    error: Unknown function `get_env`
     --> unit.sh.tera:2:4
      |
    2 | {{ get_env(name="HOME") }}
      |    ^^^^^^^^^^^^^^^^^^^^
    "#);
    insta::assert_snapshot!(unit_error("true\necho {{ unit.nmae }}"), @r"
        error: Field `nmae` is not defined. Available fields: argv, cache_dir, cluster, cwd, env, gpu_share, gpus, grace_s, host, idle_s, kind, may_pass, more_ports, name, notify, open_files, pass, port, results_dir, set, setup, slower, stage, umask, unset
         --> unit.sh.tera:2:14
          |
        2 | echo {{ unit.nmae }}
          |              ^^^^
        ");
    insta::assert_snapshot!(unit_error("echo {{ unit.argv[0] | safe }}"), @"
    error: `safe` would put a value into the script unquoted; leave it out
     --> unit.sh.tera:1:24
      |
    1 | echo {{ unit.argv[0] | safe }}
      |                        ^^^^
    ");
    insta::assert_snapshot!(unit_error("{{ nobody }}"), @"
    error: Variable `nobody` is not defined. Available variables: unit
     --> unit.sh.tera:1:4
      |
    1 | {{ nobody }}
      |    ^^^^^^
    ");
}

#[test]
fn a_directive_cannot_become_two() {
    let mut job = group();
    job.options[0].value = Some("x\n#SBATCH --uid=0".to_owned());
    insta::assert_snapshot!(renderer().sbatch(&job).unwrap_err(), @r"
    error: `x\n#SBATCH --uid=0` cannot stand in an #SBATCH line: it has a line end or another control character
      --> group.sbatch.tera:24:80
       |
    24 | #SBATCH --{{ option.name | directive }}{% if option.value %}={{ option.value | directive }}{% endif %}
       |                                                                                ^^^^^^^^^
    ");
    let mut job = group();
    job.time = String::new();
    insta::assert_snapshot!(renderer().sbatch(&job).unwrap_err(), @"
    error: `` cannot stand in an #SBATCH line: it is empty
      --> group.sbatch.tera:17:26
       |
    17 | #SBATCH --time={{ time | directive }}
       |                          ^^^^^^^^^
    ");
    let text = renderer().sbatch(&group()).unwrap();
    let directives: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("#SBATCH"))
        .collect();
    insta::assert_snapshot!(directives.join("\n"), @r#"
    #SBATCH --job-name=hle-oss-172_27_31_10
    #SBATCH --nodes=1
    #SBATCH --ntasks=1
    #SBATCH --gres=gpu:h100:2
    #SBATCH --time=04:00:00
    #SBATCH --signal=B:TERM@90
    #SBATCH --export=NIL
    #SBATCH --no-requeue
    #SBATCH --open-mode=append
    #SBATCH --output=%x-%j.log
    #SBATCH --comment="two words"
    "#);
}

#[test]
fn what_no_script_can_carry_is_refused() {
    let error = |change: fn(&mut UnitContext)| {
        let mut unit = awkward();
        change(&mut unit);
        renderer().unit(&unit).unwrap_err().to_string()
    };
    let errors = [
        error(|unit| unit.name = "a/b".to_owned()),
        error(|unit| unit.cluster = "a\nb".to_owned()),
        error(|unit| unit.argv.clear()),
        error(|unit| unit.argv[0].clear()),
        error(|unit| unit.argv[1] = "a\0b".to_owned()),
        error(|unit| unit.set[0].name = "A=$(id)".to_owned()),
        error(|unit| unit.pass[0] = "a[$(id)]".to_owned()),
        error(|unit| unit.unset[0] = String::new()),
        error(|unit| unit.umask = Some("rwx".to_owned())),
    ];
    insta::assert_snapshot!(errors.join("\n"), @r"
    unit `a/b`: name: only letters, digits, `.`, `_` and `-` may be used
    unit `orchestrator-0`: cluster: only letters, digits, `.`, `_` and `-` may be used
    unit `orchestrator-0`: argv: there is no program to start
    unit `orchestrator-0`: argv: there is no program to start
    unit `orchestrator-0`: argv: `a\0b`: no program can be given a NUL byte
    unit `orchestrator-0`: env.set: `A=$(id)`: it is not a name of a variable
    unit `orchestrator-0`: env.pass: `a[$(id)]`: it is not a name of a variable
    unit `orchestrator-0`: env.unset: ``: it is not a name of a variable
    unit `orchestrator-0`: umask: write it in octal, such as `0027`
    ");
}
