//! `toolorch check clusters/hle-oss.yaml` as a whole process: at most 15 ms and 20 MB.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench that cannot run has failed"
)]

mod measure;

use std::time::Duration;

use measure::{judged, peak_kib, program, walls};

fn main() {
    let check = || program(&["check", "clusters/hle-oss.yaml"]);
    let times = walls(50, 0, check);
    let within = times.median() <= Duration::from_millis(15);
    println!(
        "check hle-oss.yaml  {}; {}",
        times.words(),
        judged(within, "15 ms")
    );
    let peak = (0..10).map(|_| peak_kib(check())).max().unwrap_or(0);
    let within = peak > 0 && peak <= 20_000_000 / 1024;
    println!(
        "check hle-oss.yaml  peak {peak} KiB; {}",
        judged(within, "20 MB")
    );
    let nothing = walls(50, 0, || program(&["--version"]));
    println!("the process alone   {}", nothing.words());
}
