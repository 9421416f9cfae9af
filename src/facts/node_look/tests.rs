//! Answers of machines, whole, cut and strange.

use proptest::prelude::*;

use super::*;

/// The columns that are asked of `nvidia-smi`, out of a recording that has more.
fn gpu_lines() -> String {
    let recorded = include_str!("../../../tests/recordings/nvidia-smi-580/held-gpus.txt");
    let line = |line: &str| {
        let all: Vec<&str> = line.split(", ").collect();
        let picked = [0, 1, 2, 3, 4, 7].map(|at| all[at]);
        format!("gpu\t{}\n", picked.join(", "))
    };
    recorded.lines().map(line).collect()
}

fn answer() -> String {
    format!(
        "Welcome to the cluster!\nbegin\t1000\nhost\tgpu05\tann\t/home/ann\t96\nmemory\t2000\t1500\nnofile\t1024\tunlimited\n{}\
         app\tGPU-00000000-0000-0000-0000-000000000001\t688\t4614\tbob\tc-2-ab12/m-0/1/x\t/usr/bin/python3 serve.py\n\
         path\t/ckpt\tdirectory\npath\t~/x\tabsent\npath\t/root/x\thidden\ndisk\t/tmp\t/\t100\t200\n\
         listens\t1800\t0100007F\t7\tann\t\tpython3\nport\t1800\nport\t1801\n\
         env\tconda\tvllm1\t/opt/conda/envs/vllm1\nvllm\tconda\tvllm1\t0.12.0\t/opt/vllm|7\nflags\tconda\tvllm1\t--max-model-len --port\n\
         no-env\tvenv\t/v\tit has no bin/activate\nslurm\tgpu-1\tNodeName=gpu-1 Gres=gpu:8\nend\t1200\n",
        gpu_lines()
    )
}

#[test]
fn an_answer_is_read() {
    let look = NodeLook::read(&answer());
    assert!(look.is_whole());
    assert_eq!(
        (look.host.as_str(), look.user.as_str(), look.cpus),
        ("gpu05", "ann", Some(96))
    );
    assert_eq!(look.memory, Some((2000, 1500)));
    let files = OpenFiles {
        soft: 1024,
        hard: u64::MAX,
    };
    assert_eq!(look.open_files, Some(files));
    let gpus = look.gpus.get().unwrap();
    let gpu = &gpus[0];
    assert_eq!(
        (gpu.index.0, gpu.name.as_str(), gpu.total, gpu.used),
        (0, "NVIDIA H200", Some(143_771), Some(4623))
    );
    let [holder] = gpu.holders.as_slice() else {
        panic!()
    };
    assert_eq!((holder.pid, holder.used), (688, Some(4614)));
    assert_eq!(holder.who.words(Some(688)), "pid 688 (bob) python3");
    assert!(holder.who.is_of("c") && !holder.who.is_of("c-2") && !holder.who.is_of("d"));
    assert_eq!(look.paths["/ckpt"], Known::Known(PathKind::Directory));
    assert_eq!(look.paths["~/x"], Known::Known(PathKind::Absent));
    assert_eq!(look.paths["/root/x"].get(), None);
    assert_eq!(look.ports[&1800][0].address, "127.0.0.1");
    assert_eq!(look.ports[&1801], []);
    let conda = &look.envs[&EnvName::Conda("vllm1".to_owned())];
    let EnvFound::Present {
        vllm: VllmFound::Installed { release, flags, .. },
        ..
    } = conda
    else {
        panic!("{conda:?}")
    };
    assert_eq!(
        (release.as_str(), flags.get().unwrap().len()),
        ("0.12.0", 2)
    );
    let venv = &look.envs[&EnvName::Venv("/v".to_owned())];
    assert_eq!(*venv, EnvFound::Absent("it has no bin/activate".to_owned()));
    assert_eq!(
        look.slurm_nodes["gpu-1"].get().unwrap(),
        "NodeName=gpu-1 Gres=gpu:8"
    );
}

#[test]
fn a_clock_is_off_by_what_nothing_else_explains() {
    let look = NodeLook::read("begin\t1000\nend\t1200\n");
    assert_eq!(look.clock_error(900, 1300), 0);
    assert_eq!(look.clock_error(900, 1100), 100);
    assert_eq!(look.clock_error(1500, 2000), -500);
    assert_eq!(NodeLook::read("").clock_error(900, 1100), 0);
}

#[test]
fn addresses_are_those_of_the_kernel() {
    let of = |hex| address_of(hex).unwrap_or_default();
    assert_eq!(of("0100007F"), "127.0.0.1");
    assert_eq!(of("00000000000000000000000000000000"), "::");
    assert_eq!(of("0000000000000000FFFF00000100007F"), "127.0.0.1");
    assert_eq!(of("0100007"), "");
    assert_eq!(of("0100007é"), "");
}

proptest! {
    #[test]
    fn nothing_is_too_strange(text in prop_oneof![
        any::<String>(),
        "((gpu|app|env|vllm|flags|path|disk|listens|port|conda|end|slurm|partition|GPU-a|0|-1|[0-9]{1,25}|,|é|\u{1b})[\t, \n]){0,40}",
    ]) {
        let look = NodeLook::read(&text);
        let _ = look.clock_error(i64::MIN, i64::MAX);
        let escape = char::from(27);
        prop_assert!(!look.host.contains(escape));
    }

    #[test]
    fn a_cut_answer_says_nothing_that_the_whole_one_does_not(at in 0_usize..2000) {
        let whole = answer();
        let cut = &whole[..whole.floor_char_boundary(at.min(whole.len()))];
        let lines = cut.rfind('\n').map_or(0, |end| end + 1);
        let (cut, all) = (NodeLook::read(&cut[..lines]), NodeLook::read(&whole));
        for (path, kind) in &cut.paths {
            prop_assert_eq!(kind, &all.paths[path]);
        }
        if lines < whole.len() {
            prop_assert!(!cut.is_whole());
        }
    }
}
