//! How busy each GPU was over time.

use std::fmt::Write as _;

use super::parts::{Page, counted, hue, none};
use crate::base::{UnitId, float, floor};
use crate::report::charts::{Course, GpuSeries, NodeSeries};
use crate::report::draw::{Plot, coordinate, escaped, percent};

/// Pixels of a row.
const ROW: usize = 12;
/// Shades, from hardly ever to always.
const LEVELS: usize = 5;

pub(super) fn section(page: &Page<'_>, course: &Course) -> String {
    if course.nodes.is_empty() {
        return none(
            "no GPU was sampled: servers of this run have none, or `nvidia-smi` said nothing",
        );
    }
    let mut out = "<p class=\"lead\">A row is a GPU, in the hue of the model that the plan puts there: the stronger the colour, the more of the time something ran on it. That says nothing of how well it was used.</p><div class=\"groups\">".to_owned();
    for node in &course.nodes {
        out.push_str(&of_node(course, node));
    }
    let axis = Plot {
        height: 1,
        label: "time".to_owned(),
        columns: page.columns(&course.frame, 9),
        ..Plot::default()
    };
    let _ = write!(out, "{}</div>", axis.html());
    out
}

fn of_node(course: &Course, node: &NodeSeries) -> String {
    let count = node.gpus.len();
    let known: Vec<f64> = node.gpus.iter().filter_map(|gpu| gpu.mean).collect();
    let mean = match known.len() {
        0 => String::new(),
        len => format!(
            " · busy {} of the time",
            percent(known.iter().sum::<f64>() / float(len))
        ),
    };
    let (name, gpus) = (escaped(node.node.as_str()), counted(count as u64, "GPU"));
    let (height, pieces) = (ROW * count, course.frame.pieces());
    let mut out = format!(
        "<h4>{name} <small>{gpus}{mean}</small></h4><div class=\"plot lanes\" style=\"--h:{height}px\"><div class=\"ys\">"
    );
    for (index, gpu) in node.gpus.iter().enumerate() {
        let bottom = coordinate(100.0 * (float(count - index) - 0.5) / float(count));
        let _ = write!(out, "<span style=\"bottom:{bottom}%\">{}</span>", gpu.index);
    }
    let box_height = 10 * count;
    let _ = write!(
        out,
        "</div><svg viewBox=\"0 0 {pieces} {box_height}\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"GPUs of {name} over time\">"
    );
    for (index, gpu) in node.gpus.iter().enumerate() {
        of_gpu(&mut out, gpu, 10 * index, pieces);
    }
    out + "</svg></div>"
}

fn of_gpu(out: &mut String, gpu: &GpuSeries, top: usize, pieces: usize) {
    let mut shades = vec![String::new(); LEVELS];
    let mut run: Option<(usize, usize)> = None;
    let levels = gpu.busy.iter().map(|busy| busy.map(level)).chain([None]);
    for (index, now) in levels.enumerate() {
        if let Some((first, shade)) = run.filter(|(_, shade)| now != Some(*shade)) {
            let _ = write!(shades[shade], "M{first} {}h{}", top + 5, index - first);
            run = None;
        }
        run = run.or(now.map(|shade| (index, shade)));
    }
    let _ = write!(out, "<g class=\"heat {}\">", hue(gpu.class));
    for (level, path) in shades
        .iter()
        .enumerate()
        .filter(|(_, path)| !path.is_empty())
    {
        let _ = write!(out, "<path class=\"l{level}\" d=\"{path}\"/>");
    }
    let units: Vec<&str> = gpu.units.iter().map(UnitId::as_str).collect();
    let mut words = format!("GPU {}", gpu.index);
    if !units.is_empty() {
        let _ = write!(words, ": {}", units.join(", "));
    }
    if let Some(mean) = gpu.mean {
        let _ = write!(words, ", busy {} of the time", percent(mean));
    }
    if let Some((used, total)) = gpu.memory {
        let _ = write!(
            words,
            ", {} of {} GiB of memory at most",
            used / 1024,
            total / 1024
        );
    }
    let _ = write!(
        out,
        "<rect class=\"row h\" y=\"{top}\" width=\"{pieces}\" height=\"10\"><title>{}</title></rect></g>",
        escaped(&words)
    );
}

fn level(busy: f64) -> usize {
    floor::<usize>(busy * float(LEVELS)).min(LEVELS - 1)
}
