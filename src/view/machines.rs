//! What a look at the machines of a cluster brought, a block for each.

use std::fmt::Write as _;

use crate::base::{bytes, clean};
use crate::facts::{EnvFound, GpuFound, Known, NodeLook, VllmFound};
use crate::plan::inspect::Inspected;

/// All machines, as a text for people.
pub fn machines(looked: &[Inspected]) -> String {
    let blocks: Vec<String> = looked.iter().map(block).collect();
    blocks.join("\n")
}

fn block(one: &Inspected) -> String {
    let name = clean(one.inspection.name.as_str());
    let look = match &one.look {
        Known::Unknown(why) => return format!("{name}\n  not known: {why}\n"),
        Known::Known(look) => look,
    };
    let mut text = String::new();
    let _ = writeln!(text, "{name}{}", about(look));
    let mut row = |key: &str, value: String| {
        let _ = writeln!(text, "  {key:<11} {value}");
    };
    if !look.is_whole() {
        row("answer", "cut short".to_owned());
    }
    row(
        "clock",
        clock(look.clock_error(one.between.0, one.between.1)),
    );
    if one.inspection.queue {
        slurm(look, &mut row);
        return text;
    }
    if let Some(limits) = look.open_files {
        row(
            "open files",
            format!("{}, at most {}", count(limits.soft), count(limits.hard)),
        );
    }
    if one
        .inspection
        .questions
        .first()
        .is_some_and(|word| word == "gpus")
    {
        match &look.gpus {
            Known::Unknown(why) => row("GPUs", format!("not known: {why}")),
            Known::Known(gpus) => gpus
                .iter()
                .for_each(|gpu| row(&format!("GPU {}", gpu.index), card(gpu))),
        }
    }
    for (env, found) in &look.envs {
        row("environment", format!("{env}: {}", environment(found)));
    }
    for (path, disk) in &look.disks {
        let kib = |kib: u64| bytes(kib.saturating_mul(1024));
        row(
            "disk",
            format!(
                "{} free of {} for {}",
                kib(disk.free),
                kib(disk.total),
                clean(path)
            ),
        );
    }
    for program in &look.missing {
        row("program", format!("{program}: not on PATH"));
    }
    for (path, kind) in &look.paths {
        let kind = match kind {
            Known::Known(kind) => format!("{kind:?}").to_lowercase(),
            Known::Unknown(why) => format!("not known: {why}"),
        };
        row("path", format!("{}: {kind}", clean(path)));
    }
    for (port, holders) in &look.ports {
        for holder in holders {
            row(
                "port",
                format!(
                    "{port} at {}: {}",
                    holder.address,
                    holder.who.words(holder.pid)
                ),
            );
        }
    }
    text
}

/// ` (gpu05 as ann, 96 processors, 1.5 TB of 2.0 TB memory free)`
fn about(look: &NodeLook) -> String {
    let mut parts = vec![format!("{} as {}", look.host, look.user)];
    parts.extend(look.cpus.map(|cpus| format!("{cpus} processors")));
    parts.extend(look.memory.map(|(total, free)| {
        let kib = |kib: u64| bytes(kib.saturating_mul(1024));
        format!("{} of {} memory free", kib(free), kib(total))
    }));
    format!(" ({})", parts.join(", "))
}

fn clock(error: i64) -> String {
    match error {
        0 => "as here".to_owned(),
        error => format!(
            "{} ms {}",
            error.unsigned_abs(),
            if error > 0 { "ahead" } else { "behind" }
        ),
    }
}

fn count(limit: u64) -> String {
    match limit {
        u64::MAX => "unlimited".to_owned(),
        limit => limit.to_string(),
    }
}

fn card(gpu: &GpuFound) -> String {
    let mib = |mib: Option<u64>| {
        mib.map_or_else(
            || "?".to_owned(),
            |mib| format!("{}.{}", mib / 1024, mib % 1024 * 10 / 1024),
        )
    };
    let mut text = format!(
        "{}, {} of {} GiB in use",
        gpu.name,
        mib(gpu.used),
        mib(gpu.total)
    );
    for holder in &gpu.holders {
        let _ = write!(
            text,
            "; {} {} GiB",
            holder.who.words(Some(holder.pid)),
            mib(holder.used)
        );
        if let Some((unit, _)) = holder.who.mark.split_once('/') {
            let _ = write!(text, " of run {unit}");
        }
    }
    text
}

fn environment(found: &EnvFound) -> String {
    match found {
        EnvFound::Absent(why) => format!("absent ({why})"),
        EnvFound::Present { vllm, .. } => match vllm {
            VllmFound::NotAsked => "there".to_owned(),
            VllmFound::Unknown(why) => format!("vLLM not known ({why})"),
            VllmFound::Absent(why) => format!("no vLLM ({why})"),
            VllmFound::Installed { release, flags, .. } => match flags {
                Known::Known(flags) => format!("vLLM {release} with {} flags", flags.len()),
                Known::Unknown(why) => format!("vLLM {release} (flags not known: {why})"),
            },
        },
    }
}

fn slurm(look: &NodeLook, row: &mut impl FnMut(&str, String)) {
    for (name, said) in &look.slurm_nodes {
        let said = match said {
            Known::Known(line) => {
                let keys = ["State=", "Gres=", "CPUTot=", "RealMemory="];
                let words = line
                    .split_whitespace()
                    .filter(|word| keys.iter().any(|key| word.starts_with(key)));
                words.collect::<Vec<_>>().join(" ")
            }
            Known::Unknown(why) => format!("not known: {why}"),
        };
        row("node", format!("{}: {said}", clean(name)));
    }
    for (name, said) in &look.partitions {
        match said {
            Known::Known(lines) => lines
                .iter()
                .for_each(|line| row("partition", line.replace('|', " "))),
            Known::Unknown(why) => row("partition", format!("{}: not known: {why}", clean(name))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::NodeName;
    use crate::plan::Access;
    use crate::plan::inspect::Inspection;

    fn inspected(name: &str, look: Known<NodeLook>, queue: bool) -> Inspected {
        Inspected {
            inspection: Inspection {
                name: NodeName::new(name),
                access: Access::Local,
                questions: vec!["gpus".to_owned()],
                queue,
            },
            look,
            between: (1000, 2000),
        }
    }

    #[test]
    fn each_machine_has_a_block() {
        let answer = "begin\t1100\nhost\tgpu05\tann\t/home/ann\t96\nmemory\t2000000000\t1500000000\nnofile\t1024\tunlimited\n\
            gpu\t0, GPU-a, NVIDIA H100 80GB HBM3, 81559, 20480, 580.1\ngpu\t1, GPU-b, NVIDIA H100 80GB HBM3, [N/A], [N/A], 580.1\n\
            app\tGPU-a\t688\t20000\tbob\tc-2-ab12/m-0/1/x\t/usr/bin/python3 serve.py\n\
            env\tconda\tvllm1\t/opt/conda/envs/vllm1\nvllm\tconda\tvllm1\t0.12.0\t/opt/vllm|7\nno-flags\tconda\tvllm1\tits help failed: no torch\n\
            disk\t/tmp\t/\t1048576\t2097152\npath\t/ckpt\tabsent\nlistens\t1800\t0100007F\t7\tann\t\tpython3\nend\t3500\n";
        let queue = "begin\t1100\nhost\tlogin\tann\t/home/ann\t8\nslurm\tgpu-1\tNodeName=gpu-1 CPUTot=96 Gres=gpu:8 State=IDLE\n\
            partition\tmain\tmain*|up|1-00:00:00|4|idle|gpu:8\nno-slurm\tgpu-2\tNode gpu-2 not found\nend\t1500\n";
        let looked = [
            inspected("a", Known::Known(NodeLook::read(answer)), false),
            inspected("b", Known::Unknown("no route to host".to_owned()), false),
            inspected("SLURM here", Known::Known(NodeLook::read(queue)), true),
        ];
        insta::assert_snapshot!(machines(&looked), @r"
        a (gpu05 as ann, 96 processors, 1.5 TB of 2.0 TB memory free)
          clock       1500 ms ahead
          open files  1024, at most unlimited
          GPU 0       NVIDIA H100 80GB HBM3, 20.0 of 79.6 GiB in use; pid 688 (bob) python3 19.5 GiB of run c-2-ab12
          GPU 1       NVIDIA H100 80GB HBM3, ? of ? GiB in use
          environment conda `vllm1`: vLLM 0.12.0 (flags not known: its help failed: no torch)
          disk        1.0 GB free of 2.1 GB for /tmp
          path        /ckpt: absent
          port        1800 at 127.0.0.1: pid 7 (ann) python3

        b
          not known: no route to host

        SLURM here (login as ann, 8 processors)
          clock       as here
          node        gpu-1: CPUTot=96 Gres=gpu:8 State=IDLE
          node        gpu-2: not known: Node gpu-2 not found
          partition   main* up 1-00:00:00 4 idle gpu:8
        ");
    }
}
